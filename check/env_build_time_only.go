package check

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// EnvBuildTimeOnly finds variables of a bundle that only the running container gets.
var EnvBuildTimeOnly = add(Rule{
	ID:       "env-build-time-only",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "production sets at run time what was built into the bundle before",
		Why: `The bundler replaces the variable by its value while the image is built. What the
container is given later changes nothing: the browser gets undefined, or the address
of the machine that built it.`,
		When: `Code for the browser reads a variable that its bundler inlines (NEXT_PUBLIC_, VITE_,
REACT_APP_ and the like), production gives it to the container, and the build of that
image neither declares it as an ARG or ENV nor copies a file that sets it.`,
		Silent: `The build is given the variable; a committed .env file of the bundler sets it; the
server reads it too; how the image is built is not known.`,
		Fix: `Declare an ARG before the build step and pass it where the image is built, or let the
page read its configuration at run time.`,
	},
	Run: envBuildTimeOnly,
})

func envBuildTimeOnly(sys *premortem.System, report func(premortem.Finding)) {
	for _, v := range sys.Env {
		svc := inProduction(sys, v.Service)
		if v.Class != premortem.EnvBuild || v.Unsure != "" || svc == nil || svc.Dockerfile == "" || len(v.Reads) == 0 {
			continue
		}
		p, set := sys.Provision(sys.Production, v.Service, v.Name)
		if p != premortem.Provided || !set.Pos.Known() || set.Source == "image" || builtIn(svc, v.Name) {
			continue
		}
		if !public.MatchString(v.Name) || buildsAtStart(svc) {
			continue
		}
		r := v.Reads[0]
		f := premortem.Finding{
			Node:    v.Service,
			Subject: sys.Production + " " + v.Name,
			Says: fmt.Sprintf("%s is built into the bundle of %s, and production sets it only for the running container: the value never arrives",
				v.Name, v.Service),
			Evidence: []premortem.Evidence{
				{Says: "replaced by its value when the bundle is made", Pos: r.Pos, Quote: r.Quote},
				{Says: set.Source + " gives it to the container, too late", Pos: set.Pos},
				{Says: fmt.Sprintf("the build declares no ARG %s", v.Name), Pos: premortem.Pos{File: svc.Dockerfile, Line: 1}},
			},
			Fix: premortem.Fix{Says: fmt.Sprintf("declare ARG %s before the build step in %s and pass it where the image is built", v.Name, svc.Dockerfile)},
		}
		if defaulted(v) {
			f.Severity = asNote // the bundle has something to go on with
		}
		report(f)
	}
}

// defaulted reports whether each read of the variable has another value at hand.
func defaulted(v *premortem.EnvVar) bool {
	for _, r := range v.Reads {
		_, rest, found := strings.Cut(r.Quote, v.Name)
		if !found || !orElse.MatchString(rest) {
			return false
		}
	}
	return true
}

var orElse = regexp.MustCompile(`^['"]?[)\]!]*\s*(?:\?\?|\|\||\?)`)

// public are the prefixes of names that bundlers put into what the browser gets.
var public = regexp.MustCompile(`^(NEXT_PUBLIC|VITE|REACT_APP|GATSBY|EXPO_PUBLIC|VUE_APP|PUBLIC|NUXT_PUBLIC)_`)

// buildsAtStart reports a container that makes its bundle when it starts, or serves
// it to a developer without one: it has what it is given.
func buildsAtStart(svc *premortem.Service) bool {
	text := strings.Join(svc.Command.Value, " ") + " " + svc.Start.Runs.Value + " " + svc.Start.Script
	if m := packageScript.FindStringSubmatch(text); m != nil && m[1] != "start" {
		return true // whatever that script does
	}
	return strings.Contains(text, "build") || devServer.MatchString(text)
}

var packageScript = regexp.MustCompile(`\b(?:npm run|pnpm run|pnpm|yarn run|yarn|bun run) ([a-z][\w:-]*)`)

var devServer = regexp.MustCompile(`\b(?:run dev|dev|serve|start:dev|next dev|vite)(?:\s|$)`)

// builtIn reports whether the build of the image knows the variable.
func builtIn(svc *premortem.Service, name string) bool {
	for _, set := range svc.BuildArgs {
		if set.Name == name {
			return true
		}
	}
	return false
}
