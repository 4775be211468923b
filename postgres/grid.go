package postgres

import (
	"slices"
	"strings"
)

// grid numbers the combinations of a composite key: row i takes combination
// order(i), so that no two rows have the same.
type grid struct {
	dims  []dimension
	order shuffle
	first int64 // row that takes combination order(0)
}

// dimension is what one column, or the columns of one foreign key, can hold.
type dimension struct {
	column    int // -1: a foreign key
	foreign   int
	low, size int64
	elastic   bool // a number, which may be as large as it must
}

// digit is which of a dimension's values a row has.
func (g grid) digit(which int) func(int64) int64 {
	below := int64(1)
	for _, d := range g.dims[which+1:] {
		below *= d.size
	}
	size, order, first := g.dims[which].size, g.order, g.first
	return func(row int64) int64 { return order.of(row-first) / below % size }
}

// composite makes the columns of a key differ together: a column that can differ by
// itself does; else the combinations are numbered.
func (b *builder) composite(k Key) error {
	var dims []dimension
	for _, name := range k.Columns {
		i := b.t.def.column(name)
		if which := b.foreignOf(name); which >= 0 {
			if b.picks[which] != nil {
				b.r.note("%s: %s may not be unique in generated rows: its columns are bound by another key", b.t.def.Name, k.Name)
				return nil
			}
			parent := b.r.table(b.t.def.Foreign[which].RefTable)
			if parent == nil || slices.ContainsFunc(dims, func(d dimension) bool { return d.column < 0 && d.foreign == which }) {
				continue
			}
			low, n := parent.pointable()
			dims = append(dims, dimension{column: -1, foreign: which, low: low, size: n})
			continue
		}
		if b.p.cells[i].src != nil {
			continue // a template
		}
		size, elastic := domain(b.t.def, &b.t.def.Columns[i])
		if size == 0 && !elastic {
			b.unique[i] = true
			return nil
		}
		dims = append(dims, dimension{column: i, size: size, elastic: elastic})
	}
	if b.nested(k, dims) {
		return nil
	}
	g, err := b.number(k, dims)
	if err != nil {
		return err
	}
	for which, d := range g.dims {
		digit, low := g.digit(which), d.low
		if d.column < 0 {
			b.picks[d.foreign] = func(row int64) int64 { return low + digit(row) }
		} else {
			b.digits[d.column], b.from[d.column] = digit, low
		}
	}
	return nil
}

// domain is how many values a column of a composite key may take: 0 and not
// elastic when it can be unique by itself.
func domain(t *Table, c *Column) (size int64, elastic bool) {
	switch c.Base {
	case "bool":
		return 2, false
	case "int2", "int4", "int8", "date":
		if c.Sequence == "" && c.Identity == "" {
			if lim := limitsOf(t, c); lim.min != nil && lim.max != nil {
				return int64(*lim.max-*lim.min) + 1, false
			}
			return 1, true
		}
	}
	if c.Elem == "" && len(c.Labels) > 0 {
		return int64(len(c.Labels)), false
	}
	if in := limitsOf(t, c).in; len(in) > 0 {
		return int64(len(in)), false
	}
	return 0, false
}

// number sizes the elastic dimensions and continues the numbering of the part
// before where the dimensions are still the same.
func (b *builder) number(k Key, dims []dimension) (grid, error) {
	rows := b.p.to - b.p.from
	old, seen := b.t.grids[k.Name]
	fixed, elastic := int64(1), -1
	for i, d := range dims {
		if d.elastic {
			elastic = i
		} else {
			fixed = satMul(fixed, d.size)
		}
	}
	if elastic >= 0 {
		// Room for four times as many, so that most growth continues the numbering.
		dims[elastic].size = (rows/max(fixed, 1) + 1) * 4
		if seen {
			dims[elastic].low, dims[elastic].size = old.dims[elastic].low, old.dims[elastic].size
		}
	}
	same := seen && slices.Equal(old.dims, dims)
	all, need := product(dims), rows
	if same {
		need = b.p.to - old.first
		if need > all && elastic >= 0 {
			dims[elastic].low += dims[elastic].size
			dims[elastic].size = rows/max(fixed, 1) + 1
			same, all, need = false, product(dims), rows
		}
	}
	if need > all {
		return grid{}, planError(b.t.def, k.Columns[0], "declare fewer rows of it, or more of the tables it points at",
			"%s rows need as many different (%s), of which there are %s", commas(need), strings.Join(k.Columns, ", "), commas(all))
	}
	g := grid{dims: dims, order: newShuffle(subkey(b.r.options.Seed, b.t.def.Name, k.Name), all), first: b.p.from}
	if same {
		g = old
	}
	b.t.grids[k.Name] = g
	return g, nil
}

func product(dims []dimension) int64 {
	all := int64(1)
	for _, d := range dims {
		all = satMul(all, d.size)
	}
	return all
}

// satMul multiplies and stops at 2^62.
func satMul(a, b int64) int64 {
	const most = 1 << 62
	if b != 0 && a > most/b {
		return most
	}
	return a * b
}
