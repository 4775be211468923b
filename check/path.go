package check

import (
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// inUse reports whether production runs a service; it is true when nothing says what
// production is.
func inUse(sys *premortem.System, n premortem.Node) bool {
	return sys.Production == "" || inProduction(sys, n) != nil
}

// balancersOf returns the hops of production in front of a service, outermost first.
func balancersOf(sys *premortem.System, n premortem.Node) []*premortem.Balancer {
	var out []*premortem.Balancer
	for _, b := range sys.Balancers {
		if b.To == n && sys.IsProduction(b.Deployment) {
			out = append(out, b)
		}
	}
	slices.SortStableFunc(out, func(a, b *premortem.Balancer) int { return a.Front - b.Front })
	return out
}

// serversOf returns the HTTP servers that a service opens.
func serversOf(sys *premortem.System, n premortem.Node) []*premortem.Server {
	var out []*premortem.Server
	for _, v := range sys.Servers {
		if v.Service == n && !(v.Port.Set() && v.Port.Value == 0) && !besides(sys, v) {
			out = append(out, v)
		}
	}
	return out
}

// besides reports a server in a package of a workspace that nothing says the service
// to start: the image may hold it and run another.
func besides(sys *premortem.System, v *premortem.Server) bool {
	var in string
	for _, svc := range sys.Services {
		if svc.Node != v.Service {
			continue
		}
		rest, ok := strings.CutPrefix(v.Pos.File, strings.TrimPrefix(svc.Dir+"/", "./"))
		if svc.Dir == "" || !ok {
			continue
		}
		parts := strings.Split(rest, "/")
		if len(parts) < 3 || !workspaces[parts[0]] {
			return false
		}
		in = parts[1]
		started := strings.Join(svc.Command.Value, " ") + " " + svc.Start.Quote + " " + svc.Start.Runs.Value + " " + svc.Dockerfile + " " + svc.Node.Name() + " " + svc.Image.Value
		if strings.Contains(started, in) {
			return false
		}
	}
	return in != ""
}

// workspaces are folders that hold packages of several programs.
var workspaces = map[string]bool{"packages": true, "apps": true, "libs": true, "services": true, "modules": true}

// software names the row of defaults of a balancer: what read found, else what its
// kind says.
func software(b *premortem.Balancer) string {
	if b.Software != "" {
		return b.Software
	}
	switch b.Kind {
	case "aws-alb", "aws-nlb", "nginx", "envoy":
		return b.Kind
	case "nginx-ingress":
		return "ingress-nginx"
	}
	return ""
}

// idleOf is how long a balancer keeps a silent connection to its target.
func idleOf(b *premortem.Balancer) seconds {
	return waits(b.IdleTimeout, software(b), b.Version.Value, "idle", b.Pos)
}

// readOf is how long a balancer waits for its target: the shortest of its waits for
// the next byte and for the whole request, and of a cap that nobody can raise.
func readOf(b *premortem.Balancer) seconds {
	best := waits(b.ReadTimeout, software(b), b.Version.Value, "read", b.Pos)
	if software(b) == "aws-alb" && b.IdleTimeout.Set() && !b.ReadTimeout.Set() {
		best = seconds{value: b.IdleTimeout.Value, ok: true, pos: b.IdleTimeout.Pos}
	}
	for _, s := range []seconds{
		waits(b.RequestTimeout, software(b), b.Version.Value, "request", b.Pos),
		waits(premortem.Setting[float64]{}, software(b), b.Version.Value, "cap", b.Pos),
	} {
		if s.ok && s.value > 0 && (!best.ok || s.value < best.value) {
			best = s
		}
	}
	return best
}

// reuses reports whether a balancer sends several requests over one connection to its
// target. The second result is false when that is not known.
func reuses(b *premortem.Balancer) (bool, bool) {
	if b.Reuse.Set() {
		return b.Reuse.Value, true
	}
	switch software(b) {
	case "aws-alb", "aws-elb-classic", "gcp-lb", "envoy", "heroku-router", "aws-cloudfront":
		return true, true
	}
	k, ok := Default(software(b), b.Version.Value, "reuse")
	return k.Text == "on", ok
}

// versionOf is the version of a server's software: what read found, else what the
// repository declares for its language.
func versionOf(sys *premortem.System, s *premortem.Server) string {
	if plainSemver(s.Version.Value) != nil {
		return s.Version.Value
	}
	if s.Software != "node" {
		return ""
	}
	for _, r := range runtimesOf(sys, s.Service, "node") {
		if r.Runs && plainSemver(r.Version.Value) != nil {
			return r.Version.Value
		}
	}
	if r := declared(runtimesOf(sys, s.Service, "node")); r != nil {
		return exact(r.Version.Value)
	}
	return ""
}

// keepAliveOf is how long a server keeps a silent connection. The added time is what
// the runtime waits beyond its setting.
func keepAliveOf(sys *premortem.System, s *premortem.Server) (set, added seconds) {
	version := versionOf(sys, s)
	if slices.Contains(s.Opaque, "keep_alive") {
		return seconds{}, seconds{}
	}
	if s.Software == "gunicorn" && !s.KeepAlive.Set() && !manyPerWorker(sys, s) {
		return seconds{}, seconds{} // a sync worker closes after each answer
	}
	set = waits(s.KeepAlive, s.Software, version, "keep-alive", s.Pos)
	if set.ok && s.Software == "node" {
		added = waits(premortem.Setting[float64]{}, "node", version, "keep-alive added", s.Pos)
	}
	return set, added
}

// manyPerWorker reports whether gunicorn's workers serve more than one connection.
func manyPerWorker(sys *premortem.System, s *premortem.Server) bool {
	if s.Threads.Value > 1 {
		return true
	}
	text := s.Quote
	if svc := inProduction(sys, s.Service); svc != nil {
		text += " " + strings.Join(svc.Command.Value, " ")
	}
	for _, class := range []string{"gevent", "eventlet", "gthread", "tornado", "uvicorn", "--threads"} {
		if strings.Contains(text, class) {
			return true
		}
	}
	return false
}

// userFacing reports whether a balancer or an ingress sends users to a service, and
// the evidence for it.
func userFacing(sys *premortem.System, svc *premortem.Service) (premortem.Evidence, bool) {
	for _, b := range balancersOf(sys, svc.Node) {
		return premortem.Evidence{Says: b.Kind + " sends users to it", Pos: b.Pos}, true
	}
	if svc.Exposed.Set() && strings.HasPrefix(svc.Exposed.Value, "ingress") {
		return premortem.Evidence{Says: svc.Exposed.Value + " sends users to it", Pos: svc.Exposed.Pos}, true
	}
	return premortem.Evidence{}, false
}

// siteText is a line of code that a finding shows.
func siteText(says string, pos premortem.Pos, quote string) premortem.Evidence {
	return premortem.Evidence{Says: says, Pos: pos, Quote: quote}
}
