package check

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// HeapExceedsMemoryLimit compares the heap that a runtime is allowed with the memory
// that its container is.
var HeapExceedsMemoryLimit = add(Rule{
	ID:       "heap-exceeds-memory-limit",
	Severity: premortem.Down,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "the runtime may use more memory than its container has",
		Why: `The runtime sees no reason to collect garbage, and the kernel kills the process in
the middle of requests, without a message of its own.`,
		When: `--max-old-space-size or -Xmx, in the command or in NODE_OPTIONS or JAVA_TOOL_OPTIONS of
production, plus what the runtime needs besides the heap (a quarter, at least 128 MiB),
is more than the memory limit of the container.`,
		Silent: `The container has no limit, no heap size is written, or both fit.`,
		Fix:    `Set the heap to three quarters of the limit, or raise the limit.`,
	},
	Run: heapExceedsMemoryLimit,
})

var heapFlag = regexp.MustCompile(`(?:--max[-_]old[-_]space[-_]size[= ](\d+)|-Xmx(\d+)([kKmMgG]?))`)

func heapExceedsMemoryLimit(sys *premortem.System, report func(premortem.Finding)) {
	for _, svc := range production(sys) {
		heap, flag := heapOf(svc)
		if !flag.Set() || !svc.Memory.Set() {
			continue
		}
		need := heap + max(heap/4, 128<<20)
		if need <= svc.Memory.Value {
			continue
		}
		fits := svc.Memory.Value / 4 * 3
		if fits+128<<20 > svc.Memory.Value {
			fits = svc.Memory.Value - 128<<20
		}
		fix := fmt.Sprintf("allow a heap of %d MiB at most, or raise the limit to %d MiB", fits>>20, need>>20)
		if fits < 32<<20 {
			fix = fmt.Sprintf("raise the limit to %d MiB", need>>20)
		}
		report(premortem.Finding{
			Node:    svc.Node,
			Subject: svc.Deployment,
			Says: fmt.Sprintf("%s may use a heap of %d MiB and needs about %d MiB with it, but its container is killed at %d MiB",
				svc.Node, heap>>20, need>>20, svc.Memory.Value>>20),
			Evidence: []premortem.Evidence{
				{Says: flag.Value, Pos: flag.Pos},
				{Says: fmt.Sprintf("the container's limit is %d MiB", svc.Memory.Value>>20), Pos: svc.Memory.Pos},
			},
			Fix: premortem.Fix{Says: fix},
		})
	}
}

// heapOf returns the largest heap in bytes that a service's flags allow, and the
// flag. A later flag wins, and the command wins over the environment.
func heapOf(svc *premortem.Service) (int64, premortem.Setting[string]) {
	texts := []premortem.Setting[string]{{Value: strings.Join(svc.Command.Value, " "), Pos: svc.Command.Pos}}
	for _, set := range svc.Provides {
		if (set.Name == "NODE_OPTIONS" || set.Name == "JAVA_TOOL_OPTIONS" || set.Name == "JDK_JAVA_OPTIONS") && set.Plain {
			texts = append(texts, premortem.Setting[string]{Value: set.Value, Pos: set.Pos})
		}
	}
	for _, text := range texts {
		found := heapFlag.FindAllStringSubmatch(text.Value, -1)
		if len(found) == 0 || !text.Set() {
			continue
		}
		m := found[len(found)-1]
		n, err := strconv.ParseInt(m[1]+m[2], 10, 64)
		if err != nil {
			continue
		}
		switch {
		case m[1] != "" || strings.EqualFold(m[3], "m"):
			n <<= 20
		case strings.EqualFold(m[3], "g"):
			n <<= 30
		case strings.EqualFold(m[3], "k"):
			n <<= 10
		}
		return n, premortem.Setting[string]{Value: m[0], Pos: text.Pos}
	}
	return 0, premortem.Setting[string]{}
}
