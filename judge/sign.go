package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// Sign is one known way in which a system breaks, as it shows in a trial. Look
// reports only when every piece of evidence that it requires is in the trial and
// none that refutes it is; it must not change the trial.
type Sign struct {
	Name     string
	Severity premortem.Severity // the worst it reports
	Doc      premortem.Doc
	Look     func(t *premortem.Trial, report func(premortem.Finding))

	// rank orders causes: a sign explains only signs of a higher rank, so that no
	// two findings explain each other.
	rank int
	// routes names the routes that a finding concerns. Nil, or no names: it
	// concerns whatever broke.
	routes func(t *premortem.Trial, f premortem.Finding) []string
	// makes names those of routes that do the work themselves and do not only wait
	// behind it. Nil: nobody can tell.
	makes func(t *premortem.Trial, f premortem.Finding) []string
	// explains reports whether a finding of this sign accounts for another one.
	// Nil: it explains nothing.
	explains func(t *premortem.Trial, cause, effect premortem.Finding) bool
}

var all []*Sign

func add(s Sign) *Sign {
	for _, other := range all {
		if other.Name == s.Name {
			panic("judge: two signs are called " + s.Name)
		}
	}
	all = append(all, &s)
	return &s
}

// Signs returns every sign, by name.
func Signs() []*Sign {
	out := slices.Clone(all)
	slices.SortFunc(out, func(a, b *Sign) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Explain returns the text of `premortem explain` for a sign; false when there is
// no sign of that name.
func Explain(name string) (string, bool) {
	s := signNamed(name)
	if s == nil {
		return "", false
	}
	var b strings.Builder
	b.WriteString(s.Name + ": " + s.Doc.Title + "\n")
	for _, part := range []struct{ head, text string }{
		{"", s.Doc.Why}, {"When it speaks", s.Doc.When}, {"When it stays silent", s.Doc.Silent}, {"What to do", s.Doc.Fix},
	} {
		b.WriteString("\n")
		if part.head != "" {
			b.WriteString(part.head + "\n")
		}
		b.WriteString(strings.TrimSpace(part.text) + "\n")
	}
	return b.String(), true
}

// Page returns docs/signs.md: every sign with the text that Explain prints.
func Page() string {
	var b strings.Builder
	b.WriteString("# Signs\n\nHow a system breaks, as it shows in a trial of `premortem rehearse`. `premortem explain SIGN` prints the same.\n" +
		"This page is generated from package judge; `go test ./judge -run TestDocs -update` writes it again.\n\n" +
		"| sign | at worst | |\n|---|---|---|\n")
	for _, s := range Signs() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", s.Name, s.Name, s.Severity, s.Doc.Title)
	}
	for _, s := range Signs() {
		d := s.Doc
		fmt.Fprintf(&b, "\n## %s\n\n**%s.** %s\n\n- **Speaks when** %s\n- **Stays silent when** %s\n- **Do this:** %s\n",
			s.Name, strings.ToUpper(d.Title[:1])+d.Title[1:], oneLine(d.Why), oneLine(d.When), oneLine(d.Silent), oneLine(d.Fix))
	}
	return b.String()
}

// oneLine joins the lines of a text, so that it stays one item of a list.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func signNamed(name string) *Sign {
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	return nil
}
