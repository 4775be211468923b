package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// Text is what a person sees in a terminal.
var Text = add(Format{
	Name: "text",
	Doc: premortem.Doc{
		Title: "The answer first, for people",
		Why: "What breaks, at which multiple, the line or the number that shows it, and the fix with its proof. " +
			"Worst first; consequences stand under their cause.",
		When:   "Somebody reads it in a terminal. Scripts read json: the wording here may change.",
		Silent: "Cleared and suppressed findings, and more than 20 findings of one rule, are counted; --verbose lists them.",
		Fix:    "premortem rehearse --format text --verbose",
	},
	Write: writeText,
})

// severityInk colours the severity's word, which is always written as well.
var severityInk = [4]ink{premortem.Note: "36", premortem.Slow: "33;1", premortem.Down: "31;1", premortem.Loss: "35;1"}

// printer lays a story out as text.
type printer struct {
	sheet
	*story
	o Options
}

func writeText(w io.Writer, r *premortem.Report, o Options) error {
	if o.Width == 0 {
		o.Width = 100
	}
	p := &printer{story: tell(r), o: o}
	p.width, p.color = max(o.Width, 40), o.Color
	p.head()
	p.headroom()
	p.findings()
	p.set("cleared", p.Cleared, func(f *premortem.Finding) string { return "tried in the clone and did not happen" })
	p.set("suppressed", p.Suppressed, func(f *premortem.Finding) string { return plain(f.Suppressed) })
	p.questions()
	p.parity()
	p.unread()
	p.last()
	_, err := w.Write(p.b.Bytes())
	return err
}

// head is the system line and one line per stage.
func (p *printer) head() {
	if parts := systemParts(p.System); len(parts) > 0 {
		for i, line := range wrap(strings.Join(parts, " · "), p.width-2, p.width-4) {
			if tail, ok := strings.CutPrefix(line, parts[0]); ok && i == 0 {
				line = p.paint(bold, parts[0]) + tail
			}
			p.b.WriteString(strings.Repeat(" ", 2+2*min(i, 1)) + line + "\n")
		}
	}
	name, took := 0, 0
	for _, st := range p.Stages {
		name = max(name, columns.StringWidth(clip(plain(st.Name), 12)))
		took = max(took, columns.StringWidth(stageTime(st)))
	}
	for _, st := range p.Stages {
		p.stage(st, 2+name+3, took)
	}
}

