package judge

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

// suspicion is what check says about the login query before anything ran.
func suspicion() premortem.Finding {
	return premortem.Finding{
		Rule: "query-without-index", Severity: premortem.Slow, Node: api, Subject: "users (lower(email))", Certain: true,
		Says: "POST /api/login reads all 500,000 rows of users on each call: no index starts with lower(email)",
		Evidence: []premortem.Evidence{
			{Says: "looks in users for lower(email) =", Pos: premortem.Pos{File: "api/src/auth.js", Line: 18}, Quote: "where: sequelize.where(…)"},
			{Says: "users has no index on lower(email)", Pos: premortem.Pos{File: "migrations/001_users.sql", Line: 1}},
		},
		Fix: premortem.Fix{Says: "create the index", Safe: true, Edits: []premortem.Edit{{Pos: premortem.Pos{File: "migrations/006_index.sql", Line: 1}, New: "CREATE INDEX …"}}},
	}
}

func repeatSuspicion() premortem.Finding {
	return premortem.Finding{Rule: "n-plus-one", Severity: premortem.Slow, Node: api, Subject: "orders.get Product.findByPk",
		Says: "GET /api/orders queries products once for each row of its list", Evidence: []premortem.Evidence{{Says: "runs once per row", Pos: productSite.Pos}}}
}

func only1(t *testing.T, found []premortem.Finding, rule string) premortem.Finding {
	t.Helper()
	var out []premortem.Finding
	for _, f := range found {
		if f.Rule == rule {
			out = append(out, f)
		}
	}
	if len(out) != 1 {
		t.Fatalf("%d findings of rule %s, want 1: %+v", len(out), rule, found)
	}
	return out[0]
}

func TestASuspicionThatHappenedIsToldOnceWithBothEvidences(t *testing.T) {
	w := slowLogin()
	_, shown := Judge(w.trial)
	static := []premortem.Finding{suspicion()}
	all := Confirm(static, []*premortem.Trial{w.trial}, shown)
	f := only1(t, all, "query-without-index")
	if f.Key() != "query-without-index service/api users (lower(email))" || f.Standing != premortem.Shown || f.Severity != premortem.Down {
		t.Errorf("key %q, %s, %s", f.Key(), f.Standing, f.Severity)
	}
	if f.Says != "POST /api/login reads the whole users table (500,000 rows) for one of them" || f.Fix.Try == nil || len(f.Fix.Edits) != 1 || !f.Fix.Safe {
		t.Errorf("says %q, fix %+v", f.Says, f.Fix)
	}
	numbers := false
	for i, e := range f.Evidence {
		if e.Measure != nil {
			numbers = true
		} else if numbers {
			t.Errorf("evidence %d is a line after a number: %+v", i, e)
		}
	}
	if !numbers || f.Evidence[0].Says != "looks in users for lower(email) =" {
		t.Errorf("evidence %+v", f.Evidence)
	}
	for _, g := range all {
		if g.Rule == "table-scan" {
			t.Error("the cause is told twice")
		}
		if g.Rule == "pool-exhausted" && g.Because != f.Key() {
			t.Errorf("the pool is because of %q, want the suspicion's key", g.Because)
		}
	}
	names := Keys(static, shown)
	if len(names) != 1 || names["table-scan store/postgres users lower(email)"] != f.Key() {
		t.Errorf("renamed keys %v", names)
	}
}

func TestASuspicionIsClearedOnlyWhenItsStatementWasTried(t *testing.T) {
	indexed := indexInPlace()
	indexed.Experiment.Tried = ""
	few := indexInPlace()
	few.Experiment.Tried = ""
	for i := range few.Phase("during").Calls {
		if c := &few.Phase("during").Calls[i]; c.Op == loginSQL {
			c.Count = 20
		}
	}
	unscaled := indexInPlace()
	unscaled.Experiment.Tried, unscaled.Experiment.Scale = "", premortem.Scale{}
	unplanned := shop("calls", 2).trial
	unplanned.Tables = nil
	for _, c := range []struct {
		name   string
		trials []*premortem.Trial
		want   premortem.Standing
	}{
		{"fast at production's size, without a scan", []*premortem.Trial{indexed}, premortem.Cleared},
		{"the fix was in place", []*premortem.Trial{indexInPlace()}, premortem.Suspected},
		{"called twenty times", []*premortem.Trial{few}, premortem.Suspected},
		{"at normal load only", []*premortem.Trial{unscaled}, premortem.Suspected},
		{"fast, but nobody knows on how many rows", []*premortem.Trial{unplanned}, premortem.Suspected},
		{"no trial at all", nil, premortem.Suspected},
		{"slow in another trial", []*premortem.Trial{indexed, scanThatGrows()}, premortem.Suspected},
	} {
		f := only1(t, Confirm([]premortem.Finding{suspicion()}, c.trials, nil), "query-without-index")
		if f.Standing != c.want {
			t.Errorf("%s: %s, want %s", c.name, f.Standing, c.want)
		}
		if last := f.Evidence[len(f.Evidence)-1]; c.want == premortem.Cleared && (last.Measure == nil || !strings.HasPrefix(last.Says, "tried in the clone: 500 calls at 2× calls, p95")) {
			t.Errorf("%s: cleared by %+v", c.name, last)
		}
	}
}

