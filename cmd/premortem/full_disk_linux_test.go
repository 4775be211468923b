package main

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"
)

// A small file system of our own is the only honest full disk; it takes root.
func TestAFullDiskIsOneClearErrorAndLeavesNothing(t *testing.T) {
	if testing.Short() || os.Getuid() != 0 {
		t.Skip("mounts a file system of 90 MB; the full run as root does")
	}
	small, err := os.MkdirTemp("", "small-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(small) })
	if err := os.Chmod(small, 0o755); err != nil { // PostgreSQL runs as another user
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=90m,mode=1777"); err != nil {
		t.Fatalf("mount a small file system, which root may do unless the container forbids it (CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(small, syscall.MNT_DETACH) })
	t.Setenv("TMPDIR", small)
	dir := storyShop(t, storyConfig)
	var errs bytes.Buffer
	if code := run([]string{"rehearse", dir}, &bytes.Buffer{}, &errs); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	// PostgreSQL says it in one of two ways: the write failed, or it was short.
	full := strings.Contains(errs.String(), "No space left") || strings.Contains(errs.String(), "could not extend file")
	if !full || !strings.Contains(errs.String(), "hint: free space in ") {
		t.Errorf("the error does not say that the disk is full and what to do:\n%s", errs.String())
	}
	left, err := os.ReadDir(small)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if strings.HasPrefix(e.Name(), "premortem") {
			t.Errorf("%s is left on the full disk", e.Name())
		}
	}
}
