package read

import (
	"strings"

	"github.com/premortem/premortem"
)

// callForm is how a language writes a call over the network.
type callForm struct {
	on     string // receiver: a class or a variable's end, in lower case
	method string // "" any of httpMethods
	client string
}

// blockLang is what readTraffic needs to know of a language.
type blockLang struct {
	logs   map[string]string // receiver in lower case → library
	calls  []callForm
	member []string // what stands between receiver and method
}

var (
	rubyTraffic = blockLang{
		logs: map[string]string{"logger": "logger"}, member: []string{"."},
		calls: []callForm{{"httparty", "", "httparty"}, {"faraday", "", "faraday"}, {"restclient", "", "rest-client"}, {"http", "get_response", "net/http"}, {"http", "post_form", "net/http"}, {"excon", "", "excon"}},
	}
	javaTraffic = blockLang{
		logs: map[string]string{"log": "slf4j", "logger": "slf4j"}, member: []string{".", "?."},
		calls: []callForm{{"resttemplate", "getForObject", "resttemplate"}, {"resttemplate", "getForEntity", "resttemplate"}, {"resttemplate", "postForObject", "resttemplate"},
			{"resttemplate", "postForEntity", "resttemplate"}, {"resttemplate", "exchange", "resttemplate"}, {"resttemplate", "put", "resttemplate"}, {"resttemplate", "delete", "resttemplate"}},
	}
	phpTraffic = blockLang{
		logs: map[string]string{"log": "monolog", "logger": "monolog"}, member: []string{"::", "->"},
		calls: []callForm{{"http", "", "http"}},
	}
)

var blockLevels = map[string]string{
	"fatal": "error", "emergency": "error", "alert": "error", "critical": "error", "error": "error", "warning": "warn", "warn": "warn", "notice": "info", "info": "info", "debug": "debug", "trace": "debug",
}

// blockTraffic finds log calls and calls over the network of a language whose blocks
// are known by brackets or by "end".
func (p *program) blockTraffic(lang blockLang) {
	if p.traffic == nil {
		p.traffic = &programTraffic{}
	}
	for i, t := range p.toks {
		if t.kind != jsIdent {
			continue
		}
		dot := p.tok(i - 1)
		member := false
		for _, m := range lang.member {
			member = member || dot.is(m)
		}
		if fn := p.traffic.around(t.line); fn >= 0 && p.tok(i+1).is("(") && !dot.is("def") && !dot.is("function") {
			p.traffic.funcs[fn].refs = append(p.traffic.funcs[fn].refs, programRef{name: t.text, line: t.line})
		} else if fn >= 0 && p.lang == "ruby" && (member || t.nl && (p.tok(i+1).nl || p.tok(i+1).is("("))) {
			p.traffic.funcs[fn].refs = append(p.traffic.funcs[fn].refs, programRef{name: t.text, line: t.line})
		}
		if !member || p.tok(i-2).kind != jsIdent {
			continue
		}
		recv := strings.ToLower(strings.TrimPrefix(p.tok(i-2).text, "$"))
		p.blockLog(lang, recv, i)
		p.blockCall(lang, recv, i)
	}
}

// statementEnd is the token behind the arguments of the call at i.
func (p *program) statementEnd(i int) (args span) {
	if p.tok(i+1).is("(") && p.tok(i+1).match > 0 {
		return p.inside(i + 1)
	}
	end := i + 1
	for end < len(p.toks) && !p.tok(end).nl {
		end = p.next(end)
	}
	return span{i + 1, min(end, len(p.toks))}
}

func (p *program) blockLog(lang blockLang, recv string, i int) {
	level := blockLevels[p.tok(i).text]
	library := lang.logs[recv]
	if level == "" || library == "" {
		return
	}
	l := premortem.LogCall{Pos: p.pos(i), Quote: p.quote(i), Library: library, Level: level}
	in := p.statementEnd(i)
	for _, a := range p.split(in, ",") {
		switch t := p.tok(a.lo); {
		case (t.kind == jsString || t.kind == jsTemplate) && l.Message == "":
			l.Message = Mask(p.path, t.text)
		case t.is("[") || t.is("{"):
			for k := a.lo; k < a.hi; k++ {
				if (p.tok(k+1).is("=>") || p.tok(k+1).is(":")) && p.tok(k).kind != jsPunct {
					l.Fields = append(l.Fields, p.tok(k).text)
				}
			}
		case p.tok(a.lo + 1).is(":"):
			l.Fields = append(l.Fields, t.text)
		case p.tok(a.hi-1).kind == jsIdent:
			l.Fields = append(l.Fields, strings.TrimPrefix(p.tok(a.hi-1).text, "$"))
		}
	}
	p.traffic.logs = append(p.traffic.logs, l)
}

