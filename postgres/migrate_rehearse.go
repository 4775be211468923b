package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/premortem/premortem"
)

// Step is one statement of a migration that is rehearsed. Neighbours that are InTx
// share one transaction, unless Apart starts a new one.
type Step struct {
	SQL   string
	Pos   premortem.Pos
	InTx  bool
	Apart bool // begins a transaction of its own
	// Timeout limits the wait for its locks; when it is over, the transaction is tried
	// again from its start. 0 waits as long as it takes.
	Timeout time.Duration
	// Batch cuts an UPDATE without condition into parts with a COMMIT for each.
	Batch *Batch
}

// Batch is how a statement of every row is cut: along a key of one column.
type Batch struct {
	Table string // quoted
	Key   string // quoted
	Where string // condition of the rows that still need it, "" all
	Rows  int    // of one part; 0 means 2000
}

// Rehearsal says how a migration is measured.
type Rehearsal struct {
	Every    time.Duration // between looks at the locks; 0 means 5 ms
	Attempts int           // of a transaction whose locks did not come in time; 0 means 50
	Seed     int64         // of the pauses between them
}

// Rehearse applies statements to a database in use, as the app's role, and measures
// what each takes, waits for, locks, rewrites and logs, and whom it keeps waiting. A
// statement that fails ends the run: its error is in the answer, and what its
// transaction did is taken back. The error of Rehearse itself means that nothing
// could be measured.
func (s *Server) Rehearse(ctx context.Context, db string, steps []Step, o Rehearsal) (premortem.MigrationRun, error) {
	if o.Every <= 0 {
		o.Every = 5 * time.Millisecond
	}
	if o.Attempts <= 0 {
		o.Attempts = 50
	}
	out := premortem.MigrationRun{Steps: make([]premortem.MigrationStep, len(steps))}
	err := s.on(ctx, db, func(c *pgx.Conn) error {
		look, err := lookAtLocks(ctx, s.SocketDSN(db), c.PgConn().PID(), o.Every)
		if err != nil {
			return err
		}
		r := &rehearsal{s: s, o: o, c: c, look: look, out: &out, rng: rand.New(rand.NewPCG(uint64(o.Seed), 7))}
		began := time.Now()
		err = r.all(ctx, steps)
		out.Took = time.Since(began).Seconds()
		return errors.Join(err, look.end(&out))
	})
	if err != nil {
		return out, &premortem.Error{Doing: "rehearse a migration", Err: err}
	}
	return out, nil
}

// rehearsal is a migration under way.
type rehearsal struct {
	s    *Server
	o    Rehearsal
	c    *pgx.Conn
	look *lockLook
	out  *premortem.MigrationRun
	rng  *rand.Rand
}

func (r *rehearsal) all(ctx context.Context, steps []Step) error {
	for i := range steps {
		r.out.Steps[i] = premortem.MigrationStep{SQL: told(steps[i].SQL), Pos: steps[i].Pos, Rows: -1, Locks: []premortem.LockHold{}, Rewrote: []string{}}
	}
	start, err := r.position(ctx)
	if err != nil {
		return err
	}
	for from := 0; from < len(steps); {
		to := from + 1
		for steps[from].InTx && to < len(steps) && steps[to].InTx && !steps[to].Apart {
			to++
		}
		if err := r.group(ctx, steps[from:to], from); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			r.out.Error = told(err.Error())
			break
		}
		from = to
	}
	end, err := r.position(ctx)
	r.out.WAL = end - start
	return err
}

// told is a statement on one line without its values.
func told(sql string) string { return strings.Join(strings.Fields(sql), " ") }

// group applies what shares one transaction, again when its locks did not come.
func (r *rehearsal) group(ctx context.Context, steps []Step, at int) error {
	for try := 1; ; try++ {
		for i := range steps {
			r.out.Steps[at+i].Attempts = try
		}
		err := r.once(ctx, steps, at)
		pg, ok := errors.AsType[*pgconn.PgError](err)
		if err == nil || !ok || pg.Code != "55P03" || try == r.o.Attempts {
			return err
		}
		pause := time.NewTimer(time.Duration(20+r.rng.IntN(40*min(try, 10))) * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		}
	}
}

// once is one attempt. Statements that may run in a transaction get one even when the
// migration has none: alone in it they do the same, and their locks can be read.
func (r *rehearsal) once(ctx context.Context, steps []Step, at int) (err error) {
	first := steps[0]
	m := migrator{s: r.s, conn: r.c.PgConn(), made: map[string]bool{}}
	switch {
	case first.Batch != nil:
		return r.batches(ctx, &m, first, at)
	case len(steps) == 1 && !first.InTx && outsideTransaction.MatchString(split(first.SQL)[0].code):
		return r.outside(ctx, &m, first, at)
	}
	m.inside = true
	if err := m.exec(ctx, "BEGIN; SET LOCAL ROLE "+appRole); err != nil {
		return err
	}
	defer func() {
		if !r.c.PgConn().IsClosed() && r.c.PgConn().TxStatus() != 'I' {
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			err = errors.Join(err, m.exec(end, "ROLLBACK"))
		}
	}()
	granted := make([]map[premortem.LockHold]time.Time, len(steps)) // Held is zero in the keys
	for i, st := range steps {
		if granted[i], err = r.inside(ctx, &m, st, &r.out.Steps[at+i], at+i); err != nil {
			return err
		}
	}
	r.look.step(at + len(steps) - 1)
	if err := m.exec(ctx, "COMMIT; RESET ALL"); err != nil {
		return err
	}
	done := time.Now()
	for i := range steps {
		for lock, since := range granted[i] {
			lock.Held = done.Sub(since).Seconds()
			r.out.Steps[at+i].Locks = append(r.out.Steps[at+i].Locks, lock)
		}
		sortLocks(r.out.Steps[at+i].Locks)
	}
	return nil
}

