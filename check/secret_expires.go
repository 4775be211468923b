package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/premortem/premortem"
)

// SecretExpires is reported by Suppress, which alone knows the date.
var SecretExpires = add(Rule{
	ID:       "secret-expires",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "a certificate in the repository ends soon, or has ended",
		Why: `TLS, single sign-on, push or a webhook stops on a day that is known today. Everything
works until then, and nothing works after.`,
		When: `A certificate whose public part stands in the repository ends within 60 days, or ended
less than a year ago.`,
		Silent: `It ends later; it signs itself, as those for a laptop do; it stands among tests,
examples or local files; it ended so long ago that nothing can depend on it.`,
		Fix: `Renew it, let it be renewed by the platform, and set an alarm a month before its last day.`,
	},
	Run: func(*premortem.System, func(premortem.Finding)) {},
})

// soon is how many days before its end a certificate is reported.
const soon = 60

// expiring returns the findings about certificates as of a date.
func expiring(sys *premortem.System, today time.Time, ran []*Rule) []premortem.Finding {
	if !slices.Contains(ran, SecretExpires) {
		return nil
	}
	var out []premortem.Finding
	for _, c := range sys.Certificates {
		until, err := time.Parse(time.DateOnly, c.Until)
		if err != nil || c.Own && !publicRoot(c.Subject) {
			continue
		}
		days := int(until.Sub(today.UTC().Truncate(24*time.Hour)).Hours() / 24)
		says := fmt.Sprintf("the certificate of %s ends on %s, in %s", c.Subject, c.Until, many(days, "day"))
		switch {
		case days > soon || days < -365:
			continue
		case days < 0:
			says = fmt.Sprintf("the certificate of %s ended on %s, %s ago", c.Subject, c.Until, many(-days, "day"))
		}
		out = append(out, filled(SecretExpires, premortem.Finding{
			Node:     c.Service,
			Subject:  c.Pos.File + " " + c.Subject + " until " + c.Until,
			Says:     says,
			Evidence: []premortem.Evidence{{Says: "the certificate", Pos: c.Pos}},
			Fix:      premortem.Fix{Says: "renew it, or let it be issued and renewed where it is used"},
		}))
	}
	return out
}

// publicRoot reports a root that others ship: it signs itself and is no laptop's.
func publicRoot(subject string) bool {
	for _, name := range []string{"Amazon", "Baltimore", "DigiCert", "DST Root", "Entrust", "GlobalSign", "GTS Root", "ISRG", "Let's Encrypt", "Microsoft"} {
		if strings.Contains(subject, name) {
			return true
		}
	}
	return false
}
