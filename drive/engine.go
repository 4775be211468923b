package drive

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/premortem/premortem"
)

const (
	defaultTimeout = 10 * time.Second
	patience       = 2 * time.Second // with open requests after the last arrival
	keepIdle       = 30 * time.Second
	keepSeconds    = 3600
)

// engine is one running load.
type engine struct {
	plan   *plan
	load   Load
	client *client
	cancel context.CancelFunc // of the client's context: abandons open requests
	pauses bool               // sessions pause between requests

	pacer    pacer
	stop     atomic.Bool // no request becomes due any more
	sessions sync.WaitGroup
	open     atomic.Int64 // requests between due and done
	tallies  []*tally
	reactors []*reactor // make the requests; none: goroutines do
	sleeper  func(start time.Time) (until func(time.Duration), release func())

	seconds []Second
	cpu     time.Duration // own, when counting began
}

// check refuses a load that cannot be offered, and p for lack of pauses.
func (l Load) check(p *plan) error {
	bad := func(hint, format string, args ...any) error {
		return &premortem.Error{Doing: "plan the load", Err: fmt.Errorf(format, args...), Hint: hint}
	}
	for _, v := range []float64{l.Calls, l.Users, l.MaxRate, l.From} {
		if v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
			return bad("use a positive number", "%v is not a rate", v)
		}
	}
	kinds := 0
	for _, set := range []bool{l.Calls > 0, l.Users > 0, l.Loop > 0, len(l.At) > 0} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1 || l.Loop < 0:
		return bad("set one of Calls, Users, Loop and At", "calls %v and users %v and a loop of %d and %d recorded arrivals", l.Calls, l.Users, l.Loop, len(l.At))
	case !slices.IsSorted(l.At) || len(l.At) > 0 && l.At[0] < 0:
		return bad("sort the recorded arrivals, and count from the first", "they do not arrive in order")
	case l.From > 0 && l.Calls+l.Users == 0:
		return bad("set From beside Calls or Users", "a rate that rises from %v has no end", l.From)
	case l.Within < 0:
		return bad("use a positive time, or 0 for any", "an answer within %v", l.Within)
	case l.Even && l.MaxRate > 0:
		return bad("compare loads with arrivals that are drawn", "evenly spaced sessions are no subset of those at another rate")
	case l.For <= 0:
		return bad("say for how long", "it lasts %v", l.For)
	case l.Warm < 0 || l.Warm >= l.For:
		return bad("warm up for less than the whole time", "warm-up of %v in %v", l.Warm, l.For)
	case l.Timeout < 0:
		return bad("use a positive time, or 0 for 10 s", "time-out of %v", l.Timeout)
	case l.MaxRate > 0 && l.MaxRate < max(l.Calls+l.Users, l.From):
		return bad("", "the highest rate, %v, is below the rate, %v", l.MaxRate, max(l.Calls+l.Users, l.From))
	case l.Users > 0 && p.pauses == 0:
		return bad("add `- think: 2s` between the steps of a journey, or scale calls",
			"people without pauses: no journey has one")
	}
	return nil
}

// newEngine makes everything ready; the clock starts now.
func newEngine(ctx context.Context, p *plan, l Load) *engine {
	if l.Timeout == 0 {
		l.Timeout = defaultTimeout
	}
	per := p.requests
	if l.Users > 0 {
		per = p.length().Seconds()
	}
	rate := (l.Calls + l.Users) / per
	from := rate
	if l.From > 0 {
		from = l.From / per
	}
	top := max(l.MaxRate/per, rate, from)
	ctx, cancel := context.WithCancel(ctx)
	e := &engine{plan: p, load: l, cancel: cancel, pauses: l.Users > 0, sleeper: ownThread}
	e.client = newClient(ctx, p, time.Now(), l.Timeout, l.Users == 0)
	switch {
	case l.Loop > 0:
		e.pacer.arrivals = &arrivals{next: arrival{at: never}}
	case len(l.At) > 0:
		e.pacer.arrivals = newRecorded(l.At, l.For)
	case l.Even:
		e.pacer.arrivals = newEven(from, rate, l.For)
	default:
		e.pacer.arrivals = newRamp(p.seed, from, rate, top, l.For)
	}
	for range min(runtime.GOMAXPROCS(0), 8) {
		e.tallies = append(e.tallies, newTally(len(p.routes), l))
	}
	return e
}

// run offers the load and waits for what is still open.
func (e *engine) run(ctx context.Context) (Result, error) {
	defer e.cancel()
	paced := make(chan struct{})
	e.start(paced)
	r := e.watch(ctx, paced)
	e.stop.Store(true)
	<-paced
	cpu := ownCPU() - e.cpu
	e.drain(ctx)
	r.Load, r.Routes = snapshot(e.tallies, e.plan.routes)
	r.Load.Stopped = r.stopped
	e.describe(&r.Load, r.Took, cpu)
	r.Seconds = e.seconds
	r.Windows = windows(e.tallies, len(e.seconds))
	return r.Result, context.Cause(ctx)
}

// start begins to make requests; paced is closed when none becomes due any more.
func (e *engine) start(paced chan struct{}) {
	if len(e.reactors) > 0 {
		e.startReactors(paced)
		return
	}
	for i := range e.load.Loop {
		e.sessions.Go(func() {
			for id := uint64(i); !e.stop.Load() && e.client.now() < e.load.For; id += uint64(e.load.Loop) {
				s := newSession(e.plan, e.plan.journeyOf(id), id)
				s.due = e.client.now()
				e.follow(s)
			}
		})
	}
	e.sessions.Go(func() {
		defer close(paced)
		until, release := e.sleeper(e.client.start)
		defer release()
		e.pace(until)
	})
}

