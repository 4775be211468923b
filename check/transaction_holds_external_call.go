package check

import (
	"fmt"

	"github.com/premortem/premortem"
)

// TransactionHoldsExternalCall finds transactions that stay open while something
// outside the database is asked.
var TransactionHoldsExternalCall = add(Rule{
	ID:       "transaction-holds-external-call",
	Severity: premortem.Down,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "a transaction stays open while another system is called",
		Why: `As long as the other system thinks, a connection of the pool and the locks of the rows
are held. A slow answer there empties the pool here, and routes that need none of it fail.`,
		When: `Between the begin and the end of a database transaction the same code path makes an
HTTP, mail or queue call.`,
		Silent: `The call is made after the commit or by a commit hook; it only inserts into an outbox
table; the code is a script or a migration. A transaction that changes nothing is a note.`,
		Fix: `Call before or after the transaction; keep the intent in an outbox row that a worker
sends; set idle_in_transaction_session_timeout as a safety net.`,
	},
	Run: transactionHoldsExternalCall,
})

func transactionHoldsExternalCall(sys *premortem.System, report func(premortem.Finding)) {
	for _, tx := range sys.Transactions {
		if len(tx.Outside) == 0 || !inUse(sys, tx.Service) {
			continue
		}
		f := premortem.Finding{
			Node:     tx.Service,
			Subject:  transactionName(sys, tx),
			Evidence: []premortem.Evidence{siteText("the transaction begins here", tx.Pos, tx.Quote)},
			Fix:      premortem.Fix{Says: "make the call after the commit, or write the intent into an outbox table that a worker sends"},
		}
		what := "something outside the database"
		if len(tx.To) > 0 {
			what = string(tx.To[len(tx.To)-1])
		}
		for i, out := range tx.Outside {
			says := "called while it is open"
			if i == len(tx.Outside)-1 && len(tx.Outside) > 1 {
				says = "which waits here"
			}
			f.Evidence = append(f.Evidence, siteText(says, out.Pos, out.Value))
		}
		if tx.End.Known() && tx.End != tx.Pos {
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: "it ends here", Pos: tx.End})
		}
		f.Says = fmt.Sprintf("%s asks %s inside a transaction: a slow answer keeps a connection and the locks of its rows", tx.Service, what)
		if !tx.Writes {
			f.Severity = asNote
		}
		report(f)
	}
}

// transactionName is the route that opens a transaction, else its file.
func transactionName(sys *premortem.System, tx *premortem.Transaction) string {
	if r := routeAt(sys, tx.Pos); r != nil {
		return r.Name()
	}
	return tx.Pos.File
}
