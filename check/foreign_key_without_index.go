package check

import (
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// ForeignKeyWithoutIndex finds references that make deleting slow.
var ForeignKeyWithoutIndex = add(Rule{
	ID:       "foreign-key-without-index",
	Severity: premortem.Slow,
	Doc: premortem.Doc{
		Title: "deleting a parent row scans the whole child table",
		Why: `PostgreSQL looks for children before it deletes a parent. Without an index on the
referencing column it reads the whole child table and holds its locks meanwhile.`,
		When: `No index starts with the columns of a foreign key, a service deletes rows of the
parent, and the child has 10,000 rows or more; a child that grows and whose size is not
declared is a note.`,
		Silent: `An index starts with the columns, also one that the framework or the engine makes for a
foreign key; no service deletes from the parent; the child is declared to be small.`,
		Fix: `Create an index on the referencing columns CONCURRENTLY.`,
	},
	Run: foreignKeyWithoutIndex,
})

func foreignKeyWithoutIndex(sys *premortem.System, report func(premortem.Finding)) {
	nth := len(wishes(sys, size.large)) // their migrations come first
	for _, t := range sys.Tables {
		sz := sizeOf(sys, t.Name)
		for _, fk := range t.Foreign {
			deletes := deletesFrom(sys, fk.RefTable)
			if deletes == nil || !sz.large() || indexed(t, fk.Columns) {
				continue
			}
			nth++
			w := &wish{table: t, columns: fk.Columns, size: sz, queries: []*premortem.Query{deletes}}
			on := strings.Join(fk.Columns, ", ")
			f := premortem.Finding{
				Node:    deletes.Service,
				Subject: t.Name + " (" + on + ")",
				Certain: sz.rows.Set(),
				Says: fmt.Sprintf("deleting from %s reads %s of %s: no index starts with %s",
					fk.RefTable, sz.all(), t.Name, on),
				Evidence: []premortem.Evidence{
					{Says: fmt.Sprintf("%s (%s) refers to %s", t.Name, on, fk.RefTable), Pos: fk.Pos},
					{Says: "rows of " + fk.RefTable + " are deleted here", Pos: deletes.Pos, Quote: deletes.Quote},
					{Says: fmt.Sprintf("%s has no index on %s; it has: %s", t.Name, on, indexesOf(t)), Pos: t.Pos},
					sz.evidence(t.Name),
				},
				Fix: indexFix(sys, w, nth),
			}
			if !sz.rows.Set() {
				f.Severity = asNote
			}
			cause := premortem.Finding{Rule: QueryWithoutIndex.ID, Node: f.Node, Subject: f.Subject}
			f.Because = cause.Key()
			report(f)
		}
	}
}

func deletesFrom(sys *premortem.System, table string) *premortem.Query {
	for _, q := range sys.Queries {
		if q.Op == "delete" && q.Table != "" && sys.Table(q.Table) != nil && sys.Table(q.Table) == sys.Table(table) && served(q) {
			return q
		}
	}
	return nil
}

func indexed(t *premortem.Table, columns []string) bool {
	for _, ix := range t.Indexes {
		if leading(ix, columns) {
			return true
		}
	}
	return false
}