// stage writes a stage's line with its time at the right edge.
func (p *printer) stage(st premortem.Stage, to, took int) {
	room := p.width - to - took - 2
	for i, line := range wrap(plain(st.Says), room, room) {
		label, end := "", ""
		if i == 0 {
			label, end = clip(plain(st.Name), 12), stageTime(st)
		}
		text := "  " + label + strings.Repeat(" ", max(to-2-columns.StringWidth(label), 0)) + line
		if end != "" {
			gap := p.width - columns.StringWidth(text) - columns.StringWidth(end)
			text += strings.Repeat(" ", max(gap, 1)) + p.paint(dim, end)
		}
		p.b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
}

func stageTime(st premortem.Stage) string {
	switch {
	case st.Took <= 0 || st.Took != st.Took:
		return ""
	case st.Took < 100:
		return fmt.Sprintf("%.1f s", st.Took)
	}
	return seconds(st.Took)
}

// headroom is the table of X, what holds, where it breaks, where it would with the
// fix, and what breaks first.
func (p *printer) headroom() {
	if len(p.Headroom) == 0 {
		return
	}
	rows := [][]string{{"X", "holds", "breaks", "first to break"}}
	for _, h := range p.Headroom {
		rows = append(rows, []string{clip(plain(h.X), 10), holds(h), breaks(h), p.firstToBreak(h)})
	}
	at := placesOf(rows)
	if p.anyFix() {
		wide := [][]string{slices.Insert(slices.Clone(rows[0]), 3, "with the fix")}
		for i, h := range p.Headroom {
			wide = append(wide, slices.Insert(slices.Clone(rows[i+1]), 3, p.withFix(h)))
		}
		if to := placesOf(wide); to[4]+20 <= p.width { // else there is no room for it
			rows, at = wide, to
		} else {
			for i, h := range p.Headroom {
				if fix := p.withFix(h); fix != "" {
					rows[i+1][3] = strings.TrimPrefix(rows[i+1][3]+"; with the fix "+fix, "; ")
				}
			}
		}
	}
	p.blank()
	for i, row := range rows {
		as := ink("")
		if i == 0 {
			as = dim
		}
		p.row(at, row, as)
	}
}

// placesOf is where each column of a table begins.
func placesOf(rows [][]string) []int {
	at := []int{2}
	for c := range len(rows[0]) - 1 {
		w := 0
		for _, row := range rows {
			w = max(w, columns.StringWidth(row[c]))
		}
		at = append(at, at[c]+w+3)
	}
	return at
}

// findings tells what counts, at most perRule of each rule.
func (p *printer) findings() {
	shown, _, left := capped(p.Told, perRule)
	if p.o.Verbose {
		shown, left = p.Told, nil
	}
	for _, c := range shown {
		p.blank()
		p.chapter(c)
	}
	if len(left) > 0 {
		p.blank()
	}
	for _, l := range left {
		p.text(2, fmt.Sprintf("and %s of %s; --verbose lists them", counted(l.Count, "more", "more"), plain(l.Rule)), dim)
	}
}

// set counts findings that do not count, and lists them when asked.
func (p *printer) set(word string, fs []*premortem.Finding, why func(*premortem.Finding) string) {
	if len(fs) == 0 || !p.o.Verbose {
		return // the last line counts them
	}
	p.blank()
	p.text(2, word, dim)
	for _, f := range fs {
		says := plain(f.Says)
		if f.Pos().Known() {
			says += " (" + plain(f.Pos().String()) + ")"
		}
		p.hang(4, plain(f.Rule), "", 8, says+": "+why(f), "")
	}
}

// questions are what stayed unknown, and what weakens the answers.
func (p *printer) questions() {
	open, doubts := p.open(), p.doubts()
	if p.inLastLine(open) {
		open = nil
	}
	if len(open)+len(doubts) > 0 {
		p.blank()
	}
	for _, q := range open {
		text := q.Says
		if q.Asks != "" {
			text = q.Asks + " " + q.Says
		}
		p.hang(2, "UNKNOWN", bold, 11, text, "")
	}
	for _, q := range doubts {
		p.hang(2, "doubt", dim, 11, q.text(), "")
	}
}

// inLastLine: one short reason stands behind the count, as nobody then has to look
// for it.
func (p *printer) inLastLine(open []question) bool {
	return len(open) == 1 && columns.StringWidth(open[0].Says) <= p.width
}

// parity counts the ledger unless a stage has said so, and lists what differs when
// asked.
func (p *printer) parity() {
	if len(p.Parity) == 0 {
		return
	}
	said := false
	for _, st := range p.Stages {
		said = said || strings.Contains(st.Says, "parity")
	}
	if said && !p.o.Verbose {
		return
	}
	var out []string
	for _, c := range parityCount(p.Parity) {
		out = append(out, number(float64(c.Count))+" "+plain(c.Rule))
	}
	p.blank()
	p.hang(2, "parity", dim, 11, strings.Join(out, ", "), "")
	if !p.o.Verbose {
		return
	}
	for _, row := range p.Parity {
		if row.Standing == "equal" {
			continue
		}
		text := fmt.Sprintf("%s: %s in production, %s in the clone, %s", plain(row.What), plain(row.Production), plain(row.Clone), plain(row.Standing))
		if row.Why != "" {
			text += ": " + plain(row.Why)
		}
		p.hang(11, plain(string(row.Node)), "", 13, text, "")
	}
}

// unread lists the files that matter and were not understood; they are never
// hidden, only counted beyond perRule.
func (p *printer) unread() {
	if len(p.Unread) == 0 {
		return
	}
	p.blank()
	p.text(2, "not understood", dim)
	to := 0
	for _, u := range p.Unread {
		to = max(to, 4+min(columns.StringWidth(plain(u.Pos.String())), posWidth)+3)
	}
	for i, u := range p.Unread {
		if i == perRule && !p.o.Verbose {
			p.text(4, fmt.Sprintf("and %d more; --verbose lists them", len(p.Unread)-i), dim)
			break
		}
		p.hang(4, plain(u.Pos.String()), "36", to, plain(u.Why), "")
	}
}

// last is the count, the line that a person looks for, and where the page is.
func (p *printer) last() {
	t, open := p.tally(), p.open()
	parts := []string{}
	if words := t.words(); words != "" {
		parts = append(parts, words)
	} else {
		parts = append(parts, nothing(p.Report))
	}
	for _, c := range []rest{{"of these uncertain", t.Uncertain}, {"cleared", len(p.Cleared)}, {"suppressed", len(p.Suppressed)}, {"unknown", len(open)}} {
		if c.Count > 0 {
			parts = append(parts, number(float64(c.Count))+" "+c.Rule)
		}
	}
	line := strings.Join(parts, " · ")
	if p.inLastLine(open) {
		line += " (" + open[0].Says + ")"
	}
	p.blank()
	p.text(2, line, bold)
	if p.o.HTMLPath != "" {
		p.b.WriteString("  report: " + plain(p.o.HTMLPath) + "\n") // never wrapped: it is copied
	}
}
