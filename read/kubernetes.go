package read

import (
	"bytes"
	"context"
	"path"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// Kubernetes reads manifests, rendered through Kustomize where a kustomization
// covers them. Values are those of the rendered object; positions are those of the
// line that a person edits: in an overlay's patch, a generator or the base.
var Kubernetes = add(Reader{
	Name: "kubernetes",
	Doc: premortem.Doc{
		Title:  "Kubernetes manifests and Kustomize overlays",
		Why:    "What the cluster runs is the base with its patches; reading either alone gives the wrong number of replicas.",
		When:   "YAML files with apiVersion and kind. Every kustomization that no other uses is a deployment; manifests outside of one are a deployment by folder.",
		Silent: "Remote bases, Helm charts inside a kustomization and plugins are never fetched or run: they are listed as not evaluated.",
		Fix:    "Commit remote bases, or render them into the repository.",
	},
	Wants: func(p string) bool {
		ext := path.Ext(p)
		return isKustomization(p) || (ext == ".yaml" || ext == ".yml") && !isCompose(p) && !isWorkflow(p) && !isLockfile(p) && !ConfigFile.Wants(p)
	},
	Read:  readManifest,
	Whole: readKubernetes,
	Apart: true,
})

func isKustomization(p string) bool {
	switch path.Base(p) {
	case "kustomization.yaml", "kustomization.yml", "Kustomization":
		return true
	}
	return false
}

// startsLine reports whether a line of a text starts with a word.
func startsLine(data []byte, word string) bool {
	for {
		n := bytes.Index(data, []byte(word))
		if n < 0 {
			return false
		}
		if n == 0 || data[n-1] == '\n' {
			return true
		}
		data = data[n+len(word):]
		if len(data) == 0 {
			return false
		}
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			data = data[i+1:] // the rest of the line cannot start one
		} else {
			return false
		}
	}
}

func readManifest(f File, d *Draft) error {
	m := &manifest{f, "kubernetes", nil}
	switch {
	case isKustomization(f.Path):
		m.format = "kustomization"
	case !startsLine(f.Data, "apiVersion:") || !startsLine(f.Data, "kind:"):
		return nil // YAML of something else
	case bytes.Contains(f.Data, []byte("{{")) && strings.Contains(f.Path, "templates/"):
		return nil // a chart's template; the chart is reported as a whole
	}
	docs, err := parseYAML(f)
	m.docs = docs
	if len(docs) > 0 {
		d.manifests = append(d.manifests, m)
	}
	return err
}

// readKubernetes makes a deployment of each kustomization that stands on top, and
// of each folder of manifests that no kustomization uses.
func readKubernetes(ctx context.Context, t *Tree, d *Draft) error {
	k := newKustomizer(t, d)
	for _, dir := range k.tops() {
		if err := ctx.Err(); err != nil {
			return err
		}
		objects, err := k.render(dir)
		if err != nil {
			d.missErr(k.files[dir].Path, err)
			continue
		}
		c := &cluster{t: t, d: d, deployment: dir, objects: objects}
		if dir == "." {
			c.deployment = k.files[dir].Path
		}
		c.add(premortem.Pos{File: k.files[dir].Path, Line: 1})
	}
	groups := map[string][]*object{}
	for _, m := range d.manifests {
		if m.format != "kubernetes" || k.used[m.Path] || ofChart(t, m.Path) {
			continue
		}
		dir := manifestGroup(m.Path)
		for _, doc := range m.docs {
			groups[dir] = append(groups[dir], plainObjects(m.Path, doc)...)
		}
	}
	for _, dir := range sortedKeys(groups) {
		c := &cluster{t: t, d: d, deployment: dir, objects: groups[dir]}
		c.add(groups[dir][0].pos())
	}
	return nil
}

// ofChart reports a template of a Helm chart, which is not applied as it is.
func ofChart(t *Tree, p string) bool {
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if base := path.Base(dir); (base == "templates" || base == "crds") && t.has(path.Join(path.Dir(dir), "Chart.yaml")) {
			return true
		}
	}
	return false
}

