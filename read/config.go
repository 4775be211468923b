package read

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// config is what premortem.yaml says, before its names are matched with the system.
type config struct {
	file       string
	production premortem.Setting[string]
	database   premortem.DatabaseWish
	base       premortem.Base
	objectives []premortem.Objective
	journeys   []*premortem.Journey
	services   []serviceWish
	provides   []provideWish
	suppress   []premortem.Suppression
	load       premortem.Setting[string]
	paths      []premortem.Setting[string] // files that must exist
	login      premortem.Setting[string]   // journey that logs the browser in
}

// serviceWish overrules what was inferred of a service.
type serviceWish struct {
	name    premortem.Setting[string]
	command premortem.Setting[[]string]
	health  premortem.Setting[string]
	dir     premortem.Setting[string]
}

// provideWish lists keys of a source that files cannot enumerate.
type provideWish struct {
	service premortem.Setting[string]
	keys    []premortem.Setting[string]
}

// ConfigFile reads premortem.yaml strictly: a wrong key, unit or reference is an
// error with its line and the nearest valid name.
var ConfigFile = add(Reader{
	Name: "premortem.yaml",
	Doc: premortem.Doc{
		Title:  "premortem.yaml",
		Why:    "It says what files cannot: which deployment is production, how many rows it has, what users do and what they were promised.",
		When:   "premortem.yaml in the root of the repository.",
		Silent: "Nothing in it is ignored: what is not understood is an error.",
		Fix:    "Correct the line that the error names; it proposes the nearest valid name.",
	},
	Wants: func(p string) bool { return p == "premortem.yaml" || p == "premortem.yml" },
	Read: func(f File, d *Draft) error {
		c, err := parseConfig(f)
		if err != nil {
			d.fatal = err
			return nil
		}
		d.configs = append(d.configs, c)
		return nil
	},
	Whole: checkConfigPaths,
})

// configParser keeps the first error, so that the parts need no error plumbing.
type configParser struct {
	file string
	err  error
}

func parseConfig(f File) (*config, error) {
	c := &config{file: f.Path}
	docs, err := parseYAML(f)
	if err != nil {
		var pe *premortem.Error
		if errors.As(err, &pe) {
			pe.Doing, pe.Hint = "read premortem.yaml", "correct the YAML of this line"
		}
		return nil, err
	}
	if len(docs) == 0 {
		return c, nil
	}
	p := &configParser{file: f.Path}
	if len(docs) > 1 {
		p.fail(docs[1], errors.New("a second document"), "keep one document")
	}
	p.top(docs[0], c)
	p.loginJourney(c)
	if p.err != nil {
		return nil, p.err
	}
	return c, nil
}

func (p *configParser) fail(n *yaml.Node, err error, hint string) {
	if p.err == nil {
		p.err = &premortem.Error{Doing: "read premortem.yaml", Pos: at(p.file, n), Err: err, Hint: hint}
	}
}

// keyed calls a function for each key of a mapping. An unknown key is an error that
// names the nearest known one.
func (p *configParser) keyed(n *yaml.Node, where string, known map[string]func(k, v *yaml.Node)) {
	n = deref(n)
	if n == nil || n.Kind != yaml.MappingNode {
		p.fail(n, fmt.Errorf("%s wants keys: %s", where, strings.Join(sortedKeys(known), ", ")), "write them as a mapping, one key a line")
		return
	}
	seen := map[string]bool{}
	for _, e := range entries(n) {
		fn, ok := known[e.key.Value]
		switch {
		case !ok:
			p.unknown(e.key, "key", where, e.key.Value, sortedKeys(known))
			return
		case seen[e.key.Value]:
			p.fail(e.key, fmt.Errorf("%s stands twice in %s", e.key.Value, where), "keep one of them")
			return
		}
		seen[e.key.Value] = true
		fn(e.key, deref(e.value))
	}
}

func (p *configParser) unknown(n *yaml.Node, what, where, got string, known []string) {
	hint := "one of: " + strings.Join(known, ", ")
	if near := nearest(got, known); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	if len(known) == 0 {
		hint = "remove it, or add it to the repository"
	}
	p.fail(n, fmt.Errorf("unknown %s %q in %s", what, got, where), hint)
}

