package judge

import (
	"fmt"

	"github.com/premortem/premortem"
)

const (
	genericTimes = 10    // the two estimates of rows differ by
	genericRows  = 1_000 // that came or were expected, below which no plan is a bad one
)

// GenericPlanTrap is a prepared statement whose plan for any value is wrong for one.
var GenericPlanTrap = add(Sign{
	Name:     "generic-plan-trap",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "a prepared statement keeps a plan that is wrong for common values",
		Why: "After five executions PostgreSQL may keep one plan for all values. Where a few values hold most of the rows, that plan expects the mean and is used for " +
			"the largest: fast for weeks, then slow for good until the session ends.",
		When: "For the values that came under load, the plan for these values and the plan for any are not the same, the numbers of rows that they expect differ ten times " +
			"or more, and at least 1,000 rows are at stake.",
		Silent: "Keys and evenly spread columns; statements whose two plans are the same; statements without parameters.",
		Fix:    "SET plan_cache_mode = force_custom_plan for the role or the transaction, or let the driver send this statement unprepared.",
	},
	Look: func(t *premortem.Trial, report func(premortem.Finding)) {
		ex := examine(t)
		for _, h := range hazardsOf(t, trapped) {
			report(h.trap(t, ex))
		}
	},
	rank:     2,
	routes:   hazardRoutes(trapped),
	explains: hazardExplains(trapped),
})

func trapped(p *premortem.Plan) bool {
	g := p.Generic
	if g == nil || !g.Differs || max(g.Rows, g.Any) < genericRows {
		return false
	}
	low, high := max(min(g.Rows, g.Any), 1), max(g.Rows, g.Any)
	return high >= genericTimes*low
}

func (h *hazard) trap(t *premortem.Trial, ex *exam) premortem.Finding {
	g := h.plan.Generic
	says := fmt.Sprintf("%s: prepared, its plan for any value expects %s rows of %s, and %s for values that came", routeOr(h), about(g.Any), g.Table, about(g.Rows))
	f := h.finding(t, ex, says, premortem.Evidence{Says: fmt.Sprintf("the plan for these values expects %s rows, the one for any %s, and they differ", about(g.Rows), about(g.Any)),
		Measure: measureOf(t, h.load.to, "plan_rows_generic", "rows", g.Rows, g.Any)},
		premortem.Evidence{Says: fmt.Sprintf("the planner expects a cost of %s with the values and of %s without", about(g.Custom), about(g.Generic)),
			Measure: measureOf(t, h.load.to, "plan_cost_generic", "cost", g.Custom, g.Generic)})
	f.Fix.Says = "set plan_cache_mode = force_custom_plan for the role, or send this statement unprepared"
	return f
}
