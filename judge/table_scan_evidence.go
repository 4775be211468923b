package judge

import (
	"fmt"
	"math"
	"slices"

	"github.com/premortem/premortem"
)

// evidence tells the scan's story: the lines first, then how the statement is
// executed, what it costs one request, and what that does under load. behind are the
// broken routes that wait for it.
func (s *scan) evidence(t *premortem.Trial, ex *exam, u *use, behind []string) []premortem.Evidence {
	during := t.Phase("during")
	sites := s.plan.Sites
	if len(sites) == 0 && u != nil {
		sites = u.sites
	}
	out := append(lines(sites, "the statement is made here"), lines(s.plan.Elsewhere, "the table is declared here")...)
	m := func(signal, unit string, before, now float64) *premortem.Measure {
		return &premortem.Measure{Signal: signal, Node: s.to, Trial: t.Experiment.Name, Before: before, During: now, Unit: unit}
	}
	reads := fmt.Sprintf("one execution read %s rows and kept %s", about(s.read), about(s.found))
	if s.plan.Seconds < 0 {
		reads = fmt.Sprintf("one execution would read %s rows and keep %s (planned, not run)", about(s.read), about(s.found))
	}
	if s.read < 0.9*s.rows && limited.MatchString(s.plan.Op) {
		reads += ", where LIMIT ended it"
	}
	out = append(out, premortem.Evidence{
		Says:    fmt.Sprintf("%s: Seq Scan, %s", short(s.plan.Op), reads),
		Measure: m("plan_rows_read", "rows", 0, s.read),
	})
	if u != nil {
		loaded := loadedShare(u, s.load, during)
		says := fmt.Sprintf("this statement is %s of %s when nothing else runs", share(u.share()), u.route)
		if loaded > u.share() {
			says += fmt.Sprintf(", %s under load", share(loaded))
		}
		out = append(out, premortem.Evidence{Says: says, Measure: m(signalRequestShare, "share", u.share(), max(loaded, u.share()))})
	}
	out = append(out, premortem.Evidence{
		Says: fmt.Sprintf("it is %s of all time spent in %s, %s calls %s",
			share(s.share), s.to.Name(), count(s.load.calls), at(t)),
		Measure: m(signalDatabaseShare, "share", 0, s.share),
	})
	grown := s.growth(t)
	if out = append(out, grown...); len(grown) == 0 && s.alone > 0 {
		out = append(out, premortem.Evidence{
			Says:    fmt.Sprintf("one call takes %s alone, %s %s", seconds(s.alone), seconds(s.load.mean()), rateOf(t, during)),
			Measure: m("call_seconds_mean", "s", s.alone, s.load.mean()),
		})
	}
	if a := s.plan.Advice; a != nil && a.CostAfter > 0 && a.CostBefore > a.CostAfter {
		out = append(out, premortem.Evidence{
			Says:    fmt.Sprintf("with the index the planner expects a cost of %s instead of %s", about(a.CostAfter), about(a.CostBefore)),
			Measure: m("plan_cost", "cost", a.CostBefore, a.CostAfter),
		})
	}
	return append(out, s.felt(t, ex, u, behind)...)
}

// felt is what users got: the objective of the scan's own route, else of the first
// route behind it, and how many more are broken for the same reason.
func (s *scan) felt(t *premortem.Trial, ex *exam, u *use, behind []string) []premortem.Evidence {
	var routes []string
	if u != nil && ex.broke(u.route) {
		routes = append(routes, u.route)
	}
	mine := append(slices.Clone(behind), s.direct(t)...)
	for _, b := range ex.broken {
		if slices.Contains(mine, b.Route) && !slices.Contains(routes, b.Route) {
			routes = append(routes, b.Route)
		}
	}
	if len(routes) == 0 {
		return nil
	}
	out := brokenEvidence(t, ex, routes[0])
	if n := len(routes) - 1; n > 0 {
		out[len(out)-1].Says += ", and " + plural(n, "more route misses its objective", "more routes miss theirs")
	}
	return out
}

// growth compares one call before and after rows were added, where they were.
func (s *scan) growth(t *premortem.Trial) []premortem.Evidence {
	by := t.Experiment.Scale.Rows
	before := find(loadsOf(t.Phase("before")), s.to, s.plan.Op)
	if by <= 1 || before == nil || before.calls < scanCalls || before.mean() <= 0 {
		return nil
	}
	grew := s.load.mean() / before.mean()
	if k := math.Log(grew) / math.Log(by); k < 0.5 {
		return nil
	}
	return []premortem.Evidence{{
		Says: fmt.Sprintf("on %s the rows a call takes %s the time: %s, then %s", times(by), about(grew)+"×", seconds(before.mean()), seconds(s.load.mean())),
		Measure: &premortem.Measure{Signal: "call_seconds_mean", Node: s.to, Trial: t.Experiment.Name,
			Before: before.mean(), During: s.load.mean(), Unit: "s"},
	}}
}

// brokenEvidence says what users of a broken route got, before and under load.
func brokenEvidence(t *premortem.Trial, ex *exam, route string) []premortem.Evidence {
	var out []premortem.Evidence
	for _, b := range ex.broken {
		if b.Route != route {
			continue
		}
		signal, unit := "request_seconds_"+b.What, "s"
		says := fmt.Sprintf("%s of %s %s against %s", b.What, route, seconds(b.Was), exactSeconds(b.Limit))
		if b.What == "errors" {
			signal, unit = "request_errors", "share"
			says = fmt.Sprintf("errors of %s %s against %s", route, share(b.Was), exactShare(b.Limit))
		}
		out = append(out, premortem.Evidence{Says: says, Pos: b.Pos, Measure: &premortem.Measure{
			Signal: signal, Trial: t.Experiment.Name, Before: b.Before, During: b.Was, Unit: unit}})
	}
	return out
}

// rateOf is "at 80 requests/s", what was really sent.
func rateOf(t *premortem.Trial, p *premortem.Phase) string {
	if p == nil || p.Took <= 0 || p.Load.Sent == 0 {
		return "under load"
	}
	return "at " + about(float64(p.Load.Sent)/p.Took) + " requests/s"
}
