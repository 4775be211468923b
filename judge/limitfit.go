package judge

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/premortem/premortem"
)

// level is one load with what all its probes showed.
type level struct {
	load   float64
	margin float64 // logit of the good share less logit of the objective: positive holds
	sigma  float64 // its standard error
	tries  int
	length float64 // seconds of one probe
	asked  float64 // requests judged
}

// levels sums the trusted probes by load, ascending.
func (l Limit) levels(probes []Probe) []level {
	var out []level
	by := map[float64][]Probe{}
	for _, p := range probes {
		if p.Doubt == "" && len(p.Windows) > 0 && p.Purpose != Overload && p.Purpose != Recovery && p.Load > 0 {
			by[p.Load] = append(by[p.Load], p)
		}
	}
	for load, ps := range by {
		v := level{load: load, tries: len(ps)}
		var pooled []Window // what one probe saw counts as much as what another saw
		for _, p := range ps {
			pooled = append(pooled, p.Windows...)
			v.length = max(v.length, float64(len(p.Windows))*p.Length)
		}
		var ok bool
		if v.margin, v.sigma, ok = l.margin(pooled); ok {
			for _, w := range pooled {
				v.asked += float64(w.Good + w.Bad)
			}
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b level) int { return cmp.Compare(a.load, b.load) })
	return out
}

// margin is how far a probe is from its objective, on the logit scale, and the
// standard error of that. Half a request is added on both sides, so that a probe
// without a miss is not infinitely good.
func (l Limit) margin(ws []Window) (m, sigma float64, ok bool) {
	var good, bad float64
	for _, w := range ws {
		good, bad = good+float64(w.Good), bad+float64(w.Bad)
	}
	n := good + bad
	if n == 0 {
		return 0, 0, false
	}
	m = math.Log((good+0.5)/(bad+0.5)) - l.logit()
	p := (bad + 0.5) / (n + 1)
	return m, math.Sqrt(designEffect(ws) / ((n + 1) * p * (1 - p))), true
}

// designEffect is by how much neighbouring requests share their fate: the variance
// of misses per stretch, against that of independent requests; at least 1. A queue
// remembers longer than a window, so stretches of several windows are looked at and
// the worst counts. Kish, Survey Sampling, 1965, section 8.2.
func designEffect(ws []Window) float64 {
	worst := 1.0
	for _, by := range []int{1, 2, 5, 10} {
		var misses, sizes []float64
		for i := 0; i+by <= len(ws); i += by {
			var g, b float64
			for _, w := range ws[i : i+by] {
				g, b = g+float64(w.Good), b+float64(w.Bad)
			}
			misses, sizes = append(misses, b), append(sizes, g+b)
		}
		k := float64(len(misses))
		if k < 4 {
			break
		}
		n, b := total(sizes), total(misses)
		p := b / n
		if p == 0 || p == 1 {
			return worst
		}
		v := 0.0
		for i := range misses {
			v += (misses[i] - p*sizes[i]) * (misses[i] - p*sizes[i])
		}
		worst = max(worst, v/(k-1)/(n/k*p*(1-p)))
	}
	return worst
}

func total(xs []float64) (s float64) {
	for _, x := range xs {
		s += x
	}
	return s
}

// span is the narrowest pair of loads outside of which all probes agree: 0 where
// nothing held, or nothing failed.
func span(at []level) (low, high float64) {
	for _, a := range at {
		if a.margin < 0 {
			break
		}
		low = a.load
	}
	for _, a := range slices.Backward(at) {
		if a.margin >= 0 {
			break
		}
		high = a.load
	}
	if high > 0 && low > high { // cannot be: both walks stop at the first disagreement
		low, high = high, low
	}
	return low, high
}

// wider is what the errors within a probe say too little of those between probes,
// calibrated on queues, buckets and cliffs of known capacity.
const wider = 1.25

// finest is the least half-width that an interval claims: a dozen probes of half a
// minute do not tell loads apart that differ by less.
const finest = 0.03

