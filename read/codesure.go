package read

import (
	"path"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// plainFolder is the folder of the context that holds whatever a COPY's source
// matches.
func plainFolder(src string) string {
	src = strings.TrimPrefix(path.Clean("/"+src), "/")
	if i := strings.IndexAny(src, "*?["); i >= 0 {
		src = path.Dir(src[:i] + "x")
	}
	if src == "" {
		return "."
	}
	return src
}

// takenByImages notes which folders the image of each service is built from. It is
// noted only where source is among them: an image that takes build output alone
// says nothing about the source.
func (g *merger) takenByImages() {
	for _, s := range g.services {
		var takes []string
		for _, w := range g.each() {
			if w.Node != s.node {
				continue
			}
			df := g.dockerfiles[w.Dockerfile]
			if df == nil {
				takes = []string{"."}
				break
			}
			context := w.context
			if context == "" {
				context = path.Dir(df.path)
			}
			if slices.ContainsFunc(df.lines, func(l string) bool { return strings.Contains(l, "--mount=type=bind") }) {
				takes = append(takes, context)
			}
			for _, t := range df.takes {
				takes = append(takes, path.Join(context, t))
			}
		}
		if !slices.Contains(takes, ".") && g.takesSource(s, takes) {
			s.takes = takes
		}
	}
}

func (g *merger) takesSource(s *serviceCode, takes []string) bool {
	probe := &serviceCode{takes: takes}
	ours := func(file string, lang string) bool {
		_, under := below(s.dir, file)
		return (under || s.dir == ".") && s.speaks(lang) && !probe.leftOut(file)
	}
	return slices.ContainsFunc(g.project.paths, func(p string) bool { return ours(p, "node") && !isConfigModule(p) }) ||
		slices.ContainsFunc(g.d.programs, func(p *program) bool { return ours(p.path, p.lang) && path.Base(p.path) != "pom.xml" })
}

// isConfigModule reports a file that configures a tool: images of build output copy
// it too.
func isConfigModule(p string) bool {
	base := path.Base(p)
	return strings.Contains(base, "config.") || strings.Contains(base, "rc.") || strings.HasSuffix(base, ".json")
}

// leftOut reports whether the image of a service is built without a file.
func (s *serviceCode) leftOut(file string) bool {
	return s.takes != nil && !slices.ContainsFunc(s.takes, func(t string) bool {
		_, under := below(t, file)
		return under || t == "."
	})
}

// doubtReads notes the variables of which nobody can tell whether the process of the
// service runs the code that needs them.
func (g *merger) doubtReads(vars map[[2]string]*premortem.EnvVar) {
	for _, k := range sortedPairs(vars) {
		v := vars[k]
		i := slices.IndexFunc(g.services, func(s *serviceCode) bool { return s.node == v.Service })
		if i < 0 {
			continue
		}
		why := ""
		for _, r := range v.Reads {
			if r.Class != v.Class {
				continue
			}
			if why = g.doubt(g.services[i], r.Pos.File); why == "" {
				break
			}
		}
		v.Unsure = why
	}
}

// doubt says why nobody can tell whether the process of a service runs a file, ""
// where it is known to load it or nothing else could be what runs.
func (g *merger) doubt(s *serviceCode, file string) string {
	if s.entry != "" && s.reach[file] {
		return ""
	}
	for _, files := range s.loads {
		if files[file] {
			return ""
		}
	}
	if !s.looked { // of the service, not of the file
		s.looked, s.twin, s.programs = true, g.twinFolder(s), len(g.packagesBelow(s.dir))
	}
	if s.twin != "" {
		return s.twin + " may be its code as well as " + s.dir
	}
	if s.programs > 1 {
		return s.dir + " holds several programs, and nobody says which one " + string(s.node) + " starts"
	}
	for _, o := range g.services {
		if o.node != s.node && o.dir == s.dir && !o.static && !o.leftOut(file) {
			return string(o.node) + " has the same folder, and nobody can tell which of them loads " + file
		}
	}
	return ""
}

// twinFolder returns another folder of code with the same name, where the folder of
// a service was found by its name alone.
func (g *merger) twinFolder(s *serviceCode) string {
	for _, w := range g.each() {
		if w.Node == s.node && (w.pinned || w.Dockerfile == "" || !w.Image.Set()) {
			return ""
		}
	}
	for _, m := range g.project.paths {
		if !strings.HasPrefix(path.Base(m), "main.") || isAside(".", m) {
			continue
		}
		for dir := path.Dir(m); dir != "." && dir != "/"; dir = path.Dir(dir) {
			if path.Base(dir) == path.Base(s.dir) && dir != s.dir && !strings.HasPrefix(dir, s.dir+"/") {
				return dir
			}
		}
	}
	return ""
}

// packagesBelow lists the folders below dir that hold a package or a module of
// their own.
func (g *merger) packagesBelow(dir string) []string {
	inside := func(d string) bool {
		rest, under := below(dir, d)
		return d != dir && (under && rest != "." || dir == ".")
	}
	var out []string
	for _, d := range sortedKeys(g.packages) {
		if inside(d) && g.packages[d].scripts["start"].Set() {
			out = append(out, d)
		}
	}
	for _, m := range g.d.goModules {
		if inside(m.dir) {
			out = append(out, m.dir)
		}
	}
	for _, p := range g.d.programs {
		if base := path.Base(p.path); (base == "pom.xml" || base == "manage.py" || base == "application.yml" || base == "application.properties") && inside(path.Dir(p.path)) && !p.test {
			out = append(out, path.Dir(p.path))
		}
	}
	for _, m := range g.project.paths {
		if base := path.Base(m); (base == "main.ts" || base == "main.js") && inside(path.Dir(m)) {
			out = append(out, path.Dir(m)) // workspaces of one package.json start in their own main
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
