package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/premortem/premortem"
)

// What is asked of every route of a repository that declares no objective: one
// second is the limit beyond which a flow of thought is interrupted (Nielsen,
// Usability Engineering, 1993, ch. 5.5), 1 % the usual first error budget.
const (
	assumedP95    = 1.0
	assumedErrors = 0.01
	assumedText   = "p95 ≤ 1 s and errors ≤ 1 %"
)

const (
	// confident is the normal deviate of a one-sided 95 % decision.
	confident = 1.6449
	// fewest answers of a route from which its objective is decided.
	fewest = 50
	// fewestMisses that may fail an objective: one or two are an accident.
	fewestMisses = 3
)

// goal is one promise to one route: at most the share allowed of its requests is
// later than limit ("p95", "p99") or fails ("errors").
type goal struct {
	route   string
	name    string
	limit   float64 // seconds, or the share for "errors"
	allowed float64
	pos     premortem.Pos
}

// outcome is a goal with what was counted in one phase.
type outcome struct {
	goal   goal
	answer premortem.Answer
	n, bad uint64
	was    float64 // seconds, or the share for "errors"
	caveat string  // why it is undecided, "" when it is decided
	needs  uint64  // requests without a miss that would show it beyond doubt
}

// promises reports whether an objective asks for anything.
func promises(o premortem.Objective) bool { return o.P95.Set() || o.P99.Set() || o.Errors.Set() }

// declares reports whether the trial carries any objective.
func declares(t *premortem.Trial) bool {
	return slices.ContainsFunc(t.Objectives, promises) ||
		slices.ContainsFunc(t.Experiment.Claims, func(c premortem.Claim) bool { return promises(c.Objective) })
}

// goalsOf returns what a route promises: its own objective part by part, then what
// "*" says, then the experiment's claims. A latency promise includes that the
// request succeeds: where no error share is written, the share that may be late is
// also the share that may fail, so that fast failures never pass for health.
func goalsOf(t *premortem.Trial, route string) []goal {
	if !declares(t) {
		return []goal{
			{route, "p95", assumedP95, 0.05, premortem.Pos{}},
			{route, "errors", assumedErrors, assumedErrors, premortem.Pos{}},
		}
	}
	own := merged(t, route)
	var out []goal
	allowed := 1.0
	if p := own.P95; p.Set() {
		out = append(out, goal{route, "p95", p.Value, 0.05, p.Pos})
		allowed = 0.05
	}
	if p := own.P99; p.Set() {
		out = append(out, goal{route, "p99", p.Value, 0.01, p.Pos})
		allowed = 0.01
	}
	switch {
	case own.Errors.Set():
		out = append(out, goal{route, "errors", own.Errors.Value, own.Errors.Value, own.Errors.Pos})
	case len(out) > 0:
		out = append(out, goal{route, "errors", allowed, allowed, out[len(out)-1].pos})
	}
	return out
}

// merged folds every objective that applies to a route into one.
func merged(t *premortem.Trial, route string) premortem.Objective {
	out := premortem.Objective{Route: route}
	take := func(o premortem.Objective) {
		if !out.P95.Set() {
			out.P95 = o.P95
		}
		if !out.P99.Set() {
			out.P99 = o.P99
		}
		if !out.Errors.Set() {
			out.Errors = o.Errors
		}
	}
	all := slices.Clone(t.Objectives)
	for _, c := range t.Experiment.Claims {
		all = append(all, c.Objective)
	}
	slices.SortStableFunc(all, func(a, b premortem.Objective) int { return a.Pos.Compare(b.Pos) })
	for _, name := range []string{route, "*"} {
		for _, o := range all {
			if o.Route == name {
				take(o)
			}
		}
	}
	return out
}

// count returns how many requests there were, how many of them missed the goal,
// and the number to print.
func (g goal) count(r *premortem.RouteStats) (n, bad uint64, was float64) {
	switch g.name {
	case "errors":
		return r.Count, min(r.Errors, r.Count), ratio(float64(r.Errors), float64(r.Count))
	case "p99":
		return r.Response.Count(), r.Response.CountAbove(duration(g.limit)), cmp.Or(r.P99, r.Response.Quantile(0.99).Seconds())
	}
	return r.Response.Count(), r.Response.CountAbove(duration(g.limit)), cmp.Or(r.P95, r.Response.Quantile(0.95).Seconds())
}

// weigh counts every goal of every route that was called in a phase, the one
// farthest beyond its limit first.
func weigh(t *premortem.Trial, p *premortem.Phase) []outcome {
	var out []outcome
	for i := range p.Routes {
		r := &p.Routes[i]
		if r.Count == 0 {
			continue
		}
		for _, g := range goalsOf(t, r.Route) {
			o := outcome{goal: g}
			o.n, o.bad, o.was = g.count(r)
			o.answer, o.caveat = g.decide(o.n, o.bad)
			o.needs = g.needs()
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b outcome) int {
		return cmp.Or(
			-cmp.Compare(a.excess(), b.excess()),
			cmp.Compare(a.goal.route, b.goal.route),
			cmp.Compare(a.goal.name, b.goal.name))
	})
	return out
}

