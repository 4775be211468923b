package read

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/premortem/premortem"
)

// A folder on disk holds what archives cannot: links, pipes, files that are large.
func TestAHostileFolderIsReadAroundWhatCannotBeRead(t *testing.T) {
	outside := t.TempDir()
	put(t, filepath.Join(outside, "stolen.yaml"), "services: {stolen: {image: 'x:1'}}\n")
	dir := t.TempDir()
	put(t, filepath.Join(dir, "compose.yaml"), "services:\n  good: {image: 'node:20', env_file: [secret.env, loop.env]}\n")
	put(t, filepath.Join(dir, "binary.yaml"), "apiVersion: v1\nkind: X\n\x00\x01\x02")
	put(t, filepath.Join(dir, "latin.js"), "process.env.\xff\xfe; // caf\xe9\n")
	big, err := os.Create(filepath.Join(dir, "big.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := big.Truncate(100 << 20); err != nil { // sparse: costs no disk
		t.Fatal(err)
	}
	big.Close()
	for name, to := range map[string]string{
		"compose.prod.yaml": filepath.Join(outside, "stolen.yaml"), "secret.env": "../../../etc/passwd", "loop.env": "loop.env",
		"around": ".", "device.yaml": "/dev/zero", "gone.yaml": "nowhere.yaml", "ok.env": "compose.yaml",
	} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	pipes(t, dir)
	sys := inTime(t, func(ctx context.Context) (*premortem.System, error) { return Dir(ctx, dir) })
	if sys.In("compose.yaml", "service/good") == nil {
		t.Error("the good file was not read")
	}
	out := string(marshal(t, sys))
	if strings.Contains(out, "stolen") || strings.Contains(out, "root:") {
		t.Errorf("a link was followed out of the tree: %s", out)
	}
	for _, name := range []string{"binary.yaml", "big.yaml", "compose.prod.yaml", "gone.yaml", "device.yaml"} {
		if why := unreadWhy(sys, name); why == "" {
			t.Errorf("nothing says that %s was not read: %v", name, sys.Unread)
		}
	}
	store := Store{Dir: t.TempDir(), Build: "x"}
	for range 2 { // what could not be read is remembered as such
		got := inTime(t, func(ctx context.Context) (*premortem.System, error) { return Cached(ctx, dir, store) })
		if !bytes.Equal(marshal(t, got), marshal(t, sys)) {
			t.Error("Cached answers otherwise than Dir")
		}
	}
}

func put(t testing.TB, file, data string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

func unreadWhy(sys *premortem.System, file string) string {
	for _, u := range sys.Unread {
		if u.Pos.File == file {
			return u.Why
		}
	}
	return ""
}

// inTime fails instead of hanging: nothing that a tree holds may stop the reading.
func inTime(t *testing.T, read func(context.Context) (*premortem.System, error)) *premortem.System {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	sys, err := read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return sys
}

// Ten thousand levels, in each language that nests: the reading ends, in memory that
// does not grow with the depth's square, and says why the file counts for nothing.
func TestDeepNestingIsBounded(t *testing.T) {
	deep := func(open, mid, end string) string {
		return strings.Repeat(open, 10_000) + mid + strings.Repeat(end, 10_000)
	}
	for name, file := range map[string]struct {
		path, data string
		said       bool // an Unread is expected: the file is broken or too deep
	}{
		"YAML flow":       {"k8s/a.yaml", "apiVersion: v1\nkind: X\na: " + deep("[", "", "]"), true},
		"YAML block":      {"k8s/a.yaml", "apiVersion: v1\nkind: X\na:\n" + stairs(3000), false},
		"Compose":         {"compose.prod.yaml", "services: " + deep("{a: ", "1", "}"), true},
		"JSON":            {"web/package.json", deep(`{"a":`, "1", "}"), true},
		"lockfile":        {"package-lock.json", deep(`{"packages":`, "1", "}"), false},
		"HCL blocks":      {"t/x.tf", deep("a {\n", "", "}\n"), true},
		"HCL lists":       {"t/x.tf", "a = " + deep("[", "", "]"), true},
		"JavaScript":      {"b.js", "process.env.A;" + deep("f(() => {", "", "})"), false},
		"Go":              {"b.go", "package b\nvar x = " + deep("(", "1", ")"), false},
		"Python":          {"b.py", "import os\nx = " + deep("(", "os.environ['A']", ")"), false},
		"Ruby":            {"b.rb", deep("[", "ENV['A']", "]"), false},
		"SQL":             {"migrations/2.sql", "SELECT " + deep("(", "1", ")") + ";", false},
		"Helm template":   {"c/templates/a.yaml", deep("{{ if true }}", "a: b", "{{ end }}"), false},
		"XML":             {"pom.xml", deep("<a>", "", "</a>"), false},
		"nested anchors":  {"k8s/a.yaml", "apiVersion: v1\nkind: X\n" + bomb(), true},
		"Compose anchors": {"compose.prod.yaml", "services: {}\n" + bomb(), true},
		"workflow":        {".github/workflows/a.yml", "jobs: " + deep("{a: ", "1", "}"), true},
		"CloudFormation":  {"template.yaml", "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  q: {Type: 'AWS::SQS::Queue'}\n  x: " + deep("{a: ", "1", "}"), true},
	} {
		t.Run(name, func(t *testing.T) {
			repo := tree(map[string]string{file.path: file.data, "compose.yaml": "services:\n  good: {image: 'node:20'}\n", "c/Chart.yaml": "name: c\nversion: 1.0.0\n"})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			sys := inTime(t, func(ctx context.Context) (*premortem.System, error) { return Repo(ctx, repo) })
			runtime.ReadMemStats(&after)
			if sys.In("compose.yaml", "service/good") == nil {
				t.Error("the good file was not read")
			}
			if why := unreadWhy(sys, file.path); file.said && why == "" {
				t.Errorf("nothing says that %s counts for nothing: %v", file.path, sys.Unread)
			}
			if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 1500 {
				t.Errorf("%d bytes took %d MB", len(file.data), mb)
			}
		})
	}
}

func stairs(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i+1) + "a:\n")
		if b.Len() > 1_500_000 {
			break
		}
	}
	return b.String()
}

