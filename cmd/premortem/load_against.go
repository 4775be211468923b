package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/premortem/premortem/judge"
)

// againstResult is a comparison with an earlier run.
type againstResult struct {
	File    string        `json:"file"`
	Says    string        `json:"says"`
	Figures []figureOther `json:"figures"`
}

type figureOther struct {
	Name   string  `json:"name"` // p50, p95, p99, errors
	Before float64 `json:"before"`
	After  float64 `json:"after"`
	Low    float64 `json:"low"` // of after ÷ before
	High   float64 `json:"high"`
	P      float64 `json:"p"`
	Real   bool    `json:"real"`
}

// compareLoads says in which figures two runs really differ.
func compareLoads(file string, before, after *loadReport) *againstResult {
	out := &againstResult{File: filepath.Base(file)}
	if before.Planned != after.Planned || before.Closed != after.Closed {
		out.Says = fmt.Sprintf("not compared with %s: it was offered %.0f requests/s and this one %.0f, and times depend on that", out.File, before.Planned, after.Planned)
		return out
	}
	if before.Doubt != "" || after.Doubt != "" {
		out.Says = fmt.Sprintf("not compared with %s: the instrument was saturated in one of them", out.File)
		return out
	}
	var says []string
	few := false
	for _, f := range []struct {
		name string
		of   func(secondResult) float64
	}{
		{"p50", func(s secondResult) float64 { return s.P50 }},
		{"p95", func(s secondResult) float64 { return s.P95 }},
		{"p99", func(s secondResult) float64 { return s.P99 }},
	} {
		d := judge.Differ(figures(before.Seconds, f.of), figures(after.Seconds, f.of))
		out.Figures = append(out.Figures, figureOther{f.name, d.Before, d.After, d.Low, d.High, d.P, d.Real})
		few = few || d.Few
		if d.Real {
			word := "slower"
			if d.Ratio < 1 {
				word = "faster"
			}
			says = append(says, fmt.Sprintf("%s went from %s to %s, %s by %s (95 %% interval %+.0f to %+.0f %%, p %s)", f.name, ms(d.Before), ms(d.After), word,
				percent(abs(d.Ratio-1), 1), (d.Low-1)*100, (d.High-1)*100, chance(d.P)))
		}
	}
	switch {
	case few:
		out.Says = fmt.Sprintf("against %s: too few seconds to tell; hold the load for at least 8", out.File)
	case len(says) == 0:
		out.Says = fmt.Sprintf("against %s: no difference that chance does not explain (p95 %s then, %s now, interval %+.0f to %+.0f %%)", out.File,
			ms(out.Figures[1].Before), ms(out.Figures[1].After), (out.Figures[1].Low-1)*100, (out.Figures[1].High-1)*100)
	default:
		out.Says = "against " + out.File + ": " + strings.Join(says, "; ")
	}
	if b, a := failedShare(before), failedShare(after); b != a {
		out.Says += fmt.Sprintf("; %s failed then, %s now", percent(b, 1), percent(a, 1))
	}
	return out
}

func figures(seconds []secondResult, of func(secondResult) float64) []float64 {
	var out []float64
	for _, s := range seconds {
		if s.Done+s.Failed > 0 {
			out = append(out, of(s))
		}
	}
	return out
}

func abs(v float64) float64 { return max(v, -v) }

func chance(p float64) string {
	if p < 0.001 {
		return "< 0.001"
	}
	return fmt.Sprintf("%.3f", p)
}

func failedShare(r *loadReport) float64 {
	if n := r.Load.Done + r.Load.Failed; n > 0 {
		return float64(r.Load.Failed) / float64(n)
	}
	return 0
}
