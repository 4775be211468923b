package postgres

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Believable is the fidelity below which a verdict about times must say that the rows
// are not like production's.
const Believable = 0.9

// Fidelity says how far a database's statistics are those of a profile. Two ANALYZE
// runs over the same rows score about 0.998. It does not see dependence between
// columns, nor how the sizes of rows vary.
type Fidelity struct {
	Score   float64          // 0 to 1: the mean of the columns, weighted by their tables' pages; 0 nothing compared
	Columns []ColumnFidelity // worst first
	Absent  []string         // tables of the profile that the database does not have, or that are empty there
}

// ColumnFidelity is that of one column: 1 minus the mean of its distances.
type ColumnFidelity struct {
	Table, Column string
	Score         float64
	// Distances, each from 0 to 1: "null" shares, "width", shares of common "values",
	// "shape" of the histogram, "count" of distinct values, "order" on disk.
	Distances map[string]float64
}

// String is the score and what is worst.
func (f Fidelity) String() string {
	s := fmt.Sprintf("%.3f over %d columns", f.Score, len(f.Columns))
	if len(f.Columns) > 0 {
		c := f.Columns[0]
		s += fmt.Sprintf("; furthest %s.%s with %.3f (%s)", c.Table, c.Column, c.Score, c.worst())
	}
	return s
}

func (c ColumnFidelity) worst() string {
	name := ""
	for _, d := range sortedKeys(c.Distances) {
		if name == "" || c.Distances[d] > c.Distances[name] {
			name = d
		}
	}
	return name
}

// Fidelity compares the statistics that a loaded database has with the profile that its
// rows were made from, at the size that was made.
func (r *Rows) Fidelity(ctx context.Context, srv *Server, db string) (Fidelity, error) {
	if r.known == nil {
		return Fidelity{}, fmt.Errorf("compare the rows of database %s: they were made without a profile", db)
	}
	got, err := TakeProfile(ctx, srv.SocketDSN(db))
	if err != nil {
		return Fidelity{}, err
	}
	return CompareProfiles(r.known.p, got), nil
}

// CompareProfiles scores got against want.
func CompareProfiles(want, got *Profile) Fidelity {
	c := comparer{want: want, got: got, wantRows: tableRowsOf(want), gotRows: tableRowsOf(got), attr: map[[3]string]*AttributeStats{}, key: map[[3]string]bool{}, foreign: map[[3]string]bool{}}
	c.learn()
	var f Fidelity
	sum, weight := 0.0, 0.0
	have := map[[4]string]*ColumnStats{}
	for i := range got.Columns {
		have[statKey(&got.Columns[i])] = &got.Columns[i]
	}
	absent := map[string]bool{}
	for i := range want.Columns {
		w := &want.Columns[i]
		if w.OfIndex {
			continue
		}
		g := have[statKey(w)]
		if g == nil {
			if c.gotRows[[2]string{w.Schema, w.Table}] == 0 {
				absent[w.Schema+"."+w.Table] = true
			}
			continue
		}
		one := ColumnFidelity{Table: w.Table, Column: w.Name, Distances: c.distances(w, g)}
		one.Score = 1
		for _, d := range one.Distances {
			one.Score -= d / float64(len(one.Distances))
		}
		pages := 1.0
		if r := want.Relation(w.Schema, w.Table); r != nil {
			pages = max(float64(r.Pages), 1)
		}
		sum, weight = sum+pages*one.Score, weight+pages
		f.Columns = append(f.Columns, one)
	}
	if weight > 0 {
		f.Score = sum / weight
	}
	slices.SortStableFunc(f.Columns, func(a, b ColumnFidelity) int { return cmp.Compare(a.Score, b.Score) })
	f.Absent = sortedKeys(absent)
	return f
}

func statKey(c *ColumnStats) [4]string {
	return [4]string{c.Schema, c.Table, c.Name, strconv.FormatBool(c.Inherited)}
}

type comparer struct {
	want, got         *Profile
	wantRows, gotRows map[[2]string]float64
	attr              map[[3]string]*AttributeStats
	key, foreign      map[[3]string]bool // single columns that are unique, or point at a table
}

func (c *comparer) learn() {
	number := map[placeKey]string{}
	for i := range c.want.Attributes {
		a := &c.want.Attributes[i]
		c.attr[[3]string{a.Schema, a.Table, a.Name}] = a
		number[placeKey{a.Schema, a.Table, a.Number}] = a.Name
	}
	for _, r := range c.want.Relations {
		if r.Unique && !r.Partial && r.KeyColumns == 1 && len(r.Keys) > 0 {
			c.key[[3]string{r.TableSchema, r.Table, number[placeKey{r.TableSchema, r.Table, r.Keys[0]}]}] = true
		}
	}
	for _, k := range c.want.Foreign {
		if len(k.Columns) == 1 {
			c.foreign[[3]string{k.Schema, k.Table, k.Columns[0]}] = true
		}
	}
}

