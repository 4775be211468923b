package postgres

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

func blueprintDatabase(t *testing.T, name string, b *Blueprint) (*Schema, []string) {
	t.Helper()
	if err := server.CreateDatabase(t.Context(), name, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.DropDatabase(context.WithoutCancel(t.Context()), name); err != nil {
			t.Error(err)
		}
	})
	lost, err := server.Build(t.Context(), name, b)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := Inspect(t.Context(), server.SocketDSN(name))
	if err != nil {
		t.Fatal(err)
	}
	return schema, lost
}

func TestBlueprintBuildsWhatServerKnowsAndSaysWhatItRefuses(t *testing.T) {
	tables := []*premortem.Table{
		{Name: "users", Columns: []premortem.Column{
			{Name: "id", Type: "serial", NotNull: true}, {Name: "createdAt", Type: "datetime", Default: "now_in_utc()"},
			{Name: "mood", Type: "shape_of_mind"}, {Name: "email", Type: "varchar(255)", NotNull: true, Default: "'none'"},
		}, Indexes: []premortem.Index{
			{Name: "users_pkey", Columns: []string{"id"}, Primary: true, Unique: true}, {Name: "users_lower", Columns: []string{"lower(email)"}, Unique: true},
			{Name: "users_new", Columns: []string{"createdAt desc"}}, {Name: "users_odd", Columns: []string{"nobody"}}, {Name: "users_some", Columns: []string{"id"}, Where: "true"},
		}},
		{Name: "shop.orders", Columns: []premortem.Column{{Name: "id", Type: "bigint", Default: "nextval('x')"}, {Name: "user_id", Type: "int(11)"}},
			Foreign: []premortem.Foreign{{Columns: []string{"user_id"}, RefTable: "users", RefColumns: []string{"id"}}, {Columns: []string{"user_id"}, RefTable: "nowhere"}}},
	}
	schema, lost := blueprintDatabase(t, "blueprint", Declared(tables))
	u, o := schema.Table("users"), schema.Table("shop.orders")
	if u == nil || o == nil || len(u.Columns) != 4 || len(o.Foreign) != 1 {
		t.Fatalf("tables are %+v", schema.Tables)
	}
	if c := u.Columns[0]; c.Type != "integer" || c.Identity == "" {
		t.Errorf("serial became %+v", c)
	}
	if c := u.Columns[2]; c.Type != "text" {
		t.Errorf("an unknown type became %s, want text", c.Type)
	}
	if c := o.Columns[0]; c.Identity == "" {
		t.Errorf("a column with nextval became %+v", c)
	}
	var indexes []string
	for _, x := range u.Indexes {
		indexes = append(indexes, x.Name)
	}
	slices.Sort(indexes)
	if got := strings.Join(indexes, " "); got != "users_lower users_new users_pkey" {
		t.Errorf("indexes are %s", got)
	}
	told := strings.Join(lost, "\n")
	for _, want := range []string{"users.mood", "a column of text", "users_odd", "users_some", "condition is not known", "orders (user_id)"} {
		if !strings.Contains(told, want) {
			t.Errorf("%q is not told in:\n%s", want, told)
		}
	}
	if strings.Contains(told, "createdAt") || len(lost) != 4 {
		t.Errorf("a default decides no plan, and four things were lost:\n%s", told)
	}
}

