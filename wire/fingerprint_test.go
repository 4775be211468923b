package wire

import (
	"strings"
	"testing"
)

func TestFingerprintKeepsTheShapeAndDropsTheValues(t *testing.T) {
	for _, c := range []struct{ name, sql, want string }{
		{"parameter", `SELECT * FROM users WHERE id=$1`, `SELECT * FROM users WHERE id = ?`},
		{"string", `SELECT 1 FROM t WHERE a = 'it''s'`, `SELECT ? FROM t WHERE a = ?`},
		{"escape string", `SELECT E'a\'b', b'01', X'ff', N'x', U&'d\0061'`, `SELECT ?, ?, ?, ?, ?`},
		{"dollar quotes", `DO $body$ BEGIN 'x; $1 $$ END $body$;`, `DO ?`},
		{"numbers", `SELECT 1, 1.5, .5, 1e-3, 0xFF, 1_000, 5.`, `SELECT ?, ?, ?, ?, ?, ?, ?`},
		{"sign of a value", `WHERE a = -5 AND b IN (-1, - 2, $1) AND c BETWEEN -1 AND +1`, `WHERE a = ? AND b IN (?) AND c BETWEEN ? AND ?`},
		{"subtraction", `SELECT a -1, a- $1, (b)-1, x[1]-1`, `SELECT a - ?, a - ?, (b) - ?, x[?] - ?`},
		{"double sign", `SELECT a - -1`, `SELECT a - ?`},
		{"in list", `WHERE a IN (1,2,3) AND b NOT IN('a')`, `WHERE a IN (?) AND b NOT IN (?)`},
		{"in list with casts", `WHERE a IN ('a'::uuid, 'b'::uuid)`, `WHERE a IN (?::uuid)`},
		{"in list of rows", `WHERE (a, b) IN ((1, 2), (3, 4), (5, 6))`, `WHERE (a, b) IN ((?, ?))`},
		{"in list with a name", `WHERE 1 IN (a, b, b, 2)`, `WHERE ? IN (a, b, ?)`},
		{"array", `= ANY(ARRAY[1,2,3])`, `= ANY (ARRAY[?])`},
		{"values", "INSERT INTO t (a,b) VALUES (1, now()), ('x)', e'\\')'), ($1,(2)) RETURNING id", `INSERT INTO t (a, b) VALUES (?, now()) RETURNING id`},
		{"values in a join", `FROM (VALUES (1,2),(3,4)) AS v(a,b), w`, `FROM (VALUES (?, ?)) AS v(a, b), w`},
		{"quoted names stay", `SELECT "User"."email" FROM "public"."User" AS "User" WHERE "User"."na""me" = 'x'`, `SELECT "User"."email" FROM "public"."User" AS "User" WHERE "User"."na""me" = ?`},
		{"comments", "SELECT /* a /* nested */ b */ 1 -- end\n FROM t /*traceparent='00-1'*/", `SELECT ? FROM t`},
		{"layout", "  SELECT\n\ta ,b\r\nFROM   t\n", `SELECT a, b FROM t`},
		{"trailing semicolon", `COMMIT; `, `COMMIT`},
		{"two statements", `BEGIN;SELECT 1;`, `BEGIN; SELECT ?`},
		{"names with digits", `SELECT t1.c2 FROM t1, a$1`, `SELECT t1.c2 FROM t1, a$1`},
		{"casts", `SELECT '1' :: int, $1::text[], x :: numeric(10,2)`, `SELECT ?::int, ?::text[], x::numeric(?, ?)`},
		{"true and null as values", `VALUES (DEFAULT, NULL, true)`, `VALUES (DEFAULT, ?, ?)`},
		{"true and null as operators", `WHERE a IS NULL AND b IS NOT NULL AND c IS NOT TRUE AND d = TRUE AND e IS DISTINCT FROM NULL`, `WHERE a IS NULL AND b IS NOT NULL AND c IS NOT TRUE AND d = ? AND e IS DISTINCT FROM ?`},
		{"json operators", `SELECT a->>'b', a #>> '{x}', a @> $1, a ?| $2, a ? 'k'`, `SELECT a ->> ?, a #>> ?, a @> ?, a ?| ?, a ? ?`},
		{"functions", `SELECT count(*), lower( $1 ), coalesce(1,2) FROM t`, `SELECT count(*), lower(?), coalesce(?, ?) FROM t`},
		{"limit", `LIMIT 20 OFFSET 40`, `LIMIT ? OFFSET ?`},
		{"interval", `now() - interval '1 day'`, `now() - interval ?`},
		{"open string", `SELECT 'abc`, `SELECT ?`},
		{"empty", ` ; `, ``},
		{"not utf-8", "SELECT \xff, '\xfe'", "SELECT \xff, ?"},
	} {
		if got := Fingerprint(c.sql); got != c.want {
			t.Errorf("%s:\n  of %s\n got %s\nwant %s", c.name, c.sql, got, c.want)
		}
		if again := Fingerprint(c.want); again != c.want {
			t.Errorf("%s: the fingerprint's own fingerprint is %s", c.name, again)
		}
	}
}

