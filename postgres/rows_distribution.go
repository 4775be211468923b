package postgres

import (
	"math"
	"sync"
)

// distribution turns rows into values as the statistics of a column describe them: a
// rank from 0 to 1 that follows the row's place with the wanted correlation, then the
// common value or the place in the histogram where that rank lies.
type distribution struct {
	steps  []step
	guide  [257]int32 // first step that may hold a rank, by its top eight bits
	grid   float64    // how many values the histogram's part has, 0 as many as rows
	cell   float64    // 1 / grid
	groups []tailGroup
	hints  [257]int32 // as guide, of groups
	tail   shuffle    // spreads the tail's values over the histogram
	even   shuffle    // of a nearly unique column: every rank once
	unique bool
	rho    float64 // of the Gaussian copula; beyond 1 the row's place alone decides
	side   float64
	key    uint64
	from   int64
	n      int64
}

// step is a stretch of ranks: of one common value, or of a part of the histogram.
type step struct {
	upTo      float64
	common    int // -1: the histogram from low to high
	low, high float64
}

// tailGroup is a stretch of ranks of the tail, whose values are equally frequent.
type tailGroup struct {
	upTo         float64
	first, count float64
}

// figures are what a distribution is made of.
type figures struct {
	stats  *ColumnStats
	places []float64 // of common values on the histogram's axis, 0 to 1
	order  []int     // of common values along the axis
	bounds int
	widths []float64 // how many values the type has between two bounds; nil enough
	rows   float64   // that the statistics speak of
	target float64
}

func newDistribution(s figures, key uint64, from, to int64) *distribution {
	d := &distribution{key: key, from: from, n: max(to-from, 1)}
	c := s.stats
	total, ties, common := 0.0, 0.0, 0.0
	for _, share := range c.CommonShares {
		common += float64(share)
	}
	free := max(1-float64(c.NullFraction)-common, 0)
	if s.bounds < 2 {
		free = 0
	}
	if total = common + free; total <= 0 {
		return nil
	}
	at, upTo := 0.0, 0.0
	for _, i := range s.order {
		if place := s.places[i]; free > 0 && place > at {
			upTo += free * (place - at) / total
			d.steps = append(d.steps, step{upTo, -1, at, place})
			at = place
		}
		share := float64(c.CommonShares[i]) / total
		ties += share * share
		upTo += share
		d.steps = append(d.steps, step{upTo: upTo, common: i})
	}
	if free > 0 && at < 1 {
		d.steps = append(d.steps, step{1, -1, at, 1})
	}
	d.steps[len(d.steps)-1].upTo = 1
	d.correlate(c, ties)
	d.count(s, free)
	d.cell = 1 / max(d.grid, 1)
	for k, next := 0, 0; k < len(d.guide); k++ {
		for next < len(d.steps)-1 && d.steps[next].upTo <= float64(k)/256 {
			next++
		}
		d.guide[k] = int32(next)
	}
	return d
}

// correlate sets the copula. pg_stats' correlation is one of ranks, so the Gaussian
// copula's is 2·sin(π·c/6). Equal values are ranked by their place, so common values
// bring a correlation of their own: the sum of their squared shares.
func (d *distribution) correlate(c *ColumnStats, ties float64) {
	if c.Correlation == nil || ties > 0.999 {
		return
	}
	want := (float64(*c.Correlation) - ties) / (1 - ties)
	switch want = min(max(want, -1), 1); {
	case math.Abs(want) < 0.02:
		return
	case math.Abs(want) > 0.9999:
		d.rho = math.Copysign(2, want)
	default:
		d.rho = 2 * math.Sin(math.Pi*want/6)
		d.side = math.Sqrt(1 - d.rho*d.rho)
	}
}

// count sets how many values the histogram's part has.
func (d *distribution) count(s figures, free float64) {
	c := s.stats
	if free <= 0 {
		return
	}
	key := noise(d.key, -1)
	if c.Distinct < -0.9 {
		if d.rho == 0 {
			d.unique, d.even = true, newShuffle(key, d.n)
		}
		return
	}
	stored := c.distinct(s.rows) - float64(len(c.CommonShares))
	drawn := free * s.rows
	if d.rho == 0 && len(c.CommonShares) > 0 {
		if d.skew(c.spread(s.rows, s.target)[len(c.CommonShares):], key) {
			return
		}
	}
	if stored > 0.97*drawn && s.widths == nil {
		return
	}
	low, high := 1.0, 64*max(drawn, 1)
	if s.distinct(high, drawn) <= stored {
		return // as many as there can be
	}
	for range 50 {
		if mid := (low + high) / 2; s.distinct(mid, drawn) < stored {
			low = mid
		} else {
			high = mid
		}
	}
	d.grid = max(math.Round(low), 1)
}

