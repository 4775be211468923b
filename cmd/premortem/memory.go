package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

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

const (
	smallHeap = 56 << 20 // bytes of heap up to which collecting is not worth its time
	thrift    = 35       // percent that a larger heap may grow before it is collected
)

// thrifty fits the collector to a reading: it leaves a small heap alone, and keeps a
// large one from growing far beyond what is needed, for a CI runner is small. GOGC
// and GOMEMLIMIT override it.
func thrifty() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(smallHeap * 100 / minHeap)
		runtime.SetFinalizer(&collected{}, (*collected).again)
	}
}

// minHeap is the heap that the runtime collects at first, at 100 percent.
const minHeap = 4 << 20

// collected is garbage: each collection finds it and runs its finalizer.
type collected struct{ _ *byte }

// again sets how far the heap may grow until the next collection, by what the last
// one left.
func (c *collected) again() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	n := max(int(live[0].Value.Uint64()), 1<<20)
	debug.SetGCPercent(max(thrift, min((smallHeap-n)*100/n, smallHeap*100/minHeap)))
	runtime.SetFinalizer(c, (*collected).again)
}