// interval estimates where the objective is lost, and where that may be: 19 times in
// 20 if the errors are right. It fits falling shares over the logarithm of the load
// and repeats the fit on margins drawn anew with their errors, which include the
// spread between probes that the errors within a probe do not explain.
//
// Near saturation most probes may be fine and some terrible. Then all requests
// together lose the objective at a lower load than the typical probe does; both are
// fair readings of "the limit", so the interval holds both.
func (l Limit) interval(at []level) (root, low, high float64) {
	near := l.near(at)
	few, low, high := l.roots(near, l.falling)
	most, from, to := l.roots(near, l.typical)
	root, low, high = math.Sqrt(few*most), min(low, from), max(high, to)
	for _, a := range near { // where clear answers contradict each other, the limit moves from probe to probe
		if a.margin > 2*a.sigma {
			high = max(high, a.load)
		} else if a.margin < -2*a.sigma {
			low = min(low, a.load)
		}
	}
	return root, min(l.resolved(at, root, low), root*(1-finest)), max(high, root*(1+finest))
}

// roots is the root of one fit with its 95 % interval.
func (l Limit) roots(near []level, fit func([]level) []knot) (root, low, high float64) {
	root = rootOf(fit(near))
	spread := excess(near, fit)
	rng := rand.New(rand.NewPCG(1, uint64(len(near))))
	roots := make([]float64, 0, 400)
	drawn := slices.Clone(near)
	for range cap(roots) {
		for i, a := range near {
			s := math.Sqrt(a.sigma*a.sigma + spread*spread/float64(a.tries))
			drawn[i].margin = a.margin + wider*s*student(rng, near)
		}
		if r := rootOf(fit(drawn)); r > 0 {
			roots = append(roots, r)
		}
	}
	slices.Sort(roots)
	low, high = root, root
	if n := len(roots); n > 0 {
		low, high = min(low, roots[n*25/1000]), max(high, roots[n-1-n*25/1000])
	}
	return root, low, high
}

// student draws an error with the heavy tails that an error estimated from few
// probes has.
func student(rng *rand.Rand, near []level) float64 {
	free := -2.0
	for _, a := range near {
		free += float64(a.tries)
	}
	free = max(free, 3)
	chi := 0.0
	for range int(free) {
		z := rng.NormFloat64()
		chi += z * z
	}
	return rng.NormFloat64() / math.Sqrt(chi/math.Floor(free))
}

// near keeps the levels that say something about the root: those inside the
// bracket and within a fifth of it, and always the neighbours of the bracket.
func (l Limit) near(at []level) []level {
	low, high := span(at)
	var out []level
	for i, a := range at {
		inside := a.load >= low/1.2 && a.load <= high*1.2
		beside := (i+1 < len(at) && at[i+1].load == low) || (i > 0 && at[i-1].load == high)
		if inside || beside {
			out = append(out, a)
		}
	}
	return out
}

// excess is the standard deviation between probes that their own errors do not
// explain, from the residuals of the monotone fit.
func excess(at []level, fitted func([]level) []knot) float64 {
	if len(at) < 4 {
		return 0
	}
	fit := fitted(at)
	sum, weight := 0.0, 0.0
	for _, a := range at {
		r := a.margin - valueAt(fit, math.Log(a.load))
		if math.Abs(a.margin) > 3 { // far from the boundary a logit says little
			continue
		}
		sum += r*r - a.sigma*a.sigma
		weight += 1
	}
	if weight < 3 || sum <= 0 {
		return 0
	}
	return math.Sqrt(sum / weight)
}

// resolved lowers the lower end by what a probe of finite length cannot tell: above
// its capacity a system's backlog grows, but the requests are bad only once it is
// longer than Latency, and a probe must last that long.
func (l Limit) resolved(at []level, root, low float64) float64 {
	length := 0.0
	for _, a := range at {
		if math.Abs(a.load/root-1) < 0.2 {
			length = max(length, a.length)
		}
	}
	if l.Latency <= 0 || length <= 0 {
		return low
	}
	return low * (1 - min(l.Latency/length, 0.2))
}

// cliff reports whether two loads less than 5 % apart lie clearly on both sides.
func (l Limit) cliff(at []level) bool {
	for i := 1; i < len(at); i++ {
		a, b := at[i-1], at[i]
		if b.load/a.load < 1.05 && a.margin > 2*a.sigma && b.margin < -2*b.sigma && a.margin-b.margin > 3 {
			return true
		}
	}
	return false
}

// falling is the nearest sequence of margins that never rises with the load. It
// pools shares, not margins (pool adjacent violators, weighted by requests): a
// system near its limit is fine in most probes and terrible in some, and the mean of
// logits would forget the terrible ones. One knot stands at the centre of each
// pooled block.
func (l Limit) falling(at []level) []knot {
	ks := make([]knot, len(at))
	for i, a := range at {
		ks[i] = knot{math.Log(a.load), 1 / (1 + math.Exp(a.margin+l.logit())), a.asked}
	}
	ks = isotonic(ks)
	for i, k := range ks {
		ks[i].y = math.Log((1-k.y)/k.y) - l.logit()
	}
	return ks
}

