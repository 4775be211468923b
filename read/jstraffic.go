package read

import (
	"slices"

	"github.com/premortem/premortem"
)

// jsService is the JavaScript of one service: what its process may run.
type jsService struct {
	*serviceCode
	modules []*module
	aside   map[*module]bool // programs beside the service
}

// jsServices lists the services that run JavaScript.
func (g *merger) jsServices() []*jsService {
	by := map[*serviceCode]*jsService{}
	var out []*jsService
	for _, p := range g.project.paths {
		m := g.project.modules[p]
		if m.test || isBuildConfig(p) {
			continue
		}
		for _, s := range g.owners(p) {
			if s.static || !s.speaks("node") {
				continue
			}
			js := by[s]
			if js == nil {
				js = &jsService{serviceCode: s, aside: map[*module]bool{}}
				by[s] = js
				out = append(out, js)
			}
			js.modules = append(js.modules, m)
			js.aside[m] = !s.runs(p) || s.entry == "" && isAside(s.dir, p)
		}
	}
	return out
}

// codeTraffic adds what JavaScript says about servers, calls and logs.
func (g *merger) codeTraffic() {
	for _, s := range g.jsServices() {
		run := slices.DeleteFunc(slices.Clone(s.modules), func(m *module) bool { return s.aside[m] })
		g.jsServers(s, run)
		graph := newGraph(g.project, run)
		calls := map[jsRef][]*jsCall{}
		traced := g.traced(s.serviceCode)
		for _, m := range s.modules {
			for _, c := range g.project.calls(m, run) {
				g.addCall(s, graph, c)
				ref := jsRef{m, m.funcOf.at(c.at)}
				calls[ref] = append(calls[ref], c)
			}
			if s.aside[m] {
				continue
			}
			for _, l := range g.project.logCalls(m, graph, traced) {
				l.Service = s.node
				g.d.logs = append(g.d.logs, &l.LogCall)
			}
		}
		for _, m := range run {
			for _, r := range g.project.retries(m) {
				g.addRetry(s, graph, calls, r)
			}
			for _, r := range g.project.retryOptions(m) {
				r.Service = s.node
				g.d.retries = append(g.d.retries, &r.Retry)
			}
			for _, sc := range g.project.transactions(m) {
				if t := graph.holding(sc, calls); t != nil {
					t.Service = s.node
					g.d.transactions = append(g.d.transactions, &t.Transaction)
				}
			}
		}
	}
}

// traced reports whether something puts ids of traces into every log line.
func (g *merger) traced(s *serviceCode) bool {
	for _, dir := range []string{s.dir, "."} {
		p := g.packages[dir]
		if p == nil {
			continue
		}
		for _, name := range []string{"@opentelemetry/auto-instrumentations-node", "@opentelemetry/instrumentation-pino", "@opentelemetry/instrumentation-winston", "@opentelemetry/instrumentation-bunyan"} {
			if p.needs[name].Set() {
				return true
			}
		}
	}
	return false
}

// addCall gives a call to its service.
func (g *merger) addCall(s *jsService, graph *jsGraph, c *jsCall) {
	c.Service = s.node
	c.Script = s.aside[c.m] || !graph.onPath(c.m, c.at)
	if c.To == "" && c.env != "" {
		for _, d := range g.sys.Dependencies {
			if d.From == s.node && d.Env.Value == c.env {
				c.To = d.To
			}
		}
	}
	if c.To == "" && c.host != "" {
		c.To = g.serviceAt(s.node, c.host)
	}
	if c.To.Kind() == "store" {
		return
	}
	g.d.calls = append(g.d.calls, &c.Call)
}

// serviceAt finds the service that others reach under a host name.
func (g *merger) serviceAt(from premortem.Node, host string) premortem.Node {
	for _, w := range g.each() {
		if w.kind == "" && w.Node != from && (w.name == host || slices.Contains(w.hosts, host)) {
			return w.Node
		}
	}
	return ""
}

// addRetry gives a loop to its service, with what it tries again.
func (g *merger) addRetry(s *jsService, graph *jsGraph, calls map[jsRef][]*jsCall, r *jsRetry) {
	tried := graph.within(r.m, r.body, calls, 0, map[jsRef]bool{})
	if len(tried) == 0 && !r.Reconnect {
		return
	}
	r.Service, r.Keyed = s.node, len(tried) > 0
	for _, c := range tried {
		if r.To == "" {
			r.To = c.To
		}
		r.Writes = r.Writes || c.writes
		r.Keyed = r.Keyed && (c.Keyed || !c.writes)
	}
	r.Keyed = r.Keyed && r.Writes
	g.d.retries = append(g.d.retries, &r.Retry)
}

// within lists the calls that a part of a module makes, also through functions.
func (g *jsGraph) within(m *module, body span, calls map[jsRef][]*jsCall, depth int, seen map[jsRef]bool) []*jsCall {
	var out []*jsCall
	if depth > 5 {
		return nil
	}
	for i := body.lo; i < body.hi; i++ {
		if m.toks[i].kind != jsIdent {
			continue
		}
		ref := jsRef{m, m.funcOf.at(i)}
		for _, c := range calls[ref] {
			if c.at == i {
				out = append(out, c)
			}
		}
		for _, e := range g.calls[ref] {
			if e.at == i && !seen[e.to] {
				seen[e.to] = true
				out = append(out, g.within(e.to.m, e.to.m.funcs[e.to.fn].body, calls, depth+1, seen)...)
			}
		}
	}
	return out
}

// jsServers adds the servers of a service, with what its modules set elsewhere.
func (g *merger) jsServers(s *jsService, run []*module) {
	var servers []found[premortem.Server]
	for _, m := range run {
		servers = append(servers, g.project.servers(m)...)
	}
	if len(servers) == 0 {
		return
	}
	shared := g.project.shared(run)
	for i := range servers {
		sv := &servers[i]
		f := &sv.fact
		f.Service = s.node
		for _, t := range shared.tunings {
			if len(servers) > 1 && t.m != sv.m {
				continue // whose it is is not known
			}
			if t.fact.key == "setTimeout" {
				if args := t.m.args(t.m.callOpen(t.at)); len(args) > 0 {
					g.project.tune(t.m, f, "timeout", args[0], t.at)
				}
				continue
			}
			g.project.tune(t.m, f, t.fact.key, span{t.at + 2, t.m.exprEnd(t.at + 2)}, t.at)
		}
		f.Stops, f.Drain, f.Workers = shared.stops, shared.drain, shared.workers
		if !f.BodyLimit.Set() {
			f.BodyLimit = shared.body
		}
		f.Version = g.serverVersion(s.serviceCode, f.Software)
		one := *f
		g.d.servers = append(g.d.servers, &one)
	}
}

// serverVersion is the version of what keeps a service's connections: that of the
// runtime which the image brings, or the locked one of a package.
func (g *merger) serverVersion(s *serviceCode, software string) premortem.Setting[string] {
	lang := map[string]string{"node": "node", "bun": "bun", "deno": "deno", "go": "go"}[software]
	for _, r := range g.sys.Runtimes {
		if r.Service == s.node && r.Language == lang && r.Runs {
			return r.Version
		}
	}
	return g.lockedVersion(s.dir, software)
}
