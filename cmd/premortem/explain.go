package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/check"
	"github.com/premortem/premortem/clone"
	"github.com/premortem/premortem/judge"
	"github.com/premortem/premortem/observe"
	"github.com/premortem/premortem/read"
	"github.com/premortem/premortem/report"
)

func (p *program) explain() *cobra.Command {
	return &cobra.Command{
		Use:     "explain [NAME]",
		Short:   "any rule, sign, probe, driver or format: what, why, example, fix",
		Example: "  premortem explain\n  premortem explain env-missing\n  premortem explain table-scan",
		Args:    cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, t := range topics() {
				names = append(names, t.name)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				p.listTopics()
				return nil
			}
			for _, t := range topics() {
				if t.name == args[0] {
					fmt.Fprintln(p.out, strings.TrimRight(t.text(), "\n"))
					return nil
				}
			}
			return &premortem.Error{Doing: "explain", Err: fmt.Errorf("nothing is called %q", args[0]), Hint: nearest(args[0])}
		},
	}
}

// topic is one thing that can be explained.
type topic struct {
	kind, name, title string
	text              func() string
}

func topics() []topic {
	var out []topic
	add := func(kind, name string, d premortem.Doc) {
		out = append(out, topic{kind, name, d.Title, func() string { return plain(kind, name, d) }})
	}
	for _, r := range check.Rules() {
		title := r.Doc.Title
		if r.Pedantic {
			title += " (pedantic)"
		}
		out = append(out, topic{"rule", r.ID, title, func() string { s, _ := check.Explain(r.ID); return s }})
	}
	for _, s := range judge.Signs() {
		out = append(out, topic{"sign", s.Name, s.Doc.Title, func() string { t, _ := judge.Explain(s.Name); return t }})
	}
	for _, v := range prophecies {
		add("forecast", v.name, v.doc)
	}
	for _, v := range observe.Probes() {
		add("probe", v.Name, v.Doc)
	}
	for _, v := range clone.Drivers() {
		add("driver", v.Name, v.Doc)
	}
	for _, v := range report.Formats() {
		add("format", v.Name, v.Doc)
	}
	for _, v := range read.Readers() {
		add("reader", v.Name, v.Doc)
	}
	slices.SortStableFunc(out, func(a, b topic) int { return strings.Compare(a.name, b.name) })
	return out
}

func plain(kind, name string, d premortem.Doc) string {
	s := fmt.Sprintf("%s (%s)\n%s\n\n%s\n\nWhen: %s\n\nNot: %s", name, kind, d.Title, d.Why, d.When, d.Silent)
	if d.Fix != "" {
		s += "\n\nWhat to do: " + d.Fix
	}
	return s
}

func (p *program) listTopics() {
	for _, kind := range []string{"rule", "sign", "forecast", "probe", "reader", "driver", "format"} {
		fmt.Fprintf(p.out, "%ss\n", kind)
		for _, t := range topics() {
			if t.kind == kind {
				fmt.Fprintf(p.out, "  %-32s %s\n", t.name, t.title)
			}
		}
	}
}

// nearest names the topics that look like name: those that hold it, else those that
// begin alike.
func nearest(name string) string {
	var holds, begins []string
	for _, t := range topics() {
		switch {
		case strings.Contains(t.name, name) || strings.Contains(name, t.name):
			holds = append(holds, t.name)
		case len(name) > 3 && strings.HasPrefix(t.name, name[:3]):
			begins = append(begins, t.name)
		}
	}
	for _, close := range [][]string{holds, begins} {
		if len(close) > 0 && len(close) <= 6 {
			return "did you mean: " + strings.Join(close, ", ")
		}
	}
	return "premortem explain lists every name"
}
