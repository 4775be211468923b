package read

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/premortem/premortem"
)

var (
	errChartDepth = fmt.Errorf("charts are nested deeper than %d", maxSubcharts)
	errChartWork  = errors.New("the template does not come to an end: rendering was given up")
	errChartSize  = fmt.Errorf("the template makes more than %d bytes", maxRendered)
)

const (
	maxRendered = 4 << 20 // bytes of one template's output
	maxTicks    = 200_000 // turns of loops and calls in one template
	maxCalls    = 60      // nesting of include and tpl
)

// rendering is one chart with one values file.
type rendering struct {
	d       *Draft
	charts  map[string]*chart
	objects []*object
	stores  []*premortem.Store // of dependencies that are not in the repository
	run     *chartRun
	noted   map[string]bool
}

// miss records something once, however many values files lead to it.
func (r *rendering) miss(pos premortem.Pos, why string) {
	if key := pos.String() + why; !r.noted[key] {
		r.noted[key] = true
		r.d.miss(pos, why)
	}
}

func (r *rendering) note(file string, err error) {
	before := len(r.d.unread)
	r.d.missErr(file, err)
	last := r.d.unread[len(r.d.unread)-1]
	r.d.unread = r.d.unread[:before]
	r.miss(last.Pos, last.Why)
}

// chartRun is the templates of a chart, and of those that it uses, at work: first
// of the one, then of the other.
type chartRun struct {
	r       *rendering
	c       *chart
	set     *template.Template
	sources []valuesSource
	files   map[string]string      // templates by name
	traces  map[string]*chartTrace // by template name
	top     map[string]any
	ticks   int
	calls   int
}

// render executes the templates of one chart and adds the objects that they make.
func (r *rendering) render(c *chart, values map[string]any, sources []valuesSource, release *chart) {
	if r.run == nil {
		r.run = &chartRun{r: r, files: map[string]string{}, traces: map[string]*chartTrace{}}
		r.run.set = template.New("").Funcs(chartFuncs).Funcs(r.run.funcs()).Option("missingkey=zero")
		r.run.load(release, 0)
		r.run.trace()
	}
	run := r.run
	run.c, run.sources = c, sources
	run.top = run.scope(values, release)
	for _, p := range c.t.under(path.Join(c.dir, "templates")) {
		if run.files[p] == "" {
			continue
		}
		base := path.Base(p)
		if strings.HasPrefix(base, "_") || base == "NOTES.txt" || strings.Contains(p, "/templates/tests/") {
			continue
		}
		if ext := path.Ext(p); ext != ".yaml" && ext != ".yml" && ext != ".tpl" && ext != ".json" {
			continue
		}
		run.one(p)
	}
}

// load parses the templates of a chart and of the charts that it uses: all share
// their named templates.
func (run *chartRun) load(c *chart, depth int) {
	if depth > maxSubcharts {
		return
	}
	for _, dep := range c.deps {
		if sub := run.r.charts[dep.dir]; sub != nil && sub != c {
			run.load(sub, depth+1)
		}
	}
	for _, p := range c.t.under(path.Join(c.dir, "templates")) {
		if path.Ext(p) == ".md" || run.files[p] != "" {
			continue
		}
		data, err := c.t.read(p)
		if err != nil {
			run.r.note(p, err)
			continue
		}
		if nesting(data) > maxDepth {
			run.r.miss(premortem.Pos{File: p, Line: 1}, fmt.Sprintf("the template is nested deeper than %d", maxDepth))
			continue
		}
		run.files[p] = string(data)
		if _, err := run.set.New(p).Parse(string(data)); err != nil {
			run.r.miss(run.errorPos(p, err), "the template is not understood: "+templateError(err))
		}
	}
}

// scope is what templates see as the dot.
func (run *chartRun) scope(values map[string]any, release *chart) map[string]any {
	doc := run.c.doc
	meta := map[string]any{"Name": run.c.name, "IsRoot": run.c == release}
	for _, k := range []string{"version", "appVersion", "description", "type", "apiVersion", "kubeVersion", "home", "icon"} {
		meta[strings.ToUpper(k[:1])+k[1:]] = text(field(doc, k))
	}
	meta["APIVersion"] = text(field(doc, "apiVersion"))
	notes := map[string]any{}
	for _, e := range entries(field(doc, "annotations")) {
		notes[e.key.Value] = text(e.value)
	}
	meta["Annotations"] = notes
	return map[string]any{
		"Values": values, "Chart": meta, "Subcharts": map[string]any{},
		"Release": map[string]any{
			"Name": release.name, "Namespace": "default", "Service": "Helm", "IsInstall": true, "IsUpgrade": false, "Revision": 1,
		},
		"Capabilities": capabilities(), "Files": chartFiles{run.c},
	}
}

// one executes one template file.
func (run *chartRun) one(p string) {
	defer func() {
		if bad := recover(); bad != nil {
			run.r.miss(premortem.Pos{File: p, Line: 1}, fmt.Sprintf(cannotRender+": %v", bad))
		}
	}()
	t := run.set.Lookup(p)
	if t == nil || t.Tree == nil {
		return
	}
	run.ticks, run.calls = 0, 0
	run.top["Template"] = map[string]any{"Name": p, "BasePath": path.Join(run.c.dir, "templates")}
	out := &limitedWriter{left: maxRendered}
	if err := run.set.Lookup(p).Execute(out, run.top); err != nil {
		run.r.miss(run.errorPos(p, err), cannotRender+": "+templateError(err))
		return
	}
	run.manifests(p, strings.ReplaceAll(out.String(), "<no value>", ""))
}

