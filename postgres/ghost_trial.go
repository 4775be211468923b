package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// trials are indexes that one ghost has beside its own. Each is invalid until a
// statement is planned with it, so that one ghost serves all of them.
type trials struct {
	designs []*design
	shares  map[string]float64 // of a table's rows, by "table condition"
}

func trialName(i int) string { return fmt.Sprintf("premortem_trial_%d", i) }

// create makes the indexes on empty tables and adds to the profile what production
// would say of them. A design that the server refuses is marked.
func (t *trials) create(ctx context.Context, tx pgx.Tx, p *Profile) (*Profile, error) {
	out := *p
	out.Relations, out.Columns = slices.Clone(p.Relations), slices.Clone(p.Columns)
	w := newGrower(p)
	for i, d := range t.designs {
		d.name, d.made = trialName(i), nil
		if d.refused {
			continue
		}
		if _, err := tx.Exec(ctx, "SAVEPOINT design"); err != nil {
			return nil, err
		}
		err := t.one(ctx, tx, d, w, &out)
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
			// A function that is not immutable, a type without order, a key that is too wide.
			d.refused, err = true, nil
			if !strings.HasPrefix(pg.Code, "42") && !strings.HasPrefix(pg.Code, "54") && !strings.HasPrefix(pg.Code, "0A") {
				return nil, pg
			}
		}
		if err != nil {
			return nil, err
		}
		end := "RELEASE design"
		if d.refused {
			end = "ROLLBACK TO design; RELEASE design"
		}
		if _, err := tx.Conn().PgConn().Exec(ctx, end).ReadAll(); err != nil {
			return nil, err
		}
	}
	return &out, nil
}

func (t *trials) one(ctx context.Context, tx pgx.Tx, d *design, w *grower, p *Profile) error {
	if _, err := tx.Exec(ctx, "CREATE INDEX "+d.name+" ON "+d.body(), pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	const sql = `
WITH RECURSIVE made AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = $1 AND n.nspname = $2
  UNION ALL SELECT h.inhrelid FROM pg_inherits h JOIN made m ON m.oid = h.inhparent
)
SELECT n.nspname, c.relname, tn.nspname, tc.relname, i.indnkeyatts::int, i.indkey::int2[]::int[]
FROM made m JOIN pg_class c ON c.oid = m.oid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_index i ON i.indexrelid = m.oid JOIN pg_class tc ON tc.oid = i.indrelid JOIN pg_namespace tn ON tn.oid = tc.relnamespace
WHERE c.relkind = 'i' ORDER BY c.oid`
	rows, err := tx.Query(ctx, sql, d.name, d.schema)
	if err != nil {
		return err
	}
	d.made, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (RelationStats, error) {
		r := RelationStats{Kind: "i", Method: "btree", Partial: d.where != ""}
		return r, row.Scan(&r.Schema, &r.Name, &r.TableSchema, &r.Table, &r.KeyColumns, &r.Keys)
	})
	if err != nil {
		return err
	}
	var made []ColumnStats
	for i := range d.made {
		stats, err := d.expressions(ctx, tx, &d.made[i], w)
		if err != nil {
			return err
		}
		made = append(made, stats...)
		t.size(d, &d.made[i], w, stats)
	}
	p.Columns = append(p.Columns, made...)
	p.Relations = append(p.Relations, d.made...)
	return nil
}

// size predicts the pages of a B-tree that is made anew: nine tenths of each leaf are
// used (measured: 20.1 bytes per row of a unique bigint).
func (t *trials) size(d *design, r *RelationStats, w *grower, stats []ColumnStats) {
	table := [2]string{r.TableSchema, r.Table}
	rows := w.rows[table]
	if d.where != "" {
		rows *= t.shares[d.table+" "+d.where]
	}
	for _, c := range stats {
		w.width[placeKey{r.Schema, r.Name, c.Number}] = float64(c.Width)
	}
	width := w.keyWidth(r)
	bytes := d.entry(r, w, rows)
	r.Rows = math.Round(rows)
	leaves := max(1, math.Ceil(rows*bytes/leafBytes))
	above := 0.0
	for level := leaves; level > 1; {
		level = math.Ceil(level / fanout(width, 0.70))
		above += level
	}
	r.Blocks = min(1+int64(leaves+above), maxBlocks)
	r.Pages = r.Blocks
}

