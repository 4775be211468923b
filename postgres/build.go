package postgres

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"
)

// extend makes the part of a table from its fresh row to its total.
func (r *Rows) extend(t *tableRows) error {
	p := part{from: t.fresh, to: t.total, shift: t.shift, cells: make([]cell, len(t.def.Columns))}
	b := builder{r: r, t: t, p: &p, unique: map[int]bool{}, picks: map[int]func(int64) int64{}}
	for i, c := range t.def.Columns {
		p.cells[i].key = subkey(r.options.Seed, t.def.Name, c.Name, "null")
	}
	steps := []func() error{b.templates, b.keys, b.foreign, b.neighbours, b.rest}
	if t.kept {
		steps = []func() error{b.kept}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	t.parts = append(t.parts, p)
	return nil
}

// builder chooses the sources of one part. A column belongs to the first step that
// gives it a source.
type builder struct {
	r      *Rows
	t      *tableRows
	p      *part
	unique map[int]bool              // columns whose values must differ by themselves
	picks  map[int]func(int64) int64 // by foreign key: how its parent row is chosen
	digits map[int]func(int64) int64 // by column: its digit in a composite key
	from   map[int]int64             // by column with a digit: its first value
}

func (b *builder) taken(i int) bool {
	c := &b.t.def.Columns[i]
	return b.p.cells[i].src != nil || c.Generated
}

func (b *builder) key(i int, more ...string) uint64 {
	return subkey(b.r.options.Seed, append([]string{b.t.def.Name, b.t.def.Columns[i].Name}, more...)...)
}

// kept gives the key columns of a table that is not written the values it has.
func (b *builder) kept() error {
	for i := range b.t.def.Columns {
		c := &b.t.def.Columns[i]
		texts := b.t.def.Kept[c.Name]
		if texts == nil {
			continue
		}
		values := make([]value, len(texts))
		for k, text := range texts {
			v, err := encodeText(c, text)
			if err != nil {
				return planError(b.t.def, c.Name, "", "read the key %q: %w", text, err)
			}
			values[k] = v
		}
		b.p.cells[i].src = choice{values: values, draw: func(row int64) int64 { return row }}
	}
	return nil
}

func (b *builder) templates() error {
	for i := range b.t.def.Columns {
		c := &b.t.def.Columns[i]
		text, ok := b.r.template(b.t.def, c.Name)
		if !ok {
			continue
		}
		src, err := newTemplate(b.t.def, c, text, b.p)
		if err != nil {
			return err
		}
		b.p.cells[i].src = src
		for _, k := range b.t.def.Keys {
			if len(k.Columns) == 1 && k.Columns[0] == c.Name && b.p.to > 1 && !strings.Contains(text, "${id}") {
				return planError(b.t.def, c.Name, "put ${id} into the template", "the column is unique and its template is the same for every row")
			}
		}
	}
	return nil
}

// keys decides how the columns of unique keys get values that differ.
func (b *builder) keys() error {
	b.digits, b.from = map[int]func(int64) int64{}, map[int]int64{}
	for _, k := range b.t.def.Keys {
		if len(k.Columns) == 1 {
			b.unique[b.t.def.column(k.Columns[0])] = true
		}
	}
	for _, k := range b.t.def.Keys {
		if len(k.Columns) < 2 || b.satisfied(k) {
			continue
		}
		if err := b.composite(k); err != nil {
			return err
		}
	}
	return nil
}

// satisfied reports whether a key's columns differ already because a part does.
func (b *builder) satisfied(k Key) bool {
	for _, k2 := range b.t.def.Keys {
		if k2.Name != k.Name && len(k2.Columns) == 1 && slices.Contains(k.Columns, k2.Columns[0]) {
			return true
		}
	}
	for _, name := range k.Columns {
		i := b.t.def.column(name)
		if b.unique[i] || b.p.cells[i].src != nil && b.templateDiffers(name) {
			return true
		}
	}
	return false
}

func (b *builder) templateDiffers(column string) bool {
	text, _ := b.r.template(b.t.def, column)
	return strings.Contains(text, "${id}")
}

// foreignOf returns the widest foreign key that holds a column, -1 none.
func (b *builder) foreignOf(column string) int {
	best := -1
	for i, f := range b.t.def.Foreign {
		if slices.Contains(f.Columns, column) && (best < 0 || len(f.Columns) > len(b.t.def.Foreign[best].Columns)) {
			best = i
		}
	}
	return best
}

// foreign lets every foreign key choose a row of its parent; wider keys choose first,
// because narrower ones over the same columns follow from them.
func (b *builder) foreign() error {
	order := make([]int, len(b.t.def.Foreign))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int {
		return -cmp.Compare(len(b.t.def.Foreign[x].Columns), len(b.t.def.Foreign[y].Columns))
	})
	for _, i := range order {
		if err := b.point(i); err != nil {
			return err
		}
	}
	return nil
}

