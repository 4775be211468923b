package read

import (
	"path"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// inlines reports a name that Next.js puts into the code when it is built, because
// the `env` of the nearest next.config says so.
func (p *project) inlines(file, name string) bool {
	for dir := path.Dir(file); ; dir = path.Dir(dir) {
		for _, ext := range []string{".js", ".ts", ".mjs", ".cjs", ".mts"} {
			if m := p.modules[path.Join(dir, "next.config"+ext)]; m != nil {
				return m.path != file && m.inlinedNames()[name]
			}
			if m := p.modules[path.Join(dir, "vite.config"+ext)]; m != nil && strings.HasPrefix(name, "VITE_") && m.path != file {
				return strings.Contains(m.src, "process.env\"") || strings.Contains(m.src, "process.env'")
			}
		}
		if dir == "." || dir == "/" {
			return false
		}
	}
}

// inlinedNames are the keys of `env` in a next.config.
func (m *module) inlinedNames() map[string]bool {
	if m.inlined != nil {
		return m.inlined
	}
	m.inlined = map[string]bool{}
	for i, t := range m.toks {
		if !t.is("env") || m.tok(i-1).is(".") {
			continue
		}
		open := -1
		switch {
		case m.tok(i + 1).is(":"):
			open = m.object(span{i + 2, m.exprEnd(i + 2)})
		case m.tok(i+1).is(",") || m.tok(i+1).is("}"):
			open = m.object(span{i, i + 1})
		}
		for _, p := range m.props(open) {
			m.inlined[p.key] = true
		}
	}
	return m.inlined
}

var dotenvPackages = wordSet(`dotenv dotenv/config dotenv-flow dotenv-flow/config dotenv-expand dotenv-safe dotenv-safe/config env-cmd @next/env`)

// moduleFiles adds what a module asks for through files: the .env that it loads,
// and the keys of the example that dotenv-safe demands.
func (g *merger) moduleFiles(vars map[[2]string]*premortem.EnvVar, s *serviceCode, m *module) {
	if m.test || isBuildConfig(m.path) {
		return
	}
	for _, n := range m.needs {
		nest := n.from == "@nestjs/config" && strings.Contains(m.source(span{0, min(len(m.toks), 2000)}), "forRoot") && !slices.ContainsFunc(m.toks, func(t jsToken) bool { return t.is("ignoreEnvFile") })
		if !dotenvPackages[n.from] && !nest {
			continue
		}
		g.loadsDotenv(s.node, m.pos(n.at))
		if strings.HasPrefix(n.from, "dotenv-safe") {
			g.safeKeys(vars, s, m, n.at)
		}
	}
}

// safeKeys reads the example file of dotenv-safe: every key in it is required.
func (g *merger) safeKeys(vars map[[2]string]*premortem.EnvVar, s *serviceCode, m *module, at int) {
	for _, dir := range []string{s.dir, "."} {
		for _, f := range g.d.envFiles {
			if f.path != path.Join(dir, ".env.example") {
				continue
			}
			for _, set := range f.sets {
				g.addRead(vars, s.node, envUse{set.Name, premortem.EnvBoot, at, at + 1}, premortem.EnvBoot, m)
			}
			return
		}
	}
}
