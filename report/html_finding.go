package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// card is one finding on the page.
type card struct {
	ID, Rule, Severity, Standing, Node, Says string
	Open, Uncertain                          bool
	At                                       string // its first line
	Lines                                    []codeLine
	Trial                                    string // of all its measures, "" when they are of several
	Measures                                 []measureRow
	Remarks                                  []string
	Fix                                      *fixCard
	Then                                     []*card
	Suppressed                               string
	About                                    []fact // the rule's explanation
}

type codeLine struct{ Pos, Quote, Says string }

type measureRow struct{ Says, Trial string }

type fixCard struct {
	Label, Says string
	Proved      bool
	Safe        bool
	SQL         string
	Tried       string // environment or setting
	Edits       []editCard
	Proof       *proofCard
}

type editCard struct {
	Pos      string
	Old, New []string // lines
}

type proofCard struct {
	Says  string
	Pairs []pair
	Next  string
	Limit bool   // Next is where it breaks, not how far it held
	To    string // anchor of the finding behind it
}

// pair is one number before and after, as bars of one scale.
type pair struct {
	Name, Before, After     string
	BeforeWidth, AfterWidth float64 // of 100
	Alt                     string
}

func newChapterCard(s *story, c *chapter, o Options) *card {
	out := newCard(s, c.Finding, o)
	out.Open = c.Worst >= premortem.Down || c.Standing == premortem.Shown
	for _, f := range c.Then {
		out.Then = append(out.Then, newCard(s, f, o))
	}
	return out
}

func newCard(s *story, f *premortem.Finding, o Options) *card {
	c := &card{
		ID: anchor(f), Rule: plain(f.Rule), Severity: f.Severity.String(), Node: plain(string(f.Node)), Says: plain(f.Says),
		Uncertain: uncertain(f), Suppressed: plain(f.Suppressed),
	}
	c.Standing = map[premortem.Standing]string{
		premortem.Shown: "shown in the clone", premortem.Suspected: "from the files", premortem.Cleared: "tried, did not happen",
	}[f.Standing]
	if f.Pos().Known() {
		c.At = plain(f.Pos().String())
	}
	for _, e := range f.Evidence {
		switch {
		case e.Measure != nil:
			c.Measures = append(c.Measures, measureRow{measured(e), plain(e.Measure.Trial)})
		case e.Pos.Known():
			c.Lines = append(c.Lines, codeLine{plain(e.Pos.String()), strings.TrimSpace(plain(e.Quote)), plain(e.Says)})
		default:
			c.Remarks = append(c.Remarks, plain(e.Says))
		}
	}
	c.oneTrial()
	c.Fix = newFixCard(s, f.Fix)
	if d, ok := o.Docs[f.Rule]; ok {
		for _, part := range []fact{{"What users feel", d.Why}, {"When it speaks", d.When}, {"When it stays silent", d.Silent}, {"What to do", d.Fix}} {
			if part.Value != "" {
				c.About = append(c.About, fact{part.Name, plain(part.Value)})
			}
		}
	}
	return c
}

// oneTrial says the trial once where all measures come from one.
func (c *card) oneTrial() {
	if len(c.Measures) == 0 || slices.ContainsFunc(c.Measures, func(m measureRow) bool { return m.Trial != c.Measures[0].Trial }) {
		return
	}
	c.Trial = c.Measures[0].Trial
	for i := range c.Measures {
		c.Measures[i].Trial = ""
	}
}

func newFixCard(s *story, f premortem.Fix) *fixCard {
	if fixSays(f) == "" && len(f.Edits) == 0 && f.Proof == nil {
		return nil
	}
	c := &fixCard{Label: upper(fixWorth(f)), Says: upper(stop(fixSays(f))), Proved: f.Proof != nil && f.Proof.Worked, Safe: f.Safe}
	// The SQL stands alone, ready to be copied; a sentence that is nothing but the
	// statement is not said twice.
	if f.Try != nil {
		c.SQL = strings.Join(plainLines(strings.TrimSpace(f.Try.SQL)), "\n")
		c.Tried = strings.Join(tryEnv(f.Try), " ")
		if f.Try.Setting != "" {
			c.Tried = f.Try.Setting
		}
		if c.Tried = plain(c.Tried); strings.Contains(fixSays(f), c.Tried) {
			c.Tried = ""
		}
	}
	if says := strings.TrimSpace(fixSays(f)); isSQL(says) {
		c.SQL, c.Says = statements(says), ""
	}
	for _, e := range f.Edits {
		card := editCard{Pos: plain(e.Pos.String())}
		if e.Old != "" {
			card.Old = plainLines(e.Old)
		}
		if e.New != "" {
			card.New = plainLines(e.New)
		}
		c.Edits = append(c.Edits, card)
	}
	c.Proof = newProofCard(s, f.Proof)
	return c
}

// isSQL tells a statement from a sentence that begins with the same word.
func isSQL(s string) bool {
	for _, verb := range []string{"CREATE ", "ALTER ", "DROP ", "ANALYZE ", "VACUUM ", "UPDATE ", "DELETE FROM ", "INSERT INTO "} {
		if strings.HasPrefix(s, verb) {
			return true
		}
	}
	return false
}

// statements puts each statement of "CREATE INDEX …; then ANALYZE users" on a line of
// its own, ready to be copied.
func statements(s string) string {
	parts := strings.Split(s, "; then ")
	if len(parts) == 1 {
		return s
	}
	return strings.Join(parts, ";\n") + ";"
}

func newProofCard(s *story, p *premortem.Proof) *proofCard {
	if p == nil {
		return nil
	}
	c := &proofCard{Says: upper(stop(plain(p.Says))), Next: upper(stop(plain(p.Next))), Limit: p.BreaksAfter > 0}
	if f := s.Finding(p.NextFinding); f != nil && p.NextFinding != "" {
		c.To = anchor(f)
	}
	if usable(p.Before) || usable(p.After) {
		name := cmp.Or(signal(p.Signal), "measured")
		c.Pairs = append(c.Pairs, newPair(name+", at the same load", p.Before, p.After, amount(p.Before, p.Unit), amount(p.After, p.Unit)))
	}
	after, open := p.BreaksAfter, false
	if after == 0 {
		after, open = p.HoldsAfter, true
	}
	if usable(p.BreaksBefore) && usable(after) && p.X != "" {
		word := "breaks at "
		if open {
			word = "holds up to "
		}
		c.Pairs = append(c.Pairs, newPair(plain(p.X), p.BreaksBefore, after, "breaks at "+times(p.BreaksBefore), word+times(after)))
	}
	if c.Says == "" && len(c.Pairs) == 0 && c.Next == "" {
		return nil
	}
	return c
}

func newPair(name string, before, after float64, beforeSays, afterSays string) pair {
	_, most := extent(before, after)
	width := func(v float64) float64 {
		if !usable(v) || most == 0 {
			return 0
		}
		return max(tenth(v/most*100), 0.6)
	}
	return pair{
		Name: name, Before: beforeSays, After: afterSays, BeforeWidth: width(before), AfterWidth: width(after),
		Alt: upper(name) + ": " + beforeSays + " before, " + afterSays + " after the fix.",
	}
}
