package read

import (
	"go/ast"
	"strings"

	"github.com/premortem/premortem"
)

// netCall reads a call over the network: of net/http, and of SDKs.
func (r *goReader) netCall(c *ast.CallExpr, from, recv, name string) {
	switch {
	case from == "net/http" && (name == "Get" || name == "Post" || name == "Head" || name == "PostForm"):
		pc := r.newCall(c, "net/http")
		pc.Method = strings.ToUpper(strings.TrimSuffix(name, "Form"))
		r.destination(&pc, c.Args[:min(1, len(c.Args))])
		pc.Timeout, pc.Opaque = r.defaultClient()
		r.addCall(pc)
	case name == "Do" && len(c.Args) == 1 && r.imports["http"] == "net/http":
		r.doCall(c)
	case from == "" && (name == "Get" || name == "Post" || name == "PostForm") && recv != "" && recv != "?" && r.holdsClient(recv):
		pc := r.newCall(c, "net/http")
		pc.Method = strings.ToUpper(strings.TrimSuffix(name, "Form"))
		r.destination(&pc, c.Args[:min(1, len(c.Args))])
		r.clientTimeout(&pc, recv)
		r.addCall(pc)
	case strings.Contains(from, "stripe/stripe-go/") && (name == "New" || name == "Update" || name == "Get" || name == "Cancel" || name == "Confirm" || name == "Capture"):
		pc := r.newCall(c, "stripe")
		pc.To, pc.writes = "thirdparty/stripe", name != "Get"
		r.addCall(pc)
	}
}

func (r *goReader) newCall(c *ast.CallExpr, client string) programCall {
	return programCall{Call: premortem.Call{Pos: r.at(c), Quote: r.quoteLine(r.line(c)), Client: client}}
}

func (r *goReader) addCall(pc programCall) {
	switch pc.Method {
	case "POST", "PUT", "PATCH", "DELETE":
		pc.writes = true
	}
	r.traffic.calls = append(r.traffic.calls, pc)
}

// destination reads the address among arguments.
func (r *goReader) destination(pc *programCall, args []ast.Expr) {
	for _, a := range args {
		text, _ := r.text(a)
		if b, ok := a.(*ast.BinaryExpr); ok && text == "" {
			text, _ = r.text(b.X)
		}
		if call, ok := a.(*ast.CallExpr); ok && len(call.Args) > 0 { // fmt.Sprintf("http://x/%s", …)
			text, _ = r.text(call.Args[0])
		}
		if h := hostOf(text); h != "" {
			pc.host = h
		} else if e := r.envIn(a, 0); e.Set() {
			pc.env = e.Value
		}
	}
}

// defaultClient is the timeout of http.DefaultClient, which only this file may set.
func (r *goReader) defaultClient() (premortem.Setting[float64], string) {
	if v, ok := r.values["http.DefaultClient.Timeout"]; ok && v != nil {
		if d := r.duration(v); d.Set() {
			return d, ""
		}
		return premortem.Setting[float64]{}, "http.DefaultClient is given a timeout"
	}
	return premortem.Setting[float64]{}, ""
}

// holdsClient reports a variable of the file that is an http.Client.
func (r *goReader) holdsClient(name string) bool {
	lit, _ := r.clientLit(name)
	return lit != nil
}

// clientLit finds the http.Client{…} that a variable or a field holds. known is
// false where something else may be in it.
func (r *goReader) clientLit(name string) (*ast.CompositeLit, bool) {
	for _, key := range []string{name, "." + name} {
		e, ok := r.values[key]
		if !ok {
			continue
		}
		if u, isRef := e.(*ast.UnaryExpr); isRef {
			e = u.X
		}
		if lit, isLit := e.(*ast.CompositeLit); isLit && goName(lit.Type) == "http.Client" {
			return lit, true
		}
		return nil, false
	}
	return nil, false
}

