package judge

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/premortem/premortem"
)

// PointOf is what a trial showed at its multiple, for a search and for a plot.
func PointOf(t *premortem.Trial, v premortem.Verdict) premortem.Point {
	if t == nil {
		return premortem.Point{Routes: []premortem.PointRoute{}}
	}
	e := t.Experiment
	p := premortem.Point{
		Multiple: e.Scale.Of(dimension(e)), Answer: v.Answer, Trial: e.Name,
		Fixed: e.Tried != "", Routes: []premortem.PointRoute{},
	}
	during := t.Phase("during")
	if during == nil {
		return p
	}
	for i := range during.Routes {
		r := &during.Routes[i]
		pr := premortem.PointRoute{
			Route: r.Route, Rate: ratio(float64(r.Count), during.Took), Errors: ratio(float64(r.Errors), float64(r.Count)),
			P50: cmp.Or(r.P50, r.Response.Quantile(0.5).Seconds()), P95: cmp.Or(r.P95, r.Response.Quantile(0.95).Seconds()),
		}
		for _, g := range goalsOf(t, r.Route) {
			if g.name == "p95" {
				pr.Limit = g.limit
			}
		}
		p.Routes = append(p.Routes, pr)
	}
	slices.SortFunc(p.Routes, func(a, b premortem.PointRoute) int { return cmp.Compare(a.Route, b.Route) })
	return p
}

// Headroom is the boundary of one X as far as the points show it. base is what 1×
// means in unit ("requests/s", "users", "rows"), 0 when that is not known; verdicts
// holds each point's verdict by its multiple.
//
// Holds is the largest multiple below every failure, Breaks the smallest failure
// above every success, and Low to High is that bracket: the boundary lies in it as
// far as the answers are right, and the estimate is never outside. Points with a
// fix in place are kept for the plot and decide only where there are no others.
func Headroom(x, unit string, base float64, points []premortem.Point, verdicts map[float64]premortem.Verdict) premortem.Headroom {
	h := premortem.Headroom{X: x, Unit: unit, Base: base, Points: append([]premortem.Point{}, points...)}
	slices.SortStableFunc(h.Points, func(a, b premortem.Point) int {
		return cmp.Or(cmp.Compare(a.Multiple, b.Multiple), cmp.Compare(a.Trial, b.Trial))
	})
	own := slices.DeleteFunc(slices.Clone(h.Points), func(p premortem.Point) bool { return p.Fixed })
	if len(own) == 0 {
		own = h.Points
	}
	steps := stepsOf(own)
	low, high := bracketOf(steps)
	h.Holds, h.Breaks, h.Low, h.High = low, high, low, high
	switch {
	case high > 0:
		h.Answer = premortem.Fails
		atBreak(&h, own, verdictAt(verdicts, high))
	case low > 0 && same(low, steps[len(steps)-1].multiple):
		h.Says = "not up to " + times(low)
		h.Answer = premortem.Holds
	case low > 0:
		h.Says = fmt.Sprintf("holds at %s; %s is not decided", times(low), times(steps[len(steps)-1].multiple))
	default:
		h.Says = "not decided"
	}
	if h.Answer == premortem.Unknown {
		for _, st := range slices.Backward(steps) {
			if v := verdictAt(verdicts, st.multiple); v != nil && v.Answer == premortem.Unknown && v.Says != "" {
				h.Says += ": " + v.Says
				break
			}
		}
	}
	return h
}

func verdictAt(verdicts map[float64]premortem.Verdict, multiple float64) *premortem.Verdict {
	var keys []float64
	for k := range verdicts {
		if same(k, multiple) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	v := verdicts[slices.Min(keys)]
	return &v
}
