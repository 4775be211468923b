package judge

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// PredicateHidesIndex is a condition that wraps an indexed column.
var PredicateHidesIndex = add(Sign{
	Name:     "predicate-hides-index",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title:  "a condition wraps an indexed column, so the index is not used",
		Why:    "An index on email serves email = $1 and not lower(email) = $1; one on a bigint does not serve a comparison with a numeric. The whole table is read although an index is there.",
		When:   "A sequential scan read at least 10,000 rows and returned less than 5 % of them, and its filter wraps a column that leads an index in a function, a cast, an operator or a LIKE with a leading wildcard.",
		Silent: "The plain column is compared, and the planner had other reasons; a column that is only cast to text; small tables; scans that return much of what they read.",
		Fix:    "Compare the plain column: move the function to the other side, bind the right type, use a range instead of date_trunc. Else make an index on the expression.",
	},
	Look: func(t *premortem.Trial, report func(premortem.Finding)) {
		ex := examine(t)
		for _, h := range hazardsOf(t, hides) {
			report(h.hidden(t, ex))
		}
	},
	rank:     1, // the scan comes first: its fix is the index
	routes:   hazardRoutes(hides),
	explains: hazardExplains(hides),
})

func hides(p *premortem.Plan) bool { s, _ := hiddenIn(p); return s != nil }

// hiddenIn is the scan of a plan whose filter wraps an indexed column, and the column.
func hiddenIn(p *premortem.Plan) (*premortem.Scan, string) {
	for i := range p.Scans {
		s := &p.Scans[i]
		loops := max(s.Loops, 1)
		if s.Node != "Seq Scan" || s.PassedBy == "" || (s.Rows+s.Removed)*loops < scanRows || s.Rows > scanReturns*(s.Rows+s.Removed) {
			continue
		}
		for c := range strings.SplitSeq(s.PassedBy, ", ") {
			if wraps(s.Filter, c) {
				return s, c
			}
		}
	}
	return nil, ""
}

// wraps reports whether a filter does something to a column before it compares it. A
// cast between text types that PostgreSQL writes by itself is none.
func wraps(filter, column string) bool {
	if len(filter) > longest {
		return false
	}
	text := textCast.ReplaceAllString(filter, "$1")
	for part := range strings.SplitSeq(strings.ReplaceAll(text, " OR ", " AND "), " AND ") {
		part = unwrap(part)
		at := regexp.MustCompile(`\b` + regexp.QuoteMeta(column) + `\b`).FindStringIndex(part)
		if at == nil {
			continue
		}
		before, after := strings.TrimSpace(part[:at[0]]), part[at[1]:]
		switch {
		case strings.HasSuffix(before, "("), strings.HasSuffix(before, ","): // a function's argument
			return true
		case strings.HasPrefix(after, "::"), strings.HasPrefix(strings.TrimSpace(after), ")::"):
			return true
		case arithmetic.MatchString(after), strings.HasPrefix(strings.TrimSpace(after), "~~"):
			return true
		}
	}
	return false
}

var (
	textCast   = regexp.MustCompile(`\((\w+)\)::(?:text|bpchar|character varying)\b`)
	arithmetic = regexp.MustCompile(`^\s*(\+|-|\*|/|%|\|\||->>?)\s`)
)

func (h *hazard) hidden(t *premortem.Trial, ex *exam) premortem.Finding {
	s, column := hiddenIn(h.plan)
	f := h.finding(t, ex, fmt.Sprintf("%s reads all of %s although %s is indexed: the condition is on %s", routeOr(h), s.Table, column, s.Filter),
		premortem.Evidence{Says: fmt.Sprintf("Seq Scan on %s, Filter: %s; it read %s rows and kept %s", s.Table, s.Filter, about((s.Rows+s.Removed)*max(s.Loops, 1)), about(s.Rows*max(s.Loops, 1))),
			Measure: measureOf(t, h.load.to, "plan_rows_read", "rows", 0, (s.Rows+s.Removed)*max(s.Loops, 1))})
	f.Subject = strings.TrimSpace(f.Subject + " " + column)
	f.Fix.Says = fmt.Sprintf("compare %s itself, or make an index on the expression", column)
	return f
}
