package judge

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Difference is how a second series of windows differs from a first.
type Difference struct {
	Before, After float64 // medians
	Ratio         float64 // After ÷ Before
	Low, High     float64 // of the ratio, 95 of 100
	// P is how often a difference at least as large comes about when it does not matter
	// which series a window is from.
	P    float64
	Real bool // P < 0.01 and the interval leaves 1 out
	// Few is true when there are too few windows to tell anything.
	Few bool
}

// Differ compares one figure of two runs, a value for each window. Neighbouring windows
// resemble each other, so runs of them are drawn together: the interval is a moving
// block bootstrap (Künsch 1989) of the ratio of medians, P a permutation of blocks of
// the same length (Good, Permutation Tests, 2000). The same input gives the same answer.
func Differ(before, after []float64) Difference {
	d := Difference{Before: median(before), After: median(after)}
	d.Few = len(before) < 8 || len(after) < 8
	if d.Before > 0 {
		d.Ratio = d.After / d.Before
	}
	d.Low, d.High, d.P = d.Ratio, d.Ratio, 1
	if d.Few || d.Before <= 0 || d.After <= 0 {
		return d
	}
	const rounds = 4000
	rng := rand.New(rand.NewPCG(uint64(len(before)), uint64(len(after))))
	block := max(int(math.Cbrt(float64(min(len(before), len(after))))), 1)
	ratios := make([]float64, 0, rounds)
	for range rounds {
		b, a := median(resampled(before, block, rng)), median(resampled(after, block, rng))
		if b > 0 {
			ratios = append(ratios, a/b)
		}
	}
	slices.Sort(ratios)
	d.Low, d.High = ratios[len(ratios)*25/1000], ratios[len(ratios)*975/1000]
	d.P = permuted(before, after, block, rounds, rng)
	d.Real = d.P < 0.01 && (d.Low > 1 || d.High < 1)
	return d
}

// resampled draws blocks of neighbours until there are as many values as before.
func resampled(v []float64, block int, rng *rand.Rand) []float64 {
	out := make([]float64, 0, len(v)+block)
	for len(out) < len(v) {
		at := rng.IntN(len(v) - block + 1)
		out = append(out, v[at:at+block]...)
	}
	return out[:len(v)]
}

// permuted is how often blocks that are dealt anew differ as much.
func permuted(before, after []float64, block, rounds int, rng *rand.Rand) float64 {
	var blocks [][]float64
	for _, v := range [][]float64{before, after} {
		for at := 0; at < len(v); at += block {
			blocks = append(blocks, v[at:min(at+block, len(v))])
		}
	}
	far := math.Abs(math.Log(median(after) / median(before)))
	as := 1 // the deal that happened is one of them
	dealt := make([]float64, 0, len(before)+len(after))
	for range rounds {
		rng.Shuffle(len(blocks), func(i, j int) { blocks[i], blocks[j] = blocks[j], blocks[i] })
		dealt = dealt[:0]
		for _, b := range blocks {
			dealt = append(dealt, b...)
		}
		b, a := median(dealt[:len(before)]), median(dealt[len(before):])
		if b <= 0 || a <= 0 || math.Abs(math.Log(a/b)) >= far*(1-1e-12) {
			as++
		}
	}
	return float64(as) / float64(rounds+1)
}
