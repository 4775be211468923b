package read

import (
	"path"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// languages finds what the images of a service run. An image of Python runs no Go,
// whatever else lies in its folder; no entry means that nobody says.
func (g *merger) languages(node premortem.Node) (final string, built map[string]bool) {
	built = map[string]bool{}
	for _, svc := range g.sys.Services {
		if svc.Node != node {
			continue
		}
		df := g.dockerfiles[svc.Dockerfile]
		if df == nil {
			if lang, _ := imageRuntime(svc.Image.Value); lang != "" && final == "" {
				final = lang
			}
			continue
		}
		if st := g.finalStage(svc); st != nil && final == "" {
			final, _ = imageRuntime(st.root().base)
		}
		for _, st := range df.stages {
			if lang := builderLanguage(st.base); lang != "" {
				built[lang] = true
			}
		}
	}
	return final, built
}

func builderLanguage(base string) string {
	switch name := path.Base(splitImage(base).repository); name {
	case "maven", "gradle":
		return "java"
	case "composer":
		return "php"
	}
	lang, _ := imageRuntime(base)
	return lang
}

// speaks reports whether a service's process can run code of a language.
func (s *serviceCode) speaks(lang string) bool {
	same := func(a string) bool {
		return a == lang || lang == "node" && (a == "bun" || a == "deno")
	}
	switch {
	case s.final != "":
		return same(s.final)
	case len(s.built) == 0:
		return true
	case lang == "node": // compiled in a stage of its own, and served by another program
		return !s.built["go"] && !s.built["java"] && !s.built["rust"]
	}
	return s.built[lang]
}

// programReach finds the programs that each service loads from where it starts.
func (g *merger) programReach() {
	x := newProgramIndex(g.d)
	for _, s := range g.services {
		s.loads = map[string]map[string]bool{}
		if s.speaks("go") {
			s.loads["go"] = g.goReach(x, s)
		}
		if s.speaks("python") {
			s.loads["python"] = g.pythonReach(x, s)
		}
	}
}

// programIndex finds programs by path and by folder.
type programIndex struct {
	byPath  map[string]*program
	byDir   map[string][]*program
	modules map[string]string // folder of a go.mod → module path
}

func newProgramIndex(d *Draft) *programIndex {
	x := &programIndex{map[string]*program{}, map[string][]*program{}, map[string]string{}}
	for _, p := range d.programs {
		x.byPath[p.path] = p
		x.byDir[path.Dir(p.path)] = append(x.byDir[path.Dir(p.path)], p)
	}
	for _, m := range d.goModules {
		x.modules[m.dir] = m.name
	}
	return x
}

// executes reports whether a service's process can run a program: it is loaded from
// the entry, or nobody can tell and it is no tool.
func (s *serviceCode) executes(p *program) bool {
	reach, known := s.loads[p.lang]
	if known && reach != nil {
		return reach[p.path]
	}
	return !isAside(s.dir, p.path)
}

// programOwners returns the services whose code a program is.
func (g *merger) programOwners(p *program) []*serviceCode {
	var out []*serviceCode
	for _, s := range g.services {
		if s.speaks(p.lang) && s.loads[p.lang][p.path] {
			out = append(out, s)
		}
	}
	if len(out) > 0 {
		return out
	}
	return slices.DeleteFunc(g.owners(p.path), func(s *serviceCode) bool { return !s.speaks(p.lang) })
}

// readPrograms adds what programs need, ask and answer.
func (g *merger) readPrograms(vars map[[2]string]*premortem.EnvVar) {
	g.programReach()
	g.resolveGo()
	g.mountPython()
	g.resolveORM()
	for _, p := range g.d.programs {
		if p.test {
			continue
		}
		for _, s := range g.programOwners(p) {
			runs := s.executes(p)
			for _, u := range p.reads {
				class := u.class
				if !runs && class != premortem.EnvBuild && class != premortem.EnvDyn {
					class = premortem.EnvOpt // a program beside the service
				}
				if u.loose {
					u.name = g.spelled(s.node, u.name)
				}
				addProgramRead(vars, s.node, u, class, p)
			}
			if !runs {
				continue
			}
			for _, q := range p.queries {
				q.Service = s.node
				g.sys.Queries = append(g.sys.Queries, &q)
			}
			for _, r := range p.routes {
				r.Service = s.node
				g.sys.Routes = append(g.sys.Routes, &r)
			}
			if p.dotenv.Known() {
				g.loadsDotenv(s.node, p.dotenv)
			}
		}
	}
}

func addProgramRead(vars map[[2]string]*premortem.EnvVar, node premortem.Node, u programEnv, class premortem.EnvClass, p *program) {
	key := [2]string{string(node), u.name}
	v := vars[key]
	if v == nil {
		v = &premortem.EnvVar{Service: node, Name: u.name, Class: class}
		vars[key] = v
	}
	if slices.Index(classRank, class) < slices.Index(classRank, v.Class) {
		v.Class = class
	}
	v.Reads = append(v.Reads, premortem.EnvRead{Pos: u.pos, Class: class, Quote: p.quoteLine(u.pos.Line)})
}

// loadsDotenv notes that a service reads a .env file by itself. On a machine where
// Compose runs, that file may lie beside the code or be copied into the image; an
// image that CI builds for a cluster has what the repository has.
func (g *merger) loadsDotenv(node premortem.Node, pos premortem.Pos) {
	for _, svc := range g.sys.Services {
		if svc.Node != node || g.kindOf(svc.Deployment) != "compose" {
			continue
		}
		o := premortem.Opaque{Why: "the code loads a .env file where it runs", Pos: pos}
		if !slices.ContainsFunc(svc.Opaque, func(x premortem.Opaque) bool { return x.Why == o.Why }) {
			svc.Opaque = append(svc.Opaque, o)
		}
	}
}

func (g *merger) kindOf(deployment string) string {
	for _, d := range g.sys.Deployments {
		if d.Name == deployment {
			return d.Kind
		}
	}
	return ""
}

// programClients are the connections that programs open.
func (g *merger) programClients() []ownedClient {
	var out []ownedClient
	for _, p := range g.d.programs {
		if p.test {
			continue
		}
		for _, s := range g.programOwners(p) {
			if !s.executes(p) {
				continue
			}
			for _, c := range p.conns {
				out = append(out, ownedClient{c, s.node})
				if c.party != "" {
					g.party(c, p.module)
				}
			}
		}
	}
	return out
}

// commandWords are the words of what starts a service.
func (g *merger) commandWords(node premortem.Node) []string {
	var out []string
	for _, svc := range g.sys.Services {
		if svc.Node == node {
			for _, a := range svc.Command.Value {
				out = append(out, strings.Fields(a)...)
			}
		}
	}
	return out
}

// hasProgram reports whether the tree has code of a language for a service.
func (g *merger) hasProgram(node premortem.Node, lang string) bool {
	return slices.ContainsFunc(g.d.programs, func(p *program) bool {
		return p.lang == lang && slices.ContainsFunc(g.programOwners(p), func(s *serviceCode) bool { return s.node == node })
	})
}

// spelled is the name under which a deployment provides a variable whose case and
// punctuation do not matter to the code; the code's own where none does.
func (g *merger) spelled(node premortem.Node, name string) string {
	fold := func(s string) string {
		return strings.ToLower(strings.NewReplacer("_", "", ".", "", "-", "").Replace(s))
	}
	for _, svc := range g.sys.Services {
		if svc.Node != node {
			continue
		}
		for _, set := range svc.Provides {
			if set.Name == name {
				return name
			}
		}
		for _, set := range svc.Provides {
			if fold(set.Name) == fold(name) {
				return set.Name
			}
		}
	}
	return name
}