// point gives the columns of one foreign key the key of a chosen parent.
func (b *builder) point(which int) error {
	f := b.t.def.Foreign[which]
	var free []int
	for _, name := range f.Columns {
		if i := b.t.def.column(name); !b.taken(i) {
			free = append(free, i)
		}
	}
	if len(free) == 0 {
		return nil
	}
	if len(free) < len(f.Columns) {
		b.r.note("%s: foreign key %s shares columns with another; its rows may not match", b.t.def.Name, f.Name)
	}
	parent := b.r.table(f.RefTable)
	if parent == nil {
		return planError(b.t.def, f.Columns[0], "", "it points at %s, which cannot be filled", f.RefTable)
	}
	nullable := true
	for _, i := range free {
		nullable = nullable && !b.t.def.Columns[i].NotNull
	}
	if parent.total == 0 && b.p.to > b.p.from && !nullable {
		return planError(b.t.def, f.Columns[0], "declare rows for "+f.RefTable, "it points at %s, which has no rows", f.RefTable)
	}
	pick, share, err := b.pick(which, parent, nullable)
	if err != nil {
		return err
	}
	for k, name := range f.Columns {
		i := b.t.def.column(name)
		if b.taken(i) {
			continue
		}
		c := &b.p.cells[i]
		c.src = ref{pick: pick, parent: parent, column: parent.def.column(f.RefColumns[k])}
		c.key = subkey(b.r.options.Seed, b.t.def.Name, f.Name, "null") // all or none
		c.nullBelow = threshold(share)
		c.orphan = parent == b.t && nullable
	}
	return nil
}

// pick says which parent row a row points at, and how often it points at none.
func (b *builder) pick(which int, parent *tableRows, nullable bool) (func(int64) int64, float64, error) {
	f := b.t.def.Foreign[which]
	key := subkey(b.r.options.Seed, b.t.def.Name, f.Name)
	if pick := b.picks[which]; pick != nil {
		return pick, 0, nil
	}
	if parent.total == 0 {
		return func(int64) int64 { return 0 }, 1, nil
	}
	low, n := parent.pointable()
	for _, k := range b.t.def.Keys {
		if !sameSet(k.Columns, f.Columns) {
			continue
		}
		first := b.p.from
		if parent.fresh == parent.total {
			first = 0 // the parent did not grow: go on taking its rows
		}
		if need := b.p.to - first; n < need {
			return nil, 0, planError(b.t.def, f.Columns[0], "declare fewer rows, or more for "+f.RefTable,
				"each of the %s rows needs its own row of %s, which offers %s", commas(need), f.RefTable, commas(n))
		}
		s := newShuffle(key, n)
		return func(row int64) int64 { return low + s.of(row-first) }, 0, nil
	}
	if pick, share := b.pointed(which, parent, low, n); pick != nil {
		if !nullable {
			share = 0
		}
		return pick, share, nil
	}
	share := 0.0
	if nullable {
		share = 0.1
	}
	if parent == b.t {
		if nullable {
			share = 0.2
			if st := b.stats(f.Columns[0]); st != nil {
				share = float64(st.NullFraction)
			}
		}
		return func(row int64) int64 { return skewed(noise(key, row), max(row, 1)) }, share, nil
	}
	return popular(key, low, n), share, nil
}

