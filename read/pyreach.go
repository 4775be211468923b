package read

import (
	"path"
	"strings"
)

// pythonReach returns the Python files that a service's entry loads, nil when the
// entry is not known or loads by computed names.
func (g *merger) pythonReach(x *programIndex, s *serviceCode) map[string]bool {
	var queue []string
	words := g.commandWords(s.node)
	for i, w := range words {
		if i > 0 && words[i-1] == "-m" {
			w = strings.ReplaceAll(w, ".", "/") + ".py"
		}
		name, _, _ := strings.Cut(w, ":")
		for _, try := range []string{name, strings.ReplaceAll(name, ".", "/") + ".py"} {
			if p := x.byPath[path.Join(s.dir, strings.TrimPrefix(try, "/"))]; p != nil && p.lang == "python" {
				queue = append(queue, p.path)
			} else if p := x.byPath[path.Join(s.dir, path.Base(try))]; p != nil && p.lang == "python" && strings.HasSuffix(try, ".py") {
				queue = append(queue, p.path)
			}
		}
	}
	if len(queue) == 0 {
		return nil
	}
	seen := map[string]bool{}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		p := x.byPath[at]
		if p == nil || seen[at] {
			continue
		}
		if p.dynamic {
			return nil
		}
		seen[at] = true
		for _, spec := range p.loads {
			if f := x.pythonFile(at, spec); f != "" {
				queue = append(queue, f)
			}
		}
	}
	return seen
}

// pythonFile finds the file of a dotted module, seen from another: relative, or
// from a folder above, or from the src folder of one.
func (x *programIndex) pythonFile(from, spec string) string {
	dir := path.Dir(from)
	if strings.HasPrefix(spec, ".") {
		rest := strings.TrimLeft(spec, ".")
		for range len(spec) - len(rest) - 1 {
			dir = path.Dir(dir)
		}
		return x.pythonIn(dir, rest)
	}
	for {
		for _, base := range []string{dir, path.Join(dir, "src")} {
			if f := x.pythonIn(base, spec); f != "" {
				return f
			}
		}
		if dir == "." || dir == "/" {
			return ""
		}
		dir = path.Dir(dir)
	}
}

// pythonIn finds a.b.c in a folder; c may be a name of a.b.
func (x *programIndex) pythonIn(dir, spec string) string {
	at := path.Join(dir, strings.ReplaceAll(spec, ".", "/"))
	for _, try := range []string{at + ".py", path.Join(at, "__init__.py"), path.Join(at, "__main__.py")} {
		if x.byPath[try] != nil {
			return try
		}
	}
	return ""
}
