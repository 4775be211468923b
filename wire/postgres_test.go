package wire

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// calls collects what a tap records.
type calls struct {
	mu  sync.Mutex
	all []Call
}

func (c *calls) record(one Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, one)
}

// take returns the calls so far, connecting left out, and forgets them.
func (c *calls) take() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.DeleteFunc(c.all, func(c Call) bool { return c.Op == "CONNECT" })
	c.all = nil
	return all
}

func (c *calls) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

// tapped returns an edge to PostgreSQL and the address of a database behind it.
func tapped(t testing.TB, p Pipe) (e *Edge, dsn string) {
	t.Helper()
	srv := database(t)
	e = opened(t, srv.Addr())
	e.Use(p)
	u, err := url.Parse(srv.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	u.Host = e.Addr()
	return e, u.String()
}

func connected(t testing.TB, dsn string, mode pgx.QueryExecMode) *pgx.Conn {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DefaultQueryExecMode = mode
	c, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func execute(t testing.TB, c *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := c.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// line is what the tests compare of a call.
func line(c Call) string {
	s := fmt.Sprintf("%s rows=%d", c.Op, c.Rows)
	if c.Err != "" {
		s += " err=" + c.Err
	}
	if c.InTx {
		s += " tx"
	}
	return s
}

func wantCalls(t testing.TB, what string, got []Call, want ...string) {
	t.Helper()
	var lines []string
	for _, c := range got {
		lines = append(lines, line(c))
		if c.Took <= 0 || c.Start.IsZero() || c.Conn == 0 || c.Err != "reset" && c.Bytes == 0 {
			t.Errorf("%s: %s: took %v from %v on connection %d, %d bytes", what, line(c), c.Took, c.Start, c.Conn, c.Bytes)
		}
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(lines, "\n     "), strings.Join(want, "\n     "))
	}
}

var modes = map[string]pgx.QueryExecMode{
	"cached statements": pgx.QueryExecModeCacheStatement, "cached descriptions": pgx.QueryExecModeCacheDescribe,
	"described each time": pgx.QueryExecModeDescribeExec, "extended without description": pgx.QueryExecModeExec,
	"simple": pgx.QueryExecModeSimpleProtocol,
}

func TestPostgresCallsAreTheSameInEveryMode(t *testing.T) {
	for name, mode := range modes {
		var seen calls
		_, dsn := tapped(t, Postgres(seen.record))
		c := connected(t, dsn, mode)
		execute(t, c, "CREATE TEMP TABLE users (id int, email text)")
		seen.take()
		execute(t, c, "INSERT INTO users SELECT g, 'u' || g FROM generate_series(1, $1::int) g", 10)
		var n int
		for range 2 {
			if err := c.QueryRow(t.Context(), "SELECT count(*) FROM users WHERE id > $1 AND email <> $2", 3, "u5").Scan(&n); err != nil || n != 6 {
				t.Fatalf("%s: %d, %v", name, n, err)
			}
		}
		tx, err := c.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), "UPDATE users SET email = $1 WHERE id <= $2", "x", 4); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), "SELECT 1 / $1::int", 0); err == nil {
			t.Fatal("no error")
		}
		tx.Rollback(t.Context())
		wantCalls(t, name, seen.take(),
			"INSERT INTO users SELECT g, ? || g FROM generate_series(?, ?::int) g rows=10",
			"SELECT count(*) FROM users WHERE id > ? AND email <> ? rows=1",
			"SELECT count(*) FROM users WHERE id > ? AND email <> ? rows=1",
			"begin rows=0",
			"UPDATE users SET email = ? WHERE id <= ? rows=4 tx",
			"SELECT ? / ?::int rows=0 err=22012 tx",
			"rollback rows=0 tx")
	}
}

func TestPostgresCallIsCountedBeforeItsAnswerArrives(t *testing.T) {
	var seen calls
	_, dsn := tapped(t, Postgres(seen.record))
	c := connected(t, dsn, pgx.QueryExecModeSimpleProtocol)
	seen.take()
	for i := range 300 {
		execute(t, c, "SELECT 1")
		if n := seen.count(); n != i+1 {
			t.Fatalf("%d calls are known after %d answers", n, i+1)
		}
	}
}

