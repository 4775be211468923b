package read

import (
	"path"
	"slices"
	"strings"
)

// project is the modules of the repository together.
type project struct {
	modules  map[string]*module
	paths    []string
	packages map[string]*npmPackage // by name
	models   map[string][]*jsModel  // by model name
	style    namingStyle
	made     map[*module]map[string]*jsMade // clients of modules, once they were asked for
	logs     map[*module]map[string]*jsLogger
	takes    map[*module]bool // whether a module imports a client, once it was asked
}

func newProject(modules []*module, packages []*npmPackage) *project {
	p := &project{modules: map[string]*module{}, packages: map[string]*npmPackage{}, models: map[string][]*jsModel{}}
	for _, m := range modules {
		p.modules[m.path] = m
	}
	p.paths = sortedKeys(p.modules)
	for _, pkg := range packages {
		if pkg.name.Set() {
			p.packages[pkg.name.Value] = pkg
		}
	}
	p.style = p.naming()
	for _, name := range p.paths {
		m := p.modules[name]
		m.findRouters()
		m.models = m.findModels(p.style)
		for _, model := range m.models {
			p.models[model.name] = append(p.models[model.name], model)
		}
	}
	return p
}

var sourceExts = []string{"", ".js", ".ts", ".tsx", ".jsx", ".mjs", ".cjs", ".mts", ".cts", "/index.js", "/index.ts", "/index.tsx", "/index.mjs", "/index.cjs"}

// resolve finds the module that an import names, nil for one outside of the tree.
func (p *project) resolve(from, spec string) *module {
	switch {
	case strings.HasPrefix(spec, "."):
		return p.file(path.Join(path.Dir(from), spec))
	case strings.HasPrefix(spec, "@/"), strings.HasPrefix(spec, "~/"):
		for dir := path.Dir(from); ; dir = path.Dir(dir) {
			if m := p.file(path.Join(dir, spec[2:])); m != nil {
				return m
			}
			if m := p.file(path.Join(dir, "src", spec[2:])); m != nil {
				return m
			}
			if dir == "." || dir == "/" {
				return nil
			}
		}
	}
	name, rest := spec, ""
	if parts := strings.SplitN(spec, "/", 3); strings.HasPrefix(spec, "@") && len(parts) > 1 {
		name = parts[0] + "/" + parts[1]
		if len(parts) > 2 {
			rest = parts[2]
		}
	} else if !strings.HasPrefix(spec, "@") {
		name, rest, _ = strings.Cut(spec, "/")
	}
	pkg := p.packages[name]
	if pkg == nil {
		return nil
	}
	for _, try := range []string{rest, path.Join("src", rest), pkg.main.Value, strings.Replace(pkg.main.Value, "dist/", "src/", 1), "src/index", "index"} {
		if try != "" {
			if m := p.file(path.Join(pkg.dir, try)); m != nil {
				return m
			}
		}
	}
	return nil
}

// file finds a module by a path that may lack its extension, or that has the one
// the compiler will give it.
func (p *project) file(base string) *module {
	for _, ext := range sourceExts {
		if m := p.modules[base+ext]; m != nil {
			return m
		}
	}
	for _, swap := range [][2]string{{".js", ".ts"}, {".js", ".tsx"}, {".mjs", ".mts"}, {".cjs", ".cts"}, {".jsx", ".tsx"}} {
		if trimmed, ok := strings.CutSuffix(base, swap[0]); ok {
			if m := p.modules[trimmed+swap[1]]; m != nil {
				return m
			}
		}
	}
	return nil
}

// symbol is a name in the module that declares it.
type symbol struct {
	m    *module
	name string
}

// lookup follows a name through imports and re-exports to where it is declared,
// and opens the module that it finds.
func (p *project) lookup(m *module, name string) symbol {
	s := p.trace(m, name)
	s.m.open()
	return s
}

// trace is lookup for those who need no token of a light module.
func (p *project) trace(m *module, name string) symbol {
	for range 8 {
		im, ok := m.imports[name]
		if !ok {
			return symbol{m, name}
		}
		target := p.resolve(m.path, im.from)
		if target == nil {
			return symbol{nil, name}
		}
		s, ok := p.exports(target, im.name, 0)
		if !ok {
			return symbol{target, name}
		}
		m, name = s.m, s.name
	}
	return symbol{m, name}
}

// exported finds what a module exports under a name, and opens where it is
// declared.
func (p *project) exported(m *module, name string, depth int) (symbol, bool) {
	s, ok := p.exports(m, name, depth)
	s.m.open()
	return s, ok
}

func (p *project) exports(m *module, name string, depth int) (symbol, bool) {
	if name == "*" {
		name = "default" // require('./x') is what module.exports is
	}
	if local, ok := m.exports[name]; ok {
		return symbol{m, local}, true
	}
	if im, ok := m.froms[name]; ok {
		if target := p.resolve(m.path, im.from); target != nil && depth < 8 {
			return p.exports(target, im.name, depth+1)
		}
	}
	for _, star := range m.stars {
		if target := p.resolve(m.path, star); target != nil && depth < 8 {
			if s, ok := p.exports(target, name, depth+1); ok {
				return s, true
			}
		}
	}
	return symbol{}, false
}

// reach returns the modules that loading an entry loads. open is true when one of
// them loads modules by computed names, so that the list may be short.
func (p *project) reach(entry string) (seen map[string]bool, open bool) {
	seen = map[string]bool{}
	queue := []string{entry}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		m := p.modules[at]
		if m == nil || seen[at] {
			continue
		}
		seen[at] = true
		open = open || m.dynamic
		for _, n := range m.needs {
			if target := p.resolve(m.path, n.from); target != nil {
				queue = append(queue, target.path)
			}
		}
	}
	return seen, open
}

// packageOf returns the npm package that a local name is imported from, "" for a
// name of the repository.
func (m *module) packageOf(name string) string {
	im, ok := m.imports[name]
	if !ok || strings.HasPrefix(im.from, ".") {
		return ""
	}
	return im.from
}

// uses reports whether the module loads a package.
func (m *module) uses(pkg string) bool {
	return slices.ContainsFunc(m.needs, func(n imported) bool { return n.from == pkg })
}
