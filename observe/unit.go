package observe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/process"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/clone"
)

// Unit reads each unit's CPU, memory, descriptors, connections and event-loop delay.
var Unit = add(Probe{
	Name: "unit",
	Doc: premortem.Doc{
		Title:  "the processes of each service",
		Why:    "Tells a service that is busy from one that waits.",
		When:   "Every 250 ms from the operating system, CPU every second; the event-loop delay comes from inside Node.",
		Silent: "A runtime without a preload reports no event-loop delay: it is -1, not 0. Memory and descriptors are those of the first process, CPU is that of all below it too.",
		Fix:    "Look at the unit that uses the most of what it may use. One core and an event loop that lags is work in one thread; little CPU and many connections is waiting.",
	},
	Watch: func(_ context.Context, c *clone.Clone) (Eye, error) {
		e := &unitEye{c: c, stop: make(chan struct{}), units: map[int]*unitSamples{}}
		e.done.Go(e.sample)
		return e, nil
	},
})

const unitEvery = 250 * time.Millisecond

type unitEye struct {
	c    *clone.Clone
	stop chan struct{}
	done sync.WaitGroup

	mu     sync.Mutex
	units  map[int]*unitSamples // by pid
	server spent
	pid    int32 // of the server
}

// unitSamples is what was seen of one process since the last Take.
type unitSamples struct {
	stats premortem.UnitStats
	proc  *process.Process
	cpu   spent
}

func (e *unitEye) sample() {
	tick := time.NewTicker(unitEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-e.stop:
			return
		case <-tick.C:
			e.mu.Lock()
			e.look()
			if n%4 == 0 {
				e.lookCPU()
			}
			e.mu.Unlock()
		}
	}
}

// look notes what has a maximum; e.mu is held.
func (e *unitEye) look() {
	for _, u := range e.c.Units() {
		if u == nil {
			continue
		}
		s := e.units[u.Pid()]
		if s == nil {
			p, err := process.NewProcess(int32(u.Pid()))
			if err != nil {
				continue
			}
			s = &unitSamples{proc: p, stats: premortem.UnitStats{Node: u.Node(), Replica: u.Replica(), LagP99: -1}}
			e.units[u.Pid()] = s
		}
		s.look(u)
	}
}

func (s *unitSamples) look(u clone.Unit) {
	if m, err := s.proc.MemoryInfo(); err == nil {
		s.stats.Memory = max(s.stats.Memory, int64(m.RSS))
	}
	if n, err := s.proc.NumThreads(); err == nil {
		s.stats.Threads = max(s.stats.Threads, int(n))
	}
	if n, err := s.proc.NumFDs(); err == nil {
		s.stats.Files = max(s.stats.Files, int(n))
	}
	if v, ok := u.Vitals(); ok {
		s.stats.LagP99 = max(s.stats.LagP99, v.LagP99)
	}
}

// lookCPU notes the CPU time of all trees at one moment; e.mu is held. It reads every
// process of the machine, so it is done less often than look.
func (e *unitEye) lookCPU() {
	var roots []int32
	for pid := range e.units {
		roots = append(roots, int32(pid))
	}
	if e.c.Database != nil {
		pid := int32(e.c.Database.Server.Pid())
		if pid != e.pid { // it was started again
			e.server, e.pid = spent{}, pid
		}
		roots = append(roots, pid)
	}
	times, now := cpuTimes(roots), time.Now()
	for pid, s := range e.units {
		if t, ok := times[int32(pid)]; ok {
			s.cpu.look(t, now)
		}
	}
	if t, ok := times[e.pid]; ok && e.pid != 0 {
		e.server.look(t, now)
	}
}

func (e *unitEye) Take(ctx context.Context, p *premortem.Phase) ([]string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.look()
	e.lookCPU()
	live := map[int]bool{}
	var blind []string
	for _, u := range e.c.Units() {
		s := e.units[u.Pid()]
		if s == nil || s.cpu.to.IsZero() {
			blind = append(blind, fmt.Sprintf("%s replica %d was not seen", u.Node(), u.Replica()))
			continue
		}
		live[u.Pid()] = true
		s.stats.CPU, _ = s.cpu.take()
		s.stats.Conns = e.databaseConns(ctx, u)
		p.Units = append(p.Units, s.stats)
		s.stats.CPU, s.stats.LagP99 = 0, -1
		s.stats.Memory, s.stats.Files, s.stats.Threads = 0, 0, 0
	}
	if db := e.c.Database; db != nil {
		if cpu, ok := e.server.take(); ok {
			p.Units = append(p.Units, premortem.UnitStats{Node: db.Node, CPU: cpu, LagP99: -1})
		}
	}
	p.Units = append(p.Units, e.dead(live, p.Units)...)
	return blind, nil
}

// dead forgets the processes that have ended since the last Take and returns what
// those had used in whose place none runs: their work was the clone's, not that of
// other programs. e.mu is held.
func (e *unitEye) dead(live map[int]bool, running []premortem.UnitStats) []premortem.UnitStats {
	var out []premortem.UnitStats
	for pid, s := range e.units {
		if live[pid] {
			continue
		}
		delete(e.units, pid)
		again := slices.ContainsFunc(running, func(u premortem.UnitStats) bool {
			return u.Node == s.stats.Node && u.Replica == s.stats.Replica
		})
		if cpu, ok := s.cpu.take(); ok && !again {
			s.stats.CPU = cpu
			out = append(out, s.stats)
		}
	}
	slices.SortFunc(out, func(a, b premortem.UnitStats) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Replica, b.Replica))
	})
	return out
}

// databaseConns counts the unit's connections to the database's edge.
func (e *unitEye) databaseConns(ctx context.Context, u clone.Unit) int {
	if e.c.Database == nil {
		return 0
	}
	edge := e.c.Edge(u.Node(), e.c.Database.Node)
	if edge == nil {
		return 0
	}
	conns, err := net.ConnectionsPidWithContext(ctx, "tcp", int32(u.Pid()))
	if err != nil {
		return 0
	}
	n := 0
	for _, c := range conns {
		if fmt.Sprintf("%s:%d", c.Raddr.IP, c.Raddr.Port) == edge.Addr() && c.Status == "ESTABLISHED" {
			n++
		}
	}
	return n
}

func (e *unitEye) Close() error {
	select {
	case <-e.stop:
		return errors.New("the unit probe is closed twice")
	default:
		close(e.stop)
	}
	e.done.Wait()
	return nil
}
