package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/report"
)

// output is the flags that say how a report is told.
type output struct {
	format  string
	file    string
	failOn  string
	verbose bool
	quiet   bool
}

func (o *output) flags(f *pflag.FlagSet) {
	f.StringVar(&o.format, "format", "text", "how it is told: "+formatNames())
	f.StringVarP(&o.file, "output", "o", "", "write to this file instead of standard output")
	f.StringVar(&o.failOn, "fail-on", "down", "end with exit code 1 from this severity on: note, slow, down, loss")
	f.BoolVar(&o.verbose, "verbose", false, "show cleared and suppressed findings too")
	f.BoolVar(&o.quiet, "quiet", false, "no progress on standard error")
}

func formatNames() string {
	s := ""
	for i, f := range report.Formats() {
		if i > 0 {
			s += ", "
		}
		s += f.Name
	}
	return s
}

// check refuses wrong values before any work is done.
func (o *output) check() (premortem.Severity, error) {
	var s premortem.Severity
	if err := s.UnmarshalText([]byte(o.failOn)); err != nil {
		return s, &premortem.Error{Doing: "read --fail-on", Err: err}
	}
	for _, f := range report.Formats() {
		if f.Name == o.format {
			return s, nil
		}
	}
	return s, &premortem.Error{Doing: "read --format", Err: fmt.Errorf("unknown format %q; one of: %s", o.format, formatNames())}
}

// write tells the report and sets the exit code.
func (p *program) write(r *premortem.Report, o output, html string) error {
	failOn, err := o.check()
	if err != nil {
		return err
	}
	opts := report.Options{Verbose: o.verbose, HTMLPath: html, FailOn: failOn}
	w, done := p.out, func() error { return nil }
	if o.file != "" {
		f, err := os.CreateTemp(filepath.Dir(o.file), ".premortem-*")
		if err != nil {
			return &premortem.Error{Doing: "write the report", Err: err}
		}
		w, done = f, func() error { return keep(f, o.file) }
	} else if f, ok := p.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		opts.Color = os.Getenv("NO_COLOR") == ""
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			opts.Width = width
		}
	}
	if err := report.Write(w, o.format, r, opts); err != nil {
		return &premortem.Error{Doing: "write the report", Err: err}
	}
	p.code = r.ExitCode(failOn)
	return done()
}

// keep gives a file its final name when it is whole, so that a failure leaves the
// old one.
func keep(f *os.File, name string) error {
	err := f.Chmod(0o644)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return &premortem.Error{Doing: "write " + name, Err: err}
	}
	return nil
}

// save writes a report in one format to a file.
func save(r *premortem.Report, format, name string) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".premortem-*")
	if err != nil {
		return &premortem.Error{Doing: "write " + name, Err: err}
	}
	if err := report.Write(f, format, r, report.Options{HTMLPath: name}); err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return &premortem.Error{Doing: "write " + name, Err: err}
	}
	return keep(f, name)
}

var _ io.Writer = (*os.File)(nil)
