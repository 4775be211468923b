package judge

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestTheLawIsRecoveredFromWhatItDescribes(t *testing.T) {
	law := USL{Lambda: 100, Sigma: 0.03, Kappa: 0.0001}
	for n, want := range map[float64]float64{8: 658, 32: 1577, 256: 1687} {
		if got := law.Rate(n); math.Abs(got-want) > 1 {
			t.Errorf("X(%v) = %v, want %v", n, got, want)
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	var pts []Completed
	for _, n := range []float64{1, 2, 4, 8, 16, 32, 64, 96} {
		pts = append(pts, Completed{n, law.Rate(n) * (1 + 0.02*rng.NormFloat64())})
	}
	u, ok := FitUSL(pts)
	if !ok || u.Peak() < 90 || u.Peak() > 113 || u.Residual > 0.03 {
		t.Errorf("fitted %+v with its peak at %.1f; the law's is at 98.5", u, u.Peak())
	}
	if low, ok := FitUSL(pts[:5]); ok && low.Peak() > 2*16 {
		t.Errorf("from 16 requests inside it names a peak at %v", low.Peak())
	}
}

func TestAFitNeedsDataAndNeverHasNegativeTerms(t *testing.T) {
	if _, ok := FitUSL([]Completed{{1, 10}, {2, 20}, {0, 5}, {3, math.Inf(-1)}}); ok {
		t.Error("two usable probes are enough for it")
	}
	u, ok := FitUSL([]Completed{{1, 100}, {2, 205}, {4, 430}, {8, 900}}) // better than linear
	if !ok || u.Sigma < 0 || u.Kappa < 0 || u.Peak() != 0 {
		t.Errorf("better than linear gives %+v, %v", u, ok)
	}
}

func TestThePredictionFromBelowIsNearTheBoundary(t *testing.T) {
	law := USL{Lambda: 100, Sigma: 0.05, Kappa: 0.002}
	var probes []Probe
	for _, n := range []float64{0.5, 1, 2, 4, 6} {
		x := law.Rate(n)
		probes = append(probes, Probe{Step: Step{Load: x}, Rate: x, Response: n / x, Tail: 3 * n / x})
	}
	n := 9.0 // where the tail is 3·n/X(n)
	got, want := Predict(probes, 3*n/law.Rate(n)), law.Rate(n)
	if math.Abs(got/want-1) > 0.05 {
		t.Errorf("predicted %.0f, the boundary is %.0f", got, want)
	}
	if got := Predict(probes[:3], 1); got != 0 {
		t.Errorf("three probes predict %v", got)
	}
}
