package drive

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync/atomic"
	"syscall"
	"time"
)

// http2 speaks HTTP/2 by the standard library's client, which shares connections
// among the requests that use one http2. The zero value is ready.
type http2 struct {
	transport atomic.Pointer[http.Transport]
}

// get returns the transport and makes it first if there is none. Of two that are made
// at once one is forgotten unused.
func (h *http2) get(c *client) *http.Transport {
	if t := h.transport.Load(); t != nil {
		return t
	}
	t := &http.Transport{
		Protocols:          new(http.Protocols),
		DisableCompression: true,
		IdleConnTimeout:    keepIdle,
		DialContext:        c.dial2,
		TLSClientConfig:    &tls.Config{},
	}
	if c.plan.tls != nil {
		t.TLSClientConfig = c.plan.tls.Clone()
	}
	t.Protocols.SetHTTP2(true)
	t.Protocols.SetUnencryptedHTTP2(true)
	if !h.transport.CompareAndSwap(nil, t) {
		return h.transport.Load()
	}
	return t
}

// close ends the connections that no request uses.
func (h *http2) close() {
	if t := h.transport.Load(); t != nil {
		t.CloseIdleConnections()
	}
}

// dial2 opens a connection that the client closes at the end like any other.
func (c *client) dial2(ctx context.Context, _, addr string) (net.Conn, error) {
	for i, t := range c.plan.targets {
		if t.addr != addr {
			continue
		}
		until, ok := ctx.Deadline()
		if !ok {
			until = time.Now().Add(c.timeout)
		}
		k, err := c.connect(i, until)
		if err != nil {
			return nil, err
		}
		return &held{k, c}, nil
	}
	return nil, errors.New("no target is at " + addr)
}

// held takes a connection off the client's list when the transport closes it.
type held struct {
	*conn
	c *client
}

func (h *held) Close() error {
	h.c.close(h.conn)
	return nil
}

// exchange2 is exchange over HTTP/2. The request was rendered as HTTP/1.1, so that
// there is one place where values are filled in.
func (c *client) exchange2(s *session, r *call, b *buffers, a *answer) (m moments, err error) {
	asked := c.now()
	m.sent, m.done = asked, asked
	ctx, cancel := context.WithDeadline(c.ctx, c.start.Add(asked+c.timeout))
	defer cancel()
	var got, first atomic.Int64
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { got.CompareAndSwap(0, int64(c.now())) },
		GotFirstResponseByte: func() { first.CompareAndSwap(0, int64(c.now())) },
	})
	req, err := c.request2(ctx, r, b)
	if err != nil {
		return m, err
	}
	h := &c.shared2
	if !c.shared {
		h = &s.second
	}
	resp, err := h.get(c).RoundTrip(req)
	if err == nil {
		err = a.from(resp, r)
	}
	m.done = c.now()
	if at := time.Duration(got.Load()); at > 0 {
		m.sent = at
	} else if err != nil {
		m.sent = m.done
	}
	m.wait, m.first = m.sent-asked, time.Duration(first.Load())
	return m, c.failed2(&m, asked, err)
}

// request2 reads back what was rendered.
func (c *client) request2(ctx context.Context, r *call, b *buffers) (*http.Request, error) {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b.out)))
	if err != nil {
		return nil, err
	}
	t := c.plan.targets[r.target]
	req.RequestURI, req.URL.Host, req.URL.Scheme = "", t.addr, "http"
	if t.name != "" {
		req.URL.Scheme = "https"
	}
	return req.WithContext(ctx), nil
}

// failed2 sorts the errors of the standard client into ours.
func (c *client) failed2(m *moments, asked time.Duration, err error) error {
	if err == nil {
		return nil
	}
	if why, ok := errors.AsType[refused](err); ok {
		return why
	}
	if c.ctx.Err() != nil {
		return errGone
	}
	if timedOut(err) {
		m.done = asked + c.timeout
		return err
	}
	for _, e := range []syscall.Errno{syscall.ECONNREFUSED, syscall.ECONNRESET} {
		if errors.Is(err, e) {
			return err
		}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &handshakeError{err}
	}
	return err
}

// from reads an answer of the standard client to its end.
func (a *answer) from(resp *http.Response, want *call) error {
	defer resp.Body.Close()
	*a = answer{status: resp.StatusCode, body: a.body[:0], headers: a.headers[:0]}
	for name, values := range resp.Header {
		if low := []byte(name); !is(low, "set-cookie") && !is(low, "content-encoding") && !want.wants(low) {
			continue
		}
		for _, v := range values {
			a.headers = append(a.headers, header{textproto.CanonicalMIMEHeaderKey(name), v})
		}
	}
	if want.wantsBody() {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxKept))
		a.body, a.bytes = append(a.body, body...), int64(len(body))
		if err != nil {
			return err
		}
	}
	n, err := io.Copy(io.Discard, resp.Body)
	a.bytes += n
	return err
}
