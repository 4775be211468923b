package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Kinds of the slots of pg_statistic (pg_statistic.h).
const (
	slotCommon      = 1
	slotBounds      = 2
	slotCorrelation = 3
	slotElements    = 4
	slotCounts      = 5
	slotLengths     = 6
	slotRanges      = 7
	slots           = 5 // in one row
)

// injector writes a profile's statistics into the catalogs of a database whose tables
// hold nothing. It writes pg_class and pg_statistic themselves, which works in every
// major alike; 18 has functions for it, which know no indexes that were never used.
type injector struct {
	tx    pgx.Tx
	p     *Profile
	major int
	at    map[placeKey]place
	notes map[string]bool
}

func (in *injector) note(format string, args ...any) { in.notes[fmt.Sprintf(format, args...)] = true }

func (in *injector) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{in.relations, in.columns, in.extended} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// relations writes sizes. It must come after all DDL: before 18, CREATE INDEX resets
// the sizes of its table.
func (in *injector) relations(ctx context.Context) error {
	type size struct {
		Schema  string  `json:"s"`
		Name    string  `json:"n"`
		Pages   int64   `json:"p"`
		Rows    float64 `json:"r"`
		Visible int64   `json:"v"`
	}
	var sizes []size
	for i := range in.p.Relations {
		r := &in.p.Relations[i]
		rows := r.Rows
		if in.major < 14 {
			rows = max(rows, 0) // -1 means "never analyzed" from 14 on
		}
		sizes = append(sizes, size{r.Schema, r.Name, min(r.Pages, maxPages), rows, min(r.AllVisible, maxPages)})
	}
	raw, err := json.Marshal(sizes)
	if err != nil {
		return err
	}
	const sql = `
UPDATE pg_class c SET relpages = x.p, reltuples = x.r, relallvisible = x.v
FROM jsonb_to_recordset($1::jsonb) AS x(s text, n text, p int, r real, v int) JOIN pg_namespace n ON n.nspname = x.s
WHERE c.relname = x.n AND c.relnamespace = n.oid AND c.relkind IN ('r', 'm', 'p', 'i', 'I')`
	tag, err := in.tx.Exec(ctx, sql, string(raw))
	if err != nil {
		return fmt.Errorf("write sizes: %w", err)
	}
	if missing := len(sizes) - int(tag.RowsAffected()); missing > 0 {
		in.note("%d of the profile's %d tables and indexes are not in the schema", missing, len(sizes))
	}
	return nil
}

// maxPages is the most that pg_class can say; its column is a signed number.
const maxPages = 1<<31 - 1

// place is where a column's statistics go, and with which operators. pg_stats hides
// the operators; they are those of the default B-tree order, as ANALYZE takes them.
type place struct {
	Rel       uint32
	Number    int
	Collation uint32
	Type      uint32 // of the values
	Elem      uint32 // of an array's elements, 0 no array
	Less      uint32
	Equal     uint32
	ElemEqual uint32
}

type placeKey struct {
	schema, table string
	number        int
}

// places looks up the columns of user tables and of index expressions. An operator
// class is found through enum, array and range types, domains, and through binary
// casts such as that of varchar to text.
func places(ctx context.Context, tx pgx.Tx) (map[placeKey]place, error) {
	const sql = `
WITH col AS (
  SELECT n.nspname, c.relname, a.attnum, c.oid AS rel, a.attcollation AS coll, a.atttypid AS valtyp,
         CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END AS typ
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
  WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'm', 'p', 'i', 'I') AND ` + userSchemas + `
), typed AS (
  SELECT col.*, CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN t.typelem ELSE 0 END AS elem FROM col JOIN pg_type t ON t.oid = col.typ
), family AS (
  SELECT x.typ, f.opcfamily, f.opcintype
  FROM (SELECT typ FROM typed UNION SELECT elem FROM typed WHERE elem <> 0) x JOIN pg_type t ON t.oid = x.typ
  CROSS JOIN LATERAL (
    SELECT o.opcfamily, o.opcintype FROM pg_opclass o
    WHERE o.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'btree') AND o.opcdefault AND (o.opcintype = x.typ
      OR t.typtype = 'e' AND o.opcintype = 'anyenum'::regtype
      OR t.typtype = 'r' AND o.opcintype = 'anyrange'::regtype
      OR t.typtype = 'c' AND o.opcintype = 'record'::regtype
      OR t.typtype = 'm' AND o.opcintype::regtype::text = 'anymultirange'
      OR t.typelem <> 0 AND t.typlen = -1 AND o.opcintype = 'anyarray'::regtype
      OR EXISTS (SELECT FROM pg_cast k WHERE k.castsource = x.typ AND k.casttarget = o.opcintype AND k.castmethod = 'b' AND k.castcontext = 'i'))
    ORDER BY o.opcintype = x.typ DESC, (SELECT typispreferred FROM pg_type WHERE oid = o.opcintype) DESC LIMIT 1) f
), op AS (
  SELECT f.typ, p.amopstrategy AS strategy, p.amopopr AS op FROM family f
  JOIN pg_amop p ON p.amopfamily = f.opcfamily AND p.amoplefttype = f.opcintype AND p.amoprighttype = f.opcintype AND p.amopstrategy IN (1, 3)
)
SELECT y.nspname, y.relname, y.attnum::int, y.rel, y.coll, y.valtyp, y.elem, coalesce(lt.op, 0), coalesce(eq.op, 0), coalesce(ee.op, 0)
FROM typed y LEFT JOIN op lt ON lt.typ = y.typ AND lt.strategy = 1 LEFT JOIN op eq ON eq.typ = y.typ AND eq.strategy = 3
LEFT JOIN op ee ON ee.typ = y.elem AND ee.strategy = 3`
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	out := map[placeKey]place{}
	var k placeKey
	var p place
	_, err = pgx.ForEachRow(rows, []any{&k.schema, &k.table, &k.number, &p.Rel, &p.Collation, &p.Type, &p.Elem, &p.Less, &p.Equal, &p.ElemEqual}, func() error {
		p.Number = k.number
		out[k] = p
		return nil
	})
	return out, err
}

