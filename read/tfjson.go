package read

import (
	"encoding/json"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"gopkg.in/yaml.v3"
)

// tfLabels is how many names stand before the body of a block of the first level.
var tfLabels = map[string]int{"resource": 2, "data": 2, "module": 1, "variable": 1, "output": 1, "provider": 1, "locals": 0, "terraform": 0}

// parseTFJSON reads Terraform's JSON syntax into the same blocks as the native one.
// An object may be a block or a value, which only a provider's schema knows: it is
// given as both.
func parseTFJSON(f File) (*hclsyntax.Body, error) {
	if !json.Valid(f.Data) {
		return nil, jsonError(f)
	}
	docs, err := parseYAML(f) // JSON is YAML, and its nodes know their lines
	if err != nil || len(docs) == 0 {
		return nil, err
	}
	j := tfJSON{f.Path}
	body := &hclsyntax.Body{Attributes: hclsyntax.Attributes{}}
	for _, top := range entries(docs[0]) {
		if n, ok := tfLabels[top.key.Value]; ok {
			j.labelled(body, top.key, deref(top.value), []string{}, n)
		}
	}
	return body, nil
}

type tfJSON struct{ path string }

func (j tfJSON) rng(n *yaml.Node) hcl.Range {
	p := hcl.Pos{Line: max(n.Line, 1), Column: max(n.Column, 1)}
	return hcl.Range{Filename: j.path, Start: p, End: p}
}

// labelled walks down the names of a block and adds its bodies.
func (j tfJSON) labelled(to *hclsyntax.Body, key, n *yaml.Node, labels []string, more int) {
	if n == nil {
		return
	}
	if n.Kind == yaml.SequenceNode {
		for _, i := range items(n) {
			j.labelled(to, key, i, labels, more)
		}
		return
	}
	if more > 0 {
		for _, e := range entries(n) {
			j.labelledAt(to, key, e, labels, more)
		}
		return
	}
	to.Blocks = append(to.Blocks, &hclsyntax.Block{Type: key.Value, Labels: labels, Body: j.body(n, 0), TypeRange: j.rng(key), OpenBraceRange: j.rng(n), CloseBraceRange: j.rng(n)})
}

func (j tfJSON) labelledAt(to *hclsyntax.Body, key *yaml.Node, e entry, labels []string, more int) {
	before := len(to.Blocks)
	j.labelled(to, key, deref(e.value), append(append([]string{}, labels...), e.key.Value), more-1)
	if more > 1 {
		return
	}
	for _, b := range to.Blocks[before:] {
		b.TypeRange = j.rng(e.key) // the line that names it
	}
}

func (j tfJSON) body(n *yaml.Node, depth int) *hclsyntax.Body {
	b := &hclsyntax.Body{Attributes: hclsyntax.Attributes{}, SrcRange: j.rng(n), EndRange: j.rng(n)}
	if depth > maxDepth/4 {
		return b
	}
	for _, e := range entries(n) {
		v := deref(e.value)
		if v == nil || e.key.Value == "//" {
			continue
		}
		b.Attributes[e.key.Value] = &hclsyntax.Attribute{Name: e.key.Value, Expr: j.expr(v, depth), SrcRange: j.rng(e.key), NameRange: j.rng(e.key), EqualsRange: j.rng(e.key)}
		inner := []*yaml.Node{v}
		if v.Kind == yaml.SequenceNode {
			inner = items(v)
		}
		for _, i := range inner {
			if i != nil && i.Kind == yaml.MappingNode {
				b.Blocks = append(b.Blocks, &hclsyntax.Block{Type: e.key.Value, Body: j.body(i, depth+1), TypeRange: j.rng(e.key), OpenBraceRange: j.rng(i), CloseBraceRange: j.rng(i)})
			}
		}
	}
	return b
}

// expr turns a value into an expression; text is a template.
func (j tfJSON) expr(n *yaml.Node, depth int) hclsyntax.Expression {
	n = deref(n)
	literal := func(v cty.Value) hclsyntax.Expression { return &hclsyntax.LiteralValueExpr{Val: v, SrcRange: j.rng(n)} }
	switch {
	case n == nil || depth > maxDepth/4:
		return &hclsyntax.LiteralValueExpr{Val: cty.DynamicVal}
	case n.Kind == yaml.SequenceNode:
		out := &hclsyntax.TupleConsExpr{SrcRange: j.rng(n)}
		for _, i := range items(n) {
			out.Exprs = append(out.Exprs, j.expr(i, depth+1))
		}
		return out
	case n.Kind == yaml.MappingNode:
		out := &hclsyntax.ObjectConsExpr{SrcRange: j.rng(n)}
		for _, e := range entries(n) {
			out.Items = append(out.Items, hclsyntax.ObjectConsItem{KeyExpr: literal(cty.StringVal(e.key.Value)), ValueExpr: j.expr(e.value, depth+1)})
		}
		return out
	case n.Tag == "!!bool":
		return literal(cty.BoolVal(n.Value == "true"))
	case n.Tag == "!!int" || n.Tag == "!!float":
		if v, err := cty.ParseNumberVal(n.Value); err == nil {
			return literal(v)
		}
	case n.Tag == "!!null":
		return literal(cty.NullVal(cty.DynamicPseudoType))
	}
	if !strings.Contains(n.Value, "${") && !strings.Contains(n.Value, "%{") || nesting([]byte(n.Value)) > maxDepth {
		return literal(cty.StringVal(n.Value))
	}
	e, diags := hclsyntax.ParseTemplate([]byte(n.Value), j.path, hcl.Pos{Line: max(n.Line, 1), Column: 1})
	if diags.HasErrors() {
		return literal(cty.DynamicVal)
	}
	return e
}

// parseTF reads a file of Terraform in either syntax.
func parseTF(f File) (*hclsyntax.Body, error) {
	if strings.HasSuffix(f.Path, ".json") {
		return parseTFJSON(f)
	}
	return parseHCL(f)
}

// isTerraform reports a file that a folder of Terraform is made of.
func isTerraform(p string) bool {
	return strings.HasSuffix(p, ".tf") || strings.HasSuffix(p, ".tf.json")
}
