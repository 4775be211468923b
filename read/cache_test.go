package read

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/premortem/premortem"
)

// unpack writes the repository of an archive to a folder.
func unpack(t testing.TB, arc *txtar.Archive) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range arc.Files {
		if f.Name == "want" || !filepath.IsLocal(f.Name) {
			continue
		}
		full := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// age sets the times of a tree back, so that its stamps can be trusted.
func age(t testing.TB, dir string, by time.Duration) {
	t.Helper()
	then := time.Now().Add(-by)
	err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		return os.Chtimes(p, then, then)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// noHashes removes what differs between two readings by design.
func noHashes(sys *premortem.System) *premortem.System {
	strip := func(sets []premortem.EnvSet) {
		ids := map[string]string{}
		for i := range sets {
			h := sets[i].Hash
			if h != "" && ids[h] == "" {
				ids[h] = "value " + itoa(len(ids)+1)
			}
			sets[i].Hash = ids[h]
		}
	}
	for _, s := range sys.Services {
		strip(s.Provides)
		strip(s.BuildArgs)
	}
	return sys
}

func TestARememberedSystemIsTheSameInEveryField(t *testing.T) {
	files, _ := filepath.Glob("testdata/*/*.txtar")
	for _, file := range files {
		arc, err := parseArchive(file)
		if err != nil {
			t.Fatal(err)
		}
		sys, err := Repo(t.Context(), repository(t, arc))
		if err != nil {
			continue
		}
		m, err := newRecollection([32]byte{}, nil, sys)
		if err != nil {
			t.Fatal(err)
		}
		again, err := m.system()
		if err != nil {
			t.Fatal(err)
		}
		if a, b := marshal(t, sys), marshal(t, again); !bytes.Equal(a, b) {
			t.Errorf("%s: remembered with other bytes:\n%s\n%s", file, a, b)
		}
		if !reflect.DeepEqual(sys, again) {
			t.Errorf("%s: remembered with other fields", file)
		}
	}
}

func TestCachedAnswersAsDirDoesAfterEveryChange(t *testing.T) {
	arc, err := parseArchive(firstOf(t, "testdata/whole/*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir, store := unpack(t, arc), Store{Dir: t.TempDir(), Build: "one"}
	write := func(name, data string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	steps := []struct {
		name string
		do   func()
	}{
		{"nothing is remembered yet", func() {}},
		{"nothing changed", func() {}},
		{"the tree is old", func() { age(t, dir, time.Hour) }},
		{"the tree is still old", func() {}},
		{"a file came", func() { write("extra.js", "process.env.EXTRA_ONE.length;\n") }},
		{"a file of the same size and time says something else", func() {
			write("extra.js", "process.env.EXTRA_TWO.length;\n")
			age(t, dir, time.Hour)
		}},
		{"a file went", func() { os.Remove(filepath.Join(dir, "extra.js")) }},
		{"a file became a link", func() { os.Symlink("compose.yaml", filepath.Join(dir, "docker-compose.prod.yml")) }},
		{"a file cannot be read", func() { write("k8s.yaml", "apiVersion: v1\nkind: X\n\x00\x00") }},
		{"another program reads", func() { store.Build = "two" }},
		{"the memory is damaged", func() {
			for _, f := range glob(t, store.Dir) {
				if err := os.WriteFile(f, []byte("nonsense that is longer than the two hashes at the beginning of a memory"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"the memory is cut", func() {
			for _, f := range glob(t, store.Dir) {
				os.Truncate(f, 100)
			}
		}},
		{"the store is a file", func() { store.Dir = filepath.Join(dir, "compose.yaml") }},
	}
	for _, s := range steps {
		s.do()
		want, err1 := Dir(t.Context(), dir)
		got, err2 := Cached(t.Context(), dir, store)
		if err1 != nil || err2 != nil {
			t.Fatalf("%s: %v, %v", s.name, err1, err2)
		}
		if a, b := marshal(t, want), marshal(t, got); !bytes.Equal(a, b) {
			t.Errorf("%s: Cached answers\n%s\nDir answers\n%s", s.name, b, a)
		}
		if !reflect.DeepEqual(noHashes(want), noHashes(got)) {
			t.Errorf("%s: Cached has other fields than Dir", s.name)
		}
	}
}

func TestAWarmReadingParsesNothing(t *testing.T) {
	arc, err := parseArchive(firstOf(t, "testdata/whole/*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir, store := unpack(t, arc), Store{Dir: t.TempDir(), Build: "one"}
	first, err := Cached(t.Context(), dir, store)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Cached(t.Context(), dir, store)
	if err != nil {
		t.Fatal(err)
	}
	// Hashes are keyed per reading of one process: those of a memory are the first's.
	if !reflect.DeepEqual(first, second) {
		t.Error("the second reading is not the remembered one")
	}
}

func TestTwoReadingsMayShareAStore(t *testing.T) {
	arc, err := parseArchive(firstOf(t, "testdata/whole/*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir, store := unpack(t, arc), Store{Dir: t.TempDir(), Build: "one"}
	want, err := Dir(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			got, err := Cached(t.Context(), dir, store)
			if err != nil || !bytes.Equal(marshal(t, want), marshal(t, got)) {
				t.Errorf("another answer (%v)", err)
			}
		})
	}
	wait.Wait()
	if left := glob(t, store.Dir); len(left) != 1 {
		t.Errorf("the store holds %v, want one memory", left)
	}
}

func firstOf(t testing.TB, pattern string) string {
	t.Helper()
	files, _ := filepath.Glob(pattern)
	if len(files) == 0 {
		t.Fatalf("no %s", pattern)
	}
	return files[0]
}

func glob(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}
