package read

import (
	"bytes"
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// migrate applies the migrations in order and returns the schema. Dumps count only
// when there are no migrations that make tables, or where the runner itself keeps
// the dump up to date.
func (d *Draft) migrate() ([]*premortem.Table, []*premortem.Migration) {
	var files, dumps []*sqlFile
	for _, f := range d.sqlFiles {
		if f.dump {
			dumps = append(dumps, f)
		} else {
			files = append(files, f)
		}
	}
	files = orderMigrations(files)
	slices.SortStableFunc(dumps, byPath)
	shareDialect(files)
	kept := keptDumps(files, dumps)
	foreign := otherEngines(files)
	s := &schema{models: map[string]*djangoModel{}}
	aside := &schema{} // what migrations make of it whose runner keeps a dump
	var migrations []*premortem.Migration
	for _, f := range files {
		switch {
		case foreign[f]:
		case kept[path.Dir(path.Dir(f.path))] != nil:
			aside.apply(f)
		default:
			s.apply(f)
		}
		migrations = append(migrations, f.migration())
	}
	for _, dir := range sortedKeys(kept) {
		s.apply(kept[dir])
	}
	if len(s.tables) == 0 {
		for _, f := range dumps {
			s.apply(f)
			if f.runner == "sql" || f.runner == "prisma" || f.runner == "rails" {
				m := f.migration()
				m.Statements = nil // it describes; nobody runs it on production
				if f.runner != "prisma" {
					m.Runner = "sql"
				}
				migrations = append(migrations, m)
			}
		}
	}
	d.djangoModels = s.models
	return s.tables, migrations
}

// migration is what the System says about a file.
func (f *sqlFile) migration() *premortem.Migration {
	m := &premortem.Migration{Pos: premortem.Pos{File: f.path, Line: 1}, Runner: f.runner, Dialect: f.dialect}
	m.Statements, m.LockTimeout = f.told()
	return m
}

// apply changes the schema as a file does. What Django does is written down first:
// it depends on the models so far.
func (s *schema) apply(f *sqlFile) {
	if len(f.ops) > 0 {
		f.steps = s.django(f)
	}
	s.mysql = f.dialect == "mysql"
	for i := range f.steps {
		if st := &f.steps[i]; !st.down && len(st.toks) > 0 {
			st.was = s.typeBefore(st.toks)
			s.statement(f.path, st.toks)
		}
	}
}

// typeBefore is the type that a column has before ALTER TABLE … ALTER COLUMN … TYPE
// changes it, and "not null" for a column of which SET NOT NULL says nothing new; ""
// for any other statement.
func (s *schema) typeBefore(toks []sqlToken) string {
	p := &ddl{schema: s, toks: toks}
	if !p.take("alter", "table") {
		return ""
	}
	p.take("if", "exists")
	p.take("only")
	t := s.table(p.qualified())
	if t == nil {
		return ""
	}
	for _, action := range sqlSplit(toks[min(p.i, len(toks)):], ",") {
		a := &ddl{schema: s, toks: action}
		if !a.take("alter") {
			continue
		}
		a.take("column")
		c := t.Column(a.qualified())
		if c != nil && (a.take("type") || a.take("set", "data", "type")) {
			return c.Type
		}
		if c != nil && c.NotNull && a.take("set", "not", "null") {
			return "not null"
		}
	}
	return ""
}

// keptDumps are the dumps that Rails keeps beside db/migrate, by the folder of both.
func keptDumps(files, dumps []*sqlFile) map[string]*sqlFile {
	out := map[string]*sqlFile{}
	for _, f := range files {
		if f.runner != "rails" {
			continue
		}
		dir := path.Dir(path.Dir(f.path))
		for _, dump := range dumps {
			if path.Dir(dump.path) == dir && (path.Base(dump.path) == "schema.rb" || path.Base(dump.path) == "structure.sql") {
				out[dir] = dump
			}
		}
	}
	return out
}

// otherEngines are the files for other databases, where the tree has migrations for
// PostgreSQL as well: they describe the same tables again.
func otherEngines(files []*sqlFile) map[*sqlFile]bool {
	out := map[*sqlFile]bool{}
	postgres := slices.ContainsFunc(files, func(f *sqlFile) bool { return f.dialect == "postgres" })
	for _, f := range files {
		if f.dialect == "clickhouse" || f.dialect == "cassandra" || postgres && f.dialect != "" && f.dialect != "postgres" {
			out[f] = true
		}
	}
	return out
}

// shareDialect gives all files of a folder the one dialect that most of them show: a
// word of another may stand in a comment or in data.
func shareDialect(files []*sqlFile) {
	home := func(f *sqlFile) string {
		dir := path.Dir(f.path)
		if path.Base(f.path) == "migration.sql" {
			dir = path.Dir(dir)
		}
		return dir
	}
	votes := map[string]map[string]int{}
	for _, f := range files {
		if votes[home(f)] == nil {
			votes[home(f)] = map[string]int{}
		}
		if f.dialect != "" {
			votes[home(f)][f.dialect]++
		}
	}
	for _, f := range files {
		best, most := "", 0
		for _, d := range sortedKeys(votes[home(f)]) {
			if n := votes[home(f)][d]; n > most {
				best, most = d, n
			}
		}
		f.dialect = best
	}
}

func byPath(a, b *sqlFile) int {
	return cmp.Or(compareBool(repeatable(a.path), repeatable(b.path)), naturalCompare(a.path, b.path))
}

// orderMigrations sorts by path with numbers as numbers, except that a migration
// stands behind those that it names as its parents. What a squashed migration
// replaces and is still there makes the squashed one superfluous.
func orderMigrations(files []*sqlFile) []*sqlFile {
	slices.SortStableFunc(files, byPath)
	byID := map[string]*sqlFile{}
	for _, f := range files {
		if f.id != "" {
			byID[f.id] = f
		}
	}
	var out []*sqlFile
	state := map[*sqlFile]int{} // 1 on the way, 2 placed
	var place func(f *sqlFile, depth int)
	place = func(f *sqlFile, depth int) {
		if state[f] != 0 || depth > 10_000 {
			return
		}
		state[f] = 1
		for _, p := range f.parents {
			if q := byID[p]; q != nil {
				place(q, depth+1)
			}
		}
		state[f] = 2
		gone := len(f.replaces) > 0
		for _, r := range f.replaces {
			gone = gone && byID[r] != nil
		}
		if !gone {
			out = append(out, f)
		}
	}
	for _, f := range files {
		place(f, 0)
	}
	return out
}

func repeatable(p string) bool { return strings.HasPrefix(path.Base(p), "R__") }

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// naturalCompare orders text with its numbers as numbers: 2 before 10.
func naturalCompare(a, b string) int {
	x, y := []byte(a), []byte(b)
	for len(x) > 0 && len(y) > 0 {
		if isDigit(x[0]) && isDigit(y[0]) {
			var n, m []byte
			n, x = digits(x)
			m, y = digits(y)
			n, m = bytes.TrimLeft(n, "0"), bytes.TrimLeft(m, "0")
			if c := cmp.Or(cmp.Compare(len(n), len(m)), bytes.Compare(n, m)); c != 0 {
				return c
			}
			continue
		}
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b))
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func digits(s []byte) (num, rest []byte) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return s[:i], s[i:]
}
