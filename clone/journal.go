package clone

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/premortem/premortem"
)

// entry is one line of the journal, written before the thing exists or at once
// after it was started, and synced: what kill -9 leaves, the next run removes.
type entry struct {
	Kind string `json:"kind"` // "owner", "marker", "process", "folder", "info"
	Pid  int    `json:"pid,omitempty"`
	Born string `json:"born,omitempty"`
	Path string `json:"path,omitempty"`
	Name string `json:"name,omitempty"`
	At   string `json:"at,omitempty"` // an address
}

type journal struct {
	path string
	lock *lock
	mu   sync.Mutex
	f    *os.File
}

func journalPath(state string) string { return filepath.Join(state, "journal") }

// openJournal cleans up after a run that died and starts a new journal. It fails
// when another run is alive.
func openJournal(state string) (_ *journal, err error) {
	if err := os.MkdirAll(state, 0o755); err != nil {
		return nil, &premortem.Error{Doing: "make the folder for runs", Err: err, Hint: "premortem writes to .premortem in the repository; make it writable"}
	}
	l, err := takeLock(state)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.release())
		}
	}()
	if _, err := repair(state, l); err != nil {
		return nil, err
	}
	path := journalPath(state)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, &premortem.Error{Doing: "open the journal", Err: err, Hint: "is another premortem running here? premortem clone status tells"}
	}
	j := &journal{path: path, lock: l, f: f}
	if err := j.add(entry{Kind: "owner", Pid: os.Getpid(), Born: born(os.Getpid())}); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return j, nil
}

func (j *journal) add(e entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if _, err := j.f.Write(append(b, '\n')); err != nil {
		return &premortem.Error{Doing: "write the journal", Err: err, Hint: "free some disk space"}
	}
	if err := j.f.Sync(); err != nil {
		return &premortem.Error{Doing: "write the journal", Err: err}
	}
	return nil
}

func (j *journal) process(name string, pid int) error {
	return j.add(entry{Kind: "process", Name: name, Pid: pid, Born: born(pid)})
}

// close ends the run. The journal stays when something could not be removed: the
// next run, or premortem clone down, tries again.
func (j *journal) close(clean bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return nil
	}
	errs := []error{j.f.Close()}
	if clean {
		errs = append(errs, os.Remove(j.path))
	}
	j.f = nil
	return errors.Join(append(errs, j.lock.release())...)
}

func readJournal(state string) ([]entry, error) {
	f, err := os.Open(journalPath(state))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &premortem.Error{Doing: "read the journal", Err: err}
	}
	defer f.Close()
	var out []entry
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		var e entry
		if json.Unmarshal(sc.Bytes(), &e) == nil { // the last line may be half written
			out = append(out, e)
		}
	}
	return out, sc.Err()
}

// Recover removes what a run that died left in state: its processes, by number and
// time of birth and by their mark, and its folders. It says what it removed, and fails
// with a hint when the run is still alive. Running it again does nothing.
func Recover(state string) ([]string, error) {
	if _, err := os.Stat(state); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	l, err := takeLock(state)
	if err != nil {
		return nil, err
	}
	did, err := repair(state, l)
	return did, errors.Join(err, l.release())
}

// repair does the work of Recover under the lock.
func repair(state string, l *lock) ([]string, error) {
	entries, err := readJournal(state)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !l.sure && e.Kind == "owner" && e.Born != "" && born(e.Pid) == e.Born {
			return nil, alive(e)
		}
	}
	did, errs := endProcesses(entries)
	for _, e := range entries {
		if e.Kind != "folder" {
			continue
		}
		if _, err := os.Stat(e.Path); err == nil {
			did = append(did, "removed "+e.Path)
			errs = append(errs, os.RemoveAll(e.Path))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return did, &premortem.Error{
			Doing: "clean up after a run that died", Err: err,
			Hint: "what is left is listed in " + journalPath(state) + "; the next run tries again",
		}
	}
	if err := os.Remove(journalPath(state)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return did, &premortem.Error{Doing: "clean up after a run that died", Err: err}
	}
	return did, nil
}

// endProcesses ends what the journal names: first the leaders with their groups, then
// whatever carries the run's mark, for a leader may be long gone.
func endProcesses(entries []entry) (did []string, errs []error) {
	for _, e := range entries {
		if e.Kind != "process" {
			continue
		}
		switch {
		case e.Born != "" && born(e.Pid) == e.Born:
			killGroup(e.Pid, syscall.SIGKILL)
			did = append(did, fmt.Sprintf("ended %s (process %d)", e.Name, e.Pid))
			errs = append(errs, waitGone(e))
		case leaderless(e.Pid):
			killGroup(e.Pid, syscall.SIGKILL)
			did = append(did, fmt.Sprintf("ended what %s (process %d) had started", e.Name, e.Pid))
		}
	}
	for _, e := range entries {
		if e.Kind != "marker" {
			continue
		}
		pids, err := killMarked(e.Path)
		for _, pid := range pids {
			did = append(did, fmt.Sprintf("ended process %d, which a service had started", pid))
		}
		errs = append(errs, err)
	}
	return did, errs
}

func waitGone(e entry) error {
	deadline := time.NewTimer(5 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for born(e.Pid) == e.Born {
		select {
		case <-deadline.C:
			return fmt.Errorf("process %d (%s) does not end", e.Pid, e.Name)
		case <-tick.C:
		}
	}
	return nil
}

// killGroup signals a process group that we made. Its leader may already be gone.
func killGroup(pid int, sig syscall.Signal) {
	if pid > 1 {
		_ = syscall.Kill(-pid, sig)
	}
}

// State is what Status says of the clone that a folder's journal describes.
type State struct {
	Running bool
	Owner   int      // process that holds the clone
	Lines   []string // "service/api http://127.0.0.1:4001"
}

// Status reads the journal without changing anything.
func Status(state string) (State, error) {
	entries, err := readJournal(state)
	if err != nil {
		return State{}, err
	}
	var s State
	if e := holder(state); e.Pid > 0 && e.Born != "" && born(e.Pid) == e.Born {
		s.Owner, s.Running = e.Pid, true // it may not have begun its journal yet
	}
	for _, e := range entries {
		switch e.Kind {
		case "owner":
			if !s.Running {
				s.Owner = e.Pid
			}
		case "info":
			s.Lines = append(s.Lines, e.Name+"  "+e.At)
		}
	}
	return s, nil
}
