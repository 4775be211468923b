package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/premortem/premortem"
)

// tooManyConnections is SQLSTATE 53300: the server has no connection left.
const tooManyConnections = "53300"

// ConnectionsExhausted is a database that refuses connections.
var ConnectionsExhausted = add(Sign{
	Name:     "connections-exhausted",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "the database refuses connections",
		Why: "The sum of all pools is larger than what the database accepts. Whoever comes last gets an error, at the peak " +
			"or in the middle of a deploy, when old and new processes run side by side.",
		When: "At least one connection was refused with SQLSTATE 53300 (too_many_connections).",
		Silent: "A database close to its limit that refused nobody; a refused connection for another reason, such as a server " +
			"that is starting.",
		Fix: "Make the pools smaller so that all processes together stay below max_connections, or put a pooler in front.",
	},
	Look: lookConnectionsExhausted,
	rank: 4,
	explains: func(_ *premortem.Trial, cause, effect premortem.Finding) bool {
		return effect.Rule == "errors-under-load" && cause.Severity >= premortem.Down
	},
})

func lookConnectionsExhausted(t *premortem.Trial, report func(premortem.Finding)) {
	ex := examine(t)
	refused, normal := refusals(t.Phase("during")), refusals(t.Phase("before"))
	var stores []premortem.Node
	for n := range refused {
		stores = append(stores, n)
	}
	for n := range normal {
		stores = append(stores, n)
	}
	slices.Sort(stores)
	for _, n := range slices.Compact(stores) {
		f := premortem.Finding{Node: n, Severity: premortem.Slow}
		if len(ex.broken) > 0 {
			f.Severity = premortem.Down
		}
		total := refused[n]
		when := at(t)
		if total == 0 {
			total, when = normal[n], "at normal load"
		}
		f.Says = fmt.Sprintf("%s refused a connection %s %s", n.Name(), plural(int(total), "time", "times"), when)
		if t.MaxConnections > 0 {
			f.Says += fmt.Sprintf(": it accepts %s", count(t.MaxConnections))
		}
		for _, p := range poolsTo(t, n) {
			if p.Site.Pos.Known() {
				f.Evidence = append(f.Evidence, lines([]premortem.Evidence{p.Site}, fmt.Sprintf("the pool holds at most %d connections", p.Max))...)
			}
			e := premortem.Evidence{}
			e.Says = fmt.Sprintf("%s processes of %s open up to %d connections each, %s together",
				count(max(p.Replicas, 1)), p.From.Name(), p.Max, count(p.Max*max(p.Replicas, 1)))
			e.Measure = &premortem.Measure{Signal: "pool_size", Node: p.From, Trial: t.Experiment.Name, During: float64(p.Max * max(p.Replicas, 1)), Unit: "connections"}
			f.Evidence = append(f.Evidence, e)
		}
		f.Evidence = append(f.Evidence, premortem.Evidence{
			Says:    fmt.Sprintf("SQLSTATE %s, too many connections: %s at normal load, %s %s", tooManyConnections, count(normal[n]), count(refused[n]), at(t)),
			Measure: &premortem.Measure{Signal: "connections_refused", Node: n, Trial: t.Experiment.Name, Before: float64(normal[n]), During: float64(refused[n]), Unit: "connections"},
		})
		if d := t.Phase("during"); d != nil && d.Database.Watched && d.Database.ConnsMax > 0 {
			f.Evidence = append(f.Evidence, premortem.Evidence{
				Says:    fmt.Sprintf("up to %s connections were open at once", count(d.Database.ConnsMax)),
				Measure: &premortem.Measure{Signal: "database_connections", Node: n, Trial: t.Experiment.Name, During: float64(d.Database.ConnsMax), Unit: "connections"},
			})
		}
		f.Fix = smallerPool(t, n)
		report(f)
	}
}

// refusals counts refused connections by store.
func refusals(p *premortem.Phase) map[premortem.Node]uint64 {
	out := map[premortem.Node]uint64{}
	if p == nil {
		return out
	}
	for i := range p.Calls {
		if n := p.Calls[i].Kinds[tooManyConnections]; n > 0 {
			out[p.Calls[i].To] += n
		}
	}
	return out
}

// poolsTo returns the pools that end at a store, the largest first.
func poolsTo(t *premortem.Trial, store premortem.Node) []premortem.Pool {
	var out []premortem.Pool
	for _, p := range t.Pools {
		if p.To == store && p.Max > 0 {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b premortem.Pool) int {
		return cmp.Or(-cmp.Compare(a.Max*max(a.Replicas, 1), b.Max*max(b.Replicas, 1)), cmp.Compare(a.From, b.From), a.Site.Pos.Compare(b.Site.Pos))
	})
	return out
}

// smallerPool shares nine tenths of what the database accepts among all processes.
func smallerPool(t *premortem.Trial, store premortem.Node) premortem.Fix {
	pools := poolsTo(t, store)
	if len(pools) == 0 || t.MaxConnections <= 0 {
		return premortem.Fix{Says: "make the pools smaller or put a pooler in front of " + store.Name()}
	}
	n := int(0.9 * float64(t.MaxConnections) / float64(processes(t, store)))
	p := pools[0]
	if n < 1 || n >= p.Max {
		return premortem.Fix{Says: fmt.Sprintf("put a pooler in front of %s: %s share %s connections",
			store.Name(), plural(processes(t, store), "process", "processes"), count(t.MaxConnections))}
	}
	if p.Env == "" {
		return premortem.Fix{Says: fmt.Sprintf("let each process of %s open at most %d connections", p.From.Name(), n)}
	}
	return premortem.Fix{
		Says: fmt.Sprintf("set %s=%d, so that all processes together stay below %s connections", p.Env, n, count(t.MaxConnections)),
		Try:  &premortem.Try{Env: map[string]string{p.Env: strconv.Itoa(n)}, Node: p.From},
	}
}
