package drive

import (
	"container/heap"
	"sync"
	"time"
)

const (
	// tick bounds a sleep of the pacer: it is how late it notices that the load was
	// stopped. With pauses it also takes over the sessions that began one meanwhile.
	tick      = 10 * time.Millisecond
	pauseTick = 2 * time.Millisecond
	// nap is the shortest sleep: at high rates several sessions start at one wake-up,
	// late by at most this.
	nap = 50 * time.Microsecond
)

// ownThread prepares the calling goroutine for sleeping precisely.
func ownThread(start time.Time) (until func(time.Duration), release func()) {
	giveBack := reserve()
	until, undo := newSleeper(start)
	return until, func() {
		undo()
		giveBack()
	}
}

// pacer starts sessions when they are due and wakes those that pause. A pausing
// session is a few hundred bytes and its connection; it has no goroutine.
type pacer struct {
	arrivals *arrivals
	asleep   sleepers

	mu    sync.Mutex
	inbox []*session // began a pause since the last tick
}

// sleepers is a heap by due time.
type sleepers []*session

func (h sleepers) Len() int           { return len(h) }
func (h sleepers) Less(i, j int) bool { return h[i].due < h[j].due }
func (h sleepers) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *sleepers) Push(x any)        { *h = append(*h, x.(*session)) }
func (h *sleepers) Pop() any {
	old := *h
	n := len(old) - 1
	s := old[n]
	old[n] = nil
	*h = old[:n]
	return s
}

// pause puts a session to sleep until it is due, which is at least pauseTick away.
func (p *pacer) pause(s *session) {
	p.mu.Lock()
	p.inbox = append(p.inbox, s)
	p.mu.Unlock()
}

// gather moves new sleepers to the heap.
func (p *pacer) gather() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.inbox {
		heap.Push(&p.asleep, s)
		p.inbox[i] = nil
	}
	p.inbox = p.inbox[:0]
}

// next is when the next session is due, never when none is known.
func (p *pacer) next() time.Duration {
	at := p.arrivals.next.at
	if len(p.asleep) > 0 {
		at = min(at, p.asleep[0].due)
	}
	return at
}

// pace runs until the load's end, or until it is told to stop. It never skips what
// is due: after a stall it emits everything, late.
func (e *engine) pace(until func(time.Duration)) {
	longest := tick
	if e.pauses {
		longest = pauseTick
	}
	for !e.stop.Load() {
		e.pacer.gather()
		now := e.client.now()
		if next := min(e.pacer.next(), e.load.For); next > now {
			until(min(max(next, now+nap), now+longest))
			now = e.client.now()
		}
		e.emit(now)
		if now >= e.load.For {
			return
		}
	}
}

// emit starts everything that is due by now.
func (e *engine) emit(now time.Duration) {
	p := &e.pacer
	for p.arrivals.next.at <= now {
		a := p.arrivals.pop()
		s := newSession(e.plan, e.plan.journeyOf(a.session), a.session)
		s.due = a.at
		if e.pauses && s.flow.calls[0].pause > 0 {
			s.due += e.plan.pauseOf(s.id, s.flow.calls[0].step, s.flow.calls[0].pause)
			heap.Push(&p.asleep, s)
			continue
		}
		e.sessions.Go(func() { e.follow(s) })
	}
	for len(p.asleep) > 0 && p.asleep[0].due <= now {
		s := heap.Pop(&p.asleep).(*session)
		if s.due >= e.load.For {
			continue // its connection is closed with the others
		}
		e.sessions.Go(func() { e.follow(s) })
	}
}