// manifests parses what a template made and ties each object to its lines.
func (run *chartRun) manifests(p, out string) {
	lines := strings.Split(out, "\n")
	places := make([]int, len(lines)+1) // template line of each rendered line
	last := 1
	for i, l := range lines {
		own := last
		if at := strings.IndexRune(l, markOpen); at >= 0 {
			if strings.TrimSpace(l[:at]) == "" { // later marks stand behind what an action printed
				own = markNumber(l[at:], last)
			}
			last = markNumber(l[strings.LastIndex(l, string(markOpen)):], last)
		}
		places[i+1] = own
		lines[i] = unmark(l)
	}
	docs, err := parseYAML(File{p, []byte(strings.Join(lines, "\n"))})
	if err != nil {
		pos := premortem.Pos{File: p, Line: 1}
		if pe, ok := errors.AsType[*premortem.Error](err); ok && pe.Pos.Line < len(places) {
			pos.Line = places[pe.Pos.Line]
			err = pe.Err
		}
		run.r.miss(pos, "what the template makes is no YAML: "+err.Error())
	}
	for _, doc := range docs {
		for _, o := range plainObjects(p, doc) {
			if strings.Contains(text(field(o.node, "metadata", "annotations", "helm.sh/hook")), "test") {
				continue
			}
			o.sources = []source{{file: p, node: o.node, op: "helm", place: run.placer(p, places)}}
			run.r.objects = append(run.r.objects, o)
		}
	}
	if len(docs) > 0 {
		run.r.quotable(run.c.t, p)
		for _, s := range run.sources {
			run.r.quotable(run.c.t, s.file)
		}
	}
}

// quotable remembers a file whose lines are shown as evidence.
func (r *rendering) quotable(t *Tree, p string) {
	for _, m := range r.d.manifests {
		if m.Path == p {
			return
		}
	}
	if data, err := t.read(p); err == nil {
		r.d.manifests = append(r.d.manifests, &manifest{File{p, data}, "helm", nil})
	}
}

var templateLine = regexp.MustCompile(`template: ([^:]+):(\d+)`)

// errorPos finds the line that an error of the template library names.
func (run *chartRun) errorPos(p string, err error) premortem.Pos {
	pos := premortem.Pos{File: p, Line: 1}
	all := templateLine.FindAllStringSubmatch(err.Error(), -1)
	for _, m := range slices.Backward(all) {
		src, ok := run.files[m[1]]
		if n, _ := strconv.Atoi(m[2]); ok && n >= 1 && n <= strings.Count(src, "\n")+1 {
			return premortem.Pos{File: m[1], Line: n}
		}
	}
	return pos
}

var templatePrefix = regexp.MustCompile(`^.*(?:>: |\d: |: error calling \w+: )`)

// templateError drops the library's trail of places, which the position says.
func templateError(err error) string {
	s := unmark(strings.ReplaceAll(err.Error(), "\n", " "))
	if short := templatePrefix.ReplaceAllString(s, ""); short != "" {
		s = short
	}
	return clip(maskTokens(s))
}

// limitedWriter refuses output without end.
type limitedWriter struct {
	bytes.Buffer
	left int
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errChartSize
	}
	return w.Buffer.Write(p)
}

// include executes a named template and returns what it makes.
func (run *chartRun) include(name string, data any) (string, error) {
	if run.calls++; run.calls > maxCalls {
		return "", errChartWork
	}
	defer func() { run.calls-- }()
	out := &limitedWriter{left: maxRendered / 4}
	err := run.set.ExecuteTemplate(out, name, data)
	return unmark(strings.ReplaceAll(out.String(), "<no value>", "")), err
}

// tpl renders a value as a template.
func (run *chartRun) tpl(text string, data any) (string, error) {
	if run.calls++; run.calls > maxCalls || nesting([]byte(text)) > maxDepth {
		return "", errChartWork
	}
	defer func() { run.calls-- }()
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	if run.ticks += 100; run.ticks > maxTicks {
		return "", errChartWork
	}
	set, err := run.set.Clone()
	if err != nil {
		return "", err
	}
	t, err := set.New("tpl").Parse(text)
	if err != nil {
		return "", err
	}
	tickTree(t.Tree, run.set)
	out := &limitedWriter{left: maxRendered / 4}
	err = t.Execute(out, data)
	return unmark(strings.ReplaceAll(out.String(), "<no value>", "")), err
}

func (run *chartRun) funcs() template.FuncMap {
	return template.FuncMap{
		"include": run.include,
		"tpl":     run.tpl,
		"required": func(why string, v any) (any, error) {
			if v == nil || v == "" {
				run.r.miss(premortem.Pos{File: run.c.file, Line: 1}, "the chart requires a value that no values file gives: "+clip(maskTokens(why)))
				return "", nil
			}
			return v, nil
		},
		"premortemTick": func() (string, error) {
			if run.ticks++; run.ticks > maxTicks {
				return "", errChartWork
			}
			return "", nil
		},
	}
}
