package read

import (
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// strictEnv says what becomes of an environment that does not fit its schema.
type strictEnv int

const (
	envStrict strictEnv = iota // the process ends
	envLoose                   // the code goes on
)

// strictness looks at how the answer of a validation is taken.
func (m *module) strictness(call string, open int) strictEnv {
	switch call {
	case "safeParse":
		if !m.checksResult() {
			return envLoose
		}
	case "validate", "validateSync":
		if !m.checksError(open) {
			return envLoose
		}
	}
	return envStrict
}

// checksError reports whether `const { error } = schema.validate(…)` is followed by
// a check that ends the process.
func (m *module) checksError(open int) bool {
	m.scans++
	for i := open; i < len(m.toks) && m.scans <= maxScans; i++ {
		if !m.toks[i].is("if") || !m.tok(i+1).is("(") || m.tok(i+1).match < 0 {
			continue
		}
		if cond := m.source(m.inside(i + 1)); strings.Contains(strings.ToLower(cond), "error") && m.fatal(m.tok(i+1).match+1) {
			return true
		}
	}
	return false
}

// objectMakers are the calls of schema libraries that take an object of keys.
var objectMakers = wordSet(`object strictObject looseObject keys extend append safeExtend merge`)

// schema follows a schema to its objects of keys.
func (m *module) schema(s span, how strictEnv, depth int) []envUse {
	if depth > 4 || s.empty() {
		return nil
	}
	call := "zod"
	if m.usesJoi() {
		call = "joi"
		if strings.Contains(m.source(s), "presence") {
			call = "zod" // what is not optional is required
		}
	}
	var out []envUse
	partial := false
	for i := s.lo; i < s.hi; i++ {
		t := m.toks[i]
		if t.kind != jsIdent || !m.tok(i+1).is("(") {
			continue
		}
		partial = partial || t.text == "partial"
		if !objectMakers[t.text] {
			if t.text == "pipe" || t.text == "intersection" {
				continue
			}
			i = max(m.next(i+1)-1, i)
			continue
		}
		for _, a := range m.args(i + 1) {
			if open := m.object(a); open >= 0 {
				out = append(out, m.schemaKeys(open, call, how)...)
			} else if m.tok(a.lo).kind == jsIdent {
				out = append(out, m.schema(a, how, depth+1)...)
			}
		}
		i = max(m.next(i+1)-1, i)
	}
	if t := m.tok(s.lo); t.kind == jsIdent && !m.tok(s.lo+1).is("(") {
		if v, ok := m.initialiser(t.text, s.lo); ok && v.lo != s.lo {
			out = append(out, m.schema(v, how, depth+1)...)
		}
	}
	if partial {
		for i := range out {
			out[i].class = premortem.EnvOpt
		}
	}
	return out
}

func (m *module) usesJoi() bool {
	return slices.ContainsFunc(m.needs, func(n imported) bool {
		return n.from == "joi" || n.from == "@hapi/joi" || n.from == "celebrate" || n.from == "joi-extract-type" || n.from == "yup"
	})
}

var (
	optionalKey = regexp.MustCompile(`\.(optional|nullish|default|catch|prefault|orUndefined|partial)\(|optional\(|nullish\(|fallback\(|\.withDefault|undefined\(|\.any\(|\.unknown\(|coerce\.boolean\(`)
	requiredKey = regexp.MustCompile(`\.(required|exist)\(`)
	defaultText = regexp.MustCompile(`default[:(]+`)
)

// schemaKeys reads the keys of a schema's object.
func (m *module) schemaKeys(open int, call string, how strictEnv) []envUse {
	var out []envUse
	for _, p := range m.props(open) {
		if p.key == "..." || !envName.MatchString(p.key) {
			continue
		}
		src := m.source(p.value)
		if v, ok := m.initialiser(src, p.value.lo); ok && v.lo != p.value.lo {
			src = m.source(v)
		}
		class := premortem.EnvBoot
		switch {
		case call == "envalid" && defaultText.MatchString(strings.ReplaceAll(src, "devDefault", "")):
			class = premortem.EnvOpt
		case call == "envalid":
		case optionalKey.MatchString(src):
			class = premortem.EnvOpt
		case call == "joi" && !requiredKey.MatchString(src), strings.Contains(src, ".when("), strings.Contains(src, "coerce.string("):
			class = premortem.EnvOpt
		case how == envLoose:
			class = premortem.EnvUse
		}
		if class == premortem.EnvOpt && strings.Contains(src, "efault") && laptop.MatchString(defaultOf(src)) {
			class = premortem.EnvDev
		}
		out = append(out, envUse{p.key, class, p.at, p.at + 1})
	}
	return out
}

// defaultOf is the text behind "default" in a schema's key.
func defaultOf(src string) string {
	_, after, _ := strings.Cut(src, "efault")
	after = strings.TrimLeft(after, ":(")
	if i := strings.IndexAny(after, "),}"); i >= 0 {
		after = after[:i]
	}
	return after
}

// checksResult reports whether the module ends the process when safeParse fails.
func (m *module) checksResult() bool {
	for i, t := range m.toks {
		if t.is("success") && m.tok(i-1).is(".") {
			if up := m.tok(i).up; up >= 0 && m.tok(up-1).is("if") && m.tok(up).match > 0 && m.fatal(m.tok(up).match+1) {
				return true
			}
		}
	}
	return false
}

// arkType reads type({ PORT: 'string', 'HOST?': 'string' })(process.env).
func (m *module) arkType(open int, args []span) []envUse {
	name := m.tok(open - 1)
	if name.kind != jsIdent || len(args) != 1 || !m.uses("arktype") {
		return nil
	}
	v, ok := m.initialiser(name.text, open)
	if !ok || !m.tok(v.lo).is("type") || !m.tok(v.lo+1).is("(") {
		return nil
	}
	var out []envUse
	for _, p := range m.props(v.lo + 2) {
		key, optional := strings.CutSuffix(p.key, "?")
		if !envName.MatchString(key) {
			continue
		}
		class := premortem.EnvUse // the answer says what is wrong; nothing throws
		if optional || strings.Contains(m.source(p.value), "undefined") || strings.Contains(m.source(p.value), "=") {
			class = premortem.EnvOpt
		}
		out = append(out, envUse{key, class, p.at, p.at + 1})
	}
	return out
}

// nestSchema reads ConfigModule.forRoot({ validationSchema: Joi.object({…}) }).
func (m *module) nestSchema(i int) []envUse {
	if !m.tok(i).is("validationSchema") || !m.tok(i+1).is(":") {
		return nil
	}
	up := m.tok(i).up
	if up < 0 || !m.tok(up).is("{") {
		return nil
	}
	return m.schema(m.prop(up, "validationSchema"), envStrict, 0)
}

// underSchema reports a read whose value goes to a schema under its own key: what
// the schema says of the key counts, not that it is handed over.
func (m *module) underSchema(at int) bool {
	up := m.tok(at).up
	if up < 0 || !m.tok(up).is("{") {
		return false
	}
	before := m.tok(up - 1)
	switch {
	case before.is(":"):
		switch m.tok(up - 2).text {
		case "runtimeEnv", "runtimeEnvStrict", "experimental__runtimeEnv":
			return true
		}
	case before.is("("):
		switch m.tok(up - 2).text {
		case "parse", "safeParse", "parseAsync", "validate", "validateSync":
			return true
		}
	case before.is(","):
		open := m.tok(up).up // cleanEnv and v.parse(schema, {…})
		return open > 0 && m.tok(open).is("(") && m.tok(open-1).is("parse")
	case before.is("="): // const raw = {…}; schema.parse(raw)
		name, ok := m.boundTo(up - 1)
		if !ok || !m.mayScan() {
			return false
		}
		for i, t := range m.toks {
			if t.kind == jsIdent && t.text == name && i > up && m.tok(i-1).is("(") && m.tok(i+1).is(")") {
				switch m.tok(i - 2).text {
				case "parse", "safeParse", "parseAsync", "validate":
					return true
				}
			}
		}
	}
	return false
}

// schemaOf reads the schema that an object of reads is given to.
func (m *module) schemaOf(call int) []envUse {
	args := m.args(call)
	name := m.tok(call - 1).text
	if len(args) == 0 || m.object(args[0]) < 0 && !(m.tok(args[0].lo).kind == jsIdent && args[0].hi-args[0].lo == 1) {
		return nil
	}
	obj := m.object(args[0])
	if obj < 0 {
		return nil
	}
	found := false
	for _, p := range m.props(obj) {
		for j := p.value.lo; j < p.value.hi; j++ {
			if o, _, _ := m.envObject(j); m.tok(j).kind == jsIdent && o >= 0 {
				found = true
			}
		}
	}
	if !found {
		return nil
	}
	return m.schema(span{m.chainStart(call - 2), call - 2}, m.strictness(name, call), 0)
}
