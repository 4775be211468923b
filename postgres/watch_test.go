package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

func TestWatcherSeesWaitsAndStatements(t *testing.T) {
	db := database(t, "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0), (2, 0);")
	w, err := Watch(t.Context(), server.SocketDSN(db), 5*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if !w.HasStatements {
		t.Fatal("pg_stat_statements is not there")
	}
	waitForALock(t, w, server.DSN(db))
	s, err := w.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !s.Watched || s.Samples == 0 || s.ActiveMax < 1 || s.ActiveMean <= 0 || s.ConnsMax < 2 || s.IdleInTx < 1 || s.LockWaits < 1 {
		t.Errorf("stats are %+v", s)
	}
	if s.Waits["Lock/transactionid"] == 0 {
		t.Errorf("waits are %v", s.Waits)
	}
	found := false
	for _, st := range s.Statements {
		if strings.Contains(st.Query, "canary") {
			t.Errorf("a statement holds a value: %s", st.Query)
		}
		if strings.HasPrefix(st.Query, "UPDATE t SET n = n + $1 WHERE id") && st.Rows == 1 && st.Calls == 1 && st.Total > 0 {
			found = true
		}
	}
	if !found {
		t.Errorf("statements are %+v", s.Statements)
	}
	if s, err = w.Take(t.Context()); err != nil || len(s.Statements) > 0 {
		t.Errorf("the second Take repeats the first: %+v, %v", s.Statements, err)
	}
}

// waitForALock lets one session wait for another's row until the watcher saw it.
func waitForALock(t *testing.T, w *Watcher, dsn string) {
	t.Helper()
	holder, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(holder)
	tx, err := holder.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "UPDATE t SET n = n + 1 WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	g.Go(func() error {
		return connected(t.Context(), dsn, func(c *pgx.Conn) error {
			_, err := c.Exec(t.Context(), "UPDATE t SET n = n + 7 WHERE id = 1 AND 'canary' <> ''", pgx.QueryExecModeSimpleProtocol)
			return err
		})
	})
	waitFor(t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.seen.LockWaits > 0
	})
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// waitFor waits until a condition holds.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !holds() {
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			t.Fatal("it did not happen within 30 s")
		}
	}
}

func TestWatcherSurvivesARestart(t *testing.T) {
	longOnly(t)
	s, err := Start(t.Context(), server.Binaries(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w, err := Watch(t.Context(), s.SocketDSN("postgres"), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := s.Restart(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.seen.Samples > 0
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Take(t.Context()); err == nil {
		t.Error("Take on a dead server said nothing")
	}
}

func TestWatcherWithoutAServerFails(t *testing.T) {
	_, err := Watch(t.Context(), "host=/nonexistent user=x dbname=x", 0)
	if err == nil {
		t.Fatal("nothing is watched, silently")
	}
}
