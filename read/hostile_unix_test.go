//go:build unix

package read

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// pipes puts a pipe, and a link to one, where readers look. Opening it would wait
// for a writer that never comes.
func pipes(t testing.TB, dir string) {
	t.Helper()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.yaml"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("pipe.yaml", filepath.Join(dir, "to-pipe.yaml")); err != nil {
		t.Fatal(err)
	}
}
