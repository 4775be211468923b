package judge

import (
	"cmp"
	"math"
	"slices"

	"github.com/premortem/premortem"
)

// Search looks for the multiple of one X at which the objectives stop to hold. It
// is a value: every call of Next decides from the points alone, so a search can be
// saved after any step and continued.
type Search struct {
	X     string
	Start float64 // first multiple; 0 means 1, and never more than Cap
	Cap   float64 // largest multiple worth knowing; 0 means 16
	// Tolerance ends the search once breaks/holds − 1 is below it; 0 means 0.1.
	Tolerance float64
	MaxSteps  int // points at most, retries included; 0 means 12
}

const (
	unknownTries = 2 // of one multiple without an answer, after which it is a gap
	lowest       = 4 // the downward search ends at a quarter of Start
)

// Next returns the multiple to try next. It doubles from Start until something
// fails, goes down to a half and a quarter when Start itself fails, then halves the
// bracket on a logarithmic scale. A multiple without an answer is tried once more
// and then left as a gap: nothing is concluded from it. more is false when the
// bracket is narrow enough, or nothing more can be learned within Cap and MaxSteps.
// All points must come from one condition (all with a fix in place, or all
// without).
func (s Search) Next(points []premortem.Point) (multiple float64, more bool) {
	s = s.filled()
	if len(points) >= s.MaxSteps {
		return 0, false
	}
	steps := stepsOf(points)
	if len(steps) == 0 {
		return s.Start, true
	}
	low, high := bracketOf(steps)
	for _, st := range steps {
		if st.answer == premortem.Unknown && st.tries < unknownTries && st.multiple > low && (high == 0 || st.multiple < high) {
			return st.multiple, true
		}
	}
	switch {
	case high == 0:
		return s.up(steps)
	case low == 0:
		return s.down(steps)
	}
	return s.between(steps, low, high)
}

func (s Search) filled() Search {
	s.Cap = cmp.Or(max(s.Cap, 0), 16)
	s.Start = min(cmp.Or(max(s.Start, 0), 1), s.Cap)
	s.Tolerance = cmp.Or(max(s.Tolerance, 0), 0.1)
	if s.MaxSteps <= 0 {
		s.MaxSteps = 12
	}
	return s
}

// up doubles. Two gaps in a row end it: what hides the answer will hide the next.
func (s Search) up(steps []step) (float64, bool) {
	n := len(steps)
	top := steps[n-1]
	if same(top.multiple, s.Cap) || top.multiple > s.Cap {
		return 0, false
	}
	if n > 1 && top.answer == premortem.Unknown && steps[n-2].answer == premortem.Unknown {
		return 0, false
	}
	return min(2*top.multiple, s.Cap), true
}

func (s Search) down(steps []step) (float64, bool) {
	next := steps[0].multiple / 2
	if next < s.Start/lowest*(1-1e-9) {
		return 0, false
	}
	return next, true
}

// between splits the widest part of the bracket that holds no point.
func (s Search) between(steps []step, low, high float64) (float64, bool) {
	if high/low-1 <= s.Tolerance {
		return 0, false
	}
	edges := []float64{}
	inside := 0
	for _, st := range steps {
		if st.multiple >= low && st.multiple <= high {
			edges = append(edges, st.multiple)
			if st.multiple > low && st.multiple < high {
				inside++
			}
		}
	}
	if inside >= 3 { // three answers that do not fit or do not come: it stays this wide
		return 0, false
	}
	best, at := 1+s.Tolerance/2, 0.0
	for i := 1; i < len(edges); i++ {
		if r := edges[i] / edges[i-1]; r > best {
			best, at = r, math.Sqrt(edges[i]*edges[i-1])
		}
	}
	if at == 0 {
		return 0, false
	}
	if r := round(at, 2); r > low && r < high && !slices.ContainsFunc(edges, func(e float64) bool { return same(e, r) }) {
		at = r
	}
	return at, true
}

// step is everything that was answered at one multiple.
type step struct {
	multiple float64
	answer   premortem.Answer // of the majority; Unknown for a tie
	tries    int
}

// stepsOf groups points by multiple, ascending.
func stepsOf(points []premortem.Point) []step {
	sorted := slices.Clone(points)
	slices.SortStableFunc(sorted, func(a, b premortem.Point) int { return cmp.Compare(a.Multiple, b.Multiple) })
	var out []step
	votes := 0
	for _, p := range sorted {
		if !(p.Multiple > 0) || math.IsInf(p.Multiple, 0) {
			continue
		}
		if n := len(out); n == 0 || !same(out[n-1].multiple, p.Multiple) {
			out = append(out, step{multiple: p.Multiple})
			votes = 0
		}
		st := &out[len(out)-1]
		st.tries++
		switch p.Answer {
		case premortem.Holds:
			votes++
		case premortem.Fails:
			votes--
		}
		st.answer = premortem.Unknown
		if votes > 0 {
			st.answer = premortem.Holds
		} else if votes < 0 {
			st.answer = premortem.Fails
		}
	}
	return out
}

// bracketOf is the narrowest span of multiples outside of which all answers agree:
// everything at or below low held, everything at or above high failed. low is 0
// when the smallest answer is a failure, high is 0 when the largest is a success.
// An answer that contradicts its neighbours lies inside and widens the bracket.
func bracketOf(steps []step) (low, high float64) {
	for _, st := range steps {
		if st.answer == premortem.Fails {
			break
		}
		if st.answer == premortem.Holds {
			low = st.multiple
		}
	}
	for _, st := range slices.Backward(steps) {
		if st.answer == premortem.Holds {
			break
		}
		if st.answer == premortem.Fails {
			high = st.multiple
		}
	}
	return low, high
}

func same(a, b float64) bool { return math.Abs(a-b) <= 1e-6*max(math.Abs(a), math.Abs(b)) }
