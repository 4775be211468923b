package read

import (
	"path"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/premortem/premortem"
)

const (
	maxTfDepth     = 6  // nesting of modules
	maxTfInstances = 20 // of one count or for_each
)

// tfChild is one instance of a local module.
type tfChild struct {
	call   string
	module *tfModule
}

// resolve evaluates the local modules that a module calls. Twice when they speak to
// each other, so that what the first round made known reaches the second.
func (m *tfModule) resolve(depth int) {
	if depth >= maxTfDepth {
		return
	}
	rounds := 1
	for _, call := range m.modules {
		for _, k := range sortedKeys(call.Body.Attributes) {
			for _, tr := range call.Body.Attributes[k].Expr.Variables() {
				if tr.RootName() == "module" {
					rounds = 2
				}
			}
		}
	}
	for range rounds {
		m.children = nil
		for _, call := range m.modules {
			if dir := m.source(call); dir != "" {
				m.call(call, dir, depth)
			}
		}
		m.settle()
	}
}

// call evaluates the instances of one local module.
func (m *tfModule) call(call *hclsyntax.Block, dir string, depth int) {
	var files []string
	for _, p := range m.t.under(dir) {
		if path.Dir(p) == dir && path.Ext(p) == ".tf" {
			files = append(files, p)
		}
	}
	name := call.Labels[0]
	all, list := map[string]cty.Value{}, []cty.Value{}
	for _, in := range m.instances(call.Body) {
		m.each = in.scope
		sub := newTFModule(m.t, m.d, dir, files, m.parsed)
		sub.root, sub.parent = m.root, m
		values, places := m.inputs(call)
		m.each = nil
		sub.vars(values, places)
		sub.resolve(depth + 1)
		out := sub.output()
		all[in.key] = out
		list = append(list, out)
		m.children = append(m.children, tfChild{name, sub})
	}
	if m.subs == nil {
		m.subs = map[string]cty.Value{}
	}
	switch {
	case call.Body.Attributes["for_each"] != nil && len(all) > 0:
		m.subs[name] = cty.ObjectVal(all)
	case call.Body.Attributes["count"] != nil:
		m.subs[name] = cty.TupleVal(list)
	case len(list) == 1:
		m.subs[name] = list[0]
	}
}

// output is what a module gives to its caller.
func (m *tfModule) output() cty.Value {
	out := map[string]cty.Value{}
	for _, b := range m.outputs {
		out[b.Labels[0]] = cty.DynamicVal
		if a := b.Body.Attributes["value"]; a != nil {
			out[b.Labels[0]] = m.value(a.Expr)
		}
	}
	return cty.ObjectVal(out)
}

// tfInstance is one of the things that count or for_each make.
type tfInstance struct {
	key   string
	scope map[string]cty.Value
}

// instances expands count and for_each. What is not known is one instance.
func (m *tfModule) instances(b *hclsyntax.Body) []tfInstance {
	one := []tfInstance{{}}
	if a := b.Attributes["count"]; a != nil {
		n := intOf(m.text(b, "count"))
		if v, ok := tfString(m.value(a.Expr)); ok && v == "0" {
			return nil
		}
		var out []tfInstance
		for i := range min(n.Value, maxTfInstances) {
			out = append(out, tfInstance{itoa(i), map[string]cty.Value{"count": cty.ObjectVal(map[string]cty.Value{"index": cty.NumberIntVal(int64(i))})}})
		}
		if out == nil {
			return one
		}
		return out
	}
	a := b.Attributes["for_each"]
	if a == nil {
		return one
	}
	v := m.value(a.Expr)
	if !v.IsKnown() || v.IsNull() || !v.CanIterateElements() {
		return one
	}
	out := []tfInstance{}
	for it := v.ElementIterator(); it.Next() && len(out) < maxTfInstances; {
		k, e := it.Element()
		if v.Type().IsSetType() {
			k = e
		}
		key, _ := tfString(k)
		out = append(out, tfInstance{key, map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{"key": k, "value": e})}})
	}
	return out
}

// inputs evaluates the arguments of a module call and says on which line a person
// changes each.
func (m *tfModule) inputs(b *hclsyntax.Block) (map[string]cty.Value, map[string]premortem.Pos) {
	out, places := map[string]cty.Value{}, map[string]premortem.Pos{}
	for _, k := range sortedKeys(b.Body.Attributes) {
		if !slices.Contains([]string{"source", "version", "count", "for_each", "providers", "depends_on"}, k) {
			out[k] = m.value(b.Body.Attributes[k].Expr)
			places[k] = m.placeOf(b.Body.Attributes[k])
		}
	}
	return out, places
}
