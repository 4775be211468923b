package read

import (
	"context"
	"fmt"
	"maps"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/premortem/premortem"
)

// Terraform reads what production's infrastructure is made of: databases with
// their parameter groups, caches and load balancers.
var Terraform = add(Reader{
	Name: "terraform",
	Doc: premortem.Doc{
		Title:  "Terraform",
		Why:    "The database's class and its max_connections are written there and nowhere else.",
		When:   "Folders with .tf and .tf.json files: variables with their defaults and tfvars, locals, local modules; aws_db_instance, aws_rds_cluster, parameter groups, aws_elasticache and aws_lb.",
		Silent: "Values that only a provider knows stay unset; registry modules and state are not read.",
		Fix:    "Write the value, or give its variable a default or a tfvars line.",
	},
	Wants: func(p string) bool {
		ext := path.Ext(p)
		return ext == ".tfvars" || isTerraform(p)
	},
	Read: func(f File, d *Draft) error {
		_, err := parseTF(f)
		return err
	},
	Whole: readTerraform,
})

func parseHCL(f File) (*hclsyntax.Body, error) {
	if nesting(f.Data) > maxDepth {
		return nil, &premortem.Error{Doing: "parse Terraform", Pos: premortem.Pos{File: f.Path, Line: 1}, Err: fmt.Errorf("nested deeper than %d", maxDepth)}
	}
	file, diags := hclsyntax.ParseConfig(f.Data, f.Path, hcl.InitialPos)
	var body *hclsyntax.Body
	if file != nil {
		body, _ = file.Body.(*hclsyntax.Body)
	}
	for _, d := range diags {
		if d.Severity == hcl.DiagError {
			pos := premortem.Pos{File: f.Path, Line: 1}
			if d.Subject != nil {
				pos.Line = min(max(d.Subject.Start.Line, 1), strings.Count(string(f.Data), "\n")+1)
			}
			return body, &premortem.Error{Doing: "parse Terraform", Pos: pos, Err: fmt.Errorf("%s", d.Summary)}
		}
	}
	return body, nil
}

// nesting is the depth of brackets: the parser recurses, and files are not trusted.
func nesting(data []byte) int {
	depth, deepest := 0, 0
	for _, c := range data {
		switch c {
		case '{', '[', '(':
			depth++
			deepest = max(deepest, depth)
		case '}', ']', ')':
			depth = max(depth-1, 0)
		}
	}
	return deepest
}

// readTerraform evaluates each folder that is not only a module of another.
func readTerraform(ctx context.Context, t *Tree, d *Draft) error {
	folders := map[string][]string{}
	for _, p := range t.paths {
		if isTerraform(p) {
			folders[path.Dir(p)] = append(folders[path.Dir(p)], p)
		}
	}
	called := map[string]bool{}
	parsed := map[string]tfFile{}
	roots := map[string]*tfModule{}
	for _, dir := range sortedKeys(folders) {
		roots[dir] = newTFModule(t, d, dir, folders[dir], parsed)
		roots[dir].root = dir
		for _, sub := range roots[dir].calls() {
			called[sub] = true
		}
	}
	for _, dir := range sortedKeys(roots) {
		if called[dir] || ctx.Err() != nil {
			continue
		}
		name := dir
		if dir == "." {
			name = "terraform"
		}
		stores, balancers, workloads := len(d.stores), len(d.balancers), len(d.workloads)
		m := roots[dir]
		m.vars(nil, nil)
		m.resolve(0)
		m.collect(name)
		if len(d.stores) > stores || len(d.balancers) > balancers || len(d.workloads) > workloads {
			d.deployments = append(d.deployments, &premortem.Deployment{Name: name, Kind: "terraform", Pos: premortem.Pos{File: folders[dir][0], Line: 1}})
		}
	}
	return nil
}

// tfModule is the blocks of one folder and what its names are worth.
type tfModule struct {
	t         *Tree
	d         *Draft
	dir       string
	root      string // folder of the configuration that calls it
	parent    *tfModule
	parsed    map[string]tfFile
	files     []File
	outputs   []*hclsyntax.Block
	children  []tfChild
	funcs     map[string]function.Function
	subs      map[string]cty.Value // outputs of modules by the name of the call
	each      map[string]cty.Value // each and count of the instance that is looked at
	resources []*hclsyntax.Block
	modules   []*hclsyntax.Block
	variables []*hclsyntax.Block
	locals    []*hclsyntax.Attribute
	values    map[string]cty.Value     // of variables
	places    map[string]premortem.Pos // of the line that gives a variable its value
	local     map[string]cty.Value
}

