package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/premortem/premortem"
)

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(SchemaJSON))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("report.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJSONOfEachFixtureFollowsTheSchema(t *testing.T) {
	s := schema(t)
	for name, make := range fixtures {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(render(t, "json", make(), Options{})))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := s.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSchemaRefusesWhatIsNotAReport(t *testing.T) {
	s := schema(t)
	for name, change := range map[string]func(map[string]any){
		"a null list":         func(m map[string]any) { m["findings"] = nil },
		"a missing list":      func(m map[string]any) { delete(m, "unread") },
		"an unknown answer":   func(m map[string]any) { m["headroom"].([]any)[0].(map[string]any)["answer"] = "maybe" },
		"an unknown severity": func(m map[string]any) { m["findings"].([]any)[0].(map[string]any)["severity"] = "bad" },
		"another schema":      func(m map[string]any) { m["schema"] = "premortem/report/v2" },
	} {
		var m map[string]any
		if err := json.Unmarshal([]byte(render(t, "json", shop(), Options{})), &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		if s.Validate(m) == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestNoListInTheJSONIsNullAndOnlySettingsAre(t *testing.T) {
	for name, make := range fixtures {
		var m any
		if err := json.Unmarshal([]byte(render(t, "json", make(), Options{})), &m); err != nil {
			t.Fatal(err)
		}
		var walk func(path string, v any)
		walk = func(path string, v any) {
			switch v := v.(type) {
			case map[string]any:
				for k, e := range v {
					walk(path+"."+k, e)
				}
			case []any:
				for i, e := range v {
					walk(fmt.Sprintf("%s[%d]", path, i), e)
				}
			case nil:
				if !strings.HasPrefix(path, ".system") {
					t.Errorf("%s: %s is null", name, path)
				}
			}
		}
		walk("", m)
	}
}

// The schema is made from the types and their comments, so that it cannot lag
// behind; it is a file of its own for those who read it elsewhere.
func TestTheSchemaDescribesTheTypesAsTheyAre(t *testing.T) {
	g := generator{comments(t), map[string]any{}}
	g.of(reflect.TypeFor[premortem.Report]())
	root := g.defs["Report"].(map[string]any)
	delete(g.defs, "Report")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = "urn:" + strings.ReplaceAll(premortem.Schema, "/", ":")
	root["title"] = premortem.Schema
	root["properties"].(map[string]any)["schema"] = map[string]any{"const": premortem.Schema, "description": "Unknown fields may appear later; none disappears within v1."}
	root["$defs"] = g.defs
	want, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("schema.json", want, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if structure(t, want) != structure(t, SchemaJSON) {
		t.Errorf("a type has changed since schema.json was written; go test ./report -update rewrites it")
	}
}

// structure is a schema without its descriptions: a reworded comment is no change.
func structure(t *testing.T, b []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	var strip func(v any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if _, ok := v["description"].(string); ok {
				delete(v, "description")
			}
			for _, e := range v {
				strip(e)
			}
		case []any:
			for _, e := range v {
				strip(e)
			}
		}
	}
	strip(v)
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// comments are the root package's comments: "Type" and "Type.Field".
func comments(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), "../"+e.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				ts, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				out[ts.Name.Name] = text(gen.Doc)
				if st, ok := ts.Type.(*ast.StructType); ok {
					for _, field := range st.Fields.List {
						for _, name := range field.Names {
							out[ts.Name.Name+"."+name.Name] = strings.TrimSpace(text(field.Doc) + " " + text(field.Comment))
						}
					}
				}
			}
		}
	}
	return out
}

func text(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

// generator turns Go types into JSON Schema, one definition per struct.
type generator struct {
	says map[string]string
	defs map[string]any
}

func (g generator) of(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "integer", "description": "nanoseconds"}
	case reflect.TypeFor[premortem.Severity]():
		return enum("note", "slow", "down", "loss")
	case reflect.TypeFor[premortem.Standing]():
		return enum("suspected", "shown", "cleared")
	case reflect.TypeFor[premortem.Answer]():
		return enum("unknown", "holds", "fails")
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.of(t.Elem())
	case reflect.Slice:
		return map[string]any{"type": "array", "items": g.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": g.of(t.Elem())}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return map[string]any{"type": "integer"}
	case reflect.Struct:
		if strings.HasPrefix(t.Name(), "Setting[") {
			value, _ := t.FieldByName("Value")
			return map[string]any{"oneOf": []any{
				map[string]any{"type": "null"},
				map[string]any{"type": "object", "required": []any{"value", "pos"}, "properties": map[string]any{"value": g.of(value.Type), "pos": g.of(reflect.TypeFor[premortem.Pos]())}},
			}}
		}
		g.object(t)
		return map[string]any{"$ref": "#/$defs/" + t.Name()}
	}
	panic("no schema for " + t.String())
}

func enum(words ...string) map[string]any {
	var list []any
	for _, w := range words {
		list = append(list, w)
	}
	return map[string]any{"enum": list}
}

func (g generator) object(t reflect.Type) {
	if g.defs[t.Name()] != nil {
		return
	}
	properties, required := map[string]any{}, []any{}
	def := map[string]any{"type": "object", "properties": properties}
	g.defs[t.Name()] = def
	if says := g.says[t.Name()]; says != "" {
		def["description"] = says
	}
	if t == reflect.TypeFor[premortem.Finding]() {
		properties["key"] = map[string]any{"type": "string", "description": "Identifies the finding across runs and edits: it has no line number."}
		required = append(required, "key")
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		p := g.of(f.Type)
		if says := g.says[t.Name()+"."+f.Name]; says != "" {
			p["description"] = strings.TrimSpace(fmt.Sprint(says, unit(p)))
		}
		properties[name] = p
		if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
			required = append(required, name)
		}
	}
	def["required"] = required
}

// unit keeps what a type said of itself behind what its field says.
func unit(p map[string]any) string {
	if d, ok := p["description"].(string); ok {
		return "; " + d
	}
	return ""
}
