package rehearse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/judge"
)

// search is the hunt for the boundary of one X.
type search struct {
	x        string
	points   []premortem.Point
	verdicts map[float64]premortem.Verdict
	breaks   map[float64]*premortem.Trial
	partial  bool    // the budget ended first
	broke    float64 // smallest failure above every success, 0 none
}

// searchAll looks for the boundary of each X without any fix.
func (r *run) searchAll(ctx context.Context) ([]*search, error) {
	began := time.Now()
	t, v, err := r.step(ctx, "calls", 1)
	if err != nil {
		return nil, err
	}
	says := fmt.Sprintf("%s: %s", r.baseSays(), v.Says)
	if v.Answer == premortem.Holds {
		says = r.baseSays() + ": every objective holds"
	}
	r.o.Stage(premortem.Stage{Name: "normal", Says: says, Took: time.Since(began).Seconds()})
	var out []*search
	left := r.asked
	for i, x := range left {
		began := time.Now()
		s := &search{x: x, verdicts: map[float64]premortem.Verdict{}, breaks: map[float64]*premortem.Trial{}}
		if x != "users" || !r.sys.Base.Calls.Set() { // normal load is the same for calls and rows
			s.add(t, v, 1)
		}
		// Each X gets its share of what is left; a fix that is still to be proved counts as one.
		shares := len(left) - i
		if len(r.proofs) == 0 {
			shares++
		}
		err := r.search(ctx, s, time.Now().Add(time.Until(r.deadline)/time.Duration(shares)))
		if err := r.soft(ctx, "the search for "+x+" ended early", err); err != nil {
			return nil, err
		}
		h := r.headroom(s)
		s.broke = h.Breaks
		r.report.Headroom = append(r.report.Headroom, h)
		r.o.Stage(premortem.Stage{Name: x, Says: h.Says, Took: time.Since(began).Seconds()})
		out = append(out, s)
		if len(r.proofs) == 0 && s.first() != 0 {
			// What breaks first is mended first: the next limit is worth more than a narrower one.
			until := time.Now().Add(time.Until(r.deadline) / time.Duration(len(left)-i))
			if err := r.soft(ctx, "the fix could not be tried", r.prove(ctx, s, until)); err != nil {
				return nil, err
			}
			if r.fixed != "" {
				if err := r.mend(ctx); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}

func (r *run) baseSays() string {
	if c := r.sys.Base.Calls; c.Set() {
		return fmt.Sprintf("%g requests/s", c.Value)
	}
	return fmt.Sprintf("%g users", r.sys.Base.Users.Value)
}

func (s *search) add(t *premortem.Trial, v premortem.Verdict, multiple float64) {
	p := judge.PointOf(t, v)
	p.Multiple = multiple
	s.points = append(s.points, p)
	s.verdicts[multiple] = v
	if v.Answer == premortem.Fails {
		s.breaks[multiple] = t
	}
}

// search takes steps until the boundary is narrow enough or the time is over. It
// begins with a leap: a step that fails ends early and is cheap, one that holds has to
// be watched for long.
func (r *run) search(ctx context.Context, s *search, until time.Time) error {
	plan := judge.Search{X: s.x, Start: min(leap, r.cap(s.x)), Cap: r.cap(s.x), Tolerance: 0.25, MaxSteps: 9}
	if s.x == "rows" || len(s.points) == 0 {
		plan.Start = min(2, plan.Cap) // rows take long to load; and where 1× is not known, 2× says more
	}
	asked := 0
	for {
		multiple, more := s.next(plan)
		if !more || s.x == "rows" && multiple < 1 { // fewer rows than production has are not made
			return nil
		}
		// What a step needs is an upper bound: one that fails ends early.
		if asked > 0 && time.Now().Add(r.stepTime(s.x, multiple)*3/4).After(until) {
			s.partial = true
			return nil
		}
		t, v, err := r.step(ctx, s.x, multiple)
		if err != nil {
			return err
		}
		s.add(t, v, multiple)
		asked++
	}
}

// leap is the first multiple after normal load.
const leap = 4

// next is what the plan asks after the points so far. A step that was too close to
// call is not repeated: it lies near the boundary, and its neighbours say more.
func (s *search) next(plan judge.Search) (float64, bool) {
	if len(s.points) == 1 && s.points[0].Multiple == 1 && s.points[0].Answer != premortem.Fails {
		return min(plan.Start, plan.Cap), plan.Cap > 1
	}
	var points []premortem.Point
	for _, p := range s.points {
		points = append(points, p)
		if p.Answer == premortem.Unknown {
			points = append(points, p)
		}
	}
	return plan.Next(points)
}

func (r *run) cap(x string) float64 {
	switch {
	case r.o.Cap > 0:
		return r.o.Cap
	case x == "rows":
		return 4
	}
	return 16
}

// stepTime is what the next step will take at least.
func (r *run) stepTime(x string, multiple float64) time.Duration {
	l := r.offered(x, multiple)
	d := l.For + time.Second
	if db := r.c.Database; x == "rows" && db != nil {
		missing := multiple - db.Factor
		if missing < 0 {
			missing = multiple // it is made anew from 1×
		}
		d += time.Duration(missing * float64(r.rowsTook))
	}
	return d
}

// step is one experiment on one X.
func (r *run) step(ctx context.Context, x string, multiple float64) (*premortem.Trial, premortem.Verdict, error) {
	size := 1.0
	if x == "rows" {
		size = multiple
	}
	if db := r.c.Database; db != nil && db.Factor != size {
		r.doing("make the rows %.3g×", size)
		if err := r.rows(ctx, size); err != nil {
			return nil, premortem.Verdict{}, err
		}
	}
	name := fmt.Sprintf("%s-x%.3g", x, multiple)
	if r.fixed != "" {
		name += strings.Repeat("-fixed", 1+strings.Count(r.fixed, " + "))
	}
	return r.trial(ctx, premortem.Experiment{
		Name: name, X: x, Scale: premortem.ScaleOf(x, multiple),
		Asks: fmt.Sprintf("does every objective hold at %.3g× the %s?", multiple, x),
	})
}

// rows changes the size of the live database and puts the fix in place again when
// the database was made anew.
func (r *run) rows(ctx context.Context, factor float64) error {
	made := factor < r.c.Database.Factor || r.c.Database.Factor != 1 // a copy, without the fix
	if err := r.c.Fresh(ctx, factor); err != nil {
		return err
	}
	if r.fixSQL != "" && made {
		if err := r.c.Database.Exec(ctx, r.fixSQL); err != nil {
			return err
		}
		return r.c.Database.Exec(ctx, "ANALYZE")
	}
	if len(r.env) > 0 && made {
		return r.c.Restart(ctx, r.env)
	}
	return nil
}

func (r *run) headroom(s *search) premortem.Headroom {
	base, unit := r.sys.Base.Calls.Value, "requests/s"
	switch s.x {
	case "users":
		base, unit = r.sys.Base.Users.Value, "users"
	case "rows":
		base, unit = 0, "rows"
		for _, w := range r.sys.Database.Rows {
			base += float64(w.Rows.Value)
		}
	}
	h := judge.Headroom(s.x, unit, base, s.points, s.verdicts)
	h.First = r.served(h.First)
	if s.partial && h.Answer != premortem.Unknown && h.Breaks > 0 {
		h.Says += " (time was over)"
	} else if s.partial {
		h.Says += " (time was over)"
	}
	return h
}

// served puts the service before the route: "service/api POST /api/login".
func (r *run) served(route string) string {
	for _, j := range r.sys.Journeys {
		for _, s := range j.Steps {
			if s.Request != nil && s.Request.Route == route && s.Request.Service != "" {
				return string(s.Request.Service) + " " + route
			}
		}
	}
	return route
}
