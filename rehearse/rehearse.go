// Package rehearse is the order of events: it starts a clone of production, offers
// normal load, doubles each X until something breaks, names the cause, tries the fix
// and measures again. It decides when; what numbers mean is decided by judge.
package rehearse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/check"
	"github.com/premortem/premortem/clone"
	"github.com/premortem/premortem/drive"
	"github.com/premortem/premortem/judge"
	"github.com/premortem/premortem/observe"
)

// Options says how much to try. The zero value asks everything within 5 minutes.
type Options struct {
	Clone  clone.Options
	Seed   int64
	Budget time.Duration // for everything; 0 means 5 minutes
	Hold   time.Duration // of one step's measured load; 0 means as long as the rarest route needs, 4 to 24 s
	Cap    float64       // largest multiple that is tried; 0 means 16 (rows: 4)
	Only   []string      // of "calls", "users", "rows"; nil means all
	Rules  []*check.Rule // nil means all that run unasked
	// Accepted is the repository's baseline: what it lists is marked and fails nothing.
	Accepted []check.Accepted
	// Migrations are files that are applied to the clone under normal load, with all that
	// follow the first of them, before anything else is asked. nil takes those that
	// migration-locks-table suspects, when time is left; "none" takes none.
	Migrations []string
	Save       func(*premortem.Trial) error // keeps a trial; nil keeps none
	Stage      func(premortem.Stage)        // a stage ended; nil is allowed
	Doing      func(what string)            // what is being done now; nil is allowed
}

// run is one rehearsal under way.
type run struct {
	o        Options
	sys      *premortem.System
	c        *clone.Clone
	watch    *observe.Watcher
	load     drive.Workload
	deadline time.Time

	traces   []premortem.Trace
	trials   []*premortem.Trial
	verdicts []premortem.Verdict
	static   []premortem.Finding
	shown    []premortem.Finding
	behind   map[string][]premortem.Finding       // of trials with a fix in place, by experiment
	fixed    string                               // name of the fix that is in place, "" none
	fixSQL   string                               // its statement, to be repeated when the database is made anew
	fixCost  *premortem.WriteCost                 // what it costs those who write, nil unknown
	env      map[premortem.Node]map[string]string // its environment, over production's
	poolNow  map[string]int                       // pool sizes that the fix changed, by "node VARIABLE"
	plans    map[string]premortem.Plan
	proofs   map[string]*premortem.Proof // by the key of the finding
	proved   *premortem.Finding          // whose fix was tried, nil none
	asked    []string
	unasked  []unasked
	rowsTook time.Duration // for loading production\'s rows
	baseRows float64       // of the largest table at 1×
	restless bool          // a step left work behind; said once
	doubts   []string
	report   *premortem.Report
}

// overrun is how long a rehearsal may go beyond its budget: clean-up and the end of a
// step that was under way.
const overrun = time.Minute

// xs are the questions, in the order in which they are asked. Rows come last
// because the database grows in place.
var xs = []string{"calls", "users", "rows"}

// Run rehearses the system. The report is complete as far as the budget went; an
// error means that the work could not be done at all, or that ctx ended. Everything
// that was started has been stopped when it returns.
func Run(ctx context.Context, sys *premortem.System, o Options) (_ *premortem.Report, err error) {
	began := time.Now()
	o = o.withDefaults()
	r := &run{o: o, sys: sys, deadline: began.Add(o.Budget), plans: map[string]premortem.Plan{}, proofs: map[string]*premortem.Proof{},
		behind: map[string][]premortem.Finding{}, report: &premortem.Report{
			Schema: premortem.Schema, Version: premortem.Version, Command: "rehearse", Seed: o.Seed,
			Started: began.UTC().Truncate(time.Second), System: sys, Unread: sys.Unread,
		}}
	r.static = check.Run(sys, o.Rules)
	if err := r.ready(); err != nil {
		return nil, err
	}
	// What a step needs is estimated; this is the end for what no estimate foresaw.
	ctx, cancel := context.WithTimeoutCause(ctx, o.Budget+overrun, fmt.Errorf("the budget of %v was over by %v", o.Budget, overrun))
	defer cancel()
	r.doing("start the clone")
	if r.c, err = clone.Start(ctx, sys, r.o.Clone); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.c.Close()) }()
	if err := r.ask(ctx); err != nil {
		return nil, err
	}
	r.finish(began)
	return r.report, nil
}

