package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/read"
)

func (p *program) initialise() *cobra.Command {
	var force bool
	var from []string
	cmd := &cobra.Command{
		Use:     "init [DIR]",
		Short:   "write premortem.yaml with what was discovered",
		Example: "  premortem init\n  premortem init --force examples/shop\n  premortem init --from ada.har --from bob.har\n  premortem init --from access.log.gz",
		Args:    directory,
		RunE: func(_ *cobra.Command, args []string) error {
			dir := folder(args)
			name := filepath.Join(dir, "premortem.yaml")
			if _, err := os.Stat(name); err == nil && !force {
				return &premortem.Error{Doing: "write " + name, Err: errors.New("it exists"), Hint: "--force replaces it"}
			}
			sys, err := read.Dir(p.ctx, dir)
			if err != nil && !force {
				return err
			}
			if sys == nil {
				return err
			}
			text := proposal(sys)
			if len(from) > 0 {
				if text, err = p.proposalFrom(sys, dir, from); err != nil {
					return err
				}
			}
			f, err := os.CreateTemp(dir, ".premortem-*")
			if err != nil {
				return &premortem.Error{Doing: "write " + name, Err: err}
			}
			if _, err := f.WriteString(text); err != nil {
				_ = f.Close()
				_ = os.Remove(f.Name())
				return &premortem.Error{Doing: "write " + name, Err: err}
			}
			if err := keep(f, name); err != nil {
				return err
			}
			fmt.Fprintf(p.out, "wrote %s; the figures in it are guesses: correct them, then run premortem rehearse %s\n", name, dir)
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace an existing premortem.yaml")
	cmd.Flags().StringArrayVar(&from, "from", nil, "a `FILE` that says what users do: HAR (give it twice, for two recordings of one story), access log, OpenAPI, Chrome Recorder, or a saved trial")
	return cmd
}

// proposal is a premortem.yaml that says what was found and marks what was guessed.
func proposal(sys *premortem.System) string {
	return proposedSystem(sys) + "\nbase: {users: 100, calls: 50/s}          # guess: normal load\n" + proposedUse(sys)
}

// proposedSystem is the part that says what production is.
func proposedSystem(sys *premortem.System) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What premortem found, and what it had to guess. Guesses are marked; correct them.\n")
	if sys.Production != "" {
		fmt.Fprintf(&b, "production: %s          # %s\n", sys.Production, sys.ProductionWhy)
	} else {
		b.WriteString("# production: k8s/overlays/prod          # no deployment was found; name the one that production runs\n")
	}
	if len(sys.Tables) > 0 {
		b.WriteString("\ndatabase:\n  rows:          # guess: production's number of rows of each table\n")
		for _, t := range sys.Tables {
			fmt.Fprintf(&b, "    %s: 100000\n", t.Name)
		}
	}
	return b.String()
}

// proposedUse is the part that says what users do and what they were promised.
func proposedUse(sys *premortem.System) string {
	var b strings.Builder
	routes := plainRoutes(sys)
	if len(routes) == 0 {
		b.WriteString("\n# No HTTP route was found. Describe what users do:\n# journeys:\n#   visit:\n#     steps:\n#       - request: GET /\n")
		return b.String()
	}
	b.WriteString("\nobjectives:          # guess: what users are promised\n")
	for _, r := range routes {
		fmt.Fprintf(&b, "  - {route: %q, p95: 500ms, errors: 1%%}\n", r.Name())
	}
	b.WriteString("\njourneys:          # guess: what users do; add the log-in and what follows it\n  visit:\n    steps:\n")
	for i, r := range routes {
		if i > 0 {
			b.WriteString("      - think: 1s\n")
		}
		fmt.Fprintf(&b, "      - request: %s\n", r.Name())
	}
	return b.String()
}

// plainRoutes are those that can be asked without knowing anything: GET, no
// parameter, not a health check. At most eight.
func plainRoutes(sys *premortem.System) []*premortem.Route {
	var out []*premortem.Route
	for _, r := range sys.Routes {
		if r.Method == "GET" && !strings.ContainsAny(r.Path, ":*{(") && !strings.HasSuffix(r.Path, "z") && !strings.Contains(r.Path, "health") && len(out) < 8 {
			out = append(out, r)
		}
	}
	return out
}