// blockCall reads a call over the network. A statement that speaks of a timeout has
// one; its value is read where it is a plain number of seconds.
func (p *program) blockCall(lang blockLang, recv string, i int) {
	name := p.tok(i).text
	for _, f := range lang.calls {
		if !strings.HasSuffix(recv, f.on) || f.method != "" && f.method != name || f.method == "" && (httpMethods[name] == "" || name == "all" || name == "del") {
			continue
		}
		if f.on == "http" && p.lang == "php" && !p.tok(i-1).is("::") || f.on == "http" && p.lang == "ruby" && !p.tok(i-3).is("::") {
			continue
		}
		c := programCall{Call: premortem.Call{Pos: p.pos(i), Quote: p.quote(i), Client: f.client}}
		c.Method = httpMethods[name]
		switch {
		case strings.HasPrefix(name, "post"):
			c.Method = "POST"
		case strings.HasPrefix(name, "get"):
			c.Method = "GET"
		}
		c.writes = c.Method != "GET" && c.Method != "HEAD" && c.Method != ""
		in := p.statementEnd(i)
		if in.lo < in.hi && (p.tok(in.lo).kind == jsString || p.tok(in.lo).kind == jsTemplate) {
			c.host = hostOf(p.tok(in.lo).text)
		}
		if strings.Contains(strings.ToLower(p.source(in)), "timeout") {
			p.blockTimeout(&c, in)
		}
		if p.lang == "java" { // the factory of a RestTemplate sets it somewhere else
			c.Opaque = "its RestTemplate is made elsewhere"
		}
		if p.lang == "ruby" && p.includesWord("default_timeout") {
			c.Opaque = "the file sets a default timeout"
		}
		p.traffic.calls = append(p.traffic.calls, c)
		return
	}
}

func (p *program) blockTimeout(c *programCall, in span) {
	for k := in.lo; k < in.hi; k++ {
		if strings.Contains(strings.ToLower(p.tok(k).text), "timeout") {
			for n := k + 1; n < k+4 && n < in.hi; n++ {
				if v, ok := parseAmount(p.tok(n).text); ok && p.tok(n).kind == jsNumber {
					c.Timeout = premortem.Setting[float64]{Value: v, Pos: p.pos(n)}
					return
				}
			}
		}
	}
	c.Opaque = "its timeout is computed"
}

func (p *program) includesWord(name string) bool {
	for _, t := range p.toks {
		if t.is(name) {
			return true
		}
	}
	return false
}

// bracketFuncs finds the methods of Java, Kotlin and PHP; those for which handler is
// true answer requests.
func (p *program) bracketFuncs(handler func(name int) bool) {
	p.traffic = &programTraffic{}
	for i, t := range p.toks {
		if !t.is("(") || t.match < 0 || p.tok(i-1).kind != jsIdent || jsKeywords[p.tok(i-1).text] || p.tok(i-2).is(".") || p.tok(i-2).is("->") || p.tok(i-2).is("::") || p.tok(i-2).is("new") || p.tok(i-2).is("@") {
			continue
		}
		body := t.match + 1
		for n := 0; n < 12 && body < len(p.toks) && !p.tok(body).is("{") && !p.tok(body).is(";") && !p.tok(body).is("}") && !p.tok(body).is("="); n++ {
			body = p.next(body)
		}
		if !p.tok(body).is("{") || p.tok(body).match < 0 {
			continue
		}
		prev := p.tok(i - 2)
		if prev.kind != jsIdent && !prev.is(">") && !prev.is("]") {
			continue
		}
		p.traffic.funcs = append(p.traffic.funcs, programFunc{name: p.tok(i - 1).text, start: p.tok(i - 1).line, end: p.tok(p.tok(body).match).line, handler: handler(i - 1)})
	}
}

