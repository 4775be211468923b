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

// production decides which deployment production runs.
func (g *merger) production() {
	for _, c := range g.d.configs {
		g.sys.Config = premortem.Setting[string]{Value: c.file, Pos: premortem.Pos{File: c.file, Line: 1}}
		if !c.production.Set() {
			continue
		}
		want := path.Clean(c.production.Value)
		names := make([]string, len(g.sys.Deployments))
		for i, d := range g.sys.Deployments {
			names[i] = d.Name
			if d.Name == want {
				g.sys.Production = d.Name
				g.sys.ProductionWhy = "declared in " + c.production.Pos.String()
				return
			}
		}
		slices.Sort(names)
		p := &configParser{file: c.file}
		g.refuse(p, c.production.Pos, "deployment", "production", c.production.Value, names)
		return
	}
	var best *premortem.Deployment
	rank, ties := 9, 0
	runs := map[string]bool{}
	for _, w := range g.d.workloads {
		runs[w.Deployment] = true
	}
	for _, d := range g.sys.Deployments {
		if (d.Kind == "terraform" || d.Kind == "cloudformation") && !runs[d.Name] {
			continue // infrastructure without services
		}
		r := deploymentRank(d)
		switch {
		case r < rank:
			best, rank, ties = d, r, 1
		case r == rank:
			ties++
		}
	}
	if best == nil {
		return
	}
	switch {
	case rank == 1:
		g.sys.Production, g.sys.ProductionWhy = best.Name, "inferred: "+best.Name+" is named for production"
	case rank == 2:
		g.sys.Production, g.sys.ProductionWhy = best.Name, "inferred: "+best.Name+" is the base, and no deployment is named for production"
	case ties == 1 && rank <= 5:
		g.sys.Production, g.sys.ProductionWhy = best.Name, "inferred: "+best.Name+" is the only "+best.Kind+" deployment"
	}
}

// deploymentRank orders candidates for production: named so, then a base, then any
// cluster, then Compose and `npm start`; environments for other ends come last.
func deploymentRank(d *premortem.Deployment) int {
	last := 5
	words := strings.FieldsFunc(strings.ToLower(d.Name), func(r rune) bool { return strings.ContainsRune("/.-_", r) })
	for _, w := range slices.Backward(words) {
		switch rankEnvironment(w) {
		case 1:
			return 1
		case 6:
			return 6
		}
		if w == "base" {
			return 2
		}
	}
	switch d.Kind {
	case "kubernetes", "terraform", "cloudformation", "platform":
		last = 3
	case "compose":
		last = 4
	}
	return last
}

// rankEnvironment is 1 for a name that means production, 6 for one that means
// another environment, 0 for any other word.
func rankEnvironment(word string) int {
	switch strings.ToLower(word) {
	case "prod", "production", "live", "prd", "main":
		return 1
	case "staging", "stage", "stg", "dev", "development", "test", "testing", "qa", "uat", "preview", "sandbox", "local", "ci", "e2e", "demo":
		return 6
	}
	return 0
}

// order puts production first, then the others by name.
func (g *merger) order(a, b string) int {
	return cmp.Or(compareBool(a != g.sys.Production, b != g.sys.Production), cmp.Compare(a, b))
}
