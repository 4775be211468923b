package drive

import (
	"runtime"
	"sync"
)

// spare holds one processor of the scheduler free for the pacers. Without it a
// pacer that wakes on a busy machine waits for a turn: tens of milliseconds of lag
// at the 99th percentile against one to four, on two busy cores.
var spare struct {
	mu    sync.Mutex
	users int
}

// reserve adds a processor for the first of the pacers that run at once, and
// returns what takes it away after the last.
func reserve() (release func()) {
	spare.mu.Lock()
	defer spare.mu.Unlock()
	if spare.users++; spare.users == 1 {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
	return func() {
		spare.mu.Lock()
		defer spare.mu.Unlock()
		if spare.users--; spare.users == 0 {
			runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0)-1, 1))
		}
	}
}
