package postgres

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

// lockLook samples who waits for one session, from a connection of its own.
type lockLook struct {
	pid    uint32
	cancel context.CancelCauseFunc
	loop   sync.WaitGroup

	mu      sync.Mutex
	at      int // step under way, -1 none
	began   int // step that began last: its locks may be held on
	last    time.Time
	samples int
	gap     time.Duration
	own     map[int]time.Duration                   // the session's own waiting, by step
	seen    map[int]map[premortem.LockHold]lockSpan // its locks, by step
	waits   map[string]*blocked
	atOnce  int
	err     error
}

type lockSpan struct{ first, last time.Time }

// blocked is one statement of another session while it waited.
type blocked struct {
	lockSpan
	step int
}

// lookQueries are asked together: who waits for whom, and what the session locked. A
// session in front of another in the line counts as blocking it.
const lookQueries = `SELECT pid, query_start, array_to_string(pg_blocking_pids(pid), ',') FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database();
SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname, l.mode FROM pg_locks l
JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.locktype = 'relation' AND l.granted AND c.relkind IN ('r', 'p', 'm') AND l.relation >= 16384 AND l.pid = `

func lookAtLocks(ctx context.Context, dsn string, pid uint32, every time.Duration) (*lockLook, error) {
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	l := &lockLook{pid: pid, at: -1, began: -1, own: map[int]time.Duration{}, seen: map[int]map[premortem.LockHold]lockSpan{}, waits: map[string]*blocked{}}
	if err := l.sample(ctx, c); err != nil {
		closeConn(c)
		return nil, err
	}
	loop, cancel := context.WithCancelCause(ctx)
	l.cancel = cancel
	l.loop.Go(func() { l.run(loop, c, every) })
	return l, nil
}

func (l *lockLook) run(ctx context.Context, c *pgx.Conn, every time.Duration) {
	defer closeConn(c)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := l.sample(ctx, c); err != nil {
			if ctx.Err() == nil {
				l.mu.Lock()
				l.err = err
				l.mu.Unlock()
			}
			return
		}
	}
}

func (l *lockLook) sample(ctx context.Context, c *pgx.Conn) error {
	results, err := c.PgConn().Exec(ctx, lookQueries+strconv.FormatUint(uint64(l.pid), 10)).ReadAll()
	if err != nil {
		return err
	}
	if len(results) != 2 {
		return errors.New("the view of the locks gave no answer")
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	since := time.Duration(0)
	if !l.last.IsZero() {
		since = now.Sub(l.last)
		l.gap = max(l.gap, since)
	}
	l.last = now
	l.samples++
	for _, row := range results[1].Rows {
		if mode := string(row[1]); stronger(mode) && l.at >= 0 {
			l.lock(now, premortem.LockHold{Table: string(row[0]), Mode: lockMode(mode)})
		}
	}
	behind := map[string]string{} // pid → blockers
	for _, row := range results[0].Rows {
		behind[string(row[0])] = string(row[2])
	}
	own := strconv.FormatUint(uint64(l.pid), 10)
	if _, waits := behind[own]; waits && l.at >= 0 {
		l.own[l.at] += since
	}
	atOnce := 0
	for _, row := range results[0].Rows {
		pid := string(row[0])
		if pid == own || !reaches(behind, pid, own, 0) {
			continue
		}
		atOnce++
		key := pid + " " + string(row[1])
		if b := l.waits[key]; b != nil {
			b.last = now
		} else {
			l.waits[key] = &blocked{lockSpan{now.Add(-since), now}, l.began}
		}
	}
	l.atOnce = max(l.atOnce, atOnce)
	return nil
}

func (l *lockLook) lock(now time.Time, lock premortem.LockHold) {
	if l.seen[l.at] == nil {
		l.seen[l.at] = map[premortem.LockHold]lockSpan{}
	}
	s, ok := l.seen[l.at][lock]
	if !ok {
		s.first = now
	}
	s.last = now
	l.seen[l.at][lock] = s
}

// reaches follows the blockers of a session up to the one that is asked for.
func reaches(behind map[string]string, from, to string, depth int) bool {
	if depth > 20 {
		return false // a deadlock that is about to be found
	}
	for b := range strings.SplitSeq(behind[from], ",") {
		if b == to || b != "" && reaches(behind, b, to, depth+1) {
			return true
		}
	}
	return false
}

// step says which step is under way, -1 none, and returns the moment.
func (l *lockLook) step(at int) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at = at; at >= 0 {
		l.began = at
	}
	return time.Now()
}

// waited is how long the session itself waited for locks in a step.
func (l *lockLook) waited(at int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.own[at]
}

// held are the locks on known tables that were seen in a step.
func (l *lockLook) held(at int, known map[string]bool) []premortem.LockHold {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []premortem.LockHold{}
	for lock, s := range l.seen[at] {
		if known[lock.Table] {
			lock.Held = s.last.Sub(s.first).Seconds()
			out = append(out, lock)
		}
	}
	sortLocks(out)
	return out
}

// end stops looking and writes down who waited.
func (l *lockLook) end(out *premortem.MigrationRun) error {
	l.cancel(errors.New("the migration has ended"))
	l.loop.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	out.Samples, out.Gap, out.BlockedAtOnce, out.Blocked = l.samples, l.gap.Seconds(), l.atOnce, len(l.waits)
	for _, b := range l.waits {
		took := b.last.Sub(b.first).Seconds()
		out.BlockedSeconds += took
		out.BlockedLongest = max(out.BlockedLongest, took)
		if b.step >= 0 && b.step < len(out.Steps) {
			s := &out.Steps[b.step]
			s.Blocked++
			s.BlockedLongest = max(s.BlockedLongest, took)
		}
	}
	return l.err
}
