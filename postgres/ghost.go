package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

// Ghost is a server of databases that hold no rows and plan as if they held any
// number: the catalogs carry a profile's statistics, and the files have the length
// that they would have, as holes. Statements are planned there and never executed.
// A Ghost is for one caller at a time.
type Ghost struct {
	Notes []string // what of the profile could not be brought in, one sentence each
	Lost  []string // what of GhostOptions.Schema is not there, one sentence each

	srv     *Server
	base    *Profile
	made    int
	trials  *trials                   // indexes of the size that is there
	file    uint32                    // the last number that a file got
	places  map[placeKey]place        // where statistics go
	spreads map[placeKey][]valueGroup // of the base's columns
}

// GhostOptions say how a ghost is run.
type GhostOptions struct {
	// Schema is built before the migrations; what was refused stands in Ghost.Lost. nil:
	// the migrations make it.
	Schema *Blueprint
	// Settings of the planner, over those of the profile.
	Settings map[string]string
	Dir      string                          // as Options.Dir
	Journal  func(pid int, dir string) error // as Options.Journal
}

const (
	ghostDatabase = "ghost"
	ghostPatience = 5 * time.Second
	// firstFile is above the numbers that a server of a few thousand objects gives.
	firstFile = 2_000_000_000
)

// NewGhost starts a server with the schema that the migrations make. Errors are
// *premortem.Error.
func NewGhost(ctx context.Context, b Binaries, ms []Migration, p *Profile, o GhostOptions) (*Ghost, error) {
	if b.Major != p.Server.Major() {
		return nil, &premortem.Error{
			Doing: "build a ghost database",
			Err:   fmt.Errorf("the statistics are of PostgreSQL %d and the server is of %d: each plans in its own way", p.Server.Major(), b.Major),
			Hint:  "use the server of the profile's major version",
		}
	}
	srv, err := Start(ctx, b, Options{Dir: o.Dir, Journal: o.Journal, Settings: ghostSettings(p, o.Settings)})
	if err != nil {
		return nil, err
	}
	g := &Ghost{srv: srv, base: p, file: firstFile, spreads: map[placeKey][]valueGroup{}}
	if err := g.seed(ctx, ms, o.Schema); err != nil {
		return nil, errors.Join(err, srv.Close())
	}
	return g, nil
}

// ghostSettings are production's own as far as plans depend on them, and what keeps a
// ghost a ghost: VACUUM would cut the files and ANALYZE would forget the statistics.
func ghostSettings(p *Profile, over map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range p.Settings {
		if plannerSetting(name) {
			out[name] = value
		}
	}
	maps.Copy(out, over)
	maps.Copy(out, map[string]string{
		"autovacuum": "off", "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off",
		"wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "1GB", "min_wal_size": "32MB", "checkpoint_timeout": "1h",
		"shared_buffers": "64MB", "max_connections": "20", "bgwriter_lru_maxpages": "0",
		// First pages are edited, and 18 makes clusters with checksums.
		"ignore_checksum_failure": "on",
	})
	return out
}

// plannerSetting reports whether a setting decides plans. Others of a profile may be
// impossible here, such as shared memory.
func plannerSetting(name string) bool {
	if strings.HasPrefix(name, "enable_") || strings.HasPrefix(name, "geqo") || strings.HasPrefix(name, "jit") ||
		strings.HasSuffix(name, "_cost") || strings.HasSuffix(name, "_collapse_limit") {
		return name != "jit_provider"
	}
	return slices.Contains([]string{
		"work_mem", "hash_mem_multiplier", "effective_cache_size", "max_parallel_workers_per_gather", "max_parallel_workers",
		"min_parallel_table_scan_size", "min_parallel_index_scan_size", "constraint_exclusion", "cursor_tuple_fraction",
		"default_statistics_target", "parallel_leader_participation", "recursive_worktable_factor", "effective_io_concurrency",
		"max_worker_processes",
	}, name)
}

func (g *Ghost) seed(ctx context.Context, ms []Migration, b *Blueprint) (err error) {
	if err := g.srv.CreateDatabase(ctx, ghostDatabase, ""); err != nil {
		return err
	}
	if b != nil {
		if g.Lost, err = g.srv.Build(ctx, ghostDatabase, b); err != nil {
			return err
		}
	}
	return g.srv.Migrate(ctx, ghostDatabase, ms)
}

