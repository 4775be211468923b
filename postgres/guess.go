package postgres

import (
	"slices"
	"strings"
	"time"
)

// want is a column that needs values.
type want struct {
	t      *Table
	c      *Column
	words  []string // of its name
	lim    limits
	key    uint64
	table  uint64 // key of what the columns of a table share
	unique bool
	from   int64 // first row of the part
	to     int64
	shift  int64
	until  time.Time
	digit  func(int64) int64 // its place in a composite key, nil none
	low    int64             // first value of that digit
}

// number is a row's number as people count.
func (w *want) number(row int64) int64 { return row + 1 + w.shift }

// rest gives every column that is left a source by its type and name, or leaves it
// to its default.
func (b *builder) rest() error {
	for _, k := range b.t.def.Checks {
		if !understood(k) && b.p.to > b.p.from {
			b.r.note("%s: check constraint %s is not understood; generated rows may break it", b.t.def.Name, k.Name)
		}
	}
	for i := range b.t.def.Columns {
		if b.taken(i) {
			continue
		}
		c := &b.t.def.Columns[i]
		w := &want{
			t: b.t.def, c: c, words: nameWords(c.Name), lim: limitsOf(b.t.def, c), key: b.key(i),
			table:  subkey(b.r.options.Seed, b.t.def.Name),
			unique: b.unique[i], from: b.p.from, to: b.p.to, shift: b.p.shift, until: b.r.options.Until,
			digit: b.digits[i], low: b.from[i],
		}
		st := b.stats(c.Name)
		src, err := b.sourceOf(w, st)
		if err != nil {
			return err
		}
		if src == nil {
			if err := b.leave(c); err != nil {
				return err
			}
			continue
		}
		b.p.cells[i].src = src
		if !c.NotNull && !w.unique && w.digit == nil {
			if _, key := b.t.def.Confined[c.Name]; key {
				continue // NULL belongs to no range
			}
			b.p.cells[i].nullBelow = threshold(w.nulls())
			if st != nil {
				b.p.cells[i].nullBelow = threshold(float64(st.NullFraction))
			}
		}
	}
	return nil
}

// sourceOf prefers what a profile says to what the name does.
func (b *builder) sourceOf(w *want, st *ColumnStats) (source, error) {
	if in := b.t.def.Confined[w.c.Name].In; len(in) > 0 && len(w.lim.in) == 0 {
		w.lim.in = in
	}
	if st != nil {
		if src := b.profiledSource(w, st); src != nil {
			return b.confined(w, st, src)
		}
	}
	src, err := w.source()
	if err != nil {
		return nil, err
	}
	return b.confined(w, nil, src)
}

// leave says what happens to a column of a type that we cannot make.
func (b *builder) leave(c *Column) error {
	switch {
	case c.Default != "":
		b.r.note("%s.%s: left to its default; values of type %s cannot be made", b.t.def.Name, c.Name, c.Type)
	case !c.NotNull:
		b.r.note("%s.%s: NULL in every row; values of type %s cannot be made", b.t.def.Name, c.Name, c.Type)
	case b.p.to > b.p.from:
		return planError(b.t.def, c.Name, "declare 0 rows for "+b.t.def.Name+", or give the column a default",
			"it must not be NULL, has no default, and values of type %s cannot be made", c.Type)
	}
	return nil
}

// source chooses by type, then by name; nil when nothing is known of the type.
func (w *want) source() (source, error) {
	if w.c.Sequence != "" || w.c.Identity != "" {
		return w.serial()
	}
	if isEnum(w.c) {
		return w.oneOf(w.c.Labels)
	}
	if len(w.lim.in) > 0 {
		return w.oneOf(w.lim.in)
	}
	switch w.c.Base {
	case "bool":
		return w.boolean()
	case "int2", "int4", "int8", "oid", "float4", "float8", "numeric", "money":
		return w.amount()
	case "text", "varchar", "bpchar", "citext", "name":
		return w.wording()
	case "date", "timestamp", "timestamptz", "time", "timetz", "interval":
		return w.moment()
	case "uuid":
		return uuids{key: w.key}, nil
	case "json", "jsonb":
		return texts{write: w.document(), jsonb: w.c.Base == "jsonb"}, nil
	case "bytea":
		return blobs{key: w.key, size: 32}, nil
	case "inet", "cidr":
		return addresses{key: w.key, cidr: w.c.Base == "cidr"}, nil
	}
	if raw, ok := empties[w.c.Base]; ok {
		return choice{values: []value{raw}, draw: func(int64) int64 { return 0 }}, nil
	}
	if w.c.Elem != "" {
		return w.array()
	}
	return nil, nil
}

