package read

import (
	"net/url"
	"strings"

	"github.com/premortem/premortem"
)

// jsCall is a call over the network, with what is needed to place it.
type jsCall struct {
	premortem.Call
	m          *module
	at         int // the name's token
	start, end int // the whole call, both included
	env        string
	host       string
	writes     bool
	waited     bool // the code goes on only when the answer is there
	depth      int
}

var (
	axiosMethods = map[string]string{"get": "GET", "post": "POST", "put": "PUT", "patch": "PATCH", "delete": "DELETE", "head": "HEAD", "options": "OPTIONS", "request": "", "del": "DELETE", "stream": "GET", "postForm": "POST"}
	// localMethods of SDKs answer without the network.
	localMethods = wordSet(`constructEvent constructEventAsync generateTestHeaderString setApiKey setSubstitutionWrappers on once off use addListener removeListener
		create extend setTimeout setHost destroy end close toString validateRequest verify verifyIdToken getApp initializeApp isAxiosError isCancel all spread
		Agent Pool Client ProxyAgent MockAgent setGlobalDispatcher getGlobalDispatcher fetch_ defaults config configure init auth authorize_url`)
	writeVerbs = []string{"create", "send", "update", "delete", "del", "charge", "refund", "capture", "confirm", "cancel", "post", "put", "patch", "upload", "publish", "invite", "add", "remove"}
	readVerbs  = []string{"get", "list", "retrieve", "find", "search", "fetch", "read", "head"}
)

// calls finds what a module calls over the network. modules are all of its service.
func (p *project) calls(m *module, modules []*module) []*jsCall {
	clients := p.callClients(m)
	bare := m.speaksOf("fetch") && len(m.vars["fetch"]) == 0 && len(m.functionsNamed("fetch")) == 0
	if len(clients) == 0 && !bare && !p.importsClient(m) {
		return nil
	}
	var out []*jsCall
	for i, t := range m.toks {
		if t.kind != jsIdent || jsKeywords[t.text] && !m.tok(i-1).is(".") {
			continue
		}
		open := m.callOpen(i)
		if open < 0 {
			continue
		}
		c := &jsCall{m: m, at: i, end: m.tok(open).match}
		made, ok := p.callAt(m, i, c, bare)
		if !ok {
			continue
		}
		args := m.args(open)
		c.Pos, c.Quote, c.waited = m.pos(c.start), m.quote(c.start), m.waitsFor(c.start, c.end)
		if c.m.tok(c.at).line != c.m.tok(c.start).line {
			c.Pos, c.Quote = m.pos(i), m.quote(i)
		}
		if made != nil {
			c.Made = made.clientPos()
		}
		p.wait(m, c, made, args, modules)
		p.addressOf(m, c, made, args)
		p.methodOf(m, c, i, args)
		out = append(out, c)
	}
	return out
}

// importsClient reports whether a module gets a client from another one.
func (p *project) importsClient(m *module) bool {
	if known, ok := p.takes[m]; ok {
		return known
	}
	if p.takes == nil {
		p.takes = map[*module]bool{}
	}
	for local, im := range m.imports {
		target := p.resolve(m.path, im.from)
		if target == nil || target.light && len(target.froms)+len(target.stars) == 0 {
			continue
		}
		if p.clientNamed(m, local) != nil || p.clientNamed(m, local+"()") != nil {
			p.takes[m] = true
			return true
		}
	}
	p.takes[m] = false
	return false
}

// callAt decides whether the call whose name is at i goes over the network.
func (p *project) callAt(m *module, i int, c *jsCall, bare bool) (*jsMade, bool) {
	name := m.tok(i).text
	k := i
	for m.tok(k-1).is(".") && (m.tok(k-2).kind == jsIdent) {
		k -= 2
	}
	c.start = k
	key, members := m.tok(k).text, (i-k)/2
	switch {
	case m.tok(k-1).is(".") && m.tok(k-2).is(")") && m.tok(m.tok(k-2).match-1).kind == jsIdent: // getStripe().x.create(
		fn := m.tok(k-2).match - 1
		if m.tok(fn - 1).is(".") {
			return nil, false
		}
		c.start, key, members = fn, m.tok(fn).text+"()", members+1
	case m.tok(k - 1).is("."), m.tok(k - 1).is("?."), m.tok(k - 1).is("new"), m.tok(k - 1).is("function"):
		return nil, false
	case key == "this" && members > 0:
		key, members = "this."+m.tok(k+2).text, members-1
	}
	if name == "fetch" && (k == i && bare || i-k == 2 && m.tok(k).is("globalThis")) {
		c.Client = "fetch"
		if pkg := m.packageOf("fetch"); pkg != "" {
			if c.Client = httpPackages[pkg]; c.Client == "" {
				return nil, false
			}
		} else if _, imported := m.imports["fetch"]; imported {
			return nil, false
		}
		return &jsMade{name: "fetch", m: m, at: -1}, true
	}
	made := p.clientNamed(m, key)
	if made == nil {
		return nil, false
	}
	c.Client = made.name
	switch {
	case localMethods[name] && !(name == "create" && members > 1), members > 0 && m.tok(k+2).is("interceptors"), members > 0 && m.tok(k+2).is("webhooks"):
		return nil, false
	case made.party != "":
		if members == 0 || made.at < 0 && made.name != "sendgrid" && made.name != "mandrill" || made.name == "twilio" && members < 2 {
			return nil, false
		}
		return made, m.waitsFor(c.start, c.end) || m.chainsPromise(c.end)
	case members == 0:
		return made, made.name != "undici" && made.name != "superagent"
	case made.name == "undici":
		return made, name == "request" || name == "fetch" || name == "stream"
	case members == 1:
		_, ok := axiosMethods[name]
		return made, ok
	}
	return nil, false
}

