package check

import (
	"fmt"
	"slices"
	"time"

	"github.com/premortem/premortem"
)

// SuppressionStale is reported by Suppress, which alone knows the findings and the
// date.
var SuppressionStale = add(Rule{
	ID:       "suppression-stale",
	Severity: premortem.Note,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "a suppression silences nothing, or has expired",
		Why: `A suppression outlives what it was written for. The next finding that happens to
match is then silenced for a reason that was never true of it.`,
		When: `A suppression in premortem.yaml or in a comment names a rule that finds nothing
there, names no rule at all, or is past the date in its until.`,
		Silent: `The suppression matches a finding and has not expired, or its rule did not run.`,
		Fix:    `Remove the suppression, correct its rule or node, or set a new date.`,
	},
	Run: func(*premortem.System, func(premortem.Finding)) {},
})

// Suppress marks the findings that the repository silences and adds one finding
// for each suppression that silences nothing or has expired by today, and for each
// certificate that ends. findings is not changed. ran are the rules that were asked for these findings, none means
// all: a suppression of a rule that did not run is not stale.
func Suppress(sys *premortem.System, findings []premortem.Finding, today time.Time, ran ...*Rule) []premortem.Finding {
	sys = ordered(sys)
	if len(ran) == 0 {
		ran = all
	}
	findings = append(slices.Clone(findings), expiring(sys, today, ran)...)
	out := slices.Clone(findings)
	report := func(f premortem.Finding) {
		for i := range out {
			if out[i].Key() == f.Key() {
				out[i] = merged(out[i], f)
				return
			}
		}
		out = append(out, f)
	}
	for _, s := range sys.Suppressions {
		if expired(s, today) {
			report(stale(s, fmt.Sprintf("the suppression of %s ended on %s and no longer counts", s.Rule, s.Until)))
			continue
		}
		used := false
		for i := range out {
			if covers(s, &out[i]) {
				used = true
				if out[i].Suppressed == "" {
					out[i].Suppressed = reason(s)
				}
			}
		}
		if used {
			continue
		}
		if says := unused(s, ran, findings); says != "" {
			report(stale(s, says))
		}
	}
	premortem.SortFindings(out)
	return out
}

func expired(s premortem.Suppression, today time.Time) bool {
	return s.Until != "" && today.Format(time.DateOnly) > s.Until
}

func covers(s premortem.Suppression, f *premortem.Finding) bool {
	if s.Rule != f.Rule || (s.Node != "" && s.Node != f.Node) {
		return false
	}
	if !s.Inline {
		return true
	}
	return slices.ContainsFunc(f.Evidence, func(e premortem.Evidence) bool {
		return e.Pos.File == s.Pos.File && (e.Pos.Line == s.Pos.Line || e.Pos.Line == s.Pos.Line+1)
	})
}

func reason(s premortem.Suppression) string {
	if s.Reason == "" {
		return "no reason given"
	}
	return s.Reason
}

// unused says why a suppression that covers nothing is stale, "" when we cannot
// know: the rule did not run, or is a sign that only a rehearsal can see.
func unused(s premortem.Suppression, ran []*Rule, findings []premortem.Finding) string {
	r := named(s.Rule)
	if r == nil {
		near := nearest(s.Rule)
		known := slices.ContainsFunc(findings, func(f premortem.Finding) bool { return f.Rule == s.Rule })
		if !known && distance(near, s.Rule) > 2 {
			return ""
		}
		if !known {
			return fmt.Sprintf("the suppression names %q, which is no rule; the nearest is %s", s.Rule, near)
		}
	} else if !slices.Contains(ran, r) {
		return ""
	}
	where := "anywhere"
	switch {
	case s.Inline:
		where = "on its line or the next"
	case s.Node != "":
		where = "at " + string(s.Node)
	}
	return fmt.Sprintf("the suppression of %s silences nothing: there is no such finding %s", s.Rule, where)
}

func stale(s premortem.Suppression, says string) premortem.Finding {
	subject := s.Rule
	if s.Inline || !s.Pos.Known() {
		subject += " " + s.Pos.File
	}
	if s.Until != "" {
		subject += " until " + s.Until
	}
	return filled(SuppressionStale, premortem.Finding{
		Node:     s.Node,
		Subject:  subject,
		Says:     says,
		Evidence: []premortem.Evidence{{Says: "written here: " + reason(s), Pos: s.Pos}},
		Fix:      premortem.Fix{Says: "remove it, correct its rule or node, or set a new date"},
	})
}
