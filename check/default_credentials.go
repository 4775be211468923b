package check

import (
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// DefaultCredentials finds passwords that everybody knows in production.
var DefaultCredentials = add(Rule{
	ID:       "default-credentials-in-production",
	Severity: premortem.Loss,
	Doc: premortem.Doc{
		Title: "production uses a password that everybody knows",
		Why: `Default passwords are the first that anybody tries. Whoever reaches the port is in,
and reads or deletes everything.`,
		When: `A password, a key or a token that production's files set equals the default of its
software or a word of the kind of changeme, and is the value that is used.`,
		Silent: `The value is a reference; it belongs to a test, to a laptop or to an example; it is
replaced where production is deployed.`,
		Fix: `Generate a secret, store it where the deploy can reach it, and refer to it.`,
	},
	Run: defaultCredentials,
})

func defaultCredentials(sys *premortem.System, report func(premortem.Finding)) {
	for _, c := range sys.Credentials {
		if c.Default == "" || !c.Production {
			continue
		}
		f := premortem.Finding{
			Subject:  c.Pos.File + " " + c.Default, // the same password in an address and in its database is one cause
			Says:     fmt.Sprintf("%s is %s, and production uses it", c.Name, c.Default),
			Evidence: []premortem.Evidence{{Says: "set by " + c.Where, Pos: c.Pos, Quote: c.Quote}},
			Fix:      premortem.Fix{Says: "generate a secret, and let each of these places refer to it"},
		}
		if perhapsLaptop(sys) {
			f.Severity = asNote
		}
		if svc := inProduction(sys, c.Service); svc != nil && svc.Exposed.Set() {
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: "reached through " + svc.Exposed.Value, Pos: svc.Exposed.Pos})
		}
		report(f)
	}
}

// perhapsLaptop reports a production that was inferred from a Compose file of no
// telling name: as often as not, that is how people develop.
func perhapsLaptop(sys *premortem.System) bool {
	return strings.HasPrefix(sys.ProductionWhy, "inferred") && kindOf(sys, sys.Production) == "compose" &&
		!strings.Contains(strings.ToLower(sys.Production), "prod")
}
