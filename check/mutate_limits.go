package check

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

var (
	_ = PoolExceedsDatabase.plants(plantLargePools)
	_ = HeapExceedsMemoryLimit.plants(plantSmallMemory)
	_ = NoMemoryLimit.plants(plantUnlimited)
	_ = NoReadinessProbe.plants(plantUnprobed)
	_ = SingleReplica.plants(plantLonely)
	_ = HPAWithoutRequests.plants(plantUnrequested)
	_ = GracePeriodTooShort.plants(plantHasty)
	_ = PortMismatch.plants(plantWrongPorts)
	_ = ProbePathUnknown.plants(plantWrongPaths)
	_ = KeepAliveShorterThanLBIdle.plants(plantLongIdle)
)

func plantLargePools(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, dep := range sys.Dependencies {
		if dep.Pool.Set() && dep.Pool.Value > 0 {
			out = append(out, Mutation{
				Says: fmt.Sprintf("raised the pool from %d to 5000", dep.Pool.Value), Pos: dep.Pool.Pos, Node: dep.From, Subject: string(dep.To),
				Edits: line.swapped(dep.Pool.Pos, strconv.Itoa(dep.Pool.Value), "5000"),
			})
		}
	}
	for _, st := range sys.Stores {
		if !st.MaxConnections.Set() || !sys.IsProduction(st.Deployment) {
			continue
		}
		m := Mutation{
			Says: fmt.Sprintf("lowered max_connections from %d to 5", st.MaxConnections.Value), Pos: st.MaxConnections.Pos, Subject: string(st.Node),
			Edits: line.swapped(st.MaxConnections.Pos, strconv.Itoa(st.MaxConnections.Value), "5"),
		}
		for _, dep := range sys.Into(st.Node) {
			m.Node = dep.From
		}
		if m.Node != "" {
			out = append(out, m)
		}
	}
	return out
}

func plantSmallMemory(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, svc := range production(sys) {
		if svc.Memory.Set() && heapOf(svc).flag.Set() {
			out = append(out, Mutation{
				Says: fmt.Sprintf("shrank its memory limit from %d MiB to 16", svc.Memory.Value>>20), Pos: svc.Memory.Pos, Node: svc.Node,
				Edits: line.rewritten(svc.Memory.Pos, memoryValue, "${1}16Mi"),
			})
		}
	}
	return out
}

func plantUnlimited(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, svc := range production(sys) {
		if svc.Memory.Set() && !svc.Job && kindOf(sys, svc.Deployment) == "kubernetes" {
			out = append(out, Mutation{Says: "removed its memory limit", Pos: svc.Memory.Pos, Node: svc.Node, Edits: line.keyless(svc.Memory.Pos, "memory")})
		}
	}
	return out
}

func plantUnprobed(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, svc := range production(sys) {
		for _, p := range svc.Probes {
			if p.Kind == "readiness" && (svc.Exposed.Set() || len(balancersOf(sys, svc.Node)) > 0) && len(svc.Ports) > 0 {
				out = append(out, Mutation{Says: "removed its readiness probe", Pos: p.Pos, Node: svc.Node, Edits: line.keyless(p.Pos, "readinessProbe")})
			}
		}
	}
	return out
}

func plantLonely(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, svc := range production(sys) {
		if svc.Replicas.Value > 1 && !svc.MaxReplicas.Set() && kindOf(sys, svc.Deployment) == "kubernetes" && len(balancersOf(sys, svc.Node)) > 0 {
			out = append(out, Mutation{
				Says: fmt.Sprintf("ran 1 of it instead of %d", svc.Replicas.Value), Pos: svc.Replicas.Pos, Node: svc.Node,
				Edits: line.swapped(svc.Replicas.Pos, strconv.Itoa(svc.Replicas.Value), "1"),
			})
		}
	}
	return out
}

func plantUnrequested(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, svc := range production(sys) {
		for _, on := range svc.ScalesOn {
			if !strings.HasPrefix(strings.ToLower(on.Value), "cpu utili") {
				continue
			}
			var edits []premortem.Edit
			for _, s := range []premortem.Setting[float64]{svc.CPURequest, svc.CPU} {
				if s.Set() {
					edits = append(edits, line.keyless(s.Pos, "cpu")...)
				}
			}
			out = append(out, Mutation{Says: "removed its request of cpu", Pos: on.Pos, Node: svc.Node, Subject: "cpu", Edits: edits})
		}
	}
	return out
}

func plantHasty(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, svc := range production(sys) {
		if svc.Grace.Set() && svc.PreStop.Value > 1 && !svc.Job {
			out = append(out, Mutation{
				Says: fmt.Sprintf("shrank its grace period from %g s to 1", svc.Grace.Value), Pos: svc.Grace.Pos, Node: svc.Node,
				Edits: line.numbered(svc.Grace.Pos, "1"),
			})
		}
	}
	return out
}

// plantWrongPorts moves what sends traffic to another port than the code listens on.
func plantWrongPorts(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, svc := range production(sys) {
		if _, ok := heardPorts(sys, serversOf(sys, svc.Node)); !ok || svc.Static {
			continue
		}
		m := Mutation{Says: "sent its traffic to port 9", Node: svc.Node}
		seen := map[premortem.Pos]bool{}
		whole := true
		for _, t := range targetsOf(sys, svc) {
			if seen[t.port.Pos] {
				continue
			}
			seen[t.port.Pos] = true
			m.Pos = t.port.Pos
			e := line.swapped(t.port.Pos, strconv.Itoa(t.port.Value), "9")
			whole = whole && e != nil
			m.Edits = append(m.Edits, e...)
		}
		if whole {
			out = append(out, m)
		}
	}
	return out
}

func plantWrongPaths(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, svc := range production(sys) {
		for _, p := range svc.Probes {
			if p.Path.Set() && len(p.Path.Value) > 3 {
				wrong := p.Path.Value[:len(p.Path.Value)-2] + p.Path.Value[len(p.Path.Value)-1:]
				out = append(out, Mutation{
					Says: fmt.Sprintf("asked %s instead of %s for its %s", wrong, p.Path.Value, p.Kind), Pos: p.Path.Pos, Node: svc.Node,
					Edits: line.swapped(p.Path.Pos, p.Path.Value, wrong),
				})
			}
		}
	}
	return out
}

func plantLongIdle(sys *premortem.System, line Line) []Mutation {
	var out []Mutation
	for _, s := range sys.Servers {
		if set, _ := keepAliveOf(sys, s); !inUse(sys, s.Service) || !set.ok || !set.firm() {
			continue
		}
		for _, b := range balancersOf(sys, s.Service) {
			if b.IdleTimeout.Set() {
				out = append(out, Mutation{
					Says: fmt.Sprintf("raised the idle timeout of %s from %g s to 4000", b.Kind, b.IdleTimeout.Value), Pos: b.IdleTimeout.Pos, Node: s.Service,
					Edits: line.numbered(b.IdleTimeout.Pos, "4000"),
				})
			}
		}
	}
	return out
}
