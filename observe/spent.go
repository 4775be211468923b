package observe

import "time"

// spent is the CPU time of one process tree between two takes.
type spent struct {
	first, last float64 // seconds at the last take, and at the last look
	from, to    time.Time
}

// look notes the tree's CPU seconds now. They fall only where a part of the tree
// ended unseen, and what it had used is not taken back.
func (s *spent) look(seconds float64, now time.Time) {
	if s.from.IsZero() {
		s.first, s.from = seconds, now
	}
	if seconds < s.last {
		s.first -= s.last - seconds
	}
	s.last, s.to = seconds, now
}

// take returns the cores used since the last take, and begins anew. ok is false when
// too little was seen to say.
func (s *spent) take() (cores float64, ok bool) {
	d := s.to.Sub(s.from).Seconds()
	if d > 0 {
		cores = (s.last - s.first) / d
	}
	s.first, s.from = s.last, s.to
	return cores, d > 0.05
}
