package read

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

// wishes applies premortem.yaml to the system and checks its references.
func (g *merger) wishes() {
	for _, c := range g.d.configs {
		p := &configParser{file: c.file}
		g.sys.Base, g.sys.Database = c.base, c.database
		g.serviceWishes(p, c)
		g.provideWishes(p, c)
		g.tableWishes(p, c)
		g.journeys(p, c)
		g.objectives(p, c)
		for _, s := range c.suppress {
			if s.Node != "" && !g.known(s.Node) {
				g.refuse(p, s.Pos, "node", "suppress", string(s.Node), g.nodes())
			}
			g.sys.Suppressions = append(g.sys.Suppressions, s)
		}
	}
}

// refuse makes a bad reference the error of the reading, with the nearest name.
func (g *merger) refuse(p *configParser, pos premortem.Pos, what, where, got string, known []string) {
	if g.d.fatal != nil {
		return
	}
	n := at(p.file, nil)
	n.Line = pos.Line
	hint := "one of: " + strings.Join(known, ", ")
	if len(known) == 0 {
		hint = "the repository has none"
	} else if len(known) > 12 {
		hint = "see premortem init for the names of this repository"
	}
	if near := nearest(got, known); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	g.d.fatal = &premortem.Error{Doing: "read premortem.yaml", Pos: n, Err: fmt.Errorf("unknown %s %q in %s", what, got, where), Hint: hint}
}

