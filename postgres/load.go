package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/premortem/premortem"
)

// Load fills the tables of a database whose schema was planned. What they held is
// removed, except in tables that keep their rows. Indexes, keys and foreign keys
// are dropped before and made again after, which proves that the rows satisfy them;
// triggers do not fire. Tables are loaded in parallel, in constant memory. When it
// fails the database is half filled and without some of its indexes: drop it.
// Errors are *premortem.Error.
func (r *Rows) Load(ctx context.Context, srv *Server, db string) error {
	var work []job
	for _, t := range r.tables {
		if !t.kept {
			work = append(work, job{t: t, parts: t.parts, replace: true})
		}
	}
	l := loader{r: r, srv: srv, db: db, work: work}
	return l.run(ctx)
}

// job is what is written into one table.
type job struct {
	t       *tableRows
	parts   []part
	replace bool // the table is emptied first
	rebuild bool // its indexes are dropped and made again
}

func (j *job) rows() int64 {
	n := int64(0)
	for i := range j.parts {
		n += j.parts[i].to - j.parts[i].from
	}
	return n
}

type loader struct {
	r    *Rows
	srv  *Server
	db   string
	work []job
	// trusted rows need no proof of their foreign keys.
	trusted bool
}

func (l *loader) run(ctx context.Context) error {
	slices.SortStableFunc(l.work, func(a, b job) int { return -cmp.Compare(a.rows(), b.rows()) })
	var rebuilt []*Table
	for i := range l.work {
		l.work[i].rebuild = l.work[i].rebuild || l.work[i].replace
		if l.work[i].rebuild {
			rebuilt = append(rebuilt, l.work[i].t.def)
		}
	}
	var parts pieces
	err := l.srv.on(ctx, l.db, func(c *pgx.Conn) (err error) {
		parts, err = dismantle(ctx, c, rebuilt)
		return err
	})
	if err != nil {
		return l.explain("drop the indexes of database "+l.db, err)
	}
	if err := l.each(ctx, l.copy); err != nil {
		return err
	}
	if err := l.assemble(ctx, parts); err != nil {
		return err
	}
	return l.finish(ctx)
}

// each does something for every job, on a connection of its own, the largest first.
func (l *loader) each(ctx context.Context, do func(context.Context, *pgx.Conn, *job) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(min(max(runtime.GOMAXPROCS(0), 2), 4))
	for i := range l.work {
		g.Go(func() error {
			return l.session(ctx, func(c *pgx.Conn) error { return do(ctx, c, &l.work[i]) })
		})
	}
	return g.Wait()
}

// session is a connection set up for loading: no triggers, also not those of
// foreign keys, and commits that VACUUM sees.
func (l *loader) session(ctx context.Context, work func(*pgx.Conn) error) error {
	return l.srv.on(ctx, l.db, func(c *pgx.Conn) error {
		const sql = "SET session_replication_role = replica; SET synchronous_commit = on; SET statement_timeout = 0; SET lock_timeout = 0; SET maintenance_work_mem = '256MB'"
		if _, err := c.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			return l.explain("prepare to load database "+l.db, err)
		}
		return work(c)
	})
}

// copy writes one table in one transaction. FREEZE is allowed because the table is
// emptied in it; a later VACUUM then has nothing to do.
func (l *loader) copy(ctx context.Context, c *pgx.Conn, j *job) error {
	table := j.t.def
	doing := "load rows into " + table.Name
	begin, options := "BEGIN", "FORMAT binary"
	if j.replace {
		begin += "; TRUNCATE " + table.quoted()
		if !table.Partitioned {
			options += ", FREEZE"
		}
	}
	if _, err := c.PgConn().Exec(ctx, begin).ReadAll(); err != nil {
		return l.explain(doing, err)
	}
	total, before := j.rows(), int64(0)
	for i := range j.parts {
		p := &j.parts[i]
		if p.from == p.to {
			continue
		}
		s := newStream(j.t, p)
		s.told = l.r.progress(table.Name, before, total)
		before += p.to - p.from
		if err := copyPart(ctx, c.PgConn(), s, table, options); err != nil {
			return l.explain(doing, err)
		}
	}
	if _, err := c.PgConn().Exec(ctx, "COMMIT").ReadAll(); err != nil {
		return l.explain(doing, err)
	}
	return nil
}

func copyPart(ctx context.Context, c *pgconn.PgConn, s *stream, t *Table, options string) error {
	if len(s.columns) == 0 { // nothing but defaults
		_, err := c.Exec(ctx, fmt.Sprintf("INSERT INTO %s SELECT FROM generate_series(1, %d)", t.quoted(), s.part.to-s.part.from)).ReadAll()
		return err
	}
	names := make([]string, len(s.columns))
	for i, k := range s.columns {
		names[i] = quoteIdent(t.Columns[k].Name)
	}
	_, err := c.CopyFrom(ctx, s, fmt.Sprintf("COPY %s (%s) FROM STDIN (%s)", t.quoted(), strings.Join(names, ", "), options))
	return err
}

// progress tells the caller about one table, now and then.
func (r *Rows) progress(table string, before, total int64) func(int64) {
	if r.options.Progress == nil {
		return nil
	}
	last := int64(-1)
	return func(done int64) {
		done += before
		if step := max(total/100, 10_000); done/step == last && done != total {
			return
		} else {
			last = done / step
		}
		r.told.Lock()
		defer r.told.Unlock()
		r.options.Progress(table, done, total)
	}
}

