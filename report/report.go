// Package report tells a Report: it turns it into bytes for people, for scripts
// and for other tools. Each format is one file. All formats tell the same facts in
// the same order: worst first, among equals the cause of what breaks first, and each
// consequence under its cause.
//
// It is pure: equal reports give equal bytes, the report that it is given is never
// changed, and any number of goroutines may write at once. A report's text is not
// trusted: it comes from somebody's repository and from somebody's log lines, so
// no format lets it reach a terminal, a page or a workflow as anything but text.
package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// Options are what a format may need to know beside the report. The zero Options
// are plain text, 100 columns, and every finding fails a build.
type Options struct {
	Color    bool   // text only; nothing is said by colour alone
	Width    int    // columns of text; 0 is 100, at least 40
	Verbose  bool   // list what is only counted otherwise
	HTMLPath string // where the HTML page was written, "" none
	// FailOn is the severity from which a finding fails a build: formats that know
	// pass and fail (junit, github) draw the line there.
	FailOn premortem.Severity
	// Below is the folder that was checked, seen from the root of its repository, for
	// formats that point into files (sarif, github, junit); "" is the root itself.
	Below string
	// Docs explains rules and signs by name, for formats that carry help (sarif,
	// html). Nil: the help is each finding's own fix.
	Docs map[string]premortem.Doc
}

// Format is one way to tell a report.
type Format struct {
	Name string
	Doc  premortem.Doc
	// Write writes r to w. It fails only when w does or when r cannot be encoded.
	Write func(w io.Writer, r *premortem.Report, o Options) error
}

var all []*Format

func add(f Format) *Format {
	for _, other := range all {
		if other.Name == f.Name {
			panic("report: two formats are named " + f.Name)
		}
	}
	all = append(all, &f)
	return &f
}

// Formats returns every format, sorted by name.
func Formats() []*Format {
	out := slices.Clone(all)
	slices.SortFunc(out, func(a, b *Format) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Page returns docs/formats.md: what each format is for.
func Page() string {
	var b strings.Builder
	b.WriteString("# Formats\n\nHow a report can be told: `--format NAME`.\n" +
		"This page is generated from package report; `go test ./report -run TestDocs -update` writes it again.\n\n" +
		"| format | |\n|---|---|\n")
	for _, f := range Formats() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s |\n", f.Name, f.Name, f.Doc.Title)
	}
	line := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	for _, f := range Formats() {
		d := f.Doc
		fmt.Fprintf(&b, "\n## %s\n\n**%s.** %s\n\n- **Use it when** %s\n- **It does not tell** %s\n\n```text\n%s\n```\n",
			f.Name, line(d.Title), line(d.Why), line(d.When), line(d.Silent), strings.TrimSpace(d.Fix))
	}
	return b.String()
}

// Write writes r to w in the named format. An unknown name is an error that lists
// the known ones; nothing is written then.
func Write(w io.Writer, name string, r *premortem.Report, o Options) error {
	var names []string
	for _, f := range Formats() {
		if f.Name == name {
			return f.Write(w, r, o)
		}
		names = append(names, f.Name)
	}
	return fmt.Errorf("unknown format %q; one of: %s", name, strings.Join(names, ", "))
}
