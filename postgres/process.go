package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one run of a postmaster.
type process struct {
	pid    int
	exited chan struct{} // closed when it has ended
	err    error         // how; valid after exited
	group  sync.WaitGroup
}

// spawn starts postgres on a data folder with its messages in a file. The thread
// that forks stays until the child has ended, because the death signal follows the
// thread and not the process.
func spawn(b Binaries, who account, data, log string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(b.Dir, "postgres"), "-D", data)
	cmd.Dir = filepath.Dir(data)
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = who.attributes()
	p := &process{exited: make(chan struct{})}
	started := make(chan error)
	p.group.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		out.Close()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.exited)
		}
	})
	if err := <-started; err != nil {
		p.group.Wait()
		return nil, err
	}
	return p, nil
}

// environment of everything we run: nothing of the user's PG* variables, messages
// in English so that they can be read by us.
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=/nonexistent"}
}

// stop sends a signal and waits; after patience it kills.
func (p *process) stop(sig syscall.Signal, patience time.Duration) error {
	defer p.group.Wait()
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := syscall.Kill(p.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop postgres %d: %w", p.pid, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
	}
	// Backends notice the postmaster's death by themselves.
	if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill postgres %d: %w", p.pid, err)
	}
	<-p.exited
	return nil
}

// postmasterOf reads the pid file of a data folder; 0 when there is none.
func postmasterOf(data string) int {
	raw, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 1 {
		return 0
	}
	return pid
}

// bound ties a short-lived program to its context: with it, the program's whole
// process group ends, and output that a grandchild keeps open is not waited for
// longer than a few seconds. The program must lead a group of its own.
func bound(cmd *exec.Cmd) {
	cmd.Cancel = func() error {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
			return ignoreDone(err)
		}
		return nil
	}
	cmd.WaitDelay = 5 * time.Second
}

// ignoreDone turns "no such process" into what exec expects for a program that has
// ended by itself.
func ignoreDone(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
