package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

const (
	repeats      = 5     // of one operation in one request, from which it is a pattern
	repeatsTime  = 0.050 // seconds that the repetitions take together, from which users notice
	repeatsShare = 0.2   // of the request, likewise
)

// NPlusOne is a request that asks once for a list and then once for each row of it.
var NPlusOne = add(Sign{
	Name:     "n-plus-one",
	Severity: premortem.Slow,
	Doc: premortem.Doc{
		Title: "one request repeats the same call for each row of a list",
		Why: "The request needs as many round trips as the list has rows. On a laptop a round trip is free; in production " +
			"each costs network time and a turn in the queue for a connection, and longer lists cost more of them.",
		When: "The same operation appears at least five times in one traced request, with only its values different. It is " +
			"seen on the wire, so it needs no knowledge of the framework.",
		Silent: "Fewer than five repetitions; transaction control; the same number of repetitions for lists of different " +
			"lengths, which is a fixed loop.",
		Fix: "Ask for all rows at once: a join, one statement with = ANY($1), or the eager loading of the framework.",
	},
	Look:     lookNPlusOne,
	rank:     3,
	routes:   routesOfRepeat,
	explains: repeatExplains,
})

// repeat is one operation that a route repeats.
type repeat struct {
	use
	subject string
	from    premortem.Node
	parent  string  // the operation whose rows it follows, "" not seen
	list    float64 // rows of the parent, median
	grows   bool    // longer lists were seen to repeat it more often
	load    *load   // nil when it was not seen under load
	share   float64 // of the database's time under load
}

func lookNPlusOne(t *premortem.Trial, report func(premortem.Finding)) {
	ex := examine(t)
	for _, r := range repeatsOf(t) {
		report(r.finding(t, ex))
	}
}

// repeatsOf returns every operation that some route repeats, by subject.
func repeatsOf(t *premortem.Trial) []repeat {
	loads := loadsOf(t.Phase("during"))
	var out []repeat
	for _, u := range usesOf(t) {
		if u.calls < repeats || (u.proto == "postgres" && !works(u.op)) || (u.proto != "postgres" && u.proto != "http") {
			continue
		}
		r := repeat{use: u, from: u.to}
		if !r.follow(t) {
			continue
		}
		r.subject = strings.TrimSpace(u.route + " " + cmp.Or(tableOf(u.op), u.op))
		if l := find(loads, u.to, u.op); l != nil {
			r.load, r.share = l, ratio(l.seconds, secondsAt(loads, u.to))
			if len(l.from) == 1 && l.from[0] != "" {
				r.from = l.from[0]
			}
		}
		out = append(out, r)
	}
	return out
}

// follow looks for the list that the repetitions follow. It is false when lists of
// different lengths were repeated equally often: a fixed loop.
func (r *repeat) follow(t *premortem.Trial) bool {
	type pair struct{ rows, calls float64 }
	pairs := map[string][]pair{}
	for i := range t.Traces {
		tr := &t.Traces[i]
		if tr.Route != r.route {
			continue
		}
		at := slices.IndexFunc(tr.Calls, func(c premortem.TraceCall) bool { return c.To == r.to && c.Op == r.op })
		if at < 0 {
			continue
		}
		for _, c := range tr.Calls[:at] {
			if c.Count > 0 && c.Rows > c.Count && c.Op != r.op {
				pairs[c.Op] = append(pairs[c.Op], pair{float64(c.Rows), float64(tr.Calls[at].Count)})
			}
		}
	}
	fixed := false
	for op, ps := range pairs {
		var rows, calls []float64
		for _, p := range ps {
			rows, calls = append(rows, p.rows), append(calls, p.calls)
		}
		if slices.Max(rows) >= 2*slices.Min(rows) {
			if slices.Max(calls) == slices.Min(calls) {
				fixed = true
				continue
			}
			r.grows = true
		}
		// The list is the one whose length is nearest to the number of repetitions.
		near := func(list float64) float64 { return max(list, r.calls) / max(min(list, r.calls), 1) }
		l := median(rows)
		if r.parent == "" || cmp.Or(cmp.Compare(near(l), near(r.list)), cmp.Compare(op, r.parent)) < 0 {
			r.parent, r.list = op, l
		}
	}
	return r.grows || !fixed
}

