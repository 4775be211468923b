package drive

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/read"
)

// canary stands in every recording of these tests wherever a secret would.
const canary = "sEcr3tCanary0123456789abcdef"

func importText(t *testing.T, files ...string) (Traffic, error) {
	t.Helper()
	var in []Source
	for i := 0; i < len(files); i += 2 {
		in = append(in, Source{Path: files[i], Reader: strings.NewReader(files[i+1])})
	}
	return Import(t.Context(), in...)
}

func mustImport(t *testing.T, files ...string) Traffic {
	t.Helper()
	tr, err := importText(t, files...)
	if err != nil {
		t.Fatal(err)
	}
	survives(t, tr)
	return tr
}

// survives checks what must be true of every import: it validates, holds no canary, and
// is the same after it was written and read.
func survives(t *testing.T, tr Traffic) {
	t.Helper()
	text := tr.YAML()
	if strings.Contains(text, canary) || strings.Contains(fmt.Sprintf("%+v %+v", tr.Notes, tr.Samples), canary) {
		t.Fatalf("a secret was copied:\n%s", text)
	}
	w := tr.Workload
	w.URLs = map[premortem.Node]string{"": "http://127.0.0.1:1"}
	w.Rows = func(string, string, int64) (string, bool) { return "1", true }
	w.RowCount = func(string) int64 { return 10 }
	if len(w.Journeys) > 0 {
		if err := Validate(w); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
	sys, err := read.Repo(t.Context(), fstest.MapFS{"premortem.yaml": {Data: []byte(text)}})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var want []*premortem.Journey
	want = append(want, tr.Journeys...)
	if got, want := bare(sys.Journeys), bare(want); got != want {
		t.Fatalf("read back\n%s\nwant\n%s\nfrom\n%s", got, want, text)
	}
	if got, want := sys.Base.Calls.Value, tr.Base.Calls.Value; got != want {
		t.Errorf("base.calls is %v after it was read back, want %v", got, want)
	}
	if got, want := sys.Base.Users.Value, tr.Base.Users.Value; got != want {
		t.Errorf("base.users is %v after it was read back, want %v", got, want)
	}
	if len(sys.Objectives) != len(tr.Objectives) {
		t.Fatalf("%d objectives after they were read back, want %d", len(sys.Objectives), len(tr.Objectives))
	}
	for i, o := range sys.Objectives {
		w := tr.Objectives[i]
		if o.Route != w.Route || o.P95.Value != w.P95.Value || o.P99.Value != w.P99.Value || o.Errors.Value != w.Errors.Value {
			t.Errorf("objective %+v after it was read back, want %+v", o, w)
		}
	}
}

// bare are journeys without what reading adds: lines, services and names of routes.
func bare(js []*premortem.Journey) string {
	var b strings.Builder
	for _, j := range js {
		weight := j.Weight
		if weight == 0 {
			weight = 1
		}
		fmt.Fprintf(&b, "%s %v\n", j.Name, weight)
		for _, s := range j.Steps {
			if s.Request == nil {
				fmt.Fprintf(&b, "  think %s\n", s.Think)
				continue
			}
			r := *s.Request
			r.Route, r.Service = "", ""
			if len(r.Headers) == 0 {
				r.Headers = nil
			}
			if len(r.Keep) == 0 {
				r.Keep = nil
			}
			fmt.Fprintf(&b, "  %+v\n", r)
		}
	}
	return b.String()
}

func TestEveryImporterIsDocumented(t *testing.T) {
	for _, i := range Importers() {
		if missing := i.Doc.Missing(); missing != nil {
			t.Errorf("importer %s: Doc lacks %v", i.Name, missing)
		}
	}
}

func TestImportSaysWhatIsWrongWithAFile(t *testing.T) {
	good := `10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] "GET /a HTTP/1.1" 200 12 "-" "Mozilla"` + "\n"
	var truncated bytes.Buffer
	z := gzip.NewWriter(&truncated)
	for range 3000 {
		fmt.Fprintf(z, "10.0.0.%d - - [10/Oct/2026:13:55:36 +0000] \"GET /a/%d HTTP/1.1\" 200 12\n", z.Header.OS, truncated.Len())
	}
	_ = z.Close()
	for _, c := range []struct{ name, file, text, want string }{
		{"an empty file", "a.log", "", "a.log: read recording: the file is empty"},
		{"blanks alone", "a.log", " \n\n", "a.log: read recording: the file is empty"},
		{"a log of another kind names the nearest", "a.log", strings.Repeat("10.0.0.1 - - 2026-10-10 GET /a 200\n", 5),
			"a.log:1: import traffic: no format is known that has this line; the nearest is combined"},
		{"a log that changes its kind names the line", "a.log", good + good + strings.Repeat("10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] GET\n", 40),
			"a.log:3: import traffic: no format is known that has this line; the nearest is combined (Apache, nginx): column 43: the request in quotes"},
		{"bytes that are no text", "a.bin", "\x00\x01\x02", "a.bin:1: import traffic: no known format begins like this"},
		{"a gzip that ends too early", "a.gz", truncated.String()[:truncated.Len()/2], "unexpected EOF"},
		{"nothing of the application", "a.log", strings.Repeat(strings.ReplaceAll(good, "/a ", "/a.css "), 3), "no request of the application is in it: 3 of 3 requests left out: static files"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := importText(t, c.file, c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestALogThatTurnsIntoSomethingElseIsRefusedAtItsFirstBadLine(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] \"GET /a/%d HTTP/1.1\" 200 12 \"-\" \"Mozilla\"\n", i)
	}
	for range 900 {
		b.WriteString("panic: something else altogether\n")
	}
	_, err := importText(t, "a.log", b.String())
	if err == nil || !strings.HasPrefix(err.Error(), "a.log:1001: read access log: 900 of 1900 lines") {
		t.Errorf("got %v", err)
	}
}

func TestPausesSurviveBeingWritten(t *testing.T) {
	for d := time.Duration(0); d < sessionGap; d += 123 * time.Millisecond {
		s := snapThink(d)
		if s == 0 {
			continue
		}
		v, err := time.ParseDuration(s.String())
		if err != nil || time.Duration(v.Seconds()*float64(time.Second)) != s {
			t.Fatalf("%s comes back as %v, %v", s, v, err)
		}
	}
}

func TestTheMeaningOfSegmentsIsSeen(t *testing.T) {
	for seg, want := range map[string]bool{
		"17": true, "0b52a2a8-8f1c-4d43-8d35-7f7c1a2f9f10": true, "9f86d081884c7d65": true, "2026-01-31": true, "ada@shop.example": true,
		"cus_NffrFeUfNV2Hib": true, "01HZX3J4K5M6N7P8Q9R0S1T2V3": true, "ada%40shop.example": true,
		"orders": false, "v1": false, "internationalization": false, "blue-lamp-3": false, "deadbeef": false, "api": false, "": false,
	} {
		if got := namesOneThing(seg); got != want {
			t.Errorf("namesOneThing(%q) = %v", seg, got)
		}
	}
}

func TestSecretsAreSeen(t *testing.T) {
	for v, want := range map[string]bool{
		canary: true, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln": true, "sk_live_4eC39HqLyjWDarjtT1zdp7dc": true,
		"9f86d081884c7d659a2feaa0c55ad015": true, "AKIAIOSFODNN7EXAMPLE": true,
		"a quiet sentence of several words 12": false, "summer-sale": false, "0b52a2a8-8f1c-4d43-8d35-7f7c1a2f9f10": false, "12345678901234567890": false,
	} {
		if got := secretValue(v); got != want {
			t.Errorf("secretValue(%q) = %v", v, got)
		}
	}
	for n, want := range map[string]bool{"password": true, "X-CSRF-Token": true, "sid": true, "api_key": true, "monkey": false, "author": true, "name": false, "page": false, "card[number]": true} {
		if got := secretName(n); got != want {
			t.Errorf("secretName(%q) = %v", n, got)
		}
	}
}

func TestReferencesAreTiedToTheTablesThatThereAre(t *testing.T) {
	req := &premortem.Request{Method: "POST", Path: "/orders/${rows.orders.id}/items/${rows.items.id}", JSON: true,
		Body: `{"email":"${rows.users.email}","password":"${rows.users.password}"}`}
	tr := Traffic{Workload: Workload{Journeys: []*premortem.Journey{{Name: "a", Steps: []premortem.Step{{Request: req}}}}},
		Samples: map[string]string{"rows.items.id": "17"}}
	tr.Bind([]*premortem.Table{{Name: "order", Columns: []premortem.Column{{Name: "id"}}}, {Name: "customers", Columns: []premortem.Column{{Name: "email"}}}})
	if want := "/orders/${rows.order.id}/items/17"; req.Path != want {
		t.Errorf("path %s, want %s", req.Path, want)
	}
	if want := `{"email":"${rows.customers.email}","password":"FILL-IN-users-password"}`; req.Body != want {
		t.Errorf("body %s, want %s", req.Body, want)
	}
	if got := tr.Marks[req]; got != "fill in FILL-IN-users-password" {
		t.Errorf("mark %q", got)
	}
	if len(tr.Notes) != 1 || !strings.Contains(tr.Notes[0].Says, "users.password") {
		t.Errorf("notes %v", tr.Notes)
	}
	survives(t, tr)
}

func TestJSONBodiesAreWrittenAsPeopleWriteYAML(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":[1,2.5,{"b":null}],"c":true,"d":"x: y # z","e":{}}`: `{"a": [1, 2.5, {"b": null}], "c": true, "d": "x: y # z", "e": {}}`,
		`[]`: `[]`, `"a\u2028b"`: `"a\u2028b"`, `{"<<":1}`: `{"<<": 1}`,
	} {
		if got := spacedJSON(in); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
	if reflect.DeepEqual(yamlKey("yes"), "yes") {
		t.Error("yes is no plain key")
	}
}
