package judge

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// RestartedUnderLoad is a process that died.
var RestartedUnderLoad = add(Sign{
	Name:     "restarted-under-load",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title:  "a process ended under load",
		Why:    "Every request it held is lost, the others carry its share, and they may follow it.",
		When:   "A process ended by itself in the phase under load, and had to be started again, and did not at normal load.",
		Silent: "A process that ends at normal load too: it is broken, not overloaded.",
		Fix:    "Read its last log lines. An uncaught error needs a handler, an exhausted heap a bound, a failed health check a separate thread.",
	},
	Look: lookRestartedUnderLoad,
	rank: 9,
	explains: func(_ *premortem.Trial, cause, effect premortem.Finding) bool {
		return effect.Rule == "errors-under-load" && cause.Severity >= effect.Severity
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
		f := premortem.Finding{Node: u.Node, Severity: premortem.Down}
		if ex.answer == premortem.Holds { // the others carried its share
			f.Severity = premortem.Slow
		}
		f.Says = fmt.Sprintf("%s ended %s %s", u.Node, plural(now, "time", "times"), at(t))
		if how := endings(t, u.Node); how != "" {
			f.Says += ": " + how
		}
		f.Evidence = []premortem.Evidence{{
			Says:    fmt.Sprintf("ended by itself: never at normal load, %s %s", plural(now, "time", "times"), at(t)),
			Measure: &premortem.Measure{Signal: "process_restarts", Node: u.Node, Trial: t.Experiment.Name, During: float64(now), Unit: "restarts"},
		}}
		f.Fix.Says = "read the last log lines of " + u.Node.Name() + " before it ended"
		report(f)
	}
}

// ending is how the record tells that a process ended: "service/api (replica 0)
// ended with exit status 1 under this load".
var ending = regexp.MustCompile(`^(\S+) \(replica \d+\) ended with (.+?) under this load`)

// endings is how the processes of a node ended, "exit status 1", "" when the record
// does not say.
func endings(t *premortem.Trial, n premortem.Node) string {
	var how []string
	for _, d := range t.Doubts {
		if m := ending.FindStringSubmatch(d); m != nil && m[1] == string(n) {
			how = append(how, m[2])
		}
	}
	slices.Sort(how)
	return strings.Join(slices.Compact(how), " or ")
}

func restarts(p *premortem.Phase, n premortem.Node) int {
	total := 0
	for _, u := range unitsOf(p, n) {
		total += u.Restarted
	}
	return total
}