func (o Options) withDefaults() Options {
	if o.Budget == 0 {
		o.Budget = 5 * time.Minute
	}
	if o.Rules == nil {
		o.Rules = check.Unasked()
	}
	if o.Stage == nil {
		o.Stage = func(premortem.Stage) {}
	}
	if o.Doing == nil {
		o.Doing = func(string) {}
	}
	if o.Save == nil {
		o.Save = func(*premortem.Trial) error { return nil }
	}
	return o
}

// ready refuses what cannot be rehearsed before anything is started, and decides what
// is asked.
func (r *run) ready() error {
	if len(r.sys.Journeys) == 0 {
		return &premortem.Error{
			Doing: "rehearse", Err: errors.New("nothing says what users do"),
			Hint: "write one journey in premortem.yaml under journeys: (premortem init proposes one)",
		}
	}
	base := r.sys.Base
	if !base.Calls.Set() && !base.Users.Set() {
		return &premortem.Error{
			Doing: "rehearse", Err: errors.New("nothing says how much load is normal"),
			Hint: "write it in premortem.yaml: base: {users: 100, calls: 50/s}",
		}
	}
	for _, s := range []premortem.Setting[float64]{base.Calls, base.Users} {
		if s.Set() && !(s.Value > 0) {
			return &premortem.Error{Doing: "rehearse", Pos: s.Pos, Err: errors.New("normal load is nothing"), Hint: "leave the key out, or give it a number above 0"}
		}
	}
	if _, err := r.pendingMigrations(); err != nil {
		return err
	}
	r.asked, r.unasked = r.questions()
	if len(r.asked) == 0 {
		return &premortem.Error{Doing: "rehearse", Err: errors.New(r.unasked[0].says)}
	}
	stage := r.o.Stage
	r.o.Stage = func(s premortem.Stage) {
		if s.Name == "rows" && r.rowsTook == 0 {
			r.rowsTook = time.Duration(s.Took * float64(time.Second))
		}
		r.report.Stages = append(r.report.Stages, s)
		stage(s)
	}
	r.o.Clone.Stage = r.o.Stage
	r.o.Clone.Seed = r.o.Seed
	return nil
}

// unasked is a question that cannot be put to this system, and why.
type unasked struct{ x, says string }

// questions splits what was wanted into what can be asked and what cannot.
func (r *run) questions() (asked []string, not []unasked) {
	think := false
	for _, j := range r.sys.Journeys {
		for _, s := range j.Steps {
			think = think || s.Think > 0
		}
	}
	rows := int64(0)
	for _, w := range r.sys.Database.Rows {
		rows += int64(w.Rows.Value)
	}
	for _, x := range xs {
		why := ""
		switch {
		case r.o.Only != nil && !slices.Contains(r.o.Only, x):
			continue
		case x == "calls" && !r.sys.Base.Calls.Set():
			why = "nothing says how many calls are normal; write base: {calls: 50/s}"
		case x == "users" && !r.sys.Base.Users.Set():
			why = "nothing says how many people are normal; write base: {users: 100}"
		case x == "users" && !think:
			why = "people without pauses are calls; write a pause into a journey: - think: 2s"
		case x == "rows" && len(r.sys.Tables) == 0:
			continue // there is no database to grow
		case x == "rows" && rows == 0:
			why = "nothing says how many rows production has; write database: {rows: {users: 500000}}"
		}
		if why == "" {
			asked = append(asked, x)
		} else {
			not = append(not, unasked{x, why})
		}
	}
	return asked, not
}

