package judge

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/premortem/premortem"
)

// Compare says what a fix changed: before and after are the same step with the same
// seed, after with the fix in place. The numbers are those of the first route that
// the finding concerns and that broke. Worked means that every objective of that
// route now holds, or that its p95 at least halved and the two 95 % intervals do
// not touch. BreaksBefore, BreaksAfter, HoldsAfter and Next are left to whoever
// searches on.
func Compare(before, after *premortem.Trial, f premortem.Finding) premortem.Proof {
	p := premortem.Proof{Signal: "request_seconds_p95", Unit: "s"}
	if before == nil || after == nil {
		p.Says = "not proved: one of the two trials is missing"
		return p
	}
	p.X = dimension(before.Experiment)
	if before.Seed != after.Seed || before.Experiment.Scale != after.Experiment.Scale {
		p.Says = "not proved: the two trials are not the same step with the same seed"
		return p
	}
	ex := examine(before)
	b := brokenBy(before, ex, f)
	if b == nil {
		p.Says = "not proved: nothing was broken before the fix"
		return p
	}
	was, is := before.Phase("during").Route(b.Route), routeIn(after, b.Route)
	if is == nil || is.Count == 0 {
		p.Says = "not proved: " + b.Route + " was not called with the fix in place"
		return p
	}
	p.Before, p.After = p95(was), p95(is)
	show := seconds
	name := "p95"
	if b.What == "errors" {
		p.Signal, p.Unit, name, show = "request_errors", "share", "errors", share
		p.Before, p.After = ratio(float64(was.Errors), float64(was.Count)), ratio(float64(is.Errors), float64(is.Count))
	}
	now := examine(after)
	holds := now.credible && holdsAt(after, b.Route)
	fell := b.What != "errors" && now.credible && p.After <= p.Before/2 && apart(is, was)
	p.Worked = holds || fell
	p.Says = fmt.Sprintf("%s %s → %s at the same load", name, show(p.Before), show(p.After))
	switch {
	case !now.credible:
		p.Says += ", which proves nothing: " + now.says
	case holds:
	case fell:
		p.Says += ", which is still not enough: " + b.Route + " does not hold"
	default:
		p.Says += ", which is no proof: " + b.Route + " does not hold"
	}
	return p
}

// brokenBy is the first broken objective of a route that the finding concerns, the
// first of all where it concerns none in particular.
func brokenBy(t *premortem.Trial, ex *exam, f premortem.Finding) *premortem.Broken {
	if len(ex.broken) == 0 {
		return nil
	}
	for _, route := range routesOf(t, f) {
		if i := slices.IndexFunc(ex.broken, func(b premortem.Broken) bool { return b.Route == route }); i >= 0 {
			return &ex.broken[i]
		}
	}
	return &ex.broken[0]
}

func routeIn(t *premortem.Trial, route string) *premortem.RouteStats {
	if p := t.Phase("during"); p != nil {
		return p.Route(route)
	}
	return nil
}

func p95(r *premortem.RouteStats) float64 {
	if r.P95 > 0 {
		return r.P95
	}
	return r.Response.Quantile(0.95).Seconds()
}

// holdsAt reports whether every objective of a route is met under load.
func holdsAt(t *premortem.Trial, route string) bool {
	seen := false
	for _, o := range weigh(t, t.Phase("during")) {
		if o.goal.route != route {
			continue
		}
		if o.answer != premortem.Holds {
			return false
		}
		seen = true
	}
	return seen
}

// apart reports whether the 95 % interval of a's p95 lies wholly below that of b.
// The interval is that of order statistics: the ranks q·n ± 1.96·√(q(1−q)n).
func apart(a, b *premortem.RouteStats) bool {
	_, top := spread(&a.Response)
	bottom, _ := spread(&b.Response)
	return a.Response.Count() >= 20 && b.Response.Count() >= 20 && top < bottom
}

func spread(h *premortem.Histogram) (low, high time.Duration) {
	const q = 0.95
	n := float64(h.Count())
	if n == 0 {
		return 0, math.MaxInt64
	}
	d := 1.96 * math.Sqrt(q*(1-q)/n)
	return h.Quantile(q - d), h.Quantile(min(q+d, 1))
}
