package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/check"
	"github.com/premortem/premortem/read"
)

const checkLong = `check reads Compose, Kubernetes, Terraform, Dockerfiles, migrations and code, and
compares what each of them says. It runs nothing of the repository and goes nowhere.

--diff REV reports only what this checkout introduced since it left REV, judged on the
whole model of both: a new read without a provider in an untouched manifest counts.
REV's files are read with git, uncommitted changes belong to the new side.

--fix applies the edits that need no person (await in an async function, a plain CMD as
a list, npm ci, a line of .dockerignore) and checks again; --fix --dry-run prints them
as a patch. What needs a person has its patch in the report.

--baseline-update writes .premortem/baseline.json, which is meant to be committed:
what it lists is not shown and fails nothing.

--self-test plants faults in the repository, in memory and one at a time, and tells
how many of them are caught: by the rule, by another one about the same node, by none.

What was read is remembered in the user's cache folder (~/.cache/premortem on Linux,
~/Library/Caches/premortem on a Mac) and used again while no file that was read has
changed. It holds no secret. --no-cache and PREMORTEM_NO_CACHE=1 switch it off.`

// check returns the command, and the function that gives its flags to another.
func (p *program) check() (*cobra.Command, func(*cobra.Command)) {
	var o output
	var w wish
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "find what will break from the files alone; nothing is run",
		Long:  checkLong,
		Example: `  premortem check
  premortem check --only env-missing,image-floating examples/shop
  premortem check --diff origin/main --format github
  premortem check --fix --dry-run > fixes.patch
  premortem check --format sarif -o premortem.sarif
  premortem check --self-test examples/shop`,
		Args: directory,
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := o.check(); err != nil {
				return err
			}
			rules, err := w.chosen()
			if err != nil {
				return err
			}
			dir := folder(args)
			switch {
			case w.selfTest:
				return p.selfTest(dir, rules, w, o)
			case w.dryRun:
				return p.dryRun(dir, rules, w, o)
			case w.accept:
				return p.accept(dir, rules, w)
			}
			r, err := p.examine(dir, rules, w)
			if err == nil && w.fix {
				r, err = p.fix(dir, rules, w, r)
			}
			if err != nil {
				return err
			}
			if err := p.write(r, o, ""); err != nil {
				return err
			}
			if w.allow && p.code == exitUnknown {
				p.code = exitClean
			}
			return nil
		},
	}
	add := func(c *cobra.Command) {
		o.flags(c.Flags())
		w.flags(c)
	}
	add(cmd)
	return cmd, add
}

// wish is what a check was asked to do.
type wish struct {
	only     []string
	pedantic bool
	noInline bool
	allow    bool
	diff     string
	fix      bool
	dryRun   bool
	accept   bool
	selfTest bool
	samples  int
	seed     int64
	budget   time.Duration
	noCache  bool
}

func (w *wish) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVar(&w.only, "only", nil, "only these rules, separated by commas; a pedantic rule that is named runs")
	f.BoolVar(&w.pedantic, "pedantic", false, "also the rules that are right too seldom to be shown unasked")
	f.BoolVar(&w.noInline, "no-inline-suppressions", false, "do not obey premortem:ignore comments")
	f.BoolVar(&w.allow, "allow-unknown", false, "end with exit code 0, not 3, when nothing stands and a question stayed unknown")
	f.StringVar(&w.diff, "diff", "", "only what was introduced since this `REV` of git, uncommitted changes included")
	f.BoolVar(&w.fix, "fix", false, "apply the edits that need no person, then check again")
	f.BoolVar(&w.dryRun, "dry-run", false, "with --fix: print the edits as a patch and write nothing")
	f.BoolVar(&w.accept, "baseline-update", false, "accept what stands today: write .premortem/baseline.json")
	f.BoolVar(&w.selfTest, "self-test", false, "plant faults in memory and tell how many are caught")
	f.IntVar(&w.samples, "samples", 8, "with --self-test: faults per rule at most")
	f.Int64Var(&w.seed, "seed", 1, "with --self-test: which faults are planted when there are more")
	f.BoolVar(&w.noCache, "no-cache", false, "read every file; nothing is remembered (also: PREMORTEM_NO_CACHE=1)")
	f.DurationVar(&w.budget, "budget", 5*time.Minute, "with --self-test: time at most")
	_ = c.RegisterFlagCompletionFunc("only", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var ids []string
		for _, r := range check.Rules() {
			ids = append(ids, r.ID+"\t"+r.Doc.Title)
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	})
}

// chosen are the rules that run. It refuses flags that contradict each other.
func (w *wish) chosen() ([]*check.Rule, error) {
	doing := 0
	for _, on := range []bool{w.fix, w.accept, w.selfTest} {
		if on {
			doing++
		}
	}
	switch {
	case doing > 1:
		return nil, &premortem.Error{Doing: "read the command line", Err: errors.New("--fix, --baseline-update and --self-test exclude each other")}
	case w.dryRun && !w.fix:
		return nil, &premortem.Error{Doing: "read the command line", Err: errors.New("--dry-run needs --fix")}
	case w.diff != "" && (w.accept || w.selfTest):
		return nil, &premortem.Error{Doing: "read the command line", Err: errors.New("--diff goes with neither --baseline-update nor --self-test")}
	case w.selfTest && (w.samples < 1 || w.budget <= 0):
		return nil, &premortem.Error{Doing: "read the command line", Err: errors.New("--samples and --budget must be above zero")}
	}
	if w.pedantic && len(w.only) == 0 {
		return check.Rules(), nil
	}
	return check.Only(w.only)
}

// examine reads the repository and says what stands, what is unknown and, with
// --diff, what of it is new.
func (p *program) examine(dir string, rules []*check.Rule, w wish) (*premortem.Report, error) {
	sys, err := p.look(dir, w)
	if err != nil {
		return nil, err
	}
	r := &premortem.Report{
		Schema: premortem.Schema, Version: premortem.Version, Command: "check", System: sys, Unread: sys.Unread,
		Unknowns: check.Unknowns(sys, rules), Dir: dir,
	}
	accepted, err := readBaseline(dir)
	if err != nil {
		return nil, err
	}
	if w.diff != "" {
		if err := p.compare(r, rules, w, accepted); err != nil {
			return nil, err
		}
		return r, p.ctx.Err()
	}
	r.Findings = judged(sys, check.Run(sys, rules), rules, w, accepted)
	quote(dir, r.Findings)
	return r, p.ctx.Err()
}

// look reads a repository, or remembers what it said if no file changed since.
func (p *program) look(dir string, w wish) (*premortem.System, error) {
	thrifty()
	return read.Cached(p.ctx, dir, memory(w.noCache))
}

// judged marks what the repository silences, inline, in premortem.yaml and in its
// baseline, and adds what of that is stale.
func judged(sys *premortem.System, found []premortem.Finding, rules []*check.Rule, w wish, accepted []check.Accepted) []premortem.Finding {
	if w.noInline {
		loud := *sys
		loud.Suppressions = nil
		for _, s := range sys.Suppressions {
			if !s.Inline {
				loud.Suppressions = append(loud.Suppressions, s)
			}
		}
		sys = &loud
	}
	found = check.Suppress(sys, found, time.Now(), rules...)
	return check.Baseline(found, accepted, rules)
}

// quote fills in the source lines of the evidence.
func quote(dir string, found []premortem.Finding) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return // the reader said so already
	}
	defer root.Close()
	read.Quote(root.FS(), found)
}

// ended is the error of a context that is over, nil while it is not.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}
