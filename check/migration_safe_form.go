package check

import (
	"fmt"
	"path"
	"regexp"

	"github.com/premortem/premortem"
)

var createIndex = regexp.MustCompile(`(?i)^create[ \t]+(unique[ \t]+)?index`)

// safeForm is how the same change is made without stopping the table.
func safeForm(s step, e effect, t *premortem.Table) premortem.Fix {
	column := e.column
	if column == "" {
		column = "the column"
	}
	switch {
	case e.kind == "create index":
		f := premortem.Fix{Says: concurrentSays[s.m.Runner], Edits: concurrentEdits(s)}
		if f.Says == "" {
			f.Says = "build it with CREATE INDEX CONCURRENTLY, in a migration of its own and outside of a transaction"
		}
		return f
	case e.kind == "set not null":
		return premortem.Fix{Says: fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s_not_null CHECK (%s IS NOT NULL) NOT VALID; VALIDATE CONSTRAINT in the next migration; then SET NOT NULL, which reads nothing, and drop the constraint", t.Name, column, column)}
	case e.kind == "type":
		return premortem.Fix{Says: fmt.Sprintf("add a column of type %s, write both, copy in batches, then swap the names; or run it in a maintenance window with lock_timeout set", e.to)}
	case e.work == joins:
		return premortem.Fix{Says: "add the foreign key NOT VALID, and VALIDATE CONSTRAINT in the next migration"}
	case e.work == scans && e.kind != "add column":
		return premortem.Fix{Says: "add the constraint NOT VALID, and VALIDATE CONSTRAINT in the next migration"}
	case e.work == builds && e.kind != "add column":
		return premortem.Fix{Says: "build the unique index CONCURRENTLY first, then add the constraint USING INDEX"}
	case e.kind == "add column":
		return premortem.Fix{Says: fmt.Sprintf("add %s without it, set the default in a second statement, fill the column in batches, then add the constraint NOT VALID", column)}
	}
	return premortem.Fix{Says: "run it in a maintenance window with lock_timeout set, or copy into a new table and swap"}
}

var concurrentSays = map[string]string{
	"rails":     "add algorithm: :concurrently to the call and disable_ddl_transaction! to the class",
	"django":    "use AddIndexConcurrently in a migration with atomic = False",
	"alembic":   "pass postgresql_concurrently=True inside `with op.get_context().autocommit_block():`",
	"sequelize": "pass concurrently: true to addIndex, outside of a transaction",
	"knex":      "send CREATE INDEX CONCURRENTLY with knex.raw and export config = { transaction: false }",
	"typeorm":   "send CREATE INDEX CONCURRENTLY and write transaction = false into the class",
	"goose":     "write -- +goose NO TRANSACTION at the top and CREATE INDEX CONCURRENTLY",
	"dbmate":    "write transaction:false behind -- migrate:up and CREATE INDEX CONCURRENTLY",
}

// concurrentEdits write CONCURRENTLY into a file of SQL. They are offered only where
// the statement then runs outside of a transaction.
func concurrentEdits(s step) []premortem.Edit {
	head := createIndex.FindString(s.st.SQL)
	if head == "" || path.Ext(s.m.Pos.File) != ".sql" {
		return nil
	}
	edits := []premortem.Edit{{Pos: s.st.Pos, Old: head, New: head + " CONCURRENTLY"}}
	if !s.st.InTx {
		if s.m.Runner == "sql" && len(s.m.Statements) > 1 {
			return nil // nobody knows who sends the file, and how
		}
		return edits
	}
	up := 0
	for _, st := range s.m.Statements {
		if !st.Down {
			up++
		}
	}
	switch {
	case up > 1:
		return nil
	case s.m.Runner == "flyway":
		return edits
	case s.m.Runner == "goose":
		return append(edits, premortem.Edit{Pos: premortem.Pos{File: s.m.Pos.File, Line: 1}, New: "-- +goose NO TRANSACTION"})
	}
	return nil
}
