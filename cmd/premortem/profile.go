package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/postgres"
)

type profileFlags struct {
	dsn   string
	file  string
	clear []string
	key   string
	quiet bool
}

// dsnVariable holds the address where a process list would show a flag.
const dsnVariable = "PREMORTEM_DSN"

func (p *program) profile() *cobra.Command {
	var o profileFlags
	cmd := &cobra.Command{
		Use:   "profile --dsn DSN",
		Short: "take the statistics of production's database, never a row",
		Long: `profile reads the catalogs of a PostgreSQL 12 to 18 in one read-only transaction: schema,
sizes, planner statistics, settings, sequences, the age of transaction ids, and the
normalised statements of pg_stat_statements. It reads no row, takes no lock that stands in
anyone's way, and needs a role that may connect and SELECT.

Values in statistics are replaced by pseudonyms of the same order and length before
anything is written. What left the database, and what could not be read, is said on
standard error and stands in the file.`,
		Example: "  premortem profile --dsn postgres://reader@db.internal/shop -o profile.json\n  PREMORTEM_DSN=postgres://… premortem profile --clear orders.status\n  premortem forecast --profile profile.json",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return p.runProfile(o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.dsn, "dsn", "", "the database's address; $"+dsnVariable+" when it is not given, which no process list shows")
	f.StringVarP(&o.file, "output", "o", "profile.json", "the file to write; - for standard output")
	f.StringSliceVar(&o.clear, "clear", nil, `columns whose values leave as they are: table.column; "*" for all`)
	f.StringVar(&o.key, "key", "", "a file of secret bytes that decides the pseudonyms, so that profiles can be compared; without it each profile has its own")
	f.BoolVar(&o.quiet, "quiet", false, "say nothing on standard error")
	return cmd
}

func (p *program) runProfile(o profileFlags) error {
	dsn := cmp.Or(o.dsn, os.Getenv(dsnVariable))
	if dsn == "" {
		return &premortem.Error{
			Doing: "read the command line", Err: errors.New("no database is named"),
			Hint: "give --dsn postgres://user@host:5432/database, or set " + dsnVariable,
		}
	}
	options := postgres.ExportOptions{Clear: o.clear}
	if o.key != "" {
		key, err := os.ReadFile(o.key)
		if err == nil && len(key) < 16 {
			err = fmt.Errorf("%s holds %d bytes, and a secret needs 16 or more", o.key, len(key))
		}
		if err != nil {
			return &premortem.Error{Doing: "read the key of the pseudonyms", Err: err, Hint: "head -c 32 /dev/urandom > key"}
		}
		options.Key = key
	}
	profile, err := postgres.ExportProfile(p.ctx, dsn, options)
	if err != nil {
		return err
	}
	if err := p.keepProfile(profile, o.file); err != nil {
		return err
	}
	if o.quiet {
		return nil
	}
	tables := 0
	for i := range profile.Relations {
		if k := profile.Relations[i].Kind; k == "r" || k == "p" || k == "m" {
			tables++
		}
	}
	fmt.Fprintf(p.err, "PostgreSQL %d, %s, %s of statistics\n", profile.Server.Major(), plural(tables, "table", "tables"), plural(len(profile.Columns), "column", "columns"))
	tellList(p.err, "left the database:", profile.Left)
	tellList(p.err, "could not be read:", profile.Missing)
	return nil
}

// keepProfile writes the file whole or not at all, for its owner's eyes.
func (p *program) keepProfile(profile *postgres.Profile, file string) error {
	if file == "-" {
		return profile.Write(p.out)
	}
	fail := func(err error) error {
		return &premortem.Error{Doing: "write the profile", Err: err, Hint: "choose another file with -o"}
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".profile-*")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(tmp.Name()) // gone already when all went well
	if err := errors.Join(profile.Write(tmp), tmp.Close()); err != nil {
		return fail(err)
	}
	if err := os.Rename(tmp.Name(), file); err != nil {
		return fail(err)
	}
	return nil
}

func tellList(w io.Writer, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(w, title)
	for _, l := range lines {
		fmt.Fprintf(w, "  %s\n", l)
	}
}