// soft turns what went wrong in one part into a doubt, so that the other parts are
// still told. Only the end of ctx ends the run.
func (r *run) soft(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.doubts = append(r.doubts, fmt.Sprintf("%s: %v", doing, err))
	return nil
}

func (r *run) doing(format string, args ...any) { r.o.Doing(fmt.Sprintf(format, args...)) }

// ask puts all questions to the running clone.
func (r *run) ask(ctx context.Context) (err error) {
	r.load = drive.Workload{Journeys: r.sys.Journeys, Seed: r.o.Seed, URLs: r.c.URLs()}
	if all := r.c.Services(); len(all) == 1 {
		r.load.URLs[""] = r.load.URLs[all[0]] // a route that no reader knows can only be its
	}
	if db := r.c.Database; db != nil {
		// Rows of the pristine database exist at every size.
		rows := db.Rows
		r.load.Rows, r.load.RowCount = rows.Value, rows.Count
	}
	if err := drive.Validate(r.load); err != nil {
		return err
	}
	r.doubts = append(r.doubts, r.c.Notes...)
	var blind []string
	r.watch, blind = observe.Watch(ctx, r.c, observe.Probes())
	defer func() { err = errors.Join(err, r.watch.Close()) }()
	r.doubts = append(r.doubts, blind...)

	if err := r.boot(ctx); err != nil {
		return err
	}
	if err := r.trace(ctx); err != nil {
		return err
	}
	if len(r.o.Migrations) > 0 { // somebody asked for it
		if err := r.soft(ctx, "the migration could not be rehearsed", r.migrate(ctx)); err != nil {
			return err
		}
	}
	searches, err := r.searchAll(ctx)
	if err != nil {
		return err
	}
	if err := r.soft(ctx, "the fix could not be tried on the other questions", r.elsewhere(ctx, searches)); err != nil {
		return err
	}
	if len(r.o.Migrations) == 0 {
		if err := r.soft(ctx, "the migration was not rehearsed", r.migrate(ctx)); err != nil {
			return err
		}
	}
	return r.soft(ctx, "the instrument's own cost was not measured", r.cost(ctx))
}

// finish puts the report together.
func (r *run) finish(began time.Time) {
	rep := r.report
	shown := judge.Merge(r.shown)
	for i := range shown {
		if p := r.proofs[shown[i].Key()]; p != nil {
			shown[i].Fix.Proof = p
		}
	}
	keys := judge.Keys(r.static, shown)
	rename := func(key string) string {
		if to, ok := keys[key]; ok {
			return to
		}
		return key
	}
	rep.Unknowns = check.Unknowns(r.sys, r.o.Rules)
	for _, u := range r.unasked {
		rep.Headroom = append(rep.Headroom, premortem.Headroom{X: u.x, Says: "not asked: " + u.says})
	}
	rep.Findings = judge.Confirm(r.static, r.trials, shown)
	rep.Findings = check.Suppress(r.sys, rep.Findings, began, r.o.Rules...)
	rep.Findings = check.Baseline(rep.Findings, r.o.Accepted, nil) // a merged finding has another key: check tells what is stale
	premortem.SortFindings(rep.Findings)
	rep.Verdicts = r.verdicts
	rep.Parity = r.c.Parity
	for i := range rep.Headroom {
		h := &rep.Headroom[i]
		h.Finding = rename(h.Finding)
		if h.Answer == premortem.Unknown {
			rep.Unknowns = append(rep.Unknowns, fmt.Sprintf("%s: %s", h.X, h.Says))
		}
	}
	for i := range rep.Verdicts {
		for j, key := range rep.Verdicts[i].Findings {
			rep.Verdicts[i].Findings[j] = rename(key)
		}
	}
	rep.Doubts = r.doubts
	rep.TookSeconds = time.Since(began).Seconds()
}