func (g *merger) nodes() []string {
	var out []string
	for _, s := range g.sys.Services {
		out = append(out, string(s.Node))
	}
	for _, s := range g.sys.Stores {
		out = append(out, string(s.Node))
	}
	for _, t := range g.sys.ThirdParties {
		out = append(out, string(t.Node))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (g *merger) known(n premortem.Node) bool { return slices.Contains(g.nodes(), string(n)) }

// serviceNamed finds the node that a person calls a service by: its node's name or
// its name in any deployment.
func (g *merger) serviceNamed(name string) (premortem.Node, []string) {
	var names []string
	for _, grp := range g.groups {
		if string(grp.node) == name || grp.node.Name() == name {
			return grp.node, nil
		}
		for _, w := range grp.members {
			if w.name == name {
				return grp.node, nil
			}
		}
		names = append(names, grp.node.Name())
	}
	slices.Sort(names)
	return "", slices.Compact(names)
}

func (g *merger) serviceWishes(p *configParser, c *config) {
	for _, w := range c.services {
		node, names := g.serviceNamed(w.name.Value)
		if node == "" {
			g.refuse(p, w.name.Pos, "service", "services", w.name.Value, names)
			return
		}
		for _, svc := range g.sys.Services {
			if svc.Node != node {
				continue
			}
			if w.command.Set() {
				svc.Command = premortem.Setting[[]string]{Value: maskArgs(w.command.Value), Pos: w.command.Pos}
			}
			if w.health.Set() {
				svc.Health = w.health
			}
			if w.dir.Set() {
				svc.Dir = w.dir.Value
			}
		}
	}
}

// provideWishes adds keys that a person lists: of a service, which stays open, or
// of a source such as "secret api-secrets", which is then closed.
func (g *merger) provideWishes(p *configParser, c *config) {
	for _, w := range c.provides {
		node, names := g.serviceNamed(w.service.Value)
		used := false
		for _, svc := range g.sys.Services {
			i := slices.IndexFunc(svc.Opaque, func(o premortem.Opaque) bool { return strings.HasPrefix(o.Why, w.service.Value+" ") })
			if i < 0 && (node == "" || svc.Node != node || svc.Deployment != g.sys.Production) {
				continue
			}
			used = true
			if i >= 0 {
				svc.Opaque = slices.Delete(svc.Opaque, i, i+1)
			}
			for _, k := range w.keys {
				svc.Provides = append(svc.Provides, premortem.EnvSet{Name: k.Value, Pos: k.Pos, Source: "provides of premortem.yaml"})
			}
			svc.Provides = firstOfEach(svc.Provides)
		}
		if !used {
			for _, svc := range g.sys.Services {
				for _, o := range svc.Opaque {
					if source, _, ok := strings.Cut(o.Why, " is "); ok {
						names = append(names, source)
					}
				}
			}
			g.refuse(p, w.service.Pos, "service or source", "provides", w.service.Value, names)
			return
		}
	}
}

// tableWishes checks the names of tables and columns, when the schema is known.
func (g *merger) tableWishes(p *configParser, c *config) {
	for _, r := range c.database.Rows {
		g.checkColumn(p, r.Rows.Pos, "database.rows", r.Table, "")
	}
	for _, v := range c.database.Values {
		g.checkColumn(p, v.Template.Pos, "database.values", v.Table, v.Column)
	}
}

func (g *merger) checkColumn(p *configParser, pos premortem.Pos, where, table, column string) {
	if len(g.sys.Tables) == 0 {
		return
	}
	t := g.sys.Table(table)
	var names []string
	if t == nil {
		for _, t := range g.sys.Tables {
			names = append(names, t.Name)
		}
		slices.Sort(names)
		g.refuse(p, pos, "table", where, table, names)
		return
	}
	if column == "" || t.Column(column) != nil {
		return
	}
	for _, col := range t.Columns {
		names = append(names, col.Name)
	}
	g.refuse(p, pos, "column", where+" of table "+table, column, names)
}

// journeys checks rows that steps refer to, and names each request's route.
func (g *merger) journeys(p *configParser, c *config) {
	for _, j := range c.journeys {
		for _, s := range j.Steps {
			r := s.Request
			if r == nil {
				continue
			}
			texts := []string{r.Path, r.Body}
			for _, h := range r.Headers {
				texts = append(texts, h.Value)
			}
			for _, t := range texts {
				for _, m := range placeholder.FindAllStringSubmatch(t, -1) {
					if parts := strings.Split(m[1], "."); parts[0] == "rows" && len(parts) >= 3 {
						g.checkColumn(p, s.Pos, "journeys."+j.Name, strings.Join(parts[1:len(parts)-1], "."), parts[len(parts)-1])
					}
				}
			}
			g.route(r)
		}
		g.sys.Journeys = append(g.sys.Journeys, j)
	}
}

// route finds the route that answers a request.
func (g *merger) route(r *premortem.Request) {
	target, _, _ := strings.Cut(r.Path, "?")
	target = placeholder.ReplaceAllString(target, "${}")
	best := -1
	for _, route := range g.sys.Routes {
		if route.Method != r.Method && route.Method != "ALL" {
			continue
		}
		if score, ok := matchRoute(route.Path, target); ok && score > best {
			best = score
			r.Route, r.Service = r.Method+" "+route.Path, route.Service
		}
	}
	if best < 0 {
		r.Route = r.Method + " " + placeholder.ReplaceAllString(target, ":id")
		r.Service = g.front()
	}
}

// matchRoute compares a path with a pattern; the score counts literal segments.
func matchRoute(pattern, target string) (int, bool) {
	ps, ts := strings.Split(strings.Trim(pattern, "/"), "/"), strings.Split(strings.Trim(target, "/"), "/")
	score := 0
	for i, seg := range ps {
		if seg == "*" || strings.HasPrefix(seg, "*") || strings.HasSuffix(seg, "(.*)") {
			return score, true
		}
		if i >= len(ts) {
			return 0, strings.HasSuffix(seg, "?") && i == len(ps)-1
		}
		switch {
		case strings.HasPrefix(seg, ":"):
			score++
		case seg == ts[i]:
			score += 10
		default:
			return 0, false
		}
	}
	return score, len(ps) == len(ts)
}

// front is the service that answers what no route is known for: the only one with
// routes, else the one that serves files.
func (g *merger) front() premortem.Node {
	var with, static premortem.Node
	for _, r := range g.sys.Routes {
		if with != "" && with != r.Service {
			return ""
		}
		with = r.Service
	}
	for _, svc := range g.sys.Services {
		if svc.Static && svc.Deployment == g.sys.Production {
			static = svc.Node
		}
	}
	if with != "" {
		return with
	}
	if static == "" && len(g.services) == 1 {
		return g.services[0].node
	}
	return static
}

// objectives checks that each promise is about a route that exists: one of the code
// or one of a journey.
func (g *merger) objectives(p *configParser, c *config) {
	var names []string
	for _, r := range g.sys.Routes {
		names = append(names, r.Name())
	}
	for _, j := range g.sys.Journeys {
		for _, s := range j.Steps {
			if s.Request != nil {
				names = append(names, s.Request.Route)
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, o := range c.objectives {
		if o.Route != "*" && len(g.sys.Routes) > 0 && !slices.Contains(names, o.Route) {
			method, path, _ := strings.Cut(o.Route, " ")
			if !slices.Contains(names, "ALL "+path) || method == "" {
				g.refuse(p, o.Pos, "route", "objectives", o.Route, names)
				return
			}
		}
		g.sys.Objectives = append(g.sys.Objectives, o)
	}
}
