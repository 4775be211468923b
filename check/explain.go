package check

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"
)

// cases are the rules' own tests. They are in the binary, because they are also its
// examples: what is explained is what is tested.
//
//go:embed testdata/*/*.txtar
var cases embed.FS

// want is the section of a case that holds what the rule says about it.
const want = "want"

// example is a small repository and what a rule says about it.
type example struct {
	about string // why it is interesting
	files []txtar.File
	says  string // "" when the rule stays silent
}

// Explain returns the text that `premortem explain ID` prints: what the rule says,
// why, when it speaks and when it stays silent, what to do, and one repository of
// each kind. ok is false when no rule has that ID.
func Explain(id string) (text string, ok bool) {
	r := named(id)
	if r == nil {
		return "", false
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): %s\n", r.ID, standing(r), r.Doc.Title)
	for _, part := range [][2]string{
		{"Why", r.Doc.Why}, {"When it speaks", r.Doc.When}, {"When it stays silent", r.Doc.Silent}, {"What to do", r.Doc.Fix},
	} {
		fmt.Fprintf(&b, "\n%s\n%s", part[0], indented(part[1]))
	}
	fmt.Fprintf(&b, "\nTo silence it\n%s", indented(silencing(r)))
	fires, silent := examples(r.ID)
	if fires != nil {
		fmt.Fprintf(&b, "\nFor example\n%s\n%s\n  premortem says:\n%s", indented(fires.about), indented(fires.text()), indented(fires.says))
	}
	if silent != nil {
		fmt.Fprintf(&b, "\nBut not\n%s\n%s", indented(silent.about+" (Only the files that differ.)"), indented(silent.text()))
	}
	return b.String(), true
}

// standing is a rule's severity, and what its findings do to a build.
func standing(r *Rule) string {
	switch {
	case r.Pedantic:
		return r.Severity.String() + ", pedantic"
	case r.Certain:
		return r.Severity.String() + ", certain"
	}
	return r.Severity.String()
}

// silencing says where the rule's name stands to keep one finding quiet.
func silencing(r *Rule) string {
	s := "beside the line, or on the line above it:\n  # premortem:ignore " + r.ID + " -- why it is right here (until 2027-01-31)\n" +
		"in premortem.yaml:\n  suppress:\n    - {rule: " + r.ID + ", node: service/NAME, reason: why it is right here, until: 2027-01-31}\n"
	if r.Pedantic {
		s = "it runs only when asked for: --pedantic, or --only " + r.ID + "\n" + s
	}
	return s
}

// Page returns docs/rules.md: every rule with the same text that Explain prints.
func Page() string {
	var b strings.Builder
	b.WriteString("# Rules\n\nWhat `premortem check` finds from the files alone. `premortem explain RULE` prints the same.\n" +
		"This page is generated from package check; `go test ./check -run TestDocs -update` writes it again.\n\n" +
		"A *certain* rule is proven by what was read, so it may fail a build; another one does where its finding is\n" +
		"proven. A *pedantic* rule is right too seldom to be shown unasked: it runs with `--pedantic` or `--only RULE`.\n\n" +
		"| rule | severity | |\n|---|---|---|\n")
	for _, r := range Rules() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", r.ID, r.ID, standing(r), r.Doc.Title)
	}
	for _, r := range Rules() {
		d := r.Doc
		fmt.Fprintf(&b, "\n## %s\n\n**%s.** %s\n\n- **Speaks when** %s\n- **Stays silent when** %s\n- **Do this:** %s\n",
			r.ID, sentence(d.Title), line(d.Why), line(d.When), line(d.Silent), line(d.Fix))
		fires, silent := examples(r.ID)
		if fires != nil {
			fmt.Fprintf(&b, "\n%s\n\n```text\n%s```\n\nIt says:\n\n```text\n%s```\n", fires.about, fires.text(), fires.says)
		}
		if silent != nil {
			fmt.Fprintf(&b, "\nBut not: %s (Only the files that differ.)\n\n```text\n%s```\n", silent.about, silent.text())
		}
	}
	return b.String()
}

// examples returns the first case in which the rule speaks and the first in which
// it does not, nil where there is none.
func examples(id string) (fires, silent *example) {
	files, _ := fs.Glob(cases, path.Join("testdata", id, "*.txtar"))
	for _, file := range files {
		data, err := cases.ReadFile(file)
		if err != nil {
			continue
		}
		e := exampleOf(txtar.Parse(data))
		switch {
		case e.says != "" && fires == nil:
			fires = e
		case e.says == "" && silent == nil:
			silent = e
		}
	}
	if fires != nil && silent != nil {
		silent = silent.beside(fires)
	}
	return fires, silent
}

// beside drops the files that the other example shows with the same content.
func (e *example) beside(other *example) *example {
	less := &example{about: e.about, says: e.says}
	for _, f := range e.files {
		if !slices.ContainsFunc(other.files, func(o txtar.File) bool { return o.Name == f.Name && bytes.Equal(o.Data, f.Data) }) {
			less.files = append(less.files, f)
		}
	}
	if len(less.files) == 0 {
		return e
	}
	return less
}

func exampleOf(arc *txtar.Archive) *example {
	e := &example{about: line(string(arc.Comment))}
	for _, f := range arc.Files {
		if f.Name == want {
			e.says = string(f.Data)
			continue
		}
		e.files = append(e.files, f)
	}
	return e
}

func (e *example) text() string {
	return string(txtar.Format(&txtar.Archive{Files: e.files}))
}

// line joins the lines of a text.
func line(s string) string { return strings.Join(strings.Fields(s), " ") }

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func indented(s string) string {
	var b strings.Builder
	for l := range strings.Lines(strings.TrimRight(s, "\n") + "\n") {
		if strings.TrimSpace(l) != "" {
			b.WriteString("  ")
		}
		b.WriteString(l)
	}
	return b.String()
}
