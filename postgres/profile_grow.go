package postgres

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Growth says how many times as many rows the tables of a profile get.
type Growth struct {
	// Factors by "schema.table"; a table that is missing keeps its size. A partition
	// without a factor of its own has that of its parent.
	Factors map[string]float64
	// Longer keeps the rows of each day and reaches further into the past; otherwise
	// the same span of time holds more rows.
	Longer bool
}

// Grow predicts what ANALYZE will store when the tables have grown, the error of its
// sampling included, because that is what the planner will see. The copy shares
// nothing that it changed.
func (p *Profile) Grow(g Growth) *Profile { return p.grow(g, map[placeKey][]valueGroup{}) }

// grow keeps what it learns about the values of columns, for the next size.
func (p *Profile) grow(g Growth, spreads map[placeKey][]valueGroup) *Profile {
	out := *p
	out.Relations = slices.Clone(p.Relations)
	out.Columns = slices.Clone(p.Columns)
	out.Extended = slices.Clone(p.Extended)
	w := newGrower(p)
	w.now, w.g, w.spreads = &out, g, spreads
	w.relations()
	for i := range out.Columns {
		w.column(&out.Columns[i])
	}
	w.extended()
	for i := range out.Relations {
		if out.Relations[i].Kind == "i" {
			w.index(&out.Relations[i], &p.Relations[i])
		}
	}
	return &out
}

// grower grows one profile.
type grower struct {
	old, now *Profile
	g        Growth
	target   float64
	at       map[[2]string]int // relations
	rows     map[[2]string]float64
	attr     map[placeKey]*AttributeStats
	unique   map[placeKey]bool
	foreign  map[[3]string][2]string // schema, table, column → parent
	width    map[placeKey]float64
	stored   map[placeKey]float64      // by how much the distinct count of a column grew
	spreads  map[placeKey][]valueGroup // before the growth
}

// newGrower knows a profile; it may be asked about it without growing it.
func newGrower(p *Profile) *grower {
	w := &grower{old: p, target: 100, at: map[[2]string]int{}, stored: map[placeKey]float64{}, spreads: map[placeKey][]valueGroup{}}
	if n := number(p.Settings["default_statistics_target"]); n > 0 {
		w.target = n
	}
	w.learn()
	return w
}

func (w *grower) learn() {
	w.rows, w.attr, w.unique = map[[2]string]float64{}, map[placeKey]*AttributeStats{}, map[placeKey]bool{}
	w.foreign, w.width = map[[3]string][2]string{}, map[placeKey]float64{}
	for i := range w.old.Relations {
		r := &w.old.Relations[i]
		w.at[[2]string{r.Schema, r.Name}] = i
		w.rows[[2]string{r.Schema, r.Name}] = max(r.Rows, 0)
		if r.Unique && r.KeyColumns == 1 && !r.Partial && r.Keys[0] > 0 {
			w.unique[placeKey{r.TableSchema, r.Table, r.Keys[0]}] = true
		}
	}
	w.sumLeaves()
	for i := range w.old.Attributes {
		a := &w.old.Attributes[i]
		w.attr[placeKey{a.Schema, a.Table, a.Number}] = a
	}
	for _, f := range w.old.Foreign {
		for _, c := range f.Columns {
			w.foreign[[3]string{f.Schema, f.Table, c}] = [2]string{f.RefSchema, f.RefTable}
		}
	}
	for i := range w.old.Columns {
		if c := &w.old.Columns[i]; !c.Inherited {
			w.width[placeKey{c.Schema, c.Table, c.Number}] = float64(c.Width)
		}
	}
}

// sumLeaves counts the rows of partitioned tables, whose own count older majors do
// not keep.
func (w *grower) sumLeaves() {
	sums := map[[2]string]float64{}
	for i := range w.old.Relations {
		r := &w.old.Relations[i]
		if r.isIndex() || r.Kind == "p" {
			continue
		}
		for up := r.Parent; up != ""; {
			schema, name, _ := strings.Cut(up, ".")
			sums[[2]string{schema, name}] += max(r.Rows, 0)
			parent := w.old.Relation(schema, name)
			if parent == nil {
				break
			}
			up = parent.Parent
		}
	}
	for key, sum := range sums {
		w.rows[key] = max(w.rows[key], sum)
	}
}

