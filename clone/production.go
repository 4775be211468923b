package clone

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/postgres"
)

// Major is the major version of production's PostgreSQL, 0 when nothing says. stores
// are its descriptions, one per deployment.
func Major(stores []*premortem.Store) int {
	for _, s := range stores {
		if n, err := strconv.Atoi(major(s.Version.Value)); err == nil {
			return n
		}
	}
	return 0
}

// planning are the settings that decide plans.
var planning = []string{
	"work_mem", "random_page_cost", "seq_page_cost", "effective_cache_size", "jit", "max_parallel_workers_per_gather",
	"default_statistics_target", "hash_mem_multiplier", "enable_partitionwise_join", "enable_partitionwise_aggregate",
}

// Planning are production's own settings that decide plans, as a server takes them,
// and doubts about what stands there and could not be used.
func Planning(stores []*premortem.Store) (settings map[string]string, doubts []string) {
	return Settings(stores, planning)
}

// Settings are production's values of the named settings. A parameter group's formula
// is worked out where the memory of the instance is known; otherwise it is left out
// with a doubt, because a server refuses it.
func Settings(stores []*premortem.Store, names []string) (settings map[string]string, doubts []string) {
	settings = map[string]string{}
	for _, s := range stores {
		for _, p := range s.Params {
			if _, set := settings[p.Name]; set || p.Value.Value == "" || !slices.Contains(names, p.Name) {
				continue
			}
			if !strings.ContainsAny(p.Value.Value, "{}()") {
				settings[p.Name] = p.Value.Value
				continue
			}
			n, err := formula(p.Value.Value, memoryOf(s))
			if err != nil {
				doubts = append(doubts, fmt.Sprintf("%s of production is a formula, %s, and %v: PostgreSQL's default is used", p.Name, p.Value.Value, err))
				continue
			}
			settings[p.Name] = strconv.FormatInt(n, 10)
			doubts = append(doubts, fmt.Sprintf("%s of production is a formula, %s: %d by the nominal memory of %s", p.Name, p.Value.Value, n, s.Class.Value))
		}
	}
	return settings, doubts
}

// Migrations are the repository's for PostgreSQL in order, without the ones that are
// left out. What is not SQL is taken as its runner would write it. Errors are
// *premortem.Error.
func Migrations(sys *premortem.System, dir string, without []*premortem.Migration) ([]postgres.Migration, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, &premortem.Error{Doing: "read the migrations", Err: err}
	}
	defer root.Close()
	var out []postgres.Migration
	for _, m := range sys.Migrations {
		if slices.Contains(without, m) || m.Dialect != "" && m.Dialect != "postgres" {
			continue
		}
		one := postgres.Migration{Name: m.Pos.File, Pos: premortem.Pos{File: m.Pos.File, Line: 1}}
		if len(m.Statements) > 0 && filepath.Ext(m.Pos.File) != ".sql" {
			one.SQL = upward(m)
			out = append(out, one)
			continue
		}
		f, err := root.Open(filepath.FromSlash(m.Pos.File))
		if err != nil {
			return nil, &premortem.Error{Doing: "read the migration", Pos: m.Pos, Err: err}
		}
		b, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, &premortem.Error{Doing: "read the migration", Pos: m.Pos, Err: err}
		}
		one.SQL = string(b)
		out = append(out, one)
	}
	if len(out) == 0 {
		return nil, &premortem.Error{
			Doing: "build production's schema", Err: errors.New("no SQL migration was found in the repository"),
			Hint: "premortem reads migrations/*.sql and the folders of common runners",
		}
	}
	return out, nil
}

// upward is what a migration does on its way up, as SQL.
func upward(m *premortem.Migration) string {
	var b strings.Builder
	for _, st := range m.Statements {
		if !st.Down {
			fmt.Fprintf(&b, "%s;\n", strings.TrimRight(strings.TrimSpace(st.SQL), ";"))
		}
	}
	return b.String()
}
