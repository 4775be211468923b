package judge

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/premortem/premortem"
)

// full is the share of its cores from which a CPU has no room left: beyond it the
// run queue grows with every burst.
const full = 0.9

// CPUSaturated is a machine, a process or a database without a free core.
var CPUSaturated = add(Sign{
	Name:     "cpu-saturated",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "there is no free core left",
		Why: "Work arrives faster than the cores can do it, so it queues, and the queue grows as long as the load lasts. " +
			"Everything that shares the cores becomes slow together.",
		When: "A process uses at least 90 % of the cores it may use, or the machine that carries the whole clone is at least " +
			"90 % busy, and at least 80 % without the other programs on it. The finding names who used the cores and, for a database, with which statements.",
		Silent: "A machine that premortem itself, the host or other programs keep busy: then a failure is Unknown. A busy machine on which " +
			"every objective holds is a note.",
		Fix: "Do less per request: look at the heaviest statement or function first. Then add replicas or cores.",
	},
	Look: lookCPUSaturated,
	rank: 7,
	explains: func(_ *premortem.Trial, cause, effect premortem.Finding) bool {
		return effect.Rule == "errors-under-load" && cause.Severity >= premortem.Down
	},
})

// worker is what all processes of one node used.
type worker struct {
	node       premortem.Node
	cpu, limit float64 // cores; limit 0 for none
	hits       int     // processes at their own limit
}

func lookCPUSaturated(t *premortem.Trial, report func(premortem.Finding)) {
	ex := examine(t)
	during := t.Phase("during")
	if during == nil || !ex.credible {
		return
	}
	workers := workersOf(during)
	limited := false
	for _, w := range workers {
		if w.hits > 0 {
			limited = true
			f := w.finding(t, ex, workers)
			f.Says = fmt.Sprintf("%s may use %s cores and uses %s", w.node.Name(), cores(w.limit), cores(w.cpu))
			report(f)
		}
	}
	busy, ok := machineBusy(t, during)
	if limited || !busy || !ok || len(workers) == 0 || during.Load.OwnCPU >= workers[0].cpu {
		return
	}
	// A machine that would have had room without the others is not full because of
	// the clone.
	if foreign, seen := foreignCores(t, during); !seen || during.Machine.CPU-foreign < 0.8*float64(t.Cores) {
		return
	}
	w := workers[0]
	f := w.finding(t, ex, workers)
	f.Subject = "machine"
	f.Says = fmt.Sprintf("%s uses %s of the machine's %s", w.node, cores(w.cpu), plural(t.Cores, "core", "cores"))
	if rest := during.Machine.CPU - w.cpu; rest >= 0.01 {
		f.Says += fmt.Sprintf(", everything else %s", cores(rest))
	}
	report(f)
}

// workersOf sums a phase's processes by node, the busiest first.
func workersOf(p *premortem.Phase) []worker {
	sums := map[premortem.Node]*worker{}
	units := slices.Clone(p.Units)
	slices.SortFunc(units, func(a, b premortem.UnitStats) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Replica, b.Replica), cmp.Compare(a.CPU, b.CPU))
	})
	for _, u := range units {
		w := sums[u.Node]
		if w == nil {
			w = &worker{node: u.Node}
			sums[u.Node] = w
		}
		w.cpu += u.CPU
		w.limit += u.CPULimit
		if u.CPULimit > 0 && u.CPU >= full*u.CPULimit {
			w.hits++
		}
	}
	out := make([]worker, 0, len(sums))
	for _, w := range sums {
		out = append(out, *w)
	}
	slices.SortFunc(out, func(a, b worker) int { return cmp.Or(-cmp.Compare(a.cpu, b.cpu), cmp.Compare(a.node, b.node)) })
	return out
}

func (w *worker) finding(t *premortem.Trial, ex *exam, workers []worker) premortem.Finding {
	during := t.Phase("during")
	f := premortem.Finding{Node: w.node, Severity: premortem.Note}
	if len(ex.broken) > 0 {
		f.Severity = premortem.Down
	}
	m := func(signal, unit string, n premortem.Node, before, now float64) *premortem.Measure {
		return &premortem.Measure{Signal: signal, Node: n, Trial: t.Experiment.Name, Before: before, During: now, Unit: unit}
	}
	before := map[premortem.Node]float64{}
	if p := t.Phase("before"); p != nil {
		for _, b := range workersOf(p) {
			before[b.node] = b.cpu
		}
	}
	for _, other := range workers[:min(len(workers), 3)] {
		f.Evidence = append(f.Evidence, premortem.Evidence{
			Says:    fmt.Sprintf("%s used %s cores %s, %s at normal load", other.node.Name(), cores(other.cpu), at(t), cores(before[other.node])),
			Measure: m("process_cpu_cores", "cores", other.node, before[other.node], other.cpu),
		})
	}
	if during.Machine.Watched {
		f.Evidence = append(f.Evidence, premortem.Evidence{
			Says:    fmt.Sprintf("the machine: %s of %s cores busy, premortem itself %s", cores(during.Machine.CPU), count(t.Cores), cores(during.Load.OwnCPU)),
			Measure: m("machine_cpu_cores", "cores", "", 0, during.Machine.CPU),
		})
	}
	loads := loadsOf(during)
	total := secondsAt(loads, w.node)
	for i := range loads {
		if l := &loads[i]; l.to == w.node && l.seconds >= 0.2*total {
			f.Evidence = append(f.Evidence, premortem.Evidence{
				Says:    fmt.Sprintf("%s is %s of its time: %s calls of %s", short(l.op), share(ratio(l.seconds, total)), count(l.calls), seconds(l.mean())),
				Measure: m("call_seconds_share", "share", w.node, 0, ratio(l.seconds, total)),
			})
		}
	}
	f.Fix.Says = "do less per request in " + w.node.Name() + ", then give it more replicas or cores"
	if w.node.Kind() == "store" { // a second copy of a database takes over no writes
		f.Fix.Says = "shorten the heaviest statements of " + w.node.Name() + ", then give it more cores"
	}
	return f
}
