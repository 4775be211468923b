package wire

import (
	"bytes"
	"context"
	"errors"
	"hash"
	"hash/maphash"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestSwapTakesEffectAtOnceAlthoughTheReaderIsStuck(t *testing.T) {
	for name, p := range allPipes() {
		var callee net.Conn
		got := make(chan net.Conn, 1)
		hold := make(chan bool)
		addr := server(t, func(c net.Conn) { got <- c; <-hold })
		e := opened(t, addr)
		e.Use(p)
		c := dial(t, e.Addr())
		callee = <-got
		sent, want := flood(t, c)
		e.Use(deaf)
		settle(t, e) // while the callee reads nothing
		e.Use(p)
		settle(t, e)
		c.CloseWrite()
		h := sum()
		n, err := io.Copy(h, callee)
		if err != nil || n != sent || !bytes.Equal(h.Sum(nil), want) {
			t.Errorf("%s: %d bytes sent, %d arrived, %v; equal: %v", name, sent, n, err, bytes.Equal(h.Sum(nil), want))
		}
		close(hold)
	}
}

// flood writes until nothing more fits, and returns how much that was, and its hash.
func flood(t testing.TB, c *net.TCPConn) (int64, []byte) {
	t.Helper()
	rng := rand.NewChaCha8([32]byte{9})
	h := sum()
	var sent int64
	block := make([]byte, 64<<10)
	for {
		rng.Read(block)
		c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := c.Write(block)
		h.Write(block[:n])
		sent += int64(n)
		if err != nil {
			c.SetWriteDeadline(time.Time{})
			return sent, h.Sum(nil)
		}
	}
}

// allPipes are the pipes of this package and some that others might write.
func allPipes() map[string]Pipe {
	drop := func(Call) {}
	return map[string]Pipe{
		"splice": Splice(), "postgres": Postgres(drop), "http": HTTP(drop), "redis": Redis(drop),
		"copying": Copying, "by the byte": byTheByte, "wrapped": wrapped(Postgres(drop)),
	}
}

// Copying is what a shaping fault does: io.CopyN in slices.
func Copying(ctx context.Context, caller, callee net.Conn) error {
	return Duplex(ctx, caller, callee, func(ctx context.Context, dst, src net.Conn) error {
		for ctx.Err() == nil {
			src.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := io.CopyN(dst, src, 10_000); err == io.EOF {
				return nil
			} else if err != nil && !isTimeout(err) {
				return err
			}
		}
		return ctx.Err()
	})
}

func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

// byTheByte reads and writes a few single bytes, then larger pieces.
func byTheByte(ctx context.Context, caller, callee net.Conn) error {
	return Duplex(ctx, caller, callee, func(ctx context.Context, dst, src net.Conn) error {
		b := make([]byte, 20_000)
		for i := 0; ; i++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			part := b
			if i < 64 {
				part = b[:1]
			}
			n, err := src.Read(part)
			if n > 0 {
				w, err := dst.Write(part[:n])
				if err != nil && isTimeout(err) && ctx.Err() != nil {
					src.(interface{ Unread([]byte) }).Unread(part[w:n])
					return ctx.Err()
				}
				if err != nil {
					return err
				}
			}
			switch {
			case err == io.EOF:
				return nil
			case err != nil && isTimeout(err) && ctx.Err() != nil:
			case err != nil:
				return err
			}
		}
	})
}

// wrapper is an End behind a fault that cuts reads short.
type wrapper struct{ *End }

func (w *wrapper) Read(b []byte) (int, error) { return w.End.Read(b[:min(len(b), 3000)]) }

func wrapped(p Pipe) Pipe {
	return func(ctx context.Context, caller, callee net.Conn) error {
		return p(ctx, &wrapper{caller.(*End)}, &wrapper{callee.(*End)})
	}
}

var sumSeed = maphash.MakeSeed()

// sum is a hash that costs little beside moving the bytes.
func sum() hash.Hash {
	h := new(maphash.Hash)
	h.SetSeed(sumSeed)
	return h
}

