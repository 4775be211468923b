package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/clone"
	"github.com/premortem/premortem/read"
)

func (o *cloneFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&o.driver, "driver", "process", "how units are run")
	f.Int64Var(&o.seed, "seed", 1, "decides rows, users, arrivals and values")
	f.DurationVar(&o.settle, "settle", time.Minute, "how long a service may take to become healthy")
	f.IntVar(&o.replicas, "replicas", 0, "of each service at most (default: as production, at most one per core)")
}

func (p *program) clone() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "clone",
		Short:   "hold a copy of production to work against",
		Example: "  premortem clone up examples/shop\n  premortem clone status examples/shop\n  premortem clone down examples/shop",
	}
	cmd.AddCommand(p.cloneUp(), p.cloneStatus(), p.cloneDown())
	return cmd
}

func (p *program) cloneUp() *cobra.Command {
	var o cloneFlags
	var quiet bool
	cmd := &cobra.Command{
		Use:     "up [DIR]",
		Short:   "start the clone and hold it until Ctrl-C or clone down",
		Example: "  premortem clone up examples/shop",
		Args:    directory,
		RunE: func(_ *cobra.Command, args []string) (err error) {
			dir := folder(args)
			sys, err := read.Dir(p.ctx, dir)
			if err != nil {
				return err
			}
			if _, err := stateOf(dir); err != nil {
				return err
			}
			bar := p.progress(quiet)
			defer bar.close()
			opts := o.options(dir)
			opts.Stage, opts.Progress = bar.stage, bar.part
			bar.doing("start the clone")
			c, err := clone.Start(p.ctx, sys, opts)
			bar.close()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, c.Close()) }()
			lines, err := c.Announce()
			if err != nil {
				return err
			}
			for _, l := range lines {
				fmt.Fprintln(p.out, l)
			}
			fmt.Fprintln(p.err, "the clone runs; Ctrl-C or premortem clone down ends it")
			<-p.ctx.Done()
			return nil
		},
	}
	o.flags(cmd.Flags())
	cmd.Flags().BoolVar(&quiet, "quiet", false, "no progress on standard error")
	return cmd
}

func (p *program) cloneStatus() *cobra.Command {
	return &cobra.Command{
		Use:     "status [DIR]",
		Short:   "say whether a clone runs, and where its parts listen",
		Example: "  premortem clone status examples/shop",
		Args:    directory,
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := clone.Status(filepath.Join(folder(args), stateFolder))
			if err != nil {
				return err
			}
			switch {
			case s.Running:
				fmt.Fprintf(p.out, "running, held by process %d\n", s.Owner)
				for _, l := range s.Lines {
					fmt.Fprintln(p.out, l)
				}
			case s.Owner != 0:
				fmt.Fprintln(p.out, "not running; an earlier run died, premortem clone down cleans up after it")
			default:
				fmt.Fprintln(p.out, "not running")
			}
			return nil
		},
	}
}

func (p *program) cloneDown() *cobra.Command {
	return &cobra.Command{
		Use:     "down [DIR]",
		Short:   "end the clone, or clean up after one that died",
		Example: "  premortem clone down examples/shop",
		Args:    directory,
		RunE: func(cmd *cobra.Command, args []string) error {
			state := filepath.Join(folder(args), stateFolder)
			s, err := clone.Status(state)
			if err != nil {
				return err
			}
			if s.Running {
				if err := endOwner(cmd.Context(), state, s.Owner); err != nil {
					return err
				}
				fmt.Fprintf(p.out, "ended the clone of process %d\n", s.Owner)
			}
			did, err := clone.Recover(state)
			for _, d := range did {
				fmt.Fprintln(p.out, d)
			}
			return err
		},
	}
}

// endOwner asks the process that holds the clone to stop and waits for it.
func endOwner(ctx context.Context, state string, pid int) error {
	doing := fmt.Sprintf("end process %d", pid)
	proc, err := os.FindProcess(pid)
	if err != nil {
		return &premortem.Error{Doing: doing, Err: err}
	}
	if err := proc.Signal(syscall.SIGTERM); err != nil {
		return &premortem.Error{Doing: doing, Err: err, Hint: "it belongs to another user; run the command as that user"}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := clone.Status(state)
		if err != nil || !s.Running {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return &premortem.Error{Doing: doing, Err: errors.New("it is still running"), Hint: fmt.Sprintf("kill -9 %d, then run premortem clone down again", pid)}
		}
	}
}
