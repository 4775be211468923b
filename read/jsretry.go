package read

import (
	"strings"

	"github.com/premortem/premortem"
)

// jsRetry is a loop that tries something again.
type jsRetry struct {
	premortem.Retry
	m    *module
	at   int
	body span // what is tried
}

var connectNames = wordSet(`connect createConnection authenticate $connect reconnect ping waitForConnection initialize`)

// retries finds the loops of a module that try a call again when it fails.
func (p *project) retries(m *module) []*jsRetry {
	var out []*jsRetry
	for _, l := range m.loopsIn {
		head := m.tok(l.at)
		if !head.is("for") && !head.is("while") || m.overItems(l) {
			continue
		}
		if r := p.retryLoop(m, l); r != nil {
			out = append(out, r)
		}
	}
	for i, t := range m.toks {
		if t.is("do") && m.tok(i+1).is("{") && m.tok(i+1).match > 0 && !m.tok(i-1).is(".") {
			end := m.toks[i+1].match
			l := jsLoop{at: i, body: m.inside(i + 1)}
			if m.tok(end + 1).is("while") {
				l.over = m.inside(end + 2)
			}
			if r := p.retryLoop(m, l); r != nil {
				out = append(out, r)
			}
		}
	}
	return out
}

// overItems reports a loop over the elements of something.
func (m *module) overItems(l jsLoop) bool {
	before := m.tok(l.over.lo - 1)
	if before.is("of") || before.is("in") {
		return true
	}
	for k := l.over.lo; k < l.over.hi; k++ {
		if m.tok(k).is("length") || m.tok(k).is("size") {
			return true
		}
	}
	return false
}

// retryLoop reads `for (…) { try { return await call() } catch { … } }`. The try
// leaves the loop when it succeeds; the catch does not always.
func (p *project) retryLoop(m *module, l jsLoop) *jsRetry {
	for i := l.body.lo; i < l.body.hi; i = m.next(i) {
		if !m.tok(i).is("try") || !m.tok(i+1).is("{") || m.tok(i+1).match < 0 {
			continue
		}
		tried := m.inside(i + 1)
		at := m.toks[i+1].match + 1
		if !m.tok(at).is("catch") {
			return nil
		}
		open := at + 1
		if m.tok(open).is("(") {
			open = m.next(open)
		}
		caught := m.inside(open)
		after := span{open, l.body.hi}
		if m.tok(open).match > 0 {
			after.lo = m.toks[open].match + 1
		}
		if !p.leaves(m, tried, l) || m.alwaysLeaves(caught) || !m.awaits(tried) {
			return nil
		}
		r := &jsRetry{m: m, at: l.at, body: tried}
		r.Pos, r.Quote = m.pos(l.at), m.quote(l.at)
		r.Attempts = p.attempts(m, l, caught)
		if over := m.source(l.over); strings.Contains(over, "Date.now") || strings.Contains(over, "performance.now") || strings.Contains(over, "getTime(") {
			r.Attempts = premortem.Setting[int]{} // a time, not a number
		}
		r.Bounded = !r.Attempts.Set() && m.counted(l)
		if !p.waits(m, r, l, tried) {
			return nil
		}
		r.Reconnect = m.connects(tried)
		return r
	}
	return nil
}

// counted reports a loop whose condition compares something: it ends some time.
func (m *module) counted(l jsLoop) bool {
	cond := l.over
	if m.tok(l.at).is("for") {
		parts := m.split(l.over, ";")
		if len(parts) < 2 {
			return true // over a list
		}
		cond = parts[1]
	}
	return strings.ContainsAny(m.source(cond), "<>")
}

// leaves reports whether what is tried ends the loop when it succeeds.
func (p *project) leaves(m *module, s span, l jsLoop) bool {
	for i := s.lo; i < s.hi; i++ {
		t := m.toks[i]
		if (t.is("return") || t.is("break")) && m.sameFunction(i, l.body.lo) && m.loopOf.at(i) == m.loopOf.at(s.lo) {
			return true
		}
	}
	flag := m.source(l.over) // while (!done)
	for i := s.lo; i < s.hi; i++ {
		if t := m.toks[i]; t.kind == jsIdent && m.tok(i+1).is("=") && (m.tok(i+2).is("true") || m.tok(i+2).is("false")) && strings.Contains(flag, t.text) {
			return true
		}
	}
	return false
}

func (m *module) sameFunction(a, b int) bool { return m.funcOf.at(a) == m.funcOf.at(b) }

