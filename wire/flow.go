package wire

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"sync"
)

// bufferSize is as fast as any larger one up to where splice takes over.
const bufferSize = 32 << 10

type buffer [bufferSize]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// takeHolding reads into a pooled buffer that it holds while it waits.
func takeHolding(r io.Reader) (*buffer, int, error) {
	b := buffers.Get().(*buffer)
	n, err := r.Read(b[:])
	if n == 0 {
		buffers.Put(b)
		b = nil
	}
	return b, n, err
}

// watcher reads one direction on the side. see gets the bytes in order, before they
// are forwarded, and must not keep them. opaque is how many of the next bytes it does
// not need; the flow may then move some of them unread and say so with skip. end is
// told that no more come, before the receiver is.
type watcher interface {
	see(b []byte)
	opaque() int64
	skip(n int64)
	end()
}

const (
	fullReads = 4         // so many full buffers in a row make a flow bulk
	bulkBytes = 256 << 10 // less than this is not worth a kernel pipe
)

// flow moves the bytes of one direction.
type flow struct {
	dst, src net.Conn
	watch    watcher // nil: nobody looks
	taker    *taker  // nil: src is not an End
	full     int
	noSplice bool
}

func newFlow(dst, src net.Conn, w watcher) *flow {
	f := &flow{dst: dst, src: src, watch: w}
	from, ok := src.(*End)
	to, ok2 := dst.(*End)
	if ok {
		f.taker = newTaker(from)
	}
	f.noSplice = !ok || !ok2 || from.raw == nil || to.raw == nil
	return f
}

// run returns nil at EOF of src, ctx's error when ctx ended, an errWrite when dst
// broke and any other error when src broke.
func (f *flow) run(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		done, err := false, error(nil)
		if f.full >= fullReads && !f.noSplice {
			done, err = f.bulk(ctx)
		}
		if !done && err == nil {
			err = f.step()
		}
		switch {
		case err == nil:
		case err == io.EOF:
			if f.watch != nil {
				f.watch.end()
			}
			return nil
		case ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded):
			return ctx.Err()
		default:
			return err
		}
	}
}

// step forwards what one read returns.
func (f *flow) step() error {
	var b *buffer
	var n int
	var err error
	if f.taker != nil {
		b, n, err = f.taker.take()
	} else {
		b, n, err = takeHolding(f.src)
	}
	if n == 0 {
		return err
	}
	defer buffers.Put(b)
	if n == len(b) {
		f.full++
	} else {
		f.full = 0
	}
	if f.watch != nil {
		f.watch.see(b[:n])
	}
	w, werr := f.dst.Write(b[:n])
	if werr == nil {
		return err
	}
	return f.blocked(b[w:n], werr)
}

// blocked decides about bytes that dst did not take: after an interruption they go
// back to src, for the next pipe.
func (f *flow) blocked(rest []byte, err error) error {
	if u, ok := f.src.(unreader); ok && errors.Is(err, os.ErrDeadlineExceeded) {
		u.Unread(rest)
		return err
	}
	return errWrite{err}
}

// bulk moves bytes that nobody needs to see through the kernel. done is false when
// there is nothing for it to move; the flow then reads as usual.
func (f *flow) bulk(ctx context.Context) (done bool, err error) {
	limit := int64(math.MaxInt64)
	if f.watch != nil {
		limit = f.watch.opaque()
	}
	src := f.src.(*End)
	if limit < bulkBytes || len(src.back) > 0 {
		return false, nil
	}
	moved, err := f.splice(ctx, src, f.dst.(*End), limit)
	if err == errNoSplice {
		f.noSplice = true
		return false, nil
	}
	if err == errDry {
		f.full, err = 0, nil
	}
	return moved > 0 || err != nil, err
}

var (
	errNoSplice = errors.New("splice is not available here")
	errDry      = errors.New("source ran dry")
)
