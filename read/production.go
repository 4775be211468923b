package read

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// production decides which deployment production runs: the declared one, else the one
// that the tree names or deploys. Where it does not say, Production stays empty and
// ProductionWhy names the candidates.
func (g *merger) production() {
	for _, c := range g.d.configs {
		g.sys.Config = premortem.Setting[string]{Value: c.file, Pos: premortem.Pos{File: c.file, Line: 1}}
		if c.production.Set() {
			g.declared(c)
			return
		}
	}
	ranked := map[int][]*premortem.Deployment{}
	least := 9
	for _, d := range g.sys.Deployments {
		if (d.Kind == "terraform" || d.Kind == "cloudformation") && !g.runs(d.Name) {
			continue // infrastructure without services
		}
		r := g.rank(d)
		ranked[r] = append(ranked[r], d)
		least = min(least, r)
	}
	best := ranked[least]
	if least > rankPackage || len(best) == 0 {
		g.undecided(ranked)
		return
	}
	if d, why := g.deployed(g.candidates(ranked)); d != nil && least > rankNamed {
		g.infer(d, why)
		return
	}
	switch {
	case least == rankNamed && len(best) > 1:
		if d, why := g.deployed(best); d != nil {
			g.infer(d, why)
			return
		}
		best = g.heaviest(best)
		g.infer(best[0], best[0].Name+" is named for production")
	case least == rankNamed:
		g.infer(best[0], best[0].Name+" is named for production")
	case least == rankBase:
		g.infer(best[0], best[0].Name+" is the base, and no deployment is named for production")
	case len(best) == 1:
		g.infer(best[0], best[0].Name+" is the only "+best[0].Kind+" deployment")
	default:
		for _, choose := range []func([]*premortem.Deployment) (*premortem.Deployment, string){g.rendered, g.whole, mainCompose} {
			if d, why := choose(best); d != nil {
				g.infer(d, why)
				return
			}
		}
		g.undecided(ranked)
	}
}

// whole finds the deployment beside which the others are additions: each has a third
// of its workloads at most, and none of them.
func (g *merger) whole(list []*premortem.Deployment) (*premortem.Deployment, string) {
	most := g.heaviest(list)[0]
	own := g.names(most.Name)
	for _, d := range list {
		if d.Name == most.Name {
			continue
		}
		other := g.names(d.Name)
		for n := range other {
			if own[n] {
				return nil, ""
			}
		}
		if len(own) < 4 || 3*len(other) > len(own) {
			return nil, ""
		}
	}
	return most, most.Name + " runs the system, and what else is deployed are additions"
}

// mainCompose finds the Compose file that runs where nobody names one.
func mainCompose(list []*premortem.Deployment) (*premortem.Deployment, string) {
	var found *premortem.Deployment
	for _, d := range list {
		m := composeName.FindStringSubmatch(d.Name)
		switch {
		case d.Kind != "compose":
			return nil, ""
		case m != nil && m[1] == "" && found != nil:
			return nil, ""
		case m != nil && m[1] == "":
			found = d
		}
	}
	if found == nil {
		return nil, ""
	}
	return found, "docker compose runs " + found.Name + " where no file is named"
}

func (g *merger) infer(d *premortem.Deployment, why string) {
	g.sys.Production, g.sys.ProductionWhy = d.Name, "inferred: "+why
}

// declared obeys premortem.yaml.
func (g *merger) declared(c *config) {
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
}

// runs reports whether a deployment has workloads.
func (g *merger) runs(deployment string) bool { return len(g.workloadsOf(deployment)) > 0 }

func (g *merger) workloadsOf(deployment string) []*workload {
	var out []*workload
	for _, w := range g.d.workloads {
		if w.Deployment == deployment {
			out = append(out, w)
		}
	}
	return out
}

// The ranks of candidates, the most convincing first.
const (
	rankNamed   = 1 // named for production
	rankBase    = 2
	rankCluster = 3 // anything that runs away from a laptop
	rankCompose = 4
	rankPackage = 5
	rankOther   = 6 // another environment, an example, a Compose file for development
)

// rank orders candidates for production.
func (g *merger) rank(d *premortem.Deployment) int {
	r := deploymentRank(d)
	if shownOnly(d.Name) || r != rankNamed && d.Kind == "compose" && g.forDevelopment(d) {
		return rankOther
	}
	return r
}

// deploymentRank is rank by name and kind alone.
func deploymentRank(d *premortem.Deployment) int {
	words := strings.FieldsFunc(strings.ToLower(d.Name), func(r rune) bool { return strings.ContainsRune("/.-_() ", r) })
	for _, w := range slices.Backward(words) {
		switch rankEnvironment(w) {
		case rankNamed:
			return rankNamed
		case rankOther:
			return rankOther
		}
		if w == "base" {
			return rankBase
		}
	}
	switch d.Kind {
	case "kubernetes", "terraform", "cloudformation", "platform":
		return rankCluster
	case "compose":
		return rankCompose
	}
	return rankPackage
}