// tfFile is a file that was parsed once, however many modules call its folder.
type tfFile struct {
	File
	body *hclsyntax.Body
}

func newTFModule(t *Tree, d *Draft, dir string, files []string, parsed map[string]tfFile) *tfModule {
	m := &tfModule{t: t, d: d, dir: dir, parsed: parsed, values: map[string]cty.Value{}, places: map[string]premortem.Pos{}, local: map[string]cty.Value{}}
	for _, p := range files {
		f, ok := parsed[p]
		if !ok {
			if data, err := t.read(p); err == nil {
				body, _ := parseTF(File{p, data}) // Read reported what does not parse
				f = tfFile{File{p, data}, body}
			}
			parsed[p] = f
		}
		if f.body == nil {
			continue
		}
		body := f.body
		m.files = append(m.files, f.File)
		for _, b := range body.Blocks {
			switch {
			case b.Type == "resource" && len(b.Labels) == 2:
				m.resources = append(m.resources, b)
			case b.Type == "module" && len(b.Labels) == 1:
				m.modules = append(m.modules, b)
			case b.Type == "output" && len(b.Labels) == 1:
				m.outputs = append(m.outputs, b)
			case b.Type == "variable" && len(b.Labels) == 1:
				m.variables = append(m.variables, b)
			case b.Type == "locals":
				for _, k := range sortedKeys(b.Body.Attributes) {
					m.locals = append(m.locals, b.Body.Attributes[k])
				}
			}
		}
	}
	return m
}

// calls returns the folders of local modules.
func (m *tfModule) calls() []string {
	var out []string
	for _, b := range m.modules {
		if dir := m.source(b); dir != "" {
			out = append(out, dir)
		}
	}
	return out
}

func (m *tfModule) source(b *hclsyntax.Block) string {
	a := b.Body.Attributes["source"]
	if a == nil {
		return ""
	}
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() || v.Type() != cty.String || !v.IsKnown() || v.IsNull() || !strings.HasPrefix(v.AsString(), ".") {
		return ""
	}
	return join(m.dir, v.AsString())
}

// vars gives variables their values: defaults, then tfvars files, then inputs with
// the lines on which the caller writes them.
func (m *tfModule) vars(inputs map[string]cty.Value, places map[string]premortem.Pos) {
	for _, b := range m.variables {
		if a := b.Body.Attributes["default"]; a != nil {
			if v, diags := a.Expr.Value(&hcl.EvalContext{Functions: tfFunctions}); !diags.HasErrors() {
				m.values[b.Labels[0]], m.places[b.Labels[0]] = v, m.pos(a.SrcRange)
			}
		}
	}
	if inputs == nil {
		for _, p := range m.tfvars() {
			data, err := m.t.read(p)
			if err != nil {
				continue
			}
			body, _ := parseHCL(File{p, data})
			if body == nil {
				continue
			}
			for _, k := range sortedKeys(body.Attributes) {
				if v, diags := body.Attributes[k].Expr.Value(&hcl.EvalContext{Functions: tfFunctions}); !diags.HasErrors() {
					m.values[k], m.places[k] = v, m.pos(body.Attributes[k].SrcRange)
				}
			}
		}
	}
	maps.Copy(m.values, inputs)
	for k := range inputs {
		m.places[k] = places[k]
	}
	m.settle()
}

// settle evaluates locals to a fixed point: they may use each other.
func (m *tfModule) settle() {
	for range min(len(m.locals), 12) {
		changed := false
		for _, a := range m.locals {
			v := m.value(a.Expr)
			old, had := m.local[a.Name]
			changed = changed || !had || old.IsWhollyKnown() != v.IsWhollyKnown()
			m.local[a.Name] = v
		}
		if !changed {
			return
		}
	}
}

// tfvars returns the variable files that count for production, the last word last.
func (m *tfModule) tfvars() []string {
	var auto, env []string
	out := []string{}
	for _, p := range m.t.under(m.dir) {
		base := path.Base(p)
		if path.Ext(p) != ".tfvars" {
			continue
		}
		switch name := strings.TrimSuffix(base, ".tfvars"); {
		case path.Dir(p) == m.dir && base == "terraform.tfvars":
			out = append(out, p)
		case path.Dir(p) == m.dir && strings.HasSuffix(base, ".auto.tfvars"):
			auto = append(auto, p)
		case rankEnvironment(name) == 1 || rankEnvironment(path.Base(path.Dir(p))) == 1 && path.Dir(p) != m.dir:
			env = append(env, p)
		}
	}
	return append(append(out, auto...), env...)
}