// alwaysLeaves reports a catch that ends the loop whatever happened.
func (m *module) alwaysLeaves(s span) bool {
	for i := s.lo; i < s.hi; i = m.next(i) {
		t := m.tok(i)
		if t.is("throw") || t.is("return") || t.is("break") {
			prev := m.tok(i - 1)
			return i == s.lo || prev.is(";") || prev.is("}") || t.nl && !prev.is("else") && !prev.is(")")
		}
		if t.is("if") {
			i = m.next(i+1) - 1 // its condition; the branch follows
			if !m.tok(i + 1).is("{") {
				for i+1 < s.hi && !m.tok(i+1).is(";") && !(m.tok(i+2).nl && i+1 > 0) {
					i++
				}
			}
		}
	}
	return false
}

// awaits reports whether something is waited for.
func (m *module) awaits(s span) bool {
	for i := s.lo; i < s.hi; i++ {
		if m.toks[i].is("await") {
			return true
		}
	}
	return false
}

// connects reports whether what is tried only opens a connection.
func (m *module) connects(s span) bool {
	for i := s.lo; i < s.hi; i++ {
		if t := m.toks[i]; t.kind == jsIdent && m.callOpen(i) > 0 && (connectNames[t.text] || strings.HasPrefix(strings.ToLower(t.text), "connect")) {
			return true
		}
	}
	return false
}

// attempts reads the bound of a loop from its condition, or from the test in the
// catch that gives up; silent is without end.
func (p *project) attempts(m *module, l jsLoop, caught span) premortem.Setting[int] {
	first, counter := 0.0, ""
	parts := m.split(l.over, ";")
	cond := l.over
	if m.tok(l.at).is("for") && len(parts) > 0 {
		for k := parts[0].lo; k < parts[0].hi; k++ {
			if m.tok(k).is("=") {
				counter = m.tok(k - 1).text
				first = p.amount(m, span{k + 1, parts[0].hi}).value
			}
		}
		cond = span{}
		if len(parts) > 1 {
			cond = parts[1]
		}
	}
	if n := p.bound(m, cond, counter, first); n.Set() {
		return n
	}
	for i := caught.lo; i < caught.hi; i++ { // if (attempt === MAX) throw err
		if !m.tok(i).is("if") || !m.tok(i+1).is("(") {
			continue
		}
		in := m.inside(i + 1)
		for k := in.lo; k < in.hi; k++ {
			op, right := m.tok(k).text, k+1
			if op == ">" && m.tok(k+1).is("=") { // the tokenizer leaves >= in two
				op, right = ">=", k+2
			}
			if m.tok(k).kind != jsPunct || op != "===" && op != "==" && op != ">=" && op != ">" || m.tok(k-1).kind != jsIdent {
				continue
			}
			left := m.tok(k - 1).text
			extra := 1.0
			if counter == "" { // counted before it is compared
				v, ok := m.initialiser(left, k)
				if !ok {
					continue
				}
				first, extra = p.amountOf(m, v), 0
			} else if left != counter {
				continue
			}
			end := right
			for end < in.hi && !m.tok(end).is("&&") && !m.tok(end).is("||") {
				end = m.next(end)
			}
			if q := p.amount(m, span{right, end}); q.known {
				if op == ">" {
					extra++
				}
				return premortem.Setting[int]{Value: int(q.value - first + extra), Pos: m.pos(k)}
			}
		}
	}
	return premortem.Setting[int]{}
}

func (p *project) amountOf(m *module, s span) float64 { return p.amount(m, s).value }

// bound reads `attempt < MAX` and `retries--`.
func (p *project) bound(m *module, cond span, counter string, first float64) premortem.Setting[int] {
	for k := cond.lo; k < cond.hi; k++ {
		t := m.tok(k)
		if t.kind != jsPunct {
			continue
		}
		name := m.tok(k - 1).text
		if v, ok := m.initialiser(name, k); ok && counter == "" && m.tok(k-1).kind == jsIdent {
			first = p.amountOf(m, v)
		}
		end := k + 1
		for end < cond.hi && !m.tok(end).is("&&") && !m.tok(end).is("||") {
			end = m.next(end)
		}
		right, op := k+1, t.text
		if op == ">" && m.tok(k+1).is("=") {
			right, op = k+2, ">="
		}
		q := p.amount(m, span{right, end})
		switch {
		case !q.known:
		case op == "<" || op == "!==" || op == "!=":
			return premortem.Setting[int]{Value: int(q.value - first), Pos: m.pos(k)}
		case op == "<=":
			return premortem.Setting[int]{Value: int(q.value - first + 1), Pos: m.pos(k)}
		case op == ">" && first > q.value: // while (retries > 0)
			return premortem.Setting[int]{Value: int(first - q.value), Pos: m.pos(k)}
		case op == ">=" && first >= q.value:
			return premortem.Setting[int]{Value: int(first - q.value + 1), Pos: m.pos(k)}
		}
	}
	return premortem.Setting[int]{}
}

