package read

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// Any template and any values must be survived, and lead to lines that exist.
func FuzzHelmTemplate(f *testing.F) {
	files, _ := filepath.Glob("testdata/helm/*.txtar")
	for _, file := range files {
		arc, err := parseArchive(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, m := range arc.Files {
			if strings.Contains(m.Name, "/templates/") {
				f.Add(string(m.Data), "a: 1\nb: {c: [x]}\n")
			}
		}
	}
	f.Fuzz(func(t *testing.T, tmpl, values string) {
		arc := &txtar.Archive{Files: []txtar.File{
			{Name: "c/Chart.yaml", Data: []byte("name: c\n")},
			{Name: "c/values.yaml", Data: []byte(values)},
			{Name: "c/templates/x.yaml", Data: []byte(tmpl)},
			{Name: "."},
		}}
		repo := &memory{}
		for _, m := range arc.Files[:3] {
			repo.add(m.Name, m.Data)
		}
		sys, err := Repo(t.Context(), repo)
		if err != nil {
			t.Fatal(err)
		}
		checkPositions(t, arc, sys)
	})
}

func TestATemplateCannotEatTheMachine(t *testing.T) {
	deep := strings.Repeat
	for name, tmpl := range map[string]string{
		"doubling text":        `{{ $x := "xxxxxxxx" }}{{ range until 9000 }}{{ $x = printf "%s%s" $x $x }}{{ end }}`,
		"doubling lists":       `{{ $x := list 1 2 }}{{ range until 9000 }}{{ $x = list $x $x }}{{ end }}{{ $x }}`,
		"a long loop":          `{{ range 1000000000 }}{{ end }}`,
		"repeat":               `{{ repeat 1000000000 "x" }}`,
		"replace":              `{{ replace "" (repeat 500000 "x") (repeat 500000 "y") }}`,
		"a map in itself":      `{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ toYaml $d }}`,
		"calls without end":    `{{ define "a" }}{{ include "a" . }}{{ include "a" . }}{{ end }}{{ include "a" . }}`,
		"tpl without end":      `{{ define "a" }}{{ tpl "{{ include \"a\" . }}" . }}{{ end }}{{ include "a" . }}`,
		"deep parentheses":     "{{ " + deep("(", 100_000),
		"deep blocks":          deep("{{ if true }}", 20_000),
		"a file outside":       `{{ .Files.Get "../../etc/passwd" }}`,
		"a wide number":        `{{ printf "%099999999d" 1 }}`,
		"marks of our own":     "\uE0A099999999\uE0A1 kind: X\napiVersion: v1\n",
		"output without end":   `{{ range until 9000 }}{{ range until 9000 }}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{{ end }}{{ end }}`,
		"a regular expression": `{{ regexReplaceAll "" (repeat 500000 "x") (repeat 500000 "y") }}`,
		"join":                 `{{ join (repeat 500000 "x") (until 9000) }}`,
		"parts of a name":      `{{ $.Values.a.b.c.d }}`,
	} {
		t.Run(name, func(t *testing.T) {
			sys, err := Repo(t.Context(), tree(map[string]string{
				"c/Chart.yaml": "name: c\n", "c/templates/a.yaml": tmpl,
				"c/templates/b.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: good}\nspec: {containers: [{name: good, image: 'x:1'}]}\n",
			}))
			if err != nil {
				t.Fatal(err)
			}
			if sys.In("c", "service/good") == nil {
				t.Errorf("the good template was not rendered: %v", sys.Unread)
			}
		})
	}
}
