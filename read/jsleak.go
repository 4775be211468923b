package read

import (
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// secretField names values of requests and rows that open something.
var secretField = regexp.MustCompile(`(?i)^(password|passwd|pwd|pass_?word|secret|token|access_?token|refresh_?token|id_?token|auth_?token|session_?token|reset_?token|api_?key|client_?secret|private_?key|otp|totp|pin_?code|cvv|cvc|authorization|cookies?|jwt|bearer|credit_?card|card_?number)$`)

// secretEnv names variables that hold credentials.
var secretEnv = regexp.MustCompile(`(SECRET|PASSWORD|PASSWD|PRIVATE_KEY|API_?KEY|ACCESS_KEY|AUTH_TOKEN|_TOKEN)$`)

// openerName is a function that gives a credential back.
var openerName = regexp.MustCompile(`(?i)^(open|create|new|start|issue|sign|generate|make|mint|get|refresh)_?(user)?_?(session|token|access_?token|refresh_?token|auth_?token|jwt|session_?token|session_?id|api_?key|reset_?token|otp)$`)

// harmless are functions whose result does not give the credential away.
var harmless = regexp.MustCompile(`(?i)mask|redact|hash|sha\d|digest|hmac|slice|substr|fingerprint|scrub|sanitize|boolean|typeof|obfuscate|truncate|last4|encrypt|omit|verify|compare|length|isvalid|validate|decode|count|tostringtag|censor|anonymi|startswith|endswith|includes|test|match|split`)

// jsSource is a credential in an expression.
type jsSource struct {
	what string
	at   int // where it comes from
}

// leaks finds the credentials that flow into a log call.
func (p *project) leaks(m *module, at int, args []span, l *jsLogger) []premortem.Leak {
	var out []premortem.Leak
	add := func(s jsSource) {
		leak := premortem.Leak{What: s.what, Source: m.pos(s.at), Quote: m.quote(s.at)}
		if !slices.Contains(out, leak) {
			out = append(out, leak)
		}
	}
	for _, a := range args {
		if b := m.object(a); b >= 0 && m.tok(a.lo).is("{") {
			for _, prop := range m.props(b) {
				if l.removes(prop.key) {
					continue
				}
				if s, ok := p.credential(m, prop.value, 0); ok {
					add(s)
				}
			}
			continue
		}
		if s, ok := p.credential(m, a, 0); ok && !l.removes(lastName(m.source(a))) {
			add(s)
		}
	}
	return out
}

// removes reports whether the redaction of a logger covers a field.
func (l *jsLogger) removes(field string) bool {
	for _, r := range l.redact {
		last := strings.Trim(lastName(r), `[]"'`)
		if r == "**" || r == field || last == field || last == lastName(field) || last == "*" {
			return true
		}
	}
	return false
}

// credential finds a credential in an expression: a member of the request, a value
// of the environment, or a variable that holds one.
func (p *project) credential(m *module, s span, depth int) (jsSource, bool) {
	if s.empty() || depth > 4 {
		return jsSource{}, false
	}
	for i := s.lo; i < s.hi; i++ {
		t := m.toks[i]
		if t.kind != jsIdent || m.tok(i-1).is(".") || m.tok(i-1).is("?.") || jsKeywords[t.text] {
			continue
		}
		if m.tok(i+1).is(":") && m.tok(m.tok(i).up).is("{") || m.callOpen(i) > 0 {
			continue // a key, or a function
		}
		if m.wrapped(i, s) {
			continue
		}
		end := i + 1
		for (m.tok(end).is(".") || m.tok(end).is("?.")) && m.tok(end+1).kind == jsIdent && end < s.hi {
			end += 2
		}
		if m.tok(end).is("[") && m.tok(end+1).kind == jsString && m.tok(end).match == end+2 {
			end += 3
		}
		if m.tok(end).is("[") {
			i = end
			continue // one of many, by a computed key
		}
		if src, ok := p.sourceAt(m, i, end, depth); ok {
			return src, true
		}
		i = end - 1
	}
	return jsSource{}, false
}

// wrapped reports a value that only reaches its place through a function that hides
// it, or that is asked whether it is there.
func (m *module) wrapped(i int, s span) bool {
	if m.tok(i - 1).is("!") {
		return true
	}
	for up := m.tok(i).up; up >= s.lo; up = m.tok(up).up {
		if m.tok(up).is("(") && m.tok(up-1).kind == jsIdent && !transparent[m.tok(up-1).text] {
			return true // what a function makes of it is another value
		}
	}
	end := i + 1
	for (m.tok(end).is(".") || m.tok(end).is("?.")) && m.tok(end+1).kind == jsIdent {
		if open := m.callOpen(end + 1); open > 0 {
			return harmless.MatchString(m.tok(end+1).text) || !transparent[m.tok(end+1).text] && !headerGet[m.tok(end+1).text]
		}
		if harmless.MatchString(m.tok(end + 1).text) {
			return true
		}
		end += 2
	}
	next := m.tok(end)
	return next.is("?") || next.is("===") || next.is("!==") || next.is("==") || next.is("!=") || next.is("&&") || m.tok(i-1).is("typeof")
}

// transparent functions give back what they are given.
var (
	transparent = wordSet(`stringify String inspect format toString trim concat json assign`)
	headerGet   = wordSet(`get header`)
)

// sourceAt decides whether the member chain from i to end is a credential.
func (p *project) sourceAt(m *module, i, end, depth int) (jsSource, bool) {
	root, chain := m.tok(i).text, strings.ReplaceAll(m.source(span{i, end}), "?.", ".")
	if requestNames[root] || root == "ctx" || root == "c" && end > i+2 {
		return m.requestSource(i, end, chain)
	}
	if root == "process" && strings.HasPrefix(chain, "process.env") {
		name := strings.Trim(strings.TrimPrefix(chain, "process.env"), `.["']`)
		switch {
		case name == "":
			return jsSource{"the whole environment", i}, true
		case secretEnv.MatchString(name):
			return jsSource{"the variable " + name, i}, true
		}
		return jsSource{}, false
	}
	if end > i+1 {
		return jsSource{}, false // a field of something else: not by its name alone
	}
	return p.variableSource(m, root, i, depth)
}

// requestSource reads members of a request.
func (m *module) requestSource(i, end int, chain string) (jsSource, bool) {
	parts := strings.Split(strings.NewReplacer(`["`, ".", `"]`, "", "['", ".", "']", "", "[", ".", "]", "").Replace(chain), ".")
	last := strings.ToLower(parts[len(parts)-1])
	if m.callOpen(end-1) > 0 { // req.get('authorization')
		args := m.args(m.callOpen(end - 1))
		if len(args) != 1 || !headerGet[parts[len(parts)-1]] {
			return jsSource{}, false
		}
		switch name, _ := m.constant(args[0], 0); strings.ToLower(name) {
		case "authorization", "cookie", "x-api-key", "x-auth-token":
			return jsSource{"the " + strings.ToLower(name) + " header", i}, true
		}
		return jsSource{}, false
	}
	switch {
	case len(parts) == 2 && last == "headers":
		return jsSource{"all headers of the request, with Authorization and cookies", i}, true
	case len(parts) == 2 && (last == "cookies" || last == "signedcookies"):
		return jsSource{"the cookies of the request", i}, true
	case len(parts) == 2 && last == "body" && m.authRoute(i):
		return jsSource{"the whole body of a log-in, with the password", i}, true
	case len(parts) == 2 && last == "token":
		return jsSource{"the request's token", i}, true
	case len(parts) > 2 && secretField.MatchString(last):
		switch parts[1] {
		case "headers":
			return jsSource{"the " + last + " header", i}, true
		case "body", "query", "params", "cookies", "signedCookies":
			return jsSource{"the " + last + " of the request", i}, true
		}
	}
	return jsSource{}, false
}

var authPath = regexp.MustCompile(`(?i)(^|/)(log-?in|sign-?in|sign-?up|register|auth|session|password|token|reset)`)

// authRoute reports whether a token stands in the handler of a route for log-ins.
func (m *module) authRoute(i int) bool {
	for up := m.tok(i).up; up >= 0; up = m.tok(up).up {
		if !m.tok(up).is("(") || httpMethods[m.tok(up-1).text] == "" {
			continue
		}
		if args := m.args(up); len(args) > 1 {
			for _, at := range m.pathsOf(args[0]) {
				if authPath.MatchString(at) {
					return true
				}
			}
		}
	}
	return false
}

// variableSource follows a variable to what it was given.
func (p *project) variableSource(m *module, name string, at, depth int) (jsSource, bool) {
	v, ok := m.initialiser(name, at)
	if !ok || v.lo >= at || !sameScope(m, v.lo, at) || m.tok(v.lo-1).is("of") {
		return jsSource{}, false
	}
	if m.destructured(name, v) {
		text := strings.ReplaceAll(m.source(v), "?.", ".")
		if !secretField.MatchString(name) || m.callOpen(v.hi-1) > 0 {
			return jsSource{}, false
		}
		root, rest, _ := strings.Cut(text, ".")
		if requestNames[root] && (rest == "body" || rest == "query" || rest == "headers" || rest == "cookies" || rest == "params") {
			return jsSource{"the " + strings.ToLower(name) + " of the request", v.lo}, true
		}
		return jsSource{}, false
	}
	i := v.lo
	for m.tok(i).is("await") || m.tok(i).is("new") {
		i++
	}
	k := i
	for m.tok(k+1).is(".") && m.tok(k+2).kind == jsIdent {
		k += 2
	}
	if open := m.callOpen(k); open > 0 {
		if m.next(open) == v.hi && p.opens(m, k) {
			return jsSource{"the " + spoken(name), v.lo}, true
		}
		if !headerGet[m.tok(k).text] {
			return jsSource{}, false
		}
	}
	if v.hi-v.lo > 12 && !m.tok(v.lo).is("(") {
		return jsSource{}, false
	}
	return p.credential(m, v, depth+1)
}

// destructured reports a name that a pattern takes out of a value.
func (m *module) destructured(name string, v span) bool {
	eq := m.tok(v.lo - 2)
	return eq.is("}") || eq.is("]")
}

// opens reports whether a call gives a credential back: it signs a token, or is a
// function of the project that opens a session with random bytes.
func (p *project) opens(m *module, k int) bool {
	name := m.tok(k).text
	if recv := m.tok(k - 2); m.tok(k-1).is(".") && recv.kind == jsIdent {
		pkg := m.packageOf(recv.text)
		return name == "sign" && (pkg == "jsonwebtoken" || pkg == "jose") || name == "sign" && strings.Contains(strings.ToLower(recv.text), "jwt")
	}
	if name == "sign" && m.packageOf(name) == "jsonwebtoken" {
		return true
	}
	if !openerName.MatchString(name) {
		return false
	}
	s := p.lookup(m, name)
	if s.m == nil {
		return false
	}
	f, ok := s.m.function(strings.TrimPrefix(s.name, "export "), k, s.m == m)
	if !ok {
		return false
	}
	body := f.m.funcs[f.fn].body
	for i := body.lo; i < body.hi; i++ {
		switch f.m.toks[i].text {
		case "randomBytes", "randomUUID", "nanoid", "uuidv4", "getRandomValues", "sign", "uuid", "SignJWT":
			return true
		}
	}
	return false
}

// spoken is what to call a credential: by its variable's name, in words.
func spoken(name string) string {
	low := strings.ToLower(name)
	for _, kind := range []string{"refresh", "access", "reset", "session"} {
		if strings.Contains(low, kind) {
			return kind + " token"
		}
	}
	if strings.Contains(low, "key") {
		return "API key"
	}
	return "session token"
}
