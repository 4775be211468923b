package read

import (
	"bytes"
	"encoding/json"
	"path"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// npmPackage is a package.json.
type npmPackage struct {
	dir     string
	path    string
	name    premortem.Setting[string]
	main    premortem.Setting[string]
	module  bool
	scripts map[string]premortem.Setting[string]
	needs   map[string]premortem.Setting[string] // dependencies by name, their ranges
	root    bool                                 // has workspaces
}

// Npm reads package.json: scripts, dependencies and the Node version it asks for.
var Npm = add(Reader{
	Name: "package.json",
	Doc: premortem.Doc{
		Title:  "package.json",
		Why:    "Its scripts say how a service starts, its engines which Node it expects, its dependencies what it talks to.",
		When:   "Every package.json outside of node_modules: name, main, scripts, dependencies, workspaces, engines.node and volta.node.",
		Silent: "Scripts are never run.",
		Fix:    "Keep package.json valid JSON.",
	},
	Wants: func(p string) bool { return path.Base(p) == "package.json" },
	Read:  readNpm,
})

func readNpm(f File, d *Draft) error {
	if !json.Valid(f.Data) {
		return jsonError(f)
	}
	docs, err := parseYAML(f) // JSON is YAML, and its nodes know their lines
	if err != nil {
		return err
	}
	if len(docs) == 0 || docs[0].Kind != yaml.MappingNode {
		return nil
	}
	n := docs[0]
	set := func(n *yaml.Node) premortem.Setting[string] {
		if text(n) == "" {
			return premortem.Setting[string]{}
		}
		return premortem.Setting[string]{Value: text(n), Pos: at(f.Path, n)}
	}
	p := &npmPackage{
		dir: path.Dir(f.Path), path: f.Path, name: set(field(n, "name")), main: set(field(n, "main")),
		module: text(field(n, "type")) == "module", root: field(n, "workspaces") != nil,
		scripts: map[string]premortem.Setting[string]{}, needs: map[string]premortem.Setting[string]{},
	}
	for _, e := range entries(field(n, "scripts")) {
		p.scripts[e.key.Value] = set(e.value)
	}
	for _, part := range []string{"optionalDependencies", "dependencies"} {
		for _, e := range entries(field(n, part)) {
			p.needs[e.key.Value] = set(e.value)
		}
	}
	d.packages = append(d.packages, p)
	for _, where := range [][2]string{{"engines", "node"}, {"volta", "node"}} {
		if v := set(field(n, where[0], where[1])); v.Set() {
			d.runtimes = append(d.runtimes, runtimeFact{dir: p.dir, Runtime: premortem.Runtime{Language: "node", Version: v, Source: where[0]}})
		}
	}
	return nil
}

// jsonError points at the line of a syntax error.
func jsonError(f File) error {
	var v any
	err := json.Unmarshal(f.Data, &v)
	pos := premortem.Pos{File: f.Path, Line: 1}
	if se, ok := err.(*json.SyntaxError); ok {
		pos.Line += bytes.Count(f.Data[:min(int(se.Offset), len(f.Data))], []byte("\n"))
	}
	return &premortem.Error{Doing: "parse JSON", Pos: pos, Err: err}
}

// NodeVersion reads the files that tell version managers which Node to use.
var NodeVersion = add(Reader{
	Name: "node-version",
	Doc: premortem.Doc{
		Title:  "Version files",
		Why:    "They decide on which Node the code is written and tried.",
		When:   ".nvmrc, .node-version, and nodejs in .tool-versions or mise.toml.",
		Silent: "Comments and empty files.",
		Fix:    "Write the version that the image runs.",
	},
	Wants: func(p string) bool {
		switch path.Base(p) {
		case ".nvmrc", ".node-version", ".tool-versions":
			return true
		}
		return false
	},
	Read: func(f File, d *Draft) error {
		base := path.Base(f.Path)
		for i, line := range strings.Split(string(f.Data), "\n") {
			line, _, _ = strings.Cut(line, "#")
			fields := strings.Fields(line)
			if base == ".tool-versions" {
				if len(fields) < 2 || fields[0] != "nodejs" && fields[0] != "node" {
					continue
				}
				fields = fields[1:]
			}
			if len(fields) == 0 {
				continue
			}
			d.runtimes = append(d.runtimes, runtimeFact{dir: path.Dir(f.Path), Runtime: premortem.Runtime{
				Language: "node", Version: premortem.At(fields[0], f.Path, i+1), Source: base}})
			break
		}
		return nil
	},
})

func isLockfile(p string) bool {
	switch path.Base(p) {
	case "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml":
		return true
	}
	return false
}

// Lockfile reads what npm's lockfile says about the runtime. Only its first
// entry is looked at, which is the package itself.
var Lockfile = add(Reader{
	Name: "lockfile",
	Doc: premortem.Doc{
		Title:  "Lockfiles",
		Why:    "A lockfile that was made for other engines than package.json names was not renewed.",
		When:   "package-lock.json and npm-shrinkwrap.json: the engines of the package itself.",
		Silent: "yarn.lock and pnpm-lock.yaml name no engines of the package itself.",
		Fix:    "Run npm install and commit the lockfile.",
	},
	Wants: func(p string) bool {
		return path.Base(p) == "package-lock.json" || path.Base(p) == "npm-shrinkwrap.json"
	},
	Read: func(f File, d *Draft) error {
		version, offset, err := lockedEngine(f.Data)
		if err != nil {
			return jsonError(f)
		}
		if version != "" {
			line := 1 + bytes.Count(f.Data[:offset], []byte("\n"))
			d.runtimes = append(d.runtimes, runtimeFact{dir: path.Dir(f.Path), Runtime: premortem.Runtime{
				Language: "node", Version: premortem.At(version, f.Path, line), Source: "lockfile"}})
		}
		return nil
	},
})

// lockedEngine finds packages[""].engines.node without building the whole file.
func lockedEngine(data []byte) (version string, offset int64, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	want := []string{"packages", "", "engines", "node"}
	for depth := 0; depth < len(want); depth++ {
		tok, err := dec.Token()
		if err != nil {
			return "", 0, err
		}
		if tok != json.Delim('{') {
			return "", 0, nil
		}
		for {
			key, err := dec.Token()
			if err != nil {
				return "", 0, err
			}
			if key == json.Delim('}') {
				return "", 0, nil
			}
			if key == want[depth] {
				break
			}
			var skip json.RawMessage
			if err := dec.Decode(&skip); err != nil {
				return "", 0, err
			}
		}
	}
	tok, err := dec.Token()
	s, _ := tok.(string)
	return s, dec.InputOffset(), err
}
