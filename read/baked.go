package read

import (
	"path"
	"regexp"
	"slices"

	"github.com/premortem/premortem"
)

// localEnvFile are files in which people keep the settings and secrets of their own
// machine.
var localEnvFile = regexp.MustCompile(`^\.env$|^\.env\.local$|^\.env\.[a-z]+\.local$|^\.env\.dev(elopment)?$`)

// bakes lists the local files that a build copies into the image that runs.
func (g *merger) bakes(w *workload, st *stage) []*premortem.Baked {
	ignore := dockerignore(g.d.tree, w.Dockerfile, w.context)
	var out []*premortem.Baked
	seen := map[string]bool{}
	for _, p := range g.d.tree.under(w.context) {
		if !localEnvFile.MatchString(path.Base(p)) || seen[p] {
			continue
		}
		in, ok := below(w.context, p)
		if w.context == "." || w.context == "" {
			in, ok = p, true
		}
		if !ok || !g.holdsValues(p) {
			continue
		}
		if _, hidden := ignore.hides(in); hidden {
			continue
		}
		for _, c := range slices.Backward(st.copies) {
			if _, under := below(c.from, in); !under && c.from != "." {
				continue
			}
			seen[p] = true
			b := &premortem.Baked{Service: w.Node, Copy: c.pos, Quote: g.quoteOf(c.pos), File: p, Context: path.Clean(w.context)}
			if ignore.path != "" {
				b.Ignore = premortem.Pos{File: ignore.path, Line: 1}
			}
			out = append(out, b)
			break
		}
	}
	return out
}

// publicName are variables that a bundle shows to everybody anyway.
var publicName = regexp.MustCompile(`^(VITE|NEXT_PUBLIC|REACT_APP|PUBLIC|NUXT_PUBLIC|EXPO_PUBLIC|GATSBY|VUE_APP)_`)

// holdsValues reports an environment file that gives a secret its value: one that is
// called so, or an address with a password.
func (g *merger) holdsValues(p string) bool {
	for _, f := range g.d.envFiles {
		if f.path == p && !f.example {
			return slices.ContainsFunc(f.sets, func(s premortem.EnvSet) bool {
				return !s.Empty && !publicName.MatchString(s.Name) && (secretive.MatchString(s.Name) || s.Value != "" && !s.Plain)
			})
		}
	}
	return false
}

// imageBuilds adds what the builds of all images install and copy. A Dockerfile that
// several deployments build is looked at once for each service.
func (g *merger) imageBuilds() {
	if g.d.tree == nil {
		return
	}
	type build struct {
		node   premortem.Node
		file   string
		target string
	}
	seen := map[build]bool{}
	done := map[premortem.Pos]bool{}
	for _, w := range g.each() {
		df := g.dockerfiles[w.Dockerfile]
		key := build{w.Node, w.Dockerfile, w.target}
		if df == nil || seen[key] {
			continue
		}
		seen[key] = true
		st := df.final(w.target)
		if st == nil {
			continue
		}
		for _, i := range g.installs(w, st) {
			if !done[i.Pos] { // services that share an image share its cause
				done[i.Pos] = true
				g.d.installs = append(g.d.installs, i)
			}
		}
		for _, b := range g.bakes(w, st) {
			if !slices.ContainsFunc(g.d.baked, func(o *premortem.Baked) bool { return o.Copy == b.Copy && o.File == b.File }) {
				g.d.baked = append(g.d.baked, b)
			}
		}
	}
}
