package read

import (
	"io"
	"log"
	"os"
	"sync"

	"github.com/sirupsen/logrus"
)

// composeQuiet takes the voice from the logger through which the Compose library
// warns of unset variables and deprecated keys: what of it matters is an Unread.
var composeQuiet = sync.OnceFunc(func() { logrus.SetOutput(io.Discard) })

// stderrTaken is held while the process's standard error is put aside.
var stderrTaken sync.Mutex

// kustomizeQuiet runs a function of the Kustomize library, which prints deprecations
// on the standard error and through the global logger and has no option against it.
func kustomizeQuiet(run func() error) error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return run()
	}
	defer null.Close()
	stderrTaken.Lock()
	defer stderrTaken.Unlock()
	stderr, logs := os.Stderr, log.Writer()
	os.Stderr = null
	log.SetOutput(io.Discard)
	defer func() {
		os.Stderr = stderr
		log.SetOutput(logs)
	}()
	return run()
}
