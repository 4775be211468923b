package postgres

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

var ghostFull = flag.Bool("ghost-full", false, "compare ghosts with populated databases on every major and up to 32 times the rows")

// workload is a schema that can be populated at any size, and statements on it.
type workload struct {
	schema, load, index string
	queries             []string
	block               int // members at 1×
}

func readWorkload(t testing.TB, block int) workload {
	t.Helper()
	file := func(name string) string {
		raw, err := os.ReadFile("testdata/ghost/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	w := workload{schema: file("schema.sql"), load: file("load.sql"), index: file("index.sql"), block: block}
	for line := range strings.Lines(file("queries.sql")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") {
			w.queries = append(w.queries, line)
		}
	}
	return w
}

// growing tables by model: breadth is k times the members, depth the same members who
// do k times as much.
func growthModel(model string, k float64) Growth {
	g := Growth{Factors: map[string]float64{"public.members": k, "public.purchases": k, "public.lines": k, "public.visits": k}}
	if model == "depth" {
		delete(g.Factors, "public.members")
	}
	return g
}

// populate makes a database that really has the rows.
func (w workload) populate(t testing.TB, s *Server, db, model string, k float64) {
	t.Helper()
	c := k
	if model == "depth" {
		c = 1
	}
	if err := s.DropDatabase(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateDatabase(t.Context(), db, ""); err != nil {
		t.Fatal(err)
	}
	load := strings.NewReplacer("{block}", fmt.Sprint(w.block), "{c}", fmt.Sprint(c), "{o}", fmt.Sprint(k)).Replace(w.load)
	for _, sql := range []string{w.schema, load, w.index, "VACUUM (ANALYZE)"} {
		run(t, s.SocketDSN(db), sql)
	}
}

func (w workload) ghost(t testing.TB, s *Server, p *Profile) *Ghost {
	t.Helper()
	g, err := NewGhost(t.Context(), s.Binaries(), []Migration{{Name: "schema.sql", SQL: w.schema + w.index}}, p, GhostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// plans explains every statement; the texts are EXPLAIN's JSON.
func (w workload) plans(t testing.TB, s *Server, db string) [][]byte {
	t.Helper()
	var out [][]byte
	err := s.on(t.Context(), db, func(c *pgx.Conn) error {
		e, err := newExplainer(t.Context(), c)
		if err != nil {
			return err
		}
		defer e.end()
		for _, q := range w.queries {
			raw, _, err := e.ask(t.Context(), q, nil, false, "")
			if err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
			out = append(out, slices.Clone(raw))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func shapes(t testing.TB, plans [][]byte) []string {
	t.Helper()
	var out []string
	for _, raw := range plans {
		a, err := readAnswer(raw, false)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, shapeOf(a))
	}
	return out
}

// nodes flattens a plan: everything but the numbers of each node, and its total cost.
func nodes(t testing.TB, raw []byte) (words []string, costs []float64) {
	t.Helper()
	var top []struct{ Plan map[string]any }
	if err := json.Unmarshal(raw, &top); err != nil {
		t.Fatal(err)
	}
	var walk func(n map[string]any)
	walk = func(n map[string]any) {
		costs = append(costs, n["Total Cost"].(float64))
		children, _ := n["Plans"].([]any)
		one := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(n)) {
			if !slices.Contains([]string{"Startup Cost", "Total Cost", "Plan Rows", "Plan Width", "Plans", "Planned Partitions"}, key) {
				one[key] = n[key]
			}
		}
		words = append(words, fmt.Sprint(one))
		for _, c := range children {
			walk(c.(map[string]any))
		}
	}
	walk(top[0].Plan)
	return words, costs
}

func serverOf(t *testing.T, major int) *Server {
	t.Helper()
	b, err := Find(t.Context(), FindOptions{Major: major})
	if err != nil {
		t.Fatal(err)
	}
	settings := Loading()
	settings["shared_preload_libraries"] = ""
	s, err := Start(t.Context(), b, Options{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func ghostMajors() []int {
	out := []int{15, Newest}
	for m := Oldest; *ghostFull && m < Newest; m++ {
		if m != 15 {
			out = append(out, m)
		}
	}
	return out
}

func TestGhostPlansAsThePopulatedDatabase(t *testing.T) {
	longOnly(t)
	w := readWorkload(t, 3000)
	if *ghostFull {
		w.block = 20_000
	}
	t.Logf("%-8s %10s %6s %12s %12s %12s %8s", "major", "statements", "nodes", "other shape", "cost > 1 %", "worst cost", "built")
	for _, major := range ghostMajors() {
		s := serverOf(t, major)
		w.populate(t, s, "real", "breadth", 1)
		p, err := s.TakeProfile(t.Context(), "real")
		if err != nil {
			t.Fatal(err)
		}
		g := w.ghost(t, s, p)
		size, err := g.At(t.Context(), Growth{})
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Notes) > 0 {
			t.Errorf("PostgreSQL %d: notes: %q", major, g.Notes)
		}
		compareAtOne(t, s, major, w, w.plans(t, s, "real"), w.plans(t, g.srv, ghostDatabase), size.Took)
	}
}

func compareAtOne(t *testing.T, s *Server, major int, w workload, real, ghost [][]byte, took time.Duration) {
	t.Helper()
	count, otherShape, otherCost, worst := 0, 0, 0, 0.0
	for i := range real {
		words, costs := nodes(t, real[i])
		gwords, gcosts := nodes(t, ghost[i])
		count += len(words)
		if !slices.Equal(words, gwords) {
			otherShape++
			t.Logf("PostgreSQL %d, another shape: %s\n%s\n%s", major, w.queries[i], words, gwords)
			continue
		}
		for k := range costs {
			off := math.Abs(costs[k]-gcosts[k]) / max(costs[k], 0.01)
			worst = max(worst, off)
			if off > 0.01 {
				otherCost++
				t.Logf("PostgreSQL %d, cost %.2f in the ghost and %.2f really: %s", major, gcosts[k], costs[k], w.queries[i])
			}
		}
	}
	t.Logf("%-8s %10d %6d %12d %12d %11.2f%% %8s", s.Binaries().Version, len(real), count, otherShape, otherCost, worst*100, took.Round(time.Millisecond))
	if otherShape > 0 {
		t.Errorf("PostgreSQL %d: %d of %d statements have another shape at 1×", major, otherShape, len(real))
	}
	if float64(otherCost) > 0.05*float64(count) {
		t.Errorf("PostgreSQL %d: %d of %d nodes cost another 1 %%", major, otherCost, count)
	}
}

// series are the plans of every statement over the multiples.
type series struct {
	predicted []string
	real      [][]string // at each multiple, one for each ANALYZE
}

// score adds up what the two tables print.
type score struct {
	plans, equal                               int
	unchanged, same, near, far, missed, false_ int
}

func TestGhostPredictsThePlansOfGrownDatabases(t *testing.T) {
	longOnly(t)
	w, short := readWorkload(t, 2000), []float64{1, 2, 4, 8}
	long := short
	models := []string{"breadth"}
	if *ghostFull {
		w.block = 5000
		long = []float64{1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32}
		short = []float64{1, 1.5, 2, 3, 4, 6, 8}
		models = append(models, "depth")
	}
	var all score
	t.Logf("%-8s %-8s %6s %6s %8s | %9s %5s %5s %4s %6s %6s", "major", "model", "to", "plans", "equal", "unchanged", "same", "near", "far", "missed", "false")
	for _, model := range models {
		for _, major := range ghostMajors() {
			grid := short
			if major == 15 || major == Newest {
				grid = long
			}
			sc := sweepReal(t, w, major, model, grid)
			sc.log(t, fmt.Sprint(major), model, grid[len(grid)-1])
			all.add(sc)
		}
	}
	all.log(t, "all", "", 0)
	if float64(all.equal) < 0.98*float64(all.plans) {
		t.Errorf("%d of %d plans are equal, want 98 %%", all.equal, all.plans)
	}
	changed := all.same + all.near + all.far + all.missed
	total := changed + all.unchanged + all.false_
	if float64(all.same+all.unchanged) < 0.85*float64(total) || float64(all.same+all.near+all.unchanged) < 0.95*float64(total) {
		t.Errorf("of %d series %d have their first change at the same multiple and %d within one", total, all.same+all.unchanged, all.same+all.near+all.unchanged)
	}
	if all.false_ > 0 {
		t.Errorf("%d false alarms", all.false_)
	}
}

func sweepReal(t *testing.T, w workload, major int, model string, grid []float64) score {
	s := serverOf(t, major)
	got := make([]series, len(w.queries))
	var g *Ghost
	for _, k := range grid {
		w.populate(t, s, "real", model, k)
		if g == nil {
			p, err := s.TakeProfile(t.Context(), "real")
			if err != nil {
				t.Fatal(err)
			}
			g = w.ghost(t, s, p)
		}
		for range 3 {
			for i, shape := range shapes(t, w.plans(t, s, "real")) {
				at := len(got[i].predicted)
				if len(got[i].real) == at {
					got[i].real = append(got[i].real, nil)
				}
				got[i].real[at] = append(got[i].real[at], shape)
			}
			run(t, s.SocketDSN("real"), "ANALYZE")
		}
		if _, err := g.At(t.Context(), growthModel(model, k)); err != nil {
			t.Fatal(err)
		}
		for i, shape := range shapes(t, w.plans(t, g.srv, ghostDatabase)) {
			if !slices.Contains(got[i].real[len(got[i].predicted)], shape) {
				t.Logf("PostgreSQL %d %s %g×: %s\n  ghost %s\n  real  %s", major, model, k, w.queries[i], oneLine(shape), oneLine(got[i].real[len(got[i].predicted)][0]))
			}
			got[i].predicted = append(got[i].predicted, shape)
		}
	}
	var sc score
	for _, one := range got {
		sc.count(one)
	}
	return sc
}

func oneLine(shape string) string {
	return strings.NewReplacer("\n", " > ", "|", " ").Replace(shape)
}

// count compares the first change of a statement. Where repeated ANALYZE disagrees
// with itself, the real change lies between the first multiple at which one run left
// the plan and the first at which all had.
func (sc *score) count(s series) {
	base := s.predicted[0]
	first, some, every := -1, -1, -1
	for i := range s.predicted {
		sc.plans++
		if slices.Contains(s.real[i], s.predicted[i]) {
			sc.equal++
		}
		other := 0
		for _, shape := range s.real[i] {
			if shape != base {
				other++
			}
		}
		if first < 0 && s.predicted[i] != base {
			first = i
		}
		if some < 0 && other > 0 {
			some = i
		}
		if every < 0 && other == len(s.real[i]) {
			every = i
		}
	}
	switch {
	case first < 0 && every < 0:
		sc.unchanged++
	case first < 0:
		sc.missed++
	case some < 0 && first == len(s.real)-1:
		sc.near++ // no further size confirms it: it is at most one step early
	case some < 0:
		sc.false_++
	case every < 0:
		every = len(s.real) - 1
		fallthrough
	default:
		switch away := max(some-first, first-every, 0); {
		case away == 0:
			sc.same++
		case away == 1:
			sc.near++
		default:
			sc.far++
		}
	}
}

func (sc *score) add(o score) {
	sc.plans, sc.equal = sc.plans+o.plans, sc.equal+o.equal
	sc.unchanged, sc.same, sc.near = sc.unchanged+o.unchanged, sc.same+o.same, sc.near+o.near
	sc.far, sc.missed, sc.false_ = sc.far+o.far, sc.missed+o.missed, sc.false_+o.false_
}

func (sc *score) log(t *testing.T, major, model string, to float64) {
	t.Helper()
	t.Logf("%-8s %-8s %6g %6d %7.2f%% | %9d %5d %5d %4d %6d %6d", major, model, to, sc.plans, 100*float64(sc.equal)/float64(sc.plans),
		sc.unchanged, sc.same, sc.near, sc.far, sc.missed, sc.false_)
}