// factor is by how much a table grows.
func (w *grower) factor(table [2]string) float64 {
	for {
		if f, ok := w.g.Factors[table[0]+"."+table[1]]; ok {
			return f
		}
		i, ok := w.at[table]
		if !ok || w.old.Relations[i].Parent == "" {
			return 1
		}
		schema, name, _ := strings.Cut(w.old.Relations[i].Parent, ".")
		table = [2]string{schema, name}
	}
}

// tableOf is the table that statistics speak of: an index's statistics are of the
// rows of its table.
func (w *grower) tableOf(schema, name string) [2]string {
	if i, ok := w.at[[2]string{schema, name}]; ok && w.old.Relations[i].isIndex() {
		return [2]string{w.old.Relations[i].TableSchema, w.old.Relations[i].Table}
	}
	return [2]string{schema, name}
}

func (w *grower) relations() {
	for i := range w.now.Relations {
		r := &w.now.Relations[i]
		g := w.factor(w.tableOf(r.Schema, r.Name))
		r.Rows = cmp.Or(max(r.Rows, 0)*g, r.Rows)
		last := w.lastPage(r)
		times := func(n int64) int64 {
			switch {
			case n <= 0 || g == 1: // a partitioned table has -1 pages
				return n
			case r.isIndex():
				return max(2, int64(math.Round(float64(n-1)*g))+1)
			}
			return min(int64(math.Ceil((float64(n-1)+last)*g-0.01)), maxBlocks)
		}
		r.Pages, r.Blocks = times(r.Pages), times(r.Blocks)
		if !r.isIndex() {
			r.AllVisible = times(r.AllVisible)
		}
		r.Bytes = int64(float64(r.Bytes) * g)
	}
}

// lastPage is how full the last page of a table is, by the width of its rows, or half
// when that does not agree with its size.
func (w *grower) lastPage(r *RelationStats) float64 {
	sum := 0.0
	for i := range w.old.Columns {
		if c := &w.old.Columns[i]; c.Schema == r.Schema && c.Table == r.Name && !c.Inherited {
			sum += float64(c.Width) * (1 - float64(c.NullFraction))
		}
	}
	perPage := math.Floor((blockSize - pageHeader) / (28 + align8(sum))) // tuple header of 24, line pointer of 4
	if full := max(r.Rows, 0) / max(perPage, 1); full > float64(r.Blocks-1) && full <= float64(r.Blocks) {
		return full - float64(r.Blocks-1)
	}
	return 0.5
}

// kindOfColumn decides how a column's statistics change.
type kindOfColumn int

const (
	keyColumn     kindOfColumn = iota // unique: the count follows the table, whole numbers reach further
	foreignColumn                     // p times the parents, each with 1/p of the share
	closedColumn                      // the values are all known: nothing changes
	ratioColumn                       // a fraction that scales by itself: texts, times
	openColumn                        // the same distribution of values in a larger table
)

var (
	wholeTypes  = []string{"smallint", "integer", "bigint"}
	numberTypes = append([]string{"numeric", "real", "double precision", "money"}, wholeTypes...)
)

func (w *grower) classify(c *ColumnStats, a *AttributeStats) kindOfColumn {
	switch {
	case w.unique[placeKey{c.Schema, c.Table, c.Number}], c.Distinct == -1 && (a == nil || w.foreign[[3]string{c.Schema, c.Table, a.Name}] == [2]string{}):
		return keyColumn // a column of a composite key may be unique by itself
	case a == nil && c.Distinct < 0:
		return ratioColumn
	case a == nil:
	case w.foreign[[3]string{c.Schema, c.Table, a.Name}] != [2]string{}:
		return foreignColumn
	case a.Kind == "e" || a.Category == "B":
		return closedColumn
	}
	sum := float64(c.NullFraction)
	for _, s := range c.CommonShares {
		sum += float64(s)
	}
	switch {
	case len(c.CommonShares) > 0 && c.Distinct > 0 && float64(len(c.CommonShares)) >= float64(c.Distinct)-0.5 && sum > 0.99:
		return closedColumn
	case c.Distinct < 0 && !(a != nil && slices.Contains(numberTypes, bareType(a.Type))):
		return ratioColumn
	}
	return openColumn
}

