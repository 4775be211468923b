package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/postgres"
)

const (
	ruleGrows  = "work-grows-with-rows"
	rulePlan   = "plan-changes-with-rows"
	ruleSpills = "spills-to-disk"
	ruleTrap   = "generic-plan-misleads"

	along = 0.7 // exponent from which work is said to grow with the rows
)

// tell turns what the ghost showed into findings.
func (f *prophet) tell(asked []question, s *postgres.Outlooks) {
	var failed []string
	for i, o := range s.Statements {
		q := asked[i]
		if o.Err != nil {
			failed = append(failed, fmt.Sprintf("%s (%s): %v", short(q.shown), q.where(), o.Err))
			continue
		}
		if found, ok := f.trapped(q, &o); ok {
			found.Evidence = append(found.Evidence, premortem.Evidence{Says: f.belief})
			f.r.Findings = append(f.r.Findings, found)
		}
		for _, look := range []func(question, *postgres.Outlook) (premortem.Finding, bool){f.grows, f.changes, f.spills} {
			found, ok := look(q, &o)
			if !ok {
				continue
			}
			found.Evidence = append(found.Evidence, premortem.Evidence{Says: f.belief})
			f.r.Findings = append(f.r.Findings, found)
			if found.Rule == ruleGrows {
				break // its other changes are consequences of its size
			}
		}
	}
	for _, s := range failed {
		f.unknown("what becomes of %s", s)
	}
	if len(asked) == 0 {
		f.unknown("what statements cost at other sizes: none was found in the code; name a file with --queries, or a run with --run")
	}
}

// where is the place in which a statement was found.
func (q *question) where() string {
	for _, s := range q.sites {
		if s.Pos.Known() {
			return s.Pos.String()
		}
	}
	return cmp.Or(q.from, "unknown place")
}

func (q *question) evidence() []premortem.Evidence {
	out := slices.Clone(q.sites)
	if len(out) == 0 {
		out = append(out, premortem.Evidence{Says: "found in " + q.from + ": " + short(q.shown)})
	}
	return out
}

// cost is a number of the planner as evidence.
func (f *prophet) cost(says, signal string, before, during float64) premortem.Evidence {
	return premortem.Evidence{Says: says, Measure: &premortem.Measure{Signal: signal, Node: f.node(), Before: before, During: during, Unit: "cost"}}
}

// grows reports statements whose work grows about as fast as their tables.
func (f *prophet) grows(q question, o *postgres.Outlook) (premortem.Finding, bool) {
	first, last := o.Steps[0], o.Steps[len(o.Steps)-1]
	if o.Exponent < along || last.Multiple == 1 {
		return premortem.Finding{}, false
	}
	out := f.about(q, ruleGrows)
	whole, reads := wholeOf(o)
	times := last.Work / first.Work
	switch {
	case reads && whole.Keeps <= whole.Rows/10:
		out.Severity = premortem.Slow
		wanted := "for " + few(whole.Keeps) + " of them"
		if whole.Guess {
			wanted = "to find the few that it wants"
		}
		out.Says = fmt.Sprintf("%s reads all %s rows of %s %s: %s× the rows make it %s× the work",
			q.what(), grouped(int64(whole.Rows)), whole.Table, wanted, figure(last.Multiple), figure(times))
	case reads:
		out.Says = fmt.Sprintf("%s reads all of %s, %s rows today: %s× the rows make it %s× the work", q.what(), whole.Table, grouped(int64(whole.Rows)), figure(last.Multiple), figure(times))
	default:
		out.Says = fmt.Sprintf("%s becomes %s× the work at %s× the rows: %s rows are returned today and %s then", q.what(), figure(times), figure(last.Multiple), few(first.Rows), few(last.Rows))
	}
	out.Evidence = append(out.Evidence, premortem.Evidence{Says: "planned at 1×: " + first.Plan})
	if last.Plan != first.Plan {
		out.Evidence = append(out.Evidence, premortem.Evidence{Says: fmt.Sprintf("planned at %s×: %s", figure(last.Multiple), last.Plan)})
	}
	out.Evidence = append(out.Evidence, f.cost(fmt.Sprintf("planned work at 1× and %s×", figure(last.Multiple)), "planned_work", first.Work, last.Work))
	for _, c := range o.Changes {
		if c.Firm {
			out.Evidence = append(out.Evidence, premortem.Evidence{Says: between(c) + ": " + strings.Join(c.Why, "; ")})
		}
	}
	if a := o.Advice; a != nil {
		out.Severity = premortem.Slow
		f.advise(&out, a)
	} else {
		out.Severity = premortem.Note
		out.Fix.Says = "no index that was tried makes it cheaper: read fewer rows, keep a summary, or page by key"
	}
	out.Certain = reads && o.Advice != nil && o.Advice.CostAfter*10 < o.Advice.CostBefore
	return out, true
}

