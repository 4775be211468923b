package postgres

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// server is the one that every test shares; tests make databases of their own.
var server *Server

func TestMain(m *testing.M) {
	if dir := os.Getenv("PREMORTEM_TEST_CHILD"); dir != "" {
		childMain(dir)
		return
	}
	if cache := os.Getenv("PREMORTEM_TEST_FETCH"); cache != "" {
		fetchMain(cache)
		return
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	ctx := context.Background()
	b, err := Find(ctx, FindOptions{Major: 15})
	if err != nil {
		fmt.Fprintln(os.Stderr, "these tests need a PostgreSQL 15:", err)
		return 1
	}
	settings := Loading()
	settings["wal_level"] = "minimal"
	server, err = Start(ctx, b, Options{Settings: settings})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// database makes an empty database for a test and drops it afterwards.
func database(t testing.TB, sql string) string {
	t.Helper()
	return databaseOn(t, server, sql)
}

func databaseOn(t testing.TB, s *Server, sql string) string {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "_", "#", "_").Replace(t.Name()))
	name = name[max(0, len(name)-50):]
	if err := s.CreateDatabase(t.Context(), name, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.DropDatabase(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	if sql != "" {
		if err := s.Migrate(t.Context(), name, []Migration{{Name: "schema.sql", SQL: sql}}); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

// ask runs a query that answers one value, as text.
func ask(t testing.TB, dsn, sql string, args ...any) string {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(c)
	var out *string
	if err := c.QueryRow(t.Context(), "SELECT ("+sql+")::text", args...).Scan(&out); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if out == nil {
		return "NULL"
	}
	return *out
}

// run executes a script.
func run(t testing.TB, dsn, sql string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(c)
	if _, err := c.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// longOnly leaves a test that starts servers of its own, or fetches one, to the run
// without -short.
func longOnly(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("left to the run without -short")
	}
}