func TestBlueprintOfExportedProfilePlansAsItsDatabase(t *testing.T) {
	if testing.Short() {
		t.Skip("a database is populated")
	}
	const db, sql = "blueprint_source", `CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL UNIQUE, mood mood NOT NULL, tags text[]);
CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id int NOT NULL REFERENCES users (id), total numeric(10,2) CHECK (total < 12345));
CREATE INDEX orders_user ON orders (user_id); CREATE INDEX users_mood ON users (mood) WHERE mood = 'glad'; CREATE INDEX users_low ON users (lower(email));
INSERT INTO users SELECT i, 'u' || i, (ARRAY['sad', 'glad'])[1 + i % 2]::mood, ARRAY['a'] FROM generate_series(1, 5000) i;
INSERT INTO orders (user_id, total) SELECT 1 + i % 5000, i % 900 FROM generate_series(1, 20000) i; ANALYZE;`
	if err := server.CreateDatabase(t.Context(), db, ""); err != nil {
		t.Fatal(err)
	}
	defer server.DropDatabase(t.Context(), db)
	if err := server.Migrate(t.Context(), db, []Migration{{Name: "all", SQL: sql}}); err != nil {
		t.Fatal(err)
	}
	p, err := ExportProfile(t.Context(), server.SocketDSN(db), ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b, ok := p.Blueprint()
	if !ok {
		t.Fatal("the profile holds no schema")
	}
	g, err := NewGhost(t.Context(), server.Binaries(), nil, p, GhostOptions{Schema: b})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if len(g.Lost) != 1 || !strings.Contains(g.Lost[0], "users_mood") {
		t.Errorf("lost are %q, want the index on a literal alone", g.Lost)
	}
	if _, err := g.At(t.Context(), Growth{}); err != nil {
		t.Fatal(err)
	}
	queries := []string{"SELECT * FROM users WHERE lower(email) = $1", "SELECT u.email, o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = $1", "SELECT count(*) FROM orders"}
	a, err := g.Agree(t.Context(), server.SocketDSN(db), queries)
	if err != nil || a.Equal != len(queries) {
		t.Errorf("agreement is %+v, %v", a, err)
	}
}

func TestSweepPlansWithValuesOfStatistics(t *testing.T) {
	if testing.Short() {
		t.Skip("a database is populated")
	}
	const db, sql = "skewed_source", `CREATE TABLE jobs (id int PRIMARY KEY, tenant int NOT NULL, at timestamptz NOT NULL, note text NOT NULL);
INSERT INTO jobs SELECT i, CASE WHEN i % 50 > 0 THEN 1 ELSE 2 + (i / 50) % 100 END, '2026-01-01'::timestamptz + i * interval '1 minute', repeat('x', 60) FROM generate_series(1, 20000) i;
CREATE INDEX jobs_tenant ON jobs (tenant); CREATE INDEX jobs_at ON jobs (at); ANALYZE;`
	if err := server.CreateDatabase(t.Context(), db, ""); err != nil {
		t.Fatal(err)
	}
	defer server.DropDatabase(t.Context(), db)
	if err := server.Migrate(t.Context(), db, []Migration{{Name: "all", SQL: sql}}); err != nil {
		t.Fatal(err)
	}
	p, err := server.TakeProfile(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewGhost(t.Context(), server.Binaries(), []Migration{{Name: "all", SQL: sql}}, p, GhostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	out, err := g.Sweep(t.Context(), []string{
		"SELECT note FROM jobs WHERE tenant = $1", "SELECT note FROM jobs WHERE id = $1", "SELECT note FROM jobs WHERE at > $1", "SELECT $1::text", "SELECT note FROM jobs WHERE tenant = ANY ($1)",
	}, SweepOptions{Multiples: []float64{1, 10}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		values int
		trap   bool
	}{{4, true}, {4, false}, {6, false}, {0, false}, {4, false}} {
		o := out.Statements[i]
		if o.Err != nil || len(o.Values) != want.values {
			t.Errorf("%s has plans with %d values, %v; want %d", o.SQL, len(o.Values), o.Err, want.values)
			continue
		}
		trap := slices.ContainsFunc(o.Values, func(v WithValues) bool { return v.Trap() })
		if trap != want.trap && i != 2 && i != 4 {
			t.Errorf("%s is a trap: %v, want %v: %+v", o.SQL, trap, want.trap, o.Values)
		}
	}
	v := out.Statements[0].Values[0]
	if v.Table != "jobs" || v.Column != "tenant" || v.Rows < 19000 || v.GenericRows > 300 {
		t.Errorf("the most common value passes %.0f rows, any %.0f: %+v", v.Rows, v.GenericRows, v)
	}
}
