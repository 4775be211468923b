package judge

import (
	"fmt"
	"slices"

	"github.com/premortem/premortem"
)

const (
	hotWaiters = 3    // at once for one row
	hotShare   = 0.05 // of the samples
)

// HotRow is one row that everybody changes.
var HotRow = add(Sign{
	Name:     "hot-row",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title:  "transactions queue for one row",
		Why:    "A counter, a stock or a balance that every request changes is changed by one at a time. More clients make it slower, not faster.",
		When:   "At least three sessions at once wait for the lock of one row, in a twentieth of the samples.",
		Silent: "Waits for whole tables; two that meet by chance; a database that was not watched.",
		Fix:    "Change the row last in the transaction, spread it over several rows that are summed, or INSERT differences and roll them up.",
	},
	Look: func(t *premortem.Trial, report func(premortem.Finding)) {
		ex := examine(t)
		for _, h := range hotRows(t) {
			report(hotFinding(t, ex, h))
		}
	},
	rank:   0,
	routes: hotRoutes,
	explains: func(_ *premortem.Trial, cause, effect premortem.Finding) bool {
		switch effect.Rule {
		case "lock-wait":
			return effect.Node == cause.Node
		case "pool-exhausted":
			return effect.Subject == string(cause.Node)
		}
		return false
	},
})

// hotRoutes are the routes that write to the table of a hot row.
func hotRoutes(t *premortem.Trial, f premortem.Finding) []string {
	var out []string
	for _, u := range usesOf(t) {
		if f.Subject == tableOf(u.op) && !reads(u.op) {
			out = append(out, u.route)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// hotRows are the rows that were waited for often, one of each table.
func hotRows(t *premortem.Trial) []premortem.HotRow {
	during := t.Phase("during")
	if during == nil || !during.Database.Watched || during.Database.Samples == 0 {
		return nil
	}
	var out []premortem.HotRow
	for _, h := range during.Database.HotRows {
		if h.Waiters < hotWaiters || float64(h.Samples) < hotShare*float64(during.Database.Samples) {
			continue
		}
		i := slices.IndexFunc(out, func(o premortem.HotRow) bool { return o.Table == h.Table })
		switch {
		case i < 0:
			out = append(out, h)
		case h.Samples > out[i].Samples || h.Samples == out[i].Samples && h.Query < out[i].Query:
			out[i] = h
		}
	}
	slices.SortFunc(out, func(a, b premortem.HotRow) int { return b.Samples - a.Samples })
	return out
}

func hotFinding(t *premortem.Trial, ex *exam, h premortem.HotRow) premortem.Finding {
	during := t.Phase("during")
	store := database(during)
	f := premortem.Finding{Node: store, Subject: h.Table, Severity: premortem.Slow,
		Says: fmt.Sprintf("up to %s wait at once for one row of %s", plural(h.Waiters, "session", "sessions"), h.Table)}
	if routes := hotRoutes(t, f); ex.brokeAny(routes) || len(routes) == 0 && len(ex.broken) > 0 {
		f.Severity = premortem.Down
	}
	for _, u := range usesOf(t) {
		if tableOf(u.op) == h.Table && !reads(u.op) {
			f.Evidence = append(f.Evidence, lines(u.sites, "the row is changed here")...)
		}
	}
	seen := ratio(float64(h.Samples), float64(during.Database.Samples))
	f.Evidence = append(distinct(f.Evidence),
		premortem.Evidence{Says: fmt.Sprintf("in %s of the samples sessions queued for it: %s", share(seen), short(h.Query)), Measure: measureOf(t, store, "hot_row_share", "share", 0, seen)},
		premortem.Evidence{Says: fmt.Sprintf("most at once: %d", h.Waiters), Measure: measureOf(t, store, "hot_row_waiters", "connections", 0, float64(h.Waiters))})
	f.Fix.Says = "take the row of " + h.Table + " last in the transaction, or spread it over several rows"
	return f
}
