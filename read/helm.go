package read

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// Helm renders charts with each of their values files, without Helm, a cluster or
// the network: `lookup` finds nothing, random values are constant, and charts that
// would have to be downloaded are reported.
var Helm = add(Reader{
	Name: "helm",
	Doc: premortem.Doc{
		Title:  "Helm charts",
		Why:    "Production's replicas, limits and variables are in a values file; the template alone says none of them.",
		When:   "Folders with a Chart.yaml that no other chart uses, rendered once with values.yaml and once with each further values file on top of it: a deployment each. A value has the line of the values file that gives it.",
		Silent: "Dependencies that are neither in charts/ nor a folder of the repository, packed charts, library charts, tests and NOTES.txt.",
		Fix:    "Commit the dependencies, and give values that a chart requires in a values file.",
	},
	Wants: func(p string) bool { return path.Base(p) == "Chart.yaml" },
	Read: func(f File, d *Draft) error {
		_, err := parseYAML(f)
		return err
	},
	Whole: readHelm,
})

const (
	maxValuesFiles = 24 // renderings of one chart
	maxSubcharts   = 8  // nesting of charts
)

// chart is a folder with a Chart.yaml.
type chart struct {
	t       *Tree
	d       *Draft
	dir     string
	name    string
	doc     *yaml.Node // Chart.yaml
	file    string
	library bool
	deps    []chartDep
}

// chartDep is an entry of a chart's dependencies.
type chartDep struct {
	node  *yaml.Node
	name  string // under which the parent's values speak to it
	chart string
	dir   string // "" not in the repository
}

// readHelm renders the charts that stand on top.
func readHelm(ctx context.Context, t *Tree, d *Draft) error {
	charts := map[string]*chart{}
	for _, p := range t.paths {
		if path.Base(p) == "Chart.yaml" {
			if c := openChart(t, d, p); c != nil {
				charts[c.dir] = c
			}
		}
	}
	inner := map[string]bool{}
	for _, dir := range sortedKeys(charts) {
		for _, dep := range charts[dir].deps {
			if dep.dir != "" && dep.dir != dir {
				inner[dep.dir] = true
			}
		}
		d.manifests = slices.DeleteFunc(d.manifests, func(m *manifest) bool {
			return strings.HasPrefix(m.Path, path.Join(dir, "templates")+"/") || strings.HasPrefix(m.Path, path.Join(dir, "crds")+"/")
		})
	}
	for _, dir := range sortedKeys(charts) {
		c := charts[dir]
		if inner[dir] || c.library {
			continue
		}
		files := c.valuesFiles(len(charts) == 1, alone(charts, inner, dir))
		if len(files) > maxValuesFiles {
			d.miss(premortem.Pos{File: files[maxValuesFiles], Line: 1}, fmt.Sprintf("the chart has more than %d values files: this one and those after it were not rendered", maxValuesFiles))
			files = files[:maxValuesFiles]
		}
		if err := c.deployAll(ctx, charts, files); err != nil {
			return err
		}
	}
	return nil
}

// alone reports whether no other chart stands on top in the folder of this one.
func alone(charts map[string]*chart, inner map[string]bool, dir string) bool {
	for other := range charts {
		if other != dir && !inner[other] && path.Dir(other) == path.Dir(dir) {
			return false
		}
	}
	return path.Dir(dir) != "."
}

// deployAll renders the chart with each of its values files. Its own values alone are
// no deployment where they do not render and those of an environment do.
func (c *chart) deployAll(ctx context.Context, charts map[string]*chart, files []string) error {
	drafts := make([]Draft, len(files))
	rendered := false
	into := c.d
	for i, over := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		drafts[i].manifests, drafts[i].tree = slices.Clip(into.manifests), into.tree
		c.d = &drafts[i]
		c.deploy(charts, over)
		drafts[i].manifests = drafts[i].manifests[len(into.manifests):]
		rendered = rendered || over != "" && len(drafts[i].deployments) > 0 && !unrendered(&drafts[i])
	}
	c.d = into
	for i, over := range files {
		if over == "" && rendered && unrendered(&drafts[i]) {
			continue
		}
		into.join(&drafts[i])
	}
	return nil
}

// cannotRender begins what is said of a template that stopped.
const cannotRender = "the template cannot be rendered"

// unrendered reports a chart of which a template stopped for want of a value.
func unrendered(d *Draft) bool {
	return slices.ContainsFunc(d.unread, func(u premortem.Unread) bool { return strings.HasPrefix(u.Why, cannotRender) })
}

