package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// OpenAPI reads descriptions of an interface. See https://spec.openapis.org/oas/.
var OpenAPI = addImporter(Importer{
	Name: "openapi",
	Doc: premortem.Doc{
		Title:  "OpenAPI 3.0 and 3.1",
		Why:    "It names every operation with its parameters and bodies, also those that nobody has called yet.",
		When:   "A JSON or YAML file that begins with openapi: 3.",
		Silent: "It holds no mix, no order and no data: all operations weigh the same, values come from examples, defaults and schemas, and the workload is marked as assumed. References to other files are not followed.",
		Fix:    "premortem init --from openapi.yaml; then set the weights, or take the mix from an access log.",
	},
	Wants: func(p string, head []byte) bool {
		ext := strings.ToLower(path.Ext(p))
		return (ext == ".json" || ext == ".yaml" || ext == ".yml" || ext == "") && openAPIKey.Match(head)
	},
	Read: readOpenAPIs,
})

var openAPIKey = regexp.MustCompile(`(?m)^\s*\{?\s*["']?openapi["']?\s*:\s*["']?3\.`)

// maxDocument bounds a description, which has to be held whole to follow references.
const maxDocument = 32 << 20

// description is one file, with what is needed while it is walked.
type description struct {
	file    string
	root    *yaml.Node
	prefix  string // path of the first server
	t       *Traffic
	names   uniqueNames
	left    map[string]uint64
	values  int // made for the parameter or body at hand
	signin  string
	writes  []*premortem.Journey
	secured int
}

func readOpenAPIs(ctx context.Context, in []Source) (Traffic, error) {
	var t Traffic
	names := uniqueNames{}
	for _, s := range in {
		if err := readOpenAPI(ctx, s, &t, names); err != nil {
			return Traffic{}, err
		}
	}
	return t, nil
}

func readOpenAPI(ctx context.Context, s Source, t *Traffic, names uniqueNames) error {
	fail := func(line int, err error, hint string) error {
		return &premortem.Error{Doing: "read OpenAPI", Pos: premortem.Pos{File: s.Path, Line: line}, Err: err, Hint: hint}
	}
	data, err := io.ReadAll(io.LimitReader(s.Reader, maxDocument+1))
	switch {
	case err != nil:
		return fail(0, err, "")
	case len(data) > maxDocument:
		return fail(0, errors.New("it is larger than 32 MiB"), "import a part of it")
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	var doc yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(data)).Decode(&doc); err != nil {
		return fail(yamlLine(err), err, "correct the file; a validator of OpenAPI names more")
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return fail(1, errors.New("it is no mapping"), "")
	}
	d := &description{file: s.Path, root: doc.Content[0], t: t, names: names, left: map[string]uint64{}}
	d.server()
	paths := d.child(d.root, "paths")
	if paths == nil || paths.Kind != yaml.MappingNode {
		return fail(d.root.Line, errors.New("it has no paths"), "webhooks alone make no load")
	}
	for i := 0; i+1 < len(paths.Content); i += 2 {
		d.path(paths.Content[i], d.follow(paths.Content[i+1], 0))
	}
	t.Journeys = append(t.Journeys, d.writes...) // what changes something comes last
	d.report(len(d.writes))
	return nil
}

var yamlErrorLine = regexp.MustCompile(`line (\d+)`)

func yamlLine(err error) int {
	n := 0
	if m := yamlErrorLine.FindStringSubmatch(err.Error()); m != nil {
		_, _ = fmt.Sscan(m[1], &n)
	}
	return n
}

func (d *description) report(writes int) {
	pos := premortem.Pos{File: d.file}
	d.t.note(pos, "assumed: an OpenAPI file holds no mix, no order and no data; every operation weighs the same")
	if writes > 0 {
		d.t.note(pos, "%d operations write; they come last and are marked", writes)
	}
	if d.secured > 0 {
		d.t.note(pos, "%d operations want credentials (%s); log in in a first step and keep the token, or give the values marked", d.secured, d.signin)
	}
	for _, why := range sortedNames(d.left) {
		d.t.note(pos, "%d left out: %s", d.left[why], why)
	}
}

