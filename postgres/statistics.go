package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

// userSchemas are those that a profile speaks of.
const userSchemas = `n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_%'`

// TakeProfile reads a database's catalogs in one read-only transaction: no row of a
// table is read. What the role may not see is named in Missing. On a server of our
// own, whose files it may read, index heights and counters are read too; elsewhere
// they are estimated later.
func TakeProfile(ctx context.Context, dsn string) (*Profile, error) {
	p := &Profile{Schema: ProfileSchema, Settings: map[string]string{}, Missing: []string{}}
	err := connected(ctx, dsn, func(c *pgx.Conn) error {
		tx, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err != nil {
			return err
		}
		defer tx.Rollback(ctx)
		t := taker{tx: tx, p: p}
		for _, read := range []func(context.Context) error{
			t.server, t.relations, t.attributes, t.foreign, t.columns, t.ranges, t.extended, t.enums, t.sequences,
		} {
			if err := read(ctx); err != nil {
				return err
			}
		}
		return tx.Commit(ctx)
	})
	if err != nil {
		return nil, &premortem.Error{Doing: "read the database's statistics", Err: err}
	}
	return p, nil
}

// TakeProfile reads a database of our own server, with what stands in the first page
// of its indexes.
func (s *Server) TakeProfile(ctx context.Context, db string) (*Profile, error) {
	p, err := TakeProfile(ctx, s.SocketDSN(db))
	if err != nil {
		return nil, err
	}
	err = s.on(ctx, db, func(c *pgx.Conn) error {
		if _, err := c.Exec(ctx, "CHECKPOINT"); err != nil { // the files, not the buffers, are read next
			return err
		}
		const sql = `SELECT n.nspname, c.relname, pg_read_binary_file(pg_relation_filepath(c.oid), 0, 128)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam
WHERE c.relkind = 'i' AND a.amname IN ('btree', 'gin', 'brin') AND ` + userSchemas
		rows, err := c.Query(ctx, sql)
		if err != nil {
			return err
		}
		var schema, name string
		var meta []byte
		_, err = pgx.ForEachRow(rows, []any{&schema, &name, &meta}, func() error {
			if r := p.Relation(schema, name); r != nil {
				metaFacts(r, meta)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, &premortem.Error{Doing: "read the indexes of database " + db, Err: err}
	}
	return p, nil
}

// taker reads one profile.
type taker struct {
	tx pgx.Tx
	p  *Profile
}

func (t *taker) rows(ctx context.Context, sql string, into []any, row func() error) error {
	rows, err := t.tx.Query(ctx, sql)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, into, row)
	return err
}

func (t *taker) server(ctx context.Context) error {
	const facts = `SELECT current_setting('server_version_num')::int, current_setting('block_size')::int, pg_encoding_to_char(encoding),
  datcollate, datctype, age(datfrozenxid)::bigint, pg_database_size(oid) FROM pg_database WHERE datname = current_database()`
	s := &t.p.Server
	err := t.tx.QueryRow(ctx, facts).Scan(&s.Version, &s.BlockSize, &s.Encoding, &s.Collate, &s.Ctype, &t.p.TransactionAge, &t.p.DatabaseBytes)
	if err != nil {
		return err
	}
	const settings = `SELECT name, current_setting(name) FROM pg_settings WHERE category LIKE 'Query Tuning%'
  OR name IN ('work_mem', 'hash_mem_multiplier', 'max_parallel_workers', 'max_parallel_workers_per_gather', 'max_worker_processes',
    'default_statistics_target', 'plan_cache_mode', 'jit', 'effective_io_concurrency', 'maintenance_work_mem', 'max_connections', 'autovacuum_freeze_max_age')`
	var name, value string
	return t.rows(ctx, settings, []any{&name, &value}, func() error {
		t.p.Settings[name] = value
		return nil
	})
}

func (t *taker) relations(ctx context.Context) error {
	const sql = `
SELECT n.nspname, c.relname, c.relkind::text, coalesce(am.amname, ''), c.relpages::bigint, c.reltuples::float8, c.relallvisible::bigint,
  CASE WHEN c.relkind IN ('r', 'm', 'i') THEN pg_relation_size(c.oid) / current_setting('block_size')::bigint ELSE 0 END,
  CASE WHEN c.relkind IN ('r', 'm') THEN pg_total_relation_size(c.oid) WHEN c.relkind = 'i' THEN pg_relation_size(c.oid) ELSE 0 END,
  coalesce(c.reloptions, '{}'), coalesce((SELECT pn.nspname || '.' || pc.relname FROM pg_inherits h JOIN pg_class pc ON pc.oid = h.inhparent
    JOIN pg_namespace pn ON pn.oid = pc.relnamespace WHERE h.inhrelid = c.oid ORDER BY h.inhseqno LIMIT 1), ''),
  coalesce(tn.nspname, ''), coalesce(tc.relname, ''), coalesce(i.indisunique, false), coalesce(i.indisprimary, false),
  i.indpred IS NOT NULL, coalesce(i.indnkeyatts, 0)::int, coalesce(i.indkey::int2[], '{}')::int[]
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_am am ON am.oid = c.relam
LEFT JOIN pg_index i ON i.indexrelid = c.oid
LEFT JOIN pg_class tc ON tc.oid = i.indrelid LEFT JOIN pg_namespace tn ON tn.oid = tc.relnamespace
WHERE c.relkind IN ('r', 'm', 'p', 'i', 'I') AND c.relpersistence <> 't' AND ` + userSchemas + `
ORDER BY c.oid`
	var r RelationStats
	into := []any{
		&r.Schema, &r.Name, &r.Kind, &r.Method, &r.Pages, &r.Rows, &r.AllVisible, &r.Blocks, &r.Bytes, &r.Options, &r.Parent,
		&r.TableSchema, &r.Table, &r.Unique, &r.Primary, &r.Partial, &r.KeyColumns, &r.Keys,
	}
	return t.rows(ctx, sql, into, func() error {
		one := r
		one.Options, one.Keys = append([]string(nil), r.Options...), append([]int(nil), r.Keys...)
		t.p.Relations = append(t.p.Relations, one)
		return nil
	})
}

func (t *taker) attributes(ctx context.Context) error {
	const sql = `
SELECT n.nspname, c.relname, a.attname, a.attnum::int, format_type(a.atttypid, a.atttypmod), b.typtype::text, b.typcategory::text, a.attnotnull,
  greatest(coalesce(a.attstattarget, -1), 0)::int, coalesce(pg_get_serial_sequence(quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname), '')
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' AND ` + userSchemas + `
ORDER BY c.oid, a.attnum`
	var a AttributeStats
	into := []any{&a.Schema, &a.Table, &a.Name, &a.Number, &a.Type, &a.Kind, &a.Category, &a.NotNull, &a.Target, &a.Sequence}
	return t.rows(ctx, sql, into, func() error {
		t.p.Attributes = append(t.p.Attributes, a)
		return nil
	})
}

func (t *taker) foreign(ctx context.Context) error {
	const sql = `
SELECT n.nspname, c.relname,
  (SELECT array_agg(a.attname::text ORDER BY x.o) FROM unnest(k.conkey) WITH ORDINALITY x(num, o) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.num),
  fn.nspname, f.relname,
  (SELECT array_agg(a.attname::text ORDER BY x.o) FROM unnest(k.confkey) WITH ORDINALITY x(num, o) JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = x.num)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class f ON f.oid = k.confrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
WHERE k.contype = 'f' AND ` + userSchemas + ` ORDER BY k.oid`
	var f ForeignStats
	return t.rows(ctx, sql, []any{&f.Schema, &f.Table, &f.Columns, &f.RefSchema, &f.RefTable, &f.RefColumns}, func() error {
		one := f
		one.Columns, one.RefColumns = append([]string(nil), f.Columns...), append([]string(nil), f.RefColumns...)
		t.p.Foreign = append(t.p.Foreign, one)
		return nil
	})
}

func (t *taker) columns(ctx context.Context) error {
	ranges := "NULL::text, NULL::real, NULL::text"
	if t.p.Server.Major() >= 17 {
		ranges = "s.range_length_histogram::text, s.range_empty_frac, s.range_bounds_histogram::text"
	}
	sql := `
SELECT s.schemaname, s.tablename, s.attname, a.attnum::int, c.relkind IN ('i', 'I'), s.inherited, s.null_frac, s.avg_width, s.n_distinct, s.correlation,
  coalesce(s.most_common_vals::text, ''), s.most_common_freqs, coalesce(s.histogram_bounds::text, ''),
  coalesce(s.most_common_elems::text, ''), s.most_common_elem_freqs, s.elem_count_histogram, ` + ranges + `
FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname JOIN pg_class c ON c.relname = s.tablename AND c.relnamespace = n.oid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname
WHERE ` + userSchemas + ` ORDER BY c.oid, a.attnum, s.inherited`
	rows, err := t.tx.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var c ColumnStats
		var lengths, bounds *string
		err := rows.Scan(&c.Schema, &c.Table, &c.Name, &c.Number, &c.OfIndex, &c.Inherited, &c.NullFraction, &c.Width, &c.Distinct, &c.Correlation,
			&c.Common, &c.CommonShares, &c.Bounds, &c.Elements, &c.ElementShares, &c.ElementCounts, &lengths, &c.RangeEmpty, &bounds)
		if err != nil {
			return err
		}
		if lengths != nil {
			c.RangeLengths = *lengths
		}
		if bounds != nil {
			c.RangeBounds = *bounds
		}
		t.p.Columns = append(t.p.Columns, c)
	}
	return rows.Err()
}

// ranges reads the histograms of range types, which pg_stats shows from 17 on (slot
// kinds 6 and 7 of pg_statistic).
func (t *taker) ranges(ctx context.Context) error {
	if t.p.Server.Major() >= 17 {
		return nil
	}
	var may bool
	if err := t.tx.QueryRow(ctx, "SELECT has_table_privilege('pg_statistic', 'SELECT')").Scan(&may); err != nil {
		return err
	}
	if !may {
		t.p.Missing = append(t.p.Missing, "histograms of range types: the role may not read pg_statistic")
		return nil
	}
	const sql = `
SELECT n.nspname, c.relname, st.staattnum::int, st.stainherit,
  coalesce(CASE 6 WHEN st.stakind1 THEN st.stavalues1::text WHEN st.stakind2 THEN st.stavalues2::text WHEN st.stakind3 THEN st.stavalues3::text END, ''),
  CASE 6 WHEN st.stakind1 THEN st.stanumbers1[1] WHEN st.stakind2 THEN st.stanumbers2[1] WHEN st.stakind3 THEN st.stanumbers3[1] END,
  coalesce(CASE 7 WHEN st.stakind1 THEN st.stavalues1::text WHEN st.stakind2 THEN st.stavalues2::text WHEN st.stakind3 THEN st.stavalues3::text END, '')
FROM pg_statistic st JOIN pg_class c ON c.oid = st.starelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE (6 IN (st.stakind1, st.stakind2, st.stakind3) OR 7 IN (st.stakind1, st.stakind2, st.stakind3)) AND ` + userSchemas
	var schema, table, lengths, bounds string
	var number int
	var inherited bool
	var empty *float32
	return t.rows(ctx, sql, []any{&schema, &table, &number, &inherited, &lengths, &empty, &bounds}, func() error {
		for i := range t.p.Columns {
			c := &t.p.Columns[i]
			if c.Schema == schema && c.Table == table && c.Number == number && c.Inherited == inherited {
				c.RangeLengths, c.RangeBounds = lengths, bounds
				if empty != nil {
					share := *empty
					c.RangeEmpty = &share
				}
			}
		}
		return nil
	})
}

func (t *taker) extended(ctx context.Context) error {
	var may bool
	if err := t.tx.QueryRow(ctx, "SELECT has_table_privilege('pg_statistic_ext_data', 'SELECT')").Scan(&may); err != nil {
		return err
	}
	if !may {
		t.p.Missing = append(t.p.Missing, "extended statistics: the role may not read pg_statistic_ext_data")
		return nil
	}
	inherited := "false"
	if t.p.Server.Major() >= 15 {
		inherited = "d.stxdinherit"
	}
	sql := `
SELECT n.nspname, e.stxname, tn.nspname, t.relname, ` + inherited + `, d.stxdndistinct::bytea, d.stxddependencies::bytea, d.stxdmcv::bytea
FROM pg_statistic_ext e JOIN pg_namespace n ON n.oid = e.stxnamespace JOIN pg_statistic_ext_data d ON d.stxoid = e.oid
JOIN pg_class t ON t.oid = e.stxrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
WHERE ` + userSchemas + ` ORDER BY e.oid`
	rows, err := t.tx.Query(ctx, sql)
	if err != nil {
		return err
	}
	t.p.Extended, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (e ExtendedStats, err error) {
		return e, r.Scan(&e.Schema, &e.Name, &e.TableSchema, &e.Table, &e.Inherited, &e.Distinct, &e.Dependencies, &e.Common)
	})
	return err
}

func (t *taker) enums(ctx context.Context) error {
	const sql = `SELECT n.nspname, t.typname, t.oid, e.enumlabel, e.oid FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
JOIN pg_namespace n ON n.oid = t.typnamespace ORDER BY t.oid, e.enumsortorder`
	var schema, typ, label string
	var oid, number uint32
	return t.rows(ctx, sql, []any{&schema, &typ, &oid, &label, &number}, func() error {
		if n := len(t.p.Enums); n == 0 || t.p.Enums[n-1].OID != oid {
			t.p.Enums = append(t.p.Enums, EnumStats{Schema: schema, Type: typ, OID: oid, Labels: map[string]uint32{}})
		}
		t.p.Enums[len(t.p.Enums)-1].Labels[label] = number
		return nil
	})
}

func (t *taker) sequences(ctx context.Context) error {
	const sql = `SELECT schemaname || '.' || sequencename, coalesce(last_value, 0), max_value, increment_by, cycle FROM pg_sequences ORDER BY 1`
	var s SequenceStats
	err := t.rows(ctx, sql, []any{&s.Name, &s.Last, &s.Max, &s.Increment, &s.Cycles}, func() error {
		t.p.Sequences = append(t.p.Sequences, s)
		return nil
	})
	if err != nil {
		return fmt.Errorf("sequences: %w", err)
	}
	return nil
}
