package judge

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

// recordedMigration is a rehearsal of the shop: amounts become bigint and an index is
// built, on 2,000,000 orders under normal load.
func recordedMigration(t *testing.T) premortem.Rehearsed {
	t.Helper()
	data, err := os.ReadFile("testdata/migration.json")
	if err != nil {
		t.Fatal(err)
	}
	var m premortem.Rehearsed
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestARehearsedMigrationShowsWhatTheFilesSuspect(t *testing.T) {
	m := recordedMigration(t)
	line := func(n int) []premortem.Evidence {
		return []premortem.Evidence{{Says: "here", Pos: premortem.Pos{File: "migrations/006_amounts.sql", Line: n}}}
	}
	static := []premortem.Finding{
		{Rule: migrationRule, Node: db, Subject: "type", Evidence: line(2)},
		{Rule: "env-missing", Node: db, Subject: "other", Evidence: line(3)},
	}
	got := Migrated(static, db, m)
	if len(got) != 2 || static[0].Standing != premortem.Suspected {
		t.Fatalf("%d findings, want the two that were given, unchanged", len(got))
	}
	f := got[0]
	if f.Standing != premortem.Shown || f.Severity != premortem.Down || !f.Certain || f.Says != "ALTER TABLE keeps out reads and writes of orders for 3.4 s; 10 statements waited for it, the longest 3.2 s" {
		t.Errorf("%s, %s: %s", f.Standing, f.Severity, f.Says)
	}
	for _, word := range []string{"held ACCESS EXCLUSIVE on orders for 3.4 s", "10 at once", "wrote orders anew", "logged 350,000,000 bytes", "2× the rows", "18 requests were open"} {
		said := false
		for _, e := range f.Evidence {
			said = said || strings.Contains(e.Says, word)
		}
		if !said {
			t.Errorf("no evidence says %q", word)
		}
	}
	if p := f.Fix.Proof; p == nil || !p.Worked || p.Before < 3 || p.After > 0.6 || !strings.Contains(p.Says, "180 ms instead of 3.2 s") {
		t.Errorf("proof %+v", p)
	}
	m.Safe.Error = "ERROR: disk full"
	if p := Migrated(static, db, m)[0].Fix.Proof; p.Worked || !strings.Contains(p.Says, "disk full") {
		t.Errorf("a safe form that stopped proves %+v", p)
	}
}

func TestAMigrationThatNobodyNoticesIsClearedAndOneThatNobodySuspectedIsAdded(t *testing.T) {
	m := recordedMigration(t)
	if got := Migrated(nil, db, m); len(got) != 1 || got[0].Rule != migrationRule || got[0].Standing != premortem.Shown {
		t.Errorf("without a suspicion: %+v", got)
	}
	brief := premortem.Rehearsed{Plain: premortem.MigrationRun{Steps: []premortem.MigrationStep{{SQL: "ALTER TABLE orders ADD COLUMN x int", Pos: premortem.Pos{File: "m.sql", Line: 1},
		Locks: []premortem.LockHold{{Table: "orders", Mode: "ACCESS EXCLUSIVE", Held: 0.003}}}}}}
	got := Migrated([]premortem.Finding{{Rule: migrationRule, Evidence: []premortem.Evidence{{Says: "here", Pos: premortem.Pos{File: "m.sql", Line: 1}}}}}, db, brief)
	if len(got) != 1 || got[0].Standing != premortem.Cleared || len(got[0].Evidence) != 2 {
		t.Errorf("a lock of 3 ms: %+v", got)
	}
}
