package clone

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// killMarked kills every process whose environment carries the mark run, or a mark
// below it, wherever it went: another group, another session, another parent. It
// returns their numbers once all are gone, and never ends this process itself.
func killMarked(run string) ([]int, error) {
	deadline := time.NewTimer(5 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var killed []int
	seen := map[int]bool{}
	for {
		found, err := killMarkedNow(run)
		if err != nil {
			return killed, err
		}
		for _, pid := range found {
			if !seen[pid] {
				seen[pid] = true
				killed = append(killed, pid)
			}
		}
		if len(found) == 0 { // nobody is left who could start another
			return killed, nil
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return killed, fmt.Errorf("processes %v do not end", found)
		}
	}
}

// killMarkedNow sends SIGKILL to what carries the mark now.
func killMarkedNow(run string) ([]int, error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []int
	var errs []error
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() || !marked(pid, run) {
			continue
		}
		proc, err := os.FindProcess(pid) // holds on to this very process from here
		if err != nil {
			continue
		}
		if marked(pid, run) { // read again: the number may have changed hands before
			found = append(found, pid)
			if err := proc.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				errs = append(errs, fmt.Errorf("end process %d: %w", pid, err))
			}
		}
		_ = proc.Release()
	}
	return found, errors.Join(errs...)
}

// marked says whether a process was started with the mark. One that has ended, or
// belongs to another user, is not.
func marked(pid int, run string) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil || run == "" {
		return false
	}
	for kv := range bytes.SplitSeq(b, []byte{0}) {
		if v, ok := strings.CutPrefix(string(kv), markVariable+"="); ok {
			return v == run || strings.HasPrefix(v, run+"/")
		}
	}
	return false
}
