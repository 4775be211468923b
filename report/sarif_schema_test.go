package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/premortem/premortem"
)

// officialSARIF is the schema of the standard, version 2.1.0 with its first errata,
// byte for byte as OASIS publishes it. The module above carries it as a constant
// that it does not export; it is read from its source.
func officialSARIF(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif").Output()
	if err != nil {
		t.Fatalf("find the schema of SARIF: %v", err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "schema.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && len(lit.Value) > len(text) {
			text = lit.Value
		}
		return true
	})
	if text, err = strconv.Unquote(text); err != nil || !strings.Contains(text, "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json") {
		t.Fatalf("the module does not hold the official schema: %v", err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sarif.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSARIFFollowsTheOfficialSchema(t *testing.T) {
	s := officialSARIF(t)
	for name, make := range fixtures {
		for _, o := range []Options{{}, {Docs: map[string]premortem.Doc{"env-missing": {Title: "t", Why: "w", When: "n", Silent: "s", Fix: "f"}}}} {
			text := render(t, "sarif", make(), o)
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := s.Validate(doc); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestTheOfficialSchemaRefusesWhatIsNotSARIF(t *testing.T) {
	s := officialSARIF(t)
	good := render(t, "sarif", shop(), Options{})
	for name, bad := range map[string]string{
		"an unknown level":    strings.Replace(good, `"level": "error"`, `"level": "fatal"`, 1),
		"an unknown property": strings.Replace(good, `"ruleId":`, `"rule":`, 1),
		"a line zero":         strings.Replace(good, `"startLine": `, `"startLine": -`, 1),
	} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
		if err != nil || bad == good {
			t.Fatalf("%s: the test changes nothing: %v", name, err)
		}
		if s.Validate(doc) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// Another implementation reads what is written: each end of a disagreement, the
// help, and a fingerprint that the line number does not enter.
func TestAnotherReaderOfSARIFSeesBothEndsHelpAndFingerprints(t *testing.T) {
	docs := map[string]premortem.Doc{}
	for _, f := range shop().Findings {
		docs[f.Rule] = premortem.Doc{Title: "title of " + f.Rule, Why: "why", When: "when", Silent: "silent", Fix: "fix"}
	}
	var log sarif.Report
	r := shop()
	if err := unmarshal(render(t, "sarif", r, Options{Docs: docs}), &log); err != nil {
		t.Fatal(err)
	}
	if len(log.Runs) != 1 || len(log.Runs[0].Results) != len(r.Findings) {
		t.Fatalf("%d runs", len(log.Runs))
	}
	for _, rule := range log.Runs[0].Tool.Driver.Rules {
		if rule.Help == nil || rule.Help.Text == nil || !strings.Contains(*rule.Help.Text, "What users feel: why") || rule.Help.Markdown == nil {
			t.Errorf("%s has no help", *rule.ID)
		}
	}
	told := tell(r).Findings // in the order of the results
	for i, res := range log.Runs[0].Results {
		placed := 0
		for _, e := range told[i].Evidence {
			if e.Pos.Known() {
				placed++
			}
		}
		if got := len(res.Locations) + len(res.RelatedLocations); placed > 0 && got != placed {
			t.Errorf("%s: %d of %d places are told", *res.RuleID, got, placed)
		}
		if len(res.PartialFingerprints) != 1 {
			t.Errorf("%s has %d fingerprints", *res.RuleID, len(res.PartialFingerprints))
		}
	}
	moved := shop()
	for i := range moved.Findings {
		for j := range moved.Findings[i].Evidence {
			moved.Findings[i].Evidence[j].Pos.Line += 7
		}
	}
	var later sarif.Report
	if err := unmarshal(render(t, "sarif", moved, Options{Docs: docs}), &later); err != nil {
		t.Fatal(err)
	}
	for i, res := range later.Runs[0].Results {
		if a, b := res.PartialFingerprints, log.Runs[0].Results[i].PartialFingerprints; len(a) != 1 || a["premortemKey/v1"] != b["premortemKey/v1"] {
			t.Errorf("the fingerprint of %s changes with its line", *res.RuleID)
		}
	}
}

func unmarshal(text string, log *sarif.Report) error {
	got, err := sarif.FromBytes([]byte(text))
	if err != nil {
		return err
	}
	*log = *got
	return nil
}