// equal statements as a driver sends them: with parameters, and written out.
var equal = [][2]string{
	{`SELECT id FROM users WHERE lower(email) = lower($1)`, `SELECT id FROM users WHERE lower(email) = lower( 'a@b' )`},
	{`SELECT $1::int-$2`, `SELECT  '5' ::int- -3 `},
	{`INSERT INTO t VALUES($1,$2)`, `INSERT INTO t VALUES( null , true )`},
	{`UPDATE t SET a=$1,b=b-$2 WHERE id=$3`, `UPDATE t SET a= -1 ,b=b- 5  WHERE id= 'x' `},
	{`SELECT * FROM t WHERE a=$1 AND b IN ($2,$3) LIMIT $4`, `SELECT * FROM t WHERE a= false  AND b IN ( 1 , 2 ) LIMIT  10 `},
}

func TestFingerprintIsTheSameForWrittenValuesAndParameters(t *testing.T) {
	for _, e := range equal {
		if a, b := Fingerprint(e[0]), Fingerprint(e[1]); a != b {
			t.Errorf("%s\n%s\ndiffer", a, b)
		}
	}
}

func TestFingerprintOfAHugeStatementIsShort(t *testing.T) {
	rows := "INSERT INTO t VALUES (1, 'a')" + strings.Repeat(", (2, 'b')", 100_000)
	if got := Fingerprint(rows); got != "INSERT INTO t VALUES (?, ?)" {
		t.Errorf("got %.100s", got)
	}
	long := "SELECT " + strings.Repeat("ä_column, ", 10_000) + "x"
	got := Fingerprint(long)
	if len(got) > maxFingerprint+8 || !strings.HasSuffix(got, " …") {
		t.Errorf("%d bytes ending in %q", len(got), got[len(got)-10:])
	}
}

func FuzzFingerprint(f *testing.F) {
	for _, s := range []string{
		`SELECT * FROM "User" WHERE id = -1 AND a IN (1,2) -- x`, `VALUES (1),(2); select 'a''b' e'\'' $$x$$ $a$b$a$ $1`,
		`a/*/**/*/b ?| x[1:2] .5 0x1g u&"x" - - 5 IN ((1),(1))`, `(((((((((((((((((((((((((((((1)`, ")]},;::..", `- ; - 1 ; array[-1,-1]`,
	} {
		f.Add(s)
	}
	for _, e := range equal {
		f.Add(e[1])
	}
	f.Fuzz(func(t *testing.T, sql string) {
		got := Fingerprint(sql)
		if len(got) > maxFingerprint+8 {
			t.Fatalf("%d bytes", len(got))
		}
		if len(got) > 2*len(sql)+2 {
			t.Fatalf("%q grew to %q", sql, got)
		}
		if again := Fingerprint(got); again != got {
			t.Fatalf("%q gives %q, and that gives %q", sql, got, again)
		}
	})
}

func BenchmarkFingerprint(b *testing.B) {
	sql := []byte(`SELECT "User"."id", "User"."email", "User"."passwordHash", "User"."createdAt" FROM "Users" AS "User" WHERE lower("User"."email") = lower('somebody@example.com') AND "User"."deletedAt" IS NULL ORDER BY "User"."id" LIMIT 1;`)
	b.SetBytes(int64(len(sql)))
	b.ReportAllocs()
	space := make([]byte, 0, 1024)
	for b.Loop() {
		space = appendFingerprint(space[:0], sql)
	}
}
