package read

import (
	"context"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// Platform reads the files of platforms that run an application from its
// repository: Heroku, Fly.io, Render and Railway.
var Platform = add(Reader{
	Name: "platform",
	Doc: premortem.Doc{
		Title:  "Files of Heroku, Fly.io, Render and Railway",
		Why:    "Where a platform runs the code, its file is the only manifest that production has.",
		When:   "Procfile with app.json, fly.toml, render.yaml, railway.json and railway.toml: what is started, with which variables, memory, ports and databases.",
		Silent: "What is set in a dashboard or by a command line: their variables cannot be listed.",
		Fix:    "List the keys that the platform holds in premortem.yaml under provides.",
	},
	Wants: func(p string) bool {
		switch path.Base(p) {
		case "Procfile", "fly.toml", "render.yaml", "railway.json", "railway.toml":
			return true
		}
		return false
	},
	Read:  readPlatform,
	Whole: readAppJSON,
})

func readPlatform(f File, d *Draft) error {
	p := &platform{f: f, d: d}
	var err error
	switch path.Base(f.Path) {
	case "Procfile":
		p.procfile()
	case "fly.toml":
		err = p.fly()
	case "render.yaml":
		err = p.render()
	default:
		err = p.railway()
	}
	if p.found {
		d.deployments = append(d.deployments, &premortem.Deployment{Name: f.Path, Kind: "platform", Pos: premortem.Pos{File: f.Path, Line: 1}})
	}
	return err
}

// platform is one file of one platform.
type platform struct {
	f     File
	d     *Draft
	found bool
}

// add starts a workload whose further variables stand in a dashboard.
func (p *platform) add(name string, line int, where string) *workload {
	w := &workload{name: name, hosts: []string{name}}
	w.Deployment, w.Dir = p.f.Path, path.Dir(p.f.Path)
	w.Pos = p.at(line)
	w.Opaque = append(w.Opaque, premortem.Opaque{Why: where + " may hold more variables", Pos: w.Pos})
	p.d.workloads = append(p.d.workloads, w)
	p.found = true
	return w
}

func (p *platform) at(line int) premortem.Pos {
	return premortem.Pos{File: p.f.Path, Line: max(line, 1)}
}

var procLine = regexp.MustCompile(`^([A-Za-z0-9_-]+):\s*(\S.*)$`)

func (p *platform) procfile() {
	for i, l := range strings.Split(string(p.f.Data), "\n") {
		m := procLine.FindStringSubmatch(strings.TrimSuffix(l, "\r"))
		if m == nil || m[1] == "release" {
			continue
		}
		w := p.add(m[1], i+1, "the platform's configuration")
		w.command = premortem.Setting[[]string]{Value: maskArgs(strings.Fields(m[2])), Pos: p.at(i + 1)}
	}
}

// readAppJSON adds what Heroku's app.json says to the processes of the Procfile
// beside it.
func readAppJSON(_ context.Context, t *Tree, d *Draft) error {
	for _, file := range t.paths {
		if path.Base(file) != "app.json" || !t.has(path.Join(path.Dir(file), "Procfile")) {
			continue
		}
		data, err := t.read(file)
		if err != nil {
			continue
		}
		docs, err := parseYAML(File{file, data})
		if err != nil || len(docs) == 0 {
			d.missErr(file, err)
			continue
		}
		deployment := path.Join(path.Dir(file), "Procfile")
		var sets []premortem.EnvSet
		for _, e := range entries(field(docs[0], "env")) {
			s := premortem.EnvSet{Name: e.key.Value, Source: "app.json", Pos: at(file, e.key)}
			value := text(e.value)
			if v := field(e.value, "value"); v != nil {
				value = text(v)
			}
			if value == "" && text(field(e.value, "required")) == "false" {
				continue
			}
			if value != "" {
				keep(&s, value, plainSource)
			}
			sets = append(sets, s)
		}
		for _, w := range d.workloads {
			if w.Deployment != deployment {
				continue
			}
			w.Provides = firstOfEach(append(w.Provides, sets...))
			size := field(docs[0], "formation", w.name, "quantity")
			if n, err := strconv.Atoi(text(size)); err == nil {
				w.Replicas = premortem.Setting[int]{Value: n, Pos: at(file, size)}
			}
		}
		for _, a := range items(field(docs[0], "addons")) {
			herokuStore(d, deployment, file, a)
		}
	}
	return nil
}

func herokuStore(d *Draft, deployment, file string, addon *yaml.Node) {
	plan := text(addon) + text(field(addon, "plan"))
	name, _, _ := strings.Cut(plan, ":")
	kind := map[string]string{"heroku-postgresql": "postgres", "heroku-redis": "redis", "rediscloud": "redis", "cleardb": "mysql", "jawsdb": "mysql", "cloudamqp": "rabbitmq"}[name]
	if kind == "" {
		return
	}
	s := &premortem.Store{Deployment: deployment, Node: premortem.Node("store/" + name), Kind: kind, Pos: at(file, addon)}
	if v := field(addon, "options", "version"); text(v) != "" {
		s.Version = premortem.Setting[string]{Value: text(v), Pos: at(file, v)}
	}
	d.stores = append(d.stores, s)
}

// decodeTOML reads a TOML file with the line of each key: "env.PORT" is 7.
func (p *platform) decodeTOML() (map[string]any, map[string]int, error) {
	if nesting(p.f.Data) > maxDepth {
		return nil, nil, &premortem.Error{Doing: "parse TOML", Pos: p.at(1), Err: errNested}
	}
	var doc map[string]any
	if _, err := toml.Decode(string(p.f.Data), &doc); err != nil {
		line := 1
		if pe, ok := err.(toml.ParseError); ok {
			line = min(max(pe.Position.Line, 1), strings.Count(string(p.f.Data), "\n")+1)
			err = errTOML(pe.Message)
		}
		return nil, nil, &premortem.Error{Doing: "parse TOML", Pos: p.at(line), Err: err}
	}
	return doc, tomlLines(p.f.Data), nil
}

type errTOML string

func (e errTOML) Error() string { return string(e) }

const errNested = errTOML("nested too deep")

var (
	tomlTable = regexp.MustCompile(`^\s*\[\[?\s*([^\[\]]+?)\s*\]\]?`)
	tomlKey   = regexp.MustCompile(`^\s*["']?([A-Za-z0-9_\-.]+)["']?\s*=`)
)

// tomlLines is the line of the first of each key, by its dotted name.
func tomlLines(data []byte) map[string]int {
	out := map[string]int{}
	table := ""
	for i, l := range strings.Split(string(data), "\n") {
		name := ""
		if m := tomlTable.FindStringSubmatch(l); m != nil {
			name = strings.NewReplacer(`"`, "", "'", "", " ", "").Replace(m[1])
			table = name + "."
		} else if m := tomlKey.FindStringSubmatch(l); m != nil {
			name = table + m[1]
		}
		if _, ok := out[name]; !ok && name != "" {
			out[name] = i + 1
		}
	}
	return out
}

// tomlText is a scalar at a path, through lists by their first element.
func tomlText(v any, dotted string) string {
	for k := range strings.SplitSeq(dotted, ".") {
		if list, ok := v.([]map[string]any); ok && len(list) > 0 {
			v = list[0]
		}
		if list, ok := v.([]any); ok && len(list) > 0 {
			v = list[0]
		}
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[k]
	}
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// fly reads a fly.toml: an application with its processes.
func (p *platform) fly() error {
	doc, lines, err := p.decodeTOML()
	if err != nil {
		return err
	}
	setting := func(key string) premortem.Setting[string] {
		v := tomlText(doc, key)
		if v == "" {
			return premortem.Setting[string]{}
		}
		return premortem.Setting[string]{Value: v, Pos: p.at(lines[key])}
	}
	processes, _ := doc["processes"].(map[string]any)
	names := sortedKeys(processes)
	if len(names) == 0 {
		names = []string{""}
	}
	app := setting("app").Value
	for _, name := range names {
		full := app
		if full == "" {
			full = "app"
		}
		line := lines["app"]
		if name != "" && name != "app" {
			full, line = full+"-"+name, lines["processes."+name]
		}
		w := p.add(full, line, "fly secrets")
		if cmd := setting("processes." + name); cmd.Set() {
			w.command = premortem.Setting[[]string]{Value: maskArgs(strings.Fields(cmd.Value)), Pos: cmd.Pos}
		}
		p.flyBuild(w, setting)
		env, _ := doc["env"].(map[string]any)
		for _, k := range sortedKeys(env) {
			s := premortem.EnvSet{Name: k, Source: "fly.toml", Pos: p.at(lines["env."+k])}
			keep(&s, tomlText(env, k), plainSource)
			w.Provides = append(w.Provides, s)
		}
		for _, key := range []string{"http_service", "services"} {
			if name != "" && name != "app" && name != "web" {
				break // what answers requests is the main process
			}
			if port := intOf(setting(key + ".internal_port")); port.Set() {
				w.Ports = append(w.Ports, port)
			}
			if n := intOf(setting(key + ".min_machines_running")); n.Set() && n.Value > 0 {
				w.Replicas = n
			}
			for _, check := range []string{".checks.path", ".http_checks.path"} {
				if h := setting(key + check); h.Set() {
					w.Health = h
				}
			}
		}
		p.flySize(w, setting)
	}
	return nil
}

func (p *platform) flyBuild(w *workload, setting func(string) premortem.Setting[string]) {
	w.Image = setting("build.image")
	if df := setting("build.dockerfile"); df.Set() {
		w.Dockerfile = join(path.Dir(p.f.Path), df.Value)
		w.context, w.pinned = path.Dir(p.f.Path), true
	}
	w.target = setting("build.build-target").Value
}

var flyMemory = regexp.MustCompile(`(?i)^(\d{1,6})\s*(mb|gb|)$`)

func (p *platform) flySize(w *workload, setting func(string) premortem.Setting[string]) {
	for _, key := range []string{"vm.memory", "vm.memory_mb"} {
		s := setting(key)
		m := flyMemory.FindStringSubmatch(s.Value)
		if m == nil {
			continue
		}
		n, _ := strconv.ParseInt(m[1], 10, 64)
		shift := 20
		if strings.EqualFold(m[2], "gb") {
			shift = 30
		}
		w.Memory = premortem.Setting[int64]{Value: n << shift, Pos: s.Pos}
	}
	if s := setting("vm.cpus"); s.Set() {
		if f, err := strconv.ParseFloat(s.Value, 64); err == nil && f > 0 && f < 1e4 {
			w.CPU = premortem.Setting[float64]{Value: f, Pos: s.Pos}
		}
	}
}

// railway reads railway.json or railway.toml.
func (p *platform) railway() error {
	get := func(string) premortem.Setting[string] { return premortem.Setting[string]{} }
	if path.Ext(p.f.Path) == ".toml" {
		doc, lines, err := p.decodeTOML()
		if err != nil {
			return err
		}
		get = func(key string) premortem.Setting[string] {
			if v := tomlText(doc, key); v != "" {
				return premortem.Setting[string]{Value: v, Pos: p.at(lines[key])}
			}
			return premortem.Setting[string]{}
		}
	} else {
		docs, err := parseYAML(p.f)
		if err != nil || len(docs) == 0 {
			return err
		}
		get = func(key string) premortem.Setting[string] {
			if n := field(docs[0], strings.Split(key, ".")...); text(n) != "" {
				return premortem.Setting[string]{Value: text(n), Pos: at(p.f.Path, n)}
			}
			return premortem.Setting[string]{}
		}
	}
	name := path.Base(path.Dir(p.f.Path))
	if name == "." {
		name = "app"
	}
	w := p.add(name, 1, "the dashboard of Railway")
	if cmd := get("deploy.startCommand"); cmd.Set() {
		w.command = premortem.Setting[[]string]{Value: maskArgs(strings.Fields(cmd.Value)), Pos: cmd.Pos}
	}
	w.Health, w.Replicas = get("deploy.healthcheckPath"), intOf(get("deploy.numReplicas"))
	if df := get("build.dockerfilePath"); df.Set() {
		w.Dockerfile, w.context, w.pinned = join(path.Dir(p.f.Path), df.Value), path.Dir(p.f.Path), true
	}
	return nil
}
