package rehearse

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/judge"
)

// prove applies the fix of what broke first to the clone, repeats the failing step
// with the same seed, goes on until the next limit or until the time is over, and
// takes the fix away again.
func (r *run) prove(ctx context.Context, s *search, until time.Time) error {
	f := r.candidate(s)
	if f == nil {
		return nil
	}
	began := time.Now()
	r.doing("try the fix: %s", f.Fix.Says)
	if err := r.fix(ctx, f); err != nil {
		return err
	}
	multiple := s.first()
	if why := r.unused(ctx, f, s.breaks[multiple]); why != "" {
		r.refuse(f, s, why)
		r.o.Stage(premortem.Stage{Name: "fix", Says: r.proofs[f.Key()].Says, Took: time.Since(began).Seconds()})
		return r.mend(ctx)
	}
	after, v, err := r.step(ctx, s.x, multiple)
	if err != nil {
		return err
	}
	proof := judge.Compare(s.breaks[multiple], after, *f)
	proof.X, proof.Cost = s.x, r.fixCost
	judge.Weigh(&proof, *f)
	r.proofs[f.Key()] = &proof
	r.proved = f
	fixed := &search{x: s.x, verdicts: map[float64]premortem.Verdict{}, breaks: map[float64]*premortem.Trial{}}
	fixed.add(after, v, multiple)
	if proof.Worked && v.Answer == premortem.Holds {
		if err := r.beyond(ctx, fixed, multiple, until); err != nil {
			return err
		}
	}
	r.conclude(s, fixed, &proof)
	if err := r.tryNext(ctx, fixed, &proof, until); err != nil {
		return err
	}
	r.o.Stage(premortem.Stage{Name: "fix", Says: told(proof), Took: time.Since(began).Seconds()})
	return r.mend(ctx)
}

func told(p premortem.Proof) string {
	if p.Next == "" {
		return p.Says
	}
	return p.Says + "; " + p.Next
}

// mend takes every fix away.
func (r *run) mend(ctx context.Context) error {
	r.fixed, r.fixSQL, r.fixCost, r.env, r.poolNow = "", "", nil, nil, nil
	return r.c.Reset(ctx)
}

// candidate picks the cause of the first break that the clone can try to mend.
func (r *run) candidate(s *search) *premortem.Finding {
	merged := judge.Merge(r.shown)
	for _, key := range s.verdicts[s.first()].Findings {
		for i := range merged {
			if f := &merged[i]; f.Key() == key && f.Fix.Try != nil {
				return f
			}
		}
	}
	return nil
}

// first is the multiple that broke: the smallest failure above every success, or the
// smallest failure when the search has not been judged as a whole; 0 when none did.
func (s *search) first() float64 {
	if s.breaks[s.broke] != nil {
		return s.broke
	}
	out := 0.0
	for m := range s.breaks {
		if out == 0 || m < out {
			out = m
		}
	}
	return out
}

// fix puts the fix in place.
func (r *run) fix(ctx context.Context, f *premortem.Finding) error {
	try := f.Fix.Try
	r.fixed = f.Key()
	switch {
	case try.SQL != "":
		r.fixSQL = try.SQL
		cost, err := r.applyIndex(ctx, try.SQL)
		if err != nil {
			return err
		}
		r.fixCost = cost
		return r.c.Database.Exec(ctx, "ANALYZE")
	case len(try.Env) > 0:
		return r.setEnv(ctx, f)
	case try.Setting != "":
		return r.c.Set(ctx, try.Setting)
	}
	return nil
}

// setEnv restarts the units with the fix's variables.
func (r *run) setEnv(ctx context.Context, f *premortem.Finding) error {
	node := f.Fix.Try.Node
	if node == "" {
		node = f.Node
	}
	if r.env == nil {
		r.env, r.poolNow = map[premortem.Node]map[string]string{}, map[string]int{}
	}
	if r.env[node] == nil {
		r.env[node] = map[string]string{}
	}
	maps.Copy(r.env[node], f.Fix.Try.Env)
	for name, value := range f.Fix.Try.Env {
		if n, err := strconv.Atoi(value); err == nil {
			r.poolNow[string(node)+" "+name] = n
		}
	}
	return r.c.Restart(ctx, r.env)
}

// beyond looks for the next limit in leaps from where the fix held, then narrows it.
func (r *run) beyond(ctx context.Context, s *search, from float64, until time.Time) error {
	limit := max(r.cap(s.x), from)
	if s.x != "rows" { // rows cost time and disk
		limit *= 8
	}
	for m := from * leap; m <= limit; m *= leap {
		if time.Now().Add(r.stepTime(s.x, m)).After(until) {
			s.partial = true
			return nil
		}
		t, v, err := r.step(ctx, s.x, m)
		if err != nil {
			return err
		}
		s.add(t, v, m)
		if v.Answer != premortem.Holds {
			break
		}
	}
	plan := judge.Search{X: s.x, Start: from, Cap: limit, Tolerance: 0.35, MaxSteps: 8}
	for {
		m, more := s.next(plan)
		if !more || time.Now().Add(r.stepTime(s.x, m)).After(until) {
			return nil
		}
		t, v, err := r.step(ctx, s.x, m)
		if err != nil {
			return err
		}
		s.add(t, v, m)
	}
}

