package read

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// serviceCode is the code of one service.
type serviceCode struct {
	node   premortem.Node
	dir    string
	static bool
	entry  string                     // module that is started, "" unknown
	reach  map[string]bool            // modules that the entry loads
	open   bool                       // loads modules by computed names
	final  string                     // language of the image that runs, "" unknown
	built  map[string]bool            // languages of the stages that build it
	loads  map[string]map[string]bool // language → programs that the entry loads
	takes  []string                   // what its image is built from, nil everything

	looked   bool   // twin and programs are known
	twin     string // another folder of the same name, "" none
	programs int    // that its folder holds
}

// codeOfServices lists the services that have code, production's view first.
func (g *merger) codeOfServices() []*serviceCode {
	var out []*serviceCode
	byNode := map[premortem.Node]*serviceCode{}
	svcs := slices.Clone(g.sys.Services)
	slices.SortStableFunc(svcs, func(a, b *premortem.Service) int { return g.order(a.Deployment, b.Deployment) })
	for _, svc := range svcs {
		if svc.Dir == "" {
			continue
		}
		c := byNode[svc.Node]
		if c == nil {
			c = &serviceCode{node: svc.Node, dir: svc.Dir, static: svc.Static}
			byNode[svc.Node] = c
			out = append(out, c)
		}
		if c.entry == "" {
			for _, a := range svc.Command.Value {
				if m := g.entryModule(path.Join(svc.Dir, a)); m != nil && isSource(a) {
					c.entry = m.path
				}
			}
		}
	}
	for _, c := range out {
		c.final, c.built = g.languages(c.node)
		if c.entry != "" {
			c.reach, c.open = g.project.reach(c.entry)
		}
	}
	return out
}

