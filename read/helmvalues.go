package read

import (
	"maps"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// valuesSource is a values file, or the part of one that speaks to a subchart.
type valuesSource struct {
	file   string
	node   *yaml.Node
	values map[string]any
}

func openValues(t *Tree, p string) (valuesSource, error) {
	src := valuesSource{file: p, values: map[string]any{}}
	data, err := t.read(p)
	if err != nil {
		return src, err
	}
	docs, err := parseYAML(File{p, data})
	if err != nil || len(docs) == 0 {
		return src, err
	}
	src.node = docs[0]
	if v, ok := plainValue(src.node, 0).(map[string]any); ok {
		src.values = v
	}
	return src, nil
}

// plainValue is a node as maps, lists and scalars. A key that stands twice is not
// refused: the first counts, as for positions.
func plainValue(n *yaml.Node, depth int) any {
	n = deref(n)
	if n == nil || depth > maxDepth {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for _, e := range entries(n) {
			if _, ok := out[e.key.Value]; !ok {
				out[e.key.Value] = plainValue(e.value, depth+1)
			}
		}
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, i := range items(n) {
			out = append(out, plainValue(i, depth+1))
		}
		return out
	}
	var v any
	if n.Decode(&v) != nil {
		return n.Value
	}
	return v
}

// below is what a source says to a subchart.
func (v valuesSource) below(name string) (valuesSource, bool) {
	n := field(v.node, name)
	return valuesSource{file: v.file, node: n}, n != nil
}

// mergeValues puts one map of values over another; null takes a key away.
func mergeValues(base, over map[string]any, depth int) map[string]any {
	out := maps.Clone(base)
	if out == nil {
		out = map[string]any{}
	}
	for k, v := range over {
		old, wasMap := out[k].(map[string]any)
		m, isMap := v.(map[string]any)
		switch {
		case v == nil:
			if _, had := out[k]; had {
				delete(out, k)
			} else {
				out[k] = nil
			}
		case wasMap && isMap && depth < maxDepth:
			out[k] = mergeValues(old, m, depth+1)
		default:
			out[k] = v
		}
	}
	return out
}

// lookupValue walks a dotted path of values.
func lookupValue(values map[string]any, dotted string) (any, bool) {
	var v any = values
	for _, k := range strings.Split(dotted, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[k]; !ok {
			return nil, false
		}
	}
	return v, true
}

// wanted decides whether a dependency is rendered: by its condition, else its tags.
func (dep chartDep) wanted(values map[string]any) bool {
	for cond := range strings.SplitSeq(text(field(dep.node, "condition")), ",") {
		if v, ok := lookupValue(values, strings.TrimSpace(cond)); ok {
			if b, isBool := v.(bool); isBool {
				return b
			}
		}
	}
	tags := texts(field(dep.node, "tags"))
	off := false
	for _, tag := range tags {
		if v, ok := lookupValue(values, "tags."+tag); ok {
			if v == true {
				return true
			}
			off = true
		}
	}
	return !off
}

// chart renders one chart and those that it uses. given are the values from above,
// from are the files that gave them, the last word first.
func (r *rendering) chart(c *chart, given map[string]any, from []valuesSource, release *chart, depth int) {
	if release == nil {
		release = c
	}
	own, err := openValues(c.t, path.Join(c.dir, "values.yaml"))
	if err != nil {
		if c.t.has(own.file) {
			r.note(own.file, err)
		}
		own.node = nil
	}
	values := mergeValues(own.values, given, 0)
	sources := slices.Clone(from)
	if own.node != nil {
		sources = append(sources, own)
	}
	if depth >= maxSubcharts {
		r.note(c.file, errChartDepth)
		return
	}
	for _, dep := range c.deps {
		if !dep.wanted(values) {
			continue
		}
		sub := r.charts[dep.dir]
		if sub == nil || sub == c {
			r.absent(c, dep, values, sources, release)
			continue
		}
		if sub.library {
			continue
		}
		below, _ := values[dep.name].(map[string]any)
		below = maps.Clone(below)
		if below == nil {
			below = map[string]any{}
		}
		if g, ok := values["global"].(map[string]any); ok {
			mine, _ := below["global"].(map[string]any)
			below["global"] = mergeValues(mine, g, 0)
		}
		var inner []valuesSource
		for _, s := range sources {
			if b, ok := s.below(dep.name); ok {
				inner = append(inner, b)
			}
		}
		r.chart(sub, below, inner, release, depth+1)
	}
	r.render(c, values, sources, release)
}

// absent reports a dependency that would have to be downloaded. A database among
// them is still known to be there, with the version that the values name.
func (r *rendering) absent(c *chart, dep chartDep, values map[string]any, sources []valuesSource, release *chart) {
	pos := at(c.file, dep.node)
	if dep.node == nil {
		pos = premortem.Pos{File: c.file, Line: 1}
	}
	why := "the chart " + dep.chart + " is not in the repository: what it deploys is not evaluated"
	if c.t.hasDir(path.Join(c.dir, "charts")) {
		for _, p := range c.t.under(path.Join(c.dir, "charts")) {
			if strings.HasSuffix(p, ".tgz") && strings.HasPrefix(path.Base(p), dep.chart+"-") {
				why = "the packed chart " + path.Base(p) + " is not opened: what it deploys is not evaluated"
			}
		}
	}
	r.miss(pos, why)
	kind := storeKinds[dep.chart]
	if kind == "" {
		return
	}
	name := release.name + "-" + dep.name
	s := &premortem.Store{Node: premortem.Node("store/" + name), Kind: kind, Pos: pos}
	s.Hosts = append(serviceHosts(name, ""), name+"-primary", name+"-master", name+"-headless")
	for _, src := range sources {
		if tag := field(src.node, dep.name, "image", "tag"); text(tag) != "" && !s.Version.Set() {
			s.Version = premortem.Setting[string]{Value: text(tag), Pos: at(src.file, tag)}
		}
	}
	r.stores = append(r.stores, s)
}
