package postgres

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/premortem/premortem"
)

// account is who runs the server: PostgreSQL refuses to run as root.
type account struct {
	name     string
	uid, gid uint32
	other    bool // not the account that we run as
}

// pickAccount returns our own account, or when we are root the asked or some other
// unprivileged one.
func pickAccount(asked string) (account, error) {
	if os.Geteuid() != 0 {
		return account{name: strconv.Itoa(os.Geteuid())}, nil
	}
	names := []string{asked}
	if asked == "" {
		names = []string{"nobody", "daemon", "postgres"}
	}
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 != nil || err2 != nil || uid == 0 {
			continue
		}
		return account{name: name, uid: uint32(uid), gid: uint32(gid), other: true}, nil
	}
	return account{}, &premortem.Error{
		Doing: "start postgres as an unprivileged account",
		Err:   fmt.Errorf("no such account that is not root: %q", names),
		Hint:  "PostgreSQL refuses to run as root: run premortem as an ordinary user, or create one of these accounts",
	}
}

// attributes are those of a child that runs as the account, in a process group of
// its own so that Ctrl-C in our terminal does not reach it.
func (a account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.other {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	dieWithUs(attr)
	return attr
}

// own gives a file to the account.
func (a account) own(path string) error {
	if !a.other {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}
