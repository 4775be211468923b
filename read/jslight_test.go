package read

import (
	"bytes"
	"path/filepath"
	"testing"
)

// Letting go of tokens saves memory and nothing else: the archives of all readers
// say the same with every module open.
func TestLightModulesHideNothing(t *testing.T) {
	files, _ := filepath.Glob("testdata/*/*.txtar")
	light := 0
	for _, file := range files {
		arc, err := parseArchive(file)
		if err != nil {
			t.Fatal(err)
		}
		repo := repository(t, arc)
		tr, d, err := walk(t.Context(), repo)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.gather(t.Context(), d); err != nil || d.fatal != nil {
			continue
		}
		for _, m := range d.modules {
			if m.light {
				light++
				m.open()
			}
		}
		all := d.finish()
		sys, err := Repo(t.Context(), repo)
		if err != nil {
			continue
		}
		if a, b := marshal(t, all), marshal(t, sys); !bytes.Equal(a, b) {
			at := 0
			for at < min(len(a), len(b)) && a[at] == b[at] {
				at++
			}
			show := func(x []byte) []byte { return x[max(at-200, 0):min(at+200, len(x))] }
			t.Errorf("%s: a light module hides a fact: add a name that it holds to telling\n open: …%s…\nlight: …%s…", file, show(a), show(b))
		}
	}
	if light == 0 {
		t.Error("no archive has a light module")
	}
}
