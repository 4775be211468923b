// Package check knows what breaks in production. It reads a System and says what
// will fail, from the files alone.
//
// It is pure: it reads no file, opens no connection, looks at no clock and starts
// nothing. What cannot be known is never a finding; it is a question that
// Unknowns asks.
package check

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"

	"github.com/premortem/premortem"
)

// Rule is one thing that we know about production.
type Rule struct {
	ID string // "env-missing"; fixed for ever, it stands in suppressions
	// Severity is what users feel. A finding that leaves its severity at zero gets
	// this one; a milder one is reported with asNote.
	Severity premortem.Severity
	// Certain is true when each finding is proven by what was read, or assumes one
	// documented default at most. Where it depends on the finding, the rule leaves it
	// false and sets Finding.Certain.
	Certain bool
	// Pedantic rules are right too seldom to be shown unasked: they run when they are
	// named, or with --pedantic.
	Pedantic bool
	Doc      premortem.Doc
	// Run reports each finding with Node, Subject, Says, Evidence and Fix. The lists
	// of sys are sorted. It must not change sys.
	Run func(sys *premortem.System, report func(premortem.Finding))
	// Ask names what the repository would have to say before Run can decide; nil
	// when the rule never lacks a fact.
	Ask func(sys *premortem.System, ask func(string))
	// Diff reports what only the step from one revision to the next can break, such as
	// a default that changes with an upgrade. Nil when Run sees all there is to see.
	Diff func(old, new *premortem.System, report func(premortem.Finding))
	// Mutate proposes faults to plant in a repository that this rule must find: the
	// self-test applies one at a time. Nil when there is no small edit that makes one.
	Mutate func(sys *premortem.System, line Line) []Mutation
}

// asNote is the severity of a finding that is worth less than its rule.
const asNote = premortem.Severity(-1)

var all []*Rule

// add registers a rule. Two rules with one ID are a bug in our own table.
func add(r Rule) *Rule {
	for _, other := range all {
		if other.ID == r.ID {
			panic("check: two rules are called " + r.ID)
		}
	}
	all = append(all, &r)
	return &r
}