// Close stops the server and removes everything. It may be called again.
func (g *Ghost) Close() error { return g.srv.Close() }

// Dir is the server's own folder.
func (g *Ghost) Dir() string { return g.srv.Dir() }

// Size is a ghost at one size. It can be asked until the next one is made.
type Size struct {
	Profile *Profile // as it was put in
	Rows    float64  // of all tables
	Took    time.Duration
	g       *Ghost
	number  int
}

// At gives the ghost's tables the sizes after growth. It takes about a tenth of a
// second and no disk, whatever the size.
func (g *Ghost) At(ctx context.Context, growth Growth) (*Size, error) {
	return g.make(ctx, g.grown(growth), nil)
}

// grown is the base's profile after growth.
func (g *Ghost) grown(growth Growth) *Profile { return g.base.grow(growth, g.spreads) }

// make puts a profile into the catalogs and gives the files their length. extra are
// indexes that the size has beside the schema's.
func (g *Ghost) make(ctx context.Context, p *Profile, extra *trials) (*Size, error) {
	began := time.Now()
	g.made++
	s := &Size{Profile: p, g: g, number: g.made}
	for i := range p.Relations {
		if r := &p.Relations[i]; r.Kind == "r" || r.Kind == "m" {
			s.Rows += max(r.Rows, 0)
		}
	}
	err := g.srv.on(ctx, ghostDatabase, func(c *pgx.Conn) error {
		if err := g.fill(ctx, c, s, extra); err != nil {
			return err
		}
		return g.inflate(ctx, c, s)
	})
	if err != nil {
		return nil, &premortem.Error{Doing: "build a ghost database", Err: err}
	}
	s.Took = time.Since(began)
	return s, nil
}

// fill writes one size into the catalogs, in tables that hold nothing but sentinels.
func (g *Ghost) fill(ctx context.Context, c *pgx.Conn, s *Size, extra *trials) error {
	tx, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	if err := g.trials.drop(ctx, tx); err != nil {
		return err
	}
	if err := emptyTables(ctx, tx); err != nil {
		return err
	}
	if extra != nil {
		if s.Profile, err = extra.create(ctx, tx, s.Profile); err != nil {
			return err
		}
	}
	in := &injector{tx: tx, p: s.Profile, major: g.srv.bin.Major, notes: map[string]bool{}}
	if in.at = g.places; in.at == nil || extra != nil {
		if in.at, err = places(ctx, tx); err != nil {
			return fmt.Errorf("find the columns: %w", err)
		}
		if extra == nil {
			g.places = in.at
		}
	}
	if err := sentinels(ctx, tx, s.Profile, in.note); err != nil {
		return err
	}
	if err := in.run(ctx); err != nil {
		return err
	}
	for note := range in.notes {
		if !slices.Contains(g.Notes, note) {
			g.Notes = append(g.Notes, note)
		}
	}
	slices.Sort(g.Notes)
	g.trials = extra
	return tx.Commit(ctx)
}

// emptyTables removes the sentinels of the size before, and what migrations insert:
// a ghost's rows are its statistics.
func emptyTables(ctx context.Context, tx pgx.Tx) error {
	const sql = `SELECT coalesce(string_agg(format('%I.%I', n.nspname, c.relname), ', '), '') FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND ` + userSchemas
	var list string
	if err := tx.QueryRow(ctx, sql).Scan(&list); err != nil || list == "" {
		return err
	}
	_, err := tx.Exec(ctx, "SET LOCAL session_replication_role = replica; TRUNCATE "+list, pgx.QueryExecModeSimpleProtocol)
	return err
}

// relationFile is where a relation is stored.
type relationFile struct {
	oid  uint32
	path string // below the data folder
}

