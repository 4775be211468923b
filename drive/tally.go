package drive

import (
	"sync"
	"time"

	"github.com/premortem/premortem"
)

// late is how long after its due time a request counts as late.
const late = time.Millisecond

// tally counts. There are a few, so that sessions seldom wait for each other; one
// request begins and ends in the same one, under its lock, so that sent = done +
// failed + in flight holds in each at any moment, and therefore in their sum.
type tally struct {
	mu      sync.Mutex
	warm    time.Duration // when counting begins
	within  time.Duration // in which a good request is answered; 0 is any time
	load    premortem.LoadStats
	lag     premortem.Histogram
	routes  []routeTally
	now     secondTally
	little  little
	windows []window // of the last keepSeconds, in a ring
}

// routeTally is one route since counting began.
type routeTally struct {
	errors   uint64
	kinds    map[string]uint64
	response premortem.Histogram
	service  premortem.Histogram
	first    premortem.Histogram
}

// secondTally is what happened since it was last taken.
type secondTally struct {
	offered, done, failed uint64
	dropped, late         uint64
	response              []premortem.Histogram // by route
	lag                   premortem.Histogram
}

// window is what was due in one second since counting began.
type window struct {
	second        int
	offered, good uint64
}

func newTally(routes int, l Load) *tally {
	return &tally{warm: l.Warm, within: l.Within, routes: make([]routeTally, routes),
		now: secondTally{response: make([]premortem.Histogram, routes)}, little: little{from: l.Warm, last: l.Warm}}
}

// window returns the second in which something was due, nil when it is too long ago.
func (t *tally) window(due time.Duration) *window {
	second := int((due - t.warm) / time.Second)
	at := second % keepSeconds
	for len(t.windows) <= at {
		t.windows = append(t.windows, window{second: len(t.windows)})
	}
	w := &t.windows[at]
	if w.second < second {
		*w = window{second: second}
	}
	if w.second > second {
		return nil
	}
	return w
}

// begin counts a request before it is sent, so that one which never leaves still
// shows as owed.
func (t *tally) begin(due, now time.Duration) {
	t.mu.Lock()
	t.little.enter(now, t.open())
	t.load.Offered++
	t.load.Sent++
	t.now.offered++
	if w := t.window(due); w != nil {
		w.offered++
	}
	t.mu.Unlock()
}

// open is how many requests are between begin and end. t.mu is held.
func (t *tally) open() uint64 {
	return t.load.Sent - t.load.Done - t.load.Failed - t.load.Abandoned
}

// drop takes back that a request was sent: a limit of ours forbade it.
func (t *tally) drop(why refused, begun, now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.little.leave(begun, now, t.open())
	t.load.Sent--
	t.load.Dropped++
	t.now.dropped++
	if t.load.Drops == nil {
		t.load.Drops = map[string]uint64{}
	}
	t.load.Drops[string(why)]++
}

// end counts how a request came out; kind is "" when it was answered as expected.
func (t *tally) end(route int, due, begun time.Duration, m moments, kind string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.little.leave(begun, m.done, t.open())
	r := &t.routes[route]
	if kind == "" {
		t.load.Done++
		t.now.done++
		if t.within == 0 || m.done-due <= t.within {
			if w := t.window(due); w != nil {
				w.good++
			}
		}
	} else {
		t.load.Failed++
		t.now.failed++
		r.errors++
		if r.kinds == nil {
			r.kinds = map[string]uint64{}
		}
		r.kinds[kind]++
	}
	t.times(route, due, m)
}

// abandon counts a request that was still open when the load ended.
func (t *tally) abandon(route int, due, begun time.Duration, m moments) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.little.leave(begun, m.done, t.open())
	t.load.Abandoned++
	t.times(route, due, m)
}

// times records one request's durations. t.mu is held.
func (t *tally) times(route int, due time.Duration, m moments) {
	lag := max(m.sent-due-m.wait, 0)
	t.lag.Record(lag)
	t.now.lag.Record(lag)
	if lag > late {
		t.load.Late++
		t.now.late++
	}
	r := &t.routes[route]
	r.response.Record(m.done - due)
	r.service.Record(m.done - m.sent)
	if m.first > 0 {
		r.first.Record(m.first - due)
	}
	t.now.response[route].Record(m.done - due)
}