// statRow is one row of pg_statistic on its way to jsonb_to_recordset.
type statRow struct {
	Rel       uint32         `json:"rel"`
	Att       int            `json:"att"`
	Inherited bool           `json:"inh"`
	Null      float32        `json:"nul"`
	Width     int            `json:"wid"`
	Distinct  float32        `json:"dis"`
	Kinds     [slots]int     `json:"k"`
	Ops       [slots]uint32  `json:"o"`
	Colls     [slots]uint32  `json:"c"`
	N1        []float32      `json:"n1"`
	N2        []float32      `json:"n2"`
	N3        []float32      `json:"n3"`
	N4        []float32      `json:"n4"`
	N5        []float32      `json:"n5"`
	Values    [slots]*string `json:"v"`
	Types     [slots]uint32  `json:"t"`
}

const float8Type, float8Less = 701, 672 // pg_type.dat, pg_operator.dat

// row lays a column's statistics into slots in ANALYZE's order.
func (c *ColumnStats) row(p place) (statRow, bool) {
	r := statRow{Rel: p.Rel, Att: p.Number, Inherited: c.Inherited, Null: c.NullFraction, Width: c.Width, Distinct: c.Distinct}
	n := 0
	add := func(kind int, op, coll uint32, numbers []float32, values string, typ uint32) {
		if n == slots {
			n++
			return
		}
		r.Kinds[n], r.Ops[n], r.Colls[n] = kind, op, coll
		*[slots]*[]float32{&r.N1, &r.N2, &r.N3, &r.N4, &r.N5}[n] = numbers
		if values != "" {
			r.Values[n], r.Types[n] = &values, typ
		}
		n++
	}
	if c.Common != "" {
		add(slotCommon, p.Equal, p.Collation, c.CommonShares, c.Common, p.Type)
	}
	if c.Bounds != "" {
		add(slotBounds, p.Less, p.Collation, nil, c.Bounds, p.Type)
	}
	if c.Correlation != nil {
		add(slotCorrelation, p.Less, p.Collation, []float32{*c.Correlation}, "", 0)
	}
	if c.Elements != "" && p.Elem != 0 {
		add(slotElements, p.ElemEqual, p.Collation, c.ElementShares, c.Elements, p.Elem)
	}
	if c.ElementCounts != nil && p.Elem != 0 {
		add(slotCounts, p.ElemEqual, p.Collation, c.ElementCounts, "", 0)
	}
	if c.RangeLengths != "" {
		var empty float32
		if c.RangeEmpty != nil {
			empty = *c.RangeEmpty
		}
		add(slotLengths, float8Less, 0, []float32{empty}, c.RangeLengths, float8Type)
	}
	if c.RangeBounds != "" {
		add(slotRanges, 0, 0, nil, c.RangeBounds, p.Type)
	}
	return r, n <= slots
}

// writeStatistics takes rows in place of those that are there. A typed array is
// refused for the columns of type anyarray; what array_in returns is accepted.
const writeStatistics = `
INSERT INTO pg_statistic
SELECT x.rel, x.att, x.inh, x.nul, x.wid, x.dis,
  x.k[1], x.k[2], x.k[3], x.k[4], x.k[5], x.o[1], x.o[2], x.o[3], x.o[4], x.o[5], x.c[1], x.c[2], x.c[3], x.c[4], x.c[5],
  x.n1, x.n2, x.n3, x.n4, x.n5,
  array_in(textout(x.v[1]), x.t[1], -1), array_in(textout(x.v[2]), x.t[2], -1), array_in(textout(x.v[3]), x.t[3], -1),
  array_in(textout(x.v[4]), x.t[4], -1), array_in(textout(x.v[5]), x.t[5], -1)
FROM jsonb_to_recordset($1::jsonb) AS x(rel oid, att int2, inh bool, nul real, wid int, dis real, k int2[], o oid[], c oid[],
  n1 real[], n2 real[], n3 real[], n4 real[], n5 real[], v text[], t oid[])`

