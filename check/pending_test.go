package check

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/premortem/premortem"
)

const ordersBefore = `
-- package.json --
{"name": "api", "scripts": {"start": "node server.js"}, "dependencies": {"pg": "^8.16.3"}}
-- compose.yaml --
services:
  api: {build: .}
  db: {image: "postgres:16.4"}
-- Dockerfile --
FROM node:20.19.5
CMD ["node", "server.js"]
-- premortem.yaml --
database: {rows: {orders: 40000000}}
-- server.js --
const { Pool } = require('pg');
const pool = new Pool();
async function add(user, total) {
  await pool.query('INSERT INTO orders (user_id, total) VALUES ($1, $2)', [user, total]);
}
module.exports = { add };
-- migrations/001_orders.sql --
CREATE TABLE orders (
  id bigserial PRIMARY KEY,
  user_id bigint NOT NULL,
  total integer
);
`

// between judges the step from the repository above to one with these files more.
func between(t *testing.T, r *Rule, change func(string) string, more string) []premortem.Finding {
	t.Helper()
	before := txtar.Parse([]byte(ordersBefore))
	text := ordersBefore
	if change != nil {
		text = change(text)
	}
	after := txtar.Parse([]byte(text + more))
	return Between(systemOf(t, before), systemOf(t, after), []*Rule{r})
}

func told(found []premortem.Finding) string {
	var out []string
	for _, f := range found {
		out = append(out, fmt.Sprintf("%s certain=%t %s", f.Severity, f.Certain, f.Says))
	}
	return strings.Join(out, "\n")
}

func TestMigrationsThatAChangeAddsHaveTheirFullSeverity(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"an index over 40 million rows blocks writers for seconds", "CREATE INDEX i ON orders (user_id);", "slow certain=true CREATE INDEX builds"},
		{"a rewrite of 40 million rows blocks everyone for a minute", "ALTER TABLE orders ALTER COLUMN total TYPE bigint;", "down certain=true ALTER COLUMN TYPE writes"},
		{"reading 40 million rows under the lock", "ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0);", "down certain=true ADD CHECK reads"},
		{"a default for each row", "ALTER TABLE orders ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid();", "down certain=true ADD COLUMN with a default"},
		{"a constant default is one row of the catalog", "ALTER TABLE orders ADD COLUMN state text NOT NULL DEFAULT 'new';", ""},
		{"a default of now is a constant", "ALTER TABLE orders ADD COLUMN at timestamptz NOT NULL DEFAULT now();", ""},
		{"CONCURRENTLY alone", "CREATE INDEX CONCURRENTLY i ON orders (user_id);", ""},
		{"a table of the same change", "CREATE TABLE items (id bigserial PRIMARY KEY, total int);\nCREATE INDEX i ON items (total);\nALTER TABLE items ALTER COLUMN total SET NOT NULL;", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := told(between(t, MigrationLocksTable, nil, "-- migrations/002_change.sql --\n"+c.file+"\n"))
			if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestMigrationsOfBeforeAreHistory(t *testing.T) {
	files := "-- migrations/002_a.sql --\nCREATE INDEX i ON orders (user_id);\n-- migrations/003_b.sql --\nCREATE TABLE notes (id bigserial PRIMARY KEY);\n"
	sys := systemOf(t, txtar.Parse([]byte(ordersBefore+files)))
	if got := told(Between(sys, sys, []*Rule{MigrationLocksTable})); got != "" {
		t.Errorf("a revision without a new migration is told %q", got)
	}
}

func TestOldCodeOnTheNewSchemaIsADown(t *testing.T) {
	moved := func(text string) string { return strings.ReplaceAll(text, "total) VALUES", "amount) VALUES") }
	rename := "-- migrations/002_rename.sql --\nALTER TABLE orders RENAME COLUMN total TO amount;\n"
	got := told(between(t, MigrationDropsUsedColumn, moved, rename))
	if !strings.HasPrefix(got, "down certain=true 002_rename.sql renames orders.total to amount, and the code of the revision before asks for it") {
		t.Errorf("a rename with its code in one change is told %q", got)
	}
	used := "-- migrations/002_drop.sql --\nALTER TABLE orders DROP COLUMN total;\n"
	if got := told(between(t, MigrationDropsUsedColumn, nil, used)); strings.Count(got, "\n") != 0 || !strings.Contains(got, "each such query fails") {
		t.Errorf("a column that the new code uses as well is told %q; want one finding", got)
	}
}

func TestAColumnThatOldCodeDoesNotFillIsADown(t *testing.T) {
	for file, want := range map[string]string{
		"ALTER TABLE orders ADD COLUMN state text NOT NULL;":                                                       "down certain=true 002_x.sql adds orders.state NOT NULL without a default",
		"ALTER TABLE orders ADD COLUMN state text;":                                                                "",
		"ALTER TABLE orders ADD COLUMN state text NOT NULL DEFAULT '';":                                            "",
		"ALTER TABLE orders ADD COLUMN state text NOT NULL;\nALTER TABLE orders ALTER COLUMN state DROP NOT NULL;": "",
		"CREATE TABLE notes (id bigserial);\nALTER TABLE notes ADD COLUMN state text NOT NULL;":                    "",
	} {
		got := told(between(t, MigrationDropsUsedColumn, nil, "-- migrations/002_x.sql --\n"+file+"\n"))
		if want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%s is told %q, want %q", file, got, want)
		}
	}
}

