package report

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"

	"github.com/premortem/premortem"
)

// dumpable turns a value into maps and lists with every float as text.
func dumpable(v any) any { return dumped(reflect.ValueOf(v)) }

func dumped(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return dumped(v.Elem())
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		out := []any{}
		for i := range v.Len() {
			out = append(out, dumped(v.Index(i)))
		}
		return out
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out[v.Type().Field(i).Name] = dumped(v.Field(i))
			}
		}
		return out
	}
	return fmt.Sprint(v.Interface())
}

// Every fact that a person must not miss is in every format.
func TestEveryFormatTellsTheSameFacts(t *testing.T) {
	facts := []string{
		"reads all 500,000 users for one of them", "api/src/auth.js", "users has no index on lower",
		"users_lower_email", "api/src/db.js", "no Chromium: the browser was not watched",
		"STRIPE_WEBHOOK_SECRET is read at boot", "no journey calls Stripe",
		"the machine was 91 % busy", "a Terraform file that is switched off", "1.6", "12 % of POST /api/login",
	}
	for _, f := range Formats() {
		out := strings.NewReplacer("\u00a0", " ", `\_`, "_", "%25", "%", "&nbsp;", " ").Replace(render(t, f.Name, shop(), Options{Verbose: true}))
		flat := strings.Join(strings.Fields(out), " ")
		for _, fact := range facts {
			if !strings.Contains(flat, fact) {
				t.Errorf("%s does not tell %q", f.Name, fact)
			}
		}
	}
}

func TestTextFitsItsWidthExceptWhatIsCopied(t *testing.T) {
	for name, make := range fixtures {
		for _, width := range []int{40, 60, 80, 100, 160} {
			for _, line := range strings.Split(render(t, "text", make(), Options{Width: width}), "\n") {
				trimmed := strings.TrimSpace(line)
				copied := strings.HasPrefix(trimmed, "+ ") || strings.HasPrefix(trimmed, "- ") || strings.HasPrefix(trimmed, "report: ")
				// A place is copied, too, however long its path is.
				copied = copied || strings.Contains(trimmed, plain(hostileText))
				if w := runewidth.StringWidth(line); w > width && !copied {
					t.Errorf("%s at %d columns: %d columns in %q", name, width, w, line)
				}
			}
		}
	}
}

func TestColourSaysNothingThatTheWordsDoNot(t *testing.T) {
	plainText := render(t, "text", shop(), Options{})
	coloured := render(t, "text", shop(), Options{Color: true})
	if coloured == plainText || !strings.Contains(coloured, "\x1b[") {
		t.Fatal("colour was asked for and not given")
	}
	for {
		i := strings.Index(coloured, "\x1b[")
		if i < 0 {
			break
		}
		end := strings.IndexByte(coloured[i:], 'm')
		coloured = coloured[:i] + coloured[i+end+1:]
	}
	if coloured != plainText {
		t.Errorf("without its colours the text differs:\n%s", firstDifference(plainText, coloured))
	}
}

func TestOneShortUnknownStandsBehindTheCountAndSeveralStandAlone(t *testing.T) {
	r := shop()
	r.Verdicts = r.Verdicts[:1]
	out := render(t, "text", r, Options{})
	if !strings.Contains(strings.Join(strings.Fields(out), " "), "1 unknown (no Chromium: the browser was not watched; apt-get install chromium)") || strings.Contains(out, "UNKNOWN") {
		t.Errorf("the reason is not behind the count:\n%s", out)
	}
	if n := strings.Count(render(t, "text", shop(), Options{}), "UNKNOWN  "); n != 2 {
		t.Errorf("%d unknowns have a line of their own, want 2", n)
	}
}

func TestFindingsOfOneRuleAreCappedAndTheRestCounted(t *testing.T) {
	r := checked()
	r.Findings = nil
	for i := range 33 {
		r.Findings = append(r.Findings, premortem.Finding{Rule: "env-missing", Severity: premortem.Down, Certain: true, Node: "service/api",
			Subject: fmt.Sprintf("V%02d", i), Says: fmt.Sprintf("V%02d is missing", i), Evidence: []premortem.Evidence{{Pos: pos("a.js", i+1)}}})
	}
	out := render(t, "text", r, Options{})
	if n := strings.Count(out, "  DOWN  "); n != 20 {
		t.Errorf("%d findings are told, want 20", n)
	}
	for _, want := range []string{"and 13 more of env-missing; --verbose lists them", "33 down"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not said in:\n%s", want, out)
		}
	}
	if n := strings.Count(render(t, "text", r, Options{Verbose: true}), "  DOWN  "); n != 33 {
		t.Errorf("%d findings are told with Verbose, want 33", n)
	}
}