// entry is the mean bytes of an entry.
func (d *design) entry(r *RelationStats, w *grower, rows float64) float64 {
	width := w.keyWidth(r)
	for _, n := range r.Keys[r.KeyColumns:] {
		width += max(w.width[placeKey{r.TableSchema, r.Table, n}], 1)
	}
	key := placeKey{r.TableSchema, r.Table, r.Keys[0]}
	if len(r.Keys) == 1 && r.Keys[0] > 0 && w.old.Server.Major() >= 13 && (w.attr[key] == nil || deduplicates(w.attr[key])) {
		for i := range w.old.Columns {
			if c := &w.old.Columns[i]; !c.Inherited && (placeKey{c.Schema, c.Table, c.Number}) == key {
				return meanBytes(w.spread(c, w.rows[[2]string{r.TableSchema, r.Table}], w.target), rows, width)
			}
		}
	}
	return entryBytes(width, 1)
}

// expressions makes up the statistics that ANALYZE would find for the expressions of an
// index: it applies them to the common values and the histogram of the column that
// they are made of.
func (d *design) expressions(ctx context.Context, tx pgx.Tx, r *RelationStats, w *grower) ([]ColumnStats, error) {
	var out []ColumnStats
	for i, key := range d.keys {
		if i >= len(r.Keys) || r.Keys[i] != 0 {
			continue
		}
		expr := strings.TrimSuffix(strings.TrimSuffix(key, " DESC"), " text_pattern_ops")
		for k := range w.old.Columns {
			c := &w.old.Columns[k]
			a := w.attr[placeKey{c.Schema, c.Table, c.Number}]
			if c.Schema != r.TableSchema || c.Table != r.Table || c.Inherited || a == nil || len(conditionColumns(expr, map[string]string{c.Name: "?"})) == 0 {
				continue
			}
			stats, err := derive(ctx, tx, c, a, expr)
			if err != nil {
				return nil, err
			}
			if stats != nil {
				stats.Schema, stats.Table, stats.Number, stats.OfIndex, stats.Name = r.Schema, r.Name, i+1, true, expr
				out = append(out, *stats)
			}
			break
		}
	}
	return out, nil
}

// derive applies an expression to what is known of a column; nil when that fails, as
// for one that needs two columns.
func derive(ctx context.Context, tx pgx.Tx, c *ColumnStats, a *AttributeStats, expr string) (*ColumnStats, error) {
	if _, err := tx.Exec(ctx, "SAVEPOINT derive"); err != nil {
		return nil, err
	}
	apply := func(values, order string) ([]string, error) {
		if values == "" {
			return nil, nil
		}
		sql := fmt.Sprintf("SELECT coalesce((%s)::text, '') FROM unnest(%s::%s[]) WITH ORDINALITY t(%s, premortem_place) ORDER BY %s",
			expr, quoteLiteral(values), a.Type, quoteIdent(c.Name), order)
		rows, err := tx.Query(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowTo[string])
	}
	common, err := apply(c.Common, "premortem_place")
	var bounds []string
	if err == nil {
		bounds, err = apply(c.Bounds, "("+expr+")")
	}
	if err != nil {
		if _, ok := errors.AsType[*pgconn.PgError](err); !ok {
			return nil, err
		}
		_, err = tx.Conn().PgConn().Exec(ctx, "ROLLBACK TO derive; RELEASE derive").ReadAll()
		return nil, err
	}
	return c.mapped(common, bounds), nil
}

