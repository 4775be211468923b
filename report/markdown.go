package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// Markdown is a comment under a change or a job's summary.
var Markdown = add(Format{
	Name: "markdown",
	Doc: premortem.Doc{
		Title: "A comment for a change",
		Why: "The answer, the headroom and each finding folded away with its lines, its patch and its proof, in the " +
			"Markdown that code hosts render.",
		When:   "A job posts its result under a pull request or into its summary.",
		Silent: "At most 20 findings of one rule are shown. Text from the repository cannot make links, pings or HTML.",
		Fix:    "premortem check --format markdown >> \"$GITHUB_STEP_SUMMARY\"",
	},
	Write: writeMarkdown,
})

func writeMarkdown(w io.Writer, r *premortem.Report, o Options) error {
	s := tell(r)
	var b bytes.Buffer
	says, more := s.answer()
	fmt.Fprintf(&b, "## %s\n\n", md(says))
	if more != "" {
		fmt.Fprintf(&b, "%s\n\n", md(more))
	}
	fmt.Fprintf(&b, "%s\n", md(strings.Join(systemParts(s.System), " · ")))
	markdownHeadroom(&b, s)
	shown, _, left := capped(s.Told, perRule)
	if o.Verbose {
		shown, left = s.Told, nil
	}
	if len(shown) > 0 {
		b.WriteString("\n### Findings\n")
	}
	for _, c := range shown {
		markdownFinding(&b, c)
	}
	for _, l := range left {
		fmt.Fprintf(&b, "\nand %d more of %s\n", l.Count, mdCode(l.Rule))
	}
	markdownRest(&b, s, o)
	_, err := w.Write(b.Bytes())
	return err
}

