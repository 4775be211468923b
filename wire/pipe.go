// Package wire is a proxy on a connection: one Edge per dependency, whose Pipe can
// be swapped while connections are open. It moves bytes, and its taps read what
// passes: PostgreSQL, HTTP/1.1 and Redis. It starts no process, knows no clone and
// changes no byte; what breaks a connection is written elsewhere, as a Pipe.
package wire

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Pipe carries one connection until it is over or ctx ends.
//
// It returns nil when both directions have ended in order; the edge then closes both
// ends. It returns an error when the connection broke; the edge then resets both ends.
// When ctx ends it returns soon, with ctx's error, no matter whether an end is reading:
// every byte it has read is either written to the other end or given back with
// [End.Unread], no goroutine of it still uses the ends, and the next pipe goes on
// from there. An end that had already reached EOF shows EOF again to the next pipe.
//
// Inside an Edge both conns are *[End]. A pipe may wrap them, best by embedding the
// *End, and run another pipe on the wrappers: that is how a fault and a tap combine.
type Pipe func(ctx context.Context, caller, callee net.Conn) error

// Splice copies bytes both ways and reads none of them. Flows that stay busy are moved
// by the kernel (splice(2) on Linux), at most 32 of them at once, because each needs
// a kernel pipe; an idle connection holds neither a pipe nor a buffer.
func Splice() Pipe {
	return func(ctx context.Context, caller, callee net.Conn) error {
		return Duplex(ctx, caller, callee, func(ctx context.Context, dst, src net.Conn) error {
			return newFlow(dst, src, nil).run(ctx)
		})
	}
}

// errWrite marks an error of the receiving side of a flow: the other direction may
// still hold an answer that its reader has to get.
type errWrite struct{ error }

func (e errWrite) Unwrap() error { return e.error }

// Duplex runs move once for each direction, concurrently, and waits for both. move
// carries bytes from src to dst until EOF (nil), an error, or the end of its ctx.
//
// EOF of src becomes a half-close of dst and the other direction goes on. An error
// ends the other direction too, through its ctx. Reads and writes that wait are
// interrupted when ctx ends, as by [Interrupt]. It returns ctx's error when ctx ended
// first, else the first error of move.
func Duplex(ctx context.Context, caller, callee net.Conn, move func(ctx context.Context, dst, src net.Conn) error) error {
	return duplex(ctx, caller, callee, [2]mover{up: move, down: move})
}

type mover = func(ctx context.Context, dst, src net.Conn) error

func duplex(ctx context.Context, caller, callee net.Conn, move [2]mover) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	release := Interrupt(inner, caller, callee)
	var once sync.Once
	var first error
	one := func(w way, dst, src net.Conn) {
		err := move[w](inner, dst, src)
		if err == nil {
			closeWrite(dst)
			return
		}
		if inner.Err() != nil && errors.Is(err, inner.Err()) {
			return
		}
		once.Do(func() { first = err })
		if _, ok := errors.AsType[errWrite](err); !ok {
			cancel() // src is gone: nothing more can be said to it either
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { one(down, caller, callee) })
	one(up, callee, caller)
	wg.Wait()
	release()
	if first == nil {
		return ctx.Err()
	}
	return first
}

// past is a deadline that has always been.
var past = time.Unix(1, 0)

// halter is an End, or a wrapper that embeds one.
type halter interface {
	halt()
	resume()
}

// Interrupt makes waiting reads and writes of the conns return with a deadline error
// when ctx ends. Writes are interrupted only where the rest can be given back, which
// is on an End. release undoes it and must be called when the pipe is done; after it
// the conns have no deadline.
func Interrupt(ctx context.Context, conns ...net.Conn) (release func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		for _, c := range conns {
			if h, ok := c.(halter); ok {
				h.halt()
			} else {
				c.SetReadDeadline(past) // a closed conn needs no interruption
			}
		}
	})
	return func() {
		if stop() {
			return
		}
		<-done
		for _, c := range conns {
			if h, ok := c.(halter); ok {
				h.resume()
			} else {
				c.SetReadDeadline(time.Time{}) // fails only on a closed conn
			}
		}
	}
}

// closeWrite ends one direction of c. A conn that cannot be closed by halves is left
// open: its reader learns of the end when the whole connection is over.
func closeWrite(c net.Conn) {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		h.CloseWrite() // fails only when the peer is already gone
	}
}
