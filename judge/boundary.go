package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// atBreak says what breaks, and estimates where inside the bracket.
func atBreak(h *premortem.Headroom, points []premortem.Point, v *premortem.Verdict, gaps []gap) {
	type candidate struct {
		broken premortem.Broken
		at     float64
	}
	var first *candidate
	if v != nil {
		if len(v.Findings) > 0 {
			h.Finding = v.Findings[0]
		}
		h.First = v.First
		for _, b := range v.Broken {
			c := candidate{b, middle(h.Low, h.High)}
			if b.What == "p95" {
				c.at = crossing(points, b.Route, b.Limit, h.Low, h.High)
			}
			if first == nil || c.at < first.at*(1-1e-9) {
				first = &c
			}
		}
	}
	says := ""
	switch {
	case first != nil:
		h.First, h.Estimate = first.broken.Route, first.at
		says = ": " + outcomeOf(first.broken).what()
	default:
		h.Estimate = middle(h.Low, h.High)
		if h.First != "" {
			says = ": " + h.First
		}
	}
	if h.Low == 0 {
		h.Estimate = 0
	}
	h.Says = between(h, gaps) + says
}

// between says where the boundary lies: "holds at 2×, breaks between 2× and 4×
// (about 3.1×, 62 requests/s)".
func between(h *premortem.Headroom, gaps []gap) string {
	var open []string
	for _, g := range gaps {
		open = append(open, g.brief())
	}
	switch {
	case h.Low == 0 && same(h.High, 1):
		return "breaks at normal load already"
	case h.Low == 0 && h.High < 1:
		return "breaks at " + times(h.High) + " already"
	case h.Low == 0 && len(open) > 0:
		return "breaks at " + times(h.High) + ", and " + list(open)
	case h.Low == 0:
		return "breaks at " + times(h.High) + ", the smallest multiple tried"
	}
	inside := []string{"about " + times(twoDigits(h.Estimate))}
	if h.Base > 0 {
		inside[0] += ", " + about(h.Base*h.Estimate) + " " + h.Unit
	}
	inside = append(inside, open...)
	return fmt.Sprintf("holds at %s, breaks between %s and %s (%s)", times(h.Holds), times(h.Low), times(h.High), strings.Join(inside, "; "))
}

func outcomeOf(b premortem.Broken) outcome {
	return outcome{goal: goal{route: b.Route, name: b.What, limit: b.Limit}, was: b.Was}
}

// middle is the centre of a bracket on a logarithmic scale, 0 for an open one.
func middle(low, high float64) float64 {
	if low <= 0 || high <= 0 {
		return 0
	}
	return math.Sqrt(low * high)
}

// crossing estimates where a route's p95 reaches its limit inside the bracket: its
// p95 at each multiple is made monotone (more load is never faster), then read off
// between the neighbours of the limit, both on logarithmic scales. Where the points
// do not enclose the limit it is the middle of the bracket.
func crossing(points []premortem.Point, route string, limit, low, high float64) float64 {
	mid := middle(low, high)
	if mid == 0 || limit <= 0 {
		return mid
	}
	knots := isotonic(knotsOf(points, route))
	goal := math.Log(limit)
	for i := 1; i < len(knots); i++ {
		a, b := knots[i-1], knots[i]
		if a.y > goal || b.y < goal || b.y <= a.y {
			continue
		}
		x := math.Exp(a.x + (goal-a.y)/(b.y-a.y)*(b.x-a.x))
		if x >= low && x <= high {
			return x
		}
	}
	return mid
}

// knot is one multiple and one p95, both as logarithms, seen weight times.
type knot struct{ x, y, weight float64 }

// knotsOf is a route's p95 by multiple, repeated measurements averaged.
func knotsOf(points []premortem.Point, route string) []knot {
	var out []knot
	for _, p := range points {
		for _, r := range p.Routes {
			if r.Route == route && r.P95 > 0 && p.Multiple > 0 {
				out = append(out, knot{math.Log(p.Multiple), math.Log(r.P95), 1})
			}
		}
	}
	slices.SortFunc(out, func(a, b knot) int { return cmp.Or(cmp.Compare(a.x, b.x), cmp.Compare(a.y, b.y)) })
	var merged []knot
	for _, k := range out {
		if n := len(merged); n > 0 && math.Abs(merged[n-1].x-k.x) < 1e-6 {
			m := &merged[n-1]
			m.y = (m.y*m.weight + k.y) / (m.weight + 1)
			m.weight++
			continue
		}
		merged = append(merged, k)
	}
	return merged
}

// isotonic is the nearest sequence that never falls (pool adjacent violators), with
// one knot at the centre of each pooled block: a flat block has no single root.
func isotonic(knots []knot) []knot {
	var out []knot
	for _, k := range knots {
		out = append(out, k)
		for len(out) > 1 && out[len(out)-1].y < out[len(out)-2].y {
			a, b := out[len(out)-2], out[len(out)-1]
			w := a.weight + b.weight
			out = append(out[:len(out)-2], knot{
				(a.x*a.weight + b.x*b.weight) / w, (a.y*a.weight + b.y*b.weight) / w, w})
		}
	}
	return out
}
