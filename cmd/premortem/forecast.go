package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/postgres"
	"github.com/premortem/premortem/read"
)

type forecastFlags struct {
	output
	profile string
	queries string
	run     string
	until   string
	growth  string
	disk    string
	writes  string
	still   []string
	seed    int64
}

func (p *program) forecast() *cobra.Command {
	var o forecastFlags
	cmd := &cobra.Command{
		Use:   "forecast [DIR]",
		Short: "what breaks at 2×, 10×, 1000×: plans in a ghost database, and the arithmetic of limits",
		Long: `forecast plans production's statements in a PostgreSQL that holds no rows and believes
that it holds any number. It says whose work grows with the tables, at which multiple a
plan changes and why, which index would prevent it, and when keys, sequences, connections
and disks run out. Nothing is executed: rehearse measures.

Statements come from the code, from --queries, from the record of a saved run (--run) and
from the profile. The size of today comes from --profile, or from the rows in
premortem.yaml, of which a part is generated to learn how the values are spread.`,
		Example: "  premortem forecast examples/shop\n  premortem forecast --until 1e9rows --growth 8%/month\n  premortem forecast --profile profile.json --queries slow.sql --format html -o forecast.html",
		Args:    directory,
		RunE:    func(_ *cobra.Command, args []string) error { return p.runForecast(o, folder(args)) },
	}
	f := cmd.Flags()
	o.output.flags(f)
	f.StringVar(&o.profile, "profile", "", "statistics of production's database, from premortem profile")
	f.StringVar(&o.queries, "queries", "", "a file of SQL statements to plan as well")
	f.StringVar(&o.run, "run", "", "a saved run whose statements are planned as well: its id or folder, or latest")
	f.StringVar(&o.until, "until", "1000x", "how far to look: 1000x, or 1e9rows of the largest table")
	f.StringVar(&o.growth, "growth", "", "how fast the tables grow, to give dates: 8%/month, 2x/year, 20000 rows/day of the largest table")
	f.StringVar(&o.disk, "disk", "", "the size of the database's disk: 500GB")
	f.StringVar(&o.writes, "writes", "", "how many transactions write: 500/s, to tell how soon transaction ids would end")
	f.StringSliceVar(&o.still, "still", nil, "tables that do not grow, separated by commas")
	f.Int64Var(&o.seed, "seed", 1, "decides the generated rows")
	return cmd
}

// prophet makes one forecast.
type prophet struct {
	p     *program
	o     forecastFlags
	h     horizon
	dir   string
	sys   *premortem.System
	bar   *progress
	began time.Time
	r     *premortem.Report

	largest float64  // rows of the largest table today
	ends    []ending // limits within the horizon
	belief  string   // how far the ghost was compared, for each finding
}

func (p *program) runForecast(o forecastFlags, dir string) error {
	if _, err := o.check(); err != nil {
		return err
	}
	h, err := o.horizon()
	if err != nil {
		return err
	}
	sys, err := read.Dir(p.ctx, dir)
	if err != nil {
		return err
	}
	bar := p.progress(o.quiet)
	defer bar.close()
	f := &prophet{p: p, o: o, h: h, dir: dir, sys: sys, bar: bar, began: time.Now()}
	f.r = &premortem.Report{
		Schema: premortem.Schema, Version: premortem.Version, Command: "forecast", Seed: o.seed, System: sys, Unread: sys.Unread,
		Started: f.began, Dir: dir, Unknowns: []string{}, Doubts: []string{},
	}
	if err := f.run(p.ctx); err != nil {
		return err
	}
	bar.close()
	f.r.TookSeconds = time.Since(f.began).Seconds()
	quote(dir, f.r.Findings)
	premortem.SortFindings(f.r.Findings)
	return p.write(f.r, o.output, "")
}

