package read

import (
	"go/ast"
	"go/token"
	"net/url"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// readTraffic finds servers, calls, transactions and logs of a Go file.
func (r *goReader) readTraffic() {
	r.traffic = &programTraffic{}
	r.values = map[string]ast.Expr{}
	ast.Inspect(r.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			r.traffic.funcs = append(r.traffic.funcs, programFunc{name: n.Name.Name, start: r.line(n), end: r.endLine(n), handler: r.handles(n.Type)})
		case *ast.FuncLit:
			r.traffic.funcs = append(r.traffic.funcs, programFunc{start: r.line(n), end: r.endLine(n), handler: r.handles(n.Type)})
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if i < len(n.Values) {
					r.value(name.Name, n.Values[i])
				}
			}
		case *ast.KeyValueExpr:
			if id, ok := n.Key.(*ast.Ident); ok {
				r.value("."+id.Name, n.Value)
			}
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				if len(n.Rhs) == len(n.Lhs) {
					r.value(goName(l), n.Rhs[i])
				}
			}
		}
		return true
	})
	ast.Inspect(r.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			r.serverLit(n)
		case *ast.CallExpr:
			r.trafficCall(n)
		case *ast.ForStmt:
			r.goRetry(n)
		}
		return true
	})
	r.startedWithout()
}

// value notes what a name holds; one with several values holds nothing certain.
func (r *goReader) value(name string, e ast.Expr) {
	if _, twice := r.values[name]; twice {
		e = nil
	}
	r.values[name] = e
}

var goHandlerTypes = map[string]bool{
	"http.ResponseWriter": true, "gin.Context": true, "echo.Context": true, "fiber.Ctx": true, "http.Request": true, "context.Context pb": true,
}

// handles reports the signature of something that answers requests: those of
// net/http, gin, echo and fiber, and methods of gRPC servers.
func (r *goReader) handles(t *ast.FuncType) bool {
	if t.Params == nil {
		return false
	}
	for _, p := range t.Params.List {
		e := p.Type
		if s, ok := e.(*ast.StarExpr); ok {
			e = s.X
		}
		if goHandlerTypes[goName(e)] {
			return true
		}
	}
	if t.Results == nil || len(t.Params.List) != 2 || len(t.Results.List) != 2 || goName(t.Params.List[0].Type) != "context.Context" {
		return false
	}
	in, ok1 := t.Params.List[1].Type.(*ast.StarExpr) // func (s) Name(ctx, *pb.Request) (*pb.Response, error)
	out, ok2 := t.Results.List[0].Type.(*ast.StarExpr)
	return ok1 && ok2 && strings.HasSuffix(goName(in.X), "Request") && (strings.HasSuffix(goName(out.X), "Response") || strings.HasSuffix(goName(out.X), "Reply"))
}

// trafficCall sorts a call.
func (r *goReader) trafficCall(c *ast.CallExpr) {
	from, recv, name := r.callee(c)
	line := r.line(c)
	if fn := r.traffic.around(line); fn >= 0 && name != "" {
		if sel, ok := c.Fun.(*ast.SelectorExpr); ok {
			line = r.fset.PositionFor(sel.Sel.Pos(), false).Line
		}
		r.traffic.funcs[fn].refs = append(r.traffic.funcs[fn].refs, programRef{name, from, line})
	}
	switch {
	case from == "net/http" && (name == "ListenAndServe" || name == "ListenAndServeTLS"):
		r.serverCall(c, 0)
	case from == "net/http" && name == "TimeoutHandler" && len(c.Args) > 1:
		r.traffic.request = r.duration(c.Args[1])
	case strings.Contains(from, "chi") && name == "Timeout" && len(c.Args) == 1:
		r.traffic.request = r.duration(c.Args[0])
	case from == "" && (name == "Run" || name == "Start" || name == "Listen") && recv != "" && recv != "?" && r.framework() != "" && r.startsFramework(name):
		r.serverCall(c, 0)
	case from == "os/signal" && (name == "Notify" || name == "NotifyContext"):
		for _, a := range c.Args {
			if n := goName(a); strings.HasSuffix(n, "SIGTERM") {
				r.traffic.stops = premortem.Setting[string]{Value: r.quoteLine(r.line(c)), Pos: r.at(c)}
			}
		}
	case name == "Shutdown" && len(c.Args) == 1:
		r.drainOf(c)
	case name == "Begin" || name == "BeginTx" || name == "Beginx" || name == "BeginTxx" || name == "Transaction" || name == "RunInTx":
		r.transaction(c, recv, name)
	}
	r.netCall(c, from, recv, name)
	r.logCall(c, from, recv, name)
}

func (r *goReader) startsFramework(name string) bool {
	switch r.framework() {
	case "gin-gonic/gin":
		return name == "Run"
	case "labstack/echo":
		return name == "Start"
	case "gofiber/fiber":
		return name == "Listen"
	}
	return false
}

// serverLit reads http.Server{…}.
func (r *goReader) serverLit(n *ast.CompositeLit) {
	if goName(n.Type) != "http.Server" || r.imports["http"] != "net/http" {
		return
	}
	s := premortem.Server{Pos: r.at(n), Quote: r.quoteLine(r.line(n)), Software: "go"}
	var read premortem.Setting[float64]
	opaque := map[string]bool{}
	for _, e := range n.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		key, d := goName(kv.Key), r.duration(kv.Value)
		switch key {
		case "Addr":
			r.address(&s, kv.Value)
			continue
		case "IdleTimeout":
			s.KeepAlive = d
			opaque["keep_alive"] = !d.Set()
		case "ReadHeaderTimeout":
			s.HeadersTimeout = d
			opaque["headers_timeout"] = !d.Set()
		case "WriteTimeout":
			s.RequestTimeout = d
			opaque["request_timeout"] = !d.Set()
		case "ReadTimeout":
			read = d
			opaque["read"] = !d.Set()
		}
	}
	if !s.KeepAlive.Set() && !opaque["keep_alive"] { // net/http falls back to ReadTimeout
		s.KeepAlive = read
		opaque["keep_alive"] = opaque["read"]
	}
	if !s.HeadersTimeout.Set() && !opaque["headers_timeout"] {
		s.HeadersTimeout = read
		opaque["headers_timeout"] = opaque["read"]
	}
	for _, key := range []string{"headers_timeout", "keep_alive", "request_timeout"} {
		if opaque[key] {
			s.Opaque = append(s.Opaque, key)
		}
	}
	r.traffic.servers = append(r.traffic.servers, s)
}

