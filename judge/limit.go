package judge

import (
	"cmp"
	"math"
	"slices"

	"github.com/premortem/premortem"
)

// Limit looks for the load at which an objective stops to hold, with an interval.
// It is a value: Next and Decide look at the probes alone, so a search can be saved
// after any probe, continued, and tested in virtual time. Loads are in whatever unit
// the caller multiplies (requests/s, users, multiples of normal load).
//
// The objective is a share of good requests: "p95 at most 300 ms" is "0.95 of the
// requests within 300 ms". The search doubles from Start until the objective is
// lost, halves the bracket on a logarithmic scale, then repeats probes beside its
// own estimate, each with another seed, until the interval is narrow enough.
type Limit struct {
	Share   float64 // of requests that must be good; 0 means 0.95
	Latency float64 // seconds within which a request is good, 0 when time does not decide
	Start   float64 // first load; 0 means 1, and never more than Cap
	Floor   float64 // lowest load worth knowing; 0 means a 64th of Start
	Cap     float64 // highest load worth knowing; 0 means 1024 times Start
	Width   float64 // of the interval as a share of the estimate, at which the search ends; 0 means 0.1
	Probes  int     // at most; 0 means 24
	Recover bool    // afterwards, ask whether the failure ends with the load that caused it
}

// Purpose says why a probe is made.
type Purpose string

const (
	Bracket   Purpose = "bracket"   // between which loads does it break?
	Narrow    Purpose = "narrow"    // halve the bracket
	Replicate Purpose = "replicate" // the same again with another seed, beside the estimate
	Overload  Purpose = "overload"  // break it again, in order to see whether it recovers
	Recovery  Purpose = "recovery"  // straight after an overload, without waiting for quiet
)

// Step is one probe to make.
type Step struct {
	Load    float64
	Purpose Purpose
	Seed    int64 // within the family of this search; equal seeds mean common random numbers
	// Drain is true when the system must be quiet before the probe begins.
	Drain bool
}

// Window is what happened in one stretch of a probe. All windows of a search are of
// one length; a request counts in the window in which it was due.
type Window struct{ Good, Bad uint64 }

// Probe is a step that was made.
type Probe struct {
	Step
	Windows []Window
	Length  float64 // seconds of a window
	// Rate, Response and Tail are completions per second, the mean and the objective's
	// quantile of the response time in seconds. They feed the fits, never the verdict; 0 unknown.
	Rate, Response, Tail float64
	// Doubt says why the probe says nothing about the system: "the instrument was
	// saturated: …". "" is none.
	Doubt string
}

// Boundary is what a search knows about the limit.
type Boundary struct {
	// Answer is Fails when the limit lies in Low to High, Holds when the objective
	// held up to High, the largest load that was tried, and Unknown otherwise.
	Answer   premortem.Answer
	Estimate float64
	Low      float64
	High     float64
	Cliff    bool // the objective is lost within 5 % of load: the bracket is the answer, not a root
	// Recovers is the largest load, after an overload and without a pause, at which
	// the objective held again; 0 none. Metastable is true when the largest load that
	// held before the overload did not hold after it.
	Recovers   float64
	Metastable bool
	Partial    bool // the interval is wider than was asked for
	Doubt      string
}

func (l Limit) filled() Limit {
	l.Share = cmp.Or(max(l.Share, 0), 0.95)
	l.Start = cmp.Or(max(l.Start, 0), 1)
	l.Cap = cmp.Or(max(l.Cap, 0), 1024*l.Start)
	l.Start = min(l.Start, l.Cap)
	l.Floor = cmp.Or(max(l.Floor, 0), l.Start/64)
	l.Width = cmp.Or(max(l.Width, 0), 0.1)
	if l.Probes <= 0 {
		l.Probes = 24
	}
	return l
}

// Next returns the probe to make after those that were made; more is false when the
// search is over. All probes must come from one system in one condition.
func (l Limit) Next(probes []Probe) (step Step, more bool) {
	l = l.filled()
	at := l.levels(probes)
	if len(probes) >= l.Probes && !l.Recover {
		return Step{}, false
	}
	step = Step{Seed: int64(len(probes)), Drain: true, Purpose: Bracket}
	if len(at) == 0 {
		step.Load = l.Start
		return step, len(probes) < 2 // an instrument that fails twice at the start will not do better
	}
	low, high := span(at)
	switch {
	case high == 0:
		top := at[len(at)-1].load
		step.Load = min(2*top, l.Cap)
		return step, top < l.Cap*(1-1e-9) && len(probes) < l.Probes && !l.doubted(probes, step.Load)
	case low == 0:
		step.Load = at[0].load / 2
		return step, step.Load >= l.Floor*(1-1e-9) && len(probes) < l.Probes
	}
	if steps := len(probes) - made(probes, Recovery) - made(probes, Overload); steps < l.Probes {
		if load, purpose := l.inside(at, low, high); load > 0 {
			step.Load, step.Purpose = load, purpose
			return step, true
		}
	}
	if l.Recover {
		return l.recovery(probes, at)
	}
	return Step{}, false
}

