package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

const (
	lockSamples = 20  // of sessions seen active, below which a share means nothing
	lockShare   = 0.2 // of active sessions that wait for a lock
	lockSlower  = 3   // times as long as at normal load: a victim
)

// LockWait is a database whose sessions wait for each other.
var LockWait = add(Sign{
	Name:     "lock-wait",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "statements wait for locks that other transactions hold",
		Why: "Everyone who needs the same row or table stands in line behind one transaction. More load makes the line " +
			"longer, not the work faster: throughput falls as clients are added.",
		When: "At least a fifth of the database's active sessions are seen waiting for a lock, at least two at once, and " +
			"the share is above that of normal load.",
		Silent: "Waits for input, output or the client; a single session that waits; a database that was not watched.",
		Fix: "Keep transactions short, take the contended row last, call nobody else while holding it, set lock_timeout; " +
			"for queues use SKIP LOCKED.",
	},
	Look:   lookLockWait,
	rank:   1,
	routes: routesOfLock,
	explains: func(t *premortem.Trial, cause, effect premortem.Finding) bool {
		switch effect.Rule {
		case "pool-exhausted":
			return effect.Subject == string(cause.Node)
		case "errors-under-load":
			return slices.Contains(routesOfLock(t, cause), effect.Subject)
		}
		return false
	},
})

// lockedShare is the part of the active sessions seen that waited for a lock.
func lockedShare(p *premortem.Phase) (part float64, waits []kind, ok bool) {
	if p == nil || !p.Database.Watched {
		return 0, nil, false
	}
	seen := p.Database.ActiveMean * float64(p.Database.Samples)
	n := 0
	for name, c := range p.Database.Waits {
		if strings.HasPrefix(name, "Lock/") && c > 0 {
			n += c
			waits = append(waits, kind{name, uint64(c)})
		}
	}
	slices.SortFunc(waits, func(a, b kind) int { return cmp.Or(-cmp.Compare(a.n, b.n), cmp.Compare(a.name, b.name)) })
	if max(seen, float64(n)) < lockSamples {
		return 0, waits, false
	}
	return min(ratio(float64(n), max(seen, float64(n))), 1), waits, true
}

func lookLockWait(t *premortem.Trial, report func(premortem.Finding)) {
	ex := examine(t)
	during := t.Phase("during")
	part, waits, ok := lockedShare(during)
	if !ok || part < lockShare || during.Database.LockWaits < 2 {
		return
	}
	normal, _, known := lockedShare(t.Phase("before"))
	if known && part < 1.5*normal {
		return
	}
	store := database(during)
	victims := lockVictims(t)
	f := premortem.Finding{Node: store, Severity: premortem.Slow}
	routes := routesOfLock(t, f)
	if ex.brokeAny(routes) || (len(routes) == 0 && len(ex.broken) > 0) {
		f.Severity = premortem.Down
	}
	f.Says = fmt.Sprintf("%s of the sessions active in %s wait for a lock, up to %s at once", share(part), store.Name(), count(during.Database.LockWaits))
	m := func(signal, unit string, before, now float64) *premortem.Measure {
		return &premortem.Measure{Signal: signal, Node: store, Trial: t.Experiment.Name, Before: before, During: now, Unit: unit}
	}
	for _, u := range usesOf(t) {
		if find(victims, u.to, u.op) != nil {
			f.Evidence = append(f.Evidence, lines(u.sites, "a statement that waits")...)
		}
	}
	f.Evidence = append(distinct(f.Evidence), premortem.Evidence{
		Says:    fmt.Sprintf("%s of active sessions at normal load, %s %s, most in %s", share(normal), share(part), at(t), waits[0].name),
		Measure: m("lock_wait_share", "share", normal, part),
	})
	before := loadsOf(t.Phase("before"))
	for i := range victims[:min(len(victims), 3)] {
		v := &victims[i]
		f.Evidence = append(f.Evidence, premortem.Evidence{
			Says:    fmt.Sprintf("%s: %s per call at normal load, %s %s", short(v.op), seconds(find(before, v.to, v.op).mean()), seconds(v.mean()), at(t)),
			Measure: m("call_seconds_mean", "s", find(before, v.to, v.op).mean(), v.mean()),
		})
	}
	if n := during.Database.IdleInTx; n > 0 {
		f.Evidence = append(f.Evidence, premortem.Evidence{
			Says:    fmt.Sprintf("up to %s held a transaction open without working in it", plural(n, "session", "sessions")),
			Measure: m("idle_in_transaction", "connections", 0, float64(n)),
		})
	}
	if n := during.Database.Deadlocks; n > 0 {
		f.Evidence = append(f.Evidence, premortem.Evidence{Says: plural(int(n), "deadlock", "deadlocks"), Measure: m("deadlocks", "deadlocks", 0, float64(n))})
	}
	f.Fix.Says = "shorten the transactions that touch the contended rows, take those rows last and set lock_timeout"
	report(f)
}

// lockVictims are the statements that take row locks and became much slower, the
// slowest first.
func lockVictims(t *premortem.Trial) []load {
	before := loadsOf(t.Phase("before"))
	var out []load
	for _, l := range loadsOf(t.Phase("during")) {
		b := find(before, l.to, l.op)
		takes := slices.Contains([]string{"update", "delete", "insert", "merge"}, verb(l.op)) || strings.Contains(strings.ToLower(l.op), "for update")
		if takes && b != nil && l.calls >= fewestErrors && b.mean() > 0 && l.mean() >= lockSlower*b.mean() && l.mean() >= scanCall {
			out = append(out, l)
		}
	}
	return out
}

func routesOfLock(t *premortem.Trial, _ premortem.Finding) []string {
	victims := lockVictims(t)
	var out []string
	for _, u := range usesOf(t) {
		if find(victims, u.to, u.op) != nil {
			out = append(out, u.route)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// database is the PostgreSQL that a phase asked most of.
func database(p *premortem.Phase) premortem.Node {
	for _, l := range loadsOf(p) {
		if l.proto == "postgres" {
			return l.to
		}
	}
	for _, u := range p.Units {
		if u.Node.Kind() == "store" {
			return u.Node
		}
	}
	return "store/postgres"
}
