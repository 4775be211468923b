package judge

import (
	"fmt"
	"slices"

	"github.com/premortem/premortem"
)

const (
	childRows    = 10_000 // of the child, below which its scan is cheap
	checkSeconds = 0.002  // for one parent
)

// ForeignKeyScan is a parent whose deletion reads its children's whole table.
var ForeignKeyScan = add(Sign{
	Name:     "foreign-key-scan",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title:  "deleting a row reads the whole table of its children",
		Why:    "A foreign key is checked at both ends. Without an index on the child's column, each deleted or re-keyed parent costs a scan of the child, while its row is locked.",
		When:   "In an executed DELETE or UPDATE the check of a foreign key took at least 2 ms for each parent, the child has at least 10,000 rows, and no index begins with the key's columns.",
		Silent: "Children that are small or indexed, also by an index that leaves NULLs out; parents that nobody deletes; checks from the child's side.",
		Fix:    "Build an index on the foreign key's columns, concurrently.",
	},
	Look:     lookForeignKeyScan,
	rank:     0,
	routes:   hazardRoutes(checksSlowly),
	explains: explainsForeign,
})

func checksSlowly(p *premortem.Plan) bool { return slowCheck(p) != nil }

// slowCheck is the check of a foreign key that took the longest, nil when none is slow.
func slowCheck(p *premortem.Plan) *premortem.TriggerRun {
	var out *premortem.TriggerRun
	for i := range p.Triggers {
		r := &p.Triggers[i]
		if r.Child == "" || r.Indexed || r.ChildRows < childRows || r.Calls < 1 || r.Seconds/r.Calls < checkSeconds {
			continue
		}
		if out == nil || r.Seconds > out.Seconds {
			out = r
		}
	}
	return out
}

func lookForeignKeyScan(t *premortem.Trial, report func(premortem.Finding)) {
	ex := examine(t)
	for _, h := range hazardsOf(t, checksSlowly) {
		r := slowCheck(h.plan)
		part := ratio(r.Seconds, h.plan.Seconds)
		f := h.finding(t, ex, fmt.Sprintf("%s reads all of %s (%s rows) for each row of %s that goes", routeOr(&h), r.Child, about(r.ChildRows), tableOr(h.plan.Op)),
			premortem.Evidence{Says: fmt.Sprintf("the check of %s took %s for %s, %s of the statement", r.Constraint, seconds(r.Seconds), plural(int(r.Calls), "row", "rows"), share(min(part, 1))),
				Measure: measureOf(t, h.load.to, "foreign_key_check_seconds", "s", 0, r.Seconds/r.Calls)})
		sql := fmt.Sprintf("CREATE INDEX %s ON %s (%s)", keyIndexName(r), r.Child, r.Columns)
		f.Fix.Says = "CREATE INDEX CONCURRENTLY" + sql[len("CREATE INDEX"):]
		f.Fix.Try = &premortem.Try{SQL: sql}
		report(f)
	}
}

// keyIndexName names the index of a foreign key.
func keyIndexName(r *premortem.TriggerRun) string {
	name := word.FindAllString(r.Child+"_"+r.Columns, -1)
	out := ""
	for _, w := range name {
		if out != "" {
			out += "_"
		}
		out += w
	}
	return out[:min(len(out), 59)] + "_idx"
}

func explainsForeign(t *premortem.Trial, cause, effect premortem.Finding) bool {
	return hazardExplains(checksSlowly)(t, cause, effect) || effect.Rule == "lock-wait" && slices.ContainsFunc(t.Plans, func(p premortem.Plan) bool { return checksSlowly(&p) }) && cause.Severity >= premortem.Slow
}
