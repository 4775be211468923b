package read

import (
	"errors"
	"maps"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// tfUnknown stands for what is not known inside of encoded JSON, so that one
// unknown value does not hide all others.
const tfUnknown = "\uE0A2unknown\uE0A2"

// tfFunctions are Terraform's functions that depend on nothing but their arguments.
var tfFunctions = map[string]function.Function{
	"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "coalesce": stdlib.CoalesceFunc, "coalescelist": stdlib.CoalesceListFunc,
	"can": tryfunc.CanFunc, "try": tryfunc.TryFunc, "chomp": stdlib.ChompFunc, "indent": stdlib.IndentFunc, "log": stdlib.LogFunc, "pow": stdlib.PowFunc,
	"signum": stdlib.SignumFunc, "setproduct": stdlib.SetProductFunc, "setunion": stdlib.SetUnionFunc, "setsubtract": stdlib.SetSubtractFunc,
	"setintersection": stdlib.SetIntersectionFunc, "chunklist": stdlib.ChunklistFunc, "regexall": stdlib.RegexAllFunc, "tomap": stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),
	"compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc, "distinct": stdlib.DistinctFunc,
	"element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc, "floor": stdlib.FloorFunc, "format": stdlib.FormatFunc,
	"formatlist": stdlib.FormatListFunc, "join": stdlib.JoinFunc, "jsondecode": tfJSONDecode, "jsonencode": tfJSONEncode,
	"keys": stdlib.KeysFunc, "length": stdlib.LengthFunc, "lookup": stdlib.LookupFunc, "lower": stdlib.LowerFunc, "max": stdlib.MaxFunc,
	"merge": stdlib.MergeFunc, "min": stdlib.MinFunc, "parseint": stdlib.ParseIntFunc, "range": stdlib.RangeFunc, "regex": stdlib.RegexFunc,
	"replace": stdlib.ReplaceFunc, "reverse": stdlib.ReverseListFunc, "slice": stdlib.SliceFunc, "sort": stdlib.SortFunc,
	"split": stdlib.SplitFunc, "substr": stdlib.SubstrFunc, "title": stdlib.TitleFunc, "trim": stdlib.TrimFunc,
	"trimprefix": stdlib.TrimPrefixFunc, "trimspace": stdlib.TrimSpaceFunc, "trimsuffix": stdlib.TrimSuffixFunc, "upper": stdlib.UpperFunc,
	"values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc, "tonumber": stdlib.MakeToFunc(cty.Number), "tostring": stdlib.MakeToFunc(cty.String),
	"tobool": stdlib.MakeToFunc(cty.Bool), "tolist": stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)), "toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
}

var tfJSONEncode = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "val", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true, AllowNull: true}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if args[0] == cty.DynamicVal {
			return cty.StringVal(`"` + tfUnknown + `"`), nil
		}
		v, err := cty.Transform(args[0], func(_ cty.Path, v cty.Value) (cty.Value, error) {
			if !v.IsKnown() {
				if v.Type() == cty.String || v.Type() == cty.DynamicPseudoType {
					return cty.StringVal(tfUnknown), nil
				}
				return cty.NullVal(v.Type()), nil
			}
			return v, nil
		})
		if err != nil {
			return cty.UnknownVal(cty.String), nil
		}
		b, err := ctyjson.Marshal(v, v.Type())
		if err != nil {
			return cty.UnknownVal(cty.String), nil
		}
		return cty.StringVal(string(b)), nil
	},
})

var tfJSONDecode = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "str", Type: cty.String}},
	Type:   function.StaticReturnType(cty.DynamicPseudoType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		data := []byte(args[0].AsString())
		if nesting(data) > maxDepth {
			return cty.DynamicVal, errors.New("nested too deep")
		}
		t, err := ctyjson.ImpliedType(data)
		if err != nil {
			return cty.DynamicVal, err
		}
		v, err := ctyjson.Unmarshal(data, t)
		if err != nil {
			return cty.DynamicVal, err
		}
		return cty.Transform(v, func(_ cty.Path, v cty.Value) (cty.Value, error) {
			if v.Type() == cty.String && v.IsKnown() && !v.IsNull() && v.AsString() == tfUnknown {
				return cty.UnknownVal(cty.String), nil
			}
			return v, nil
		})
	},
})

