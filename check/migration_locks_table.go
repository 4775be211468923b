package check

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// MigrationLocksTable judges what the next deploy does to tables that are in use.
var MigrationLocksTable = add(Rule{
	ID:       "migration-locks-table",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "a migration stops a table that is in use",
		Why: `While a statement holds a strong lock, everyone else waits: for the time it takes to
read, index or rewrite the table, and before that for as long as the oldest transaction
runs. Requests queue until the connection pool is empty, and then every route stops.`,
		When: `With --diff: a migration that the change adds builds an index without CONCURRENTLY,
adds a CHECK, a foreign key, a unique or primary key, sets NOT NULL, changes a type so
that the table is rewritten, adds a column whose default differs for each row, or
updates every row while the same transaction holds a lock, on a table that existed
before. The hold is computed from the declared rows with measured times for a row: 3
seconds in which nobody reads are down, 0.2 seconds are slow, and where the number of
rows is not known a table that grows is slow. Without --diff only the newest migration
of each runner is looked at, one step milder, as production may have it already. What
cannot work at all, CONCURRENTLY in a transaction, is down in both.`,
		Silent: `The table is made by the same change; the statement is CONCURRENTLY, NOT VALID, USING
INDEX or a change of the catalog alone; a valid CHECK proves that no value is null; the
lock would be held for less than 0.05 seconds; the table is declared to be small; the
author wrote safety_assured, or CREATE INDEX IF NOT EXISTS behind a comment that builds
it CONCURRENTLY on production first; the migration is not for PostgreSQL; older migrations of
the runner would have failed for the same reason; everything that ran before.`,
		Fix: `Build indexes CONCURRENTLY in a migration without a transaction. Add constraints NOT
VALID and validate them in the next migration. Fill columns in batches. Set lock_timeout
and try again.`,
	},
	Run: func(sys *premortem.System, report func(premortem.Finding)) {
		p := newest(sys)
		p.refused(report)
		p.held(func(f premortem.Finding) {
			f.Severity = milder(f.Severity)
			f.Certain = false
			report(f)
		})
	},
	Diff: func(old, sys *premortem.System, report func(premortem.Finding)) {
		p := added(old, sys)
		p.refused(report)
		p.held(report)
	},
})

// milder is one step less.
func milder(s premortem.Severity) premortem.Severity {
	if s == premortem.Down {
		return premortem.Slow
	}
	return asNote
}

// refused reports CONCURRENTLY inside a transaction, which PostgreSQL refuses.
func (p *pending) refused(report func(premortem.Finding)) {
	for _, s := range p.steps {
		for _, e := range s.effects {
			if !e.alone || !s.st.InTx || p.ranBefore(s) {
				continue
			}
			report(premortem.Finding{
				Node:    database(p.sys),
				Subject: label(s.m) + " " + e.does + " in a transaction",
				Certain: true,
				Says:    fmt.Sprintf("%s cannot run in the transaction that %s opens: the deploy stops at %s", e.does, s.m.Runner, label(s.m)),
				Evidence: []premortem.Evidence{
					{Says: "refused inside a transaction block", Pos: s.st.Pos, Quote: oneLine(s.st.SQL)},
					{Says: txWhy[s.m.Runner], Pos: s.m.Pos},
				},
				Fix: alone(s),
			})
		}
	}
}

// ranBefore reports an older migration of the runner that would have failed in the
// same way: then the runner does not do what is believed of it.
func (p *pending) ranBefore(s step) bool {
	return slices.ContainsFunc(p.before, func(b step) bool {
		return b.m.Runner == s.m.Runner && b.st.InTx && slices.ContainsFunc(b.effects, func(e effect) bool { return e.alone })
	})
}