func TestPostgresTimeIsThatOfTheStatement(t *testing.T) {
	var seen calls
	_, dsn := tapped(t, Postgres(seen.record))
	for name, mode := range modes {
		c := connected(t, dsn, mode)
		seen.take()
		execute(t, c, "SELECT pg_sleep(0.05)")
		all := seen.take()
		if len(all) != 1 || all[0].Took < 50*time.Millisecond || time.Since(all[0].Start) < all[0].Took {
			t.Errorf("%s: %v", name, all)
		}
	}
}

func TestPostgresErrorsOfParseAndBindBelongToTheirStatement(t *testing.T) {
	for name, mode := range modes {
		var seen calls
		_, dsn := tapped(t, Postgres(seen.record))
		c := connected(t, dsn, mode)
		c.Exec(t.Context(), "SELECT nothing FROM nowhere WHERE a = 1")
		execute(t, c, "SELECT 2")
		wantCalls(t, name, seen.take(), "SELECT nothing FROM nowhere WHERE a = ? rows=0 err=42P01", "SELECT ? rows=1")
	}
	var seen calls
	_, dsn := tapped(t, Postgres(seen.record))
	c := connected(t, dsn, pgx.QueryExecModeExec)
	c.Exec(t.Context(), "SELECT $1::int", "no number")
	execute(t, c, "SELECT 2")
	wantCalls(t, "bind", seen.take(), "SELECT ?::int rows=0 err=22P02", "SELECT ? rows=1")
}

func TestPostgresPipelinesAreReadStatementByStatement(t *testing.T) {
	var seen calls
	_, dsn := tapped(t, Postgres(seen.record))
	c := connected(t, dsn, pgx.QueryExecModeCacheStatement)
	execute(t, c, "CREATE TEMP TABLE t (a int PRIMARY KEY)")
	seen.take()
	b := &pgx.Batch{}
	for i := range 3 {
		b.Queue("INSERT INTO t VALUES ($1)", i)
	}
	b.Queue("INSERT INTO t VALUES ($1)", 1) // fails: all after it is passed over
	b.Queue("SELECT * FROM t")
	if err := c.SendBatch(t.Context(), b).Close(); err == nil {
		t.Fatal("no error")
	}
	execute(t, c, "SELECT 1")
	insert := "INSERT INTO t VALUES (?) rows="
	wantCalls(t, "batch", seen.take(), insert+"1", insert+"1", insert+"1", insert+"0 err=23505", "SELECT ? rows=1")

	p := c.PgConn().StartPipeline(t.Context())
	for range 3 {
		p.SendQueryParams("SELECT 1", nil, nil, nil, nil)
		p.SendQueryParams("SELECT broken", nil, nil, nil, nil)
		p.SendQueryParams("SELECT 2, 3", nil, nil, nil, nil)
		p.Sync()
	}
	p.Close()
	execute(t, c, "SELECT 1 + 1")
	three := []string{"SELECT ? rows=1", "SELECT broken rows=0 err=42703"}
	wantCalls(t, "pipeline", seen.take(), append(slices.Concat(three, three, three), "SELECT ? + ? rows=1")...)
}

func TestPostgresCopyIsOneCallWithItsRows(t *testing.T) {
	var seen calls
	_, dsn := tapped(t, Postgres(seen.record))
	c := connected(t, dsn, pgx.QueryExecModeCacheStatement)
	execute(t, c, "CREATE TEMP TABLE t (a int, b text)")
	seen.take()
	rows := pgx.CopyFromSlice(20_000, func(i int) ([]any, error) { return []any{i, strings.Repeat("x", i%100)}, nil })
	if n, err := c.CopyFrom(t.Context(), pgx.Identifier{"t"}, []string{"a", "b"}, rows); n != 20_000 || err != nil {
		t.Fatal(n, err)
	}
	all := seen.take()
	wantCalls(t, "copy in", all[len(all)-1:], `copy "t" ("a", "b") from stdin binary rows=20000`)
	if _, err := c.PgConn().CopyTo(t.Context(), io.Discard, "COPY t TO STDOUT"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PgConn().CopyFrom(t.Context(), strings.NewReader("1\tx\nno number\ty\n"), "COPY t FROM STDIN"); err == nil {
		t.Fatal("no error")
	}
	execute(t, c, "SELECT 1")
	wantCalls(t, "copy out", seen.take(), "COPY t TO STDOUT rows=20000", "COPY t FROM STDIN rows=0 err=22P02", "SELECT ? rows=1")
}

func TestPostgresTerminatedConnectionIsAnErrorOfItsCall(t *testing.T) {
	var seen calls
	_, dsn := tapped(t, Postgres(seen.record))
	c := connected(t, dsn, pgx.QueryExecModeExec)
	seen.take()
	if _, err := c.Exec(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())"); err == nil {
		t.Fatal("no error")
	}
	if all := seen.take(); len(all) != 1 || all[0].Err != "57P01" {
		t.Errorf("got %v", all)
	}
}

