package read

import (
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// serverPackages make something that listens, and what keeps its connections.
var serverPackages = map[string]string{
	"express": "node", "fastify": "fastify", "koa": "node", "http": "node", "node:http": "node", "https": "node", "node:https": "node",
	"http2": "node", "node:http2": "node", "@nestjs/core": "node", "restify": "node", "polka": "node", "connect": "node",
	"@hono/node-server": "node", "@hapi/hapi": "node", "h3": "node", "socket.io": "node",
}

// found is a fact of a module, to be given to the services that run it.
type found[T any] struct {
	fact T
	m    *module
	at   int
}

// jsTuning is a setting of servers that stands away from where one is opened.
type jsTuning struct {
	owner string // variable or parameter that holds the server
	key   string
	value premortem.Setting[float64]
	known bool
}

var serverTimes = wordSet(`keepAliveTimeout headersTimeout timeout bodyLimit`)

// servers finds what a module opens to the network.
func (p *project) servers(m *module) []found[premortem.Server] {
	var out []found[premortem.Server]
	for i, t := range m.toks {
		if t.kind != jsIdent {
			continue
		}
		open := m.callOpen(i)
		if open < 0 {
			continue
		}
		switch {
		case t.text == "listen" && m.tok(i-1).is("."):
			software, made := p.listener(m, i)
			if software == "" {
				continue
			}
			s := premortem.Server{Pos: m.pos(i), Quote: m.quote(i), Software: software}
			p.listenArgs(m, &s, m.args(open))
			p.serverOptions(m, &s, made)
			out = append(out, found[premortem.Server]{s, m, i})
		case t.text == "serve" && m.packageOf("serve") == "@hono/node-server",
			t.text == "serve" && m.tok(i-1).is(".") && (m.tok(i-2).is("Bun") || m.tok(i-2).is("Deno")):
			s := premortem.Server{Pos: m.pos(i), Quote: m.quote(i), Software: "node"}
			if r := m.tok(i - 2); r.is("Bun") || r.is("Deno") {
				s.Software = strings.ToLower(r.text)
			}
			p.listenArgs(m, &s, m.args(open))
			out = append(out, found[premortem.Server]{s, m, i})
		}
	}
	return out
}

// listener tells what a `.listen(` is called on: the software, and the
// parenthesis of the call that made it, -1 when that is not in this module.
func (p *project) listener(m *module, i int) (software string, made int) {
	start := m.chainStart(i - 1)
	if sw, open := p.makesServer(m, span{start, i - 1}); sw != "" {
		return sw, open // http.createServer(app).listen(…)
	}
	if i-1-start != 1 {
		return "", -1
	}
	name := m.tok(start).text
	for range 3 {
		s := p.lookup(m, name)
		if s.m == nil {
			return "", -1
		}
		at := i
		if s.m != m {
			at = len(s.m.toks)
		}
		v, ok := s.m.initialiser(s.name, at)
		if !ok {
			break
		}
		if sw, open := p.makesServer(s.m, v); sw != "" {
			if s.m != m {
				open = -1
			}
			return sw, open
		}
		for k := v.lo; k < v.hi; k++ { // stoppable(http.createServer(app))
			if s.m.tok(k).kind == jsIdent && s.m.callOpen(k) > 0 {
				if sw, _ := p.makesServer(s.m, span{s.m.chainStart(k), k + 1}); sw != "" {
					return sw, -1
				}
			}
		}
		if s.m.tok(v.lo).kind != jsIdent {
			break
		}
		k := v.lo // const server = buildApp(): what the function makes
		if s.m.tok(k).is("await") {
			k++
		}
		sw, made := p.madeBy(s.m, k)
		return sw, made
	}
	return m.serverNamed(name), -1
}

// serverNamed guesses by the packages of a module what a variable that is called like
// a server holds, "" nothing.
func (m *module) serverNamed(name string) string {
	switch name {
	case "app", "server", "httpServer", "fastify":
		if m.uses("@nestjs/platform-fastify") {
			return "fastify"
		}
		for pkg, sw := range serverPackages {
			if sw == "node" && m.uses(pkg) && name != "fastify" {
				return sw
			}
		}
		if m.uses("fastify") {
			return "fastify"
		}
	}
	return ""
}

// madeBy looks into a function that gives a server back.
func (p *project) madeBy(m *module, i int) (string, int) {
	if m.callOpen(i) < 0 {
		return "", -1
	}
	s := p.lookup(m, m.tok(i).text)
	if s.m == nil {
		return "", -1
	}
	f, ok := s.m.function(strings.TrimPrefix(s.name, "export "), i, s.m == m)
	if !ok {
		return "", -1
	}
	body := f.m.funcs[f.fn].body
	for k := body.lo; k < body.hi; k++ {
		if f.m.toks[k].kind == jsIdent && f.m.callOpen(k) > 0 {
			if sw, open := p.makesServer(f.m, span{f.m.chainStart(k), k + 1}); sw != "" {
				if f.m != m {
					open = -1
				}
				return sw, open
			}
		}
	}
	return "", -1
}

// makesServer recognises express(), new Koa(), http.createServer(…), fastify({…})
// and NestFactory.create(…).
func (p *project) makesServer(m *module, s span) (software string, open int) {
	i := s.lo
	for m.tok(i).is("new") || m.tok(i).is("await") {
		i++
	}
	if m.tok(i).is("require") && m.tok(i+2).kind == jsString { // require('express')()
		if sw := serverPackages[m.tok(i+2).text]; sw != "" {
			for k := i + 4; k < i+8; k++ {
				if m.tok(k).is("(") {
					return sw, k
				}
			}
		}
		return "", -1
	}
	pkg := m.packageOf(m.tok(i).text)
	if pkg == "" {
		return "", -1
	}
	sw := serverPackages[pkg]
	if sw == "" {
		return "", -1
	}
	if pkg == "@nestjs/core" && m.uses("@nestjs/platform-fastify") {
		sw = "fastify" // NestFactory.create(AppModule, new FastifyAdapter())
	}
	k := i
	for m.tok(k+1).is(".") && m.tok(k+2).kind == jsIdent {
		k += 2
	}
	switch m.tok(k).text {
	case "Agent", "request", "get", "Router", "json", "static":
		return "", -1
	}
	if open := m.callOpen(k); open > 0 {
		return sw, open
	}
	if m.tok(i - 1).is("new") {
		return sw, -1
	}
	return "", -1
}

// listenArgs reads listen(port, host) and listen({port, host}).
func (p *project) listenArgs(m *module, s *premortem.Server, args []span) {
	if len(args) == 0 {
		return
	}
	port := args[0]
	var host span
	if len(args) > 1 {
		host = args[1]
	}
	if b := m.object(args[0]); b >= 0 {
		port = m.prop(b, "port")
		host = m.prop(b, "host")
		if host.empty() {
			host = m.prop(b, "hostname")
		}
	}
	q := p.amount(m, port)
	if !q.known || q.value != float64(int(q.value)) || q.value < 0 || q.value > 65535 {
		q.known = false
	}
	s.Port, s.PortEnv = q.whole(), q.env
	if s.PortEnv == "" {
		s.PortEnv = m.envIn(port).Value
	}
	if text, ok := m.constant(host, 0); ok && text != "" && m.tok(host.lo).kind != jsNumber {
		s.Host = premortem.Setting[string]{Value: text, Pos: m.pos(host.lo)}
	}
}

// serverOptions reads the options of the call that makes a server.
func (p *project) serverOptions(m *module, s *premortem.Server, open int) {
	if open < 0 {
		return
	}
	for _, a := range m.args(open) {
		b := m.object(a)
		for _, prop := range m.props(b) {
			if serverTimes[prop.key] || prop.key == "connectionTimeout" {
				p.tune(m, s, prop.key, prop.value, prop.at)
			}
		}
	}
}

// tune sets one time of a server; a value that cannot be computed is named.
func (p *project) tune(m *module, s *premortem.Server, key string, value span, at int) {
	q := p.amount(m, value)
	if q.pos.File == "" {
		q.pos = m.pos(at)
	}
	field := map[string]string{"keepAliveTimeout": "keep_alive", "headersTimeout": "headers_timeout", "timeout": "request_timeout", "bodyLimit": "body_limit"}[key]
	if !q.known {
		if field != "" && !slices.Contains(s.Opaque, field) {
			s.Opaque = append(s.Opaque, field)
		}
		return
	}
	t := premortem.Setting[float64]{Value: q.value / 1000, Pos: m.pos(at)}
	switch key {
	case "keepAliveTimeout":
		s.KeepAlive = t
	case "headersTimeout":
		s.HeadersTimeout = t
	case "timeout":
		s.RequestTimeout = t
	case "bodyLimit":
		s.BodyLimit = premortem.Setting[int64]{Value: int64(q.value), Pos: m.pos(at)}
	}
}

// serverShared is what modules of a service say about its servers elsewhere.
type serverShared struct {
	tunings []found[jsTuning]
	stops   premortem.Setting[string]
	drain   premortem.Setting[float64]
	workers premortem.Setting[int]
	body    premortem.Setting[int64]
	opaque  []string
}

// shared collects what the modules of one service say about servers.
func (p *project) shared(modules []*module) serverShared {
	var out serverShared
	for _, m := range modules {
		for i, t := range m.toks {
			switch {
			case t.kind == jsString && t.text == "SIGTERM":
				p.stopAt(m, i, &out)
			case t.kind != jsIdent:
			case serverTimes[t.text] && m.tok(i-1).is(".") && m.tok(i+1).is("=") && m.tok(i-2).kind == jsIdent && t.text != "bodyLimit" && serverName(m, i-2):
				out.tunings = append(out.tunings, found[jsTuning]{jsTuning{owner: m.tok(i - 2).text, key: t.text}, m, i})
			case t.text == "setTimeout" && m.tok(i-1).is(".") && m.callOpen(i) > 0 && serverName(m, i-2) && m.tok(i-2).text != "req":
				out.tunings = append(out.tunings, found[jsTuning]{jsTuning{owner: m.tok(i - 2).text, key: "setTimeout"}, m, i})
			case t.text == "fork" && m.tok(i-2).is("cluster") && !out.workers.Set():
				out.workers = p.forks(m, i)
			case t.text == "enableShutdownHooks" && m.callOpen(i) > 0, t.text == "createTerminus" && m.callOpen(i) > 0, t.text == "closeWithGrace" && m.callOpen(i) > 0,
				t.text == "gracefulShutdown" && m.packageOf(t.text) == "http-graceful-shutdown" && m.callOpen(i) > 0:
				out.stops = premortem.Setting[string]{Value: m.quote(i), Pos: m.pos(i)}
			case (t.text == "json" || t.text == "raw" || t.text == "urlencoded") && m.tok(i-1).is("."):
				p.parserLimit(m, i, &out.body)
			}
		}
	}
	return out
}

// serverName keeps settings of agents and requests apart from those of servers.
func serverName(m *module, i int) bool {
	name := strings.ToLower(m.tok(i).text)
	return m.tok(i).kind == jsIdent && (strings.Contains(name, "server") || name == "srv" || name == "listener" || name == "app" && m.tok(i-1).is("="))
}

// stopAt reads process.on('SIGTERM', …) and loops over a list of signals.
func (p *project) stopAt(m *module, i int, out *serverShared) {
	open := m.tok(i).up
	if m.tok(open).is("[") || m.tok(open).is("(") && (m.tok(open-1).is("on") || m.tok(open-1).is("once") || m.tok(open-1).is("addListener") || m.tok(open-1).is("addSignalListener")) {
		if m.tok(open).is("(") && !m.tok(open-3).is("process") && !m.tok(open-3).is("Deno") {
			return
		}
		if !out.stops.Set() {
			out.stops = premortem.Setting[string]{Value: m.quote(i), Pos: m.pos(i)}
		}
		p.drainAround(m, i, out)
	}
}

// drainAround reads the longest time that the handler leaves before it exits.
func (p *project) drainAround(m *module, i int, out *serverShared) {
	if out.drain.Set() {
		return
	}
	body := span{}
	open := m.tok(i).up
	if args := m.args(open); m.tok(open).is("(") && len(args) > 1 {
		body = args[1]
		if body.hi-body.lo == 1 {
			if f, ok := m.function(m.tok(body.lo).text, i, true); ok {
				body = m.funcs[f.fn].body
			}
		}
	}
	for k := body.lo; k < body.hi; k++ {
		if !m.tok(k).is("setTimeout") || m.callOpen(k) < 0 {
			continue
		}
		args := m.args(m.callOpen(k))
		if len(args) != 2 || !strings.Contains(m.source(args[0]), "exit") {
			continue
		}
		if q := p.amount(m, args[1]); q.known {
			out.drain = q.seconds()
		}
	}
}