// serverCall reads http.ListenAndServe(addr, h) and the start of a framework.
func (r *goReader) serverCall(c *ast.CallExpr, arg int) {
	s := premortem.Server{Pos: r.at(c), Quote: r.quoteLine(r.line(c)), Software: "go"}
	if arg < len(c.Args) {
		r.address(&s, c.Args[arg])
	}
	r.traffic.servers = append(r.traffic.servers, s)
}

// address reads ":8080", "0.0.0.0:8080" and ":" + port.
func (r *goReader) address(s *premortem.Server, e ast.Expr) {
	text, ok := r.text(e)
	if !ok {
		if b, isSum := e.(*ast.BinaryExpr); isSum {
			text, _ = r.text(b.X)
		}
	}
	if env := r.envIn(e, 0); env.Set() {
		s.PortEnv = env.Value
	}
	k := strings.LastIndex(text, ":")
	if k < 0 {
		return
	}
	if n, err := strconv.Atoi(text[k+1:]); err == nil {
		s.Port = premortem.Setting[int]{Value: n, Pos: r.at(e)}
	}
	if k > 0 {
		s.Host = premortem.Setting[string]{Value: text[:k], Pos: r.at(e)}
	}
}

// startedWithout drops the call that starts a server whose literal says more.
func (r *goReader) startedWithout() {
	if len(r.traffic.servers) < 2 {
		return
	}
	var own []premortem.Server
	for _, s := range r.traffic.servers {
		if !strings.Contains(s.Quote, "pprof") {
			own = append(own, s)
		}
	}
	r.traffic.servers = own
}

// drainOf reads how long Shutdown waits: the timeout of its context.
func (r *goReader) drainOf(c *ast.CallExpr) {
	if d := r.contextTimeout(c.Args[0], c); d.Set() {
		r.traffic.drain = d
	}
}

// contextTimeout is the timeout that a context was given in the function around a
// node.
func (r *goReader) contextTimeout(ctx ast.Expr, at ast.Node) premortem.Setting[float64] {
	name := goName(ctx)
	fn := r.enclosing(at)
	var out premortem.Setting[float64]
	if fn == nil || name == "" {
		return out
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok || len(a.Rhs) != 1 || len(a.Lhs) == 0 || goName(a.Lhs[0]) != name || a.Pos() > at.Pos() {
			return true
		}
		call, ok := a.Rhs[0].(*ast.CallExpr)
		if !ok || len(call.Args) < 2 {
			return true
		}
		if from, _, fn := r.callee(call); from == "context" && fn == "WithTimeout" {
			if out = r.duration(call.Args[1]); !out.Set() {
				out = premortem.Setting[float64]{Value: -1, Pos: r.at(call)} // there is one
			}
		}
		return true
	})
	return out
}

// enclosing is the function declaration around a node.
func (r *goReader) enclosing(n ast.Node) ast.Node {
	for ; n != nil; n = r.parents[n] {
		if fn, ok := n.(*ast.FuncDecl); ok {
			return fn
		}
	}
	return nil
}

var goUnits = map[string]float64{"Nanosecond": 1e-9, "Microsecond": 1e-6, "Millisecond": 1e-3, "Second": 1, "Minute": 60, "Hour": 3600}

// duration evaluates 5 * time.Second and names of one, in seconds.
func (r *goReader) duration(e ast.Expr) premortem.Setting[float64] {
	if v, ok := r.seconds(e, 0); ok {
		return premortem.Setting[float64]{Value: v, Pos: r.at(e)}
	}
	return premortem.Setting[float64]{}
}

func (r *goReader) seconds(e ast.Expr, depth int) (float64, bool) {
	if depth > 6 || e == nil {
		return 0, false
	}
	switch e := e.(type) {
	case *ast.BasicLit:
		v, err := strconv.ParseFloat(strings.ReplaceAll(e.Value, "_", ""), 64)
		return v, err == nil
	case *ast.ParenExpr:
		return r.seconds(e.X, depth+1)
	case *ast.SelectorExpr:
		v, ok := goUnits[e.Sel.Name]
		return v, ok && goName(e.X) == "time"
	case *ast.Ident:
		return r.seconds(r.values[e.Name], depth+1)
	case *ast.CallExpr:
		if _, _, name := r.callee(e); name == "Duration" && len(e.Args) == 1 {
			return r.seconds(e.Args[0], depth+1)
		}
	case *ast.BinaryExpr:
		a, ok1 := r.seconds(e.X, depth+1)
		b, ok2 := r.seconds(e.Y, depth+1)
		switch e.Op {
		case token.MUL:
			return a * b, ok1 && ok2
		case token.ADD:
			return a + b, ok1 && ok2
		}
	}
	return 0, false
}

// hostOf is the host of an address that is written out.
func hostOf(text string) string {
	if !strings.Contains(text, "://") {
		return ""
	}
	text, _, _ = strings.Cut(text, "%")
	text, _, _ = strings.Cut(text, "$")
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