// inside chooses a load between the last success and the first failure, 0 when the
// interval is narrow enough.
func (l Limit) inside(at []level, low, high float64) (float64, Purpose) {
	const coarse = 1.2 // above this ratio a halving tells more than a repetition
	if high/low > coarse {
		return math.Sqrt(low * high), Narrow
	}
	root, from, to := l.interval(at)
	near := 0
	for _, a := range at {
		if a.load > root/coarse && a.load < root*coarse {
			near += a.tries
		}
	}
	enough := 8
	if contradicts(at) {
		enough = 14
	}
	if near >= enough && to-from <= l.Width*root {
		return 0, ""
	}
	// Beside the root on both sides in turn, at a distance of about the interval: a
	// slope is learned from points that differ.
	beside := min(max((to-from)/root/2, 0.02), 0.08)
	side := []float64{1 - beside, 1 + beside, 1 - beside/3, 1 + beside/3}[near%4]
	return min(root*side, l.Cap), Replicate
}

// contradicts reports whether a load clearly failed below one that clearly held:
// what breaks the system is then partly chance, and few probes are too few.
func contradicts(at []level) bool {
	failed := false
	for _, a := range at {
		if failed && a.margin > 2*a.sigma {
			return true
		}
		failed = failed || a.margin < -2*a.sigma
	}
	return false
}

// recovery asks for an overload and then, without a pause, for the largest load
// that held, then for halves of it until the objective holds again.
func (l Limit) recovery(probes []Probe, at []level) (Step, bool) {
	low, high := span(at)
	last := probes[len(probes)-1]
	switch {
	case made(probes, Overload) == 0:
		return Step{Load: high * 1.1, Purpose: Overload, Seed: int64(len(probes)), Drain: true}, true
	case last.Purpose == Overload:
		return Step{Load: low, Purpose: Recovery, Seed: int64(len(probes))}, last.Doubt == ""
	case last.Purpose == Recovery && last.Doubt == "" && !l.held(last):
		next := last.Load / 2
		return Step{Load: next, Purpose: Recovery, Seed: int64(len(probes))}, next >= l.Floor
	}
	return Step{}, false
}

func made(probes []Probe, p Purpose) (n int) {
	for _, v := range probes {
		if v.Purpose == p {
			n++
		}
	}
	return n
}

// doubted reports whether a load this high was already tried and the instrument,
// not the system, was found to be the limit.
func (l Limit) doubted(probes []Probe, load float64) bool {
	return slices.ContainsFunc(probes, func(p Probe) bool { return p.Doubt != "" && p.Load <= load*(1+1e-9) })
}

// Decide says what the probes show. It never names a limit that no probe of the
// system saw: a load at which the instrument failed decides nothing.
func (l Limit) Decide(probes []Probe) Boundary {
	l = l.filled()
	at := l.levels(probes)
	b := Boundary{}
	for _, p := range probes {
		if p.Doubt != "" {
			b.Doubt = p.Doubt
		}
	}
	if len(at) == 0 {
		return b
	}
	low, high := span(at)
	switch {
	case high == 0:
		b.Answer, b.Low, b.High = premortem.Holds, low, low
		b.Partial = low < l.Cap*(1-1e-9)
		return b
	case low == 0:
		b.Answer, b.High, b.Partial = premortem.Fails, high, true
		return b
	}
	b.Answer = premortem.Fails
	b.Estimate, b.Low, b.High = l.interval(at)
	b.Cliff = l.cliff(at)
	b.Partial = b.High-b.Low > l.Width*b.Estimate*(1+1e-9)
	l.after(&b, probes, low)
	return b
}

// after reads the recovery probes.
func (l Limit) after(b *Boundary, probes []Probe, low float64) {
	for _, p := range probes {
		if p.Purpose != Recovery || p.Doubt != "" {
			continue
		}
		if l.held(p) {
			b.Recovers = max(b.Recovers, p.Load)
		} else if p.Load > low*(1-1e-6) {
			b.Metastable = true
		}
	}
}

// held judges the second half of a recovery probe: the backlog of the overload may
// need a moment, and a system that recovers does not need longer.
func (l Limit) held(p Probe) bool {
	var good, bad uint64
	for _, w := range p.Windows[len(p.Windows)/2:] {
		good, bad = good+w.Good, bad+w.Bad
	}
	return good+bad > 0 && float64(good) >= l.filled().Share*float64(good+bad)
}
