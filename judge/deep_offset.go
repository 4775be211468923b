package judge

import (
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// skippedRows is how many rows may be made for nothing before a page is deep.
const skippedRows = 1000

// DeepOffset is a page that is reached by making all rows before it.
var DeepOffset = add(Sign{
	Name:     "deep-offset",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title:  "a page is reached by reading everything before it",
		Why:    "OFFSET makes the rows that it skips and throws them away. The last page costs as much as the whole table, and grows with it.",
		When:   "An execution of a statement with OFFSET made at least 1,000 rows, and more than ten times what it returned, only to pass over them.",
		Silent: "Pages near the start; a LIMIT without OFFSET; a statement that was planned and not executed.",
		Fix:    "Page by key: WHERE (created_at, id) > ($1, $2) ORDER BY created_at, id LIMIT n, with an index on both.",
	},
	Look: func(t *premortem.Trial, report func(premortem.Finding)) {
		ex := examine(t)
		for _, h := range hazardsOf(t, skips) {
			report(h.offset(t, ex))
		}
	},
	rank:     0,
	routes:   hazardRoutes(skips),
	explains: hazardExplains(skips),
})

func skips(p *premortem.Plan) bool {
	kept := 0.0
	for _, s := range p.Scans {
		kept = max(kept, s.Rows*max(s.Loops, 1)-p.Skipped)
	}
	return p.Skipped >= skippedRows && p.Skipped > 10*kept && strings.Contains(strings.ToLower(p.Op), "offset")
}

func (h *hazard) offset(t *premortem.Trial, ex *exam) premortem.Finding {
	says := fmt.Sprintf("%s makes %s rows of %s to pass over them", routeOr(h), about(h.plan.Skipped), tableOr(h.plan.Op))
	f := h.finding(t, ex, says, premortem.Evidence{Says: fmt.Sprintf("OFFSET passed over %s rows in one execution", about(h.plan.Skipped)),
		Measure: measureOf(t, h.load.to, "rows_skipped", "rows", 0, h.plan.Skipped)})
	f.Fix.Says = "page by key instead of OFFSET: WHERE (order column, id) > the last row of the page before"
	return f
}

// routeOr is the route that makes a hazard, or "a statement".
func routeOr(h *hazard) string {
	if len(h.uses) > 0 {
		return h.uses[0].route
	}
	return "a statement"
}

func tableOr(op string) string {
	if name := tableOf(op); name != "" {
		return name
	}
	return "its tables"
}
