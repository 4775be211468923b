package drive

import (
	"net/url"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// operation is one operation while its request is made.
type operation struct {
	d      *description
	r      *premortem.Request
	inPath map[string]*yaml.Node // parameter by name
	query  []string
	wants  string // what a person must add
}

// parameters collects those of the path and of the operation; the latter win.
func (o *operation) parameters(shared, op *yaml.Node) {
	o.inPath = map[string]*yaml.Node{}
	type key struct{ in, name string }
	all := map[key]*yaml.Node{}
	var order []key
	for _, list := range []*yaml.Node{shared, o.d.child(op, "parameters")} {
		if list == nil || list.Kind != yaml.SequenceNode {
			continue
		}
		for _, n := range list.Content {
			p := o.d.follow(n, 0)
			k := key{scalarOf(lookUp(p, "in")), scalarOf(lookUp(p, "name"))}
			if k.name == "" {
				continue
			}
			if all[k] == nil {
				order = append(order, k)
			}
			all[k] = p
		}
	}
	for _, k := range order {
		p := all[k]
		switch k.in {
		case "path":
			o.inPath[k.name] = p
		case "query":
			if o.needed(p) {
				o.query = append(o.query, url.QueryEscape(k.name)+"="+o.text(p, k.name, url.QueryEscape))
			}
		case "header":
			if o.needed(p) && token(k.name) && !slices.Contains(browserHeaders, strings.ToLower(k.name)) && !hasHeader(o.r, k.name) {
				if v := o.text(p, k.name, nil); !unfitValue(v) {
					o.r.Headers = append(o.r.Headers, premortem.Header{Name: k.name, Value: v})
				}
			}
		}
	}
}

// needed reports whether a parameter is required, or has an example that says how it is
// used.
func (o *operation) needed(p *yaml.Node) bool {
	return scalarOf(lookUp(p, "required")) == "true" || lookUp(p, "example") != nil || lookUp(p, "examples") != nil
}

// text is a parameter's value: a secret and a person's data are references.
func (o *operation) text(p *yaml.Node, name string, escape func(string) string) string {
	v := o.d.valueOf(p, name)
	if v.kind == '{' || v.kind == '[' {
		v = firstLeaf(v)
	}
	if v.leaf != nil && v.leaf.as != "" {
		return v.leaf.as
	}
	s := strings.ReplaceAll(v.raw, "${", "$ {")
	if escape != nil {
		return escape(s)
	}
	return s
}

// firstLeaf stands for a list or an object where one text is wanted.
func firstLeaf(n *jsonNode) *jsonNode {
	for n.kind == '{' || n.kind == '[' {
		if len(n.kids) == 0 {
			return &jsonNode{kind: 's'}
		}
		n = n.kids[0]
	}
	return n
}

// unfitValue reports whether a header's value would not be HTTP.
func unfitValue(v string) bool {
	return strings.IndexFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) >= 0
}

// writePath fills the parameters of the path: from a row, where they name a thing.
func (o *operation) writePath(prefix, route string) {
	before := ""
	var out strings.Builder
	out.WriteString(plainPath(prefix))
	for seg := range strings.SplitSeq(strings.TrimPrefix(route, "/"), "/") {
		out.WriteByte('/')
		rest := seg
		for {
			i := strings.IndexByte(rest, '{')
			k := strings.IndexByte(rest, '}')
			if i < 0 || k < i {
				break
			}
			out.WriteString(plainPath(rest[:i]))
			out.WriteString(o.pathValue(rest[i+1:k], before))
			rest = rest[k+1:]
		}
		out.WriteString(plainPath(rest))
		if !strings.Contains(seg, "{") && seg != "" {
			before = seg
		}
	}
	o.r.Path = out.String()
	if len(o.query) > 0 {
		o.r.Path += "?" + strings.Join(o.query, "&")
	}
}

// pathValue is a reference to a row for what is called an id, or what has no value of its
// own; else the example.
func (o *operation) pathValue(name, before string) string {
	p := o.inPath[name]
	v := &jsonNode{kind: 's'}
	if p != nil {
		v = firstLeaf(o.d.valueOf(p, name))
	}
	if v.leaf != nil && v.leaf.as != "" {
		return v.leaf.as
	}
	low := strings.ToLower(name)
	if _, fixed := o.d.given(p); fixed && !strings.HasSuffix(low, "id") || o.enumerated(p) {
		return plainPath(url.PathEscape(v.raw))
	}
	column := "id"
	table := tableNamed(before)
	if base := strings.TrimSuffix(strings.TrimSuffix(low, "id"), "_"); base != low && base != "" && before == "" {
		table = tableNamed(base)
	} else if base == low {
		column = strings.ReplaceAll(orWord(safeName(name), "id"), "-", "_")
	}
	ref := "rows." + table + "." + column
	if s := plainSample(url.PathEscape(v.raw)); s != "" {
		o.d.t.sample(ref, s)
	}
	return "${" + ref + "}"
}

