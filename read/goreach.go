package read

import (
	"path"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// goModule is a go.mod.
type goModule struct{ dir, name string }

// goReach returns the Go files that a service's program is made of, nil when it is
// not known which of several programs it is.
func (g *merger) goReach(x *programIndex, s *serviceCode) map[string]bool {
	var mains []string
	for _, dir := range sortedKeys(x.byDir) {
		if _, under := below(s.dir, dir); !under && dir != s.dir && s.dir != "." {
			continue
		}
		if slices.ContainsFunc(x.byDir[dir], func(p *program) bool { return p.lang == "go" && p.golang.main && !p.test }) {
			mains = append(mains, dir)
		}
	}
	mains = g.pickMain(s, mains)
	if len(mains) != 1 {
		if len(mains) > 1 {
			return map[string]bool{} // one of them: nothing is certain
		}
		return nil
	}
	seen, queue, out := map[string]bool{}, mains, map[string]bool{}
	for len(queue) > 0 {
		dir := queue[0]
		queue = queue[1:]
		if seen[dir] {
			continue
		}
		seen[dir] = true
		for _, p := range x.byDir[dir] {
			if p.lang != "go" {
				continue
			}
			out[p.path] = true
			for _, im := range p.loads {
				if in := x.goDir(im); in != "" {
					queue = append(queue, in)
				}
			}
		}
	}
	return out
}

// pickMain chooses among several programs by the name of what is started, of the
// service, and by nearness.
func (g *merger) pickMain(s *serviceCode, mains []string) []string {
	if len(mains) < 2 {
		return mains
	}
	names := map[string]bool{s.node.Name(): true}
	for _, w := range g.commandWords(s.node) {
		names[path.Base(w)] = true
	}
	var named []string
	for _, m := range mains {
		if names[path.Base(m)] {
			named = append(named, m)
		}
	}
	switch {
	case len(named) > 0:
		return named
	case slices.Contains(mains, s.dir):
		return []string{s.dir}
	}
	return mains
}

// goDir finds the folder of an import of this repository, "" for one of others.
func (x *programIndex) goDir(spec string) string {
	best := ""
	for _, dir := range sortedKeys(x.modules) {
		name := x.modules[dir]
		if spec == name || strings.HasPrefix(spec, name+"/") {
			in := path.Join(dir, strings.TrimPrefix(strings.TrimPrefix(spec, name), "/"))
			if len(x.byDir[in]) > 0 && len(in) >= len(best) {
				best = in
			}
		}
	}
	return best
}

// resolveGo gives calls of wrappers around os.Getenv the class of the wrapper, and
// reads the struct tags of packages that load their configuration with a library.
func (g *merger) resolveGo() {
	x := newProgramIndex(g.d)
	wrappers := map[string]goWrapper{} // "folder name"
	libs := map[string]string{}
	sites := map[string][]goSite{}
	for _, p := range g.d.programs {
		if p.lang != "go" || p.test {
			continue
		}
		for name, w := range p.golang.wrappers {
			wrappers[path.Dir(p.path)+" "+name] = w
		}
		sites[path.Dir(p.path)] = append(sites[path.Dir(p.path)], p.golang.sites...)
		if p.golang.library != "" {
			libs[path.Dir(p.path)] = p.golang.library
			libs[""] = p.golang.library
		}
	}
	for _, p := range g.d.programs {
		if p.lang != "go" || p.test {
			continue
		}
		for _, c := range p.golang.calls {
			dir := path.Dir(p.path)
			if c.from != "" {
				dir = x.goDir(c.from)
			}
			if w, ok := wrappers[dir+" "+c.name]; ok {
				p.wrapped(w, c)
			}
		}
		p.switchedOff(sites[path.Dir(p.path)])
		lib := libs[path.Dir(p.path)]
		if lib == "" {
			lib = libs[""]
		}
		p.taggedEnv(lib)
	}
}

// wrapped adds the read that a call of a wrapper makes.
func (p *program) wrapped(w goWrapper, c goCall) {
	if w.key >= len(c.args) || c.args[w.key] == "" {
		return
	}
	class := w.class
	if w.fallback >= 0 && w.fallback < len(c.args) && class != premortem.EnvBoot {
		class = fallbackClass(c.args[w.fallback])
	}
	if class == premortem.EnvUse {
		class = softly(c.args[w.key])
	}
	var others []string
	for i := w.key + 1; i < len(c.args) && w.variadic; i++ {
		if upperEnv.MatchString(c.args[i]) && strings.Contains(c.args[i], "_") {
			others = append(others, c.args[i])
		}
	}
	if len(others) > 0 {
		class = premortem.EnvOpt // any of them will do
	}
	for _, name := range append(others, c.args[w.key]) {
		p.read(name, class, c.line)
		if n := len(p.reads); n > 0 {
			p.reads[n-1].fn = c.fn
		}
	}
}

// switchedOff makes the reads of functions optional that run only when a variable
// switches them on.
func (p *program) switchedOff(sites []goSite) {
	var off func(fn string, depth int) bool
	off = func(fn string, depth int) bool {
		called := false
		for _, s := range sites {
			if s.name != fn || s.caller == fn {
				continue
			}
			called = true
			if !s.switched && (depth > 4 || s.caller == "" || !off(s.caller, depth+1)) {
				return false
			}
		}
		return called
	}
	for i := range p.reads {
		if fn := p.reads[i].fn; fn != "" && fn != "main" && fn != "init" && off(fn, 0) {
			p.reads[i].class = premortem.EnvOpt
		}
	}
}