// inside applies one statement in the open transaction and returns the locks that it
// took, with the moment from which they are held.
func (r *rehearsal) inside(ctx context.Context, m *migrator, st Step, out *premortem.MigrationStep, at int) (map[premortem.LockHold]time.Time, error) {
	before, err := r.see(ctx)
	if err != nil {
		return nil, err
	}
	if st.Timeout > 0 {
		if err := m.exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", st.Timeout.Milliseconds())); err != nil {
			return nil, err
		}
	}
	wal, err := r.position(ctx)
	if err != nil {
		return nil, err
	}
	earlier := r.look.waited(at) // in attempts before
	began := r.look.step(at)
	for _, one := range split(st.SQL) {
		if err := m.apply(ctx, one); err != nil {
			r.look.step(-1)
			return nil, err
		}
	}
	took := time.Since(began)
	waited := min(r.look.waited(at)-earlier, took)
	r.look.step(-1)
	after, err := r.see(ctx)
	if err != nil {
		return nil, err
	}
	end, err := r.position(ctx)
	if err != nil {
		return nil, err
	}
	out.Took, out.Waited, out.WAL = took.Seconds(), waited.Seconds(), end-wal
	out.Rewrote, out.Rows = after.rewrittenSince(before), after.touchedSince(before)
	held := map[premortem.LockHold]time.Time{}
	for lock := range after.locks {
		if !before.locks[lock] && before.existed[lock.Table] {
			held[lock] = began.Add(waited)
		}
	}
	for table := range after.writtenSince(before) {
		held[premortem.LockHold{Table: table, Mode: "ROW"}] = began.Add(waited)
	}
	return held, nil
}

// outside applies a statement that refuses a transaction. Its locks are those that
// the sampler saw.
func (r *rehearsal) outside(ctx context.Context, m *migrator, st Step, at int) error {
	before, err := r.see(ctx)
	if err != nil {
		return err
	}
	if err := m.exec(ctx, fmt.Sprintf("SET ROLE %s; SET lock_timeout = %d", appRole, st.Timeout.Milliseconds())); err != nil {
		return err
	}
	wal, err := r.position(ctx)
	if err != nil {
		return err
	}
	began := r.look.step(at)
	for _, one := range split(st.SQL) {
		if err = m.apply(ctx, one); err != nil {
			break
		}
	}
	took := time.Since(began)
	out := &r.out.Steps[at]
	out.Took, out.Waited = took.Seconds(), min(r.look.waited(at), took).Seconds()
	out.Locks = r.look.held(at, before.existed)
	r.look.step(-1)
	if resetErr := m.exec(ctx, "RESET ALL; RESET ROLE"); err != nil || resetErr != nil {
		return errors.Join(err, resetErr)
	}
	after, err := r.see(ctx)
	if err != nil {
		return err
	}
	end, err := r.position(ctx)
	out.WAL, out.Rewrote = end-wal, after.rewrittenSince(before)
	return err
}

// batches applies a statement part by part along its key. The end of the key is
// fixed at the start: rows that come later are somebody else's duty, or it would not
// end while the app inserts.
func (r *rehearsal) batches(ctx context.Context, m *migrator, st Step, at int) error {
	b, out := st.Batch, &r.out.Steps[at]
	size := b.Rows
	if size == 0 {
		size = 2000
	}
	if err := m.exec(ctx, "SET ROLE "+appRole); err != nil {
		return err
	}
	wal, err := r.position(ctx)
	if err != nil {
		return err
	}
	began := r.look.step(at)
	out.Rows, out.Batches = 0, 0
	err = func() error {
		var low, last *string
		if err := r.c.QueryRow(ctx, fmt.Sprintf("SELECT max(%s)::text FROM %s", b.Key, b.Table)).Scan(&last); err != nil || last == nil {
			return err
		}
		for longest := 0.0; ; {
			var high *string
			after := "true"
			if low != nil {
				after = b.Key + " > " + quoteLiteral(*low)
			}
			next := fmt.Sprintf("SELECT max(k)::text FROM (SELECT %[1]s k FROM %[2]s WHERE %[3]s AND %[1]s <= %[4]s ORDER BY %[1]s LIMIT %[5]d) part", b.Key, b.Table, after, quoteLiteral(*last), size)
			if err := r.c.QueryRow(ctx, next, pgx.QueryExecModeSimpleProtocol).Scan(&high); err != nil || high == nil {
				return err
			}
			where := after + " AND " + b.Key + " <= " + quoteLiteral(*high)
			if b.Where != "" {
				where += " AND (" + b.Where + ")"
			}
			part := time.Now()
			tag, err := r.c.Exec(ctx, st.SQL+" WHERE "+where, pgx.QueryExecModeSimpleProtocol)
			if err != nil {
				return err
			}
			longest = max(longest, time.Since(part).Seconds())
			out.Rows += tag.RowsAffected()
			out.Batches++
			out.Locks = []premortem.LockHold{{Table: unquoted(b.Table), Mode: "ROW", Held: longest}}
			low = high
		}
	}()
	out.Took, out.Waited = time.Since(began).Seconds(), r.look.waited(at).Seconds()
	r.look.step(-1)
	end, err2 := r.position(ctx)
	out.WAL = end - wal
	return errors.Join(err, err2, m.exec(ctx, "RESET ROLE"))
}

func unquoted(name string) string {
	return strings.TrimPrefix(strings.ReplaceAll(name, `"`, ""), "public.")
}

// position is where the server's log ends, in bytes.
func (r *rehearsal) position(ctx context.Context) (n int64, err error) {
	return n, r.c.QueryRow(ctx, "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").Scan(&n)
}