var txWhy = map[string]string{
	"rails":  "Rails wraps a migration in a transaction that does not say disable_ddl_transaction!",
	"django": "Django wraps a migration in a transaction that does not say atomic = False", "alembic": "Alembic runs the upgrade in a transaction outside of autocommit_block",
	"goose": "goose wraps a migration in a transaction that does not say NO TRANSACTION", "dbmate": "dbmate wraps a migration in a transaction that does not say transaction:false",
	"knex": "Knex wraps a migration in a transaction that does not say config = { transaction: false }", "typeorm": "TypeORM wraps migrations in a transaction that do not say transaction = false",
	"prisma": "Prisma sends the file as one text: two statements in it are one transaction", "golang-migrate": "the file is sent as one text: two statements in it are one transaction",
	"sql-migrate": "sql-migrate wraps a migration in a transaction that does not say notransaction", "drizzle": "Drizzle runs pending migrations in one transaction",
	"tern": "tern wraps a migration in a transaction that does not say disable-tx", "node-pg-migrate": "node-pg-migrate wraps a migration in a transaction that does not call noTransaction",
	"liquibase": "Liquibase wraps a change set in a transaction that does not say runInTransaction:false", "sequelize": "the call is given a transaction", "flyway": "Flyway wraps a migration in a transaction", "sql": "the file opens a transaction",
}

// alone takes the transaction away, by an edit where one line does it.
func alone(s step) premortem.Fix {
	f := premortem.Fix{Says: map[string]string{
		"rails": "write disable_ddl_transaction! into the class of the migration", "django": "write atomic = False into the class of the migration",
		"alembic": "put the call into `with op.get_context().autocommit_block():`", "goose": "write -- +goose NO TRANSACTION at the top of the file",
		"dbmate": "write transaction:false behind -- migrate:up", "knex": "export config = { transaction: false } from the migration",
		"typeorm": "write transaction = false into the class of the migration",
	}[s.m.Runner]}
	if f.Says == "" {
		f.Says = "give the statement a migration of its own, without a transaction"
	}
	if s.m.Runner == "goose" && path.Ext(s.m.Pos.File) == ".sql" {
		f.Edits = []premortem.Edit{{Pos: premortem.Pos{File: s.m.Pos.File, Line: 1}, New: "-- +goose NO TRANSACTION"}}
	}
	return f
}

// held reports statements that hold a lock while they work.
func (p *pending) held(report func(premortem.Finding)) {
	for i, s := range p.steps {
		if strings.HasPrefix(s.st.SQL, "/* ") {
			continue // read notes what the author says of it: safety_assured, or built before
		}
		for _, e := range s.effects {
			if e.work == catalog || e.lock == lockNone || p.made[e.table] || e.kind == "set not null" && p.proven(i, e) {
				if e.work == updates {
					p.heldBy(i, e, report)
				}
				continue
			}
			t := p.sys.Table(e.table)
			if t == nil || e.kind == "add column" && e.fails {
				continue
			}
			if f, ok := p.hold(s, e, t); ok {
				report(f)
			}
		}
	}
}

// proven reports whether a CHECK (column IS NOT NULL) was added before, so that
// SET NOT NULL reads nothing.
func (p *pending) proven(i int, e effect) bool {
	for _, s := range append(slices.Clone(p.before), p.steps[:i]...) {
		for _, c := range s.effects {
			if c.kind == "not null check" && c.table == e.table && c.column == e.column {
				return true
			}
		}
	}
	return false
}

// holdTime is how long the work on a table takes.
func holdTime(w work, rows int) float64 { return perRow[w] * float64(rows) }

// briefly is a hold that nobody notices.
const briefly = 0.05

