package wire

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// unaccepting returns an address at which connections hang: its backlog is full.
func unaccepting(t testing.TB) (addr string, release func()) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr = fmt.Sprintf("127.0.0.1:%d", sa.(*syscall.SockaddrInet4).Port)
	first, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return addr, func() {
		first.Close()
		syscall.Close(fd)
	}
}

func TestSlowDialHoldsUpNobodyElse(t *testing.T) {
	full, release := unaccepting(t)
	defer release()
	e := opened(t, full)
	stuck := dial(t, e.Addr())
	defer stuck.Close()
	e.SetTargets("tcp", server(t, echo))
	ask(t, dial(t, e.Addr()), "hello")
}

func TestBusyFlowIsSplicedAndIdleOneHoldsNothing(t *testing.T) {
	e := opened(t, server(t, func(c net.Conn) {
		io.Copy(io.Discard, c)
		io.WriteString(c, "done")
	}))
	before := splicedBytes.Load()
	c := dial(t, e.Addr())
	files := descriptors(t)
	const size = 64 << 20
	if _, err := c.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	until(t, "the flow gives its kernel pipe back", func() bool { return splicing.Load() == 0 && descriptors(t) <= files+1 })
	if moved := splicedBytes.Load() - before; moved < size/2 {
		t.Errorf("%d of %d bytes were spliced", moved, size)
	}
	c.CloseWrite()
	if got, err := io.ReadAll(c); string(got) != "done" {
		t.Errorf("got %q, %v", got, err)
	}
}

func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