// Rules returns every rule, sorted by ID.
func Rules() []*Rule {
	out := slices.Clone(all)
	slices.SortFunc(out, func(a, b *Rule) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Unasked returns the rules that run when nobody names any: those that are not
// pedantic.
func Unasked() []*Rule {
	return slices.DeleteFunc(Rules(), func(r *Rule) bool { return r.Pedantic })
}

// Only returns the rules of these IDs, pedantic or not; without any, those of
// Unasked. An ID that no rule has is an error that names the nearest one.
func Only(ids []string) ([]*Rule, error) {
	if len(ids) == 0 {
		return Unasked(), nil
	}
	var out []*Rule
	for _, id := range ids {
		r := named(id)
		if r == nil {
			return nil, &premortem.Error{
				Doing: "choose rules",
				Err:   fmt.Errorf("there is no rule %q", id),
				Hint:  "did you mean " + nearest(id) + "? `premortem explain` lists them all",
			}
		}
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *Rule) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// Run applies the rules and returns their findings in reading order. Equal systems
// give equal findings, in whatever order their lists are. It fills Rule, Severity
// and Certain, keeps one finding per key, and ties a consequence to its cause.
func Run(sys *premortem.System, rules []*Rule) []premortem.Finding {
	sys = ordered(sys)
	found := collection{at: map[string]int{}}
	for _, r := range rules {
		r.Run(sys, func(f premortem.Finding) { found.add(filled(r, f)) })
	}
	return found.told()
}

// collection holds one finding per key.
type collection struct {
	list []premortem.Finding
	at   map[string]int // key → place in list
}

func (c *collection) add(f premortem.Finding) {
	key := f.Key()
	if i, ok := c.at[key]; ok {
		c.list[i] = merged(c.list[i], f)
		return
	}
	c.at[key] = len(c.list)
	c.list = append(c.list, f)
}

// told is the list in reading order, each consequence tied to its cause.
func (c *collection) told() []premortem.Finding {
	out := c.list
	if out == nil {
		out = []premortem.Finding{}
	}
	fold(out)
	premortem.SortFindings(out)
	return out
}

// Unknowns returns what the rules could not decide, as sentences that say what to
// declare. It is sorted and holds no sentence twice.
func Unknowns(sys *premortem.System, rules []*Rule) []string {
	sys = ordered(sys)
	out := []string{}
	if why, ok := strings.CutPrefix(sys.ProductionWhy, "unknown: "); ok && sys.Production == "" {
		out = append(out, "which deployment is production? "+why+"; declare production: NAME in premortem.yaml")
	}
	for _, r := range rules {
		if r.Ask != nil {
			r.Ask(sys, func(s string) { out = append(out, r.ID+": "+s) })
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func filled(r *Rule, f premortem.Finding) premortem.Finding {
	if len(f.Evidence) == 0 || f.Says == "" {
		panic(errors.New("check: " + r.ID + " reports without a sentence or without evidence: " + f.Subject))
	}
	f.Rule = r.ID
	switch f.Severity {
	case premortem.Note:
		f.Severity = r.Severity
	case asNote:
		f.Severity = premortem.Note
	}
	f.Certain = f.Certain || r.Certain
	return f
}

// merged keeps the first finding of a key and adds the places of the second: one
// cause is one finding.
func merged(f, again premortem.Finding) premortem.Finding {
	f.Severity = max(f.Severity, again.Severity)
	f.Certain = f.Certain || again.Certain
	f.Evidence = slices.Clone(f.Evidence)
	for _, e := range again.Evidence {
		if !slices.Contains(f.Evidence, e) {
			f.Evidence = append(f.Evidence, e)
		}
	}
	return f
}

// fold points each consequence at the first cause of its chain, and forgets causes
// that were not found.
func fold(found []premortem.Finding) {
	cause := map[string]string{}
	for i := range found {
		cause[found[i].Key()] = found[i].Because
	}
	for i := range found {
		own, at := found[i].Key(), found[i].Because
		found[i].Because = ""
		for range found {
			next, ok := cause[at]
			if !ok || at == own {
				break
			}
			found[i].Because = at
			at = next
		}
	}
}

func named(id string) *Rule {
	for _, r := range all {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// nearest returns the rule ID that resembles id most.
func nearest(id string) string {
	ids := make([]string, 0, len(all))
	for _, r := range Rules() {
		ids = append(ids, r.ID)
	}
	best := slices.MinFunc(ids, func(a, b string) int {
		return cmp.Or(cmp.Compare(distance(id, a), distance(id, b)), cmp.Compare(a, b))
	})
	return best
}

func distance(a, b string) int {
	return levenshtein.Distance(strings.ToLower(a), strings.ToLower(b), nil)
}

// ordered returns a copy of sys whose lists are sorted, except for lists in which
// order has a meaning. What the lists point at is shared.
func ordered(sys *premortem.System) *premortem.System {
	s := *sys
	s.Deployments = by(s.Deployments, func(d *premortem.Deployment) string { return d.Name })
	s.Services = by(s.Services, func(v *premortem.Service) string { return v.Deployment + "\x00" + string(v.Node) })
	s.Stores = by(s.Stores, func(v *premortem.Store) string {
		return v.Deployment + "\x00" + string(v.Node) + "\x00" + place(v.Pos)
	})
	s.Dependencies = by(s.Dependencies, func(d *premortem.Dependency) string {
		return string(d.From) + "\x00" + string(d.To) + "\x00" + place(d.Pos) + d.Env.Value
	})
	s.Balancers = by(s.Balancers, func(b *premortem.Balancer) string {
		return b.Deployment + "\x00" + string(b.To) + "\x00" + place(b.Pos)
	})
	s.Env = by(s.Env, func(v *premortem.EnvVar) string { return string(v.Service) + "\x00" + v.Name })
	s.Runtimes = by(s.Runtimes, func(r *premortem.Runtime) string {
		return string(r.Service) + "\x00" + r.Language + "\x00" + place(r.Version.Pos) + r.Source + "\x00" + r.Version.Value
	})
	s.Images = by(s.Images, func(i *premortem.Image) string {
		return string(i.Service) + "\x00" + i.Deployment + "\x00" + place(i.Pos) + i.Ref
	})
	s.Tables = by(s.Tables, func(t *premortem.Table) string { return t.Name + "\x00" + place(t.Pos) })
	s.Queries = by(s.Queries, func(q *premortem.Query) string {
		return place(q.Pos) + string(q.Service) + "\x00" + q.Table + "\x00" + q.Op + "\x00" + q.SQL + "\x00" + q.Quote
	})
	s.Routes = by(s.Routes, func(r *premortem.Route) string { return place(r.Pos) + string(r.Service) + r.Name() })
	s.Suppressions = slices.Clone(s.Suppressions)
	slices.SortFunc(s.Suppressions, func(a, b premortem.Suppression) int {
		return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Node, b.Node),
			cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Until, b.Until))
	})
	s.Database.Rows = slices.Clone(s.Database.Rows)
	slices.SortFunc(s.Database.Rows, func(a, b premortem.RowWish) int { return cmp.Compare(a.Table, b.Table) })
	return &s
}

func by[T any](list []*T, key func(*T) string) []*T {
	out := slices.Clone(list)
	slices.SortFunc(out, func(a, b *T) int { return cmp.Compare(key(a), key(b)) })
	return out
}

// place is a Pos as a text that sorts like it.
func place(p premortem.Pos) string { return fmt.Sprintf("%s\x00%08d\x00", p.File, p.Line) }