func TestALoopIsShownOrClearedByItsLine(t *testing.T) {
	trial := ordersNPlusOne()
	_, shown := Judge(trial)
	static := []premortem.Finding{repeatSuspicion()}
	if f := only1(t, Confirm(static, []*premortem.Trial{trial}, shown), "n-plus-one"); f.Standing != premortem.Shown || f.Key() != static[0].Key() {
		t.Errorf("%s under %q", f.Standing, f.Key())
	}
	w := shop("calls", 2)
	w.untrace("GET /api/orders")
	w.trace("GET /api/orders", 0.014, call(ordersSQL, 1, 0.002, 50), call(productSQL, 1, 0.005, 50, productSite))
	if f := only1(t, Confirm(static, []*premortem.Trial{w.trial}, nil), "n-plus-one"); f.Standing != premortem.Cleared {
		t.Errorf("50 rows and one query: %s, want cleared", f.Standing)
	}
	w.untrace("GET /api/orders")
	w.trace("GET /api/orders", 0.014, call(ordersSQL, 1, 0.002, 2), call(productSQL, 2, 0.005, 2, productSite))
	if f := only1(t, Confirm(static, []*premortem.Trial{w.trial}, nil), "n-plus-one"); f.Standing != premortem.Suspected {
		t.Errorf("a list of two rows shows nothing: %s, want suspected", f.Standing)
	}
}

func TestAnotherIndexOfTheSameTableIsNotConfirmed(t *testing.T) {
	w := slowLogin()
	_, shown := Judge(w.trial)
	other := suspicion()
	other.Subject = "users (name)"
	all := Confirm([]premortem.Finding{other}, []*premortem.Trial{w.trial}, shown)
	if f := only1(t, all, "query-without-index"); f.Standing != premortem.Suspected {
		t.Errorf("an index on name is %s by a scan for lower(email)", f.Standing)
	}
	only1(t, all, "table-scan")
}

func TestMergeKeepsTheStrongestOfEachKey(t *testing.T) {
	_, healthy := Judge(scanThatGrows())
	_, broken := Judge(slowLogin().trial)
	proof := &premortem.Proof{Worked: true}
	healthy[0].Fix.Proof = proof
	rng := rand.New(rand.NewPCG(1, 1))
	var want string
	for range 10 {
		all := append(append([]premortem.Finding{}, healthy...), broken...)
		shuffle(rng, all)
		merged := Merge(all)
		f := only1(t, merged, "table-scan")
		if f.Severity != premortem.Down || f.Fix.Proof != proof {
			t.Fatalf("kept %s with proof %v", f.Severity, f.Fix.Proof)
		}
		text, _ := json.Marshal(merged)
		if want == "" {
			want = string(text)
		}
		if string(text) != want {
			t.Fatal("the result depends on the order")
		}
	}
	if got := Merge(nil); got == nil || len(got) != 0 {
		t.Errorf("nothing merges to %v", got)
	}
	lonely := []premortem.Finding{{Rule: "a", Because: "gone"}}
	if got := Merge(lonely); got[0].Because != "" {
		t.Errorf("because %q, which is not in the list", got[0].Because)
	}
}

func TestAFindingThatStoodAloneOnceStandsAlone(t *testing.T) {
	_, behind := Judge(slowLogin().trial) // the pool is full because of the scan
	var pool premortem.Finding
	for _, f := range behind {
		if f.Rule == "pool-exhausted" {
			pool = f
		}
	}
	if pool.Because == "" {
		t.Fatal("the pool has no cause in this trial")
	}
	alone := pool
	alone.Because = ""
	if f := only1(t, Merge(append(behind, alone)), "pool-exhausted"); f.Because != "" {
		t.Errorf("because %q although it broke without that", f.Because)
	}
}

func TestCompareProvesOnlyWhatTheSameStepShows(t *testing.T) {
	before := slowLogin().trial
	_, found := Judge(before)
	fixed := indexInPlace()
	halved := slowLogin()
	halved.slow("POST /api/login", 0.4, 0.2)
	same := slowLogin()
	same.slow("POST /api/login", 1.0, 0.4)
	late := indexInPlace()
	late.Phase("during").Load.OwnCPU = 1.5
	reseeded := indexInPlace()
	reseeded.Seed = 2
	for _, c := range []struct {
		name          string
		before, after *premortem.Trial
		worked        bool
		says          string
	}{
		{"the index makes it hold", before, fixed, true, "p95 2.1 s → 18 ms at the same load"},
		{"it more than halves and is not enough", before, halved.trial, true, "which is still not enough"},
		{"it hardly changes", before, same.trial, false, "which is no proof"},
		{"the instrument was saturated", before, late, false, "which proves nothing"},
		{"another seed", before, reseeded, false, "not the same step"},
		{"nothing was broken", fixed, fixed, false, "nothing was broken"},
		{"no trial", before, nil, false, "missing"},
	} {
		p := Compare(c.before, c.after, found[0])
		if p.Worked != c.worked || !strings.Contains(p.Says, c.says) || p.Signal == "" || p.Unit == "" {
			t.Errorf("%s: %+v; want worked %v and %q", c.name, p, c.worked, c.says)
		}
	}
	if p := Compare(before, fixed, found[0]); p.X != "calls" || p.Before < 1.9 || p.After > 0.02 {
		t.Errorf("%+v", p)
	}
}

func TestCompareOfErrorsSpeaksOfErrors(t *testing.T) {
	before := connectionsRefused()
	_, found := Judge(before)
	after := shop("users", 4).trial
	if p := Compare(before, after, found[0]); !p.Worked || p.Unit != "share" || !strings.Contains(p.Says, "errors 24 % → 0 %") {
		t.Errorf("%+v", p)
	}
}
