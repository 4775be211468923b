package read

import (
	"slices"

	"github.com/premortem/premortem"
)

// finishQuery adds what surrounds a call: whether its promise is awaited, and the
// loop over other rows that it stands in. start is the first token of the call's
// chain, end its last.
func (p *project) finishQuery(m *module, q premortem.Query, start, end int) foundQuery {
	if q.Awaited = p.awaited(m, start, end); !q.Awaited {
		q.Call = m.dotted(start)
		f := m.funcOf.at(start)
		q.Async = f >= 0 && m.tok(m.funcs[f].start).is("async")
	}
	if loop, ok := p.rowLoop(m, start); ok {
		q.InLoop, q.Loop = true, m.pos(loop)
	}
	return foundQuery{Query: q, module: m.path, fn: m.funcOf.at(start), at: start}
}

// dotted is the chain of plain names that starts at a token: "this.users.find".
func (m *module) dotted(i int) string {
	name := ""
	for ; m.tok(i).kind == jsIdent || m.tok(i).is(".") || m.tok(i).is("?."); i++ {
		name += m.tok(i).text
	}
	return name
}

// sinks turn their argument into bytes at once: a promise becomes {}.
var sinks = wordSet(`json send render stringify write end`)

// awaited is false only where the promise of a call is used as if it were its value.
func (p *project) awaited(m *module, start, end int) bool {
	next, prev := m.tok(end+1), m.tok(start-1)
	if prev.is("await") || prev.is("return") || prev.is("yield") || prev.is("=>") {
		if !prev.is("await") || m.tok(start-2).is("(") || !next.is(".") {
			return prev.is("await") || !next.is(".") || promiseMethods[m.tok(end+2).text] ||
				!arrayMethods[m.tok(end+2).text] && m.tok(end+3).is("(") // a builder that goes on: its end is returned
		}
		return true // await x.y().z: the chain is awaited at its end
	}
	if next.is(".") || next.is("?.") {
		return promiseMethods[m.tok(end+2).text] || m.tok(end+3).is("(") && p.awaited(m, start, m.next(end+3)-1)
	}
	if prev.is("of") || next.is("[") {
		return false
	}
	if prev.is("(") && sinks[m.tok(start-2).text] && m.tok(start-3).is(".") {
		return false
	}
	if prev.is("=") {
		if name, ok := m.boundTo(start - 1); ok {
			return !p.usedAsValue(m, holder{name, end + 1, start, 0})
		}
		if p := m.tok(start - 2); p.is("}") || p.is("]") {
			return false // const {a} = promise
		}
	}
	return true
}

// arrayMethods are those of the rows that a promise would bring.
var arrayMethods = wordSet(`map filter forEach reduce find findIndex some every slice sort join flatMap includes concat reverse push pop shift toJSON`)

var promiseMethods = wordSet(`then catch finally`)

// holder is a variable that holds a promise, from a token on; decl is its declaration.
type holder struct {
	name       string
	from, decl int
	passed     int // how many functions handed it on
}

// usedAsValue reports whether a variable that holds a promise is read as a value
// before anything awaits it, here or in the function that it is given to.
func (p *project) usedAsValue(m *module, v holder) bool {
	scope := span{0, len(m.toks)}
	if f := m.funcOf.at(v.decl); f >= 0 {
		scope = m.funcs[f].body
	}
	for j := v.from; j < scope.hi; j++ {
		t := m.toks[j]
		if t.kind != jsIdent || t.text != v.name || m.tok(j-1).is(".") {
			continue
		}
		next, prev := m.tok(j+1), m.tok(j-1)
		switch {
		case next.is(":") && !prev.is("?"), next.is("="):
			continue
		case prev.is("await"), prev.is("return"), prev.is("=>"), prev.is("yield"):
			return false
		case next.is(".") || next.is("?."):
			return !promiseMethods[m.tok(j+2).text]
		case prev.is("!"), next.is("["), prev.is("of"), prev.is("..."):
			return true
		case prev.is("(") && m.tok(j-2).is("if"):
			return true
		}
		if open := m.tok(j).up; m.tok(open).is("[") {
			return false // Promise.all([…])
		} else if m.sinkAround(j) {
			return true
		}
		return p.passedAsValue(m, j, v.passed)
	}
	return false
}

// passedAsValue reports whether the token is an argument of a function of the
// repository that reads its parameter as a value.
func (p *project) passedAsValue(m *module, at, passed int) bool {
	open := m.tok(at).up
	callee := m.tok(open - 1)
	if passed > 2 || !m.tok(open).is("(") || callee.kind != jsIdent || jsKeywords[callee.text] || m.tok(open-2).is(".") || m.tok(open-2).is("?.") {
		return false
	}
	n := slices.IndexFunc(m.args(open), func(a span) bool { return a == span{at, at + 1} })
	s := p.lookup(m, callee.text)
	if n < 0 || s.m == nil {
		return false
	}
	i := slices.IndexFunc(s.m.funcs, func(f jsFunc) bool { return f.name == s.name })
	if i < 0 {
		return false
	}
	f := s.m.funcs[i]
	params := s.m.split(f.params, ",")
	if n >= len(params) || f.body.empty() {
		return false
	}
	name := s.m.tok(params[n].lo)
	if params[n].hi-params[n].lo != 1 || name.kind != jsIdent {
		return false
	}
	return p.usedAsValue(s.m, holder{name.text, f.body.lo, f.body.lo, passed + 1})
}