// plainObjects returns the object of a document, or those of a List.
func plainObjects(file string, doc *yaml.Node) []*object {
	if kind := text(field(doc, "kind")); strings.HasSuffix(kind, "List") && field(doc, "items") != nil {
		var out []*object
		for _, i := range items(field(doc, "items")) {
			out = append(out, plainObjects(file, i)...)
		}
		return out
	}
	if text(field(doc, "kind")) == "" {
		return nil
	}
	return []*object{{node: doc, sources: []source{{file: file, node: doc}}}}
}

var environments = wordSet(`prod production live prd main staging stage stg dev development test testing qa uat preview sandbox demo local`)

// manifestFolders are names under which people put all manifests of one system.
var manifestFolders = wordSet(`k8s kubernetes manifests kube deploy deployment deployments infra ops gitops cluster`)

// manifestGroup returns the folder that stands for a deployment: up to the folder
// named after an environment, else the folder that holds all manifests.
func manifestGroup(p string) string {
	dir := path.Dir(p)
	if dir == "." {
		return p
	}
	segs := strings.Split(dir, "/")
	for i, s := range segs {
		if environments[strings.ToLower(s)] {
			return strings.Join(segs[:i+1], "/")
		}
	}
	for i := len(segs) - 1; i >= 0; i-- {
		if manifestFolders[strings.ToLower(segs[i])] {
			return strings.Join(segs[:i+1], "/")
		}
	}
	return dir
}

// object is a Kubernetes object and the files that made it what it is.
type object struct {
	node    *yaml.Node // as the cluster gets it
	sources []source   // who may have set a field, the last word first
}

// source is a document, a patch or a transformer's entry that shapes an object.
type source struct {
	file string
	node *yaml.Node
	op   string // "" the document or a merge patch, "json6902", "images", "replicas", "literals", "helm"
	// place finds the line of a field of a rendered document, "helm" only.
	place func(k, v *yaml.Node, path []string) premortem.Pos
}

func (o *object) kind() string { return text(field(o.node, "kind")) }
func (o *object) name() string { return text(field(o.node, "metadata", "name")) }

// plainName is the name in the object's own document, or of its generator: without
// the prefixes, suffixes and hashes of Kustomize.
func (o *object) plainName() string {
	for i := len(o.sources) - 1; i >= 0; i-- {
		switch s := o.sources[i]; s.op {
		case "", "helm":
			if n := text(field(s.node, "metadata", "name")); n != "" {
				return n
			}
		case "literals":
			return text(field(s.node, "name"))
		}
	}
	return o.name()
}

// pos is where the object's own document starts.
func (o *object) pos() premortem.Pos {
	for i := len(o.sources) - 1; i >= 0; i-- {
		if s := o.sources[i]; s.op == "" || s.op == "literals" || s.op == "helm" {
			if s.place != nil {
				k, _ := pair(s.node, "kind")
				return s.place(k, nil, nil)
			}
			if k, _ := pair(s.node, "kind"); k != nil {
				return at(s.file, k)
			}
			return at(s.file, s.node)
		}
	}
	return premortem.Pos{File: "."}
}

// get walks a path in the rendered object; "[name]" picks the element of a list by
// its name, "#2" by its place.
func (o *object) get(path ...string) *yaml.Node { return walkPath(o.node, path) }

func walkPath(n *yaml.Node, path []string) *yaml.Node {
	_, v := stepPath(n, path)
	return v
}

// stepPath returns the key (or the element) and the value at the end of a path.
func stepPath(n *yaml.Node, path []string) (k, v *yaml.Node) {
	k, v = n, deref(n)
	for _, p := range path {
		if v == nil {
			return nil, nil
		}
		switch p[0] {
		case '[':
			v = named(v, p[1:len(p)-1])
			k = v
		case '#':
			list := items(v)
			i := int(p[1] - '0')
			if len(p) != 2 || i >= len(list) {
				return nil, nil
			}
			v = list[i]
			k = v
		default:
			k, v = pair(v, p)
		}
	}
	if v == nil {
		return nil, nil
	}
	return k, v
}

// named returns the element of a list whose name is the given one.
func named(list *yaml.Node, name string) *yaml.Node {
	for _, i := range items(list) {
		if text(field(i, "name")) == name {
			return i
		}
	}
	return nil
}

