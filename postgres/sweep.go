package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/premortem/premortem"
)

// SweepOptions say which sizes are asked about.
type SweepOptions struct {
	Multiples []float64 // ascending, the first is 1; nil 1 to 1000
	// Base are the factors from the profile to 1×, by "schema.table": a profile may be
	// of a small sample of production. nil: the profile is 1×.
	Base map[string]float64
	// Still are tables that do not grow, with or without "public.". Tables with fewer
	// than 1000 rows at 1× do not grow either.
	Still    []string
	Progress func(done, total int) // told after each size; nil nobody listens
}

// DefaultMultiples are the sizes of a sweep that nobody chose.
func DefaultMultiples() []float64 { return []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000} }

// Outlooks are what was found about some statements.
type Outlooks struct {
	Multiples  []float64
	Statements []Outlook // in the order of the statements
	Growing    []string  // tables that grow, "schema.table"
	Tables     []Forecast
	// Models is 2 when growth in breadth (more of everything) and in depth (the same
	// roots with more each) were both asked; a change is Firm when they agree.
	Models    int
	BuildTook time.Duration // of the slowest ghost
	Doubts    []string
}

// Forecast is how large one table becomes.
type Forecast struct {
	Table string
	Rows  float64 // at 1×
	Bytes float64 // with indexes, at 1×
	Grows bool
}

// Outlook is what becomes of one statement as its tables grow.
type Outlook struct {
	SQL     string
	Err     error // why it could not be planned; nothing else is set then
	Steps   []AtSize
	Changes []Change
	// Exponent is how the work grows with the rows from the first to the last step:
	// 0 not at all, 1 with them, 2 with their square.
	Exponent float64
	Advice   *IndexAdvice // nil: no index helps, or none is needed
	// Values are plans with values from the statistics at the first and the last
	// multiple; nil without parameters, or where one is compared with no known column.
	Values []WithValues
}

// AtSize is one statement at one size.
type AtSize struct {
	Multiple float64
	Cost     float64 // the planner's
	// Work is Cost, or that of a whole scan that the planner hopes to leave early
	// without statistics to hope on.
	Work   float64
	Plan   string  // in one line
	Rows   float64 // that it returns
	Whole  []Whole // tables of which every row is read
	Spills []Spill
}

// Whole is a table that is read from end to end.
type Whole struct {
	Table string
	Rows  float64
	Keeps float64 // rows that pass the filter
	// Guess says that the planner knows nothing of the filter and Keeps is its default.
	Guess bool
}

// Change is the step between two sizes at which a statement is planned in another way.
type Change struct {
	From, To      float64 // it lies between these multiples
	Before, After string  // plans in one line
	Why           []string
	CostBefore    float64
	CostAfter     float64
	Firm          bool // it stays at the next size, and both models of growth show it
}

// IndexAdvice is the smallest index that is as good as the best one tried.
type IndexAdvice struct {
	premortem.Advice         // costs at the last multiple
	Table            string  // "schema.table"
	Multiple         float64 // the last
	Bytes            int64   // at 1×
	BytesThen        int64   // at the last multiple
	CostNow          float64 // at 1×, with the index
	CostNowBefore    float64
	Writes           string // what it costs each write
	Plan             string // with it, at the last multiple
}

// Sweep plans statements at every multiple, explains where their plans change, and
// tries indexes for those whose work grows. A statement that cannot be planned has an
// Err; the rest goes on.
func (g *Ghost) Sweep(ctx context.Context, statements []string, o SweepOptions) (*Outlooks, error) {
	w := &sweeper{g: g, o: o, statements: statements, out: &Outlooks{Multiples: o.Multiples, Models: 1}}
	if w.out.Multiples == nil {
		w.out.Multiples = DefaultMultiples()
	}
	if err := w.run(ctx); err != nil {
		return nil, &premortem.Error{Doing: "plan at other sizes", Err: err}
	}
	return w.out, nil
}

type sweeper struct {
	g          *Ghost
	o          SweepOptions
	statements []string
	out        *Outlooks
	growing    map[string]bool
	roots      map[string]bool // growing tables that nothing growing is above
	done       int
}

func (w *sweeper) run(ctx context.Context) error {
	w.learn()
	breadth, err := w.model(ctx, w.breadth, true)
	if err != nil {
		return err
	}
	var depth [][]planned
	if len(w.roots) > 0 && len(w.roots) < len(w.growing) && changed(breadth) { // else there is nothing to confirm
		w.out.Models = 2
		if depth, err = w.model(ctx, w.depth, false); err != nil {
			return err
		}
	}
	for i, sql := range w.statements {
		w.out.Statements = append(w.out.Statements, w.outlook(i, sql, breadth, depth))
	}
	return w.advise(ctx)
}

