package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

// keptMax is how many rows that migrations put into a table are remembered by key.
const keptMax = 10_000

// Inspect reads the schema of a database, and of small tables that already have
// rows the keys that others may point to. It changes nothing.
func Inspect(ctx context.Context, dsn string) (*Schema, error) {
	s := &Schema{}
	err := connected(ctx, dsn, func(c *pgx.Conn) error {
		tx, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err != nil {
			return err
		}
		defer tx.Rollback(ctx)
		r := inspector{tx: tx, schema: s, by: map[uint32]*Table{}}
		for _, read := range []func(context.Context) error{r.tables, r.columns, r.keys, r.constraints, r.indexes, r.partitions, r.contents} {
			if err := read(ctx); err != nil {
				return err
			}
		}
		return tx.Commit(ctx)
	})
	if err != nil {
		return nil, &premortem.Error{Doing: "read the schema", Err: err}
	}
	return s, nil
}

type inspector struct {
	tx     pgx.Tx
	schema *Schema
	by     map[uint32]*Table
}

// each runs a query and calls row for every answer, which scans it.
func (r *inspector) each(ctx context.Context, sql string, row func(pgx.Rows) error) error {
	rows, err := r.tx.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// ours are the relations of the user's own schemas; extensions' tables are not.
const ours = `c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_t%'
  AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')`

func (r *inspector) tables(ctx context.Context) error {
	if err := r.tx.QueryRow(ctx, "SELECT current_setting('server_version_num')::int / 10000").Scan(&r.schema.Major); err != nil {
		return err
	}
	const sql = `SELECT c.oid, n.nspname, c.relname, c.relkind = 'p', c.relispartition
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ` + ours + ` ORDER BY n.nspname <> 'public', 2, 3`
	return r.each(ctx, sql, func(rows pgx.Rows) error {
		var oid uint32
		t := &Table{}
		if err := rows.Scan(&oid, &t.Schema, &t.Local, &t.Partitioned, &t.Leaf); err != nil {
			return err
		}
		t.Name = t.Local
		if t.Schema != "public" {
			t.Name = t.Schema + "." + t.Local
		}
		r.by[oid] = t
		r.schema.Tables = append(r.schema.Tables, t)
		return nil
	})
}

func (r *inspector) columns(ctx context.Context) error {
	// A domain over a domain is resolved to its end.
	const sql = `
WITH RECURSIVE base(oid, root, typmod) AS (
  SELECT oid, oid, -1 FROM pg_type WHERE typtype <> 'd'
  UNION ALL
  SELECT t.oid, b.root, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE b.typmod END
  FROM pg_type t JOIN base b ON t.typtype = 'd' AND t.typbasetype = b.oid)
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), bt.typname, bt.oid,
       CASE WHEN a.atttypmod >= 0 THEN a.atttypmod ELSE b.typmod END,
       a.attnotnull OR ty.typnotnull, a.attidentity::text, a.attgenerated <> '',
       coalesce(pg_get_expr(d.adbin, d.adrelid), ''),
       coalesce(pg_get_serial_sequence(quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname), ''),
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid IN (bt.oid, el.oid) ORDER BY e.enumsortorder),
       coalesce(el.typname, ''), coalesce(el.oid, 0)
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type ty ON ty.oid = a.atttypid
JOIN base b ON b.oid = a.atttypid JOIN pg_type bt ON bt.oid = b.root
LEFT JOIN pg_type el ON el.oid = bt.typelem AND bt.typcategory = 'A'
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND ` + ours + `
ORDER BY a.attrelid, a.attnum`
	return r.each(ctx, sql, func(rows pgx.Rows) error {
		var oid uint32
		var c Column
		err := rows.Scan(&oid, &c.Name, &c.Type, &c.Base, &c.OID, &c.Typmod, &c.NotNull, &c.Identity, &c.Generated,
			&c.Default, &c.Sequence, &c.Labels, &c.Elem, &c.ElemOID)
		if err != nil {
			return err
		}
		if c.Sequence == "" {
			c.Sequence = sequenceOf(c.Default)
		}
		t := r.by[oid]
		t.Columns = append(t.Columns, c)
		return nil
	})
}

// sequenceOf finds the sequence in a default that no column owns.
func sequenceOf(def string) string {
	rest, ok := strings.CutPrefix(def, "nextval('")
	if !ok {
		return ""
	}
	name, _, ok := strings.Cut(rest, "'::regclass)")
	if !ok {
		return ""
	}
	return strings.ReplaceAll(name, "''", "'")
}

func (r *inspector) keys(ctx context.Context) error {
	// The dependencies of an index name the columns inside its expressions too.
	const sql = `
SELECT i.indrelid, ic.relname, i.indisprimary, i.indpred IS NULL AND i.indexprs IS NULL,
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = i.indrelid AND (
         a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts-1]) OR i.indexprs IS NOT NULL AND EXISTS (
           SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
             AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
         ORDER BY array_position(i.indkey::int2[], a.attnum))
FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indisunique AND ` + ours + ` ORDER BY i.indrelid, NOT i.indisprimary, ic.relname`
	return r.each(ctx, sql, func(rows pgx.Rows) error {
		var oid uint32
		var k Key
		if err := rows.Scan(&oid, &k.Name, &k.Primary, &k.Plain, &k.Columns); err != nil {
			return err
		}
		t := r.by[oid]
		t.Keys = append(t.Keys, k)
		return nil
	})
}

func (r *inspector) constraints(ctx context.Context) error {
	const sql = `
SELECT k.conrelid, k.contype::text, k.conname, coalesce(k.confrelid, 0), pg_get_constraintdef(k.oid),
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(n, o)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.o),
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(n, o)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.o), ''
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype IN ('f', 'c') AND ` + ours + `
UNION ALL
SELECT a.attrelid, 'c', k.conname, 0, pg_get_constraintdef(k.oid), '{}', '{}', a.attname
FROM pg_constraint k JOIN pg_attribute a ON a.atttypid = k.contypid AND a.attnum > 0
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contypid <> 0 AND k.contype = 'c' AND ` + ours + ` ORDER BY 1, 2, 3`
	return r.each(ctx, sql, func(rows pgx.Rows) error {
		var oid, ref uint32
		var kind, name, text, of string
		var columns, refColumns []string
		if err := rows.Scan(&oid, &kind, &name, &ref, &text, &columns, &refColumns, &of); err != nil {
			return err
		}
		t := r.by[oid]
		if kind == "c" {
			t.Checks = append(t.Checks, Check{Name: name, Columns: columns, Of: of, Text: text})
			return nil
		}
		parent := r.by[ref]
		if parent == nil {
			return fmt.Errorf("foreign key %s of %s points to a table outside of the schema", name, t.Name)
		}
		t.Foreign = append(t.Foreign, Foreign{Name: name, Columns: columns, RefTable: parent.Name, RefColumns: refColumns})
		return nil
	})
}

func (r *inspector) indexes(ctx context.Context) error {
	const sql = `
SELECT i.indrelid, ic.relname, pg_get_indexdef(i.indexrelid), i.indisunique, i.indisprimary,
       EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE ` + ours + ` ORDER BY i.indrelid, ic.relname`
	return r.each(ctx, sql, func(rows pgx.Rows) error {
		var oid uint32
		var x Index
		if err := rows.Scan(&oid, &x.Name, &x.Definition, &x.Unique, &x.Primary, &x.Constraint); err != nil {
			return err
		}
		t := r.by[oid]
		t.Indexes = append(t.Indexes, x)
		return nil
	})
}

// contents counts the rows that are there and remembers the keys of small tables.
func (r *inspector) contents(ctx context.Context) error {
	pointedAt := map[string]map[string]bool{}
	for _, t := range r.schema.Tables {
		for _, f := range t.Foreign {
			if pointedAt[f.RefTable] == nil {
				pointedAt[f.RefTable] = map[string]bool{}
			}
			for _, c := range f.RefColumns {
				pointedAt[f.RefTable][c] = true
			}
		}
	}
	for _, t := range r.schema.Tables {
		if t.Leaf {
			continue
		}
		sql := "SELECT count(*) FROM (SELECT FROM " + t.quoted() + " LIMIT " + strconv.Itoa(keptMax+1) + ") x"
		if err := r.tx.QueryRow(ctx, sql).Scan(&t.Rows); err != nil {
			return err
		}
		if t.Rows == 0 || t.Rows > keptMax || pointedAt[t.Name] == nil {
			continue
		}
		if err := r.keep(ctx, t, pointedAt[t.Name]); err != nil {
			return err
		}
	}
	return nil
}

func (r *inspector) keep(ctx context.Context, t *Table, columns map[string]bool) error {
	t.Kept = map[string][]string{}
	var names, list []string
	for _, c := range t.Columns {
		if columns[c.Name] {
			names = append(names, c.Name)
			list = append(list, "coalesce("+quoteIdent(c.Name)+"::text, '')")
		}
	}
	sql := "SELECT ARRAY[" + strings.Join(list, ", ") + "] FROM " + t.quoted() + " ORDER BY 1"
	return r.each(ctx, sql, func(rows pgx.Rows) error {
		var values []string
		if err := rows.Scan(&values); err != nil {
			return err
		}
		for i, name := range names {
			t.Kept[name] = append(t.Kept[name], values[i])
		}
		return nil
	})
}
