package postgres

import (
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"time"
)

// number reads a setting that is a plain number, 0 when it is none.
func number(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return v
}

// distinct is the number of distinct values that the statistics claim.
func (c *ColumnStats) distinct(rows float64) float64 {
	if c.Distinct < 0 {
		return -float64(c.Distinct) * rows
	}
	return float64(c.Distinct)
}

// setDistinct stores a count as ANALYZE does: as a fraction of the rows when more than
// a tenth of them differ.
func (c *ColumnStats) setDistinct(n, rows float64) {
	n = min(n, rows*(1-float64(c.NullFraction)))
	if rows > 0 && n > 0.1*rows {
		c.Distinct = float32(-n / rows)
		return
	}
	c.Distinct = float32(max(1, math.Round(n)))
}

// reachFurther stretches bounds of whole numbers: new keys are above the old ones, as
// far as the type goes.
func reachFurther(bounds string, factor float64, kind string) string {
	items := splitArray(bounds)
	if len(items) == 0 || factor == 1 {
		return bounds
	}
	most := map[string]float64{"smallint": math.MaxInt16, "integer": math.MaxInt32}[kind]
	low := math.MaxFloat64
	for i, s := range items {
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return bounds
		}
		if i == 0 {
			low = float64(min(v, 1))
		}
		to := math.Round(low + (float64(v)-low)*factor)
		items[i] = strconv.FormatInt(int64(min(to, cmp.Or(most, 1<<62))), 10)
	}
	return joinArray(items)
}

// times are the forms in which statistics write moments under DateStyle ISO.
var times = []string{"2006-01-02 15:04:05.999999-07", "2006-01-02 15:04:05.999999-07:00", "2006-01-02 15:04:05.999999", "2006-01-02"}

// reachBack stretches moments into the past: the newest stays, so that "the last
// seven days" keeps its meaning.
func reachBack(bounds string, factor float64) string {
	items := splitArray(bounds)
	for _, form := range times {
		at := make([]time.Time, len(items))
		ok := len(items) > 0
		for i, s := range items {
			t, err := time.Parse(form, s)
			ok = ok && err == nil
			at[i] = t
		}
		if !ok {
			continue
		}
		last := at[len(at)-1]
		for i, t := range at {
			items[i] = last.Add(-time.Duration(float64(last.Sub(t)) * factor)).Format(form)
		}
		return joinArray(items)
	}
	return bounds
}

// another makes up a sibling of a common value, "" when the type allows none.
func another(v string, copied int, shift float64, kind string) string {
	switch kind {
	case "smallint", "integer", "bigint":
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return ""
		}
		to := float64(n) + math.Round(float64(copied)*shift)
		if most := map[string]float64{"smallint": math.MaxInt16, "integer": math.MaxInt32}[kind]; most > 0 && to > most {
			return ""
		}
		return strconv.FormatInt(int64(to), 10)
	case "uuid":
		h := md5.Sum([]byte(v + "|" + strconv.Itoa(copied)))
		s := hex.EncodeToString(h[:])
		return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	case "text", "character varying":
		return v + "~" + strconv.Itoa(copied)
	}
	return ""
}

// thin spreads the common values over p times as many parents: p copies of each, 1/p
// as common; of them ANALYZE would keep the target's number.
func (c *ColumnStats) thin(p float64, target int, shift float64, kind string) {
	type share struct {
		value string
		of    float64
	}
	var pool []share
	whole, rest := int(p), p-math.Floor(p)
	for i, v := range splitArray(c.Common) {
		q := float64(c.CommonShares[i]) / p
		for k := 0; k <= whole && len(pool) < 1<<20; k++ {
			// A part of a copy stands for a part of the list: each value with that chance.
			if k == whole && (rest < 1e-9 || unit(v) >= rest) {
				break
			}
			if k > target {
				break // more copies of one value than are kept of all
			}
			to := v
			if k > 0 {
				to = another(v, k, shift, kind)
			}
			if to != "" || k == 0 {
				pool = append(pool, share{to, q})
			}
		}
	}
	slices.SortStableFunc(pool, func(a, b share) int { return -cmp.Compare(a.of, b.of) })
	pool = pool[:min(len(pool), target)]
	values := make([]string, len(pool))
	c.CommonShares = make([]float32, len(pool))
	for i, s := range pool {
		values[i], c.CommonShares[i] = s.value, float32(s.of)
	}
	c.Common = joinArray(values)
}

