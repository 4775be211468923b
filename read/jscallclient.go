package read

import (
	"strings"

	"github.com/premortem/premortem"
)

// httpPackages are HTTP clients and the name by which their defaults are known.
var httpPackages = map[string]string{
	"axios": "axios", "got": "got", "ky": "ky", "node-fetch": "node-fetch", "undici": "undici", "superagent": "superagent", "needle": "needle",
	"request": "request", "request-promise": "request", "request-promise-native": "request", "cross-fetch": "fetch", "isomorphic-fetch": "fetch",
	"ofetch": "ofetch", "wretch": "wretch", "phin": "phin", "bent": "bent",
}

// jsMade is a client that a module holds in a variable.
type jsMade struct {
	name  string // "axios", "stripe", …
	party string // third party, "" none
	m     *module
	at    int  // where it was made, -1 for the package itself
	opts  span // the arguments of what made it
}

// callClients returns the clients of a module by the text that names them: "api",
// "this.stripe", "getStripe()".
func (p *project) callClients(m *module) map[string]*jsMade {
	if have, ok := p.made[m]; ok {
		return have
	}
	if p.made == nil {
		p.made = map[*module]map[string]*jsMade{}
	}
	out := map[string]*jsMade{}
	p.made[m] = out
	for local, im := range m.imports {
		name, party := clientPackage(im.from)
		if name == "" || im.name != "*" && im.name != "default" && name != "undici" && im.name != name && party == "" {
			continue
		}
		if party != "" && im.name != "default" && im.name != "*" {
			continue // a class or a function of an SDK
		}
		c := &jsMade{name: name, party: party, m: m, at: -1}
		if m.tok(im.at).is("require") && m.tok(im.at+4).is("(") { // require('stripe')(key)
			c.at, c.opts = im.at, m.inside(im.at+4)
		}
		out[local] = c
	}
	for i, t := range m.toks {
		if t.kind != jsIdent || m.tok(i-1).is(".") {
			continue
		}
		name, party := clientPackage(m.packageOf(t.text))
		if name == "" {
			continue
		}
		k := i
		for m.tok(k+1).is(".") && m.tok(k+2).kind == jsIdent {
			k += 2
		}
		open := m.callOpen(k)
		if open < 0 || !makesClient(m, i, k, party) {
			continue
		}
		for _, key := range m.holders(i) {
			out[key] = &jsMade{name: name, party: party, m: m, at: i, opts: m.inside(open)}
		}
	}
	return out
}

// clientPackage names the client that an npm package is.
func clientPackage(pkg string) (name, party string) {
	if n := httpPackages[pkg]; n != "" {
		return n, ""
	}
	if sdk, ok := partyPackages[pkg]; ok && pkg != "@sentry/node" && pkg != "posthog-node" {
		return sdk.name, sdk.name
	}
	if strings.HasPrefix(pkg, "@aws-sdk/client-") {
		return "aws", "aws-" + strings.TrimPrefix(pkg, "@aws-sdk/client-")
	}
	return "", ""
}

// makesClient reports whether the call whose name is at k constructs a client.
func makesClient(m *module, i, k int, party string) bool {
	if m.tok(i - 1).is("new") {
		return true
	}
	switch m.tok(k).text {
	case "create", "extend", "createTransport", "instance", "defaults":
		return true
	}
	return party != "" && k == i // twilio(sid, token)
}

// holders are the texts under which the value made at i can be called.
func (m *module) holders(i int) []string {
	j := i - 1
	for m.tok(j).is("new") || m.tok(j).is("await") {
		j--
	}
	if m.tok(j).is("return") || m.tok(j).is("=>") || m.tok(j).is("??") || m.tok(j).is("||") {
		if f := m.funcOf.at(i); f >= 0 && m.funcs[f].name != "" {
			return []string{m.funcs[f].name + "()"}
		}
		return nil
	}
	if m.tok(j).is(":") && m.tok(j-1).kind == jsIdent {
		return nil
	}
	if !m.tok(j).is("=") && !m.tok(j).is("??=") && !m.tok(j).is("||=") {
		return nil
	}
	j--
	if m.tok(j-1).is(":") && m.tok(j-2).kind == jsIdent { // a type
		j -= 2
	}
	name := m.tok(j)
	if name.kind != jsIdent {
		return nil
	}
	keys := []string{name.text}
	if m.tok(j-1).is(".") && m.tok(j-2).is("this") {
		keys = []string{"this." + name.text}
	} else if prev := m.tok(j - 1); !prev.is("const") && !prev.is("let") && !prev.is("var") {
		keys = append(keys, "this."+name.text)
	}
	if f := m.funcOf.at(i); f >= 0 && m.funcs[f].name != "" && !strings.HasPrefix(keys[0], "this.") {
		keys = append(keys, m.funcs[f].name+"()") // made once, and given back
	}
	return keys
}

