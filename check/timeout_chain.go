package check

import (
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// TimeoutChain checks that each hop waits longer than the one behind it.
var TimeoutChain = add(Rule{
	ID:       "timeout-chain",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "an outer hop gives up before the inner one has answered",
		Why: `The user gets a 504 while the work goes on below, holding its worker, its connection
and its locks for an answer that nobody reads; clients try again and the load piles up.`,
		When: `Both times are known and stand in the wrong order: the balancer's read timeout against
the server's own deadline or the worker's timeout; a balancer against the one behind it;
the time of an outgoing call, or attempts × time + waits of a retry, against the balancer
in front or against the time after which the worker is killed. Where the order rests on a
default the finding is slow, not down.`,
		Silent: `A time is not known; the default is not confirmed; the call is not on a request's path
(a script, a job, a service that no balancer leads to); a framework's default that is no
deadline, such as Node's requestTimeout, which ends when the request was received.`,
		Fix: `Shorten the inner wait until the order holds again; lengthen the outer one only where
the route is slow by design.`,
	},
	Run: timeoutChain,
})

func timeoutChain(sys *premortem.System, report func(premortem.Finding)) {
	seen := map[premortem.Node]bool{}
	for _, svc := range sys.Services {
		if seen[svc.Node] || !inUse(sys, svc.Node) {
			continue
		}
		seen[svc.Node] = true
		hops := balancersOf(sys, svc.Node)
		hopsInOrder(svc.Node, hops, report)
		outer := shortest(hops)
		for _, s := range serversOf(sys, svc.Node) {
			deadlineInOrder(sys, s, outer, report)
			workerInOrder(sys, s, report)
		}
		if outer != nil {
			callsInOrder(sys, svc.Node, outer, report)
			retriesInOrder(sys, svc.Node, outer, report)
		}
	}
}

// shortest is the hop that gives up first, nil when no hop's wait is known.
func shortest(hops []*premortem.Balancer) *premortem.Balancer {
	var best *premortem.Balancer
	for _, b := range hops {
		if r := readOf(b); r.ok && r.firm() && r.value > 0 && (best == nil || r.value < readOf(best).value) {
			best = b
		}
	}
	return best
}

// order makes the finding of one broken inequality: outer must be more than inner.
func order(node premortem.Node, subject, says string, outer, inner seconds, evidence ...premortem.Evidence) premortem.Finding {
	f := premortem.Finding{Node: node, Subject: subject, Says: says, Certain: true, Evidence: evidence}
	if !outer.written() || !inner.written() {
		f.Severity = premortem.Slow
	}
	return f
}

// hopsInOrder is T4 between balancers: a hop nearer to the user waits longer.
func hopsInOrder(node premortem.Node, hops []*premortem.Balancer, report func(premortem.Finding)) {
	for i, out := range hops {
		for _, in := range hops[i+1:] {
			o, n := readOf(out), readOf(in)
			// Equal defaults stand everywhere; an inner hop that somebody raised does not.
			if out.Front >= in.Front || !o.ok || !n.ok || !o.firm() || !n.written() || o.value >= n.value {
				continue
			}
			f := order(node, out.Kind+" "+in.Kind,
				fmt.Sprintf("%s gives up after %s, but %s behind it waits %s", out.Kind, secondsText(o.value), in.Kind, secondsText(n.value)),
				o, n, n.evidence(in.Kind+" waits for the service"), o.evidence(out.Kind+" in front waits for "+in.Kind))
			f.Fix.Says = fmt.Sprintf("let %s wait less than %s, or raise %s above %s where a route is slow by design",
				in.Kind, secondsText(o.value), out.Kind, secondsText(n.value))
			report(f)
		}
	}
}

// deadlineInOrder is T3 and T7: the balancer waits longer than the server works.
func deadlineInOrder(sys *premortem.System, s *premortem.Server, outer *premortem.Balancer, report func(premortem.Finding)) {
	if outer == nil {
		return
	}
	inner := deadlineOf(s)
	o := readOf(outer)
	if !inner.ok || !inner.firm() || inner.value <= o.value {
		return
	}
	f := order(s.Service, "deadline",
		fmt.Sprintf("%s works on a request for up to %s, but %s answers 504 after %s", s.Service, secondsText(inner.value), outer.Kind, secondsText(o.value)),
		o, inner, inner.evidence("the server ends a request"), o.evidence(outer.Kind+" waits"))
	f.Fix.Says = fmt.Sprintf("end requests before %s has passed, or move the work to a queue", secondsText(o.value))
	report(f)
}

// deadlineOf is the time after which a server ends a request by itself. Node's
// requestTimeout is not one: it ends when the request was received.
func deadlineOf(s *premortem.Server) seconds {
	switch s.Software {
	case "node", "fastify":
		return seconds{}
	case "gunicorn":
		return waits(s.RequestTimeout, "gunicorn", s.Version.Value, "worker timeout", s.Pos)
	}
	if !s.RequestTimeout.Set() {
		return seconds{}
	}
	return seconds{value: s.RequestTimeout.Value, ok: true, pos: s.RequestTimeout.Pos}
}

