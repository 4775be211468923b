package judge

import (
	"cmp"
	"slices"

	"github.com/premortem/premortem"
)

// sight is a finding as one broken trial showed it.
type sight struct {
	finding  premortem.Finding
	x        string
	multiple float64
	trial    string
}

// atFirstBreak returns the measured findings with the sentence and the evidence of
// the trial in which they broke something first. Merge keeps the strongest sight of
// each, which is the one with the most overload: true, but not the boundary, and
// another one in every run. Where a fix was proved on one X, that X counts first, so
// that the proof starts from the numbers that are shown.
func atFirstBreak(shown []premortem.Finding, trials []*premortem.Trial) []premortem.Finding {
	sights := map[string][]sight{}
	for _, t := range trials {
		if t == nil || t.Experiment.Tried != "" {
			continue
		}
		v, found := Judge(t)
		if v.Answer != premortem.Fails {
			continue
		}
		x := dimension(t.Experiment)
		for _, f := range found {
			if slices.Contains(v.Findings, f.Key()) {
				sights[f.Key()] = append(sights[f.Key()], sight{f, x, t.Experiment.Scale.Of(x), t.Experiment.Name})
			}
		}
	}
	proved := ""
	for i := range shown {
		if p := shown[i].Fix.Proof; p != nil && (proved == "" || p.X < proved) {
			proved = p.X
		}
	}
	out := slices.Clone(shown)
	for i := range out {
		f := &out[i]
		seen := slices.DeleteFunc(sights[f.Key()], func(s sight) bool {
			return s.finding.Standing != f.Standing || s.finding.Severity != f.Severity
		})
		if len(seen) == 0 {
			continue
		}
		first := slices.MinFunc(seen, func(a, b sight) int {
			return cmp.Or(firstIf(a.x == proved)-firstIf(b.x == proved), cmp.Compare(a.multiple, b.multiple),
				cmp.Compare(a.trial, b.trial), cmp.Compare(text(a.finding), text(b.finding)))
		})
		f.Says, f.Evidence = first.finding.Says, first.finding.Evidence
	}
	return out
}