func TestConsequencesFoldUnderTheirFirstCause(t *testing.T) {
	f := func(rule, because string, sev premortem.Severity) premortem.Finding {
		return premortem.Finding{Rule: rule, Because: because, Severity: sev, Certain: true}
	}
	cases := []struct {
		name string
		in   []premortem.Finding
		want string
	}{
		{"a chain folds under its root", []premortem.Finding{f("c", "b", 2), f("b", "a", 1), f("a", "", 1)}, "a[c b]"},
		{"a worse consequence lifts its cause", []premortem.Finding{f("x", "", 2), f("a", "", 0), f("b", "a", 3)}, "a[b] x"},
		{"a cause that is not there explains nothing", []premortem.Finding{f("b", "gone", 1)}, "b"},
		{"a circle explains nothing", []premortem.Finding{f("a", "b", 1), f("b", "a", 1)}, "a b"},
		{"a finding is not its own cause", []premortem.Finding{f("a", "a", 1)}, "a"},
	}
	for _, c := range cases {
		var got []string
		for _, ch := range tell(&premortem.Report{Findings: c.in}).Told {
			s := ch.Rule
			if len(ch.Then) > 0 {
				var then []string
				for _, t := range ch.Then {
					then = append(then, t.Rule)
				}
				s += "[" + strings.Join(then, " ") + "]"
			}
			got = append(got, s)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", c.name, got, c.want)
		}
	}
}

func TestAClearedCauseDoesNotHideItsConsequence(t *testing.T) {
	r := shop()
	r.Findings[0].Standing = premortem.Cleared
	if out := render(t, "text", r, Options{}); !strings.Contains(out, "DOWN  12 % of POST /api/login answer 503") {
		t.Errorf("the consequence is gone with its cause:\n%s", out)
	}
}

func TestFiguresReadAsPeopleSayThem(t *testing.T) {
	cases := []struct{ got, want string }{
		{seconds(0), "0 s"}, {seconds(0.00042), "420 µs"}, {seconds(0.0024), "2.4 ms"}, {seconds(0.012), "12 ms"},
		{seconds(0.3), "300 ms"}, {seconds(0.9999), "1 s"}, {seconds(2.13), "2.1 s"}, {seconds(81.2), "81 s"}, {seconds(200), "3 min 20 s"},
		{seconds(9000), "2.5 h"}, {times(1), "1×"}, {times(1.62), "1.6×"}, {times(9.4), "9.4×"}, {times(1000), "1,000×"},
		{number(500000), "500,000"}, {number(1234567), "1,234,567"}, {number(0.61), "0.61"}, {number(-3), "−3"}, {number(999.6), "1000"},
		{percent(0.94), "94 %"}, {percent(0.0012), "0.12 %"}, {size(512e6), "512 MB"}, {size(1.44e9), "1.4 GB"}, {size(17), "17 bytes"},
		{amount(3, "rows"), "3 rows"}, {amount(41, "1"), "41"}, {signal("request_seconds_p95"), "p95"}, {signal("pool_waiting"), "pool waiting"},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestTheAnswerIsOneSentence(t *testing.T) {
	cases := []struct {
		name string
		r    *premortem.Report
		want string
	}{
		{"the smallest boundary is named", shop(), "POST /api/login breaks first, at 1.2× the rows."},
		{"what holds is said", held(), "Everything that was asked holds."},
		{"files alone are counted", checked(), "6 things in this repository are set to go wrong in production."},
		{"clean says so", clean(), "Nothing was found that breaks in production."},
		{"blind says so", empty(), "Nothing was found, and nothing was read."},
		{"open questions are no health", &premortem.Report{Unknowns: []string{"x"}}, "Nothing was found, but 1 question stays open."},
	}
	for _, c := range cases {
		if got, _ := tell(c.r).answer(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSARIFPlacesEachEndAndFingerprintsWithoutLines(t *testing.T) {
	read := func(r *premortem.Report) sarifLog {
		var log sarifLog
		if err := json.Unmarshal([]byte(render(t, "sarif", r, Options{})), &log); err != nil {
			t.Fatal(err)
		}
		return log
	}
	before := read(shop()).Runs[0].Results
	moved := shop()
	for i := range moved.Findings {
		for j := range moved.Findings[i].Evidence {
			moved.Findings[i].Evidence[j].Pos.Line += 40
		}
	}
	after := read(moved).Runs[0].Results
	for i, res := range before {
		if got := after[i].Fingerprints["premortemKey/v1"]; got != res.Fingerprints["premortemKey/v1"] {
			t.Errorf("%s: the fingerprint moved with the lines", res.RuleID)
		}
		if res.RuleID == "runtime-version-disagreement" && (len(res.Locations) != 1 || len(res.Related) != 3) {
			t.Errorf("%s: %d locations and %d related, want 1 and 3", res.RuleID, len(res.Locations), len(res.Related))
		}
		if res.RuleID == "missing-await" && (res.Kind != "pass" || res.Level != "none") {
			t.Errorf("a cleared finding is %s/%s, want pass/none", res.Kind, res.Level)
		}
		if res.RuleID == "single-replica" && len(res.Suppressions) != 1 {
			t.Error("a suppressed finding is not marked as suppressed")
		}
	}
}

func TestPlacesAreToldFromTheRootOfTheRepository(t *testing.T) {
	r := shop()
	for _, c := range []struct{ format, want string }{
		{"sarif", `"uri": "services/shop/api/`}, {"github", "file=services/shop/api/"}, {"junit", `file="services/shop/api/`},
	} {
		if out := render(t, c.format, r, Options{Below: "services/shop"}); !strings.Contains(out, c.want) {
			t.Errorf("%s does not hold %s", c.format, c.want)
		}
	}
	if out := render(t, "github", r, Options{}); strings.Contains(out, "services/shop") {
		t.Error("the report was changed")
	}
}
