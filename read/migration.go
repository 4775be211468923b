package read

import (
	"context"
	"path"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// Migrations reads SQL migrations in the order in which their runner applies them.
var Migrations = add(Reader{
	Name: "sql-migrations",
	Doc: premortem.Doc{
		Title:  "SQL migrations",
		Why:    "They are the only place in a repository that says which indexes production has, and what the next deploy does to its tables.",
		When:   "SQL files in folders called migrations, migrate, migration, changelog or drizzle, and files named as Flyway names them: of Prisma, Flyway, goose, dbmate, golang-migrate, sql-migrate, tern, node-pg-migrate, Drizzle, Liquibase and Supabase, and the plain calls of Sequelize, Knex, TypeORM and node-pg-migrate; without any of those a schema.sql, structure.sql or init.sql. Each statement is kept with its line and whether the runner puts it into a transaction. Files for other databases are left out where there are some for PostgreSQL.",
		Silent: "Down migrations, seeds and fixtures, and what a migration computes.",
		Fix:    "Keep migrations as SQL, or commit the schema dump beside them.",
	},
	Wants: func(p string) bool { return path.Ext(p) == ".sql" && (isMigration(p) || isSchemaDump(p)) },
	Read: func(f File, d *Draft) error {
		d.sqlFiles = append(d.sqlFiles, sqlMigration(f.Path, string(f.Data)))
		return nil
	},
	Whole: func(_ context.Context, t *Tree, d *Draft) error {
		seen := map[string]bool{}
		modes := d.runnerModes()
		for _, m := range d.modules {
			if !isMigration(m.path) || m.test || !m.isMigration() {
				continue
			}
			f, whole := m.migration()
			if f != nil {
				if modes[f.runner] {
					f.tx = txNone
				}
				d.sqlFiles = append(d.sqlFiles, f)
			}
			if dir := path.Dir(m.path); !whole && !seen[dir] {
				seen[dir] = true
				d.miss(premortem.Pos{File: m.path, Line: 1}, "migrations that are programs are not evaluated: the schema may have more tables and indexes")
			}
		}
		t.runnerFiles(d)
		return nil
	},
})

// sqlMigration reads one file of SQL.
func sqlMigration(file, text string) *sqlFile {
	up, down, line, runner := sqlSections(text, file)
	f := &sqlFile{path: file, runner: runner, dump: !isMigration(file), tx: txOf(runner, text), dialect: dialectOf(file, text)}
	f.steps = stepsIn(up, 1, false)
	if down != "" && !f.dump {
		f.steps = append(f.steps, stepsIn(down, line, true)...)
	}
	return f
}

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

// runnerModes are the runners whose configuration takes the transaction away.
func (d *Draft) runnerModes() map[string]bool {
	out := map[string]bool{}
	for _, m := range d.modules {
		base := strings.ToLower(path.Base(m.path))
		if !strings.Contains(base, "knexfile") && !strings.Contains(base, "data") && !strings.Contains(base, "orm") && !strings.Contains(base, "database") && !strings.Contains(base, "db") {
			continue
		}
		for i, t := range m.toks {
			switch {
			case t.is("disableTransactions") && m.tok(i+2).is("true"):
				out["knex"] = true
			case t.is("migrationsTransactionMode") && m.tok(i+2).text == "none":
				out["typeorm"] = true
			}
		}
	}
	return out
}

// runnerFiles reads what configures a runner beside its migrations: Flyway's file of
// one migration, and settings of the connection that limit the wait for a lock.
func (t *Tree) runnerFiles(d *Draft) {
	for _, f := range d.sqlFiles {
		if f.runner == "flyway" && t.has(f.path+".conf") {
			if data, err := t.read(f.path + ".conf"); err == nil && strings.Contains(strings.ReplaceAll(string(data), " ", ""), "executeInTransaction=false") {
				f.tx = txNone
			}
		}
	}
	for _, p := range t.paths {
		var runner string
		switch base := path.Base(p); {
		case strings.HasSuffix(p, "config/database.yml"), strings.HasSuffix(p, "config/initializers/strong_migrations.rb"):
			runner = "rails"
		case base == "env.py" && (strings.Contains(p, "alembic") || strings.Contains(p, "migrations")):
			runner = "alembic"
		case strings.Contains(p, "settings") && path.Ext(p) == ".py":
			runner = "django"
		default:
			continue
		}
		data, err := t.read(p)
		if err != nil {
			continue
		}
		if runner == "alembic" && strings.Contains(string(data), "AUTOCOMMIT") {
			for _, f := range d.sqlFiles {
				if f.runner == runner {
					f.tx = txNone
				}
			}
		}
		t.lockTimeoutOf(d, runner, p, string(data))
	}
}

var timeoutValue = regexp.MustCompile(`[\w.]+`)

// lockTimeoutOf gives the migrations of a runner the lock_timeout that a file of its
// configuration sets.
func (t *Tree) lockTimeoutOf(d *Draft, runner, file, text string) {
	if !strings.Contains(text, "lock_timeout") {
		return
	}
	for i, l := range strings.Split(text, "\n") {
		l = strings.TrimSpace(l)
		if !strings.Contains(l, "lock_timeout") || strings.HasPrefix(l, "#") {
			continue
		}
		_, value, _ := strings.Cut(l, "lock_timeout")
		at := premortem.Setting[string]{Value: timeoutValue.FindString(value), Pos: premortem.Pos{File: file, Line: i + 1}}
		for _, f := range d.sqlFiles {
			if f.runner == runner && !f.timeout.Set() {
				f.timeout = at
			}
		}
		return
	}
}
