package read

import (
	"go/ast"
)

// findWrappers finds functions that read the variable their parameter names.
func (r *goReader) findWrappers() {
	for _, decl := range r.file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil || fn.Recv != nil {
			continue
		}
		params := map[string]int{}
		n, fallback := 0, -1
		for _, field := range fn.Type.Params.List {
			for _, name := range field.Names {
				params[name.Name] = n
				n++
			}
		}
		w := goWrapper{key: -1}
		ast.Inspect(fn.Body, func(x ast.Node) bool {
			c, ok := x.(*ast.CallExpr)
			if !ok || w.key >= 0 || len(c.Args) != 1 {
				return true
			}
			from, _, name := r.callee(c)
			id, isID := c.Args[0].(*ast.Ident)
			if from != "os" || name != "Getenv" && name != "LookupEnv" || !isID {
				return true
			}
			if i, ok := params[id.Name]; ok {
				w.key, w.class = i, r.class(c, name == "LookupEnv")
			}
			return true
		})
		if w.key < 0 {
			continue
		}
		for name, i := range params {
			if i > w.key && (fallback < 0 || i < fallback) && r.returns(fn.Body, name) {
				fallback = i
			}
		}
		w.fallback = fallback
		if last := fn.Type.Params.List; len(last) > 0 {
			_, w.variadic = last[len(last)-1].Type.(*ast.Ellipsis)
		}
		r.golang.wrappers[fn.Name.Name] = w
	}
}

// returns reports whether a body gives back a parameter, as a default.
func (r *goReader) returns(b *ast.BlockStmt, name string) bool {
	found := false
	ast.Inspect(b, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ReturnStmt:
			for _, v := range n.Results {
				found = found || r.mentions(v, []string{name})
			}
		case *ast.AssignStmt:
			for _, v := range n.Rhs {
				found = found || goName(v) == name
			}
		}
		return !found
	})
	return found
}