// excess orders broken goals: late by how many times, else failing by how many
// times, latency first because it says where the time went.
func (o outcome) excess() float64 {
	x := ratio(o.was, o.goal.limit)
	if o.goal.name == "errors" {
		// A share of 1 against 0.1 % is a thousand times the limit; on the scale of
		// times that is not worse than a request that takes ten times too long.
		return math.Log10(1 + x)
	}
	return x
}

// decide applies a one-sided 95 % Wilson bound to the share of misses. Requests
// of one route are not independent near saturation (a stall makes neighbours miss
// together), so the bound is a little too sure; the retry of a search covers it.
func (g goal) decide(n, bad uint64) (premortem.Answer, string) {
	low, high := wilson(bad, n, confident)
	switch {
	case n >= 10 && low >= 0.5 && low > g.allowed:
		return premortem.Fails, "" // most requests missed: no more of them are needed
	case n < fewest:
		return premortem.Unknown, fmt.Sprintf("%s was called %s; %s of it needs at least %s",
			g.route, plural(int(n), "time", "times"), g.text(), count(min(g.needs(), 1000)))
	case low > g.allowed && bad >= fewestMisses:
		return premortem.Fails, ""
	case high <= g.allowed:
		return premortem.Holds, ""
	case g.name == "errors" && bad == 0:
		return premortem.Holds, "" // as far as anybody can see; faint says so
	}
	missed := "took longer than " + exactSeconds(g.limit)
	if g.name == "errors" {
		missed = "failed"
	}
	return premortem.Unknown, fmt.Sprintf("%s of %s requests of %s %s: between %s and %s do, %s may",
		count(bad), count(n), g.route, missed, share(low), share(high), exactShare(g.allowed))
}

// needs is how many requests without a miss show the goal with certainty.
func (g goal) needs() uint64 {
	a := min(max(g.allowed, 1e-6), 1)
	return max(fewest, uint64(math.Ceil(confident*confident*(1-a)/a)))
}

// faint says of which error objectives the number of requests shows less than the
// objective asks, though none failed; "" when there is none.
func faint(now []outcome) string {
	routes := map[string]bool{}
	var fewestSeen, needs uint64 = math.MaxUint64, 0
	limit := 0.0
	for _, o := range now {
		if o.answer == premortem.Holds && o.bad == 0 && o.n < o.needs {
			routes[o.goal.route] = true
			fewestSeen = min(fewestSeen, o.n)
			if o.needs > needs {
				needs, limit = o.needs, o.goal.limit
			}
		}
	}
	if len(routes) == 0 {
		return ""
	}
	_, high := wilson(0, fewestSeen, confident)
	return fmt.Sprintf("no request of %s failed, but there were too few to show errors ≤ %s: %s of a route show ≤ %s, and %s would be needed",
		plural(len(routes), "route", "routes"), exactShare(limit), count(fewestSeen), share(high), count(needs))
}

// text is "p95 ≤ 300 ms" or "errors ≤ 0.1 %".
func (g goal) text() string {
	if g.name == "errors" {
		return "errors ≤ " + exactShare(g.limit)
	}
	return g.name + " ≤ " + exactSeconds(g.limit)
}

// what is "POST /login: p95 2.1 s against 300 ms".
func (o outcome) what() string {
	g := o.goal
	if g.name == "errors" {
		return fmt.Sprintf("%s: %s of requests fail, %s allowed", g.route, share(o.was), exactShare(g.limit))
	}
	return fmt.Sprintf("%s: %s %s against %s", g.route, g.name, seconds(o.was), exactSeconds(g.limit))
}

// closest names the latency goal with the least room.
func closest(now []outcome) string {
	var best *outcome
	for i := range now {
		o := &now[i]
		if o.goal.name != "errors" && (best == nil || o.excess() > best.excess()) {
			best = o
		}
	}
	if best == nil {
		return ""
	}
	return fmt.Sprintf("; closest is %s, %s %s of %s", best.goal.route, best.goal.name, seconds(best.was), exactSeconds(best.goal.limit))
}

func only(all []outcome, a premortem.Answer) []outcome {
	var out []outcome
	for _, o := range all {
		if o.answer == a {
			out = append(out, o)
		}
	}
	return out
}

func routesIn(all []outcome) int {
	seen := map[string]bool{}
	for _, o := range all {
		seen[o.goal.route] = true
	}
	return len(seen)
}

// tightest is the shortest latency that any goal allows, the assumed one if none.
func tightest(all []outcome) float64 {
	t := assumedP95
	for _, o := range all {
		if o.goal.name != "errors" && o.goal.limit > 0 {
			t = min(t, o.goal.limit)
		}
	}
	return t
}

// wilson is Wilson's interval for a share of k in n (JASA 22, 1927): from 0 to 1
// when nothing was counted.
func wilson(k, n uint64, z float64) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	k = min(k, n)
	p, m := float64(k)/float64(n), float64(n)
	mid := p + z*z/(2*m)
	half := z * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	low, high = (mid-half)/(1+z*z/m), (mid+half)/(1+z*z/m)
	return max(low, 0), min(high, 1)
}
