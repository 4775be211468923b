package judge

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

type verdictCase struct {
	name   string
	trial  *premortem.Trial
	want   premortem.Answer
	doubts string // part of one of them, or of Says
}

func verdictCases() []verdictCase {
	few := func(n uint64, seconds float64) *premortem.Trial {
		w := shop("calls", 2)
		*w.during().Route("POST /api/login") = w.route("POST /api/login", n, seconds, 0.1)
		return w.trial
	}
	late := func(t *premortem.Trial, seconds float64) *premortem.Trial {
		t.Phase("during").Load.LagP99 = seconds
		return t
	}
	change := func(t *premortem.Trial, f func(p *premortem.Phase)) *premortem.Trial {
		f(t.Phase("during"))
		return t
	}
	healthy := func() *premortem.Trial { return shop("calls", 2).trial }
	return []verdictCase{
		{"no trial", nil, premortem.Unknown, "nothing was measured"},
		{"an empty trial", &premortem.Trial{}, premortem.Unknown, "no phase"},
		{"a phase without routes", &premortem.Trial{Phases: []premortem.Phase{{Name: "during"}}}, premortem.Unknown, "no route"},
		{"everything is fast", healthy(), premortem.Holds, "every objective"},
		{"login is slow", slowLogin().trial, premortem.Fails, "p95 2.1 s against 300 ms"},
		{"49 requests of one route, all fast", few(49, 0.01), premortem.Unknown, "was called 49 times"},
		{"12 requests of one route, all far too late", few(12, 2), premortem.Fails, "POST /api/login"},
		{"9 requests of one route, all far too late", few(9, 2), premortem.Unknown, "was called 9 times"},
		{"requests left 40 ms late, but it held", late(healthy(), 0.04), premortem.Unknown, "the instrument was saturated"},
		{"requests left 2 ms late, below 5 % of the objective", late(healthy(), 0.002), premortem.Holds, ""},
		{"requests left 40 ms late and the rest of the time broke it anyway", late(slowLogin().trial, 0.04), premortem.Fails, "requests left up to 40 ms late"},
		{"requests left late and only that broke it", change(late(slowLogin().trial, 0.9), func(p *premortem.Phase) {
			p.Route("POST /api/login").Service = shop("calls", 1).hist(500, 0.02, 0.1)
		}), premortem.Unknown, "the instrument was saturated"},
		{"premortem used up its cores", change(slowLogin().trial, func(p *premortem.Phase) { p.Load.OwnCPU = 1.2 }), premortem.Unknown, "premortem itself used 1.2 cores"},
		{"a tenth of the requests never left", change(slowLogin().trial, func(p *premortem.Phase) {
			p.Load.Dropped, p.Load.Sent = 200, 1800
		}), premortem.Unknown, "200 of 2,000 requests were due and never sent"},
		{"half of the schedule was offered", change(healthy(), func(p *premortem.Phase) {
			p.Load.Offered, p.Load.Sent, p.Load.Done = 1000, 1000, 1000
		}), premortem.Unknown, "1,000 requests were offered where the schedule asks for 2,000"},
		{"a random schedule offered a little less", change(healthy(), func(p *premortem.Phase) {
			p.Load.Offered, p.Load.Sent, p.Load.Done = 1920, 1920, 1920
		}), premortem.Holds, ""},
		{"stopped early because it was hopeless", change(slowLogin().trial, func(p *premortem.Phase) {
			p.Load.Stopped, p.Load.Offered, p.Load.Sent, p.Load.Done = true, 700, 700, 500
		}), premortem.Fails, "2.1 s"},
		{"the generator cannot count", change(healthy(), func(p *premortem.Phase) { p.Load.Sent = 10 }), premortem.Unknown, "disagree"},
		{"a tenth of the requests was still open at the end", change(healthy(), func(p *premortem.Phase) { p.Load.Abandoned = 200 }), premortem.Unknown, "still open"},
		{"the host took the machine away", change(healthy(), func(p *premortem.Phase) { p.Machine.Steal = 0.4 }), premortem.Unknown, "the host took 40 %"},
	}
}

func TestVerdictIsUnknownUnlessTheRecordCarriesTheAnswer(t *testing.T) {
	for _, c := range verdictCases() {
		v, _ := Judge(c.trial)
		if v.Answer != c.want || !strings.Contains(v.Says+"\n"+strings.Join(v.Doubts, "\n"), c.doubts) {
			t.Errorf("%s: %s, %q, doubts %q; want %s and %q", c.name, v.Answer, v.Says, v.Doubts, c.want, c.doubts)
		}
		if v.Answer == premortem.Unknown && len(v.Doubts) == 0 {
			t.Errorf("%s: unknown without a doubt", c.name)
		}
		if (v.Answer == premortem.Fails) != (len(v.Broken) > 0) || (v.Answer == premortem.Fails) != (v.First != "") {
			t.Errorf("%s: %s, but broken %v and first %q", c.name, v.Answer, v.Broken, v.First)
		}
	}
}

