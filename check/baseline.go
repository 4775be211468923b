package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// Accepted is one finding of a baseline: what was there when somebody decided to
// look at new findings only. It has no line number, so edits above it do not matter.
type Accepted struct {
	Rule    string         `json:"rule"`
	Node    premortem.Node `json:"node"`
	Subject string         `json:"subject"`
	Pos     premortem.Pos  `json:"-"` // the entry in the baseline's file
}

// Key is the key of the finding that is meant.
func (a Accepted) Key() string {
	f := premortem.Finding{Rule: a.Rule, Node: a.Node, Subject: a.Subject}
	return f.Key()
}

// Baseline marks the findings that a baseline accepts and adds one finding that
// lists the entries which accept nothing any more. findings is not changed. ran are
// the rules that were asked: an entry of another rule is not stale.
func Baseline(findings []premortem.Finding, accepted []Accepted, ran []*Rule) []premortem.Finding {
	out := slices.Clone(findings)
	at := map[string]int{}
	for i := range out {
		at[out[i].Key()] = i
	}
	var gone []premortem.Evidence
	for _, a := range accepted {
		if i, ok := at[a.Key()]; ok {
			if out[i].Suppressed == "" && out[i].Rule != SuppressionStale.ID {
				out[i].Suppressed = "accepted in " + a.Pos.File
			}
			continue
		}
		if r := named(a.Rule); r == nil || slices.Contains(ran, r) {
			gone = append(gone, premortem.Evidence{Says: "accepts " + a.Key(), Pos: a.Pos})
		}
	}
	if len(gone) > 0 {
		says := "the baseline accepts a finding that is not there any more"
		if len(gone) > 1 {
			says = fmt.Sprintf("the baseline accepts %d findings that are not there any more", len(gone))
		}
		out = append(out, filled(SuppressionStale, premortem.Finding{
			Subject:  "baseline",
			Says:     says,
			Evidence: gone,
			Fix:      premortem.Fix{Says: "run premortem check --baseline-update, and commit the file"},
		}))
	}
	premortem.SortFindings(out)
	return out
}

// Accept returns the baseline of these findings: those that count today, and the
// earlier entries of rules that did not run. It is sorted and holds nothing twice.
func Accept(findings []premortem.Finding, earlier []Accepted, ran []*Rule) []Accepted {
	out := []Accepted{}
	for _, a := range earlier {
		if r := named(a.Rule); r != nil && !slices.Contains(ran, r) {
			out = append(out, Accepted{Rule: a.Rule, Node: a.Node, Subject: a.Subject})
		}
	}
	for _, f := range findings {
		if f.Suppressed == "" && f.Rule != SuppressionStale.ID {
			out = append(out, Accepted{Rule: f.Rule, Node: f.Node, Subject: f.Subject})
		}
	}
	slices.SortFunc(out, func(a, b Accepted) int { return strings.Compare(a.Key(), b.Key()) })
	return slices.Compact(out)
}