// waitsFor reports whether code goes on only when a call has its answer.
func (m *module) waitsFor(start, end int) bool {
	switch prev := m.tok(start - 1); {
	case prev.is("await"), prev.is("return"), prev.is("=>"), prev.is("yield"):
		return true
	case prev.is("["), prev.is(","): // Promise.all([a, b])
		up := m.tok(start).up
		return m.tok(up).is("[") && m.tok(up-1).is("(") && m.tok(up-3).is(".") && m.tok(up-4).is("Promise")
	case prev.is("("):
		return m.tok(start-2).is("await") || m.tok(start-2).kind == jsIdent && m.tok(start-3).is("await")
	case prev.is("="): // const p = call(); await p
		if name, ok := m.boundTo(start - 1); ok && m.mayScan() {
			scope := len(m.toks)
			if f := m.funcOf.at(start); f >= 0 {
				scope = m.funcs[f].body.hi
			}
			for k := end; k < scope; k++ {
				if m.toks[k].text == name && m.tok(k-1).is("await") {
					return true
				}
			}
		}
	}
	return false
}

// chainsPromise reports .then, .catch or .finally behind a call.
func (m *module) chainsPromise(end int) bool {
	return m.tok(end+1).is(".") && promiseMethods[m.tok(end+2).text]
}

// addressOf finds where a call goes: a literal host, or the variable of its address.
func (p *project) addressOf(m *module, c *jsCall, made *jsMade, args []span) {
	if made != nil && made.party != "" {
		c.To = premortem.Node("thirdparty/" + made.party)
		return
	}
	look := func(m *module, s span) {
		text, ok := m.addressText(s)
		if ok && c.host == "" && strings.Contains(text, "://") {
			if u, err := url.Parse(strings.ReplaceAll(text, "$", "0")); err == nil {
				c.host = u.Hostname()
			}
		}
		if e := m.envIn(s); e.Set() && c.env == "" && c.host == "" {
			c.env = e.Value
		}
	}
	for n, a := range args {
		if b := m.object(a); b >= 0 {
			for _, key := range []string{"url", "baseURL", "uri"} {
				if v := m.prop(b, key); !v.empty() {
					look(m, v)
				}
			}
		} else if n == 0 {
			look(m, a)
		}
	}
	if made != nil && made.at >= 0 && c.host == "" && c.env == "" {
		for _, a := range made.m.split(made.opts, ",") {
			for _, key := range []string{"baseURL", "prefixUrl", "baseUrl"} {
				if v := made.m.prop(made.m.object(a), key); !v.empty() {
					look(made.m, v)
				}
			}
		}
	}
	for _, sdk := range partyPackages {
		for _, h := range sdk.hosts {
			if c.host == h {
				c.To = premortem.Node("thirdparty/" + sdk.name)
			}
		}
	}
}

// addressText is a literal or a template's text, holes kept as $n.
func (m *module) addressText(s span) (string, bool) {
	t := m.tok(s.lo)
	switch {
	case t.kind == jsString, t.kind == jsTemplate:
		text := t.text
		if t.kind == jsTemplate && strings.HasPrefix(text, "$1") && t.match > s.lo {
			if head, ok := m.addressText(m.inside(s.lo + 1)); ok {
				text = head + text[2:]
			}
		}
		return text, true
	case t.kind == jsIdent && s.hi-s.lo == 1, t.kind == jsIdent && m.tok(s.lo+1).is("+"):
		if v, ok := m.initialiser(t.text, s.lo); ok && v.lo < s.lo && v.hi < s.lo {
			return m.addressText(v)
		}
	}
	return "", false
}

// methodOf tells what a call does, and whether it carries an idempotency key.
func (p *project) methodOf(m *module, c *jsCall, i int, args []span) {
	name := m.tok(i).text
	if verb, ok := axiosMethods[name]; ok && c.To.Kind() != "thirdparty" || ok && httpPackages[c.Client] != "" {
		c.Method = verb
	}
	for _, a := range args {
		if v := m.prop(m.object(a), "method"); !v.empty() {
			if s, ok := m.constant(v, 0); ok {
				c.Method = strings.ToUpper(s)
			}
		}
		text := strings.ToLower(m.source(a))
		if b := m.object(a); b >= 0 {
			text += strings.ToLower(m.source(span{b, m.next(b)}))
		}
		if strings.Contains(text, "idempotencykey") || strings.Contains(text, "idempotency-key") || strings.Contains(text, "idempotency_key") || strings.Contains(text, "clientrequesttoken") {
			c.Keyed = true
		}
	}
	if c.Method == "" && (c.Client == "fetch" || c.Client == "node-fetch") {
		c.Method = "GET"
		if len(args) > 1 && m.object(args[1]) < 0 {
			c.Method = ""
		}
	}
	switch c.Method {
	case "POST", "PUT", "PATCH", "DELETE":
		c.writes = true
	case "":
		c.writes = hasVerb(name, writeVerbs) && !hasVerb(name, readVerbs)
	}
	if c.writes && c.Method == "" && c.Client == "stripe" {
		c.Method = "POST"
	}
}

func hasVerb(name string, verbs []string) bool {
	low := strings.ToLower(name)
	for _, v := range verbs {
		if strings.HasPrefix(low, v) {
			return true
		}
	}
	return false
}
