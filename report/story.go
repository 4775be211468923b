package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// perRule is how many findings of one rule are told in full; the rest are counted.
const perRule = 20

// story is a report in the order in which it is told. The embedded report is a
// copy whose lists are sorted where their order means nothing.
type story struct {
	*premortem.Report
	Told       []*chapter           // findings that count: worst first, and what breaks first before its equals
	Cleared    []*premortem.Finding // tried, did not happen
	Suppressed []*premortem.Finding
}

// chapter is a finding with the findings that it explains.
type chapter struct {
	*premortem.Finding
	Worst premortem.Severity // of itself and of Then
	Then  []*premortem.Finding
}

// tell sorts a copy of r and folds consequences under their causes. It keeps r
// and everything that r refers to as they are.
func tell(r *premortem.Report) *story {
	s := &story{Report: sorted(r)}
	var counting []*premortem.Finding
	for i := range s.Findings {
		f := &s.Findings[i]
		switch {
		case f.Suppressed != "":
			s.Suppressed = append(s.Suppressed, f)
		case f.Standing == premortem.Cleared:
			s.Cleared = append(s.Cleared, f)
		default:
			counting = append(counting, f)
		}
	}
	s.Told = fold(counting)
	first := s.breaksFirst()
	slices.SortStableFunc(s.Told, func(a, b *chapter) int {
		return cmp.Or(-cmp.Compare(a.Worst, b.Worst), cmp.Compare(a.place(first), b.place(first)))
	})
	return s
}

// broken lists what broke each X, the smallest boundary first.
func (s *story) broken() []premortem.Headroom {
	var out []premortem.Headroom
	for _, h := range s.Headroom {
		if h.Answer == premortem.Fails {
			out = append(out, h)
		}
	}
	slices.SortStableFunc(out, func(a, b premortem.Headroom) int { return cmp.Compare(boundary(a), boundary(b)) })
	return out
}

// breaksFirst lists the keys of the causes, in that order.
func (s *story) breaksFirst() []string {
	var out []string
	for _, h := range s.broken() {
		if h.Finding != "" {
			out = append(out, h.Finding)
		}
	}
	return out
}

// firstRoutes lists the routes that break first, in that order.
func (s *story) firstRoutes() []string {
	var out []string
	for _, h := range s.broken() {
		if h.First != "" {
			out = append(out, routeOf(h.First))
		}
	}
	return out
}

// place is where a chapter stands among the causes of what breaks, behind them all
// when it is none.
func (c *chapter) place(first []string) int {
	for i, key := range first {
		if c.Key() == key || slices.ContainsFunc(c.Then, func(f *premortem.Finding) bool { return f.Key() == key }) {
			return i
		}
	}
	return len(first)
}

// sorted returns a copy of r in which the lists whose order carries no meaning are
// sorted. Stages, verdicts and evidence keep their order: it is the order of events.
// Points come by multiple, those without a fix first.
func sorted(r *premortem.Report) *premortem.Report {
	c := *r
	c.Findings = slices.Clone(r.Findings)
	// Two findings with one key are told apart by their text, so that the order in
	// which they arrived never shows.
	slices.SortStableFunc(c.Findings, func(a, b premortem.Finding) int {
		return cmp.Or(cmp.Compare(a.Says, b.Says), a.Pos().Compare(b.Pos()), cmp.Compare(a.Because, b.Because))
	})
	premortem.SortFindings(c.Findings)
	c.Unread = slices.Clone(r.Unread)
	slices.SortStableFunc(c.Unread, func(a, b premortem.Unread) int {
		return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Why, b.Why))
	})
	c.Parity = slices.Clone(r.Parity)
	slices.SortStableFunc(c.Parity, func(a, b premortem.Parity) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.What, b.What), a.Pos.Compare(b.Pos),
			cmp.Compare(a.Production, b.Production), cmp.Compare(a.Clone, b.Clone))
	})
	c.Unknowns = slices.Clone(r.Unknowns)
	slices.Sort(c.Unknowns)
	c.Unknowns = slices.Compact(c.Unknowns)
	c.Headroom = slices.Clone(r.Headroom)
	slices.SortStableFunc(c.Headroom, func(a, b premortem.Headroom) int { return cmp.Compare(a.X, b.X) })
	for i := range c.Headroom {
		h := &c.Headroom[i]
		h.Points = slices.Clone(h.Points)
		slices.SortStableFunc(h.Points, func(a, b premortem.Point) int {
			return cmp.Or(cmp.Compare(a.Multiple, b.Multiple), fixedLast(a, b))
		})
	}
	return &c
}

