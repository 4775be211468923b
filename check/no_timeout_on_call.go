package check

import (
	"fmt"

	"github.com/premortem/premortem"
)

// NoTimeoutOnCall finds calls that wait for ever, or longer than the user does.
var NoTimeoutOnCall = add(Rule{
	ID:       "no-timeout-on-call",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "a call over the network has no timeout",
		Why: `One dependency that hangs holds a worker or a connection for each request, until none
is left: then every route of the service fails, also those that do not need it.`,
		When: `A service of production calls something with a client whose documented default is to
wait for ever (axios, Python requests, Go's http.Client, urllib), and neither the call,
nor its client, its context, an interceptor sets a limit. A client whose default is longer
than a minute (the Stripe SDK 80 s, fetch 300 s) counts inside a database transaction, and
is slow where only the balancer in front gives up earlier.`,
		Silent: `A timeout is set anywhere on the way; the options cannot be read; tests, scripts and
jobs; code that runs in a browser; a client whose default is not in the table.`,
		Fix: `Set a timeout below the time that the caller waits.`,
	},
	Run: noTimeoutOnCall,
})

// maxSites is how many places a finding lists before it counts the rest.
const maxSites = 5

func noTimeoutOnCall(sys *premortem.System, report func(premortem.Finding)) {
	type group struct {
		calls []*premortem.Call
		held  *premortem.Transaction
	}
	groups := map[string]*group{}
	var keys []string
	for _, c := range sys.Calls {
		if c.Script || c.Opaque != "" || c.Timeout.Set() || !inUse(sys, c.Service) || inBrowser(sys, c.Service) {
			continue
		}
		if k, known := Default(clientRow(c.Client), "", "timeout"); !known || !k.Confirmed {
			continue
		}
		key := string(c.Service) + "\x00" + c.Client + "\x00" + string(c.To)
		if groups[key] == nil {
			groups[key] = &group{}
			keys = append(keys, key)
		}
		g := groups[key]
		g.calls = append(g.calls, c)
		if g.held == nil {
			g.held = holding(sys, c)
		}
	}
	for _, key := range keys {
		if f, ok := noTimeoutFinding(sys, groups[key].calls, groups[key].held); ok {
			report(f)
		}
	}
}

func noTimeoutFinding(sys *premortem.System, calls []*premortem.Call, held *premortem.Transaction) (premortem.Finding, bool) {
	c := calls[0]
	k, _ := Default(clientRow(c.Client), "", "timeout")
	limit, ends := k.Number()
	f := premortem.Finding{
		Node:    c.Service,
		Subject: c.Client + " " + callee(c),
		Fix:     premortem.Fix{Says: timeoutFix(c)},
	}
	for i, site := range calls {
		if i == maxSites {
			break
		}
		says := "called here without a timeout"
		if i == 0 {
			says = fmt.Sprintf("no timeout here; %s waits %s (%s)", c.Client, forHowLong(k), k.cite())
		}
		f.Evidence = append(f.Evidence, siteText(says, site.Pos, site.Quote))
	}
	if more := len(calls) - maxSites; more > 0 {
		f.Evidence[len(f.Evidence)-1].Says += fmt.Sprintf("; and in %s more", many(more, "place"))
	}
	if c.Made.Known() && c.Made != c.Pos {
		f.Evidence = append(f.Evidence, premortem.Evidence{Says: "the client is made here", Pos: c.Made})
	}
	switch outer := shortest(balancersOf(sys, c.Service)); {
	case held != nil:
		f.Says = fmt.Sprintf("%s calls %s inside a transaction and waits %s: a slow answer keeps a database connection and its locks", c.Service, callee(c), forHowLong(k))
		f.Evidence = append(f.Evidence, siteText("the transaction begins here", held.Pos, held.Quote))
		f.Certain = true
		cause := premortem.Finding{Rule: TransactionHoldsExternalCall.ID, Node: held.Service, Subject: transactionName(sys, held)}
		f.Because = cause.Key()
	case !ends:
		f.Says = fmt.Sprintf("%s calls %s and waits for ever: when it hangs, each request holds on until nothing is left to serve others", c.Service, callee(c))
		f.Certain = onRoute(sys, calls)
		if !f.Certain {
			f.Severity = premortem.Slow
		}
	case outer != nil && readOf(outer).value < limit:
		f.Says = fmt.Sprintf("%s waits up to %s for %s, but %s has answered 504 after %s", c.Service, secondsText(limit), callee(c), outer.Kind, secondsText(readOf(outer).value))
		f.Evidence = append(f.Evidence, readOf(outer).evidence(outer.Kind+" waits"))
		f.Severity, f.Certain = premortem.Slow, onRoute(sys, calls)
		if !f.Certain {
			f.Severity = asNote
		}
	default:
		return f, false
	}
	return f, true
}

func forHowLong(k Known) string {
	if n, ok := k.Number(); ok {
		return "up to " + secondsText(n)
	}
	return "for ever"
}

// onRoute reports whether a handler of a route surely makes one of the calls.
func onRoute(sys *premortem.System, calls []*premortem.Call) bool {
	for _, c := range calls {
		if routeAt(sys, c.Pos) != nil {
			return true
		}
	}
	return false
}

// holding returns a transaction that waits for a call, nil if none is known.
func holding(sys *premortem.System, c *premortem.Call) *premortem.Transaction {
	for _, tx := range sys.Transactions {
		if tx.Service != c.Service {
			continue
		}
		if tx.Pos.File == c.Pos.File && tx.Pos.Line <= c.Pos.Line && c.Pos.Line <= tx.End.Line {
			return tx
		}
		for _, out := range tx.Outside {
			if out.Pos == c.Pos {
				return tx
			}
		}
	}
	return nil
}

// inBrowser reports whether the code of a service runs at the user's.
func inBrowser(sys *premortem.System, n premortem.Node) bool {
	for _, svc := range sys.Services {
		if svc.Node == n && svc.Static {
			return true
		}
	}
	return false
}

func timeoutFix(c *premortem.Call) string {
	switch clientRow(c.Client) {
	case "axios":
		return "make the client with axios.create({ timeout: 5000 }), below the time that the caller waits"
	case "requests":
		return "pass timeout=(3, 10) to the call or to the session's adapter"
	case "net/http":
		return "use an http.Client with Timeout: 10 * time.Second, or a request with the context of the caller"
	case "fetch", "undici":
		return "pass signal: AbortSignal.timeout(5000)"
	case "urllib":
		return "pass timeout=10"
	case "stripe":
		return "make the client with timeout: 10000"
	}
	return "set a timeout on the call or on its client"
}