// bareType is a type without its modifier.
func bareType(t string) string { s, _, _ := strings.Cut(t, "("); return s }

func (w *grower) column(c *ColumnStats) {
	key := placeKey{c.Schema, c.Table, c.Number}
	table := w.tableOf(c.Schema, c.Table)
	g, rows := w.factor(table), w.rows[table]
	a := w.attr[key]
	kind, aim := "", w.target
	if a != nil {
		kind = bareType(a.Type)
		if a.Target > 0 {
			aim = float64(a.Target)
		}
	}
	before := c.distinct(rows)
	switch w.classify(c, a) {
	case keyColumn:
		if slices.Contains(wholeTypes, kind) {
			c.Bounds = reachFurther(c.Bounds, g, kind)
		}
	case foreignColumn:
		w.foreignColumn(c, a, g, rows, aim)
	case openColumn:
		now, null := w.spread(c, rows, aim), float64(c.NullFraction)
		c.setDistinct(before*sampledDistinct(now, rows*g, aim, null)/max(sampledDistinct(now, rows, aim, null), 1), rows*g)
	}
	if w.g.Longer && g != 1 && (strings.HasPrefix(kind, "timestamp") || kind == "date") {
		c.Bounds = reachBack(c.Bounds, g)
	}
	if !c.Inherited || w.stored[key] == 0 {
		w.stored[key] = 1
		if before > 0 {
			w.stored[key] = c.distinct(rows*g) / before
		}
	}
}

// foreignColumn: a parent that grew p times means p copies of each common value with
// 1/p of its share. ANALYZE samples the same number of rows whatever the size, so the
// count that it stores stays behind the truth for skewed columns.
func (w *grower) foreignColumn(c *ColumnStats, a *AttributeStats, g, rows, aim float64) {
	parent := w.foreign[[3]string{c.Schema, c.Table, a.Name}]
	before := c.distinct(rows)
	p, parents := w.factor(parent), cmp.Or(w.rows[parent], before)
	now, null := w.spread(c, rows, aim), float64(c.NullFraction)
	grown := sampledDistinct(later(now, p), rows*g, aim, null) / max(sampledDistinct(now, rows, aim, null), 1)
	c.setDistinct(min(before*grown, parents*p), rows*g)
	if p == 1 {
		return
	}
	kind := bareType(a.Type)
	if c.Common != "" {
		c.thin(p, int(aim), parents, kind)
	}
	if slices.Contains(wholeTypes, kind) {
		c.Bounds = reachFurther(c.Bounds, p, kind)
	}
}

// extended: a count of groups cannot grow faster than its fastest column, nor exceed
// the rows.
func (w *grower) extended() {
	for i := range w.now.Extended {
		e := &w.now.Extended[i]
		groups, err := decodeDistinct(e.Distinct)
		if err != nil {
			continue // another kind of statistics, or a form that is written back as it was
		}
		table := [2]string{e.TableSchema, e.Table}
		for k := range groups {
			fastest := 0.0
			for _, n := range groups[k].columns {
				fastest = max(fastest, cmp.Or(w.stored[placeKey{e.TableSchema, e.Table, int(n)}], 1))
			}
			groups[k].count = min(groups[k].count*max(fastest, 1), w.rows[table]*w.factor(table))
		}
		e.Distinct = encodeDistinct(groups)
	}
}

// spread is that of the column before it grows.
func (w *grower) spread(c *ColumnStats, rows, aim float64) []valueGroup {
	key := placeKey{c.Schema, c.Table, c.Number}
	if groups, ok := w.spreads[key]; ok && !c.Inherited {
		return groups
	}
	groups := c.spread(rows, aim)
	if !c.Inherited {
		w.spreads[key] = groups
	}
	return groups
}
