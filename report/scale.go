package report

import (
	"cmp"
	"math"
)

// scale maps positive values to coordinates by their logarithm.
type scale struct{ lo, hi, from, to float64 }

func (s scale) at(v float64) float64 {
	v = min(max(v, s.lo), s.hi)
	return tenth(s.from + (s.to-s.from)*math.Log(v/s.lo)/math.Log(s.hi/s.lo))
}

// tenth keeps a coordinate short: a tenth of a pixel is more than anyone sees.
func tenth(v float64) float64 { return math.Round(v*10) / 10 }

// usable values have a logarithm.
func usable(v float64) bool { return v > 1e-12 && v < 1e15 }

// tick is one mark of an axis.
type tick struct {
	At    float64
	Label string
}

// grid is a family of round values: every mantissa times every power of base.
type grid struct {
	base      float64
	mantissas []float64
}

// timeGrids and timesGrids are ordered from dense to sparse.
var (
	timeGrids = []grid{
		{10, []float64{1, 1.5, 2, 3, 5, 7}}, {10, []float64{1, 2, 5}}, {10, []float64{1}}, {100, []float64{1}}, {1000, []float64{1}}, {1e6, []float64{1}},
	}
	timesGrids = []grid{
		{2, []float64{1, 1.5}}, {2, []float64{1}}, {4, []float64{1}}, {16, []float64{1}}, {256, []float64{1}},
	}
)

// ticks returns the densest grid whose marks on s stay at least gap apart.
func (s scale) ticks(grids []grid, gap float64, label func(float64) string) []tick {
	var out []tick
	for _, g := range grids {
		out = out[:0]
		crowded := false
		for e := math.Floor(math.Log(s.lo)/math.Log(g.base)) - 1; e <= math.Ceil(math.Log(s.hi)/math.Log(g.base)); e++ {
			for _, m := range g.mantissas {
				v := rounded(m*math.Pow(g.base, e), 9)
				if v < s.lo*(1-1e-9) || v > s.hi*(1+1e-9) {
					continue
				}
				at := s.at(v)
				crowded = crowded || len(out) > 0 && math.Abs(at-out[len(out)-1].At) < gap
				out = append(out, tick{at, label(v)})
			}
		}
		if !crowded && len(out) > 0 {
			return out
		}
	}
	return out[:min(len(out), 1)]
}

// spread widens [lo, hi] around its middle to at least the given ratio.
func spread(lo, hi, ratio float64) (float64, float64) {
	if !usable(lo) || !usable(hi) {
		return 1, ratio
	}
	if hi/lo < ratio {
		mid := math.Sqrt(lo * hi)
		return mid / math.Sqrt(ratio), mid * math.Sqrt(ratio)
	}
	return lo, hi
}

// extent is the smallest and the largest usable value, 0 and 0 when there is none.
func extent(values ...float64) (lo, hi float64) {
	for _, v := range values {
		if usable(v) {
			lo, hi = min(cmp.Or(lo, v), v), max(hi, v)
		}
	}
	return lo, hi
}

// timesScale is the axis of multiples: from 1× or less to the next power of two.
func timesScale(from, to float64, values ...float64) scale {
	lo, hi := extent(append(values, 1)...)
	return scale{math.Pow(2, math.Floor(math.Log2(lo)+1e-9)), max(math.Pow(2, math.Ceil(math.Log2(hi)-1e-9)), 2), from, to}
}
