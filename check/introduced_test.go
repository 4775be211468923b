package check

import (
	"slices"
	"testing"

	"github.com/premortem/premortem"
)

// at is a finding that stands on one line.
func at(rule, node, subject, file, quote string, s premortem.Severity) premortem.Finding {
	return premortem.Finding{
		Rule: rule, Node: premortem.Node(node), Subject: subject, Severity: s, Says: "x",
		Evidence: []premortem.Evidence{{Says: "here", Pos: premortem.Pos{File: file, Line: 3}, Quote: quote}},
	}
}

func TestIntroducedHoldsOnlyWhatAChangeBrought(t *testing.T) {
	quiet := func(f premortem.Finding) premortem.Finding { f.Suppressed = "a reason"; return f }
	one := at("r", "service/api", "k8s/prod KEY", "k8s/prod/a.yaml", "KEY: x", premortem.Down)
	milder := at("r", "service/api", "k8s/prod KEY", "k8s/prod/a.yaml", "KEY: x", premortem.Note)
	moved := at("r", "service/api", "deploy/prod KEY", "deploy/prod/a.yaml", "KEY: x", premortem.Down)
	renamed := at("r", "service/backend", "k8s/prod KEY", "k8s/prod/a.yaml", "KEY: x", premortem.Down)
	same := func(f string) string { return f }
	to := func(f string) string {
		if f == "k8s/prod/a.yaml" {
			return "deploy/prod/a.yaml"
		}
		return f
	}
	for _, c := range []struct {
		name          string
		before, after []premortem.Finding
		moved         Moved
		brought, gone int
	}{
		{"what stood before is no news", []premortem.Finding{one}, []premortem.Finding{one}, same, 0, 0},
		{"a new finding is", nil, []premortem.Finding{one}, same, 1, 0},
		{"what got worse is", []premortem.Finding{milder}, []premortem.Finding{one}, same, 1, 0},
		{"what got better is not", []premortem.Finding{one}, []premortem.Finding{milder}, same, 0, 0},
		{"what went away is counted", []premortem.Finding{one}, nil, same, 0, 1},
		{"a moved folder brings nothing", []premortem.Finding{one}, []premortem.Finding{moved}, to, 0, 0},
		{"a renamed service brings nothing", []premortem.Finding{one}, []premortem.Finding{renamed}, same, 0, 0},
		{"one finding excuses one", []premortem.Finding{one}, []premortem.Finding{one, renamed}, same, 1, 0},
		{"a suppression that went away is news", []premortem.Finding{quiet(one)}, []premortem.Finding{one}, same, 1, 0},
		{"one that stays is not", []premortem.Finding{quiet(one)}, []premortem.Finding{quiet(one)}, same, 0, 0},
	} {
		brought, gone := Introduced(c.before, c.after, c.moved)
		if len(brought) != c.brought || len(gone) != c.gone {
			t.Errorf("%s: brought %d, gone %d; want %d and %d", c.name, len(brought), len(gone), c.brought, c.gone)
		}
	}
}

func TestBetweenAddsWhatOnlyTheStepBreaks(t *testing.T) {
	rule := &Rule{
		ID: "step", Severity: premortem.Note,
		Run: func(sys *premortem.System, report func(premortem.Finding)) {
			f := at("", "store/db", "both", "a", "q", premortem.Note)
			report(f)
		},
		Diff: func(old, new *premortem.System, report func(premortem.Finding)) {
			report(at("", "store/db", "both", "a", "q", premortem.Loss))
			report(at("", "store/db", old.Name+" "+new.Name, "a", "q", premortem.Down))
		},
	}
	found := Between(&premortem.System{Name: "15"}, &premortem.System{Name: "16"}, []*Rule{rule})
	if len(found) != 2 || found[0].Severity != premortem.Loss || found[1].Subject != "15 16" {
		t.Errorf("found %+v", found)
	}
}

func TestABaselineAcceptsAndReportsWhatIsGone(t *testing.T) {
	one, two := at("env-missing", "service/api", "p A", "a", "q", premortem.Down), at("env-missing", "service/api", "p B", "a", "q", premortem.Down)
	accepted := Accept([]premortem.Finding{two, one}, []Accepted{{Rule: "env-empty", Subject: "kept"}, {Rule: "no-such-rule"}}, []*Rule{EnvMissing})
	if len(accepted) != 3 || accepted[0].Rule != "env-empty" || accepted[1].Subject != "p A" {
		t.Fatalf("accepted %+v", accepted)
	}
	found := Baseline([]premortem.Finding{two}, accepted, []*Rule{EnvMissing})
	if len(found) != 2 || found[0].Suppressed == "" || found[1].Rule != SuppressionStale.ID || len(found[1].Evidence) != 1 {
		t.Errorf("found %+v", found)
	}
	if found := Baseline([]premortem.Finding{two, one}, accepted, []*Rule{EnvMissing}); len(found) != 2 {
		t.Errorf("an entry of a rule that did not run is called stale: %+v", found)
	}
}

func TestPedanticRulesRunOnlyWhenAsked(t *testing.T) {
	for _, r := range Unasked() {
		if r.Pedantic {
			t.Errorf("%s is pedantic and runs unasked", r.ID)
		}
	}
	for _, r := range Rules() {
		got, err := Only([]string{r.ID})
		if err != nil || !slices.Equal(got, []*Rule{r}) {
			t.Errorf("Only(%q) is %v, %v", r.ID, got, err)
		}
	}
}

// A fault that cannot be planted, or after which its rule is silent, would be a
// wrong measure: each rule's own firing cases are its real test.
func TestMutationsAreInOrderAndHaveEdits(t *testing.T) {
	sys := shop()
	line := func(p premortem.Pos) (string, bool) { return "PAY_KEY MAIL_FROM LOG_LEVEL: x:1 5 100 16", p.Known() }
	one, two := Mutations(sys, Rules(), line), Mutations(sys, Rules(), line)
	if len(one) == 0 || len(one) != len(two) {
		t.Fatalf("%d and %d faults", len(one), len(two))
	}
	for i := range one {
		if one[i].Says != two[i].Says || len(one[i].Edits) == 0 || one[i].Rule == "" || !one[i].Pos.Known() {
			t.Errorf("fault %d: %+v", i, one[i])
		}
		if i > 0 && one[i].Rule < one[i-1].Rule {
			t.Errorf("%s stands behind %s", one[i].Rule, one[i-1].Rule)
		}
	}
}