// functions adds what reads files of the repository to the functions.
func (m *tfModule) functions() map[string]function.Function {
	if m.funcs != nil {
		return m.funcs
	}
	m.funcs = maps.Clone(tfFunctions)
	name := []function.Parameter{{Name: "path", Type: cty.String}}
	m.funcs["file"] = function.New(&function.Spec{Params: name, Type: function.StaticReturnType(cty.String), Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		data, err := m.t.read(m.inTree(args[0].AsString()))
		return cty.StringVal(string(data)), err
	}})
	m.funcs["fileexists"] = function.New(&function.Spec{Params: name, Type: function.StaticReturnType(cty.Bool), Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		return cty.BoolVal(m.t.has(m.inTree(args[0].AsString()))), nil
	}})
	m.funcs["templatefile"] = function.New(&function.Spec{
		Params: append(name, function.Parameter{Name: "vars", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true}),
		Type:   function.StaticReturnType(cty.String), Impl: m.templateFile,
	})
	return m.funcs
}

// inTree is a path of the repository, "" for one outside.
func (m *tfModule) inTree(p string) string {
	if p == "" || strings.HasPrefix(p, "/") {
		return ""
	}
	if clean := join(".", p); clean != "" && m.t.has(clean) {
		return clean
	}
	return join(m.dir, p)
}

// templateFile renders a template of the repository; what is unknown in it stays
// marked as such.
func (m *tfModule) templateFile(args []cty.Value, _ cty.Type) (cty.Value, error) {
	data, err := m.t.read(m.inTree(args[0].AsString()))
	if err != nil || nesting(data) > maxDepth {
		return cty.UnknownVal(cty.String), nil
	}
	expr, diags := hclsyntax.ParseTemplate(data, path.Base(args[0].AsString()), hcl.InitialPos)
	if diags.HasErrors() {
		return cty.UnknownVal(cty.String), nil
	}
	vars := map[string]cty.Value{}
	if args[1].IsKnown() && !args[1].IsNull() && args[1].CanIterateElements() {
		for it := args[1].ElementIterator(); it.Next(); {
			k, v := it.Element()
			if !v.IsKnown() {
				v = cty.StringVal(tfUnknown)
			}
			vars[k.AsString()] = v
		}
	}
	v, diags := expr.Value(&hcl.EvalContext{Variables: vars, Functions: tfFunctions})
	if diags.HasErrors() {
		return cty.UnknownVal(cty.String), nil
	}
	out, err := convert.Convert(v, cty.String)
	if err != nil || out.IsNull() {
		return cty.UnknownVal(cty.String), nil
	}
	return out, nil
}

// tfField walks a dotted path of an object, through lists by their first element.
func tfField(v cty.Value, dotted string) cty.Value {
	for k := range strings.SplitSeq(dotted, ".") {
		if v.IsKnown() && !v.IsNull() && (v.Type().IsTupleType() || v.Type().IsListType()) && v.LengthInt() > 0 {
			v = v.Index(cty.NumberIntVal(0))
		}
		v = tfGet(v, k)
	}
	return v
}

// tfGet is a key of an object or a map, cty.NilVal when it has none.
func tfGet(v cty.Value, key string) cty.Value {
	if v == cty.NilVal || !v.IsKnown() || v.IsNull() {
		return cty.NilVal
	}
	switch {
	case v.Type().IsObjectType():
		if v.Type().HasAttribute(key) {
			return v.GetAttr(key)
		}
	case v.Type().IsMapType():
		if v.HasIndex(cty.StringVal(key)).True() {
			return v.Index(cty.StringVal(key))
		}
	}
	return cty.NilVal
}

// tfString is a known scalar as text.
func tfString(v cty.Value) (string, bool) {
	if v == cty.NilVal || !v.IsKnown() || v.IsNull() {
		return "", false
	}
	s, err := convert.Convert(v, cty.String)
	if err != nil || !s.IsKnown() || s.IsNull() || strings.Contains(s.AsString(), tfUnknown) {
		return "", false
	}
	return s.AsString(), true
}

// tfElements are the elements of a known list, nil for anything else.
func tfElements(v cty.Value) []cty.Value {
	if v == cty.NilVal || !v.IsKnown() || v.IsNull() || !v.CanIterateElements() || v.Type().IsObjectType() || v.Type().IsMapType() {
		return nil
	}
	var out []cty.Value
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		out = append(out, e)
	}
	return out
}
