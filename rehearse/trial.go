package rehearse

import (
	"context"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/drive"
	"github.com/premortem/premortem/judge"
	"github.com/premortem/premortem/postgres"
)

const (
	minHold = 4 * time.Second
	maxHold = 24 * time.Second
	warm    = 1500 * time.Millisecond
	// enough is how many requests of a route decide "95 % within the limit": with none
	// bad of 59 the share of bad ones is below 5 % at 95 % confidence (0.95^59 < 0.05).
	// Arrivals vary by chance, hence some more.
	enough = 64
	// judged is how many requests a failure needs before it may end a step early.
	judged = 52
)

// offered is the load of one step.
func (r *run) offered(x string, multiple float64) drive.Load {
	l := drive.Load{Warm: warm, Timeout: 10 * time.Second}
	if x == "users" || !r.sys.Base.Calls.Set() {
		l.Users = r.sys.Base.Users.Value
		if x == "users" {
			l.Users *= multiple
		}
		_, length := r.load.Session()
		l.Warm = max(warm, min(length, 6*time.Second))
	} else {
		l.Calls = r.sys.Base.Calls.Value
		if x == "calls" {
			l.Calls *= multiple
		}
	}
	l.For = l.Warm + r.hold(l)
	return l
}

// hold is long enough for the rarest route with an objective to be judged.
func (r *run) hold(l drive.Load) time.Duration {
	if r.o.Hold > 0 {
		return r.o.Hold
	}
	requests, length := r.load.Session()
	sessions := l.Calls / max(requests, 1)
	if l.Users > 0 {
		sessions = l.Users / max(length.Seconds(), 0.1)
	}
	rarest := 1.0
	for _, share := range r.routeShares() {
		rarest = min(rarest, share)
	}
	d := time.Duration(enough / max(sessions*rarest, 0.01) * float64(time.Second))
	return min(max(d, minHold), maxHold).Round(100 * time.Millisecond)
}

// routeShares is how often each route is called in a mean session.
func (r *run) routeShares() map[string]float64 {
	total, out := 0.0, map[string]float64{}
	for _, j := range r.sys.Journeys {
		total += j.Weight
	}
	for _, j := range r.sys.Journeys {
		w := 1 / float64(len(r.sys.Journeys))
		if total > 0 {
			w = j.Weight / total
		}
		if w == 0 {
			continue
		}
		for _, s := range j.Steps {
			if s.Request != nil {
				out[s.Request.Route] += w
			}
		}
	}
	return out
}

// trial offers the load of one experiment and judges it.
func (r *run) trial(ctx context.Context, e premortem.Experiment) (*premortem.Trial, premortem.Verdict, error) {
	l := r.offered(e.X, e.Scale.Of(e.X))
	e.Hold = l.For - l.Warm
	e.Tried = r.fixed
	t := &premortem.Trial{
		Experiment: e, Seed: r.o.Seed, Objectives: r.sys.Objectives, Traces: r.traces, Pools: r.pools(),
		Base: premortem.Scale{Users: r.sys.Base.Users.Value, Calls: r.sys.Base.Calls.Value}, Cores: runtime.NumCPU(),
	}
	if err := r.quiet(ctx); err != nil {
		return nil, premortem.Verdict{}, err
	}
	if err := r.c.Revive(ctx); err != nil {
		return nil, premortem.Verdict{}, err
	}
	r.doing("%s", e.Asks)
	phase, blind, err := r.phase(ctx, "during", l)
	if err != nil {
		return nil, premortem.Verdict{}, err
	}
	t.Doubts = append(t.Doubts, blind...)
	if len(r.trials) > 0 {
		before := *r.trials[0].Phase("during")
		before.Name = "before"
		t.Phases = append(t.Phases, before)
	}
	t.Doubts = append(t.Doubts, r.ended(&phase)...)
	t.Phases = append(t.Phases, phase)
	if err := r.database(ctx, t); err != nil {
		return nil, premortem.Verdict{}, err
	}
	v, found := judge.Judge(t)
	r.trials = append(r.trials, t)
	r.verdicts = append(r.verdicts, v)
	if r.fixed == "" {
		r.shown = append(r.shown, found...)
	} else {
		r.behind[e.Name] = found
	}
	if err := r.o.Save(t); err != nil {
		return nil, v, err
	}
	return t, v, nil
}

