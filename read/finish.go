package read

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// merger builds the System from a draft: it decides what of the deployments is the
// same service, which code belongs to it, and what it talks to.
type merger struct {
	d           *Draft
	sys         *premortem.System
	dockerfiles map[string]*dockerfile
	packages    map[string]*npmPackage // by folder
	project     *project
	groups      []*group
	stores      map[*workload]premortem.Node
	services    []*serviceCode
	storeOf     map[premortem.Node]string // kind of each store
}

// finish builds the sorted System. A wrong reference in premortem.yaml is left in
// d.fatal.
func (d *Draft) finish() *premortem.System {
	g := &merger{
		d: d, sys: &premortem.System{}, dockerfiles: map[string]*dockerfile{}, packages: map[string]*npmPackage{},
		stores: map[*workload]premortem.Node{}, storeOf: map[premortem.Node]string{},
	}
	for _, f := range d.dockerfiles {
		g.dockerfiles[f.path] = f
	}
	for _, p := range d.packages {
		g.packages[p.dir] = p
	}
	g.project = newProject(d.modules, d.packages)
	g.packageDeployment()
	g.sys.Deployments = append(g.sys.Deployments, d.deployments...)
	g.production()
	g.nameStores()
	g.tie()
	for _, w := range g.each() {
		g.findCode(w)
	}
	g.shareCode()
	g.proxies()
	for _, w := range g.each() {
		g.complete(w)
	}
	g.imageBuilds()
	g.pipelines()
	g.settleCredentials()
	g.addBalancers()
	g.sys.Tables, g.sys.Migrations = d.migrate()
	g.readCode()
	g.runtimes()
	g.images()
	g.otherLanguages()
	g.dependencies()
	g.poolers()
	g.name()
	if d.fatal == nil {
		g.wishes()
	}
	g.traffic()
	g.examples()
	g.forms()
	g.onceEach()
	g.sys.Suppressions = append(g.sys.Suppressions, d.suppressions...)
	g.sys.Unread = slices.Clone(d.unread)
	tidy(g.sys)
	return g.sys
}

// each returns the workloads that are services.
func (g *merger) each() []*workload {
	var out []*workload
	for _, grp := range g.groups {
		out = append(out, grp.members...)
	}
	return out
}

// name is the Compose project's, else that of the root package.
func (g *merger) name() {
	if len(g.d.composeNames) > 0 {
		g.sys.Name = g.d.composeNames[0].Value
	} else if p := g.packages["."]; p != nil {
		g.sys.Name = p.name.Value
	}
}

// packageDeployment describes `npm start` where no Compose file says how the system
// runs on a laptop.
func (g *merger) packageDeployment() {
	for _, d := range g.d.deployments {
		if d.Kind == "compose" {
			return
		}
	}
	var starts []*npmPackage
	for _, dir := range sortedKeys(g.packages) {
		if p := g.packages[dir]; p.scripts["start"].Set() {
			starts = append(starts, p)
		}
	}
	if len(starts) > 1 { // the root's start runs one of the others
		starts = slices.DeleteFunc(starts, func(p *npmPackage) bool { return p.root })
	}
	for _, p := range starts {
		w := &workload{name: packageName(p)}
		w.Deployment, w.Pos, w.Dir = "package.json", premortem.Pos{File: p.path, Line: p.scripts["start"].Pos.Line}, p.dir
		w.command = premortem.Setting[[]string]{Value: []string{"npm", "start"}, Pos: p.scripts["start"].Pos}
		w.Provides = g.localEnv(p.dir)
		g.d.workloads = append(g.d.workloads, w)
	}
	if len(starts) > 0 {
		g.d.deployments = append(g.d.deployments, &premortem.Deployment{Name: "package.json", Kind: "package", Pos: premortem.Pos{File: starts[0].path, Line: 1}})
	}
}

func packageName(p *npmPackage) string {
	name := p.name.Value
	if i := strings.LastIndex(name, "/"); i >= 0 {
		name = name[i+1:]
	}
	if name == "" {
		name = path.Base(p.dir)
	}
	if name == "." {
		name = "app"
	}
	return name
}

// localEnv lists what the .env files of a folder, or of the root, provide locally.
func (g *merger) localEnv(dir string) []premortem.EnvSet {
	var sets []premortem.EnvSet
	for _, where := range []string{dir, "."} {
		for _, base := range []string{".env.local", ".env.development", ".env"} {
			for _, f := range g.d.envFiles {
				if f.path == path.Join(where, base) && !f.example {
					sets = append(sets, f.sets...)
				}
			}
		}
	}
	return firstOfEach(sets)
}

// order puts production first, then the others by name.
func (g *merger) order(a, b string) int {
	return cmp.Or(compareBool(a != g.sys.Production, b != g.sys.Production), cmp.Compare(a, b))
}
