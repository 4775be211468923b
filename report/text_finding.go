package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

const (
	body     = 8  // column of a finding's text, behind "  DOWN  "
	hanging  = 14 // column of a fix's further lines
	posWidth = 34 // widest column of file:line; a longer one pushes its quote
)

// chapter writes a finding: what it says, its evidence, its fix, and what follows
// from it.
func (p *printer) chapter(c *chapter) {
	p.hang(2, strings.ToUpper(c.Severity.String()), severityInk[c.Severity], body, plain(c.Says), bold)
	p.evidence(c.Finding)
	if uncertain(c.Finding) {
		p.text(body, "uncertain: "+plain(c.Rule)+" does not fail a build unless the clone shows it", dim)
	}
	p.fix(c.Finding)
	for i, f := range c.Then {
		if i == perRule && !p.o.Verbose {
			p.text(hanging, fmt.Sprintf("and %d more; --verbose lists them", len(c.Then)-i), dim)
			break
		}
		if i == 0 {
			p.text(body, "because of it:", dim)
		}
		says := plain(f.Says)
		if f.Pos().Known() {
			says += " (" + plain(f.Pos().String()) + ")"
		}
		p.hang(body+2, strings.ToUpper(f.Severity.String()), severityInk[f.Severity], body+8, says, "")
	}
}

// evidence writes lines that were written, then numbers that were measured, with
// their texts in one column.
func (p *printer) evidence(f *premortem.Finding) {
	to := 0
	for _, e := range f.Evidence {
		if e.Pos.Known() && e.Measure == nil {
			to = max(to, min(columns.StringWidth(plain(e.Pos.String())), posWidth))
		}
	}
	label := "measured"
	if f.Standing == premortem.Shown {
		label = "shown in the clone"
	}
	if slices.ContainsFunc(f.Evidence, func(e premortem.Evidence) bool { return e.Measure != nil }) {
		to = max(to, len(label))
	}
	to += body + 3
	if p.width-to < 30 {
		to = body + 3
	}
	for _, e := range f.Evidence {
		if e.Pos.Known() && e.Measure == nil {
			p.line(e, to)
		}
	}
	for _, e := range f.Evidence {
		switch {
		case e.Measure != nil:
			text := measured(e)
			if p.o.Verbose && e.Measure.Trial != "" {
				text += " (trial " + plain(e.Measure.Trial) + ")"
			}
			p.hang(body, label, dim, to, text, "")
			label = ""
		case !e.Pos.Known():
			p.hang(body, "", "", body, plain(e.Says), "")
		}
	}
}

// line writes one line of the repository: its place, what it holds and why that
// matters. The remark goes beside the quote when there is room, else below it.
func (p *printer) line(e premortem.Evidence, to int) {
	pos, quote, says := plain(e.Pos.String()), strings.TrimSpace(plain(e.Quote)), plain(e.Says)
	if quote == "" {
		p.hang(body, pos, "36", to, says, "")
		return
	}
	room := p.width - max(to, body+columns.StringWidth(pos)+3)
	if room < 30 {
		room = p.width - to
	}
	if !p.o.Verbose {
		quote = clip(quote, room)
	}
	beside := quote + "  ← " + says
	if says != "" && columns.StringWidth(beside) <= room {
		p.quote(pos, quote, says, to)
		return
	}
	p.quote(pos, quote, "", to)
	if says != "" {
		p.text(to, "← "+says, dim)
	}
}

// quote writes a source line as it is: its inner spaces are part of it.
func (p *printer) quote(pos, quote, says string, to int) {
	used := body + columns.StringWidth(pos)
	p.b.WriteString(strings.Repeat(" ", body) + p.paint("36", pos))
	switch {
	case used+1 <= to:
	case p.width-used-3 >= 30:
		to = used + 3
	default:
		p.b.WriteByte('\n')
		used = 0
	}
	p.b.WriteString(strings.Repeat(" ", to-used))
	for columns.StringWidth(quote) > p.width-to {
		head := columns.Truncate(quote, p.width-to, "")
		if head == "" {
			break
		}
		p.b.WriteString(head + "\n" + strings.Repeat(" ", to))
		quote = quote[len(head):]
	}
	p.b.WriteString(quote)
	if says != "" {
		p.b.WriteString(p.paint(dim, "  ← "+says))
	}
	p.b.WriteByte('\n')
}

// fix writes what to do, what the clone did to prove it, and what it measured.
func (p *printer) fix(f *premortem.Finding) {
	fix := f.Fix
	if says := fixSays(fix); says != "" {
		how := ink("")
		if fix.Proof != nil && fix.Proof.Worked {
			how = "32;1"
		}
		p.say(fixLabel(fix)+":", how, says)
	}
	for _, l := range sqlBeside(fix) {
		p.text(hanging, l, "")
	}
	if fix.Proof != nil {
		p.text(hanging, proofSays(fix.Proof), "")
	}
	p.edits(fix)
}

// say writes a label and a text that goes on right behind it.
func (p *printer) say(label string, how ink, text string) {
	used := body + columns.StringWidth(label)
	p.b.WriteString(strings.Repeat(" ", body) + p.paint(how, label))
	for i, l := range wrap(text, p.width-used-1, p.width-hanging) {
		indent := 1
		if i > 0 {
			indent = hanging
		}
		p.b.WriteString(strings.Repeat(" ", indent) + l + "\n")
	}
}

// edits shows a small patch and counts a large one.
func (p *printer) edits(fix premortem.Fix) {
	lines := 0
	for _, e := range fix.Edits {
		lines += len(plainLines(e.New)) + 1
		if e.Old != "" {
			lines++
		}
	}
	if lines > 8 && !p.o.Verbose {
		p.text(hanging, counted(len(fix.Edits), "edit", "edits")+"; --verbose shows them", dim)
		return
	}
	for _, e := range fix.Edits {
		p.text(hanging, plain(e.Pos.String()), "36")
		for _, l := range editLines(e) {
			how := ink("32")
			if l[0] == '-' {
				how = "31"
			}
			// Not wrapped: a patch is copied.
			p.b.WriteString(strings.Repeat(" ", hanging+2) + p.paint(how, l) + "\n")
		}
	}
}

// editLines is an edit as a diff: "- old", "+ new".
func editLines(e premortem.Edit) []string {
	var out []string
	if e.Old != "" {
		for _, l := range plainLines(e.Old) {
			out = append(out, "- "+l)
		}
	}
	if e.New != "" {
		for _, l := range plainLines(e.New) {
			out = append(out, "+ "+l)
		}
	}
	return out
}
