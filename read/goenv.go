package read

import (
	"go/ast"
	"go/token"
	"strings"

	"github.com/premortem/premortem"
)

// getenv classifies os.Getenv("X") and os.LookupEnv("X").
func (r *goReader) getenv(c *ast.CallExpr, name string) {
	key, ok := r.text(c.Args[0])
	if !ok {
		if _, isParam := c.Args[0].(*ast.Ident); !isParam {
			r.program.read("*", premortem.EnvDyn, r.line(c))
		}
		return
	}
	class := r.class(c, name == "LookupEnv")
	if class == premortem.EnvUse {
		class = softly(key)
	}
	if r.switched(c) {
		class = premortem.EnvOpt
	}
	r.program.read(key, class, r.line(c))
	if n := len(r.reads); n > 0 {
		r.reads[n-1].fn = r.scope(c)
	}
}

// switched reports code that runs only when a variable of the environment switches
// it on: inside if os.Getenv("X") == "1" { … }.
func (r *goReader) switched(n ast.Node) bool {
	for p := r.parents[n]; p != nil; n, p = p, r.parents[p] {
		switch p := p.(type) {
		case *ast.IfStmt:
			if p.Body == n && (r.switches(p.Cond) || chooses(p.Cond)) {
				return true
			}
		case *ast.CaseClause: // of switch kind { case "s3": … }
			for _, e := range p.List {
				if settingName(e) {
					return true
				}
			}
		}
	}
	return false
}

// chooses reports a condition that compares with the name of one way to do things:
// the other ways need other variables.
func chooses(e ast.Expr) bool {
	b, ok := e.(*ast.BinaryExpr)
	return ok && b.Op == token.EQL && settingName(b.Y) && !isEmptyLit(b.Y)
}

// settingName reports a text, or a constant that is called by a name of its own.
func settingName(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.STRING
	case *ast.Ident:
		return upperEnv.MatchString(e.Name)
	}
	return false
}

// switches reports a condition that is false while a variable is missing.
func (r *goReader) switches(e ast.Expr) bool {
	b, ok := e.(*ast.BinaryExpr)
	if !ok {
		return false
	}
	if b.Op == token.LAND {
		return r.switches(b.X) || r.switches(b.Y)
	}
	call, ok := b.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	from, _, name := r.callee(call)
	if from == "strings" && len(call.Args) > 0 { // strings.ToLower(os.Getenv("X")) == "true"
		if inner, ok := call.Args[0].(*ast.CallExpr); ok {
			from, _, name = r.callee(inner)
		}
	}
	if from != "os" || name != "Getenv" {
		return false
	}
	_, isLit := b.Y.(*ast.BasicLit)
	empty := isEmptyLit(b.Y)
	return b.Op == token.NEQ && empty || b.Op == token.EQL && isLit && !empty
}

// class looks at what is done with a value of the environment.
func (r *goReader) class(c ast.Expr, lookup bool) premortem.EnvClass {
	var n ast.Node = c
	for {
		switch p := r.parents[n].(type) {
		case *ast.ParenExpr:
			n = p
			continue
		case *ast.CallExpr:
			from, _, name := r.callee(p)
			switch {
			case from == "cmp" && name == "Or":
				return r.alternatives(p, n)
			case from == "strings" || from == "path" || from == "path/filepath":
				n = p
				continue
			case from == "strconv" || from == "time":
				n, lookup = p, true // the error stands for a missing value
				continue
			}
			return premortem.EnvUse
		case *ast.BinaryExpr:
			if p.Op == token.EQL || p.Op == token.NEQ {
				return r.compared(p)
			}
			return premortem.EnvUse
		case *ast.AssignStmt:
			return r.assigned(p, n, lookup)
		case *ast.ValueSpec:
			if len(p.Names) > 0 {
				return r.global(p.Names[0].Name)
			}
		case *ast.SwitchStmt, *ast.CaseClause:
			return premortem.EnvOpt
		}
		return premortem.EnvUse
	}
}

// alternatives reads cmp.Or(os.Getenv("X"), "default").
func (r *goReader) alternatives(p *ast.CallExpr, n ast.Node) premortem.EnvClass {
	for i, a := range p.Args {
		if a == n && i+1 < len(p.Args) {
			s, _ := r.text(p.Args[i+1])
			return fallbackClass(s)
		}
	}
	return premortem.EnvOpt
}

// compared reads a comparison: with "" it is a guard, with anything else a switch.
func (r *goReader) compared(b *ast.BinaryExpr) premortem.EnvClass {
	other := b.Y
	if _, ok := b.X.(*ast.BasicLit); ok {
		other = b.X
	}
	if s, ok := r.text(other); !ok || s != "" {
		return premortem.EnvOpt
	}
	if b.Op == token.NEQ {
		return premortem.EnvOpt
	}
	if iff, ok := r.parents[b].(*ast.IfStmt); ok && iff.Cond == b && r.ends(iff.Body) {
		return premortem.EnvBoot
	}
	return premortem.EnvOpt
}

// assigned follows a value into its variable and looks at the statements behind.
func (r *goReader) assigned(a *ast.AssignStmt, value ast.Node, lookup bool) premortem.EnvClass {
	if len(a.Lhs) == 0 {
		return premortem.EnvUse
	}
	i := 0
	for k, rhs := range a.Rhs {
		if rhs == value && len(a.Rhs) == len(a.Lhs) {
			i = k
		}
	}
	names := []string{goName(a.Lhs[i])}
	if lookup && len(a.Lhs) == 2 && len(a.Rhs) == 1 {
		names = append(names, goName(a.Lhs[1]))
	}
	switch p := r.parents[a].(type) {
	case *ast.IfStmt: // if v := os.Getenv("X"); v != "" {
		if p.Init == a {
			return r.guarded(p, names, lookup)
		}
	case *ast.SwitchStmt:
		return premortem.EnvOpt
	case *ast.BlockStmt:
		if class := r.following(p.List, a, names, lookup); class != premortem.EnvUse || a.Tok == token.DEFINE {
			return class
		}
		return r.global(names[0])
	case *ast.CaseClause:
		return r.following(p.Body, a, names, lookup)
	}
	return premortem.EnvUse
}

