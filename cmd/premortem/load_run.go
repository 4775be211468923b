package main

import (
	"fmt"
	"math"
	"runtime"
	"strconv"
	"time"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/drive"
	"github.com/premortem/premortem/judge"
)

// offerOnce offers one load.
func (p *program) offerOnce(w drive.Workload, o loadFlags, r *loadReport, bar *progress, out *sideways) error {
	within, share := o.within()
	l := drive.Load{For: o.length, Warm: o.warm, Timeout: o.timeout, Within: within, From: o.from, Even: o.even}
	switch {
	case o.users > 0:
		l.Users = o.users
	case o.rate == "max":
		l.Loop = o.connections
	default:
		l.Calls, _ = strconv.ParseFloat(o.rate, 64)
	}
	v := view{bar: bar, every: max(int(o.length/time.Second)/20, 1), quiet: o.quiet}
	l.Every = func(s drive.Second) {
		v.show(s)
		out.second(s)
	}
	bar.doing("warm up")
	res, err := drive.Run(p.ctx, w, l)
	if err != nil && res.Load.Offered == 0 {
		return err
	}
	r.fill(res)
	r.Closed = l.Loop > 0
	r.Planned = l.Calls
	if err != nil { // what was counted until somebody stopped it is told all the same
		r.Doubt = "it was stopped: " + err.Error()
		return nil
	}
	if !r.Closed {
		r.Doubt = res.Saturated(r.Ceiling, within, given())
	}
	if within > 0 {
		r.Objective = &objectiveResult{Share: share, Within: within.Seconds()}
		r.Objective.judge(res.Windows)
	}
	return nil
}

// given is how many cores the generator may use: it shares them with whatever it
// measures.
func given() int { return max(runtime.GOMAXPROCS(0), 1) }

// findLimit searches the highest rate that meets the objective.
func (p *program) findLimit(w drive.Workload, o loadFlags, r *loadReport, bar *progress, out *sideways, quick time.Duration) error {
	within, share := o.within()
	top := drive.Trusted(r.Ceiling)
	highest := o.highest
	if highest == 0 {
		highest = max(math.Floor(top), o.start)
	}
	limit := judge.Limit{Share: share, Latency: within.Seconds(), Start: o.start, Cap: highest, Recover: true}
	end := time.Now().Add(o.budget)
	var probes []judge.Probe
	ran := false
	for {
		step, more := limit.Next(probes)
		if !more {
			ran = true
			break
		}
		if time.Until(end) < o.probe/2 {
			break
		}
		if step.Drain {
			bar.doing("wait until the server is quiet")
			if err := p.quiet(w, quick, 10*time.Second); err != nil {
				return err
			}
		}
		probe, err := p.probe(w, o, r, limit, step, bar, out)
		// A moment in which other programs had the machine says nothing: once more.
		for again := 0; again < 2 && err == nil && probe.Doubt != "" && time.Until(end) > o.probe; again++ {
			bar.stage(premortem.Stage{Name: "again", Says: probeSays(limit, probe), Took: float64(len(probe.Windows)) * probe.Length})
			probe, err = p.probe(w, o, r, limit, step, bar, out)
		}
		if err != nil {
			if p.ctx.Err() != nil && len(probes) > 0 {
				break // what was found so far is told
			}
			return err
		}
		probes = append(probes, probe)
		bar.stage(premortem.Stage{Name: string(step.Purpose), Says: probeSays(limit, probe), Took: float64(len(probe.Windows)) * probe.Length})
	}
	r.found(limit, probes, ran)
	return nil
}

// probe tries one rate.
func (p *program) probe(w drive.Workload, o loadFlags, r *loadReport, limit judge.Limit, step judge.Step, bar *progress, out *sideways) (judge.Probe, error) {
	within, _ := o.within()
	w.Seed = o.seed + step.Seed
	warm := min(2*time.Second, o.probe/5)
	v := view{bar: bar, every: math.MaxInt, quiet: o.quiet, before: fmt.Sprintf("%s %.0f/s: ", step.Purpose, step.Load)}
	l := drive.Load{Calls: step.Load, For: warm + o.probe, Warm: warm, Timeout: o.timeout, Within: within,
		Every: func(s drive.Second) { v.show(s); out.second(s) },
		Stop: func(now drive.Snapshot) bool {
			return step.Purpose != judge.Recovery && limit.Enough(asJudged(now.Windows)) != premortem.Unknown
		},
	}
	res, err := drive.Run(p.ctx, w, l)
	if err != nil {
		return judge.Probe{}, err
	}
	r.fill(res)
	ps := judge.Probe{Step: step, Windows: asJudged(res.Windows), Length: 1, Doubt: res.Saturated(r.Ceiling, within, given())}
	var every premortem.Histogram
	for i := range res.Routes {
		every.Merge(&res.Routes[i].Response)
	}
	ps.Rate = float64(res.Load.Done) / res.Took.Seconds()
	ps.Response, ps.Tail = every.Mean().Seconds(), every.Quantile(limit.Share).Seconds()
	if ps.Doubt != "" {
		ps.Doubt = "the instrument was saturated: " + ps.Doubt
	}
	return ps, nil
}

// asJudged is the windows as judge reads them.
func asJudged(ws []premortem.Window) []judge.Window {
	out := make([]judge.Window, len(ws))
	for i, w := range ws {
		out[i] = judge.Window(w)
	}
	return out
}

// quiet waits until single requests are answered about as fast as before there was
// load, three times in a row, or until nobody can wait longer: then the next probe
// shows what is left.
func (p *program) quiet(w drive.Workload, quick, longest time.Duration) error {
	end := time.Now().Add(longest)
	for calm := 0; calm < 3 && time.Now().Before(end); {
		slow := time.Duration(0)
		for _, j := range w.Journeys {
			err := drive.Once(p.ctx, w, j, 0, func(s drive.Step) error {
				slow = max(slow, s.Took)
				if s.Status == 0 {
					slow = time.Hour
				}
				return nil
			})
			if p.ctx.Err() != nil {
				return err
			}
		}
		calm++
		if slow > max(2*quick, quick+5*time.Millisecond) {
			calm = 0
		}
		select {
		case <-p.ctx.Done():
			return p.ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// probeSays is one probe in a line.
func probeSays(l judge.Limit, p judge.Probe) string {
	var good, bad uint64
	for _, w := range p.Windows {
		good, bad = good+w.Good, bad+w.Bad
	}
	s := fmt.Sprintf("%.0f requests/s: %s of %.1f %% needed were good, p%.0f %s", p.Load, percent(float64(good), float64(good+bad)), l.Share*100, l.Share*100, ms(p.Tail))
	if p.Doubt != "" {
		s += "; " + p.Doubt
	}
	return s
}