// distances between two columns' statistics. What the type does not have is left out.
func (c *comparer) distances(w, g *ColumnStats) map[string]float64 {
	at := [3]string{w.Schema, w.Table, w.Name}
	a := c.attr[at]
	out := map[string]float64{
		"null":  math.Abs(float64(w.NullFraction - g.NullFraction)),
		"width": 1 - float64(min(w.Width, g.Width))/float64(max(w.Width, g.Width, 1)),
	}
	if w.Correlation != nil && g.Correlation != nil {
		out["order"] = math.Abs(float64(*w.Correlation-*g.Correlation)) / 2
	}
	if a == nil || a.Category == "A" || strings.HasSuffix(a.Type, "range") {
		if w.Elements != "" && g.Elements != "" {
			out["values"] = shareDistance(w.Elements, w.ElementShares, g.Elements, g.ElementShares) / max(total(w.ElementShares), 1)
		}
		return out
	}
	wr, gr := c.wantRows[[2]string{w.Schema, w.Table}], c.gotRows[[2]string{g.Schema, g.Table}]
	if wd, gd := w.distinct(wr), g.distinct(gr); wd > 0 && gd > 0 {
		ratio := wd / gd
		if w.Distinct < 0 {
			ratio *= gr / wr
		}
		out["count"] = min(math.Abs(math.Log2(ratio))/4, 1)
	}
	// Values that stayed in production's database cannot be compared.
	withheld := c.want.Values == Pseudonyms && w.Common == "" && w.Bounds == ""
	if !withheld && !c.key[at] && len(w.CommonShares)+len(g.CommonShares) > 0 && max(top(w.CommonShares), top(g.CommonShares)) > 0.002 {
		d := shareDistance(w.Common, w.CommonShares, g.Common, g.CommonShares)
		if c.foreign[at] || c.want.Values == Pseudonyms { // which value is common is not known, or not meant, to be the same
			d = min(d, skewDistance(w.CommonShares, g.CommonShares))
		}
		out["values"] = d
	}
	if d, ok := shapeDistance(w.Bounds, g.Bounds, bareType(a.Type), c.key[at]); ok {
		out["shape"] = d
	}
	return out
}

func total(shares []float32) (sum float64) {
	for _, s := range shares {
		sum += float64(s)
	}
	return sum
}

func top(shares []float32) (most float64) {
	for _, s := range shares {
		most = max(most, float64(s))
	}
	return most
}

// shareDistance is half the sum of the differences of the shares, value by value.
func shareDistance(a string, as []float32, b string, bs []float32) float64 {
	shares := map[string]float64{}
	for i, v := range splitArray(a) {
		if i < len(as) {
			shares[v] += float64(as[i])
		}
	}
	for i, v := range splitArray(b) {
		if i < len(bs) {
			shares[v] -= float64(bs[i])
		}
	}
	sum := 0.0
	for _, s := range shares {
		sum += math.Abs(s)
	}
	return min(sum/2, 1)
}

// skewDistance compares the shares by rank.
func skewDistance(a, b []float32) float64 {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	slices.Reverse(a)
	slices.Reverse(b)
	sum := 0.0
	for i := range max(len(a), len(b)) {
		var x, y float64
		if i < len(a) {
			x = float64(a[i])
		}
		if i < len(b) {
			y = float64(b[i])
		}
		sum += math.Abs(x - y)
	}
	return min(sum/2, 1)
}

// shapeDistance is the largest gap between two histograms' distribution functions, of
// numbers and times. Keys are compared each on its own scale: rows are counted anew.
func shapeDistance(a, b, kind string, key bool) (float64, bool) {
	f := float8
	switch {
	case strings.HasPrefix(kind, "timestamp"):
		f = timestamp
	case kind == "date":
		f = date
	case !slices.Contains(numberTypes, kind) || kind == "money":
		return 0, false
	}
	x, y := axis(a, f), axis(b, f)
	if len(x) < 2 || len(y) < 2 {
		return 0, false
	}
	if key {
		onOwnScale(x)
		onOwnScale(y)
	}
	gap := 0.0
	for _, v := range slices.Concat(x, y) {
		gap = max(gap, math.Abs(share(x, v)-share(y, v)))
	}
	return gap, true
}

func axis(bounds string, f form) []float64 {
	var out []float64
	for _, s := range splitArray(bounds) {
		if f == float8 {
			v, err := strconv.ParseFloat(s, 64)
			if err != nil {
				return nil
			}
			out = append(out, v)
			continue
		}
		v, ok := onLine(s, f, 0)
		if !ok {
			return nil
		}
		out = append(out, float64(v))
	}
	return out
}

func onOwnScale(x []float64) {
	first, wide := x[0], x[len(x)-1]-x[0]
	for i := range x {
		x[i] = (x[i] - first) / max(wide, 1)
	}
}

// share is the part of a histogram that is at most v.
func share(bounds []float64, v float64) float64 {
	if v < bounds[0] {
		return 0
	}
	k, _ := slices.BinarySearch(bounds, v)
	for k < len(bounds) && bounds[k] <= v {
		k++
	}
	if k >= len(bounds) {
		return 1
	}
	wide := bounds[k] - bounds[k-1]
	part := 1.0
	if wide > 0 {
		part = (v - bounds[k-1]) / wide
	}
	return (float64(k-1) + part) / float64(len(bounds)-1)
}
