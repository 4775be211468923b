package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

// canaries holds a value that must not leave in every place where one can be: rows of
// every type, defaults, checks, comments, predicates, expressions. The labels of enums
// are schema and do leave, which the profile says.
const canaries = `
CREATE TYPE tier AS ENUM ('gold', 'silver');
CREATE DOMAIN mail AS text CHECK (VALUE <> 'canary-domain');
CREATE TABLE people (
  id bigint PRIMARY KEY, email mail NOT NULL, name varchar(40) DEFAULT 'canary-default', code char(12), secret citextish, tier tier,
  amount numeric(14,2), height float8, born date, seen timestamptz, at time, token uuid, host inet, net cidr, tags text[], numbers int[],
  doc jsonb, raw bytea, span tstzrange, days daterange, price money, wait interval, spot point, words tsvector, active boolean, grade int,
  CHECK (name <> 'canary-check' AND amount <> 777777.77));
COMMENT ON TABLE people IS 'canary-comment';
COMMENT ON COLUMN people.email IS 'canary-comment';
CREATE INDEX people_some ON people (email) WHERE name = 'canary-predicate';
CREATE INDEX people_expr ON people ((name || 'canary-expression'));
CREATE INDEX people_lower ON people (lower(email));
CREATE STATISTICS people_ext (mcv, ndistinct, dependencies) ON name, code FROM people;
CREATE TABLE letters (id bigint PRIMARY KEY, person bigint REFERENCES people, body text);
INSERT INTO people SELECT 770000000000 + g * 1009, 'canary-' || g % 400 || '@example.com', 'canary-name-' || g % 7, 'canary' || g % 90, 'canary' || g % 3,
  CASE WHEN g % 2 = 0 THEN 'gold' ELSE 'silver' END::tier,
  777777.25 + g % 50 * 1000, 777777.125 + g % 20 * 100, date '1977-07-07' + g % 3 * 100, timestamptz '1977-07-07 07:07:07.777777+00' + g % 11 * interval '77 days', time '07:07:07.777' + g % 4 * interval '1 hour',
  ('77777777-7777-7777-7777-77777777777' || g % 5)::uuid, ('77.77.77.' || g % 9)::inet, '77.77.0.0/16'::cidr, ARRAY['canary-tag-' || g % 6, 'canary-other'], ARRAY[770077 + g % 5 * 100],
  jsonb_build_object('canary-key', 'canary-json-' || g % 4), 'canary-bytes'::bytea, tstzrange('1977-07-07 07:07:07+00', timestamptz '1977-07-07 08:08:08+00' + g % 9 * interval '9 days'),
  daterange('1977-07-07', date '1977-07-08' + g % 70), 777777.77::money, interval '7777 hours', point(7777, 7777), to_tsvector('canaryword'), g % 3 = 0, g % 5
FROM generate_series(1, 3000) g;
INSERT INTO letters SELECT g, 770000000000 + (1 + g % 30) * 1009, repeat('canary-body ', 20) || g FROM generate_series(1, 3000) g;
ANALYZE;
`

// live are values that stand in the rows, beside everything with canary in it.
var live = []string{
	"canary", "77777777-7777", "77.77.77.", "77.77.0.0", "1977-07-07\"", "1977-07-07 07:07:07", "07:07:07.777", "777777.77", "777777.25", "777777.125", "770077", "7777 hours", "7777:00", "(7777",
	"770000001009", "770000002018", "63616e617279", // canary in hexadecimal
}

func canarySchema() string { return strings.Replace(canaries, "citextish", "text", 1) }

