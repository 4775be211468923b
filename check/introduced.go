package check

import (
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// Between runs the rules on the newer of two revisions, and adds what only the step
// from one to the other can break (Rule.Diff). Its findings are those of Run(new),
// in the same form; Introduced then says which of them the step brought.
func Between(old, new *premortem.System, rules []*Rule) []premortem.Finding {
	old, new = ordered(old), ordered(new)
	found := collection{at: map[string]int{}}
	for _, r := range rules {
		r.Run(new, func(f premortem.Finding) { found.add(filled(r, f)) })
		if r.Diff != nil {
			r.Diff(old, new, func(f premortem.Finding) { found.add(filled(r, f)) })
		}
	}
	return found.told()
}

// Moved says where a file of the old revision is in the new one: itself when it
// did not move.
type Moved func(file string) string

// Introduced returns the findings of after that were not there before, or were
// milder or suppressed. A finding is the same one when its key is, or is after its
// paths are renamed, or when exactly one finding of its rule went away that stood on
// the same lines: a renamed service or folder introduces nothing. gone are those of
// before that are not there any more. Both lists hold their quotes; neither is
// changed.
func Introduced(before, after []premortem.Finding, moved Moved) (introduced, gone []premortem.Finding) {
	known := map[string]premortem.Severity{}
	var left []premortem.Finding // old findings that no new one has the key of
	now := map[string]bool{}
	for i := range after {
		now[after[i].Key()] = true
	}
	quiet := map[string]bool{} // suppressed before: no news while it stays so
	for i := range before {
		f := &before[i]
		if f.Suppressed != "" {
			quiet[f.Key()] = true
			continue
		}
		key := f.Key()
		if !now[key] {
			key = renamedKey(f, moved)
		}
		if now[key] {
			known[key] = max(known[key], f.Severity)
			continue
		}
		left = append(left, *f)
	}
	introduced = []premortem.Finding{}
	for i := range after {
		f := &after[i]
		if f.Suppressed != "" && quiet[f.Key()] {
			continue
		}
		if s, ok := known[f.Key()]; ok && s >= f.Severity {
			continue
		} else if !ok {
			if j := slices.IndexFunc(left, func(old premortem.Finding) bool { return sameLines(&old, f, moved) }); j >= 0 {
				old := left[j]
				left = slices.Delete(left, j, j+1)
				if old.Severity >= f.Severity {
					continue
				}
			}
		}
		introduced = append(introduced, *f)
	}
	return introduced, left
}

// renamedKey is the key that a finding has after its files were moved.
func renamedKey(f *premortem.Finding, moved Moved) string {
	g := premortem.Finding{Rule: f.Rule, Node: f.Node, Subject: f.Subject}
	for _, e := range f.Evidence {
		to := e.Pos.File
		if to != "" {
			to = moved(to)
		}
		if to == e.Pos.File {
			continue
		}
		from, to := apart(e.Pos.File, to)
		g.Subject = renamedIn(g.Subject, from, to)
		g.Node = premortem.Node(renamedIn(string(g.Node), from, to))
	}
	return g.Key()
}

// apart drops the end that two paths share, whole elements at a time: of
// "k8s/prod/a.yaml" and "deploy/prod/a.yaml" it keeps "k8s" and "deploy".
func apart(a, b string) (from, to string) {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	for len(x) > 1 && len(y) > 1 && x[len(x)-1] == y[len(y)-1] {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	return strings.Join(x, "/"), strings.Join(y, "/")
}

// renamedIn replaces a path where it stands as one: alone or followed by a slash.
func renamedIn(s, from, to string) string {
	words := strings.Split(s, " ")
	for i, w := range words {
		if w == from || strings.HasPrefix(w, from+"/") {
			words[i] = to + strings.TrimPrefix(w, from)
		}
	}
	return strings.Join(words, " ")
}

// sameLines reports whether two findings of one rule stand on the same lines of the
// same files, as far as the lines could be quoted.
func sameLines(old, new *premortem.Finding, moved Moved) bool {
	if old.Rule != new.Rule || len(old.Evidence) != len(new.Evidence) {
		return false
	}
	quoted := false
	for i := range old.Evidence {
		a, b := &old.Evidence[i], &new.Evidence[i]
		if a.Quote != b.Quote || (a.Pos.Known() && moved(a.Pos.File) != b.Pos.File) {
			return false
		}
		quoted = quoted || a.Quote != ""
	}
	return quoted
}
