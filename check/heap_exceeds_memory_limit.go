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
		When: `--max-old-space-size, -Xmx or a MaxRAMPercentage above 80, in the command or in the
environment of production, plus what the runtime needs besides the heap (a quarter, at
least 128 MiB), times the processes of the container, is more than its memory limit; or
GOMEMLIMIT or PHP_MEMORY_LIMIT is. For PostgreSQL in a container shared_buffers +
max_connections × work_mem × 2 above the limit is a note.`,
		Silent: `The container has no limit, no heap size is written, or both fit.`,
		Fix:    `Set the heap to three quarters of the limit, or raise the limit.`,
	},
	Run: heapExceedsMemoryLimit,
})

var heapFlag = regexp.MustCompile(`(?:--max[-_]old[-_]space[-_]size[= ](\d+)|-Xmx(\d+)([kKmMgG]?))`)

func heapExceedsMemoryLimit(sys *premortem.System, report func(premortem.Finding)) {
	for _, svc := range production(sys) {
		if !svc.Memory.Set() || svc.Memory.Value <= 0 {
			continue
		}
		heap, processes := heapOf(svc), premortem.Setting[int]{}
		for _, s := range serversOf(sys, svc.Node) {
			if s.Workers.Set() && s.Workers.Value > 1 {
				processes = s.Workers
			}
		}
		if heap.flag.Set() {
			if f, ok := heapFinding(svc, heap, processes); ok {
				report(f)
			}
		}
	}
	databaseMemory(sys, report)
}

// heap is what a flag allows a runtime, and what the runtime needs beside it.
type heap struct {
	bytes    int64
	overhead int64
	flag     premortem.Setting[string]
}

func heapFinding(svc *premortem.Service, h heap, processes premortem.Setting[int]) (premortem.Finding, bool) {
	limit, n := svc.Memory.Value, int64(max(1, processes.Value))
	need := n * (h.bytes + h.overhead)
	if need <= limit {
		return premortem.Finding{}, false
	}
	fits := min(limit/n/4*3, limit/n-h.overhead)
	fix := fmt.Sprintf("allow a heap of %d MiB at most, or raise the limit to %d MiB", fits>>20, need>>20)
	if fits < 32<<20 {
		fix = fmt.Sprintf("raise the limit to %d MiB", need>>20)
	}
	says := fmt.Sprintf("%s may use a heap of %d MiB and needs about %d MiB with it, but its container is killed at %d MiB",
		svc.Node, h.bytes>>20, need>>20, limit>>20)
	evidence := []premortem.Evidence{{Says: h.flag.Value, Pos: h.flag.Pos}}
	if n > 1 {
		says = fmt.Sprintf("%s runs %d processes with a heap of %d MiB each and needs about %d MiB, but its container is killed at %d MiB",
			svc.Node, n, h.bytes>>20, need>>20, limit>>20)
		evidence = append(evidence, premortem.Evidence{Says: fmt.Sprintf("%d processes", n), Pos: processes.Pos})
	}
	return premortem.Finding{
		Node: svc.Node, Subject: svc.Deployment, Says: says,
		Evidence: append(evidence, premortem.Evidence{Says: fmt.Sprintf("the container's limit is %d MiB", limit>>20), Pos: svc.Memory.Pos}),
		Fix:      premortem.Fix{Says: fix},
	}, true
}

// heapOf returns the largest heap that a service's flags allow. A later flag wins, and
// the command wins over the environment.
func heapOf(svc *premortem.Service) heap {
	texts := []premortem.Setting[string]{{Value: strings.Join(svc.Command.Value, " "), Pos: svc.Command.Pos}}
	for _, set := range svc.Provides {
		if !set.Plain {
			continue
		}
		switch set.Name {
		case "NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "JAVA_OPTS":
			texts = append(texts, premortem.Setting[string]{Value: set.Value, Pos: set.Pos})
		case "GOMEMLIMIT", "PHP_MEMORY_LIMIT":
			if n, ok := sizeText(set.Value); ok {
				return heap{bytes: n, flag: premortem.Setting[string]{Value: set.Name + "=" + set.Value, Pos: set.Pos}}
			}
		}
	}
	for _, text := range texts {
		if !text.Set() {
			continue
		}
		if found := heapFlag.FindAllStringSubmatch(text.Value, -1); len(found) > 0 {
			m := found[len(found)-1]
			n, ok := sizeText(m[1] + m[2] + m[3])
			if m[1] != "" {
				n, ok = sizeText(m[1] + "m")
			}
			if ok {
				return heap{bytes: n, overhead: max(n/4, 128<<20), flag: premortem.Setting[string]{Value: m[0], Pos: text.Pos}}
			}
		}
		if m := ramPercentage.FindStringSubmatch(text.Value); m != nil && svc.Memory.Set() {
			share, err := strconv.ParseFloat(m[1], 64)
			if err == nil && share > 80 && share <= 100 {
				n := int64(float64(svc.Memory.Value) * share / 100)
				return heap{bytes: n, overhead: max(n/4, 128<<20), flag: premortem.Setting[string]{Value: m[0], Pos: text.Pos}}
			}
		}
	}
	return heap{}
}

var (
	ramPercentage = regexp.MustCompile(`-XX:MaxRAMPercentage=(\d+(?:\.\d+)?)`)
	sizeWord      = regexp.MustCompile(`^(\d+)\s*([kKmMgG]?)(?:i?[bB])?$`)
)

// sizeText reads "512m", "1GiB" or "4MB" as bytes; every unit counts in 1024s, as the
// runtimes and PostgreSQL do.
func sizeText(text string) (int64, bool) {
	m := sizeWord.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || n > 1<<40 {
		return 0, false
	}
	switch strings.ToLower(m[2]) {
	case "k":
		n <<= 10
	case "m":
		n <<= 20
	case "g":
		n <<= 30
	}
	return n, true
}

// databaseMemory is the same question for PostgreSQL: shared buffers, and two sorts in
// each connection at once. It is a note, as few connections sort at once.
func databaseMemory(sys *premortem.System, report func(premortem.Finding)) {
	for _, st := range sys.Stores {
		if st.Kind != "postgres" || !st.Memory.Set() || !sys.IsProduction(st.Deployment) {
			continue
		}
		shared, work := param(st, "shared_buffers"), param(st, "work_mem")
		buffers, okB := sizeText(shared.Or("128MB"))
		sort, okW := sizeText(work.Or("4MB"))
		connections := limitOf(sys, st.Node)
		if (!shared.Set() && !work.Set()) || !okB || !okW || !connections.known {
			continue
		}
		need := buffers + int64(connections.max)*sort*2
		if need <= st.Memory.Value {
			continue
		}
		f := premortem.Finding{
			Node: st.Node, Subject: st.Deployment, Severity: asNote,
			Says: fmt.Sprintf("%s may need %d MiB (shared_buffers %d MiB + %d connections × work_mem %d MiB × 2), but its container is killed at %d MiB",
				st.Node, need>>20, buffers>>20, connections.max, sort>>20, st.Memory.Value>>20),
			Evidence: []premortem.Evidence{{Says: fmt.Sprintf("the container's limit is %d MiB", st.Memory.Value>>20), Pos: st.Memory.Pos}},
			Fix:      premortem.Fix{Says: "lower work_mem or max_connections, or raise the limit"},
		}
		for _, p := range []premortem.Setting[string]{shared, work} {
			if p.Set() {
				f.Evidence = append(f.Evidence, premortem.Evidence{Says: "the server's setting: " + p.Value, Pos: p.Pos})
			}
		}
		report(f)
	}
}