func (m *tfModule) pos(r hcl.Range) premortem.Pos {
	return premortem.Pos{File: r.Filename, Line: max(r.Start.Line, 1)}
}

// value evaluates an expression; what it cannot know is cty.DynamicVal.
func (m *tfModule) value(e hcl.Expression) cty.Value {
	ctx := &hcl.EvalContext{Functions: m.functions(), Variables: map[string]cty.Value{}}
	for _, tr := range e.Variables() {
		switch root := tr.RootName(); root {
		case "var":
			ctx.Variables["var"] = tfObject(m.values, m.names(m.variables))
		case "local":
			names := make([]string, len(m.locals))
			for i, a := range m.locals {
				names[i] = a.Name
			}
			ctx.Variables["local"] = tfObject(m.local, names)
		case "path":
			ctx.Variables["path"] = cty.ObjectVal(map[string]cty.Value{"module": cty.StringVal(m.dir), "root": cty.StringVal(m.root), "cwd": cty.StringVal(m.root)})
		case "module":
			ctx.Variables["module"] = tfObject(m.subs, m.names(m.modules))
		case "each", "count":
			ctx.Variables[root] = cty.DynamicVal
			if v, ok := m.each[root]; ok {
				ctx.Variables[root] = v
			}
		default:
			ctx.Variables[root] = cty.DynamicVal
		}
	}
	v, diags := e.Value(ctx)
	if diags.HasErrors() {
		return cty.DynamicVal
	}
	v, _ = v.UnmarkDeep()
	return v
}

func (m *tfModule) names(blocks []*hclsyntax.Block) []string {
	out := make([]string, len(blocks))
	for i, b := range blocks {
		out[i] = b.Labels[0]
	}
	return out
}

// tfObject makes an object of known values; names without one are unknown.
func tfObject(known map[string]cty.Value, names []string) cty.Value {
	all := map[string]cty.Value{}
	for _, n := range names {
		all[n] = cty.DynamicVal
	}
	maps.Copy(all, known)
	return cty.ObjectVal(all)
}

// text evaluates an attribute to text, with the line that a person edits: that of
// the variable's value when the attribute is only the variable.
func (m *tfModule) text(b *hclsyntax.Body, name string) premortem.Setting[string] {
	if block, rest, ok := strings.Cut(name, "."); ok {
		return m.nested(b, block, rest)
	}
	a := b.Attributes[name]
	if a == nil {
		return premortem.Setting[string]{}
	}
	v, err := convert.Convert(m.value(a.Expr), cty.String)
	if err != nil || v.IsNull() || !v.IsKnown() || v.Type() != cty.String || strings.Contains(v.AsString(), tfUnknown) {
		return premortem.Setting[string]{}
	}
	pos := m.placeOf(a)
	return premortem.Setting[string]{Value: v.AsString(), Pos: pos}
}

// placeOf is the line that a person edits to change an attribute.
func (m *tfModule) placeOf(a *hclsyntax.Attribute) premortem.Pos {
	if tr, ok := a.Expr.(*hclsyntax.ScopeTraversalExpr); ok && len(tr.Traversal) == 2 && tr.Traversal.RootName() == "var" {
		if at, ok := tr.Traversal[1].(hcl.TraverseAttr); ok && m.places[at.Name].Known() {
			return m.places[at.Name]
		}
	}
	return m.pos(a.SrcRange)
}

// nested reads an attribute of a block inside, or of an object.
func (m *tfModule) nested(b *hclsyntax.Body, block, rest string) premortem.Setting[string] {
	for _, inner := range b.Blocks {
		if inner.Type == block {
			return m.text(inner.Body, rest)
		}
	}
	a := b.Attributes[block]
	if a == nil {
		return premortem.Setting[string]{}
	}
	v := tfField(m.value(a.Expr), rest)
	s, ok := tfString(v)
	if !ok {
		return premortem.Setting[string]{}
	}
	return premortem.Setting[string]{Value: s, Pos: m.placeOf(a)}
}

// refers returns the name of the resource of a type that an attribute refers to.
func (m *tfModule) refers(b *hclsyntax.Body, name, resource string) string {
	a := b.Attributes[name]
	if a == nil {
		return ""
	}
	for _, tr := range a.Expr.Variables() {
		if len(tr) > 1 && tr.RootName() == resource {
			if at, ok := tr[1].(hcl.TraverseAttr); ok {
				return at.Name
			}
		}
	}
	return ""
}
