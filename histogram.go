package premortem

import (
	"encoding/json"
	"iter"
	"math/bits"
	"time"
)

// Histogram counts durations in microseconds in log-linear buckets: 64 per octave,
// so that a value read back is within 0.8 % of the one recorded. It holds up to
// 67 s in buckets and the exact maximum above. The zero Histogram is ready to use.
// It is not safe for concurrent use; keep one per writer and Merge.
type Histogram struct {
	counts []uint64 // grows with the largest value seen
	n      uint64
	sum    time.Duration
	max    time.Duration
}

const histogramTop = 1 << 26 // microseconds

func bucket(us uint64) int {
	if us < 64 {
		return int(us)
	}
	e := bits.Len64(us) - 1
	return 64*(e-5) + int(us>>(e-6)) - 64
}

// bucketMiddle is the value that stands for bucket i, in microseconds.
func bucketMiddle(i int) float64 {
	if i < 128 {
		return float64(i) // these buckets are exact or one wide
	}
	e := i/64 + 5
	lower := uint64(i%64+64) << (e - 6)
	return float64(lower) + float64(uint64(1)<<(e-6))/2
}

// Record counts one duration. Negative durations count as zero.
func (h *Histogram) Record(d time.Duration) { h.RecordN(d, 1) }

// RecordN counts the same duration n times.
func (h *Histogram) RecordN(d time.Duration, n uint64) {
	if n == 0 {
		return
	}
	d = max(d, 0)
	us := min(uint64(d/time.Microsecond), histogramTop)
	i := bucket(us)
	if i >= len(h.counts) {
		h.counts = append(h.counts, make([]uint64, i+1-len(h.counts))...)
	}
	h.counts[i] += n
	h.n += n
	h.sum += d * time.Duration(n)
	h.max = max(h.max, d)
}

// Merge adds what o counted.
func (h *Histogram) Merge(o *Histogram) {
	if n := len(o.counts) - len(h.counts); n > 0 {
		h.counts = append(h.counts, make([]uint64, n)...)
	}
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

// Count is how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.n }

// Sum is their sum.
func (h *Histogram) Sum() time.Duration { return h.sum }

// Max is the largest, exactly. Zero when empty.
func (h *Histogram) Max() time.Duration { return h.max }

// Mean is zero when empty.
func (h *Histogram) Mean() time.Duration {
	if h.n == 0 {
		return 0
	}
	return h.sum / time.Duration(h.n)
}

// Quantile returns the smallest recorded value that at least the share q of all
// values does not exceed (nearest rank). Zero when empty; q is clamped to [0, 1].
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := uint64(min(max(q, 0), 1)*float64(h.n) + 0.9999999)
	rank = min(max(rank, 1), h.n)
	var seen uint64
	for i, c := range h.counts {
		if seen += c; seen >= rank {
			if i == len(h.counts)-1 && seen == h.n && rank == h.n {
				return h.max
			}
			return min(time.Duration(bucketMiddle(i)*1000), h.max)
		}
	}
	return h.max
}

// CountAbove is how many recorded values exceed d, counted by whole buckets.
func (h *Histogram) CountAbove(d time.Duration) uint64 {
	us := min(uint64(max(d, 0)/time.Microsecond), histogramTop)
	var n uint64
	for i := bucket(us) + 1; i < len(h.counts); i++ {
		n += h.counts[i]
	}
	return n
}

// All yields each value that was recorded, as its bucket stands for it, with how often,
// in ascending order.
func (h *Histogram) All() iter.Seq2[time.Duration, uint64] {
	return func(yield func(time.Duration, uint64) bool) {
		for i, c := range h.counts {
			if c > 0 && !yield(min(time.Duration(bucketMiddle(i)*1000), h.max), c) {
				return
			}
		}
	}
}

type histogramJSON struct {
	Buckets [][2]uint64 `json:"buckets"` // [bucket, count], ascending, zero counts left out
	SumNS   int64       `json:"sum_ns"`
	MaxNS   int64       `json:"max_ns"`
}

// MarshalJSON writes the non-empty buckets.
func (h Histogram) MarshalJSON() ([]byte, error) {
	v := histogramJSON{Buckets: [][2]uint64{}, SumNS: int64(h.sum), MaxNS: int64(h.max)}
	for i, c := range h.counts {
		if c > 0 {
			v.Buckets = append(v.Buckets, [2]uint64{uint64(i), c})
		}
	}
	return json.Marshal(v)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var v histogramJSON
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*h = Histogram{sum: time.Duration(v.SumNS), max: time.Duration(v.MaxNS)}
	top := bucket(histogramTop)
	for _, p := range v.Buckets {
		i := int(min(p[0], uint64(top)))
		for len(h.counts) <= i {
			h.counts = append(h.counts, 0)
		}
		h.counts[i] += p[1]
		h.n += p[1]
	}
	return nil
}
