package check

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// pods is how many processes of a service may run at once.
type pods struct {
	base     int
	name     string // "HPA max 24"
	surge    float64
	extra    int // surge × base, rounded up as Kubernetes does
	known    bool
	evidence []premortem.Evidence
}

func (p pods) most() int { return p.base + p.extra }

func (p pods) String() string {
	switch {
	case p.extra == 0:
		return p.name
	case float64(p.most()) == float64(p.base)*(1+p.surge):
		return p.name + " × surge " + strconv.FormatFloat(1+p.surge, 'f', -1, 64)
	}
	return fmt.Sprintf("(%s + surge %d)", p.name, p.extra)
}

// defaultSurge is a Kubernetes Deployment's maxSurge when nobody sets one
// (pkg/apis/apps/v1/defaults.go in kubernetes/kubernetes).
const defaultSurge = 0.25

// podsOf reads the largest number of processes of a service from its deployment.
func podsOf(kind string, svc *premortem.Service) pods {
	var p pods
	switch {
	case svc.MaxReplicas.Set():
		p = counted(svc.MaxReplicas.Value, "HPA max %d", "the autoscaler may start %d replicas", svc.MaxReplicas.Pos)
	case svc.Replicas.Set():
		p = counted(svc.Replicas.Value, "replicas %d", "%d replicas", svc.Replicas.Pos)
	case kind == "kubernetes" || kind == "compose":
		p = counted(1, "replicas %d", "%d replica, as nobody says otherwise", svc.Pos)
	default:
		return pods{}
	}
	share, pos, says := svc.MaxSurge.Value, svc.MaxSurge.Pos, "surge %s: a deploy starts new replicas before it stops old ones"
	if !svc.MaxSurge.Set() && kind == "kubernetes" {
		share, pos, says = defaultSurge, svc.Pos, "surge %s: Kubernetes' default for a Deployment, as nobody sets maxSurge"
	}
	if share > 0 {
		p.surge = share
		p.extra = int(math.Ceil(float64(p.base)*share - 1e-9))
		p.evidence = append(p.evidence, premortem.Evidence{
			Says: fmt.Sprintf(says, strconv.FormatFloat(1+share, 'f', -1, 64)), Pos: pos})
	}
	return p
}

func counted(n int, name, says string, pos premortem.Pos) pods {
	return pods{
		base: n, name: fmt.Sprintf(name, n), known: true,
		evidence: []premortem.Evidence{{Says: fmt.Sprintf(says, n), Pos: pos}},
	}
}

// limit is how many connections a database accepts.
type limit struct {
	max      int
	reserved int
	known    bool
	evidence []premortem.Evidence
}

func (l limit) free() int { return l.max - l.reserved }

func (l limit) String() string { return fmt.Sprintf("%s − %d", count(l.max), l.reserved) }

const (
	// PostgreSQL's own defaults, measured on 15.18.
	defaultConnections = 100
	defaultReserved    = 3
	// RDS: LEAST(DBInstanceClassMemory/9531392, 5000); the memory of a class is a
	// little less than its nominal one, so this is an upper bound.
	rdsBytesPerConnection = 9531392
	rdsCeiling            = 5000
)

// limitOf returns what production's database accepts: what is written, else the
// documented default of what runs it.
func limitOf(sys *premortem.System, n premortem.Node) limit {
	l := limit{reserved: defaultReserved}
	var first *premortem.Store
	for _, st := range sys.StoresOf(n) {
		if !sys.IsProduction(st.Deployment) {
			continue
		}
		if first == nil {
			first = st
		}
		for _, p := range st.Params {
			if r, err := strconv.Atoi(p.Value.Value); p.Name == "superuser_reserved_connections" && err == nil {
				l.reserved = r
			}
		}
		if st.MaxConnections.Set() && !l.known {
			l.max, l.known = st.MaxConnections.Value, true
			l.evidence = []premortem.Evidence{{Says: fmt.Sprintf("%s accepts %s connections, %d of them for superusers only", n, count(l.max), l.reserved), Pos: st.MaxConnections.Pos}}
		}
	}
	if l.known || first == nil {
		return l
	}
	if first.Class.Set() {
		gib, ok := classMemory(first.Class.Value)
		if !ok {
			return l
		}
		l.max, l.known = min(gib<<30/rdsBytesPerConnection, rdsCeiling), true
		l.evidence = []premortem.Evidence{{Says: fmt.Sprintf("%s has %d GiB, by RDS's formula at most %s connections", first.Class.Value, gib, count(l.max)), Pos: first.Class.Pos}}
		return l
	}
	if k := kindOf(sys, first.Deployment); k == "kubernetes" || k == "compose" {
		l.max, l.known = defaultConnections, true
		l.evidence = []premortem.Evidence{{Says: fmt.Sprintf("%s accepts %d connections: PostgreSQL's default, as nothing sets max_connections", n, l.max), Pos: first.Pos}}
	}
	return l
}

// ClassMemory is classMemory for what else depends on the size of an instance.
func ClassMemory(class string) (gib int, ok bool) { return classMemory(class) }

// classMemory returns the nominal memory in GiB of an RDS instance class.
func classMemory(class string) (int, bool) {
	parts := strings.Split(class, ".")
	if len(parts) != 3 || parts[0] != "db" || parts[1] == "" {
		return 0, false
	}
	gib := map[string]int{"micro": 1, "small": 2, "medium": 4, "large": 8}
	n, ok := gib[parts[2]]
	if !ok {
		times, isX := strings.CutSuffix(parts[2], "xlarge")
		k := 1
		if times != "" {
			k, _ = strconv.Atoi(times)
		}
		if !isX || k < 1 {
			return 0, false
		}
		n = 16 * k
	}
	switch parts[1][0] {
	case 't', 'm':
		return n, true
	case 'r':
		return 2 * n, true
	}
	return 0, false
}