// distinct is how many values the rows of the histogram's part are expected to hold when
// it has a grid of so many points: some fall on one value of the type, and some are
// never drawn.
func (s figures) distinct(grid, drawn float64) float64 {
	some := func(points, of float64) float64 {
		if points <= 0 {
			return 0
		}
		return points * (1 - math.Exp(-of/points))
	}
	if s.widths == nil {
		return some(grid, drawn)
	}
	sum, n := 0.0, float64(len(s.widths))
	for _, wide := range s.widths {
		sum += some(some(max(wide, 1), grid/n), drawn/n)
	}
	return sum
}

// skew gives the tail's values their own shares.
func (d *distribution) skew(groups []valueGroup, key uint64) bool {
	if len(groups) < 2 {
		return false // they are equally frequent
	}
	sum, values, upTo := 0.0, 0.0, 0.0
	for _, g := range groups {
		sum += g.share * g.values
		values += g.values
	}
	if sum <= 0 || values < 1 || values > 1e15 {
		return false
	}
	first := 0.0
	for _, g := range groups {
		upTo += g.share * g.values / sum
		d.groups = append(d.groups, tailGroup{upTo, first, g.values})
		first += g.values
	}
	for k, next := 0, 0; k < len(d.hints); k++ {
		for next < len(d.groups)-1 && d.groups[next].upTo <= float64(k)/256 {
			next++
		}
		d.hints[k] = int32(next)
	}
	d.grid = math.Ceil(values)
	d.tail = newShuffle(key, int64(d.grid))
	return true
}

func fraction(h uint64) float64 { return float64(h>>11) / (1 << 53) }

// below1 is the largest number below 1 that a rank needs.
const below1 = 1 - 1e-12

// rank of a row, from 0 to 1.
func (d *distribution) rank(row int64, u float64) float64 {
	i := float64(row - d.from)
	switch {
	case d.unique:
		return (float64(d.even.of(row-d.from)) + u) / float64(d.n)
	case d.rho == 0:
		return u
	case d.rho > 1:
		return min((i+u)/float64(d.n), below1)
	case d.rho < -1:
		return max(1-(i+1-u)/float64(d.n), 0)
	}
	z := d.rho*quantile((i+0.5)/float64(d.n)) + d.side*quantile(u)
	return min(0.5*math.Erfc(-z/math.Sqrt2), below1)
}

// at returns which common value a row holds, or -1 and its place in the histogram.
func (d *distribution) at(row int64) (common int, place float64) {
	h := noise(d.key, row)
	u := d.rank(row, fraction(h))
	k := int(d.guide[int(u*256)])
	low := 0.0
	for k < len(d.steps)-1 && d.steps[k].upTo <= u {
		k++
	}
	if k > 0 {
		low = d.steps[k-1].upTo
	}
	s := &d.steps[k]
	if s.common >= 0 {
		return s.common, 0
	}
	if d.groups != nil {
		return -1, (float64(d.tail.of(d.tailValue(fraction(mix(h+golden))))) + 0.5) * d.cell
	}
	q := s.low + (s.high-s.low)*min(max((u-low)/max(s.upTo-low, 1e-15), 0), below1)
	if d.grid > 0 {
		q = (float64(int64(q*d.grid)) + 0.5) * d.cell
	}
	return -1, min(q, below1)
}

// tailValue is the number of a value of the tail, the frequent ones first.
func (d *distribution) tailValue(u float64) int64 {
	k := int(d.hints[int(u*256)])
	for k < len(d.groups)-1 && d.groups[k].upTo <= u {
		k++
	}
	g, low := d.groups[k], 0.0
	if k > 0 {
		low = d.groups[k-1].upTo
	}
	v := int64(g.first + g.count*min((u-low)/max(g.upTo-low, 1e-15), below1))
	return min(v, int64(d.grid)-1)
}

// index is the number of a row's value, common ones first.
func (d *distribution) index(row int64, commons int) int64 {
	common, q := d.at(row)
	if common >= 0 {
		return int64(common)
	}
	if d.grid == 0 {
		return int64(commons) + int64(q*float64(d.n))
	}
	return int64(commons) + int64(q*d.grid)
}

// quantiles of the normal distribution at multiples of 1/4096.
var quantiles = sync.OnceValue(func() *[4097]float64 {
	var t [4097]float64
	for i := range t {
		p := min(max(float64(i)/4096, 1e-12), 1-1e-12)
		t[i] = math.Sqrt2 * math.Erfinv(2*p-1)
	}
	return &t
})

// quantile of the normal distribution, from a table where it is nearly straight.
func quantile(p float64) float64 {
	if p < 1.0/64 || p > 63.0/64 {
		p = min(max(p, 1e-12), 1-1e-12)
		return math.Sqrt2 * math.Erfinv(2*p-1)
	}
	t := quantiles()
	x := p * 4096
	i := int(x)
	return t[i] + (t[i+1]-t[i])*(x-float64(i))
}