// explain turns an error of the server into what a person sees.
func (l *loader) explain(doing string, err error) error {
	if _, ok := errors.AsType[*premortem.Error](err); ok {
		return err
	}
	hint := ""
	pg, _ := errors.AsType[*pgconn.PgError](err)
	if pg == nil {
		err = l.srv.heard(err)
	}
	switch {
	case isDiskFull(err):
		hint = "free space in " + l.srv.dir + ", use a folder on a larger disk, or declare fewer rows"
	case pg == nil:
	case pg.Code == "23514" && strings.Contains(pg.Message, "no partition"):
		hint = "the generated values fall outside of the partitions; declare values for the partition key, or 0 rows"
	case pg.Code == "23514":
		hint = "declare values that satisfy the check constraint, or 0 rows for the table"
	case strings.HasPrefix(pg.Code, "23"), strings.HasPrefix(pg.Code, "22"):
		hint = "declare values for the columns that it names, or 0 rows for the table"
	case pg.Code == "55P03":
		hint = "close the transactions that are open on the database"
	}
	if pg != nil {
		err = discreet(pg)
	}
	return &premortem.Error{Doing: doing, Err: err, Hint: hint}
}

// discreet is a server's error without its detail, which quotes values.
func discreet(pg *pgconn.PgError) error {
	short := *pg
	short.Detail, short.Where, short.InternalQuery = "", "", ""
	return &short
}

// assemble makes keys, then other indexes, the tables in parallel; then foreign keys.
func (l *loader) assemble(ctx context.Context, parts pieces) error {
	err := l.each(ctx, func(ctx context.Context, c *pgx.Conn, j *job) error {
		for _, p := range parts.indexes[j.t.def.Name] {
			if _, err := c.PgConn().Exec(ctx, p.make).ReadAll(); err != nil {
				return l.explain(fmt.Sprintf("make %s of %s again", p.name, j.t.def.Name), err)
			}
		}
		return nil
	})
	if err != nil || len(parts.foreign) == 0 {
		return err
	}
	return l.relate(ctx, parts.foreign)
}

// relate makes foreign keys: first without proof, one after another because two of
// them may lock the same tables crosswise; then the proofs, which do not, in
// parallel for different tables. Keys over grown tables need none: the rows before
// were proved and the new ones are made by the same rules.
func (l *loader) relate(ctx context.Context, keys []piece) error {
	byTable := map[string][]piece{}
	err := l.session(ctx, func(c *pgx.Conn) error {
		for _, p := range keys {
			sql := p.unproved
			if sql == "" {
				sql = p.make
			} else {
				byTable[p.table] = append(byTable[p.table], p)
			}
			if _, err := c.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
				return l.explain("make foreign key "+p.name+" again", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(min(max(runtime.GOMAXPROCS(0), 2), 4))
	for _, table := range sortedKeys(byTable) {
		g.Go(func() error {
			return l.session(ctx, func(c *pgx.Conn) error {
				for _, p := range byTable[table] {
					if err := l.prove(ctx, c, p); err != nil {
						return l.explain("prove foreign key "+p.name+" of "+p.table, err)
					}
				}
				return nil
			})
		})
	}
	return g.Wait()
}

func (l *loader) prove(ctx context.Context, c *pgx.Conn, p piece) error {
	if l.trusted {
		_, err := c.Exec(ctx, "UPDATE pg_constraint SET convalidated = true WHERE conrelid = $1::text::regclass AND conname = $2", p.table, p.name)
		return err
	}
	_, err := c.PgConn().Exec(ctx, "ALTER TABLE "+p.table+" VALIDATE CONSTRAINT "+quoteIdent(p.name)).ReadAll()
	return err
}

// finish sets sequences, then statistics and the visibility map.
func (l *loader) finish(ctx context.Context) error {
	err := l.each(ctx, func(ctx context.Context, c *pgx.Conn, j *job) error {
		for _, col := range j.t.def.Columns {
			if col.Sequence == "" {
				continue
			}
			sql := "SELECT setval($1::text::regclass, greatest($2::bigint, 1), $2::bigint > 0)"
			if _, err := c.Exec(ctx, sql, col.Sequence, j.t.total+j.t.lastShift()); err != nil {
				return l.explain("set sequence "+col.Sequence, err)
			}
		}
		if _, err := c.Exec(ctx, "VACUUM (ANALYZE) "+j.t.def.quoted(), pgx.QueryExecModeSimpleProtocol); err != nil {
			return l.explain("analyze "+j.t.def.Name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return l.session(ctx, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'm' AND relispopulated ORDER BY oid")
		if err != nil {
			return err
		}
		views, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, t := range l.r.tables {
			if !t.kept {
				continue
			}
			if _, err := c.PgConn().Exec(ctx, "ANALYZE "+t.def.quoted()).ReadAll(); err != nil {
				return l.explain("analyze "+t.def.Name, err)
			}
		}
		for _, v := range views {
			if _, err := c.PgConn().Exec(ctx, "REFRESH MATERIALIZED VIEW "+v).ReadAll(); err != nil {
				return l.explain("refresh "+v, err)
			}
		}
		return nil
	})
}

func (t *tableRows) lastShift() int64 {
	if len(t.parts) == 0 {
		return 0
	}
	return t.parts[len(t.parts)-1].shift
}