func TestEffectsAreThoseThatWereMeasured(t *testing.T) {
	for _, c := range []struct {
		sql, was, want string
	}{
		{"ALTER TABLE a ALTER b TYPE text", "varchar(10)", "lockAll catalog"},
		{"ALTER TABLE a ALTER b TYPE varchar(5)", "varchar(10)", "lockAll rewrites"},
		{"ALTER TABLE a ALTER b TYPE numeric(12, 2)", "numeric(10,2)", "lockAll catalog"},
		{"ALTER TABLE a ALTER b TYPE numeric(12, 3)", "numeric(10,2)", "lockAll rewrites"},
		{"ALTER TABLE a ALTER b TYPE timestamptz", "timestamp", "lockAll catalog"},
		{"ALTER TABLE a ALTER b SET DATA TYPE jsonb USING b::jsonb", "json", "lockAll rewrites"},
		{"ALTER TABLE a ALTER b TYPE my_enum USING b::my_enum", "text", "lockAll catalog"},
		{`ALTER TABLE ONLY "public"."a" ADD CONSTRAINT x FOREIGN KEY (b) REFERENCES c(id) ON DELETE CASCADE`, "", "lockBoth joins"},
		{"ALTER TABLE a ADD CONSTRAINT x FOREIGN KEY (b) REFERENCES c (id) NOT VALID", "", "lockBoth catalog"},
		{"ALTER TABLE a ADD UNIQUE (b)", "", "lockAll builds"},
		{"ALTER TABLE a ADD CONSTRAINT x UNIQUE USING INDEX y", "", "lockAll catalog"},
		{"ALTER TABLE a ADD PRIMARY KEY (b)", "", "lockAll builds"},
		{"ALTER TABLE a ADD COLUMN b int GENERATED ALWAYS AS (c * 2) STORED", "", "lockAll rewrites"},
		{"ALTER TABLE a ADD b serial", "", "lockAll rewrites"},
		{"ALTER TABLE a ADD COLUMN b bigint REFERENCES c (id)", "", "lockAll catalog"},
		{"ALTER TABLE a SET LOGGED", "", "lockAll rewrites"},
		{"CREATE UNIQUE INDEX IF NOT EXISTS x ON a (b)", "", "lockWrites builds"},
		{"CREATE INDEX CONCURRENTLY x ON a USING gin (b)", "", "lockNone catalog"},
		{"UPDATE a SET b = 1", "", "lockNone updates"},
	} {
		es := effectsOf(c.sql, c.was)
		if len(es) != 1 || es[0].table != "a" {
			t.Errorf("%s: %+v, want one effect on a", c.sql, es)
			continue
		}
		got := [...]string{"lockNone", "lockWrites", "lockAll", "lockBoth"}[es[0].lock] + " " + [...]string{"catalog", "scans", "builds", "joins", "rewrites", "updates"}[es[0].work]
		if got != c.want {
			t.Errorf("%s is %s, want %s", c.sql, got, c.want)
		}
	}
}
