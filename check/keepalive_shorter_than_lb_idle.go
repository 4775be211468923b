package check

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// KeepAliveShorterThanLBIdle finds servers that close an idle connection before the
// balancer in front of them stops using it.
var KeepAliveShorterThanLBIdle = add(Rule{
	ID:       "keepalive-shorter-than-lb-idle",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "the server closes idle connections that the load balancer still uses",
		Why: `Now and then a request is sent on a connection that the server is closing at that
moment. The user gets a 502 that no log of the application knows, mostly at quiet hours,
and a POST is lost. A load test does not show it: it keeps every connection busy.`,
		When: `A balancer of production reuses connections to a server, and the server closes an idle
one no later than the balancer does: both times are written, or one is the documented
default of that software and version. Equal times count; less than 5 s apart is a note.`,
		Silent: `The balancer opens a connection for each request (nginx before 1.29.7 without keepalive,
gunicorn's sync workers behind anything); the server never closes (Go without
IdleTimeout); one of the times is not known, as with a runtime newer than the last whose
default was read; the default is not confirmed.`,
		Fix: `Let the server wait longer than the balancer, by 15 s or more. Do not lower the
balancer's time: it would close connections under slow requests.`,
	},
	Run: keepAliveShorter,
	Ask: askKeepAlive,
})

// margin is how much longer a server should wait than the balancer: clocks, round
// trips and scheduling add up.
const (
	margin      = 5
	safeMargin  = 15
	raceWindow  = 0.005 // s: one round trip between two hops and a late scheduler
	secondsADay = 86400
)

func keepAliveShorter(sys *premortem.System, report func(premortem.Finding)) {
	for _, s := range sys.Servers {
		if !inUse(sys, s.Service) {
			continue
		}
		set, added := keepAliveOf(sys, s)
		if !set.ok || !set.firm() {
			continue
		}
		closes := set.value + added.value
		var worst, near []*premortem.Balancer
		for _, b := range balancersOf(sys, s.Service) {
			idle := idleOf(b)
			if again, known := reuses(b); !known || !again || !idle.ok || !idle.firm() || !sameDoor(sys, b, s) || closes <= 0 {
				continue
			}
			switch {
			case closes <= idle.value:
				worst = append(worst, b)
			case closes < idle.value+margin:
				near = append(near, b)
			}
		}
		switch {
		case len(worst) > 0:
			report(keepAliveFinding(sys, s, worst, set, added, false))
		case len(near) > 0:
			report(keepAliveFinding(sys, s, near, set, added, true))
		}
	}
	neighbours(sys, report)
}

func askKeepAlive(sys *premortem.System, ask func(string)) {
	for _, s := range sys.Servers {
		if set, _ := keepAliveOf(sys, s); set.ok || !inUse(sys, s.Service) || s.Software == "go" || s.Software == "gunicorn" {
			continue
		}
		for _, b := range balancersOf(sys, s.Service) {
			if again, _ := reuses(b); again && idleOf(b).ok {
				ask(fmt.Sprintf("how long does %s keep an idle connection? %s waits %s, and the default of this version of %s is not known",
					s.Service, b.Kind, secondsText(idleOf(b).value), s.Software))
				break
			}
		}
	}
}

// sameDoor reports whether the balancer's port is this server's, where both are known.
func sameDoor(sys *premortem.System, b *premortem.Balancer, s *premortem.Server) bool {
	port, ok := listens(sys, s)
	return !b.ToPort.Set() || !ok || port.Value == b.ToPort.Value
}

func keepAliveFinding(sys *premortem.System, s *premortem.Server, lbs []*premortem.Balancer, set, added seconds, near bool) premortem.Finding {
	closes := set.value + added.value
	longest := idleOf(lbs[0])
	var names []string
	for _, b := range lbs {
		if idle := idleOf(b); idle.value > longest.value {
			longest = idle
		}
		names = append(names, b.Kind+" "+secondsText(idleOf(b).value))
	}
	says := fmt.Sprintf("%s closes an idle connection after %s, but the balancer in front uses it for up to %s: a request meets the closing socket and the user gets a 502",
		s.Service, secondsText(closes), secondsText(longest.value))
	if triesAgain(lbs) {
		says = fmt.Sprintf("%s closes an idle connection after %s, but the proxy in front uses it for up to %s: a request meets the closing socket; a GET is sent again, a POST gets a 502",
			s.Service, secondsText(closes), secondsText(longest.value))
	}
	if near {
		says = fmt.Sprintf("%s closes an idle connection after %s, only %s after the balancer stops using it (%s)",
			s.Service, secondsText(closes), secondsText(closes-longest.value), list(names))
	}
	what := "idle connections of the server stay open"
	if added.ok {
		what += fmt.Sprintf(" (and %s more, which the runtime adds)", secondsText(added.value))
	}
	server := set.evidence(what)
	server.Quote = s.Quote
	if server.Pos != s.Pos {
		server.Quote = ""
	}
	f := premortem.Finding{
		Node: s.Service, Says: says, Certain: true,
		Evidence: []premortem.Evidence{server},
		Fix:      keepAliveFix(s, longest.value+safeMargin),
	}
	for _, b := range lbs {
		f.Evidence = append(f.Evidence, idleOf(b).evidence(b.Kind+" keeps idle connections to its target"))
	}
	if near {
		f.Severity = asNote
		return f
	}
	f.Evidence[0].Says += "; " + predicted(sys, closes)
	return f
}

