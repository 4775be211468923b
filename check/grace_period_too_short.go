package check

import (
	"fmt"

	"github.com/premortem/premortem"
)

// GracePeriodTooShort adds what a stopping process still has to do and compares it
// with the time after which it is killed.
var GracePeriodTooShort = add(Rule{
	ID:       "grace-period-too-short",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "a stopping process is killed before it has finished",
		Why: `At each deploy the requests and jobs that still run are cut: users get a 502, jobs start
again from the beginning.`,
		When: `preStop wait + the time that the server goes on serving after SIGTERM + 2 s is more than
terminationGracePeriodSeconds, stopTimeout or stop_grace_period. Terms that nobody writes are the documented defaults. Where only the 2 s are missing it is a note.`,
		Silent: `Neither a wait nor a drain is written; the sum fits; the workload is a job.`,
		Fix:    `Raise the grace period above the sum, or drain for a shorter time.`,
	},
	Run: gracePeriodTooShort,
})

// killMargin is what a process needs to close its pools and exit, in seconds.
const killMargin = 2

func gracePeriodTooShort(sys *premortem.System, report func(premortem.Finding)) {
	for _, svc := range production(sys) {
		if svc.Job || svc.Schedule.Set() {
			continue
		}
		grace := graceOf(sys, svc)
		if !grace.ok {
			continue
		}
		var drain seconds
		for _, s := range serversOf(sys, svc.Node) {
			if d := drainOf(s); d.ok && d.value > drain.value {
				drain = d
			}
		}
		wait := seconds{value: svc.PreStop.Value, ok: svc.PreStop.Set(), pos: svc.PreStop.Pos}
		if wait.value+drain.value+killMargin <= grace.value {
			continue
		}
		// Defaults alone break gunicorn's sum everywhere: somebody must have written a term.
		if wait.value == 0 && !drain.written() && drain.value <= grace.value {
			continue
		}
		report(graceFinding(svc, wait, drain, grace))
	}
}

// graceOf is the time between SIGTERM and SIGKILL.
func graceOf(sys *premortem.System, svc *premortem.Service) seconds {
	software := ""
	switch kindOf(sys, svc.Deployment) {
	case "kubernetes":
		software = "kubernetes"
	case "compose":
		software = "docker"
	case "terraform", "cloudformation":
		software = "ecs"
	}
	return waits(svc.Grace, software, "", "grace", svc.Pos)
}

// drainOf is how long a server goes on serving after SIGTERM.
func drainOf(s *premortem.Server) seconds {
	if s.Software == "gunicorn" {
		return waits(s.Drain, "gunicorn", s.Version.Value, "drain", s.Pos)
	}
	if !s.Drain.Set() {
		return seconds{}
	}
	return seconds{value: s.Drain.Value, ok: true, pos: s.Drain.Pos}
}

func graceFinding(svc *premortem.Service, wait, drain, grace seconds) premortem.Finding {
	need := wait.value + drain.value + killMargin
	var evidence []premortem.Evidence
	sum := ""
	if wait.ok && wait.value > 0 {
		sum += secondsText(wait.value) + " preStop + "
		evidence = append(evidence, wait.evidence("a hook waits before SIGTERM"))
	}
	if drain.ok {
		sum += secondsText(drain.value) + " drain + "
		evidence = append(evidence, drain.evidence("requests may go on after SIGTERM for"))
	}
	sum += fmt.Sprintf("%d s to exit = %s", killMargin, secondsText(need))
	limit := grace.evidence("killed after")
	limit.Says += fmt.Sprintf("; %s > %s", sum, secondsText(grace.value))
	evidence = append(evidence, limit)
	verb := "needs"
	if drain.ok {
		verb = "may need" // a drain ends as soon as the last request does
	}
	f := premortem.Finding{
		Node: svc.Node, Subject: svc.Deployment,
		Certain:  wait.ok || grace.written(), // else both the bound of the drain and the default must hold
		Says:     fmt.Sprintf("%s %s %s to stop (%s) and is killed after %s", svc.Node, verb, secondsText(need), sum, secondsText(grace.value)),
		Evidence: evidence,
		Fix:      premortem.Fix{Says: fmt.Sprintf("give it a grace period of %.0f s, or let it drain for at most %s", need, secondsText(max(0, grace.value-wait.value-killMargin)))},
	}
	if wait.value+drain.value <= grace.value && wait.value < grace.value {
		f.Severity = asNote // it fits but for the time to exit
	}
	if grace.written() && grace.value == float64(int(grace.value)) {
		f.Fix.Edits = []premortem.Edit{{Pos: grace.pos, Old: fmt.Sprintf("%.0f", grace.value), New: fmt.Sprintf("%.0f", need)}}
	}
	return f
}