// conclude writes what the fix changed into the proof and the headroom.
func (r *run) conclude(before, after *search, proof *premortem.Proof) {
	h := r.headroomOf(before.x)
	if h == nil {
		return
	}
	proof.BreaksBefore = cmp.Or(h.Estimate, h.Breaks)
	b := judge.Headroom(before.x, h.Unit, h.Base, after.points, after.verdicts)
	after.broke = b.Breaks
	proof.HoldsAfter = b.Holds
	switch {
	case b.Breaks > 0 && b.Holds > 0:
		proof.BreaksAfter = cmp.Or(b.Estimate, b.Breaks)
		proof.Next = fmt.Sprintf("%s then break at %s", before.x, nextSays(proof.BreaksAfter, after.verdicts[b.Breaks]))
		if cause := r.nextCause(after); cause != nil {
			proof.Next += ": " + cause.Says
		}
	case !proof.Worked || b.Holds == 0:
	case b.Answer == premortem.Unknown || after.points[len(after.points)-1].Answer == premortem.Unknown:
		proof.Next = fmt.Sprintf("%s then hold to %.3g×; what comes next is not decided", before.x, b.Holds)
	case after.partial:
		proof.Next = fmt.Sprintf("%s then hold to %.3g×, as far as the time allowed", before.x, b.Holds)
	default:
		proof.Next = fmt.Sprintf("%s then hold to %.3g×, the largest multiple tried", before.x, b.Holds)
	}
	for i := range after.points {
		after.points[i].Fixed = true
	}
	h.Points = append(h.Points, after.points...)
}

func nextSays(at float64, v premortem.Verdict) string {
	s := fmt.Sprintf("%.2g×", at)
	if at >= 10 {
		s = fmt.Sprintf("%.0f×", at)
	}
	if v.Says != "" {
		s += ": " + v.Says
	}
	return s
}

// nextCause is what stood first among the causes of the next limit, nil when it is
// not known.
func (r *run) nextCause(after *search) *premortem.Finding {
	t := after.breaks[after.first()]
	if t == nil {
		return nil
	}
	found := r.behind[t.Experiment.Name]
	for _, key := range after.verdicts[after.first()].Findings {
		for i := range found {
			if f := &found[i]; f.Key() == key && f.Because == "" {
				return f
			}
		}
	}
	return nil
}

// tryNext tries the fix of the next limit too, on top of the first one, when it is a
// matter of a variable: a pool's size, say. It says whether the same step then holds.
func (r *run) tryNext(ctx context.Context, after *search, proof *premortem.Proof, until time.Time) error {
	m, f := after.first(), r.nextCause(after)
	if f == nil || f.Fix.Try == nil || len(f.Fix.Try.Env) == 0 || time.Now().Add(r.stepTime(after.x, m)+2*time.Second).After(until) {
		return nil
	}
	r.doing("try the next fix: %s", f.Fix.Says)
	r.fixed += " + " + f.Key()
	if err := r.setEnv(ctx, f); err != nil {
		return err
	}
	t, v, err := r.step(ctx, after.x, m)
	if err != nil {
		return err
	}
	also := judge.Compare(after.breaks[m], t, *f)
	switch {
	case v.Answer == premortem.Holds:
		proof.Next += fmt.Sprintf("; %s: %.3g× then holds", f.Fix.Says, m)
	case also.Worked:
		proof.Next += fmt.Sprintf("; %s: %s", f.Fix.Says, also.Says)
	default:
		proof.Next += fmt.Sprintf("; %s did not help: %s", f.Fix.Says, also.Says)
	}
	return nil
}

func (r *run) headroomOf(x string) *premortem.Headroom {
	for i := range r.report.Headroom {
		if r.report.Headroom[i].X == x {
			return &r.report.Headroom[i]
		}
	}
	return nil
}

// elsewhere repeats the failing steps of the other X that broke for the same reason,
// with the fix in place. The one whose rows are still in the database comes first.
func (r *run) elsewhere(ctx context.Context, searches []*search) error {
	f := r.proved
	if f == nil || !r.proofs[f.Key()].Worked {
		return nil
	}
	proof := r.proofs[f.Key()]
	for _, s := range slices.Backward(searches) {
		m := s.first()
		if s.x == proof.X || m == 0 || !slices.Contains(s.verdicts[m].Findings, f.Key()) {
			continue
		}
		if time.Now().Add(r.stepTime(s.x, m) + time.Second).After(r.deadline) {
			continue
		}
		if r.fixed == "" {
			if err := r.fix(ctx, f); err != nil {
				return err
			}
		}
		t, v, err := r.step(ctx, s.x, m)
		if err != nil {
			return err
		}
		p := judge.PointOf(t, v)
		p.Multiple, p.Fixed = m, true
		if h := r.headroomOf(s.x); h != nil {
			h.Points = append(h.Points, p)
		}
		also := judge.Compare(s.breaks[m], t, *f)
		proof.Says += fmt.Sprintf("; %s at %.3g×: %s", s.x, m, also.Says)
	}
	return nil
}
