// Package observe watches a clone: one probe for each way to look. A probe never
// says that all is well: it fills its part of a Phase, or says why it could not see.
package observe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/clone"
)

// Probe is one way to watch.
type Probe struct {
	Name string
	Doc  premortem.Doc
	// Watch starts watching. The Eye lives until its Close.
	Watch func(ctx context.Context, c *clone.Clone) (Eye, error)
}

// Eye is a probe at work.
type Eye interface {
	// Take adds what was seen since the last Take to p and returns what it could not see.
	Take(ctx context.Context, p *premortem.Phase) (blind []string, err error)
	Close() error
}

var all []*Probe

func add(p Probe) *Probe {
	all = append(all, &p)
	return &p
}

// Probes returns every probe.
func Probes() []*Probe { return all }

// Page returns docs/probes.md: what each probe sees, and what it does not.
func Page() string {
	var b strings.Builder
	b.WriteString("# Probes\n\nHow premortem looks at a clone while it rehearses.\n" +
		"This page is generated from package observe; `go test ./observe -run TestDocs -update` writes it again.\n\n" +
		"| probe | |\n|---|---|\n")
	probes := slices.Clone(all)
	slices.SortFunc(probes, func(a, b *Probe) int { return cmp.Compare(a.Name, b.Name) })
	for _, p := range probes {
		fmt.Fprintf(&b, "| [%s](#%s) | %s |\n", p.Name, p.Name, p.Doc.Title)
	}
	line := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	for _, p := range probes {
		d := p.Doc
		fmt.Fprintf(&b, "\n## %s\n\n**%s.** %s\n\n- **Looks** %s\n- **Does not see** %s\n- **What to do with it:** %s\n",
			p.Name, d.Title, line(d.Why), line(d.When), line(d.Silent), line(d.Fix))
	}
	return b.String()
}

// Watcher runs a set of probes together.
type Watcher struct {
	eyes  []Eye
	names []string
}

// Watch starts every probe. A probe that cannot start is named in blind; it does not
// stop the others.
func Watch(ctx context.Context, c *clone.Clone, probes []*Probe) (w *Watcher, blind []string) {
	w = &Watcher{}
	for _, p := range probes {
		eye, err := p.Watch(ctx, c)
		if err != nil {
			blind = append(blind, fmt.Sprintf("the %s probe sees nothing: %v", p.Name, err))
			continue
		}
		w.eyes, w.names = append(w.eyes, eye), append(w.names, p.Name)
	}
	return w, blind
}

// Mark forgets what was seen so far: a phase begins.
func (w *Watcher) Mark(ctx context.Context) error {
	var p premortem.Phase
	_, err := w.Take(ctx, &p)
	return err
}

// Take fills p with what was seen since the last Mark or Take.
func (w *Watcher) Take(ctx context.Context, p *premortem.Phase) (blind []string, err error) {
	for i, e := range w.eyes {
		b, err := e.Take(ctx, p)
		if ctx.Err() != nil {
			return blind, context.Cause(ctx)
		}
		if err != nil {
			b = append(b, err.Error())
		}
		for _, why := range b {
			blind = append(blind, fmt.Sprintf("the %s probe: %s", w.names[i], why))
		}
	}
	return blind, nil
}

// Close ends all probes.
func (w *Watcher) Close() error {
	var errs []error
	for _, e := range w.eyes {
		errs = append(errs, e.Close())
	}
	w.eyes = nil
	return errors.Join(errs...)
}
