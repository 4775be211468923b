package check

import (
	"fmt"
	"slices"

	"github.com/premortem/premortem"
)

// NPlusOne finds queries that run once for each row of another query.
var NPlusOne = add(Rule{
	ID:       "n-plus-one",
	Severity: premortem.Slow,
	Doc: premortem.Doc{
		Title: "a query runs once for each row of another one",
		Why: `The number of queries of a request grows with the rows it shows. A list of 50 makes
51 round trips and holds a connection for all of them.`,
		When: `A query stands in a loop, map or forEach over the rows of another query. The clone
counts the queries of a request and proves it.`,
		Silent: `The related rows are loaded with the first query (include, a join), or with one
query for all of them (IN, ANY); the loop is over something else than rows. A code base
that runs as several processes has one finding, and so has a loop with several queries.
In a job or a report, where no route waits, it is a note.`,
		Fix: `Load the related rows with the first query, or all of them with one query.`,
	},
	Run: nPlusOne,
})

func nPlusOne(sys *premortem.System, report func(premortem.Finding)) {
	for _, same := range loops(sys) {
		q := same[0]
		what := callIn(q.Quote)
		if what == "" {
			what = q.Op + " " + q.Table
		}
		on := q.Table
		if on == "" {
			on = "the database"
		}
		f := premortem.Finding{
			Node:    q.Service,
			Subject: subjectOf(sys, q, what),
			Says:    fmt.Sprintf("%s queries %s once for each row of its list: n rows make n + 1 queries", caller(sys, q), on),
			Fix:     premortem.Fix{Says: fmt.Sprintf("load %s with the first query (include, join), or all at once with IN", on)},
		}
		writes := !slices.ContainsFunc(same, func(q *premortem.Query) bool {
			return q.Op != "insert" && q.Op != "update" && q.Op != "delete" && q.Op != "upsert"
		})
		if writes {
			f.Says = fmt.Sprintf("%s writes to %s once for each row of its list", caller(sys, q), on)
			f.Fix.Says = fmt.Sprintf("write the rows of %s with one statement", on)
			f.Severity = asNote // seldom on the way of a reader
		}
		if len(same) > 1 {
			f.Says = fmt.Sprintf("%s sends %d queries for each row of its list: n rows make %dn + 1 queries", caller(sys, q), len(same), len(same))
		}
		for _, q := range same {
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: "runs once per row", Pos: q.Pos, Quote: q.Quote})
		}
		if q.Loop.Known() && q.Loop != q.Pos {
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: "in this loop over rows", Pos: q.Loop})
		}
		if routeAt(sys, q.Pos) == nil && offline.MatchString(q.Pos.File) {
			f.Severity = asNote // nobody waits for a job as for a page
		}
		report(f)
	}
}

// loops groups the queries that stand in one loop: one change mends them all.
func loops(sys *premortem.System) [][]*premortem.Query {
	var out [][]*premortem.Query
	at := map[premortem.Pos]int{}
	for _, q := range causes(sys) {
		if !q.InLoop || !served(q) {
			continue
		}
		key := q.Loop
		if !key.Known() {
			key = q.Pos
		}
		i, ok := at[key]
		if !ok {
			i, out = len(out), append(out, nil)
			at[key] = i
		}
		out[i] = append(out[i], q)
	}
	return out
}
