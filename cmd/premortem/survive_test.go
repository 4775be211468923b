package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallShop copies the shop with few rows and light load; its packages are linked.
func smallShop(t *testing.T, edit func(name, text string) string) string {
	t.Helper()
	src, err := filepath.Abs("../../examples/shop")
	if err != nil {
		t.Fatal(err)
	}
	dst := t.TempDir()
	rows := regexp.MustCompile(`(users|orders|payments|notifications): \d+`)
	err = filepath.WalkDir(src, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(src, p)
		switch {
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".premortem" || d.Name() == "dist"):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dst, rel), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		text := string(b)
		if rel == "premortem.yaml" {
			text = rows.ReplaceAllString(text, "$1: 100")
		}
		if edit != nil {
			text = edit(filepath.ToSlash(rel), text)
		}
		return os.WriteFile(filepath.Join(dst, rel), []byte(text), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(src, "node_modules")
	if _, err := os.Stat(modules); err != nil {
		t.Fatalf("the shop's packages are not installed; run: npm ci --prefix examples/shop (%v)", err)
	}
	if err := os.Symlink(modules, filepath.Join(dst, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dst
}

// start runs premortem in the background and returns it with its standard error.
func start(t *testing.T, args ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The name of the link tells the test binary which command it is.
	link := filepath.Join(t.TempDir(), "premortem")
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(link, args...)
	r, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, bufio.NewReader(r)
}

// left is what a journal says was started.
type left struct {
	pids    []int
	folders []string
}

func journalOf(t *testing.T, dir string) left {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, stateFolder, "journal"))
	if errors.Is(err, fs.ErrNotExist) {
		return left{}
	}
	if err != nil {
		t.Fatal(err)
	}
	var l left
	for line := range bytes.Lines(b) {
		var e struct {
			Kind, Path string
			Pid        int
		}
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		switch e.Kind {
		case "process":
			l.pids = append(l.pids, e.Pid)
		case "folder":
			l.folders = append(l.folders, e.Path)
		}
	}
	return l
}

// gone fails when anything of l is still there after a moment.
func (l left) gone(t *testing.T, when string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for _, pid := range l.pids {
		for syscall.Kill(pid, 0) == nil && !zombie(pid) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: process %d is still there", when, pid)
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	if pids := l.marked(); len(pids) > 0 && len(l.folders) > 0 {
		t.Errorf("%s: processes %v, which units started, are still there", when, pids)
	}
	for _, f := range l.folders {
		if _, err := os.Stat(f); err == nil {
			t.Errorf("%s: %s is still there", when, f)
		}
	}
}

// marked lists the processes that units started, wherever they are. Only Linux tells.
func (l left) marked() []int {
	var out []int
	names, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for _, f := range l.folders {
			if bytes.Contains(b, []byte("PREMORTEM_RUN="+f)) {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
				out = append(out, pid)
				break
			}
		}
	}
	return out
}

func zombie(pid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "stat"))
	return err == nil && strings.Contains(string(b), ") Z ")
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// waitFor reads lines of standard error until one holds text.
func waitFor(t *testing.T, r *bufio.Reader, text string) {
	t.Helper()
	var all strings.Builder
	for {
		line, err := r.ReadString('\n')
		all.WriteString(line)
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			t.Fatalf("premortem ended before it wrote %q:\n%s", text, all.String())
		}
	}
}

