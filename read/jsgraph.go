package read

import (
	"strings"
)

// jsRef is a function of a module; fn is -1 for what runs when the module is loaded.
type jsRef struct {
	m  *module
	fn int
}

// jsEdge is a call of a function of the project.
type jsEdge struct {
	at int // the name's token
	to jsRef
}

// jsGraph is who calls whom among the functions of some modules.
type jsGraph struct {
	p       *project
	modules []*module // those with tokens: a light one calls nothing that matters
	calls   map[jsRef][]jsEdge
	path    map[jsRef]bool // functions that run for a request
	served  bool           // something answers requests
}

// newGraph builds the graph of the modules that servers may run.
func newGraph(p *project, modules []*module) *jsGraph {
	g := &jsGraph{p: p, calls: map[jsRef][]jsEdge{}, path: map[jsRef]bool{}}
	for _, m := range modules {
		if !m.light {
			g.modules = append(g.modules, m)
		}
	}
	var queue []jsRef
	for _, m := range g.modules {
		for i, t := range m.toks {
			if t.kind != jsIdent || jsKeywords[t.text] && t.text != "catch" {
				continue
			}
			if to, ok := g.callee(m, i); ok {
				from := jsRef{m, m.funcOf.at(i)}
				g.calls[from] = append(g.calls[from], jsEdge{i, to})
			}
		}
		queue = append(queue, g.handlers(m)...)
	}
	g.served = len(queue) > 0
	for len(queue) > 0 {
		r := queue[0]
		queue = queue[1:]
		if g.path[r] {
			continue
		}
		g.path[r] = true
		for _, e := range g.calls[r] {
			queue = append(queue, e.to)
		}
		body := r.m.funcs[r.fn].body
		for k, f := range r.m.funcs {
			if f.start >= body.lo && f.start < body.hi {
				queue = append(queue, jsRef{r.m, k})
			}
		}
	}
	return g
}

// onPath reports whether a token runs for a request.
func (g *jsGraph) onPath(m *module, at int) bool {
	fn := m.funcOf.at(at)
	return fn >= 0 && g.path[jsRef{m, fn}]
}

// callee resolves the call whose name is at i to a function of the project.
func (g *jsGraph) callee(m *module, i int) (jsRef, bool) {
	if m.callOpen(i) < 0 {
		return jsRef{}, false
	}
	return g.function(m, i)
}

// function resolves the name at i, with what stands before its dot, to a function.
func (g *jsGraph) function(m *module, i int) (jsRef, bool) {
	name := m.tok(i).text
	dot := m.tok(i - 1)
	if !dot.is(".") && !dot.is("?.") {
		if dot.is("function") || dot.is("*") && m.tok(i-2).is("function") {
			return jsRef{}, false
		}
		s := g.p.declared(m, name)
		if s.m == nil || s.m.light {
			return jsRef{}, false
		}
		return s.m.function(strings.TrimPrefix(s.name, "export "), i, s.m == m)
	}
	recv := m.tok(i - 2)
	switch {
	case recv.is("this"):
		return m.function(name, i, false)
	case recv.kind != jsIdent:
		return jsRef{}, false
	case m.tok(i - 3).is("."):
		if !m.tok(i-4).is("this") || m.tok(i-5).is(".") {
			return jsRef{}, false
		}
		return g.method(m, m.fieldClass(recv.text), name)
	}
	if im, ok := m.imports[recv.text]; ok {
		target := g.p.resolve(m.path, im.from)
		if target == nil {
			return jsRef{}, false
		}
		if s, ok := g.p.declaredIn(target, name, 0); ok && im.name == "*" {
			target, name = s.m, strings.TrimPrefix(s.name, "export ")
		}
		if s, ok := g.p.declaredIn(target, im.name, 0); ok && im.name != "*" {
			if inner := g.p.required(s); inner != nil { // index files: exports.mail = require('./mail')
				target = inner
			} else if !s.m.light {
				target = s.m
			}
		}
		if target.light {
			return jsRef{}, false
		}
		return target.function(name, 0, false)
	}
	if v, ok := m.initialiser(recv.text, i); ok && m.tok(v.lo).is("new") && v.lo < i {
		return g.method(m, m.tok(v.lo+1).text, name)
	}
	return jsRef{}, false
}

