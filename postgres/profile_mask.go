package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

// mask replaces the values in a profile's statistics by pseudonyms of the same order.
// Columns that hold the same values, because a foreign key ties them or because one is
// a partition's, form a family and share its pseudonyms, so that joins stay what they
// were. Literals and definitions are masked too. What has no pseudonym is removed.
type mask struct {
	tx       pgx.Tx
	p        *Profile
	key      []byte
	types    map[placeKey]columnType
	above    map[[3]string][3]string // schema, table, column → the one that it follows
	clear    map[[3]string]bool      // roots of families that leave as they are
	all      bool                    // everything leaves as it is
	families map[[3]string]*family
	removed  []string // "table.column (type)" whose values have no pseudonym
	cleared  []string
	values   int // that got a pseudonym
}

// family is a set of columns that hold the same values.
type family struct {
	name      string
	kind      string // valueKind of its columns
	typ       columnType
	values    map[string]string // to their pseudonyms, "" not made yet
	lost      bool              // a value has none
	smallest  int               // characters that its columns may hold, 0 unlimited
	collation string            // as SQL, "" the database's
}

// columnType is what a column's values are.
type columnType struct {
	Base      string // domains resolved
	Kind      string // pg_type.typtype
	Elem      string // of an array
	ElemKind  string
	Sub       string // of a range
	Typmod    int
	Collation string // quoted, "" the database's
}

// valueKind says how values are mapped: "keep", "text", one of lattices, or "" not at
// all.
func valueKind(base, typtype string) string {
	switch base {
	case "bool":
		return "keep"
	case "text", "varchar", "bpchar", "citext", "name", "char":
		return "text"
	case "int2", "int4", "int8", "oid", "numeric", "float4", "float8":
		return "number"
	case "date", "timestamp", "timestamptz", "time":
		return "time"
	case "uuid", "inet":
		return base
	}
	if typtype == "e" {
		return "keep"
	}
	return ""
}

func newMask(ctx context.Context, tx pgx.Tx, p *Profile, o ExportOptions) (*mask, error) {
	m := &mask{
		tx: tx, p: p, key: o.Key, types: map[placeKey]columnType{}, above: map[[3]string][3]string{},
		clear: map[[3]string]bool{}, families: map[[3]string]*family{},
	}
	if err := m.readTypes(ctx); err != nil {
		return nil, err
	}
	m.relate()
	for _, name := range o.Clear {
		if name == "*" {
			m.all = true
			continue
		}
		at, err := m.find(name)
		if err != nil {
			return nil, err
		}
		m.clear[m.root(at)] = true
	}
	return m, nil
}

func (m *mask) readTypes(ctx context.Context) error {
	const sql = `
WITH RECURSIVE base(oid, root) AS (
  SELECT oid, oid FROM pg_type WHERE typtype <> 'd'
  UNION ALL SELECT t.oid, b.root FROM pg_type t JOIN base b ON t.typtype = 'd' AND t.typbasetype = b.oid)
SELECT n.nspname, c.relname, a.attnum::int, bt.typname, bt.typtype::text, coalesce(et.typname, ''), coalesce(et.typtype::text, ''), coalesce(st.typname, ''), a.atttypmod,
  CASE WHEN k.oid IS NULL OR k.collname = 'default' THEN '' ELSE format('%I.%I', kn.nspname, k.collname) END
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN base b ON b.oid = a.atttypid JOIN pg_type bt ON bt.oid = b.root
LEFT JOIN base eb ON eb.oid = bt.typelem AND bt.typcategory = 'A' LEFT JOIN pg_type et ON et.oid = eb.root
LEFT JOIN pg_range r ON r.rngtypid = bt.oid LEFT JOIN pg_type st ON st.oid = r.rngsubtype
LEFT JOIN pg_collation k ON k.oid = a.attcollation LEFT JOIN pg_namespace kn ON kn.oid = k.collnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'm', 'p', 'i', 'I') AND ` + userSchemas
	var k placeKey
	var t columnType
	into := []any{&k.schema, &k.table, &k.number, &t.Base, &t.Kind, &t.Elem, &t.ElemKind, &t.Sub, &t.Typmod, &t.Collation}
	return (&taker{tx: m.tx}).rows(ctx, sql, into, func() error {
		m.types[k] = t
		return nil
	})
}

