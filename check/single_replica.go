package check

import (
	"fmt"
	"strconv"
	"strings"

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
and that service is written to have one replica and no autoscaler, or an autoscaler that
goes down to one. A PodDisruptionBudget that lets no pod go is slow: nodes cannot be drained.`,
		Silent: `Two replicas or more; no ingress leads to the service; the number is
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
		one, says := svc.Replicas, "1 replica and no autoscaler"
		switch {
		case svc.MinReplicas.Set():
			one, says = svc.MinReplicas, "the autoscaler goes down to 1 replica"
		case svc.MaxReplicas.Set():
			continue
		}
		reached, users := userFacing(sys, svc)
		if !users {
			continue
		}
		if one.Set() && one.Value == 1 {
			report(singleFinding(svc, one, says, reached))
		}
		blockedDrains(svc, reached, report)
	}
}

func singleFinding(svc *premortem.Service, one premortem.Setting[int], says string, reached premortem.Evidence) premortem.Finding {
	return premortem.Finding{
		Node:     svc.Node,
		Subject:  svc.Deployment,
		Says:     fmt.Sprintf("users reach %s, and production runs 1 of it: each restart is an outage", svc.Node),
		Evidence: []premortem.Evidence{{Says: says, Pos: one.Pos}, reached},
		Fix: premortem.Fix{
			Says:  "run 2 replicas or more, spread over nodes",
			Edits: []premortem.Edit{{Pos: one.Pos, Old: "1", New: "2"}},
		},
	}
}

// blockedDrains reports a PodDisruptionBudget that lets no pod go: nodes cannot be
// drained, and whoever drains them by force takes the service down.
func blockedDrains(svc *premortem.Service, reached premortem.Evidence, report func(premortem.Finding)) {
	least := svc.MinReplicas
	if !least.Set() {
		least = svc.Replicas
	}
	kind, number, _ := strings.Cut(svc.Disruption.Value, " ")
	n, err := strconv.Atoi(number)
	zero := kind == "maxUnavailable" && (number == "0" || number == "0%")
	all := kind == "minAvailable" && (number == "100%" || err == nil && least.Set() && n >= least.Value)
	if !svc.Disruption.Set() || (!zero && !all) {
		return
	}
	evidence := []premortem.Evidence{{Says: "the budget: " + svc.Disruption.Value, Pos: svc.Disruption.Pos}}
	if least.Set() {
		evidence = append(evidence, premortem.Evidence{Says: fmt.Sprintf("%s at least", many(least.Value, "replica")), Pos: least.Pos})
	}
	report(premortem.Finding{
		Node: svc.Node, Subject: svc.Deployment + " budget", Severity: premortem.Slow,
		Says:     fmt.Sprintf("the disruption budget of %s (%s) lets no pod go: its nodes cannot be drained", svc.Node, svc.Disruption.Value),
		Evidence: append(evidence, reached),
		Fix:      premortem.Fix{Says: "allow one pod to be missing: maxUnavailable: 1, with 2 replicas or more"},
	})
}
