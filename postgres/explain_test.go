package postgres

import (
	"reflect"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

func TestScrubLeavesNoValues(t *testing.T) {
	for in, want := range map[string]string{
		"(lower((email)::text) = 'Me@x.y'::text)": "(lower((email)::text) = ?)",
		"(a = 5)":                        "(a = ?)",
		"(t1.col2 > '-3'::integer)":      "(t1.col2 > ?)",
		"(id = ANY ('{1,2}'::bigint[]))": "(id = ANY (?))",
		`("User"."e 7" = $1)`:            `("User"."e 7" = $1)`,
		"(created_at > '2024-01-01 00:00:00'::timestamp with time zone)": "(created_at > ?)",
		"(x = 1.5e3)": "(x = ?)",
		"(name = 'it''s'::character varying(20))": "(name = ?)",
	} {
		if got := scrub(in); got != want {
			t.Errorf("scrub(%s) is %s, want %s", in, got, want)
		}
	}
}

const peopleSchema = `
CREATE TABLE users (id bigserial PRIMARY KEY, email varchar(255) NOT NULL, name text NOT NULL, active bool NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE orders (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, status text NOT NULL, created_at timestamptz NOT NULL, total int NOT NULL);
`

func peopleDatabase(t *testing.T) string {
	db := database(t, peopleSchema)
	rows := plan(t, server, db, FillOptions{Rows: map[string]int64{"users": 20000, "orders": 40000}})
	if err := rows.Load(t.Context(), server, db); err != nil {
		t.Fatal(err)
	}
	run(t, server.DSN(db), "CREATE TABLE docs AS SELECT g AS id, jsonb_build_object('kind', 'x' || g) AS doc FROM generate_series(1, 20000) g; ANALYZE docs")
	return db
}

func TestPlansAndAdvice(t *testing.T) {
	db := peopleDatabase(t)
	dsn := server.SocketDSN(db)
	for _, c := range []struct {
		name, sql string
		index     string // "" no advice
	}{
		{"an expression, as an ORM writes it", `SELECT "id", "email" FROM "users" AS "User" WHERE lower("email") = 'canary@example.com' LIMIT 1;`,
			"CREATE INDEX users_lower_email_idx ON users (lower(email))"},
		{"a parameter", `SELECT * FROM users WHERE email = $1`, "CREATE INDEX users_email_idx ON users (email)"},
		{"a foreign key without an index", `SELECT * FROM orders WHERE user_id = 7`, "CREATE INDEX orders_user_id_idx ON orders (user_id)"},
		{"a join", `SELECT o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 5`, "CREATE INDEX orders_user_id_idx ON orders (user_id)"},
		{"newest first", `SELECT * FROM orders ORDER BY created_at DESC LIMIT 20`, "CREATE INDEX orders_created_at_idx ON orders (created_at DESC)"},
		{"a range", `SELECT * FROM orders WHERE created_at > '2025-12-31 12:00+00'`, "CREATE INDEX orders_created_at_idx ON orders (created_at)"},
		{"a key of a document", `SELECT * FROM docs WHERE doc ->> 'kind' = 'x77'`, "CREATE INDEX docs_doc_kind_idx ON docs ((doc ->> 'kind'::text))"},
		{"two conditions", `SELECT * FROM orders WHERE user_id = $1 AND status = $2 ORDER BY created_at`, "CREATE INDEX orders_user_id_idx ON orders (user_id)"},
		{"a prefix", `SELECT * FROM users WHERE email LIKE 'zoe.zz%'`, "CREATE INDEX users_email_idx ON users (email text_pattern_ops)"},
		{"the whole table", `SELECT count(*) FROM orders`, ""},
		{"a key that is there", `SELECT * FROM users WHERE id = 4`, ""},
		{"nothing selective", `SELECT * FROM orders WHERE total >= 0`, ""},
		{"a function that changes", `SELECT * FROM users WHERE created_at::date = '2025-05-05'`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			advice, err := Advise(t.Context(), dsn, c.sql)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case c.index == "" && advice != nil:
				t.Errorf("advised %+v, want nothing", *advice)
			case c.index != "" && advice == nil:
				t.Errorf("no advice, want %s", c.index)
			case c.index != "" && (advice.SQL != c.index || advice.CostAfter >= advice.CostBefore):
				t.Errorf("advised %+v, want %s", *advice, c.index)
			}
		})
	}
	if got := ask(t, dsn, "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'"); got != "2" {
		t.Errorf("%s indexes are there, want the 2 primary keys: a trial was not taken back", got)
	}
}

func TestExplainRunsAndTakesBack(t *testing.T) {
	db := peopleDatabase(t)
	dsn := server.SocketDSN(db)
	p, err := Explain(t.Context(), dsn, "SELECT * FROM users WHERE lower(email) = 'canary@example.com'", nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Scans) != 1 {
		t.Fatalf("scans are %+v", p.Scans)
	}
	want := premortem.Scan{Node: "Seq Scan", Table: "users", Filter: "lower((email)::text) = ?", Rows: 0, Removed: 20000, Loops: 1, TableRows: 20000, Estimate: 100}
	if !reflect.DeepEqual(p.Scans[0], want) {
		t.Errorf("scan is %+v, want %+v", p.Scans[0], want)
	}
	if p.Seconds <= 0 || p.Total <= 0 {
		t.Errorf("seconds %g, cost %g", p.Seconds, p.Total)
	}
	if strings.Contains(p.Text, "canary") || !strings.Contains(p.Text, "Seq Scan on users") {
		t.Errorf("text is\n%s", p.Text)
	}
	p, err = Explain(t.Context(), dsn, "SELECT * FROM users WHERE id = $1 AND active = $2", []any{"17", true}, true)
	if err != nil || p.Seconds < 0 || p.Scans[0].Node != "Index Scan" || p.Scans[0].Rows > 1 {
		t.Errorf("with values: %+v, %v", p, err)
	}
	p, err = Explain(t.Context(), dsn, "SELECT * FROM users WHERE id = $1", nil, true)
	if err != nil || p.Seconds != -1 || p.Scans[0].Node != "Index Scan" {
		t.Errorf("without values: %+v, %v", p, err)
	}
	if _, err := Explain(t.Context(), dsn, "DELETE FROM orders WHERE total < $1", []any{100000}, true); err != nil {
		t.Error(err)
	}
	if got := ask(t, dsn, "SELECT count(*) FROM orders"); got != "40000" {
		t.Errorf("explaining deleted rows: %s are left", got)
	}
	for _, sql := range []string{"", "SELECT 1; SELECT 2", "SELECT * FROM nowhere"} {
		if _, err := Explain(t.Context(), dsn, sql, nil, false); err == nil {
			t.Errorf("%q was explained", sql)
		}
	}
}
