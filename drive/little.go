package drive

import "time"

// little keeps the two sides of Little's law, L = λ·W (Little, "A proof for the queuing
// formula", 1961), for one second after the other. Over any span the area under the
// number of open requests is the time that requests spent inside it, when those parts
// of a request that lie before and after the span are left out on both sides. The area
// comes from the counters that the account is made of, the time from the requests one
// by one: a request that was lost, or counted twice, makes them differ.
type little struct {
	from  time.Duration // begin of the span
	last  time.Duration // up to when the area is added up
	area  float64       // nanoseconds times requests
	spent float64       // nanoseconds of those that have ended
	born  float64       // sum of the times at which the open ones began, from at the earliest

	total float64 // mean number open since counting began
	began time.Duration
	whole float64 // area of all spans
	worst float64 // share by which the sides differed
	known bool    // began is set
}

// advance adds up the area until a time, with so many open.
func (l *little) advance(at time.Duration, open uint64) {
	l.area += float64(open) * float64(at-l.last)
	l.last = at
}

func (l *little) enter(at time.Duration, open uint64) {
	l.advance(at, open)
	l.born += float64(max(at, l.from))
}

func (l *little) leave(begun, at time.Duration, open uint64) {
	l.advance(at, open)
	begun = max(begun, l.from)
	l.spent += float64(at - begun)
	l.born -= float64(begun)
}

// close ends the span, begins the next, and returns the mean number that were open and
// the share by which the two sides differ.
func (l *little) close(at time.Duration, open uint64) (inside, miss float64) {
	l.advance(at, open)
	spent := l.spent + float64(open)*float64(at) - l.born
	if top := max(l.area, spent, -spent); top > float64(time.Microsecond) {
		miss = max(l.area-spent, spent-l.area) / top
	}
	if !l.known {
		l.began, l.known = l.from, true
	}
	if length := float64(at - l.from); length > 0 {
		inside = l.area / length
	}
	l.whole += l.area
	l.worst = max(l.worst, miss)
	if length := float64(at - l.began); length > 0 {
		l.total = l.whole / length
	}
	l.from, l.area, l.spent, l.born = at, 0, 0, float64(open)*float64(at)
	return inside, miss
}
