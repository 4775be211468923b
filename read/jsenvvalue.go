package read

import (
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// elsewhere reports code that production does not run, or runs only when the
// variable of that name is set.
func (m *module) elsewhere(i int, name string) bool {
	for up := m.tok(i).up; up >= 0; up = m.tok(up).up {
		if !m.tok(up).is("{") || !m.tok(up-1).is(")") || m.tok(up-1).match < 0 {
			continue
		}
		cond := m.tok(up - 1).match
		if !m.tok(cond - 1).is("if") {
			continue
		}
		src := m.source(m.inside(cond))
		if m.asks(m.inside(cond), name) {
			return true
		}
		if strings.Contains(src, "NODE_ENV") && (strings.Contains(src, "!==production") || strings.Contains(src, "!=production") ||
			strings.Contains(src, "===development") || strings.Contains(src, "==development") || strings.Contains(src, "===test") || strings.Contains(src, "==test")) {
			return true
		}
	}
	return false
}

// asks reports a condition that holds only when the variable has a value.
func (m *module) asks(cond span, name string) bool {
	for j := cond.lo; j < cond.hi; j++ {
		if t := m.toks[j]; t.text == name && (t.kind == jsIdent || t.kind == jsString) {
			start := m.chainStart(j + 1)
			next := m.tok(j + 1)
			return !m.tok(start-1).is("!") && (next.is(")") || next.is("&&")) && !strings.Contains(m.source(cond), "||")
		}
	}
	return false
}

// boundTo returns the variable that is declared before "=" at i.
func (m *module) boundTo(i int) (string, bool) {
	for j := i - 1; j >= 0 && j > i-12; j-- {
		t := m.tok(j)
		if k := m.tok(j - 1); t.kind == jsIdent && (k.is("const") || k.is("let") || k.is("var")) {
			return t.text, true
		}
		if t.is(";") || t.is(",") || t.is("(") || t.is("}") {
			return "", false
		}
	}
	return "", false
}

// strength orders classes: what a variable is good for is decided by its worst use,
// unless a guard stands somewhere.
var strength = []premortem.EnvClass{premortem.EnvBoot, premortem.EnvDev, premortem.EnvOpt, premortem.EnvUse}

// variable classifies a variable that holds a value of the environment by its uses
// behind token i.
func (m *module) variable(name string, i, depth int) premortem.EnvClass {
	seen := map[premortem.EnvClass]bool{}
	for j := i; j < len(m.toks); j++ {
		t := m.toks[j]
		if t.kind != jsIdent || t.text != name || m.tok(j-1).is(".") || m.tok(j-1).is("?.") {
			continue
		}
		if m.tok(j+1).is(":") && !m.tok(j-1).is("?") && m.tok(m.tok(j).up).is("{") {
			continue // a key of that name
		}
		if c := m.classify(j, j+1, depth+1); c != "" {
			seen[c] = true
		}
	}
	for _, c := range strength {
		if seen[c] {
			return c
		}
	}
	return premortem.EnvUse
}

// needed upgrades a use to boot when a call at module scope cannot do without it,
// and follows the value into functions of the module.
func (m *module) needed(start, end, depth int) premortem.EnvClass {
	for up := m.tok(start).up; up >= 0; up = m.tok(up).up {
		switch {
		case m.tok(up).is("${"):
			return premortem.EnvUse
		case !m.tok(up).is("("):
			continue
		}
		callee := m.tok(up - 1)
		if callee.kind != jsIdent || jsKeywords[callee.text] {
			continue
		}
		if asserts[callee.text] && m.atStart(up) && m.args(up)[0].hi >= end {
			return premortem.EnvBoot
		}
		isNew := m.tok(m.chainStart(up) - 1).is("new")
		if isNew || clientCalls[callee.text] {
			if m.funcOf[up] < 0 && callee.text != "URL" && callee.text != "Error" {
				return premortem.EnvBoot
			}
			return premortem.EnvUse
		}
		return m.argument(up, start, depth)
	}
	return premortem.EnvUse
}

var asserts = wordSet(`assert invariant ok`)

// clientCalls set up a client that is of no use without its argument.
var clientCalls = wordSet(`setApiKey createClient createPool connect initializeApp knex postgres drizzle createTransport init configure createConnection`)

// argument follows a value into a function of this module: a parameter that is
// guarded makes the variable optional.
func (m *module) argument(open, at, depth int) premortem.EnvClass {
	index := slices.IndexFunc(m.args(open), func(s span) bool { return s.lo <= at && at < s.hi })
	name := m.tok(open - 1).text
	if index < 0 || m.tok(open-2).is(".") {
		return premortem.EnvUse
	}
	for _, f := range m.funcs {
		if f.name != name {
			continue
		}
		params := m.split(f.params, ",")
		if index >= len(params) {
			return premortem.EnvUse
		}
		p := params[index]
		if p.hi-p.lo > 2 && (m.tok(p.lo+1).is("=") || m.tok(p.hi-2).is("=")) {
			return m.defaultClass(p.hi - 1)
		}
		return m.parameter(m.tok(p.lo).text, f.body, depth)
	}
	return premortem.EnvUse
}

// parameter classifies a parameter by its uses in its function.
func (m *module) parameter(name string, body span, depth int) premortem.EnvClass {
	seen := map[premortem.EnvClass]bool{}
	for j := body.lo; j < body.hi; j++ {
		if t := m.toks[j]; t.kind == jsIdent && t.text == name && !m.tok(j-1).is(".") {
			if c := m.classify(j, j+1, depth+1); c != "" {
				seen[c] = true
			}
		}
	}
	switch {
	case seen[premortem.EnvOpt]:
		return premortem.EnvOpt
	case seen[premortem.EnvDev]:
		return premortem.EnvDev
	}
	return premortem.EnvUse
}