// triesAgain reports whether every hop repeats what may be repeated: nginx does on
// error and timeout (proxy_next_upstream), for all methods but POST, LOCK and PATCH.
func triesAgain(lbs []*premortem.Balancer) bool {
	for _, b := range lbs {
		if name := software(b); name != "nginx" && name != "ingress-nginx" {
			return false
		}
	}
	return true
}

// predicted is the race in closed form. On one pooled connection requests arrive as a
// Poisson stream of rate r; the server closes after T idle seconds; for w seconds the
// balancer can still send. A request then fails with probability
// exp(-r·T) − exp(-r·(T+w)), which is largest at r = 1/T.
func predicted(sys *premortem.System, T float64) string {
	worst := raceWindow / (math.E * T)
	text := fmt.Sprintf("at worst %s of the requests fail (one request each %s on a connection), r·w·e^(−r·T) in general with r requests per second and connection and w = 5 ms",
		share(worst), secondsText(T))
	if !sys.Base.Calls.Set() || sys.Base.Calls.Value <= 0 {
		return text + "; set base.calls for a number per day"
	}
	perDay := sys.Base.Calls.Value * secondsADay * worst
	return text + fmt.Sprintf("; at %s requests per second at most %s errors a day, fewer when users double",
		strconv.FormatFloat(sys.Base.Calls.Value, 'g', 4, 64), count(int(math.Ceil(perDay))))
}

func share(p float64) string { return fmt.Sprintf("%.4f %%", 100*p) }

// keepAliveFix sets the server's time. It edits a number that is written, and adds a
// line behind a Node server that is kept in a variable.
func keepAliveFix(s *premortem.Server, want float64) premortem.Fix {
	text := secondsText(want)
	fix := premortem.Fix{Says: fmt.Sprintf("let the server keep idle connections for %s", text)}
	switch s.Software {
	case "node":
		fix.Says = fmt.Sprintf("set server.keepAliveTimeout = %.0f and server.headersTimeout = %.0f", want*1000, (want+1)*1000)
		if name := serverVariable(s.Quote); name != "" && !s.KeepAlive.Set() && strings.HasSuffix(strings.TrimSpace(s.Quote), ";") {
			at := premortem.Pos{File: s.Pos.File, Line: s.Pos.Line + 1}
			fix.Edits = []premortem.Edit{{Pos: at, New: fmt.Sprintf("%s.keepAliveTimeout = %s;\n%s.headersTimeout = %s;",
				name, thousands(want), name, thousands(want+1))}}
		}
	case "fastify":
		fix.Says = fmt.Sprintf("set keepAliveTimeout: %.0f", want*1000)
	case "uvicorn":
		fix.Says = fmt.Sprintf("start it with --timeout-keep-alive %.0f", want)
	case "gunicorn":
		fix.Says = fmt.Sprintf("start it with --keep-alive %.0f", want)
	case "puma":
		fix.Says = fmt.Sprintf("set persistent_timeout %.0f", want)
	case "go":
		fix.Says = fmt.Sprintf("set IdleTimeout: %.0f * time.Second", want)
	case "tomcat":
		fix.Says = fmt.Sprintf("set server.tomcat.keep-alive-timeout=%.0fs", want)
	}
	return fix
}

func thousands(sec float64) string { return strings.ReplaceAll(count(int(sec*1000)), ",", "_") }

// serverVariable is the name in "const server = app.listen(…)", "" for other lines.
func serverVariable(quote string) string {
	left, _, ok := strings.Cut(quote, "=")
	words := strings.Fields(left)
	if !ok || len(words) != 2 || (words[0] != "const" && words[0] != "let" && words[0] != "var") {
		return ""
	}
	return words[1]
}

// neighbours compares services that call each other: the same race, inside. Go's
// client keeps idle connections for 90 s and repeats no POST; a finding is a note, as
// the client sees most closed connections in time.
func neighbours(sys *premortem.System, report func(premortem.Finding)) {
	const goIdle = 90
	for _, c := range sys.Calls {
		if c.Client != "net/http" || c.To.Kind() != "service" || c.Script || !inUse(sys, c.Service) || !inUse(sys, c.To) {
			continue
		}
		if c.Method != "POST" && c.Method != "PATCH" {
			continue
		}
		for _, s := range serversOf(sys, c.To) {
			set, added := keepAliveOf(sys, s)
			closes := set.value + added.value
			if !set.ok || !set.firm() || closes <= 0 || closes >= goIdle {
				continue
			}
			report(premortem.Finding{
				Node: c.Service, Subject: string(c.To), Severity: asNote, Certain: true,
				Says: fmt.Sprintf("%s keeps idle connections to %s for %d s, which closes them after %s: a %s may meet the closing socket, and Go repeats none",
					c.Service, c.To, goIdle, secondsText(closes), c.Method),
				Evidence: []premortem.Evidence{
					siteText("called here, over Go's pool of idle connections (IdleConnTimeout 90 s: src/net/http/transport.go in golang/go)", c.Pos, c.Quote),
					set.evidence("idle connections of the server stay open"),
				},
				Fix: premortem.Fix{Says: fmt.Sprintf("set IdleConnTimeout of the client below %s", secondsText(closes))},
			})
			break
		}
	}
}
