package check

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// PortMismatch compares the port that code listens on with those that traffic and
// probes are sent to.
var PortMismatch = add(Rule{
	ID:       "port-mismatch",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "traffic or probes are sent to a port on which nobody listens",
		Why: `Each connection is refused: the balancer answers 502, the pod never becomes ready, or
liveness kills it again and again.`,
		When: `All ports on which the code of a service listens are known (a literal, or the variable
that production sets, or the code's default when it sets none), and none of the ports to
which a balancer, a probe or Compose sends traffic is among them. Or the only server
binds 127.0.0.1 inside a container. Or a Kubernetes Service sends to a port by a name that no
container has.`,
		Silent: `One of several listeners matches; a port comes from a variable whose value is not known;
the service is a third-party image; nothing says where traffic goes. EXPOSE and
containerPort alone are documentation.`,
		Fix: `Change the one value that differs from the others.`,
	},
	Run: portMismatch,
})

func portMismatch(sys *premortem.System, report func(premortem.Finding)) {
	for _, svc := range production(sys) {
		lostName(sys, svc, report)
		servers := serversOf(sys, svc.Node)
		if len(servers) == 0 || svc.Static {
			continue
		}
		if s := loopback(sys, svc, servers); s != nil {
			report(loopbackFinding(svc, s))
			continue
		}
		heard, ok := heardPorts(sys, servers)
		if !ok {
			continue
		}
		targets := targetsOf(sys, svc)
		for _, t := range targets {
			if _, ok := heard[t.port.Value]; ok {
				targets = nil
				break
			}
		}
		if len(targets) == 0 {
			continue
		}
		f := premortem.Finding{
			Node: svc.Node, Subject: svc.Deployment,
			Fix: premortem.Fix{Says: "use one port in all these places"},
		}
		var own int
		for n, s := range heard {
			own = n
			says := fmt.Sprintf("listens on %d", n)
			if s.port.Pos != s.server.Pos {
				says = fmt.Sprintf("%s=%d, which the code listens on", s.server.PortEnv, n)
			}
			f.Evidence = append(f.Evidence, siteText(says, s.port.Pos, heardQuote(s)))
		}
		for _, t := range targets {
			f.Evidence = append(f.Evidence, premortem.Evidence{Says: fmt.Sprintf("%s goes to %d", t.what, t.port.Value), Pos: t.port.Pos})
		}
		f.Says = fmt.Sprintf("%s listens on %d, but %s goes to %d, where nobody answers", svc.Node, own, targets[0].what, targets[0].port.Value)
		if len(targets) == 1 {
			f.Fix.Says = fmt.Sprintf("send %s to %d", targets[0].what, own)
			f.Fix.Edits = []premortem.Edit{{Pos: targets[0].port.Pos, Old: strconv.Itoa(targets[0].port.Value), New: strconv.Itoa(own)}}
		}
		report(f)
	}
}

type heardPort struct {
	port   premortem.Setting[int]
	server *premortem.Server
}

func heardQuote(h heardPort) string {
	if h.port.Pos == h.server.Pos {
		return h.server.Quote
	}
	return ""
}

// lostName reports a port that is written as a name which no container of the workload
// has. A number may lead to a port that nobody declares; a name cannot.
func lostName(sys *premortem.System, svc *premortem.Service, report func(premortem.Finding)) {
	for _, h := range svc.Hops {
		if h.Lost == "" || h.Target.Set() || h.Owner != "" || h.Kind != "service" || reachesOther(sys, svc, h) {
			continue
		}
		if _, err := strconv.Atoi(h.Port.Value); err == nil {
			continue
		}
		report(premortem.Finding{
			Node: svc.Node, Subject: svc.Deployment + " " + h.Port.Value, Certain: true,
			Says: fmt.Sprintf("%s %s sends to a port called %s, which no container of %s has", h.Kind, h.Name, h.Port.Value, svc.Node),
			Evidence: []premortem.Evidence{
				{Says: "sends to " + h.Port.Value, Pos: h.Port.Pos},
				{Says: "the workload: " + h.Lost, Pos: svc.Pos},
			},
			Fix: premortem.Fix{Says: "give the container's port that name, or send to its number"},
		})
	}
}