// doCall reads client.Do(req): its client's timeout and its request's context.
func (r *goReader) doCall(c *ast.CallExpr) {
	sel, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	made := r.requestOf(c.Args[0], c)
	if made == nil {
		return
	}
	pc := r.newCall(c, "net/http")
	from, _, fn := r.callee(made)
	if from != "net/http" || !strings.HasPrefix(fn, "NewRequest") {
		return
	}
	args := made.Args
	if fn == "NewRequestWithContext" {
		if d := r.contextTimeout(args[0], c); d.Set() && d.Value > 0 {
			pc.Timeout = d
		} else if call, isCall := args[0].(*ast.CallExpr); !isCall || !r.background(call) {
			if !r.isBackground(args[0], c) {
				pc.Opaque = "its context may end it"
			}
		}
		args = args[1:]
	}
	if len(args) > 1 {
		if m, ok := r.text(args[0]); ok {
			pc.Method = m
		} else if s, isSel := args[0].(*ast.SelectorExpr); isSel {
			pc.Method = strings.ToUpper(strings.TrimPrefix(s.Sel.Name, "Method"))
		}
		r.destination(&pc, args[1:2])
	}
	name := goName(sel.X)
	if k := strings.LastIndex(name, "."); k >= 0 && name != "http.DefaultClient" {
		name = name[k+1:]
	}
	r.clientTimeout(&pc, name)
	r.addCall(pc)
}

// requestOf finds the call that made a request, nil for none in this function.
func (r *goReader) requestOf(e ast.Expr, at ast.Node) *ast.CallExpr {
	var out *ast.CallExpr
	name := goName(e)
	fn := r.enclosing(at)
	if fn == nil || name == "" {
		return nil
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Rhs) == 1 && len(a.Lhs) > 0 && goName(a.Lhs[0]) == name && a.Pos() < at.Pos() {
			if call, ok := a.Rhs[0].(*ast.CallExpr); ok {
				out = call
			}
		}
		return true
	})
	return out
}

func (r *goReader) background(c *ast.CallExpr) bool {
	from, _, name := r.callee(c)
	return from == "context" && (name == "Background" || name == "TODO")
}

func (r *goReader) isBackground(e ast.Expr, at ast.Node) bool {
	call := r.requestOf(e, at)
	return call != nil && r.background(call)
}

// clientTimeout reads the Timeout of the client that a name holds.
func (r *goReader) clientTimeout(pc *programCall, name string) {
	if name == "http.DefaultClient" {
		t, why := r.defaultClient()
		if !pc.Timeout.Set() {
			pc.Timeout = t
		}
		if pc.Opaque == "" {
			pc.Opaque = why
		}
		return
	}
	lit, known := r.clientLit(name)
	if !known {
		if !pc.Timeout.Set() && pc.Opaque == "" {
			pc.Opaque = "its client is made elsewhere"
		}
		return
	}
	pc.Made = r.at(lit)
	late := r.values[name+".Timeout"]
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok || goName(kv.Key) != "Timeout" {
			if ok && goName(kv.Key) == "Transport" && pc.Opaque == "" {
				if id, isID := kv.Value.(*ast.CallExpr); isID && !strings.Contains(goName(id.Fun), "otelhttp") {
					pc.Opaque = "its transport may end it"
				}
			}
			continue
		}
		late = kv.Value
	}
	if late == nil {
		return
	}
	if d := r.duration(late); d.Set() {
		if !pc.Timeout.Set() || d.Value < pc.Timeout.Value {
			pc.Timeout = d
		}
		pc.Opaque = ""
	} else if !pc.Timeout.Set() {
		pc.Opaque = "its client's timeout is computed"
	}
}

