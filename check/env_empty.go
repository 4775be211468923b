package check

import (
	"fmt"

	"github.com/premortem/premortem"
)

// EnvEmpty finds variables that production names and leaves without a value.
var EnvEmpty = add(Rule{
	ID:       "env-empty",
	Severity: premortem.Down,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "production provides a needed variable, but empty",
		Why: `A check for presence in the pipeline passes, and the process then fails as if the
variable were missing, or goes on with an empty key, host or address.`,
		When: `The code of a service cannot do without a variable, and production's first source
for it sets it to the empty text.`,
		Silent: `The read has a default or a guard for the empty text, or the value is not empty; or
it is empty everywhere, for code that is not known to run.`,
		Fix: `Give it a value, or let the deploy fail when there is none.`,
	},
	Run: envEmpty,
})

func envEmpty(sys *premortem.System, report func(premortem.Finding)) {
	for _, v := range required(sys) {
		p, set := sys.Provision(sys.Production, v.Service, v.Name)
		if p != premortem.ProvidedEmpty || v.Unsure != "" || referred(sys, v) || !corroborated(sys, v) {
			continue
		}
		elsewhere, _ := providedElsewhere(sys, v)
		evidence := append([]premortem.Evidence{{Says: set.Source + " sets it to the empty text", Pos: set.Pos}}, reads(v)...)
		severity := premortem.Down
		if v.Class != premortem.EnvBoot {
			severity = asNote // code that may never run
		}
		report(premortem.Finding{
			Severity: severity,
			Node:     v.Service,
			Subject:  sys.Production + " " + v.Name,
			Says:     fmt.Sprintf("%s is needed by %s, and production provides it with 0 characters", v.Name, v.Service),
			Evidence: append(evidence, elsewhere...),
			Fix:      premortem.Fix{Says: fmt.Sprintf("give %s a value in %s", v.Name, set.Pos.File)},
		})
	}
}