// owners returns the services whose code a file is: those of the deepest folder,
// and those that load it from elsewhere.
func (g *merger) owners(file string) []*serviceCode {
	depth := -1
	var out []*serviceCode
	for _, s := range g.services {
		if _, under := below(s.dir, file); !under && s.dir != "." || s.leftOut(file) {
			continue
		}
		d := len(s.dir)
		if s.dir == "." {
			d = 0
		}
		if d > depth {
			depth, out = d, nil
		}
		if d == depth {
			out = append(out, s)
		}
	}
	if len(out) > 1 { // services that share a folder: who loads the file?
		loads := slices.DeleteFunc(slices.Clone(out), func(s *serviceCode) bool { return !s.reach[file] })
		if len(loads) > 0 {
			out = loads
		}
	}
	for _, s := range g.services {
		if s.reach[file] && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// runs reports whether a service's process can run a file: it is loaded from the
// entry, or nobody can tell.
func (s *serviceCode) runs(file string) bool {
	return s.entry == "" || s.open || s.reach[file]
}

// running returns the services whose processes run a file.
func (g *merger) running(file string) []premortem.Node {
	var out []premortem.Node
	for _, s := range g.owners(file) {
		if s.runs(file) {
			out = append(out, s.node)
		}
	}
	return out
}

// readCode adds what the code needs, asks and answers.
func (g *merger) readCode() {
	g.services = g.codeOfServices()
	g.takenByImages()
	vars := map[[2]string]*premortem.EnvVar{}
	var queries []foundQuery
	for _, p := range g.project.paths {
		m := g.project.modules[p]
		owners := g.owners(p)
		for _, s := range owners {
			if !s.static && !s.speaks("node") {
				continue // another program serves what this was built into
			}
			for _, u := range m.env {
				class := u.class
				beside := !s.runs(p) || s.entry == "" && isAside(s.dir, p)
				if g.project.inlines(p, u.name) {
					class = premortem.EnvBuild
				}
				if beside && (class == premortem.EnvBoot || class == premortem.EnvUse || class == premortem.EnvDev) {
					class = premortem.EnvOpt // a script, not the service
				}
				g.addRead(vars, s.node, u, class, m)
			}
			if s.runs(p) {
				g.moduleFiles(vars, s, m)
			}
		}
		queries = append(queries, g.project.queries(m)...)
	}
	g.readPrograms(vars)
	g.doubtReads(vars)
	for _, k := range sortedPairs(vars) {
		g.sys.Env = append(g.sys.Env, vars[k])
	}
	g.project.carryLoops(queries)
	for _, q := range queries {
		for _, node := range g.running(q.module) {
			one := q.Query
			one.Service = node
			g.sys.Queries = append(g.sys.Queries, &one)
		}
	}
	for _, r := range g.project.routes() {
		for _, node := range g.running(r.module) {
			one := r.Route
			one.Service = node
			g.sys.Routes = append(g.sys.Routes, &one)
		}
	}
}

var classRank = []premortem.EnvClass{premortem.EnvBoot, premortem.EnvUse, premortem.EnvDev, premortem.EnvOpt, premortem.EnvBuild, premortem.EnvDyn}

func (g *merger) addRead(vars map[[2]string]*premortem.EnvVar, node premortem.Node, u envUse, class premortem.EnvClass, m *module) {
	key := [2]string{string(node), u.name}
	v := vars[key]
	if v == nil {
		v = &premortem.EnvVar{Service: node, Name: u.name, Class: class}
		vars[key] = v
	}
	if slices.Index(classRank, class) < slices.Index(classRank, v.Class) {
		v.Class = class
	}
	v.Reads = append(v.Reads, premortem.EnvRead{Pos: m.pos(u.at), Class: class, Quote: m.quote(u.at)})
}

func sortedPairs[V any](m map[[2]string]V) [][2]string {
	keys := make([][2]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	return keys
}

// runtimes adds the lines that name a runtime's version: of images, which run, and
// of what is declared and tested.
func (g *merger) runtimes() {
	seen := map[string]bool{}
	add := func(r premortem.Runtime) {
		key := string(r.Service) + r.Version.Pos.String() + r.Version.Value + r.Source
		if !seen[key] && r.Version.Set() {
			seen[key] = true
			g.sys.Runtimes = append(g.sys.Runtimes, &r)
		}
	}
	node := map[premortem.Node]bool{} // services that run on Node
	for _, svc := range g.sys.Services {
		df := g.dockerfiles[svc.Dockerfile]
		if df == nil {
			if lang, v := imageRuntime(svc.Image.Value); lang != "" && svc.Dir != "" {
				add(premortem.Runtime{Service: svc.Node, Language: lang, Version: premortem.Setting[string]{Value: v, Pos: svc.Image.Pos}, Source: svc.Image.Pos.File, Runs: g.sys.IsProduction(svc.Deployment)})
				node[svc.Node] = node[svc.Node] || lang == "node"
			}
			continue
		}
		final := g.finalStage(svc)
		for _, st := range df.stages {
			lang, v := imageRuntime(st.base)
			if st.parent != nil || lang == "" || len(st.unknown) > 0 {
				continue
			}
			runs := final != nil && final.root() == st
			add(premortem.Runtime{Service: svc.Node, Language: lang, Version: premortem.Setting[string]{Value: v, Pos: st.pos}, Source: "Dockerfile", Runs: runs})
			node[svc.Node] = node[svc.Node] || runs && lang == "node"
		}
	}
	for _, s := range g.services {
		if !s.static && !node[s.node] && g.packages[s.dir] != nil && s.entry != "" {
			node[s.node] = true
		}
	}
	for _, p := range sortedKeys(g.dockerfiles) { // images of no service, where there is none
		for _, st := range g.dockerfiles[p].stages {
			lang, v := imageRuntime(st.base)
			if len(g.sys.Services) == 0 && st.parent == nil && lang != "" {
				runs := g.dockerfiles[p].final("").root() == st
				add(premortem.Runtime{Language: lang, Version: premortem.Setting[string]{Value: v, Pos: st.pos}, Source: "Dockerfile", Runs: runs})
			}
		}
	}
	g.declaredRuntimes(node, add)
}

// declaredRuntimes adds what folders and CI say, for each service that runs on Node.
func (g *merger) declaredRuntimes(node map[premortem.Node]bool, add func(premortem.Runtime)) {
	for _, f := range g.d.runtimes {
		if f.Language != "node" {
			g.declaredElsewhere(f, add)
			continue
		}
		if len(node) == 0 {
			add(f.Runtime)
			continue
		}
		for _, s := range g.services {
			if !node[s.node] {
				continue
			}
			if _, under := below(f.dir, s.dir); under || f.dir == "." {
				r := f.Runtime
				r.Service = s.node
				add(r)
			}
		}
	}
}

// declaredElsewhere gives what a folder says of a language to the services below it
// that speak it; with none, to the repository.
func (g *merger) declaredElsewhere(f runtimeFact, add func(premortem.Runtime)) {
	found := false
	for _, s := range g.services {
		_, under := below(f.dir, s.dir)
		if !under && f.dir != "." || s.final != f.Language && !s.built[f.Language] {
			continue
		}
		found = true
		r := f.Runtime
		r.Service = s.node
		add(r)
	}
	if !found {
		add(f.Runtime)
	}
}

// otherLanguages lists the services whose code nobody here reads: that of a language
// without a reader, and that which is not in the tree.
func (g *merger) otherLanguages() {
	for _, r := range g.sys.Runtimes {
		switch r.Language {
		case "node", "bun", "deno":
			continue
		}
		if r.Runs && r.Service != "" && !g.hasProgram(r.Service, r.Language) {
			g.d.miss(r.Version.Pos, r.Language+" code is not evaluated: the variables, queries and routes of "+string(r.Service)+" are unknown")
		}
	}
}

func (g *merger) finalStage(svc *premortem.Service) *stage {
	df := g.dockerfiles[svc.Dockerfile]
	if df == nil {
		return nil
	}
	for _, w := range g.each() {
		if w.Deployment == svc.Deployment && w.Node == svc.Node {
			return df.final(w.target)
		}
	}
	return df.final("")
}

// images adds the references that something builds from or runs.
func (g *merger) images() {
	users := map[string][]premortem.Node{}
	finals := map[string]*stage{}
	for _, svc := range g.sys.Services {
		if svc.Dockerfile == "" {
			continue
		}
		if !slices.Contains(users[svc.Dockerfile], svc.Node) {
			users[svc.Dockerfile] = append(users[svc.Dockerfile], svc.Node)
		}
		if st := g.finalStage(svc); st != nil && finals[svc.Dockerfile] == nil {
			finals[svc.Dockerfile] = st.root()
		}
	}
	for _, p := range sortedKeys(g.dockerfiles) {
		df := g.dockerfiles[p]
		if finals[p] == nil && len(df.stages) > 0 {
			finals[p] = df.final("").root()
		}
		for _, st := range df.stages {
			if st.parent != nil || st.base == "scratch" || st.base == "" {
				continue
			}
			stageName := cmp.Or(st.name, itoa(st.number))
			for _, node := range append(users[p], "")[:max(len(users[p]), 1)] {
				g.addImage("", node, st.base, stageName, finals[p] == st, st.quote, st.pos)
			}
		}
	}
	for _, w := range g.d.workloads {
		if !w.Image.Set() {
			continue
		}
		node := w.Node
		if w.kind != "" {
			node = g.stores[w]
		}
		g.addImage(w.Deployment, node, w.Image.Value, "", w.Dockerfile == "", g.d.lineOf(w.Image.Pos), w.Image.Pos)
	}
}

func (g *merger) addImage(deployment string, node premortem.Node, ref, stage string, final bool, quote string, pos premortem.Pos) {
	r := splitImage(ref)
	g.sys.Images = append(g.sys.Images, &premortem.Image{
		Deployment: deployment, Service: node, Ref: ref, Tag: r.tag, Digest: r.digest, Stage: stage, Final: final,
		Quote: strings.TrimSpace(quote), Pos: pos,
	})
}
