package read

import (
	"go/ast"
	"path"
	"strings"
)

// goFrameworks are the routers whose methods are understood.
var goFrameworks = []string{"go-chi/chi", "gin-gonic/gin", "labstack/echo", "gofiber/fiber", "gorilla/mux", "net/http"}

func (r *goReader) framework() string {
	for _, f := range goFrameworks {
		for _, spec := range r.loads {
			if strings.Contains(spec, f) {
				return f
			}
		}
	}
	return ""
}

var goMethods = map[string]string{
	"Get": "GET", "Post": "POST", "Put": "PUT", "Patch": "PATCH", "Delete": "DELETE", "Head": "HEAD", "Options": "OPTIONS",
	"GET": "GET", "POST": "POST", "PUT": "PUT", "PATCH": "PATCH", "DELETE": "DELETE", "HEAD": "HEAD", "OPTIONS": "OPTIONS",
	"Any": "ALL", "All": "ALL",
}

// routeCall reads one call that adds a route or a group of them.
func (r *goReader) routeCall(c *ast.CallExpr, from, recv, name string) {
	if len(c.Args) < 2 && name != "Group" && name != "PathPrefix" || from != "" && from != "net/http" || recv == "" && from == "" {
		if name != "Group" && name != "Route" {
			return
		}
	}
	if len(c.Args) == 0 {
		return
	}
	at, ok := r.text(c.Args[0])
	if !ok {
		return
	}
	switch {
	case name == "HandleFunc" || name == "Handle":
		r.handle(c, at)
	case name == "Group" || name == "Route" || name == "PathPrefix":
		r.group(c, recv, name, at)
	case goMethods[name] != "" && strings.HasPrefix(at, "/") && from == "" && len(c.Args) >= 2 && r.holdsRoutes(recv):
		r.addRoute(c, goMethods[name], r.under(c)+at)
	}
}

// holdsRoutes reports a receiver that can hold a router: the file loads a router that
// has methods named after those of HTTP.
func (r *goReader) holdsRoutes(recv string) bool {
	switch r.framework() {
	case "go-chi/chi", "gin-gonic/gin", "labstack/echo", "gofiber/fiber":
		return recv != "http" && recv != "client"
	}
	return false
}

// handle reads HandleFunc("GET /path", h) and HandleFunc("/path", h).Methods("GET").
func (r *goReader) handle(c *ast.CallExpr, at string) {
	if r.framework() == "" {
		return
	}
	method := "ALL"
	if verb, rest, ok := strings.Cut(at, " "); ok {
		method, at = verb, strings.TrimSpace(rest)
	}
	if !strings.HasPrefix(at, "/") {
		return // a host
	}
	if sel, ok := r.parents[c].(*ast.SelectorExpr); ok && sel.Sel.Name == "Methods" {
		if call, ok := r.parents[sel].(*ast.CallExpr); ok {
			for _, a := range call.Args {
				verb, ok := r.text(a)
				if s, isSel := a.(*ast.SelectorExpr); isSel {
					verb, ok = strings.ToUpper(strings.TrimPrefix(s.Sel.Name, "Method")), true
				}
				if ok {
					r.addRoute(c, verb, r.under(c)+at)
				}
			}
			return
		}
	}
	r.addRoute(c, method, r.under(c)+at)
}

// addRoute adds a route; its end is that of its handler, when the file has it.
func (r *goReader) addRoute(c *ast.CallExpr, method, at string) {
	end := 0
	switch h := c.Args[len(c.Args)-1].(type) {
	case *ast.FuncLit:
		end = r.endLine(h)
	case *ast.Ident:
		end = r.functionEnd(h.Name)
	case *ast.SelectorExpr:
		end = r.functionEnd(h.Sel.Name)
	}
	r.route(method, at, r.line(c), end)
}

func (r *goReader) functionEnd(name string) int {
	for _, d := range r.file.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == name && r.line(fn) > 0 {
			return r.endLine(fn)
		}
	}
	return 0
}

// group reads g := r.Group("/p") and r.Route("/p", func(r chi.Router) { … }).
func (r *goReader) group(c *ast.CallExpr, recv, name, at string) {
	prefix := r.under(c) + strings.TrimSuffix(at, "/")
	if name == "Route" && len(c.Args) == 2 {
		return // under finds the closure around each route
	}
	n := r.parents[c]
	if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Subrouter" {
		n = r.parents[r.parents[sel]]
	}
	if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == 1 {
		r.prefix[r.scope(c)+" "+goName(a.Lhs[0])] = prefix
	}
}

// scope names the function around a node, so that two of them may use one name for
// different routers.
func (r *goReader) scope(n ast.Node) string {
	for ; n != nil; n = r.parents[n] {
		if fn, ok := n.(*ast.FuncDecl); ok {
			return fn.Name.Name
		}
	}
	return ""
}

// under is the path before the routes of a call's receiver.
func (r *goReader) under(c *ast.CallExpr) string {
	sel, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	out := r.prefix[r.scope(c)+" "+goName(sel.X)]
	for n := r.parents[c]; n != nil; n = r.parents[n] {
		lit, ok := n.(*ast.FuncLit)
		if !ok {
			continue
		}
		call, ok := r.parents[lit].(*ast.CallExpr)
		if !ok || len(call.Args) != 2 {
			continue
		}
		if _, _, name := r.callee(call); name == "Route" {
			if at, ok := r.text(call.Args[0]); ok {
				out = path.Join("/", at) + out
			}
		}
	}
	return out
}