// mapped are the statistics of an expression that makes these values of a column's
// common values, and of its bounds in the order of the expression.
func (c *ColumnStats) mapped(common, bounds []string) *ColumnStats {
	out := ColumnStats{NullFraction: c.NullFraction, Width: c.Width, Distinct: c.Distinct}
	share := map[string]float64{}
	rest := 1 - float64(c.NullFraction)
	for i, v := range common {
		share[v] += float64(c.CommonShares[i])
		rest -= float64(c.CommonShares[i])
	}
	seen := map[string]bool{}
	for _, v := range slices.Concat(common, bounds) {
		seen[v] = true
	}
	all := len(common) + len(bounds)
	if all == 0 {
		return nil
	}
	switch kept := float64(len(seen)) / float64(all); {
	case kept > 0.99: // it keeps values apart
		if len(bounds) > 1 {
			out.Bounds = joinArray(bounds)
		}
	case kept < 0.5: // it has few results: each bound stands for its part of the rows
		for _, v := range bounds {
			share[v] += max(rest, 0) / float64(len(bounds))
		}
		out.Distinct = float32(len(seen))
	case c.Distinct < 0:
		out.Distinct = c.Distinct * float32(kept)
	default:
		out.Distinct = max(1, c.Distinct*float32(kept))
	}
	values := sortedKeys(share)
	slices.SortStableFunc(values, func(a, b string) int {
		switch {
		case share[a] > share[b]:
			return -1
		case share[a] < share[b]:
			return 1
		}
		return 0
	})
	values = values[:min(len(values), 100)]
	for _, v := range values {
		out.CommonShares = append(out.CommonShares, float32(share[v]))
	}
	if len(values) > 0 {
		out.Common = joinArray(values)
	}
	return &out
}

// drop takes the indexes out again; nil has none.
func (t *trials) drop(ctx context.Context, tx pgx.Tx) error {
	if t == nil {
		return nil
	}
	for _, d := range t.designs {
		if d.refused || len(d.made) == 0 {
			continue
		}
		if _, err := tx.Exec(ctx, "DROP INDEX IF EXISTS "+quoteIdent(d.schema)+"."+d.name, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
	}
	return nil
}

// hide makes the indexes invalid for everyone: the planner leaves them out.
func (t *trials) hide(ctx context.Context, e *explainer) error {
	_, err := e.c.Exec(ctx, `UPDATE pg_index i SET indisvalid = false FROM pg_class c WHERE c.oid = i.indexrelid AND c.relname = ANY ($1)`, t.names())
	return err
}

func (t *trials) names() []string {
	out := []string{}
	for _, d := range t.designs {
		out = append(out, d.name)
		for i := range d.made {
			out = append(out, d.made[i].Name)
		}
	}
	return out
}

// with plans a statement as if one design were there. before is what the statement
// costs without using it, under the statistics that it brought: an expression without
// statistics is taken to match many rows, which makes a LIMIT look cheap.
func (d *design) with(ctx context.Context, e *explainer, sql string) (after *answer, before float64, err error) {
	if err := e.exec(ctx, "SAVEPOINT design"); err != nil {
		return nil, 0, err
	}
	names := []string{d.name}
	for i := range d.made {
		names = append(names, d.made[i].Name)
	}
	const show = `UPDATE pg_index i SET indisvalid = true FROM pg_class c WHERE c.oid = i.indexrelid AND c.relname = ANY ($1)`
	if _, err := e.c.Exec(ctx, show, names); err != nil {
		return nil, 0, err
	}
	if after, err = e.explain(ctx, sql, nil, false); err != nil {
		return nil, 0, err
	}
	if relations := after.tables(); len(relations) == 1 && slices.ContainsFunc(d.keys, func(k string) bool { return strings.Contains(k, "(") }) {
		const off = "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = off"
		if err := e.exec(ctx, off); err != nil {
			return nil, 0, err
		}
		without, err := e.explain(ctx, sql, nil, false)
		if err != nil {
			return nil, 0, err
		}
		before = without.Plan.Total
	}
	return after, before, e.exec(ctx, "ROLLBACK TO SAVEPOINT design; RELEASE SAVEPOINT design")
}