func (p *configParser) top(n *yaml.Node, c *config) {
	p.keyed(n, "premortem.yaml", map[string]func(k, v *yaml.Node){
		"production": func(_, v *yaml.Node) { c.production = p.str(v, "production") },
		"database":   func(_, v *yaml.Node) { p.database(v, c) },
		"base": func(_, v *yaml.Node) {
			p.keyed(v, "base", map[string]func(k, v *yaml.Node){
				"users": func(_, v *yaml.Node) { c.base.Users = p.number(v, "base.users") },
				"calls": func(_, v *yaml.Node) { c.base.Calls = p.rate(v, "base.calls") },
			})
		},
		"objectives": func(_, v *yaml.Node) {
			for _, i := range p.list(v, "objectives") {
				c.objectives = append(c.objectives, p.objective(i))
			}
		},
		"journeys": func(_, v *yaml.Node) { p.journeys(v, c) },
		"load":     func(_, v *yaml.Node) { p.load(v, c) },
		"services": func(_, v *yaml.Node) { p.services(v, c) },
		"provides": func(_, v *yaml.Node) { p.provides(v, c) },
		"browser":  func(_, v *yaml.Node) { p.browser(v, c) },
		"suppress": func(_, v *yaml.Node) {
			for _, i := range p.list(v, "suppress") {
				c.suppress = append(c.suppress, p.suppression(i))
			}
		},
	})
}

func (p *configParser) database(n *yaml.Node, c *config) {
	p.keyed(n, "database", map[string]func(k, v *yaml.Node){
		"profile": func(_, v *yaml.Node) {
			c.database.Profile = p.str(v, "database.profile")
			c.paths = append(c.paths, c.database.Profile)
		},
		"rows": func(_, v *yaml.Node) {
			for _, e := range p.mapping(v, "database.rows") {
				rows := p.count(e.value, "database.rows."+e.key.Value)
				c.database.Rows = append(c.database.Rows, premortem.RowWish{Table: e.key.Value, Rows: rows})
			}
		},
		"values": func(_, v *yaml.Node) {
			for _, e := range p.mapping(v, "database.values") {
				i := strings.LastIndex(e.key.Value, ".")
				if i <= 0 || i == len(e.key.Value)-1 {
					p.fail(e.key, fmt.Errorf("%q is not table.column", e.key.Value), `write for example users.email: "user${id}@shop.example"`)
					return
				}
				c.database.Values = append(c.database.Values, premortem.ValueWish{
					Table: e.key.Value[:i], Column: e.key.Value[i+1:], Template: p.scalar(e.value, "database.values."+e.key.Value)})
			}
		},
	})
}

func (p *configParser) objective(n *yaml.Node) premortem.Objective {
	o := premortem.Objective{Pos: at(p.file, n)}
	p.keyed(n, "objectives", map[string]func(k, v *yaml.Node){
		"route": func(_, v *yaml.Node) {
			o.Route = p.str(v, "objectives.route").Value
			if method, path, ok := strings.Cut(o.Route, " "); o.Route != "*" && (!ok || !isMethod(method) || !strings.HasPrefix(path, "/")) {
				p.fail(v, fmt.Errorf("route %q is not METHOD /path", o.Route), `write for example "POST /api/login", or "*" for every route`)
			}
		},
		"p95":    func(_, v *yaml.Node) { o.P95 = p.seconds(v, "objectives.p95") },
		"p99":    func(_, v *yaml.Node) { o.P99 = p.seconds(v, "objectives.p99") },
		"errors": func(_, v *yaml.Node) { o.Errors = p.share(v, "objectives.errors") },
	})
	switch {
	case o.Route == "":
		p.fail(n, errors.New("an objective names no route"), `add for example route: "POST /api/login"`)
	case !o.P95.Set() && !o.P99.Set() && !o.Errors.Set():
		p.fail(n, errors.New("an objective promises nothing"), "add p95, p99 or errors")
	}
	return o
}

func (p *configParser) load(n *yaml.Node, c *config) {
	set := func(k, v *yaml.Node) {
		if c.load.Set() {
			p.fail(k, errors.New("load names two sources"), "keep one of: access_log, har, k6, openapi")
		}
		c.load = p.str(v, "load."+k.Value)
		c.paths = append(c.paths, c.load)
	}
	p.keyed(n, "load", map[string]func(k, v *yaml.Node){"k6": set, "har": set, "openapi": set, "access_log": set})
}

