package read

import (
	"path"
	"strings"

	"github.com/premortem/premortem"
)

// findRouters notes the variables that hold an Express application or a router.
func (m *module) findRouters() {
	for name, vs := range m.vars {
		for _, v := range vs {
			if m.makesRouter(v) {
				m.routers[name] = true
			}
		}
	}
}

// makesRouter recognises express(), Router(), express.Router(), new Router() and
// require('express').Router().
func (m *module) makesRouter(v span) bool {
	i := v.lo
	for m.tok(i).is("new") || m.tok(i).is("await") {
		i++
	}
	for i < v.hi {
		t := m.tok(i)
		switch {
		case t.is("require") && m.tok(i+2).kind == jsString:
			if !strings.Contains(m.tok(i+2).text, "express") {
				return false
			}
			i += 4
			if m.tok(i).is("(") {
				return true
			}
		case t.is("."):
			i++
		case t.kind != jsIdent:
			return false
		case m.callOpen(i) > 0:
			return t.text == "express" || t.text == "Router" || t.text == "PromiseRouter" || strings.Contains(m.packageOf(t.text), "express")
		default:
			i++
		}
	}
	return false
}

// routeCall is one route or mount of a module.
type routeCall struct {
	router symbol // on which it is made
	method string // "" a mount
	path   string
	target symbol // of a mount
	at     int
	end    int // last token
}

var httpMethods = map[string]string{
	"get": "GET", "post": "POST", "put": "PUT", "patch": "PATCH", "delete": "DELETE", "head": "HEAD", "options": "OPTIONS", "all": "ALL", "del": "DELETE",
}

// routeCalls finds what a module adds to routers: its own, imported ones, and the
// parameters of functions that get an application.
func (p *project) routeCalls(m *module) []routeCall {
	var out []routeCall
	for i, t := range m.toks {
		if t.kind != jsIdent || !m.tok(i-1).is(".") || httpMethods[t.text] == "" && t.text != "use" && t.text != "route" {
			continue
		}
		open := m.callOpen(i)
		if open < 0 || m.tok(i-2).kind != jsIdent || m.tok(i-3).is(".") {
			continue
		}
		router, ok := p.router(m, m.tok(i-2).text, i)
		if !ok {
			continue
		}
		args := m.args(open)
		switch {
		case t.text == "use":
			out = append(out, p.mounts(m, router, args, i)...)
		case t.text == "route":
			out = append(out, p.chain(m, router, args, open, i)...)
		case len(args) > 1:
			for _, path := range m.pathsOf(args[0]) {
				out = append(out, routeCall{router: router, method: httpMethods[t.text], path: path, at: i, end: m.tok(open).match})
			}
		}
	}
	return out
}

// router resolves a name to the router it holds.
func (p *project) router(m *module, name string, at int) (symbol, bool) {
	if m.routers[name] {
		return symbol{m, name}, true
	}
	if s := p.trace(m, name); s.m != nil && s.m.routers[s.name] {
		return s, true
	}
	if !routerNames[name] {
		return symbol{}, false
	}
	for f := m.funcOf.at(at); f >= 0; { // a parameter of a function that registers routes
		fn := m.funcs[f]
		for _, prm := range m.split(fn.params, ",") {
			if m.tok(prm.lo).text == name {
				return symbol{m, "parameter " + fn.name}, true
			}
		}
		if fn.start <= 0 || m.funcOf.at(fn.start) == f {
			break
		}
		f = m.funcOf.at(fn.start)
	}
	return symbol{}, false
}

var routerNames = wordSet(`app router server api routes`)

// pathsOf returns the paths of a route's first argument, none when it is no path.
func (m *module) pathsOf(a span) []string {
	if m.tok(a.lo).is("[") {
		var out []string
		for _, e := range m.split(m.inside(a.lo), ",") {
			out = append(out, m.pathsOf(e)...)
		}
		return out
	}
	s, ok := m.constant(a, 0)
	if !ok || s != "" && !strings.HasPrefix(s, "/") && s != "*" {
		return nil
	}
	return []string{s}
}

// constant evaluates literals, templates without holes and constants of the module.
func (m *module) constant(s span, depth int) (string, bool) {
	if s.empty() || depth > 4 {
		return "", false
	}
	t := m.tok(s.lo)
	switch {
	case s.hi-s.lo == 1 && (t.kind == jsString || t.kind == jsNumber):
		return t.text, true
	case t.kind == jsTemplate && t.match == s.hi-1:
		text := t.text
		if t.match > s.lo {
			n := 0
			for i := s.lo + 1; i <= t.match; i = m.next(i) {
				n++
				v, ok := m.constant(m.inside(i), depth+1)
				if !ok {
					return "", false
				}
				text = strings.Replace(text, "$"+itoa(n), v, 1)
			}
		}
		return text, true
	case s.hi-s.lo == 1 && t.kind == jsIdent:
		if v, ok := m.initialiser(t.text, s.lo); ok {
			return m.constant(v, depth+1)
		}
	case m.tok(s.lo+1).is("+") && s.hi-s.lo >= 3:
		a, ok1 := m.constant(span{s.lo, s.lo + 1}, depth+1)
		b, ok2 := m.constant(span{s.lo + 2, s.hi}, depth+1)
		return a + b, ok1 && ok2
	}
	return "", false
}

