package judge

import (
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

// rowAtTheStart is the story with a look-up that was explained for one of the first
// users: LIMIT ended the scan after 15 rows. The next user stands elsewhere.
func rowAtTheStart() *premortem.Trial {
	w := slowLogin()
	op := loginSQL // it has the LIMIT
	w.trial.Plans[0].Op = op
	w.trial.Plans[0].Scans[0].Removed = 14
	return w.trial
}

// recorded are the trials of one rehearsal of the shop, in the order in which they
// were made.
func recorded(t *testing.T) []*premortem.Trial {
	t.Helper()
	var out []*premortem.Trial
	for _, name := range []string{"recorded-shop-calls-x1", "recorded-shop-calls-x4", "recorded-shop-users-x8", "recorded-shop-rows-x2", "near-miss-recorded-shop-calls-x4-fixed"} {
		out = append(out, readTrial(t, filepath.Join("testdata", "table-scan", name+".json")))
	}
	return out
}

// rehearsed is what a report is made of, from trials alone.
type rehearsed struct {
	Headroom []premortem.Headroom
	Findings []premortem.Finding
}

func rehearse(static []premortem.Finding, trials []*premortem.Trial) rehearsed {
	var out rehearsed
	var shown []premortem.Finding
	points, verdicts := map[string][]premortem.Point{}, map[string]map[float64]premortem.Verdict{}
	var broken, fixed *premortem.Trial
	for _, trial := range trials {
		v, found := Judge(trial)
		x := trial.Experiment.X
		if trial.Experiment.Tried != "" {
			fixed = trial
			continue
		}
		if x == "calls" && v.Answer == premortem.Fails {
			broken = trial
		}
		shown = append(shown, found...)
		if verdicts[x] == nil {
			verdicts[x] = map[float64]premortem.Verdict{}
		}
		points[x] = append(points[x], PointOf(trial, v))
		verdicts[x][trial.Experiment.Scale.Of(x)] = v
	}
	shown = Merge(shown)
	for i := range shown {
		if f := &shown[i]; f.Rule == "table-scan" {
			p := Compare(broken, fixed, *f)
			f.Fix.Proof = &p
		}
	}
	keys := Keys(static, shown)
	for _, x := range []string{"calls", "rows", "users"} {
		h := Headroom(x, x, 0, points[x], verdicts[x])
		if to, ok := keys[h.Finding]; ok {
			h.Finding = to
		}
		out.Headroom = append(out.Headroom, h)
	}
	out.Findings = Confirm(static, trials, shown)
	return out
}

func TestARecordedRehearsalNamesOneCauseForEveryX(t *testing.T) {
	static := suspicion()
	static.Fix.Edits[0].New = "-- CREATE INDEX CONCURRENTLY IF NOT EXISTS users_lower_email ON users (lower(email));\nCREATE INDEX IF NOT EXISTS users_lower_email ON users (lower(email));"
	got := rehearse([]premortem.Finding{static}, recorded(t))
	for _, h := range got.Headroom {
		if h.Answer != premortem.Fails || h.First != "POST /api/login" || h.Finding != static.Key() {
			t.Errorf("%s: %s, first %q because of %q; want login because of %q", h.X, h.Answer, h.First, h.Finding, static.Key())
		}
	}
	f := only1(t, got.Findings, "query-without-index")
	if f.Says != "POST /api/login reads the whole users table (500,000 rows) for one of them" || f.Standing != premortem.Shown || f.Severity != premortem.Down {
		t.Errorf("%s, %s: %s", f.Standing, f.Severity, f.Says)
	}
	if p := f.Fix.Proof; p == nil || !p.Worked || p.Before < 0.9 || p.After > 0.05 {
		t.Errorf("proof %+v", p)
	}
	measures := 0
	for _, e := range f.Evidence {
		if e.Measure != nil {
			measures++
			if e.Measure.Trial != "calls-x4" {
				t.Errorf("%q is from %s, and the fix was proved at calls-x4", e.Says, e.Measure.Trial)
			}
		}
	}
	if measures < 4 || measures > 6 {
		t.Errorf("%d measured lines, want 4 to 6", measures)
	}
	for _, g := range got.Findings {
		if g.Rule != f.Rule && g.Because != f.Key() {
			t.Errorf("%s stands because of %q, want the scan", g.Key(), g.Because)
		}
	}
}

func TestTheFixHasOneNameForItsIndex(t *testing.T) {
	static := suspicion()
	static.Fix.Edits[0].New = "-- CREATE INDEX CONCURRENTLY IF NOT EXISTS users_lower_email ON users (lower(email));\nCREATE INDEX IF NOT EXISTS users_lower_email ON users (lower(email));"
	fix := only1(t, rehearse([]premortem.Finding{static}, recorded(t)).Findings, "query-without-index").Fix
	if fix.Says != "CREATE INDEX CONCURRENTLY users_lower_email_idx ON users (lower(email)); then ANALYZE users" {
		t.Errorf("says %q", fix.Says)
	}
	if fix.Try.SQL != "CREATE INDEX users_lower_email_idx ON users (lower(email))" {
		t.Errorf("tries %q", fix.Try.SQL)
	}
	want := "-- CREATE INDEX CONCURRENTLY IF NOT EXISTS users_lower_email_idx ON users (lower(email));\nCREATE INDEX IF NOT EXISTS users_lower_email_idx ON users (lower(email));\nANALYZE users;"
	if got := fix.Edits[0].New; got != want {
		t.Errorf("commits\n%s\nwant\n%s", got, want)
	}
	if strings.Contains(static.Fix.Edits[0].New, "_idx") {
		t.Error("the suspicion that was given has been changed")
	}
	if then := analyzed("CREATE INDEX i ON orders (user_id, id)"); then != "" {
		t.Errorf("an index on columns asks for %q", then)
	}
}

// The same trials give the same first break and the same cause, whatever order
// their lists and they themselves come in.
func TestARecordedRehearsalDoesNotDependOnAnyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	trials := recorded(t)
	text := func(r rehearsed) string {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	static := []premortem.Finding{suspicion()}
	want := text(rehearse(static, trials))
	for range 5 {
		mixed := slices.Clone(trials)
		for i := range mixed {
			mixed[i] = shuffled(t, rng, mixed[i])
		}
		shuffle(rng, mixed)
		if got := text(rehearse(static, mixed)); got != want {
			i := 0
			for i < min(len(got), len(want)) && got[i] == want[i] {
				i++
			}
			t.Fatalf("the report changes when the trials are shuffled, from\n…%s\nto\n…%s", excerpt(want, i), excerpt(got, i))
		}
	}
}

// Which of several overloaded routes was late by more is chance. The one that makes
// the cause itself is named, whatever the others show.
func TestTheRouteThatMakesTheCauseBreaksFirst(t *testing.T) {
	trial := readTrial(t, filepath.Join("testdata", "table-scan", "recorded-shop-users-x8.json"))
	v, _ := Judge(trial)
	if v.First != "POST /api/login" || v.Broken[0].Route != v.First || len(v.Broken) != 4 || !strings.HasPrefix(v.Says, v.First) {
		t.Errorf("%s first, of %+v: %s", v.First, v.Broken, v.Says)
	}
}

func TestAnUndecidedBoundaryReadsAsAPersonWouldSayIt(t *testing.T) {
	close := func(at string) premortem.Verdict {
		return premortem.Verdict{Says: at + " is too close to call: 3 of 60 requests of POST /api/login took longer than 700 ms: between 2 % and 12 % do, 5 % may"}
	}
	fails := premortem.Verdict{Answer: premortem.Fails, Broken: []premortem.Broken{{Route: "POST /api/login", What: "p95", Limit: 0.7, Was: 0.93}}}
	blind := premortem.Verdict{Says: "the instrument was saturated, so this says nothing about the system: premortem itself used 1.2 cores"}
	for _, c := range []struct {
		name     string
		points   []premortem.Point
		verdicts map[float64]premortem.Verdict
		want     string
	}{
		{"the top is too close", points(1.0, "holds", 2.0, "unknown"), map[float64]premortem.Verdict{2: close("2× users")},
			"holds at 1×; 2× is too close to call: 3 of 60 requests of POST /api/login took longer than 700 ms: between 2 % and 12 % do, 5 % may"},
		{"normal load itself", points(1.0, "unknown"), map[float64]premortem.Verdict{1: close("normal load")},
			"normal load is too close to call: 3 of 60 requests of POST /api/login took longer than 700 ms: between 2 % and 12 % do, 5 % may"},
		{"the instrument was the limit", points(1.0, "holds", 2.0, "unknown"), map[float64]premortem.Verdict{2: blind},
			"holds at 1×; 2× is not decided: the instrument was saturated, so this says nothing about the system: premortem itself used 1.2 cores"},
		{"a gap inside the bracket", points(1.0, "holds", 2.0, "holds", 4.0, "unknown", 8.0, "fails"), map[float64]premortem.Verdict{4: close("4× users"), 8: fails},
			"holds at 2×, breaks between 2× and 8× (about 4×; 4× is too close to call): POST /api/login: p95 930 ms against 700 ms"},
		{"nothing holds and the gap is below", points(4.0, "unknown", 8.0, "fails"), map[float64]premortem.Verdict{4: close("4× users"), 8: fails},
			"breaks at 8×, and 4× is too close to call: POST /api/login: p95 930 ms against 700 ms"},
		{"normal load fails", points(1.0, "fails"), map[float64]premortem.Verdict{1: fails}, "breaks at normal load already: POST /api/login: p95 930 ms against 700 ms"},
		{"only a large multiple was tried", points(4.0, "fails"), map[float64]premortem.Verdict{4: fails}, "breaks at 4×, the smallest multiple tried: POST /api/login: p95 930 ms against 700 ms"},
	} {
		if got := Headroom("users", "users", 0, c.points, c.verdicts).Says; got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}
