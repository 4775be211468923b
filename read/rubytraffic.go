package read

import (
	"path"
	"slices"
	"strings"
)

// rubyOpeners start a block that "end" closes, where they begin a statement.
var rubyOpeners = wordSet(`def class module if unless while until case begin for`)

// rubyTrafficOf finds the methods of a file, then logs, calls, transactions and
// routes.
func (p *program) rubyTrafficOf() {
	p.traffic = &programTraffic{}
	controller := strings.Contains(p.path, "app/controllers/")
	var stack []int // index of the function, -1 for another block
	private := false
	for i, t := range p.toks {
		if t.kind != jsIdent || p.tok(i-1).is(".") || p.tok(i+1).is(":") && !p.tok(i+1).nl || p.tok(i-1).is(":") {
			continue
		}
		switch {
		case t.is("private") && p.tok(i+1).nl:
			private = true
		case t.is("def"):
			name := i + 1
			if p.tok(i+1).is("self") && p.tok(i+2).is(".") {
				name = i + 3
			}
			if p.endless(name) {
				continue
			}
			stack = append(stack, len(p.traffic.funcs))
			p.traffic.funcs = append(p.traffic.funcs, programFunc{name: p.tok(name).text, start: t.line, end: t.line, handler: controller && !private})
		case t.is("do"), rubyOpeners[t.text] && (t.nl || t.is("class") || t.is("module") || t.is("case") || t.is("begin") || p.tok(i-1).is("=")):
			if t.is("do") && p.loopHead(i) || t.is("class") && p.tok(i-1).is("<") {
				continue
			}
			stack = append(stack, -1)
		case t.is("end"):
			if len(stack) == 0 {
				continue
			}
			if fn := stack[len(stack)-1]; fn >= 0 {
				p.traffic.funcs[fn].end = t.line
			}
			stack = stack[:len(stack)-1]
		}
	}
	p.blockTraffic(rubyTraffic)
	p.pumaConfig()
	switch {
	case path.Base(p.path) == "routes.rb" && strings.Contains(p.path, "config/"):
		p.railsRoutes()
	case p.includesWord("Sinatra") || p.includesWord("sinatra"):
		p.sinatraRoutes()
	}
}

// endless reports `def name = value`.
func (p *program) endless(name int) bool {
	k := name + 1
	if p.tok(k).is("(") {
		k = p.next(k)
	}
	return p.tok(k).is("=") && !p.tok(k).nl
}

// loopHead reports the do of `while x do`.
func (p *program) loopHead(i int) bool {
	for k := i - 1; k > 0 && !p.tok(k+1).nl; k-- {
		if t := p.tok(k); (t.is("while") || t.is("until") || t.is("for")) && t.nl {
			return true
		}
	}
	return false
}

// railsRoutes reads config/routes.rb: verbs, resources, resource, namespace, scope,
// member and collection.
func (p *program) railsRoutes() {
	var stack []railsLevel
	for i, t := range p.toks {
		if t.kind != jsIdent {
			continue
		}
		if t.is("end") && len(stack) > 0 {
			stack = stack[:len(stack)-1]
			continue
		}
		if !t.nl {
			continue
		}
		in := p.statementEnd(i)
		opens := p.opensBlock(i)
		var lv railsLevel
		if len(stack) > 0 {
			lv = stack[len(stack)-1]
		}
		nested := p.railsStatement(i, in, lv, opens)
		if opens {
			stack = append(stack, nested)
		}
	}
}

// railsLevel is the path of a block of routes, and that of one member of it.
type railsLevel struct{ prefix, member string }

