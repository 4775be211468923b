package clone

import (
	"os/exec"
	"runtime"
	"sync"
)

// On Linux a child is told to die when the thread that started it ends, so that
// not even kill -9 of premortem leaves one behind. Go ends threads as it likes;
// hence all children start on one goroutine that keeps its thread for ever.
var keeper struct {
	once  sync.Once
	start chan func()
	wait  sync.WaitGroup // goroutines that end with a child or with the program
}

// startOnKeeper starts cmd on the thread that lives as long as we do.
func startOnKeeper(cmd *exec.Cmd) error {
	keeper.once.Do(func() {
		keeper.start = make(chan func())
		keeper.wait.Go(func() {
			runtime.LockOSThread()
			for f := range keeper.start {
				f()
			}
		})
	})
	done := make(chan error, 1)
	keeper.start <- func() { done <- cmd.Start() }
	return <-done
}
