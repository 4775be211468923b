package read

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/premortem/premortem"
)

// kustomizer renders the kustomizations of a tree in memory.
type kustomizer struct {
	t     *Tree
	d     *Draft
	files map[string]*manifest // by folder
	used  map[string]bool      // manifests that a kustomization uses
	tree  filesys.FileSystem
}

func newKustomizer(t *Tree, d *Draft) *kustomizer {
	k := &kustomizer{t: t, d: d, files: map[string]*manifest{}, used: map[string]bool{}}
	for _, m := range d.manifests {
		if m.format == "kustomization" && len(m.docs) > 0 {
			k.files[path.Dir(m.Path)] = m
		}
	}
	return k
}

func itoa(i int) string { return strconv.Itoa(i) }

// resourceKeys are the lists of a kustomization that name files or folders.
var resourceKeys = []string{"resources", "bases", "components"}

// fileKeys are the lists that name files only.
var fileKeys = []string{"patchesStrategicMerge", "crds", "configurations", "generators", "transformers", "validators"}

// tops returns the folders of the kustomizations that no other one uses.
func (k *kustomizer) tops() []string {
	inner := map[string]bool{}
	for dir, m := range k.files {
		for _, key := range resourceKeys {
			for _, r := range items(field(m.docs[0], key)) {
				p := join(dir, text(r))
				if _, ok := k.files[p]; ok && p != dir {
					inner[p] = true
				}
				if p != "" {
					k.used[p] = true
				}
			}
		}
		for _, p := range k.patchFiles(dir, m.docs[0]) {
			k.used[p] = true
		}
		for _, key := range fileKeys {
			for _, r := range items(field(m.docs[0], key)) {
				k.used[join(dir, text(r))] = true
			}
		}
		k.used[m.Path] = true
	}
	var out []string
	for _, dir := range sortedKeys(k.files) {
		if !inner[dir] && text(field(k.files[dir].docs[0], "kind")) != "Component" {
			out = append(out, dir)
		}
	}
	return out
}

func (k *kustomizer) patchFiles(dir string, doc *yaml.Node) []string {
	var out []string
	for _, key := range []string{"patches", "patchesJson6902", "replacements"} {
		for _, p := range items(field(doc, key)) {
			if s := text(field(p, "path")); s != "" {
				out = append(out, join(dir, s))
			}
		}
	}
	return out
}

// render builds one kustomization and ties each object to its sources. It refuses
// what would have to be fetched or executed.
func (k *kustomizer) render(dir string) ([]*object, error) {
	if err := k.permitted(dir, map[string]bool{}); err != nil {
		return nil, err
	}
	if k.tree == nil {
		k.load()
	}
	m := k.files[dir]
	data := m.Data
	if field(m.docs[0], "buildMetadata") == nil {
		data = append(append([]byte{}, data...), "\nbuildMetadata: [originAnnotations]\n"...)
	}
	if err := k.tree.WriteFile("/"+m.Path, data); err != nil {
		return nil, err
	}
	opts := krusty.MakeDefaultOptions()
	opts.LoadRestrictions = types.LoadRestrictionsNone
	var res resmap.ResMap
	err := kustomizeQuiet(func() (err error) {
		res, err = krusty.MakeKustomizer(opts).Run(k.tree, path.Join("/", dir))
		return err
	})
	_ = k.tree.WriteFile("/"+m.Path, m.Data)
	if err != nil {
		return nil, &premortem.Error{Doing: "render the kustomization", Pos: premortem.Pos{File: m.Path, Line: 1}, Err: errors.New(k.masked(strings.ReplaceAll(err.Error(), "'/", "'")))}
	}
	out, err := res.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("render the kustomization: %w", err)
	}
	docs, err := parseYAML(File{m.Path, out})
	if err != nil {
		return nil, err
	}
	var objects []*object
	for _, doc := range docs {
		o := &object{node: doc}
		k.trace(o, dir)
		objects = append(objects, o)
	}
	return objects, nil
}

// load copies the text files of the tree that a kustomization may use into memory.
func (k *kustomizer) load() {
	k.tree = filesys.MakeFsInMemory()
	for _, p := range k.t.paths {
		switch path.Ext(p) {
		case ".js", ".ts", ".tsx", ".jsx", ".go", ".py", ".rb", ".css", ".png", ".jpg", ".svg", ".ico", ".woff", ".woff2", ".sql", ".tf", ".md", ".map", ".lock":
			continue
		}
		if !k.near(p) || isLockfile(p) {
			continue
		}
		data, err := k.t.read(p)
		if err != nil {
			continue // a file that is needed makes the rendering fail, with its name
		}
		if ext := path.Ext(p); ext == ".yaml" || ext == ".yml" {
			if _, err := parseYAML(File{p, data}); err != nil && strings.Contains(err.Error(), "expand") {
				continue
			}
		}
		_ = k.tree.WriteFile("/"+p, data)
	}
}

// near reports whether a file stands below or beside a kustomization, or is named
// by one.
func (k *kustomizer) near(p string) bool {
	if k.used[p] {
		return true
	}
	for dir := path.Dir(p); ; dir = path.Dir(dir) {
		if _, ok := k.files[dir]; ok {
			return true
		}
		for used := range k.files {
			if path.Dir(used) == dir && dir != "." {
				return true
			}
		}
		if dir == "." || dir == "/" {
			return false
		}
	}
}

