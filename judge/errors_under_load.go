package judge

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/premortem/premortem"
)

// fewestErrors that may be called a rise: fewer are an accident.
const fewestErrors = 5

// ErrorsUnderLoad is a route that fails when the load rises.
var ErrorsUnderLoad = add(Sign{
	Name:     "errors-under-load",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "requests fail under load that succeed without it",
		Why:   "Users see an error page or nothing at all, and whatever they were doing is lost or done twice.",
		When: "At least five requests of a route fail under load, and the share that fails is above the share at normal load " +
			"by more than chance explains, or above the objective. The finding says with which status or error.",
		Silent: "Errors that occur at normal load in the same share: a journey that does not fit the application is not a limit. " +
			"One to four errors.",
		Fix: "Look at the kind of error: a timeout or a refused connection points at what is full, a status 500 at the " +
			"log line of its moment.",
	},
	Look:   lookErrorsUnderLoad,
	rank:   10,
	routes: func(_ *premortem.Trial, f premortem.Finding) []string { return []string{f.Subject} },
})

func lookErrorsUnderLoad(t *premortem.Trial, report func(premortem.Finding)) {
	ex := examine(t)
	during := t.Phase("during")
	if during == nil || !ex.credible {
		return
	}
	for i := range during.Routes {
		r := &during.Routes[i]
		if r.Errors < fewestErrors || r.Count == 0 {
			continue
		}
		lost := slices.ContainsFunc(ex.broken, func(b premortem.Broken) bool { return b.Route == r.Route && b.What == "errors" })
		normal, known := 0.0, false
		if before := t.Phase("before"); before != nil {
			if b := before.Route(r.Route); b != nil && b.Count > 0 {
				normal, known = ratio(float64(b.Errors), float64(b.Count)), true
				_, high := wilson(b.Errors, b.Count, confident)
				low, _ := wilson(r.Errors, r.Count, confident)
				if low <= high {
					continue
				}
			}
		}
		if !known && !lost {
			continue
		}
		report(errorsFinding(t, ex, r, lost, normal))
	}
}

func errorsFinding(t *premortem.Trial, ex *exam, r *premortem.RouteStats, lost bool, normal float64) premortem.Finding {
	during := t.Phase("during")
	now := ratio(float64(r.Errors), float64(r.Count))
	f := premortem.Finding{Node: entry(during), Subject: r.Route, Severity: premortem.Slow}
	if lost {
		f.Severity = premortem.Down
	}
	kinds := kindsOf(r.Kinds)
	f.Says = fmt.Sprintf("%s of %s fail %s", share(now), r.Route, at(t))
	if len(kinds) > 0 {
		f.Says += ", most with " + kinds[0].name
	}
	m := func(signal, unit string, before, now float64) *premortem.Measure {
		return &premortem.Measure{Signal: signal, Trial: t.Experiment.Name, Before: before, During: now, Unit: unit}
	}
	f.Evidence = []premortem.Evidence{{
		Says:    fmt.Sprintf("%s of %s requests failed, which is %s; %s at normal load", count(r.Errors), count(r.Count), share(now), share(normal)),
		Measure: m("request_errors", "share", normal, now),
	}}
	for _, k := range kinds[:min(len(kinds), 3)] {
		f.Evidence = append(f.Evidence, premortem.Evidence{
			Says:    fmt.Sprintf("%s: %s", k.name, plural(int(k.n), "request", "requests")),
			Measure: m("request_errors_"+k.name, "requests", 0, float64(k.n)),
		})
	}
	if l := loudest(t, during); l != nil {
		f.Evidence = append(f.Evidence, premortem.Evidence{
			Says:    fmt.Sprintf("%s logged %s: %s", l.Node.Name(), plural(int(l.Count), "time", "times"), short(l.Template)),
			Measure: &premortem.Measure{Signal: "log_lines", Node: l.Node, Trial: t.Experiment.Name, During: float64(l.Count), Unit: "lines"},
		})
	}
	f.Evidence = append(f.Evidence, brokenEvidence(t, ex, r.Route)...)
	f.Fix.Says = "find what returns the error: " + errorHint(kinds)
	return f
}

// entry is the service that answers users: the only one that calls others and is
// not called itself; "" when there is none or several.
func entry(p *premortem.Phase) premortem.Node {
	called := map[premortem.Node]bool{}
	for i := range p.Calls {
		called[p.Calls[i].To] = true
	}
	var out premortem.Node
	for i := range p.Calls {
		switch from := p.Calls[i].From; {
		case from.Kind() != "service" || called[from] || from == out:
		case out != "":
			return ""
		default:
			out = from
		}
	}
	return out
}

type kind struct {
	name string
	n    uint64
}

// kindsOf orders kinds of errors, the most frequent first.
func kindsOf(m map[string]uint64) []kind {
	var out []kind
	for name, n := range m {
		if n > 0 {
			out = append(out, kind{name, n})
		}
	}
	slices.SortFunc(out, func(a, b kind) int { return cmp.Or(-cmp.Compare(a.n, b.n), cmp.Compare(a.name, b.name)) })
	return out
}

func errorHint(kinds []kind) string {
	if len(kinds) == 0 {
		return "the trial does not say of which kind it is"
	}
	switch kinds[0].name {
	case "timeout":
		return "requests time out, so look at what they wait for"
	case "reset", "refused":
		return "connections are " + kinds[0].name + ", so look at restarts, backlog and limits of the process"
	case "429", "503":
		return "status " + kinds[0].name + " is a limit that somebody set"
	}
	return "look at the log lines of those requests"
}

// loudest is the most frequent error line that normal load did not write.
func loudest(t *premortem.Trial, during *premortem.Phase) *premortem.LogStats {
	known := map[string]bool{}
	if before := t.Phase("before"); before != nil {
		for _, l := range before.Logs {
			known[string(l.Node)+"\x00"+l.Template] = true
		}
	}
	var best *premortem.LogStats
	for i := range during.Logs {
		l := &during.Logs[i]
		if !slices.Contains([]string{"error", "fatal", "critical", "ERROR", "FATAL"}, l.Level) || known[string(l.Node)+"\x00"+l.Template] {
			continue
		}
		if best == nil || cmp.Or(-cmp.Compare(l.Count, best.Count), cmp.Compare(l.Node, best.Node), cmp.Compare(l.Template, best.Template)) < 0 {
			best = l
		}
	}
	return best
}