// mounts reads router.use('/path', …, other).
func (p *project) mounts(m *module, router symbol, args []span, at int) []routeCall {
	prefixes := []string{""}
	if len(args) > 0 {
		if ps := m.pathsOf(args[0]); len(ps) > 0 {
			prefixes, args = ps, args[1:]
		}
	}
	var out []routeCall
	for _, a := range args {
		target, ok := p.mounted(m, a)
		if !ok {
			continue
		}
		for _, prefix := range prefixes {
			out = append(out, routeCall{router: router, path: prefix, target: target, at: at})
		}
	}
	return out
}

// mounted resolves an argument of use to a router: a name, require('./x'), a member
// of an imported module, or a call that gives a router back.
func (p *project) mounted(m *module, a span) (symbol, bool) {
	t := m.tok(a.lo)
	switch {
	case t.is("require") && m.tok(a.lo+2).kind == jsString:
		if target := p.resolve(m.path, m.tok(a.lo+2).text); target != nil {
			name := "default"
			if m.tok(a.lo + 4).is(".") {
				name = m.tok(a.lo + 5).text
			}
			if s, ok := p.exports(target, name, 0); ok && s.m.routers[s.name] {
				return s, true
			}
		}
	case t.kind == jsIdent && a.hi-a.lo == 1:
		return p.routerSymbol(p.trace(m, t.text))
	case t.kind == jsIdent && m.tok(a.lo+1).is(".") && a.hi-a.lo == 3:
		if im, ok := m.imports[t.text]; ok {
			if target := p.resolve(m.path, im.from); target != nil {
				if s, ok := p.exports(target, m.tok(a.lo+2).text, 0); ok {
					return p.routerSymbol(s)
				}
			}
		}
	case t.kind == jsIdent && m.tok(a.lo+1).is("("): // createRouter(deps)
		s := p.lookup(m, t.text)
		if s.m == nil {
			return symbol{}, false
		}
		for _, f := range s.m.funcs {
			if f.name != s.name && !strings.HasPrefix(s.name, "export ") {
				continue
			}
			for name := range s.m.routers {
				for _, v := range s.m.vars[name] {
					if f.body.lo <= v.lo && v.hi <= f.body.hi {
						return symbol{s.m, name}, true
					}
				}
			}
		}
	}
	return symbol{}, false
}

func (p *project) routerSymbol(s symbol) (symbol, bool) {
	return s, s.m != nil && s.m.routers[s.name]
}

// chain reads router.route('/x').get(…).post(…).
func (p *project) chain(m *module, router symbol, args []span, open, at int) []routeCall {
	var out []routeCall
	if len(args) == 0 {
		return nil
	}
	for _, path := range m.pathsOf(args[0]) {
		for i := m.next(open); m.tok(i).is("."); {
			o := m.callOpen(i + 1)
			if o < 0 {
				break
			}
			if method := httpMethods[m.tok(i+1).text]; method != "" {
				out = append(out, routeCall{router: router, method: method, path: path, at: i + 1, end: m.tok(o).match})
			}
			i = m.next(o)
		}
	}
	return out
}

// foundRoute is a route and the module that registers it.
type foundRoute struct {
	premortem.Route
	module string
}

// routes joins routes with the prefixes under which their routers are mounted. A
// router that nothing mounts answers under its own paths.
func (p *project) routes() []foundRoute {
	var calls []routeCall
	in := map[int]*module{}
	for _, name := range p.paths {
		m := p.modules[name]
		if m.test {
			continue
		}
		for _, c := range p.routeCalls(m) {
			in[len(calls)] = m
			calls = append(calls, c)
		}
	}
	mounts := map[symbol][]routeCall{}
	for _, c := range calls {
		if c.method == "" {
			mounts[c.target] = append(mounts[c.target], c)
		}
	}
	var out []foundRoute
	for i, c := range calls {
		if c.method == "" {
			continue
		}
		m := in[i]
		for _, prefix := range prefixes(c.router, mounts, map[symbol]bool{}) {
			out = append(out, foundRoute{premortem.Route{
				Method: c.method, Path: joinRoute(prefix, c.path), Pos: m.pos(c.at), End: max(m.tok(c.end).line, m.tok(c.at).line)}, m.path})
		}
	}
	return out
}

// prefixes returns the paths at which a router is mounted, "" for one on top.
func prefixes(s symbol, mounts map[symbol][]routeCall, seen map[symbol]bool) []string {
	if seen[s] || len(mounts[s]) == 0 || len(seen) > 20 {
		return []string{""}
	}
	seen[s] = true
	var out []string
	for _, c := range mounts[s] {
		for _, above := range prefixes(c.router, mounts, seen) {
			if len(out) < 50 {
				out = append(out, joinRoute(above, c.path))
			}
		}
	}
	delete(seen, s)
	return out
}

func joinRoute(prefix, p string) string {
	if p == "*" {
		p = "/*"
	}
	return path.Join("/", prefix, p)
}