// phase offers one load and watches.
func (r *run) phase(ctx context.Context, name string, l drive.Load) (premortem.Phase, []string, error) {
	p := premortem.Phase{Name: name}
	l.Stop = r.hopeless
	if err := r.watch.Mark(ctx); err != nil {
		return p, nil, err
	}
	res, err := drive.Run(ctx, r.load, l)
	if err != nil {
		return p, nil, err
	}
	p.Took, p.Load, p.Routes = res.Took.Seconds(), res.Load, res.Routes
	blind, err := r.watch.Take(ctx, &p)
	p.Series = append(felt(res.Seconds), counted(p.Series, l.Warm)...)
	return p, blind, err
}

// counted leaves the warm-up out of what the probes followed.
func counted(series []premortem.Series, warm time.Duration) []premortem.Series {
	skip := int((warm + time.Second/2) / time.Second)
	for i := range series {
		series[i].Values = series[i].Values[min(skip, len(series[i].Values)):]
	}
	return series
}

// felt is what users got, second by second.
func felt(seconds []drive.Second) []premortem.Series {
	open := premortem.Series{Signal: "requests in flight"}
	failed := premortem.Series{Signal: "failed requests"}
	slow := map[string]*premortem.Series{}
	for i, s := range seconds {
		open.Values = append(open.Values, float64(s.InFlight))
		failed.Values = append(failed.Values, float64(s.Failed))
		for route, p95 := range s.Routes {
			if slow[route] == nil {
				slow[route] = &premortem.Series{Signal: "p95 of " + route, Unit: "s", Share: true, Values: make([]float64, i)}
			}
			slow[route].Values = append(slow[route].Values, p95)
		}
		for _, one := range slow {
			if n := len(one.Values); n == i { // nobody was answered: it is at least as slow as before
				one.Values = append(one.Values, append([]float64{0}, one.Values...)[n])
			}
		}
	}
	out := []premortem.Series{open, failed}
	for _, route := range slices.Sorted(maps.Keys(slow)) {
		out = append(out, *slow[route])
	}
	return out
}

// ended counts the units that the load has brought down. Production would start them
// again while the load goes on; the clone does so after the step, and says so.
func (r *run) ended(p *premortem.Phase) []string {
	var doubts []string
	for _, e := range r.c.Ended() {
		i := slices.IndexFunc(p.Units, func(u premortem.UnitStats) bool { return u.Node == e.Node && u.Replica == e.Replica })
		if i < 0 {
			p.Units = append(p.Units, premortem.UnitStats{Node: e.Node, Replica: e.Replica, LagP99: -1})
			i = len(p.Units) - 1
		}
		p.Units[i].Restarted++
		doubts = append(doubts, fmt.Sprintf("%s (replica %d) ended with %s under this load and was started again only after it", e.Node, e.Replica, e.Exit))
	}
	return doubts
}

// hopeless ends a step whose answer is clear: so many of a route's requests are beyond
// its limit, or have failed, that the share which may is out of the question.
func (r *run) hopeless(now drive.Snapshot) bool {
	for _, rs := range now.Routes {
		o := r.objective(rs.Route)
		if o == nil || rs.Count < judged {
			continue
		}
		n := float64(rs.Count)
		if o.P95.Set() {
			slow := rs.Response.CountAbove(time.Duration(o.P95.Value * float64(time.Second)))
			if atLeast(float64(min(slow, rs.Count)), n) > 0.05 {
				return true
			}
		}
		if atLeast(float64(min(rs.Errors, rs.Count)), n) > o.Errors.Or(0.05) {
			return true
		}
	}
	return false
}

// atLeast is the lower end of Wilson's interval for a share of bad in n (Wilson 1927),
// at z = 3.3: the question is asked every second, so each answer must be surer than 95 %.
func atLeast(bad, n float64) float64 {
	const z = 3.3
	p := bad / n
	mid := p + z*z/(2*n)
	half := z * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return (mid - half) / (1 + z*z/n)
}

// objective is the route's own, else the one for every route, nil when there is none.
func (r *run) objective(route string) *premortem.Objective {
	var any *premortem.Objective
	for i := range r.sys.Objectives {
		switch o := &r.sys.Objectives[i]; o.Route {
		case route:
			return o
		case "*":
			any = o
		}
	}
	return any
}

