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
	mu     sync.Mutex
	load   premortem.LoadStats
	lag    premortem.Histogram
	routes []routeTally
	now    secondTally
}

// routeTally is one route since counting began.
type routeTally struct {
	errors   uint64
	kinds    map[string]uint64
	response premortem.Histogram
	service  premortem.Histogram
}

// secondTally is what happened since it was last taken.
type secondTally struct {
	offered, done, failed uint64
	response              []premortem.Histogram // by route
}

func newTally(routes int) *tally {
	return &tally{routes: make([]routeTally, routes), now: secondTally{response: make([]premortem.Histogram, routes)}}
}

// begin counts a request before it is sent, so that one which never leaves still
// shows as owed.
func (t *tally) begin() {
	t.mu.Lock()
	t.load.Offered++
	t.load.Sent++
	t.now.offered++
	t.mu.Unlock()
}

// drop takes back that a request was sent: a limit of ours forbade it.
func (t *tally) drop(why refused) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.load.Sent--
	t.load.Dropped++
	if t.load.Drops == nil {
		t.load.Drops = map[string]uint64{}
	}
	t.load.Drops[string(why)]++
}

// end counts how a request came out; kind is "" when it was answered as expected.
func (t *tally) end(route int, due time.Duration, m moments, kind string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.routes[route]
	if kind == "" {
		t.load.Done++
		t.now.done++
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
func (t *tally) abandon(route int, due time.Duration, m moments) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.load.Abandoned++
	t.times(route, due, m)
}

// times records one request's durations. t.mu is held.
func (t *tally) times(route int, due time.Duration, m moments) {
	lag := max(m.sent-due-m.wait, 0)
	t.lag.Record(lag)
	if lag > late {
		t.load.Late++
	}
	r := &t.routes[route]
	r.response.Record(m.done - due)
	r.service.Record(m.done - m.sent)
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
		lag.Merge(&t.lag)
		for i := range out {
			r := &t.routes[i]
			out[i].Errors += r.errors
			out[i].Kinds = addUp(out[i].Kinds, r.kinds)
			out[i].Response.Merge(&r.response)
			out[i].Service.Merge(&r.service)
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

// second takes what happened since the last call out of the tallies.
func second(all []*tally, routes []string, at float64) Second {
	s := Second{At: at, Routes: map[string]float64{}}
	sum := make([]premortem.Histogram, len(routes))
	for _, t := range all {
		empty := make([]premortem.Histogram, len(routes))
		t.mu.Lock()
		now := t.now
		t.now = secondTally{response: empty}
		s.InFlight += int(t.load.Sent - t.load.Done - t.load.Failed - t.load.Abandoned)
		t.mu.Unlock()
		s.Offered += now.offered
		s.Done += now.done
		s.Failed += now.failed
		for i := range sum {
			sum[i].Merge(&now.response[i])
		}
	}
	for i := range sum {
		if sum[i].Count() > 0 {
			s.Routes[routes[i]] = sum[i].Quantile(0.95).Seconds()
		}
	}
	return s
}
