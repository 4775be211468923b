package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/premortem/premortem"
)

const (
	smallTable    = 1000 // rows; a scan of fewer is not worth an index
	mostTrials    = 10   // indexes made for one statement
	worthwhile    = 0.9  // an index must bring the cost below this share
	indistinct    = 0.01 // of what the best saves; indexes this close are equal: the smaller one wins
	maxIdentifier = 63   // bytes of a PostgreSQL name
)

// Advise looks for an index that makes the planner drop the sequential scans of
// large tables from a statement: each candidate is really made, planned with and
// taken back. The answer is nil when none helps. Tables are locked against writing
// while an index is tried.
func Advise(ctx context.Context, dsn, sql string) (*premortem.Advice, error) {
	var best *premortem.Advice
	err := connected(ctx, dsn, func(c *pgx.Conn) error {
		e, err := newExplainer(ctx, c)
		if err != nil {
			return err
		}
		defer e.end()
		if err := e.exec(ctx, "SET LOCAL maintenance_work_mem = '256MB'"); err != nil {
			return err
		}
		best, err = e.advise(ctx, sql)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for an index: %w", err)
	}
	return best, nil
}

func (e *explainer) advise(ctx context.Context, sql string) (*premortem.Advice, error) {
	before, err := e.explain(ctx, sql, nil, false)
	if err != nil {
		return nil, err
	}
	relations, err := e.relations(ctx, before)
	if err != nil {
		return nil, err
	}
	var tried []trial
	for _, scan := range bigScans(before, relations) {
		rel := relations[scan.Relation]
		kinds, err := e.columnTypes(ctx, rel.oid)
		if err != nil {
			return nil, err
		}
		for _, keys := range candidates(before, scan, kinds) {
			if len(tried) == mostTrials {
				break
			}
			t, err := e.try(ctx, sql, rel, scan, keys, before.Plan.Total)
			if err != nil {
				return nil, err
			}
			if t != nil {
				tried = append(tried, *t)
			}
		}
	}
	t := choose(tried)
	if t == nil {
		return nil, nil
	}
	return &premortem.Advice{SQL: t.sql, CostBefore: t.before, CostAfter: t.cost}, nil
}

// bigScans are the sequential scans of large tables, the largest first, one per
// table.
func bigScans(a *answer, relations map[string]relation) []*node {
	var out []*node
	a.Plan.walk(func(n *node) {
		same := func(o *node) bool { return o.Relation == n.Relation }
		if n.Type == "Seq Scan" && relations[n.Relation].rows >= smallTable && !slices.ContainsFunc(out, same) {
			out = append(out, n)
		}
	})
	slices.SortStableFunc(out, func(x, y *node) int {
		return -cmp.Compare(relations[x.Relation].rows, relations[y.Relation].rows)
	})
	return out
}

// columnTypes are the type names of a table's columns.
func (e *explainer) columnTypes(ctx context.Context, table uint32) (map[string]string, error) {
	rows, err := e.c.Query(ctx, `SELECT a.attname, t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped`, table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var name, typ string
		if err := rows.Scan(&name, &typ); err != nil {
			return nil, err
		}
		out[name] = typ
	}
	return out, rows.Err()
}

// trial is one index that was made and taken back.
type trial struct {
	sql     string
	columns int
	bytes   int64
	before  float64 // cost without it, under the statistics that it brought
	cost    float64
}

// try makes an index and plans the statement with it; nil when the index cannot be
// made or the scan stays.
func (e *explainer) try(ctx context.Context, sql string, rel relation, scan *node, keys []string, before float64) (*trial, error) {
	t := &trial{columns: len(keys), before: before}
	name := indexName(scan.Relation, keys)
	t.sql = fmt.Sprintf("CREATE INDEX %s ON %s (%s)", quoteBare(name), rel.quoted, strings.Join(keys, ", "))
	if err := e.exec(ctx, "SAVEPOINT trial"); err != nil {
		return nil, err
	}
	after, err := e.with(ctx, t, sql, rel, keys)
	if err != nil {
		// A function that is not immutable, a name that exists, a type without order:
		// the candidate is none. Anything else ends the search.
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || !strings.HasPrefix(pg.Code, "42") && pg.Code != "54000" {
			return nil, err
		}
	}
	if err := e.exec(ctx, "ROLLBACK TO SAVEPOINT trial"); err != nil {
		return nil, err
	}
	if err != nil || after == nil {
		return nil, nil
	}
	stays := false
	after.Plan.walk(func(n *node) {
		stays = stays || n.Type == "Seq Scan" && n.Relation == scan.Relation && n.Alias == scan.Alias
	})
	if stays {
		return nil, nil
	}
	t.cost = after.Plan.Total
	return t, nil
}

func (e *explainer) with(ctx context.Context, t *trial, sql string, rel relation, keys []string) (*answer, error) {
	if err := e.exec(ctx, t.sql); err != nil {
		return nil, err
	}
	// Without statistics of its own an expression counts as hardly selective.
	if slices.ContainsFunc(keys, func(k string) bool { return strings.Contains(k, "(") }) {
		if err := e.exec(ctx, "ANALYZE "+rel.quoted); err != nil {
			return nil, err
		}
		if err := e.withoutIndexes(ctx, t, sql); err != nil {
			return nil, err
		}
	}
	row := e.c.QueryRow(ctx, "SELECT pg_relation_size(indexrelid) FROM pg_index WHERE indrelid = $1 ORDER BY indexrelid DESC LIMIT 1", rel.oid)
	if err := row.Scan(&t.bytes); err != nil {
		return nil, err
	}
	return e.explain(ctx, sql, nil, false)
}

// withoutIndexes corrects what the statement costs without the index: an expression
// that had no statistics was taken to match many rows, so that a LIMIT looked cheap.
func (e *explainer) withoutIndexes(ctx context.Context, t *trial, sql string) error {
	const off, on = "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = off",
		"SET LOCAL enable_indexscan = on; SET LOCAL enable_indexonlyscan = on; SET LOCAL enable_bitmapscan = on"
	if err := e.exec(ctx, off); err != nil {
		return err
	}
	without, err := e.explain(ctx, sql, nil, false)
	if err != nil {
		return err
	}
	t.before = max(t.before, without.Plan.Total)
	return e.exec(ctx, on)
}

// choose takes the smallest of the indexes that are about as good as the best.
func choose(tried []trial) *trial {
	tried = slices.DeleteFunc(tried, func(t trial) bool { return t.cost >= t.before*worthwhile })
	if len(tried) == 0 {
		return nil
	}
	low := slices.MinFunc(tried, func(a, b trial) int { return cmp.Compare(a.cost, b.cost) })
	tried = slices.DeleteFunc(tried, func(t trial) bool { return t.cost-low.cost > (low.before-low.cost)*indistinct })
	best := slices.MinFunc(tried, func(a, b trial) int {
		return cmp.Or(cmp.Compare(a.columns, b.columns), cmp.Compare(a.bytes, b.bytes))
	})
	return &best
}

// indexName is made of the table's name and the words of the keys.
func indexName(table string, keys []string) string {
	parts := []string{table}
	for _, k := range keys {
		k = anyCast.ReplaceAllString(strings.TrimSuffix(k, " text_pattern_ops"), "")
		k = strings.TrimSuffix(k, " DESC")
		for _, w := range strings.FieldsFunc(k, func(r rune) bool { return r > 127 || !isWord(byte(r)) }) {
			parts = append(parts, strings.ToLower(w))
		}
	}
	name := strings.Join(parts, "_")
	return name[:min(len(name), maxIdentifier-len("_idx"))] + "_idx"
}