// clientNamed finds the client that a text names in a module, also one that another
// module made.
func (p *project) clientNamed(m *module, key string) *jsMade {
	if c := p.callClients(m)[key]; c != nil {
		return c
	}
	if strings.HasPrefix(key, "this.") {
		return nil
	}
	name, called := strings.CutSuffix(key, "()")
	if _, imported := m.imports[name]; !imported {
		return nil
	}
	s := p.trace(m, name)
	if s.m == nil || s.m == m || s.m.light {
		return nil
	}
	name = s.name
	if called {
		name += "()"
	}
	if c := p.callClients(s.m)[name]; c != nil && (c.at >= 0 || c.m == s.m) {
		return c
	}
	// export default axios.create(…) is a variable of the export's name.
	if v, ok := s.m.initialiser(s.name, len(s.m.toks)); ok && !called {
		i := v.lo
		if s.m.tok(i).is("new") {
			i++
		}
		if n, party := clientPackage(s.m.packageOf(s.m.tok(i).text)); n != "" {
			for k := i; k < v.hi; k++ {
				if open := s.m.callOpen(k); open > 0 {
					return &jsMade{name: n, party: party, m: s.m, at: i, opts: s.m.inside(open)}
				}
			}
		}
	}
	return nil
}

// clientPos is where a client was constructed.
func (c *jsMade) clientPos() premortem.Pos {
	if c.at < 0 {
		return premortem.Pos{}
	}
	return c.m.pos(c.at)
}

// clientDefaults is what code sets on a client after it was made.
type clientDefaults struct {
	timeout     premortem.Setting[float64]
	interceptor premortem.Setting[string] // a request interceptor that speaks of timeouts
	retries     premortem.Setting[int]
}

// defaultsOf finds axios.defaults.timeout = n and request interceptors, of one
// client in the module that made it, and of the package in every module.
func (p *project) defaultsOf(c *jsMade, modules []*module) clientDefaults {
	var out clientDefaults
	for _, m := range modules {
		if !m.speaksOf("defaults") && !m.speaksOf("interceptors") && !m.speaksOf("setGlobalDispatcher") && !m.uses("axios-retry") {
			continue
		}
		for i, t := range m.toks {
			if t.kind != jsIdent {
				continue
			}
			switch {
			case t.text == "defaults" && m.tok(i+2).is("timeout") && m.tok(i+3).is("=") && p.same(m, i-2, c):
				if q := p.amount(m, span{i + 4, m.exprEnd(i + 4)}); q.known {
					out.timeout = q.seconds()
				} else {
					out.interceptor = premortem.Setting[string]{Value: "its default timeout is computed", Pos: m.pos(i)}
				}
			case t.text == "interceptors" && m.tok(i+2).is("request") && p.same(m, i-2, c):
				in := m.inside(m.callOpen(i + 4))
				for k := in.lo; k < in.hi; k++ {
					if s := strings.ToLower(m.toks[k].text); strings.Contains(s, "timeout") || s == "signal" {
						out.interceptor = premortem.Setting[string]{Value: "a request interceptor sets a timeout", Pos: m.pos(i)}
					}
				}
			case t.text == "setGlobalDispatcher" && (c.name == "fetch" || c.name == "undici") && m.callOpen(i) > 0:
				if v := p.timeoutWithin(m, m.inside(m.callOpen(i))); v.Set() {
					out.timeout = v
				}
			case m.packageOf(t.text) == "axios-retry" && m.callOpen(i) > 0:
				if args := m.args(m.callOpen(i)); len(args) > 0 && p.same(m, args[0].lo, c) {
					out.retries = p.amount(m, m.prop(m.object(args[len(args)-1]), "retries")).whole()
					if !out.retries.Set() {
						out.retries = premortem.Setting[int]{Value: 3, Pos: m.pos(i)} // axios-retry's own default
					}
				}
			}
		}
	}
	return out
}

// same reports whether the name at i is the client c.
func (p *project) same(m *module, i int, c *jsMade) bool {
	key := m.tok(i).text
	if m.tok(i-1).is(".") && m.tok(i-2).is("this") {
		key = "this." + key
	}
	o := p.clientNamed(m, key)
	return o != nil && o.name == c.name && (o.at == c.at && o.m == c.m || o.at < 0 && c.at < 0)
}

// speaksOf reports whether a name occurs in the module at all.
func (m *module) speaksOf(name string) bool {
	if m.words == nil {
		m.words = map[string]bool{}
		for _, t := range m.toks {
			if t.kind == jsIdent {
				m.words[t.text] = true
			}
		}
	}
	return m.words[name]
}
