package observe

import (
	"context"
	"errors"
	"fmt"
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
		When:   "Every 250 ms from the operating system; the event-loop delay comes from inside Node.",
		Silent: "A runtime without a preload reports no event-loop delay: it is -1, not 0.",
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
	server serverSamples
}

// unitSamples is what was seen of one process since the last Take.
type unitSamples struct {
	stats   premortem.UnitStats
	proc    *process.Process
	cpu0    float64 // CPU seconds at the last Take
	at0     time.Time
	cpu     float64
	at      time.Time
	lagSeen bool
	missed  int
}

func (e *unitEye) sample() {
	tick := time.NewTicker(unitEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-e.stop:
			return
		case <-tick.C:
			e.look()
			if n%4 == 0 && e.c.Database != nil {
				e.mu.Lock()
				e.server.look(int32(e.c.Database.Server.Pid()))
				e.mu.Unlock()
			}
		}
	}
}

func (e *unitEye) look() {
	e.mu.Lock()
	defer e.mu.Unlock()
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
	t, err := s.proc.Times()
	if err != nil {
		s.missed++
		return
	}
	s.cpu, s.at = t.User+t.System, time.Now()
	if s.at0.IsZero() {
		s.cpu0, s.at0 = s.cpu, s.at
	}
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
		s.stats.LagP99, s.lagSeen = max(s.stats.LagP99, v.LagP99), true
	}
}

func (e *unitEye) Take(ctx context.Context, p *premortem.Phase) ([]string, error) {
	e.look()
	e.mu.Lock()
	defer e.mu.Unlock()
	live := map[int]bool{}
	var blind []string
	for _, u := range e.c.Units() {
		s := e.units[u.Pid()]
		if s == nil || s.at.IsZero() {
			blind = append(blind, fmt.Sprintf("%s replica %d was not seen", u.Node(), u.Replica()))
			continue
		}
		live[u.Pid()] = true
		if d := s.at.Sub(s.at0).Seconds(); d > 0 {
			s.stats.CPU = (s.cpu - s.cpu0) / d
		}
		s.stats.Conns = e.databaseConns(ctx, u)
		p.Units = append(p.Units, s.stats)
		s.stats.CPU, s.stats.LagP99, s.cpu0, s.at0 = 0, -1, s.cpu, s.at
		s.stats.Memory, s.stats.Files, s.stats.Threads = 0, 0, 0
	}
	if db := e.c.Database; db != nil {
		e.server.look(int32(db.Server.Pid()))
		if cpu, ok := e.server.take(); ok {
			p.Units = append(p.Units, premortem.UnitStats{Node: db.Node, CPU: cpu, LagP99: -1})
		}
	}
	for pid := range e.units {
		if !live[pid] {
			delete(e.units, pid)
		}
	}
	return blind, nil
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