func (p *configParser) services(n *yaml.Node, c *config) {
	for _, e := range p.mapping(n, "services") {
		w := serviceWish{name: premortem.Setting[string]{Value: e.key.Value, Pos: at(p.file, e.key)}}
		p.keyed(e.value, "services."+e.key.Value, map[string]func(k, v *yaml.Node){
			"command": func(k, v *yaml.Node) {
				args := p.strings(v, "services.command")
				if len(args) == 1 && v.Kind == yaml.ScalarNode {
					args = []string{"/bin/sh", "-c", args[0]}
				}
				w.command = premortem.Setting[[]string]{Value: args, Pos: at(p.file, k)}
			},
			"health": func(_, v *yaml.Node) {
				w.health = p.str(v, "services.health")
				if !strings.HasPrefix(w.health.Value, "/") {
					p.fail(v, fmt.Errorf("health %q is not a path", w.health.Value), "write for example /healthz")
				}
			},
			"dir": func(_, v *yaml.Node) { w.dir = p.str(v, "services.dir") },
		})
		c.services = append(c.services, w)
	}
}

func (p *configParser) provides(n *yaml.Node, c *config) {
	for _, e := range p.mapping(n, "provides") {
		w := provideWish{service: premortem.Setting[string]{Value: e.key.Value, Pos: at(p.file, e.key)}}
		for _, i := range p.list(e.value, "provides."+e.key.Value) {
			w.keys = append(w.keys, p.str(i, "provides."+e.key.Value))
		}
		c.provides = append(c.provides, w)
	}
}

func (p *configParser) browser(n *yaml.Node, c *config) {
	p.keyed(n, "browser", map[string]func(k, v *yaml.Node){
		"start": func(_, v *yaml.Node) {
			if s := p.str(v, "browser.start"); !strings.HasPrefix(s.Value, "/") {
				p.fail(v, fmt.Errorf("start %q is not a path", s.Value), "write for example /")
			}
		},
		"login": func(_, v *yaml.Node) { c.login = p.str(v, "browser.login") },
	})
}

// loginJourney checks that browser.login names a journey of the file.
func (p *configParser) loginJourney(c *config) {
	var names []string
	for _, j := range c.journeys {
		names = append(names, "journeys."+j.Name)
	}
	if !c.login.Set() || slices.Contains(names, c.login.Value) {
		return
	}
	hint := "one of: " + strings.Join(names, ", ")
	if near := nearest(c.login.Value, names); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	if len(names) == 0 {
		hint = "add the journey under journeys:"
	}
	p.failAt(c.login.Pos, fmt.Errorf("unknown journey %q in browser.login", c.login.Value), hint)
}

func (p *configParser) suppression(n *yaml.Node) premortem.Suppression {
	s := premortem.Suppression{Pos: at(p.file, n)}
	p.keyed(n, "suppress", map[string]func(k, v *yaml.Node){
		"rule":   func(_, v *yaml.Node) { s.Rule = p.str(v, "suppress.rule").Value },
		"node":   func(_, v *yaml.Node) { s.Node = premortem.Node(p.str(v, "suppress.node").Value) },
		"reason": func(_, v *yaml.Node) { s.Reason = p.str(v, "suppress.reason").Value },
		"until": func(_, v *yaml.Node) {
			s.Until = p.scalar(v, "suppress.until").Value
			if _, err := time.Parse(time.DateOnly, s.Until); err != nil {
				p.fail(v, fmt.Errorf("until %q is not a date", s.Until), "write for example 2027-01-31")
			}
		},
	})
	switch {
	case s.Rule == "":
		p.fail(n, errors.New("a suppression names no rule"), "add rule: NAME")
	case s.Reason == "":
		p.fail(n, errors.New("a suppression gives no reason"), "add reason: and say why it is safe")
	}
	return s
}

func isMethod(s string) bool {
	switch s {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return true
	}
	return false
}

// nearest returns the known name that a misspelt one means, "" when none is near.
func nearest(got string, known []string) string {
	best, least := "", max(2, len(got)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(got), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance, https://doi.org/10.1137/0202014 in its
// two-row form.
func distance(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return 100
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// count reads a whole number; digits may be grouped by "_" or ",".
func (p *configParser) count(n *yaml.Node, where string) premortem.Setting[int] {
	raw := p.scalar(n, where)
	v, err := strconv.Atoi(strings.NewReplacer("_", "", ",", "").Replace(raw.Value))
	if err != nil || v < 0 {
		p.fail(n, fmt.Errorf("%s: %q is not a whole number", where, raw.Value), "write for example 500000")
	}
	return premortem.Setting[int]{Value: v, Pos: raw.Pos}
}
