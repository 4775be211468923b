package read

import (
	"slices"

	"github.com/premortem/premortem"
)

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
	if !m.mayScan() {
		return premortem.EnvUse
	}
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
		switch {
		case m.silentClient(up):
			return premortem.EnvOpt
		case (isNew || clientCalls[callee.text]) && m.throwsWithout(up) && m.atStart(up):
			return premortem.EnvBoot
		case isNew || clientCalls[callee.text]:
			return premortem.EnvUse
		}
		return m.argument(up, start, depth)
	}
	return premortem.EnvUse
}

var asserts = wordSet(`assert invariant ok`)

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
