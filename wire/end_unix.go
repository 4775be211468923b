//go:build unix

package wire

import (
	"io"
	"syscall"
)

// taker reads from an End without holding a buffer while it waits: ten thousand idle
// connections then cost no buffer at all.
type taker struct {
	end *End
	buf *buffer
	n   int
	err error
	try func(fd uintptr) bool // attempt, bound once so that a read allocates nothing
}

func newTaker(e *End) *taker {
	t := &taker{end: e}
	t.try = t.attempt
	return t
}

// take returns a pooled buffer with n bytes in it. The caller gives the buffer back;
// it is nil when n is 0.
func (t *taker) take() (*buffer, int, error) {
	if len(t.end.back) > 0 || t.end.raw == nil {
		return takeHolding(t.end)
	}
	t.buf, t.n, t.err = nil, 0, nil
	err := t.end.raw.Read(t.try)
	if err == nil {
		err = t.err
	}
	if err == nil && t.n > 0 {
		t.end.pos.Add(uint64(t.n))
		return t.buf, t.n, nil
	}
	if t.buf != nil {
		buffers.Put(t.buf)
	}
	if err == nil {
		err = io.EOF
	}
	return nil, 0, err
}

func (t *taker) attempt(fd uintptr) bool {
	t.buf = buffers.Get().(*buffer)
	for {
		t.n, t.err = syscall.Read(int(fd), t.buf[:])
		if t.err != syscall.EINTR {
			break
		}
	}
	if t.err != syscall.EAGAIN {
		return true
	}
	buffers.Put(t.buf)
	t.buf, t.n, t.err = nil, 0, nil
	return false
}