func fixedLast(a, b premortem.Point) int {
	switch {
	case a.Fixed == b.Fixed:
		return 0
	case b.Fixed:
		return -1
	}
	return 1
}

// fold puts each finding under the finding that explains it, however long the
// chain, and orders by the worst of each group. A chain that ends in itself, or in
// a finding that does not count, explains nothing.
func fold(fs []*premortem.Finding) []*chapter {
	byKey := map[string]*premortem.Finding{}
	for _, f := range fs {
		if byKey[f.Key()] == nil {
			byKey[f.Key()] = f
		}
	}
	chapters := map[*premortem.Finding]*chapter{}
	var out []*chapter
	for _, f := range fs {
		if root(f, byKey) == f {
			c := &chapter{Finding: f, Worst: f.Severity}
			chapters[f] = c
			out = append(out, c)
		}
	}
	for _, f := range fs {
		if c := chapters[root(f, byKey)]; c.Finding != f {
			c.Then = append(c.Then, f)
			c.Worst = max(c.Worst, f.Severity)
		}
	}
	slices.SortStableFunc(out, func(a, b *chapter) int { return -cmp.Compare(a.Worst, b.Worst) })
	return out
}

// root follows Because to the first cause, f itself when the chain is a circle.
func root(f *premortem.Finding, byKey map[string]*premortem.Finding) *premortem.Finding {
	at := f
	for range len(byKey) {
		up := byKey[at.Because]
		if at.Because == "" || up == nil || up == at {
			return at
		}
		at = up
	}
	return f
}

// rest is what the cap left out of one rule.
type rest struct {
	Rule  string
	Count int
}

// capped returns at most n chapters of each rule, and how many more each has.
func capped(told []*chapter, n int) (shown, more []*chapter, counts []rest) {
	seen := map[string]int{}
	for _, c := range told {
		if seen[c.Rule]++; seen[c.Rule] <= n {
			shown = append(shown, c)
		} else {
			more = append(more, c)
		}
	}
	for _, c := range more {
		if !slices.ContainsFunc(counts, func(r rest) bool { return r.Rule == c.Rule }) {
			counts = append(counts, rest{c.Rule, seen[c.Rule] - n})
		}
	}
	slices.SortFunc(counts, func(a, b rest) int { return cmp.Compare(a.Rule, b.Rule) })
	return shown, more, counts
}

// tally counts the findings that count: by severity, and those of rules that have
// not earned the right to fail a build.
type tally struct {
	By        [4]int // by severity
	Uncertain int
	Total     int
}

func (s *story) tally() tally {
	var t tally
	count := func(f *premortem.Finding) {
		t.By[f.Severity]++
		t.Total++
		if uncertain(f) {
			t.Uncertain++
		}
	}
	for _, c := range s.Told {
		count(c.Finding)
		for _, f := range c.Then {
			count(f)
		}
	}
	return t
}

// uncertain tells whether a finding is shown but does not fail a build; it is the
// same line that Report.Standing draws.
func uncertain(f *premortem.Finding) bool {
	return !f.Certain && f.Standing != premortem.Shown
}

// words says the tally: "3 down · 2 slow · 4 notes", "" when there is nothing.
func (t tally) words() string {
	var out []string
	for sev := premortem.Loss; sev >= premortem.Note; sev-- {
		n := t.By[sev]
		if n == 0 {
			continue
		}
		word := sev.String()
		if sev == premortem.Note && n > 1 {
			word = "notes"
		}
		out = append(out, number(float64(n))+" "+word)
	}
	return strings.Join(out, " · ")
}

// fails tells whether a finding fails a build.
func fails(f *premortem.Finding, on premortem.Severity) bool {
	return f.Suppressed == "" && f.Standing != premortem.Cleared && !uncertain(f) && f.Severity >= on
}

// parityCount counts the ledger's rows by standing, in the order equal, scaled,
// not modelled, then any other by name.
func parityCount(rows []premortem.Parity) []rest {
	order := []string{"equal", "scaled", "not modelled"}
	var out []rest
	for _, p := range rows {
		i := slices.IndexFunc(out, func(r rest) bool { return r.Rule == p.Standing })
		if i < 0 {
			i = len(out)
			out = append(out, rest{Rule: p.Standing})
		}
		out[i].Count++
	}
	place := func(r rest) int {
		if i := slices.Index(order, r.Rule); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortFunc(out, func(a, b rest) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.Rule, b.Rule))
	})
	return out
}
