package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

// fixing is a finding with safe edits.
func fixing(subject string, edits ...premortem.Edit) premortem.Finding {
	return premortem.Finding{Rule: "r", Node: "service/api", Subject: subject, Fix: premortem.Fix{Safe: true, Edits: edits}}
}

func edit(file string, line int, old, new string) premortem.Edit {
	return premortem.Edit{Pos: premortem.Pos{File: file, Line: line}, Old: old, New: new}
}

// fixed applies the findings to a folder and returns the patch.
func fixed(t *testing.T, dir string, found ...premortem.Finding) *patch {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	p := plan(root, found)
	if err := p.write(); err != nil {
		t.Fatal(err)
	}
	return p
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAFixKeepsLineEndsMarksAndTheLastLineAsTheyWere(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
		edits            []premortem.Edit
	}{
		{"windows line ends", "a\r\nb\r\nc\r\n", "a\r\nx\r\ny\r\nB\r\nc\r\n", []premortem.Edit{edit("f", 2, "b", "B"), edit("f", 2, "", "x\ny")}},
		{"no line end at the end", "a\nb", "a\nb\nc", []premortem.Edit{edit("f", 3, "", "c")}},
		{"windows, and none at the end", "a\r\nb", "a\r\nB", []premortem.Edit{edit("f", 2, "b", "B")}},
		{"a byte order mark", "\xef\xbb\xbfa\nb\n", "\xef\xbb\xbfz\na\nb\n", []premortem.Edit{edit("f", 1, "", "z")}},
		{"two lines and an insert, whatever their order", "a\nb\nc\n", "A\nn\nb\nC\n", []premortem.Edit{edit("f", 1, "a", "A"), edit("f", 2, "", "n"), edit("f", 3, "c", "C")}},
	} {
		dir := t.TempDir()
		put(t, dir, "f", c.text)
		fixed(t, dir, fixing("one", c.edits...))
		if got := content(t, dir, "f"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAFixKeepsTheModeAndLeavesNoOtherFile(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "run.sh", "npm install\n")
	if err := os.Chmod(filepath.Join(dir, "run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	fixed(t, dir, fixing("one", edit("run.sh", 1, "npm install", "npm ci"), edit("new/deep/file", 1, "", "text")))
	info, err := os.Stat(filepath.Join(dir, "run.sh"))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the mode is %v (%v), want 0755", info.Mode(), err)
	}
	if got := content(t, dir, "new/deep/file"); got != "text\n" {
		t.Errorf("the new file holds %q", got)
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".premortem*"))
	if more, _ := filepath.Glob(filepath.Join(dir, "new/deep/.premortem*")); len(left)+len(more) > 0 {
		t.Errorf("left behind: %v %v", left, more)
	}
}

func TestAFindingIsFixedWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a", "one\ntwo\n")
	put(t, dir, "b", "three\n")
	p := fixed(t, dir,
		fixing("stale", edit("a", 1, "one", "1"), edit("b", 1, "not there", "x")), // the second edit is impossible
		fixing("first", edit("a", 2, "two", "2")),
		fixing("second", edit("b", 1, "three", "3"), edit("a", 2, "two", "zwei")), // the line is taken
		fixing("same", edit("a", 2, "two", "2")),                                  // wants what is done
	)
	if got := content(t, dir, "a") + content(t, dir, "b"); got != "one\n2\nthree\n" {
		t.Errorf("the files hold %q", got)
	}
	if len(p.applied) != 2 || len(p.left) != 2 || !strings.Contains(p.left[1], "edited for another finding") {
		t.Errorf("applied %d, left %q", len(p.applied), p.left)
	}
}

func TestAFixNeverLeavesTheTree(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	put(t, outside, "secret", "keep\n")
	put(t, dir, "real", "keep\n")
	for link, to := range map[string]string{"out": outside, "file": filepath.Join(outside, "secret"), "inside": "real"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	p := fixed(t, dir,
		fixing("1", edit("out/secret", 1, "keep", "lost")), fixing("2", edit("file", 1, "keep", "lost")),
		fixing("3", edit("../"+filepath.Base(outside)+"/secret", 1, "keep", "lost")), fixing("4", edit(filepath.Join(outside, "secret"), 1, "keep", "lost")),
		fixing("5", edit("inside", 1, "keep", "lost")), fixing("6", edit("out/new", 1, "", "lost")))
	if len(p.applied) != 0 || len(p.left) != 6 {
		t.Errorf("applied %d, left %q", len(p.applied), p.left)
	}
	if got := content(t, outside, "secret") + content(t, dir, "real"); got != "keep\nkeep\n" {
		t.Errorf("the files hold %q", got)
	}
}

func TestOnlySafeEditsOfFindingsThatCountAreTaken(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a", "one\n")
	unsafe, quiet, cleared := fixing("1", edit("a", 1, "one", "1")), fixing("2", edit("a", 1, "one", "2")), fixing("3", edit("a", 1, "one", "3"))
	unsafe.Fix.Safe, quiet.Suppressed, cleared.Standing = false, "a reason", premortem.Cleared
	if p := fixed(t, dir, unsafe, quiet, cleared); len(p.names()) != 0 || content(t, dir, "a") != "one\n" {
		t.Errorf("changed: %v", p.names())
	}
}

func TestADiskThatRefusesLeavesEveryFileAsItWas(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a", "one\n")
	put(t, dir, "locked/b", "two\n")
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	p := plan(root, []premortem.Finding{fixing("1", edit("a", 1, "one", "1"), edit("locked/b", 1, "two", "2"))})
	// The folder goes away between the plan and the write: no user, root included,
	// can write there.
	if err := os.Rename(filepath.Join(dir, "locked"), filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if err := p.write(); err == nil {
		t.Error("a write into a folder that is not there succeeded")
	}
	if got := content(t, dir, "a"); got != "one\n" {
		t.Errorf("a holds %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".premortem*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestThePatchIsWhatGitApplyMakes(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a", "1\n2\n3\n4\n5\n6\n7\n8\nnine")
	put(t, dir, "b", "x\r\ny\r\n")
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	p := plan(root, []premortem.Finding{
		fixing("1", edit("a", 2, "2", "two"), edit("a", 9, "nine", "9"), edit("sub/new", 1, "", "hello")),
		fixing("2", edit("b", 1, "", "w")),
	})
	copied := t.TempDir()
	put(t, copied, "a", content(t, dir, "a"))
	put(t, copied, "b", content(t, dir, "b"))
	cmd := exec.Command("git", "apply", "--whitespace=nowarn", "-")
	cmd.Dir, cmd.Stdin = copied, bytes.NewReader(p.diff())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git apply: %v\n%s\n%s", err, out, p.diff())
	}
	if err := p.write(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "sub/new"} {
		if got, want := content(t, copied, name), content(t, dir, name); got != want {
			t.Errorf("%s: git apply makes %q, --fix writes %q", name, got, want)
		}
	}
}
