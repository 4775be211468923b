package postgres

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

// Grow appends rows until every big table, declared or a child of a declared one,
// has factor times the rows of r, and returns the rows that the database then has.
// New children point at new parents where the parents grew too, so that each has as
// many as before; times spread over the same window, which gets denser. Rows that
// the app wrote meanwhile stay, and numbering goes on behind them; nothing may write
// while Grow runs. Errors are *premortem.Error.
func (r *Rows) Grow(ctx context.Context, srv *Server, db string, factor float64) (*Rows, error) {
	doing := fmt.Sprintf("grow database %s %g×", db, factor)
	if !(factor >= 1) || math.IsInf(factor, 0) {
		return nil, &premortem.Error{Doing: doing, Err: fmt.Errorf("%g is no factor to grow by", factor), Hint: "use a factor of 1 or more"}
	}
	grown := &Rows{
		Notes: slices.Clone(r.Notes), options: r.options, schema: r.schema,
		notes: maps.Clone(r.notes), known: r.known, told: r.told,
	}
	for _, t := range r.tables {
		n := &tableRows{def: t.def, parts: slices.Clone(t.parts), kept: t.kept, big: t.big, total: t.total, fresh: t.total, grids: maps.Clone(t.grids)}
		if t.big && !t.kept {
			n.total = max(int64(math.Round(float64(t.total)*factor)), t.total)
		}
		grown.tables = append(grown.tables, n)
	}
	if err := grown.behind(ctx, srv, db); err != nil {
		return nil, &premortem.Error{Doing: doing, Err: err}
	}
	var work []job
	for _, t := range grown.tables {
		if t.total == t.fresh {
			continue
		}
		if err := grown.extend(t); err != nil {
			return nil, err
		}
		last := t.parts[len(t.parts)-1:]
		// Making an index anew costs about a quarter of adding to it row by row.
		work = append(work, job{t: t, parts: last, rebuild: (t.total-t.fresh)*4 >= t.total})
	}
	if err := grown.followable(); err != nil {
		return nil, err
	}
	l := loader{r: grown, srv: srv, db: db, work: work, trusted: true}
	return grown, l.run(ctx)
}

// behind moves the numbering of the new rows behind what the app inserted.
func (r *Rows) behind(ctx context.Context, srv *Server, db string) error {
	return srv.on(ctx, db, func(c *pgx.Conn) error {
		for _, t := range r.tables {
			t.shift = t.lastShift()
			if t.total == t.fresh {
				continue
			}
			for _, col := range t.def.Columns {
				if form := integerForm(&col); form < 0 || col.Sequence == "" {
					continue
				}
				var highest int64
				sql := "SELECT coalesce(max(" + quoteIdent(col.Name) + "), 0) FROM " + t.def.quoted()
				if err := c.QueryRow(ctx, sql).Scan(&highest); err != nil {
					return fmt.Errorf("read the highest %s.%s: %w", t.def.Name, col.Name, err)
				}
				t.shift = max(t.shift, highest-t.fresh)
			}
		}
		return nil
	})
}
