package check

import (
	"fmt"
	"math"
	"strings"

	"github.com/premortem/premortem"
)

// Int4PrimaryKey finds keys that will run out of numbers.
var Int4PrimaryKey = add(Rule{
	ID:       "int4-primary-key",
	Severity: premortem.Down,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "a table's key ends at 2,147,483,647",
		Why: `When the number is used up, each insert fails. Changing the type then rewrites the
table while nobody can write to it.`,
		When: `The key of a table is integer or serial, and services add rows. With more than
1,073,741,823 declared rows, so that twice the rows no longer fit, it is down; else a
note. A smallint key counts with its own limit, and so does a column that is narrower
than the bigint key it refers to.`,
		Silent: `The key is bigint or uuid; no service adds rows; the table is declared to have fewer
than 10,000 rows.`,
		Fix: `Move the key to bigint while the table is small: add a column, write both, swap.`,
	},
	Run: int4PrimaryKey,
})

func int4PrimaryKey(sys *premortem.System, report func(premortem.Finding)) {
	for _, t := range sys.Tables {
		narrow(sys, t, report)
		c := keyColumn(t)
		sz := sizeOf(sys, t.Name)
		if c == nil || sz.insert == nil || sz.small() {
			continue
		}
		last := lastKey(c.Type)
		if last == 0 {
			continue
		}
		f := premortem.Finding{
			Node:     sz.insert.Service,
			Subject:  t.Name + " " + c.Name,
			Severity: asNote,
			Says:     fmt.Sprintf("%s.%s is %s: inserts fail after key %s", t.Name, c.Name, c.Type, count(last)),
			Evidence: []premortem.Evidence{
				{Says: "the key's type", Pos: c.Pos},
				sz.evidence(t.Name),
			},
			Fix: premortem.Fix{Says: "move the key to bigint while the table is small: add a column, write both, swap"},
		}
		if sz.rows.Value > last/2 {
			f.Severity = premortem.Down
			f.Says += fmt.Sprintf(", and twice today's %s rows do not fit", count(sz.rows.Value))
		}
		report(f)
	}
}

// narrow reports columns that cannot hold each key of the table they refer to.
func narrow(sys *premortem.System, t *premortem.Table, report func(premortem.Finding)) {
	for _, fk := range t.Foreign {
		parent := sys.Table(fk.RefTable)
		if parent == nil || len(fk.Columns) != 1 || len(fk.RefColumns) != 1 {
			continue
		}
		c, key := t.Column(fk.Columns[0]), parent.Column(fk.RefColumns[0])
		sz := sizeOf(sys, parent.Name)
		if c == nil || key == nil || lastKey(c.Type) == 0 || !wide[strings.ToLower(key.Type)] || sz.insert == nil || sz.small() {
			continue
		}
		f := premortem.Finding{
			Node: sz.insert.Service, Subject: t.Name + " " + c.Name, Severity: asNote,
			Says: fmt.Sprintf("%s.%s is %s and refers to %s.%s, which is %s: inserts fail after key %s", t.Name, c.Name, c.Type, parent.Name, key.Name, key.Type, count(lastKey(c.Type))),
			Evidence: []premortem.Evidence{
				{Says: "the referring column's type", Pos: c.Pos}, {Says: "the key's type", Pos: key.Pos}, sz.evidence(parent.Name),
			},
			Fix: premortem.Fix{Says: "move the referring column to bigint while its table is small: add a column, write both, swap"},
		}
		if sz.rows.Value > lastKey(c.Type)/2 {
			f.Severity = premortem.Down
		}
		report(f)
	}
}

var wide = map[string]bool{"bigint": true, "int8": true, "bigserial": true, "serial8": true}

// keyColumn returns the column that alone is the primary key, nil if none is.
func keyColumn(t *premortem.Table) *premortem.Column {
	for _, ix := range t.Indexes {
		if ix.Primary && len(ix.Columns) == 1 {
			return t.Column(ix.Columns[0])
		}
	}
	return nil
}

// lastKey returns the largest value of a type, 0 for types that do not run out.
func lastKey(typ string) int {
	switch strings.ToLower(strings.TrimSpace(typ)) {
	case "integer", "int", "int4", "serial", "serial4":
		return math.MaxInt32
	case "smallint", "int2", "smallserial", "serial2":
		return math.MaxInt16
	}
	return 0
}
