package wire

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxSplicing bounds kernel pipes: a user may hold 16384 pipe pages, 64 full pipes
	// of 1 MiB, and beyond that new pipes are too small to be worth it.
	maxSplicing = 32
	sliceBytes  = 1 << 20
	dryAfter    = 50 * time.Millisecond // a source that stays silent so long gives its pipe back
)

var (
	splicing     atomic.Int64  // flows that hold a kernel pipe now
	splicedBytes atomic.Uint64 // moved so far, for tests and benchmarks
)

// splice moves up to limit bytes from src to dst through a kernel pipe of its own, so
// that bytes left in it when ctx ends can be taken out again. It returns errDry when
// src has been silent for a while, errNoSplice when no pipe is to be had, io.EOF at
// the end of src.
func (f *flow) splice(ctx context.Context, src, dst *End, limit int64) (moved int64, err error) {
	if splicing.Add(1) > maxSplicing {
		splicing.Add(-1)
		return 0, errDry // tried again after the next full buffers
	}
	defer splicing.Add(-1)
	k, err := openKernelPipe()
	if err != nil {
		return 0, errNoSplice
	}
	defer k.close()
	defer src.patience(0)
	for moved < limit {
		if err := ctx.Err(); err != nil {
			return moved, err
		}
		src.patience(dryAfter)
		n, err := k.fill(src, limit-moved, true)
		moved += int64(n)
		if f.watch != nil {
			f.watch.skip(int64(n))
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil:
			return moved, errDry
		case moved == 0 && err == unix.EINVAL:
			return 0, errNoSplice
		default:
			return moved, err
		}
		if err := k.empty(dst); err != nil {
			return moved, f.blocked(k.rest(), err)
		}
	}
	return moved, nil
}

// spliceAvailable moves what src has now, up to limit bytes, and does not wait for more.
// Bytes that an interruption left over are back in src.
func spliceAvailable(dst, src *End, limit int64) (moved int64, err error) {
	if src.raw == nil || dst.raw == nil {
		return 0, nil
	}
	k, err := openKernelPipe()
	if err != nil {
		return 0, nil // copying works too
	}
	defer k.close()
	for moved < limit {
		n, err := k.fill(src, limit-moved, false)
		if n == 0 {
			if err == errDry || err == unix.EINVAL {
				err = nil
			}
			return moved, err
		}
		err = k.empty(dst)
		moved += int64(n - k.held)
		if err != nil {
			src.Unread(k.rest())
			return moved, err
		}
	}
	return moved, nil
}

// kernelPipe is a pipe(2) and the two callbacks that work on it, bound once.
type kernelPipe struct {
	r, w     int
	held     int // bytes inside
	want     int
	wait     bool
	err      error
	fillFrom func(fd uintptr) bool
	emptyTo  func(fd uintptr) bool
}

func openKernelPipe() (*kernelPipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, sliceBytes) // a smaller pipe works too
	k := &kernelPipe{r: fds[0], w: fds[1]}
	k.fillFrom = k.fillOnce
	k.emptyTo = k.emptyOnce
	return k, nil
}

func (k *kernelPipe) close() {
	unix.Close(k.r) // nothing can be done about a failure, and nothing is lost by it
	unix.Close(k.w)
}

// fill takes up to limit bytes from a socket into the empty pipe. The end of the stream
// is io.EOF. Without wait, a socket that has nothing is errDry.
func (k *kernelPipe) fill(src *End, limit int64, wait bool) (int, error) {
	k.want, k.wait, k.err = int(min(limit, sliceBytes)), wait, nil
	if err := src.raw.Read(k.fillFrom); err != nil {
		return 0, err
	}
	if k.held == 0 && k.err == nil {
		return 0, io.EOF
	}
	src.pos.Add(uint64(k.held))
	splicedBytes.Add(uint64(k.held))
	return k.held, k.err
}

func (k *kernelPipe) fillOnce(fd uintptr) bool {
	for {
		n, err := unix.Splice(int(fd), nil, k.w, nil, k.want, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		switch err {
		case unix.EINTR:
		case unix.EAGAIN: // the pipe is empty, so it is the socket that has nothing
			if k.wait {
				return false
			}
			k.held, k.err = 0, errDry
			return true
		default:
			k.held, k.err = int(max(n, 0)), err
			return true
		}
	}
}

// empty puts all bytes of the pipe into a socket, waiting for room.
func (k *kernelPipe) empty(dst *End) error {
	k.err = nil
	if err := dst.raw.Write(k.emptyTo); err != nil {
		return err
	}
	return k.err
}

func (k *kernelPipe) emptyOnce(fd uintptr) bool {
	for k.held > 0 {
		n, err := unix.Splice(k.r, nil, int(fd), nil, k.held, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		switch {
		case n > 0:
			k.held -= int(n)
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return false
		case err == nil:
			k.err = io.ErrShortWrite
			return true
		default:
			k.err = err
			return true
		}
	}
	return true
}

// rest takes out what could not be written.
func (k *kernelPipe) rest() []byte {
	b := make([]byte, k.held)
	n := 0
	for n < len(b) {
		m, err := unix.Read(k.r, b[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || m == 0 {
			break // cannot happen: the bytes were counted in
		}
		n += m
	}
	k.held = 0
	return b[:n]
}
