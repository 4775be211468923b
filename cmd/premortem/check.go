package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/check"
	"github.com/premortem/premortem/read"
)

// check returns the command, and the function that gives its flags to another.
func (p *program) check() (*cobra.Command, func(*cobra.Command)) {
	var o output
	var only []string
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "find what will break from the files alone; nothing is run",
		Long: `check reads Compose, Kubernetes, Terraform, Dockerfiles, migrations and code, and
compares what each of them says. It runs nothing and goes nowhere.`,
		Example: "  premortem check\n  premortem check --only env-missing,image-floating examples/shop\n  premortem check --format sarif -o premortem.sarif",
		Args:    directory,
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := o.check(); err != nil {
				return err
			}
			rules, err := check.Only(only)
			if err != nil {
				return err
			}
			dir := folder(args)
			sys, err := read.Dir(p.ctx, dir)
			if err != nil {
				return err
			}
			found := check.Suppress(sys, check.Run(sys, rules), time.Now(), rules...)
			quote(dir, found)
			premortem.SortFindings(found)
			return p.write(&premortem.Report{
				Schema: premortem.Schema, Version: premortem.Version, Command: "check", System: sys, Unread: sys.Unread,
				Findings: found, Unknowns: check.Unknowns(sys, rules), Dir: dir,
			}, o, "")
		},
	}
	add := func(c *cobra.Command) {
		o.flags(c.Flags())
		c.Flags().StringSliceVar(&only, "only", nil, "only these rules, separated by commas")
	}
	add(cmd)
	return cmd, add
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