func relationFiles(ctx context.Context, c *pgx.Conn) (map[[2]string]relationFile, error) {
	rows, err := c.Query(ctx, `SELECT n.nspname, c.relname, c.oid, pg_relation_filepath(c.oid) FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm', 'i') AND `+userSchemas)
	if err != nil {
		return nil, err
	}
	out := map[[2]string]relationFile{}
	var key [2]string
	var f relationFile
	_, err = pgx.ForEachRow(rows, []any{&key[0], &key[1], &f.oid, &f.path}, func() error {
		out[key] = f
		return nil
	})
	return out, err
}

// inflate gives each relation a file of its length. The server keeps pages of a file
// that it has seen in memory, so the files are new ones, under numbers that it has not
// seen; then the catalog is told.
func (g *Ghost) inflate(ctx context.Context, c *pgx.Conn, s *Size) error {
	if _, err := c.Exec(ctx, "CHECKPOINT"); err != nil { // the sentinels are in the files now
		return err
	}
	files, err := relationFiles(ctx, c)
	if err != nil {
		return err
	}
	w := newGrower(s.Profile)
	var oids, numbers []uint32
	for i := range s.Profile.Relations {
		r := &s.Profile.Relations[i]
		f, ok := files[[2]string{r.Schema, r.Name}]
		if !ok {
			continue
		}
		g.file++
		oids, numbers = append(oids, f.oid), append(numbers, g.file)
		if err := g.inflateOne(w, r, filepath.Join(g.srv.data(), f.path)); err != nil {
			return fmt.Errorf("stretch %s: %w", r.Name, err)
		}
	}
	const sql = `UPDATE pg_class c SET relfilenode = x.f FROM unnest($1::oid[], $2::oid[]) x(o, f) WHERE c.oid = x.o`
	_, err = c.Exec(ctx, sql, oids, numbers)
	return err
}

func (g *Ghost) inflateOne(w *grower, r *RelationStats, small string) error {
	path := filepath.Join(filepath.Dir(small), strconv.FormatUint(uint64(g.file), 10))
	if err := copyFile(small, path, g.srv.who); err != nil {
		return err
	}
	if err := os.Remove(small); err != nil {
		return err
	}
	least, err := w.prepareFile(path, r)
	if err != nil {
		return err
	}
	return stretch(path, max(r.Blocks, least), g.srv.who)
}

// prepareFile edits the first pages of an index and returns its smallest size.
func (w *grower) prepareFile(path string, r *RelationStats) (least int64, err error) {
	switch {
	case r.Method == "btree":
		height := treeHeight(r.Blocks, w.keyWidth(r))
		if r.Height != nil {
			height = *r.Height
		}
		return raiseTree(path, uint32(height))
	case r.Method == "gin" && r.GIN != nil:
		return 0, writeGIN(path, *r.GIN)
	case r.Method == "brin":
		last := int64(1)
		if i, ok := w.at[[2]string{r.TableSchema, r.Table}]; ok {
			last = lastRevmap(w.old.Relations[i].Blocks, pagesPerRange(r.Options))
		}
		if r.Revmap != nil {
			last = *r.Revmap
		}
		return 0, writeBRIN(path, last)
	}
	return 0, nil
}

func pagesPerRange(options []string) int64 {
	for _, o := range options {
		if v, ok := strings.CutPrefix(o, "pages_per_range="); ok {
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				return n
			}
		}
	}
	return 128
}

// planning is a connection that plans in one size, in a transaction that is rolled
// back. Reading a hole would take hours, so nothing is ever executed.
func (s *Size) planning(ctx context.Context, work func(*explainer) error) error {
	if s.number != s.g.made {
		return errors.New("the ghost has another size now")
	}
	return s.g.srv.on(ctx, ghostDatabase, func(c *pgx.Conn) error {
		e, err := newExplainer(ctx, c)
		if err != nil {
			return err
		}
		defer e.end()
		if err := e.exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", ghostPatience.Milliseconds())); err != nil {
			return err
		}
		return work(e)
	})
}

// Explain plans one statement; a parameter without a value gives the generic plan.
func (s *Size) Explain(ctx context.Context, sql string) (plan premortem.Plan, err error) {
	err = s.planning(ctx, func(e *explainer) error {
		a, err := e.explain(ctx, sql, nil, false)
		if err != nil {
			return err
		}
		plan, err = e.plan(ctx, a)
		return err
	})
	return plan, err
}