// springHandler recognises a method below @GetMapping and its like.
func (p *program) springHandler(name int) bool {
	for k := name - 1; k > 0 && k > name-60; k-- {
		t := p.tok(k)
		if t.is(";") || t.is("}") && p.tok(p.tok(k).match-1).text != "(" || t.is("class") {
			return false
		}
		if p.tok(k-1).is("@") && (springMethods[t.text] != "" || t.text == "RequestMapping") {
			return true
		}
	}
	return false
}

// transactional adds the methods of Java below @Transactional.
func (p *program) transactional() {
	for i, t := range p.toks {
		if !t.is("Transactional") || !p.tok(i-1).is("@") || p.annotatesClass(i) {
			continue
		}
		if strings.Contains(p.source(p.inside(i+1)), "readOnly=true") || strings.Contains(p.source(p.inside(i+1)), "NOT_SUPPORTED") {
			continue
		}
		for _, f := range p.traffic.funcs {
			if f.start >= t.line && f.start <= t.line+6 {
				s := programScope{from: f.start + 1, to: f.end}
				s.Pos, s.Quote, s.End = p.pos(i), p.quote(i), p.on(f.end)
				s.Writes = linesWrite(p.lines, s.from, s.to)
				p.traffic.scopes = append(p.traffic.scopes, s)
				break
			}
		}
	}
}

// laravelRoutes reads Route::get('/x', …) below Route::prefix('p')->group(…).
func (p *program) laravelRoutes() {
	base := ""
	switch {
	case strings.HasSuffix(p.path, "routes/api.php"):
		base = "/api"
	case !strings.Contains(p.path, "routes/"):
		return
	}
	for i, t := range p.toks {
		if !t.is("Route") || !p.tok(i+1).is("::") {
			continue
		}
		verb := httpMethods[p.tok(i+2).text]
		args := p.args(i + 3)
		if !p.tok(i+3).is("(") || len(args) == 0 || p.tok(args[0].lo).kind != jsString {
			continue
		}
		at := base + p.groupPrefix(i) + "/" + strings.Trim(p.tok(args[0].lo).text, "/")
		at = strings.ReplaceAll(at, "?}", "}")
		switch name := p.tok(i + 2).text; {
		case verb != "" || name == "any":
			if verb == "" {
				verb = "ALL"
			}
			p.route(verb, at, t.line, 0)
		case name == "resource", name == "apiResource":
			p.resource(at, t.line, name == "resource")
		}
	}
}

// groupPrefix joins the prefixes of the groups around a route.
func (p *program) groupPrefix(i int) string {
	out := ""
	for up := p.tok(i).up; up >= 0; up = p.tok(up).up {
		if !p.tok(up).is("(") || !p.tok(up-1).is("group") {
			continue
		}
		for k := up - 1; k > 0 && k > up-30 && !p.tok(k).is(";") && !p.tok(k).is("{"); k-- {
			if p.tok(k).is("prefix") && p.tok(k+1).is("(") && p.tok(k+2).kind == jsString {
				out = "/" + strings.Trim(p.tok(k+2).text, "/") + out
				break
			}
		}
		for k := up + 1; k < up+12; k++ { // group(['prefix' => 'admin'], …)
			if p.tok(k).text == "prefix" && p.tok(k).kind == jsString && p.tok(k+1).is("=>") {
				out = "/" + strings.Trim(p.tok(k+2).text, "/") + out
			}
		}
	}
	return out
}

// resource adds the routes of a resourceful controller.
func (p *program) resource(at string, line int, pages bool) {
	at = "/" + strings.Trim(at, "/")
	p.route("GET", at, line, 0)
	p.route("POST", at, line, 0)
	if pages {
		p.route("GET", at+"/create", line, 0)
		p.route("GET", at+"/{id}/edit", line, 0)
	}
	for _, verb := range []string{"GET", "PUT", "PATCH", "DELETE"} {
		p.route(verb, at+"/{id}", line, 0)
	}
}
