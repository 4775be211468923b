package read

import (
	"strings"
)

// nameAt is the name of the variable whose expression ends before a token: that of
// X for process.env.X and for process.env['X'].
func (m *module) nameAt(end int) string {
	if m.tok(end - 1).is("]") {
		return m.tok(end - 2).text
	}
	return m.tok(end - 1).text
}

// elsewhere reports code that production does not run, or runs only when a variable
// of the environment is set: its own, or one that switches the code on.
func (m *module) elsewhere(i int, name string) bool {
	if m.shortCircuited(i, name) {
		return true
	}
	for up := m.tok(i).up; up >= 0; up = m.tok(up).up {
		if !m.tok(up).is("{") || !m.tok(up-1).is(")") || m.tok(up-1).match < 0 {
			continue
		}
		cond := m.tok(up - 1).match
		if !m.tok(cond - 1).is("if") {
			continue
		}
		if in := m.inside(cond); m.asks(in, name) || m.switchedOn(in) || offProduction(m.source(in)) {
			return true
		}
	}
	return m.bareBranch(i, name)
}

// switchTest reports a read that only asks whether there is a value.
func (m *module) switchTest(start, end int) bool {
	prev, next := m.tok(start-1), m.tok(end)
	switch {
	case prev.is("!"):
		return m.tok(start - 2).is("!")
	case prev.is("(") && (m.tok(start-2).is("Boolean") || m.tok(start-2).is("if") && next.is(")")):
		return true
	}
	return next.is("&&") || next.is("?") || prev.is("&&") && next.is(")") && m.tok(m.tok(end).match-1).is("Boolean")
}

// offProduction reports a condition that is false in production.
func offProduction(src string) bool {
	return strings.Contains(src, "NODE_ENV") && (strings.Contains(src, "!==production") || strings.Contains(src, "!=production") ||
		strings.Contains(src, "===development") || strings.Contains(src, "==development") || strings.Contains(src, "===test") || strings.Contains(src, "==test"))
}

// asks reports a condition that holds only when the variable has a value.
func (m *module) asks(cond span, name string) bool {
	if m.splits(cond, "||") {
		return false
	}
	for j := cond.lo; j < cond.hi; j++ {
		t := m.toks[j]
		if t.text != name || t.kind != jsIdent && t.kind != jsString {
			continue
		}
		if m.tok(j + 1).is("]") {
			j++
		}
		if m.holds(m.chainStart(j+1), j+1) {
			return true
		}
	}
	return false
}

// holds reports whether an expression is asked for in a way that is false without
// a value.
func (m *module) holds(start, end int) bool {
	prev, next := m.tok(start-1), m.tok(end)
	if prev.is("!") && m.tok(start-2).is("!") { // !!process.env.X
		prev = m.tok(start - 3)
	}
	switch {
	case prev.is("!"), prev.is("typeof"):
		return false
	case next.is("!==") || next.is("!="):
		other := m.tok(end + 1)
		return other.is("undefined") || other.is("null") || other.kind == jsString && other.text == ""
	case next.is("===") || next.is("=="):
		return m.tok(end+1).kind == jsString && m.tok(end+1).text != ""
	case next.is("."), next.is("?."), next.is("["):
		return true
	}
	return next.is(")") || next.is("&&")
}

// switchedOn reports a condition that asks for another variable that is not set
// unless somebody wants the feature.
func (m *module) switchedOn(cond span) bool {
	if m.splits(cond, "||") {
		return false
	}
	for j := cond.lo; j < cond.hi; j++ {
		if m.tok(j).kind != jsIdent {
			continue
		}
		obj, end, build := m.envObject(j)
		if obj < 0 || build {
			continue
		}
		name, stop, ok := m.member(end)
		if ok && name != "" && name != "NODE_ENV" && m.holds(obj, stop) {
			return true
		}
	}
	return false
}

func (m *module) splits(s span, op string) bool {
	for j := s.lo; j < s.hi; j++ {
		if m.toks[j].is(op) {
			return true
		}
	}
	return false
}

// shortCircuited recognises X && f(X) and X ? f(X) : y.
func (m *module) shortCircuited(i int, name string) bool {
	line := m.tok(i).line
	for j := i - 1; j > i-120 && j >= 0 && line-m.toks[j].line < 12; j-- {
		t := m.toks[j]
		if t.is(";") || t.is("=>") || t.is("||") || t.is("return") {
			return false
		}
		if (t.is("{") || t.is("[") || t.is("(")) && t.match >= 0 && t.match < i {
			continue
		}
		if (t.is(")") || t.is("]") || t.is("}")) && t.match >= 0 {
			j = t.match
			continue
		}
		if !t.is("&&") && !t.is("?") {
			continue
		}
		if m.tok(j-1).kind == jsIdent && m.tok(j-1).text == name || m.tok(j-1).is("]") && m.tok(j-2).text == name {
			start := m.chainStart(j)
			return !m.tok(start - 1).is("!")
		}
	}
	return false
}

// bareBranch recognises `if (X) f(X)` without braces.
func (m *module) bareBranch(i int, name string) bool {
	for j := i - 1; j > i-40 && j >= 0; j-- {
		t := m.toks[j]
		if t.is(";") || t.is("{") && t.match > i || t.is("}") {
			return false
		}
		if t.is(")") && t.match > 0 && m.tok(t.match-1).is("if") && t.match < i && j < i {
			return m.asks(m.inside(t.match), name) && m.tok(i).up != t.match
		}
	}
	return false
}

// leftBefore recognises a read behind `if (!X) return`: without the variable the
// code does not get there.
func (m *module) leftBefore(i int, name string) bool {
	block := m.tok(i).up
	for block >= 0 && !m.tok(block).is("{") {
		block = m.tok(block).up
	}
	lo := 0
	if block >= 0 {
		lo = block + 1
	}
	for j := i - 1; j >= lo && j > i-3000; j-- {
		t := m.toks[j]
		if t.is("}") && t.match >= 0 && t.match >= lo {
			j = t.match
			continue
		}
		if !t.is("if") || !m.tok(j+1).is("(") || m.tok(j+1).match < 0 || m.tok(j+1).match > i {
			continue
		}
		then := m.tok(j+1).match + 1
		if m.tok(then).is("{") {
			then++
		}
		if (m.tok(then).is("return") || m.tok(then).is("continue")) && m.asksNot(m.inside(j+1), name) {
			return true
		}
	}
	return false
}

// asksNot reports a condition that holds whenever the variable is missing.
func (m *module) asksNot(cond span, name string) bool {
	if m.splits(cond, "&&") {
		return false
	}
	for j := cond.lo; j < cond.hi; j++ {
		if t := m.toks[j]; t.text == name && (t.kind == jsIdent || t.kind == jsString) {
			end := j + 1
			if m.tok(end).is("]") {
				end++
			}
			if m.tok(m.chainStart(end) - 1).is("!") {
				return true
			}
		}
	}
	return false
}
