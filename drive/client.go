package drive

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// client opens, keeps and closes connections. It is safe for concurrent use.
type client struct {
	ctx    context.Context // ends when open requests are abandoned
	dial   func(ctx context.Context, addr string) (net.Conn, error)
	start  time.Time // of the clock that all times are read from
	plan   *plan
	limit  int  // of descriptors that this process may open
	shared bool // one pool per target; else each session keeps its own connections

	timeout  time.Duration // of one request
	pools    []pool
	dialling sync.WaitGroup // connections that are opened for a pool

	shared2 http2 // speaks HTTP/2

	mu   sync.Mutex
	open map[*conn]struct{} // nil when closed
}

// conn is one connection to a target. One goroutine uses it at a time.
type conn struct {
	net.Conn
	peek func() bool   // whether the other side has said or closed nothing; nil: cannot tell
	used time.Duration // when its last answer came
	idle time.Duration // how long the server keeps it idle; 0 unsaid
	old  bool          // has answered before
}

// errGone is what a request gets when the load has ended.
var errGone = errors.New("abandoned")

// errNoTurn is what a request gets when it waited for a connection until its time
// was out, because those before it are still being opened.
var errNoTurn = fmt.Errorf("wait for a connection: %w", os.ErrDeadlineExceeded)

// refused is a request that was never sent, for a reason on our side.
type refused string

func (r refused) Error() string { return string(r) }

// Reasons for which a request is dropped; they are the keys of LoadStats.Drops.
const (
	dropFiles  refused = "open files"
	dropPorts  refused = "local ports"
	dropMemory refused = "memory"
	dropRows   refused = "rows"
	dropConns  refused = "open requests"
	dropLate   refused = "not sent in time"
)

// maxOpen bounds memory: an open request costs about 15 KB.
const maxOpen = 32_000

func newClient(ctx context.Context, p *plan, start time.Time, timeout time.Duration, shared bool) *client {
	c := &client{ctx: ctx, plan: p, start: start, timeout: timeout, shared: shared, limit: fileLimit(),
		pools: make([]pool, len(p.targets)), open: map[*conn]struct{}{}}
	d := &net.Dialer{KeepAlive: -1}
	if !p.beyond {
		d.Control = onlyLoopback
	}
	c.dial = func(ctx context.Context, addr string) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }
	return c
}

func (c *client) now() time.Duration { return time.Since(c.start) }

// onlyLoopback is the last door before a packet leaves: it sees the address after
// names were resolved.
func onlyLoopback(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil || !loopback(host) {
		return fmt.Errorf("%s is not on this machine", address)
	}
	return nil
}

// get returns a connection to the target that may be used now: one that is kept, or
// a new one.
func (c *client) get(s *session, to int, until time.Time) (*conn, error) {
	if c.shared {
		return c.pools[to].get(c, to, until)
	}
	if to < len(s.conns) && s.conns[to] != nil {
		k := s.conns[to]
		s.conns[to] = nil
		if k.fresh(c.now()) {
			return k, nil
		}
		c.close(k)
	}
	return c.connect(to, until)
}