// describe adds what is not counted per request.
func (e *engine) describe(l *premortem.LoadStats, took, cpu time.Duration) {
	if took <= 0 {
		return
	}
	l.OwnCPU = max(cpu.Seconds()/took.Seconds(), 0)
	// Only where each session is one request does the schedule alone decide how many
	// there are; what it drew is meant, not the rate it drew from.
	if (e.load.Calls > 0 || len(e.load.At) > 0) && !slices.ContainsFunc(e.plan.flows, func(f *flow) bool { return len(f.calls) > 1 }) {
		l.Planned = float64(l.Offered) / took.Seconds()
	}
}

// watched is what came of watching.
type watched struct {
	Result
	stopped bool
}

// watch reports once a second until the pacer has ended, somebody stops the load or
// ctx ends.
func (e *engine) watch(ctx context.Context, paced <-chan struct{}) watched {
	var w watched
	timer := time.NewTimer(e.load.Warm - e.client.now())
	defer timer.Stop()
	counting := false
	for n := 0; ; {
		select {
		case <-paced:
			w.Took = e.load.For - e.load.Warm
			if time.Duration(n)*time.Second < w.Took {
				e.report(n)
			}
			return w
		case <-ctx.Done():
			w.Took = max(e.client.now()-e.load.Warm, 0)
			return w
		case <-timer.C:
		}
		now := e.client.now()
		if !counting {
			counting = true
			e.cpu = ownCPU()
		} else {
			e.report(n)
			n++
			for i := range e.client.pools {
				e.client.pools[i].reap(e.client, keepIdle)
			}
			if e.load.Stop != nil && e.load.Stop(e.sofar(now-e.load.Warm)) {
				w.stopped = true
				w.Took = e.client.now() - e.load.Warm
				return w
			}
		}
		timer.Reset(e.load.Warm + time.Duration(n+1)*time.Second - e.client.now())
	}
}

// report closes the n-th second.
func (e *engine) report(n int) {
	s := second(e.tallies, e.plan.routes, float64(n), e.client.now())
	if len(e.seconds) == keepSeconds {
		e.seconds = append(e.seconds[:0], e.seconds[1:]...)
	}
	if e.load.Every != nil {
		e.load.Every(s)
	}
	s.Response = nil
	e.seconds = append(e.seconds, s)
}

// sofar is everything counted by now.
func (e *engine) sofar(elapsed time.Duration) Snapshot {
	s := Snapshot{Elapsed: elapsed}
	s.Load, s.Routes = snapshot(e.tallies, e.plan.routes)
	e.describe(&s.Load, elapsed, ownCPU()-e.cpu)
	settle := e.load.Within
	if settle == 0 {
		settle = e.load.Timeout
	}
	s.Windows = windows(e.tallies, int((elapsed-settle)/time.Second))
	return s
}

// drain waits a while for open requests and abandons the rest. When it returns no
// session and no connection is left.
func (e *engine) drain(ctx context.Context) {
	done := make(chan struct{})
	var waiter sync.WaitGroup
	waiter.Go(func() {
		e.sessions.Wait()
		close(done)
	})
	timer := time.NewTimer(min(e.load.Timeout, patience))
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
	e.cancel()
	e.client.closeAll()
	waiter.Wait()
	e.client.dialling.Wait()
}

// follow takes a session on until it pauses or ends.
func (e *engine) follow(s *session) {
	b := borrow()
	defer b.giveBack()
	for e.ask(s, s.flow.calls[s.at], b) {
		if s.at++; s.at == len(s.flow.calls) || e.stop.Load() {
			break
		}
		var pause time.Duration
		if next := s.flow.calls[s.at]; e.pauses && next.pause > 0 {
			pause = e.plan.pauseOf(s.id, next.step, next.pause)
		}
		s.due += pause
		if pause > 2*pauseTick {
			e.pacer.pause(s) // also past the end: until then this user is here, connected
			return
		}
		if s.due >= e.load.For {
			break
		}
		time.Sleep(s.due - e.client.now())
	}
	for _, k := range s.conns {
		if k != nil {
			e.client.close(k)
		}
	}
	s.conns = nil
	s.second.close()
}

// ask makes one request and sets when the next one is due. It reports whether the
// session can go on.
func (e *engine) ask(s *session, r *call, b *buffers) bool {
	t := e.tallies[mix(s.id)%uint64(len(e.tallies))]
	due, counted := s.due, s.due >= e.load.Warm
	begun := e.client.now()
	if counted {
		t.begin(due, begun)
	}
	m, err := e.send(s, r, b)
	s.due = m.done
	kind, cut := "", len(r.keep) > 0
	if err == nil {
		kind, cut = s.judge(r, &b.ans)
	}
	if why, ok := errors.AsType[refused](err); ok {
		if counted {
			t.drop(why, begun, e.client.now())
		}
		return false
	}
	if err == errGone {
		if counted {
			t.abandon(r.route, due, begun, m)
		}
		return false
	}
	if err != nil {
		kind = kindOf(err)
	}
	if counted {
		t.end(r.route, due, begun, m, kind)
	}
	return !cut
}

// send makes one request unless a limit of ours forbids it.
func (e *engine) send(s *session, r *call, b *buffers) (moments, error) {
	defer e.open.Add(-1)
	if e.open.Add(1) > maxOpen {
		return moments{}, dropConns
	}
	if e.client.ctx.Err() != nil {
		return moments{}, dropLate // due before the load ended, and only now its turn
	}
	if err := s.write(r, b); err != nil {
		now := e.client.now()
		return moments{sent: now, done: now}, err
	}
	return e.client.exchange(s, r, b, &b.ans)
}
