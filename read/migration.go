package read

import (
	"bytes"
	"cmp"
	"context"
	"path"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// sqlFile is a migration, or a dump of the whole schema.
type sqlFile struct {
	path       string
	runner     string
	dump       bool // describes the schema instead of changing it
	statements [][]sqlToken
}

// Migrations reads SQL migrations in the order in which their runner applies them.
var Migrations = add(Reader{
	Name: "sql-migrations",
	Doc: premortem.Doc{
		Title:  "SQL migrations",
		Why:    "They are the only place in a repository that says which indexes production has.",
		When:   "SQL files in folders called migrations, migrate, migration or drizzle, of Prisma, Flyway, goose, dbmate, golang-migrate, node-pg-migrate and Supabase, and the plain calls of Sequelize, Knex and TypeORM; without any of those a schema.sql, structure.sql or init.sql.",
		Silent: "Down migrations and down sections, seeds and fixtures, and what a migration computes.",
		Fix:    "Keep migrations as SQL, or commit the schema dump beside them.",
	},
	Wants: func(p string) bool { return path.Ext(p) == ".sql" && (isMigration(p) || isSchemaDump(p)) },
	Read: func(f File, d *Draft) error {
		text, runner := upSection(string(f.Data), f.Path)
		d.sqlFiles = append(d.sqlFiles, &sqlFile{
			path: f.Path, runner: runner, dump: !isMigration(f.Path), statements: sqlStatements(sqlTokens(text)),
		})
		return nil
	},
	Whole: func(_ context.Context, _ *Tree, d *Draft) error {
		seen := map[string]bool{}
		for _, m := range d.modules {
			if !isMigration(m.path) || m.test || !m.isMigration() {
				continue
			}
			f, whole := m.migration()
			if f != nil {
				d.sqlFiles = append(d.sqlFiles, f)
			}
			if dir := path.Dir(m.path); !whole && !seen[dir] {
				seen[dir] = true
				d.miss(premortem.Pos{File: m.path, Line: 1}, "migrations that are programs are not evaluated: the schema may have more tables and indexes")
			}
		}
		return nil
	},
})

// isMigration reports a module that changes a schema when it is run.
func (m *module) isMigration() bool {
	for i, t := range m.toks {
		switch {
		case t.is("queryInterface"), t.is("queryRunner"), t.is("knex"), t.is("pgm"):
			return true
		case t.is("up") && (m.tok(i-1).is("exports") || m.tok(i-1).is(".") || m.tok(i-1).is("function")):
			return true
		}
	}
	return false
}

func isMigration(p string) bool {
	segs := strings.Split(path.Dir(p), "/")
	found := false
	for _, s := range segs {
		switch strings.ToLower(s) {
		case "migrations", "migration", "migrate", "drizzle", "changelog":
			found = true
		case "seeds", "seed", "seeders", "fixtures", "test", "tests", "testdata", "__tests__", "down", "rollback", "undo":
			return false
		}
	}
	base := path.Base(p)
	if strings.HasSuffix(base, ".down.sql") || base == "down.sql" {
		return false
	}
	if len(base) > 1 && base[0] == 'U' && strings.Contains(base, "__") && base[1] >= '0' && base[1] <= '9' {
		return false // Flyway's undo
	}
	return found
}

func isSchemaDump(p string) bool {
	if strings.Contains(p, "docker-entrypoint-initdb.d/") || strings.Contains(p, "initdb") {
		return true
	}
	switch strings.ToLower(path.Base(p)) {
	case "schema.sql", "structure.sql", "init.sql", "tables.sql":
		return true
	}
	return false
}

// downMarks start the part of a migration that takes it back.
var downMarks = []struct{ text, runner string }{
	{"-- +goose Down", "goose"}, {"-- migrate:down", "dbmate"}, {"-- +migrate Down", "sql-migrate"},
	{"---- create above / drop below ----", "tern"}, {"-- Down Migration", "node-pg-migrate"}, {"--//@UNDO", "mybatis"},
}

// upSection cuts the down part and names the runner. Lines keep their numbers.
func upSection(text, file string) (up, runner string) {
	for _, m := range downMarks {
		if before, _, ok := strings.Cut(text, m.text); ok {
			return before, m.runner
		}
	}
	base := path.Base(file)
	switch {
	case strings.Contains(text, "-- +goose Up"):
		return text, "goose"
	case strings.Contains(text, "-- migrate:up"):
		return text, "dbmate"
	case base == "migration.sql" && strings.Contains(file, "prisma/"):
		return text, "prisma"
	case strings.Contains(base, "__") && (base[0] == 'V' || base[0] == 'R'):
		return text, "flyway"
	case strings.HasSuffix(base, ".up.sql"):
		return text, "golang-migrate"
	case strings.Contains(file, "drizzle/"):
		return text, "drizzle"
	case strings.Contains(file, "supabase/"):
		return text, "supabase"
	}
	return text, "sql"
}

// migrate applies the migrations in order and returns the schema. Dumps count only
// when there are no migrations that make tables.
func (d *Draft) migrate() ([]*premortem.Table, []*premortem.Migration) {
	var files, dumps []*sqlFile
	for _, f := range d.sqlFiles {
		if f.dump {
			dumps = append(dumps, f)
		} else {
			files = append(files, f)
		}
	}
	order := func(fs []*sqlFile) {
		slices.SortStableFunc(fs, func(a, b *sqlFile) int {
			return cmp.Or(compareBool(repeatable(a.path), repeatable(b.path)), naturalCompare(a.path, b.path))
		})
	}
	order(files)
	order(dumps)
	var migrations []*premortem.Migration
	for _, f := range files {
		migrations = append(migrations, &premortem.Migration{Pos: premortem.Pos{File: f.path, Line: 1}, Runner: f.runner})
	}
	s := &schema{}
	apply := func(fs []*sqlFile) {
		for _, f := range fs {
			for _, st := range f.statements {
				s.statement(f.path, st)
			}
		}
	}
	apply(files)
	if len(s.tables) == 0 {
		apply(dumps)
		for _, f := range dumps {
			migrations = append(migrations, &premortem.Migration{Pos: premortem.Pos{File: f.path, Line: 1}, Runner: "sql"})
		}
	}
	return s.tables, migrations
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
