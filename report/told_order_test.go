package report

import (
	"slices"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

func TestTheCauseOfWhatBreaksFirstIsToldBeforeItsEquals(t *testing.T) {
	f := func(rule, because string, sev premortem.Severity) premortem.Finding {
		return premortem.Finding{Rule: rule, Says: rule + " says", Because: because, Severity: sev, Certain: true, Standing: premortem.Shown,
			Evidence: []premortem.Evidence{{Says: "seen"}}}
	}
	h := func(x, finding string, estimate float64) premortem.Headroom {
		return premortem.Headroom{X: x, Answer: premortem.Fails, Holds: 1, Breaks: 9, Estimate: estimate, First: "GET /" + x, Finding: finding}
	}
	r := &premortem.Report{
		Findings: []premortem.Finding{f("a", "", premortem.Down), f("b", "", premortem.Down), f("pool", "scan", premortem.Down), f("scan", "", premortem.Down), f("w", "", premortem.Loss), f("z", "", premortem.Slow)},
		Headroom: []premortem.Headroom{h("calls", "b", 3), h("rows", "pool", 1.5), h("users", "z", 1.1)},
	}
	for range 2 {
		for _, format := range []string{"text", "html", "markdown", "github"} {
			out := render(t, format, r, Options{})
			if i := strings.Index(out, "Findings"); i > 0 && format != "github" {
				out = out[i:] // the answer above names the cause as well
			}
			var at []int
			for _, rule := range []string{"w", "scan", "b", "a", "z"} {
				at = append(at, strings.Index(out, rule+" says"))
			}
			if at[0] < 0 || !slices.IsSorted(at) {
				t.Errorf("%s: worst, then what breaks first, then the rest stand at %v", format, at)
			}
		}
		slices.Reverse(r.Findings)
		slices.Reverse(r.Headroom)
	}
}

func TestANumberThatTheSentenceCarriesIsNotSaidAgain(t *testing.T) {
	m := func(before, during float64, unit string) *premortem.Measure {
		return &premortem.Measure{Signal: "x", Before: before, During: during, Unit: unit}
	}
	for _, c := range []struct {
		says    string
		measure *premortem.Measure
		want    string // after the sentence
	}{
		{"this statement is 88 % of POST /api/login", m(0.884, 0.884, "share"), ""},
		{"with the index a cost of 8.4 instead of 17,000", m(17282.1, 8.44, "cost"), ""},
		{"one call takes 91 ms alone, 410 ms at 74 requests/s", m(0.0912, 0.414, "s"), ""},
		{"api used 0.2 cores at 4× users, 0.12 at normal load", m(0.115, 0.195, "cores"), ""},
		{"it reads 250,000 rows and keeps 1", m(0, 250176, "rows"), ""},
		{"it grew to 630 MB", m(0, 629145600, "bytes"), ""},
		{"p95 of POST /login", m(0.031, 2.1, "s"), ": 31 ms → 2.1 s"},
		{"95 % of it, p95 of POST /v2/login", m(0, 2, "s"), ": 2 s"},
		{"1 of 3 processes", m(0, 14, "connections"), ": 14 connections"},
		{"it takes 12 s of them", m(0, 0.012, "s"), ": 12 ms"},
		{"none failed: 0 %", m(0, 0, "share"), ""},
	} {
		if got := measured(premortem.Evidence{Says: c.says, Measure: c.measure}); got != c.says+c.want {
			t.Errorf("got  %s\nwant %s", got, c.says+c.want)
		}
	}
	e := premortem.Evidence{Says: "p95 of POST /login 2.1 s against 300 ms", Pos: pos("premortem.yaml", 22), Measure: m(0.03, 2.1, "s")}
	if got, want := measured(e), "p95 of POST /login 2.1 s against 300 ms (premortem.yaml:22)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	out := render(t, "text", &premortem.Report{Findings: []premortem.Finding{{Rule: "r", Says: "s", Evidence: []premortem.Evidence{e}}}}, Options{})
	if strings.Count(out, "premortem.yaml:22") != 1 {
		t.Errorf("the objective is said twice:\n%s", out)
	}
}

func TestADoubtOfSeveralTrialsIsSaidOnce(t *testing.T) {
	v := func(name string, a premortem.Answer, doubts ...string) premortem.Verdict {
		return premortem.Verdict{Experiment: premortem.Experiment{Name: name}, Answer: a, Says: "x", Doubts: doubts}
	}
	r := &premortem.Report{
		Verdicts: []premortem.Verdict{
			v("calls-x1", premortem.Holds, "too few: 71 show errors ≤ 3.7 %, and 2,703 would be needed"),
			v("calls-x2", premortem.Holds, "too few: 63 show errors ≤ 4.1 %, and 2,703 would be needed", "GET /v1/a was not called"),
			v("calls-x4", premortem.Fails, "too few: 60 show errors ≤ 4.3 %, and 2,703 would be needed", "GET /v2/a was not called"),
			v("calls-x8", premortem.Unknown, "too few: 10 show errors ≤ 40 %, and 2,703 would be needed"),
		},
		Doubts: []string{"no probe saw the disk"},
	}
	var got []string
	for _, q := range tell(r).doubts() {
		got = append(got, q.text())
	}
	want := []string{
		"calls-x1 and 2 more trials: too few: 71 show errors ≤ 3.7 %, and 2,703 would be needed",
		"calls-x2: GET /v1/a was not called", "calls-x4: GET /v2/a was not called", "no probe saw the disk",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAProofIsOneReadableLine(t *testing.T) {
	for _, c := range []struct {
		p    premortem.Proof
		want string
	}{
		{premortem.Proof{Says: "p95 930 ms → 41 ms at the same load", X: "calls", HoldsAfter: 4, Next: "calls then hold to 4×, as far as the time allowed"},
			"p95 930 ms → 41 ms at the same load; calls then hold to 4×, as far as the time allowed"},
		{premortem.Proof{Says: "p95 930 ms → 41 ms at the same load", X: "calls", BreaksAfter: 9.4, Next: "calls then break at 9.4×: GET /api/orders: p95 620 ms against 500 ms"},
			"p95 930 ms → 41 ms at the same load; calls then break at 9.4×: GET /api/orders: p95 620 ms against 500 ms"},
		{premortem.Proof{Signal: "request_seconds_p95", Unit: "s", Before: 0.93, After: 0.041, X: "calls", HoldsAfter: 4, Next: "the pool of 5"},
			"p95 930 ms → 41 ms at the same load; calls then hold up to 4×, as far as was tried. Next limit: the pool of 5"},
		{premortem.Proof{Signal: "request_seconds_p95", Unit: "s", Before: 0.93, After: 0.041, X: "calls", HoldsAfter: 4},
			"p95 930 ms → 41 ms at the same load; calls then hold up to 4×, as far as was tried"},
	} {
		if got := proofSays(&c.p); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestAnUndecidedStepIsAskedOnceAndOnlyWhereItLeavesAQuestion(t *testing.T) {
	reason := "3 of 60 requests of POST /api/login took longer than 700 ms: between 2 % and 12 % do, 5 % may"
	v := premortem.Verdict{Experiment: premortem.Experiment{Name: "users-x4", X: "users", Asks: "does every objective hold at 4× the users?"},
		Says: "4× users is too close to call: " + reason, Doubts: []string{reason}}
	row := premortem.Headroom{X: "users", Holds: 2, Says: "holds at 2×; 4× is too close to call: " + reason}
	r := &premortem.Report{Verdicts: []premortem.Verdict{v}, Headroom: []premortem.Headroom{row}, Unknowns: []string{"users: " + row.Says}}
	flat := func(r *premortem.Report) string {
		return strings.Join(strings.Fields(render(t, "text", r, Options{Width: 100})), " ")
	}
	if out := flat(r); strings.Count(out, "3 of 60 requests") != 1 || !strings.Contains(out, "users 2× unknown 4× is too close to call") {
		t.Errorf("the reason is said more than once, or the row says nothing:\n%s", out)
	}
	row.Answer, row.Breaks, row.Low, row.High, row.Estimate = premortem.Fails, 8, 2, 8, 4
	r.Headroom, r.Unknowns = []premortem.Headroom{row}, nil
	if out := flat(r); strings.Contains(out, "UNKNOWN") || strings.Contains(out, "1 unknown") {
		t.Errorf("a step between two answers is called a question:\n%s", out)
	}
	row.Holds, row.Low = 0, 0
	r.Headroom = []premortem.Headroom{row}
	if out := flat(r); strings.Count(out, "UNKNOWN") != 1 || !strings.Contains(out, "users unknown 4×") {
		t.Errorf("whether anything holds is open, and not asked:\n%s", out)
	}
}
