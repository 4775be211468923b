package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/check"
	"github.com/premortem/premortem/clone"
	"github.com/premortem/premortem/read"
	"github.com/premortem/premortem/rehearse"
)

type rehearseFlags struct {
	output
	cloneFlags
	only   []string
	x      []string
	xGiven bool
	files  []string
	budget time.Duration
	hold   time.Duration
	cap    float64
}

func (p *program) rehearse() *cobra.Command {
	var o rehearseFlags
	cmd := &cobra.Command{
		Use:   "rehearse [DIR]",
		Short: "clone production, double it, break it, judge it",
		Long: `rehearse starts a copy of production on this machine: a real PostgreSQL with
production's number of rows, a real Redis, the app's own processes. It offers normal
load, doubles calls, users and rows until an objective breaks, names the cause, tries
the fix in the clone and measures again.`,
		Example: "  premortem rehearse examples/shop\n  premortem rehearse --budget 2m --x calls,rows\n  premortem rehearse --format json -o report.json",
		Args:    directory,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.xGiven = cmd.Flags().Changed("x")
			return p.runRehearse(o, folder(args))
		},
	}
	f := cmd.Flags()
	o.output.flags(f)
	o.cloneFlags.flags(f)
	f.StringSliceVar(&o.only, "only", nil, "only these rules, separated by commas")
	f.StringSliceVar(&o.x, "x", nil, "only these questions: calls, users, rows")
	f.StringSliceVar(&o.files, "migration", nil, "apply this migration and all that follow it to the clone under load, in their safe form too\n(default: those that migration-locks-table suspects; none: no migration)")
	f.DurationVar(&o.budget, "budget", 5*time.Minute, "time for everything; what was proved by then is reported")
	f.DurationVar(&o.hold, "hold", 0, "measured time of each step (default: as long as the rarest route needs, 4s to 24s)")
	f.Float64Var(&o.cap, "cap", 0, "largest multiple to try (default 16, rows 4)")
	return cmd
}

// sane refuses numbers and questions that mean nothing.
func (o rehearseFlags) sane() error {
	if o.xGiven && len(o.x) == 0 {
		return &premortem.Error{Doing: "read --x", Err: errors.New("it names no question"), Hint: "calls, users, rows; without the flag all are asked"}
	}
	switch {
	case o.budget <= 0:
		return &premortem.Error{Doing: "read --budget", Err: fmt.Errorf("%v is no time to work in", o.budget)}
	case o.hold < 0:
		return &premortem.Error{Doing: "read --hold", Err: fmt.Errorf("%v is no length of a step", o.hold)}
	case o.cap != 0 && o.cap < 1:
		return &premortem.Error{Doing: "read --cap", Err: fmt.Errorf("%g is below 1×", o.cap)}
	}
	for _, x := range o.x {
		if !slices.Contains([]string{"calls", "users", "rows"}, x) {
			return &premortem.Error{Doing: "read --x", Err: fmt.Errorf("unknown question %q; one of: calls, users, rows", x)}
		}
	}
	return nil
}

func (p *program) runRehearse(o rehearseFlags, dir string) error {
	if _, err := o.check(); err != nil {
		return err
	}
	rules, err := check.Only(o.only)
	if err != nil {
		return err
	}
	if err := o.sane(); err != nil {
		return err
	}
	sys, err := read.Dir(p.ctx, dir)
	if err != nil {
		return err
	}
	accepted, err := readBaseline(dir)
	if err != nil {
		return err
	}
	place, err := newRun(dir)
	if err != nil {
		return err
	}
	bar := p.progress(o.quiet)
	defer bar.close()
	opts := rehearse.Options{
		Clone: o.options(dir), Seed: o.seed, Budget: o.budget, Hold: o.hold, Cap: o.cap, Only: o.x, Rules: rules, Accepted: accepted,
		Migrations: o.files,
		Save:       place.trial, Stage: bar.stage, Doing: bar.doing,
	}
	opts.Clone.Logs, opts.Clone.Progress = filepath.Join(place.dir, "logs"), bar.part
	r, err := rehearse.Run(p.ctx, sys, opts)
	bar.close()
	if err != nil {
		place.discard()
		return err
	}
	r.Dir = dir
	quote(dir, r.Findings)
	html := filepath.Join(place.dir, "report.html")
	if err := save(r, "json", filepath.Join(place.dir, "report.json")); err != nil {
		return err
	}
	if err := save(r, "html", html); err != nil {
		return err
	}
	return p.write(r, o.output, html)
}

// cloneFlags are the flags of every command that starts a clone.
type cloneFlags struct {
	driver   string
	seed     int64
	settle   time.Duration
	replicas int
}

func (o *cloneFlags) options(dir string) clone.Options {
	return clone.Options{
		Dir: dir, State: filepath.Join(dir, stateFolder), Driver: o.driver, Seed: o.seed, Settle: o.settle, Replicas: o.replicas,
	}
}

const stateFolder = ".premortem"

// place is the folder of one run.
type place struct{ dir string }

// stateOf makes the folder for premortem's own files, with a .gitignore for what is
// not meant to be committed.
func stateOf(dir string) (string, error) {
	state := filepath.Join(dir, stateFolder)
	if err := os.MkdirAll(state, 0o755); err != nil {
		return "", &premortem.Error{Doing: "make the folder for runs", Err: err, Hint: "premortem writes to .premortem in the repository; make it writable"}
	}
	ignore := filepath.Join(state, ".gitignore")
	if _, err := os.Stat(ignore); err == nil {
		return state, nil
	}
	if err := os.WriteFile(ignore, []byte("runs/\njournal\nlock\n"), 0o644); err != nil {
		return "", &premortem.Error{Doing: "write " + ignore, Err: err}
	}
	return state, nil
}

// newRun makes the folder of a new run, named by the time.
func newRun(dir string) (place, error) {
	state, err := stateOf(dir)
	if err != nil {
		return place{}, err
	}
	runs := filepath.Join(state, "runs")
	if err := os.MkdirAll(runs, 0o755); err != nil {
		return place{}, &premortem.Error{Doing: "make the folder for the run", Err: err}
	}
	id := time.Now().Format("20060102-150405")
	for i := 0; ; i++ {
		name := id
		if i > 0 {
			name = fmt.Sprintf("%s-%d", id, i)
		}
		err := os.Mkdir(filepath.Join(runs, name), 0o755)
		if err == nil {
			return place{filepath.Join(runs, name)}, nil
		}
		if !os.IsExist(err) {
			return place{}, &premortem.Error{Doing: "make the folder for the run", Err: err}
		}
	}
}

// trial saves the record of one experiment.
func (p place) trial(t *premortem.Trial) error {
	dir := filepath.Join(p.dir, "trials")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return &premortem.Error{Doing: "save the trial", Err: err}
	}
	b, err := json.MarshalIndent(t, "", " ")
	if err != nil {
		return &premortem.Error{Doing: "save the trial " + t.Experiment.Name, Err: err}
	}
	name := strings.NewReplacer("/", "-", " ", "-").Replace(t.Experiment.Name) + ".json"
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
		return &premortem.Error{Doing: "save the trial", Err: err, Hint: "free some disk space"}
	}
	return nil
}

// discard removes the folder of a run that came to nothing, unless it holds trials
// or logs that somebody will want to read.
func (p place) discard() { _ = os.Remove(p.dir) }