// unit is a number from 0 to 1 that belongs to a text.
func unit(s string) float64 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return float64(h.Sum32()) / (1 << 32)
}

// valueGroup is a number of values, each of which has a share of the rows.
type valueGroup struct{ values, share float64 }

// spread models how rows are spread over values: the common ones, then a tail that
// continues their power law. The tail has as many values as it takes for ANALYZE, at
// the present size, to store the count that it stored: a table that is sampled whole
// has seen only the values that have a row.
func (c *ColumnStats) spread(rows, target float64) []valueGroup {
	stored, null, m := c.distinct(rows), float64(c.NullFraction), float64(len(c.CommonShares))
	rest := 1 - null
	var common []valueGroup
	for _, s := range c.CommonShares {
		rest -= float64(s)
		if s > 0 {
			common = append(common, valueGroup{1, float64(s)})
		}
	}
	if rest <= 1e-6 || stored <= m {
		return common
	}
	common = slices.Clip(common)
	slope := c.slope(min(300*target, rows))
	model := func(logValues float64) []valueGroup {
		return append(common, tail(m, math.Exp(logValues), rest, slope)...)
	}
	few := math.Log(max(stored-m, 1))
	return model(bisect(few, few+12, func(n float64) bool { return sampledDistinct(model(n), rows, target, null) < stored*0.999 }))
}

// slope is the exponent of the common values' power law by least squares over those
// that a sample sees often enough to rank them; the first two often stand out. 0 when
// there are too few.
func (c *ColumnStats) slope(sample float64) float64 {
	var n, mx, my float64
	each := func(f func(x, y float64)) {
		for r, s := range c.CommonShares {
			if r > 1 && float64(s)*sample >= 8 {
				f(math.Log(float64(r+1)), math.Log(float64(s)))
			}
		}
	}
	each(func(x, y float64) { n, mx, my = n+1, mx+x, my+y })
	if n < 8 {
		return 0
	}
	mx, my = mx/n, my/n
	var up, down float64
	each(func(x, y float64) { up, down = up+(x-mx)*(y-my), down+(x-mx)*(x-mx) })
	return min(max(-up/max(down, 1e-12), 0), 4)
}

// bisect finds where a condition that holds at low and not at high ends.
func bisect(low, high float64, below func(float64) bool) float64 {
	for range 24 {
		mid := (low + high) / 2
		if below(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return (low + high) / 2
}

// tail are so many values behind rank m, which share the rest of the rows by a power
// law; values of about one rank are one group.
func tail(m, values, rest, slope float64) []valueGroup {
	if slope == 0 {
		return []valueGroup{{values, rest / values}}
	}
	var out []valueGroup
	sum := 0.0
	for rank := m; rank < m+values; {
		width := min(max(1, rank*0.1), m+values-rank)
		q := math.Pow(rank+width/2, -slope)
		out = append(out, valueGroup{width, q})
		sum += q * width
		rank += width
	}
	for i := range out {
		out[i].share *= rest / sum
	}
	return out
}

// later are the values when there are p times as many of them, each with 1/p of the
// share.
func later(groups []valueGroup, p float64) []valueGroup {
	out := make([]valueGroup, len(groups))
	for i, v := range groups {
		out[i] = valueGroup{v.values * p, v.share / p}
	}
	return out
}

// sampledDistinct is what ANALYZE would estimate: the expected number of values in its
// sample of 300 × target rows, and of those seen once, put into its own formula
// (Haas and Stokes, as in compute_scalar_stats).
func sampledDistinct(groups []valueGroup, rows, target, null float64) float64 {
	n, total := min(300*target, rows)*(1-null), rows*(1-null)
	if n < 1 {
		return 1
	}
	var seen, once float64
	for _, g := range groups {
		q := min(g.share/(1-null), 1)
		miss := 0.0
		if q < 1 {
			miss = math.Exp(n * math.Log1p(-q))
		}
		seen += g.values * (1 - miss)
		once += g.values * n * q * miss / max(1-q, 1e-12)
	}
	once = min(once, seen)
	if rows <= 300*target {
		return seen
	}
	return min(n*seen/(n-once+once*n/total), total)
}