// typical is the same fit of the margins themselves, each probe with one voice.
func (l Limit) typical(at []level) []knot {
	ks := make([]knot, len(at))
	for i, a := range at {
		ks[i] = knot{math.Log(a.load), -a.margin, float64(a.tries)}
	}
	ks = isotonic(ks)
	for i := range ks {
		ks[i].y = -ks[i].y
	}
	return ks
}

func (l Limit) logit() float64 { return math.Log(l.Share / (1 - l.Share)) }

// rootOf is the load at which the monotone fit of the margins is zero. Where all
// margins have one sign it is the end of the range.
func rootOf(ks []knot) float64 {
	if len(ks) == 0 {
		return 0
	}
	if ks[0].y <= 0 {
		return math.Exp(ks[0].x)
	}
	n := len(ks)
	if ks[n-1].y >= 0 {
		return math.Exp(ks[n-1].x)
	}
	lo, hi := ks[0].x, ks[n-1].x
	for range 60 {
		mid := (lo + hi) / 2
		if valueAt(ks, mid) > 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return math.Exp((lo + hi) / 2)
}

// valueAt interpolates monotone knots with a cubic that never overshoots (Fritsch
// and Carlson, SIAM J. Numer. Anal. 17, 1980), and is flat outside of them.
func valueAt(ks []knot, x float64) float64 {
	n := len(ks)
	switch {
	case n == 0:
		return 0
	case n == 1 || x <= ks[0].x:
		return ks[0].y
	case x >= ks[n-1].x:
		return ks[n-1].y
	}
	k := 0
	for k < n-2 && x > ks[k+1].x {
		k++
	}
	h := ks[k+1].x - ks[k].x
	t := (x - ks[k].x) / h
	t2, t3 := t*t, t*t*t
	return (2*t3-3*t2+1)*ks[k].y + (t3-2*t2+t)*h*slopeAt(ks, k) + (3*t2-2*t3)*ks[k+1].y + (t3-t2)*h*slopeAt(ks, k+1)
}

func slopeAt(ks []knot, k int) float64 {
	n := len(ks)
	d := func(i int) float64 { return (ks[i+1].y - ks[i].y) / (ks[i+1].x - ks[i].x) }
	h := func(i int) float64 { return ks[i+1].x - ks[i].x }
	end := func(h0, h1, d0, d1 float64) float64 {
		s := ((2*h0+h1)*d0 - h0*d1) / (h0 + h1)
		switch {
		case s*d0 <= 0:
			return 0
		case d0*d1 < 0 && math.Abs(s) > 3*math.Abs(d0):
			return 3 * d0
		}
		return s
	}
	switch {
	case n == 2:
		return d(0)
	case k == 0:
		return end(h(0), h(1), d(0), d(1))
	case k == n-1:
		return end(h(n-2), h(n-3), d(n-2), d(n-3))
	case d(k-1)*d(k) <= 0:
		return 0
	}
	w1, w2 := 2*h(k)+h(k-1), h(k)+2*h(k-1)
	return (w1 + w2) / (w1/d(k-1) + w2/d(k))
}

// Enough tells whether a probe may end early: Holds or Fails once the windows so far
// decide it, Unknown while they do not. These are two of Wald's sequential tests with
// errors of 1 %, the allowed share of misses against half of it and against twice of
// it, with the evidence divided by the design effect: neighbours are no independent
// witnesses. At the limit itself neither ends. Wald, Sequential Analysis, 1947.
func (l Limit) Enough(ws []Window) premortem.Answer {
	l = l.filled()
	var good, bad float64
	for _, w := range ws {
		good, bad = good+float64(w.Good), bad+float64(w.Bad)
	}
	allowed, deff := 1-l.Share, designEffect(ws)
	against := func(p float64) float64 {
		return (bad*math.Log(p/allowed) + good*math.Log((1-p)/(1-allowed))) / deff
	}
	const sure = 4.595 // ln(0.99/0.01)
	switch {
	case len(ws) < 8: // too few for the design effect
	case against(min(2*allowed, (1+allowed)/2)) >= sure:
		return premortem.Fails
	case against(allowed/2) >= sure && good+bad >= 2000:
		return premortem.Holds
	}
	return premortem.Unknown
}
