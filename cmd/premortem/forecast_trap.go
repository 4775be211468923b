package main

import (
	"fmt"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/postgres"
)

// trapped reports a prepared statement that the server would run with its plan for any
// value, which is wrong for a value that is common.
func (f *prophet) trapped(q question, o *postgres.Outlook) (premortem.Finding, bool) {
	for i := range o.Values {
		v := &o.Values[i]
		if !v.Trap() {
			continue
		}
		out := f.about(q, ruleTrap)
		out.Severity = premortem.Slow
		out.Says = fmt.Sprintf("%s, prepared, is run with a plan for %s rows of %s at %s× the rows, and %s of %s brings %s",
			q.what(), rowsOf(v.GenericRows), v.Table, figure(v.Multiple), v.What, v.Column, rowsOf(v.Rows))
		out.Evidence = append(out.Evidence,
			premortem.Evidence{Says: "planned for any value: " + v.GenericPlan}, premortem.Evidence{Says: "planned with " + v.What + ": " + v.Plan},
			premortem.Evidence{
				Says:    "rows that the plan for any value expects, and that come; it is kept after five executions because it looks cheaper",
				Measure: &premortem.Measure{Signal: "rows_expected", Node: f.node(), Before: v.GenericRows, During: v.Rows, Unit: "rows"},
			})
		out.Fix.Says = "set plan_cache_mode = force_custom_plan for the role or the transaction, or let the driver send this statement unprepared"
		return out, true
	}
	return premortem.Finding{}, false
}

func rowsOf(v float64) string {
	return grouped(int64(max(v, 1)))
}
