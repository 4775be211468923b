package rehearse

import (
	"testing"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/postgres"
)

func migrationOf(file string, sql ...string) *premortem.Migration {
	m := &premortem.Migration{Pos: premortem.Pos{File: file, Line: 1}, Runner: "sql"}
	for i, s := range sql {
		m.Statements = append(m.Statements, premortem.Statement{SQL: s, InTx: true, Pos: premortem.Pos{File: file, Line: i + 1}})
	}
	return m
}

func TestWhatFollowsAPendingMigrationIsPendingToo(t *testing.T) {
	ms := []*premortem.Migration{migrationOf("m/1.sql", "CREATE TABLE t (x int)"), migrationOf("m/2.sql", "ALTER TABLE t ADD y int", "ALTER TABLE t ADD z int"), migrationOf("m/3.sql", "CREATE INDEX i ON t (y)")}
	ms[1].Statements = append(ms[1].Statements, premortem.Statement{SQL: "ALTER TABLE t DROP y", Down: true})
	r := &run{sys: &premortem.System{Migrations: ms}, o: Options{Migrations: []string{"./m/2.sql"}}}
	got, err := r.pendingMigrations()
	if err != nil || len(got) != 2 || got[0] != ms[1] {
		t.Fatalf("%v, %v", got, err)
	}
	steps := stepsOf(got)
	if len(steps) != 3 || !steps[0].Apart || steps[1].Apart || !steps[2].Apart {
		t.Errorf("each file is a transaction, the way back is none: %+v", steps)
	}
	r.o.Migrations = []string{"m/9.sql"}
	if _, err := r.pendingMigrations(); err == nil {
		t.Error("a file that is not there was taken")
	}
	r.o.Migrations = nil
	r.static = []premortem.Finding{{Rule: lockRule, Evidence: []premortem.Evidence{{Pos: premortem.Pos{File: "m/3.sql", Line: 1}}}}}
	if got, err := r.pendingMigrations(); err != nil || len(got) != 1 || got[0] != ms[2] {
		t.Errorf("the suspected one is %v, %v", got, err)
	}
	r.o.Migrations = []string{"none"}
	if got, err := r.pendingMigrations(); err != nil || len(got) != 0 {
		t.Errorf("none is %v, %v", got, err)
	}
}

// Plans come from real servers; these are their lines.
func TestAnIndexIsUsedWhenThePlanReadsIt(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool
	}{
		{"Index Scan using users_email_idx on users  (cost=0.42..8.44 rows=1 width=8)\n", true},
		{"Index Only Scan using users_email_idx on users u\n", true},
		{"Bitmap Heap Scan on users\n  ->  Bitmap Index Scan using users_email_idx\n", true},
		{"Index Scan using users_email_idx2 on users\n", false},
		{"Seq Scan on users  (cost=0.00..9.00 rows=1 width=8)\n", false},
	} {
		if got := usesIndex(premortem.Plan{Text: c.text}, "users_email_idx"); got != c.want {
			t.Errorf("%q: used %v", c.text, got)
		}
	}
	if name, table := postgres.IndexName("ALTER TABLE t ADD x int"); name+table != "" {
		t.Errorf("an index %q on %q", name, table)
	}
}