// workerInOrder is T16: the worker lives longer than the calls that it waits for.
func workerInOrder(sys *premortem.System, s *premortem.Server, report func(premortem.Finding)) {
	if s.Software != "gunicorn" || manyPerWorker(sys, s) {
		return
	}
	kill := deadlineOf(s)
	if !kill.ok || kill.value <= 0 {
		return
	}
	for _, c := range sys.Calls {
		if c.Service != s.Service || c.Script || !c.Timeout.Set() || c.Timeout.Value < kill.value {
			continue
		}
		inner := seconds{value: c.Timeout.Value, ok: true, pos: c.Timeout.Pos}
		f := order(s.Service, "worker "+callee(c),
			fmt.Sprintf("a call to %s may take %s, but gunicorn kills the worker after %s", callee(c), secondsText(c.Timeout.Value), secondsText(kill.value)),
			kill, inner, inner.evidence("the call waits"), kill.evidence("gunicorn kills a worker that does not answer"))
		f.Fix.Says = fmt.Sprintf("give the call a timeout well below %s", secondsText(kill.value))
		report(f)
	}
}

// callsInOrder is T4 for what the service waits for: a call that may outlast the hop
// in front.
func callsInOrder(sys *premortem.System, node premortem.Node, outer *premortem.Balancer, report func(premortem.Finding)) {
	o := readOf(outer)
	for _, c := range sys.Calls {
		if c.Service != node || c.Script || !c.Timeout.Set() || c.Timeout.Value <= o.value || routeAt(sys, c.Pos) == nil {
			continue
		}
		inner := seconds{value: c.Timeout.Value, ok: true, pos: c.Timeout.Pos}
		f := order(node, "call "+callee(c),
			fmt.Sprintf("%s waits up to %s for %s, but %s has answered 504 after %s", node, secondsText(c.Timeout.Value), callee(c), outer.Kind, secondsText(o.value)),
			o, inner, inner.evidence("the call waits"), o.evidence(outer.Kind+" waits"))
		f.Fix.Says = fmt.Sprintf("give the call a timeout below %s", secondsText(o.value))
		report(f)
	}
}

// retriesInOrder is T5: all attempts fit into the caller's deadline.
func retriesInOrder(sys *premortem.System, node premortem.Node, outer *premortem.Balancer, report func(premortem.Finding)) {
	o := readOf(outer)
	for _, r := range sys.Retries {
		if r.Service != node || r.Reconnect || !r.Attempts.Set() || r.Attempts.Value < 2 {
			continue
		}
		c, inner := triedCall(sys, r)
		if c == nil || c.Script {
			continue
		}
		total := float64(r.Attempts.Value)*inner.value + float64(r.Attempts.Value-1)*r.Wait.Value
		if inner.value > o.value || total <= o.value {
			continue // one call alone is too long: callsInOrder says so
		}
		sum := fmt.Sprintf("%d attempts × %s + %d waits × %s = %s", r.Attempts.Value, secondsText(inner.value), r.Attempts.Value-1, secondsText(r.Wait.Value), secondsText(total))
		f := order(node, "retry "+callee(c),
			fmt.Sprintf("%s tries %s for up to %s (%s), but %s has answered 504 after %s", node, callee(c), secondsText(total), sum, outer.Kind, secondsText(o.value)),
			o, inner, siteText(fmt.Sprintf("tried up to %d times", r.Attempts.Value), r.Attempts.Pos, ""),
			inner.evidence("each attempt waits"), o.evidence(outer.Kind+" waits"))
		f.Fix.Says = fmt.Sprintf("choose attempts and timeout so that their sum stays below %s", secondsText(o.value))
		report(f)
	}
}

// triedCall returns the call that a retry repeats and the longest that one attempt
// takes; nil when that is not known.
func triedCall(sys *premortem.System, r *premortem.Retry) (*premortem.Call, seconds) {
	for _, c := range sys.Calls {
		if c.Service != r.Service || c.Pos.File != r.Pos.File || c.Opaque != "" {
			continue
		}
		if c.Pos.Line < r.Pos.Line || c.Pos.Line > r.Pos.Line+25 || (r.To != "" && c.To != "" && r.To != c.To) {
			continue
		}
		t := callWait(c)
		if t.ok && t.value > 0 {
			return c, t
		}
	}
	return nil, seconds{}
}

// callWait is the longest that a call waits: what is written, else the client's
// default. It is not ok when the client waits for ever.
func callWait(c *premortem.Call) seconds {
	return waits(c.Timeout, clientRow(c.Client), "", "timeout", c.Pos)
}

// callee names what a call goes to.
func callee(c *premortem.Call) string {
	if c.To != "" {
		return string(c.To)
	}
	return "another server (" + c.Client + ")"
}

// clientRow is the name under which the table of defaults knows a client library.
func clientRow(client string) string {
	client = strings.ToLower(client)
	switch client {
	case "go", "http.client", "go-http", "resty":
		return "net/http"
	case "urllib.request", "urllib3":
		return "urllib"
	case "node-fetch":
		return ""
	}
	return client
}
