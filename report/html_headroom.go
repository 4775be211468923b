package report

import (
	"fmt"

	"github.com/premortem/premortem"
)

// barWidth is the width of a bar's view; it is 26 high.
const barWidth = 320.0

// headroomTable is the table of X with one bar each, on one axis.
type headroomTable struct {
	Ticks []tick
	Rows  []headroomRow
	Fixed bool // some row has a mark for the proved fix
}

type headroomRow struct {
	X, Base, Holds, Breaks, Fixed, First, Answer, Alt string
	ID                                                string // anchor of the cause
	Bar                                               headroomBar
}

// headroomBar is what holds, where the boundary lies, and where it lies with the
// fix. Coordinates below 0 are not drawn.
type headroomBar struct {
	Start, HoldsTo   float64
	Open             bool    // it held as far as was tried
	LowAt, LowWidth  float64 // the interval of the boundary
	At               float64 // the boundary
	FixedAt          float64 // the boundary with the proved fix
	FixedOpen        bool    // with the fix it held as far as was tried
	FixedFrom, Arrow float64
}

func newHeadroomTable(s *story) *headroomTable {
	if len(s.Headroom) == 0 {
		return nil
	}
	var values []float64
	for _, h := range s.Headroom {
		fixed, _ := fixedBoundary(s, h)
		values = append(values, h.Holds, h.Low, h.High, boundary(h), fixed)
	}
	x := timesScale(10, barWidth-14, values...)
	t := &headroomTable{Ticks: x.ticks(timesGrids, 40, times)}
	for _, h := range s.Headroom {
		row := headroomRow{
			X: plain(h.X), Base: base(h), Holds: holds(h), Breaks: breaks(h), First: tie(s.firstToBreak(h)), Fixed: s.withFix(h), Answer: h.Answer.String(),
			Bar: drawBar(s, h, x),
		}
		if f := s.Finding(h.Finding); f != nil && h.Finding != "" {
			row.ID = anchor(f)
		}
		row.Alt = fmt.Sprintf("%s: holds %s, breaks %s", row.X, row.Holds, row.Breaks)
		if row.Bar.FixedAt >= 0 {
			t.Fixed = true
			fixed, open := fixedBoundary(s, h)
			word := "breaks at "
			if open {
				word = "holds up to "
			}
			row.Alt += ", with the proved fix " + word + times(fixed)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// fixedBoundary is where the X breaks with the proved fix of its cause; open when
// it held as far as was tried. 0 when nothing was proved for this X.
func fixedBoundary(s *story, h premortem.Headroom) (at float64, open bool) {
	if f := s.Finding(h.Finding); f != nil && h.Finding != "" {
		if p := f.Fix.Proof; p != nil && p.Worked && p.X == h.X {
			if p.BreaksAfter > 0 {
				return p.BreaksAfter, false
			}
			if p.HoldsAfter > 0 {
				return p.HoldsAfter, true
			}
		}
	}
	// Without a proof of its own, the steps that were taken with the fix tell.
	held, failed := 0.0, 0.0
	for _, p := range h.Points {
		switch {
		case !p.Fixed || !usable(p.Multiple):
		case p.Answer == premortem.Holds:
			held = max(held, p.Multiple)
		case p.Answer == premortem.Fails && (failed == 0 || p.Multiple < failed):
			failed = p.Multiple
		}
	}
	if failed > 0 {
		return failed, false
	}
	return held, held > 0
}

func drawBar(s *story, h premortem.Headroom, x scale) headroomBar {
	b := headroomBar{Start: x.from, HoldsTo: -1, At: -1, LowAt: -1, FixedAt: -1, Arrow: -1}
	if usable(h.Holds) {
		b.HoldsTo = x.at(h.Holds)
		b.Open = h.Answer != premortem.Fails
	}
	if b.Open {
		b.Arrow = b.HoldsTo
	}
	if at := boundary(h); usable(at) {
		b.At = x.at(at)
		switch {
		case usable(h.Low) && usable(h.High) && h.High > h.Low:
			b.LowAt = x.at(h.Low)
			b.LowWidth = tenth(x.at(h.High) - b.LowAt)
		case !usable(h.Low) && b.At > b.Start: // nothing below is known to hold
			b.LowAt, b.LowWidth = b.Start, tenth(b.At-b.Start)
		}
		if fixed, open := fixedBoundary(s, h); usable(fixed) && x.at(fixed) > b.At {
			b.FixedAt, b.FixedOpen, b.FixedFrom = x.at(fixed), open, b.At
		}
	}
	return b
}