// trace collects the sources of a rendered object: the patches and transformers of
// the kustomizations from the top down, then its own document or generators.
func (k *kustomizer) trace(o *object, top string) {
	var origin struct {
		Path string `yaml:"path"`
	}
	_ = yaml.Unmarshal([]byte(text(field(o.node, "metadata", "annotations", "config.kubernetes.io/origin"))), &origin) // absent: nothing is known
	var own *source
	if origin.Path != "" {
		own = k.document(join(top, origin.Path), o)
	}
	name := o.name()
	if own != nil {
		name = text(field(own.node, "metadata", "name"))
	}
	k.shape(o, top, name, map[string]bool{})
	if own != nil {
		o.sources = append(o.sources, *own)
	}
	if len(o.sources) == 0 || o.pos().File == "." {
		o.sources = append(o.sources, source{file: k.files[top].Path, node: k.files[top].docs[0]})
	}
}

// document finds the object's own document in its file: same kind, and a name that
// prefixes and suffixes may have grown.
func (k *kustomizer) document(file string, o *object) *source {
	var best *source
	for _, m := range k.d.manifests {
		if m.Path != file {
			continue
		}
		for _, doc := range m.docs {
			for _, p := range plainObjects(file, doc) {
				switch {
				case p.kind() != o.kind():
				case p.name() == o.name():
					return &p.sources[0]
				case best == nil && strings.Contains(o.name(), p.name()):
					best = &p.sources[0]
				}
			}
		}
	}
	return best
}

// shape adds what the kustomization in dir and those below it do to an object.
func (k *kustomizer) shape(o *object, dir, name string, seen map[string]bool) {
	m := k.files[dir]
	if m == nil || seen[dir] {
		return
	}
	seen[dir] = true
	doc := m.docs[0]
	for _, r := range items(field(doc, "replicas")) {
		if text(field(r, "name")) == name {
			o.sources = append(o.sources, source{file: m.Path, node: r, op: "replicas"})
		}
	}
	for _, i := range items(field(doc, "images")) {
		o.sources = append(o.sources, source{file: m.Path, node: i, op: "images"})
	}
	patches := append(items(field(doc, "patches")), items(field(doc, "patchesJson6902"))...)
	patches = append(patches, items(field(doc, "patchesStrategicMerge"))...)
	for i := len(patches) - 1; i >= 0; i-- {
		k.patch(o, dir, name, m, patches[i])
	}
	for _, key := range []string{"configMapGenerator", "secretGenerator"} {
		want := map[string]string{"configMapGenerator": "ConfigMap", "secretGenerator": "Secret"}[key]
		for _, g := range items(field(doc, key)) {
			if o.kind() == want && generated(text(field(g, "name")), o.name()) {
				o.sources = append(o.sources, source{file: m.Path, node: g, op: "literals"})
			}
		}
	}
	for _, key := range []string{"components", "resources", "bases"} {
		for _, r := range items(field(doc, key)) {
			k.shape(o, join(dir, text(r)), name, seen)
		}
	}
}

var nameHash = regexp.MustCompile(`-[0-9a-z]{10}$`)

// generated reports whether a rendered name comes from a generator's name.
func generated(name, final string) bool {
	return name != "" && (final == name || strings.Contains(nameHash.ReplaceAllString(final, ""), name))
}

// patch adds a patch when it aims at the object.
func (k *kustomizer) patch(o *object, dir, name string, m *manifest, p *yaml.Node) {
	file, body, line := text(field(p, "path")), field(p, "patch"), 0
	if text(p) != "" { // patchesStrategicMerge: a path or a patch
		if strings.Contains(text(p), "\n") {
			body = p
		} else {
			file = text(p)
		}
	}
	var docs []*yaml.Node
	from := m.Path
	switch {
	case file != "":
		from = join(dir, file)
		data, err := k.t.read(from)
		if err != nil {
			return
		}
		docs, _ = parseYAML(File{from, data})
	case body != nil:
		docs, _ = parseYAML(File{m.Path, []byte(body.Value)})
		line = body.Line
		if body.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
			line--
		}
	}
	target := field(p, "target")
	for _, d := range docs {
		if line > 0 {
			shift(d, line, 0)
		}
		op := ""
		if d.Kind == yaml.SequenceNode {
			op = "json6902"
		}
		if aims(target, d, o, name) {
			o.sources = append(o.sources, source{file: from, node: d, op: op})
		}
	}
}

// aims reports whether a patch selects the object: by its target, else by its own
// kind and name.
func aims(target, patch *yaml.Node, o *object, name string) bool {
	if target == nil {
		return text(field(patch, "kind")) == o.kind() && text(field(patch, "metadata", "name")) == name
	}
	match := func(key, got string) bool {
		want := text(field(target, key))
		if want == "" {
			return true
		}
		re, err := regexp.Compile("^(?:" + want + ")$")
		return err == nil && re.MatchString(got)
	}
	if sel := text(field(target, "labelSelector")); sel != "" {
		for part := range strings.SplitSeq(sel, ",") {
			k, v, _ := strings.Cut(part, "=")
			if text(field(o.node, "metadata", "labels", strings.TrimSpace(k))) != strings.Trim(v, "= ") {
				return false
			}
		}
	}
	return match("kind", o.kind()) && match("name", name)
}

// shift moves the lines of a document that is written inside another.
func shift(n *yaml.Node, by, depth int) {
	n.Line += by
	if depth > maxDepth || n.Kind == yaml.AliasNode {
		return
	}
	for _, c := range n.Content {
		shift(c, by, depth+1)
	}
}
