package drive

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

func all(a *arrivals) (out []time.Duration) {
	for a.next.at != never {
		out = append(out, a.pop().at)
	}
	return out
}

func TestEvenArrivalsAreExactAndEquallyFar(t *testing.T) {
	at := all(newEven(1000, 1000, 10*time.Second))
	if len(at) != 10_000 {
		t.Fatalf("%d arrivals at 1000/s in 10 s", len(at))
	}
	for i, v := range at {
		if d := v - time.Duration(i)*time.Millisecond; d < -time.Microsecond || d > time.Microsecond {
			t.Fatalf("arrival %d at %v", i, v)
		}
	}
}

func TestARampHasTheAreaUnderItsLine(t *testing.T) {
	for name, a := range map[string]*arrivals{
		"drawn up":   newRamp(3, 100, 2100, 2100, 20*time.Second),
		"drawn down": newRamp(3, 2100, 100, 2100, 20*time.Second),
		"even up":    newEven(100, 2100, 20*time.Second),
		"even down":  newEven(2100, 100, 20*time.Second),
	} {
		at := all(a)
		if !slices.IsSorted(at) {
			t.Errorf("%s: not in order", name)
		}
		if n := float64(len(at)); math.Abs(n-22_000) > 600 {
			t.Errorf("%s: %v arrivals, the area is 22000", name, n)
		}
		half, _ := slices.BinarySearch(at, 10*time.Second)
		want := 6000.0 // the area under the lower half
		if strings.HasSuffix(name, "down") {
			want = 16_000
		}
		if math.Abs(float64(half)-want) > 400 {
			t.Errorf("%s: %d arrivals in the first half, want about %v", name, half, want)
		}
	}
}

func TestRecordedArrivalsAreRepeatedAsTheyWere(t *testing.T) {
	want := []time.Duration{0, time.Millisecond, time.Millisecond, time.Second, 3 * time.Second}
	if got := all(newRecorded(want, 2*time.Second)); !slices.Equal(got, want[:4]) {
		t.Errorf("repeated %v", got)
	}
	w := one("/")
	for name, l := range map[string]Load{
		"not in order": {At: []time.Duration{2, 1}, For: time.Second},
		"and a rate":   {At: []time.Duration{1}, Calls: 1, For: time.Second},
		"a rise alone": {From: 3, Loop: 1, For: time.Second},
	} {
		p, err := compile(Workload{Journeys: w.Journeys, URLs: local("http://127.0.0.1:1")}, w.Journeys)
		if err != nil {
			t.Fatal(err)
		}
		if l.check(p) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestLittlesLawHoldsInEverySecondAndALostRequestBreaksIt(t *testing.T) {
	l := little{}
	l.enter(1e9/2, 0) // open over the end of the second
	l.enter(6e8, 1)
	l.leave(6e8, 8e8, 2)
	inside, miss := l.close(1e9, 1)
	if math.Abs(inside-0.7) > 1e-9 || miss > 1e-12 {
		t.Errorf("0.5 s and 0.2 s inside: %v open, sides differ by %v", inside, miss)
	}
	l.leave(1e9/2, 15e8, 1)
	if inside, miss = l.close(2e9, 0); math.Abs(inside-0.5) > 1e-9 || miss > 1e-12 {
		t.Errorf("0.5 s of the second: %v open, sides differ by %v", inside, miss)
	}
	l.enter(21e8, 0)
	if _, miss = l.close(3e9, 0); miss < 0.5 {
		t.Errorf("a request that nobody ended goes unnoticed: %v", miss)
	}
}

func TestAWindowCountsARequestWhereItWasDue(t *testing.T) {
	tl := newTally(1, Load{Warm: time.Second, Within: 300 * time.Millisecond})
	ask := func(due, took time.Duration, kind string) {
		tl.begin(due, due)
		tl.end(0, due, due, moments{sent: due, done: due + took}, kind)
	}
	ask(1900*time.Millisecond, 250*time.Millisecond, "") // answered in the next second
	ask(1900*time.Millisecond, 400*time.Millisecond, "") // too late
	ask(2100*time.Millisecond, time.Millisecond, "500")
	tl.begin(2200*time.Millisecond, 2200*time.Millisecond) // never answered
	want := []premortem.Window{{Good: 1, Bad: 1}, {Bad: 2}}
	if got := windows([]*tally{tl}, 2); !slices.Equal(got, want) {
		t.Errorf("windows %v, want %v", got, want)
	}
	ask((keepSeconds+1)*time.Second, 0, "")
	if got := windows([]*tally{tl}, keepSeconds+1); len(got) != keepSeconds || got[0] != (premortem.Window{Bad: 2}) || got[keepSeconds-1].Good != 1 {
		t.Errorf("after an hour: %d windows, first %v", len(got), got[0])
	}
}
