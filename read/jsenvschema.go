package read

import (
	"regexp"

	"github.com/premortem/premortem"
)

// wholeEnv reads the environment where it is used as a whole: destructured, or
// given to a schema that demands its keys.
func (m *module) wholeEnv(obj, end int) []envUse {
	if m.tok(obj-1).is("=") && m.tok(obj-2).is("}") && m.tok(obj-2).match >= 0 {
		return m.destructuredEnv(m.tok(obj-2).match, end)
	}
	if m.tok(obj-1).is("in") && m.tok(obj-2).kind == jsString {
		return []envUse{{m.tok(obj - 2).text, premortem.EnvOpt, obj - 2, end}}
	}
	open := m.tok(obj).up
	if !m.tok(open).is("(") {
		return nil
	}
	args := m.args(open)
	if m.arkType(open, args) != nil {
		return m.arkType(open, args)
	}
	switch call := m.tok(open - 1).text; call {
	case "parse", "safeParse", "parseAsync", "validate", "validateSync", "attempt":
		shape := span{m.chainStart(open - 2), open - 2}
		if (call == "parse" || call == "safeParse" || call == "validate" || call == "attempt") && len(args) > 1 && args[0].hi <= obj {
			shape = args[0] // v.parse(schema, process.env)
		}
		return m.schema(shape, m.strictness(call, open), 0)
	case "cleanEnv":
		if len(args) > 1 {
			return m.schemaKeys(m.object(args[1]), "envalid", envStrict)
		}
	}
	return nil
}

// destructuredEnv reads const { A, B: b, C = 'x' } = process.env.
func (m *module) destructuredEnv(open, end int) []envUse {
	var out []envUse
	for _, p := range m.props(open) {
		if p.key == "..." || !envName.MatchString(p.key) {
			continue
		}
		v := p.value
		local, class := m.tok(v.lo).text, premortem.EnvClass("")
		for j := v.lo; j < v.hi; j = m.next(j) {
			if m.toks[j].is("=") {
				class = m.defaultClass(j + 1)
			}
		}
		if class == "" {
			class = m.variable(local, end, 0)
		}
		out = append(out, envUse{p.key, class, p.at, p.at + 1})
	}
	return out
}

// createEnv reads t3-env's createEnv({server: {…}, client: {…}}).
func (m *module) createEnv(i int) []envUse {
	open := m.callOpen(i)
	if open < 0 || len(m.args(open)) == 0 {
		return nil
	}
	var out []envUse
	how := envStrict
	if !m.prop(m.args(open)[0].lo, "skipValidation").empty() {
		how = envLoose
	}
	for _, part := range []string{"server", "shared", "client"} {
		for _, u := range m.schemaKeys(m.object(m.prop(m.args(open)[0].lo, part)), "createEnv", how) {
			if part == "client" {
				u.class = premortem.EnvBuild
			}
			out = append(out, u)
		}
	}
	return out
}

var configService = regexp.MustCompile(`(?i)^(config|configService|cfg)$`)

// configGet reads NestJS's config.get('X').
func (m *module) configGet(i int) (name string, class premortem.EnvClass, end int, ok bool) {
	t := m.tok(i)
	if t.text != "get" && t.text != "getOrThrow" || !m.tok(i-1).is(".") || !configService.MatchString(m.tok(i-2).text) {
		return
	}
	open := m.callOpen(i)
	if open < 0 || m.tok(open+1).kind != jsString || !upperName.MatchString(m.tok(open+1).text) {
		return
	}
	name, end = m.tok(open+1).text, m.next(open)
	switch {
	case t.text == "getOrThrow":
		return name, premortem.EnvBoot, end, true
	case len(m.args(open)) > 1:
		return name, m.defaultClass(m.args(open)[1].lo), end, true
	}
	class = m.classify(m.chainStart(i-1), end, 0)
	return name, class, end, class != ""
}

var upperName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