// hold is the finding of a statement that works under its lock.
func (p *pending) hold(s step, e effect, t *premortem.Table) (premortem.Finding, bool) {
	sz := sizeOf(p.sys, t.Name)
	took := holdTime(e.work, sz.rows.Value)
	if sz.small() || sz.rows.Set() && took < briefly {
		return premortem.Finding{}, false
	}
	blocks := map[lock]string{lockAll: "nobody reads or writes " + t.Name, lockWrites: "nobody writes to " + t.Name, lockBoth: "nobody writes to " + t.Name + " or " + e.to}[e.lock]
	how := map[work]string{scans: "reads every row", builds: "builds an index over every row", joins: "looks every row up in " + e.to, rewrites: "writes every row again"}[e.work]
	f := premortem.Finding{
		Node:     database(p.sys),
		Subject:  label(s.m) + " " + e.does + " " + t.Name + strings.TrimRight(" "+e.column, " "),
		Certain:  sz.rows.Set(),
		Severity: severityOf(e.lock, took, sz),
		Says:     fmt.Sprintf("%s %s while %s", e.does, how, blocks),
		Evidence: []premortem.Evidence{{Says: e.does + " takes " + lockName[e.lock] + " on " + t.Name, Pos: s.st.Pos, Quote: oneLine(s.st.SQL)}},
		Fix:      safeForm(s, e, t),
	}
	if sz.rows.Set() {
		f.Says += fmt.Sprintf(": about %s for %s rows", lasting(took), count(sz.rows.Value))
		f.Evidence = append(f.Evidence, sz.evidence(t.Name))
	} else if sz.insert != nil {
		f.Evidence = append(f.Evidence, sz.evidence(t.Name))
	} else {
		f.Evidence = append(f.Evidence, premortem.Evidence{Says: t.Name + " existed before this migration; how many rows it has is not declared", Pos: t.Pos})
	}
	f.Evidence = append(f.Evidence, p.waits(s))
	return f, true
}

var lockName = map[lock]string{lockAll: "ACCESS EXCLUSIVE", lockWrites: "SHARE", lockBoth: "SHARE ROW EXCLUSIVE"}

// waits says what limits the wait for the lock.
func (p *pending) waits(s step) premortem.Evidence {
	if s.m.LockTimeout.Set() {
		return premortem.Evidence{Says: "lock_timeout " + s.m.LockTimeout.Value + " limits the wait, not the hold", Pos: s.m.LockTimeout.Pos}
	}
	return premortem.Evidence{Says: "nothing sets lock_timeout: it also waits as long as the oldest transaction runs", Pos: s.m.Pos}
}

func severityOf(l lock, took float64, sz size) premortem.Severity {
	limit := 3.0
	if l != lockAll {
		limit = 10
	}
	switch {
	case !sz.rows.Set() && sz.insert != nil:
		return premortem.Slow
	case !sz.rows.Set():
		return asNote
	case took >= limit:
		return premortem.Down
	case took >= 0.2:
		return premortem.Slow
	}
	return asNote
}

// lasting writes seconds for a person.
func lasting(s float64) string {
	switch {
	case s >= 90:
		return fmt.Sprintf("%.0f minutes", s/60)
	case s >= 10:
		return fmt.Sprintf("%.0f s", s)
	}
	return fmt.Sprintf("%.1f s", s)
}

// heldBy reports an UPDATE of every row behind a statement whose lock the same
// transaction holds until it ends.
func (p *pending) heldBy(i int, e effect, report func(premortem.Finding)) {
	s := p.steps[i]
	if !s.st.InTx {
		return
	}
	sz := sizeOf(p.sys, e.table)
	for _, b := range p.steps[:i] {
		if b.m != s.m || !b.st.InTx {
			continue
		}
		for _, c := range b.effects {
			t := p.sys.Table(c.table)
			if c.lock != lockAll || p.made[c.table] || t == nil || p.made[e.table] || sz.small() {
				continue
			}
			took := holdTime(updates, sz.rows.Value)
			f := premortem.Finding{
				Node: database(p.sys), Subject: label(s.m) + " UPDATE under the lock of " + c.does + " " + c.table,
				Certain: sz.rows.Set(), Severity: severityOf(lockAll, took, sz),
				Says: fmt.Sprintf("an UPDATE writes every row of %s while the transaction holds the lock of %s: nobody reads or writes %s", e.table, c.does, c.table),
				Evidence: []premortem.Evidence{
					{Says: c.does + " takes ACCESS EXCLUSIVE until the transaction ends", Pos: b.st.Pos, Quote: oneLine(b.st.SQL)},
					{Says: "every row is written before that", Pos: s.st.Pos, Quote: oneLine(s.st.SQL)},
					p.waits(s),
				},
				Fix: premortem.Fix{Says: "fill the column in a migration of its own, in batches with a COMMIT for each"},
			}
			if sz.rows.Set() {
				f.Says += fmt.Sprintf(" for about %s", lasting(took))
				f.Evidence = append(f.Evidence, sz.evidence(e.table))
			}
			report(f)
			return
		}
	}
}
