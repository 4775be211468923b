package postgres

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

// ExplainWrite executes an INSERT, UPDATE or DELETE with the time of its triggers, and
// takes it back. It holds the locks of the statement for that long. Without a value for
// each parameter nothing is executed and the error says so.
func ExplainWrite(ctx context.Context, dsn, sql string, args []any) (premortem.Plan, error) {
	var plan premortem.Plan
	err := connected(ctx, dsn, func(c *pgx.Conn) error {
		e, err := newExplainer(ctx, c)
		if err != nil {
			return err
		}
		defer e.end()
		if have, want := len(args), parameters(sql); have < want {
			return fmt.Errorf("%d of %d values are known", have, want)
		}
		raw, _, err := e.ask(ctx, sql, args, false, ", ANALYZE, BUFFERS")
		if err != nil {
			return err
		}
		root, err := readAnswer(raw, true)
		if err != nil {
			return err
		}
		if plan, err = e.plan(ctx, root); err != nil {
			return err
		}
		return e.triggers(ctx, root, &plan)
	})
	if err != nil {
		return premortem.Plan{}, fmt.Errorf("explain a write: %w", err)
	}
	return plan, nil
}

// triggerNode is EXPLAIN's report of a trigger.
type triggerNode struct {
	Constraint string  `json:"Constraint Name"`
	Relation   string  `json:"Relation"`
	Time       float64 `json:"Time"` // milliseconds
	Calls      float64 `json:"Calls"`
}

// triggers adds what the triggers of a write did, and for the check of a foreign key
// which table it read and whether an index serves it.
func (e *explainer) triggers(ctx context.Context, a *answer, p *premortem.Plan) error {
	const sql = `SELECT c.conrelid::regclass::text, greatest(r.reltuples, 0)::float8,
  (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.o) FROM unnest(c.conkey) WITH ORDINALITY k(n, o) JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n),
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indisvalid AND (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey
    AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) ~ '^\(?\w+ IS NOT NULL\)?$'))
FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_class t ON t.oid = c.confrelid
WHERE c.contype = 'f' AND c.conname = $1 AND t.relname = $2`
	for _, t := range a.Triggers {
		run := premortem.TriggerRun{Constraint: t.Constraint, Calls: t.Calls, Seconds: t.Time / 1000}
		if t.Constraint != "" {
			err := e.c.QueryRow(ctx, sql, t.Constraint, t.Relation).Scan(&run.Child, &run.ChildRows, &run.Columns, &run.Indexed)
			if err != nil && err != pgx.ErrNoRows { // none: the child checks its parent
				return err
			}
		}
		p.Triggers = append(p.Triggers, run)
	}
	return nil
}

// hazards adds what a plan shows beyond its scans: rows made for OFFSET, spills,
// indexes that a predicate passes by, and the plan for any values.
func (e *explainer) hazards(ctx context.Context, sql string, args []any, a *answer, p *premortem.Plan) error {
	if a.ran {
		p.Skipped = skipped(&a.Plan)
		p.Spilled = spilled(&a.Plan)
	}
	if err := e.passedBy(ctx, a, p); err != nil {
		return err
	}
	if n := parameters(sql); n == 0 || len(args) < n {
		return nil
	}
	return e.generic(ctx, sql, a, p)
}

// endedEarly are the nodes that may have been stopped before their end, so that fewer
// rows than expected say nothing: below a Limit, and in joins that stop at a match or
// at the end of the other side.
func endedEarly(root *node) map[*node]bool {
	out := map[*node]bool{}
	root.walk(func(n *node) {
		if n.Type == "Limit" || n.Type == "Merge Join" || n.Join == "Semi" || n.Join == "Anti" {
			for i := range n.Plans {
				n.Plans[i].walk(func(below *node) { out[below] = true })
			}
		}
	})
	return out
}

// skipped are the rows that a Limit took and did not give on.
func skipped(root *node) float64 {
	out := 0.0
	root.walk(func(n *node) {
		if n.Type == "Limit" && len(n.Plans) == 1 {
			in := &n.Plans[0]
			out = max(out, in.ActualRows*max(in.Loops, 1)-n.ActualRows*max(n.Loops, 1))
		}
	})
	return out
}

// spilled are the nodes that wrote temporary files. A hash's size is not said: its
// blocks are.
func spilled(root *node) []premortem.Spill {
	var out []premortem.Spill
	root.walk(func(n *node) {
		switch {
		case n.SpaceType == "Disk":
			out = append(out, premortem.Spill{Node: n.Type, Bytes: n.SpaceUsed << 10, Key: bare(scrub(strings.Join(n.SortKey, ", ")))})
		case n.Type == "Hash" && n.Batches > 1:
			out = append(out, premortem.Spill{Node: n.Type, Bytes: n.TempOut * 8192})
		case n.Disk > 0:
			out = append(out, premortem.Spill{Node: n.Type, Bytes: n.Disk << 10, Key: bare(scrub(strings.Join(n.GroupKey, ", ")))})
		}
	})
	return out
}

// passedBy names, for each sequential scan with a filter, the columns in the filter
// that lead an index of the table.
func (e *explainer) passedBy(ctx context.Context, a *answer, p *premortem.Plan) error {
	const sql = `SELECT DISTINCT c.relname, a.attname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] WHERE i.indisvalid AND i.indpred IS NULL AND c.relname = ANY ($1) ORDER BY 1, 2`
	var tables []string
	for _, s := range p.Scans {
		if s.Node == "Seq Scan" && s.Filter != "" {
			tables = append(tables, s.Table[strings.LastIndexByte(s.Table, '.')+1:])
		}
	}
	if len(tables) == 0 {
		return nil
	}
	rows, err := e.c.Query(ctx, sql, tables)
	if err != nil {
		return err
	}
	var table, column string
	_, err = pgx.ForEachRow(rows, []any{&table, &column}, func() error {
		for i := range p.Scans {
			s := &p.Scans[i]
			if s.Node == "Seq Scan" && s.Table[strings.LastIndexByte(s.Table, '.')+1:] == table && columnWord(column).MatchString(s.Filter) {
				if s.PassedBy != "" {
					s.PassedBy += ", "
				}
				s.PassedBy += column
			}
		}
		return nil
	})
	return err
}

// generic compares the plan for these values with the one for any.
func (e *explainer) generic(ctx context.Context, sql string, custom *answer, p *premortem.Plan) error {
	any, err := e.explain(ctx, sql, nil, false)
	if err != nil {
		return err
	}
	g := &premortem.GenericPlan{Custom: custom.Plan.Total, Generic: any.Plan.Total, Differs: order(&custom.Plan) != order(&any.Plan)}
	var scans []*node
	any.Plan.walk(func(n *node) {
		if n.Relation != "" {
			scans = append(scans, n)
		}
	})
	off := 0.0
	custom.Plan.walk(func(n *node) {
		i := slices.IndexFunc(scans, func(o *node) bool { return o.Alias == n.Alias && o.Relation == n.Relation })
		if n.Relation == "" || i < 0 {
			return
		}
		if by := math.Abs(math.Log(max(n.PlanRows, 1) / max(scans[i].PlanRows, 1))); g.Table == "" || by > off {
			off, g.Table, g.Rows, g.Any = by, n.Relation, n.PlanRows, scans[i].PlanRows
		}
	})
	p.Generic = g
	return nil
}

// order is what a plan does, without its numbers.
func order(root *node) string {
	var b strings.Builder
	root.walk(func(n *node) { fmt.Fprintf(&b, "%s %s %s;", n.Type, n.Alias, n.Index) })
	return b.String()
}