// transaction reads tx, err := db.Begin() … tx.Commit(), and gorm's
// db.Transaction(func(tx) error { … }).
func (r *goReader) transaction(c *ast.CallExpr, recv, name string) {
	t := programScope{Transaction: premortem.Transaction{Pos: r.at(c), Quote: r.quoteLine(r.line(c))}}
	if name == "Transaction" || name == "RunInTx" {
		for _, a := range c.Args {
			if lit, ok := a.(*ast.FuncLit); ok {
				t.from, t.to = r.line(lit), r.endLine(lit)
			}
		}
		if t.from == 0 {
			return
		}
	} else {
		a, ok := r.parents[c].(*ast.AssignStmt)
		fn := r.enclosing(c)
		if !ok || fn == nil || recv == "" || len(a.Lhs) == 0 {
			return
		}
		tx := goName(a.Lhs[0])
		ast.Inspect(fn, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if _, on, method := r.callee(call); method == "Commit" && on == tx && call.Pos() > c.Pos() {
					t.from, t.to = r.endLine(c)+1, r.line(call)-1
				}
			}
			return true
		})
		if t.from == 0 {
			return
		}
	}
	t.End = r.on(t.to)
	t.Writes = linesWrite(r.lines, t.from, t.to)
	r.traffic.scopes = append(r.traffic.scopes, t)
}

// linesWrite reports whether lines change rows or lock them, by their text.
func linesWrite(text lines, from, to int) bool {
	for n := max(from, 1); n <= to && n <= text.len(); n++ {
		up := strings.ToUpper(text.at(n))
		for _, w := range []string{"INSERT ", "UPDATE ", "DELETE ", "FOR UPDATE", ".CREATE(", ".SAVE(", ".SAVE!", ".CREATE!", ".UPDATE!", "SELECT_FOR_UPDATE", ".ADD(", ".DELETE(", ".UPDATE(", ".EXEC(", ".EXECCONTEXT(", ".DECREMENT", ".INCREMENT", "DESTROY", "LOCK", ".PERSIST(", "->SAVE("} {
			if strings.Contains(up, w) {
				return true
			}
		}
	}
	return false
}

// goRetry reads `for i := 0; i < n; i++ { err = f(); if err == nil { break } }`
// around a call.
func (r *goReader) goRetry(n *ast.ForStmt) {
	if n.Cond == nil || n.Init == nil || n.Body == nil {
		return
	}
	cond, ok := n.Cond.(*ast.BinaryExpr)
	if !ok {
		return
	}
	limit, ok := r.seconds(cond.Y, 0)
	if !ok || limit < 2 || limit > 1000 || !r.endsOnSuccess(n.Body) {
		return
	}
	pr := programRetry{from: r.line(n), to: r.endLine(n)}
	pr.Pos, pr.Quote = r.at(n), r.quoteLine(r.line(n))
	if cond.Op.String() == "<=" {
		limit++
	}
	pr.Attempts = premortem.Setting[int]{Value: int(limit), Pos: r.at(cond)}
	certain := true
	ast.Inspect(n.Body, func(x ast.Node) bool {
		c, ok := x.(*ast.CallExpr)
		if !ok {
			return true
		}
		if from, _, name := r.callee(c); from == "time" && (name == "Sleep" || name == "After") && len(c.Args) == 1 {
			if d := r.duration(c.Args[0]); d.Set() {
				pr.Wait = d
			} else {
				text := r.quoteLine(r.line(c))
				pr.Wait.Pos, pr.Backoff = r.at(c), true
				pr.Jitter = strings.Contains(text, "rand") || strings.Contains(strings.ToLower(text), "jitter") || !strings.Contains(text, "*")
			}
		} else if strings.Contains(strings.ToLower(name), "backoff") || strings.Contains(strings.ToLower(name), "wait") {
			certain = false
		}
		return true
	})
	if certain {
		r.traffic.retries = append(r.traffic.retries, pr)
	}
}

// endsOnSuccess reports a body that leaves when err == nil.
func (r *goReader) endsOnSuccess(body *ast.BlockStmt) bool {
	for _, st := range body.List {
		iff, ok := st.(*ast.IfStmt)
		if !ok {
			continue
		}
		b, ok := iff.Cond.(*ast.BinaryExpr)
		if !ok || b.Op.String() != "==" || goName(b.Y) != "nil" || !strings.HasSuffix(strings.ToLower(goName(b.X)), "err") {
			continue
		}
		for _, in := range iff.Body.List {
			switch in := in.(type) {
			case *ast.ReturnStmt:
				return true
			case *ast.BranchStmt:
				return in.Tok.String() == "break"
			}
		}
	}
	return false
}