// sinkAround reports whether a token is an argument, or in an object that is one,
// of a call that writes it out.
func (m *module) sinkAround(j int) bool {
	for up := m.tok(j).up; up >= 0; up = m.tok(up).up {
		switch t := m.tok(up); {
		case t.is("("):
			return sinks[m.tok(up-1).text] && m.tok(up-2).is(".")
		case !t.is("{") && !t.is("["):
			return false
		}
	}
	return false
}

// rowLoop returns the loop around a token that runs over the rows of a query.
func (p *project) rowLoop(m *module, at int) (int, bool) {
	for l := m.loopOf.at(at); l >= 0; {
		loop := m.loopsIn[l]
		if p.fromQuery(m, loop.over, loop.at, 0) {
			return loop.at, true
		}
		outer := -1
		if loop.at > 0 {
			outer = m.loopOf.at(loop.at)
		}
		if outer == l {
			break
		}
		l = outer
	}
	return 0, false
}

// fromQuery reports whether an expression holds rows: it calls a query, or a
// variable or a function that does.
func (p *project) fromQuery(m *module, s span, at, depth int) bool {
	if depth > 4 {
		return false
	}
	for i := s.lo; i < s.hi; i++ {
		t := m.toks[i]
		if t.kind != jsIdent || jsKeywords[t.text] {
			continue
		}
		if m.tok(i-1).is(".") || m.tok(i-1).is("?.") {
			if open := m.callOpen(i); open > 0 && p.rowsCall(m, i, open) {
				return true
			}
			continue
		}
		if m.callOpen(i) > 0 {
			if p.functionQueries(m, t.text, depth) {
				return true
			}
			continue
		}
		if v, ok := m.initialiser(t.text, at); ok && v.lo <= at && !(v.lo <= i && i < v.hi) && sameScope(m, v.lo, at) && p.fromQuery(m, v, v.lo, depth+1) {
			return true
		}
	}
	return false
}

// sameScope reports whether a variable's declaration is visible from a token.
func sameScope(m *module, decl, at int) bool {
	f := m.funcOf.at(decl)
	return f < 0 || m.funcs[f].body.lo <= at && at < m.funcs[f].body.hi
}

// rowsCall reports whether a method call gives back more than one row.
func (p *project) rowsCall(m *module, i, open int) bool {
	q, ok := p.queryCall(m, i, open)
	if !ok || q.Op != "select" {
		return false
	}
	switch m.tok(i).text {
	case "findOne", "findByPk", "count", "sum", "max", "min":
		return false
	}
	return true
}

// functionQueries reports whether a function, of this module or another, sends a
// query for rows.
func (p *project) functionQueries(m *module, name string, depth int) bool {
	s := p.lookup(m, name)
	if s.m == nil || depth > 3 {
		return false
	}
	for _, f := range s.m.funcs {
		if f.name != s.name {
			continue
		}
		for i := f.body.lo; i < f.body.hi; i++ {
			if s.m.tok(i-1).is(".") && s.m.toks[i].kind == jsIdent {
				if open := s.m.callOpen(i); open > 0 && p.rowsCall(s.m, i, open) {
					return true
				}
			}
		}
	}
	return false
}

// carryLoops marks queries in functions that are called from a loop over rows.
func (p *project) carryLoops(found []foundQuery) {
	type place struct {
		m  *module
		fn string
	}
	loops := map[place]premortem.Pos{}
	for _, name := range p.paths {
		m := p.modules[name]
		if m.test {
			continue
		}
		for i, t := range m.toks {
			if t.kind != jsIdent || m.loopOf.at(i) < 0 || m.tok(i-1).is(".") || jsKeywords[t.text] || m.callOpen(i) < 0 {
				continue
			}
			s := p.trace(m, t.text)
			if s.m == nil {
				continue
			}
			if loop, ok := p.rowLoop(m, i); ok {
				key := place{s.m, s.name}
				if _, seen := loops[key]; !seen {
					loops[key] = m.pos(loop)
				}
			}
		}
	}
	for i := range found {
		q := &found[i]
		m := p.modules[q.module]
		if q.InLoop || q.fn < 0 || m.funcs[q.fn].name == "" {
			continue
		}
		if pos, ok := loops[place{m, m.funcs[q.fn].name}]; ok {
			q.InLoop, q.Loop = true, pos
		}
	}
}
