package read

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// deployed returns the one candidate that the strongest of the deploy commands name,
// and the sentence that says so; nil where they name none or several.
func (g *merger) deployed(candidates []*premortem.Deployment) (*premortem.Deployment, string) {
	for weight := weighPipeline; weight >= weighReadme; weight-- {
		var found []*premortem.Deployment
		var pos premortem.Pos
		for _, r := range g.d.rollouts {
			if r.weight != weight {
				continue
			}
			d := r.names(candidates)
			if d == nil || slices.Contains(found, d) {
				continue
			}
			if len(found) == 0 || r.pos.Compare(pos) < 0 {
				pos = r.pos
			}
			found = append(found, d)
		}
		switch len(found) {
		case 0:
			continue
		case 1:
			return found[0], fmt.Sprintf("%s deploys %s", pos, found[0].Name)
		}
		return nil, ""
	}
	return nil, ""
}

// names returns the candidate that a command deploys: of several, the one that its
// last path names most closely.
func (r rollout) names(candidates []*premortem.Deployment) *premortem.Deployment {
	var best *premortem.Deployment
	close := 0
	for _, d := range candidates {
		if !r.fits(d) {
			continue
		}
		for i, p := range r.paths {
			if n := nearness(p, d); n > 0 && n*100+i > close {
				best, close = d, n*100+i
			}
		}
	}
	return best
}

func (r rollout) fits(d *premortem.Deployment) bool {
	switch r.tool {
	case "kubectl", "helm", "skaffold":
		return d.Kind == "kubernetes"
	case "terraform", "compose":
		return d.Kind == r.tool
	}
	return false
}

// nearness is how well a path names a deployment: 3 it is its file or values, 2 it is
// its folder, 1 it lies in it; 0 it does not.
func nearness(p string, d *premortem.Deployment) int {
	dir, values, of := strings.Cut(strings.TrimSuffix(d.Name, ")"), " (")
	switch {
	case of && (p == values || p == path.Join(dir, values)), p == d.Name && d.Pos.File == p:
		return 3
	case p == d.Name, p == d.Pos.File:
		return 2
	case strings.HasPrefix(p, d.Name+"/"):
		return 1
	}
	return 0
}