func markdownHeadroom(b *bytes.Buffer, s *story) {
	if len(s.Headroom) == 0 {
		return
	}
	head := []string{"X", "1× is", "holds", "breaks", "first to break"}
	fixed := s.anyFix()
	if fixed {
		head = slices.Insert(head, 4, "with the fix")
	}
	fmt.Fprintf(b, "\n| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat(" --- |", len(head)))
	for _, h := range s.Headroom {
		row := []string{md(h.X), md(base(h)), md(holds(h)), md(breaks(h)), md(s.firstToBreak(h))}
		if fixed {
			row = slices.Insert(row, 4, md(s.withFix(h)))
		}
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
}

func markdownFinding(b *bytes.Buffer, c *chapter) {
	f := c.Finding
	open := ""
	if f.Severity >= premortem.Down {
		open = " open"
	}
	fmt.Fprintf(b, "\n<details%s><summary><b>%s</b> %s</summary>\n\n", open, strings.ToUpper(f.Severity.String()), mdHTML(f.Says))
	for _, e := range f.Evidence {
		switch {
		case e.Measure != nil:
			fmt.Fprintf(b, "- %s\n", md(measured(e)))
		case e.Pos.Known():
			line := "- " + mdCode(e.Pos.String())
			if e.Says != "" {
				line += " " + md(e.Says)
			}
			if e.Quote != "" {
				line += ": " + mdCode(e.Quote)
			}
			b.WriteString(line + "\n")
		default:
			fmt.Fprintf(b, "- %s\n", md(e.Says))
		}
	}
	if uncertain(f) {
		fmt.Fprintf(b, "- uncertain: %s does not fail a build unless the clone shows it\n", mdCode(f.Rule))
	}
	markdownFix(b, f.Fix)
	for i, then := range c.Then {
		if i == 0 {
			b.WriteString("\nBecause of it:\n\n")
		}
		fmt.Fprintf(b, "- **%s** %s\n", strings.ToUpper(then.Severity.String()), md(then.Says))
	}
	fmt.Fprintf(b, "\n<sub>%s · %s · %s</sub>\n\n</details>\n", mdHTML(f.Rule), mdHTML(string(f.Node)), mdHTML(f.Standing.String()))
}

func markdownFix(b *bytes.Buffer, fix premortem.Fix) {
	if says := fixSays(fix); says != "" {
		fmt.Fprintf(b, "\n**%s:** %s\n", upper(fixLabel(fix)), md(says))
	}
	if fix.Proof != nil {
		fmt.Fprintf(b, "\n%s\n", md(upper(stop(proofSays(fix.Proof)))))
	}
	if sql := sqlBeside(fix); len(sql) > 0 {
		mdFence(b, "sql", sql)
	}
	if len(fix.Edits) == 0 {
		return
	}
	var diff []string
	for _, e := range fix.Edits {
		diff = append(diff, "@@ "+plain(e.Pos.String())+" @@")
		diff = append(diff, editLines(e)...)
	}
	mdFence(b, "diff", diff)
}

// markdownRest is what was not answered, not read or does not count.
func markdownRest(b *bytes.Buffer, s *story, o Options) {
	open, doubts := s.open(), s.doubts()
	if len(open)+len(doubts)+len(s.Unread) > 0 {
		b.WriteString("\n### Not known\n\n")
	}
	for _, q := range open {
		fmt.Fprintf(b, "- unknown: %s\n", md(strings.TrimSpace(q.Asks+" "+q.Says)))
	}
	for _, q := range doubts {
		fmt.Fprintf(b, "- doubt: %s\n", md(q.text()))
	}
	for i, u := range s.Unread {
		if i == perRule && !o.Verbose {
			fmt.Fprintf(b, "- not understood: %d more files\n", len(s.Unread)-i)
			break
		}
		fmt.Fprintf(b, "- not understood: %s %s\n", mdCode(u.Pos.String()), md(u.Why))
	}
	var counts []string
	if words := s.tally().words(); words != "" {
		counts = append(counts, words)
	} else {
		counts = append(counts, nothing(s.Report))
	}
	for _, c := range []rest{{"of these uncertain", s.tally().Uncertain}, {"cleared", len(s.Cleared)}, {"suppressed", len(s.Suppressed)}, {"unknown", len(open)}} {
		if c.Count > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", c.Count, c.Rule))
		}
	}
	var parity []string
	for _, c := range parityCount(s.Parity) {
		parity = append(parity, fmt.Sprintf("%d %s", c.Count, c.Rule))
	}
	if len(parity) > 0 {
		counts = append(counts, "parity: "+strings.Join(parity, ", "))
	}
	if o.HTMLPath != "" {
		counts = append(counts, "report: "+o.HTMLPath)
	}
	fmt.Fprintf(b, "\n%s\n", md(strings.Join(counts, " · ")))
}

// md makes text that Markdown shows as it is: no emphasis, link, table cell, HTML
// or ping. The invisible joiner behind @ keeps a name from being called.
func md(s string) string {
	var b strings.Builder
	for _, r := range plain(s) {
		switch r {
		case '\\', '`', '*', '_', '[', ']', '|', '#', '~', '$':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '&':
			b.WriteString("&amp;")
		case '@':
			b.WriteString("@&#8288;")
		default:
			b.WriteRune(r)
		}
	}
	return strings.ReplaceAll(b.String(), "://", ":&#8203;//")
}

// mdHTML is md inside an HTML block, where Markdown does not escape.
func mdHTML(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "@&#8288;", "://", ":&#8203;//").Replace(plain(s))
}

// mdCode is a code span that its own backticks cannot end.
func mdCode(s string) string {
	s = plain(s)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// mdFence is a code block that its own lines cannot end.
func mdFence(b *bytes.Buffer, language string, lines []string) {
	fence := "```"
	for strings.Contains(strings.Join(lines, "\n"), fence) {
		fence += "`"
	}
	fmt.Fprintf(b, "\n%s%s\n%s\n%s\n", fence, language, strings.Join(lines, "\n"), fence)
}
