package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/read"
)

// memory is where readings are remembered between runs: in the user's own cache
// folder, never in the repository. It is switched off by --no-cache, by a
// PREMORTEM_NO_CACHE that is not empty, and where the user has no such folder.
func memory(off bool) read.Store {
	if off || os.Getenv("PREMORTEM_NO_CACHE") != "" {
		return read.Store{}
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return read.Store{}
	}
	build, err := buildKey()
	if err != nil {
		return read.Store{}
	}
	return read.Store{Dir: filepath.Join(dir, "premortem"), Build: build}
}

// buildKey names this very program. The linker's build ID, which hashes all that
// went into it, stands in the first kilobytes of every format; size and time are
// for those who strip it.
func buildKey() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(self)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %d %d\n", premortem.Version, info.Size(), info.ModTime().UnixNano())
	if _, err := io.CopyN(h, f, 64<<10); err != nil && err != io.EOF {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// thrifty makes the collector run earlier than usual: a reading throws most of what
// it allocates away, and a CI runner is small. GOGC overrides it.
func thrifty() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(40)
	}
}
