package rehearse

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/drive"
	"github.com/premortem/premortem/judge"
	"github.com/premortem/premortem/postgres"
)

const (
	calm     = 4 * time.Second // of load before a migration, to compare with
	echo     = 2 * time.Second // of load after it: the queue drains
	longest  = 10 * time.Minute
	lockRule = "migration-locks-table"
)

// pendingMigrations are those to rehearse: the named files, else those that
// migration-locks-table suspects. Everything that follows the first of them is pending
// too, as the runner would apply it in one go.
func (r *run) pendingMigrations() ([]*premortem.Migration, error) {
	var want []string
	for _, f := range r.o.Migrations {
		if f != "none" {
			want = append(want, path.Clean(f))
		}
	}
	if len(r.o.Migrations) == 0 {
		for _, f := range r.static {
			if f.Rule == lockRule && f.Suppressed == "" {
				want = append(want, f.Pos().File)
			}
		}
	}
	if len(want) == 0 {
		return nil, nil
	}
	for _, file := range want {
		if !slices.ContainsFunc(r.sys.Migrations, func(m *premortem.Migration) bool { return m.Pos.File == file }) {
			return nil, &premortem.Error{Doing: "rehearse the migration " + file, Err: errors.New("no migration of that name was read"),
				Hint: "give its path from the root of the repository, as premortem check shows it"}
		}
	}
	first := slices.IndexFunc(r.sys.Migrations, func(m *premortem.Migration) bool { return slices.Contains(want, m.Pos.File) })
	return r.sys.Migrations[first:], nil
}

// stepsOf are the statements that migrations run on their way up.
func stepsOf(ms []*premortem.Migration) []postgres.Step {
	var out []postgres.Step
	for _, m := range ms {
		apart := true
		for _, st := range m.Statements {
			if !st.Down {
				out = append(out, postgres.Step{SQL: st.SQL, Pos: st.Pos, InTx: st.InTx, Apart: apart})
				apart = false
			}
		}
	}
	return out
}

// migrate applies the pending migrations to the populated clone under normal load, as
// they are written and in their safe form, each on a fresh copy of the database
// before them.
func (r *run) migrate(ctx context.Context) error {
	pending, err := r.pendingMigrations()
	if err != nil || len(pending) == 0 || r.c.Database == nil {
		return err
	}
	steps := stepsOf(pending)
	out := premortem.Rehearsed{Why: []string{}}
	for _, m := range pending {
		out.Files = append(out.Files, m.Pos.File)
	}
	if len(steps) == 0 {
		return fmt.Errorf("nothing in %s was understood as a statement", strings.Join(out.Files, ", "))
	}
	if need := 2*r.rowsTook + 2*(warm+calm+echo) + 10*time.Second; len(r.o.Migrations) == 0 && time.Now().Add(need).After(r.deadline) {
		return fmt.Errorf("no time was left for %s: it needs about %.0f s", strings.Join(out.Files, ", "), need.Seconds())
	}
	began := time.Now()
	err = r.bothForms(ctx, pending, steps, &out)
	r.doubts = append(r.doubts, out.Why...)
	if len(out.Plain.Steps) > 0 {
		r.report.Migrations = append(r.report.Migrations, out)
		r.static = judge.Migrated(r.static, r.c.Database.Node, out)
		r.o.Stage(premortem.Stage{Name: "migration", Says: judge.MigrationSays(out), Took: time.Since(began).Seconds()})
	}
	if ctx.Err() != nil {
		return err
	}
	return errors.Join(err, r.c.Reset(ctx))
}

// bothForms measures the migration as it is written and in its safe form, as far as
// the time goes.
func (r *run) bothForms(ctx context.Context, pending []*premortem.Migration, steps []postgres.Step, out *premortem.Rehearsed) (err error) {
	ctx, cancel := context.WithDeadlineCause(ctx, r.deadline, errors.New("the budget was over"))
	defer cancel()
	r.doing("make the schema before %s", out.Files[0])
	if err := r.c.Before(ctx, pending); err != nil {
		return err
	}
	plain, err := r.migration(ctx, func() ([]postgres.Step, error) { return steps, nil })
	if err != nil {
		return err
	}
	out.Plain = plain
	changed := false
	safe, err := r.migration(ctx, func() (form []postgres.Step, err error) {
		form, changed, out.Why, err = r.c.Database.SafeForm(ctx, steps, out.Plain)
		if !changed {
			form = nil
		}
		return form, err
	})
	if err != nil {
		return fmt.Errorf("the safe form was not tried to its end: %w", err)
	}
	if changed {
		out.Safe = &safe
	}
	return nil
}

// migration applies steps on a fresh copy while normal load runs; none when form gives
// none.
func (r *run) migration(ctx context.Context, form func() ([]postgres.Step, error)) (out premortem.MigrationRun, err error) {
	if err := r.c.ResetBefore(ctx); err != nil {
		return out, err
	}
	steps, err := form()
	if err != nil || len(steps) == 0 {
		return out, err
	}
	r.doing("apply the migration under normal load")
	work := r.load
	work.Rows, work.RowCount = r.c.Database.Rows.Value, r.c.Database.Rows.Count
	load := r.offered("calls", 1)
	load.For = load.Warm + longest
	var done atomic.Bool
	load.Stop = func(drive.Snapshot) bool { return done.Load() }
	var from, to float64 // seconds of the load in which the migration ran
	var got drive.Result
	g, gctx := errgroup.WithContext(ctx)
	start := time.Now().Add(load.Warm)
	g.Go(func() (err error) {
		got, err = drive.Run(gctx, work, load)
		return err
	})
	g.Go(func() (err error) {
		defer done.Store(true)
		if err := pause(gctx, load.Warm+calm); err != nil {
			return err
		}
		from = time.Since(start).Seconds()
		if out, err = r.c.Database.Rehearse(gctx, steps, postgres.Rehearsal{Seed: r.o.Seed}); err != nil {
			return err
		}
		to = time.Since(start).Seconds()
		return pause(gctx, echo)
	})
	if err := g.Wait(); err != nil {
		return out, err
	}
	out.Felt = feltIn(got, from, to)
	return out, nil
}

// pause waits on the clock.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// feltIn is what the load got before the migration and while it ran. An answer counts in
// the second in which it came, so the second after belongs to it: the queue drains.
func feltIn(got drive.Result, from, to float64) *premortem.Felt {
	out := &premortem.Felt{Requests: got.Load.Sent}
	for _, s := range got.Seconds {
		worst := 0.0
		for _, p95 := range s.Routes {
			worst = max(worst, p95)
		}
		switch {
		case s.At+1 <= from:
			out.FailedBefore += s.Failed
			out.P95Before = max(out.P95Before, worst)
			out.InFlightBefore = max(out.InFlightBefore, s.InFlight)
		case s.At <= to+1:
			out.Failed += s.Failed
			out.P95 = max(out.P95, worst)
			out.InFlight = max(out.InFlight, s.InFlight)
		}
	}
	for _, rs := range got.Routes {
		out.Longest = max(out.Longest, rs.Max)
	}
	return out
}
