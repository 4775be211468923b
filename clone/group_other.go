//go:build !linux

package clone

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// ownGroup puts the command into a process group of its own.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// born tells one process from another that later got the same number, by its start
// time as ps prints it. "" when the process is gone.
func born(pid int) string {
	out, err := exec.Command("ps", "-o", "lstart=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// waitExit is false: the process has to be collected to learn that it ended.
func waitExit(int) bool { return false }

// leaderless says whether a group is left whose leader is gone. A group's number is
// not given to a new process as long as the group has members.
func leaderless(pid int) bool {
	return born(pid) == "" && syscall.Kill(-pid, 0) == nil
}
