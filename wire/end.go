package wire

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// End is one side of a connection as an Edge hands it to a Pipe: a *net.TCPConn or
// *net.UnixConn that can take bytes back. One goroutine reads at a time; that
// goroutine alone calls Unread. Reads and writes may run concurrently.
//
// io.Copy and io.CopyN from one End to another use splice(2) where the system has it.
type End struct {
	net.Conn
	raw syscall.RawConn // nil: no descriptor to wait on

	back []byte        // read, then given back: comes before the socket's bytes
	pos  atomic.Uint64 // bytes taken out for good: read and not given back

	mu     sync.Mutex
	halted bool // a deadline in the past is set; keep it
}

func newEnd(c net.Conn) *End {
	e := &End{Conn: c}
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			e.raw = raw
		}
	}
	return e
}

// Read returns bytes given back first, then the socket's.
func (e *End) Read(b []byte) (int, error) {
	if len(e.back) > 0 {
		n := copy(b, e.back)
		e.took(n)
		return n, nil
	}
	n, err := e.Conn.Read(b)
	e.pos.Add(uint64(n))
	return n, err
}

// took removes n bytes from those given back.
func (e *End) took(n int) {
	e.pos.Add(uint64(n))
	if e.back = e.back[n:]; len(e.back) == 0 {
		e.back = nil // lets go of the array
	}
}

// Unread gives b back, so that the next Read returns it before anything else. b is
// copied. It is how a pipe whose context ended hands over what it could not write.
func (e *End) Unread(b []byte) {
	if len(b) == 0 {
		return
	}
	e.pos.Add(-uint64(len(b)))
	e.back = append(append(make([]byte, 0, len(b)+len(e.back)), b...), e.back...)
}

// ReadFrom is what io.Copy and io.CopyN to an End use. When it is interrupted, bytes that
// were read and not written are given back to the reader, if that is an End or embeds
// one, and do not count as copied.
func (e *End) ReadFrom(r io.Reader) (total int64, err error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		limited = &io.LimitedReader{R: r, N: math.MaxInt64}
	}
	full := 0
	for limited.N > 0 {
		if src, ok := limited.R.(*End); ok && full >= fullReads && limited.N >= bulkBytes && len(src.back) == 0 {
			moved, err := spliceAvailable(e, src, limited.N)
			total += moved
			limited.N -= moved
			full = 0
			if err == io.EOF {
				return total, nil
			}
			if err != nil {
				return total, err
			}
			continue
		}
		n, err := e.readStep(limited)
		total += int64(n)
		if n == bufferSize {
			full++
		} else {
			full = 0
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// readStep copies what one read returns.
func (e *End) readStep(limited *io.LimitedReader) (int, error) {
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	n, err := limited.R.Read(b[:min(int64(len(b)), limited.N)])
	w, werr := e.Conn.Write(b[:n])
	limited.N -= int64(w)
	if werr == nil {
		return w, err
	}
	if u, ok := limited.R.(unreader); ok && errors.Is(werr, os.ErrDeadlineExceeded) {
		u.Unread(b[w:n])
	}
	return w, werr
}

// unreader is an End, or a wrapper that embeds one.
type unreader interface{ Unread(b []byte) }

// CloseWrite ends the direction towards this end; the peer reads EOF.
func (e *End) CloseWrite() error {
	if c, ok := e.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// SetLinger is that of *net.TCPConn; 0 makes Close send a reset. A Unix socket has no
// such thing and ignores it.
func (e *End) SetLinger(sec int) error {
	if c, ok := e.Conn.(*net.TCPConn); ok {
		return c.SetLinger(sec)
	}
	return nil
}

// Reset closes the end so that its peer sees a reset, also while another goroutine
// reads or writes.
func (e *End) Reset() error {
	e.SetLinger(0) // fails only on a closed socket, which Close then reports
	return e.Close()
}

func (e *End) halt() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.halted = true
	e.Conn.SetDeadline(past) // fails only on a closed socket, where nothing waits
}

func (e *End) resume() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.halted = false
	e.Conn.SetDeadline(time.Time{}) // as above
}

// patience limits how long the next read may wait; 0 is for ever. A halt stays.
func (e *End) patience(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.halted {
		return
	}
	var t time.Time
	if d > 0 {
		t = time.Now().Add(d)
	}
	e.Conn.SetReadDeadline(t) // as above
}
