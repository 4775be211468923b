package clone

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/premortem/premortem"
)

// lock is held from before the journal is read until after it is removed, so that
// two runs that begin at once never share it. The kernel lets go of it when we die.
type lock struct {
	path string
	f    *os.File
	sure bool // false on a file system without locks: then the journal's owner decides
}

func lockPath(state string) string { return filepath.Join(state, "lock") }

// takeLock takes the lock of a state folder, and fails when another run holds it.
func takeLock(state string) (*lock, error) {
	l := &lock{path: lockPath(state)}
	for {
		f, err := os.OpenFile(l.path, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, &premortem.Error{Doing: "lock " + state, Err: err, Hint: "premortem writes to .premortem in the repository; make it writable"}
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(alive(holder(state)), f.Close())
		}
		l.f, l.sure = f, err == nil
		// Its holder removes the file before it lets go: what we locked may be gone.
		if !same(f, l.path) {
			if err := f.Close(); err != nil {
				return nil, err
			}
			continue
		}
		return l, l.sign()
	}
}

func same(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}

// sign writes who holds the lock into it, for those who find it held.
func (l *lock) sign() error {
	b, err := json.Marshal(entry{Kind: "owner", Pid: os.Getpid(), Born: born(os.Getpid())})
	if err != nil {
		return err
	}
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err = l.f.WriteAt(b, 0)
	return err
}

func (l *lock) release() error {
	err := os.Remove(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.f.Close())
}

// holder is who signed the lock of a state folder last; its Pid is 0 when nobody did.
func holder(state string) entry {
	var e entry
	b, err := os.ReadFile(lockPath(state))
	if err == nil {
		_ = json.Unmarshal(b, &e) // half written: not known yet
	}
	return e
}

func alive(e entry) error {
	who := ""
	if e.Pid > 0 {
		who = " (process " + strconv.Itoa(e.Pid) + ")"
	}
	return &premortem.Error{
		Doing: "start", Err: fmt.Errorf("another premortem runs here%s", who),
		Hint: "wait for it, or end it with: premortem clone down",
	}
}
