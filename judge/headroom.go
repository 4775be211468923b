package judge

import (
	"cmp"
	"slices"
	"strings"

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
// Points come by multiple, those without a fix first. Estimate is 0 where nothing
// held: the boundary lies below everything that was tried.
func Headroom(x, unit string, base float64, points []premortem.Point, verdicts map[float64]premortem.Verdict) premortem.Headroom {
	h := premortem.Headroom{X: x, Unit: unit, Base: base, Points: append([]premortem.Point{}, points...)}
	slices.SortStableFunc(h.Points, func(a, b premortem.Point) int {
		return cmp.Or(cmp.Compare(a.Multiple, b.Multiple), firstIf(!a.Fixed)-firstIf(!b.Fixed), cmp.Compare(a.Trial, b.Trial))
	})
	own := slices.DeleteFunc(slices.Clone(h.Points), func(p premortem.Point) bool { return p.Fixed })
	if len(own) == 0 {
		own = h.Points
	}
	steps := stepsOf(own)
	low, high := bracketOf(steps)
	h.Holds, h.Breaks, h.Low, h.High = low, high, low, high
	gaps := gapsOf(steps, low, high, verdicts)
	switch {
	case high > 0:
		h.Answer = premortem.Fails
		atBreak(&h, own, verdictAt(verdicts, high), gaps)
	case low > 0 && same(low, steps[len(steps)-1].multiple):
		h.Says = "holds up to " + times(low) + ", the largest multiple tried"
		h.Answer = premortem.Holds
	case len(gaps) == 0:
		h.Says = "not decided"
	default:
		h.Says = gaps[len(gaps)-1].told()
		if low > 0 {
			h.Says = "holds at " + times(low) + "; " + h.Says
		}
	}
	return h
}

// gap is a multiple that was tried and has no answer.
type gap struct {
	multiple float64
	why      string // the verdict's sentence, "" none
}

// gapsOf returns the multiples without an answer inside the bracket, ascending.
func gapsOf(steps []step, low, high float64, verdicts map[float64]premortem.Verdict) []gap {
	var out []gap
	for _, st := range steps {
		if st.answer != premortem.Unknown || st.multiple <= low || (high > 0 && st.multiple >= high) {
			continue
		}
		g := gap{multiple: st.multiple}
		if v := verdictAt(verdicts, st.multiple); v != nil && v.Answer == premortem.Unknown {
			g.why = v.Says
		}
		out = append(out, g)
	}
	return out
}

// brief is "4× is too close to call".
func (g gap) brief() string {
	what := times(g.multiple)
	if same(g.multiple, 1) {
		what = "normal load"
	}
	if strings.Contains(g.why, tooClose) {
		return what + " is " + tooClose
	}
	return what + " is not decided"
}

// told is brief with its reason.
func (g gap) told() string {
	_, why, ok := strings.Cut(g.why, tooClose+": ")
	if !ok {
		_, why, ok = strings.Cut(g.why, notDecided+": ")
	}
	if !ok {
		why = g.why
	}
	if why == "" {
		return g.brief()
	}
	return g.brief() + ": " + why
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
