package judge

import (
	"cmp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// use is what one operation means to one route when nothing else runs: medians
// over the traces of that route.
type use struct {
	route   string
	to      premortem.Node
	proto   string
	op      string
	calls   float64 // per request
	rows    float64 // per request
	seconds float64 // per request
	took    float64 // of the whole request
	traces  int     // that hold the operation
	sites   []premortem.Evidence
}

// share is the part of the request that the operation takes.
func (u *use) share() float64 { return min(ratio(u.seconds, u.took), 1) }

type useKey struct {
	route string
	to    premortem.Node
	op    string
}

// usesOf returns what every traced route asks of its dependencies, by route, node
// and operation.
func usesOf(t *premortem.Trial) []use {
	type sample struct {
		calls, rows, seconds, took []float64
		proto                      string
		sites                      []premortem.Evidence
	}
	samples := map[useKey]*sample{}
	for i := range t.Traces {
		tr := &t.Traces[i]
		for j := range tr.Calls {
			c := &tr.Calls[j]
			k := useKey{tr.Route, c.To, c.Op}
			s := samples[k]
			if s == nil {
				s = &sample{}
				samples[k] = s
			}
			s.proto = max(s.proto, c.Proto)
			s.calls = append(s.calls, float64(c.Count))
			s.rows = append(s.rows, float64(c.Rows))
			s.seconds = append(s.seconds, c.Seconds)
			s.took = append(s.took, tr.Took)
			s.sites = append(s.sites, c.Sites...)
		}
	}
	out := make([]use, 0, len(samples))
	for k, s := range samples {
		out = append(out, use{
			route: k.route, to: k.to, op: k.op, proto: s.proto, traces: len(s.calls),
			calls: median(s.calls), rows: median(s.rows), seconds: median(s.seconds), took: median(s.took),
			sites: distinct(s.sites),
		})
	}
	slices.SortFunc(out, func(a, b use) int {
		return cmp.Or(cmp.Compare(a.route, b.route), cmp.Compare(a.to, b.to), cmp.Compare(a.op, b.op))
	})
	return out
}

// tookAlone is the median time of a route's traces, 0 when it was not traced.
func tookAlone(t *premortem.Trial, route string) float64 {
	var all []float64
	for i := range t.Traces {
		if t.Traces[i].Route == route {
			all = append(all, t.Traces[i].Took)
		}
	}
	return median(all)
}

// load is what all sides together asked of one node with one operation.
type load struct {
	from    []premortem.Node
	to      premortem.Node
	proto   string
	op      string
	calls   uint64
	errors  uint64
	rows    uint64
	bytes   uint64
	seconds float64
	time    premortem.Histogram
	kinds   map[string]uint64
}

// mean is the time of one call.
func (l *load) mean() float64 { return ratio(l.seconds, float64(l.calls)) }

// loadsOf sums a phase's calls by node and operation; the zero result for no phase.
func loadsOf(p *premortem.Phase) []load {
	if p == nil {
		return nil
	}
	sums := map[useKey]*load{}
	for i := range p.Calls {
		c := &p.Calls[i]
		k := useKey{to: c.To, op: c.Op}
		l := sums[k]
		if l == nil {
			l = &load{to: c.To, op: c.Op, kinds: map[string]uint64{}}
			sums[k] = l
		}
		l.proto = max(l.proto, c.Proto)
		l.from = append(l.from, c.From)
		l.calls += c.Count
		l.errors += c.Errors
		l.rows += c.Rows
		l.bytes += c.Bytes
		l.time.Merge(&c.Time)
		for kind, n := range c.Kinds {
			l.kinds[kind] += n
		}
	}
	out := make([]load, 0, len(sums))
	for _, l := range sums {
		l.seconds = l.time.Sum().Seconds()
		slices.Sort(l.from)
		l.from = slices.Compact(l.from)
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b load) int {
		return cmp.Or(-cmp.Compare(a.seconds, b.seconds), cmp.Compare(a.to, b.to), cmp.Compare(a.op, b.op))
	})
	return out
}

// find returns the load of an operation; to "" matches any node.
func find(loads []load, to premortem.Node, op string) *load {
	for i := range loads {
		if loads[i].op == op && (to == "" || loads[i].to == to) {
			return &loads[i]
		}
	}
	return nil
}

// secondsAt is the time spent waiting for one node.
func secondsAt(loads []load, to premortem.Node) float64 {
	var s float64
	for i := range loads {
		if loads[i].to == to {
			s += loads[i].seconds
		}
	}
	return s
}

// loadedShare is the part of a route's time under load that an operation takes:
// its calls per request as traced, each as slow as it was under load.
func loadedShare(u *use, l *load, during *premortem.Phase) float64 {
	r := during.Route(u.route)
	if r == nil || l == nil {
		return 0
	}
	return min(ratio(u.calls*l.mean(), r.Service.Mean().Seconds()), 1)
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(all))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// distinct sorts evidence by place and drops what is said twice about one place.
func distinct(all []premortem.Evidence) []premortem.Evidence {
	out := slices.Clone(all)
	slices.SortStableFunc(out, func(a, b premortem.Evidence) int {
		return cmp.Or(a.Pos.Compare(b.Pos), strings.Compare(a.Says, b.Says), strings.Compare(a.Quote, b.Quote))
	})
	return slices.CompactFunc(out, func(a, b premortem.Evidence) bool {
		return a.Pos == b.Pos && (a.Pos.Known() || a.Says == b.Says)
	})
}

// lines returns written evidence ready to be shown: each with a sentence.
func lines(all []premortem.Evidence, says string) []premortem.Evidence {
	out := distinct(all)
	for i := range out {
		if strings.TrimSpace(out[i].Says) == "" {
			out[i].Says = says
		}
	}
	return out
}

// unitsOf returns the processes of a node in a phase, by replica.
func unitsOf(p *premortem.Phase, n premortem.Node) []premortem.UnitStats {
	if p == nil {
		return nil
	}
	var out []premortem.UnitStats
	for _, u := range p.Units {
		if u.Node == n {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b premortem.UnitStats) int {
		return cmp.Or(cmp.Compare(a.Replica, b.Replica), cmp.Compare(a.CPU, b.CPU), cmp.Compare(a.Conns, b.Conns))
	})
	return out
}

// machineBusy reports whether the machine's cores were used up; ok is false when
// nobody watched.
func machineBusy(t *premortem.Trial, p *premortem.Phase) (busy, ok bool) {
	if p == nil || !p.Machine.Watched || t.Cores <= 0 {
		return false, false
	}
	return p.Machine.CPU >= 0.9*float64(t.Cores), true
}
