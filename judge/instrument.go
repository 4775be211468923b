package judge

import (
	"fmt"
	"math"
	"slices"

	"github.com/premortem/premortem"
)

// trouble is one sign that something other than the system was the limit.
type trouble struct {
	says string
	// foreign trouble comes from other programs on the machine. It can only make
	// answers later, so what holds in spite of it holds.
	foreign bool
	// hard trouble spoils the numbers themselves: no answer survives it. Other
	// trouble only means that less load arrived, or later, than was planned.
	hard bool
}

// instrument checks the generator's own health in one phase. tightest is the
// shortest latency objective in seconds: lateness below 5 % of it cannot decide.
func instrument(t *premortem.Trial, p *premortem.Phase, tightest float64) []trouble {
	var out []trouble
	l := p.Load
	add := func(hard bool, format string, args ...any) {
		out = append(out, trouble{says: fmt.Sprintf(format, args...), hard: hard})
	}
	// Generator and system share the machine; the generator is given half of it.
	given := 0.5 * float64(max(t.Cores, 2))
	if l.OwnCPU > 0.8*given {
		add(true, "premortem itself used %s cores of the %s it may use", cores(l.OwnCPU), cores(given))
	}
	if p.Machine.Watched && p.Machine.Steal > 0.2 {
		add(true, "the host took %s of the machine's time away", share(p.Machine.Steal))
	}
	if l.LagP99 > 0.001 && l.LagP99 > 0.05*tightest {
		add(false, "requests left up to %s late (p99), more than 5 %% of the objective of %s", seconds(l.LagP99), exactSeconds(tightest))
	}
	dropped := ratio(float64(l.Dropped), float64(l.Offered))
	if dropped > 0.001 {
		add(dropped > 0.05 && !l.Stopped, "%s of %s requests were due and never sent", count(l.Dropped), count(l.Offered))
	}
	if planned := l.Planned * p.Took; planned > 0 && !l.Stopped {
		// Arrivals of a random schedule scatter by √n; only what is missing beyond
		// three times that is ours.
		short := planned - float64(l.Offered)
		if short > 0.005*planned+3*math.Sqrt(planned) {
			add(short > 0.05*planned, "%s requests were offered where the schedule asks for %s", count(l.Offered), about(planned))
		}
	}
	if l.Sent > 0 && l.Offered > 0 && l.Sent+l.Dropped != l.Offered {
		add(true, "the generator's own counts disagree: %s offered, %s sent, %s dropped", count(l.Offered), count(l.Sent), count(l.Dropped))
	}
	if n, ok := foreignCores(t, p); ok && n > foreignShare*float64(t.Cores) {
		add(true, "other programs used %s of %s cores", cores(n), count(t.Cores))
		out[len(out)-1].foreign = true
	}
	return out
}

// foreignShare is the part of the machine that other programs may use before a
// failure says more about them than about the system. Below it lie what has no
// process of its own among the units (a cache, the kernel's network) and the
// coarse clock of CPU times.
const foreignShare = 0.25

// foreignCores is what ran beside the clone and premortem: the machine's busy cores
// without those of the units and our own. ok is false when the record cannot tell:
// nobody watched the machine or the units, or the machine that was watched has more
// cores than the trial had.
func foreignCores(t *premortem.Trial, p *premortem.Phase) (n float64, ok bool) {
	if !p.Machine.Watched || t.Cores <= 0 || len(p.Units) == 0 || p.Machine.CPU > 1.1*float64(t.Cores) {
		return 0, false
	}
	n = p.Machine.CPU - p.Load.OwnCPU
	for _, u := range p.Units {
		n -= max(u.CPU, 0)
	}
	return max(n, 0), true
}

// onlyForeign reports whether nothing else is wrong with the instrument.
func onlyForeign(all []trouble) bool {
	return !slices.ContainsFunc(all, func(tr trouble) bool { return !tr.foreign })
}

// blindness begins the sentence of a trial that its own circumstances spoil.
func blindness(all []trouble) string {
	if onlyForeign(all) {
		return "the machine was shared, so this says nothing about the system: " + all[0].says
	}
	return "the instrument was saturated, so this says nothing about the system: " + all[0].says
}

// excused reports whether the failed goals fail regardless of the trouble: it is
// not hard, and every failure is found again, with the same certainty, in the time
// after the request was sent.
func excused(all []trouble, failed []outcome, p *premortem.Phase) bool {
	for _, tr := range all {
		if tr.hard {
			return false
		}
	}
	for _, o := range failed {
		if o.goal.name == "errors" {
			continue
		}
		r := p.Route(o.goal.route)
		if r == nil {
			return false
		}
		a, _ := o.goal.decide(r.Service.Count(), r.Service.CountAbove(duration(o.goal.limit)))
		if a != premortem.Fails {
			return false
		}
	}
	return true
}