func (f *prophet) run(ctx context.Context) error {
	if err := f.connections(); err != nil {
		return err
	}
	asked, err := f.statements()
	if err != nil {
		return err
	}
	b, err := f.base(ctx)
	if errors.Is(err, errNoSchema) {
		f.unknown("what %d statements cost at other sizes: %v", len(asked), err)
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.knowsStill(b.profile); err != nil {
		return errors.Join(err, b.close())
	}
	asked = append(asked, f.recorded(b.profile)...)
	asked = once(asked)
	swept, err := f.sweep(ctx, b, asked)
	if err := errors.Join(err, b.close()); err != nil {
		return err
	}
	f.tell(asked, swept)
	f.limits(b, swept)
	f.headroom(swept)
	return nil
}

// knowsStill refuses tables of --still that are not there.
func (f *prophet) knowsStill(p *postgres.Profile) error {
	var have []string
	for i := range p.Relations {
		if r := &p.Relations[i]; r.Kind == "r" || r.Kind == "p" || r.Kind == "m" {
			have = append(have, strings.TrimPrefix(r.Schema+"."+r.Name, "public."))
		}
	}
	slices.Sort(have)
	for _, name := range f.o.still {
		if !slices.Contains(have, strings.TrimPrefix(name, "public.")) {
			return &premortem.Error{Doing: "read --still", Err: fmt.Errorf("there is no table %q", name), Hint: "the tables are " + strings.Join(have, ", ")}
		}
	}
	return nil
}

// sweep builds the ghost and plans everything in it.
func (f *prophet) sweep(ctx context.Context, b *base, asked []question) (*postgres.Outlooks, error) {
	began := time.Now()
	f.bar.doing("build the ghost")
	g, err := f.ghost(ctx, b)
	if err != nil {
		return nil, err
	}
	swept, err := f.inGhost(ctx, g, b, asked)
	if err := errors.Join(err, g.Close()); err != nil {
		return nil, err
	}
	f.lost(g.Lost)
	for _, n := range g.Notes {
		f.doubt("the ghost: %s", n)
	}
	for _, d := range swept.Doubts {
		f.doubt("%s", d)
	}
	last := swept.Multiples[len(swept.Multiples)-1]
	f.stage("ghost", began, "%s planned at %d sizes up to %s×; no rows, each size built in at most %.2f s",
		plural(len(asked), "statement", "statements"), len(swept.Multiples), figure(last), swept.BuildTook.Seconds())
	return swept, nil
}

func (f *prophet) inGhost(ctx context.Context, g *postgres.Ghost, b *base, asked []question) (*postgres.Outlooks, error) {
	var texts []string
	for _, q := range asked {
		texts = append(texts, q.sql)
	}
	if err := f.trust(ctx, g, b, texts); err != nil {
		return nil, err
	}
	for i := range b.profile.Relations {
		r := &b.profile.Relations[i]
		if r.Kind == "r" {
			f.largest = max(f.largest, r.Rows*factor(b.factors, r.Schema+"."+r.Name))
		}
	}
	return g.Sweep(ctx, texts, postgres.SweepOptions{
		Multiples: f.h.multiples(f.largest), Base: b.factors, Still: f.o.still,
		Progress: func(done, total int) { f.bar.part("plan at other sizes", int64(done), int64(total)) },
	})
}

func factor(factors map[string]float64, table string) float64 {
	if v, ok := factors[table]; ok {
		return v
	}
	return 1
}

// trust compares the ghost with what it was made of, and says how far it can be
// believed.
func (f *prophet) trust(ctx context.Context, g *postgres.Ghost, b *base, texts []string) error {
	size, err := g.At(ctx, postgres.Growth{})
	if err != nil {
		return err
	}
	wrong, err := size.Check(ctx)
	if err != nil {
		return err
	}
	for _, w := range wrong {
		f.doubt("the ghost differs from its statistics: %s", w)
	}
	f.belief = "planned in a ghost database made from statistics; nothing was run"
	if b.server == nil || len(texts) == 0 {
		f.doubt("nothing was run: these are plans made from statistics alone, compared with no database; rehearse measures")
		return nil
	}
	a, err := g.Agree(ctx, b.server.SocketDSN(b.db), texts)
	if err != nil {
		return err
	}
	f.belief = fmt.Sprintf("planned in a ghost database, which planned %d of %d statements as the generated database of its size did", a.Equal, a.Of)
	f.doubt("nothing was run: these are plans; of %d statements the ghost planned %d as the generated database of the same size did; rehearse measures", a.Of, a.Equal)
	for _, sql := range a.Different {
		f.unknown("what becomes of %s: the ghost plans it in another way than the database that it copies", short(sql))
	}
	return nil
}

func (f *prophet) doubt(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(f.r.Doubts, s) {
		f.r.Doubts = append(f.r.Doubts, s)
	}
}

func (f *prophet) unknown(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(f.r.Unknowns, s) {
		f.r.Unknowns = append(f.r.Unknowns, s)
	}
}

func (f *prophet) stage(name string, began time.Time, format string, args ...any) {
	s := premortem.Stage{Name: name, Says: fmt.Sprintf(format, args...), Took: time.Since(began).Seconds()}
	f.r.Stages = append(f.r.Stages, s)
	f.bar.stage(s)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
