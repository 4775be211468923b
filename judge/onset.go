package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// onsets say which signals left what was to be expected of them, and when: the one
// that did so first is nearer to the cause. What should not grow with the load is
// compared with normal load, everything else with normal load times as much. A
// signal has left when it is beyond three times its usual spread and stays there for
// three of the next four seconds: the score of BARO (Pham and others, FSE 2024), in
// time. Without a "before" nothing is said.
func onsets(t *premortem.Trial) []premortem.Onset {
	before, during := t.Phase("before"), t.Phase("during")
	if before == nil || during == nil {
		return nil
	}
	by := 1.0
	if before.Took > 0 && during.Took > 0 && before.Load.Offered > 0 {
		by = max(1, float64(during.Load.Offered)/during.Took/(float64(before.Load.Offered)/before.Took))
	}
	var out []premortem.Onset
	for _, s := range during.Series {
		usual := seriesOf(before, s)
		if usual == nil {
			continue
		}
		expected := by
		if s.Share {
			expected = 1
		}
		if o, ok := onset(s, usual.Values, expected); ok {
			out = append(out, o)
		}
	}
	slices.SortStableFunc(out, func(a, b premortem.Onset) int {
		return cmp.Or(cmp.Compare(a.Second, b.Second), cmp.Compare(rise(b), rise(a)), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Signal, b.Signal))
	})
	return out
}

func seriesOf(p *premortem.Phase, like premortem.Series) *premortem.Series {
	for i := range p.Series {
		if s := &p.Series[i]; s.Node == like.Node && s.Signal == like.Signal {
			return s
		}
	}
	return nil
}

// rise is how many times what it was a signal became.
func rise(o premortem.Onset) float64 { return o.Was / max(o.Before, floorOf(o.Unit)) }

// floorOf is the smallest amount of a unit that is worth a word.
func floorOf(unit string) float64 {
	switch unit {
	case "s":
		return 0.005
	case "cores":
		return 0.05
	}
	return 1
}

const fewestSeconds = 4 // of normal load, from which to say what is usual

// onset finds the first second at which a signal leaves for good.
func onset(s premortem.Series, usual []float64, expected float64) (premortem.Onset, bool) {
	if len(usual) < fewestSeconds || len(s.Values) < 3 {
		return premortem.Onset{}, false
	}
	middle, spread := medianOf(usual), spreadOf(usual)
	limit := expected*middle + 3*max(expected*spread, 0.25*expected*middle, floorOf(s.Unit))
	for i, v := range s.Values {
		if v <= limit {
			continue
		}
		next := s.Values[i:min(i+4, len(s.Values))]
		beyond := 0
		for _, w := range next {
			if w > limit {
				beyond++
			}
		}
		if beyond < min(3, len(next)) || len(next) < 2 {
			continue
		}
		was := medianOf(s.Values[i:])
		return premortem.Onset{Node: s.Node, Signal: s.Signal, Unit: s.Unit, Second: float64(i), Before: middle, Was: was}, was > limit
	}
	return premortem.Onset{}, false
}

func medianOf(xs []float64) float64 { return quantileOf(xs, 0.5) }

// spreadOf is the distance between the quartiles.
func spreadOf(xs []float64) float64 { return quantileOf(xs, 0.75) - quantileOf(xs, 0.25) }

func quantileOf(xs []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(xs))
	at := q * float64(len(sorted)-1)
	i := int(math.Floor(at))
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// grew is in which order the resources and the broken route grew: "statements at work
// of store/main from second 0 (8, was 0.5), then p95 of POST /login from second 1".
// What other routes and queues of users show are symptoms; "" when no resource grew, or
// nothing came after it.
func grew(os []premortem.Onset, route string) string {
	var parts []string
	resources, after := 0, false
	first := -1.0
	for _, o := range os {
		name := o.Signal
		switch {
		case o.Node == "" && o.Signal != "p95 of "+route, o.Node.Kind() == "outside":
			continue
		case o.Node != "":
			resources++
			name += " of " + string(o.Node)
		}
		if len(parts) == 4 {
			break
		}
		then := ""
		if len(parts) > 0 && o.Second > first {
			then, after = "then ", true
		}
		first = max(first, o.Second)
		parts = append(parts, fmt.Sprintf("%s%s from second %g (%s, was %s)", then, name, o.Second, amount(o.Was, o.Unit), amount(o.Before, o.Unit)))
	}
	if resources == 0 || !after {
		return ""
	}
	return "grew first: " + strings.Join(parts, ", ")
}

// withOrder adds to the evidence of a cause in which order things grew.
func withOrder(es []premortem.Evidence, os []premortem.Onset, route string) []premortem.Evidence {
	says := grew(os, route)
	if says == "" {
		return es
	}
	first := os[slices.IndexFunc(os, func(o premortem.Onset) bool { return o.Node != "" && o.Node.Kind() != "outside" })]
	return append(slices.Clip(es), premortem.Evidence{Says: says, Measure: &premortem.Measure{
		Signal: first.Signal, Node: first.Node, Before: first.Before, During: first.Was, Unit: cmp.Or(first.Unit, "1"),
	}})
}

func amount(v float64, unit string) string {
	if unit == "s" {
		return seconds(v)
	}
	if unit == "" {
		return fmt.Sprintf("%.3g", v)
	}
	return fmt.Sprintf("%.2g %s", v, unit)
}
