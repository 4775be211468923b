package read

import (
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

var pyVerbs = map[string]string{"get": "GET", "post": "POST", "put": "PUT", "patch": "PATCH", "delete": "DELETE", "head": "HEAD", "options": "OPTIONS", "request": "", "urlopen": ""}

// pyCall reads a call over the network: of requests, httpx, urllib, aiohttp, and of
// SDKs.
func (r *pyReader) pyCall(i int, full string) {
	name := r.tok(i).text
	top, _, _ := strings.Cut(full, ".")
	verb, isVerb := pyVerbs[name]
	switch {
	case (top == "requests" || top == "httpx") && isVerb && strings.Count(full, ".") == 1:
		r.addPyCall(i, top, verb, -1)
	case full == "urllib.request.urlopen":
		r.addPyCall(i, "urllib", "", -1)
	case isVerb && r.tok(i-1).is("."):
		if client, made := r.session(i); client != "" {
			r.addPyCall(i, client, verb, made)
		}
	case top == "stripe" && r.loadsTop("stripe") && r.tok(i-1).is(".") && (name == "create" || name == "retrieve" || name == "confirm" || name == "capture" || name == "modify" || name == "list"):
		if strings.Contains(full, "webhook") || strings.Contains(full, "Webhook") {
			return
		}
		c := r.newPyCall(i, "stripe")
		c.To, c.writes = "thirdparty/stripe", name != "retrieve" && name != "list"
		c.Keyed = !r.keyword(i+1, "idempotency_key").empty()
		r.traffic.calls = append(r.traffic.calls, c)
	case name == "send_mail" && strings.HasPrefix(full, "django.core.mail"):
		c := r.newPyCall(i, "smtp")
		c.To, c.writes = "thirdparty/smtp", true
		r.traffic.calls = append(r.traffic.calls, c)
	}
}

func (r *pyReader) newPyCall(i int, client string) programCall {
	return programCall{Call: premortem.Call{Pos: r.pos(i), Quote: r.quote(i), Client: client}}
}

// session finds what a receiver was made from: requests.Session(), httpx.Client(),
// `async with httpx.AsyncClient(timeout=5) as client`. made is the parenthesis.
func (r *pyReader) session(i int) (client string, made int) {
	if r.tok(i-2).kind != jsIdent || !r.loadsTop("requests") && !r.loadsTop("httpx") && !r.loadsTop("aiohttp") {
		return "", -1
	}
	name := r.tok(i - 2).text
	if v := r.assigned(name, i); !v.empty() && !r.tok(i-3).is(".") {
		return r.clientMade(v)
	}
	fn := r.stmts[r.stmtOf[i]].fn
	for _, head := range []string{"with", "async"} {
		for _, k := range r.heads[head] {
			st := r.stmts[k]
			if st.fn != fn || st.lo > i {
				continue
			}
			for j := st.lo; j < st.hi; j++ {
				if r.tok(j).is("as") && r.tok(j+1).is(name) {
					if c, open := r.clientMade(span{st.lo, j}); c != "" {
						return c, open
					}
				}
			}
		}
	}
	if r.tok(i - 3).is(".") { // self.session
		for j, t := range r.toks {
			if t.text == name && r.tok(j-1).is(".") && r.tok(j-2).is("self") && r.tok(j+1).is("=") && r.mayScan() {
				return r.clientMade(span{j + 2, r.stmts[r.stmtOf[j]].hi})
			}
		}
	}
	return "", -1
}

// clientMade recognises the construction of a client.
func (r *pyReader) clientMade(s span) (string, int) {
	for i := s.lo; i < s.hi; i++ {
		if r.tok(i).kind != jsIdent || !r.tok(i+1).is("(") {
			continue
		}
		switch full := r.fullName(i); full {
		case "requests.Session", "requests.session", "requests.sessions.Session":
			return "requests", i + 1
		case "httpx.Client", "httpx.AsyncClient":
			return "httpx", i + 1
		case "aiohttp.ClientSession":
			return "aiohttp", i + 1
		}
	}
	return "", -1
}

// addPyCall adds a call with its timeout: of the call, else of its client.
func (r *pyReader) addPyCall(i int, client, verb string, made int) {
	c := r.newPyCall(i, client)
	c.Method = verb
	if made >= 0 {
		c.Made = r.pos(made)
	}
	if !r.waits(&c, i+1) && made >= 0 {
		r.waits(&c, made)
		if !c.Timeout.Set() && c.Opaque == "" && r.mounted(i) {
			c.Opaque = "an adapter of its session may end it"
		}
	}
	args := r.args(i + 1)
	if verb == "" && len(args) > 0 && client != "urllib" {
		if s, _, ok := r.literal(args[0]); ok && len(s) < 8 {
			c.Method, args = strings.ToUpper(s), args[1:]
		}
	}
	if len(args) > 0 {
		r.pyAddress(&c, args[0])
	}
	switch c.Method {
	case "POST", "PUT", "PATCH", "DELETE":
		c.writes = true
	}
	if strings.Contains(strings.ToLower(r.source(r.inside(i+1))), "idempotency") {
		c.Keyed = true
	}
	r.traffic.calls = append(r.traffic.calls, c)
}

// waits reads the timeout among the arguments of a call or of a client, and reports
// whether there is one.
func (r *pyReader) waits(c *programCall, open int) bool {
	v := r.keyword(open, "timeout")
	if v.empty() {
		for _, a := range r.args(open) {
			if r.tok(a.lo).is("*") && c.Opaque == "" {
				c.Opaque = "its options come from elsewhere"
			}
		}
		return false
	}
	if r.tok(v.lo).is("None") {
		return false
	}
	if n, ok := r.number(v); ok {
		c.Timeout, c.Opaque = premortem.Setting[float64]{Value: n, Pos: r.pos(v.lo)}, ""
		return true
	}
	for k := v.lo; k < v.hi; k++ { // httpx.Timeout(5), aiohttp.ClientTimeout(total=5)
		if t := r.tok(k); t.is("Timeout") || t.is("ClientTimeout") {
			inner := r.keyword(k+1, "total")
			if inner.empty() && len(r.args(k+1)) > 0 {
				inner = r.args(k + 1)[0]
			}
			if n, ok := r.number(inner); ok {
				c.Timeout, c.Opaque = premortem.Setting[float64]{Value: n, Pos: r.pos(v.lo)}, ""
				return true
			}
		}
	}
	c.Opaque = "its timeout is computed"
	return true
}

// mounted reports session.mount(…), whose adapter may bring a timeout or retries.
func (r *pyReader) mounted(i int) bool {
	for _, k := range r.heads[r.tok(i-2).text] {
		st := r.stmts[k]
		if r.tok(st.lo+1).is(".") && r.tok(st.lo+2).is("mount") {
			return true
		}
	}
	return false
}

// pyAddress reads where a call goes: a literal host, or a variable of the environment.
func (r *pyReader) pyAddress(c *programCall, a span) {
	if text, _, ok := r.literal(a); ok {
		if h := hostOf(text); h != "" {
			c.host = h
			return
		}
	}
	for k := a.lo; k < a.hi; k++ {
		t := r.tok(k)
		if t.kind != jsIdent && t.kind != jsString {
			continue
		}
		src := t.text
		if t.kind == jsIdent {
			src += r.source(r.assigned(t.text, k))
		}
		for _, u := range r.reads {
			if u.name == t.text || strings.Contains(src, u.name) {
				c.env = u.name
				return
			}
		}
	}
}

var pyLevels = map[string]string{"critical": "error", "exception": "error", "error": "error", "warning": "warn", "warn": "warn", "info": "info", "debug": "debug", "success": "info", "trace": "debug"}

// pyLog reads a log call of logging, structlog, loguru, Flask and print.
func (r *pyReader) pyLog(i int, full string) {
	level := pyLevels[r.tok(i).text]
	if level == "" || !r.tok(i-1).is(".") {
		return
	}
	recv := strings.ToLower(r.tok(i - 2).text)
	library := ""
	switch {
	case strings.HasPrefix(full, "logging."), strings.HasSuffix(full, "app.logger."+r.tok(i).text):
		library = "logging"
	case strings.HasPrefix(full, "loguru."):
		library = "loguru"
	case strings.Contains(recv, "log"):
		library = "logging"
		for _, lib := range []string{"structlog", "loguru"} {
			if r.loadsTop(lib) {
				library = lib
			}
		}
	default:
		return
	}
	l := premortem.LogCall{Pos: r.pos(i), Quote: r.quote(i), Library: library, Level: level}
	for _, a := range r.args(i + 1) {
		r.pyLogArg(&l, a)
	}
	if r.tok(i).is("exception") {
		l.Fields = append(l.Fields, "exc_info")
	}
	l.Leaks = r.pyLeaks(i)
	r.traffic.logs = append(r.traffic.logs, l)
}

func (r *pyReader) pyLogArg(l *premortem.LogCall, a span) {
	t := r.tok(a.lo)
	switch {
	case (t.kind == jsString || t.kind == jsTemplate) && l.Message == "":
		l.Message = Mask(r.path, t.text)
		for _, m := range percentNames.FindAllStringSubmatch(t.text, -1) {
			l.Fields = append(l.Fields, m[1])
		}
	case r.tok(a.lo+1).is("=") && t.is("extra"):
		for k := a.lo; k < a.hi; k++ {
			if r.tok(k).kind == jsString && r.tok(k+1).is(":") {
				l.Fields = append(l.Fields, r.tok(k).text)
			}
		}
	case r.tok(a.lo + 1).is("="):
		l.Fields = append(l.Fields, t.text)
	case r.tok(a.hi-1).kind == jsIdent:
		l.Fields = append(l.Fields, r.tok(a.hi-1).text)
	}
}

var percentNames = regexp.MustCompile(`%\((\w+)\)s`)

// pyLeaks finds credentials among the arguments of a log call.
func (r *pyReader) pyLeaks(i int) []premortem.Leak {
	var out []premortem.Leak
	in := r.inside(i + 1)
	for k := in.lo; k < in.hi; k++ {
		t := r.tok(k)
		if t.kind != jsIdent || r.tok(k+1).is("=") || r.tok(k-1).is(".") {
			continue
		}
		hidden := false
		for up := r.tok(k).up; up > i+1; up = r.tok(up).up {
			if r.tok(up).is("(") && r.tok(up-1).kind == jsIdent && !r.tok(up-1).is("str") && !r.tok(up-1).is("dict") && !r.tok(up-1).is("format") {
				hidden = true
			}
		}
		if hidden {
			continue
		}
		what, at := r.pySource(k)
		if what == "" && !r.tok(k+1).is(".") && !r.tok(k+1).is("[") && !r.tok(k+1).is("(") {
			if v := r.assigned(t.text, k); !v.empty() && v.hi-v.lo <= 14 {
				if what, at = r.pySource(v.lo); what != "" && r.pyChainEnd(v.lo) != v.hi {
					what = ""
				}
			}
		}
		if what != "" {
			out = append(out, premortem.Leak{What: what, Source: r.pos(at), Quote: r.quote(at)})
			return out
		}
	}
	return out
}

// pyChainEnd is the token behind a chain of members, indexes and calls.
func (r *pyReader) pyChainEnd(k int) int {
	end := k + 1
	for {
		switch t := r.tok(end); {
		case t.is(".") && r.tok(end+1).kind == jsIdent:
			end += 2
		case (t.is("[") || t.is("(")) && t.match > 0:
			end = t.match + 1
		default:
			return end
		}
	}
}

// pySource decides whether the chain at k is a credential.
func (r *pyReader) pySource(k int) (string, int) {
	text := r.source(span{k, r.pyChainEnd(k)})
	low := strings.ToLower(text)
	name := ""
	if m := pyKey.FindStringSubmatch(text); m != nil {
		name = m[1]
	}
	switch {
	case strings.HasPrefix(text, "request.headers") || strings.HasPrefix(text, "req.headers"):
		switch {
		case text == "request.headers" || text == "req.headers":
			return "all headers of the request, with Authorization and cookies", k
		case strings.Contains(low, "authorization"), strings.Contains(low, "x-api-key"), strings.Contains(low, "cookie"):
			return "the " + strings.ToLower(name) + " header", k
		}
	case text == "request.cookies" || text == "request.COOKIES":
		return "the cookies of the request", k
	case strings.HasPrefix(text, "request.META") && strings.Contains(text, "HTTP_AUTHORIZATION"):
		return "the authorization header", k
	case (strings.HasPrefix(text, "request.form") || strings.HasPrefix(text, "request.json") || strings.HasPrefix(text, "request.POST") || strings.HasPrefix(text, "request.data")) && secretField.MatchString(name):
		return "the " + strings.ToLower(name) + " of the request", k
	case strings.HasPrefix(text, "os.environ") || strings.HasPrefix(text, "os.getenv"):
		if text == "os.environ" {
			return "the whole environment", k
		}
		if secretEnv.MatchString(name) {
			return "the variable " + name, k
		}
	}
	return "", k
}

// pyKey is the key of an index or of the first argument; source drops the quotes.
var pyKey = regexp.MustCompile(`[\[(]([A-Za-z_][\w-]*)[\]),]`)