// required is the module that a symbol stands for as a whole: exports.x = require('./x').
func (p *project) required(s symbol) *module {
	v, ok := s.m.initialiser(s.name, len(s.m.toks))
	if im, imported := s.m.imports[s.name]; imported && (im.name == "*" || im.name == "default") {
		return p.resolve(s.m.path, im.from)
	}
	if !ok && s.m.light && strings.HasPrefix(s.name, "export ") {
		v, ok = s.m.open().initialiser(s.name, len(s.m.toks))
	}
	if ok && s.m.tok(v.lo).is("require") && s.m.tok(v.lo+2).kind == jsString && v.hi == v.lo+4 {
		return p.resolve(s.m.path, s.m.tok(v.lo+2).text)
	}
	return nil
}

// method finds a method of a class by the name that the class has in a module.
func (g *jsGraph) method(m *module, class, name string) (jsRef, bool) {
	if class == "" {
		return jsRef{}, false
	}
	s := g.p.declared(m, class)
	if s.m == nil || s.m.light {
		return jsRef{}, false
	}
	return s.m.function(name, 0, false)
}

// declared follows a name to where it is declared, as lookup does, and leaves light
// modules as they are.
func (p *project) declared(m *module, name string) symbol {
	im, ok := m.imports[name]
	if !ok {
		return symbol{m, name}
	}
	target := p.resolve(m.path, im.from)
	if target == nil {
		return symbol{nil, name}
	}
	if s, ok := p.declaredIn(target, im.name, 0); ok {
		return s
	}
	return symbol{target, im.name}
}

// declaredIn finds what a module exports under a name.
func (p *project) declaredIn(m *module, name string, depth int) (symbol, bool) {
	if name == "*" {
		name = "default"
	}
	if local, ok := m.exports[name]; ok {
		if im, again := m.imports[local]; again && depth < 8 { // import { x } …; export { x }
			if target := p.resolve(m.path, im.from); target != nil {
				return p.declaredIn(target, im.name, depth+1)
			}
		}
		return symbol{m, local}, true
	}
	next := m.stars
	if im, ok := m.froms[name]; ok {
		next, name = []string{im.from}, im.name
	}
	for _, from := range next {
		if target := p.resolve(m.path, from); target != nil && depth < 8 {
			if s, ok := p.declaredIn(target, name, depth+1); ok {
				return s, true
			}
		}
	}
	return symbol{}, false
}

// function finds a function of the module by its name. Of several with one name it
// is the one whose scope holds the token, else none: methods of two classes.
func (m *module) function(name string, at int, scoped bool) (jsRef, bool) {
	found := -1
	for _, k := range m.functionsNamed(name) {
		f := m.funcs[k]
		if outer := m.funcOf.at(max(f.start, 0)); scoped && outer >= 0 && outer != k {
			if b := m.funcs[outer].body; at < b.lo || at >= b.hi {
				continue
			}
		}
		if found >= 0 {
			return jsRef{}, false
		}
		found = k
	}
	return jsRef{m, found}, found >= 0
}

// functionsNamed lists the functions of a name.
func (m *module) functionsNamed(name string) []int {
	if m.byName == nil {
		m.byName = map[string][]int{}
		for k, f := range m.funcs {
			if f.name != "" {
				m.byName[f.name] = append(m.byName[f.name], k)
			}
		}
	}
	return m.byName[name]
}

