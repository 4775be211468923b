package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

const (
	unboundedRows  = 1000 // per call, more than anybody reads on a page
	unboundedCalls = 5
)

// StatementUnbounded is a statement that returns as much as there is.
var StatementUnbounded = add(Sign{
	Name:     "statement-unbounded",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "a statement returns as many rows as the table has",
		Why: "The answer grows with the data. The database sends it, the process holds it in memory and turns it into " +
			"objects, and meanwhile serves nobody else.",
		When: "A SELECT without LIMIT returns at least 1,000 rows per call while a request waits for it.",
		Silent: "A statement with a limit; an aggregate; a statement whose rows per call stay the same when the table grows; " +
			"one that no traced request makes.",
		Fix: "Add a limit and page by key, or read through a cursor.",
	},
	Look:   lookStatementUnbounded,
	rank:   2,
	routes: routesOfUnbounded,
	explains: func(t *premortem.Trial, cause, effect premortem.Finding) bool {
		if cause.Severity < premortem.Slow {
			return false
		}
		switch effect.Rule {
		case "event-loop-blocked", "memory-growth", "restarted-under-load":
			return slices.ContainsFunc(unboundedIn(t), func(u unbounded) bool {
				return u.subject == cause.Subject && slices.Contains(u.load.from, effect.Node)
			})
		case "cpu-saturated", "pool-exhausted":
			return measured(&cause, signalDatabaseShare) >= 0.5 && (effect.Node == cause.Node || effect.Subject == string(cause.Node))
		case "errors-under-load":
			return slices.Contains(routesOfUnbounded(t, cause), effect.Subject)
		}
		return false
	},
})

type unbounded struct {
	use
	load    *load
	subject string
	share   float64 // of the database's time under load
}

// unboundedIn returns the statements that a traced request makes and that return
// very many rows, by route and operation.
func unboundedIn(t *premortem.Trial) []unbounded {
	during := t.Phase("during")
	loads, before := loadsOf(during), loadsOf(t.Phase("before"))
	var out []unbounded
	for _, u := range usesOf(t) {
		l := find(loads, u.to, u.op)
		if l == nil || l.calls < unboundedCalls || !reads(u.op) || limited.MatchString(u.op) || grouped.MatchString(u.op) {
			continue
		}
		rows := ratio(float64(l.rows), float64(l.calls))
		if rows < unboundedRows || ratio(u.rows, u.calls) < unboundedRows {
			continue
		}
		if b := find(before, u.to, u.op); b != nil && b.calls >= unboundedCalls && t.Experiment.Scale.Rows >= 1.5 {
			if rows < 1.2*ratio(float64(b.rows), float64(b.calls)) {
				continue // the table grew and the answer did not
			}
		}
		out = append(out, unbounded{use: u, load: l, subject: strings.TrimSpace(u.route + " " + tableOf(u.op)),
			share: ratio(l.seconds, secondsAt(loads, u.to))})
	}
	return out
}

func lookStatementUnbounded(t *premortem.Trial, report func(premortem.Finding)) {
	ex := examine(t)
	during := t.Phase("during")
	for _, u := range unboundedIn(t) {
		loaded := max(u.use.share(), loadedShare(&u.use, u.load, during))
		f := premortem.Finding{Node: u.to, Subject: u.subject, Severity: premortem.Note}
		switch {
		case ex.broke(u.route) && loaded >= 0.5:
			f.Severity = premortem.Down
		case ex.broke(u.route) || loaded >= 0.3:
			f.Severity = premortem.Slow
		}
		rows := ratio(float64(u.load.rows), float64(u.load.calls))
		f.Says = fmt.Sprintf("%s asks %s for %s rows at once", u.route, u.to.Name(), about(rows))
		m := func(signal, unit string, before, now float64) *premortem.Measure {
			return &premortem.Measure{Signal: signal, Node: u.to, Trial: t.Experiment.Name, Before: before, During: now, Unit: unit}
		}
		f.Evidence = append(lines(u.sites, "the statement is made here"),
			premortem.Evidence{Says: fmt.Sprintf("%s: no limit, %s rows per call, %s bytes", short(u.op), about(rows), about(ratio(float64(u.load.bytes), float64(u.load.calls)))),
				Measure: m("rows_per_call", "rows", ratio(u.rows, u.calls), rows)},
			premortem.Evidence{Says: fmt.Sprintf("it is %s of the request", share(loaded)),
				Measure: m(signalRequestShare, "share", u.use.share(), loaded)},
			premortem.Evidence{Says: fmt.Sprintf("it is %s of all time spent in %s", share(u.share), u.to.Name()),
				Measure: m(signalDatabaseShare, "share", 0, u.share)})
		f.Evidence = append(f.Evidence, brokenEvidence(t, ex, u.route)...)
		f.Fix.Says = "give the statement a limit and page by key"
		report(f)
	}
}

func routesOfUnbounded(t *premortem.Trial, f premortem.Finding) []string {
	var out []string
	for _, u := range unboundedIn(t) {
		if u.subject == f.Subject && u.to == f.Node {
			out = append(out, u.route)
		}
	}
	return slices.Compact(out)
}
