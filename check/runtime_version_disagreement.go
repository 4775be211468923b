package check

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// RuntimeVersionDisagreement compares every place that names a runtime's version
// with the one that production runs.
var RuntimeVersionDisagreement = add(Rule{
	ID:       "runtime-version-disagreement",
	Severity: premortem.Down,
	Certain:  true,
	Doc: premortem.Doc{
		Title: "production runs another major version of the runtime than was tested",
		Why: `Syntax, native modules and defaults differ. What passed on the laptop and in CI
stops, or answers differently, in production.`,
		When: `The image that production runs names a version that no other place allows: .nvmrc,
.node-version, engines, CI, the lockfile. latest, or no tag, is the newest version on
the day of the build and disagrees with each older pin.`,
		Silent: `Ranges overlap; versions differ in minor or patch only; a CI matrix holds
production's version; only a build stage differs; the workflow stands for several services, so
that nobody can tell which one it tests; a version is not understood.`,
		Fix: `Name one version everywhere: the one that is tested.`,
	},
	Run: runtimeVersionDisagreement,
})

func runtimeVersionDisagreement(sys *premortem.System, report func(premortem.Finding)) {
	for _, r := range sys.Runtimes {
		if !r.Runs || (sys.Production != "" && r.Service != "" && inProduction(sys, r.Service) == nil) {
			continue
		}
		places := runtimesOf(sys, r.Service, r.Language)
		if odd := oddOnes(sys, r, places); len(odd) > 0 {
			report(disagreement(sys, r, places, odd))
		}
	}
}

// oddOnes returns the places that do not allow what runs. Of a CI matrix one match
// is enough. A build stage may be another version, and a workflow that stands for
// several services may test another one than this.
func oddOnes(sys *premortem.System, runs *premortem.Runtime, places []*premortem.Runtime) map[*premortem.Runtime]bool {
	is := versionsOf(runs.Language, runs.Version.Value)
	odd := map[*premortem.Runtime]bool{}
	tested := false
	for _, p := range places {
		if p.Runs || p.Source == "Dockerfile" || p.Source == "ci" && ofSeveral(sys, p) {
			continue
		}
		if disagree(runs.Language, is, versionsOf(p.Language, p.Version.Value)) {
			odd[p] = true
		} else if p.Source == "ci" {
			tested = true
		}
	}
	if tested {
		for p := range odd {
			if p.Source == "ci" {
				delete(odd, p)
			}
		}
	}
	return odd
}

// ofSeveral reports whether one line stands for more than one service.
func ofSeveral(sys *premortem.System, p *premortem.Runtime) bool {
	for _, o := range sys.Runtimes {
		if o.Service != p.Service && o.Version.Pos == p.Version.Pos && o.Language == p.Language {
			return true
		}
	}
	return false
}

func disagreement(sys *premortem.System, runs *premortem.Runtime, places []*premortem.Runtime, odd map[*premortem.Runtime]bool) premortem.Finding {
	is := versionsOf(runs.Language, runs.Version.Value)
	what := runs.Version.Value
	if is.floating {
		what = "the newest " + runtimeName(runs.Language) + " on the day of its build"
	} else {
		what = runtimeName(runs.Language) + " " + what
	}
	f := premortem.Finding{
		Node:     runs.Service,
		Subject:  runs.Language,
		Evidence: []premortem.Evidence{{Says: "production runs " + what, Pos: runs.Version.Pos, Quote: quoteAt(sys, runs.Version.Pos)}},
	}
	var against []string
	for _, p := range places {
		if p.Runs {
			continue
		}
		says := fmt.Sprintf("%s allows it: %s", p.Source, p.Version.Value)
		if odd[p] {
			says = fmt.Sprintf("%s says %s", p.Source, p.Version.Value)
			against = append(against, says)
		}
		f.Evidence = append(f.Evidence, premortem.Evidence{Says: says, Pos: p.Version.Pos})
	}
	f.Says = fmt.Sprintf("%s runs %s, but %s", runs.Service, what, list(against))
	f.Fix = agreement(sys, runs, places, odd)
	return f
}

func runtimeName(lang string) string {
	switch lang {
	case "node":
		return "Node"
	case "php":
		return "PHP"
	case "":
		return "runtime"
	}
	return strings.ToUpper(lang[:1]) + lang[1:]
}

func quoteAt(sys *premortem.System, p premortem.Pos) string {
	for _, img := range sys.Images {
		if img.Pos == p {
			return img.Quote
		}
	}
	return ""
}

// agreement brings all places to one version. What runs and is written down stays;
// where it floats, the version that is declared is right, as it is the tested one.
func agreement(sys *premortem.System, runs *premortem.Runtime, places []*premortem.Runtime, odd map[*premortem.Runtime]bool) premortem.Fix {
	target := runs
	if versionsOf(runs.Language, runs.Version.Value).floating {
		if target = declared(places); target == nil {
			return premortem.Fix{Says: "name one version in the image and in " + list(sources(places, odd))}
		}
	}
	want := exact(target.Version.Value)
	if m := tagVersion.FindStringSubmatch(want); m != nil {
		want = m[1]
	}
	fix := premortem.Fix{Says: fmt.Sprintf("use %s %s everywhere, as %s does", runtimeName(runs.Language), want, target.Source)}
	if target != runs {
		if e, ok := imageEditAt(sys, runs.Version.Pos, want); ok {
			fix.Edits = append(fix.Edits, e)
		}
	}
	is := versionsOf(runs.Language, want)
	for _, p := range places {
		if p.Runs || p == target || !disagree(runs.Language, is, versionsOf(p.Language, p.Version.Value)) {
			continue
		}
		if p.Source == "lockfile" {
			continue // it is written by a tool from the manifest
		}
		to := want
		if p.Source == "engines" {
			to = ">=" + strconv.Itoa(major(want))
		}
		fix.Edits = append(fix.Edits, premortem.Edit{Pos: p.Version.Pos, Old: p.Version.Value, New: to})
	}
	return fix
}

func imageEditAt(sys *premortem.System, p premortem.Pos, version string) (premortem.Edit, bool) {
	for _, img := range sys.Images {
		if img.Pos == p {
			return imageEdit(img, withVersion(img, version)), true
		}
	}
	return premortem.Edit{}, false
}

func sources(places []*premortem.Runtime, odd map[*premortem.Runtime]bool) []string {
	var out []string
	for _, p := range places {
		if odd[p] {
			out = append(out, p.Source)
		}
	}
	return out
}
