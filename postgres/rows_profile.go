package postgres

import (
	"math"
	"slices"
	"strconv"
)

// known is what a profile says of the tables that are filled.
type known struct {
	p       *Profile
	columns map[[3]string]*ColumnStats // schema, table, column
	rows    map[[2]string]float64      // that the statistics speak of
	target  float64
}

// know reads the profile at the size that is planned: what grows has the statistics
// that ANALYZE will find then.
func (r *Rows) know() {
	p := r.options.Profile
	if p == nil {
		return
	}
	rows := tableRowsOf(p)
	factors := map[string]float64{}
	for _, t := range r.tables {
		if had := rows[[2]string{t.def.Schema, t.def.Local}]; had > 0 && t.total > 0 {
			factors[t.def.Schema+"."+t.def.Local] = float64(t.total) / had
		}
	}
	grown := p.Grow(Growth{Factors: factors})
	k := &known{p: grown, columns: map[[3]string]*ColumnStats{}, rows: tableRowsOf(grown), target: number(p.Settings["default_statistics_target"])}
	if k.target == 0 {
		k.target = 100
	}
	for i := range grown.Columns {
		c := &grown.Columns[i]
		at := [3]string{c.Schema, c.Table, c.Name}
		if old := k.columns[at]; !c.OfIndex && (old == nil || c.Inherited) { // of all partitions, where there are some
			k.columns[at] = c
		}
	}
	r.known = k
	for _, t := range r.tables {
		if rows[[2]string{t.def.Schema, t.def.Local}] == 0 && !t.kept && t.total > 0 {
			r.note("%s: the profile does not have it; its rows are guessed from names and types", t.def.Name)
		}
	}
}

// tableRowsOf are the rows of tables; a partitioned one has those of its leaves.
func tableRowsOf(p *Profile) map[[2]string]float64 {
	out := map[[2]string]float64{}
	for i := range p.Relations {
		r := &p.Relations[i]
		if r.Kind != "r" && r.Kind != "m" || r.Rows <= 0 {
			continue
		}
		out[[2]string{r.Schema, r.Name}] += r.Rows
		for up := parentOf(p, r); up != nil; up = parentOf(p, up) {
			out[[2]string{up.Schema, up.Name}] += r.Rows
		}
	}
	return out
}

func parentOf(p *Profile, r *RelationStats) *RelationStats {
	if r.Parent == "" {
		return nil
	}
	for i := range p.Relations {
		if q := &p.Relations[i]; q.Schema+"."+q.Name == r.Parent {
			return q
		}
	}
	return nil
}

// profiled gives tables that nobody declared the rows of the profile.
func (r *Rows) profiled(declared map[string]int64) {
	if r.options.Profile == nil {
		return
	}
	factor := r.options.Factor
	if factor <= 0 {
		factor = 1
	}
	rows := tableRowsOf(r.options.Profile)
	for _, t := range r.schema.Tables {
		if _, ok := declared[t.Name]; ok || t.Leaf || t.Rows > 0 || slices.Contains(journals, t.Local) {
			continue
		}
		if n := rows[[2]string{t.Schema, t.Local}]; n > 0 {
			declared[t.Name] = max(int64(math.Round(n*factor)), 1)
		} else if r.options.Profile.Relation(t.Schema, t.Local) != nil {
			declared[t.Name] = 0
		}
	}
}

// stats are those of a column, nil unknown.
func (b *builder) stats(column string) *ColumnStats {
	if b.r.known == nil {
		return nil
	}
	return b.r.known.columns[[3]string{b.t.def.Schema, b.t.def.Local, column}]
}

func (b *builder) statRows() float64 {
	return max(b.r.known.rows[[2]string{b.t.def.Schema, b.t.def.Local}], 1)
}

// pointed chooses parents as the statistics of a foreign key's only column say: common
// keys as often as they are, the rest of the rows over so many parents. It returns nil
// when nothing is known.
func (b *builder) pointed(which int, parent *tableRows, low, n int64) (func(int64) int64, float64) {
	f := b.t.def.Foreign[which]
	st := b.stats(f.Columns[0])
	if st == nil || len(f.Columns) != 1 || parent == b.t || n < 1 {
		return nil, 0
	}
	key := subkey(b.r.options.Seed, b.t.def.Name, f.Name)
	null := float64(st.NullFraction)
	s := figures{stats: st, rows: b.statRows(), target: b.r.known.target}
	if first, last, ok := b.numberedKey(parent, f.RefColumns[0]); ok {
		if l, ok := newLine(st, int8, 0); ok && l.within(first, last) {
			s.places, s.order, s.bounds = l.places, l.order, len(l.bounds)
			if d := newDistribution(s, key, b.p.from, b.p.to); d != nil {
				wide := float64(last - first + 1)
				return func(row int64) int64 {
					at := float64(l.value(d.at(row))-first) / wide * float64(n)
					return low + min(max(int64(at), 0), n-1)
				}, null
			}
		}
	}
	// Popularity alone: which parent it is does not matter.
	plain := *st
	plain.Correlation = nil
	s.stats, s.bounds = &plain, 2
	for i := range plain.CommonShares {
		s.places, s.order = append(s.places, 0), append(s.order, i)
	}
	d := newDistribution(s, key, b.p.from, b.p.to)
	if d == nil {
		return nil, 0
	}
	spread, commons := newShuffle(key, n), len(plain.CommonShares)
	return func(row int64) int64 { return low + spread.of(d.index(row, commons)%n) }, null
}