// rankEnvironment is rankNamed for a word that means production, rankOther for one
// that means another environment, 0 for any other.
func rankEnvironment(word string) int {
	switch strings.ToLower(word) {
	case "prod", "production", "live", "prd", "main":
		return rankNamed
	case "staging", "stage", "stg", "dev", "development", "devcontainer", "test", "tests", "testing", "qa", "uat", "preprod", "preproduction", "training", "preview", "sandbox", "local", "ci", "e2e", "demo":
		return rankOther
	}
	return 0
}

var showFolders = wordSet(`doc docs documentation example examples sample samples tutorial tutorials archive archived legacy deprecated
	contrib extras hack fixtures testdata spec specs quickstart quickstarts`)

// shownOnly reports a folder whose content is there to be read or tried, not to be
// what this repository's production runs.
func shownOnly(name string) bool {
	for seg := range strings.SplitSeq(strings.ToLower(name), "/") {
		if showFolders[strings.Trim(seg, "_.")] {
			return true
		}
	}
	return false
}

// candidates are the deployments that a deploy command may choose among: the best
// rank that runs on servers, and the ranks just below it that do as well.
func (g *merger) candidates(ranked map[int][]*premortem.Deployment) []*premortem.Deployment {
	return slices.Concat(ranked[rankNamed], ranked[rankBase], ranked[rankCluster], ranked[rankCompose])
}

// heaviest puts the named deployment first that runs most workloads on servers.
func (g *merger) heaviest(list []*premortem.Deployment) []*premortem.Deployment {
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b *premortem.Deployment) int {
		if onServers(a) != onServers(b) {
			return compareBool(onServers(b), onServers(a))
		}
		return len(g.workloadsOf(b.Name)) - len(g.workloadsOf(a.Name))
	})
	return out
}

func onServers(d *premortem.Deployment) bool { return d.Kind != "compose" && d.Kind != "package" }

// rendered finds the Helm chart or kustomization beside which the same workloads lie
// again as plain manifests, rendered from it or copied.
func (g *merger) rendered(list []*premortem.Deployment) (*premortem.Deployment, string) {
	var source *premortem.Deployment
	var copies []string
	for _, d := range list {
		if d.Kind != "kubernetes" {
			return nil, ""
		}
		if base := path.Base(d.Pos.File); base == "Chart.yaml" {
			if source != nil {
				return nil, ""
			}
			source = d
			continue
		}
		if !slices.Contains(copies, d.Name) {
			copies = append(copies, d.Name)
		}
	}
	if source == nil {
		return nil, ""
	}
	own := g.names(source.Name)
	for _, c := range copies {
		if !alike(own, g.names(c)) {
			return nil, ""
		}
	}
	return source, fmt.Sprintf("%s is the chart of the workloads that %s %s again", source.Name, joinNames(copies), verb(copies, "describes", "describe"))
}

func verb(list []string, one, more string) string {
	if len(list) == 1 {
		return one
	}
	return more
}

func (g *merger) names(deployment string) map[string]bool {
	out := map[string]bool{}
	for _, w := range g.workloadsOf(deployment) {
		out[w.name] = true
	}
	return out
}

// alike reports whether nine in ten names of each are names of the other.
func alike(a, b map[string]bool) bool {
	both := 0
	for n := range a {
		if b[n] {
			both++
		}
	}
	return both > 0 && 10*both >= 9*max(len(a), len(b))
}

// undecided says which deployments could be production.
func (g *merger) undecided(ranked map[int][]*premortem.Deployment) {
	for r := rankNamed; r <= rankOther; r++ {
		var names []string
		for _, d := range ranked[r] {
			if d.Kind != "package" && g.runs(d.Name) {
				names = append(names, d.Name)
			}
		}
		if len(names) == 0 {
			continue
		}
		slices.Sort(names)
		names = slices.Compact(names)
		if r == rankOther {
			g.sys.ProductionWhy = "unknown: nothing here says that it is for production: " + joinNames(names)
		} else {
			g.sys.ProductionWhy = "unknown: " + joinNames(names) + " could each be it"
		}
		return
	}
}

// mostCandidates is how many deployments a question names.
const mostCandidates = 6

func joinNames(names []string) string {
	if n := len(names) - mostCandidates; n > 1 {
		return strings.Join(names[:mostCandidates], ", ") + fmt.Sprintf(" and %d more", n)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
