package check

import (
	"fmt"

	"github.com/premortem/premortem"
)

// SingleReplica finds services on which users depend and of which there is one.
var SingleReplica = add(Rule{
	ID:       "single-replica",
	Severity: premortem.Down,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "a service that users reach runs once",
		Why: `Each crash, each drained node and each restart is an outage for everybody, until the
one process is ready again.`,
		When: `Production runs on Kubernetes, an ingress or load balancer sends users to a service,
and that service is written to have one replica and no autoscaler.`,
		Silent: `Two replicas or more; an autoscaler; no ingress leads to the service; the number is
not written, or production is one machine anyway (Compose).`,
		Fix: `Run two replicas or more, on different nodes.`,
	},
	Run: singleReplica,
})

func singleReplica(sys *premortem.System, report func(premortem.Finding)) {
	if kindOf(sys, sys.Production) != "kubernetes" {
		return
	}
	for _, svc := range production(sys) {
		if !svc.Replicas.Set() || svc.Replicas.Value != 1 || svc.MaxReplicas.Set() {
			continue
		}
		for _, lb := range sys.Balancers {
			if lb.To != svc.Node || !sys.IsProduction(lb.Deployment) {
				continue
			}
			report(premortem.Finding{
				Node:    svc.Node,
				Subject: svc.Deployment,
				Says:    fmt.Sprintf("users reach %s, and production runs 1 of it: each restart is an outage", svc.Node),
				Evidence: []premortem.Evidence{
					{Says: "1 replica and no autoscaler", Pos: svc.Replicas.Pos},
					{Says: lb.Kind + " sends users to it", Pos: lb.Pos},
				},
				Fix: premortem.Fix{
					Says:  "run 2 replicas or more, spread over nodes",
					Edits: []premortem.Edit{{Pos: svc.Replicas.Pos, Old: "1", New: "2"}},
				},
			})
			break
		}
	}
}
