package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/premortem/premortem"
)

// PoolExhausted is a connection pool in which requests queue.
var PoolExhausted = add(Sign{
	Name:     "pool-exhausted",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "requests wait for a connection of the pool",
		Why: "Every connection of the pool is in use, so each further request waits until one is given back. The database " +
			"is idle enough to do more; users wait all the same.",
		When: "The processes of a service have as many connections open as their pool allows, those connections are busy or " +
			"held in a transaction, and requests take at least twice the time that their own calls account for.",
		Silent: "A full pool whose requests do not wait; a database, a machine or an event loop that is itself at its limit " +
			"(a larger pool would only move the queue), unless a statement that explains it is named as the cause.",
		Fix: "Size the pool from calls per second times the time a connection is held, plus slack, and keep the sum over all " +
			"processes below the database's max_connections. First shorten what holds a connection.",
	},
	Look:     lookPoolExhausted,
	rank:     5,
	routes:   routesOfWait,
	explains: poolExplains,
})

// waiting is one route whose requests take longer than what they do.
type waiting struct {
	route string
	took  float64 // mean service time under load
	wait  float64 // of it, unexplained by the route's own work and calls
	alone float64
}

// queue is a full pool.
type queue struct {
	pool   premortem.Pool
	units  int
	full   int
	inUse  float64 // connections busy in calls, mean, all processes
	idle   int     // held in a transaction at once, of the whole database
	routes []waiting
}

func lookPoolExhausted(t *premortem.Trial, report func(premortem.Finding)) {
	ex := examine(t)
	during := t.Phase("during")
	if during == nil || !ex.credible {
		return
	}
	for _, q := range queuesOf(t) {
		if databaseBusy(t, during, q.pool.To) && !scanFills(t, q.pool.To) {
			continue
		}
		report(q.finding(t, ex))
	}
}

// queuesOf returns the pools that are full and waited for, by caller and callee.
func queuesOf(t *premortem.Trial) []queue {
	during := t.Phase("during")
	if during == nil || during.Took <= 0 {
		return nil
	}
	var out []queue
	for _, p := range t.Pools {
		units := unitsOf(during, p.From)
		if p.Max <= 0 || len(units) == 0 {
			continue
		}
		q := queue{pool: p, units: len(units), idle: during.Database.IdleInTx}
		for _, u := range units {
			if u.Conns >= p.Max {
				q.full++
			}
		}
		var busy time.Duration // whole nanoseconds: a sum that no order changes
		for i := range during.Calls {
			if c := &during.Calls[i]; c.From == p.From && c.To == p.To {
				busy += c.Time.Sum()
			}
		}
		// Calls may end after the load did, so the sum can be more than fits.
		q.inUse = min(busy.Seconds()/during.Took, float64(p.Max*len(units)))
		held := q.inUse + float64(q.idle)
		if q.full == 0 || held < 0.6*float64(p.Max*q.full) || loopBlocked(units) {
			continue
		}
		if q.routes = waitsFor(t, during, p.To); len(q.routes) > 0 {
			out = append(out, q)
		}
	}
	slices.SortFunc(out, func(a, b queue) int {
		return cmp.Or(cmp.Compare(a.pool.From, b.pool.From), cmp.Compare(a.pool.To, b.pool.To), cmp.Compare(a.pool.Max, b.pool.Max))
	})
	return out
}

// waitsFor returns the traced routes that call a node and whose time under load is
// mostly not their own, the longest wait first.
func waitsFor(t *premortem.Trial, during *premortem.Phase, to premortem.Node) []waiting {
	loads := loadsOf(during)
	work, calls, asks := map[string]float64{}, map[string]float64{}, map[string]bool{}
	for _, u := range usesOf(t) {
		if l := find(loads, u.to, u.op); l != nil {
			work[u.route] += u.calls * l.mean()
		} else {
			work[u.route] += u.seconds
		}
		calls[u.route] += u.seconds
		asks[u.route] = asks[u.route] || u.to == to
	}
	var out []waiting
	for i := range during.Routes {
		r := &during.Routes[i]
		alone := tookAlone(t, r.Route)
		if alone <= 0 || !asks[r.Route] || r.Service.Count() == 0 {
			continue
		}
		w := waiting{route: r.Route, took: r.Service.Mean().Seconds(), alone: alone}
		w.wait = w.took - work[r.Route] - max(alone-calls[r.Route], 0)
		if w.wait >= 0.5*w.took && w.wait >= 0.020 && w.took >= 2*alone {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b waiting) int { return cmp.Or(-cmp.Compare(a.wait, b.wait), cmp.Compare(a.route, b.route)) })
	return out
}

// databaseBusy reports whether a store, or the machine under it, has no room left.
// A store that nobody watched counts as busy: idleness is required evidence.
func databaseBusy(t *premortem.Trial, during *premortem.Phase, store premortem.Node) bool {
	if busy, ok := machineBusy(t, during); ok && busy {
		return true
	}
	units := unitsOf(during, store)
	if len(units) == 0 {
		_, watched := machineBusy(t, during)
		return !watched
	}
	used, limit := 0.0, float64(t.Cores)
	for _, u := range units {
		used += u.CPU
		if u.CPULimit > 0 {
			limit = u.CPULimit * float64(len(units))
		}
	}
	return limit > 0 && used >= 0.7*limit
}

// scanFills reports whether one scan takes most of a store's time, so that a full
// pool in front of it has a cause with a name.
func scanFills(t *premortem.Trial, store premortem.Node) bool {
	return slices.ContainsFunc(scansOf(t), func(s *scan) bool {
		return s.to == store && s.share >= 0.5 && s.load.mean() >= scanCall
	})
}

