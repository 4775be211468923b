package read

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

func TestDirSaysWhatIsWrongWithItsFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		filepath.Join(t.TempDir(), "gone"): "no such file",
		file:                               "not a folder",
	} {
		_, err := Dir(t.Context(), dir)
		pe, ok := errors.AsType[*premortem.Error](err)
		if !ok || pe.Hint == "" || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), dir) != 1 {
			t.Errorf("Dir(%s): %v", dir, err)
		}
	}
}

func TestRepoFailsWhenTheRootCannotBeRead(t *testing.T) {
	_, err := Repo(t.Context(), noRoot{})
	if pe, ok := errors.AsType[*premortem.Error](err); !ok || pe.Hint == "" || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
}

type noRoot struct{}

func (noRoot) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
}

func TestRepoStopsWhenItsContextEnds(t *testing.T) {
	why := errors.New("the user left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := Repo(ctx, tree(map[string]string{"a.js": "x"})); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

func TestAnEmptyRepositoryIsAnEmptySystem(t *testing.T) {
	sys, err := Repo(t.Context(), tree(map[string]string{"README.md": "# hello"}))
	if err != nil {
		t.Fatal(err)
	}
	if out := string(marshal(t, sys)); strings.Contains(strings.ReplaceAll(out, `"profile":null`, ""), "null,\"s") || !strings.Contains(out, `"services":[]`) {
		t.Errorf("empty lists are not lists: %s", out)
	}
}

func TestTheSameTreeGivesTheSameBytesOnAnyNumberOfProcessors(t *testing.T) {
	files, _ := filepath.Glob("testdata/*/*.txtar")
	for _, file := range files {
		arc, err := parseArchive(file)
		if err != nil {
			t.Fatal(err)
		}
		repo := repository(t, arc)
		var first []byte
		for _, procs := range []int{1, 4} {
			before := runtime.GOMAXPROCS(procs)
			sys, err := Repo(t.Context(), repo)
			runtime.GOMAXPROCS(before)
			if err != nil {
				break
			}
			out := marshal(t, sys)
			if first != nil && !bytes.Equal(first, out) {
				t.Errorf("%s: two readings differ", file)
			}
			first = out
		}
	}
}

// Each of these files is put beside a good one, which must be read all the same.
func TestHostileFilesHideNothing(t *testing.T) {
	deep := strings.Repeat
	for name, file := range map[string][2]string{
		"deep YAML":               {"k8s/x.yaml", "apiVersion: v1\nkind: X\na: " + deep("[", 50_000)},
		"deep YAML mapping":       {"compose.prod.yaml", deep("{a: ", 20_000)},
		"deep JSON":               {"web/package.json", deep(`{"a":`, 20_000) + "1" + deep("}", 20_000)},
		"deep SQL":                {"migrations/2.sql", "CREATE TABLE x (" + deep("(", 200_000)},
		"open dollar quotes":      {"migrations/2.sql", deep("$a", 100_000)},
		"deep JavaScript":         {"b.js", deep("(", 200_000) + deep("[{", 50_000)},
		"deep templates":          {"b.js", deep("`${", 50_000)},
		"deep elements":           {"b.jsx", "x = " + deep("<a>{<b>", 30_000)},
		"deep arrows":             {"b.ts", deep("a=>", 50_000)},
		"deep calls":              {"b.js", "process.env.X" + deep(".a(b", 30_000)},
		"a huge line":             {"b.js", "process.env.X;" + deep("x", 1_500_000)},
		"invalid UTF-8":           {"b.js", "process.env.\xff\xfe; `\xc3"},
		"a deep Dockerfile":       {"c/Dockerfile", "FROM node\nRUN " + deep("${a:-", 20_000)},
		"deep Terraform":          {"t/x.tf", "a = " + deep("[", 50_000)},
		"deep Terraform template": {"t/x.tf", `a = "` + deep("${", 50_000)},
		"NUL bytes":               {"b.js", "process.env.X\x00\x00"},
		"a large file":            {"k8s/big.yaml", deep("a: b\n", 600_000)},
		"an alias bomb": {"k8s/b.yaml", "apiVersion: v1\nkind: X\n" +
			"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"},
		"a deep workflow":    {".github/workflows/x.yml", "jobs: " + deep("{a: ", 20_000)},
		"a deep shell":       {".github/workflows/x.yml", "jobs: {a: {steps: [{run: '" + deep("$(", 20_000) + "'}]}}"},
		"a deep dotenv":      {".env", deep("A=\"", 100_000)},
		"a deep script":      {"web/package.json", `{"scripts":{"start":"` + deep("(", 50_000) + `"}}`},
		"a kustomization":    {"k/kustomization.yaml", "resources: [.]\n"},
		"kustomization loop": {"k/kustomization.yaml", "resources: [../k]\npatches: [{path: ../../../x}]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			sys, err := Repo(t.Context(), tree(map[string]string{
				file[0]:        file[1],
				"compose.yaml": "services:\n  good: {image: 'node:20'}\n",
			}))
			if err != nil {
				t.Fatal(err)
			}
			if sys.In("compose.yaml", "service/good") == nil {
				t.Error("the good file was not read")
			}
		})
	}
}
