package read

import (
	"path"
	"strings"
)

// pyMount puts the routes of another file, or of a router, below a path.
type pyMount struct {
	parent string // router of this file that it is put on
	module string // dotted, "" the file's own
	router string // "" every route of the module
	prefix string
	named  string // the prefix is the value of this setting
}

// readRoutes finds routes of Flask, FastAPI and Django.
func (r *pyReader) readRoutes() {
	for i, t := range r.toks {
		if t.kind != jsIdent || !r.tok(i+1).is("(") {
			continue
		}
		switch t.text {
		case "APIRouter", "Blueprint", "FastAPI":
			for _, key := range []string{"prefix", "url_prefix", "root_path"} {
				if s, _, ok := r.literal(r.keyword(i+1, key)); ok && r.tok(i-1).is("=") && key != "root_path" {
					r.bases[r.tok(i-2).text] = s
				}
			}
		case "include_router", "register_blueprint":
			r.mount(i)
		case "path":
			if path.Base(r.path) == "urls.py" && !r.tok(i-1).is(".") {
				r.djangoPath(i)
			}
		}
		if r.tok(i-1).is(".") && r.tok(i-3).is("@") {
			r.decorated(i)
		}
	}
}

// decorated reads @app.get("/x") and @bp.route("/x", methods=["POST"]).
func (r *pyReader) decorated(i int) {
	method := httpMethods[r.tok(i).text]
	if method == "" && r.tok(i).text != "route" && r.tok(i).text != "api_route" {
		return
	}
	args := r.args(i + 1)
	if len(args) == 0 {
		return
	}
	at, _, ok := r.literal(args[0])
	if !ok || at != "" && !strings.HasPrefix(at, "/") {
		return
	}
	methods := []string{method}
	if method == "" {
		methods = []string{"GET"}
		if v := r.keyword(i+1, "methods"); !v.empty() {
			methods = nil
			for k := v.lo; k < v.hi; k++ {
				if r.tok(k).kind == jsString {
					methods = append(methods, strings.ToUpper(r.tok(k).text))
				}
			}
		}
	}
	router := r.tok(i - 2).text
	for _, m := range methods {
		r.route(m, r.bases[router]+at, r.tok(i).line, r.decoratedEnd(i))
		r.routers = append(r.routers, router)
	}
}

// decoratedEnd is the last line of the function below a decorator.
func (r *pyReader) decoratedEnd(i int) int {
	k := r.stmtOf[i] + 1
	for k < len(r.stmts) && r.tok(r.stmts[k].lo).is("@") {
		k++
	}
	if k >= len(r.stmts) {
		return 0
	}
	end := r.tok(r.stmts[k].hi - 1).line
	for n := k + 1; n < len(r.stmts) && r.stmts[n].indent > r.stmts[k].indent; n++ {
		end = r.tok(r.stmts[n].hi - 1).line
	}
	return end
}

// mount reads app.include_router(users.router, prefix="/users").
func (r *pyReader) mount(i int) {
	args := r.args(i + 1)
	if len(args) == 0 {
		return
	}
	parent := r.tok(i - 2).text
	m := pyMount{parent: parent, prefix: r.bases[parent]}
	for _, key := range []string{"prefix", "url_prefix"} {
		v := r.keyword(i+1, key)
		if s, _, ok := r.literal(v); ok {
			m.prefix += s
		} else if !v.empty() {
			m.named = r.tok(v.hi - 1).text
		}
	}
	first, rest, dotted := strings.Cut(r.source(args[0]), ".")
	m.router = first
	if from, ok := r.names[first]; ok {
		m.module, m.router = from, rest
		if !dotted { // from .users import router as users
			if k := strings.LastIndex(from, "."); k >= 0 {
				m.module, m.router = from[:k], from[k+1:]
			}
		}
	}
	r.mounts = append(r.mounts, m)
}

// djangoPath reads path("orders/<int:id>/", view) and path("api/", include("x.urls")).
func (r *pyReader) djangoPath(i int) {
	args := r.args(i + 1)
	if len(args) < 2 {
		return
	}
	at, _, ok := r.literal(args[0])
	if !ok {
		return
	}
	if r.tok(args[1].lo).is("include") {
		if s, _, ok := r.literal(r.inside(args[1].lo + 1)); ok {
			r.mounts = append(r.mounts, pyMount{module: s, prefix: "/" + strings.Trim(at, "/")})
		}
		return
	}
	if strings.Contains(r.source(args[1]), "admin.") {
		return
	}
	r.route("ALL", at, r.tok(i).line, 0)
	r.routers = append(r.routers, "")
}

// mountPython puts the routes of Python files below the prefixes under which they
// are mounted.
func (g *merger) mountPython() {
	x := newProgramIndex(g.d)
	under := map[string]pyMount{} // "path router" → where it is mounted; parent is a key too
	settings := map[string]string{}
	for _, p := range g.d.programs {
		for name, text := range p.texts {
			settings[name] = text
		}
		for _, m := range p.mounts {
			target := p.path
			if m.module != "" {
				target = x.pythonFile(p.path, m.module)
			}
			if target == "" {
				continue
			}
			m.parent = p.path + " " + m.parent
			under[target+" "+m.router] = m
		}
	}
	var prefix func(key string, depth int) string
	prefix = func(key string, depth int) string {
		m, ok := under[key]
		if !ok || depth > 6 {
			return ""
		}
		own := m.prefix
		if m.named != "" {
			own += settings[m.named]
		}
		return strings.TrimSuffix(prefix(m.parent, depth+1)+own, "/")
	}
	for _, p := range g.d.programs {
		if p.lang != "python" {
			continue
		}
		for i := range p.routes {
			if pre := prefix(p.path+" "+p.routers[i], 0); pre != "" {
				p.routes[i].Path = pathParams(pre + p.routes[i].Path)
			}
		}
	}
}
