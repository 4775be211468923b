package read

import (
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/premortem/premortem"
)

// attributes reads attributes of a block by name.
func (m *tfModule) attributes(b *hclsyntax.Block) func(string) premortem.Setting[string] {
	return func(name string) premortem.Setting[string] { return m.text(b.Body, name) }
}

// registry reads a call of a module that is not in the repository: of the well-known
// ones, the arguments say what they make.
func (m *tfModule) registry(deployment string, call *hclsyntax.Block) {
	a := call.Body.Attributes["source"]
	if a == nil {
		return
	}
	v, _ := a.Expr.Value(nil)
	raw, _ := tfString(v)
	name, folder := moduleSource(raw)
	if c, ok := moduleStores[name]; ok {
		if s := c.store(deployment, call.Labels[0], m.pos(call.DefRange()), m.attributes(call)); s != nil {
			m.moduleParams(s, call)
			m.d.stores = append(m.d.stores, s)
			return
		}
	}
	switch {
	case name == "terraform-aws-modules/alb/aws":
		m.balancer(deployment, call)
	case name == "terraform-aws-modules/ecs/aws" && strings.HasSuffix(folder, "service"):
		m.ecsModuleService(deployment, call, call.Labels[0], m.objectOf(call.Body))
	case name == "terraform-aws-modules/ecs/aws":
		services := cty.NilVal
		if a := call.Body.Attributes["services"]; a != nil {
			services = m.value(a.Expr)
		}
		if services != cty.NilVal && services.IsKnown() && !services.IsNull() && services.CanIterateElements() {
			for it := services.ElementIterator(); it.Next(); {
				k, v := it.Element()
				key, _ := tfString(k)
				m.ecsModuleService(deployment, call, key, v)
			}
		}
	case quietModules[name]:
	default:
		m.d.miss(m.pos(a.SrcRange), "module "+call.Labels[0]+" is not evaluated: remote")
	}
}

// objectOf is the arguments of a block as one value.
func (m *tfModule) objectOf(b *hclsyntax.Body) cty.Value {
	out := map[string]cty.Value{}
	for _, k := range sortedKeys(b.Attributes) {
		out[k] = m.value(b.Attributes[k].Expr)
	}
	return cty.ObjectVal(out)
}

// moduleParams reads the parameter group that a module makes.
func (m *tfModule) moduleParams(s *premortem.Store, call *hclsyntax.Block) {
	for _, key := range []string{"parameters", "db_cluster_parameter_group_parameters", "parameter", "database_flags"} {
		a := call.Body.Attributes[key]
		if a == nil {
			continue
		}
		for _, p := range tfElements(m.value(a.Expr)) {
			name, ok := tfString(tfGet(p, "name"))
			value, known := tfString(tfGet(p, "value"))
			if ok && known && !secretive.MatchString(name) {
				addParam(s, name, premortem.Setting[string]{Value: value, Pos: m.lineWith(name, m.pos(a.SrcRange))})
			}
		}
	}
}

// lineWith finds the line that writes a word: in the files of the module, then in
// those of its callers.
func (m *tfModule) lineWith(word string, otherwise premortem.Pos) premortem.Pos {
	for at := m; at != nil && word != ""; at = at.parent {
		for _, f := range at.files {
			if line := wordLine(f.Data, word); line > 0 {
				return premortem.Pos{File: f.Path, Line: line}
			}
		}
	}
	return otherwise
}

// wordLine is the first line that holds a word as a word, 0 when none does.
func wordLine(data []byte, word string) int {
	s, from := string(data), 0
	for {
		i := strings.Index(s[from:], word)
		if i < 0 {
			return 0
		}
		i += from
		end := i + len(word)
		if (i == 0 || !isWordByte(s[i-1])) && (end == len(s) || !isWordByte(s[end])) {
			return strings.Count(s[:i], "\n") + 1
		}
		from = i + 1
	}
}

// managed adds a database or cache of any cloud.
func (m *tfModule) managed(deployment string, b *hclsyntax.Block) {
	c, ok := cloudStores[b.Labels[0]]
	if !ok {
		return
	}
	s := c.store(deployment, b.Labels[1], m.pos(b.DefRange()), m.attributes(b))
	if s == nil {
		return
	}
	for _, inner := range b.Body.Blocks {
		if inner.Type == "settings" { // Cloud SQL
			for _, flag := range inner.Body.Blocks {
				if name := m.text(flag.Body, "name"); flag.Type == "database_flags" && name.Set() {
					if v := m.text(flag.Body, "value"); v.Set() && !secretive.MatchString(name.Value) {
						addParam(s, name.Value, v)
					}
				}
			}
		}
	}
	m.d.stores = append(m.d.stores, s)
}

// offered adds a cache that a switch of the configuration turns on: off by default,
// but with a version that production gets.
func (m *tfModule) offered(deployment string, b *hclsyntax.Block) {
	a := b.Body.Attributes["count"]
	if a == nil || len(a.Expr.Variables()) == 0 {
		return
	}
	c := cloudStores[b.Labels[0]]
	if c.kind != "redis" {
		return
	}
	if s := c.store(deployment, b.Labels[1], m.pos(b.DefRange()), m.attributes(b)); s != nil {
		m.d.stores = append(m.d.stores, &premortem.Store{Deployment: deployment, Node: s.Node, Kind: s.Kind, Pos: s.Pos, Version: s.Version})
	}
}
