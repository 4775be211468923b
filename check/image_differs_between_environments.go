package check

import (
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// ImageDiffersBetweenEnvironments compares what staging runs with what production runs.
var ImageDiffersBetweenEnvironments = add(Rule{
	ID:       "image-differs-between-environments",
	Severity: premortem.Note,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "staging runs another image than production",
		Why:   `What was tested is not what runs: the difference is found by users.`,
		When: `One service runs images of different repositories in two deployments of the same kind
(two overlays, two values files), or third-party images of the same repository in versions
that differ in more than the patch.`,
		Silent: `The tag of an image of one's own differs (that is how releases are promoted); a tag holds a
variable; one of the two is a debug variant in a development deployment; only the registry in
front of the name differs.`,
		Fix: `Promote one digest from staging to production.`,
	},
	Run: imageDiffers,
})

func imageDiffers(sys *premortem.System, report func(premortem.Finding)) {
	prodKind := kindOf(sys, sys.Production)
	if prodKind != "kubernetes" && prodKind != "terraform" {
		return
	}
	for _, svc := range production(sys) {
		if !svc.Image.Set() || strings.Contains(svc.Image.Value, "$") {
			continue
		}
		for _, other := range sys.Services {
			if other.Node != svc.Node || other.Deployment == svc.Deployment || kindOf(sys, other.Deployment) != prodKind || !other.Image.Set() {
				continue
			}
			if isDevelopment(other.Deployment) || strings.Contains(other.Image.Value, "$") || other.Image.Pos == svc.Image.Pos {
				continue
			}
			why := imagesDiffer(svc, svc.Image.Value, other.Image.Value)
			if why == "" {
				continue
			}
			report(premortem.Finding{
				Node: svc.Node, Subject: other.Deployment,
				Says: fmt.Sprintf("%s runs %s in production and %s in %s: %s", svc.Node, svc.Image.Value, other.Image.Value, other.Deployment, why),
				Evidence: []premortem.Evidence{
					{Says: "production: " + svc.Image.Value, Pos: svc.Image.Pos},
					{Says: other.Deployment + ": " + other.Image.Value, Pos: other.Image.Pos},
				},
				Fix: premortem.Fix{Says: "run the same image in both, by its digest"},
			})
		}
	}
}

// isDevelopment reports whether a deployment's name says that it is for laptops.
func isDevelopment(name string) bool {
	for _, part := range strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune("/-_. ", r) }) {
		switch part {
		case "dev", "development", "local", "test", "ci", "minikube", "kind", "example", "examples", "debug":
			return true
		}
	}
	return false
}

// imagesDiffer says how two images of one service differ, "" when it does not matter.
func imagesDiffer(svc *premortem.Service, a, b string) string {
	x, y := repository(a), repository(b)
	if last(x) != last(y) {
		return "another repository"
	}
	if svc.Dockerfile != "" || svc.Dir != "" {
		return "" // its own: tags are how it is promoted
	}
	v, w := plainSemver(tagOf(a)), plainSemver(tagOf(b))
	if v == nil || w == nil || (v.Major() == w.Major() && v.Minor() == w.Minor()) {
		return ""
	}
	return "another version"
}

func last(path string) string { return path[strings.LastIndex(path, "/")+1:] }