func TestPostgresSampleHasTheLatestTextAndValues(t *testing.T) {
	tally := NewTally("service/api", "store/main")
	_, dsn := tapped(t, Postgres(tally.Record))
	for name, mode := range modes {
		tally.Forget()
		c := connected(t, dsn, mode)
		sql := "SELECT $1::int, $2::text, $3::bool, $4::uuid, $5::timestamptz, $6::float8, $7::date, $8::text"
		at := time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
		args := []any{-7, "it's", true, "0195d7c8-1e0c-7000-8000-0123456789ab", at, 1.5, at.Truncate(24 * time.Hour), nil}
		until(t, "a sample of "+name, func() bool { // the operation may have been sampled a moment ago
			execute(t, c, sql, args...)
			_, ok := tally.Sample(Fingerprint(sql))
			return ok
		})
		s, _ := tally.Sample(Fingerprint(sql))
		if mode == pgx.QueryExecModeSimpleProtocol {
			if !strings.Contains(s.Text, "'it''s'") || s.Args != nil {
				t.Errorf("%s: %s %q", name, s.Text, s.Args)
			}
			continue
		}
		want := []string{"-7", "it's", "true", "0195d7c8-1e0c-7000-8000-0123456789ab", "2026-03-04 05:06:07.000008Z", "1.5", "2026-03-04", `\N`}
		if mode == pgx.QueryExecModeExec { // text, as the driver writes it
			want[2], want[4], want[6] = "t", s.Args[4], s.Args[6]
		}
		if s.Text != sql || !slices.Equal(s.Args, want) {
			t.Errorf("%s: %s\n got %q\nwant %q", name, s.Text, s.Args, want)
		}
	}
}

func TestPostgresHugeValuesPassInBoundedMemory(t *testing.T) {
	size := 200 << 20
	if testing.Short() {
		size = 20 << 20
	}
	var seen calls
	_, dsn := tapped(t, Postgres(seen.record))
	c := connected(t, dsn, pgx.QueryExecModeSimpleProtocol)
	hijacked, err := c.PgConn().Hijack()
	if err != nil {
		t.Fatal(err)
	}
	defer hijacked.Conn.Close()
	seen.take()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	raw := hijacked.Conn
	fmt.Fprintf(raw, "Q\x00\x00\x00%cSELECT repeat('x', %d)\x00", 4+len(fmt.Sprintf("SELECT repeat('x', %d)", size))+1, size)
	n, err := io.CopyN(io.Discard, raw, int64(size))
	if err != nil {
		t.Fatal(n, err)
	}
	until(t, "the call is recorded", func() bool {
		raw.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		raw.Read(make([]byte, 1000))
		return seen.count() == 1
	})
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 2<<20 {
		t.Errorf("%d bytes were allocated for an answer of %d", grown, size)
	}
	if all := seen.take(); all[0].Rows != 1 || all[0].Bytes < uint64(size) {
		t.Errorf("got %d rows, %d bytes", all[0].Rows, all[0].Bytes)
	}
}

func TestPostgresNonsenseMakesTheTapBlindAndPasses(t *testing.T) {
	var seen calls
	e := opened(t, server(t, echo))
	e.Use(Postgres(seen.record))
	for _, s := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00\x00\x00\x08\x00\x03\x00\x00QQQQQQQQQQQQQQQQQ", "\x00\x00\x00\x08\x00\x03\x00\x00\xff"} {
		ask(t, dial(t, e.Addr()), s)
	}
	until(t, "three connections are blind", func() bool { return e.Blind() == 3 })
}
