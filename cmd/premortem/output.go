package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/check"
	"github.com/premortem/premortem/judge"
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
	opts := report.Options{Verbose: o.verbose, HTMLPath: html, FailOn: failOn, Docs: explanations(), Below: below(r.Dir)}
	w, done := p.out, func() error { return nil }
	if o.file != "" {
		f, kept, err := create(o.file)
		if err != nil {
			return &premortem.Error{Doing: "write the report", Err: err}
		}
		w, done = f, kept
	} else if f, ok := p.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		opts.Color = os.Getenv("NO_COLOR") == ""
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			opts.Width = width
		}
	}
	if err := report.Write(w, o.format, r, opts); err != nil {
		if f, ok := w.(*os.File); ok && o.file != "" {
			drop(f, o.file)
		}
		return &premortem.Error{Doing: "write the report", Err: err}
	}
	p.code = r.ExitCode(failOn)
	return done()
}

// below is a folder seen from the root of the repository that holds it, "" when it
// is the root or nothing says where that is.
func below(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for root := dir; ; root = filepath.Dir(root) {
		if _, err := os.Lstat(filepath.Join(root, ".git")); err == nil {
			rel, err := filepath.Rel(root, dir)
			if err != nil || rel == "." {
				return ""
			}
			return filepath.ToSlash(rel)
		}
		if filepath.Dir(root) == root {
			return ""
		}
	}
}

// explanations are the texts of rules and signs, for formats that carry help.
func explanations() map[string]premortem.Doc {
	out := map[string]premortem.Doc{}
	for _, r := range check.Rules() {
		out[r.ID] = r.Doc
	}
	for _, s := range judge.Signs() {
		out[s.Name] = s.Doc
	}
	return out
}

// emit writes bytes that are no report to where a report would go.
func (p *program) emit(o output, doing string, data []byte) error {
	if o.file == "" {
		if _, err := p.out.Write(data); err != nil {
			return &premortem.Error{Doing: doing, Err: err}
		}
		return nil
	}
	f, done, err := create(o.file)
	if err != nil {
		return &premortem.Error{Doing: doing, Err: err}
	}
	if _, err := f.Write(data); err != nil {
		drop(f, o.file)
		return &premortem.Error{Doing: doing, Err: err}
	}
	return done()
}

// create opens what -o names: a new file that done puts in place, or a device or a
// pipe as it is, which a rename would replace.
func create(name string) (f *os.File, done func() error, err error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return nil, nil, err
		}
		return f, f.Close, nil
	}
	if f, err = os.CreateTemp(filepath.Dir(name), ".premortem-*"); err != nil {
		return nil, nil, err
	}
	return f, func() error { return keep(f, name) }, nil
}

// drop ends a file that create made and that did not become whole.
func drop(f *os.File, name string) {
	_ = f.Close()
	if f.Name() != name {
		_ = os.Remove(f.Name())
	}
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
	if err := report.Write(f, format, r, report.Options{HTMLPath: name, Docs: explanations()}); err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return &premortem.Error{Doing: "write " + name, Err: err}
	}
	return keep(f, name)
}

var _ io.Writer = (*os.File)(nil)
