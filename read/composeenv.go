package read

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// environment lists what Compose gives a container, in its order of precedence:
// `environment`, then the env files from the last to the first.
func (l *composeLoad) environment(w *workload, name string, c types.ServiceConfig) {
	for _, key := range sortedKeys(c.Environment) {
		s := premortem.EnvSet{Name: key, Source: "environment", Pos: l.envPos(name, key)}
		value := c.Environment[key]
		raw, written := l.envText(name, key)
		if value == nil { // passed on from .env or from the shell that runs Compose
			if v, ok := l.env[key]; ok {
				keep(&s, v, secretSource)
			}
		} else if written && l.open(raw) {
			// holds a variable that is not in the tree: provided, its value unknown
			if *value != "" {
				s.Value, s.Plain = "", false
			}
		} else {
			from := plainSource
			if written && (strings.Contains(raw, "$") || raw == key) { // filled in, or passed on, from .env
				from = secretSource
			} else if written {
				l.d.credential(s.Pos.File, s.Pos, l.d.lineOf(s.Pos), key, *value, "environment", l.name)
			}
			keep(&s, *value, from)
		}
		w.Provides = append(w.Provides, s)
	}
	for _, f := range slices.Backward(c.EnvFiles) {
		p := l.rel(f.Path)
		pos := l.listPos(name, "env_file", -1, strings.TrimPrefix(p, l.dir+"/"))
		data, err := l.t.read(p)
		switch {
		case err != nil && !bool(f.Required):
			continue
		case p == "" || err != nil:
			w.Opaque = append(w.Opaque, premortem.Opaque{Why: "env_file " + shown(p, f.Path) + " is not in the repository", Pos: pos})
			continue
		}
		for _, v := range parseDotenv(data) {
			s := premortem.EnvSet{Name: v.name, Source: "env_file " + p, Pos: premortem.Pos{File: p, Line: v.line}}
			keep(&s, v.value, secretSource)
			w.Provides = append(w.Provides, s)
		}
	}
	w.Provides = firstOfEach(w.Provides)
}

func shown(rel, abs string) string {
	if rel != "" {
		return rel
	}
	return path.Base(abs)
}

// firstOfEach keeps the set that wins: the first of each name.
func firstOfEach(sets []premortem.EnvSet) []premortem.EnvSet {
	seen := map[string]bool{}
	var out []premortem.EnvSet
	for _, s := range sets {
		if !seen[s.Name] {
			seen[s.Name] = true
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b premortem.EnvSet) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// envNode finds the node that sets a variable, in map or in list form.
func (l *composeLoad) envNode(service, key string) (string, *yaml.Node, *yaml.Node) {
	for _, f := range l.sources() {
		env := field(f.docs[0], "services", service, "environment")
		if k, v := pair(env, key); k != nil {
			return f.Path, k, v
		}
		for _, n := range items(env) {
			if s := text(n); s == key || strings.HasPrefix(s, key+"=") {
				return f.Path, n, n
			}
		}
	}
	return "", nil, nil
}

func (l *composeLoad) envPos(service, key string) premortem.Pos {
	if file, k, _ := l.envNode(service, key); k != nil {
		return at(file, k)
	}
	return l.pos(service, "environment")
}

func (l *composeLoad) envText(service, key string) (string, bool) {
	_, k, v := l.envNode(service, key)
	if k == nil {
		return "", false
	}
	return strings.TrimPrefix(text(v), key+"="), true
}

var composeVar = regexp.MustCompile(`\$(?:\{([A-Za-z_][A-Za-z0-9_]*)([^}]*)\}|([A-Za-z_][A-Za-z0-9_]*)|\$)`)

// open reports whether text holds a variable whose value the repository does not say.
func (l *composeLoad) open(raw string) bool {
	for _, m := range composeVar.FindAllStringSubmatch(raw, -1) {
		name := m[1] + m[3]
		if name == "" || strings.HasPrefix(m[2], ":-") || strings.HasPrefix(m[2], "-") || strings.HasPrefix(m[2], "+") || strings.HasPrefix(m[2], ":+") {
			continue
		}
		if _, ok := l.env[name]; !ok {
			return true
		}
	}
	return false
}

// composeStage is the place from which the library loads files that others name.
type composeStage struct {
	root  string
	whole bool // includes and extensions may be followed
	temp  bool
	named []*manifest // what the files include and extend
}

func (s composeStage) close() {
	if s.temp {
		os.RemoveAll(s.root)
	}
}

// stageCompose prepares includes and extensions. The library reads those from disk,
// so the files of the tree that are named, and only those, are copied into a
// temporary folder. A name that leads out of the tree is refused.
func stageCompose(t *Tree, files []*manifest) (composeStage, error) {
	virtual := composeStage{root: "/premortem-repository", whole: true}
	var named []*manifest
	for _, f := range files {
		more, err := composeRefs(t, f.Path, f.docs, 0)
		if err != nil {
			virtual.whole = false
			return virtual, err
		}
		named = append(named, more...)
	}
	if len(named) == 0 {
		return virtual, nil
	}
	root, err := os.MkdirTemp("", "premortem-compose-")
	if err != nil {
		virtual.whole = false
		return virtual, fmt.Errorf("includes and extensions were not followed: %w", err)
	}
	stage := composeStage{root: filepath.ToSlash(root), whole: true, temp: true, named: named}
	for _, f := range append(slices.Clone(files), named...) {
		if err := stageFile(t, root, f.Path); err != nil {
			stage.close()
			virtual.whole = false
			return virtual, err
		}
		if env := path.Join(path.Dir(f.Path), ".env"); t.has(env) {
			_ = stageFile(t, root, env) // interpolation of an included file
		}
	}
	return stage, nil
}

func stageFile(t *Tree, root, p string) error {
	data, err := t.read(p)
	if err != nil {
		return fmt.Errorf("%s %w", p, err)
	}
	to := filepath.Join(root, filepath.FromSlash(p))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, withoutVersion(data), 0o600)
}

// composeRefs lists the files that a Compose file includes or extends, recursively.
func composeRefs(t *Tree, file string, docs []*yaml.Node, depth int) ([]*manifest, error) {
	if depth > 10 {
		return nil, &premortem.Error{Doing: "follow includes", Pos: premortem.Pos{File: file, Line: 1}, Err: errors.New("nested deeper than 10")}
	}
	var refs []*yaml.Node
	for _, doc := range docs {
		for _, n := range items(field(doc, "include")) {
			if text(n) != "" {
				refs = append(refs, n)
			}
			if p := field(n, "path"); text(p) != "" {
				refs = append(refs, p)
			} else {
				refs = append(refs, items(p)...)
			}
		}
		for _, s := range entries(field(doc, "services")) {
			if n := field(s.value, "extends", "file"); n != nil {
				refs = append(refs, n)
			}
		}
	}
	var out []*manifest
	for _, n := range refs {
		p := join(path.Dir(file), text(n))
		if p == "" || path.IsAbs(text(n)) || !t.has(p) {
			return nil, &premortem.Error{Doing: "follow " + maskURLs(text(n)), Pos: at(file, n), Err: errors.New("not a file of the repository: includes and extensions were not evaluated")}
		}
		data, err := t.read(p)
		if err != nil {
			return nil, &premortem.Error{Doing: "follow " + p, Pos: at(file, n), Err: err}
		}
		if p == file {
			continue
		}
		inner, err := parseYAML(File{p, data})
		if err != nil || len(inner) == 0 {
			return nil, err
		}
		more, err := composeRefs(t, p, inner, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(append(out, &manifest{File{p, data}, "compose", inner}), more...)
	}
	return out, nil
}
