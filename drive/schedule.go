package drive

import (
	"math"
	"time"
)

// A draw names what a random number is for, so that no two purposes share numbers.
type draw uint64

const (
	drawArrival draw = iota + 1
	drawKeep
	drawJourney
	drawRow
	drawThink
)

// golden is 2^64 divided by the golden ratio, the increment of splitmix64.
const golden = 0x9e3779b97f4a7c15

// mix is the output function of splitmix64 (Steele, Lea and Flood, "Fast splittable
// pseudorandom number generators", 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// random is a pure function: the same arguments give the same number on any machine.
func random(seed int64, what draw, a, b uint64) uint64 {
	x := mix(uint64(seed) + golden*uint64(what))
	x = mix(x + golden + a)
	return mix(x + golden + b)
}

// unit maps a random number to (0, 1].
func unit(x uint64) float64 { return float64(x>>11+1) / (1 << 53) }

// cell is the piece of time that is drawn at once. A Poisson process has no memory,
// so starting anew in each cell changes nothing, and cell n can be computed without
// the ones before it.
const cell = time.Second / 64

// session numbers: the cell, and the place in it at the highest rate.
const cellBits = 24

// arrival is one session that begins.
type arrival struct {
	at      time.Duration // since the start of the load
	session uint64
}

// arrivals walks the schedule in order of time. The zero value is not usable.
type arrivals struct {
	seed  int64
	gap   float64 // mean nanoseconds between sessions at the highest rate
	share float64 // of the highest rate's sessions that are kept, at the end
	begin float64 // the same at the start
	end   time.Duration
	exact func(i uint64) time.Duration // when the i-th arrives, where nothing is drawn

	cell   uint64
	k      uint64
	state  uint64
	offset float64 // nanoseconds into the cell
	next   arrival // at is past every end when there is none
}

const never = time.Duration(math.MaxInt64)

// newArrivals offers rate sessions per second until end, a subset of those at top.
func newArrivals(seed int64, rate, top float64, end time.Duration) *arrivals {
	return newRamp(seed, rate, rate, top, end)
}

// newRamp offers a rate that goes in a straight line from one value to another, a
// subset of the sessions at top.
func newRamp(seed int64, from, to, top float64, end time.Duration) *arrivals {
	a := &arrivals{seed: seed, gap: 1e9 / top, begin: from / top, share: to / top, end: end}
	a.state = random(seed, drawArrival, 0, 0)
	a.advance()
	return a
}

// newEven spaces the sessions of a ramp evenly: the i-th arrives when the area under
// the rate reaches i.
func newEven(from, to float64, end time.Duration) *arrivals {
	slope := (to - from) / end.Seconds()
	a := &arrivals{end: end, exact: func(i uint64) time.Duration {
		n := float64(i)
		if math.Abs(slope)*end.Seconds() < 1e-9*max(from, to) {
			return time.Duration(n / to * 1e9)
		}
		under := from*from + 2*slope*n
		if under < 0 {
			return never // a falling rate has reached nothing
		}
		// The root that does not cancel: n / ((from + √…) / 2).
		return time.Duration(2 * n / (from + math.Sqrt(under)) * 1e9)
	}}
	a.advance()
	return a
}

// newRecorded repeats arrivals at their times.
func newRecorded(at []time.Duration, end time.Duration) *arrivals {
	a := &arrivals{end: end, exact: func(i uint64) time.Duration {
		if i >= uint64(len(at)) {
			return never
		}
		return at[i]
	}}
	a.advance()
	return a
}

// pop returns the next arrival and moves on.
func (a *arrivals) pop() arrival {
	n := a.next
	a.advance()
	return n
}

func (a *arrivals) advance() {
	if a.exact != nil {
		a.next = arrival{at: a.exact(a.k), session: a.k}
		if a.k++; a.next.at >= a.end || a.next.at < 0 {
			a.next.at = never
		}
		return
	}
	for {
		a.state += golden
		a.offset -= math.Log(unit(mix(a.state))) * a.gap
		if a.offset >= float64(cell) {
			a.cell++
			a.k, a.offset = 0, 0
			if time.Duration(a.cell)*cell >= a.end {
				a.next = arrival{at: never}
				return
			}
			a.state = random(a.seed, drawArrival, a.cell, 0)
			continue
		}
		id := a.cell<<cellBits | a.k
		a.k++
		at := time.Duration(a.cell)*cell + time.Duration(a.offset)
		share := a.share
		if a.begin != a.share {
			share = a.begin + (a.share-a.begin)*float64(at)/float64(a.end)
		}
		if share < 1 && unit(random(a.seed, drawKeep, id, 0)) > share {
			continue
		}
		a.next = arrival{at: at, session: id}
		if a.next.at >= a.end {
			a.next.at = never
		}
		return
	}
}

// journeyOf picks the journey of a session.
func (p *plan) journeyOf(session uint64) *flow {
	u := unit(random(p.seed, drawJourney, session, 0)) * p.cumulative[len(p.cumulative)-1]
	for i, c := range p.cumulative {
		if u <= c {
			return p.flows[i]
		}
	}
	return p.flows[len(p.flows)-1]
}

// rowOf picks the session's row of a table, from 1 to the table's count.
func (p *plan) rowOf(session uint64, t *table) int64 {
	return int64(random(p.seed, drawRow, session, t.hash)%uint64(t.count)) + 1
}

// pauseOf varies a pause by 0.5 to 1.5 times, which keeps its mean.
func (p *plan) pauseOf(session uint64, step int, think time.Duration) time.Duration {
	return time.Duration(float64(think) * (0.5 + unit(random(p.seed, drawThink, session, uint64(step)))))
}
