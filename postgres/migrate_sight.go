package postgres

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

// sight is what a session knows of its tables between two statements: of its own
// transaction, exactly.
type sight struct {
	locks   map[premortem.LockHold]bool // Held is zero
	existed map[string]bool
	files   map[uint32]uint32 // table → file; a new file is a rewrite
	names   map[uint32]string
	read    map[string]int64 // rows read by this transaction
	written map[string]int64
}

const (
	sightLocks = `SELECT l.relation, l.mode FROM pg_locks l
WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation >= 16384`
	sightFiles = `SELECT c.oid, CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname, coalesce(pg_relation_filenode(c.oid), 0)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_t%'`
	sightRows = `SELECT CASE schemaname WHEN 'public' THEN '' ELSE schemaname || '.' END || relname,
  seq_tup_read + coalesce(idx_tup_fetch, 0), n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables`
)

// see looks once. It takes no lock on a table of the user.
func (r *rehearsal) see(ctx context.Context) (*sight, error) {
	s := &sight{locks: map[premortem.LockHold]bool{}, existed: map[string]bool{}, files: map[uint32]uint32{}, names: map[uint32]string{},
		read: map[string]int64{}, written: map[string]int64{}}
	var oid, file uint32
	var name, mode string
	var read, written int64
	rows, err := r.c.Query(ctx, sightFiles)
	if err != nil {
		return nil, err
	}
	if _, err := pgx.ForEachRow(rows, []any{&oid, &name, &file}, func() error {
		s.files[oid], s.names[oid], s.existed[name] = file, name, true
		return nil
	}); err != nil {
		return nil, err
	}
	if rows, err = r.c.Query(ctx, sightLocks); err != nil {
		return nil, err
	}
	if _, err := pgx.ForEachRow(rows, []any{&oid, &mode}, func() error {
		if name := s.names[oid]; name != "" && stronger(mode) { // an index goes with its table
			s.locks[premortem.LockHold{Table: name, Mode: lockMode(mode)}] = true
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if rows, err = r.c.Query(ctx, sightRows); err != nil {
		return nil, err
	}
	_, err = pgx.ForEachRow(rows, []any{&name, &read, &written}, func() error {
		s.read[name], s.written[name] = read, written
		return nil
	})
	return s, err
}

// stronger leaves out the locks that every reader and writer takes.
func stronger(mode string) bool {
	return mode != "AccessShareLock" && mode != "RowShareLock" && mode != "RowExclusiveLock"
}

// lockMode writes "AccessExclusiveLock" as SQL does: "ACCESS EXCLUSIVE".
func lockMode(mode string) string {
	var b strings.Builder
	for i, c := range strings.TrimSuffix(mode, "Lock") {
		if i > 0 && c >= 'A' && c <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return strings.ToUpper(b.String())
}

func (s *sight) rewrittenSince(b *sight) []string {
	out := []string{}
	for oid, file := range s.files {
		if was, ok := b.files[oid]; ok && was != file && was != 0 {
			out = append(out, s.names[oid])
		}
	}
	slices.Sort(out)
	return out
}

// touchedSince is how many rows of tables that were there before have been read or
// written.
func (s *sight) touchedSince(b *sight) (n int64) {
	for name, now := range s.read {
		if b.existed[name] {
			n += max(now-b.read[name], 0)
		}
	}
	for name, now := range s.written {
		if b.existed[name] {
			n += max(now-b.written[name], 0)
		}
	}
	return n
}

// writtenSince are the tables whose rows were written: the rows stay locked until the
// transaction ends.
func (s *sight) writtenSince(b *sight) map[string]bool {
	out := map[string]bool{}
	for name, now := range s.written {
		if b.existed[name] && now > b.written[name] {
			out[name] = true
		}
	}
	return out
}

func sortLocks(ls []premortem.LockHold) {
	slices.SortFunc(ls, func(a, b premortem.LockHold) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Mode, b.Mode))
	})
}
