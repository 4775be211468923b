package check

import (
	"fmt"

	"github.com/premortem/premortem"
)

// NoReadinessProbe finds services that get traffic before they can answer.
var NoReadinessProbe = add(Rule{
	ID:       "no-readiness-probe",
	Severity: premortem.Down,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "traffic reaches new pods before they have started",
		Why: `Without a readiness probe Kubernetes counts a container as ready as soon as its process
runs. During each deploy, and after each crash, users get errors until the process listens.`,
		When: `On Kubernetes, a workload behind a Service or an ingress has no readiness probe. It is
down where users reach it and the autoscaler or the replicas say that deploys roll, slow
where only other services do.`,
		Silent: `There is a readiness probe, or a startup probe (then it is a note); no Service selects it;
it is a job; it is replaced at once (Recreate); it serves files only.`,
		Fix: `Add a readinessProbe on a route that answers once the service can work.`,
	},
	Run: noReadinessProbe,
})

func noReadinessProbe(sys *premortem.System, report func(premortem.Finding)) {
	if kindOf(sys, sys.Production) != "kubernetes" {
		return
	}
	for _, svc := range production(sys) {
		if svc.Job || svc.Schedule.Set() || svc.Strategy.Value == "Recreate" || len(svc.Ports) == 0 {
			continue
		}
		reached, users := userFacing(sys, svc)
		if !users {
			if !svc.Exposed.Set() {
				continue
			}
			reached = premortem.Evidence{Says: svc.Exposed.Value + " sends it traffic", Pos: svc.Exposed.Pos}
		}
		startup, ready := false, false
		for _, p := range svc.Probes {
			ready = ready || p.Kind == "readiness"
			startup = startup || p.Kind == "startup"
		}
		if ready {
			continue
		}
		f := premortem.Finding{
			Node: svc.Node, Subject: svc.Deployment,
			Says: fmt.Sprintf("%s has no readiness probe: traffic reaches new pods before they listen", svc.Node),
			Evidence: []premortem.Evidence{
				{Says: "no readinessProbe here", Pos: svc.Pos}, reached,
			},
			Fix: premortem.Fix{Says: "add a readinessProbe with a timeout above the 99th percentile of its route"},
		}
		switch {
		case startup || svc.Static:
			f.Severity = asNote
		case !users || svc.Replicas.Or(1) < 2 && !svc.MaxReplicas.Set():
			f.Severity = premortem.Slow
		}
		report(f)
	}
}
