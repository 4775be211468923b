package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

// mostStatements is how many statements a Take reports, the heaviest.
const mostStatements = 50

// Watcher samples what the sessions of a server do. It watches from a connection
// of its own and leaves itself and our other connections out.
type Watcher struct {
	// HasStatements says that statements are counted: pg_stat_statements is loaded.
	HasStatements bool

	dsn    string
	major  int
	cancel context.CancelCauseFunc
	loop   sync.WaitGroup

	mu     sync.Mutex
	seen   premortem.DatabaseStats // since the last Take
	active int                     // sum over the samples
	hot    []premortem.HotRow      // since the last Take
	blind  error                   // why the last sample failed, nil when it did not
	last   counters
}

// counters only grow while the server runs.
type counters struct {
	deadlocks, temp int64
	statements      map[statementKey]statementCount
}

type statementKey struct {
	query, user uint64
	top         bool
}

type statementCount struct {
	calls, rows, hit, read, temp int64
	total                        float64 // milliseconds
}

// Watch starts sampling every so often; 0 means every 50 ms. The watched database
// is that of the connection; sessions on others are not counted.
func Watch(ctx context.Context, dsn string, every time.Duration) (*Watcher, error) {
	if every <= 0 {
		every = 50 * time.Millisecond
	}
	w := &Watcher{dsn: dsn}
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, &premortem.Error{Doing: "watch the database", Err: err}
	}
	if err := w.begin(ctx, c); err != nil {
		closeConn(c)
		return nil, &premortem.Error{Doing: "watch the database", Err: err}
	}
	// The loop outlives the call, but not Close.
	loop, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	w.cancel = cancel
	w.loop.Go(func() { w.run(loop, c, every) })
	return w, nil
}

func (w *Watcher) begin(ctx context.Context, c *pgx.Conn) error {
	if err := c.QueryRow(ctx, "SELECT current_setting('server_version_num')::int / 10000").Scan(&w.major); err != nil {
		return err
	}
	// Reading the view fails when the extension is not there or the library not loaded.
	_, err := c.Exec(ctx, "SELECT 1 FROM pg_stat_statements LIMIT 1", pgx.QueryExecModeSimpleProtocol)
	w.HasStatements = err == nil
	w.last, err = w.count(ctx, c)
	return err
}

// run samples until Close. A connection that is lost, as by a restart of the
// server, is made again at the next sample.
func (w *Watcher) run(ctx context.Context, c *pgx.Conn, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		err := errors.New("no connection")
		if c == nil {
			c, err = pgx.Connect(ctx, w.dsn)
		}
		if c != nil {
			if err = w.sample(ctx, c); err != nil {
				closeConn(c)
				c = nil
			}
		}
		w.mu.Lock()
		w.blind = err
		w.mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	if c != nil {
		closeConn(c)
	}
}