// following looks for a guard in the few statements behind an assignment.
func (r *goReader) following(list []ast.Stmt, after ast.Stmt, names []string, lookup bool) premortem.EnvClass {
	seen, left := false, 6
	for _, st := range list {
		if st == after {
			seen = true
			continue
		}
		if !seen || left == 0 {
			continue
		}
		left--
		if iff, ok := st.(*ast.IfStmt); ok && r.mentions(iff.Cond, names) {
			return r.guarded(iff, names, lookup)
		}
	}
	return premortem.EnvUse
}

// guarded classifies by an if statement about the value.
func (r *goReader) guarded(iff *ast.IfStmt, names []string, lookup bool) premortem.EnvClass {
	missing := r.asksMissing(iff.Cond, names)
	switch {
	case missing && r.ends(iff.Body):
		return premortem.EnvBoot
	case missing:
		return r.replacement(iff.Body, names[0])
	case iff.Else != nil:
		if b, ok := iff.Else.(*ast.BlockStmt); ok && r.ends(b) {
			return premortem.EnvBoot
		}
	}
	return premortem.EnvOpt
}

// replacement reads the default that a body gives a variable.
func (r *goReader) replacement(body *ast.BlockStmt, name string) premortem.EnvClass {
	class := premortem.EnvOpt
	for _, st := range body.List {
		if a, ok := st.(*ast.AssignStmt); ok && len(a.Lhs) == 1 && goName(a.Lhs[0]) == name && len(a.Rhs) == 1 {
			if s, ok := r.text(a.Rhs[0]); ok {
				class = fallbackClass(s)
			}
		}
	}
	return class
}

// asksMissing reports a condition that holds when there is no value.
func (r *goReader) asksMissing(e ast.Expr, names []string) bool {
	switch e := e.(type) {
	case *ast.UnaryExpr:
		return e.Op == token.NOT && len(names) > 1 && goName(e.X) == names[1]
	case *ast.ParenExpr:
		return r.asksMissing(e.X, names)
	case *ast.BinaryExpr:
		switch e.Op {
		case token.LOR:
			return r.asksMissing(e.X, names) || r.asksMissing(e.Y, names)
		case token.LAND:
			return false
		}
		if len(names) > 1 && names[1] == goName(e.X) && goName(e.Y) == "nil" {
			return e.Op == token.NEQ // err != nil
		}
		if call, ok := e.X.(*ast.CallExpr); ok && len(call.Args) == 1 && goName(call.Args[0]) == names[0] {
			return e.Op == token.EQL // len(v) == 0
		}
		if s, ok := r.text(e.Y); ok && s == "" || isEmptyLit(e.Y) {
			return e.Op == token.EQL && goName(e.X) == names[0]
		}
	}
	return false
}

func isEmptyLit(e ast.Expr) bool {
	lit, ok := e.(*ast.BasicLit)
	return ok && (lit.Value == `""` || lit.Value == "``")
}

// ends reports whether a block panics, exits, or returns an error.
func (r *goReader) ends(b *ast.BlockStmt) bool {
	found := false
	ast.Inspect(b, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.CallExpr:
			_, _, name := r.callee(n)
			if name == "panic" || strings.HasPrefix(name, "Fatal") || strings.HasPrefix(name, "Panic") {
				found = true
			}
			if from, _, _ := r.callee(n); from == "os" && name == "Exit" {
				found = true
			}
		case *ast.ReturnStmt:
			for _, v := range n.Results {
				call, ok := v.(*ast.CallExpr)
				if !ok {
					found = found || goName(v) == "err" || strings.HasPrefix(goName(v), "Err") || strings.HasPrefix(goName(v), "err")
					continue
				}
				from, _, name := r.callee(call)
				found = found || from == "errors" || name == "Errorf" || from == "fmt" && name == "Errorf"
			}
		}
		return true
	})
	return found
}

// global classifies a package variable by the guards of the file.
func (r *goReader) global(name string) premortem.EnvClass {
	class := premortem.EnvUse
	if !r.mayScan() {
		return class
	}
	ast.Inspect(r.file, func(n ast.Node) bool {
		if iff, ok := n.(*ast.IfStmt); ok && class == premortem.EnvUse && r.mentions(iff.Cond, []string{name}) {
			class = r.guarded(iff, []string{name}, false)
		}
		if b, ok := n.(*ast.BinaryExpr); ok && class == premortem.EnvUse && goName(b.X) == name && isEmptyLit(b.Y) {
			class = premortem.EnvOpt
		}
		return true
	})
	return class
}

func (r *goReader) mentions(e ast.Expr, names []string) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		if x, ok := n.(ast.Expr); ok {
			got := goName(x)
			for _, want := range names {
				found = found || got != "" && got == want && want != "_"
			}
		}
		return !found
	})
	return found
}

// goName writes a name or a chain of selectors, "" for anything else.
func goName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		if x := goName(e.X); x != "" {
			return x + "." + e.Sel.Name
		}
	case *ast.StarExpr:
		return goName(e.X)
	}
	return ""
}
