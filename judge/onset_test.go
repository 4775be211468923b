package judge

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

// phases makes a trial of a "before" at 10 requests/s and a "during" at four times that.
func phases(before, during []premortem.Series) *premortem.Trial {
	return &premortem.Trial{Phases: []premortem.Phase{
		{Name: "before", Took: 20, Load: premortem.LoadStats{Offered: 200}, Series: before},
		{Name: "during", Took: 20, Load: premortem.LoadStats{Offered: 800}, Series: during},
	}}
}

func flat(v float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// from is low for so many seconds and high after them.
func from(second int, low, high float64) []float64 {
	return append(flat(low, second), flat(high, 20-second)...)
}

func TestTheOrderOfGrowthIsSaid(t *testing.T) {
	store := premortem.Node("store/main")
	usual := []premortem.Series{
		{Node: store, Signal: "statements at work", Values: flat(1, 20)},
		{Signal: "p95 of POST /login", Unit: "s", Share: true, Values: flat(0.03, 20)},
		{Node: "service/api", Signal: "processor time", Unit: "cores", Values: flat(0.1, 20)},
		{Node: "service/api", Signal: "event-loop delay", Unit: "s", Share: true, Values: flat(0.011, 20)},
	}
	now := []premortem.Series{
		{Signal: "p95 of POST /login", Unit: "s", Share: true, Values: from(5, 0.035, 2)},
		{Node: "service/api", Signal: "processor time", Unit: "cores", Values: flat(0.4, 20)}, // as much as the load
		{Node: store, Signal: "statements at work", Values: from(2, 4, 20)},
		{Node: "service/api", Signal: "event-loop delay", Unit: "s", Share: true, Values: append(flat(0.011, 10), append([]float64{0.3}, flat(0.011, 9)...)...)},
	}
	got := onsets(phases(usual, now))
	if len(got) != 2 || got[0].Node != store || got[0].Second != 2 || got[1].Second != 5 {
		t.Fatalf("%+v", got)
	}
	says := grew(got, "POST /login")
	if !strings.Contains(says, "statements at work of store/main from second 2 (20, was 1)") || !strings.Contains(says, "then p95 of POST /login from second 5") {
		t.Error(says)
	}
	if got := onsets(phases(nil, now)); got != nil {
		t.Errorf("without a usual it says %+v", got)
	}
	if got := grew(got[:1], "POST /login"); got != "" {
		t.Errorf("one signal has no order: %s", got)
	}
	if got := grew(got[1:], "POST /login"); got != "" {
		t.Errorf("a symptom alone says: %s", got)
	}
	if got := grew(got, "GET /other"); got != "" {
		t.Errorf("nothing came after the resource, and it says: %s", got)
	}
}

func TestNothingGrowsBetweenTwoRunsOfOneLoad(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	wrong := 0
	for range 300 {
		draw := func() []float64 {
			out := make([]float64, 20)
			for i := range out {
				out[i] = 4 + 1.5*rng.NormFloat64()
			}
			return out
		}
		t := phases([]premortem.Series{{Signal: "connections", Values: draw()}}, []premortem.Series{{Signal: "connections", Values: draw()}})
		t.Phases[1].Load = t.Phases[0].Load
		wrong += len(onsets(t))
	}
	if wrong > 3 {
		t.Errorf("in %d of 300 pairs of equal runs something grew", wrong)
	}
}
