package drive

import (
	"container/heap"
	"context"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reactor offers a share of the sessions on one thread: it waits for the next
// request that is due and for answers in one system call, and nothing in it waits
// for anything else. A goroutine per request costs twice as much, and its sender may
// have to wait for a processor.
type reactor struct {
	e      *engine
	share  uint64 // of the sessions: those whose number leaves it when divided by shares
	shares uint64
	poll   int
	limit  int // of descriptors

	arrivals *arrivals
	asleep   sleepers
	ready    []*session
	addrs    [][]unix.Sockaddr // of each target

	sockets []*socket   // by descriptor
	idle    [][]*socket // by target; the last one used is taken first
	dials   []int       // under way, by target
	line    [][]*asking // that wait for a connection, by target
	first   *asking     // of those without an answer, in the order of asked
	last    *asking
	open    int
	turn    int32

	free    []*asking
	b       *buffers
	scratch reader
	in      []byte
	events  []unix.EpollEvent
}

// maxFast bounds the requests that a reactor has open: each costs about 500 bytes.
const maxFast = 250_000

// perReactor is how many requests a second one thread is trusted with.
const perReactor = 40_000

// react makes the reactors that offer this load, and reports whether they can.
func (e *engine) react() bool {
	rate := max(e.load.Calls, e.load.MaxRate)
	if e.load.Users > 0 {
		rate = e.load.Users / e.plan.length().Seconds() * e.plan.requests
	}
	if e.load.Loop > 0 {
		rate = perReactor * float64(e.load.Loop) / 16
	}
	if n := len(e.load.At); n > 0 {
		rate = float64(n) / max(e.load.At[n-1].Seconds(), 1)
	}
	n := min(1+int(max(rate, e.load.From)/perReactor), runtime.GOMAXPROCS(0))
	addrs, ok := e.resolve()
	if !ok {
		return false
	}
	for i := range n {
		poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			for _, r := range e.reactors {
				unix.Close(r.poll)
			}
			e.reactors = nil
			return false
		}
		r := &reactor{
			e: e, share: uint64(i), shares: uint64(n), poll: poll, addrs: ownAddrs(addrs), limit: e.client.limit / n,
			idle: make([][]*socket, len(addrs)), dials: make([]int, len(addrs)), line: make([][]*asking, len(addrs)),
			b: borrow(), in: make([]byte, maxHead), events: make([]unix.EpollEvent, 512),
		}
		a := *e.pacer.arrivals
		r.arrivals = &a
		e.reactors = append(e.reactors, r)
	}
	return true
}

// ownAddrs copies addresses: to connect to one writes into it.
func ownAddrs(of [][]unix.Sockaddr) [][]unix.Sockaddr {
	out := make([][]unix.Sockaddr, len(of))
	for i, addrs := range of {
		for _, a := range addrs {
			switch a := a.(type) {
			case *unix.SockaddrInet4:
				out[i] = append(out[i], &unix.SockaddrInet4{Port: a.Port, Addr: a.Addr})
			case *unix.SockaddrInet6:
				out[i] = append(out[i], &unix.SockaddrInet6{Port: a.Port, Addr: a.Addr})
			}
		}
	}
	return out
}

// resolve looks up the targets before the load begins: a name server is not part of
// what is measured.
func (e *engine) resolve() ([][]unix.Sockaddr, bool) {
	if e.plan.http2 {
		return nil, false // the other client can
	}
	var out [][]unix.Sockaddr
	for _, t := range e.plan.targets {
		if t.name != "" {
			return nil, false
		}
		host, port, err := net.SplitHostPort(t.addr)
		if err != nil {
			return nil, false
		}
		ips, err := net.DefaultResolver.LookupNetIP(e.client.ctx, "ip", host)
		n, errPort := net.DefaultResolver.LookupPort(e.client.ctx, "tcp", port)
		if err != nil || errPort != nil {
			return nil, false
		}
		var to []unix.Sockaddr
		for _, ip := range ips {
			if ip = ip.Unmap(); !ip.IsLoopback() && !e.plan.beyond {
				return nil, false // the other client says so
			}
			if ip.Is4() {
				to = append([]unix.Sockaddr{&unix.SockaddrInet4{Port: n, Addr: ip.As4()}}, to...)
			} else {
				to = append(to, &unix.SockaddrInet6{Port: n, Addr: ip.As16()})
			}
		}
		if len(to) == 0 {
			return nil, false
		}
		out = append(out, to)
	}
	return out, true
}

// start runs the reactors; paced is closed when no session arrives any more.
func (e *engine) startReactors(paced chan<- struct{}) {
	var pacing sync.WaitGroup
	pacing.Add(len(e.reactors))
	for _, r := range e.reactors {
		e.sessions.Go(func() { r.run(pacing.Done) })
	}
	e.sessions.Go(func() {
		pacing.Wait()
		close(paced)
	})
}

// run offers the load, and then waits for what is open until it is abandoned.
func (r *reactor) run(paced func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // 50 µs otherwise; per thread
	defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) }()
	giveBack := reserve()
	defer giveBack()
	defer r.close()
	for i := range r.e.load.Loop {
		if uint64(i)%r.shares == r.share {
			r.again(uint64(i))
		}
	}
	pacing := true
	reap := time.Second
	for ctx := r.e.client.ctx; ctx.Err() == nil; {
		now := r.e.client.now()
		if pacing {
			if r.e.stop.Load() || now >= r.e.load.For {
				pacing = false
				r.emit(min(now, r.e.load.For-1), !r.e.stop.Load())
				paced()
			} else {
				r.emit(now, true)
			}
		}
		r.serveReady()
		r.expire(now)
		if !pacing && r.open == 0 {
			break
		}
		if now > reap {
			reap = now + time.Second
			r.reap(now)
		}
		r.wait(r.next(pacing))
	}
	if pacing {
		paced()
	}
}

