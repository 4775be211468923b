package drive

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/premortem/premortem"
)

const page = `<!doctype html><META Name=csrf-token
 content='m&amp;1'><form><inputs name="a" value="no"><input type=hidden value="f&#34;1" name="a"/>
<input name=b value=plain><input name="empty" value=""><input name="c" checked></form><p data-id="17">x</p>`

func TestAPageHandsOverItsFieldsAndWhatAPatternFinds(t *testing.T) {
	for from, want := range map[string]string{
		"form:a": `f"1`, "form:b": "plain", "meta:csrf-token": "m&1", "form:empty": "", `regex:data-id="(\d+)"`: "17",
		"form:c": "none", "form:z": "none", "meta:a": "none", "regex:nothing(x)": "none",
	} {
		k, err := parseKeep(premortem.Keep{Name: "v", From: from})
		if err != nil {
			t.Fatal(err)
		}
		a := answer{body: []byte(page)}
		got, ok := a.value(&k)
		if want == "none" {
			if ok {
				t.Errorf("%s: found %q", from, got)
			}
			continue
		}
		if !ok || got != want {
			t.Errorf("%s: got %q, %v, want %q", from, got, ok, want)
		}
	}
	for _, bad := range []string{"form:", "meta:", "regex:", "regex:(", "regex:nogroup"} {
		if _, err := parseKeep(premortem.Keep{Name: "v", From: bad}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func FuzzAPageNeverEndsTheReader(f *testing.F) {
	f.Add([]byte(page), "a")
	f.Add([]byte("<input ==name=a value"), "a")
	f.Add([]byte("<input name='a"), "a")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		attribute(data, "input", name)
		attribute(data, "meta", name)
	})
}

func TestACheckThatDoesNotHoldIsAnErrorWithoutTheAnswersValue(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Kind", "cart")
		w.Write([]byte(`{"total":5,"secret":"s3cret"}`))
	}))
	t.Cleanup(s.Close)
	for _, c := range []struct {
		check premortem.Check
		want  string // "" holds
	}{
		{premortem.Check{From: "$.total", Is: "5"}, ""},
		{premortem.Check{From: "$.total"}, ""},
		{premortem.Check{From: "header:X-Kind", Is: "cart"}, ""},
		{premortem.Check{From: "regex:(total)"}, ""},
		{premortem.Check{From: "$.items"}, "check $.items: not there"},
		{premortem.Check{From: "$.secret", Is: "x"}, "check $.secret: not x"},
	} {
		got, err := steps(t, s.URL, &premortem.Request{Method: "GET", Path: "/", Checks: []premortem.Check{c.check}})
		if err != nil {
			t.Fatal(err)
		}
		if says := ""; got[0].Err != nil {
			if says = got[0].Err.Error(); says != c.want {
				t.Errorf("%v: %q, want %q", c.check, says, c.want)
			}
		} else if c.want != "" {
			t.Errorf("%v holds", c.check)
		}
	}
	w := Workload{URLs: local(s.URL), Journeys: []*premortem.Journey{{Name: "j", Steps: []premortem.Step{{Request: &premortem.Request{Method: "GET", Path: "/", Checks: []premortem.Check{{From: "nowhere"}}}}}}}}
	if Validate(w) == nil {
		t.Error("a check of nowhere is accepted")
	}
}
