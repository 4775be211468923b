package postgres

import (
	"hash/fnv"
	"math/bits"
)

// golden is 2^64 divided by the golden ratio.
const golden = 0x9E3779B97F4A7C15

// mix is the finisher of splitmix64 (Steele, Lea, Flood: Fast splittable
// pseudorandom number generators, 2014): a bijection of 64-bit numbers.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// noise is the random number of a row under a key. Different rows of one key never
// have the same noise.
func noise(key uint64, row int64) uint64 { return mix(key + uint64(row)*golden) }

// subkey derives a key from a seed and names; order matters.
func subkey(seed int64, names ...string) uint64 {
	h := fnv.New64a()
	for _, n := range names {
		h.Write([]byte(n))
		h.Write([]byte{0})
	}
	return mix(h.Sum64() ^ mix(uint64(seed)))
}

// below maps a random number evenly onto 0…n−1.
func below(h uint64, n int64) int64 {
	hi, _ := bits.Mul64(h, uint64(n))
	return int64(hi)
}

// skewed maps a random number onto 0…n−1, low numbers more often: the share of
// number x falls with the square root of x, so that of 100 parents the most popular
// one has ten times its even share.
func skewed(h uint64, n int64) int64 {
	hi, _ := bits.Mul64(h, h)
	return below(hi, n)
}

// shuffle is a bijection of 0…n−1 that takes neighbours far apart: x·a + b modulo
// n with a near n divided by the golden ratio and prime to n.
type shuffle struct{ n, a, b uint64 }

func newShuffle(key uint64, n int64) shuffle {
	s := shuffle{n: uint64(max(n, 1))}
	s.a, _ = bits.Mul64(s.n, golden)
	s.a += noise(key, 1) % 97
	for s.a = max(s.a%s.n, 1); gcd(s.a, s.n) != 1; s.a++ {
	}
	s.b = noise(key, 2) % s.n
	return s
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (s shuffle) of(x int64) int64 {
	hi, lo := bits.Mul64(uint64(x), s.a)
	lo, carry := bits.Add64(lo, s.b, 0)
	if hi += carry; hi == 0 {
		return int64(lo % s.n)
	}
	return int64(bits.Rem64(hi, lo, s.n))
}
