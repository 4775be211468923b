package judge

import "math"

// USL is the Universal Scalability Law fitted to what a system completed: with n
// requests inside it completes X(n) = λn / (1 + σ(n−1) + κn(n−1)) a second. σ is
// the share that waits for one another, κ what they cost each other. Gunther,
// Guerrilla Capacity Planning, 2007. It never decides anything: it stands beside the
// data, names the kind of limit, and predicts the next step, with its error printed.
type USL struct {
	Lambda, Sigma, Kappa float64
	Top                  float64 // largest n it was fitted to
	Residual             float64 // root mean square of the relative errors
}

// Completed is one probe: how many requests were inside on average (Little: rate ×
// mean response time) and how many were completed a second.
type Completed struct{ Inside, Rate float64 }

// FitUSL fits at least four probes; ok is false for fewer, or for none that vary.
func FitUSL(probes []Completed) (u USL, ok bool) {
	var pts []Completed
	for _, p := range probes {
		if p.Inside > 0 && p.Rate > 0 {
			pts = append(pts, p)
			u.Top = max(u.Top, p.Inside)
		}
	}
	if len(pts) < 4 {
		return USL{}, false
	}
	// n/X = a + b(n−1) + c·n(n−1), each weighted with (X/n)² so that relative errors
	// count alike. A negative coefficient has no meaning: it is left out and the rest
	// fitted again.
	best, found := math.Inf(1), false
	for _, terms := range [][3]bool{{true, true, true}, {true, true, false}, {true, false, true}, {true, false, false}} {
		c, solved := leastSquares(pts, terms)
		if !solved || c[0] <= 0 || c[1] < 0 || c[2] < 0 {
			continue
		}
		v := USL{Lambda: 1 / c[0], Sigma: c[1] / c[0], Kappa: c[2] / c[0], Top: u.Top}
		v.Residual = v.residual(pts)
		if v.Residual < best-1e-12 {
			u, best, found = v, v.Residual, true
		}
	}
	return u, found
}

// leastSquares solves the normal equations of the terms that are in use.
func leastSquares(pts []Completed, use [3]bool) (c [3]float64, ok bool) {
	var m [3][4]float64
	for _, p := range pts {
		w := p.Rate / p.Inside
		row := [4]float64{w, w * (p.Inside - 1), w * p.Inside * (p.Inside - 1), 1}
		for i := range 3 {
			for j := range 4 {
				if use[i] && (j == 3 || use[j]) {
					m[i][j] += row[i] * row[j]
				}
			}
		}
	}
	for i := range 3 {
		if !use[i] {
			m[i][i] = 1
		}
	}
	for i := range 3 {
		pivot := i
		for k := i + 1; k < 3; k++ {
			if math.Abs(m[k][i]) > math.Abs(m[pivot][i]) {
				pivot = k
			}
		}
		m[i], m[pivot] = m[pivot], m[i]
		if math.Abs(m[i][i]) < 1e-12 {
			return c, false
		}
		for k := range 3 {
			if k == i {
				continue
			}
			f := m[k][i] / m[i][i]
			for j := i; j < 4; j++ {
				m[k][j] -= f * m[i][j]
			}
		}
	}
	for i := range 3 {
		c[i] = m[i][3] / m[i][i]
	}
	return c, true
}

func (u USL) residual(pts []Completed) float64 {
	sum := 0.0
	for _, p := range pts {
		e := u.Rate(p.Inside)/p.Rate - 1
		sum += e * e
	}
	return math.Sqrt(sum / float64(len(pts)))
}

// Rate is how many requests a second are completed with n inside.
func (u USL) Rate(n float64) float64 {
	return u.Lambda * n / (1 + u.Sigma*(n-1) + u.Kappa*n*(n-1))
}

// Peak is the number inside at which most is completed, 0 where that lies beyond
// twice what was seen: fits to the lower half of a curve are off by a factor of two.
func (u USL) Peak() float64 {
	if u.Kappa <= 0 || u.Sigma >= 1 {
		return 0
	}
	if n := math.Sqrt((1 - u.Sigma) / u.Kappa); n <= 2*u.Top {
		return n
	}
	return 0
}

// Reaches predicts the rate at which the mean response time is seconds, 0 where that
// lies beyond twice the requests inside that were seen. It is the smallest such rate:
// past the peak a system is slower and completes less.
func (u USL) Reaches(seconds float64) float64 {
	top := 2 * u.Top
	if p := u.Peak(); p > 0 {
		top = min(top, p)
	}
	if top <= 0 || top/u.Rate(top) < seconds {
		if p := u.Peak(); p > 0 && p <= 2*u.Top {
			return u.Rate(p) // it is lost at the peak at the latest
		}
		return 0
	}
	lo, hi := 0.0, top
	for range 60 {
		mid := (lo + hi) / 2
		if mid/u.Rate(mid) < seconds {
			lo = mid
		} else {
			hi = mid
		}
	}
	return u.Rate(hi)
}

// Predict is the boundary that the probes below it foretell: a law fitted to them,
// and the load at which the objective's quantile, in the proportion to the mean that
// the largest of them showed, reaches limit seconds. 0 where they do not say.
func Predict(probes []Probe, limit float64) float64 {
	var pts []Completed
	var ratio, top float64
	for _, p := range probes {
		if p.Doubt != "" || p.Rate <= 0 || p.Response <= 0 || p.Tail <= 0 || p.Tail > limit {
			continue
		}
		pts = append(pts, Completed{p.Rate * p.Response, p.Rate})
		if p.Load > top {
			top, ratio = p.Load, p.Tail/p.Response
		}
	}
	u, ok := FitUSL(pts)
	if !ok || ratio <= 0 {
		return 0
	}
	return u.Reaches(limit / ratio)
}