func TestUndeclaredObjectivesAreAssumedAndSaid(t *testing.T) {
	w := shop("calls", 2)
	w.trial.Objectives = nil
	if v, _ := Judge(w.trial); v.Answer != premortem.Holds || !strings.Contains(v.Says, "no objective is declared, so p95 ≤ 1 s and errors ≤ 1 %") {
		t.Errorf("%s: %q", v.Answer, v.Says)
	}
	w.slow("GET /api/orders", 1.2, 0.1)
	v, _ := Judge(w.trial)
	if v.Answer != premortem.Fails || v.First != "GET /api/orders" || v.Broken[0].Limit != 1 || v.Broken[0].Pos.Known() {
		t.Errorf("%s, first %q, broken %+v", v.Answer, v.First, v.Broken)
	}
}

func TestFastFailuresDoNotPassForHealth(t *testing.T) {
	w := shop("calls", 2)
	w.trial.Objectives = []premortem.Objective{{Route: "*", P95: premortem.At(0.3, "premortem.yaml", 3)}}
	w.during().Route("GET /api/orders").Errors = 400
	if v, _ := Judge(w.trial); v.Answer != premortem.Fails || v.Broken[0].What != "errors" || v.Broken[0].Limit != 0.05 {
		t.Errorf("%s, broken %+v; a p95 objective asks that 95 %% of requests succeed in time", v.Answer, v.Broken)
	}
}

func TestARoutesOwnObjectiveComesBeforeTheStar(t *testing.T) {
	w := shop("calls", 2)
	w.trial.Objectives = []premortem.Objective{
		{Route: "*", P95: premortem.At(0.2, "premortem.yaml", 3), Errors: premortem.At(0.02, "premortem.yaml", 3)},
		{Route: "GET /api/orders", P95: premortem.At(3.0, "premortem.yaml", 4)},
	}
	w.slow("GET /api/orders", 1, 0.1)
	if v, _ := Judge(w.trial); v.Answer != premortem.Holds {
		t.Errorf("%s: %q; its own objective allows 3 s", v.Answer, v.Says)
	}
	if gs := goalsOf(w.trial, "GET /api/orders"); len(gs) != 2 || gs[1].limit != 0.02 {
		t.Errorf("goals %+v; the part it does not declare comes from the star", gs)
	}
}

func TestNormalLoadThatBreaksIsSaid(t *testing.T) {
	w := slowLogin()
	*w.before().Route("POST /api/login") = w.route("POST /api/login", 250, 0.9, 0.1)
	if v, _ := Judge(w.trial); v.Answer != premortem.Fails || !strings.HasPrefix(v.Says, "normal load already breaks POST /api/login") {
		t.Errorf("%s: %q", v.Answer, v.Says)
	}
	w = shop("calls", 2)
	*w.before().Route("POST /api/login") = w.route("POST /api/login", 250, 0.9, 0.1)
	if v, _ := Judge(w.trial); v.Answer != premortem.Unknown || !strings.Contains(v.Says, "contradict") {
		t.Errorf("normal load breaks and twice as much holds: %s: %q", v.Answer, v.Says)
	}
}

func TestAnObjectiveWhoseRouteWasNotCalledIsDoubted(t *testing.T) {
	w := shop("calls", 2)
	w.trial.Objectives = append(w.trial.Objectives, premortem.Objective{Route: "POST /api/refund", P95: premortem.At(0.3, "premortem.yaml", 30)})
	v, _ := Judge(w.trial)
	if v.Answer != premortem.Holds || !strings.Contains(strings.Join(v.Doubts, "\n"), "POST /api/refund has an objective and was not called") {
		t.Errorf("%s, doubts %q", v.Answer, v.Doubts)
	}
}

func TestASaturatedInstrumentBlamesNobody(t *testing.T) {
	w := slowLogin()
	w.during().Load.OwnCPU = 1.5
	v, found := Judge(w.trial)
	for _, f := range found {
		if f.Severity >= premortem.Down || f.Rule == "cpu-saturated" || f.Rule == "pool-exhausted" {
			t.Errorf("%s reports %s %s although the load was not offered", f.Rule, f.Severity, f.Key())
		}
	}
	if v.Answer != premortem.Unknown {
		t.Errorf("%s: %q", v.Answer, v.Says)
	}
}

