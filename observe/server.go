package observe

import (
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// serverSamples adds up the CPU time of a database server: its first process and the
// children, one for each connection, that come and go.
type serverSamples struct {
	cpu  map[int32]float64 // seconds at the last look
	used float64           // since the last take
	from time.Time
}

// look reads each process and adds what it used since the last look. What a child used
// between its last look and its end is missed: at most a second of one connection.
func (s *serverSamples) look(pid int32) {
	first, err := process.NewProcess(pid)
	if err != nil {
		return
	}
	all := []*process.Process{first}
	if children, err := first.Children(); err == nil {
		all = append(all, children...)
	}
	now := map[int32]float64{}
	for _, p := range all {
		t, err := p.Times()
		if err != nil {
			continue
		}
		now[p.Pid] = t.User + t.System
		if before, seen := s.cpu[p.Pid]; seen {
			s.used += now[p.Pid] - before
		} else if s.cpu != nil {
			s.used += now[p.Pid] // born since the last look
		}
	}
	if s.cpu == nil {
		s.from = time.Now()
	}
	s.cpu = now
}

// take returns the cores used since the last take, and begins anew. ok is false when
// nothing was seen.
func (s *serverSamples) take() (cores float64, ok bool) {
	if s.cpu == nil || s.from.IsZero() {
		return 0, false
	}
	d := time.Since(s.from).Seconds()
	cores, ok = s.used/max(d, 1e-9), d > 0.05
	s.used, s.from = 0, time.Now()
	return cores, ok
}