func (o *operation) enumerated(p *yaml.Node) bool {
	return lookUp(o.d.child(p, "schema"), "enum") != nil
}

// security adds what the operation's first scheme wants, as a reference.
func (o *operation) security(op *yaml.Node) {
	list := o.d.child(op, "security")
	if list == nil {
		list = o.d.child(o.d.root, "security")
	}
	if list == nil || list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		return
	}
	first := o.d.follow(list.Content[0], 0)
	if first == nil || first.Kind != yaml.MappingNode || len(first.Content) == 0 {
		return // no credentials are one of the choices
	}
	schemes := o.d.child(o.d.child(o.d.root, "components"), "securitySchemes")
	for i := 0; i < len(first.Content); i += 2 {
		s := o.d.child(schemes, first.Content[i].Value)
		if s == nil {
			continue
		}
		o.credential(s)
	}
}

func (o *operation) credential(s *yaml.Node) {
	o.d.secured++
	name := scalarOf(lookUp(s, "name"))
	kind := scalarOf(lookUp(s, "type"))
	o.d.signin = orWord(kind, "unknown")
	add := func(name, value string) {
		if token(name) && !hasHeader(o.r, name) {
			o.r.Headers = append(o.r.Headers, premortem.Header{Name: name, Value: value})
		}
	}
	switch {
	case kind == "http" && strings.EqualFold(scalarOf(lookUp(s, "scheme")), "basic"):
		add("Authorization", "Basic ${"+personRef("basic")+"}")
	case kind == "http" || kind == "oauth2" || kind == "openIdConnect":
		add("Authorization", "Bearer ${"+personRef("token")+"}")
	case kind == "apiKey" && scalarOf(lookUp(s, "in")) == "header":
		add(name, "${"+personRef(name)+"}")
	case kind == "apiKey" && scalarOf(lookUp(s, "in")) == "cookie" && token(name):
		add("Cookie", name+"=${"+personRef(name)+"}")
	case kind == "apiKey" && name != "":
		sep := "?"
		if strings.Contains(o.r.Path, "?") {
			sep = "&"
		}
		o.r.Path += sep + url.QueryEscape(name) + "=${" + personRef(name) + "}"
	}
}

// body makes the request's body: JSON, or a form.
func (o *operation) body(op *yaml.Node) {
	if !slices.Contains([]string{"POST", "PUT", "PATCH", "DELETE"}, o.r.Method) {
		return // a read with a body is not sent by browsers
	}
	content := o.d.child(o.d.child(op, "requestBody"), "content")
	if content == nil || content.Kind != yaml.MappingNode || len(content.Content) == 0 {
		return
	}
	for i := 0; i+1 < len(content.Content); i += 2 {
		kind := content.Content[i].Value
		low := strings.ToLower(kind)
		if !strings.Contains(low, "json") && low != "*/*" && !strings.Contains(low, "form-urlencoded") {
			continue
		}
		v := o.d.valueOf(o.d.follow(content.Content[i+1], 0), "")
		if strings.Contains(low, "form-urlencoded") {
			o.formBody(v)
			return
		}
		x := &exchange{json: v, content: "application/json"}
		if strings.Contains(low, "json") && !unfitHeader(kind) {
			x.content = kind
		}
		x.body(o.r)
		return
	}
	o.wants = "add its body: " + oneLine(content.Content[0].Value)
}

func (o *operation) formBody(v *jsonNode) {
	var parts []string
	for i, k := range v.keys {
		leaf := firstLeaf(v.kids[i])
		text := url.QueryEscape(leaf.raw)
		if leaf.leaf != nil && leaf.leaf.as != "" {
			text = leaf.leaf.as
		}
		parts = append(parts, url.QueryEscape(k)+"="+text)
	}
	o.r.Body = strings.Join(parts, "&")
	o.r.Headers = append(o.r.Headers, premortem.Header{Name: "Content-Type", Value: "application/x-www-form-urlencoded"})
}