// snapshot adds up the tallies.
func snapshot(all []*tally, routes []string) (premortem.LoadStats, []premortem.RouteStats) {
	var load premortem.LoadStats
	var lag premortem.Histogram
	out := make([]premortem.RouteStats, len(routes))
	for _, t := range all {
		t.mu.Lock()
		load.Offered += t.load.Offered
		load.Sent += t.load.Sent
		load.Done += t.load.Done
		load.Failed += t.load.Failed
		load.Abandoned += t.load.Abandoned
		load.Late += t.load.Late
		load.Dropped += t.load.Dropped
		load.Drops = addUp(load.Drops, t.load.Drops)
		load.Inside += t.little.total
		load.Little = max(load.Little, t.little.worst)
		lag.Merge(&t.lag)
		for i := range out {
			r := &t.routes[i]
			out[i].Errors += r.errors
			out[i].Kinds = addUp(out[i].Kinds, r.kinds)
			out[i].Response.Merge(&r.response)
			out[i].Service.Merge(&r.service)
			out[i].First.Merge(&r.first)
		}
		t.mu.Unlock()
	}
	load.LagP99 = lag.Quantile(0.99).Seconds()
	called := out[:0]
	for i, r := range out {
		if r.Count = r.Response.Count(); r.Count == 0 {
			continue
		}
		r.Route = routes[i]
		r.P50 = r.Response.Quantile(0.50).Seconds()
		r.P95 = r.Response.Quantile(0.95).Seconds()
		r.P99 = r.Response.Quantile(0.99).Seconds()
		r.Max = r.Response.Max().Seconds()
		called = append(called, r)
	}
	return load, called
}

func addUp(sum, more map[string]uint64) map[string]uint64 {
	for k, n := range more {
		if sum == nil {
			sum = map[string]uint64{}
		}
		sum[k] += n
	}
	return sum
}

// second takes what happened since the last call out of the tallies; now is when
// it ends.
func second(all []*tally, routes []string, at float64, now time.Duration) Second {
	s := Second{At: at, Routes: map[string]float64{}, Response: map[string]premortem.Histogram{}}
	sum := make([]premortem.Histogram, len(routes))
	var every, lag premortem.Histogram
	for _, t := range all {
		empty := make([]premortem.Histogram, len(routes))
		t.mu.Lock()
		took := t.now
		t.now = secondTally{response: empty}
		s.InFlight += int(t.open())
		inside, miss := t.little.close(now, t.open())
		t.mu.Unlock()
		s.Offered += took.offered
		s.Done += took.done
		s.Failed += took.failed
		s.Dropped += took.dropped
		s.Late += took.late
		s.Inside += inside
		s.Little = max(s.Little, miss)
		lag.Merge(&took.lag)
		for i := range sum {
			sum[i].Merge(&took.response[i])
		}
	}
	for i := range sum {
		if sum[i].Count() > 0 {
			s.Routes[routes[i]] = sum[i].Quantile(0.95).Seconds()
			s.Response[routes[i]] = sum[i]
			every.Merge(&sum[i])
		}
	}
	s.P50, s.P95, s.P99 = every.Quantile(0.50).Seconds(), every.Quantile(0.95).Seconds(), every.Quantile(0.99).Seconds()
	s.LagP99 = lag.Quantile(0.99).Seconds()
	return s
}

// windows adds up the first n seconds, or the last keepSeconds of them.
func windows(all []*tally, n int) []premortem.Window {
	if n <= 0 {
		return nil
	}
	from := max(n-keepSeconds, 0)
	out := make([]premortem.Window, n-from)
	for _, t := range all {
		t.mu.Lock()
		for _, w := range t.windows {
			if i := w.second - from; i >= 0 && i < len(out) {
				out[i].Good += w.good
				out[i].Bad += w.offered - w.good
			}
		}
		t.mu.Unlock()
	}
	return out
}
