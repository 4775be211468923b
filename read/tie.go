package read

import (
	"path"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// group is one service in the deployments that run it, at most once in each.
type group struct {
	members []*workload
	node    premortem.Node
}

func (g *group) in(deployment string) bool {
	return slices.ContainsFunc(g.members, func(w *workload) bool { return w.Deployment == deployment })
}

// tie finds out which workloads of different deployments are one service. The signs
// are tried from the surest to the weakest, so that a weak one cannot take what a
// sure one would have claimed.
func (g *merger) tie() {
	byDeployment := map[string][]*workload{}
	for _, w := range g.d.workloads {
		if w.kind == "" {
			byDeployment[w.Deployment] = append(byDeployment[w.Deployment], w)
		}
	}
	order := sortedKeys(byDeployment)
	slices.SortStableFunc(order, g.order)
	for _, deployment := range order {
		free := byDeployment[deployment]
		for _, sign := range []func(a, b *workload) bool{sameName, sameImage, g.sameDockerfile, imageIsName, tailIsName} {
			var left []*workload
			for _, w := range free {
				if grp := g.claim(w, sign); grp != nil {
					grp.members = append(grp.members, w)
				} else {
					left = append(left, w)
				}
			}
			free = left
		}
		for _, w := range free {
			g.groups = append(g.groups, &group{members: []*workload{w}})
		}
	}
	taken := map[premortem.Node]bool{}
	for _, grp := range g.groups {
		var names []string
		for _, w := range grp.members {
			names = append(names, w.name)
			if w.plain != "" {
				names = append(names, w.plain)
			}
		}
		slices.SortFunc(names, func(a, b string) int {
			if len(a) != len(b) {
				return len(a) - len(b)
			}
			return strings.Compare(a, b)
		})
		for _, n := range append(names, grp.members[0].Deployment+"/"+grp.members[0].name) {
			if node := premortem.Node("service/" + n); grp.node == "" && !taken[node] {
				grp.node = node
			}
		}
		taken[grp.node] = true
		for _, w := range grp.members {
			w.Node = grp.node
		}
	}
}

// claim returns the only group that a sign ties a workload to, nil for none and for
// more than one.
func (g *merger) claim(w *workload, sign func(a, b *workload) bool) *group {
	var found *group
	for _, grp := range g.groups {
		if grp.in(w.Deployment) || !slices.ContainsFunc(grp.members, func(m *workload) bool { return sign(m, w) && !apart(m, w) }) {
			continue
		}
		if found != nil {
			return nil
		}
		found = grp
	}
	return found
}

// apart reports two that are built in unrelated folders: the backends of two
// examples in one repository share a name and nothing else.
func apart(a, b *workload) bool {
	if a.context == "" || b.context == "" || a.context == b.context {
		return false
	}
	_, in := below(a.context, b.context)
	_, out := below(b.context, a.context)
	return !in && !out && a.context != "." && b.context != "."
}

func sameName(a, b *workload) bool {
	return a.name == b.name || a.plain != "" && (a.plain == b.name || a.plain == b.plain) || b.plain != "" && b.plain == a.name
}

func sameImage(a, b *workload) bool {
	x, y := splitImage(a.Image.Value).repository, splitImage(b.Image.Value).repository
	return x != "" && x == y && runtimeImages[x] == ""
}

// sameDockerfile ties by what is built: Compose names the file, CI says which image
// comes of it.
func (g *merger) sameDockerfile(a, b *workload) bool {
	x, y := g.builtFrom(a), g.builtFrom(b)
	return x != "" && x == y && a.target == b.target
}

func (g *merger) builtFrom(w *workload) string {
	if w.Dockerfile != "" {
		return w.Dockerfile
	}
	repo := splitImage(w.Image.Value).repository
	for _, b := range g.d.builds {
		if repo != "" && b.repository == repo {
			return b.dockerfile
		}
	}
	return ""
}

func imageIsName(a, b *workload) bool {
	base := func(w *workload) string { return path.Base(splitImage(w.Image.Value).repository) }
	return a.name == base(b) || b.name == base(a)
}

func tailIsName(a, b *workload) bool {
	return strings.HasSuffix(a.name, "-"+b.name) || strings.HasSuffix(b.name, "-"+a.name)
}

// findCode ties a workload to its Dockerfile and build context.
func (g *merger) findCode(w *workload) {
	if w.Dockerfile != "" || w.Dir != "" {
		if w.Dockerfile != "" && g.dockerfiles[w.Dockerfile] == nil {
			g.d.miss(w.Pos, "the Dockerfile "+w.Dockerfile+" is not in the repository")
			w.Dockerfile = ""
		}
		return
	}
	repo := splitImage(w.Image.Value).repository
	for _, b := range g.d.builds {
		if repo != "" && b.repository == repo && g.dockerfiles[b.dockerfile] != nil {
			w.Dockerfile, w.context = b.dockerfile, b.context
			return
		}
	}
}

// shareCode gives members of a group what another member knows of the image, and
// looks for a Dockerfile by name where nobody knows.
func (g *merger) shareCode() {
	for _, grp := range g.groups {
		var source *workload
		for _, w := range grp.members {
			if w.Dockerfile != "" && source == nil {
				source = w
			}
		}
		for _, w := range grp.members {
			switch {
			case w.Dockerfile != "" || runtimeImages[splitImage(w.Image.Value).repository] != "":
			case source != nil:
				w.Dockerfile, w.context, w.target = source.Dockerfile, source.context, source.target
			case w.Image.Set():
				w.Dockerfile, w.context = g.guessDockerfile(w)
			}
		}
		for _, w := range grp.members {
			g.findDir(w)
		}
		for _, w := range grp.members { // `npm start` and a mounted folder know it too
			for _, other := range grp.members {
				if w.Dir == "" {
					w.Dir = other.Dir
				}
			}
		}
	}
}

// guessDockerfile finds the one Dockerfile whose folder, or whose ending, has the
// name of the image or of the workload.
func (g *merger) guessDockerfile(w *workload) (file, context string) {
	names := []string{path.Base(splitImage(w.Image.Value).repository), w.name}
	var found []string
	for _, p := range sortedKeys(g.dockerfiles) {
		folder, base := path.Base(path.Dir(p)), strings.ToLower(path.Base(p))
		if folder == "src" || folder == "docker" {
			folder = path.Base(path.Dir(path.Dir(p)))
		}
		for _, n := range names {
			if folder == n || strings.HasSuffix(n, "-"+folder) || base == "dockerfile."+n || base == n+".dockerfile" {
				found = append(found, p)
				break
			}
		}
	}
	if len(found) == 0 && len(g.dockerfiles) == 1 && len(g.groups) == 1 {
		found = sortedKeys(g.dockerfiles)
	}
	if len(found) != 1 {
		return "", ""
	}
	file = found[0]
	context = path.Dir(file)
	if st := g.dockerfiles[file].final(""); st != nil && !g.fits(st, context) && g.fits(st, ".") {
		context = "."
	}
	return file, context
}

// fits reports whether the files that a stage copies exist in a context.
func (g *merger) fits(st *stage, context string) bool {
	known, hit := 0, 0
	for _, c := range st.copies {
		p := path.Join(context, c.from)
		there := g.d.tree != nil && p != context && path.Ext(c.from) != "" && g.d.tree.has(p)
		if path.Base(c.from) != "package.json" && !isSource(c.from) && !lockedBeside[path.Base(c.from)] {
			continue
		}
		known++
		if there || g.packages[path.Dir(p)] != nil || g.project.modules[p] != nil {
			hit++
		}
	}
	return known == 0 && context != "." || hit > 0
}

// lockedBeside are manifests of packages that stand at the top of a build's context.
var lockedBeside = wordSet(`Gemfile Gemfile.lock requirements.txt pyproject.toml poetry.lock uv.lock composer.json composer.lock yarn.lock package-lock.json pnpm-lock.yaml`)

// findDir finds the folder of the code that an image runs.
func (g *merger) findDir(w *workload) {
	df := g.dockerfiles[w.Dockerfile]
	if df == nil || w.Dir != "" {
		return
	}
	st := df.final(w.target)
	if st == nil {
		return
	}
	repo := func(p string) (string, bool) {
		in, ok := st.fromContext(p)
		return path.Join(w.context, in), ok
	}
	if dir, ok := repo(st.workdir); ok && g.packages[dir] != nil && !g.packages[dir].root {
		w.Dir = dir
		return
	}
	for _, arg := range append(slices.Clone(st.entry.Value), st.command.Value...) {
		for _, word := range strings.Fields(arg) {
			if p, ok := repo(word); ok && isSource(word) {
				if m := g.entryModule(p); m != nil {
					w.Dir = g.packageDir(path.Dir(m.path))
					return
				}
			}
		}
	}
	if webServers[path.Base(splitImage(st.root().base).repository)] {
		for _, c := range st.copies {
			if dir := g.packageDir(path.Join(w.context, c.from)); dir != "" && dir != "." {
				w.Dir = dir
				return
			}
		}
	}
	if dir, ok := repo(st.workdir); ok {
		w.Dir = g.codeDir(sourceDir(dir), w.context)
		return
	}
	if g.packages[path.Dir(w.Dockerfile)] != nil || w.context == "" {
		w.Dir = path.Dir(w.Dockerfile)
		return
	}
	w.Dir = w.context
}

// sourceDir is the folder that build output was built in: "." for .next/standalone.
func sourceDir(dir string) string {
	segs := strings.Split(dir, "/")
	for i, seg := range segs {
		if skipped[seg] || seg == "target" || seg == ".output" || seg == "publish" {
			return path.Join(append([]string{"."}, segs[:i]...)...)
		}
	}
	return dir
}

// codeDir steps out of what is no folder of code, such as a single file that is
// copied, up to the build context.
func (g *merger) codeDir(dir, context string) string {
	has := func(dir string) bool {
		within := func(file string) bool { _, ok := below(dir, file); return ok || dir == "." }
		return slices.ContainsFunc(g.project.paths, within) || g.packages[dir] != nil ||
			slices.ContainsFunc(g.d.programs, func(p *program) bool { return p.path != dir && within(p.path) })
	}
	for at := dir; ; at = path.Dir(at) {
		if has(at) {
			return at
		}
		if at == context || at == "." || at == "/" {
			return dir
		}
	}
}

// packageDir returns the nearest folder with a package.json, "" for none.
func (g *merger) packageDir(dir string) string {
	for ; ; dir = path.Dir(dir) {
		if g.packages[dir] != nil {
			return dir
		}
		if dir == "." || dir == "/" {
			return ""
		}
	}
}

// entryModule finds the source of a file that is started, also when what is started
// is compiled from it.
func (g *merger) entryModule(p string) *module {
	if m := g.project.file(p); m != nil {
		return m
	}
	for _, out := range []string{"dist/", "build/", "lib/", "out/"} {
		for _, in := range []string{"src/", ""} {
			if strings.Contains(p, out) {
				if m := g.project.file(strings.Replace(p, out, in, 1)); m != nil {
					return m
				}
			}
		}
	}
	return nil
}
