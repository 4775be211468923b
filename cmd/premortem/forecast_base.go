package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/clone"
	"github.com/premortem/premortem/postgres"
)

// base is what a ghost is made of: the schema, and statistics of its rows.
type base struct {
	binaries   postgres.Binaries
	migrations []postgres.Migration
	drawn      *postgres.Blueprint // instead of migrations
	spare      *postgres.Blueprint // if the migrations fail; nil there is none
	settings   map[string]string
	profile    *postgres.Profile
	factors    map[string]float64 // from the profile's rows to today's, by "schema.table"
	server     *postgres.Server   // the generated database; nil with a profile
	db         string
}

func (b *base) close() error {
	if b.server == nil {
		return nil
	}
	return b.server.Close()
}

// errNoSchema says that the repository does not tell what its tables are.
var errNoSchema = errors.New("the schema cannot be built")

// sampleRows is how many rows are generated to learn how values are spread: ANALYZE
// looks at 30,000 of a table, and a second is enough to load as many as this.
const sampleRows = 150_000

// base reads the profile, or generates a part of the declared rows.
func (f *prophet) base(ctx context.Context) (*base, error) {
	b := &base{db: "sample"}
	var doubts []string
	b.settings, doubts = clone.Planning(f.stores())
	for _, d := range doubts {
		f.doubt("%s", d)
	}
	if f.o.profile == "" && f.sys.Database.Profile.Set() {
		f.o.profile = filepath.Join(f.dir, filepath.FromSlash(f.sys.Database.Profile.Value))
	}
	major := clone.Major(f.stores())
	var err error
	if f.o.profile != "" {
		if b.profile, err = postgres.LoadProfile(f.o.profile); err != nil {
			return nil, err
		}
		major = b.profile.Server.Major()
		for _, m := range b.profile.Missing {
			f.doubt("the profile lacks %s", m)
		}
	}
	if err := f.schema(b); err != nil {
		return nil, err
	}
	if b.profile == nil && len(f.sys.Database.Rows) == 0 {
		return nil, &premortem.Error{
			Doing: "learn how large production is", Err: errors.New("nothing says how many rows it has"),
			Hint: "declare database: {rows: {users: 500000}} in premortem.yaml, or give --profile",
		}
	}
	if major != 0 && (major < postgres.Oldest || major > postgres.Newest) {
		return nil, &premortem.Error{
			Doing: "choose a PostgreSQL", Err: fmt.Errorf("production runs PostgreSQL %d; %d to %d are understood", major, postgres.Oldest, postgres.Newest),
			Hint: "forecast a version that you will upgrade to: change it where it is declared",
		}
	}
	b.binaries, err = postgres.Find(ctx, postgres.FindOptions{Major: major, Progress: f.bar.doing})
	if err != nil {
		return nil, err
	}
	if b.profile != nil {
		f.r.Stages = append(f.r.Stages, premortem.Stage{Name: "profile", Says: fmt.Sprintf("PostgreSQL %d, %d tables and indexes, from %s", major, len(b.profile.Relations), f.o.profile)})
		return b, nil
	}
	if err := f.generate(ctx, b); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// generate loads a part of the rows that production has and reads their statistics.
func (f *prophet) generate(ctx context.Context, b *base) (err error) {
	began := time.Now()
	f.bar.doing("start PostgreSQL " + b.binaries.Version)
	settings := postgres.Loading()
	for name, value := range b.settings {
		settings[name] = value
	}
	if b.server, err = postgres.Start(ctx, b.binaries, postgres.Options{Settings: settings}); err != nil {
		return err
	}
	if err := f.build(ctx, b); err != nil {
		return err
	}
	schema, err := postgres.Inspect(ctx, b.server.SocketDSN(b.db))
	if err != nil {
		return err
	}
	full, part, err := f.plans(schema)
	if err != nil {
		return err
	}
	if err := part.Load(ctx, b.server, b.db); err != nil {
		return err
	}
	for _, n := range part.Notes {
		f.doubt("generated rows: %s", n)
	}
	if b.profile, err = b.server.TakeProfile(ctx, b.db); err != nil {
		return err
	}
	b.factors = map[string]float64{}
	loaded, total := int64(0), int64(0)
	for _, t := range schema.Tables {
		if has := part.Count(t.Name); has > 0 && !t.Leaf {
			b.factors[t.Schema+"."+t.Local] = float64(full.Count(t.Name)) / float64(has)
			loaded, total = loaded+has, total+full.Count(t.Name)
		}
	}
	f.stage("rows", began, "%s of production's %s rows generated and analyzed, PostgreSQL %s", grouped(loaded), grouped(total), b.binaries.Version)
	return nil
}

// plans decides the rows of today, and the part of them that is loaded.
func (f *prophet) plans(schema *postgres.Schema) (full, part *postgres.Rows, err error) {
	o := postgres.FillOptions{Rows: map[string]int64{}, Values: map[string]map[string]string{}, Seed: f.o.seed}
	sum := int64(0)
	for _, w := range f.sys.Database.Rows {
		o.Rows[w.Table] = int64(w.Rows.Value)
		sum += int64(w.Rows.Value)
	}
	for _, v := range f.sys.Database.Values {
		if o.Values[v.Table] == nil {
			o.Values[v.Table] = map[string]string{}
		}
		o.Values[v.Table][v.Column] = v.Template.Value
	}
	if full, err = postgres.Plan(schema, o); err != nil {
		return nil, nil, err
	}
	share := min(1, sampleRows/float64(max(sum, 1)))
	less := map[string]int64{}
	for table, n := range o.Rows {
		less[table] = max(int64(float64(n)*share), min(n, 3000))
	}
	o.Rows = less
	o.Progress = func(table string, done, total int64) { f.bar.part("rows of "+table, done, total) }
	part, err = postgres.Plan(schema, o)
	return full, part, err
}

// stores are production's PostgreSQL, as every deployment describes it.
func (f *prophet) stores() []*premortem.Store {
	for _, s := range f.sys.Stores {
		if s.Kind == "postgres" {
			return f.sys.StoresOf(s.Node)
		}
	}
	return nil
}

// node is production's PostgreSQL.
func (f *prophet) node() premortem.Node {
	if s := f.stores(); len(s) > 0 {
		return s[0].Node
	}
	return "store/postgres"
}