func (in *injector) columns(ctx context.Context) error {
	var out []statRow
	lost := 0
	for i := range in.p.Columns {
		c := &in.p.Columns[i]
		p, ok := in.at[placeKey{c.Schema, c.Table, c.Number}]
		if !ok {
			lost++
			continue
		}
		r, whole := c.row(p)
		if !whole {
			in.note("%s.%s: some of its statistics have no room", c.Table, c.Name)
		}
		out = append(out, r)
	}
	if lost > 0 {
		in.note("%d columns of the profile are not in the schema", lost)
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return err
	}
	const clear = `DELETE FROM pg_statistic s USING pg_class c, pg_namespace n WHERE c.oid = s.starelid AND n.oid = c.relnamespace AND ` + userSchemas
	if _, err := in.tx.Exec(ctx, clear); err != nil {
		return fmt.Errorf("remove old statistics: %w", err)
	}
	if _, err := in.tx.Exec(ctx, writeStatistics, string(raw)); err != nil {
		return fmt.Errorf("write statistics: %w", err)
	}
	return nil
}

// extended writes extended statistics. Their types have no input function, but are
// bytea inside, so that a cast without a function makes the server take the bytes.
func (in *injector) extended(ctx context.Context) error {
	if len(in.p.Extended) == 0 {
		return nil
	}
	const casts = `DO $$ DECLARE t text; BEGIN
FOREACH t IN ARRAY ARRAY['pg_ndistinct', 'pg_dependencies', 'pg_mcv_list'] LOOP
  IF NOT EXISTS (SELECT FROM pg_cast WHERE castsource = 'bytea'::regtype AND casttarget = t::regtype) THEN
    EXECUTE format('CREATE CAST (bytea AS %s) WITHOUT FUNCTION', t);
  END IF;
END LOOP; END $$`
	if _, err := in.tx.Exec(ctx, casts); err != nil {
		return fmt.Errorf("prepare extended statistics: %w", err)
	}
	types, labels, err := in.enums(ctx)
	if err != nil {
		return err
	}
	// Up to 14 CREATE STATISTICS makes the row, and the planner fails when it is gone.
	sql := `UPDATE pg_statistic_ext_data x SET stxdndistinct = $3::bytea::pg_ndistinct, stxddependencies = $4::bytea::pg_dependencies, stxdmcv = $5::bytea::pg_mcv_list
FROM pg_statistic_ext e JOIN pg_namespace n ON n.oid = e.stxnamespace WHERE n.nspname = $1 AND e.stxname = $2 AND x.stxoid = e.oid AND NOT $6::bool`
	if in.major >= 15 {
		sql = `INSERT INTO pg_statistic_ext_data (stxoid, stxdinherit, stxdndistinct, stxddependencies, stxdmcv)
SELECT e.oid, $6, $3::bytea::pg_ndistinct, $4::bytea::pg_dependencies, $5::bytea::pg_mcv_list
FROM pg_statistic_ext e JOIN pg_namespace n ON n.oid = e.stxnamespace WHERE n.nspname = $1 AND e.stxname = $2`
		if _, err := in.tx.Exec(ctx, "DELETE FROM pg_statistic_ext_data"); err != nil {
			return fmt.Errorf("remove old extended statistics: %w", err)
		}
	}
	for i := range in.p.Extended {
		e := &in.p.Extended[i]
		common := e.Common
		if common != nil {
			if common, err = translateCommon(common, types, labels); err != nil {
				return fmt.Errorf("extended statistics %s: %w", e.Name, err)
			}
		}
		tag, err := in.tx.Exec(ctx, sql, e.Schema, e.Name, e.Distinct, e.Dependencies, common, e.Inherited)
		if err != nil {
			return fmt.Errorf("write extended statistics %s: %w", e.Name, err)
		}
		if tag.RowsAffected() == 0 {
			in.note("extended statistics %s are not in the schema", e.Name)
		}
	}
	return nil
}

// enums maps the profile's object ids of enum types and labels to those here.
func (in *injector) enums(ctx context.Context) (types, labels map[uint32]uint32, err error) {
	types, labels = map[uint32]uint32{}, map[uint32]uint32{}
	here := Profile{}
	if err := (&taker{tx: in.tx, p: &here}).enums(ctx); err != nil {
		return nil, nil, err
	}
	for _, old := range in.p.Enums {
		for _, now := range here.Enums {
			if old.Schema != now.Schema || old.Type != now.Type {
				continue
			}
			types[old.OID] = now.OID
			for label, oid := range old.Labels {
				if to, ok := now.Labels[label]; ok {
					labels[oid] = to
				}
			}
		}
	}
	return types, labels, nil
}
