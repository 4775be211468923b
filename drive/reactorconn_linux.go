package drive

import (
	"time"

	"golang.org/x/sys/unix"
)

// connectFor finds a connection for a request: one that is kept, or a new one.
func (r *reactor) connectFor(a *asking) {
	to := a.r.target
	if !r.e.client.shared {
		if s := a.s; to < len(s.own) && s.own[to] != nil {
			k := s.own[to]
			s.own[to] = nil
			if r.fresh(k) {
				r.send(a, k)
				return
			}
			r.drop(k)
		}
		r.dial(a, to)
		return
	}
	for idle := r.idle[to]; len(idle) > 0; {
		k := idle[len(idle)-1]
		idle = idle[:len(idle)-1]
		r.idle[to] = idle
		if r.fresh(k) {
			r.send(a, k)
			return
		}
		r.drop(k)
	}
	a.waiting = true
	r.line[to] = append(r.line[to], a)
	if r.dials[to] < maxDials {
		r.dial(nil, to)
	}
}

// fresh is conn.fresh; that the other side has closed is known from the events.
func (r *reactor) fresh(k *socket) bool {
	if k.state == closed {
		return false
	}
	idle := r.e.client.now() - k.used
	return k.idle == 0 || idle <= k.idle-min(time.Second, k.idle/2)
}

// dial opens a connection for one request, or for whoever is first in line.
func (r *reactor) dial(a *asking, to int) {
	k := &socket{fd: -1, to: to, now: a}
	if a != nil {
		a.k = k
	} else {
		r.dials[to]++
	}
	r.connect(k)
}

// connect begins to connect to the next address of the target.
func (r *reactor) connect(k *socket) {
	addr := r.addrs[k.to][k.at]
	family := unix.AF_INET
	if _, six := addr.(*unix.SockaddrInet6); six {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		r.refuse(k, err)
		return
	}
	r.turn++
	k.fd, k.turn, k.state = fd, r.turn, connecting
	if fd >= r.e.client.limit-reserveFiles(r.e.client.limit) {
		unix.Close(fd)
		k.fd = -1
		r.refuse(k, dropFiles)
		return
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	for len(r.sockets) <= fd {
		r.sockets = append(r.sockets, nil)
	}
	r.sockets[fd] = k
	err = unix.Connect(fd, addr)
	if err == nil || err == unix.EINPROGRESS {
		ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&(1<<32-1), Fd: int32(fd), Pad: k.turn}
		err = unix.EpollCtl(r.poll, unix.EPOLL_CTL_ADD, fd, &ev)
	}
	if err != nil {
		r.refuse(k, err)
	}
}

// refuse handles a connection that could not be opened: the target's next address is
// tried, then whoever waited for it hears the reason.
func (r *reactor) refuse(k *socket, err error) {
	r.drop(k)
	if k.at++; k.at < len(r.addrs[k.to]) {
		r.connect(k)
		return
	}
	err = r.e.client.dialled(err)
	a := k.now
	if k.now = nil; a == nil {
		r.dials[k.to]--
		a = r.nextInLine(k.to)
	}
	if a == nil {
		return
	}
	now := r.e.client.now()
	if !a.again {
		a.m.wait, a.m.sent = now-a.asked, now
	}
	a.m.done = now
	r.fail(a, err)
	r.dialMore(k.to)
}

// nextInLine takes whoever has waited longest out of the line, nil when nobody waits.
func (r *reactor) nextInLine(to int) *asking {
	line := r.line[to]
	for len(line) > 0 {
		a := line[0]
		line[0] = nil
		if line = line[1:]; a != nil {
			r.line[to] = line
			a.waiting = false
			return a
		}
	}
	r.line[to] = line[:0]
	return nil
}

// dialMore opens another connection while more people wait than others dial for.
func (r *reactor) dialMore(to int) {
	if len(r.line[to]) > r.dials[to] && r.dials[to] < maxDials {
		r.dial(nil, to)
	}
}

// connected gives a new connection to whoever waits for it.
func (r *reactor) connected(k *socket) {
	k.state = usable
	a := k.now
	if k.now = nil; a == nil {
		r.dials[k.to]--
		a = r.nextInLine(k.to)
	}
	if a == nil {
		r.idle[k.to] = append(r.idle[k.to], k)
		return
	}
	r.send(a, k)
	r.dialMore(k.to)
}

// keep keeps a connection for the next request, or gives it to whoever waits.
func (r *reactor) keep(s *session, k *socket) {
	if !r.e.client.shared {
		for len(s.own) <= k.to {
			s.own = append(s.own, nil)
		}
		s.own[k.to] = k
		return
	}
	if a := r.nextInLine(k.to); a != nil {
		r.send(a, k)
		return
	}
	r.idle[k.to] = append(r.idle[k.to], k)
}

// drop closes a connection.
func (r *reactor) drop(k *socket) {
	if k.state == closed || k.fd < 0 {
		k.state = closed
		return
	}
	k.state = closed
	r.sockets[k.fd] = nil
	unix.Close(k.fd) // the kernel forgets it in the poll as well
	k.fd, k.unsent, k.part = -1, nil, nil
}
