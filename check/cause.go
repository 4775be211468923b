package check

import (
	"slices"

	"github.com/premortem/premortem"
)

// causes are the queries of the system, each line of code once: where one code base
// runs as several processes, a fix mends them all. The first service by name stands
// for the others, one with a route at the line before one without.
func causes(sys *premortem.System) []*premortem.Query {
	type line struct {
		pos        premortem.Pos
		op, table  string
		sql, quote string
	}
	at := map[line]int{}
	var out []*premortem.Query
	for _, q := range sys.Queries {
		k := line{q.Pos, q.Op, q.Table, q.SQL, q.Quote}
		i, seen := at[k]
		if !seen {
			at[k] = len(out)
			out = append(out, q)
			continue
		}
		if !answers(sys, out[i]) && answers(sys, q) {
			out[i] = q
		}
	}
	return out
}

// answers reports whether the service of a query has the route that the query
// stands in.
func answers(sys *premortem.System, q *premortem.Query) bool {
	return slices.ContainsFunc(sys.Routes, func(r *premortem.Route) bool {
		return r.Service == q.Service && r.Pos.File == q.Pos.File && r.Pos.Line <= q.Pos.Line && q.Pos.Line <= r.End
	})
}
