package read

import (
	"context"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// manifest is a YAML file that describes workloads: Compose or Kubernetes.
type manifest struct {
	File
	format string // "compose", "kubernetes", "kustomization"
	docs   []*yaml.Node
}

// Compose reads Compose files with the Compose library, which merges overrides and
// extensions; positions come from the same files parsed as nodes.
var Compose = add(Reader{
	Name: "compose",
	Doc: premortem.Doc{
		Title:  "Compose files",
		Why:    "Compose is what people develop against; what differs from production there is what surprises later.",
		When:   "compose.yaml and docker-compose.yml with their overrides, and variants such as compose.prod.yaml as deployments of their own. Values are interpolated from the .env file beside them, never from the environment.",
		Silent: "Files that are included from git or OCI are not loaded; a service of an inactive profile counts as active.",
		Fix:    "Keep Compose files valid: docker compose config must accept them.",
	},
	Wants: isCompose,
	Read: func(f File, d *Draft) error {
		docs, err := parseYAML(f)
		if len(docs) > 0 {
			d.manifests = append(d.manifests, &manifest{f, "compose", docs})
		}
		return err
	},
	Whole: readCompose,
})

var composeName = regexp.MustCompile(`^(?:docker-)?compose(?:[.\-_]([\w.\-]+))?\.ya?ml$`)

func isCompose(p string) bool { return composeName.MatchString(path.Base(p)) }

// composeLoad is one loading of a set of files.
type composeLoad struct {
	t     *Tree
	d     *Draft
	dir   string
	name  string // of the deployment
	files []*manifest
	extra []*manifest       // what the files include and extend
	env   map[string]string // of the .env file beside the files
	root  string            // where the library believes the repository to be
}

// load asks the library for the model and turns its services into workloads.
func (l *composeLoad) load(ctx context.Context) error {
	l.env = map[string]string{}
	if data, err := l.t.read(path.Join(l.dir, ".env")); err == nil {
		for _, v := range parseDotenv(data) {
			l.env[v.name] = v.value
		}
	}
	project, err := l.project(ctx)
	if err != nil {
		return err
	}
	l.d.deployments = append(l.d.deployments, &premortem.Deployment{Name: l.name, Kind: "compose", Pos: premortem.Pos{File: l.files[0].Path, Line: 1}})
	if n := field(l.files[0].docs[0], "name"); n != nil {
		l.d.composeNames = append(l.d.composeNames, premortem.Setting[string]{Value: text(n), Pos: at(l.files[0].Path, n)})
	}
	for _, name := range sortedKeys(project.Services) {
		l.d.workloads = append(l.d.workloads, l.workload(name, project.Services[name]))
	}
	return nil
}

var required = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*):?\?`)

// project loads the files without touching anything but them.
func (l *composeLoad) project(ctx context.Context) (*types.Project, error) {
	composeQuiet()
	stage, err := stageCompose(l.t, l.files)
	if err != nil {
		l.d.missErr(l.name, err)
	}
	defer stage.close()
	l.root, l.extra = stage.root, stage.named
	env := types.Mapping{}
	for k, v := range l.env {
		env[k] = v
	}
	details := types.ConfigDetails{WorkingDir: path.Join(l.root, l.dir), Environment: env}
	for _, f := range l.files {
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: path.Join(l.root, f.Path), Content: withoutVersion(f.Data)})
		for _, m := range required.FindAllStringSubmatch(string(f.Data), -1) {
			if _, ok := env[m[1]]; !ok {
				env[m[1]] = "unset" // the deploy asks for it; the value is not here
			}
		}
	}
	load := func(d types.ConfigDetails, relax func(*loader.Options)) (*types.Project, error) {
		return loader.LoadWithContext(ctx, d, func(o *loader.Options) {
			o.SetProjectName("project", true)
			o.Profiles = []string{"*"}
			o.ResolvePaths = true
			o.SkipResolveEnvironment, o.SkipResolveLabels = true, true
			o.SkipExtends, o.SkipInclude = !stage.whole, !stage.whole
			o.Interpolate = &interpolation.Options{LookupValue: details.LookupEnv, Substitute: substitute}
			relax(o)
		})
	}
	var refused error
	for i, relax := range relaxations {
		p, err := load(details, relax)
		if err == nil {
			if refused != nil { // Compose would refuse the file; most of it can be read
				l.d.missErr(l.name, refused)
			}
			return p, nil
		}
		switch i {
		case 0:
			refused = l.undefined()
		case 1:
			refused = l.invalid(func(d types.ConfigDetails) error { _, err := load(d, relax); return err })
		}
	}
	return nil, refused
}

// relaxations are tried in turn, so that a file with one mistake is still read.
var relaxations = []func(*loader.Options){
	func(*loader.Options) {},
	func(o *loader.Options) { o.SkipConsistencyCheck = true },
	func(o *loader.Options) { o.SkipConsistencyCheck, o.SkipValidation = true, true },
}

// substitute interpolates without writing to anybody's log.
func substitute(text string, lookup template.Mapping) (string, error) {
	return template.SubstituteWithOptions(text, lookup, template.WithoutLogging)
}

var versionLine = regexp.MustCompile(`(?m)^version:`)

// withoutVersion hides the obsolete version, about which the library would log.
func withoutVersion(data []byte) []byte { return versionLine.ReplaceAll(data, []byte("#ersion:")) }

// at finds the key that sets a path: in the last file that has it.
func (l *composeLoad) at(path ...string) (premortem.Pos, bool) {
	for _, f := range l.sources() {
		n := f.docs[0]
		for i, p := range path {
			k, v := pair(n, p)
			if k == nil {
				break
			}
			if i == len(path)-1 {
				return at(f.Path, k), true
			}
			n = v
		}
	}
	return premortem.Pos{}, false
}

// sources are the files that may set a value, the last word first.
func (l *composeLoad) sources() []*manifest {
	out := slices.Clone(l.files)
	slices.Reverse(out)
	return append(out, l.extra...)
}

// pos is at, with the service's own line for what stands in another file.
func (l *composeLoad) pos(service string, path ...string) premortem.Pos {
	for n := len(path); n >= 0; n-- {
		if p, ok := l.at(append([]string{"services", service}, path[:n]...)...); ok {
			return p
		}
	}
	return premortem.Pos{File: l.files[0].Path, Line: 1}
}

// rel turns a path that the library resolved back into one of the repository, ""
// for one outside.
func (l *composeLoad) rel(p string) string {
	if p == l.root {
		return "."
	}
	rest, ok := strings.CutPrefix(p, l.root+"/")
	if !ok {
		return ""
	}
	return path.Clean(rest)
}

func (l *composeLoad) workload(name string, c types.ServiceConfig) *workload {
	w := &workload{name: name, hosts: []string{name}}
	w.Deployment, w.Pos = l.name, l.pos(name)
	if c.Image != "" {
		w.Image = premortem.Setting[string]{Value: c.Image, Pos: l.pos(name, "image")}
		if c.Build == nil {
			w.kind = storeKind(c.Image)
		}
	}
	if c.ContainerName != "" {
		w.hosts = append(w.hosts, c.ContainerName)
	}
	for _, n := range c.Networks {
		if n != nil {
			w.hosts = append(w.hosts, n.Aliases...)
		}
	}
	slices.Sort(w.hosts)
	l.build(w, name, c.Build)
	l.scale(w, name, c)
	for i, p := range c.Ports {
		w.Ports = append(w.Ports, premortem.Setting[int]{Value: int(p.Target), Pos: l.listPos(name, "ports", i, strconv.Itoa(int(p.Target)))})
	}
	for i, p := range c.Expose {
		num, _, _ := strings.Cut(p, "/")
		if n, err := strconv.Atoi(num); err == nil {
			w.Ports = append(w.Ports, premortem.Setting[int]{Value: n, Pos: l.listPos(name, "expose", i, num)})
		}
	}
	if c.Entrypoint != nil {
		w.entrypoint = premortem.Setting[[]string]{Value: maskArgs(c.Entrypoint), Pos: l.pos(name, "entrypoint")}
	}
	if c.Command != nil {
		w.command = premortem.Setting[[]string]{Value: maskArgs(c.Command), Pos: l.pos(name, "command")}
	}
	l.health(w, name, c.HealthCheck)
	l.run(w, name, c)
	for _, dep := range sortedKeys(c.DependsOn) {
		pos := l.pos(name, "depends_on", dep)
		if _, ok := l.at("services", name, "depends_on", dep); !ok {
			pos = l.listPos(name, "depends_on", -1, dep)
		}
		n := need{name: dep, pos: pos}
		if at, ok := l.at("services", name, "depends_on", dep, "condition"); ok {
			n.condition = premortem.Setting[string]{Value: c.DependsOn[dep].Condition, Pos: at}
		}
		w.needs = append(w.needs, n)
	}
	l.environment(w, name, c)
	return w
}

// listPos finds an element of a list: by its text, else by its place.
func (l *composeLoad) listPos(service, key string, i int, holds string) premortem.Pos {
	for _, f := range l.sources() {
		list := items(field(f.docs[0], "services", service, key))
		for _, n := range list {
			s := text(n) + text(field(n, "target")) + text(field(n, "path"))
			if s == holds || strings.HasSuffix(s, ":"+holds) || strings.HasPrefix(s, holds+"=") || strings.HasSuffix(strings.Split(s, "/")[0], ":"+holds) {
				return at(f.Path, n)
			}
		}
		if i >= 0 && i < len(list) {
			return at(f.Path, list[i])
		}
		if n := field(f.docs[0], "services", service, key); text(n) == holds && holds != "" {
			return at(f.Path, n)
		}
	}
	return l.pos(service, key)
}

func (l *composeLoad) build(w *workload, name string, b *types.BuildConfig) {
	if b == nil {
		return
	}
	w.context = l.rel(b.Context)
	if w.context == "" {
		l.d.miss(l.pos(name, "build"), "the build context is outside of the repository or remote")
		return
	}
	w.target = b.Target
	if b.DockerfileInline != "" {
		l.d.miss(l.pos(name, "build", "dockerfile_inline"), "an inline Dockerfile is not read")
		return
	}
	df := b.Dockerfile
	if df == "" {
		df = "Dockerfile"
	}
	if abs := l.rel(df); abs != "" {
		w.Dockerfile = abs
	} else {
		w.Dockerfile = join(w.context, df)
	}
	w.pinned = b.Dockerfile != ""
	w.built = true
	l.given(w, name, b)
}

func (l *composeLoad) scale(w *workload, name string, c types.ServiceConfig) {
	if c.Scale != nil {
		w.Replicas = premortem.Setting[int]{Value: *c.Scale, Pos: l.pos(name, "scale")}
	}
	if c.MemLimit > 0 {
		w.Memory = premortem.Setting[int64]{Value: int64(c.MemLimit), Pos: l.pos(name, "mem_limit")}
	}
	if c.CPUS > 0 {
		w.CPU = premortem.Setting[float64]{Value: round(float64(c.CPUS)), Pos: l.pos(name, "cpus")}
	}
	if c.Deploy == nil {
		return
	}
	if c.Deploy.Replicas != nil {
		w.Replicas = premortem.Setting[int]{Value: *c.Deploy.Replicas, Pos: l.pos(name, "deploy", "replicas")}
	}
	if lim := c.Deploy.Resources.Limits; lim != nil {
		if lim.MemoryBytes > 0 {
			w.Memory = premortem.Setting[int64]{Value: int64(lim.MemoryBytes), Pos: l.pos(name, "deploy", "resources", "limits", "memory")}
		}
		if lim.NanoCPUs > 0 {
			w.CPU = premortem.Setting[float64]{Value: round(float64(lim.NanoCPUs)), Pos: l.pos(name, "deploy", "resources", "limits", "cpus")}
		}
	}
}

// round undoes the library's 32-bit floats.
func round(f float64) float64 {
	v, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', 3, 64), 64)
	return v
}

var probeURL = regexp.MustCompile(`https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(?::[^/\s'"` + "`" + `]+)?(/[^\s'"` + "`" + `)]*)?`)

func (l *composeLoad) health(w *workload, name string, h *types.HealthCheckConfig) {
	if h == nil || h.Disable {
		return
	}
	if m := probeURL.FindStringSubmatch(strings.Join(h.Test, " ")); m != nil {
		p := m[1]
		if p == "" {
			p = "/"
		}
		w.Health = premortem.Setting[string]{Value: p, Pos: l.pos(name, "healthcheck", "test")}
	}
}
