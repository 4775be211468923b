package drive

import (
	"errors"
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ask begins the session's next request.
func (r *reactor) ask(s *session) {
	e := r.e
	c := s.flow.calls[s.at]
	a := r.borrow()
	*a = asking{s: s, r: c, t: e.tallies[mix(s.id)%uint64(len(e.tallies))], due: s.due, counted: s.due >= e.load.Warm, asked: e.client.now()}
	if a.counted {
		a.t.begin(a.due, a.asked)
	}
	a.before = r.last
	if r.last != nil {
		r.last.after = a
	} else {
		r.first = a
	}
	r.last = a
	if r.open++; r.open > maxFast {
		r.fail(a, dropConns)
		return
	}
	r.connectFor(a)
}

func (r *reactor) borrow() *asking {
	if n := len(r.free); n > 0 {
		a := r.free[n-1]
		r.free = r.free[:n-1]
		return a
	}
	return &asking{}
}

// finish takes a request out of the books and keeps it for another.
func (r *reactor) finish(a *asking) {
	if a.before != nil {
		a.before.after = a.after
	} else {
		r.first = a.after
	}
	if a.after != nil {
		a.after.before = a.before
	} else {
		r.last = a.before
	}
	r.open--
	if a.waiting { // it stays in line until its turn comes, and is then skipped
		line := r.line[a.r.target]
		for i := range line {
			if line[i] == a {
				line[i] = nil
				break
			}
		}
		for len(line) > 0 && line[0] == nil { // time is out for the first in line first
			line = line[1:]
		}
		r.line[a.r.target] = line
	}
	*a = asking{}
	r.free = append(r.free, a)
}

// send writes a request to a connection.
func (r *reactor) send(a *asking, k *socket) {
	if err := a.s.write(a.r, r.b); err != nil {
		now := r.e.client.now()
		a.m = moments{sent: now, done: now}
		r.keep(a.s, k)
		r.fail(a, err)
		return
	}
	a.k, k.now = k, a
	k.frame.reset()
	k.part = nil
	if !a.again {
		a.m.sent = r.e.client.now()
		a.m.wait = a.m.sent - a.asked
	}
	r.flush(k, r.b.out)
}

// flush writes as much as the kernel takes and keeps the rest. After a failed write
// an answer may still be there: servers refuse large bodies early. So the error shows
// when the answer is read.
func (r *reactor) flush(k *socket, p []byte) {
	for len(p) > 0 {
		n, _, err := syscall.RawSyscall(unix.SYS_WRITE, uintptr(k.fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			k.unsent = append(k.unsent[:0], p...)
			return
		}
		if err != 0 {
			k.unsent = nil
			r.read(k, err, true)
			return
		}
		p = p[n:]
	}
	k.unsent = nil
}

// event handles what the kernel reports about a connection.
func (r *reactor) event(k *socket, what uint32) {
	if k.state == connecting {
		if what&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
			return
		}
		if v, err := unix.GetsockoptInt(k.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || v != 0 {
			if err == nil {
				err = syscall.Errno(v)
			}
			r.refuse(k, err)
			return
		}
		r.connected(k)
		if k.state != usable || what&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP) == 0 {
			return // else it has spoken or closed already, and no event will say so again
		}
	}
	if what&unix.EPOLLOUT != 0 && len(k.unsent) > 0 {
		rest := k.unsent
		k.unsent = nil
		r.flush(k, rest)
		if k.state == closed {
			return
		}
	}
	if what&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		r.read(k, 0, what&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	}
}

// read takes in what has come. wrote is the error of a write that failed before, and
// ended is true when the other side will say no more: no event announces it again.
func (r *reactor) read(k *socket, wrote syscall.Errno, ended bool) {
	for {
		n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(k.fd), uintptr(unsafe.Pointer(&r.in[0])), uintptr(len(r.in)))
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			if wrote != 0 {
				r.broke(k, os.NewSyscallError("write", wrote))
			}
			return
		case k.now == nil: // it said or closed something while idle: not to be used again
			r.drop(k)
			return
		case errno != 0:
			r.broke(k, os.NewSyscallError("read", errno))
			return
		case n == 0:
			if err := k.frame.ended(); err != nil {
				r.broke(k, err)
				return
			}
			r.answered(k, r.partOf(k), true)
			return
		}
		a, ans := k.now, r.partOf(k)
		fresh := !k.frame.any
		done, err := k.frame.feed(r.in[:n], ans, a.r, &r.scratch)
		if err != nil {
			r.broke(k, err)
			return
		}
		if done {
			r.answered(k, ans, ended || wrote != 0 || len(k.unsent) > 0)
			return
		}
		if fresh { // the rest is to come: else it is the time of the last byte as well
			a.m.first = r.e.client.now()
		}
		if k.part == nil && k.frame.stage != atHead {
			k.part = &answer{}
			*k.part, r.b.ans = r.b.ans, answer{}
		}
		if int(n) < len(r.in) && !ended {
			return // all that was there; more comes with another event
		}
	}
}

// partOf is where the answer is put together: the reactor's own, unless a part of it
// came before.
func (r *reactor) partOf(k *socket) *answer {
	if k.part != nil {
		return k.part
	}
	return &r.b.ans
}

// broke handles a connection that ended before the answer did.
func (r *reactor) broke(k *socket, err error) {
	a := k.now
	k.now = nil
	r.drop(k)
	a.k = nil
	a.m.done = r.e.client.now()
	if k.old && a.r.again && !k.frame.any && !a.again {
		a.again = true
		r.dial(a, k.to)
		return
	}
	r.fail(a, err)
}

// answered handles a whole answer.
func (r *reactor) answered(k *socket, ans *answer, spent bool) {
	a := k.now
	k.now, k.part = nil, nil
	a.m.done = r.e.client.now()
	if a.m.first == 0 {
		a.m.first = a.m.done
	}
	k.used, k.idle, k.old = a.m.done, ans.idle, true
	kind, cut := a.s.judge(a.r, ans)
	if spent || ans.close {
		r.drop(k)
	} else {
		r.keep(a.s, k)
	}
	r.over(a, kind, cut)
}

// fail ends a request that has no answer.
func (r *reactor) fail(a *asking, err error) {
	if k := a.k; k != nil {
		k.now = nil
		r.drop(k)
	}
	if why, ok := errors.AsType[refused](err); ok {
		if a.counted {
			a.t.drop(why, a.asked, r.e.client.now())
		}
		s := a.s
		r.finish(a)
		r.end(s)
		return
	}
	if err == errGone {
		if a.counted {
			a.t.abandon(a.r.route, a.due, a.asked, a.m)
		}
		s := a.s
		r.finish(a)
		r.end(s)
		return
	}
	if err == io.EOF && a.k == nil && a.m.sent == 0 {
		a.m.sent = a.m.done
	}
	r.over(a, kindOf(err), len(a.r.keep) > 0)
}

// over counts a request and takes its session on.
func (r *reactor) over(a *asking, kind string, cut bool) {
	s := a.s
	s.due = a.m.done
	if a.counted {
		a.t.end(a.r.route, a.due, a.asked, a.m, kind)
	}
	r.finish(a)
	if cut {
		r.end(s)
		return
	}
	r.went(s)
}
