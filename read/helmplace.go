package read

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// placer returns the function that finds a rendered field's line: that of the value
// in a values file, else the template's.
func (run *chartRun) placer(p string, places []int) func(k, v *yaml.Node, path []string) premortem.Pos {
	trace, sources := run.traces[p], run.sources
	return func(k, v *yaml.Node, path []string) premortem.Pos {
		line := func(n *yaml.Node) int {
			if n == nil || n.Line < 1 || n.Line >= len(places) {
				return 1
			}
			return places[n.Line]
		}
		if trace != nil && v != nil && v.Kind == yaml.ScalarNode {
			for _, l := range []int{line(v), line(k)} {
				if pos, ok := findValue(sources, trace.uses[l], path, v); ok {
					return pos
				}
			}
		}
		if k == nil {
			k = v
		}
		return premortem.Pos{File: p, Line: line(k)}
	}
}

// findValue looks for the value that a line printed: in the last values file that
// has it. Of an image, the tag counts for more than the name.
func findValue(sources []valuesSource, uses [][]string, path []string, want *yaml.Node) (premortem.Pos, bool) {
	if isImagePath(path) {
		uses = slices.Clone(uses)
		slices.Reverse(uses)
	}
	for _, exact := range []bool{true, false} {
		for _, use := range uses {
			for _, s := range sources {
				k, v := stepFields(s.node, use)
				if k == nil {
					continue
				}
				if n := matchValue(k, v, path, want.Value, exact, 0); n != nil {
					return at(s.file, n), true
				}
				if v.Kind == yaml.ScalarNode {
					break // a later word exists and printed something else
				}
			}
		}
	}
	return premortem.Pos{}, false
}

// stepFields walks plain keys and returns the last key and its value.
func stepFields(n *yaml.Node, path []string) (k, v *yaml.Node) {
	k, v = n, deref(n)
	for _, p := range path {
		if k, v = pair(v, p); k == nil {
			return nil, nil
		}
	}
	return k, v
}

// matchValue finds the node below a value that gives a rendered scalar.
func matchValue(k, v *yaml.Node, path []string, want string, exact bool, depth int) *yaml.Node {
	if v == nil || depth > 4 {
		return nil
	}
	if v.Kind == yaml.ScalarNode {
		s := text(v)
		if s == want && s != "" || !exact && len(s) > 1 && strings.Contains(want, s) {
			return k
		}
		return nil
	}
	for i := range path { // toYaml: the end of the object's path continues in the value
		if n, end := stepPath(v, path[i:]); n != nil && end.Kind == yaml.ScalarNode && text(end) == want {
			return n
		}
	}
	if !exact {
		return nil
	}
	for _, e := range entries(v) { // range over a map: a name or its value
		if e.key.Value == want {
			return e.key
		}
		if n := matchValue(e.key, deref(e.value), nil, want, exact, depth+1); n != nil {
			return n
		}
	}
	for _, i := range items(v) {
		if n := matchValue(i, i, nil, want, exact, depth+1); n != nil {
			return n
		}
	}
	return nil
}