// fieldClass is the class that a field of `this` holds: from a parameter property
// of the constructor, a declared field, or an assignment.
func (m *module) fieldClass(field string) string {
	if m.fields == nil {
		m.fields = map[string]string{}
		for i, t := range m.toks {
			switch {
			case t.kind != jsIdent:
			case m.tok(i+1).is(":") && m.tok(i+2).kind == jsIdent && (m.tok(i+3).is(",") || m.tok(i+3).is(")") || m.tok(i+3).is(";") || m.tok(i+3).nl):
				if name := m.tok(i + 2).text; name[0] >= 'A' && name[0] <= 'Z' {
					m.fields[t.text] = name
				}
			case m.tok(i+1).is("=") && m.tok(i+2).is("new") && m.tok(i+3).kind == jsIdent:
				m.fields[t.text] = m.tok(i + 3).text
			}
		}
	}
	return m.fields[field]
}

var (
	requestNames  = wordSet(`req request _req _request`)
	responseNames = wordSet(`res reply response rep _res next resp h _reply _response`)
	nestRoutes    = wordSet(`Get Post Put Patch Delete All Options Head Query Mutation ResolveField`)
	nextMethods   = wordSet(`GET POST PUT PATCH DELETE HEAD OPTIONS`)
)

// handlers finds the functions that answer requests: those given to a router, those
// with the parameters of one, decorated methods, and the files that Next.js serves.
func (g *jsGraph) handlers(m *module) []jsRef {
	var out []jsRef
	for k, f := range m.funcs {
		if m.takesRequest(f) || m.decoratedRoute(f) || m.nextRoute(f) {
			out = append(out, jsRef{m, k})
		}
	}
	for i, t := range m.toks {
		if t.kind != jsIdent || !m.tok(i-1).is(".") || httpMethods[t.text] == "" && t.text != "use" && t.text != "route" {
			continue
		}
		open := m.callOpen(i)
		if open < 0 || m.tok(i-2).kind != jsIdent || !m.mayRoute(m.tok(i-2).text) {
			continue
		}
		args := m.args(open)
		if t.text != "use" && (len(args) < 2 || len(m.pathsOf(args[0])) == 0) {
			continue
		}
		for _, a := range args {
			if m.tok(a.hi-1).kind == jsIdent && a.hi-a.lo <= 3 {
				if r, ok := g.function(m, a.hi-1); ok {
					out = append(out, r)
				}
				continue
			}
			for k, f := range m.funcs {
				if f.start >= a.lo && f.start <= a.lo+2 && f.body.hi <= a.hi {
					out = append(out, jsRef{m, k})
				}
			}
		}
	}
	return out
}

func (m *module) mayRoute(name string) bool {
	return m.routers[name] || routerNames[name] || name == "fastify" || strings.HasSuffix(name, "Router") || strings.HasSuffix(name, "Routes")
}

// takesRequest recognises (req, res, …) and (err, req, res, next).
func (m *module) takesRequest(f jsFunc) bool {
	params := m.split(f.params, ",")
	if len(params) > 2 && len(params) <= 4 && !requestNames[m.tok(params[0].lo).text] {
		params = params[1:]
	}
	if len(params) < 2 || len(params) > 4 {
		return false
	}
	return requestNames[m.tok(params[0].lo).text] && responseNames[m.tok(params[1].lo).text]
}

// decoratedRoute recognises a method under @Get() and its like.
func (m *module) decoratedRoute(f jsFunc) bool {
	for i := f.start - 1; i > 0; {
		open := m.tok(i).match
		switch {
		case m.tok(i).is("async"), m.tok(i).is("public"):
			i--
		case m.tok(i).is(")") && open > 0 && m.tok(open-2).is("@"):
			if nestRoutes[m.tok(open-1).text] {
				return true
			}
			i = open - 3
		default:
			return false
		}
	}
	return false
}

// nextRoute recognises the handlers of Next.js: GET of app/…/route.ts and the
// functions of pages/api.
func (m *module) nextRoute(f jsFunc) bool {
	if outer := m.funcOf.at(max(f.start, 0)); outer >= 0 && m.funcs[outer].body.lo <= f.start {
		return false
	}
	switch {
	case strings.HasSuffix(m.path, "/route.ts"), strings.HasSuffix(m.path, "/route.js"):
		return nextMethods[f.name]
	case strings.Contains(m.path, "pages/api/"):
		return f.name == "handler" || m.exports["default"] == f.name && f.name != ""
	}
	return false
}
