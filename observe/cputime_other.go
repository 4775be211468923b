//go:build !linux

package observe

import "github.com/shirou/gopsutil/v4/process"

// cpuTimes reads the CPU seconds of each process and of what lives below it. What
// below it has ended is not in it: this system's interface does not tell.
func cpuTimes(roots []int32) map[int32]float64 {
	out := map[int32]float64{}
	for _, root := range roots {
		p, err := process.NewProcess(root)
		if err != nil {
			continue
		}
		if sum, ok := sumTree(p); ok {
			out[root] = sum
		}
	}
	return out
}

func sumTree(p *process.Process) (sum float64, ok bool) {
	t, err := p.Times()
	if err != nil {
		return 0, false
	}
	sum = t.User + t.System
	if children, err := p.Children(); err == nil {
		for _, c := range children {
			below, _ := sumTree(c)
			sum += below
		}
	}
	return sum, true
}
