package judge

import (
	"fmt"

	"github.com/premortem/premortem"
)

const (
	loopLag = 0.100 // seconds of delay (p99) from which every request of the process feels it
	loopCPU = 0.8   // cores: one thread that never rests
)

// EventLoopBlocked is one thread on which everything waits for something.
var EventLoopBlocked = add(Sign{
	Name:     "event-loop-blocked",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "the event loop is busy and everything in the process waits",
		Why: "A single-threaded process does one thing at a time. While it computes, no other request is read, no answer " +
			"is sent, and no timer runs; health checks fail and the process is restarted although nothing crashed.",
		When: "The delay of a process's event loop (p99) is at least 100 ms and three times its delay at normal load, and " +
			"the process uses at least 0.8 of a core.",
		Silent: "A delay without the process's own work: then the machine has no core left for it, and that is what is reported. " +
			"A process whose loop was not watched.",
		Fix: "Move the work off the loop (a worker thread, a stream, a smaller answer) or run more processes.",
	},
	Look: lookEventLoopBlocked,
	rank: 6,
	explains: func(_ *premortem.Trial, cause, effect premortem.Finding) bool {
		switch effect.Rule {
		case "cpu-saturated":
			return effect.Node == cause.Node
		case "errors-under-load":
			return cause.Severity >= premortem.Down
		}
		return false
	},
})

func lookEventLoopBlocked(t *premortem.Trial, report func(premortem.Finding)) {
	ex := examine(t)
	during := t.Phase("during")
	if during == nil || !ex.credible {
		return
	}
	for _, u := range during.Units {
		if u.LagP99 < loopLag || u.CPU < loopCPU {
			continue
		}
		normal := -1.0
		for _, b := range unitsOf(t.Phase("before"), u.Node) {
			if b.Replica == u.Replica {
				normal = b.LagP99
			}
		}
		if normal > 0 && u.LagP99 < 3*normal {
			continue
		}
		f := premortem.Finding{Node: u.Node, Severity: premortem.Slow,
			Says: fmt.Sprintf("the event loop of %s is blocked for up to %s (p99) and uses %s of a core", u.Node.Name(), seconds(u.LagP99), share(min(u.CPU, 1)))}
		if len(ex.broken) > 0 {
			f.Severity = premortem.Down
		}
		f.Evidence = []premortem.Evidence{
			{Says: fmt.Sprintf("event-loop delay of process %d, p99: %s at normal load, %s %s", u.Replica, ifKnown(normal), seconds(u.LagP99), at(t)),
				Measure: &premortem.Measure{Signal: "event_loop_lag_p99", Node: u.Node, Trial: t.Experiment.Name, Before: max(normal, 0), During: u.LagP99, Unit: "s"}},
			{Says: fmt.Sprintf("it used %s cores", cores(u.CPU)),
				Measure: &premortem.Measure{Signal: "process_cpu_cores", Node: u.Node, Trial: t.Experiment.Name, During: u.CPU, Unit: "cores"}},
		}
		f.Fix.Says = "move the work off the event loop of " + u.Node.Name() + ", or run more processes of it"
		report(f)
	}
}

func ifKnown(s float64) string {
	if s < 0 {
		return "not watched"
	}
	return seconds(s)
}
