package read

import (
	"go/ast"
	"strings"

	"github.com/premortem/premortem"
)

// goLogLevels are the beginnings of the methods of log packages.
var goLogLevels = []struct{ prefix, level string }{
	{"Fatal", "error"}, {"Panic", "error"}, {"DPanic", "error"}, {"Error", "error"}, {"Warning", "warn"}, {"Warn", "warn"}, {"Info", "info"}, {"Debug", "debug"}, {"Trace", "debug"}, {"Print", "info"},
}

// goLoggers are packages that write logs.
var goLoggers = []struct{ pkg, name string }{
	{"log/slog", "slog"}, {"sirupsen/logrus", "logrus"}, {"go.uber.org/zap", "zap"}, {"rs/zerolog", "zerolog"}, {"k8s.io/klog", "klog"}, {"golang/glog", "glog"}, {"charmbracelet/log", "log"},
}

// logCall reads a call that writes a log line.
func (r *goReader) logCall(c *ast.CallExpr, from, recv, name string) {
	if name == "Msg" || name == "Msgf" || name == "Send" {
		r.zerologCall(c, name)
		return
	}
	level := ""
	for _, l := range goLogLevels {
		if rest, ok := strings.CutPrefix(name, l.prefix); ok && (rest == "" || rest == "f" || rest == "w" || rest == "ln" || rest == "Context" || rest == "Ctx") {
			level = l.level
			break
		}
	}
	if level == "" {
		return
	}
	library := r.loggerLibrary(c, from, recv)
	if library == "" || library == "zerolog" {
		return
	}
	l := premortem.LogCall{Pos: r.at(c), Quote: r.quoteLine(r.line(c)), Library: library, Level: level}
	l.Bound = strings.HasSuffix(name, "Context") || strings.HasSuffix(name, "Ctx")
	if sel, ok := c.Fun.(*ast.SelectorExpr); ok {
		r.chainFields(&l, sel.X)
		l.Bound = l.Bound || r.ofContext(c, sel.X)
	}
	for i, a := range c.Args {
		if s, ok := r.text(a); ok {
			if l.Message == "" {
				l.Message = Mask(r.path, s)
			} else if (library == "slog" || strings.HasSuffix(name, "w")) && i%2 == 1 {
				l.Fields = append(l.Fields, s)
			}
			continue
		}
		r.logArg(&l, a)
	}
	l.Leaks = r.leaks(c)
	r.traffic.logs = append(r.traffic.logs, l)
}

// ofContext reports a logger that the function took out of a context:
// log := r.Context().Value(key).(Logger).
func (r *goReader) ofContext(c *ast.CallExpr, e ast.Expr) bool {
	for {
		switch x := e.(type) {
		case *ast.CallExpr:
			e = x.Fun
			continue
		case *ast.SelectorExpr:
			e = x.X
			continue
		}
		break
	}
	id, ok := e.(*ast.Ident)
	if !ok {
		return false
	}
	found := false
	for n := r.parents[c]; n != nil && !found; n = r.parents[n] {
		block, ok := n.(*ast.BlockStmt)
		if !ok {
			continue
		}
		for _, st := range block.List {
			a, ok := st.(*ast.AssignStmt)
			if !ok || len(a.Lhs) == 0 || goName(a.Lhs[0]) != id.Name {
				continue
			}
			for _, v := range a.Rhs {
				ast.Inspect(v, func(x ast.Node) bool {
					if s, ok := x.(*ast.SelectorExpr); ok && (s.Sel.Name == "Value" || s.Sel.Name == "FromContext" || s.Sel.Name == "Ctx" || s.Sel.Name == "WithContext") {
						found = true
					}
					return !found
				})
			}
		}
	}
	return found
}

// loggerLibrary names the library of a receiver, "" for what is no logger.
func (r *goReader) loggerLibrary(c *ast.CallExpr, from, recv string) string {
	if from == "log" {
		return "log"
	}
	own := ""
	for _, lib := range goLoggers {
		if from != "" && strings.Contains(from, lib.pkg) {
			return lib.name
		}
		for _, spec := range r.loads {
			if own == "" && strings.Contains(spec, lib.pkg) {
				own = lib.name
			}
		}
	}
	if from != "" {
		return ""
	}
	root := recv
	for e := c.Fun; root == "?" || root == ""; { // log.WithField(…).Info()
		sel, ok := e.(*ast.SelectorExpr)
		if !ok {
			break
		}
		call, ok := sel.X.(*ast.CallExpr)
		if !ok {
			break
		}
		from, on, _ := r.callee(call)
		for _, lib := range goLoggers {
			if from != "" && strings.Contains(from, lib.pkg) {
				return lib.name
			}
		}
		root, e = on, call.Fun
	}
	low := strings.ToLower(root)
	if low == "log" || low == "l" && own != "" || strings.HasSuffix(low, "logger") || strings.HasSuffix(low, "sugar") || low == "slog" || strings.HasSuffix(low, "log") && own != "" {
		return own
	}
	return ""
}

// chainFields reads WithField("k", v), WithFields(Fields{…}), With("k", v).
func (r *goReader) chainFields(l *premortem.LogCall, e ast.Expr) {
	for {
		call, ok := e.(*ast.CallExpr)
		if !ok {
			return
		}
		_, _, name := r.callee(call)
		if strings.HasPrefix(name, "With") || name == "Str" || name == "Int" || name == "Err" || name == "Interface" {
			if name == "WithError" || name == "Err" {
				l.Fields = append(l.Fields, "error")
			}
			if name == "WithContext" || name == "Ctx" {
				l.Bound = true
			}
			for i, a := range call.Args {
				if s, ok := r.text(a); ok && i%2 == 0 {
					l.Fields = append(l.Fields, s)
				} else if !ok {
					r.logArg(l, a)
				}
			}
		} else if name == "Ctx" || name == "FromContext" {
			l.Bound = true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return
		}
		e = sel.X
	}
}

