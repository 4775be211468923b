package read

import (
	"regexp"
	"slices"

	"github.com/premortem/premortem"
)

var (
	dollarName = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`)
	assignment = regexp.MustCompile(`(?:^|[\s;&"'(])([A-Za-z_][A-Za-z0-9_]*)=`)
)

// buildArgs lists the variables that exist while an image is built. Where nobody in
// the tree builds it, each ARG counts as passed.
func (g *merger) buildArgs(w *workload, st *stage) []premortem.EnvSet {
	given, known := g.passed(w)
	var out []premortem.EnvSet
	has := func(name string) bool {
		return slices.ContainsFunc(out, func(s premortem.EnvSet) bool { return s.Name == name })
	}
	for _, s := range st.reached() {
		declared := map[string]bool{}
		for _, a := range s.args {
			declared[a.name] = true
			i := slices.IndexFunc(given, func(x premortem.EnvSet) bool { return x.Name == a.name })
			switch {
			case i >= 0:
				out = append(out, given[i])
			case a.hasValue:
				v := premortem.EnvSet{Name: a.name, Pos: a.pos, Source: "ARG"}
				keep(&v, a.value, plainSource)
				out = append(out, v)
			case !known:
				out = append(out, premortem.EnvSet{Name: a.name, Pos: a.pos, Source: "ARG"})
			}
		}
		for _, e := range s.env {
			fed := true
			for _, m := range dollarName.FindAllStringSubmatch(e.raw, -1) {
				fed = fed && (!declared[m[1]] || has(m[1]))
			}
			if fed {
				v := premortem.EnvSet{Name: e.name, Pos: e.pos, Source: "image"}
				keep(&v, e.value, plainSource)
				v.Empty = v.Empty && e.raw == ""
				out = append(out, v)
			}
		}
		for _, r := range s.runs {
			for _, m := range assignment.FindAllStringSubmatch(r.text, -1) {
				if !declared[m[1]] {
					out = append(out, premortem.EnvSet{Name: m[1], Pos: premortem.Pos{File: w.Dockerfile, Line: r.line}, Source: "RUN"})
				}
			}
		}
	}
	return firstOfEach(out)
}

// passed lists the arguments that the builds of a workload's image are given. known
// is false when no build is in the tree, or one whose arguments are computed.
func (g *merger) passed(w *workload) (given []premortem.EnvSet, known bool) {
	if w.built {
		return w.given, true
	}
	for _, b := range g.d.builds {
		if b.dockerfile != w.Dockerfile {
			continue
		}
		if b.open {
			return nil, false
		}
		given, known = append(given, b.args...), true
	}
	return given, known
}

// imageEnv corrects the variables of an image's ENV that come from an ARG: the build
// of the deployment decides their value.
func (g *merger) imageEnv(w *workload, st *stage) {
	given, known := g.passed(w)
	for i := range w.Provides {
		set := &w.Provides[i]
		if set.Source != "image" || !set.Empty {
			continue
		}
		for _, e := range st.env {
			if e.name != set.Name || e.raw == "" || e.value != "" {
				continue
			}
			for _, m := range dollarName.FindAllStringSubmatch(e.raw, -1) {
				j := slices.IndexFunc(given, func(x premortem.EnvSet) bool { return x.Name == m[1] })
				switch {
				case j >= 0:
					set.Empty, set.Plain, set.Value, set.Hash = given[j].Empty, given[j].Plain, given[j].Value, given[j].Hash
				case !known:
					set.Empty, set.Plain = false, false
				}
			}
		}
	}
}
