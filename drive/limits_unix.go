//go:build unix

package drive

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// fileLimit is how many descriptors this process may open.
func fileLimit() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 1024
	}
	return int(min(uint64(r.Cur), 1<<24))
}

// reserveFiles is kept free for everything else in this process: a proxy in front
// of the target needs two descriptors for each of ours.
func reserveFiles(limit int) int { return min(limit/4, 1024) }

// watch prepares the look at an idle connection, and reports whether there was a
// descriptor to spare. The kernel hands out the lowest free one, so its number says
// how many are open.
func watch(k *conn, sc syscall.Conn, limit int) bool {
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	spare := true
	var quiet bool
	var b [1]byte
	look := func(fd uintptr) {
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		quiet = err == unix.EAGAIN || err == unix.EINTR
	}
	k.peek = func() bool { // not by Read, which an old deadline would fail
		quiet = false
		return raw.Control(look) == nil && quiet
	}
	_ = raw.Control(func(fd uintptr) { spare = int(fd) < limit-reserveFiles(limit) })
	return spare
}

// ownCPU is the processor time this process has used.
func ownCPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
