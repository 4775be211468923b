package premortem

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantileIsWithinOnePercentOfTheSortedValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	var all []float64
	for range 20000 {
		d := time.Duration(math.Exp(rng.NormFloat64()*1.5+8) * 1000)
		h.Record(d)
		all = append(all, float64(d))
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1} {
		want := all[max(int(math.Ceil(q*float64(len(all)))), 1)-1]
		got := float64(h.Quantile(q))
		if math.Abs(got-want) > want*0.01+1000 {
			t.Errorf("quantile %v is %v, want %v within 1 %%", q, time.Duration(got), time.Duration(want))
		}
	}
}

func TestHistogramSurvivesJSON(t *testing.T) {
	var h, back Histogram
	for i := range 1000 {
		h.Record(time.Duration(i*i) * time.Microsecond)
	}
	h.Record(200 * time.Second)
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	for _, q := range []float64{0.5, 0.99, 1} {
		if h.Quantile(q) != back.Quantile(q) {
			t.Errorf("quantile %v: %v before, %v after JSON", q, h.Quantile(q), back.Quantile(q))
		}
	}
	if back.Count() != 1001 || back.Sum() != h.Sum() {
		t.Errorf("count %d sum %v after JSON, want 1001 and %v", back.Count(), back.Sum(), h.Sum())
	}
}

func TestSettingKeepsItsLineThroughJSONAndSilenceIsNull(t *testing.T) {
	type pair struct{ A, B Setting[int] }
	in := pair{A: At(0, "compose.yaml", 7)}
	b, _ := json.Marshal(in)
	if want := `{"A":{"value":0,"pos":{"file":"compose.yaml","line":7}},"B":null}`; string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
	var out pair
	if err := json.Unmarshal(b, &out); err != nil || out != in {
		t.Errorf("read back %+v, %v; want %+v", out, err, in)
	}
	if out.B.Set() || !out.A.Set() || out.B.Or(5) != 5 {
		t.Error("a silent setting must not count as set")
	}
}

func TestEditInsertsAppendsReplacesAndRefuses(t *testing.T) {
	text := []byte("a: 1\nb: 2")
	for _, c := range []struct {
		name string
		edit Edit
		want string
	}{
		{"replace on its line", Edit{Pos{"f", 2}, "2", "3"}, "a: 1\nb: 3"},
		{"insert before", Edit{Pos{"f", 1}, "", "z: 0"}, "z: 0\na: 1\nb: 2"},
		{"append after a line without newline", Edit{Pos{"f", 3}, "", "c: 3"}, "a: 1\nb: 2\nc: 3\n"},
	} {
		got, err := c.edit.Apply(text)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	for _, e := range []Edit{{Pos{"f", 1}, "2", "3"}, {Pos{"f", 9}, "", "x"}, {Pos{"f", 0}, "a", "b"}} {
		if got, err := e.Apply(text); err == nil {
			t.Errorf("%+v applied to give %q, want an error", e, got)
		}
	}
}

func TestZeroAnswerIsUnknownAndExitCodeIsNeverZeroByBlindness(t *testing.T) {
	if (Verdict{}).Answer != Unknown {
		t.Error("the zero answer must be Unknown")
	}
	shown := Finding{Rule: "r", Severity: Down, Standing: Shown, Certain: true}
	for _, c := range []struct {
		name string
		r    Report
		want int
	}{
		{"nothing found", Report{}, 0},
		{"a finding stands", Report{Findings: []Finding{shown}}, 1},
		{"a question stayed open", Report{Unknowns: []string{"no Chromium"}}, 3},
		{"a cleared finding does not count", Report{Findings: []Finding{{Severity: Down, Standing: Cleared, Certain: true}}}, 0},
		{"a suppressed finding does not count", Report{Findings: []Finding{{Severity: Down, Certain: true, Suppressed: "known"}}}, 0},
	} {
		if got := c.r.ExitCode(Down); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}