// numberedKey is the range of a parent's keys in the profile, when they are numbers
// that our rows count as well.
func (b *builder) numberedKey(parent *tableRows, column string) (first, last int64, ok bool) {
	c := parent.def.Column(column)
	if c == nil || integerForm(c) < 0 || parent.kept || parent.fresh > 0 {
		return 0, 0, false
	}
	if _, declared := b.r.template(parent.def, column); declared {
		return 0, 0, false
	}
	for _, f := range parent.def.Foreign {
		if slices.Contains(f.Columns, column) {
			return 0, 0, false
		}
	}
	st := b.r.known.columns[[3]string{parent.def.Schema, parent.def.Local, column}]
	single := slices.ContainsFunc(parent.def.Keys, func(k Key) bool { return len(k.Columns) == 1 && k.Columns[0] == column })
	if st == nil || !single || c.Sequence == "" && c.Identity == "" && (st.Correlation == nil || *st.Correlation < 0.9) {
		return 0, 0, false
	}
	bounds := splitArray(st.Bounds)
	if len(bounds) < 2 {
		return 1, parent.total, true
	}
	first, err := strconv.ParseInt(bounds[0], 10, 64)
	last, err2 := strconv.ParseInt(bounds[len(bounds)-1], 10, 64)
	// A sample misses the very ends.
	if slack := max((last-first)/200, 1); first > 1 && first <= slack {
		first = 1
	}
	return first, last, err == nil && err2 == nil && last > first
}

// profiledSource makes a column as its statistics say, nil when they do not say enough.
func (b *builder) profiledSource(w *want, st *ColumnStats) source {
	s := figures{stats: st, rows: b.statRows(), target: b.r.known.target}
	if w.digit != nil || w.c.Sequence != "" || w.c.Identity != "" {
		return nil
	}
	if w.unique {
		return w.uniqueSource(st)
	}
	if f, scale, ok := w.lineForm(st); ok {
		if l, ok := newLine(st, f, scale); ok {
			l.clamp(w.lim, scale)
			s.places, s.order, s.bounds, s.widths = l.places, l.order, len(l.bounds), l.widths()
			if d := newDistribution(s, w.key, w.from, w.to); d != nil {
				return numbers{draw: func(row int64) int64 { return l.value(d.at(row)) }, form: f, scale: scale}
			}
		}
		return nil
	}
	switch {
	case isEnum(w.c) || w.c.Base == "bool":
		return w.commonOnly(s)
	case slices.Contains(textLike[:5], w.c.Base):
		return w.profiledText(s)
	case w.c.Elem != "":
		return w.profiledArray(s)
	case slices.Contains(rangeBases, w.c.Base):
		return w.profiledRange(s)
	case w.c.Base == "uuid":
		return w.profiledUUID(s)
	case w.c.Base == "inet":
		return w.profiledAddress(s)
	}
	return w.repeated(s)
}

// uniqueSource orders a unique column's values as production's are ordered; nil leaves
// it to the name.
func (w *want) uniqueSource(st *ColumnStats) source {
	if st.Correlation == nil {
		return nil
	}
	c, n, s := float64(*st.Correlation), w.to-w.from, newShuffle(w.key, w.to-w.from)
	from, shift := w.from, w.shift
	order := func(row int64) int64 { return s.of(row - from) }
	switch {
	case c > 0.9:
		order = func(row int64) int64 { return row - from }
	case c < -0.9:
		order = func(row int64) int64 { return n - 1 - (row - from) }
	}
	switch w.c.Base {
	case "int4", "int8":
		if w.lim.min != nil || w.lim.max != nil || c > 0.9 {
			return nil
		}
		return numbers{draw: func(row int64) int64 { return from + order(row) + 1 + shift }, form: w.form()}
	case "timestamp", "timestamptz":
		f, scale, _ := w.lineForm(st)
		l, ok := newLine(st, f, scale)
		if !ok || len(l.bounds) < 2 || (l.bounds[len(l.bounds)-1]-l.bounds[0])/max(n, 1) < 4 || from > 0 {
			return nil
		}
		return numbers{draw: func(row int64) int64 { return l.between((float64(order(row)) + 0.5) / float64(n)) }, form: f}
	case "text", "varchar":
		if made, err := w.wording(); err == nil {
			return w.widened(made, st)
		}
	}
	return nil
}