func TestNothingOutlivesARunThatIsKilledInAnyPhase(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the shop several times; the full run does")
	}
	// A shell between: the kernel ends it with us, but not what it started.
	dir := smallShop(t, func(name, text string) string {
		if name == "premortem.yaml" {
			return text + "\nservices:\n  api: {command: [sh, -c, \"node src/server.js & wait\"]}\n"
		}
		return text
	})
	for _, phase := range []struct {
		name  string
		up    bool
		ready func(t *testing.T, r *bufio.Reader)
	}{
		{"while it starts", false, func(*testing.T, *bufio.Reader) { <-time.After(400 * time.Millisecond) }},
		{"after the rows", false, func(t *testing.T, r *bufio.Reader) { waitFor(t, r, "  rows") }},
		{"after the clone is up", true, func(t *testing.T, r *bufio.Reader) { waitFor(t, r, "  clone") }},
		{"under load", true, func(t *testing.T, r *bufio.Reader) { waitFor(t, r, "  clone"); <-time.After(4 * time.Second) }},
	} {
		t.Run(phase.name, func(t *testing.T) {
			cmd, r := start(t, "rehearse", "--hold", "3s", dir)
			phase.ready(t, r)
			l := journalOf(t, dir)
			grandchild := func(pid int) bool { return !slices.Contains(l.pids, pid) }
			if phase.up && runtime.GOOS == "linux" && !slices.ContainsFunc(l.marked(), grandchild) {
				t.Errorf("of %v none was started by a unit's shell", l.marked())
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			left{pids: l.pids}.gone(t, "after kill -9") // the kernel ends the children
			if code := run([]string{"clone", "down", dir}, &bytes.Buffer{}, os.Stderr); code != exitClean {
				t.Fatalf("clone down ended with %d", code)
			}
			l.gone(t, "after clone down")
			if _, err := os.Stat(filepath.Join(dir, stateFolder, "journal")); err == nil {
				t.Error("the journal is still there")
			}
		})
	}
}

func TestInterruptStopsEverythingAndSaysSo(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the shop; the full run does")
	}
	dir := smallShop(t, nil)
	cmd, r := start(t, "rehearse", "--hold", "3s", dir)
	waitFor(t, r, "  clone")
	l := journalOf(t, dir)
	if len(l.pids) < 4 {
		t.Fatalf("the journal names %d processes; want PostgreSQL, Redis and two units", len(l.pids))
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	waitFor(t, r, "everything that was started has been stopped")
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	l.gone(t, "after Ctrl-C")
	if _, err := os.Stat(filepath.Join(dir, stateFolder, "journal")); err == nil {
		t.Error("the journal is still there")
	}
}

func TestCloneIsHeldSeenAndEnded(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the shop; the full run does")
	}
	dir := smallShop(t, nil)
	_, r := start(t, "clone", "up", dir)
	waitFor(t, r, "the clone runs")
	l := journalOf(t, dir)
	var out bytes.Buffer
	if code := run([]string{"clone", "status", dir}, &out, os.Stderr); code != exitClean || !strings.Contains(out.String(), "service/api  http://127.0.0.1:") {
		t.Errorf("status ended with %d and said %q", code, out.String())
	}
	var refused bytes.Buffer
	if code := run([]string{"rehearse", dir}, &bytes.Buffer{}, &refused); code != exitFailed || !strings.Contains(refused.String(), "another premortem runs here") {
		t.Errorf("a second run ended with %d and said %q", code, refused.String())
	}
	if code := run([]string{"clone", "down", dir}, &bytes.Buffer{}, os.Stderr); code != exitClean {
		t.Errorf("down ended with %d", code)
	}
	l.gone(t, "after clone down")
}

func TestAFailingMigrationNamesItsLineAndLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts PostgreSQL; the full run does")
	}
	dir := smallShop(t, func(name, text string) string {
		if name == "migrations/002_products.sql" {
			return "-- first\nSELECT 1;\nALTER TABLE nowhere ADD COLUMN x int;\n" + text
		}
		return text
	})
	var errs bytes.Buffer
	if code := run([]string{"rehearse", dir}, &bytes.Buffer{}, &errs); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if !strings.Contains(errs.String(), "migrations/002_products.sql:3") || !strings.Contains(errs.String(), "nowhere") {
		t.Errorf("the error does not name the line and the table:\n%s", errs.String())
	}
	journalOf(t, dir).gone(t, "after the failure")
}
