// Package judge says what numbers mean. It reads a Trial and nothing else: no
// clock, no file, no process. The same Trial gives the same verdict and the same
// findings, byte for byte, in whatever order its lists came.
//
// It refuses to answer when the record does not carry the answer: too few
// requests, a generator that could not keep up, a load that was never offered.
// Such a trial is Unknown and the verdict says why.
package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// Judge answers the trial's question and names what it found on the way.
//
// Fails means that at least one objective was missed beyond what chance explains,
// Holds that every objective that was exercised was met, Unknown anything else;
// Doubts then says what was missing. Verdict.Findings holds keys, the cause of the
// first broken route first; after a failure only findings that concern a broken
// route are in it. A nil or empty Trial is Unknown.
func Judge(t *premortem.Trial) (premortem.Verdict, []premortem.Finding) {
	if t == nil {
		t = &premortem.Trial{}
	}
	ex := examine(t)
	v := premortem.Verdict{
		Experiment: t.Experiment, Answer: ex.answer, Says: ex.says, First: ex.first(),
		Findings: []string{}, Doubts: ex.doubts, Broken: ex.broken,
	}
	if ex.answer == premortem.Fails {
		v.Onsets = onsets(t)
	}
	found := diagnose(t, ex)
	if ex.own(t, found) {
		v.Broken, v.First, v.Says = ex.broken, ex.first(), ex.says
	}
	for i, f := range found {
		if v.Answer != premortem.Fails || concerns(t, f, ex) {
			if len(v.Findings) == 0 {
				found[i].Evidence = withOrder(f.Evidence, v.Onsets, v.First)
			}
			v.Findings = append(v.Findings, f.Key())
		}
	}
	if v.Answer == premortem.Fails && len(v.Findings) == 0 {
		v.Doubts = append(v.Doubts, "no sign explains the broken objective; the cause is not known")
	}
	return v, found
}

// own puts the broken route that makes the cause itself before the routes that only
// wait behind it, whichever was late by more: that is chance, and changes from run
// to run. It reports whether anything moved.
func (ex *exam) own(t *premortem.Trial, found []premortem.Finding) bool {
	if len(ex.broken) < 2 || len(found) == 0 {
		return false
	}
	cause := found[0]
	s := signNamed(cause.Rule)
	if s.makes == nil || !concerns(t, cause, ex) {
		return false
	}
	makes := s.makes(t, cause)
	if !ex.brokeAny(makes) || slices.Contains(makes, ex.first()) {
		return false
	}
	slices.SortStableFunc(ex.broken, func(a, b premortem.Broken) int {
		return firstIf(slices.Contains(makes, a.Route)) - firstIf(slices.Contains(makes, b.Route))
	})
	ex.says = ex.failure() + ex.assumption()
	return true
}

// exam is a trial with its objectives counted.
type exam struct {
	trial    *premortem.Trial
	answer   premortem.Answer
	says     string
	doubts   []string
	broken   []premortem.Broken // worst first; empty unless answer is Fails
	already  string             // what fails at normal load, "" nothing
	assumed  bool               // no objective was declared
	credible bool               // the load of "during" was offered as planned, and nothing else spoiled the answer
}

func (ex *exam) first() string {
	if len(ex.broken) == 0 {
		return ""
	}
	return ex.broken[0].Route
}

// broke reports whether an objective of the route did not hold.
func (ex *exam) broke(route string) bool {
	return slices.ContainsFunc(ex.broken, func(b premortem.Broken) bool { return b.Route == route })
}

// brokeAny reports whether an objective of one of the routes did not hold.
func (ex *exam) brokeAny(routes []string) bool { return slices.ContainsFunc(routes, ex.broke) }

// examine counts every objective in both phases and decides the answer.
func examine(t *premortem.Trial) *exam {
	ex := &exam{trial: t, doubts: append([]string{}, t.Doubts...), broken: []premortem.Broken{}}
	during := t.Phase("during")
	if during == nil {
		ex.says = "nothing was measured under load"
		ex.doubt("the trial has no phase \"during\"")
		return ex
	}
	ex.assumed = !declares(t)
	now := weigh(t, during)
	if len(now) == 0 {
		ex.says = "no route with an objective was called under load"
		ex.doubt("no route with an objective was called under load")
		return ex
	}
	ex.noteUncalled(during, now)
	trouble := instrument(t, during, tightest(now))
	ex.credible = len(trouble) == 0
	ex.decide(during, now, trouble)
	if ex.answer == premortem.Holds {
		ex.credible = true // it held with less of the machine than it should have had
	}
	ex.says += ex.assumption()
	return ex
}

// assumption says what was asked where nothing is declared, "" elsewhere.
func (ex *exam) assumption() string {
	if !ex.assumed {
		return ""
	}
	return "; no objective is declared, so " + assumedText + " was asked of every route"
}

func (ex *exam) doubt(s string) { ex.doubts = append(ex.doubts, s) }