// where returns the line that a person edits to change a field: the last source
// that sets it to what the cluster gets. A field that nobody wrote has the place of
// the nearest field above it.
func (o *object) where(path ...string) premortem.Pos {
	want := o.get(path...)
	for _, s := range o.sources {
		if pos, ok := s.sets(o, path, want); ok {
			return pos
		}
	}
	if len(path) > 0 {
		return o.where(path[:len(path)-1]...)
	}
	return o.pos()
}

// sets finds the line of a source that sets a field to the wanted value.
func (s source) sets(o *object, path []string, want *yaml.Node) (premortem.Pos, bool) {
	switch s.op {
	case "json6902":
		return s.patches(o, path, want)
	case "images":
		if len(path) == 0 || path[len(path)-1] != "image" || want == nil {
			return premortem.Pos{}, false
		}
		for _, key := range []string{"digest", "newTag", "newName"} {
			if v := field(s.node, key); v != nil && strings.Contains(text(want), text(v)) && text(v) != "" {
				if names := text(field(s.node, "newName")) + text(field(s.node, "name")); strings.Contains(names, splitImage(text(want)).repository) {
					return at(s.file, v), true
				}
			}
		}
		return premortem.Pos{}, false
	case "replicas":
		if len(path) == 2 && path[0] == "spec" && path[1] == "replicas" {
			return at(s.file, field(s.node, "count")), true
		}
		return premortem.Pos{}, false
	case "literals":
		return premortem.Pos{}, false
	case "helm":
		k, v := stepPath(s.node, path)
		if k == nil || want == nil {
			return premortem.Pos{}, false
		}
		if len(path) == 0 {
			return o.pos(), true
		}
		return s.place(k, v, path), true
	}
	k, v := stepPath(s.node, path)
	if k == nil || want == nil || v.Kind == yaml.ScalarNode && want.Kind == yaml.ScalarNode && v.Value != want.Value && !isImagePath(path) {
		return premortem.Pos{}, false
	}
	if len(path) == 0 {
		return o.pos(), true
	}
	return at(s.file, k), true
}

func isImagePath(path []string) bool { return len(path) > 0 && path[len(path)-1] == "image" }

// patches finds the operation of a JSON patch that sets a field.
func (s source) patches(o *object, path []string, want *yaml.Node) (premortem.Pos, bool) {
	pointer, ok := o.pointer(path)
	if !ok {
		return premortem.Pos{}, false
	}
	ops := items(s.node)
	for i := len(ops) - 1; i >= 0; i-- {
		target, value := text(field(ops[i], "path")), field(ops[i], "value")
		if value == nil {
			continue
		}
		if target == pointer {
			return at(s.file, field(ops[i], "path")), true
		}
		base, appended := strings.CutSuffix(target, "/-")
		if appended && strings.HasPrefix(pointer, base+"/") && len(path) > 0 {
			if name := strings.Trim(path[len(path)-1], "[]"); text(field(value, "name")) == name && want != nil {
				return at(s.file, value), true
			}
		}
		if rest, under := strings.CutPrefix(pointer, target+"/"); under && want != nil {
			depth := len(strings.Split(rest, "/"))
			if k, _ := stepPath(value, path[len(path)-depth:]); k != nil {
				return at(s.file, k), true
			}
		}
	}
	return premortem.Pos{}, false
}

// pointer turns a path into a JSON pointer by the places of the rendered object.
func (o *object) pointer(path []string) (string, bool) {
	var b strings.Builder
	n := o.node
	for _, p := range path {
		b.WriteByte('/')
		switch p[0] {
		case '[':
			found := -1
			for i, el := range items(n) {
				if text(field(el, "name")) == p[1:len(p)-1] {
					found, n = i, el
					break
				}
			}
			if found < 0 || found > 999 {
				return "", false
			}
			b.WriteString(itoa(found))
		case '#':
			b.WriteString(p[1:])
			n = walkPath(n, []string{p})
		default:
			b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(p))
			n = field(n, p)
		}
	}
	return b.String(), n != nil
}
