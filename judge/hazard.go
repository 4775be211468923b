package judge

import (
	"cmp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// hazard is a statement that was explained, executed under load, and whose plan shows
// something that grows.
type hazard struct {
	plan  *premortem.Plan
	load  *load
	uses  []use
	share float64 // of the database's time under load
}

// hazardsOf returns the plans of statements that were called under load and that have
// what is asked for, the heaviest first, one of each subject.
func hazardsOf(t *premortem.Trial, has func(*premortem.Plan) bool) []hazard {
	during := t.Phase("during")
	loads, uses := loadsOf(during), usesOf(t)
	var out []hazard
	for i := range t.Plans {
		p := &t.Plans[i]
		l := find(loads, "", p.Op)
		if l == nil || l.calls < scanCalls || !has(p) {
			continue
		}
		h := hazard{plan: p, load: l, share: ratio(l.seconds, secondsAt(loads, l.to))}
		for _, u := range uses {
			if u.op == p.Op && u.to == l.to {
				h.uses = append(h.uses, u)
			}
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b hazard) int {
		return cmp.Or(-cmp.Compare(a.load.seconds, b.load.seconds), cmp.Compare(a.plan.Op, b.plan.Op))
	})
	return out
}

// subject names a hazard: its route where one is known, and its table.
func (h *hazard) subject() string {
	route := ""
	if len(h.uses) > 0 {
		route = h.uses[0].route
	}
	return strings.TrimSpace(route + " " + tableOf(h.plan.Op))
}

func (h *hazard) routes() []string {
	var out []string
	for _, u := range h.uses {
		out = append(out, u.route)
	}
	return slices.Compact(out)
}

// severity is what users feel: a statement that takes most of a broken route stops it.
func (h *hazard) severity(t *premortem.Trial, ex *exam) premortem.Severity {
	for i := range h.uses {
		u := &h.uses[i]
		loaded := max(u.share(), loadedShare(u, h.load, t.Phase("during")))
		switch {
		case ex.broke(u.route) && loaded >= 0.5:
			return premortem.Down
		case ex.broke(u.route) || loaded >= 0.5 && h.load.mean() >= scanCall:
			return premortem.Slow
		}
	}
	return premortem.Note
}

// finding begins a finding about a hazard: its lines, and what it costs under load.
func (h *hazard) finding(t *premortem.Trial, ex *exam, says string, numbers ...premortem.Evidence) premortem.Finding {
	f := premortem.Finding{Node: h.load.to, Subject: h.subject(), Severity: h.severity(t, ex), Says: says}
	sites := h.plan.Sites
	if len(sites) == 0 && len(h.uses) > 0 {
		sites = h.uses[0].sites
	}
	f.Evidence = append(lines(sites, "the statement is made here"), numbers...)
	alone := max(h.plan.Seconds, 0)
	f.Evidence = append(f.Evidence, premortem.Evidence{
		Says:    short(h.plan.Op) + ": one call takes " + seconds(alone) + " alone, " + seconds(h.load.mean()) + " " + at(t),
		Measure: measureOf(t, h.load.to, "call_seconds_mean", "s", alone, h.load.mean())},
		premortem.Evidence{Says: "it is " + share(h.share) + " of all time spent in " + h.load.to.Name(),
			Measure: measureOf(t, h.load.to, signalDatabaseShare, "share", 0, h.share)})
	for _, route := range h.routes() {
		if ex.broke(route) {
			f.Evidence = append(f.Evidence, brokenEvidence(t, ex, route)...)
			break
		}
	}
	return f
}

func measureOf(t *premortem.Trial, n premortem.Node, signal, unit string, before, during float64) *premortem.Measure {
	return &premortem.Measure{Signal: signal, Node: n, Trial: t.Experiment.Name, Before: before, During: during, Unit: unit}
}

// hazardRoutes are the routes of the hazard that a finding is about.
func hazardRoutes(has func(*premortem.Plan) bool) func(*premortem.Trial, premortem.Finding) []string {
	return func(t *premortem.Trial, f premortem.Finding) []string {
		var out []string
		for _, h := range hazardsOf(t, has) {
			if h.subject() == f.Subject && h.load.to == f.Node {
				out = append(out, h.routes()...)
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
}

// hazardExplains: a statement accounts for a full database or pool where it takes most
// of the database's time, and for the errors of its own routes.
func hazardExplains(has func(*premortem.Plan) bool) func(*premortem.Trial, premortem.Finding, premortem.Finding) bool {
	return func(t *premortem.Trial, cause, effect premortem.Finding) bool {
		if cause.Severity < premortem.Slow {
			return false
		}
		switch effect.Rule {
		case "cpu-saturated", "pool-exhausted":
			return measured(&cause, signalDatabaseShare) >= 0.5 && (effect.Node == cause.Node || effect.Subject == string(cause.Node))
		case "errors-under-load":
			return slices.Contains(hazardRoutes(has)(t, cause), effect.Subject)
		}
		return false
	}
}