// connect opens a new connection.
func (c *client) connect(to int, until time.Time) (*conn, error) {
	ctx, cancel := context.WithDeadline(c.ctx, until)
	defer cancel()
	nc, err := c.dial(ctx, c.plan.targets[to].addr)
	if err != nil {
		return nil, c.dialled(err)
	}
	k := &conn{Conn: nc}
	if sc, ok := nc.(syscall.Conn); ok {
		if !watch(k, sc, c.limit) {
			nc.Close()
			return nil, dropFiles
		}
	}
	if t := c.plan.targets[to]; t.name != "" && !c.plan.http2 {
		if k.Conn, err = c.secure(ctx, nc, t.name); err != nil {
			nc.Close()
			return nil, c.dialled(err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		nc.Close()
		return nil, errGone
	}
	c.open[k] = struct{}{}
	return k, nil
}

// secure shakes hands for TLS.
func (c *client) secure(ctx context.Context, nc net.Conn, name string) (net.Conn, error) {
	conf := &tls.Config{}
	if c.plan.tls != nil {
		conf = c.plan.tls.Clone()
	}
	if conf.ServerName == "" {
		conf.ServerName = name
	}
	conf.NextProtos = []string{"http/1.1"}
	tc := tls.Client(nc, conf)
	if err := tc.HandshakeContext(ctx); err != nil {
		if ctx.Err() == nil {
			err = &handshakeError{err}
		}
		return nil, err
	}
	return tc, nil
}

// handshakeError is a TLS connection that did not come about.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "shake hands for TLS: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// dialled tells our own limits, which drop a request, from the target's refusal.
func (c *client) dialled(err error) error {
	switch {
	case c.ctx.Err() != nil:
		return errGone
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return dropFiles
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return dropPorts
	case errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		return dropMemory
	}
	return err
}

// fresh reports whether a kept connection may be used. A real client does not
// trust one to the last moment of the server's patience, and looks before it writes.
func (k *conn) fresh(now time.Duration) bool {
	idle := now - k.used
	if k.idle > 0 && idle > k.idle-min(time.Second, k.idle/2) {
		return false
	}
	return idle < time.Millisecond || k.peek == nil || k.peek()
}

// put keeps a connection for the next request.
func (c *client) put(s *session, to int, k *conn) {
	if !c.shared {
		for len(s.conns) <= to {
			s.conns = append(s.conns, nil)
		}
		s.conns[to] = k
		return
	}
	c.pools[to].put(k)
}

func (c *client) close(k *conn) {
	k.Conn.Close()
	c.mu.Lock()
	delete(c.open, k)
	c.mu.Unlock()
}

// closeAll ends every connection, and with them the requests that use them.
func (c *client) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.open {
		k.Conn.Close()
	}
	c.open = nil // from now on, connect closes what it opens
}

// moments are the times of one request, on the client's clock.
type moments struct {
	wait time.Duration // for a connection, before sent
	sent time.Duration
	// first is when the first byte of the answer came, 0 when none did.
	first time.Duration
	done  time.Duration
}

// exchange sends a request and reads its answer into a. It connects again once if a
// kept connection proves to be closed and the request may be repeated.
func (c *client) exchange(s *session, r *call, b *buffers, a *answer) (moments, error) {
	if c.plan.http2 {
		return c.exchange2(s, r, b, a)
	}
	var m moments
	asked := c.now()
	until := c.start.Add(asked + c.timeout)
	for again := false; ; again = true {
		var k *conn
		var err error
		if again {
			k, err = c.connect(r.target, until)
		} else {
			k, err = c.get(s, r.target, until)
			m.sent = c.now()
			m.wait = m.sent - asked
		}
		if err == nil {
			err = c.once(k, r, b, a, until)
		}
		m.done = c.now()
		m.first = 0
		if b.in.any && k != nil {
			m.first = b.in.first.Sub(c.start)
		}
		if err == nil {
			k.used, k.idle, k.old = m.done, a.idle, true
			if a.close {
				c.close(k)
			} else {
				c.put(s, r.target, k)
			}
			return m, nil
		}
		repeat := k != nil && k.old && r.again && !b.in.any && !timedOut(err)
		if k != nil {
			c.close(k)
		}
		if c.ctx.Err() != nil {
			return m, errGone
		}
		if repeat && !again {
			continue
		}
		if timedOut(err) {
			m.done = asked + c.timeout
		}
		return m, err
	}
}

// once makes one attempt on one connection.
func (c *client) once(k *conn, r *call, b *buffers, a *answer, until time.Time) error {
	if err := k.SetDeadline(until); err != nil {
		return err
	}
	b.in = reader{src: k.Conn, buf: b.in.buf}
	_, sent := k.Write(b.out)
	if timedOut(sent) {
		return sent
	}
	// After a failed write an answer may still be there: servers refuse large bodies early.
	if err := a.read(&b.in, r); err != nil {
		if sent != nil {
			return sent
		}
		return err
	}
	if sent != nil {
		a.close = true
	}
	return nil
}

func timedOut(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// kindOf names what went wrong on the target's side. The set is small and fixed.
func kindOf(err error) string {
	if _, ok := errors.AsType[*handshakeError](err); ok {
		return "tls"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "name"
	}
	switch {
	case timedOut(err):
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case errors.Is(err, errMalformed):
		return "malformed answer"
	case errors.Is(err, errHeaderValue):
		return "line break in a header's value"
	}
	return "network"
}