// changed reports whether any statement has more than one plan.
func changed(plans [][]planned) bool {
	for i := 1; i < len(plans); i++ {
		for k, p := range plans[i] {
			if p.err == nil && plans[i-1][k].err == nil && shapeOf(p.a) != shapeOf(plans[i-1][k].a) {
				return true
			}
		}
	}
	return false
}

// learn decides which tables grow: those with rows enough that are not said to stand
// still. Roots have growing tables below and none above.
func (w *sweeper) learn() {
	p := w.g.grown(Growth{Factors: w.o.Base})
	gr := newGrower(p)
	w.growing, w.roots = map[string]bool{}, map[string]bool{}
	for i := range p.Relations {
		r := &p.Relations[i]
		if r.isIndex() || r.Parent != "" {
			continue
		}
		name, rows := r.Schema+"."+r.Name, gr.rows[[2]string{r.Schema, r.Name}]
		still := slices.Contains(w.o.Still, name) || r.Schema == "public" && slices.Contains(w.o.Still, r.Name)
		if !still && rows >= smallTable {
			w.growing[name] = true
		}
		w.out.Tables = append(w.out.Tables, Forecast{Table: name, Rows: rows, Bytes: treeBytes(p, name), Grows: w.growing[name]})
	}
	w.out.Growing = sortedKeys(w.growing)
	below := map[string]bool{}
	for _, f := range p.Foreign {
		child, parent := f.Schema+"."+f.Table, f.RefSchema+"."+f.RefTable
		if w.growing[child] && w.growing[parent] && child != parent {
			w.roots[parent], below[child] = true, true
		}
	}
	maps.DeleteFunc(w.roots, func(name string, _ bool) bool { return below[name] })
}

// treeBytes is the size of a table with its partitions.
func treeBytes(p *Profile, name string) float64 {
	sum := 0.0
	for i := range p.Relations {
		r := &p.Relations[i]
		if !r.isIndex() && (r.Schema+"."+r.Name == name || r.Parent == name) {
			sum += float64(r.Bytes)
		}
	}
	return sum
}

func (w *sweeper) breadth(k float64) Growth { return w.growth(k, false) }
func (w *sweeper) depth(k float64) Growth   { return w.growth(k, true) }

func (w *sweeper) growth(k float64, deep bool) Growth {
	f := maps.Clone(w.o.Base)
	if f == nil {
		f = map[string]float64{}
	}
	for name := range w.growing {
		if !deep || !w.roots[name] {
			f[name] = cmp.Or(f[name], 1) * k
		}
	}
	return Growth{Factors: f}
}

// planned is one statement in one size.
type planned struct {
	a      *answer
	rows   map[string]float64 // of its tables
	err    error
	values []WithValues // at the first and last size of the first model
}

// model plans every statement at every multiple: [multiple][statement]; with values
// too, at both ends, when asked to.
func (w *sweeper) model(ctx context.Context, growth func(float64) Growth, values bool) ([][]planned, error) {
	out := make([][]planned, len(w.out.Multiples))
	for i, k := range w.out.Multiples {
		size, err := w.g.At(ctx, growth(k))
		if err != nil {
			return nil, err
		}
		w.out.BuildTook = max(w.out.BuildTook, size.Took)
		if out[i], err = size.planAll(ctx, w.statements); err != nil {
			return nil, err
		}
		if values && (i == 0 || i == len(w.out.Multiples)-1) {
			if err := size.draw(ctx, k, w.statements, out[i]); err != nil {
				return nil, err
			}
		}
		if w.done++; w.o.Progress != nil {
			w.o.Progress(w.done, len(w.out.Multiples))
		}
	}
	return out, nil
}