// Every number that is shown must come from a named trial or a line.
func TestEveryFindingHasEvidenceFromALineOrANamedTrial(t *testing.T) {
	for sign, trials := range scenarios {
		for name, build := range trials {
			trial := build()
			_, found := Judge(trial)
			for _, f := range found {
				if len(f.Evidence) == 0 || f.Says == "" || f.Fix.Says == "" || f.Standing != premortem.Shown || !f.Certain {
					t.Errorf("%s/%s: incomplete finding %+v", sign, name, f)
				}
				for _, e := range f.Evidence {
					if e.Says == "" || (!e.Pos.Known() && e.Measure == nil) || (e.Measure != nil && e.Measure.Trial != trial.Experiment.Name) {
						t.Errorf("%s/%s: %s has evidence without a source: %+v", sign, name, f.Key(), e)
					}
				}
			}
		}
	}
}

func TestVerdictAndFindingsDoNotDependOnTheOrderOfLists(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for sign, trials := range scenarios {
		for name, build := range trials {
			trial := build()
			want := judged(t, trial)
			for range 4 {
				if got := judged(t, shuffled(t, rng, trial)); got != want {
					i := 0
					for i < min(len(got), len(want)) && got[i] == want[i] {
						i++
					}
					t.Errorf("%s/%s: the answer changes when lists are shuffled, from\n…%s\nto\n…%s", sign, name, excerpt(want, i), excerpt(got, i))
					break
				}
			}
		}
	}
}

func judged(t *testing.T, trial *premortem.Trial) string {
	t.Helper()
	v, found := Judge(trial)
	v.Experiment = premortem.Experiment{}
	text, err := json.Marshal(struct {
		V premortem.Verdict
		F []premortem.Finding
	}{v, found})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// excerpt is the text around i.
func excerpt(s string, i int) string { return s[max(0, i-120):min(len(s), i+120)] }

// shuffled is a copy of a trial with every list whose order means nothing shuffled.
func shuffled(t *testing.T, rng *rand.Rand, in *premortem.Trial) *premortem.Trial {
	t.Helper()
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out premortem.Trial
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	shuffle(rng, out.Phases)
	shuffle(rng, out.Traces)
	shuffle(rng, out.Plans)
	shuffle(rng, out.Tables)
	shuffle(rng, out.Pools)
	shuffle(rng, out.Objectives)
	for i := range out.Phases {
		p := &out.Phases[i]
		shuffle(rng, p.Routes)
		shuffle(rng, p.Calls)
		shuffle(rng, p.Units)
		shuffle(rng, p.Logs)
		shuffle(rng, p.Database.Statements)
	}
	for i := range out.Plans {
		shuffle(rng, out.Plans[i].Scans)
		shuffle(rng, out.Plans[i].Sites)
	}
	return &out
}

func shuffle[T any](rng *rand.Rand, all []T) {
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
}

func TestJudgeDoesNotChangeTheTrial(t *testing.T) {
	w := slowLogin()
	before, _ := json.Marshal(w.trial)
	Judge(w.trial)
	if after, _ := json.Marshal(w.trial); string(before) != string(after) {
		t.Error("the trial changed while it was judged")
	}
}

func TestWilsonGivesThePublishedIntervals(t *testing.T) {
	for _, c := range []struct {
		k, n      uint64
		low, high float64
	}{
		{12, 1000, 0.0069, 0.0209},      // 988 of 1,000 good: 97.91 % to 99.31 %
		{120, 10_000, 0.01004, 0.01434}, // 9,880 of 10,000 good: 98.57 % to 98.996 %
		{0, 0, 0, 1},
	} {
		low, high := wilson(c.k, c.n, 1.96)
		if diff(low, c.low) > 0.0001 || diff(high, c.high) > 0.0001 {
			t.Errorf("%d of %d: %.5f to %.5f, want %.5f to %.5f", c.k, c.n, low, high, c.low, c.high)
		}
	}
}

func diff(a, b float64) float64 { return max(a-b, b-a) }

// A system whose share of late requests is what the objective allows is called
// neither healthy nor broken more often than the one-sided 5 % of each decision.
func TestDecisionsAreWrongAsRarelyAsTheyPromise(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	g := goal{"r", "p95", 0.3, 0.05, premortem.Pos{}}
	for _, n := range []int{60, 200, 1000, 5000} {
		holds, fails := 0, 0
		const runs = 2000
		for range runs {
			bad := uint64(0)
			for range n {
				if rng.Float64() < 0.05 {
					bad++
				}
			}
			switch a, _ := g.decide(uint64(n), bad); a {
			case premortem.Holds:
				holds++
			case premortem.Fails:
				fails++
			}
		}
		if holds > runs*8/100 || fails > runs*8/100 {
			t.Errorf("n = %d at the limit: %d of %d called healthy, %d broken; want about 5 %% of each at most", n, holds, runs, fails)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	w := slowLogin()
	w.trial.Experiment.Hold = time.Second
	b.ReportAllocs()
	for b.Loop() {
		Judge(w.trial)
	}
}