func (r *repeat) finding(t *premortem.Trial, ex *exam) premortem.Finding {
	during := t.Phase("during")
	loaded := 0.0
	if during != nil {
		loaded = loadedShare(&r.use, r.load, during)
	}
	f := premortem.Finding{Node: r.from, Subject: r.subject, Severity: premortem.Note}
	if r.seconds >= repeatsTime || max(r.use.share(), loaded) >= repeatsShare || ex.broke(r.route) {
		f.Severity = premortem.Slow
	}
	noun := "queries"
	if r.proto != "postgres" {
		noun = "calls"
	}
	f.Says = fmt.Sprintf("%s makes %s %s of one kind", r.route, about(r.calls), noun)
	if r.parent != "" {
		f.Says += fmt.Sprintf(", after a list of %s rows", about(r.list))
		if table := tableOf(r.parent); table != "" {
			f.Says = fmt.Sprintf("%s makes %s %s of one kind, after a list of %s rows of %s", r.route, about(r.calls), noun, about(r.list), table)
		}
	}
	m := func(signal, unit string, before, now float64) *premortem.Measure {
		return &premortem.Measure{Signal: signal, Node: r.to, Trial: t.Experiment.Name, Before: before, During: now, Unit: unit}
	}
	f.Evidence = lines(r.sites, "the repeated call is made here")
	says := fmt.Sprintf("%s: %s times in one request, %s rows together", short(r.op), about(r.calls), about(r.rows))
	if r.grows {
		says += "; longer lists repeat it more often"
	}
	together := fmt.Sprintf("together they take %s of the request's %s when nothing else runs, which is %s", seconds(r.seconds), seconds(r.took), share(r.use.share()))
	if loaded > r.use.share() {
		together += fmt.Sprintf(", and %s of it under load", share(loaded))
	}
	f.Evidence = append(f.Evidence,
		premortem.Evidence{Says: says, Measure: m("calls_per_request", "calls", 0, r.calls)},
		premortem.Evidence{
			Says: together,
			// Under load each waits its turn, so the larger share counts.
			Measure: m(signalRequestShare, "share", r.use.share(), max(r.use.share(), loaded)),
		})
	if r.load != nil {
		f.Evidence = append(f.Evidence, premortem.Evidence{
			Says:    fmt.Sprintf("they are %s of all time spent in %s, %s calls %s", share(r.share), r.to.Name(), count(r.load.calls), at(t)),
			Measure: m(signalDatabaseShare, "share", 0, r.share),
		})
	}
	f.Evidence = append(f.Evidence, brokenEvidence(t, ex, r.route)...)
	f.Fix.Says = "ask for all rows in one call: a join, = ANY($1), or the framework's eager loading"
	return f
}

func routesOfRepeat(t *premortem.Trial, f premortem.Finding) []string {
	var out []string
	for _, r := range repeatsOf(t) {
		if r.subject == f.Subject && r.from == f.Node {
			out = append(out, r.route)
		}
	}
	return slices.Compact(out)
}

// repeatExplains: repetitions explain a full database or pool only where they take
// most of the database's time, and a route's errors only where they take most of it.
func repeatExplains(t *premortem.Trial, cause, effect premortem.Finding) bool {
	for _, r := range repeatsOf(t) {
		if r.subject != cause.Subject || r.from != cause.Node || cause.Severity < premortem.Slow {
			continue
		}
		switch effect.Rule {
		case "pool-exhausted":
			return r.share >= 0.5 && effect.Node == r.from && effect.Subject == string(r.to)
		case "cpu-saturated":
			return r.share >= 0.5 && effect.Node == r.to
		case "errors-under-load":
			return effect.Subject == r.route && measured(&cause, signalRequestShare) >= 0.5
		}
	}
	return false
}