// next is until when there is nothing to do but to listen.
func (r *reactor) next(pacing bool) time.Duration {
	at := r.e.client.now() + tick
	if pacing {
		at = min(at, r.arrivals.next.at, r.e.load.For)
		if len(r.asleep) > 0 {
			at = min(at, r.asleep[0].due)
		}
	}
	if r.first != nil {
		at = min(at, r.first.asked+r.e.client.timeout)
	}
	return at
}

// emit starts the sessions that are due by now and takes on those that paused. It
// never skips what is due: after a stall it emits everything, late.
func (r *reactor) emit(now time.Duration, all bool) {
	e := r.e
	for all && r.arrivals.next.at <= now {
		a := r.arrivals.pop()
		if mix(a.session)%r.shares != r.share {
			continue
		}
		s := newSession(e.plan, e.plan.journeyOf(a.session), a.session)
		s.due = a.at
		if e.pauses && s.flow.calls[0].pause > 0 {
			s.due += e.plan.pauseOf(s.id, s.flow.calls[0].step, s.flow.calls[0].pause)
			heap.Push(&r.asleep, s)
			continue
		}
		r.ask(s)
	}
	for len(r.asleep) > 0 && r.asleep[0].due <= now {
		s := heap.Pop(&r.asleep).(*session)
		if s.due < e.load.For {
			r.ask(s) // else its connection is closed with the others
		}
	}
}

// serveReady goes on with sessions that do not pause.
func (r *reactor) serveReady() {
	for i := 0; i < len(r.ready); i++ {
		r.ask(r.ready[i])
		r.ready[i] = nil
	}
	r.ready = r.ready[:0]
}

// went takes a session on after an answer, as engine.follow does.
func (r *reactor) went(s *session) {
	e := r.e
	if s.at++; s.at == len(s.flow.calls) || e.stop.Load() {
		r.end(s)
		return
	}
	if next := s.flow.calls[s.at]; e.pauses && next.pause > 0 {
		s.due += e.plan.pauseOf(s.id, next.step, next.pause)
		heap.Push(&r.asleep, s) // also past the end: until then this user is here, connected
		return
	}
	if s.due >= e.load.For {
		r.end(s)
		return
	}
	r.ready = append(r.ready, s)
}

// end closes the connections of a session that is over.
func (r *reactor) end(s *session) {
	for _, k := range s.own {
		if k != nil {
			r.drop(k)
		}
	}
	s.own = nil
	if n := r.e.load.Loop; n > 0 && !r.e.stop.Load() {
		r.again(s.id + uint64(n))
	}
}

// again begins the next session of a closed loop.
func (r *reactor) again(id uint64) {
	now := r.e.client.now()
	if now >= r.e.load.For {
		return
	}
	s := newSession(r.e.plan, r.e.plan.journeyOf(id), id)
	s.due = now
	r.ready = append(r.ready, s)
}

// wait listens for answers until a time.
func (r *reactor) wait(until time.Duration) {
	n := r.listen(0)
	if n == 0 {
		if rest := until - r.e.client.now(); rest > 0 && len(r.ready) == 0 {
			n = r.listen(rest)
		}
	}
	for i := range max(n, 0) {
		ev := &r.events[i]
		if k := r.sockets[ev.Fd]; k != nil && k.turn == ev.Pad {
			r.event(k, ev.Events)
		}
	}
}

// listen asks the kernel for events. A call that does not wait bypasses the
// scheduler, which would give the processor away and back.
func (r *reactor) listen(rest time.Duration) int {
	events, most := unsafe.Pointer(&r.events[0]), uintptr(len(r.events))
	if rest <= 0 {
		n, _, err := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(r.poll), uintptr(events), most, 0, 0, 0)
		if err != 0 {
			return 0
		}
		return int(n)
	}
	ts := unix.NsecToTimespec(int64(rest))
	n, _, err := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(r.poll), uintptr(events), most, uintptr(unsafe.Pointer(&ts)), 0, 0)
	if err == unix.ENOSYS { // before Linux 5.11: whole milliseconds
		n, _, err = syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(r.poll), uintptr(events), most, uintptr(rest/time.Millisecond), 0, 0)
	}
	if err != 0 {
		return 0
	}
	return int(n)
}

// expire gives up requests whose time is out.
func (r *reactor) expire(now time.Duration) {
	for a := r.first; a != nil && now >= a.asked+r.e.client.timeout; a = r.first {
		a.m.done = a.asked + r.e.client.timeout
		if a.waiting {
			a.m.wait, a.m.sent = a.m.done-a.asked, a.m.done
			r.fail(a, errNoTurn)
			continue
		}
		r.fail(a, context.DeadlineExceeded)
	}
}

// reap closes connections that nobody has needed for a while.
func (r *reactor) reap(now time.Duration) {
	for to, idle := range r.idle {
		n := 0
		for n < len(idle) && (idle[n].state == closed || now-idle[n].used > keepIdle) {
			r.drop(idle[n])
			n++
		}
		r.idle[to] = append(idle[:0], idle[n:]...)
	}
}

// close abandons what is open and leaves nothing behind.
func (r *reactor) close() {
	now := r.e.client.now()
	for a := r.first; a != nil; a = a.after {
		a.m.done = now
		if a.waiting {
			a.m.wait, a.m.sent = now-a.asked, now
		}
		if a.counted {
			a.t.abandon(a.r.route, a.due, a.asked, a.m)
		}
	}
	for _, k := range r.sockets {
		if k != nil {
			unix.Close(k.fd)
		}
	}
	unix.Close(r.poll)
	r.b.giveBack()
}
