package judge

import (
	"fmt"

	"github.com/premortem/premortem"
)

const (
	memoryGrows = 2         // times the memory at normal load
	memoryBytes = 200 << 20 // more than at normal load, at least
)

// MemoryGrowth is a process that does not give memory back.
var MemoryGrowth = add(Sign{
	Name:     "memory-growth",
	Severity: premortem.Note,
	Doc: premortem.Doc{
		Title: "a process keeps the memory that load made it take",
		Why:   "If it grows with each peak, the process is killed at its limit, at a peak, together with the requests it holds.",
		When: "Under load a process uses at least twice its memory at normal load and at least 200 MB more, and still holds " +
			"nine tenths of that when normal load is back.",
		Silent: "Memory that returns; trials without a phase of normal load after the peak. Runtimes may keep memory they " +
			"do not need, so this is a note: only a longer run can tell a leak from a habit.",
		Fix: "Repeat the peak a few times. If it grows each time, bound caches and stream large answers.",
	},
	Look: lookMemoryGrowth,
	rank: 8,
})

func lookMemoryGrowth(t *premortem.Trial, report func(premortem.Finding)) {
	during, after := t.Phase("during"), t.Phase("after")
	if during == nil || after == nil {
		return
	}
	for _, u := range during.Units {
		before, still := memoryOf(t.Phase("before"), u), memoryOf(after, u)
		if before <= 0 || u.Memory < memoryGrows*before || u.Memory-before < memoryBytes || float64(still) < 0.9*float64(u.Memory) {
			continue
		}
		f := premortem.Finding{Node: u.Node, Severity: premortem.Note}
		f.Says = fmt.Sprintf("%s grows from %s to %s under load and keeps %s of it", u.Node.Name(), size(before), size(u.Memory), size(still))
		f.Evidence = []premortem.Evidence{{
			Says:    fmt.Sprintf("resident memory of process %d: %s before, %s under load, %s after", u.Replica, size(before), size(u.Memory), size(still)),
			Measure: &premortem.Measure{Signal: "process_memory", Node: u.Node, Trial: t.Experiment.Name, Before: float64(before), During: float64(u.Memory), Unit: "bytes"},
		}}
		f.Fix.Says = "repeat the peak; if memory grows each time, bound what " + u.Node.Name() + " keeps"
		report(f)
	}
}

func memoryOf(p *premortem.Phase, u premortem.UnitStats) int64 {
	for _, v := range unitsOf(p, u.Node) {
		if v.Replica == u.Replica {
			return v.Memory
		}
	}
	return 0
}

// size prints bytes in the unit a person would choose.
func size(b int64) string {
	switch {
	case b >= 1e9:
		return plain(twoDigits(float64(b)/1e9)) + " GB"
	case b >= 1e6:
		return plain(twoDigits(float64(b)/1e6)) + " MB"
	}
	return plain(twoDigits(float64(b)/1e3)) + " kB"
}
