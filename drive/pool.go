package drive

import (
	"slices"
	"sync"
	"time"
)

// maxDials is how many connections to one target are opened at the same time. More
// would make a busy machine busier: whoever finds no connection waits for the first
// that is free or has been opened. The wait is part of the response time and no lag.
const maxDials = 64

// pool holds idle connections to one target. The last one used is taken first, so
// that few stay warm and the rest age out.
type pool struct {
	mu      sync.Mutex
	idle    []*conn
	dials   int          // under way
	waiting []chan offer // first come, first served
}

// offer is what somebody who waits for a connection gets: one of the two.
type offer struct {
	k   *conn
	err error
}

// get returns an idle connection that is still good, or the next that is.
func (p *pool) get(c *client, to int, until time.Time) (*conn, error) {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			break
		}
		k := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if k.fresh(c.now()) {
			return k, nil
		}
		c.close(k)
	}
	turn := make(chan offer, 1)
	p.waiting = append(p.waiting, turn)
	if p.dials < min(maxDials, len(p.waiting)) {
		p.dials++
		c.dialling.Go(func() { p.dial(c, to) })
	}
	p.mu.Unlock()
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case o := <-turn:
		return o.k, o.err
	case <-timer.C:
		p.leave(turn)
		return nil, errNoTurn
	case <-c.ctx.Done():
		p.leave(turn)
		return nil, errGone
	}
}

// dial opens connections as long as more people wait than others dial for.
func (p *pool) dial(c *client, to int) {
	for more := true; more; {
		k, err := c.connect(to, time.Now().Add(c.timeout))
		if err == nil {
			p.put(k)
		}
		p.mu.Lock()
		// Whoever waits has a time-out of their own, which may be later than this one.
		if err != nil && !timedOut(err) && len(p.waiting) > 0 {
			p.next() <- offer{err: err}
		}
		if more = len(p.waiting) >= p.dials && c.ctx.Err() == nil; !more {
			p.dials--
		}
		p.mu.Unlock()
	}
}

// next takes whoever waits longest out of the line. p.mu is held.
func (p *pool) next() chan offer {
	turn := p.waiting[0]
	p.waiting[0] = nil
	p.waiting = p.waiting[1:]
	return turn
}

// leave gives up waiting, and hands on what may have come in the same moment.
func (p *pool) leave(turn chan offer) {
	p.mu.Lock()
	i := slices.Index(p.waiting, turn)
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		return
	}
	if o := <-turn; o.k != nil {
		p.put(o.k)
	}
}

// put keeps a connection for the next request.
func (p *pool) put(k *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) > 0 {
		p.next() <- offer{k: k}
		return
	}
	p.idle = append(p.idle, k)
}

// reap closes connections that nobody has needed for a while.
func (p *pool) reap(c *client, patience time.Duration) {
	now := c.now()
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && now-p.idle[n].used > patience {
		n++
	}
	old := slices.Clone(p.idle[:n])
	p.idle = slices.Delete(p.idle, 0, n)
	p.mu.Unlock()
	for _, k := range old {
		c.close(k)
	}
}