// sample looks at the sessions once. A session that waits for a client while it
// holds a transaction open is idle in transaction, not active.
func (w *Watcher) sample(ctx context.Context, c *pgx.Conn) error {
	const sql = `SELECT pid, coalesce(state, ''), coalesce(wait_event_type, ''), coalesce(wait_event, ''),
  coalesce(extract(epoch FROM clock_timestamp() - state_change)::float8, 0)
FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = current_database()
  AND pid <> pg_backend_pid() AND application_name <> 'premortem'`
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	rows, err := c.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	g := glance{waits: map[string]int{}}
	for rows.Next() {
		var state, kind, event string
		var pid int32
		var since float64
		if err := rows.Scan(&pid, &state, &kind, &event, &since); err != nil {
			return err
		}
		g.add(pid, state, kind, event, since)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	queues, err := seeQueue(ctx, c, g.locks, g.resting)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(g)
	w.seen.IdleBlocked = max(w.seen.IdleBlocked, queues.behindIdle)
	w.hot = queues.count(w.hot)
	return nil
}

// glance is what the sessions did at one moment.
type glance struct {
	conns, active, idle, locks int
	resting                    []int32 // idle in a transaction
	longest                    float64 // seconds that one of them has been so
	waits                      map[string]int
}

func (g *glance) add(pid int32, state, kind, event string, since float64) {
	g.conns++
	switch state {
	case "active":
		g.active++
		if kind != "" && kind != "Client" {
			g.waits[kind+"/"+event]++
		}
		if kind == "Lock" {
			g.locks++
		}
	case "idle in transaction", "idle in transaction (aborted)":
		g.idle++
		g.resting = append(g.resting, pid)
		g.longest = max(g.longest, since)
	}
}

// note adds a glance to what was seen; w.mu is held.
func (w *Watcher) note(g glance) {
	s := &w.seen
	s.Samples++
	w.active += g.active
	s.ActiveMax = max(s.ActiveMax, g.active)
	s.ConnsMax = max(s.ConnsMax, g.conns)
	s.IdleInTx = max(s.IdleInTx, g.idle)
	s.LockWaits = max(s.LockWaits, g.locks)
	s.IdleLongest = max(s.IdleLongest, g.longest)
	if s.Waits == nil {
		s.Waits = map[string]int{}
	}
	for k, n := range g.waits {
		s.Waits[k] += n
	}
}

// Take returns what happened since the last Take, or since Watch, and starts anew.
// Watched is false when no sample was taken. It fails when the counters cannot be
// read, and then nothing is lost: the next Take covers both spans.
func (w *Watcher) Take(ctx context.Context) (premortem.DatabaseStats, error) {
	var now counters
	var deltas []delta
	err := connected(ctx, w.dsn, func(c *pgx.Conn) (err error) {
		if now, err = w.count(ctx, c); err != nil {
			return err
		}
		deltas, err = w.heaviest(ctx, c, now)
		return err
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		return premortem.DatabaseStats{}, fmt.Errorf("read the database's counters: %w", errors.Join(err, w.blind))
	}
	out := w.seen
	out.Waits = maps.Clone(w.seen.Waits)
	out.HotRows = hottest(w.hot)
	out.Watched = out.Samples > 0
	if out.Samples > 0 {
		out.ActiveMean = float64(w.active) / float64(out.Samples)
	}
	out.Deadlocks = since(now.deadlocks, w.last.deadlocks)
	out.TempBytes = since(now.temp, w.last.temp)
	for _, d := range deltas {
		out.Statements = append(out.Statements, d.stats)
	}
	w.seen, w.active, w.hot, w.last = premortem.DatabaseStats{}, 0, nil, now
	return out, nil
}

// since is the growth of a counter; one that fell was reset and counts from zero.
func since(now, before int64) int64 {
	if now < before {
		return now
	}
	return now - before
}

// Close stops sampling and ends the connection.
func (w *Watcher) Close() error {
	w.cancel(errors.New("the watcher was closed"))
	w.loop.Wait()
	return nil
}

// count reads the counters of the database.
func (w *Watcher) count(ctx context.Context, c *pgx.Conn) (counters, error) {
	now := counters{statements: map[statementKey]statementCount{}}
	row := c.QueryRow(ctx, "SELECT deadlocks, temp_bytes FROM pg_stat_database WHERE datname = current_database()")
	if err := row.Scan(&now.deadlocks, &now.temp); err != nil {
		return now, err
	}
	if !w.HasStatements {
		return now, nil
	}
	rows, err := c.Query(ctx, "SELECT userid::bigint, queryid, "+w.topLevel()+", calls, "+w.execTime()+
		", rows, shared_blks_hit, shared_blks_read, temp_blks_written FROM pg_stat_statements(false) "+ownStatements)
	if err != nil {
		return now, err
	}
	defer rows.Close()
	for rows.Next() {
		var user, query int64
		var k statementKey
		var n statementCount
		if err := rows.Scan(&user, &query, &k.top, &n.calls, &n.total, &n.rows, &n.hit, &n.read, &n.temp); err != nil {
			return now, err
		}
		k.user, k.query = uint64(user), uint64(query)
		now.statements[k] = n
	}
	return now, rows.Err()
}

// ownStatements leaves out other databases and what we run ourselves as superuser.
const ownStatements = `WHERE queryid IS NOT NULL AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND userid NOT IN (SELECT oid FROM pg_roles WHERE rolname = '` + owner + `')`

func (w *Watcher) execTime() string {
	if w.major >= 13 {
		return "total_exec_time"
	}
	return "total_time"
}

func (w *Watcher) topLevel() string {
	if w.major >= 14 {
		return "toplevel"
	}
	return "true"
}

type delta struct {
	key   statementKey
	stats premortem.StatementStats
}

// heaviest are the statements that took the most time since the last Take, with
// their text, which is read only for them.
func (w *Watcher) heaviest(ctx context.Context, c *pgx.Conn, now counters) ([]delta, error) {
	var out []delta
	w.mu.Lock()
	for k, n := range now.statements {
		b := w.last.statements[k]
		if n.calls < b.calls {
			b = statementCount{} // it was evicted or reset meanwhile
		}
		if n.calls == b.calls {
			continue
		}
		out = append(out, delta{k, premortem.StatementStats{
			Calls: n.calls - b.calls, Total: (n.total - b.total) / 1000, Rows: n.rows - b.rows,
			Hit: n.hit - b.hit, Read: n.read - b.read, Temp: n.temp - b.temp,
		}})
	}
	w.mu.Unlock()
	slices.SortFunc(out, func(a, b delta) int {
		return cmp.Or(-cmp.Compare(a.stats.Total, b.stats.Total), cmp.Compare(a.key.query, b.key.query), cmp.Compare(a.key.user, b.key.user))
	})
	out = out[:min(len(out), mostStatements)]
	if len(out) == 0 {
		return nil, nil
	}
	ids := make([]int64, len(out))
	for i := range out {
		ids[i] = int64(out[i].key.query)
	}
	rows, err := c.Query(ctx, "SELECT DISTINCT ON (queryid) queryid, query FROM pg_stat_statements WHERE queryid = ANY ($1) ORDER BY queryid", ids)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	texts := map[uint64]string{}
	for rows.Next() {
		var id int64
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return nil, err
		}
		texts[uint64(id)] = scrub(text) // utility statements are counted as written
	}
	for i := range out {
		out[i].stats.Query = texts[out[i].key.query]
	}
	return out, rows.Err()
}
