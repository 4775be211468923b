package drive

import (
	"strings"
	"testing"
	"time"
)

const recorderExport = `{
    "title": "Buy a lamp",
    "steps": [
        {"type": "setViewport", "width": 1024, "height": 768},
        {
            "type": "navigate",
            "url": "https://shop.example/",
            "assertedEvents": [{"type": "navigation", "url": "https://shop.example/", "title": "Shop"}]
        },
        {"type": "change", "value": "` + canary + `", "selectors": [["#password"]], "target": "main"},
        {"type": "click", "selectors": [["aria/Log in"]], "assertedEvents": [{"type": "navigation", "url": "https://shop.example/products?page=2&token=` + canary + `", "title": ""}]},
        {"type": "click", "selectors": [["aria/Help"]], "assertedEvents": [{"type": "navigation", "url": "https://help.example.org/", "title": ""}]},
        {"type": "click", "selectors": [["aria/Lamp"]], "assertedEvents": [{"type": "navigation", "url": "https://shop.example/products/17#reviews", "title": ""}]},
        {"type": "click", "selectors": [["aria/More"]], "assertedEvents": [{"type": "navigation", "url": "https://shop.example/products/17#more", "title": ""}]}
    ]
}`

func TestAChromeRecordingBecomesItsPages(t *testing.T) {
	tr := mustImport(t, "recording.json", recorderExport)
	j := tr.Journeys[0]
	var got []string
	for _, s := range j.Steps {
		if s.Request == nil {
			got = append(got, s.Think.String())
		} else {
			got = append(got, s.Request.Method+" "+s.Request.Path)
		}
	}
	want := "GET / | 3s | GET /products?page=2&token=${rows.users.token} | 3s | GET /products/${rows.products.id}"
	if strings.Join(got, " | ") != want || j.Name != "buy-a-lamp" {
		t.Errorf("%s: %s, want %s", j.Name, strings.Join(got, " | "), want)
	}
	if tr.Samples["rows.products.id"] != "17" {
		t.Errorf("samples %v", tr.Samples)
	}
	if text := tr.YAML(); !strings.Contains(text, "help.example.org") || !strings.Contains(text, "1 inputs") {
		t.Errorf("notes are missing in\n%s", text)
	}
	for i, s := range j.Steps {
		if (s.Request == nil) != (i%2 == 1) || s.Think > time.Minute {
			t.Errorf("step %d is %+v", i, s)
		}
	}
}

func TestABrokenRecordingIsRefusedAtItsLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"cut off", strings.Join(strings.Split(recorderExport, "\n")[:5], "\n"), "r.json:5: read Chrome recording: the file ends in the middle"},
		{"a step without a type", `{"title":"a","type":1,"steps":[{"url":"x"}]}`, "r.json:1: read Chrome recording: step 1 has no type"},
		{"no page", `{"title":"a","steps":[{"type":"click"}]}`, "no request of the application is in it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := importText(t, "r.json", c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func FuzzRecorder(f *testing.F) {
	f.Add([]byte(recorderExport))
	f.Fuzz(fuzzImport("recording.json"))
}