func TestProfileOfCanariesHoldsNone(t *testing.T) {
	db := database(t, canarySchema())
	p, err := ExportProfile(t.Context(), server.SocketDSN(db), ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	for _, v := range live {
		if at := strings.Index(out.String(), v); at >= 0 {
			t.Errorf("the profile holds %q: %s", v, out.String()[max(0, at-200):min(out.Len(), at+60)])
		}
	}
	if !strings.Contains(strings.Join(p.Left, "\n"), "labels of enums") {
		t.Errorf("the profile does not say that labels left: %q", p.Left)
	}
	for _, want := range []string{"people.doc (jsonb)", "people.words (tsvector)", "common combinations"} {
		if !strings.Contains(strings.Join(p.Missing, "\n"), want) {
			t.Errorf("missing does not speak of %q: %q", want, p.Missing)
		}
	}
	file := filepath.Join(t.TempDir(), "profile.json")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadProfile(file); err != nil {
		t.Error(err)
	}
}

// The pseudonyms of every list must sort as the values did, in the server's own order,
// and be as long; equal values of linked columns must stay equal.
func TestPseudonymsKeepOrderLengthAndLinks(t *testing.T) {
	db := database(t, canarySchema())
	dsn := server.SocketDSN(db)
	p, err := ExportProfile(t.Context(), dsn, ExportOptions{Key: []byte("0123456789abcdef")})
	if err != nil {
		t.Fatal(err)
	}
	clear, err := TakeProfile(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{}
	for _, a := range p.Attributes {
		types[a.Table+"."+a.Name] = a.Type
	}
	compared := 0
	for i, c := range p.Columns {
		was := clear.Columns[i]
		typ := types[c.Table+"."+c.Name]
		if typ == "" || c.Common == "" || strings.HasSuffix(typ, "[]") || strings.HasSuffix(typ, "range") {
			continue
		}
		const order = `SELECT array_agg(o ORDER BY v) FROM unnest($1::text::%s[]) WITH ORDINALITY x(v, o)`
		for _, pair := range [][2]string{{was.Common, c.Common}, {was.Bounds, c.Bounds}} {
			if pair[0] == "" {
				continue
			}
			compared++
			sql := fmt.Sprintf(order, typ)
			if a, b := ask(t, dsn, sql, pair[0]), ask(t, dsn, sql, pair[1]); a != b {
				t.Errorf("%s.%s: order %s became %s", c.Table, c.Name, a, b)
			}
		}
		if typ != "text" {
			continue
		}
		old, now := splitArray(was.Common), splitArray(c.Common)
		for k := range old {
			if len(old[k]) != len(now[k]) {
				t.Errorf("%s.%s: a value of %d bytes became one of %d", c.Table, c.Name, len(old[k]), len(now[k]))
			}
		}
	}
	if compared < 15 {
		t.Errorf("only %d lists were compared", compared)
	}
	again, err := ExportProfile(t.Context(), dsn, ExportOptions{Key: []byte("0123456789abcdef")})
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Columns {
		if p.Columns[i].Common != again.Columns[i].Common {
			t.Errorf("%s: the same key gave other pseudonyms", p.Columns[i].Name)
		}
	}
}

func TestColumnsThatWereClearedLeaveAsTheyAre(t *testing.T) {
	db := database(t, `CREATE TABLE roles (name text PRIMARY KEY);
CREATE TABLE users (id int PRIMARY KEY, role text REFERENCES roles, note text);
INSERT INTO roles VALUES ('admin'), ('guest');
INSERT INTO users SELECT g, CASE WHEN g % 9 = 0 THEN 'admin' ELSE 'guest' END, 'hush' || g % 4 FROM generate_series(1, 900) g; ANALYZE`)
	p, err := ExportProfile(t.Context(), server.SocketDSN(db), ExportOptions{Clear: []string{"users.role"}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); !strings.Contains(s, "guest") || strings.Contains(s, "hush") {
		t.Errorf("cleared and kept columns are mixed up")
	}
	if !strings.Contains(strings.Join(p.Left, "\n"), "AS THEY ARE, because that was asked: the values in the statistics of roles.name, users.role") {
		t.Errorf("what was cleared is not said: %q", p.Left)
	}
	_, err = ExportProfile(t.Context(), server.SocketDSN(db), ExportOptions{Clear: []string{"users.rule"}})
	if err == nil || !strings.Contains(err.Error(), `no column "users.rule"`) {
		t.Errorf("an unknown column gave %v", err)
	}
}

// A role without superuser gets what it may see, and is told of the rest.
func TestProfileSaysWhatTheRoleMayNotSee(t *testing.T) {
	db := database(t, `CREATE TABLE open (id int PRIMARY KEY, v text); CREATE TABLE closed (id int PRIMARY KEY, v text);
INSERT INTO open SELECT g, 'v' || g % 3 FROM generate_series(1, 500) g; INSERT INTO closed TABLE open; ANALYZE`)
	run(t, server.SocketDSN(db), `CREATE ROLE reader LOGIN PASSWORD 'canary-pw'; CREATE ROLE nobody LOGIN PASSWORD 'canary-pw'; GRANT SELECT ON open TO reader`)
	defer run(t, server.SocketDSN(db), `DROP OWNED BY reader; DROP ROLE reader; DROP ROLE nobody`)
	as := func(role, password, database string) string {
		u := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Host: server.Addr(), Path: "/" + database, RawQuery: "sslmode=disable"}
		return u.String()
	}
	p, err := ExportProfile(t.Context(), as("reader", "canary-pw", db), ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(p.Missing, "\n"), "statistics of public.closed: the role may not SELECT") {
		t.Errorf("missing: %q", p.Missing)
	}
	seen := 0
	for _, c := range p.Columns {
		if c.Table == "closed" {
			t.Error("statistics of a table that the role may not read")
		}
		seen++
	}
	if seen == 0 {
		t.Error("no statistics of a table that the role may read")
	}
	for _, c := range []struct{ name, dsn, says, hint string }{
		{"no rights at all", as("nobody", "canary-pw", db), "may not SELECT from any table", "pg_read_all_data"},
		{"a wrong password", as("reader", "canary-no", db), "password authentication failed", "password"},
		{"a database that is not there", as("reader", "canary-pw", "nowhere"), "does not exist", "name"},
		{"nobody listens", "postgres://reader:canary-pw@127.0.0.1:1/x?sslmode=disable", "connect", "address"},
		{"no address", "postgres://reader:canary-pw%zz@127.0.0.1/x", "cannot be read", "postgres://"},
		{"an empty database", server.SocketDSN("template1"), "no table", "name"},
	} {
		_, err := ExportProfile(t.Context(), c.dsn, ExportOptions{})
		e, ok := errors.AsType[*premortem.Error](err)
		if !ok {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !strings.Contains(err.Error(), c.says) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s: %v; hint: %s", c.name, err, e.Hint)
		}
		if strings.Contains(err.Error()+e.Hint, "canary") {
			t.Errorf("%s: the password is said: %v", c.name, err)
		}
	}
}

func TestServersThatAreNotKnownAreRefused(t *testing.T) {
	for version, says := range map[int]string{80002: "PostgreSQL 8;", 110022: "PostgreSQL 11;", 190000: "PostgreSQL 19;"} {
		if err := supported(version); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%d: %v", version, err)
		}
	}
	for _, version := range []int{120001, 150018, 180000} {
		if err := supported(version); err != nil {
			t.Errorf("%d: %v", version, err)
		}
	}
}

func TestStatementsLoseTheirLiterals(t *testing.T) {
	for in, want := range map[string]string{
		"SELECT * FROM t WHERE a = $1 AND b = 'it''s canary'":           "SELECT * FROM t WHERE a = $1 AND b = ?",
		"/* user:canary */ SELECT 1 -- canary\nFROM t ORDER BY 1":       "SELECT 1  FROM t ORDER BY 1",
		"SELECT E'can\\'ary', $$canary$$, $x$canary$x$, U&'canary'":     "SELECT ?, ?, ?, ?",
		"SELECT a1, \"B'2\", x.c_99 FROM t WHERE n > 123.5e3 LIMIT $2":  "SELECT a1, \"B'2\", x.c_99 FROM t WHERE n > ? LIMIT $2",
		"SELECT '4711'::numeric(10,2), interval '7 days', name'canary'": "SELECT ?::numeric(10,2), interval ?, name?",
		"ALTER ROLE x PASSWORD 'canary'":                                "",
		"<insufficient privilege>":                                      "",
	} {
		if got := maskStatement(in); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

// The whole way with the extension, which must be loaded with the server.
func TestProfileHoldsNormalisedStatements(t *testing.T) {
	longOnly(t)
	settings := Loading()
	settings["shared_preload_libraries"] = "pg_stat_statements"
	s, err := Start(t.Context(), server.bin, Options{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	db := databaseOn(t, s, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements; CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' FROM generate_series(1, 100) g; ANALYZE")
	run(t, s.SocketDSN(db), "SELECT /* canary */ * FROM t WHERE v = 'canary'; CREATE ROLE x PASSWORD 'canary'")
	p, err := ExportProfile(t.Context(), s.SocketDSN(db), ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, st := range p.Statements {
		found = found || st.Text == "SELECT   * FROM t WHERE v = $1"
		if strings.Contains(st.Text, "canary") {
			t.Errorf("a value is left: %s", st.Text)
		}
	}
	if !found {
		t.Errorf("the statement is not there: %+v", p.Statements)
	}
}
