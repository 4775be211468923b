package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/premortem/premortem"
)

// GitHub is workflow commands: annotations at the lines of a change.
var GitHub = add(Format{
	Name: "github",
	Doc: premortem.Doc{
		Title: "Annotations in a GitHub workflow",
		Why: "Each finding appears beside the line that causes it. Errors are the findings that fail the build, " +
			"warnings are the others, notices are notes.",
		When:   "The output of a workflow step is this format.",
		Silent: "GitHub shows ten errors and ten warnings of a step, so the worst come first. Cleared and suppressed findings are left out.",
		Fix:    "premortem check --format github",
	},
	Write: writeGitHub,
})

func writeGitHub(w io.Writer, r *premortem.Report, o Options) error {
	s := tell(rooted(r, o.Below))
	var b bytes.Buffer
	shown, _, left := capped(s.Told, perRule)
	if o.Verbose {
		shown, left = s.Told, nil
	}
	for _, c := range shown {
		annotate(&b, c.Finding, o)
		for _, f := range c.Then {
			annotate(&b, f, o)
		}
	}
	for _, l := range left {
		command(&b, "notice", premortem.Pos{}, l.Rule, fmt.Sprintf("and %d more of %s", l.Count, l.Rule))
	}
	for _, q := range s.open() {
		command(&b, "warning", premortem.Pos{}, "unknown", strings.TrimSpace(q.Asks+" "+q.Says))
	}
	for _, q := range s.doubts() {
		command(&b, "notice", premortem.Pos{}, "doubt", q.text())
	}
	for _, u := range s.Unread {
		command(&b, "notice", u.Pos, "not understood", u.Why)
	}
	for _, h := range s.Headroom {
		says := fmt.Sprintf("%s: holds %s, breaks %s", h.X, holds(h), breaks(h))
		if first := s.firstToBreak(h); first != "" {
			says += ", " + first
		}
		command(&b, "notice", premortem.Pos{}, "headroom", says)
	}
	fmt.Fprintf(&b, "premortem: %s\n", cmp.Or(s.tally().words(), nothing(s.Report)))
	_, err := w.Write(b.Bytes())
	return err
}

// annotate writes one finding at its first line, with everything else in its text.
func annotate(b *bytes.Buffer, f *premortem.Finding, o Options) {
	level := "warning"
	switch {
	case fails(f, o.FailOn):
		level = "error"
	case f.Severity == premortem.Note:
		level = "notice"
	}
	lines := append([]string{plain(f.Says)}, details(f)...)
	command(b, level, f.Pos(), f.Severity.String()+": "+f.Rule, strings.Join(lines, "\n"))
}

// command writes one workflow command. Its text cannot start another one: line
// ends are escaped, and so is everything that ends a property.
func command(b *bytes.Buffer, level string, pos premortem.Pos, title, text string) {
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var props []string
	if pos.Known() {
		props = append(props, "file="+property.Replace(plain(pos.File)))
		if pos.Line > 0 {
			props = append(props, fmt.Sprintf("line=%d", pos.Line))
		}
	}
	props = append(props, "title="+property.Replace(plain(title)))
	var lines []string
	for _, l := range strings.Split(text, "\n") {
		lines = append(lines, plain(l))
	}
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(strings.Join(lines, "\n"))
	fmt.Fprintf(b, "::%s %s::%s\n", level, strings.Join(props, ","), data)
}

// details tells the evidence and the fix of a finding line by line, for formats
// that have room for plain text only.
func details(f *premortem.Finding) []string {
	var out []string
	for _, e := range f.Evidence {
		switch {
		case e.Measure != nil:
			out = append(out, measured(e))
		case e.Pos.Known():
			line := plain(e.Pos.String()) + ": " + plain(e.Says)
			if e.Quote != "" {
				line = strings.TrimSuffix(line, ": ") + ": " + plain(e.Quote)
			}
			out = append(out, line)
		default:
			out = append(out, plain(e.Says))
		}
	}
	if uncertain(f) {
		out = append(out, "uncertain: "+plain(f.Rule)+" does not fail a build unless the clone shows it")
	}
	if f.Because != "" {
		out = append(out, "because of: "+plain(f.Because))
	}
	if says := fixSays(f.Fix); says != "" {
		out = append(out, fixLabel(f.Fix)+": "+says)
	}
	out = append(out, sqlBeside(f.Fix)...)
	for _, e := range f.Fix.Edits {
		out = append(out, plain(e.Pos.String()))
		out = append(out, editLines(e)...)
	}
	if f.Fix.Proof != nil {
		out = append(out, "proof: "+proofSays(f.Fix.Proof))
	}
	return out
}
