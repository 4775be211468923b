package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/premortem/premortem"
)

func TestSplitFindsTheStatements(t *testing.T) {
	for _, c := range []struct {
		name, sql string
		want      []string
	}{
		{"plain", "a; b;\nc", []string{"a", "b", "c"}},
		{"empty statements go", ";; a ;\n; -- only a comment\n", []string{"a"}},
		{"strings hold semicolons", `a 'x;''y'; b "q;""z"; c E'\';'; d`, []string{`a 'x;''y'`, `b "q;""z"`, `c E'\';'`, "d"}},
		{"dollar quotes", "do $$ a; b $$; do $x$ $$;$$ $x$; e $1; f", []string{"do $$ a; b $$", "do $x$ $$;$$ $x$", "e $1", "f"}},
		{"comments", "-- x;\na /* ; /* ; */ ; */ b; -- ;\nc", []string{"a /* ; /* ; */ ; */ b", "c"}},
		{"psql commands", "\\restrict abc\nSELECT 1;\n\\connect x\nSELECT 2;", []string{"SELECT 1", "SELECT 2"}},
		{"copy", "COPY t (a) FROM stdin;\n1;\n2\n\\.\nSELECT 3;", []string{"COPY t (a) FROM stdin", "SELECT 3"}},
		{"standard bodies", "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3", []string{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END", "SELECT 3"}},
		{"unterminated", "a 'x; b", []string{"a 'x; b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, st := range split(c.sql) {
				got = append(got, st.text)
				if !strings.HasPrefix(c.sql[st.start:], st.text) {
					t.Errorf("%q does not start at %d", st.text, st.start)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("a; 'b;' $$c;$$ -- d\n/* e */")
	f.Add(shop)
	f.Fuzz(func(t *testing.T, sql string) {
		at := 0
		for _, st := range split(sql) {
			if st.start < at || !strings.HasPrefix(sql[st.start:], st.text) {
				t.Fatalf("%q at %d, after %d", st.text, st.start, at)
			}
			at = st.start + len(st.text)
		}
		_ = scrub(sql)
	})
}

func TestMigrationErrorsNameTheLine(t *testing.T) {
	for _, c := range []struct {
		name, sql string
		line      int
	}{
		{"a syntax error", "CREATE TABLE a (x int);\n\nCREATE TABLE b (\n  x int,\n  y itn\n);", 5},
		{"an error without a position", "CREATE TABLE a (x int);\n-- again\nCREATE TABLE a (x int);", 3},
		{"a value that breaks a key", "CREATE TABLE a (x int PRIMARY KEY);\nINSERT INTO a VALUES (1);\nINSERT INTO a VALUES (1);", 3},
		{"characters of many bytes", "SELECT 'ÄÖÜäöü',\n  nonsense;", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := database(t, "")
			err := server.Migrate(t.Context(), db, []Migration{
				{Name: "001.sql", SQL: "CREATE TABLE ok (x int)", Pos: premortem.Pos{File: "migrations/001.sql", Line: 1}},
				{Name: "002.sql", SQL: c.sql, Pos: premortem.Pos{File: "migrations/002.sql", Line: 1}},
			})
			wantError(t, err, fmt.Sprintf("migrations/002.sql:%d:", c.line))
			if got := ask(t, server.SocketDSN(db), "SELECT to_regclass('ok') || coalesce(to_regclass('a')::text, ' alone')"); got != "ok alone" {
				t.Errorf("a failed file left something behind: %s", got)
			}
		})
	}
}

func TestMigrationsRunAsTheAppAndWhatRefusesTransactionsRuns(t *testing.T) {
	db := database(t, "")
	err := server.Migrate(t.Context(), db, []Migration{
		{Name: "1.sql", SQL: "\\restrict x\nSELECT pg_catalog.set_config('search_path', '', false);\nCREATE TABLE public.t (a int, b text);\nALTER TABLE public.t OWNER TO postgres;\nCOPY public.t (a, b) FROM stdin;\n1\tone; two\n2\t\\N\n\\.\n"},
		{Name: "2.sql", SQL: "CREATE INDEX CONCURRENTLY t_a ON t (a);"},
		{Name: "3.sql", SQL: "-- migrate:up\nCREATE EXTENSION IF NOT EXISTS pgcrypto;\nBEGIN; CREATE TABLE u (id uuid DEFAULT gen_random_uuid()); COMMIT;\n-- migrate:down\nDROP TABLE u;"},
		{Name: "4.sql", SQL: "GRANT SELECT ON t TO reporting_role; ALTER TABLE u OWNER TO shop_owner_role;"},
		{Name: "5.sql", SQL: "-- nothing\n"},
		{Name: "6.sql", SQL: "CREATE TYPE m AS ENUM ('a'); ALTER TYPE m ADD VALUE 'b'; CREATE TABLE v (m m DEFAULT 'b');"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, server.DSN(db), "SELECT string_agg(b, '') || (SELECT tableowner FROM pg_tables WHERE tablename = 't') FROM t"); got != "one; twopostgres" {
		t.Errorf("got %q", got)
	}
	if got := ask(t, server.SocketDSN(db), "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass"); got != "true" {
		t.Errorf("the concurrent index is valid: %s", got)
	}
}

func TestTemplateInUseIsNamed(t *testing.T) {
	db := database(t, "CREATE TABLE t (a int)")
	if err := server.CreateDatabase(t.Context(), db, ""); err == nil {
		t.Error("a database was made twice")
	} else {
		wantError(t, err, db, "drop")
	}
	copied := db + "_copy"
	if err := server.CreateDatabase(t.Context(), copied, db); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, server.DSN(copied), "SELECT count(*) FROM t"); got != "0" {
		t.Errorf("the copy has no table t: %s", got)
	}
	if err := server.DropDatabase(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if err := server.DropDatabase(t.Context(), copied); err != nil {
		t.Errorf("dropping what is gone: %v", err)
	}
	sizes, err := server.Sizes(t.Context(), db)
	if err != nil || len(sizes) != 1 || sizes[0].Table != "t" {
		t.Errorf("sizes are %v, %v", sizes, err)
	}
}

func TestFullDiskIsRecognised(t *testing.T) {
	for _, err := range []error{
		&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC},
		&pgconn.PgError{Code: "53100", Message: "could not extend file"},
		errors.New("initdb: error: could not write file: No space left on device"),
	} {
		if !isDiskFull(fmt.Errorf("load: %w", err)) {
			t.Errorf("%v is not taken for a full disk", err)
		}
		wantError(t, server.explain("start postgres", err), "free space")
		wantError(t, server.databaseError("create database x", err), "free space")
	}
	if isDiskFull(nil) || isDiskFull(context.Canceled) {
		t.Error("everything is a full disk")
	}
}