func loopBlocked(units []premortem.UnitStats) bool {
	return slices.ContainsFunc(units, func(u premortem.UnitStats) bool { return u.LagP99 >= loopLag && u.CPU >= loopCPU })
}

func (q *queue) finding(t *premortem.Trial, ex *exam) premortem.Finding {
	during := t.Phase("during")
	p, w := q.pool, q.worst(ex)
	f := premortem.Finding{Node: p.From, Subject: string(p.To), Severity: premortem.Slow}
	if ex.broke(w.route) {
		f.Severity = premortem.Down
	}
	f.Says = fmt.Sprintf("%s waits %s of its %s for one of the %s of %s",
		w.route, seconds(w.wait), seconds(w.took), plural(p.Max, "connection", "connections"), p.From.Name())
	if q.units > 1 {
		f.Says = fmt.Sprintf("%s waits %s of its %s for a connection: each of %d processes of %s holds at most %d",
			w.route, seconds(w.wait), seconds(w.took), q.units, p.From.Name(), p.Max)
	}
	m := func(signal, unit string, before, now float64) *premortem.Measure {
		return &premortem.Measure{Signal: signal, Node: p.From, Trial: t.Experiment.Name, Before: before, During: now, Unit: unit}
	}
	if p.Site.Pos.Known() {
		f.Evidence = lines([]premortem.Evidence{p.Site}, fmt.Sprintf("the pool holds at most %d connections", p.Max))
	}
	f.Evidence = append(f.Evidence,
		premortem.Evidence{
			Says:    fmt.Sprintf("%d of %s with all %d connections open", q.full, plural(q.units, "process", "processes"), p.Max),
			Measure: m("pool_connections", "connections", most(unitsOf(t.Phase("before"), p.From)), most(unitsOf(during, p.From))),
		},
		premortem.Evidence{
			Says:    fmt.Sprintf("on average %s of %d connections are inside a call", about(q.inUse), p.Max*q.units),
			Measure: m("pool_in_use", "connections", 0, q.inUse),
		},
		premortem.Evidence{
			Says: fmt.Sprintf("%s takes %s alone and %s %s; its own calls and work account for %s, and %s is waiting",
				w.route, seconds(w.alone), seconds(w.took), at(t), seconds(w.took-w.wait), share(min(ratio(w.wait, w.took), 1))),
			Measure: m(signalRequestShare, "share", 0, min(ratio(w.wait, w.took), 1)),
		})
	if q.idle > 0 {
		f.Evidence = append(f.Evidence, premortem.Evidence{
			Says:    fmt.Sprintf("up to %s at once were held in a transaction that was doing something else", plural(q.idle, "connection", "connections")),
			Measure: m("idle_in_transaction", "connections", 0, float64(q.idle)),
		})
	}
	f.Evidence = append(f.Evidence, brokenEvidence(t, ex, w.route)...)
	f.Fix = q.fix(t, during)
	return f
}

func (q *queue) worst(ex *exam) waiting {
	for _, b := range ex.broken {
		for _, w := range q.routes {
			if w.route == b.Route {
				return w
			}
		}
	}
	return q.routes[0]
}

// fix sizes the pool by Little's law: the connections that the offered load needs
// at the hold time that was measured, half as many again for bursts, at least
// twice the present number, and no more than the database can give.
func (q *queue) fix(t *premortem.Trial, during *premortem.Phase) premortem.Fix {
	p := q.pool
	held := q.inUse + float64(min(q.idle, p.Max*q.units))
	owed := max(ratio(float64(during.Load.Offered), float64(max(during.Load.Done, 1))), 1)
	need := int(min(math.Ceil(1.5*held*min(owed, 10)/float64(q.units)), 10_000))
	n := max(need, 2*p.Max)
	room := ""
	if t.MaxConnections > 0 {
		n = min(n, int(0.9*float64(t.MaxConnections)/float64(processes(t, p.To))))
		room = fmt.Sprintf("; %s may then open %s of the %s connections that %s allows",
			plural(q.units, "process", "processes"), count(n*q.units), count(t.MaxConnections), p.To.Name())
	}
	if n <= p.Max {
		return premortem.Fix{Says: fmt.Sprintf("put a pooler such as PgBouncer in front of %s: it allows %s connections and has none left for a larger pool",
			p.To.Name(), count(t.MaxConnections))}
	}
	if p.Env == "" {
		return premortem.Fix{Says: fmt.Sprintf("raise the pool from %d to %d connections per process%s", p.Max, n, room)}
	}
	return premortem.Fix{
		Says: fmt.Sprintf("set %s=%d: a pool of %d connections per process instead of %d%s", p.Env, n, n, p.Max, room),
		Try:  &premortem.Try{Env: map[string]string{p.Env: strconv.Itoa(n)}, Node: p.From},
	}
}

// processes is how many processes share a database.
func processes(t *premortem.Trial, store premortem.Node) int {
	n := 0
	for _, p := range t.Pools {
		if p.To == store {
			n += max(p.Replicas, len(unitsOf(t.Phase("during"), p.From)), 1)
		}
	}
	return max(n, 1)
}

// most is the largest number of connections that one process had open.
func most(units []premortem.UnitStats) float64 {
	n := 0
	for _, u := range units {
		n = max(n, u.Conns)
	}
	return float64(n)
}

func routesOfWait(t *premortem.Trial, f premortem.Finding) []string {
	var out []string
	for _, q := range queuesOf(t) {
		if q.pool.From == f.Node && string(q.pool.To) == f.Subject {
			for _, w := range q.routes {
				out = append(out, w.route)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func poolExplains(t *premortem.Trial, cause, effect premortem.Finding) bool {
	return effect.Rule == "errors-under-load" && slices.Contains(routesOfWait(t, cause), effect.Subject)
}