// logArg reads zap.String("k", v), slog.Any("k", v), Fields{…} and plain values.
func (r *goReader) logArg(l *premortem.LogCall, a ast.Expr) {
	switch a := a.(type) {
	case *ast.CallExpr:
		if from, _, name := r.callee(a); from != "" && (strings.Contains(from, "zap") || from == "log/slog") && len(a.Args) > 0 {
			if s, ok := r.text(a.Args[0]); ok {
				l.Fields = append(l.Fields, s)
			} else if name == "Error" {
				l.Fields = append(l.Fields, "error")
			}
		}
	case *ast.CompositeLit:
		for _, e := range a.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				if s, ok := r.text(kv.Key); ok {
					l.Fields = append(l.Fields, s)
				}
			}
		}
	case *ast.Ident:
		if a.Name != "ctx" && a.Name != "nil" {
			l.Fields = append(l.Fields, a.Name)
		}
	case *ast.SelectorExpr:
		l.Fields = append(l.Fields, a.Sel.Name)
	}
}

// zerologCall reads log.Info().Str("k", v).Msg("m").
func (r *goReader) zerologCall(c *ast.CallExpr, name string) {
	uses := false
	for _, spec := range r.loads {
		uses = uses || strings.Contains(spec, "rs/zerolog")
	}
	sel, ok := c.Fun.(*ast.SelectorExpr)
	if !uses || !ok {
		return
	}
	l := premortem.LogCall{Pos: r.at(c), Quote: r.quoteLine(r.line(c)), Library: "zerolog"}
	for e := sel.X; ; {
		call, ok := e.(*ast.CallExpr)
		if !ok {
			break
		}
		_, _, method := r.callee(call)
		for _, lv := range goLogLevels {
			if method == lv.prefix {
				l.Level = lv.level
			}
		}
		inner, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			break
		}
		e = inner.X
	}
	if l.Level == "" {
		return
	}
	r.chainFields(&l, sel.X)
	if len(c.Args) > 0 && name != "Send" {
		if s, ok := r.text(c.Args[0]); ok {
			l.Message = Mask(r.path, s)
		}
	}
	l.Leaks = r.leaks(c)
	r.traffic.logs = append(r.traffic.logs, l)
}

// leaks finds credentials among all the arguments of a log call and its chain.
func (r *goReader) leaks(c *ast.CallExpr) []premortem.Leak {
	var out []premortem.Leak
	add := func(what string, at ast.Node) {
		leak := premortem.Leak{What: what, Source: r.at(at), Quote: r.quoteLine(r.line(at))}
		for _, have := range out {
			if have == leak {
				return
			}
		}
		out = append(out, leak)
	}
	var visit func(n ast.Node, depth int)
	visit = func(n ast.Node, depth int) {
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if what := r.credentialCall(n); what != "" {
					add(what, n)
					return false
				}
				_, _, name := r.callee(n)
				return n == c || !harmless.MatchString(name) && name != "len"
			case *ast.BinaryExpr:
				return n.Op.String() == "+"
			case *ast.SelectorExpr:
				if n.Sel.Name == "Password" || n.Sel.Name == "AccessToken" || n.Sel.Name == "RefreshToken" {
					add("the "+strings.ToLower(n.Sel.Name), n)
				}
				if n.Sel.Name == "Header" && r.requestParam(goName(n.X), c) {
					if _, called := r.parents[n].(*ast.SelectorExpr); !called {
						if _, indexed := r.parents[n].(*ast.IndexExpr); !indexed {
							add("all headers of the request, with Authorization and cookies", n)
						}
					}
				}
			case *ast.Ident:
				if depth == 0 {
					if v := r.values[n.Name]; v != nil {
						if call, ok := v.(*ast.CallExpr); ok {
							if what := r.credentialCall(call); what != "" {
								add(what, call)
							}
						}
					}
				}
			}
			return true
		})
	}
	visit(c, 0)
	return out
}

// requestParam reports a name that holds the request in the function around a call.
func (r *goReader) requestParam(name string, at ast.Node) bool {
	fn, ok := r.enclosing(at).(*ast.FuncDecl)
	if !ok || fn.Type.Params == nil {
		return name == "r" || name == "req"
	}
	return name == "r" || name == "req" || name == "request"
}

// credentialCall reads Header.Get("Authorization"), FormValue("password") and
// os.Getenv of a secret.
func (r *goReader) credentialCall(c *ast.CallExpr) string {
	from, recv, name := r.callee(c)
	if len(c.Args) != 1 {
		return ""
	}
	arg, ok := r.text(c.Args[0])
	if !ok {
		return ""
	}
	switch {
	case name == "Get" && recv == "Header" || name == "GetHeader" && recv != "":
		switch low := strings.ToLower(arg); low {
		case "authorization", "cookie", "x-api-key", "x-auth-token":
			return "the " + low + " header"
		}
	case (name == "FormValue" || name == "PostFormValue" || name == "PostForm") && secretField.MatchString(arg):
		return "the " + strings.ToLower(arg) + " of the request"
	case from == "os" && name == "Getenv" && secretEnv.MatchString(arg):
		return "the variable " + arg
	}
	return ""
}
