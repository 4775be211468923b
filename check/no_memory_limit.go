package check

import (
	"fmt"

	"github.com/premortem/premortem"
)

// NoMemoryLimit finds containers that may take all memory of their node.
var NoMemoryLimit = add(Rule{
	ID:       "no-memory-limit",
	Severity: premortem.Slow,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "one leak takes the node and its neighbours",
		Why: `A container without a limit grows until the node has no memory left. The kernel then
kills whatever it likes, also other services, and the node may stop answering.`,
		When: `A container of production on Kubernetes has no memory limit.`,
		Silent: `A limit is set; a LimitRange in the tree gives one; the platform caps the task (Fargate,
Cloud Run); the deployment is one machine (Compose); jobs.`,
		Fix: `Set the limit to one and a half times the measured peak.`,
	},
	Run: noMemoryLimit,
})

func noMemoryLimit(sys *premortem.System, report func(premortem.Finding)) {
	for _, svc := range production(sys) {
		if !svc.Unlimited || svc.Memory.Set() || svc.Job || kindOf(sys, svc.Deployment) != "kubernetes" {
			continue
		}
		f := premortem.Finding{
			Node: svc.Node, Subject: svc.Deployment,
			Says:     fmt.Sprintf("%s has no memory limit: one leak takes its node with everything that runs there", svc.Node),
			Evidence: []premortem.Evidence{{Says: "no resources.limits.memory", Pos: svc.Pos}},
			Fix:      premortem.Fix{Says: "set resources.limits.memory to one and a half times the measured peak"},
		}
		if svc.MemoryRequest.Set() {
			f.Evidence = append(f.Evidence, premortem.Evidence{
				Says: fmt.Sprintf("it requests %d MiB, which is no upper bound", svc.MemoryRequest.Value>>20), Pos: svc.MemoryRequest.Pos})
		}
		report(f)
	}
}
