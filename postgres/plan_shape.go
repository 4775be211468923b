package postgres

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// shapeOf identifies a plan: equal texts are the same plan. Costs, rows, conditions,
// the number of workers and the order in which partitions are read are left out, so
// that a statement keeps its shape when only its constants or its table's size change.
func shapeOf(a *answer) string { return a.Plan.shape(0) }

func (n *node) shape(depth int) string {
	own := fmt.Sprint(depth, "|", n.Type, "|", n.Parent, "|", n.Strategy, "|", n.Partial, "|", n.Parallel, "|", n.Join, "|",
		n.Direction, "|", n.Relation, "|", n.Alias, "|", n.Index, "\n")
	below := make([]string, len(n.Plans))
	for i := range n.Plans {
		below[i] = n.Plans[i].shape(depth + 1)
	}
	if n.Type == "Append" { // a parallel one reads the largest first, and equal ones in any order
		slices.Sort(below)
	}
	return own + strings.Join(below, "")
}

// label is a node in a few words: "Parallel Seq Scan(users)".
func (n *node) label() string {
	s := n.Type
	if n.Parallel {
		s = "Parallel " + s
	}
	if n.Partial != "" && n.Partial != "Simple" {
		s = n.Partial + " " + s
	}
	if n.Strategy != "" && n.Strategy != "Plain" {
		s += "/" + n.Strategy
	}
	if n.Join != "" && n.Join != "Inner" {
		s += "/" + n.Join
	}
	if n.Direction == "Backward" {
		s += " backward"
	}
	switch {
	case n.Index != "" && n.Relation != "":
		s += "(" + n.Relation + " by " + n.Index + ")"
	case n.Index != "":
		s += "(" + n.Index + ")"
	case n.Relation != "":
		s += "(" + n.Relation + ")"
	}
	return s
}

// summary is a plan in one line.
func (a *answer) summary() string {
	var parts []string
	a.Plan.walk(func(n *node) { parts = append(parts, n.label()) })
	return strings.Join(parts, " > ")
}

// memory is what one operation may use before it writes to disk, in bytes.
type memory struct{ work, hash float64 }

// memoryOf reads a profile's settings; what is silent is PostgreSQL's default. The
// multiplier for hashes came with 13 and is 2 from 15 on.
func memoryOf(settings map[string]string, major int) memory {
	m := memory{work: 4 << 20}
	if v := sizeSetting(settings["work_mem"]); v > 0 {
		m.work = v
	}
	times := 1.0
	if major >= 15 {
		times = 2
	}
	if v := number(settings["hash_mem_multiplier"]); v > 0 {
		times = v
	}
	m.hash = m.work * times
	return m
}

// sizeSetting reads "4MB"; a bare number is kB, as for work_mem.
func sizeSetting(s string) float64 {
	s = strings.TrimSpace(s)
	units := []struct {
		name string
		of   float64
	}{{"kB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}, {"TB", 1 << 40}, {"B", 1}, {"", 1 << 10}}
	for _, u := range units {
		if digits, ok := strings.CutSuffix(s, u.name); ok {
			if v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64); err == nil {
				return v * u.of
			}
		}
	}
	return 0
}

// Spill is an operation that needs more memory than it may have and goes to disk.
type Spill struct {
	What  string  // "Sort by created_at", "Hash of orders"
	Bytes float64 // that it needs, by the planner's own arithmetic
	Limit float64
}

// spills finds the operations of a plan that write to disk, by the formulas of
// cost_sort, ExecChooseHashTableSize and hash_agg_set_limits.
func (a *answer) spills(m memory, major int) []Spill {
	var out []Spill
	var walk func(n, parent *node)
	walk = func(n, parent *node) {
		width := align8(float64(n.Width))
		add := func(what string, bytes, limit float64) {
			if bytes > limit {
				out = append(out, Spill{What: what, Bytes: bytes, Limit: limit})
			}
		}
		switch {
		case n.Type == "Sort" && (parent == nil || parent.Type != "Limit"): // under a LIMIT only its rows are kept
			add("Sort by "+bareList(n.SortKey), n.PlanRows*(width+24), m.work)
		case n.Type == "Hash":
			add("Hash of "+n.below(), n.PlanRows*(width+32), m.hash)
		case n.Type == "Aggregate" && n.Strategy == "Hashed" && major >= 13:
			add("groups by "+bareList(n.GroupKey), n.PlanRows*(width+48), m.hash)
		case n.Type == "Materialize":
			add("Materialize of "+n.below(), n.PlanRows*(width+24), m.work)
		}
		for i := range n.Plans {
			walk(&n.Plans[i], n)
		}
	}
	walk(&a.Plan, nil)
	return out
}

// bareList names what is sorted or grouped by, without values.
func bareList(keys []string) string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = bare(scrub(k))
	}
	return strings.Join(out, ", ")
}

