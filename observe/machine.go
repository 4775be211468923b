package observe

import (
	"context"
	"fmt"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/mem"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/clone"
)

// Machine reads what everything in the clone shares.
var Machine = add(Probe{
	Name: "machine",
	Doc: premortem.Doc{
		Title:  "the machine's own saturation",
		Why:    "A clone on a full machine measures the machine, not the app.",
		When:   "At the edges of each phase.",
		Silent: "Work of other programs on the machine counts as busy too; how much of it there was shows when the units and premortem itself are subtracted.",
		Fix:    "Stop other programs while premortem measures, or use a machine with more cores. A failure beside much other work is not judged.",
	},
	Watch: func(context.Context, *clone.Clone) (Eye, error) { return &machineEye{}, nil },
})

type machineEye struct {
	last cpu.TimesStat
	seen bool
}

func (e *machineEye) Take(ctx context.Context, p *premortem.Phase) ([]string, error) {
	ts, err := cpu.TimesWithContext(ctx, false)
	if err != nil || len(ts) != 1 {
		return nil, fmt.Errorf("read the CPU times: %w", err)
	}
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the memory: %w", err)
	}
	now := ts[0]
	n, err := cpu.CountsWithContext(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("count the cores: %w", err)
	}
	if e.seen {
		busy := func(t cpu.TimesStat) float64 { return t.User + t.System + t.Nice + t.Irq + t.Softirq + t.Steal }
		total := func(t cpu.TimesStat) float64 { return busy(t) + t.Idle + t.Iowait }
		if d := total(now) - total(e.last); d > 0 {
			p.Machine = premortem.MachineStats{
				Watched: true, Memory: int64(m.Available),
				CPU: (busy(now) - busy(e.last)) / d * float64(n), Steal: (now.Steal - e.last.Steal) / d,
			}
		}
	}
	e.last, e.seen = now, true
	return nil, nil
}

func (*machineEye) Close() error { return nil }
