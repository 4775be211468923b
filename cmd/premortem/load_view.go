package main

import (
	"fmt"
	"time"

	"github.com/premortem/premortem/drive"
)

// view shows a load while it runs: a line that moves on a terminal, one line for every
// few seconds elsewhere.
type view struct {
	bar    *progress
	every  int // seconds between lines
	quiet  bool
	before string
	lines  int
}

func (v *view) show(s drive.Second) {
	if v.quiet {
		return
	}
	if v.bar.live {
		v.bar.doing(v.before + secondSays(s))
		return
	}
	v.lines++
	if v.lines%v.every == 0 {
		v.bar.line(fmt.Sprintf("%6.0f s  %s", s.At+1, secondSays(s)))
	}
}

// secondSays is one second of load in a line.
func secondSays(s drive.Second) string {
	out := fmt.Sprintf("%d/s  p50 %s  p95 %s  p99 %s  errors %d  open %d  late %s", s.Done+s.Failed, ms(s.P50), ms(s.P95), ms(s.P99), s.Failed, s.InFlight, ms(s.LagP99))
	if s.Dropped > 0 {
		out += fmt.Sprintf("  dropped %d", s.Dropped)
	}
	return out
}

// ms writes seconds as people say them.
func ms(seconds float64) string {
	switch {
	case seconds <= 0:
		return "0"
	case seconds < 0.001:
		return fmt.Sprintf("%.0fµs", seconds*1e6)
	case seconds < 0.01:
		return fmt.Sprintf("%.2fms", seconds*1e3)
	case seconds < 1:
		return fmt.Sprintf("%.0fms", seconds*1e3)
	}
	return time.Duration(seconds * 1e9).Round(10 * time.Millisecond).String()
}

// percent writes a share; one that is not whole is never written as whole.
func percent(part, whole float64) string {
	if whole <= 0 {
		return "none"
	}
	v := part / whole * 100
	if v > 99.95 && v < 100 {
		return fmt.Sprintf("%.3f %%", min(v, 99.999))
	}
	return fmt.Sprintf("%.1f %%", v)
}
