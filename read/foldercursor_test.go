package read

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// A folder on disk has its own way of listing and opening; it gives what the general
// one gives.
func TestFolderOnDiskIsReadAsAnyOtherTree(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"package.json":                   `{"name": "app", "scripts": {"start": "node src/index.js"}}`,
		"src/index.js":                   "const a = require('./deep/er/a');\nprocess.env.DATABASE_URL;\n",
		"src/deep/er/a.js":               "module.exports = process.env.REGION;\n",
		"src/deep/b.js":                  "process.env.NOT_LOADED;\n",
		"src-old/index.js":               "process.env.OLD;\n",
		"node_modules/x/index.js":        "process.env.SKIPPED;\n",
		"k8s/a.yaml":                     "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\nspec: {template: {spec: {containers: [{name: app, image: app:1}]}}}\n",
		"k8s/broken.yaml":                "apiVersion: v1\nkind: [\n",
		"src/very/deep/down/here/end.ts": "export const x = 1;\n",
	} {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	general, err := Repo(t.Context(), os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	disk, err := Dir(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := marshal(t, general), marshal(t, disk); !bytes.Equal(a, b) {
		t.Errorf("general: %s\ndisk:    %s", a, b)
	}
}

func TestNestingIsTheSmallestSpanAroundEachToken(t *testing.T) {
	spans := []span{{2, 9}, {3, 5}, {5, 7}, {12, 20}, {12, 14}, {30, 31}}
	want := func(i int) int {
		best := -1
		for k, s := range spans {
			if s.lo <= i && i < s.hi && (best < 0 || s.hi-s.lo < spans[best].hi-spans[best].lo) {
				best = k
			}
		}
		return best
	}
	got := innermost(25, spans)
	for i := range 25 {
		if got.at(i) != want(i) {
			t.Errorf("token %d stands in %d, want %d", i, got.at(i), want(i))
		}
	}
}
