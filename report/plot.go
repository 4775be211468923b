package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// The plot's frame in a view of 352 by 224; the page scales it.
const (
	plotLeft, plotRight = 50.0, 304.0
	plotTop, plotBottom = 20.0, 186.0
)

// plotSet is every plot of the page.
type plotSet struct {
	Main  []*plotGroup // routes that break first, else the one closest to its objective
	More  []*plotGroup
	Left  int  // routes that are not plotted
	Fixed bool // some points were taken with the fix in place
}

// plotGroup is one route against every X.
type plotGroup struct {
	Route  string
	Plots  []*plot
	stress float64
}

// plot is the latency of one route against the multiple of one X.
type plot struct {
	Route, X, Base, Alt string
	XTicks, YTicks      []tick
	Lines               []shape
	Marks               []shape
	Limit               *tick // the objective, with its label
	Band                *band // where the X breaks; on the route that breaks first
	Rows                []plotRow
	stress              float64 // largest p95 over its limit, orders the plots
}

// shape is a path with the class that styles it.
type shape struct{ Class, Path string }

// band is the interval in which the boundary lies.
type band struct {
	X, Width, At float64
	Label        string
	LabelX       float64
}

// plotRow is one row of the table behind the plot.
type plotRow struct {
	Multiple, Rate, P50, P95, Errors, Answer string
	Fixed                                    bool
}

// plotRoutes bounds the page: so many routes are drawn and so many folded.
const plotRoutes = 6

// plots draws each route against each X that has points: what breaks first comes
// first, then the routes farthest beyond their objective, or closest to it.
func plots(s *story) plotSet {
	var out plotSet
	var all []*plotGroup
	for _, route := range routesOf(s.Headroom) {
		g := &plotGroup{Route: plain(route)}
		for _, h := range s.Headroom {
			if p := drawPlot(h, route); p != nil {
				g.Plots = append(g.Plots, p)
				g.stress = max(g.stress, p.stress)
			}
		}
		if len(g.Plots) > 0 {
			all = append(all, g)
		}
	}
	first := s.firstRoutes()
	place := func(g *plotGroup) int {
		if i := slices.Index(first, g.Route); i >= 0 {
			return i
		}
		return len(first)
	}
	slices.SortStableFunc(all, func(a, b *plotGroup) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), -cmp.Compare(a.stress, b.stress))
	})
	for _, g := range all {
		switch {
		case place(g) < len(first) || len(out.Main) == 0:
			out.Main = append(out.Main, g)
		case len(out.More) < plotRoutes:
			out.More = append(out.More, g)
		default:
			out.Left++
		}
	}
	for _, h := range s.Headroom {
		out.Fixed = out.Fixed || slices.ContainsFunc(h.Points, func(p premortem.Point) bool { return p.Fixed })
	}
	return out
}

