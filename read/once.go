package read

import (
	"fmt"
	"slices"

	"github.com/premortem/premortem"
)

// onceEach keeps what code does once where several services run the same code: the
// processes of a Procfile, or an API and a worker of one image. One line is one
// cause. The service that is kept is the one that users reach.
func (g *merger) onceEach() {
	s := g.sys
	rank := g.nearUsers()
	s.Queries = keepFirst(s.Queries, rank, func(q *premortem.Query) (premortem.Node, string) {
		return q.Service, fmt.Sprint(q.Pos, q.SQL, q.Op, q.Table, q.Predicates)
	})
	s.Calls = keepFirst(s.Calls, rank, func(c *premortem.Call) (premortem.Node, string) {
		return c.Service, fmt.Sprint(c.Pos, c.Client, c.Method, c.Quote)
	})
	s.Retries = keepFirst(s.Retries, rank, func(r *premortem.Retry) (premortem.Node, string) { return r.Service, fmt.Sprint(r.Pos, r.Quote) })
	s.Transactions = keepFirst(s.Transactions, rank, func(t *premortem.Transaction) (premortem.Node, string) { return t.Service, fmt.Sprint(t.Pos, t.End) })
	s.Logs = keepFirst(s.Logs, rank, func(l *premortem.LogCall) (premortem.Node, string) { return l.Service, fmt.Sprint(l.Pos, l.Message) })
}

// nearUsers orders services: those that a request reaches, then those with a port,
// then by name.
func (g *merger) nearUsers() map[premortem.Node]int {
	score := map[premortem.Node]int{}
	var nodes []premortem.Node
	for _, svc := range g.sys.Services {
		if _, ok := score[svc.Node]; !ok {
			nodes = append(nodes, svc.Node)
			score[svc.Node] = 0
		}
		switch {
		case svc.Exposed.Set() || svc.Node.Name() == "web" || svc.Node.Name() == "api":
			score[svc.Node] = max(score[svc.Node], 2)
		case len(svc.Ports) > 0:
			score[svc.Node] = max(score[svc.Node], 1)
		}
	}
	slices.Sort(nodes)
	slices.SortStableFunc(nodes, func(a, b premortem.Node) int { return score[b] - score[a] })
	rank := map[premortem.Node]int{}
	for i, n := range nodes {
		rank[n] = i
	}
	return rank
}

// keepFirst keeps of the facts with one key that of the first service.
func keepFirst[T any](list []*T, rank map[premortem.Node]int, key func(*T) (premortem.Node, string)) []*T {
	best := map[string]premortem.Node{}
	for _, v := range list {
		node, k := key(v)
		if old, ok := best[k]; !ok || rank[node] < rank[old] {
			best[k] = node
		}
	}
	return slices.DeleteFunc(list, func(v *T) bool {
		node, k := key(v)
		return best[k] != node
	})
}

// besideManifests ties a balancer of a folder without workloads, such as an ingress
// for each environment beside the manifests that all share, to the workload of the
// name. One of another environment than production is left alone.
func (g *merger) besideManifests(b *premortem.Balancer, to string) {
	if deploymentRank(&premortem.Deployment{Name: b.Pos.File}) == 6 {
		return
	}
	var found *workload
	for _, w := range g.d.workloads {
		if w.Deployment == b.Deployment {
			return
		}
		if w.kind != "" || g.kindOf(w.Deployment) != "kubernetes" || w.name != to && !slices.Contains(w.hosts, to) {
			continue
		}
		if found == nil || w.Deployment == g.sys.Production {
			found = w
		}
	}
	if found == nil || found.Deployment != g.sys.Production {
		return
	}
	b.To, b.Deployment = found.Node, found.Deployment
	for _, svc := range g.sys.Services {
		if svc.Deployment == found.Deployment && svc.Node == found.Node {
			svc.Exposed = premortem.Setting[string]{Value: b.Kind, Pos: b.Pos}
		}
	}
}
