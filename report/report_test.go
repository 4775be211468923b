package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/premortem/premortem"
)

var update = flag.Bool("update", false, "rewrite the golden files, the schema and docs/formats.md")

var fixtures = map[string]func() *premortem.Report{
	"shop": shop, "empty": empty, "checked": checked, "clean": clean, "held": held, "hostile": hostile,
}

const pagePath = ".premortem/runs/20261122-104312/report.html"

// render writes a report and fails the test when that fails.
func render(t *testing.T, format string, r *premortem.Report, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, format, r, o); err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return b.String()
}

func TestEachFormatTellsEachFixtureAsItsGoldenFileDoes(t *testing.T) {
	for name, make := range fixtures {
		if name == "hostile" {
			continue // what it must not do is tested; how it looks is nobody's promise
		}
		for _, f := range Formats() {
			compare(t, name+"."+f.Name, render(t, f.Name, make(), Options{HTMLPath: pagePath, FailOn: premortem.Down}))
		}
	}
	compare(t, "shop.80.text", render(t, "text", shop(), Options{Width: 80}))
	compare(t, "shop.verbose.text", render(t, "text", shop(), Options{Width: 120, Verbose: true, Color: true}))
	compare(t, "shop.docs.sarif", render(t, "sarif", shop(), Options{Docs: map[string]premortem.Doc{
		"table-scan": {Title: "A query reads the whole table", Why: "It grows with the table.", When: "A scan throws most rows away.", Silent: "Small tables.", Fix: "Create an index."},
	}}))
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; go test ./report -update writes it", err)
	}
	if string(want) != got {
		t.Errorf("%s differs from what is written now, first in\n%s\ngo test ./report -update rewrites it", file, firstDifference(string(want), got))
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return "want: " + w[i] + "\n got: " + g[i]
		}
	}
	return "its length"
}

func TestEqualReportsGiveEqualBytes(t *testing.T) {
	for name, make := range fixtures {
		for _, f := range Formats() {
			o := Options{Width: 90, Color: true, Verbose: true}
			want := render(t, f.Name, make(), o)
			r := make()
			shuffle(r, 7)
			if got := render(t, f.Name, r, o); got != want {
				t.Errorf("%s of %s depends on the order of lists without order:\n%s", f.Name, name, firstDifference(want, got))
			}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					var b bytes.Buffer
					if err := f.Write(&b, r, o); err != nil || b.String() != want {
						t.Errorf("%s of %s changes when it is written in parallel (%v)", f.Name, name, err)
					}
				})
			}
			wg.Wait()
		}
	}
}

// shuffle reorders the lists whose order means nothing.
func shuffle(r *premortem.Report, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, seed))
	rng.Shuffle(len(r.Findings), func(i, j int) { r.Findings[i], r.Findings[j] = r.Findings[j], r.Findings[i] })
	rng.Shuffle(len(r.Unread), func(i, j int) { r.Unread[i], r.Unread[j] = r.Unread[j], r.Unread[i] })
	rng.Shuffle(len(r.Parity), func(i, j int) { r.Parity[i], r.Parity[j] = r.Parity[j], r.Parity[i] })
	rng.Shuffle(len(r.Unknowns), func(i, j int) { r.Unknowns[i], r.Unknowns[j] = r.Unknowns[j], r.Unknowns[i] })
}

func TestWritingLeavesTheReportAsItWas(t *testing.T) {
	for name, make := range fixtures {
		r := make()
		shuffle(r, 3)
		before := dump(t, r)
		for _, f := range Formats() {
			render(t, f.Name, r, Options{Verbose: true})
			if dump(t, r) != before {
				t.Fatalf("%s changed the report %s", f.Name, name)
			}
		}
	}
}