// relate finds which column follows which.
func (m *mask) relate() {
	for _, f := range m.p.Foreign {
		for i, c := range f.Columns {
			at := [3]string{f.Schema, f.Table, c}
			if to := [3]string{f.RefSchema, f.RefTable, f.RefColumns[i]}; m.above[at] == [3]string{} && m.root(to) != at {
				m.above[at] = to
			}
		}
	}
	for i := range m.p.Attributes {
		a := &m.p.Attributes[i]
		r := m.p.Relation(a.Schema, a.Table)
		if r == nil || r.Parent == "" {
			continue
		}
		schema, table, _ := strings.Cut(r.Parent, ".")
		at, to := [3]string{a.Schema, a.Table, a.Name}, [3]string{schema, table, a.Name}
		if m.root(to) != at {
			m.above[at] = to
		}
	}
}

func (m *mask) root(at [3]string) [3]string {
	for {
		up, ok := m.above[at]
		if !ok {
			return at
		}
		at = up
	}
}

// find reads "table.column" or "schema.table.column".
func (m *mask) find(name string) ([3]string, error) {
	var found [][3]string
	for _, a := range m.p.Attributes {
		if name == a.Table+"."+a.Name || name == a.Schema+"."+a.Table+"."+a.Name {
			found = append(found, [3]string{a.Schema, a.Table, a.Name})
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	err, hint := fmt.Errorf("the database has no column %q", name), `write "table.column" or "schema.table.column"`
	if len(found) > 1 {
		err, hint = fmt.Errorf("%d columns are called %q", len(found), name), "put the schema in front"
	}
	return [3]string{}, &premortem.Error{Doing: "read which values may leave the database", Err: err, Hint: hint}
}

// apply masks everything and says what is left.
func (m *mask) apply(ctx context.Context) error {
	for i := range m.p.Definitions {
		m.p.Definitions[i].Text = maskLiterals(m.p.Definitions[i].Text, true)
	}
	if m.all {
		m.tell()
		return nil
	}
	m.p.Values = Pseudonyms
	for i := range m.p.Columns {
		m.gather(&m.p.Columns[i])
	}
	for _, at := range sortedFamilies(m.families) {
		f := m.families[at]
		if err := m.pseudonyms(ctx, f); err != nil {
			return fmt.Errorf("pseudonyms of %s: %w", f.name, err)
		}
		m.values += len(f.values)
	}
	for i := range m.p.Columns {
		m.replace(&m.p.Columns[i])
	}
	for i := range m.p.Extended {
		m.p.Extended[i].Common = nil // raw values in the server's own form
	}
	m.tell()
	return nil
}

func sortedFamilies(all map[[3]string]*family) [][3]string {
	var keys [][3]string
	for k := range all {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [3]string) int { return slices.Compare(a[:], b[:]) })
	return keys
}

// part is where a column's values are: nil kinds have none.
func (c *ColumnStats) valueLists(t columnType) (kind, base string, lists []*string) {
	switch {
	case t.Elem != "":
		return valueKind(t.Elem, t.ElemKind), t.Elem, []*string{&c.Elements}
	case t.Kind == "r":
		return valueKind(t.Sub, ""), t.Sub, []*string{&c.RangeBounds}
	}
	return valueKind(t.Base, t.Kind), t.Base, []*string{&c.Common, &c.Bounds}
}

func (m *mask) familyOf(c *ColumnStats, t columnType) [3]string {
	at := m.root([3]string{c.Schema, c.Table, c.Name})
	if t.Elem != "" || t.Kind == "r" {
		at[2] += "[]"
	}
	return at
}

func (m *mask) typeOf(c *ColumnStats) columnType {
	return m.types[placeKey{c.Schema, c.Table, c.Number}]
}

// gather puts a column's values into its family.
func (m *mask) gather(c *ColumnStats) {
	t := m.typeOf(c)
	kind, base, lists := c.valueLists(t)
	if kind == "" || kind == "keep" || m.clear[m.root([3]string{c.Schema, c.Table, c.Name})] {
		return
	}
	at := m.familyOf(c, t)
	f := m.families[at]
	if f == nil {
		f = &family{name: strings.Join(at[:], "."), kind: kind, typ: t, values: map[string]string{}, collation: t.Collation}
		f.typ.Base = base
		m.families[at] = f
	}
	if f.kind != kind {
		f.lost = true
	}
	if most := t.Typmod - 4; t.Typmod >= 4 && (base == "varchar" || base == "bpchar") && (f.smallest == 0 || most < f.smallest) {
		f.smallest = most
	} else if base == "char" {
		f.smallest = 1
	}
	for _, list := range lists {
		for _, v := range splitArray(*list) {
			for _, end := range ends(v, t.Kind == "r") {
				f.values[end] = ""
			}
		}
	}
}

// ends are the bounds of a range, or the value itself.
func ends(v string, isRange bool) []string {
	if !isRange {
		return []string{v}
	}
	low, high, ok := rangeEnds(v)
	if !ok {
		return nil
	}
	var out []string
	for _, end := range []string{low, high} {
		if end != "" {
			out = append(out, end)
		}
	}
	return out
}

// rangeEnds reads a range literal; an open end is "".
func rangeEnds(v string) (low, high string, ok bool) {
	if len(v) < 3 || v == "empty" {
		return "", "", false
	}
	low, high, ok = strings.Cut(v[1:len(v)-1], ",")
	return strings.Trim(low, `"`), strings.Trim(high, `"`), ok
}

// replace puts the pseudonyms into a column's statistics and removes values that have
// none; shares, counts and widths stay.
func (m *mask) replace(c *ColumnStats) {
	t := m.typeOf(c)
	kind, _, lists := c.valueLists(t)
	column := c.Table + "." + c.Name
	if m.clear[m.root([3]string{c.Schema, c.Table, c.Name})] {
		if c.Common != "" || c.Bounds != "" || c.Elements != "" || c.RangeBounds != "" {
			m.cleared = append(m.cleared, column)
		}
		return
	}
	if t.Elem != "" || t.Kind == "r" { // whole arrays are no values that a pseudonym keeps in order
		c.Common, c.CommonShares, c.Bounds = "", nil, ""
	}
	if kind == "keep" {
		return
	}
	f := m.families[m.familyOf(c, t)]
	if f == nil || f.lost {
		if c.Common != "" || c.Bounds != "" || c.Elements != "" || c.RangeBounds != "" {
			m.removed = append(m.removed, fmt.Sprintf("%s (%s)", column, t.Base))
		}
		c.Common, c.CommonShares, c.Bounds = "", nil, ""
		c.Elements, c.ElementShares, c.ElementCounts = "", nil, nil
		c.RangeBounds, c.RangeLengths, c.RangeEmpty = "", "", nil
		return
	}
	for _, list := range lists {
		if *list == "" {
			continue
		}
		items := splitArray(*list)
		for i, v := range items {
			items[i] = f.pseudonym(v, t.Kind == "r")
		}
		*list = joinArray(items)
	}
}

func (f *family) pseudonym(v string, isRange bool) string {
	if !isRange {
		return f.values[v]
	}
	low, high, ok := rangeEnds(v)
	if !ok {
		return v
	}
	return v[:1] + f.end(low) + "," + f.end(high) + v[len(v)-1:]
}

func (f *family) end(v string) string {
	if v == "" {
		return ""
	}
	return `"` + f.values[v] + `"`
}

// pseudonyms makes those of one family.
func (m *mask) pseudonyms(ctx context.Context, f *family) error {
	if f.lost {
		return nil
	}
	if f.kind != "text" {
		f.lost = !m.move(f)
		return nil
	}
	order := "v"
	switch {
	case f.typ.Base == "citext":
		order = "lower(v), v"
	case f.typ.Base == "name" || f.typ.Base == "char":
		order = `v COLLATE "C"`
	case f.collation != "":
		order = "v COLLATE " + f.collation
	}
	values := make([]string, 0, len(f.values))
	for v := range f.values {
		values = append(values, v)
	}
	slices.Sort(values)
	rows, err := m.tx.Query(ctx, "SELECT v FROM unnest($1::text[]) v ORDER BY "+order, values)
	if err != nil {
		return err
	}
	sorted, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	f.lost = !m.tokens(f, sorted)
	return nil
}
