package check

import (
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// HPAWithoutRequests finds autoscalers that have nothing to divide by.
var HPAWithoutRequests = add(Rule{
	ID:       "hpa-without-requests",
	Severity: premortem.Slow,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "the autoscaler has no request to compute from and never scales",
		Why: `Utilisation is use divided by request. Without a request the autoscaler reports
FailedGetResourceMetric and leaves the number of replicas as it is, at any load.`,
		When: `A HorizontalPodAutoscaler scales on the utilisation of CPU or memory, and its target's
container requests none of it and has no limit that becomes the request.`,
		Silent: `A request or a limit is set; it scales on an absolute value, a custom or an external
metric; a LimitRange in the tree gives a default.`,
		Fix: `Request what the container uses under normal load.`,
	},
	Run: hpaWithoutRequests,
})

func hpaWithoutRequests(sys *premortem.System, report func(premortem.Finding)) {
	for _, svc := range production(sys) {
		for _, on := range svc.ScalesOn {
			resource, rest, _ := strings.Cut(strings.ToLower(on.Value), " ")
			if !strings.HasPrefix(rest, "utili") {
				continue
			}
			has := svc.CPURequest.Set() || svc.CPU.Set()
			if resource == "memory" {
				has = svc.MemoryRequest.Set() || svc.Memory.Set()
			} else if resource != "cpu" {
				continue
			}
			if has {
				continue
			}
			report(premortem.Finding{
				Node: svc.Node, Subject: svc.Deployment + " " + resource,
				Says: fmt.Sprintf("%s shall scale on the utilisation of %s, but its container requests none: it stays at its smallest size", svc.Node, resource),
				Evidence: []premortem.Evidence{
					{Says: "the autoscaler divides by the request of " + resource, Pos: on.Pos},
					{Says: "the container requests none and has no limit", Pos: svc.Pos},
				},
				Fix: premortem.Fix{Says: "set resources.requests." + resource + " from measured use"},
			})
		}
	}
}