// dump is every value of a report, also those that JSON cannot hold.
func dump(t *testing.T, r *premortem.Report) string {
	t.Helper()
	b, err := json.Marshal(dumpable(r))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAnUnknownFormatIsAnErrorThatListsTheKnownOnes(t *testing.T) {
	var b bytes.Buffer
	err := Write(&b, "sariff", shop(), Options{})
	want := `unknown format "sariff"; one of: github, html, json, junit, markdown, sarif, text`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if b.Len() > 0 {
		t.Errorf("%d bytes were written with the error", b.Len())
	}
}

func TestEveryFormatIsDocumented(t *testing.T) {
	for _, f := range Formats() {
		if missing := f.Doc.Missing(); missing != nil {
			t.Errorf("%s: Doc says nothing for %s", f.Name, strings.Join(missing, ", "))
		}
	}
}

func TestDocsAreCurrent(t *testing.T) {
	const file = "../docs/formats.md"
	page := Page()
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || string(have) != page {
		t.Errorf("docs/formats.md is not current; run: go test ./report -run TestDocs -update")
	}
}

func TestABoundaryBelowEverythingTriedIsNeverPrintedAsNothing(t *testing.T) {
	point := func(m float64) premortem.Point {
		return premortem.Point{Multiple: m, Answer: premortem.Fails, Routes: []premortem.PointRoute{{Route: "GET /", P50: 1, P95: 2, Limit: 0.5}}}
	}
	for _, low := range []float64{0.5, 1, 4} {
		r := &premortem.Report{Headroom: []premortem.Headroom{{X: "calls", Answer: premortem.Fails, Breaks: low, High: low, First: "GET /",
			Says: "breaks", Points: []premortem.Point{point(low), point(2 * low)}}}}
		for _, f := range Formats() {
			if f.Name == "json" || f.Name == "sarif" {
				continue // a number there, not a sentence
			}
			if out := render(t, f.Name, r, Options{Verbose: true}); regexp.MustCompile(`(^|[^0-9.])0\s?×`).MatchString(out) {
				t.Errorf("%s: a boundary below %v× is told as nothing", f.Name, low)
			}
		}
	}
}

func TestPointsAreToldByMultipleAndWithoutTheFixFirst(t *testing.T) {
	given := []premortem.Point{{Multiple: 2, Fixed: true}, {Multiple: 2}, {Multiple: 1}}
	r := &premortem.Report{Headroom: []premortem.Headroom{{X: "calls", Points: given}}}
	got := sorted(r).Headroom[0].Points
	if got[0].Multiple != 1 || got[1].Fixed || !got[2].Fixed {
		t.Errorf("%+v", got)
	}
	if !given[0].Fixed {
		t.Error("the report that was given has been changed")
	}
}

func TestNoFormatLetsHostileTextAct(t *testing.T) {
	for _, f := range Formats() {
		for _, o := range []Options{{}, {Verbose: true, HTMLPath: hostileText, Width: 50}} {
			out := render(t, f.Name, hostile(), o)
			for i, r := range out {
				if r != '\n' && odd(r) {
					t.Fatalf("%s: %U reaches the reader in %q", f.Name, r, out[max(i-40, 0):min(i+40, len(out))])
				}
			}
			if strings.Contains(out, "<script>alert") || strings.Contains(out, "<img src=x") {
				if f.Name == "html" || f.Name == "junit" {
					t.Errorf("%s: markup from the repository stands unescaped", f.Name)
				}
			}
		}
	}
}

func TestAWorkflowCommandIsNeverStartedByText(t *testing.T) {
	for _, line := range strings.Split(strings.TrimSuffix(render(t, "github", hostile(), Options{}), "\n"), "\n") {
		level, rest, ok := strings.Cut(strings.TrimPrefix(line, "::"), " ")
		if !strings.HasPrefix(line, "::") {
			if !strings.HasPrefix(line, "premortem: ") {
				t.Errorf("a line of its own: %q", line)
			}
			continue
		}
		if !ok || level != "error" && level != "warning" && level != "notice" {
			t.Errorf("the command is %q", level)
		}
		props, _, _ := strings.Cut(rest, "::")
		for _, p := range strings.Split(props, ",") {
			if k, _, ok := strings.Cut(p, "="); !ok || k != "file" && k != "line" && k != "title" {
				t.Errorf("text became the property %q", p)
			}
		}
	}
}

func TestMarkdownOfTheRepositoryStaysText(t *testing.T) {
	out := render(t, "markdown", hostile(), Options{})
	fence := ""
	for i, line := range strings.Split(out, "\n") {
		switch {
		case fence != "":
			if line == fence {
				fence = ""
			}
			continue
		case strings.HasPrefix(line, "```"):
			fence = line[:len(line)-len(strings.TrimLeft(line, "`"))]
			continue
		case strings.HasPrefix(line, "<"):
			continue // an HTML block: Markdown does not act in it, and < is escaped
		}
		text := strings.Join(outsideCode(line), "")
		for _, bad := range []string{"<script", "<img", "[click](", "**bold**", "@everyone"} {
			if strings.Contains(text, bad) {
				t.Fatalf("line %d: %q acts in %q", i+1, bad, line)
			}
		}
	}
	if fence != "" {
		t.Errorf("the block %s is never closed", fence)
	}
}

// outsideCode drops the code spans of a line.
func outsideCode(line string) []string {
	var out []string
	for from := 0; ; {
		i := strings.IndexByte(line[from:], '`')
		if i < 0 {
			return append(out, line)
		}
		if i += from; i > 0 && line[i-1] == '\\' {
			from = i + 1
			continue
		}
		n := len(line[i:]) - len(strings.TrimLeft(line[i:], "`"))
		end := strings.Index(line[i+n:], line[i:i+n])
		if end < 0 {
			return append(out, line)
		}
		out = append(out, line[:i])
		line, from = line[i+n+end+n:], 0
	}
}

func TestJUnitIsXMLWhoseCountsAreRight(t *testing.T) {
	for name, make := range fixtures {
		out := render(t, "junit", make(), Options{FailOn: premortem.Down})
		d := xml.NewDecoder(strings.NewReader(out))
		var cases, failures, skipped int
		var root junitSuites
		if err := xml.Unmarshal([]byte(out), &root); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for {
			tok, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if el, ok := tok.(xml.StartElement); ok {
				switch el.Name.Local {
				case "testcase":
					cases++
				case "failure":
					failures++
				case "skipped":
					skipped++
				}
			}
		}
		if cases == 0 || root.Tests != cases || root.Failures != failures || root.Skipped != skipped {
			t.Errorf("%s: says %d tests, %d failures, %d skipped; has %d, %d, %d", name, root.Tests, root.Failures, root.Skipped, cases, failures, skipped)
		}
	}
}
