package postgres

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// WithValues is a statement planned with values out of the statistics, beside its plan
// for any value.
type WithValues struct {
	Multiple float64
	What     string // "its most common value", "a rare value", "a wide range"
	Table    string // whose rows the values choose
	Column   string
	Plan     string
	Cost     float64
	Rows     float64 // of Table that pass
	// For any value:
	GenericPlan string
	GenericCost float64
	GenericRows float64
	Same        bool // it is the same plan
}

// Trap reports whether a prepared statement falls into its generic plan and is wrong
// there: after five executions the server keeps the plan for any value once that costs
// less than the average of those with values (choose_custom_plan in plancache.c), and
// here ten times as many rows come as that plan was made for.
func (v *WithValues) Trap() bool {
	return !v.Same && v.GenericCost < v.Cost && v.Rows >= 10*max(v.GenericRows, 1) && v.Rows >= smallTable
}

// compared is a column that a parameter is compared with.
type compared struct {
	parameter int
	column    string
	op        string
	list      bool
	scan      *node
}

var comparison = regexp.MustCompile(`^\(?("[^"]+"|[a-z_][a-z0-9_$]*)\)?(?:::[a-z_ ]+)? (=|<|>|<=|>=) (ANY \()?\(?\$(\d+)\)?(?:::[a-z_ ]+(?:\[\])?)?\)?$`)

// comparisons finds what the parameters of a generic plan are compared with.
func comparisons(a *answer) []compared {
	var out []compared
	a.Plan.walk(func(n *node) {
		if n.Relation == "" {
			return
		}
		for _, text := range []string{n.IndexCond, n.Recheck, n.Filter} {
			for _, one := range conjuncts(text) {
				m := comparison.FindStringSubmatch(stripAlias(one, n.Alias))
				if m == nil {
					continue
				}
				number, err := strconv.Atoi(m[4])
				if err != nil || slices.ContainsFunc(out, func(c compared) bool { return c.parameter == number }) {
					continue
				}
				out = append(out, compared{number, strings.Trim(m[1], `"`), m[2], m[3] != "", n})
			}
		}
	})
	return out
}

// draws are the values that are tried: name, and the quantile of a range's open side.
var draws = []struct {
	what   string
	common bool
	passes float64 // share of the histogram that a range lets through
}{{"its most common value", true, 0.5}, {"a rare value", false, 0.01}, {"a wide range", true, 0.99}}

// withValues plans a statement with values for all of its parameters; nil when the
// statistics have none for one of them.
func (s *Size) withValues(ctx context.Context, e *explainer, sql string, generic *answer) ([]WithValues, error) {
	known := comparisons(generic)
	want := parameters(split(sql)[0].text)
	if want == 0 || len(known) != want {
		return nil, nil
	}
	ranges := slices.ContainsFunc(known, func(c compared) bool { return c.op != "=" })
	rows := generic.everyRow()
	var out []WithValues
	for _, d := range draws {
		if d.passes == 0.99 && !ranges {
			continue
		}
		args, first := make([]any, want), known[0]
		for _, c := range known {
			v, ok := s.value(c, d.common, d.passes)
			if !ok {
				return out, nil
			}
			args[c.parameter-1] = v
			if rows[c.scan] > rows[first.scan] {
				first = c
			}
		}
		a, err := e.explain(ctx, sql, args, false)
		if err != nil {
			return out, err
		}
		got := a.everyRow()
		passes := 0.0
		a.Plan.walk(func(n *node) {
			if n.Relation == first.scan.Relation && n.Alias == first.scan.Alias {
				passes = max(passes, got[n])
			}
		})
		out = append(out, WithValues{
			What: d.what, Table: first.scan.Relation, Column: first.column, Plan: a.summary(), Cost: a.Plan.Total, Rows: passes,
			GenericPlan: generic.summary(), GenericCost: generic.Plan.Total, GenericRows: rows[first.scan], Same: shapeOf(a) == shapeOf(generic),
		})
	}
	return out, nil
}

// value is one of a column's values: of an equality its most common or a rare one, of
// a range the bound that lets a share through.
func (s *Size) value(c compared, common bool, passes float64) (string, bool) {
	stats := s.column(c.scan.Relation, c.column)
	if stats == nil {
		return "", false
	}
	values, bounds := splitArray(stats.Common), splitArray(stats.Bounds)
	pick := ""
	switch {
	case c.op == "=" && common && len(values) > 0:
		pick = values[0]
	case c.op == "=" && len(bounds) > 0:
		pick = bounds[len(bounds)/2]
	case c.op == "=" && len(values) > 0:
		pick = values[len(values)-1]
	case len(bounds) > 1:
		share := passes
		if strings.HasPrefix(c.op, ">") {
			share = 1 - passes
		}
		pick = bounds[min(int(share*float64(len(bounds))), len(bounds)-1)]
	default:
		return "", false
	}
	if c.list {
		pick = `{"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(pick) + `"}`
	}
	return pick, true
}

// column is the statistics of a table's column, over all partitions where there are.
func (s *Size) column(table, name string) *ColumnStats {
	for i := range s.Profile.Columns {
		if c := &s.Profile.Columns[i]; c.Table == table && c.Name == name && !c.OfIndex {
			return c
		}
	}
	return nil
}

// draw plans the statements with values, at the first and the last size.
func (s *Size) draw(ctx context.Context, multiple float64, statements []string, generic []planned) error {
	return s.planning(ctx, func(e *explainer) error {
		for i := range generic {
			p := &generic[i]
			if p.err != nil {
				continue
			}
			if err := e.exec(ctx, "SAVEPOINT draw"); err != nil {
				return err
			}
			var err error
			p.values, err = s.withValues(ctx, e, statements[i], p.a)
			end := "RELEASE SAVEPOINT draw"
			if err != nil { // a value that the statement refuses: nothing is said of it
				p.values, end = nil, "ROLLBACK TO SAVEPOINT draw; RELEASE SAVEPOINT draw"
			}
			if err := e.exec(ctx, end); err != nil {
				return err
			}
			for k := range p.values {
				p.values[k].Multiple = multiple
			}
		}
		return nil
	})
}
