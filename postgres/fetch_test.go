package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fetchMain runs in the process that TestNothingOfAFetchOutlivesUs kills.
func fetchMain(cache string) {
	_, err := fetched(context.Background(), FindOptions{Major: 13, Cache: cache})
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// endlessNpm puts an npm into PATH that never ends, nor does what it starts; the file
// it returns will hold the numbers of both.
func endlessNpm(t *testing.T) (pids string) {
	t.Helper()
	dir := t.TempDir()
	pids = filepath.Join(dir, "pids")
	script := fmt.Sprintf("#!/bin/sh\ntrap '' TERM\nsleep 600 &\necho $$ $! end > %[1]s.new\nmv %[1]s.new %[1]s\nwait\n", pids)
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	return pids
}

// started waits until the endless npm runs and returns its processes.
func started(t *testing.T, file string) []int {
	t.Helper()
	for {
		raw, err := os.ReadFile(file)
		if err == nil {
			var out []int
			for _, text := range strings.Fields(string(raw)) {
				if pid, err := strconv.Atoi(text); err == nil {
					out = append(out, pid)
				}
			}
			return out
		}
		if err := pause(t.Context(), 10*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// gone waits until a process, which is no child of ours, has ended.
func gone(t *testing.T, pid int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for alive(pid) {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			t.Errorf("process %d is still there", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
			return
		}
	}
}

// alive is false for a process that has ended and that nobody has waited for.
func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil && runtime.GOOS != "linux" || err == nil && !strings.Contains(string(raw), ") Z ")
}

func TestACancelledFetchEndsWithEverythingThatItStarted(t *testing.T) {
	file, cache := endlessNpm(t), t.TempDir()
	stop := errors.New("the user has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var fetch sync.WaitGroup
	var err error
	fetch.Go(func() { _, err = fetched(ctx, FindOptions{Major: 13, Cache: cache}) })
	pids := started(t, file)
	cancel(stop)
	fetch.Wait()
	if !errors.Is(err, stop) {
		t.Errorf("%v, want why it was cancelled", err)
	}
	for _, pid := range pids {
		gone(t, pid)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "binaries", "fetch-*")); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
}

func TestNothingOfAFetchOutlivesUs(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("only Linux tells a child of our death")
		return
	}
	file, cache := endlessNpm(t), t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PREMORTEM_TEST_FETCH="+cache)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pids := started(t, file)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for _, pid := range pids {
		gone(t, pid)
	}
	left, _ := filepath.Glob(filepath.Join(cache, "binaries", "fetch-*"))
	if len(left) != 1 {
		t.Fatalf("the killed run left %q, want the folder in which it worked", left)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "npm"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := fetched(t.Context(), FindOptions{Major: 13, Cache: cache}); err == nil {
		t.Error("an npm that fails has fetched")
	}
	if _, err := os.Stat(left[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left after the next run: %v", left[0], err)
	}
}

func TestAHalfCopiedClusterIsRemovedByTheNextRun(t *testing.T) {
	root := t.TempDir()
	template := filepath.Join(root, "16.0-1")
	mine, other := filepath.Join(root, "new-16.0-1-77"), filepath.Join(root, "new-17.0-1-77")
	for _, dir := range []string{mine, other} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := &Server{dir: t.TempDir()}
	if err := os.Mkdir(s.data(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.data(), "PG_VERSION"), []byte("16\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.keepTemplate(t.Context(), template); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mine); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", mine, err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("%s, which another version may be filling, is gone", other)
	}
	if _, err := os.Stat(filepath.Join(template, "PG_VERSION")); err != nil {
		t.Errorf("no cluster is kept: %v", err)
	}
}
