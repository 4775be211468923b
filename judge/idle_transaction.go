package judge

import (
	"fmt"

	"github.com/premortem/premortem"
)

// idleSeconds is how long a transaction may rest before others feel it.
const idleSeconds = 0.1

// IdleInTransaction is a session that holds locks and does nothing.
var IdleInTransaction = add(Sign{
	Name:     "idle-in-transaction",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title:  "a transaction is held open while nothing is done in it, and others wait for it",
		Why:    "The code calls something else between BEGIN and COMMIT. For that long its locks are held, its connection is taken, and vacuum removes nothing.",
		When:   "A session was idle in a transaction for at least 100 ms at a stretch, and others were seen waiting for a lock of such a session.",
		Silent: "Short pauses between statements; an open transaction for which nobody waits; a database that was not watched.",
		Fix:    "Do the outside call before BEGIN or after COMMIT (an outbox), and set idle_in_transaction_session_timeout.",
	},
	Look: lookIdle,
	rank: -1,
	explains: func(_ *premortem.Trial, cause, effect premortem.Finding) bool {
		switch effect.Rule {
		case "lock-wait", "hot-row":
			return effect.Node == cause.Node
		case "pool-exhausted":
			return effect.Subject == string(cause.Node)
		}
		return false
	},
})

func lookIdle(t *premortem.Trial, report func(premortem.Finding)) {
	during := t.Phase("during")
	if during == nil || !during.Database.Watched || during.Database.IdleLongest < idleSeconds || during.Database.IdleBlocked < 1 {
		return
	}
	ex, d := examine(t), during.Database
	store := database(during)
	before := 0.0
	if b := t.Phase("before"); b != nil {
		before = b.Database.IdleLongest
	}
	f := premortem.Finding{Node: store, Severity: premortem.Slow, Says: fmt.Sprintf("transactions rest for up to %s while %s for them", seconds(d.IdleLongest), plural(d.IdleBlocked, "session waits", "sessions wait"))}
	if len(ex.broken) > 0 {
		f.Severity = premortem.Down
	}
	f.Evidence = []premortem.Evidence{
		{Says: fmt.Sprintf("idle in transaction for %s at a stretch, up to %s at once", seconds(d.IdleLongest), plural(d.IdleInTx, "session", "sessions")),
			Measure: measureOf(t, store, "idle_in_transaction_seconds", "s", before, d.IdleLongest)},
		{Says: fmt.Sprintf("up to %s behind them", plural(d.IdleBlocked, "session waited", "sessions waited")), Measure: measureOf(t, store, "blocked_by_idle", "connections", 0, float64(d.IdleBlocked))},
	}
	f.Fix.Says = "call nobody between BEGIN and COMMIT, and set idle_in_transaction_session_timeout"
	report(f)
}
