package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/premortem/premortem"
)

func (p *program) report() *cobra.Command {
	var o output
	var dir string
	cmd := &cobra.Command{
		Use:     "report [RUN]",
		Short:   "a saved run in another format",
		Long:    "report tells a saved run again. RUN is a run's id, a folder or a report.json; without it, the latest run.",
		Example: "  premortem report\n  premortem report --format markdown 20261122-104312\n  premortem report --dir examples/shop --format html -o report.html",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := o.check(); err != nil {
				return err
			}
			file, err := runFile(dir, args)
			if err != nil {
				return err
			}
			b, err := os.ReadFile(file)
			if err != nil {
				return &premortem.Error{Doing: "read the run", Err: err}
			}
			var r premortem.Report
			if err := json.Unmarshal(b, &r); err != nil {
				return &premortem.Error{Doing: "read " + file, Err: err, Hint: "the file is not a report of premortem"}
			}
			if r.Schema != premortem.Schema {
				return &premortem.Error{Doing: "read " + file, Err: fmt.Errorf("its schema is %q, not %q", r.Schema, premortem.Schema)}
			}
			html := filepath.Join(filepath.Dir(file), "report.html")
			if _, err := os.Stat(html); err != nil {
				html = ""
			}
			return p.write(&r, o, html)
		},
	}
	o.flags(cmd.Flags())
	cmd.Flags().StringVar(&dir, "dir", ".", "the repository whose runs are meant")
	return cmd
}

// runFile finds the report.json of the run that is meant.
func runFile(dir string, args []string) (string, error) {
	runs := filepath.Join(dir, stateFolder, "runs")
	if len(args) == 1 {
		for _, name := range []string{args[0], filepath.Join(args[0], "report.json"), filepath.Join(runs, args[0], "report.json")} {
			if st, err := os.Stat(name); err == nil && !st.IsDir() {
				return name, nil
			}
		}
		return "", &premortem.Error{Doing: "find the run " + args[0], Err: fs.ErrNotExist, Hint: "the runs are in " + runs + ": " + listRuns(runs)}
	}
	ids := finished(runs)
	if len(ids) == 0 {
		return "", &premortem.Error{Doing: "find the latest run", Err: errors.New("there is none in " + runs), Hint: "premortem rehearse makes one"}
	}
	return filepath.Join(runs, ids[len(ids)-1], "report.json"), nil
}

// finished lists the runs that have a report, oldest first.
func finished(runs string) []string {
	entries, err := os.ReadDir(runs)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(runs, e.Name(), "report.json")); err == nil {
			out = append(out, e.Name())
		}
	}
	slices.Sort(out)
	return out
}

func listRuns(runs string) string {
	ids := finished(runs)
	if len(ids) == 0 {
		return "none"
	}
	return strings.Join(ids[max(0, len(ids)-5):], ", ")
}