// wholeOf is the largest table that is read from end to end at 1×.
func wholeOf(o *postgres.Outlook) (postgres.Whole, bool) {
	var most postgres.Whole
	for _, w := range o.Steps[0].Whole {
		if w.Rows > most.Rows {
			most = w
		}
	}
	return most, most.Rows > 0
}

// what names a statement in a sentence.
func (q *question) what() string {
	verb := "the statement"
	if q.finds {
		verb = "the search for rows to change"
	}
	for _, s := range q.sites {
		if s.Pos.Known() {
			return fmt.Sprintf("%s of %s", verb, s.Pos.File)
		}
	}
	return verb
}

func (f *prophet) about(q question, rule string) premortem.Finding {
	return premortem.Finding{Rule: rule, Node: cmp.Or(q.node, f.node()), Subject: short(q.shown), Evidence: q.evidence()}
}

// advise puts the index that the ghost tried into a finding.
func (f *prophet) advise(out *premortem.Finding, a *postgres.IndexAdvice) {
	out.Evidence = append(out.Evidence, f.cost(fmt.Sprintf("with the index, tried in the ghost at %s×", figure(a.Multiple)), "planned_cost", a.CostBefore, a.CostAfter))
	if a.CostNowBefore > 0 {
		out.Evidence = append(out.Evidence, f.cost("with the index at 1×", "planned_cost", a.CostNowBefore, a.CostNow))
	}
	out.Fix = premortem.Fix{
		Says: fmt.Sprintf("%s; it takes %s today and %s at %s×; %s",
			strings.Replace(a.SQL, "CREATE INDEX ", "CREATE INDEX CONCURRENTLY ", 1), ofBytes(float64(a.Bytes)), ofBytes(float64(a.BytesThen)), figure(a.Multiple), a.Writes),
		Try: &premortem.Try{SQL: a.SQL, Node: f.node()},
	}
}

// changes reports a firm change of plan that makes the statement dearer by more than
// its growth.
func (f *prophet) changes(q question, o *postgres.Outlook) (premortem.Finding, bool) {
	for _, c := range o.Changes {
		if !c.Firm || c.CostAfter <= c.CostBefore*1.02 {
			continue
		}
		out := f.about(q, rulePlan)
		out.Says = fmt.Sprintf("%s gets another plan %s", q.what(), between(c))
		out.Evidence = append(out.Evidence, premortem.Evidence{Says: strings.Join(c.Why, "; ")},
			premortem.Evidence{Says: "before: " + c.Before}, premortem.Evidence{Says: "after: " + c.After},
			f.cost(fmt.Sprintf("planned cost at %s× and %s×", figure(c.From), figure(c.To)), "planned_cost", c.CostBefore, c.CostAfter))
		out.Fix.Says = "a change of plan is no fault by itself: run both sizes with premortem rehearse --x rows before you act"
		return out, true
	}
	return premortem.Finding{}, false
}

func between(c postgres.Change) string {
	return fmt.Sprintf("between %s× and %s× the rows", figure(c.From), figure(c.To))
}

// spills reports the first size at which an operation needs more memory than it has.
func (f *prophet) spills(q question, o *postgres.Outlook) (premortem.Finding, bool) {
	if len(o.Steps[0].Spills) > 0 {
		return premortem.Finding{}, false // it does so today
	}
	for i, s := range o.Steps {
		if len(s.Spills) == 0 {
			continue
		}
		sp := s.Spills[0]
		out := f.about(q, ruleSpills)
		out.Severity = premortem.Slow
		out.Says = fmt.Sprintf("%s goes to disk between %s× and %s× the rows: %s needs %s and may use %s",
			q.what(), figure(o.Steps[i-1].Multiple), figure(s.Multiple), sp.What, ofBytes(sp.Bytes), ofBytes(sp.Limit))
		out.Evidence = append(out.Evidence, premortem.Evidence{Says: "memory that it needs, by the planner's arithmetic",
			Measure: &premortem.Measure{Signal: "memory_needed", Node: f.node(), Before: sp.Limit, During: sp.Bytes, Unit: "bytes"}})
		if o.Advice != nil {
			f.advise(&out, o.Advice)
		} else {
			out.Fix.Says = fmt.Sprintf("raise work_mem to %s for this statement, or sort and join fewer rows", ofBytes(sp.Bytes*1.2))
		}
		return out, true
	}
	return premortem.Finding{}, false
}

// figure writes a multiple with three digits.
func figure(v float64) string {
	switch {
	case v >= 999.5:
		return grouped(int64(math.Round(v)))
	case v >= 100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	}
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}

func few(v float64) string {
	if v < 1.5 {
		return "one"
	}
	return "about " + grouped(int64(v))
}

// grouped writes 1234567 as 1,234,567.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// ofBytes writes a size with a unit.
func ofBytes(v float64) string {
	units := []string{"bytes", "kB", "MB", "GB", "TB", "PB"}
	i := 0
	for v >= 1000 && i < len(units)-1 {
		v /= 1000
		i++
	}
	if v >= 10 || i == 0 {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
