package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// opened returns an edge to the given targets that is closed, and found to leave no
// goroutine, when the test ends.
func opened(t testing.TB, targets ...string) *Edge {
	t.Helper()
	e, err := Open(t.Context(), Options{From: "service/api", To: "store/main"})
	if err != nil {
		t.Fatal(err)
	}
	e.SetTargets("tcp", targets...)
	openEdges.Add(1)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if openEdges.Add(-1) == 0 {
			nothingLeft(t)
		}
	})
	return e
}

// openEdges is how many edges the running test has: only the last to close can tell
// whether a goroutine is left.
var openEdges atomic.Int64

// nothingLeft fails when a goroutine of this package outlives what started it. Tests
// run one after the other, so that there is no other owner.
func nothingLeft(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		buf := make([]byte, 1<<20)
		var left []string
		for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "wire.(*Edge)") || strings.Contains(g, "wire.(*flow)") || strings.Contains(g, "wire.duplex") {
				left = append(left, g)
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left:\n%s", len(left), left[0])
		}
		runtime.Gosched()
	}
}

// server accepts connections until the test ends and runs serve on each.
func server(t testing.TB, serve func(c net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}

func echo(c net.Conn) {
	io.Copy(c, c)
	c.(*net.TCPConn).CloseWrite()
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func ask(t testing.TB, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(s))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != s {
		t.Fatalf("got %q, %v; want %q", got, err, s)
	}
}

func settle(t testing.TB, e *Edge) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := e.Settle(ctx); err != nil {
		t.Fatal(err)
	}
}

// until waits for something that another goroutine does.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

func TestEdgeTakesTargetsInTurnAndPassesOverOneThatRefuses(t *testing.T) {
	name := func(s string) string {
		return server(t, func(c net.Conn) { io.WriteString(c, s); io.Copy(io.Discard, c) })
	}
	gone, _ := net.Listen("tcp", "127.0.0.1:0")
	gone.Close()
	e := opened(t, name("a"), gone.Addr().String(), name("b"))
	var got string
	for range 6 {
		c := dial(t, e.Addr())
		b := make([]byte, 1)
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		got += string(b)
	}
	if got != "abbabb" {
		t.Errorf("connections went to %q, want abbabb", got)
	}
	if e.Conns() != 6 {
		t.Errorf("%d connections are open, want 6", e.Conns())
	}
}

func TestEdgeResetsTheCallerWhenNobodyAccepts(t *testing.T) {
	gone, _ := net.Listen("tcp", "127.0.0.1:0")
	gone.Close()
	for _, targets := range [][]string{nil, {gone.Addr().String()}} {
		e := opened(t, targets...)
		c, err := net.Dial("tcp", e.Addr())
		if err == nil {
			defer c.Close()
			_, err = c.Read(make([]byte, 1))
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("targets %v: the caller got %v, want a reset", targets, err)
		}
	}
}

func TestEdgeReachesAUnixSocket(t *testing.T) {
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	e := opened(t)
	e.SetTargets("unix", ln.Addr().String())
	wg.Go(func() {
		for range allPipes() {
			c, err := ln.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			all, _ := io.ReadAll(c)
			c.Write(all)
			c.Close()
		}
	})
	want := bytes.Repeat([]byte("unix "), 400_000)
	for name, p := range allPipes() {
		e.Use(p)
		c := dial(t, e.Addr())
		wg.Go(func() {
			c.Write(want)
			c.CloseWrite()
		})
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes came back, want %d: %v", name, len(got), len(want), err)
		}
	}
}

func TestHalfCloseReachesTheOtherSideAndTheAnswerComesBack(t *testing.T) {
	addr := server(t, func(c net.Conn) {
		all, _ := io.ReadAll(c)
		fmt.Fprintf(c, "%d bytes", len(all))
	})
	for name, p := range allPipes() {
		e := opened(t, addr)
		e.Use(p)
		c := dial(t, e.Addr())
		c.Write(make([]byte, 100_000))
		c.CloseWrite()
		got, err := io.ReadAll(c)
		if err != nil || string(got) != "100000 bytes" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		until(t, "the edge lets go of the connection", func() bool { return e.Conns() == 0 })
	}
}

func TestResetIsPassedOnInBothDirections(t *testing.T) {
	for name, p := range allPipes() {
		reset := make(chan error, 1)
		addr := server(t, func(c net.Conn) {
			b := make([]byte, 1)
			c.Read(b)
			if b[0] == 'r' {
				c.(*net.TCPConn).SetLinger(0)
				return
			}
			_, err := c.Read(b)
			reset <- err
		})
		e := opened(t, addr)
		e.Use(p)
		c := dial(t, e.Addr())
		c.Write([]byte("r"))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: the caller got %v, want a reset", name, err)
		}
		c = dial(t, e.Addr())
		c.Write([]byte("x"))
		until(t, "the byte reaches the callee", func() bool { return e.Conns() == 1 })
		c.SetLinger(0)
		c.Close()
		if err := <-reset; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: the callee got %v, want a reset", name, err)
		}
	}
}

func TestCloseEndsConnectionsAndMayBeRepeated(t *testing.T) {
	e := opened(t, server(t, echo))
	var conns []net.Conn
	for i := range 20 {
		c := dial(t, e.Addr())
		ask(t, c, fmt.Sprint("hello ", i))
		conns = append(conns, c)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	nothingLeft(t)
	for _, c := range conns {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Fatal("a connection is still open")
		}
	}
	if c, err := net.Dial("tcp", e.Addr()); err == nil {
		c.Close()
		t.Error("the port still accepts")
	}
}

// deaf is a pipe that does nothing until ctx ends.
func deaf(ctx context.Context, _, _ net.Conn) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestConnectionMadeAfterUseNeverSeesTheOldPipe(t *testing.T) {
	e := opened(t, server(t, echo))
	for i := range 200 {
		used := make(chan bool, 2) // a connection of the round before may see it too
		e.Use(func(ctx context.Context, caller, callee net.Conn) error {
			used <- true
			return errors.New("broken on purpose")
		})
		c, err := net.Dial("tcp", e.Addr()) // the reset may come before dialling has ended
		if err == nil {
			_, err = c.Read(make([]byte, 1))
			c.Close()
		}
		if err == nil {
			t.Fatal("the old pipe ran")
		}
		<-used
		e.Use(nil)
		if i%20 == 0 {
			ask(t, dial(t, e.Addr()), "hello")
		}
	}
}
