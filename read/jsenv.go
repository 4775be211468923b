package read

import (
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// envUse is one read of an environment variable.
type envUse struct {
	name  string
	class premortem.EnvClass
	at    int // token
	end   int // after the expression
}

// laptop is text of defaults that only fit a laptop.
var laptop = regexp.MustCompile(`(?i)localhost|127\.0\.0\.1|0\.0\.0\.0|example\.(com|org)|changeme|change-me|(^|[_\-])(secret|test|dummy|dev|insecure)([_\-]|$)|^(sk|pk)_test|keyboard cat|password`)

// inlined are names of process.env that bundlers put into the code when it is built.
var inlined = regexp.MustCompile(`^(NEXT_PUBLIC_|REACT_APP_|GATSBY_|EXPO_PUBLIC_|VUE_APP_)`)

// envUses finds the reads of environment variables and how badly each is needed.
func (m *module) envUses() []envUse {
	var out []envUse
	switches := map[string]bool{} // names that the module tests for
	use := func(name string, class premortem.EnvClass, at, end int) {
		if inlined.MatchString(name) || isBuildConfig(m.path) {
			class = premortem.EnvBuild
		}
		out = append(out, envUse{name, class, at, end})
	}
	for i, t := range m.toks {
		if t.kind != jsIdent {
			continue
		}
		if t.text == "createEnv" {
			for _, u := range m.createEnv(i) {
				use(u.name, u.class, u.at, u.end)
			}
			continue
		}
		for _, u := range m.declaredEnv(i) {
			use(u.name, u.class, u.at, u.end)
		}
		obj, end, build := m.envObject(i)
		if obj < 0 {
			if name, class, stop, ok := m.configGet(i); ok {
				use(name, class, i, stop)
			}
			continue
		}
		name, stop, ok := m.member(end)
		switch {
		case ok && name == "": // process.env[name]
			use(m.pattern(span{end + 1, stop - 1}), premortem.EnvDyn, obj, stop)
		case ok && build:
			if !metaBuiltin[name] {
				use(name, premortem.EnvBuild, obj, stop)
			}
		case ok:
			switches[name] = switches[name] || m.switchTest(obj, stop)
			if class := m.classify(obj, stop, 0); class != "" && !(class == premortem.EnvUse && m.underSchema(obj)) {
				use(name, class, obj, stop)
			}
		default:
			for _, u := range m.wholeEnv(obj, end) {
				use(u.name, u.class, u.at, u.end)
			}
		}
	}
	for i := range out {
		if out[i].class == premortem.EnvUse && switches[out[i].name] {
			out[i].class = premortem.EnvOpt // what is off needs no value
		}
	}
	return out
}

// pattern writes a computed name with "*" for what is not known.
func (m *module) pattern(s span) string {
	for m.tok(s.lo).is("[") || m.tok(s.lo).is("?.") {
		s.lo++
	}
	if t := m.tok(s.lo); t.kind == jsTemplate && t.match == s.hi-1 {
		return templateHole.ReplaceAllString(t.text, "*")
	}
	return "*"
}

var templateHole = regexp.MustCompile(`\$\d+`)

var metaBuiltin = wordSet(`MODE DEV PROD SSR BASE_URL`)

// envObject recognises the environment as an object at token i: process.env,
// import.meta.env, Bun.env, Deno.env, or an alias of one. end is the token after.
func (m *module) envObject(i int) (obj, end int, build bool) {
	if m.tok(i-1).is(".") || m.tok(i-1).is("?.") {
		return -1, 0, false
	}
	dot := func(k int) bool { return m.tok(k).is(".") || m.tok(k).is("?.") }
	switch t := m.tok(i); t.text {
	case "process", "Bun", "Deno":
		if dot(i+1) && m.tok(i+2).is("env") {
			return i, i + 3, false
		}
		if t.text == "process" && m.tok(i+1).is(".") {
			return -1, 0, false
		}
	case "import":
		if dot(i+1) && m.tok(i+2).is("meta") && dot(i+3) && m.tok(i+4).is("env") {
			return i, i + 5, true
		}
	case "globalThis":
		if dot(i+1) && m.tok(i+2).is("process") && dot(i+3) && m.tok(i+4).is("env") {
			return i, i + 5, false
		}
	default:
		if v, ok := m.initialiser(t.text, i); ok && v.hi-v.lo <= 5 && v.hi-v.lo >= 1 && !m.tok(i+1).is("=") && !m.tok(i+1).is(":") {
			src := m.source(v)
			if src == "process.env" || src == "process" && t.text == "env" {
				return i, i + 1, false
			}
			if src == "import.meta.env" {
				return i, i + 1, true
			}
		}
	}
	return -1, 0, false
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// member reads .NAME, ?.NAME, ['NAME'] or .get('NAME') behind the environment. The
// name is "" when it is computed.
func (m *module) member(i int) (name string, end int, ok bool) {
	j := i
	if m.tok(j).is("?.") && m.tok(j+1).is("[") {
		j++
	}
	switch t := m.tok(j); {
	case t.is(".") || t.is("?."):
		n := m.tok(j + 1)
		if n.is("get") && m.tok(j+2).is("(") && m.tok(j+3).kind == jsString {
			return m.tok(j + 3).text, m.next(j + 2), true
		}
		if n.kind == jsIdent && envName.MatchString(n.text) && !m.tok(j+2).is("(") {
			return n.text, j + 2, true
		}
	case t.is("[") && t.match > 0:
		if k := m.tok(j + 1); k.kind == jsString && t.match == j+2 {
			return k.text, j + 3, true
		}
		return "", t.match + 1, true
	}
	return "", 0, false
}

// classify says how badly the expression in [start, end) is needed by what stands
// around it; "" when it is written, not read.
func (m *module) classify(start, end, depth int) premortem.EnvClass {
	if depth > 3 {
		return premortem.EnvUse
	}
	next := m.tok(end)
	switch {
	case next.is("="), m.tok(start - 1).is("delete"):
		return ""
	case next.is("??="), next.is("||="):
		return m.defaultClass(end + 1)
	case m.tok(start - 1).is("typeof"), next.is("?."):
		return premortem.EnvOpt
	}
	if m.elsewhere(start, m.nameAt(end)) || m.leftBefore(start, m.nameAt(end)) {
		return premortem.EnvOpt
	}
	start, end = m.unwrap(start, end)
	next, prev := m.tok(end), m.tok(start-1)
	switch {
	case next.is("||"), next.is("??"):
		class := m.defaultClass(end + 1)
		if class == premortem.EnvUse && (prev.is("||") || prev.is("??")) {
			return premortem.EnvOpt // a || X || undefined: the second choice
		}
		return class
	case next.is("?"), next.is("&&"):
		return premortem.EnvOpt
	case prev.is("!") && m.tok(start-2).is("!"), prev.is("||"), prev.is("??"):
		return premortem.EnvOpt // a switch, or the second choice
	case prev.is("!"):
		return m.guard(start - 1)
	case isComparison(next), isComparison(prev):
		return m.comparison(start, end)
	case prev.is("(") && m.tok(start-2).is("if"), m.tok(start).is("Boolean"), prev.is("&&") && next.is(")"):
		return premortem.EnvOpt
	case prev.is("="):
		if name, ok := m.boundTo(start - 1); ok {
			return m.variable(name, end, depth)
		}
	}
	return m.needed(start, end, depth)
}

func isComparison(t jsToken) bool {
	switch t.text {
	case "===", "!==", "==", "!=":
		return t.kind == jsPunct
	}
	return t.is("in")
}

// comparison: NODE_ENV === 'production' works without a value; comparing with
// undefined or ” in order to throw does not.
func (m *module) comparison(start, end int) premortem.EnvClass {
	other := m.tok(end + 1)
	if isComparison(m.tok(start - 1)) {
		other = m.tok(start - 2)
	}
	if other.is("undefined") || other.is("null") || other.kind == jsString && other.text == "" {
		return m.guard(start)
	}
	return premortem.EnvOpt
}

// unwrap steps out of conversions and parentheses around an expression.
func (m *module) unwrap(start, end int) (int, int) {
	for range 8 {
		switch next, prev := m.tok(end), m.tok(start-1); {
		case next.is("!") && !m.tok(end+1).is("="):
			end++
		case (next.is(".") || next.is("?.")) && m.tok(end+1).kind == jsIdent:
			end += 2
			if m.tok(end).is("(") {
				end = m.next(end)
			}
		case next.is("as") && m.tok(m.tok(start).up).is("(") && m.tok(m.tok(start).up).match > end && m.tok(start).up == start-1:
			end = m.tok(start - 1).match // a type takes no part when the program runs
		case next.is("as") && m.tok(end+1).kind == jsIdent:
			end += 2
		case prev.is("(") && prev.match == end:
			fn := m.tok(start - 2)
			if fn.kind == jsIdent && !converters[fn.text] {
				return start, end
			}
			start, end = start-1, end+1
			if converters[fn.text] {
				start--
			}
		case prev.is("(") && next.is(",") && (m.tok(start-2).is("parseInt") || m.tok(start-2).is("Number")):
			start, end = start-2, m.next(start-1)
		case prev.is("+") && !m.ends(start-2):
			start--
		default:
			return start, end
		}
	}
	return start, end
}

var converters = wordSet(`Number parseInt parseFloat String Boolean BigInt`)

// defaultClass looks at what stands in for a missing value.
func (m *module) defaultClass(i int) premortem.EnvClass {
	t := m.tok(i)
	switch {
	case t.is("throw"), strings.HasPrefix(t.text, "require"), strings.HasPrefix(t.text, "fail"), strings.HasPrefix(t.text, "missing"):
		return premortem.EnvBoot
	case t.is("process") && m.tok(i+2).is("exit"):
		return premortem.EnvBoot
	case (t.kind == jsString || t.kind == jsTemplate) && laptop.MatchString(t.text):
		return premortem.EnvDev
	case t.is("undefined") || t.is("null"):
		return premortem.EnvUse
	}
	return premortem.EnvOpt
}

// guard looks at `if (!X) …`: boot when what follows ends the start of the process,
// else the code copes.
func (m *module) guard(i int) premortem.EnvClass {
	open := m.tok(i).up
	for open >= 0 && !(m.tok(open).is("(") && m.tok(open-1).is("if")) {
		open = m.tok(open).up
	}
	if open < 0 || m.tok(open).match < 0 {
		return premortem.EnvOpt
	}
	if !m.fatal(m.tok(open).match + 1) {
		return premortem.EnvOpt
	}
	if m.atStart(i) {
		return premortem.EnvBoot
	}
	return premortem.EnvUse
}

// fatal reports whether the statement at i throws or exits.
func (m *module) fatal(i int) bool {
	body := span{i, m.exprEnd(i)}
	if m.tok(i).is("{") {
		body = m.inside(i)
	}
	for j := body.lo; j < body.hi; j++ {
		t := m.toks[j]
		quits := t.is("process") && (m.tok(j+2).is("exit") && m.tok(j+4).text != "0" || m.tok(j+2).is("abort"))
		if t.is("throw") || quits {
			return true
		}
	}
	return false
}

// atStart reports whether a token runs when the module is loaded: outside of
// functions, or in one that the module calls itself.
func (m *module) atStart(i int) bool {
	if i < 0 || m.funcOf.at(i) < 0 {
		return true
	}
	f := m.funcs[m.funcOf.at(i)]
	if f.start > 0 && m.tok(f.start-1).is("(") && m.tok(f.body.hi+1).is(")") && m.tok(f.body.hi+2).is("(") {
		return true // called where it stands
	}
	if f.name == "" {
		return false
	}
	for j, t := range m.toks {
		if t.kind == jsIdent && t.text == f.name && m.tok(j+1).is("(") && m.funcOf.at(j) < 0 && !m.tok(j-1).is("function") && !m.tok(j-1).is(".") {
			return true
		}
	}
	return false
}
