package wire

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestPostgresTapAttachedInMidConnectionFindsItsPlace(t *testing.T) {
	var seen calls
	e, dsn := tapped(t, Splice())
	c := connected(t, dsn, pgx.QueryExecModeCacheStatement)
	execute(t, c, "SELECT 1, $1::int", 5) // prepared out of sight
	e.Use(Postgres(seen.record))
	settle(t, e)
	execute(t, c, "SELECT 2") // its answer is the first that says where messages end
	seen.take()
	execute(t, c, "SELECT 3, $1::int", 5)
	execute(t, c, "SELECT 1, $1::int", 5)
	wantCalls(t, "attached", seen.take(), "SELECT ?, ?::int rows=1", "unknown statement rows=1")
	if e.Blind() != 0 {
		t.Error("the tap gave up")
	}
}

func TestPostgresTapKeepsItsStateThroughSwaps(t *testing.T) {
	var first, second calls
	e, dsn := tapped(t, Postgres(first.record))
	c := connected(t, dsn, pgx.QueryExecModeCacheStatement)
	execute(t, c, "SELECT 1, $1::int", 5)
	first.take()
	// Nothing passes while other pipes run: the place is not lost.
	for _, p := range []Pipe{Splice(), Copying, byTheByte, deaf, Postgres(second.record)} {
		e.Use(p)
		settle(t, e)
	}
	execute(t, c, "SELECT 1, $1::int", 5)
	wantCalls(t, "idle swap", second.take(), "SELECT ?, ?::int rows=1")

	// A statement passes unseen: its successor is read again, with names still known.
	e.Use(Splice())
	settle(t, e)
	execute(t, c, "SELECT 'unseen'")
	e.Use(Postgres(second.record))
	settle(t, e)
	execute(t, c, "SELECT 'beginning'")
	second.take()
	execute(t, c, "SELECT 1, $1::int", 5)
	wantCalls(t, "after a gap", second.take(), "SELECT ?, ?::int rows=1")
	if len(first.take()) != 0 {
		t.Error("the old record function was called")
	}

	// A swap while the server works: the call is recorded by the new tap.
	done := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := c.Exec(context.Background(), "SELECT pg_sleep(0.2)")
		done <- err
	})
	time.AfterFunc(50*time.Millisecond, func() { e.Use(Postgres(first.record)) })
	wg.Wait()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	got := append(first.take(), second.take()...)
	if !slices.ContainsFunc(got, func(c Call) bool { return c.Op == "SELECT pg_sleep(?)" && c.Took > 150*time.Millisecond }) {
		t.Errorf("got %v", got)
	}
}

func TestPostgresWorksWhilePipesAreSwappedUnderLoad(t *testing.T) {
	tally := NewTally("service/api", "store/main")
	e, dsn := tapped(t, Postgres(tally.Record))
	swaps := 2000
	if testing.Short() {
		swaps = 200
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 4 {
		c := connected(t, dsn, []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeSimpleProtocol}[i%2])
		wg.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				rows, err := c.Query(context.Background(), "SELECT g FROM generate_series(1, $1::int) g", n%1000)
				if err != nil {
					t.Error(err)
					return
				}
				got := 0
				for rows.Next() {
					got++
				}
				if rows.Err() != nil || got != n%1000 {
					t.Errorf("%d rows, want %d: %v", got, n%1000, rows.Err())
					return
				}
			}
		})
	}
	for i := range swaps {
		e.Use([]Pipe{Postgres(tally.Record), Splice(), Postgres(tally.Record), byTheByte}[i%4])
		settle(t, e)
	}
	stop()
	wg.Wait()
	for _, s := range tally.Take() {
		if !strings.HasPrefix(s.Op, "SELECT g FROM") && s.Op != "CONNECT" && s.Op != "unknown statement" || s.Errors > 0 {
			t.Errorf("an operation that nobody asked for: %d × %s, %v", s.Count, s.Op, s.Kinds)
		}
	}
	if e.Blind() > 0 {
		t.Errorf("%d connections were given up", e.Blind())
	}
}
