package drive

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	maxValues      = 400 // leaves of one body
	maxSchemaDepth = 8
)

// given is the example that a parameter, a media type or a schema holds.
func (d *description) given(n *yaml.Node) (*yaml.Node, bool) {
	if n == nil {
		return nil, false
	}
	if e := lookUp(n, "example"); e != nil {
		return d.follow(e, 0), true
	}
	if all := d.child(n, "examples"); all != nil && len(all.Content) > 0 {
		if all.Kind == yaml.SequenceNode { // 3.1: a list of values
			return d.follow(all.Content[0], 0), true
		}
		if all.Kind == yaml.MappingNode && len(all.Content) > 1 {
			if v := lookUp(d.follow(all.Content[1], 0), "value"); v != nil {
				return d.follow(v, 0), true
			}
		}
	}
	for _, key := range []string{"const", "default"} {
		if v := lookUp(n, key); v != nil {
			return d.follow(v, 0), true
		}
	}
	return nil, false
}

// valueOf makes the value of a parameter or a media type.
func (d *description) valueOf(n *yaml.Node, name string) *jsonNode {
	d.values = 0
	if e, ok := d.given(n); ok {
		return d.literalNode(e, name, 0)
	}
	schema := d.child(n, "schema")
	if schema == nil { // a parameter may be described by a media type
		if c := d.child(n, "content"); c != nil && c.Kind == yaml.MappingNode && len(c.Content) > 1 {
			return d.valueOf(d.follow(c.Content[1], 0), name)
		}
	}
	return d.generate(schema, name, 0)
}

// literalNode is an example as JSON; secrets and people's data in it become references.
func (d *description) literalNode(n *yaml.Node, name string, depth int) *jsonNode {
	d.values++
	null := &jsonNode{kind: 'l', raw: "null"}
	if n == nil || depth > maxDepth || d.values > maxValues {
		return null
	}
	switch n.Kind {
	case yaml.AliasNode:
		return d.literalNode(n.Alias, name, depth+1)
	case yaml.SequenceNode:
		out := &jsonNode{kind: '['}
		for _, c := range n.Content {
			out.keys = append(out.keys, "")
			out.kids = append(out.kids, d.literalNode(c, name, depth+1))
		}
		return out
	case yaml.MappingNode:
		out := &jsonNode{kind: '{'}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out.set(n.Content[i].Value, d.literalNode(n.Content[i+1], n.Content[i].Value, depth+1))
		}
		return out
	}
	switch n.Tag {
	case "!!null":
		return null
	case "!!bool":
		var v bool
		if n.Decode(&v) == nil {
			return &jsonNode{kind: 'l', raw: strconv.FormatBool(v)}
		}
	case "!!int", "!!float":
		if parsed, ok := parseJSONTree(n.Value); ok && parsed.kind == 'n' {
			return guardLeaf(parsed, name)
		}
	}
	return guardLeaf(&jsonNode{kind: 's', raw: n.Value}, name)
}

// set adds a field; a reference must not begin in its name.
func (n *jsonNode) set(key string, v *jsonNode) {
	key = strings.ReplaceAll(key, "${", "$ {")
	for i, k := range n.keys {
		if k == key {
			n.kids[i] = v
			return
		}
	}
	n.keys = append(n.keys, key)
	n.kids = append(n.kids, v)
}

// guardLeaf replaces what is a secret or somebody's by a reference.
func guardLeaf(n *jsonNode, name string) *jsonNode {
	as := ""
	switch column := userColumn(name); {
	case column == "password":
		as = personRef("password")
	case n.kind == 's' && personal(n.raw):
		as = personRef("email")
	case mustNotCopy(name, n.raw):
		as = personRef(orWord(name, "token"))
	}
	if as != "" {
		n.leaf = &value{as: "${" + as + "}"}
	}
	return n
}

// generate makes a value that a schema allows: the first choice of each.
func (d *description) generate(n *yaml.Node, name string, depth int) *jsonNode {
	n = d.follow(n, 0)
	d.values++
	if n == nil || depth > maxSchemaDepth || d.values > maxValues {
		return &jsonNode{kind: 'l', raw: "null"}
	}
	if e, ok := d.given(n); ok {
		return d.literalNode(e, name, depth)
	}
	if enum := d.child(n, "enum"); enum != nil && enum.Kind == yaml.SequenceNode && len(enum.Content) > 0 {
		return d.literalNode(enum.Content[0], name, depth)
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		if of := d.child(n, key); of != nil && of.Kind == yaml.SequenceNode && len(of.Content) > 0 {
			return d.generate(of.Content[0], name, depth+1)
		}
	}
	if all := d.child(n, "allOf"); all != nil && all.Kind == yaml.SequenceNode {
		return d.generateAll(all, n, name, depth)
	}
	switch d.kindOf(n) {
	case "object":
		out := &jsonNode{kind: '{'}
		d.properties(out, n, depth)
		return out
	case "array":
		v := d.generate(lookUp(n, "items"), name, depth+1)
		return &jsonNode{kind: '[', keys: []string{""}, kids: []*jsonNode{v}}
	case "boolean":
		return &jsonNode{kind: 'l', raw: "true"}
	case "integer", "number":
		return guardLeaf(&jsonNode{kind: 'n', raw: d.number(n)}, name)
	case "null":
		return &jsonNode{kind: 'l', raw: "null"}
	}
	return d.textFor(n, name)
}