// popular picks among n rows from low, some of them far more often, and those
// spread over the whole range.
func popular(key uint64, low, n int64) func(int64) int64 {
	s := newShuffle(key, n)
	return func(row int64) int64 { return low + s.of(skewed(noise(key, row), n)) }
}

// pointable are the rows that new children point at: the new ones when the table
// grew, so that the children of each parent stay as many.
func (t *tableRows) pointable() (low, n int64) {
	if t.fresh < t.total {
		return t.fresh, t.total - t.fresh
	}
	return 0, t.total
}

func threshold(share float64) uint64 {
	if share >= 1 {
		return math.MaxUint64
	}
	return uint64(share * (1 << 63) * 2)
}

// neighbours treats columns that are named after another table's key as foreign
// keys: many programs keep them without telling the database.
func (b *builder) neighbours() error {
	for i := range b.t.def.Columns {
		c := &b.t.def.Columns[i]
		if b.taken(i) || b.unique[i] || b.digits[i] != nil || c.Sequence != "" || c.Identity != "" {
			continue
		}
		parent, column := b.neighbour(c)
		if parent == nil || parent.total == 0 || b.stats(c.Name) != nil {
			continue
		}
		low, n := parent.pointable()
		b.p.cells[i].src = ref{pick: popular(b.key(i), low, n), parent: parent, column: column}
		if !c.NotNull {
			b.p.cells[i].nullBelow = threshold(0.1)
		}
		b.r.note("%s.%s: points at %s by its name; no foreign key says so", b.t.def.Name, c.Name, parent.def.Name)
	}
	return nil
}

// neighbour finds the table whose single-column primary key a name like user_id or
// userId means.
func (b *builder) neighbour(c *Column) (*tableRows, int) {
	words := nameWords(c.Name)
	if len(words) < 2 || words[len(words)-1] != "id" {
		return nil, 0
	}
	stem := strings.Join(words[:len(words)-1], "")
	for _, t := range b.r.tables {
		name := strings.Join(nameWords(t.def.Local), "")
		plural := name == stem || name == stem+"s" || name == stem+"es" || strings.HasSuffix(stem, "y") && name == stem[:len(stem)-1]+"ies"
		if !plural || t == b.t || len(t.def.Keys) == 0 || !t.def.Keys[0].Primary || len(t.def.Keys[0].Columns) != 1 {
			continue
		}
		i := t.def.column(t.def.Keys[0].Columns[0])
		if t.def.Columns[i].OID == c.OID && !t.kept {
			return t, i
		}
	}
	return nil, 0
}

// ref is a column that holds the key of a parent row.
type ref struct {
	pick   func(row int64) int64
	parent *tableRows
	column int
}

func (f ref) binary(dst []byte, row int64) []byte {
	p := f.pick(row)
	return f.parent.at(p).cells[f.column].src.binary(dst, p)
}

func (f ref) text(dst []byte, row int64) []byte {
	p := f.pick(row)
	return f.parent.at(p).cells[f.column].src.text(dst, p)
}

// followable makes sure that every reference ends at a value.
func (r *Rows) followable() error {
	for _, t := range r.tables {
		for i := range t.parts {
			for k := range t.parts[i].cells {
				if err := t.follow(i, k); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (t *tableRows) follow(part, column int) error {
	src := t.parts[part].cells[column].src
	for steps := 0; ; steps++ {
		f, ok := src.(ref)
		if !ok {
			return nil
		}
		target := f.parent.def.Name + "." + f.parent.def.Columns[f.column].Name
		if steps > 16 {
			return planError(t.def, t.def.Columns[column].Name, "declare values for one of the columns", "its keys point in a circle through %s", target)
		}
		if f.parent.total == 0 {
			return nil
		}
		if src = f.parent.parts[len(f.parent.parts)-1].cells[f.column].src; src == nil {
			err := errors.New("its values are chosen by the database")
			if f.parent.kept {
				err = errors.New("it has too many rows of its own to know its keys")
			}
			return planError(t.def, t.def.Columns[column].Name, "declare rows or values for "+f.parent.def.Name, "it points at %s: %w", target, err)
		}
	}
}