// railsStatement reads one statement of the routes and returns the level of its block.
func (p *program) railsStatement(i int, in span, lv railsLevel, opens bool) railsLevel {
	t, name := p.toks[i], p.railsName(in)
	switch verb := httpMethods[t.text]; {
	case verb != "" && t.text != "all" && name != "":
		at := lv.prefix
		if !strings.Contains(p.source(in), "on::collection") && strings.Contains(p.source(in), "on::member") {
			at = lv.member
		}
		p.route(verb, at+"/"+strings.Trim(strings.ReplaceAll(name, "(.:format)", ""), "/"), t.line, 0)
	case t.is("root"):
		p.route("GET", lv.prefix+"/", t.line, 0)
	case t.is("resources"), t.is("resource"):
		for _, a := range p.split(in, ",") {
			if !p.tok(a.lo).is(":") || a.hi-a.lo > 2 {
				break
			}
			name = p.tok(a.lo + 1).text
			p.railsResources(lv.prefix+"/"+name, in, t.line, t.is("resource"))
		}
		at := lv.prefix + "/" + name
		if t.is("resource") {
			return railsLevel{at, at}
		}
		return railsLevel{at + "/:" + strings.TrimSuffix(name, "s") + "_id", at + "/:id"}
	case opens && (t.is("namespace") || t.is("scope")):
		at := lv.prefix
		if t.is("namespace") || name != "" && !strings.Contains(p.source(in), "module:") {
			at += "/" + strings.Trim(name, "/")
		}
		return railsLevel{at, at}
	case opens && t.is("member"):
		return railsLevel{lv.member, lv.member}
	case opens && t.is("collection"):
		at := lv.prefix
		if k := strings.LastIndex(lv.member, "/:id"); k >= 0 {
			at = lv.member[:k]
		}
		return railsLevel{at, lv.member}
	}
	return lv
}

// opensBlock reports a statement that ends with do, or begins with if.
func (p *program) opensBlock(i int) bool {
	if rubyOpeners[p.tok(i).text] {
		return true
	}
	for k := i + 1; k < len(p.toks) && !p.tok(k).nl; k++ {
		if p.tok(k).is("do") {
			return true
		}
	}
	return false
}

// railsName is the first name of a statement: "orders", :orders, path: "x".
func (p *program) railsName(in span) string {
	switch t := p.tok(in.lo); {
	case in.empty():
		return ""
	case t.kind == jsString:
		return t.text
	case t.is(":") && p.tok(in.lo+1).kind == jsIdent:
		return p.tok(in.lo + 1).text
	}
	return ""
}

// railsResources adds the actions of a resource, without those that only: and
// except: leave out.
func (p *program) railsResources(at string, in span, line int, single bool) {
	only, except := p.railsList(in, "only"), p.railsList(in, "except")
	item := at + "/{id}"
	if single {
		item = at
	}
	for _, a := range []struct{ action, verb, at string }{
		{"index", "GET", at}, {"create", "POST", at}, {"new", "GET", at + "/new"}, {"show", "GET", item}, {"edit", "GET", item + "/edit"},
		{"update", "PATCH", item}, {"update", "PUT", item}, {"destroy", "DELETE", item},
	} {
		if single && a.action == "index" || only != nil && !slices.Contains(only, a.action) || slices.Contains(except, a.action) {
			continue
		}
		p.route(a.verb, a.at, line, 0)
	}
}

// railsList reads only: [:index, :show] and only: %i[index show].
func (p *program) railsList(in span, key string) []string {
	for k := in.lo; k < in.hi; k++ {
		if !p.tok(k).is(key) || !p.tok(k+1).is(":") {
			continue
		}
		out := []string{}
		for n := k + 2; n < in.hi && !(p.tok(n).is(",") && p.tok(n).up == p.tok(k).up); n++ {
			if t := p.tok(n); t.kind == jsIdent && t.text != "i" {
				out = append(out, t.text)
			}
		}
		return out
	}
	return nil
}

// sinatraRoutes reads get '/x' do … end.
func (p *program) sinatraRoutes() {
	for i, t := range p.toks {
		if verb := httpMethods[t.text]; t.kind == jsIdent && t.nl && verb != "" && p.tok(i+1).kind == jsString && strings.HasPrefix(p.tok(i+1).text, "/") && p.opensBlock(i) {
			p.route(verb, p.tok(i+1).text, t.line, 0)
		}
	}
}