// tables are those that a plan reads.
func (a *answer) tables() []string {
	var out []string
	a.Plan.walk(func(n *node) {
		if n.Relation != "" {
			out = appendNew(out, n.Relation)
		}
	})
	return out
}

// below names the tables under a node.
func (n *node) below() string {
	var names []string
	n.walk(func(o *node) {
		if o.Relation != "" && !slices.Contains(names, o.Relation) {
			names = append(names, o.Relation)
		}
	})
	if len(names) == 0 {
		return "a result"
	}
	return strings.Join(names, ", ")
}

// whyChanged explains the step from one plan to another by the nodes that came, that
// went, and by what feeds them.
func whyChanged(before, after *answer) []string {
	was, now := before.everyRow(), after.everyRow()
	gone, came := difference(before, after)
	var out []string
	took := map[*node]bool{}
	for _, g := range gone {
		c := counterpart(g, came, took)
		switch {
		case c == nil:
			continue
		case g.Relation != "":
			out = append(out, fmt.Sprintf("%s: %s becomes %s: %s of its rows are expected now, %s before",
				g.Relation, g.label(), c.label(), rough(now[c]), rough(was[g])))
		case isJoin(g) && isJoin(c):
			out = append(out, fmt.Sprintf("%s becomes %s: %s rows come into the join, %s before", g.label(), c.label(), rough(now[outer(c)]), rough(was[outer(g)])))
		case g.label() != c.label():
			out = append(out, fmt.Sprintf("%s becomes %s: %s rows, %s before", g.label(), c.label(), rough(now[c]), rough(was[g])))
		}
	}
	for _, c := range came {
		if took[c] {
			continue
		}
		switch c.Type {
		case "Gather", "Gather Merge":
			out = append(out, "the work is large enough for parallel workers")
		case "Sort", "Incremental Sort":
			out = append(out, fmt.Sprintf("%s rows are sorted by %s", rough(now[c]), bareList(c.SortKey)))
		case "Memoize", "Materialize":
			out = append(out, c.Type+" keeps what is asked for again")
		}
	}
	if len(out) == 0 {
		out = append(out, "the tables are joined in another order")
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// difference is what only one of two plans holds.
func difference(before, after *answer) (gone, came []*node) {
	count := map[string]int{}
	after.Plan.walk(func(n *node) { count[n.label()]++ })
	before.Plan.walk(func(n *node) {
		if count[n.label()]--; count[n.label()] < 0 {
			gone = append(gone, n)
		}
	})
	count = map[string]int{}
	before.Plan.walk(func(n *node) { count[n.label()]++ })
	after.Plan.walk(func(n *node) {
		if count[n.label()]--; count[n.label()] < 0 {
			came = append(came, n)
		}
	})
	return gone, came
}

// counterpart is the node that took another's place.
func counterpart(g *node, came []*node, took map[*node]bool) *node {
	for _, c := range came {
		same := g.Relation != "" && c.Relation == g.Relation && c.Alias == g.Alias ||
			g.Relation == "" && c.Relation == "" && (isJoin(g) && isJoin(c) || g.Type == c.Type)
		if same && !took[c] {
			took[c] = true
			return c
		}
	}
	return nil
}

func isJoin(n *node) bool {
	return n.Type == "Nested Loop" || n.Type == "Hash Join" || n.Type == "Merge Join"
}

// outer is the outer side of a join.
func outer(n *node) *node {
	if len(n.Plans) == 0 {
		return n
	}
	return &n.Plans[0]
}

// everyRow is how many rows each node makes in all: a plan says those of one worker.
func (a *answer) everyRow() map[*node]float64 {
	out := map[*node]float64{}
	var walk func(n *node, by float64)
	walk = func(n *node, by float64) {
		out[n] = n.PlanRows * by
		if n.Workers > 0 {
			by = sharers(n.Workers)
		}
		for i := range n.Plans {
			walk(&n.Plans[i], by)
		}
	}
	walk(&a.Plan, 1)
	return out
}

// sharers divides the rows of a parallel plan, as get_parallel_divisor does: the
// leader helps less the more workers it has to serve.
func sharers(workers int) float64 { return float64(workers) + max(0, 1-0.3*float64(workers)) }

// rough writes a count with two digits: "12", "4,200", "3.1 million", "2 billion".
func rough(v float64) string {
	switch {
	case v >= 1e9:
		return strconv.FormatFloat(twoDigits(v/1e9), 'f', -1, 64) + " billion"
	case v >= 1e6:
		return strconv.FormatFloat(twoDigits(v/1e6), 'f', -1, 64) + " million"
	}
	return commas(int64(twoDigits(v)))
}

func twoDigits(v float64) float64 {
	if v <= 0 {
		return 0
	}
	by := math.Pow(10, math.Floor(math.Log10(v))-1)
	if by < 1 && v >= 1 {
		return math.Round(v*10) / 10
	}
	return math.Round(v/by) * by
}
