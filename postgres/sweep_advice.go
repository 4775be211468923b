package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

const (
	growsAlong = 0.5 // exponent from which an index is looked for
	mostTries  = 60  // indexes in one ghost
	muchBetter = 0.4 // of the cost; an index that saves less is not worth its writes
)

// wanting reports whether a statement is worth an index: its work grows, or it reads
// whole large tables.
func (o *Outlook) wanting() bool {
	if o.Err != nil {
		return false
	}
	last := o.Steps[len(o.Steps)-1]
	return o.Exponent >= growsAlong || len(last.Whole) > 0 || len(last.Spills) > 0
}

// advise tries indexes at the last multiple, all in one ghost, and the chosen ones at
// 1× in another.
func (w *sweeper) advise(ctx context.Context) error {
	last := w.out.Multiples[len(w.out.Multiples)-1]
	size, err := w.g.At(ctx, w.breadth(last))
	if err != nil {
		return err
	}
	t := &trials{shares: map[string]float64{}}
	of, err := w.collect(ctx, size, t)
	if err != nil || len(t.designs) == 0 {
		return err
	}
	chosen, err := w.tryAll(ctx, size.Profile, t, of, last)
	if err != nil {
		return err
	}
	return w.small(ctx, chosen, t.shares)
}

// collect gathers the designs of every statement; equal ones are made once. The result
// maps statements to designs.
func (w *sweeper) collect(ctx context.Context, size *Size, t *trials) (map[int][]*design, error) {
	of := map[int][]*design{}
	err := size.planning(ctx, func(e *explainer) error {
		for i := range w.out.Statements {
			if !w.out.Statements[i].wanting() {
				continue
			}
			found, err := size.designs(ctx, e, w.statements[i])
			if err != nil {
				return err
			}
			for _, d := range found {
				at := slices.IndexFunc(t.designs, func(o *design) bool { return o.body() == d.body() })
				switch {
				case at >= 0:
					d = t.designs[at]
				case len(t.designs) == mostTries:
					w.doubt(fmt.Sprintf("only the first %d candidate indexes were tried", mostTries))
					continue
				default:
					t.designs = append(t.designs, d)
				}
				of[i] = append(of[i], d)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, d := range t.designs {
		key := d.table + " " + d.where
		if _, known := t.shares[key]; d.where == "" || known {
			continue
		}
		if t.shares[key], err = size.share(ctx, d); err != nil {
			return nil, err
		}
	}
	return of, nil
}

func (w *sweeper) doubt(s string) { w.out.Doubts = appendNew(w.out.Doubts, s) }

// tryAll plans each statement with each of its designs and keeps the best for it.
func (w *sweeper) tryAll(ctx context.Context, p *Profile, t *trials, of map[int][]*design, k float64) (map[int]*design, error) {
	size, err := w.g.make(ctx, p, t)
	if err != nil {
		return nil, err
	}
	chosen := map[int]*design{}
	gr := newGrower(p)
	err = size.planning(ctx, func(e *explainer) error {
		if err := t.hide(ctx, e); err != nil {
			return err
		}
		for i := range w.out.Statements {
			d, advice, err := w.best(ctx, e, i, of[i])
			if err != nil {
				return err
			}
			if d == nil {
				continue
			}
			advice.Multiple, advice.BytesThen = k, d.bytes()
			advice.Writes = d.indexWrite(d.entry(&d.made[0], gr, d.made[0].Rows))
			w.out.Statements[i].Advice, chosen[i] = advice, d
		}
		return nil
	})
	return chosen, err
}

// best is the smallest design that is about as good as the best.
func (w *sweeper) best(ctx context.Context, e *explainer, i int, designs []*design) (*design, *IndexAdvice, error) {
	var tried []trial
	plans := map[string]*answer{}
	by := map[string]*design{}
	o := &w.out.Statements[i]
	for _, d := range designs {
		if d.refused || len(d.made) == 0 {
			continue
		}
		after, before, err := d.with(ctx, e, w.statements[i])
		if err != nil {
			return nil, nil, err
		}
		if !after.uses(d) {
			continue
		}
		sql := d.sql()
		plans[sql], by[sql] = after, d
		work := max(o.Steps[len(o.Steps)-1].Cost, before)
		tried = append(tried, trial{sql: sql, columns: len(d.keys) + len(d.include), bytes: d.bytes(), before: work, cost: after.Plan.Total})
	}
	t := choose(tried)
	if t == nil || t.cost > t.before*muchBetter {
		return nil, nil, nil
	}
	d := by[t.sql]
	return d, &IndexAdvice{
		Advice: premortem.Advice{SQL: t.sql, CostBefore: t.before, CostAfter: t.cost},
		Table:  d.schema + "." + d.table, Plan: strings.ReplaceAll(plans[t.sql].summary(), d.name, "the new index"),
	}, nil
}

// uses reports whether a plan reads an index of the design.
func (a *answer) uses(d *design) bool {
	found := false
	a.Plan.walk(func(n *node) {
		found = found || n.Index != "" && (n.Index == d.name || slices.ContainsFunc(d.made, func(r RelationStats) bool { return r.Name == n.Index }))
	})
	return found
}

// small asks what the chosen indexes are worth, and how large they are, at 1×.
func (w *sweeper) small(ctx context.Context, chosen map[int]*design, shares map[string]float64) error {
	t := &trials{shares: shares}
	for _, d := range chosen {
		if !slices.Contains(t.designs, d) {
			t.designs = append(t.designs, d)
		}
	}
	if len(t.designs) == 0 {
		return nil
	}
	slices.SortFunc(t.designs, func(a, b *design) int { return strings.Compare(a.body(), b.body()) })
	size, err := w.g.make(ctx, w.g.grown(w.breadth(1)), t)
	if err != nil {
		return err
	}
	return size.planning(ctx, func(e *explainer) error {
		if err := t.hide(ctx, e); err != nil {
			return err
		}
		for i, d := range chosen {
			a, o := w.out.Statements[i].Advice, &w.out.Statements[i]
			if d.refused {
				continue
			}
			after, before, err := d.with(ctx, e, w.statements[i])
			if err != nil {
				return err
			}
			a.Bytes, a.CostNow, a.CostNowBefore = d.bytes(), after.Plan.Total, max(before, o.Steps[0].Cost)
		}
		return nil
	})
}

// share is how many of a table's rows the condition of a partial index leaves.
func (s *Size) share(ctx context.Context, d *design) (float64, error) {
	share := 1.0
	err := s.planning(ctx, func(e *explainer) error {
		a, err := e.explain(ctx, fmt.Sprintf("SELECT FROM %s WHERE %s", d.quoted, d.where), nil, false)
		if err != nil {
			return err
		}
		rows := 0.0
		for i := range s.Profile.Relations {
			if r := &s.Profile.Relations[i]; !r.isIndex() && r.Kind != "p" && (r.Name == d.table && r.Schema == d.schema || r.Parent == d.schema+"."+d.table) {
				rows += max(r.Rows, 0)
			}
		}
		if rows > 0 {
			share = min(a.Plan.PlanRows/rows, 1)
		}
		return nil
	})
	return share, err
}
