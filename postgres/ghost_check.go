package postgres

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

// Agreement is how many statements a ghost plans as the database that its profile was
// taken from.
type Agreement struct {
	Equal, Of int
	Different []string // statements
}

// Agree compares the plans of a ghost at the profile's own size with those of the
// populated database. Statements that neither can plan are left out.
func (g *Ghost) Agree(ctx context.Context, dsn string, statements []string) (Agreement, error) {
	var out Agreement
	size, err := g.At(ctx, Growth{})
	if err != nil {
		return out, err
	}
	ghost, err := size.planAll(ctx, statements)
	if err != nil {
		return out, &premortem.Error{Doing: "compare the ghost with its database", Err: err}
	}
	err = connected(ctx, dsn, func(c *pgx.Conn) error {
		e, err := newExplainer(ctx, c)
		if err != nil {
			return err
		}
		defer e.end()
		for i, sql := range statements {
			var real planned
			if err := real.plan(ctx, e, sql); err != nil {
				return err
			}
			if real.err != nil || ghost[i].err != nil {
				continue
			}
			out.Of++
			if shapeOf(real.a) == shapeOf(ghost[i].a) {
				out.Equal++
			} else {
				out.Different = append(out.Different, sql)
			}
		}
		return nil
	})
	if err != nil {
		return out, &premortem.Error{Doing: "compare the ghost with its database", Err: err}
	}
	return out, nil
}

// Check plans a look at every table and compares the rows that the planner believes in
// with the profile. It names the tables that differ: their plans mean nothing.
func (s *Size) Check(ctx context.Context) ([]string, error) {
	var wrong []string
	err := s.planning(ctx, func(e *explainer) error {
		for i := range s.Profile.Relations {
			r := &s.Profile.Relations[i]
			if r.Kind != "r" || r.Blocks == 0 || r.Pages == 0 {
				continue
			}
			var p planned
			if err := p.plan(ctx, e, "SELECT FROM ONLY "+quoteIdent(r.Schema)+"."+quoteIdent(r.Name)); err != nil {
				return err
			}
			// The planner reads rows per page of the last VACUUM and pages of now.
			want := math.Round(r.Rows / float64(r.Pages) * float64(r.Blocks))
			switch {
			case p.err != nil:
				wrong = append(wrong, fmt.Sprintf("%s.%s: %v", r.Schema, r.Name, p.err))
			case r.Rows >= 0 && math.Abs(whole(p.a)-want) > max(2, want*0.001):
				wrong = append(wrong, fmt.Sprintf("%s.%s: the ghost plans for %.0f rows and the profile says %.0f", r.Schema, r.Name, whole(p.a), want))
			}
		}
		return nil
	})
	return wrong, err
}

// whole is how many rows a plan returns.
func whole(a *answer) float64 { return a.Plan.PlanRows }
