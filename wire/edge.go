package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/premortem/premortem"
)

// Options say whose connection an Edge is and where it listens.
type Options struct {
	From, To premortem.Node
	Listen   string        // host:port on which the caller finds the edge; "" is 127.0.0.1:0
	Dial     time.Duration // how long one target may take to accept; 0 means 5 s
}

// Edge is the proxy of one dependency. It accepts the caller's connections, joins each
// to one of the targets and runs the current pipe on it. All methods may be called
// concurrently; all but Close and Settle, which wait for pipes, also from inside a pipe
// or a record function.
type Edge struct {
	from, to premortem.Node
	dial     time.Duration
	ln       net.Listener
	stop     context.CancelCauseFunc
	running  sync.WaitGroup
	lastConn atomic.Uint64
	blind    atomic.Uint64

	mu      sync.Mutex
	network string
	addrs   []string
	turn    int
	pipe    Pipe
	shape   uint64 // counts Use; a link runs the pipe of its shape
	links   map[*link]struct{}
	moved   chan struct{} // closed and replaced whenever a link changes shape or ends
	closed  bool
}

// link is one connection of an edge, as its pipes know it through their context.
type link struct {
	id             uint64 // counted from 1 at each edge
	caller, callee *End
	blind          *atomic.Uint64
	memory         any // what the last tap knew

	shape uint64 // guarded by the edge's mu
	swap  context.CancelCauseFunc
}

type linkKey struct{}

var (
	errSwapped = errors.New("the pipe was swapped")
	errClosed  = errors.New("the edge was closed")
)

// Open listens and begins to accept. ctx bounds the opening alone: the edge lives
// until Close. The first pipe is Splice; there is no target until SetTargets.
func Open(ctx context.Context, o Options) (*Edge, error) {
	addr := o.Listen
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	// Keep-alive stays off on both sides: the real hop decides about it, not the proxy.
	lc := net.ListenConfig{KeepAlive: -1}
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, &premortem.Error{
			Doing: fmt.Sprintf("listen for %s on its way to %s", o.From, o.To),
			Err:   err,
			Hint:  "end the process that holds the port, or listen on 127.0.0.1:0",
		}
	}
	live, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	e := &Edge{
		from: o.From, to: o.To, dial: o.Dial, ln: ln, stop: stop,
		pipe: Splice(), links: map[*link]struct{}{}, moved: make(chan struct{}),
	}
	if e.dial == 0 {
		e.dial = 5 * time.Second
	}
	e.running.Go(func() { e.accept(live) })
	return e, nil
}

// Addr is the address that the caller connects to, "127.0.0.1:40321".
func (e *Edge) Addr() string { return e.ln.Addr().String() }

// From is the calling side.
func (e *Edge) From() premortem.Node { return e.from }

// To is the called side.
func (e *Edge) To() premortem.Node { return e.to }

// SetTargets says where new connections go: to the addresses in turn, passing over one
// that refuses when another accepts. network is "tcp" or "unix". With none, or when
// all refuse, the caller's connection is reset. Open connections stay where they are.
func (e *Edge) SetTargets(network string, addrs ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.network, e.addrs = network, append([]string(nil), addrs...)
}

// Use makes p the pipe of open and future connections; nil is Splice. No byte is lost,
// repeated or reordered, and what a tap knows of a connection stays known as long as
// no byte passes unseen. A connection accepted after Use returned never sees an older
// pipe; open ones change over at once, but Use does not wait for them: Settle does.
func (e *Edge) Use(p Pipe) {
	if p == nil {
		p = Splice()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pipe = p
	e.shape++
	for l := range e.links {
		if l.swap != nil {
			l.swap(errSwapped)
		}
	}
}

// Settle waits until every open connection runs the pipe of the last Use. It returns
// ctx's error when a pipe does not let go.
func (e *Edge) Settle(ctx context.Context) error {
	for {
		e.mu.Lock()
		moved, behind := e.moved, 0
		for l := range e.links {
			if l.shape != e.shape {
				behind++
			}
		}
		e.mu.Unlock()
		if behind == 0 {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("%s to %s: %d connections still run the pipe before: %w", e.from, e.to, behind, ctx.Err())
		}
	}
}

// Conns is how many connections are joined now.
func (e *Edge) Conns() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.links)
}

