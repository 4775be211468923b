package judge

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// Merge folds findings with one key into one: the strongest of them (shown before
// suspected before cleared, then the worst, then the one that explains the most
// time), with a proof if any of them has one. A finding that stood on its own in
// one trial stands on its own; a cause that is not in the list is forgotten. The
// result is in the order in which a person should read it.
func Merge(found []premortem.Finding) []premortem.Finding {
	groups := map[string][]premortem.Finding{}
	for _, f := range found {
		groups[f.Key()] = append(groups[f.Key()], f)
	}
	out := []premortem.Finding{}
	for _, g := range groups {
		slices.SortStableFunc(g, strongest)
		best := g[0]
		for _, f := range g[1:] {
			if best.Fix.Proof == nil {
				best.Fix.Proof = f.Fix.Proof
			}
			if best.Fix.Try == nil {
				best.Fix.Try = f.Fix.Try
			}
			if f.Because == "" && f.Standing == best.Standing && f.Severity == best.Severity {
				best.Because = ""
			}
		}
		out = append(out, best)
	}
	for i := range out {
		if _, ok := groups[out[i].Because]; !ok || out[i].Because == out[i].Key() {
			out[i].Because = ""
		}
	}
	slices.SortFunc(out, func(a, b premortem.Finding) int { return cmp.Compare(a.Key(), b.Key()) })
	premortem.SortFindings(out)
	return out
}

func strongest(a, b premortem.Finding) int {
	rank := func(s premortem.Standing) int {
		switch s {
		case premortem.Shown:
			return 0
		case premortem.Suspected:
			return 1
		}
		return 2
	}
	return cmp.Or(
		cmp.Compare(rank(a.Standing), rank(b.Standing)),
		-cmp.Compare(a.Severity, b.Severity),
		-cmp.Compare(weight(&a), weight(&b)),
		strings.Compare(a.Says, b.Says),
		strings.Compare(text(a), text(b)))
}

// text tells findings apart that agree in everything else, so that their order
// does not depend on the order in which they came.
func text(f premortem.Finding) string {
	b, err := json.Marshal(f)
	if err != nil {
		return f.Says
	}
	return string(b)
}
