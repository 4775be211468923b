package check

import (
	"fmt"

	"github.com/premortem/premortem"
)

// EnvDevDefaultInProduction finds defaults for a laptop that production would use.
var EnvDevDefaultInProduction = add(Rule{
	ID:       "env-dev-default-in-production",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "production falls back to a default that only fits a laptop",
		Why: `The process starts and looks healthy, but talks to localhost, to a sandbox, or
signs with a key that everybody can read. Nothing says so until users do.`,
		When: `The code reads a variable with a default for development (localhost, 127.0.0.1,
example.com, a test key), and no source of production names the variable. Where no
other deployment names it either, it is worth a note.`,
		Silent: `Production provides it; a source cannot be listed; the default is fit for
production; the service does not run in production.`,
		Fix: `Provide the variable in production, and make its absence an error when the program
runs there.`,
	},
	Run: envDevDefault,
})

func envDevDefault(sys *premortem.System, report func(premortem.Finding)) {
	var vars []*premortem.EnvVar
	for _, v := range sys.Env {
		if v.Class == premortem.EnvDev && expected(sys, v) {
			vars = append(vars, v)
		}
	}
	for _, same := range sharing(absent(sys, vars)) {
		v := same[0]
		svc := inProduction(sys, v.Service)
		elsewhere, hidden := providedElsewhere(sys, v)
		evidence := append(reads(v), lookedAt(svc, v.Name)...)
		evidence = append(evidence, elsewhere...)
		f := premortem.Finding{
			Node:     v.Service,
			Subject:  sys.Production + " " + v.Name,
			Says:     fmt.Sprintf("production does not provide %s, so %s uses its default for development", v.Name, v.Service),
			Evidence: append(evidence, alsoMissing(sys, same[1:])...),
			Fix:      provideFix(sys, svc, v.Name, placeholder, hidden || secretive(v.Name)),
		}
		if f.Certain = corroborated(sys, v); !f.Certain {
			f.Severity = asNote // the default may belong to a way that production does not go
		}
		report(f)
	}
}
