package wire

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/premortem/premortem"
)

const (
	tallyOps   = 1000 // operations counted by name between two Takes; the rest is "other"
	tallyKinds = 50   // kinds of errors counted by name per operation
	// tallySamples is how many statements of an operation are kept with their values.
	tallySamples = 4
)

// Tally counts the calls of one edge by operation. All methods may be called
// concurrently.
type Tally struct {
	from, to premortem.Node
	shards   []shard // a call goes to the shard of its connection

	mu       sync.Mutex
	admitted map[opKey]bool
	samples  map[string]*kept

	follow    sync.Mutex // guards changes of followers
	followers atomic.Pointer[[]*follower]
}

type opKey struct{ proto, op string }

// kept are the slowest statements of an operation since the last Take, or older ones
// that the next call replaces. Several, because one says little about a plan: a scan
// that stops at the first match is cheap for the value that stands first.
type kept struct {
	slow   []timed // at most tallySamples
	old    bool
	latest Sample
}

type timed struct {
	sample Sample
	took   time.Duration
}

type shard struct {
	mu    sync.Mutex
	calls map[opKey]*premortem.CallStats
	_     [48]byte // keeps neighbours off this cache line
}

type follower struct {
	mu      sync.RWMutex
	stopped bool
	f       func(Call)
}

// NewTally counts what from asks of to.
func NewTally(from, to premortem.Node) *Tally {
	t := &Tally{from: from, to: to, shards: make([]shard, min(2*runtime.GOMAXPROCS(0), 16))}
	t.Forget()
	return t
}

// Record counts one call. It is what a tap is given.
func (t *Tally) Record(c Call) {
	s := &t.shards[c.Conn%uint64(len(t.shards))]
	s.mu.Lock()
	k := opKey{c.Proto, c.Op}
	stats := s.calls[k]
	if stats == nil {
		stats = t.begin(s, k)
	}
	stats.Count++
	stats.Rows += c.Rows
	stats.Bytes += c.Bytes
	stats.Time.Record(c.Took)
	if c.Err != "" {
		stats.Errors++
		addKind(stats, c.Err, 1)
	}
	s.mu.Unlock()
	if c.Sample.Text != "" {
		t.keep(c)
	}
	if all := t.followers.Load(); all != nil {
		for _, f := range *all {
			f.tell(c)
		}
	}
}

// begin makes the entry of an operation that is new in s, whose mu is held.
func (t *Tally) begin(s *shard, k opKey) *premortem.CallStats {
	t.mu.Lock()
	if !t.admitted[k] && len(t.admitted) < tallyOps {
		t.admitted[k] = true
	}
	ok := t.admitted[k]
	t.mu.Unlock()
	if !ok {
		k.op = otherOp
	}
	stats := s.calls[k]
	if stats == nil {
		stats = &premortem.CallStats{From: t.from, To: t.to, Proto: k.proto, Op: k.op}
		s.calls[k] = stats
	}
	return stats
}

func addKind(c *premortem.CallStats, kind string, n uint64) {
	if c.Kinds == nil {
		c.Kinds = map[string]uint64{}
	}
	if _, known := c.Kinds[kind]; !known && len(c.Kinds) >= tallyKinds {
		kind = otherOp
	}
	c.Kinds[kind] += n
}

// Take returns what was counted since the last Take, the largest total time first and
// by name where that is equal, and begins anew. Samples stay.
func (t *Tally) Take() []premortem.CallStats {
	all := map[opKey]*premortem.CallStats{}
	t.mu.Lock()
	t.admitted = map[opKey]bool{}
	for _, k := range t.samples {
		k.old = true
	}
	t.mu.Unlock()
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		calls := s.calls
		s.calls = map[opKey]*premortem.CallStats{}
		s.mu.Unlock()
		for k, c := range calls {
			if sum := all[k]; sum != nil {
				add(sum, c)
			} else {
				all[k] = c
			}
		}
	}
	out := make([]premortem.CallStats, 0, len(all))
	for _, c := range all {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b premortem.CallStats) int {
		return cmp.Or(cmp.Compare(b.Time.Sum(), a.Time.Sum()), cmp.Compare(a.Op, b.Op), cmp.Compare(a.Proto, b.Proto))
	})
	return out
}

func add(sum, c *premortem.CallStats) {
	sum.Count += c.Count
	sum.Errors += c.Errors
	sum.Rows += c.Rows
	sum.Bytes += c.Bytes
	sum.Time.Merge(&c.Time)
	for kind, n := range c.Kinds {
		addKind(sum, kind, n)
	}
}

// Follow calls f with every call from now on, on the goroutine that carries it, so f
// must be quick and safe for concurrent use. After stop has returned, f is not called
// again; stop must not be called from inside f.
func (t *Tally) Follow(f func(Call)) (stop func()) {
	fl := &follower{f: f}
	t.change(func(all []*follower) []*follower { return append(all, fl) })
	return func() {
		fl.mu.Lock()
		fl.stopped = true
		fl.mu.Unlock()
		t.change(func(all []*follower) []*follower {
			return slices.DeleteFunc(all, func(o *follower) bool { return o == fl })
		})
	}
}

// change replaces the list of followers by an edited copy.
func (t *Tally) change(edit func([]*follower) []*follower) {
	t.follow.Lock()
	defer t.follow.Unlock()
	var all []*follower
	if old := t.followers.Load(); old != nil {
		all = slices.Clone(*old)
	}
	all = edit(all)
	if len(all) == 0 {
		t.followers.Store(nil)
		return
	}
	t.followers.Store(&all)
}

func (f *follower) tell(c Call) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if !f.stopped {
		f.f(c)
	}
}

// keep remembers the statement when it is among the slowest of its operation, if there
// is room for one more.
func (t *Tally) keep(c Call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.samples[c.Op]
	if k == nil {
		if len(t.samples) >= tallyOps {
			return
		}
		k = &kept{}
		t.samples[c.Op] = k
	}
	k.latest = c.Sample
	if k.old {
		k.slow, k.old = k.slow[:0], false
	}
	if len(k.slow) < tallySamples {
		k.slow = append(k.slow, timed{c.Sample, c.Took})
		return
	}
	least := 0
	for i := range k.slow {
		if k.slow[i].took < k.slow[least].took {
			least = i
		}
	}
	if c.Took >= k.slow[least].took {
		k.slow[least] = timed{c.Sample, c.Took}
	}
}

// Sample returns the latest statement seen for an operation. ok is false when there is
// none since the last Forget.
func (t *Tally) Sample(op string) (s Sample, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.samples[op]
	if k == nil {
		return Sample{}, false
	}
	return k.latest, true
}

// Samples returns the slowest statements seen for an operation since the last Take, or
// those of before when there was none; nil when there is none since the last Forget.
func (t *Tally) Samples(op string) []Sample {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.samples[op]
	if k == nil {
		return nil
	}
	out := make([]Sample, len(k.slow))
	for i := range k.slow {
		out[i] = k.slow[i].sample
	}
	return out
}

// Forget drops all samples and counts, as if nothing had happened yet. Followers stay.
func (t *Tally) Forget() {
	t.mu.Lock()
	t.admitted = map[opKey]bool{}
	t.samples = map[string]*kept{}
	t.mu.Unlock()
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		s.calls = map[opKey]*premortem.CallStats{}
		s.mu.Unlock()
	}
}
