package judge

import (
	"fmt"

	"github.com/premortem/premortem"
)

// spillBytes is what goes to disk and back without anybody noticing.
const spillBytes = 1 << 20

// SortSpill is a sort or a hash that does not fit into work_mem.
var SortSpill = add(Sign{
	Name:     "sort-spill",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title:  "a sort or a hash does not fit into memory",
		Why:    "Beyond work_mem a sort merges files and a hash works in batches: the same rows are written to disk and read again, by each call that runs at the time.",
		When:   "An execution wrote at least 1 MB of temporary files in a sort, a hash or an aggregate, and the statement was called under load.",
		Silent: "What fits into memory; less than 1 MB; a statement that was planned and not executed, or not called under load.",
		Fix:    "Make an index that gives the order, sort fewer columns or rows, aggregate earlier, or raise work_mem for the role that runs it: it counts for each node of each session.",
	},
	Look: func(t *premortem.Trial, report func(premortem.Finding)) {
		ex := examine(t)
		for _, h := range hazardsOf(t, spills) {
			report(h.spill(t, ex))
		}
	},
	rank:     1,
	routes:   hazardRoutes(spills),
	explains: hazardExplains(spills),
})

func spills(p *premortem.Plan) bool { return spillOf(p).Bytes >= spillBytes }

// spillOf is the largest spill of a plan.
func spillOf(p *premortem.Plan) (out premortem.Spill) {
	for _, s := range p.Spilled {
		if s.Bytes > out.Bytes || s.Bytes == out.Bytes && s.Node+s.Key < out.Node+out.Key {
			out = s
		}
	}
	return out
}

func (h *hazard) spill(t *premortem.Trial, ex *exam) premortem.Finding {
	s := spillOf(h.plan)
	what := s.Node
	if s.Key != "" {
		what += " by " + s.Key
	}
	f := h.finding(t, ex, fmt.Sprintf("%s writes %s of temporary files for a %s", routeOr(h), bytesOf(s.Bytes), what),
		premortem.Evidence{Says: fmt.Sprintf("%s: %s on disk in one execution", what, bytesOf(s.Bytes)), Measure: measureOf(t, h.load.to, "temp_bytes", "bytes", 0, float64(s.Bytes))})
	if d := t.Phase("during").Database; d.Watched && d.TempBytes > 0 {
		before := int64(0)
		if b := t.Phase("before"); b != nil {
			before = b.Database.TempBytes
		}
		f.Evidence = append(f.Evidence, premortem.Evidence{Says: fmt.Sprintf("the database wrote %s of temporary files %s", bytesOf(d.TempBytes), at(t)),
			Measure: measureOf(t, h.load.to, "temp_bytes_total", "bytes", float64(before), float64(d.TempBytes))})
	}
	f.Fix.Says = "give " + tableOr(h.plan.Op) + " an index in that order, or sort fewer rows; else raise work_mem for this role"
	return f
}