// generateAll joins the parts of allOf with the schema's own properties.
func (d *description) generateAll(all, own *yaml.Node, name string, depth int) *jsonNode {
	out := &jsonNode{kind: '{'}
	for _, part := range all.Content {
		v := d.generate(part, name, depth+1)
		if v.kind != '{' {
			return v
		}
		for i, k := range v.keys {
			out.set(k, v.kids[i])
		}
	}
	d.properties(out, own, depth)
	return out
}

// properties adds what may be sent: not what only an answer has.
func (d *description) properties(out *jsonNode, n *yaml.Node, depth int) {
	props := d.child(n, "properties")
	if props == nil || props.Kind != yaml.MappingNode {
		return
	}
	required := map[string]bool{}
	if r := d.child(n, "required"); r != nil && r.Kind == yaml.SequenceNode {
		for _, c := range r.Content {
			required[c.Value] = true
		}
	}
	for i := 0; i+1 < len(props.Content); i += 2 {
		name, p := props.Content[i].Value, d.follow(props.Content[i+1], 0)
		if scalarOf(lookUp(p, "readOnly")) == "true" || depth >= 5 && !required[name] {
			continue
		}
		out.set(name, d.generate(p, name, depth+1))
	}
}

// kindOf is the schema's type; in 3.1 it may be a list with "null" in it.
func (d *description) kindOf(n *yaml.Node) string {
	k := d.child(n, "type")
	if k != nil && k.Kind == yaml.SequenceNode {
		for _, c := range k.Content {
			if c.Value != "null" {
				return c.Value
			}
		}
		return "null"
	}
	if s := scalarOf(k); s != "" {
		return s
	}
	switch {
	case lookUp(n, "properties") != nil:
		return "object"
	case lookUp(n, "items") != nil:
		return "array"
	}
	return "string"
}

// number is the smallest allowed one, at least 1.
func (d *description) number(n *yaml.Node) string {
	v := 1.0
	for _, key := range []string{"minimum", "exclusiveMinimum"} {
		low, err := strconv.ParseFloat(scalarOf(lookUp(n, key)), 64)
		if err != nil {
			continue
		}
		if key == "exclusiveMinimum" || scalarOf(lookUp(n, "exclusiveMinimum")) == "true" {
			low++
		}
		v = max(v, low)
	}
	if high, err := strconv.ParseFloat(scalarOf(lookUp(n, "maximum")), 64); err == nil && high < v {
		v = high
	}
	if m, err := strconv.ParseFloat(scalarOf(lookUp(n, "multipleOf")), 64); err == nil && m > 0 && m < 1e9 && v < 1e9 {
		if k := float64(int64(v / m)); k*m < v {
			v = (k + 1) * m
		}
	}
	return plainJSONNumber(strconv.FormatFloat(v, 'f', -1, 64))
}

// textFor is a text of the schema's format and length.
func (d *description) textFor(n *yaml.Node, name string) *jsonNode {
	v := map[string]string{"date": "2026-01-31", "date-time": "2026-01-31T10:00:00Z", "time": "10:00:00Z", "uuid": "00000000-0000-4000-8000-000000000001",
		"uri": "https://shop.example/", "url": "https://shop.example/", "hostname": "shop.example", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "byte": "YQ=="}[scalarOf(lookUp(n, "format"))]
	switch scalarOf(lookUp(n, "format")) {
	case "email":
		v = "user@shop.example"
	case "password":
		name = "password"
	}
	if v == "" {
		v = orWord(strings.ReplaceAll(safeName(name), "-", " "), "text")
		if least, err := strconv.Atoi(scalarOf(lookUp(n, "minLength"))); err == nil && least > len(v) && least <= 1000 {
			v += strings.Repeat("x", least-len(v))
		}
		if most, err := strconv.Atoi(scalarOf(lookUp(n, "maxLength"))); err == nil && most >= 0 && most < len(v) {
			v = v[:most]
		}
	}
	return guardLeaf(&jsonNode{kind: 's', raw: v}, name)
}
