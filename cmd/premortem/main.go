// Command premortem finds what will break in production before the deploy. This
// package owns flags, streams and exit codes, and nothing else: it is the only one
// that touches the terminal.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/premortem/premortem"
)

// Exit codes; see the contract.
const (
	exitClean   = 0 // everything asked was answered and nothing stands
	exitFound   = 1 // findings stand
	exitFailed  = 2 // the work could not be done
	exitUnknown = 3 // nothing stands, but a question stayed open
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// program is what every command shares.
type program struct {
	out, err io.Writer
	ctx      context.Context
	code     int // set by the command that ran
}

// run is the whole program, for main and for tests.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := interruptible()
	defer stop()
	p := &program{out: stdout, err: stderr, ctx: ctx, code: exitClean}
	root := p.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return p.code
	}
	if ctx.Err() == nil {
		p.complain(err)
		return exitFailed
	}
	// The end was asked for: only what went wrong on the way out is worth telling.
	fmt.Fprintf(p.err, "premortem: %s\n", context.Cause(ctx))
	clean := true
	for e := range each(err) {
		if !errors.Is(e, context.Canceled) && !errors.Is(e, context.Cause(ctx)) {
			clean = false
			p.complain(e)
		}
	}
	if clean {
		fmt.Fprintln(p.err, "premortem: everything that was started has been stopped")
	} else {
		fmt.Fprintln(p.err, "hint: premortem clone down removes what is left")
	}
	return exitFailed
}

// interruptible ends its context at the first Ctrl-C; the second one finds the
// default behaviour again and ends the program at once.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	stop := context.AfterFunc(ctx, func() { signal.Stop(sig) })
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		select {
		case s := <-sig:
			cancel(&stopped{s})
		case <-done:
		}
	})
	return ctx, func() { close(done); wait.Wait(); cancel(nil); stop() }
}

// stopped is the cause of a context that a signal ended.
type stopped struct{ by os.Signal }

func (s *stopped) Error() string { return "stopped by " + s.by.String() }
func (s *stopped) Unwrap() error { return context.Canceled }

// complain prints an error and its hints.
func (p *program) complain(err error) {
	fmt.Fprintf(p.err, "premortem: %s\n", err)
	for e := range each(err) {
		var pe *premortem.Error
		if errors.As(e, &pe) && pe.Hint != "" {
			fmt.Fprintf(p.err, "hint: %s\n", pe.Hint)
		}
	}
}

// each yields the members of a joined error, or the error itself.
func each(err error) func(func(error) bool) {
	return func(yield func(error) bool) {
		if j, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range j.Unwrap() {
				if !yield(e) {
					return
				}
			}
			return
		}
		yield(err)
	}
}

func (p *program) root() *cobra.Command {
	check, flags := p.check()
	root := &cobra.Command{
		Use:   "premortem [command] [DIR]",
		Short: "premortem says what will break in production, why, and which fix it has proved",
		Long: `premortem reads a repository, rebuilds its production on one machine, doubles
everything, and says what will fail, why, and which fix it has proved.

Without a command it checks the files alone, like premortem check.`,
		Example:       "  premortem examples/shop\n  premortem rehearse examples/shop",
		Args:          directory,
		RunE:          check.RunE,
		SilenceErrors: true, SilenceUsage: true,
		Version: premortem.Version,
	}
	flags(root)
	root.SetVersionTemplate("premortem {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(check, p.rehearse(), p.forecast(), p.profile(), p.explain(), p.initialise(), p.report(), p.clone(), p.load())
	return root
}

// directory accepts at most one argument, and names a mistyped command as such.
func directory(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return &premortem.Error{Doing: "read the command line", Err: fmt.Errorf("one folder at most, got %q", args), Hint: "see premortem " + cmd.Name() + " --help"}
	}
	if len(args) == 1 && !cmd.HasParent() {
		if _, err := os.Stat(args[0]); err != nil && !strings.ContainsAny(args[0], "/.") {
			hint := "see premortem --help"
			if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
				hint = "did you mean: premortem " + s[0]
			}
			return &premortem.Error{Doing: "read the command line", Err: fmt.Errorf("%q is neither a command nor a folder", args[0]), Hint: hint}
		}
	}
	return nil
}

func folder(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}