// planAll plans statements on two connections.
func (s *Size) planAll(ctx context.Context, statements []string) ([]planned, error) {
	out := make([]planned, len(statements))
	g, ctx := errgroup.WithContext(ctx)
	const workers = 2
	for from := range workers {
		g.Go(func() error {
			return s.planning(ctx, func(e *explainer) error {
				for i := from; i < len(statements); i += workers {
					if err := out[i].plan(ctx, e, statements[i]); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	return out, g.Wait()
}

// plan fails only when the connection does.
func (p *planned) plan(ctx context.Context, e *explainer, sql string) error {
	if err := e.exec(ctx, "SAVEPOINT statement"); err != nil {
		return err
	}
	p.a, p.err = e.explain(ctx, sql, nil, false)
	if p.err != nil {
		return e.exec(ctx, "ROLLBACK TO SAVEPOINT statement; RELEASE SAVEPOINT statement")
	}
	relations, err := e.relations(ctx, p.a)
	if err != nil {
		return err
	}
	p.rows = map[string]float64{}
	for name, r := range relations {
		p.rows[name] = r.rows
	}
	return e.exec(ctx, "RELEASE SAVEPOINT statement")
}

func (w *sweeper) outlook(i int, sql string, breadth, depth [][]planned) Outlook {
	out := Outlook{SQL: sql}
	limits := memoryOf(w.g.base.Settings, w.g.srv.bin.Major)
	var plans, deep []*answer
	for at, k := range w.out.Multiples {
		p := breadth[at][i]
		if p.err != nil {
			return Outlook{SQL: sql, Err: withoutValues(p.err)}
		}
		plans = append(plans, p.a)
		out.Values = append(out.Values, p.values...)
		out.Steps = append(out.Steps, p.step(k, limits, w.g.srv.bin.Major))
	}
	for at := range depth {
		if depth[at][i].err == nil {
			deep = append(deep, depth[at][i].a)
		}
	}
	out.Changes = changes(w.out.Multiples, plans, deep, w.out.Models)
	first, last := out.Steps[0], out.Steps[len(out.Steps)-1]
	if last.Multiple > first.Multiple && first.Work > 0 {
		out.Exponent = math.Log(last.Work/first.Work) / math.Log(last.Multiple/first.Multiple)
	}
	return out
}

// withoutValues is a refusal that may be shown: those about syntax and names quote the
// statement's words, others may quote its values.
func withoutValues(err error) error {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || strings.HasPrefix(pg.Code, "42") {
		return err
	}
	return fmt.Errorf("the server refuses it with SQLSTATE %s", pg.Code)
}

func (p *planned) step(k float64, limits memory, major int) AtSize {
	a := p.a
	s := AtSize{Multiple: k, Cost: a.Plan.Total, Work: a.Plan.Total, Plan: a.summary(), Rows: a.Plan.PlanRows, Spills: a.spills(limits, major)}
	hoped, rows := false, a.everyRow()
	a.Plan.walk(func(n *node) {
		hoped = hoped || n.Type == "Limit"
		if n.Type != "Seq Scan" || p.rows[n.Relation] < smallTable {
			return
		}
		whole := Whole{Table: n.Relation, Rows: p.rows[n.Relation], Keeps: rows[n], Guess: n.Filter != "" && guessed(rows[n], p.rows[n.Relation])}
		if whole.Guess && hoped {
			s.Work = max(s.Work, n.Total) // nothing says that the rows come early
		} else if hoped && n.Total > a.Plan.Total*1.01 {
			return // it ends early
		}
		s.Whole = append(s.Whole, whole)
	})
	return s
}

// guessed reports whether a number of rows is what the planner takes when it knows
// nothing of an equality: one in 200 (DEFAULT_NUM_DISTINCT in selfuncs.h).
func guessed(rows, table float64) bool {
	want := table / 200
	return math.Abs(rows-want) <= max(2, want*0.002)
}

// changes finds where the plan becomes another one. deep are the plans under the other
// model of growth.
func changes(multiples []float64, plans, deep []*answer, models int) []Change {
	var out []Change
	for i := 1; i < len(plans); i++ {
		before, after := plans[i-1], plans[i]
		if shapeOf(before) == shapeOf(after) {
			continue
		}
		c := Change{
			From: multiples[i-1], To: multiples[i], Before: before.summary(), After: after.summary(),
			Why: whyChanged(before, after), CostBefore: before.Plan.Total, CostAfter: after.Plan.Total,
		}
		c.Firm = i+1 < len(plans) && shapeOf(plans[i+1]) != shapeOf(before)
		if models > 1 {
			c.Firm = c.Firm && agrees(deep, i, shapeOf(before))
		}
		out = append(out, c)
	}
	return out
}

// agrees reports whether the other model leaves the same plan within one size.
func agrees(deep []*answer, at int, before string) bool {
	for i := max(at-1, 1); i <= min(at+1, len(deep)-1); i++ {
		if shapeOf(deep[i-1]) == before && shapeOf(deep[i]) != before {
			return true
		}
	}
	return false
}