// empties are the values of types that have an empty one.
var empties = map[string]value{
	"tsvector":  {[]byte{0, 0, 0, 0}, nil},
	"hstore":    {[]byte{0, 0, 0, 0}, nil},
	"int4range": {[]byte{1}, []byte("empty")}, "int8range": {[]byte{1}, []byte("empty")},
	"numrange": {[]byte{1}, []byte("empty")}, "daterange": {[]byte{1}, []byte("empty")},
	"tsrange": {[]byte{1}, []byte("empty")}, "tstzrange": {[]byte{1}, []byte("empty")},
	"xml":     {[]byte("<row/>"), []byte("<row/>")},
	"point":   {make([]byte, 16), []byte("(0,0)")},
	"macaddr": {[]byte{2, 0, 0, 0, 0, 1}, []byte("02:00:00:00:00:01")}, // locally administered
}

// nulls is the share of rows that hold NULL.
func (w *want) nulls() float64 {
	switch {
	case anyWord(w.words, "deleted", "archived", "cancelled", "canceled", "banned", "suspended", "revoked", "blocked", "disabled"):
		return 0.97
	case isTime(w.c) && !anyWord(w.words, "created", "inserted", "updated", "modified", "date", "birth", "born"):
		return 0.4
	case w.c.Default != "", anyWord(w.words, "email", "mail", "username", "login", "name", "title", "password", "hash",
		"status", "state", "type", "created", "updated", "sku", "slug", "price", "amount", "total", "body", "content"):
		return 0
	case w.unique:
		return 0
	}
	return 0.1
}

func isTime(c *Column) bool {
	return c.Base == "timestamptz" || c.Base == "timestamp" || c.Base == "date"
}

// oneOf draws from a list: the default most often, the rest less and less.
func (w *want) oneOf(texts []string) (source, error) {
	texts = slices.Clone(texts)
	if def, ok := constant(w.c.Default); ok {
		if i := slices.Index(texts, def); i > 0 {
			texts[0], texts[i] = texts[i], texts[0]
		}
	}
	if w.unique && int64(len(texts)) < w.to {
		return nil, planError(w.t, w.c.Name, "declare fewer rows", "the column is unique and can hold %d values only", len(texts))
	}
	values := make([]value, len(texts))
	for i, text := range texts {
		v, err := encodeText(w.c, text)
		if err != nil {
			return nil, planError(w.t, w.c.Name, "declare values for the column", "%w", err)
		}
		values[i] = v
	}
	draw := falling(w.key, len(values))
	switch {
	case w.digit != nil:
		digit, low := w.digit, w.low
		draw = func(row int64) int64 { return low + digit(row) }
	case w.unique:
		draw = func(row int64) int64 { return row }
	}
	return choice{values: values, draw: draw}, nil
}

// falling draws from n values, each half as often as the one before, but none of
// them never.
func falling(key uint64, n int) draw {
	var slots [256]uint8
	at := 0
	for i := range min(n, 256) {
		size := max((256-at)/2, 1)
		if left := min(n, 256) - i - 1; size > 256-at-left {
			size = 256 - at - left
		}
		for range size {
			slots[at] = uint8(i)
			at++
		}
	}
	for ; at < 256; at++ {
		slots[at] = uint8(at % min(n, 256))
	}
	return func(row int64) int64 { return int64(slots[noise(key, row)>>56]) }
}

// constant is the value of a default that is a literal.
func constant(def string) (string, bool) {
	if def == "" {
		return "", false
	}
	if def[0] == '\'' {
		if m := quotedText.FindStringSubmatch(def); m != nil {
			return strings.ReplaceAll(m[1], "''", "'"), true
		}
		return "", false
	}
	if def == "true" || def == "false" {
		return def, true
	}
	if m := bareNumber.FindString(def); m != "" && strings.HasPrefix(strings.Trim(def, "()"), m) {
		return m, true
	}
	return "", false
}

func (w *want) boolean() (source, error) {
	share := 0.5
	switch def, _ := constant(w.c.Default); {
	case anyWord(w.words, "admin", "deleted", "banned", "blocked", "superuser"):
		share = 0.02
	case def == "false":
		share = 0.1
	case def == "true":
		share = 0.9
	}
	limit, key := threshold(share), w.key
	draw := func(row int64) int64 {
		if noise(key, row) < limit {
			return 1
		}
		return 0
	}
	if w.digit != nil {
		draw = w.digit
	}
	if w.unique && w.to > 2 {
		return nil, planError(w.t, w.c.Name, "declare fewer rows", "the column is unique and can hold 2 values only")
	}
	return numbers{draw: draw, form: boolean}, nil
}

func (w *want) array() (source, error) {
	elem := *w.c
	elem.Base, elem.OID, elem.Elem, elem.ElemOID, elem.Typmod = w.c.Elem, w.c.ElemOID, "", 0, -1
	elem.Sequence, elem.Identity, elem.Default = "", "", ""
	v := *w
	v.c, v.lim, v.unique, v.digit = &elem, limits{}, false, nil
	v.words = append(slices.Clone(w.words), "element")
	src, err := v.source()
	if src == nil || err != nil {
		return nil, err
	}
	return arrays{elem: src, oid: elem.OID, most: 4, key: subkey(int64(w.key), "length")}, nil
}