// follow resolves aliases and references within the document; nil where they lead
// nowhere or in a circle.
func (d *description) follow(n *yaml.Node, depth int) *yaml.Node {
	for ; n != nil && depth < 20; depth++ {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
			continue
		}
		ref := lookUp(n, "$ref")
		if ref == nil || ref.Kind != yaml.ScalarNode {
			return n
		}
		rest, ok := strings.CutPrefix(ref.Value, "#/")
		if !ok {
			d.left["references to other files"]++
			return nil
		}
		n = d.root
		for part := range strings.SplitSeq(rest, "/") {
			part = strings.NewReplacer("~1", "/", "~0", "~", "%7B", "{", "%7D", "}").Replace(part)
			if n = lookUp(n, part); n != nil && n.Kind == yaml.AliasNode {
				n = n.Alias
			}
			if n == nil {
				return nil
			}
		}
	}
	return nil
}

// lookUp returns the value of a key, nil without one.
func lookUp(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// child is the value of a key with its reference followed.
func (d *description) child(n *yaml.Node, key string) *yaml.Node { return d.follow(lookUp(n, key), 0) }

func scalarOf(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// server takes the path of the first server; its host is production's, and load goes to
// the clone.
func (d *description) server() {
	servers := d.child(d.root, "servers")
	if servers == nil || servers.Kind != yaml.SequenceNode || len(servers.Content) == 0 {
		return
	}
	first := d.follow(servers.Content[0], 0)
	u := scalarOf(lookUp(first, "url"))
	vars := d.child(first, "variables")
	u = braces.ReplaceAllStringFunc(u, func(m string) string {
		return scalarOf(lookUp(d.child(vars, m[1:len(m)-1]), "default"))
	})
	if i := strings.Index(u, "://"); i >= 0 {
		_, rest, found := strings.Cut(u[i+3:], "/")
		if u = ""; found {
			u = "/" + rest
		}
	}
	if strings.HasPrefix(u, "/") {
		d.prefix = strings.TrimSuffix(u, "/")
	}
}

var braces = regexp.MustCompile(`\{[^{}]*\}`)

// path walks the operations of one path.
func (d *description) path(key, item *yaml.Node) {
	if !strings.HasPrefix(key.Value, "/") || item == nil || item.Kind != yaml.MappingNode {
		return
	}
	shared := d.child(item, "parameters")
	for i := 0; i+1 < len(item.Content); i += 2 {
		method := strings.ToUpper(item.Content[i].Value)
		op := d.follow(item.Content[i+1], 0)
		if op == nil || op.Kind != yaml.MappingNode || !importable(method) || method == "OPTIONS" {
			continue
		}
		if scalarOf(lookUp(op, "deprecated")) == "true" {
			d.left["deprecated operations"]++
			continue
		}
		d.operation(method, key.Value, item.Content[i].Line, shared, op)
	}
}

// operation makes a journey of one operation.
func (d *description) operation(method, route string, line int, shared, op *yaml.Node) {
	o := &operation{d: d, r: &premortem.Request{Method: method}}
	o.parameters(shared, op)
	o.writePath(d.prefix, route)
	o.security(op)
	o.body(op)
	o.r.Route = method + " " + braces.ReplaceAllString(plainRoute(d.prefix+route), ":id")
	name := safeName(scalarOf(lookUp(op, "operationId")))
	if name == "" {
		name = safeName(strings.ToLower(method) + route)
	}
	j := &premortem.Journey{Name: d.names.take(name), Weight: 1, Steps: []premortem.Step{{Request: o.r, Pos: premortem.Pos{File: d.file, Line: line}}}}
	if o.wants != "" {
		d.t.mark(o.r, o.wants)
	}
	if slices.Contains([]string{"POST", "PUT", "PATCH", "DELETE"}, method) {
		d.t.mark(o.r, "writes")
		d.writes = append(d.writes, j)
		return
	}
	d.t.Journeys = append(d.t.Journeys, j)
}

// plainRoute leaves braces and makes the rest fit for a path.
func plainRoute(route string) string {
	return strings.NewReplacer("%7B", "{", "%7D", "}").Replace(plainPath(route))
}