// Blind is how many connections a tap has stopped reading so far, because they are
// encrypted, upgraded or not in its protocol. Their bytes pass, their calls are not seen.
func (e *Edge) Blind() uint64 { return e.blind.Load() }

// Close stops listening, ends all connections and waits until no goroutine of the edge
// is left. Further calls do nothing.
func (e *Edge) Close() error {
	e.mu.Lock()
	first := !e.closed
	e.closed = true
	e.mu.Unlock()
	var err error
	if first {
		err = e.ln.Close()
		e.stop(errClosed)
	}
	e.running.Wait()
	return err
}

func (e *Edge) accept(ctx context.Context) {
	var pause time.Duration
	for {
		c, err := e.ln.Accept()
		if err == nil {
			pause = 0
			e.running.Go(func() { e.serve(ctx, c) })
			continue
		}
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return
		}
		// Out of descriptors, or the caller left already: others may still come.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return
		}
	}
}

// serve carries one connection from accept to close.
func (e *Edge) serve(ctx context.Context, c net.Conn) {
	l := &link{id: e.lastConn.Add(1), caller: newEnd(c), blind: &e.blind}
	d, err := e.connect(ctx)
	if err != nil {
		l.caller.Reset() // the nearest that an accepted connection gets to a refused one
		return
	}
	l.callee = newEnd(d)
	// A pipe that ignores its context still ends with its sockets.
	unhook := context.AfterFunc(ctx, func() {
		l.caller.Close()
		l.callee.Close()
	})
	defer unhook()
	err = e.carry(context.WithValue(ctx, linkKey{}, l), l)
	if err != nil && ctx.Err() == nil {
		l.caller.Reset() // already closed sockets are what we want
		l.callee.Reset()
		return
	}
	l.caller.Close() // as above
	l.callee.Close()
}

// carry runs one pipe after the other until the connection is over.
func (e *Edge) carry(ctx context.Context, l *link) error {
	defer e.leave(l)
	for {
		run, cancel := context.WithCancelCause(ctx)
		p := e.join(l, cancel)
		err := p(run, l.caller, l.callee)
		over := run.Err() == nil || ctx.Err() != nil || (err != nil && !errors.Is(err, run.Err()))
		cancel(nil)
		if over {
			return err
		}
		l.caller.resume() // no deadline of the pipe before reaches the next
		l.callee.resume()
	}
}

// join makes l run the current pipe.
func (e *Edge) join(l *link, swap context.CancelCauseFunc) Pipe {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.links[l] = struct{}{}
	l.swap, l.shape = swap, e.shape
	e.tell()
	return e.pipe
}

func (e *Edge) leave(l *link) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.links, l)
	e.tell()
}

// tell wakes those in Settle; mu is held.
func (e *Edge) tell() {
	close(e.moved)
	e.moved = make(chan struct{})
}

var errNoTarget = errors.New("no target is set")

// connect dials the targets, beginning with the one whose turn it is.
func (e *Edge) connect(ctx context.Context) (net.Conn, error) {
	e.mu.Lock()
	network, addrs, turn := e.network, e.addrs, e.turn
	e.turn++
	e.mu.Unlock()
	dialer := net.Dialer{Timeout: e.dial, KeepAlive: -1}
	err := errNoTarget
	for i := range addrs {
		var c net.Conn
		if c, err = dialer.DialContext(ctx, network, addrs[(turn+i)%len(addrs)]); err == nil {
			return c, nil
		}
	}
	return nil, err
}
