package judge

import (
	"math"
	"math/rand/v2"
	"testing"
)

// windowsOf draws one figure per second, neighbours resembling each other.
func windowsOf(n int, mean, spread, memory float64, rng *rand.Rand) []float64 {
	out, x := make([]float64, n), 0.0
	for i := range out {
		x = memory*x + math.Sqrt(1-memory*memory)*rng.NormFloat64()
		out[i] = mean * math.Exp(spread*x)
	}
	return out
}

func TestTwoRunsOfTheSameAreSeldomCalledDifferent(t *testing.T) {
	wrong, missed, inside := 0, 0, 0
	const rounds = 100
	for i := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(i, 1))
		a := windowsOf(30, 0.1, 0.2, 0.3, rng)
		if Differ(a, windowsOf(30, 0.1, 0.2, 0.3, rng)).Real {
			wrong++
		}
		d := Differ(a, windowsOf(30, 0.15, 0.2, 0.3, rng))
		if !d.Real {
			missed++
		}
		if d.Low <= 1.5 && d.High >= 1.5 {
			inside++
		}
	}
	if wrong > 5 {
		t.Errorf("%d of %d pairs of equal runs are called different", wrong, rounds)
	}
	if missed > 5 {
		t.Errorf("half as slow again is missed %d times of %d", missed, rounds)
	}
	if inside < 80 {
		t.Errorf("the interval holds the truth %d times of %d", inside, rounds)
	}
}

func TestFewWindowsSayNothing(t *testing.T) {
	if d := Differ([]float64{1, 1, 1}, []float64{9, 9, 9}); d.Real || !d.Few {
		t.Errorf("three windows decide: %+v", d)
	}
	if d := Differ(nil, nil); d.Real || d.Ratio != 0 {
		t.Errorf("nothing decides: %+v", d)
	}
	same := []float64{1, 1, 1, 1, 1, 1, 1, 1, 1}
	if d := Differ(same, same); d.Real || d.P < 0.9 || d.Ratio != 1 {
		t.Errorf("the same differs: %+v", d)
	}
}