func openChart(t *Tree, d *Draft, p string) *chart {
	data, err := t.read(p)
	if err != nil {
		return nil // Read reported it
	}
	docs, err := parseYAML(File{p, data})
	if err != nil || len(docs) == 0 {
		return nil
	}
	c := &chart{t: t, d: d, dir: path.Dir(p), file: p, doc: docs[0], name: text(field(docs[0], "name"))}
	if c.name == "" {
		c.name = path.Base(c.dir)
	}
	c.library = text(field(c.doc, "type")) == "library"
	c.dependencies()
	return c
}

// dependencies lists what Chart.yaml asks for and what lies in charts/ unasked.
func (c *chart) dependencies() {
	asked := map[string]bool{}
	list := items(field(c.doc, "dependencies"))
	if data, err := c.t.read(path.Join(c.dir, "requirements.yaml")); err == nil {
		if docs, err := parseYAML(File{path.Join(c.dir, "requirements.yaml"), data}); err == nil && len(docs) > 0 {
			list = append(list, items(field(docs[0], "dependencies"))...)
		}
	}
	for _, n := range list {
		dep := chartDep{node: n, chart: text(field(n, "name"))}
		dep.name = text(field(n, "alias"))
		if dep.name == "" {
			dep.name = dep.chart
		}
		if dep.chart == "" {
			continue
		}
		asked[dep.chart] = true
		local, isFile := strings.CutPrefix(text(field(n, "repository")), "file://")
		for _, dir := range []string{join(c.dir, "charts/"+dep.chart), join(c.dir, "charts/"+dep.name), join(c.dir, local)} {
			if dir != "" && (dir != join(c.dir, local) || isFile) && c.t.has(path.Join(dir, "Chart.yaml")) {
				dep.dir = dir
				break
			}
		}
		c.deps = append(c.deps, dep)
	}
	for _, p := range c.t.under(join(c.dir, "charts")) {
		rest := strings.TrimPrefix(p, path.Join(c.dir, "charts")+"/")
		name, base, ok := strings.Cut(rest, "/")
		if ok && base == "Chart.yaml" && !asked[name] {
			c.deps = append(c.deps, chartDep{name: name, chart: name, dir: path.Dir(p)})
		}
	}
}

// valuesFiles lists what the chart is rendered with: "" for its own values alone,
// then each further values file. The only chart of a repository also takes those
// that lie elsewhere, and one that is alone in its folder those that lie beside it.
func (c *chart) valuesFiles(only, alone bool) []string {
	out := []string{""}
	for _, p := range c.t.paths {
		ext := path.Ext(p)
		if ext != ".yaml" && ext != ".yml" || isCompose(p) {
			continue
		}
		base, dir := strings.ToLower(strings.TrimSuffix(path.Base(p), ext)), path.Dir(p)
		named := base == "values" || strings.HasPrefix(base, "values-") || strings.HasPrefix(base, "values.") || strings.HasPrefix(base, "values_") ||
			strings.HasSuffix(base, "-values") || strings.HasSuffix(base, ".values") || strings.HasSuffix(base, "_values")
		switch {
		case dir == c.dir && named && base != "values",
			dir == path.Join(c.dir, "values") || dir == path.Join(c.dir, "environments") || dir == path.Join(c.dir, "envs"):
			out = append(out, p)
		case alone && named && base != "values" && dir == path.Dir(c.dir):
			out = append(out, p)
		case only && named && !strings.HasPrefix(p, c.dir+"/") && c.dir != "." && !shownOnly(dir):
			out = append(out, p)
		}
	}
	return out
}

// deployment names a rendering by the chart and the values file.
func (c *chart) deployment(over string) string {
	if over == "" {
		if c.dir == "." {
			return c.file
		}
		return c.dir
	}
	return c.dir + " (" + strings.TrimPrefix(over, c.dir+"/") + ")"
}

// deploy renders the chart with one values file and reads what comes of it.
func (c *chart) deploy(charts map[string]*chart, over string) {
	r := &rendering{d: c.d, charts: charts, noted: map[string]bool{}}
	values := map[string]any{}
	var sources []valuesSource
	if over != "" {
		src, err := openValues(c.t, over)
		if err != nil {
			c.d.missErr(over, err)
			return
		}
		values = src.values
		sources = append(sources, src)
	}
	r.chart(c, values, sources, nil, 0)
	if len(r.objects) == 0 && len(r.stores) == 0 {
		return
	}
	pos := premortem.Pos{File: c.file, Line: 1}
	if over != "" {
		pos.File = over
	}
	cl := &cluster{t: c.t, d: c.d, deployment: c.deployment(over), objects: r.objects}
	before := len(c.d.workloads)
	cl.add(pos)
	for _, s := range r.stores {
		s.Deployment = cl.deployment
		c.d.stores = append(c.d.stores, s)
	}
	if len(r.stores) > 0 && before == len(c.d.workloads) {
		c.d.deployments = append(c.d.deployments, &premortem.Deployment{Name: cl.deployment, Kind: "kubernetes", Pos: pos})
	}
}