// talker sends random bytes, at least least and then until over is closed, and hashes
// what it reads, at a pace of its own.
func talker(c *net.TCPConn, seed byte, least int64, over chan bool, lazy bool) (sent, got hash.Hash, err error) {
	sent, got = sum(), sum()
	var wg sync.WaitGroup
	var werr error
	wg.Go(func() {
		src := rand.NewChaCha8([32]byte{seed})
		block := make([]byte, 50_000)
		for n := int64(0); werr == nil && (n < least || !isClosed(over)); n += int64(len(block)) {
			src.Read(block)
			sent.Write(block)
			_, werr = c.Write(block)
		}
		if werr == nil {
			werr = c.CloseWrite()
		}
	})
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	b := make([]byte, 100_000)
	for err == nil {
		part := b
		if lazy {
			part = b[:1+rng.IntN(100_000)]
			for range rng.IntN(4) {
				runtime.Gosched()
			}
		}
		var n int
		n, err = c.Read(part)
		got.Write(part[:n])
	}
	wg.Wait()
	if err == io.EOF {
		err = werr
	}
	return sent, got, err
}

func isClosed(c chan bool) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestBytesAreExactWhilePipesAreSwappedThousandsOfTimes(t *testing.T) {
	size, swaps, conns := int64(16<<20), 2000, 2
	if testing.Short() {
		size, swaps = 1<<20, 200
	}
	type end struct{ sent, got hash.Hash }
	over := make(chan bool)
	served := make(chan end, conns)
	addr := server(t, func(c net.Conn) {
		sent, got, err := talker(c.(*net.TCPConn), 1, size, over, true)
		if err != nil {
			t.Errorf("callee: %v", err)
		}
		served <- end{sent, got}
	})
	e := opened(t, addr)
	called := make(chan end, conns)
	var calling sync.WaitGroup
	defer calling.Wait()
	for range conns {
		c := dial(t, e.Addr())
		calling.Go(func() {
			sent, got, err := talker(c, 2, size, over, false)
			if err != nil {
				t.Errorf("caller: %v", err)
			}
			called <- end{sent, got}
		})
	}
	pipes := slices.Collect(maps.Values(allPipes()))
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range swaps {
		e.Use(pipes[rng.IntN(len(pipes))])
		if i%8 == 0 {
			settle(t, e)
		}
		for range rng.IntN(50) {
			runtime.Gosched()
		}
	}
	close(over)
	var sent, got [2][]string // by side; connections end in any order
	for range conns {
		a, b := <-called, <-served
		sent[0], got[0] = append(sent[0], string(a.sent.Sum(nil))), append(got[0], string(b.got.Sum(nil)))
		sent[1], got[1] = append(sent[1], string(b.sent.Sum(nil))), append(got[1], string(a.got.Sum(nil)))
	}
	for side := range sent {
		slices.Sort(sent[side])
		slices.Sort(got[side])
		if !slices.Equal(sent[side], got[side]) {
			t.Errorf("what arrived from side %d is not what was sent", side)
		}
	}
}

func TestLargeTransfersAreExactThroughEveryPipe(t *testing.T) {
	size := int64(64 << 20)
	if testing.Short() {
		size = 2 << 20
	}
	nothing := make(chan bool)
	close(nothing)
	for name, p := range allPipes() {
		served := make(chan hash.Hash, 2)
		addr := server(t, func(c net.Conn) {
			sent, got, err := talker(c.(*net.TCPConn), 5, size, nothing, false)
			if err != nil {
				t.Errorf("%s: callee: %v", name, err)
			}
			served <- sent
			served <- got
		})
		e := opened(t, addr)
		e.Use(p)
		sent, got, err := talker(dial(t, e.Addr()), 6, size, nothing, false)
		if err != nil {
			t.Errorf("%s: caller: %v", name, err)
		}
		if s := <-served; !bytes.Equal(s.Sum(nil), got.Sum(nil)) {
			t.Errorf("%s: the answer differs", name)
		}
		if g := <-served; !bytes.Equal(g.Sum(nil), sent.Sum(nil)) {
			t.Errorf("%s: the question differs", name)
		}
	}
}

func TestPipesWorkOnConnectionsThatNoEdgeMade(t *testing.T) {
	for name, p := range map[string]Pipe{"splice": Splice(), "postgres": Postgres(func(Call) {})} {
		a, caller := net.Pipe()
		callee, b := net.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		var wg sync.WaitGroup
		wg.Go(func() { done <- p(ctx, caller, callee) })
		wg.Go(func() { a.Write([]byte("hello")) })
		got := make([]byte, 5)
		if _, err := io.ReadFull(b, got); err != nil || string(got) != "hello" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: ended with %v", name, err)
		}
		wg.Go(func() { a.Write([]byte("again")) }) // the ends were handed back in working order
		if _, err := io.ReadFull(caller, got); err != nil || string(got) != "again" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		wg.Wait()
		a.Close()
		b.Close()
	}
}