// decide turns the outcomes and the health of the instrument into one answer.
func (ex *exam) decide(during *premortem.Phase, now []outcome, trouble []trouble) {
	t := ex.trial
	for _, tr := range trouble {
		ex.doubt(tr.says)
	}
	failed := only(now, premortem.Fails)
	if len(failed) > 0 && excused(trouble, failed, during) {
		// The objective is lost in the time after the request had left us, so our
		// own lateness is not what broke it.
		ex.credible = true
		ex.fail(failed)
		return
	}
	if len(trouble) > 0 && (len(failed) > 0 || len(only(now, premortem.Unknown)) > 0 || !onlyForeign(trouble)) {
		ex.says = blindness(trouble)
		return
	}
	for _, o := range now {
		if o.caveat != "" {
			ex.doubt(o.caveat)
		}
	}
	if weak := faint(now); weak != "" {
		ex.doubt(weak)
	}
	if open := only(now, premortem.Unknown); len(open) > 0 {
		how := tooClose
		if open[0].n < fewest {
			how = notDecided
		}
		ex.says = undecided(t, how) + ": " + open[0].caveat
		return
	}
	if a, sent := during.Load.Abandoned, during.Load.Sent; a > 10 && float64(a) > 0.05*float64(sent) {
		ex.says = fmt.Sprintf("%s: %s of %s requests were still open when the load ended", undecided(t, notDecided), count(a), count(sent))
		ex.doubt(fmt.Sprintf("%s requests had no answer when the phase ended, so their times are not counted", count(a)))
		return
	}
	if before := ex.normal(); len(before) > 0 {
		ex.says = fmt.Sprintf("normal load already breaks %s, yet %s it held: the two phases contradict each other", before[0].what(), at(t))
		ex.doubt("an objective failed at normal load and held under more")
		return
	}
	ex.answer = premortem.Holds
	ex.says = "every objective that was exercised holds " + at(t) + closest(now)
}

const (
	tooClose   = "too close to call" // enough answers, on both sides of the objective
	notDecided = "not decided"
)

// undecided begins the sentence of a trial without an answer: "4× users is too close
// to call".
func undecided(t *premortem.Trial, how string) string {
	if what, ok := strings.CutPrefix(at(t), "at "); ok {
		return what + " is " + how
	}
	return how + " " + at(t)
}

// fail records the broken objectives, worst first.
func (ex *exam) fail(failed []outcome) {
	t := ex.trial
	ex.answer = premortem.Fails
	before := t.Phase("before")
	for _, o := range failed {
		b := premortem.Broken{Route: o.goal.route, What: o.goal.name, Limit: o.goal.limit, Was: o.was, Pos: o.goal.pos}
		if before != nil {
			if r := before.Route(o.goal.route); r != nil {
				_, _, b.Before = o.goal.count(r)
			}
		}
		ex.broken = append(ex.broken, b)
	}
	if normal := ex.normal(); len(normal) > 0 {
		ex.already = normal[0].what()
		ex.doubt("an objective fails at normal load already")
	}
	ex.says = ex.failure()
}

// failure says the first broken objective, and how many more routes break.
func (ex *exam) failure() string {
	says := outcomeOf(ex.broken[0]).what() + " " + at(ex.trial)
	routes := map[string]bool{}
	for _, b := range ex.broken {
		routes[b.Route] = true
	}
	if n := len(routes); n > 1 {
		says += fmt.Sprintf(", and %s too", plural(n-1, "more route breaks", "more routes break"))
	}
	if ex.already != "" {
		says = "normal load already breaks " + ex.already + "; " + says
	}
	return says
}

// normal returns the objectives that fail before anything was scaled.
func (ex *exam) normal() []outcome {
	before := ex.trial.Phase("before")
	if before == nil {
		return nil
	}
	now := weigh(ex.trial, before)
	failed := only(now, premortem.Fails)
	trouble := instrument(ex.trial, before, tightest(now))
	if len(trouble) == 0 || excused(trouble, failed, before) || onlyForeign(trouble) && len(failed) == 0 {
		return failed
	}
	ex.doubt("at normal load: " + trouble[0].says)
	return nil
}

// noteUncalled doubts objectives whose routes nobody called under load.
func (ex *exam) noteUncalled(during *premortem.Phase, now []outcome) {
	seen := map[string]bool{}
	for _, o := range now {
		seen[o.goal.route] = true
	}
	var missing []string
	for _, o := range ex.trial.Objectives {
		if o.Route != "*" && o.Route != "" && !seen[o.Route] && promises(o) {
			missing = append(missing, o.Route)
		}
	}
	if before := ex.trial.Phase("before"); before != nil && !during.Load.Stopped {
		for _, r := range before.Routes {
			if r.Count > 0 && !seen[r.Route] && len(goalsOf(ex.trial, r.Route)) > 0 {
				missing = append(missing, r.Route)
			}
		}
	}
	slices.Sort(missing)
	for _, r := range slices.Compact(missing) {
		ex.doubt(r + " has an objective and was not called under load")
	}
}

// at is "at 2× calls", "at normal load" or "with the fault in place".
func at(t *premortem.Trial) string {
	x := dimension(t.Experiment)
	by := t.Experiment.Scale.Of(x)
	var parts []string
	switch {
	case by != 1 && by > 0:
		parts = append(parts, "at "+times(by)+" "+x)
	case t.Experiment.Fault == "":
		parts = append(parts, "at normal load")
	}
	if t.Experiment.Fault != "" {
		parts = append(parts, "under "+t.Experiment.Fault)
	}
	return strings.Join(parts, " ")
}

// dimension is the X of an experiment, from its scale where it does not say.
func dimension(e premortem.Experiment) string {
	switch {
	case e.X != "":
		return e.X
	case e.Scale.Users != 0:
		return "users"
	case e.Scale.Rows != 0:
		return "rows"
	}
	return "calls"
}
