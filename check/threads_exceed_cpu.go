package check

import (
	"fmt"

	"github.com/premortem/premortem"
)

// ThreadsExceedCPU compares the processes and threads of a server with the CPU that
// its container may use.
var ThreadsExceedCPU = add(Rule{
	ID:       "threads-exceed-cpu",
	Severity: premortem.Slow,
	Doc: premortem.Doc{
		Title: "more workers than the container has CPU for",
		Why: `The kernel stops the whole container for the rest of each 100 ms once its share is used.
With many workers the share is gone at once, and every request waits for the next slice:
latency jumps at half of the load that was expected.`,
		When: `Workers of a server are one or more for each core of the host, inside a container with a
CPU limit; or more than four worker processes for each core of the limit.`,
		Silent: `There is no CPU limit; the server is asynchronous or has one process; the runtime reads the
limit by itself (JVM, Go).`,
		Fix: `Write the number of workers down: one or two for each core of the limit.`,
	},
	Run: threadsExceedCPU,
})

// workersPerCore is how many worker processes share one core without harm: most of
// them wait most of the time.
const workersPerCore = 4

func threadsExceedCPU(sys *premortem.System, report func(premortem.Finding)) {
	for _, s := range sys.Servers {
		svc := inProduction(sys, s.Service)
		if svc == nil || !svc.CPU.Set() || svc.CPU.Value <= 0 || !s.Workers.Set() || s.Software == "go" || s.Software == "tomcat" {
			continue
		}
		n := s.Workers.Value
		if n > 0 && float64(n) <= workersPerCore*svc.CPU.Value || n == 1 {
			continue
		}
		f := premortem.Finding{
			Node: s.Service, Subject: svc.Deployment,
			Says: fmt.Sprintf("%s starts %d worker processes, but its container may use %s", s.Service, n, coresText(svc.CPU.Value)),
			Evidence: []premortem.Evidence{
				siteText(fmt.Sprintf("%d processes", n), s.Workers.Pos, ""),
				{Says: "the limit: " + coresText(svc.CPU.Value), Pos: svc.CPU.Pos},
			},
			Fix: premortem.Fix{Says: fmt.Sprintf("start %d workers", max(1, int(2*svc.CPU.Value)))},
		}
		if n == 0 {
			f.Says = fmt.Sprintf("%s starts one worker for each core of the host, but its container may use %s", s.Service, coresText(svc.CPU.Value))
			f.Evidence[0].Says = "as many as the host has cores: what a container sees is the host, not its limit"
			f.Certain = true
		}
		report(f)
	}
}

func coresText(n float64) string {
	if n == 1 {
		return "1 core"
	}
	return fmt.Sprintf("%g cores", n)
}
