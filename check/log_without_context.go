package check

import (
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// LogWithoutContext finds lines of requests that do not say whose request it was.
var LogWithoutContext = add(Rule{
	ID:       "log-without-context",
	Severity: premortem.Note,
	Pedantic: true,
	Doc: premortem.Doc{
		Title: "log lines of requests do not say which user, route or request they belong to",
		Why: `At night nobody can tell which user met the error, which request it belongs to, or
whether it was one user a hundred times or a hundred users once.`,
		When: `A service logs warnings or errors while it answers a request, without a request id, a
trace id, a user or a route, and its logger does not add them by itself.`,
		Silent: `The logger is bound to the request or takes its context from it; tracing injects the
ids; the line belongs to start, stop or a script; the line carries one of them.`,
		Fix: `Set the context once, where the request enters: a child logger or async local storage.`,
	},
	Run: logWithoutContext,
})

// mostLines is how many lines of one service a finding shows.
const mostLines = 8

func logWithoutContext(sys *premortem.System, report func(premortem.Finding)) {
	bare := map[premortem.Node][]*premortem.LogCall{}
	var order []premortem.Node
	for _, l := range sys.Logs {
		if !l.Route || l.Bound || l.Level == "debug" || l.Level == "trace" || identified(l.Fields) || passes(l) || generated(l.Pos.File) {
			continue
		}
		if bare[l.Service] == nil {
			order = append(order, l.Service)
		}
		bare[l.Service] = append(bare[l.Service], l)
	}
	seen := map[premortem.Pos]bool{}
	for _, node := range order {
		calls := bare[node]
		if !serious(calls) || seen[calls[0].Pos] {
			continue // lines of success only are a matter of taste; shared code is told once
		}
		seen[calls[0].Pos] = true
		verb := "carry"
		if len(calls) == 1 {
			verb = "carries"
		}
		f := premortem.Finding{
			Node:    node,
			Subject: "log",
			Says:    fmt.Sprintf("%s of %s on the path of requests %s no user, no route and no request id", many(len(calls), "log line"), orImage(node, "the code"), verb),
			Fix:     premortem.Fix{Says: contextFix(calls[0].Library)},
		}
		for i, l := range calls {
			if i == mostLines {
				break
			}
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: carries(l.Fields), Pos: l.Pos, Quote: l.Quote})
		}
		report(f)
	}
}

// passes reports a line inside somebody's own logger, which passes on the message
// and the context that it is given.
func passes(l *premortem.LogCall) bool {
	if l.Message != "" {
		return false
	}
	for _, f := range l.Fields {
		switch f {
		case "message", "msg", "args", "...", "meta", "data", "params":
			return true
		}
	}
	return len(l.Fields) == 0
}

// generated reports a file that a build wrote into the tree, or that makes the
// logger itself.
func generated(file string) bool {
	file = "/" + file
	for _, part := range []string{"/logging/", "/logger/", "/logger.", "/Logger.", "/builds/", "/public/", "/static/", "/generated/", ".min.", ".bundle."} {
		if strings.Contains(file, part) {
			return true
		}
	}
	return false
}

func serious(calls []*premortem.LogCall) bool {
	for _, l := range calls {
		switch l.Level {
		case "error", "warn", "warning", "fatal", "critical":
			return true
		}
	}
	return false
}

func carries(fields []string) string {
	if len(fields) == 0 {
		return "carries nothing but its text"
	}
	return "carries " + list(fields) + " only"
}

// identified reports whether a line names its request, its user or its route.
func identified(fields []string) bool {
	for _, f := range fields {
		switch strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "").Replace(f)) {
		case "traceid", "spanid", "requestid", "reqid", "correlationid", "xrequestid", "ddtraceid", "userid", "uid", "user",
			"usrid", "accountid", "account", "customerid", "tenantid", "session", "sessionid", "route", "httproute",
			"username", "useremail", "email", "login", "actor", "actorid", "member", "memberid", "teamid", "workspaceid",
			"req", "request", "ctx", "context", "orderid", "operationid", "jobid":
			return true
		}
	}
	return false
}

// contextFix says how a library gets its context once, at the edge.
func contextFix(library string) string {
	const once = "set the context once where the request enters: "
	switch library {
	case "pino":
		return once + "pino's mixin over an AsyncLocalStorage, or pino-http's req.log"
	case "winston":
		return once + "a first format that adds the store of an AsyncLocalStorage"
	case "slog":
		return once + "a handler that adds the fields of the context, and InfoContext instead of Info"
	case "zap":
		return once + "a logger with fields in the context of the request"
	case "logging", "structlog":
		return once + "a context variable that a filter adds to each record"
	case "console":
		return "use a structured logger, and " + once + "AsyncLocalStorage"
	}
	return once + "a logger that is bound to the request"
}
