package check

import (
	"fmt"

	"github.com/premortem/premortem"
)

// TokenInLog finds credentials that are written to the log.
var TokenInLog = add(Rule{
	ID:       "token-in-log",
	Severity: premortem.Loss,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "a credential is written to the log",
		Why: `Logs are kept for months, copied to other companies and read by many. Whoever can read
one can act as the user, or as the service, until the credential ends.`,
		When: `A token, a password, a cookie, an authorization header or a key from the environment
flows into a log call, also inside a whole request or a whole configuration.`,
		Silent: `The value is masked, hashed or cut to its last characters; only whether it is there,
or how long it is, is logged; the logger redacts that field; the line is written only
at a level that production does not log, which is worth a note.`,
		Fix: `Leave the field out, log a keyed hash of it, or add it to the logger's redaction.`,
	},
	Run: tokenInLog,
})

func tokenInLog(sys *premortem.System, report func(premortem.Finding)) {
	for _, l := range sys.Logs {
		for _, leak := range l.Leaks {
			where := l.Pos.String()
			if r := routeAt(sys, l.Pos); r != nil {
				where = r.Name()
			}
			f := premortem.Finding{
				Node:     l.Service,
				Subject:  l.Pos.File + " " + leak.What,
				Says:     fmt.Sprintf("%s writes %s to the log", where, leak.What),
				Evidence: []premortem.Evidence{{Says: "written here", Pos: l.Pos, Quote: l.Quote}},
				Fix:      premortem.Fix{Says: fmt.Sprintf("leave %s out, or log a keyed hash of it", leak.What)},
			}
			if leak.Source.Known() && leak.Source != l.Pos {
				f.Evidence = append(f.Evidence, premortem.Evidence{Says: "comes from here", Pos: leak.Source, Quote: leak.Quote})
			}
			switch l.Level {
			case "debug", "trace", "silly", "verbose":
				f.Severity = asNote // off in production, until somebody looks for an error
			}
			report(f)
		}
	}
}
