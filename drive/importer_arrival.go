package drive

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/premortem/premortem"
)

// maxCounts bounds the memory of recorded arrivals: 36 hours by the second, then by two
// seconds, and so on.
const maxCounts = 1 << 17

// arrivalCount counts requests by the second, as long as that fits.
type arrivalCount struct {
	start      time.Time
	every      time.Duration
	counts     []uint32
	dispersion float64
	total      uint64
}

func (a *arrivalCount) add(at time.Time) {
	if a.every == 0 {
		a.start, a.every = at.Truncate(time.Second), time.Second
	}
	i := int64(at.Sub(a.start) / a.every)
	if i < 0 {
		if i = 0; a.start.Sub(at) > sessionGap {
			return // from another time altogether, as in logs joined in the wrong order
		}
	}
	for i >= maxCounts {
		if a.every > 1000*24*time.Hour {
			return
		}
		a.widen()
		i = int64(at.Sub(a.start) / a.every)
	}
	for int64(len(a.counts)) <= i {
		a.counts = append(a.counts, 0)
	}
	a.counts[i]++
	a.total++
}

// widen joins pairs of counts.
func (a *arrivalCount) widen() {
	if a.every == time.Second {
		a.dispersion = dispersion(a.counts)
	}
	half := (len(a.counts) + 1) / 2
	for i := range half {
		n := a.counts[2*i]
		if 2*i+1 < len(a.counts) {
			n += a.counts[2*i+1]
		}
		a.counts[i] = n
	}
	a.counts = a.counts[:half]
	a.every *= 2
}

// dispersion is the variance of the counts divided by their mean, within each minute,
// so that the course of the day is not taken for bursts.
func dispersion(counts []uint32) float64 {
	sum, weight := 0.0, 0.0
	for c := range slices.Chunk(counts, 60) {
		if len(c) < 30 {
			continue
		}
		mean, square := 0.0, 0.0
		for _, n := range c {
			mean += float64(n)
		}
		if mean /= float64(len(c)); mean < 0.5 {
			continue
		}
		for _, n := range c {
			square += (float64(n) - mean) * (float64(n) - mean)
		}
		sum += square / float64(len(c)-1)
		weight += mean
	}
	if weight == 0 {
		return 0
	}
	return sum / weight
}

// busiest returns the largest number of requests within a span, and where it begins.
func (a *arrivalCount) busiest(span time.Duration) (sum uint64, from time.Time) {
	n := int(max(span/a.every, 1))
	var now uint64
	for i, c := range a.counts {
		now += uint64(c)
		if i >= n {
			now -= uint64(a.counts[i-n])
		}
		if now > sum {
			sum, from = now, a.start.Add(time.Duration(max(i-n+1, 0))*a.every)
		}
	}
	return sum, from
}

// report sets the base load to that of the busiest hour.
func (a *arrivalCount) report(t *Traffic, file string, v *visits) {
	if a.total == 0 {
		return
	}
	if a.every == time.Second {
		a.dispersion = dispersion(a.counts)
	}
	t.Arrivals = Arrivals{Start: a.start, Every: a.every, Counts: a.counts, Dispersion: a.dispersion}
	whole := time.Duration(len(a.counts)) * a.every
	span := min(max(time.Hour, a.every), whole)
	sum, from := a.busiest(span)
	rate := float64(sum) / span.Seconds()
	mean := float64(a.total) / whole.Seconds()
	minute := min(max(time.Minute, a.every), whole)
	peak, _ := a.busiest(minute)
	pos := premortem.Pos{File: file, Line: 1}
	t.Base.Calls = premortem.Setting[float64]{Value: max(threeDigits(rate), 0.01), Pos: pos}
	t.BaseWhy = fmt.Sprintf("recorded: the busiest hour began %s; mean of all %.3g/s, busiest minute %.3g/s",
		from.Format("2006-01-02 15:04 MST"), mean, float64(peak)/minute.Seconds())
	if whole < time.Hour {
		t.BaseWhy = fmt.Sprintf("recorded: mean of %s; busiest minute %.3g/s", whole.Round(time.Second), float64(peak)/minute.Seconds())
	}
	if a.dispersion > 0 {
		t.BaseWhy += fmt.Sprintf("; variance of a second's requests %.1f × that of a Poisson process", a.dispersion)
	}
	if v != nil && v.spent > 0 {
		users := v.spent.Seconds() / whole.Seconds() * rate / mean // Little's law
		t.Base.Users = premortem.Setting[float64]{Value: max(threeDigits(users), 1), Pos: pos}
	}
}

// Rate is how many requests came in the count at this time since the start, per second.
func (a *Arrivals) Rate(at time.Duration) float64 {
	if a.Every <= 0 || at < 0 || int(at/a.Every) >= len(a.Counts) {
		return 0
	}
	return float64(a.Counts[at/a.Every]) / a.Every.Seconds()
}

// Times are the recorded arrivals between from and to since the start, multiplied by
// factor, as Load.At wants them: each count keeps its place, and within it arrivals are
// drawn at random from the seed. Counts are of requests: to offer sessions, divide the
// factor by the requests of a session.
func (a *Arrivals) Times(seed int64, factor float64, from, to time.Duration) []time.Duration {
	if a.Every <= 0 || !(factor > 0) {
		return nil
	}
	var out []time.Duration
	first, last := int(max(from, 0)/a.Every), int(min(to/a.Every, time.Duration(len(a.Counts)-1)))
	for i := first; i <= last; i++ {
		n := factor * float64(a.Counts[i])
		whole := uint64(n)
		if unit(random(seed, drawKeep, uint64(i), 0)) <= n-math.Trunc(n) {
			whole++
		}
		for k := range whole {
			u := 1 - unit(random(seed, drawArrival, uint64(i), k)) // [0, 1)
			if at := time.Duration((float64(i) + u) * float64(a.Every)); at >= from && at < to {
				out = append(out, at-from)
			}
		}
	}
	slices.Sort(out)
	return out
}
