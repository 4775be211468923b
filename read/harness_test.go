package read

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/premortem/premortem"
)

var update = flag.Bool("update", false, "rewrite the want sections in testdata")

// Each archive is a repository; its want section is what must be read from it.
func TestReadersReadTheirArchives(t *testing.T) {
	for _, r := range Readers() {
		t.Run(r.Name, func(t *testing.T) {
			files, _ := filepath.Glob(filepath.Join("testdata", r.Name, "*.txtar"))
			if len(files) == 0 {
				t.Errorf("testdata/%s holds no archive", r.Name)
			}
			for _, file := range files {
				t.Run(filepath.Base(file), func(t *testing.T) { replay(t, file) })
			}
		})
	}
}

func TestEveryTestFolderHasAReader(t *testing.T) {
	dirs, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		known := d.Name() == "whole" || d.Name() == "fuzz" || slices.ContainsFunc(Readers(), func(r *Reader) bool { return r.Name == d.Name() })
		if !known {
			t.Errorf("testdata/%s belongs to no reader", d.Name())
		}
	}
}

// Archives in testdata/whole tie several formats together.
func TestWholeRepositoriesAreTiedTogether(t *testing.T) {
	files, _ := filepath.Glob("testdata/whole/*.txtar")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { replay(t, file) })
	}
}

func TestEveryReaderIsDocumented(t *testing.T) {
	for _, r := range Readers() {
		if missing := r.Doc.Missing(); missing != nil {
			t.Errorf("%s: Doc says nothing about %v", r.Name, missing)
		}
	}
}

// replay reads the repository in an archive twice and compares what it says with
// the want section.
func replay(t *testing.T, file string) {
	t.Helper()
	arc, err := parseArchive(file)
	if err != nil {
		t.Fatal(err)
	}
	want := section(arc, "want")
	repo := repository(t, arc)
	sys, err := Repo(t.Context(), repo)
	got := ""
	if err != nil {
		got = describeError(err)
	} else {
		got = describe(sys)
		checkPositions(t, arc, sys)
		again, err := Repo(t.Context(), repo)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := marshal(t, sys), marshal(t, again); !bytes.Equal(a, b) {
			t.Errorf("two readings differ:\n%s\n%s", a, b)
		}
	}
	if got == string(want.Data) {
		return
	}
	if *update {
		want.Data = []byte(got)
		if err := os.WriteFile(file, txtar.Format(arc), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s:\n got:\n%s\nwant:\n%s", file, got, want.Data)
}

func repository(t testing.TB, arc *txtar.Archive) *memory {
	t.Helper()
	fs := &memory{}
	for _, f := range arc.Files {
		if f.Name != "want" {
			fs.add(f.Name, f.Data)
		}
	}
	return fs
}

func section(arc *txtar.Archive, name string) *txtar.File {
	for i := range arc.Files {
		if arc.Files[i].Name == name {
			return &arc.Files[i]
		}
	}
	arc.Files = append(arc.Files, txtar.File{Name: name})
	return &arc.Files[len(arc.Files)-1]
}

func marshal(t testing.TB, sys *premortem.System) []byte {
	t.Helper()
	b, err := json.Marshal(sys)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkPositions fails on a position that is not a line of the archive.
func checkPositions(t testing.TB, arc *txtar.Archive, sys *premortem.System) {
	t.Helper()
	lines := map[string]int{}
	for _, f := range arc.Files {
		lines[f.Name] = bytes.Count(f.Data, []byte("\n")) + 1
	}
	var v any
	if err := json.Unmarshal(marshal(t, sys), &v); err != nil {
		t.Fatal(err)
	}
	walkPositions(v, func(file string, line float64) {
		if n, ok := lines[file]; !ok || line < 1 || int(line) > n {
			t.Errorf("%s:%v is not in the repository", file, line)
		}
	})
}

func walkPositions(v any, visit func(file string, line float64)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			walkPositions(e, visit)
		}
	case map[string]any:
		file, ok1 := v["file"].(string)
		line, ok2 := v["line"].(float64)
		if ok1 && ok2 && len(v) == 2 {
			visit(file, line)
			return
		}
		for _, e := range v {
			walkPositions(e, visit)
		}
	}
}
