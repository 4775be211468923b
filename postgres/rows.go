package postgres

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/premortem/premortem"
)

// FillOptions say what rows to make.
type FillOptions struct {
	Rows   map[string]int64             // by table; tables that are not named get a number derived from their neighbours
	Values map[string]map[string]string // table → column → template; ${id} is the row's number, counted from 1
	Seed   int64
	// Profile is production's: its sizes and the spread of its values are kept. nil:
	// they are guessed from names and types. Rows, Values and Seed go before it.
	Profile *Profile
	Factor  float64   // of the profile's rows; 0 means 1
	Until   time.Time // newest time in the rows; zero means 2026-01-01 UTC. Never the present: rows would differ between runs
	// Progress is told how many rows of a table are loaded. Calls do not overlap.
	Progress func(table string, done, total int64)
}

// span is how far the times of rows reach back.
const span = 2 * 365 * 24 * time.Hour

// Rows are the generated rows of a schema. Every value is a pure function of seed,
// table, column and row; nothing is stored. Rows are safe for concurrent use.
type Rows struct {
	Notes []string // what was guessed or could not be done, one sentence each

	options FillOptions
	schema  *Schema
	tables  []*tableRows // in the schema's order
	notes   map[string]bool
	known   *known      // nil without a profile
	told    *sync.Mutex // serialises Progress
}

// tableRows are the rows of one table.
type tableRows struct {
	def   *Table
	parts []part // consecutive ranges of rows
	// kept tables have rows that others made; they are pointed at, never written.
	kept  bool
	big   bool  // declared, or a child of a declared table: it grows
	total int64 // rows after the last part
	fresh int64 // where the part being made starts; parents of new children start there
	shift int64 // of the part being made
	grids map[string]grid
}

// part is a range of rows that were made together.
type part struct {
	from, to int64 // rows counted from 0
	shift    int64 // a row's number is its row + 1 + shift
	cells    []cell
}

// cell is what a part holds in one column.
type cell struct {
	src       source // nil: the column is left to its default
	key       uint64 // of the noise that decides on NULL
	nullBelow uint64 // noise below it is NULL
	orphan    bool   // row 0 is NULL: it has no earlier row to point at
}

func (c *cell) null(row int64) bool {
	return c.nullBelow > 0 && noise(c.key, row) < c.nullBelow || c.orphan && row == 0
}

func (t *tableRows) at(row int64) *part {
	for i := range t.parts {
		if row < t.parts[i].to {
			return &t.parts[i]
		}
	}
	return &t.parts[len(t.parts)-1]
}

// table returns the rows of the named table, nil if it has none.
func (r *Rows) table(name string) *tableRows {
	name = strings.TrimPrefix(name, "public.")
	for _, t := range r.tables {
		if t.def.Name == name {
			return t
		}
	}
	return nil
}

// Count returns how many rows a table has, 0 for an unknown one.
func (r *Rows) Count(table string) int64 {
	if t := r.table(table); t != nil {
		return t.total
	}
	return 0
}

// Value returns what a row holds, as text, and false when it holds NULL or
// something that the database chose. Rows are counted from 1.
func (r *Rows) Value(table, column string, row int64) (string, bool) {
	t := r.table(table)
	if t == nil || row < 1 || row > t.total {
		return "", false
	}
	i := t.def.column(column)
	if i < 0 {
		return "", false
	}
	c := &t.at(row - 1).cells[i]
	if c.src == nil || c.null(row-1) {
		return "", false
	}
	return string(c.src.text(nil, row-1)), true
}

// Bytes estimates the size of the generated rows as COPY BINARY sends them.
func (r *Rows) Bytes() int64 {
	var sum int64
	for _, t := range r.tables {
		if t.kept {
			continue
		}
		for i := range t.parts {
			p := &t.parts[i]
			n := p.to - p.from
			sample := min(n, 200)
			if sample == 0 {
				continue
			}
			bytes := 0
			s := newStream(t, p)
			for k := range sample {
				bytes += len(s.row(nil, p.from+k*(n/sample)))
			}
			sum += int64(bytes) * n / sample
		}
	}
	return sum
}

// note keeps a sentence for the reader, once.
func (r *Rows) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !r.notes[text] {
		r.notes[text] = true
		r.Notes = append(r.Notes, text)
	}
}

// Plan decides how every table of the schema is filled. It is pure: no database is
// asked, and equal arguments give equal rows. Tables that already have rows and are
// not named keep them. Errors are *premortem.Error and name table and column.
func Plan(s *Schema, o FillOptions) (*Rows, error) {
	if o.Until.IsZero() {
		o.Until = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	r := &Rows{options: o, schema: s, notes: map[string]bool{}, told: &sync.Mutex{}}
	if err := r.checkNames(); err != nil {
		return nil, err
	}
	r.counts()
	r.know()
	for _, t := range r.tables {
		if err := r.extend(t); err != nil {
			return nil, err
		}
	}
	if err := r.followable(); err != nil {
		return nil, err
	}
	return r, nil
}

// planError is an error about a column.
func planError(t *Table, column string, hint, format string, args ...any) error {
	where := t.Name
	if column != "" {
		where += "." + column
	}
	return &premortem.Error{Doing: "make rows for " + where, Err: fmt.Errorf(format, args...), Hint: hint}
}

// checkNames refuses names that the schema does not have.
func (r *Rows) checkNames() error {
	var tables []string
	for _, t := range r.schema.Tables {
		tables = append(tables, t.Name)
	}
	unknown := func(what, name string, have []string) error {
		return &premortem.Error{
			Doing: "plan rows",
			Err:   fmt.Errorf("the database has no %s %q", what, name),
			Hint:  "it has " + strings.Join(have, ", "),
		}
	}
	for _, name := range sortedKeys(r.options.Rows) {
		t := r.schema.Table(name)
		if t == nil {
			return unknown("table", name, tables)
		}
		if n := r.options.Rows[name]; n < 0 {
			return planError(t, "", "declare 0 or more", "%d rows are asked for", n)
		}
	}
	for _, name := range sortedKeys(r.options.Values) {
		t := r.schema.Table(name)
		if t == nil {
			return unknown("table", name, tables)
		}
		var columns []string
		for _, c := range t.Columns {
			columns = append(columns, c.Name)
		}
		for _, column := range sortedKeys(r.options.Values[name]) {
			switch c := t.Column(column); {
			case c == nil:
				return unknown("column", name+"."+column, columns)
			case c.Generated:
				return planError(t, column, "leave it out", "the column is computed by the database")
			}
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// template returns the declared template of a column.
func (r *Rows) template(t *Table, column string) (string, bool) {
	for name, columns := range r.options.Values {
		if strings.TrimPrefix(name, "public.") == t.Name {
			if text, ok := columns[column]; ok {
				return text, true
			}
		}
	}
	return "", false
}

// commas writes 1234567 as 1,234,567.
func commas(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
