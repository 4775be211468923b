package read

import (
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// readTraffic finds functions, servers, calls, transactions and logs of Python.
func (r *pyReader) readTraffic() {
	r.traffic = &programTraffic{}
	r.gunicornConfig()
	for k, st := range r.stmts {
		head := st.lo
		if r.tok(head).is("async") {
			head++
		}
		if r.tok(head).is("def") && r.tok(head+1).kind == jsIdent {
			r.traffic.funcs = append(r.traffic.funcs, programFunc{name: r.tok(head + 1).text, start: r.tok(st.lo).line, end: r.blockEnd(k), handler: r.handlesRequest(k, head+1)})
		}
		switch {
		case r.tok(head).is("with"):
			r.atomicBlock(k, head)
		case r.tok(head).is("for"), r.tok(head).is("while"):
			r.pyRetry(k, head)
		}
	}
	for i, t := range r.toks {
		if t.kind != jsIdent || !r.tok(i+1).is("(") || r.tok(i-1).is("def") || r.tok(i-1).is("class") {
			continue
		}
		full := r.fullName(i)
		if fn := r.traffic.around(t.line); fn >= 0 {
			r.traffic.funcs[fn].refs = append(r.traffic.funcs[fn].refs, r.reference(i, full))
		}
		r.pyServer(i, full)
		r.pyCall(i, full)
		r.pyLog(i, full)
		if strings.HasSuffix(full, "signal.signal") && strings.Contains(r.source(r.inside(i+1)), "SIGTERM") {
			r.traffic.stops = premortem.Setting[string]{Value: r.quote(i), Pos: r.pos(i)}
		}
	}
}

// fullName is the dotted name of what is called at i, its first part replaced by
// what it was imported as.
func (r *pyReader) fullName(i int) string {
	start := i
	for r.tok(start-1).is(".") && r.tok(start-2).kind == jsIdent {
		start -= 2
	}
	if r.tok(start - 1).is(".") {
		return "?." + r.source(span{start, i + 1})
	}
	full := r.source(span{start, i + 1})
	first, rest, dotted := strings.Cut(full, ".")
	if from, ok := r.names[first]; ok {
		if full = from; dotted {
			full += "." + rest
		}
	}
	return full
}

// reference is a call by name, with the module that the name was imported from.
func (r *pyReader) reference(i int, full string) programRef {
	ref := programRef{name: r.tok(i).text, line: r.tok(i).line}
	start := i
	for r.tok(start-1).is(".") && r.tok(start-2).kind == jsIdent {
		start -= 2
	}
	if from, ok := r.names[r.tok(start).text]; ok {
		if start == i {
			if k := strings.LastIndex(from, "."); k >= 0 {
				ref.from, ref.name = from[:k], from[k+1:]
				if k == 0 || strings.HasSuffix(ref.from, ".") {
					ref.from = from[:k+1]
				}
			}
		} else if i-start == 2 {
			ref.from = from
		}
	}
	return ref
}

// blockEnd is the last line of the block below a statement.
func (r *pyReader) blockEnd(k int) int {
	end := r.tok(r.stmts[k].hi - 1).line
	for n := k + 1; n < len(r.stmts) && r.stmts[n].indent > r.stmts[k].indent; n++ {
		end = r.tok(r.stmts[n].hi - 1).line
	}
	return end
}

// handlesRequest recognises views: functions under a route's decorator, with a
// request for their first parameter, and the methods of class-based views.
func (r *pyReader) handlesRequest(k, name int) bool {
	for n := k - 1; n >= 0 && r.tok(r.stmts[n].lo).is("@"); n-- {
		for i := r.stmts[n].lo; i < r.stmts[n].hi; i++ {
			t := r.tok(i)
			if r.tok(i-1).is(".") && r.tok(i+1).is("(") && (httpMethods[t.text] != "" || t.text == "route" || t.text == "api_route" || t.text == "middleware" || t.text == "before_request") {
				return true
			}
			if t.is("api_view") || t.is("login_required") || t.is("action") || t.is("csrf_exempt") {
				return true
			}
		}
	}
	params := r.args(name + 1)
	first := ""
	if len(params) > 0 {
		first = r.tok(params[0].lo).text
	}
	if first == "request" {
		return true
	}
	if first == "self" && len(params) > 1 && r.tok(params[1].lo).is("request") {
		return true
	}
	return first == "self" && r.grpcMethod(name, params)
}

// grpcMethod recognises def ListProducts(self, request, context).
func (r *pyReader) grpcMethod(name int, params []span) bool {
	return len(params) == 3 && r.tok(params[2].lo).is("context") && r.tok(name).text[0] >= 'A' && r.tok(name).text[0] <= 'Z'
}

// number reads a keyword's number: a literal, a name of one, or a product.
func (r *pyReader) number(s span) (float64, bool) {
	if s.empty() {
		return 0, false
	}
	if parts := r.split(s, "*"); len(parts) > 1 {
		total := 1.0
		for _, p := range parts {
			v, ok := r.number(p)
			if !ok {
				return 0, false
			}
			total *= v
		}
		return total, true
	}
	t := r.tok(s.lo)
	switch {
	case s.hi-s.lo == 1 && (t.kind == jsNumber || t.kind == jsString):
		v, err := strconv.ParseFloat(strings.ReplaceAll(t.text, "_", ""), 64)
		return v, err == nil
	case s.hi-s.lo == 1 && t.kind == jsIdent:
		if v := r.assigned(t.text, s.lo); !v.empty() && v.lo != s.lo && r.tok(v.lo).kind == jsNumber {
			return r.number(v)
		}
	case t.is("(") && r.next(s.lo) == s.hi: // requests: (connect, read)
		best, known := 0.0, false
		for _, p := range r.split(r.inside(s.lo), ",") {
			if v, ok := r.number(p); ok && v > best {
				best, known = v, true
			}
		}
		return best, known
	case (t.is("int") || t.is("float")) && r.tok(s.lo+1).is("("), strings.HasSuffix(r.source(s), ")") && strings.Contains(r.source(s), "environ"), strings.Contains(r.source(s), "getenv"):
		for i := s.hi - 1; i > s.lo; i-- { // int(os.environ.get("X", "5")): its default
			if k := r.tok(i); (k.kind == jsNumber || k.kind == jsString) && r.tok(i-1).is(",") {
				return r.number(span{i, i + 1})
			}
		}
	}
	return 0, false
}

// pyServer reads uvicorn.run, app.run of Flask, and waitress.
func (r *pyReader) pyServer(i int, full string) {
	software := ""
	switch {
	case full == "uvicorn.run", full == "uvicorn.Config":
		software = "uvicorn"
	case full == "waitress.serve", full == "hypercorn.asyncio.serve":
		software, _, _ = strings.Cut(full, ".")
	case strings.HasSuffix(full, "app.run") && r.loadsTop("flask"):
		software = "flask"
	case full == "aiohttp.web.run_app":
		software = "aiohttp"
	default:
		return
	}
	s := premortem.Server{Pos: r.pos(i), Quote: r.quote(i), Software: software}
	for _, key := range []string{"port", "host", "workers", "timeout_keep_alive", "timeout_graceful_shutdown", "keepalive_timeout", "threads", "channel_timeout"} {
		v := r.keyword(i+1, key)
		if v.empty() {
			continue
		}
		if key == "host" {
			if text, _, ok := r.literal(v); ok {
				s.Host = premortem.Setting[string]{Value: text, Pos: r.pos(v.lo)}
			}
			continue
		}
		n, ok := r.number(v)
		if key == "port" {
			for _, u := range r.reads {
				if strings.Contains(r.source(v), u.name) || strings.Contains(r.source(r.assigned(r.tok(v.lo).text, v.lo)), u.name) {
					s.PortEnv = u.name
				}
			}
		}
		serverKey(&s, key, n, ok, r.pos(v.lo))
	}
	r.traffic.servers = append(r.traffic.servers, s)
}

// serverKey sets what a keyword, a flag or a line of a configuration says of a server.
func serverKey(s *premortem.Server, key string, n float64, known bool, pos premortem.Pos) {
	whole := premortem.Setting[int]{Value: int(n), Pos: pos}
	secs := premortem.Setting[float64]{Value: n, Pos: pos}
	name := ""
	switch key {
	case "port":
		if known {
			s.Port = whole
		}
		return
	case "workers", "w":
		name = "workers"
		if known {
			s.Workers = whole
		}
	case "threads":
		name = "threads"
		if known {
			s.Threads = whole
		}
	case "timeout_keep_alive", "keepalive_timeout", "keepalive", "keep-alive", "timeout-keep-alive", "keep_alive_timeout", "channel_timeout":
		name = "keep_alive"
		if known {
			s.KeepAlive = secs
		}
	case "timeout_graceful_shutdown", "graceful_timeout", "graceful-timeout", "timeout-graceful-shutdown":
		name = "drain"
		if known {
			s.Drain = secs
		}
	case "timeout", "t":
		name = "request_timeout"
		if known {
			s.RequestTimeout = secs
		}
	default:
		return
	}
	if !known {
		s.Opaque = append(s.Opaque, name)
	}
}

// loadsTop reports whether the file imports a package.
func (r *pyReader) loadsTop(pkg string) bool {
	for _, l := range r.loads {
		if l == pkg || strings.HasPrefix(l, pkg+".") {
			return true
		}
	}
	return false
}

// atomicBlock reads `with transaction.atomic():` and `with session.begin():`.
func (r *pyReader) atomicBlock(k, head int) {
	st := r.stmts[k]
	text := r.source(span{head, st.hi})
	if !strings.Contains(text, "atomic(") && !strings.Contains(text, ".begin(") && !strings.Contains(text, "db.transaction(") {
		return
	}
	t := programScope{from: r.tok(st.hi-1).line + 1, to: r.blockEnd(k)}
	t.Pos, t.Quote, t.End = r.pos(st.lo), r.quote(st.lo), r.on(t.to)
	if t.from > t.to {
		return
	}
	for i := st.hi; i < len(r.toks) && r.tok(i).line <= t.to; i++ {
		if r.tok(i).is("on_commit") {
			return // what is called then is called after it
		}
	}
	t.Writes = linesWrite(r.lines, t.from, t.to)
	r.traffic.scopes = append(r.traffic.scopes, t)
}

// pyRetry reads `for attempt in range(n): try: return call() except: …` and the
// same with `while True`.
func (r *pyReader) pyRetry(k, head int) {
	st := r.stmts[k]
	pr := programRetry{to: r.blockEnd(k)}
	pr.Pos, pr.Quote = r.pos(st.lo), r.quote(st.lo)
	switch {
	case r.tok(head).is("for"):
		i := head
		for i < st.hi && !r.tok(i).is("range") {
			i++
		}
		args := r.args(i + 1)
		if i >= st.hi || len(args) == 0 {
			return
		}
		first := 0.0
		if len(args) > 1 {
			first, _ = r.number(args[0])
		}
		n, ok := r.number(args[min(len(args)-1, 1)])
		if !ok || n-first < 2 || n-first > 1000 {
			return
		}
		pr.Attempts = premortem.Setting[int]{Value: int(n - first), Pos: r.pos(i)}
	case !r.tok(head + 1).is("True"):
		return
	}
	state := 0 // 1 in the try, 2 in the except
	leaves, certain := false, true
	for n := k + 1; n < len(r.stmts) && r.stmts[n].indent > st.indent; n++ {
		t := r.tok(r.stmts[n].lo)
		switch {
		case t.is("try") && state == 0:
			state, pr.from = 1, t.line
		case t.is("except") && state == 1:
			state, pr.to = 2, t.line-1
		case state == 1 && (t.is("return") || t.is("break")), t.is("else") && state == 2:
			leaves = true
		}
		for i := r.stmts[n].lo; i < r.stmts[n].hi; i++ {
			if r.tok(i).is("sleep") && r.tok(i+1).is("(") {
				certain = r.pyWait(&pr, i)
			}
		}
	}
	if state == 2 && leaves && certain {
		r.traffic.retries = append(r.traffic.retries, pr)
	}
}

// pyWait reads time.sleep(…) of a loop.
func (r *pyReader) pyWait(pr *programRetry, i int) bool {
	in := r.inside(i + 1)
	text := r.source(in)
	pr.Wait.Pos = r.pos(i)
	if v, ok := r.number(in); ok {
		pr.Wait.Value = v
		return true
	}
	if in.hi-in.lo == 1 {
		text += r.source(r.assigned(r.tok(in.lo).text, in.lo))
	}
	pr.Backoff = strings.Contains(text, "*") || strings.Contains(text, "pow") || strings.Contains(text, "backoff")
	pr.Jitter = strings.Contains(text, "random") || strings.Contains(text, "jitter") || strings.Contains(text, "uniform")
	return pr.Backoff || pr.Jitter
}