// reachesOther reports whether another workload has the port: a Service whose selector
// takes in more than it means sends nothing to those without it.
func reachesOther(sys *premortem.System, svc *premortem.Service, h premortem.Hop) bool {
	for _, u := range sys.Unread {
		if path.Dir(u.Pos.File) == path.Dir(h.Port.Pos.File) && strings.HasSuffix(path.Dir(u.Pos.File), "templates") {
			return true // what could not be rendered may have it
		}
	}
	for _, other := range sys.ServicesOf(svc.Deployment) {
		for _, o := range other.Hops {
			if other.Node != svc.Node && o.Kind == h.Kind && o.Name == h.Name && o.Port.Value == h.Port.Value && o.Target.Set() {
				return true
			}
		}
	}
	return false
}

// heardPorts returns the port on which a service listens. It answers only for one
// server: where a program opens several, one of them may be of a kind that we do not
// know.
func heardPorts(sys *premortem.System, servers []*premortem.Server) (map[int]heardPort, bool) {
	out := map[int]heardPort{}
	for _, s := range servers {
		port, ok := listens(sys, s)
		if !ok {
			return nil, false
		}
		out[port.Value] = heardPort{port, s}
	}
	return out, len(out) == 1
}

// listens is the port of a server in production: the value of its variable there, else
// what the code says.
func listens(sys *premortem.System, s *premortem.Server) (premortem.Setting[int], bool) {
	if s.PortEnv == "" {
		return s.Port, s.Port.Set()
	}
	if sys.Production == "" {
		return premortem.Setting[int]{}, false
	}
	switch provision, set := sys.Provision(sys.Production, s.Service, s.PortEnv); provision {
	case premortem.Provided:
		n, ok := plainNumber(set)
		if !ok {
			return premortem.Setting[int]{}, false
		}
		return premortem.Setting[int]{Value: n, Pos: set.Pos}, true
	case premortem.Missing:
		// A platform gives PORT without saying so in any file.
		return s.Port, s.Port.Set() && (s.PortEnv != "PORT" || kindOf(sys, sys.Production) != "platform")
	}
	return premortem.Setting[int]{}, false
}

type target struct {
	what string
	port premortem.Setting[int]
}

// targetsOf returns where production sends a service's traffic, one for each place.
func targetsOf(sys *premortem.System, svc *premortem.Service) []target {
	var out []target
	add := func(what string, port premortem.Setting[int]) {
		if !port.Set() || port.Value == 0 {
			return
		}
		for _, t := range out {
			if t.port.Pos == port.Pos {
				return
			}
		}
		out = append(out, target{what, port})
	}
	for _, h := range svc.Hops {
		if h.Kind != "container" && h.Kind != "router" && h.Owner == "" {
			add("the traffic of "+strings.TrimSpace(h.Kind+" "+h.Name), h.Target)
		}
	}
	for _, b := range balancersOf(sys, svc.Node) {
		add("the traffic of "+b.Kind, b.ToPort)
	}
	for _, p := range svc.Probes {
		if p.Path.Set() {
			add("the "+p.Kind+" probe", p.Port)
		}
	}
	return out
}

// loopback returns the only server of a containerised service if nobody outside can
// reach it.
func loopback(sys *premortem.System, svc *premortem.Service, servers []*premortem.Server) *premortem.Server {
	kind := kindOf(sys, svc.Deployment)
	if len(servers) != 1 || (kind != "kubernetes" && kind != "compose" && kind != "terraform") {
		return nil
	}
	if len(targetsOf(sys, svc)) == 0 {
		return nil
	}
	switch s := servers[0]; s.Host.Value {
	case "127.0.0.1", "localhost", "::1":
		return s
	}
	return nil
}

func loopbackFinding(svc *premortem.Service, s *premortem.Server) premortem.Finding {
	return premortem.Finding{
		Node: svc.Node, Subject: svc.Deployment,
		Says: fmt.Sprintf("%s listens on %s, which only its own container can reach", svc.Node, s.Host.Value),
		Evidence: []premortem.Evidence{
			siteText("binds "+s.Host.Value, s.Host.Pos, s.Quote),
			{Says: "production runs it in a container of its own", Pos: svc.Pos},
		},
		Fix: premortem.Fix{
			Says:  "bind 0.0.0.0",
			Edits: []premortem.Edit{{Pos: s.Host.Pos, Old: s.Host.Value, New: "0.0.0.0"}},
		},
	}
}