// bomb is a few lines of YAML that stand for a billion values.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10))
	}
	return b.String()
}

// crowd is a folder of very many files, none of which is ever opened.
type crowd struct {
	fs.FS
	n int
}

func (c crowd) ReadDir(name string) ([]fs.DirEntry, error) {
	if name != "many" {
		return fs.ReadDir(c.FS, name)
	}
	info, err := fs.Stat(c.FS, "many/0.txt")
	out := make([]fs.DirEntry, c.n)
	for i := range out {
		out[i] = oneOfMany{info, fmt.Sprintf("%06d.txt", i)}
	}
	return out, err
}

type oneOfMany struct {
	fs.FileInfo
	name string
}

func (n oneOfMany) Name() string               { return n.name }
func (n oneOfMany) Type() fs.FileMode          { return 0 }
func (n oneOfMany) Info() (fs.FileInfo, error) { return n.FileInfo, nil }

func TestAFolderOfTooManyFilesIsReadInPartAndSaidSo(t *testing.T) {
	repo := crowd{fstest.MapFS{"many/0.txt": {}, "compose.yaml": {Data: []byte("services:\n  good: {image: 'node:20'}\n")}, "zz/compose.yaml": {Data: []byte("services: {late: {image: x}}\n")}}, 300_000}
	sys := inTime(t, func(ctx context.Context) (*premortem.System, error) { return Repo(ctx, repo) })
	if sys.In("compose.yaml", "service/good") == nil {
		t.Error("the good file was not read")
	}
	if len(sys.Unread) != 1 || !strings.Contains(sys.Unread[0].Why, "more than 200000 files") {
		t.Errorf("got %v", sys.Unread)
	}
}

// endless is a file that never ends, whatever its size says.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.n += len(p)
	return len(p), nil
}

func TestAFileThatGrowsWhileItIsReadIsGivenUp(t *testing.T) {
	e := &endless{}
	if _, err := readText(e, 10, 1000); err == nil || e.n > 1<<20 {
		t.Errorf("%v after %d bytes", err, e.n)
	}
	data, err := readText(io.LimitReader(&endless{}, 500), 10, 1000)
	if err != nil || len(data) != 500 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
