package judge

import (
	"fmt"
	"slices"

	"github.com/premortem/premortem"
)

// RestartedUnderLoad is a process that died.
var RestartedUnderLoad = add(Sign{
	Name:     "restarted-under-load",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title:  "a process died and was started again under load",
		Why:    "Every request it held is lost, the others carry its share, and they may follow it.",
		When:   "A process was restarted in the phase under load and not at normal load.",
		Silent: "A process that restarts at normal load too: it is broken, not overloaded.",
		Fix:    "Read its last log lines. An uncaught error needs a handler, an exhausted heap a bound, a failed health check a separate thread.",
	},
	Look: lookRestartedUnderLoad,
	rank: 9,
	explains: func(_ *premortem.Trial, cause, effect premortem.Finding) bool {
		return effect.Rule == "errors-under-load" && cause.Severity >= premortem.Down
	},
})

func lookRestartedUnderLoad(t *premortem.Trial, report func(premortem.Finding)) {
	ex := examine(t)
	during := t.Phase("during")
	if during == nil {
		return
	}
	var seen []premortem.Node
	for _, u := range during.Units {
		if slices.Contains(seen, u.Node) {
			continue
		}
		seen = append(seen, u.Node)
		now, normal := restarts(during, u.Node), restarts(t.Phase("before"), u.Node)
		if now == 0 || normal > 0 {
			continue
		}
		f := premortem.Finding{Node: u.Node, Severity: premortem.Slow}
		if len(ex.broken) > 0 {
			f.Severity = premortem.Down
		}
		f.Says = fmt.Sprintf("%s was restarted %s %s", u.Node.Name(), plural(now, "time", "times"), at(t))
		f.Evidence = []premortem.Evidence{{
			Says:    fmt.Sprintf("restarts: none at normal load, %d %s", now, at(t)),
			Measure: &premortem.Measure{Signal: "process_restarts", Node: u.Node, Trial: t.Experiment.Name, During: float64(now), Unit: "restarts"},
		}}
		f.Fix.Says = "read the last log lines of " + u.Node.Name() + " before it died"
		report(f)
	}
}

func restarts(p *premortem.Phase, n premortem.Node) int {
	total := 0
	for _, u := range unitsOf(p, n) {
		total += u.Restarted
	}
	return total
}