// pools says what the code declares about connection pools, with the clone's replicas.
func (r *run) pools() []premortem.Pool {
	var out []premortem.Pool
	for _, d := range r.sys.Dependencies {
		if n := r.c.Replicas(d.From); d.Pool.Set() && n > 0 {
			p := premortem.Pool{
				From: d.From, To: d.To, Max: d.Pool.Value, Replicas: n, Env: d.PoolEnv,
				Site: premortem.Evidence{Says: "the pool is set here", Pos: d.Pool.Pos},
			}
			if v, ok := r.poolNow[string(d.From)+" "+d.PoolEnv]; ok {
				p.Max = v
			}
			out = append(out, p)
		}
	}
	return out
}

// quiet waits until the clone has nothing left to do from the step before; when it
// does not come to rest, its units are restarted.
func (r *run) quiet(ctx context.Context) error {
	deadline := time.Now().Add(8 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	calm := 0
	for time.Now().Before(deadline) {
		busy := uint64(0)
		for _, e := range r.c.Edges() {
			for _, c := range e.Tally.Take() {
				busy += c.Count
			}
		}
		active, err := r.c.Active(ctx)
		if err != nil {
			return err
		}
		if busy == 0 && active == 0 {
			if calm++; calm == 3 {
				return nil
			}
		} else {
			calm = 0
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if !r.restless {
		r.doubts = append(r.doubts, "the services did not come to rest within 8 s after a step; they were restarted")
	}
	r.restless = true
	return r.c.Restart(ctx, r.env)
}

// database adds what the database says after the step: sizes, and the plans of the
// statements that took the most time.
func (r *run) database(ctx context.Context, t *premortem.Trial) error {
	db := r.c.Database
	if db == nil {
		return nil
	}
	var err error
	if t.Tables, err = db.Sizes(ctx); err != nil {
		return err
	}
	if r.baseRows == 0 { // the first trial is at 1×
		for _, s := range t.Tables {
			r.baseRows = max(r.baseRows, float64(s.Rows))
		}
	}
	t.Base.Rows = r.baseRows
	for _, st := range r.sys.StoresOf(db.Node) {
		if st.MaxConnections.Set() {
			t.MaxConnections = st.MaxConnections.Value - 3 // superuser_reserved_connections
			break
		}
	}
	during := t.Phase("during")
	for _, call := range during.Calls {
		if call.Proto != "postgres" || len(t.Plans) == 4 || call.Seconds() < 0.02*during.Took {
			continue
		}
		plan, ok := r.plan(ctx, call)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if ok {
			t.Plans = append(t.Plans, plan)
		}
	}
	return nil
}

// plan explains one statement with the values it was called with: of the slowest few
// calls the one that takes longest again stands for it. A plan does not change within
// one size, so it is kept until the rows or the fix change.
func (r *run) plan(ctx context.Context, call premortem.CallStats) (premortem.Plan, bool) {
	key := fmt.Sprint(r.c.Database.Factor, r.fixed, call.Op)
	if p, ok := r.plans[key]; ok {
		return p, true
	}
	edge := r.c.Edge(call.From, call.To)
	if edge == nil {
		return premortem.Plan{}, false
	}
	var p premortem.Plan
	slowest := ""
	for _, sample := range edge.Tally.Samples(call.Op) {
		reads := strings.HasPrefix(strings.ToLower(strings.TrimSpace(sample.Text)), "select")
		args := make([]any, len(sample.Args))
		for i, a := range sample.Args {
			if a != `\N` { // what the tap writes for NULL
				args[i] = a
			}
		}
		one, err := r.explain(ctx, sample.Text, args, reads)
		if err != nil {
			r.doubts = append(r.doubts, fmt.Sprintf("the plan of %q could not be read: %v", short(call.Op), err))
			return premortem.Plan{}, false
		}
		if slowest == "" || one.Seconds > p.Seconds {
			p, slowest = one, sample.Text
		}
	}
	if slowest == "" {
		return premortem.Plan{}, false
	}
	p.Op, p.Sites, p.Elsewhere = call.Op, r.sites(call.Op), r.schemaLines(p)
	if slices.ContainsFunc(p.Scans, func(s premortem.Scan) bool { return strings.Contains(s.Node, "Seq Scan") && s.Removed > 1000 }) {
		var err error
		if p.Advice, err = postgres.Advise(ctx, r.c.Database.DSN(), slowest); err != nil {
			r.doubts = append(r.doubts, fmt.Sprintf("no index could be tried for %q: %v", short(call.Op), err))
		}
	}
	r.plans[key] = p
	return p, true
}

func short(s string) string {
	if len(s) > 80 {
		return s[:77] + "…"
	}
	return s
}
