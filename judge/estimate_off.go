package judge

import (
	"fmt"

	"github.com/premortem/premortem"
)

const (
	estimateTimes = 10    // the q-error from which a plan is made on wrong numbers
	estimateRows  = 1_000 // expected or found
)

// EstimateOff is a plan that was made on wrong numbers.
var EstimateOff = add(Sign{
	Name:     "estimate-off",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "the planner expects ten times more or fewer rows than there are",
		Why: "Plans are chosen by expected rows. Columns that depend on each other, expressions without statistics and tables that changed since ANALYZE make them wrong, " +
			"and every node above multiplies the error.",
		When:   "In an execution a scan found at least ten times more or ten times fewer rows than expected, and one of the two numbers is at least 1,000.",
		Silent: "Small numbers; a scan that LIMIT ended early; a statement that was planned and not executed, or not called under load.",
		Fix:    "ANALYZE the table; CREATE STATISTICS on the columns that occur together; raise the column's statistics target; index the expression, which gives it statistics.",
	},
	Look: func(t *premortem.Trial, report func(premortem.Finding)) {
		ex := examine(t)
		for _, h := range hazardsOf(t, misjudged) {
			report(h.misjudgement(t, ex))
		}
	},
	rank:     3,
	routes:   hazardRoutes(misjudged),
	explains: nil,
})

func misjudged(p *premortem.Plan) bool { return worstEstimate(p) != nil }

// worstEstimate is the scan whose numbers are wrong by most, nil when none is.
func worstEstimate(p *premortem.Plan) *premortem.Scan {
	var worst *premortem.Scan
	off := 0.0
	for i := range p.Scans {
		s := &p.Scans[i]
		if p.Seconds < 0 || s.Estimate <= 0 || max(s.Rows, s.Estimate) < estimateRows {
			continue
		}
		if limited.MatchString(p.Op) && s.Rows < s.Estimate {
			continue // it was stopped, not misjudged
		}
		if by := max(s.Rows, s.Estimate) / max(min(s.Rows, s.Estimate), 1); by >= estimateTimes && by > off {
			worst, off = s, by
		}
	}
	return worst
}

func (h *hazard) misjudgement(t *premortem.Trial, ex *exam) premortem.Finding {
	s := worstEstimate(h.plan)
	says := fmt.Sprintf("%s: the planner expects %s rows of %s and finds %s", routeOr(h), about(s.Estimate), s.Table, about(s.Rows))
	f := h.finding(t, ex, says, premortem.Evidence{Says: fmt.Sprintf("%s on %s: %s rows expected, %s found", s.Node, s.Table, about(s.Estimate), about(s.Rows)),
		Measure: measureOf(t, h.load.to, "plan_rows_actual", "rows", s.Estimate, s.Rows)})
	f.Fix.Says = fmt.Sprintf("ANALYZE %s; where that does not help, CREATE STATISTICS on the columns that are compared together", s.Table)
	return f
}