var waitNames = wordSet(`sleep delay wait pause setTimeout timeout sleepMs waitFor`)

// waits reads how long a loop waits between two attempts. It is false when it waits
// for what nobody can compute.
func (p *project) waits(m *module, r *jsRetry, l jsLoop, tried span) bool {
	for i := l.body.lo; i < l.body.hi; i++ {
		if i >= tried.lo && i < tried.hi {
			continue
		}
		t := m.toks[i]
		if t.kind != jsIdent || m.callOpen(i) < 0 {
			continue
		}
		if !waitNames[t.text] && !strings.Contains(strings.ToLower(t.text), "sleep") && !strings.Contains(strings.ToLower(t.text), "backoff") && !strings.Contains(strings.ToLower(t.text), "delay") {
			continue
		}
		args := m.args(m.callOpen(i))
		if len(args) == 0 {
			return false
		}
		v := args[0]
		if t.is("setTimeout") && len(args) > 1 && p.amountOf(m, args[0]) == 0 {
			v = args[1] // new Promise((r) => setTimeout(r, ms))
		}
		return p.waitValue(m, r, v, l)
	}
	return true
}

func (p *project) waitValue(m *module, r *jsRetry, v span, l jsLoop) bool {
	text := m.source(v)
	scope := v
	if v.hi-v.lo == 1 && m.tok(v.lo).kind == jsIdent { // const wait = 2 ** n * 100
		if init, ok := m.initialiser(m.tok(v.lo).text, v.lo); ok && init.lo >= l.body.lo {
			text, scope = m.source(init), init
		} else if name := m.tok(v.lo).text; ok && m.grows(name, l.body) {
			r.Backoff = true
			r.Wait = p.amount(m, init).seconds()
			if !r.Wait.Set() {
				r.Wait.Pos = m.pos(v.lo)
			}
			return true
		}
	}
	r.Jitter = strings.Contains(text, "Math.random") || strings.Contains(strings.ToLower(text), "jitter")
	if q := p.amount(m, scope); q.known {
		r.Wait = q.seconds()
		return true
	}
	if strings.Contains(text, "**") || strings.Contains(text, "Math.pow") || strings.Contains(text, "<<") || strings.Contains(text, "*") {
		r.Backoff = true
		r.Wait.Pos = m.pos(v.lo)
		for k := scope.lo; k < scope.hi; k++ {
			if n, ok := parseAmount(m.tok(k).text); ok && m.tok(k).kind == jsNumber && n > r.Wait.Value*1000 {
				r.Wait.Value = n / 1000
			}
		}
		return true
	}
	if r.Jitter {
		r.Backoff, r.Wait.Pos = true, m.pos(v.lo)
		return true
	}
	return false
}

// grows reports a variable that a loop multiplies.
func (m *module) grows(name string, s span) bool {
	for i := s.lo; i < s.hi; i++ {
		if m.toks[i].text != name || m.tok(i-1).is(".") {
			continue
		}
		if next := m.tok(i + 1); next.is("*=") || next.is("=") && (m.tok(i+3).is("*") || strings.Contains(m.source(span{i + 2, m.exprEnd(i + 2)}), "*")) {
			return true
		}
	}
	return false
}

// retryOptions finds the packages that try again by themselves.
func (p *project) retryOptions(m *module) []*jsRetry {
	var out []*jsRetry
	if !m.uses("axios-retry") {
		return nil
	}
	for i, t := range m.toks {
		if t.kind != jsIdent || m.packageOf(t.text) != "axios-retry" || m.callOpen(i) < 0 {
			continue
		}
		r := &jsRetry{m: m, at: i}
		r.Pos, r.Quote = m.pos(i), m.quote(i)
		r.Attempts = premortem.Setting[int]{Value: 4, Pos: m.pos(i)} // three more, its own default
		args := m.args(m.callOpen(i))
		if len(args) > 1 {
			opts := m.object(args[1])
			if opts < 0 {
				continue
			}
			if q := p.amount(m, m.prop(opts, "retries")); q.known {
				r.Attempts = premortem.Setting[int]{Value: int(q.value) + 1, Pos: q.pos}
			}
			if v := m.prop(opts, "retryDelay"); !v.empty() {
				text := m.source(v)
				r.Wait.Pos = m.pos(v.lo)
				r.Backoff = strings.Contains(text, "exponentialDelay") || strings.Contains(text, "linearDelay") || strings.Contains(text, "*")
				r.Jitter = strings.Contains(text, "exponentialDelay") || strings.Contains(text, "random")
				if strings.Contains(text, "exponentialDelay") {
					r.Wait.Value = 0.1
				}
			}
		}
		out = append(out, r)
	}
	return out
}