func routesOf(hs []premortem.Headroom) []string {
	var out []string
	for _, h := range hs {
		for _, p := range h.Points {
			for _, r := range p.Routes {
				out = append(out, r.Route)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// sample is one route at one step.
type sample struct {
	multiple float64
	answer   premortem.Answer
	fixed    bool
	premortem.PointRoute
}

func (s sample) missed() bool { return s.Limit > 0 && s.P95 > s.Limit }

func samplesOf(h premortem.Headroom, route string) []sample {
	var out []sample
	for _, p := range h.Points {
		for _, r := range p.Routes {
			if r.Route == route && usable(p.Multiple) && usable(r.P95) {
				out = append(out, sample{p.Multiple, p.Answer, p.Fixed, r})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b sample) int { return cmp.Compare(a.multiple, b.multiple) })
	return out
}

// drawPlot returns nil when the route has no number that can be drawn.
func drawPlot(h premortem.Headroom, route string) *plot {
	samples := samplesOf(h, route)
	if len(samples) == 0 {
		return nil
	}
	var xs, ys []float64
	limit := 0.0
	for _, s := range samples {
		xs = append(xs, s.multiple)
		ys = append(ys, s.P50, s.P95)
		if usable(s.Limit) {
			limit = s.Limit
		}
	}
	first := routeOf(h.First) == plain(route)
	if first {
		xs = append(xs, h.Low, h.High, boundary(h))
	}
	x := timesScale(plotLeft, plotRight, xs...)
	lo, hi := extent(append(ys, limit)...)
	lo, hi = spread(lo/1.25, hi*1.25, 4)
	y := scale{lo, hi, plotBottom, plotTop + 4}
	p := &plot{
		Route: plain(route), X: plain(h.X), Base: base(h),
		XTicks: x.ticks(timesGrids, 36, times), YTicks: y.ticks(timeGrids, 19, seconds),
	}
	if limit > 0 {
		p.Limit = &tick{y.at(limit), seconds(limit)}
	}
	if first && usable(boundary(h)) {
		p.Band = drawBand(h, x)
	}
	p.series(samples, x, y)
	p.rows(samples, first)
	p.Alt = p.describe(samples, limit)
	return p
}

func drawBand(h premortem.Headroom, x scale) *band {
	at := x.at(boundary(h))
	b := &band{X: at, At: at, Label: "breaks at " + times(boundary(h))}
	if usable(h.Low) && usable(h.High) {
		b.X = x.at(h.Low)
		b.Width = tenth(x.at(h.High) - b.X)
	}
	b.LabelX = min(max(at, plotLeft+36), plotRight-36)
	return b
}

// series draws p50 and p95, before and with the fix: shape and dash tell them
// apart, not only colour.
func (p *plot) series(samples []sample, x, y scale) {
	for _, kind := range []struct {
		class string
		fixed bool
		value func(sample) float64
	}{
		{"p50", false, func(s sample) float64 { return s.P50 }},
		{"p95", false, func(s sample) float64 { return s.P95 }},
		{"p50 fixed", true, func(s sample) float64 { return s.P50 }},
		{"p95 fixed", true, func(s sample) float64 { return s.P95 }},
	} {
		var line []string
		for i := 0; i < len(samples); {
			j := i
			var same []float64
			for ; j < len(samples) && samples[j].multiple == samples[i].multiple; j++ {
				s := samples[j]
				if v := kind.value(s); s.fixed == kind.fixed && usable(v) {
					same = append(same, v)
					p.mark(kind.class, x.at(s.multiple), y.at(v), strings.HasPrefix(kind.class, "p95") && s.missed())
				}
			}
			if len(same) > 0 { // the line runs through the median of equal steps
				slices.Sort(same)
				line = append(line, fmt.Sprintf("%v %v", x.at(samples[i].multiple), y.at(same[len(same)/2])))
			}
			i = j
		}
		if len(line) > 1 {
			p.Lines = append(p.Lines, shape{"line " + kind.class, "M" + strings.Join(line, "L")})
		}
	}
}

// mark draws a circle, a diamond for measurements with the fix, and a cross where
// the objective was missed.
func (p *plot) mark(class string, x, y float64, missed bool) {
	r := 3.4
	if strings.HasPrefix(class, "p50") {
		r = 2.6
	}
	var path string
	switch {
	case missed:
		r = 4.2
		class += " missed"
		path = fmt.Sprintf("M%v %vL%v %vM%v %vL%v %v", tenth(x-r), tenth(y-r), tenth(x+r), tenth(y+r), tenth(x-r), tenth(y+r), tenth(x+r), tenth(y-r))
	case strings.HasSuffix(class, "fixed"):
		r *= 1.25
		path = fmt.Sprintf("M%v %vL%v %vL%v %vL%v %vZ", x, tenth(y-r), tenth(x+r), y, x, tenth(y+r), tenth(x-r), y)
	default:
		path = fmt.Sprintf("M%v %va%v %v 0 1 0 %v 0a%v %v 0 1 0 %v 0", tenth(x-r), y, r, r, tenth(2*r), r, r, tenth(-2*r))
	}
	p.Marks = append(p.Marks, shape{"mark " + class, path})
}

// rows fills the table and finds out how hard the route was pressed.
func (p *plot) rows(samples []sample, first bool) {
	for _, s := range samples {
		row := plotRow{Multiple: times(s.multiple), P95: seconds(s.P95), Answer: "met", Fixed: s.fixed}
		if usable(s.P50) {
			row.P50 = seconds(s.P50)
		}
		if usable(s.Rate) {
			row.Rate = short(s.Rate) + "/s"
		}
		if usable(s.Errors) {
			row.Errors = percent(s.Errors)
		}
		switch {
		case s.missed():
			row.Answer = "missed"
		case s.Limit <= 0 || math.IsNaN(s.Limit):
			row.Answer = "none"
		}
		if !s.fixed {
			if usable(s.Limit) {
				p.stress = max(p.stress, s.P95/s.Limit)
			}
		}
		p.Rows = append(p.Rows, row)
	}
	if first {
		p.stress = math.MaxFloat64
	}
	slices.SortStableFunc(p.Rows, func(a, b plotRow) int {
		if a.Fixed != b.Fixed && a.Fixed {
			return 1
		} else if a.Fixed != b.Fixed {
			return -1
		}
		return 0
	})
}

// describe is the plot for those who cannot see it.
func (p *plot) describe(samples []sample, limit float64) string {
	var out []string
	for _, fixed := range []bool{false, true} {
		var of []sample
		for _, s := range samples {
			if s.fixed == fixed {
				of = append(of, s)
			}
		}
		if len(of) == 0 {
			continue
		}
		a, b := of[0], of[len(of)-1]
		says := fmt.Sprintf("p95 of %s goes from %s at %s the %s to %s at %s", p.Route, seconds(a.P95), times(a.multiple), p.X, seconds(b.P95), times(b.multiple))
		if fixed {
			says = "with the fix, " + says
		}
		out = append(out, says)
	}
	if limit > 0 {
		out = append(out, "the objective is "+seconds(limit))
	}
	return upper(stop(strings.Join(out, "; ")))
}
