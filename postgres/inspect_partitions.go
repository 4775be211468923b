package postgres

import (
	"context"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Confines are the values of a partition key that some partition takes; none of them
// when there is a partition for all others, or when the key is hashed.
type Confines struct {
	In    []string    // of lists
	Spans [][2]string // of ranges, from and behind; "" has no end there
}

var (
	listBound  = regexp.MustCompile(`^FOR VALUES IN \((.*)\)$`)
	rangeBound = regexp.MustCompile(`^FOR VALUES FROM \((.*)\) TO \((.*)\)$`)
)

// partitions reads what the partitions of each level take, by column.
func (r *inspector) partitions(ctx context.Context) error {
	const sql = `
WITH RECURSIVE level(root, oid) AS (
  SELECT c.oid, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'p' AND NOT c.relispartition AND ` + ours + `
  UNION ALL SELECT l.root, h.inhrelid FROM level l JOIN pg_inherits h ON h.inhparent = l.oid)
SELECT l.root, p.partstrat::text, a.attname, pg_get_expr(k.relpartbound, k.oid)
FROM level l JOIN pg_partitioned_table p ON p.partrelid = l.oid AND p.partnatts = 1
JOIN pg_attribute a ON a.attrelid = l.oid AND a.attnum = p.partattrs[0]
JOIN pg_inherits h ON h.inhparent = l.oid JOIN pg_class k ON k.oid = h.inhrelid
WHERE k.relpartbound IS NOT NULL ORDER BY l.root, l.oid, k.oid`
	open := map[*Table]map[string]bool{}
	return r.each(ctx, sql, func(rows pgx.Rows) error {
		var root uint32
		var strategy, column, bound string
		if err := rows.Scan(&root, &strategy, &column, &bound); err != nil {
			return err
		}
		t := r.by[root]
		if t == nil {
			return nil
		}
		if t.Confined == nil {
			t.Confined, open[t] = map[string]Confines{}, map[string]bool{}
		}
		if bound == "DEFAULT" || strategy == "h" {
			open[t][column] = true
		}
		if open[t][column] {
			delete(t.Confined, column)
			return nil
		}
		c := t.Confined[column]
		if m := listBound.FindStringSubmatch(bound); m != nil {
			c.In = append(c.In, literals(m[1])...)
		} else if m := rangeBound.FindStringSubmatch(bound); m != nil {
			c.Spans = append(c.Spans, [2]string{rangeBoundEnd(m[1]), rangeBoundEnd(m[2])})
		}
		t.Confined[column] = c
		return nil
	})
}

// rangeBoundEnd is a bound's literal, "" without end.
func rangeBoundEnd(s string) string {
	if s == "MINVALUE" || s == "MAXVALUE" {
		return ""
	}
	return strings.ReplaceAll(strings.Trim(s, "'"), "''", "'")
}
