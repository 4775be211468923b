package read

import (
	"strings"

	"github.com/premortem/premortem"
)

// timeoutKeys are options that end a wait for an answer.
var timeoutKeys = wordSet(`timeout requestTimeout responseTimeout headersTimeout socketTimeout httpTimeout timeoutMs deadline axiosTimeout`)

// retryKeys are options that let a client try again.
var retryKeys = wordSet(`maxNetworkRetries maxRetries maxAttempts retries retry`)

// wait decides how long a call waits: by its own options, by what is around it, by
// its client and by the client's defaults, in this order.
func (p *project) wait(m *module, c *jsCall, made *jsMade, args []span, modules []*module) {
	known, opaque := premortem.Setting[float64]{}, ""
	shorter := func(t premortem.Setting[float64]) {
		if t.Set() && t.Value > 0 && (!known.Set() || t.Value < known.Value) {
			known = t
		}
	}
	for n, a := range args {
		t, why := p.optionsWait(m, a, n > 0 || made == nil, c)
		shorter(t)
		if why != "" && opaque == "" {
			opaque = why
		}
	}
	t, why := p.waitAround(m, c)
	shorter(t)
	if why != "" && opaque == "" {
		opaque = why
	}
	if made != nil {
		if made.at >= 0 {
			for _, a := range made.m.split(made.opts, ",") {
				t, why := p.optionsWait(made.m, a, true, c)
				shorter(t)
				if why != "" && opaque == "" {
					opaque = why
				}
			}
		}
		d := p.defaultsOf(made, modules)
		shorter(d.timeout)
		if d.interceptor.Set() && opaque == "" {
			opaque = d.interceptor.Value
		}
		if d.retries.Set() && !c.Retries.Set() {
			c.Retries = d.retries
		}
	}
	c.Timeout = known
	if !known.Set() {
		c.Opaque = opaque
	}
}

// optionsWait reads one argument that may be a client's options.
func (p *project) optionsWait(m *module, a span, options bool, c *jsCall) (premortem.Setting[float64], string) {
	b := m.object(a)
	if b < 0 {
		if options && m.optionsName(a) {
			return premortem.Setting[float64]{}, "its options come from elsewhere"
		}
		return premortem.Setting[float64]{}, ""
	}
	var known premortem.Setting[float64]
	why := ""
	for _, prop := range m.props(b) {
		switch {
		case timeoutKeys[prop.key]:
			t, w := p.timeValue(m, prop.value)
			if t.Set() {
				known = t
			} else if w != "" {
				why = w
			}
		case prop.key == "signal":
			t, w := p.signalWait(m, prop.value)
			if t.Set() {
				known = t
			} else if w != "" {
				why = w
			}
		case prop.key == "cancelToken":
			why = "a cancel token may end it"
		case retryKeys[prop.key]:
			p.retryOption(m, prop, c)
		case prop.key == "requestHandler", prop.key == "httpOptions", prop.key == "agent", prop.key == "httpAgent", prop.key == "dispatcher", prop.key == "httpClient":
			if t := p.timeoutWithin(m, prop.value); t.Set() {
				known = t
			} else if prop.key != "agent" && prop.key != "httpAgent" {
				why = "its " + prop.key + " may end it"
			}
		case prop.key == "...":
			if w := p.spreadWait(m, prop.value, c, &known); w != "" {
				why = w
			}
		}
	}
	return known, why
}

// optionsName recognises an argument that holds options by its name.
func (m *module) optionsName(a span) bool {
	if a.hi-a.lo > 3 || m.tok(a.hi-1).kind != jsIdent {
		return false
	}
	name := strings.ToLower(m.tok(a.hi - 1).text)
	for _, part := range []string{"opt", "config", "conf", "init", "settings"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// timeValue reads `timeout: 5000` and got's `timeout: {request: 5000}`.
func (p *project) timeValue(m *module, v span) (premortem.Setting[float64], string) {
	if b := m.object(v); b >= 0 {
		for _, key := range []string{"request", "response", "deadline", "socket"} {
			if q := p.amount(m, m.prop(b, key)); q.known {
				return q.seconds(), ""
			}
		}
		return premortem.Setting[float64]{}, ""
	}
	q := p.amount(m, v)
	switch {
	case q.known:
		return q.seconds(), ""
	case q.env != "":
		return premortem.Setting[float64]{}, "its timeout is the variable " + q.env
	}
	return premortem.Setting[float64]{}, "its timeout is computed"
}

// signalWait reads AbortSignal.timeout(n), AbortSignal.any([…]) and the signal of a
// controller that a timer aborts.
func (p *project) signalWait(m *module, v span) (premortem.Setting[float64], string) {
	for i := v.lo; i < v.hi; i++ {
		if m.tok(i).is("timeout") && m.tok(i-2).is("AbortSignal") && m.callOpen(i) > 0 {
			if q := p.amount(m, m.inside(m.callOpen(i))); q.known {
				return q.seconds(), ""
			}
			return premortem.Setting[float64]{}, "its timeout is computed"
		}
	}
	name := m.tok(v.lo).text
	if v.hi-v.lo == 1 {
		if init, ok := m.initialiser(name, v.lo); ok && init.lo < v.lo && init.hi-init.lo > 1 {
			if t, _ := p.signalWait(m, init); t.Set() {
				return t, ""
			}
			name = m.tok(init.lo).text
		}
	}
	scope := span{0, len(m.toks)}
	if f := m.funcOf.at(v.lo); f >= 0 {
		scope = m.funcs[f].body
	}
	if m.mayScan() {
		for i := scope.lo; i < scope.hi; i++ {
			if !m.tok(i).is("setTimeout") || m.callOpen(i) < 0 {
				continue
			}
			args := m.args(m.callOpen(i))
			if len(args) == 2 && strings.Contains(m.source(args[0]), name+".abort") {
				if q := p.amount(m, args[1]); q.known {
					return q.seconds(), ""
				}
			}
		}
	}
	return premortem.Setting[float64]{}, "a signal may end it"
}

// spreadWait looks into what is spread into options: an object, or the function that
// gives one back.
func (p *project) spreadWait(m *module, v span, c *jsCall, known *premortem.Setting[float64]) string {
	const unknown = "part of its options comes from elsewhere"
	if b := m.object(v); b >= 0 && c.depth < 4 {
		c.depth++
		t, why := p.optionsWait(m, span{b, m.next(b)}, true, c)
		c.depth--
		if t.Set() {
			*known = t
		}
		return why
	}
	if m.tok(v.lo).is("(") {
		for i := v.lo; i < v.hi; i++ {
			if s := strings.ToLower(m.tok(i).text); strings.Contains(s, "timeout") || s == "signal" {
				return unknown
			}
		}
		return ""
	}
	i := v.lo
	if m.tok(i).kind != jsIdent || m.callOpen(i) < 0 {
		return unknown
	}
	s := p.lookup(m, m.tok(i).text)
	if s.m == nil {
		return unknown
	}
	f, ok := s.m.function(strings.TrimPrefix(s.name, "export "), i, s.m == m)
	if !ok {
		return unknown
	}
	body := f.m.funcs[f.fn].body
	for k := body.lo; k < body.hi; k++ {
		if s := strings.ToLower(f.m.toks[k].text); strings.Contains(s, "timeout") || s == "signal" || f.m.toks[k].is("...") {
			return unknown
		}
	}
	return ""
}

// timeoutWithin finds a timeout option anywhere in an expression.
func (p *project) timeoutWithin(m *module, s span) premortem.Setting[float64] {
	for i := s.lo; i < s.hi; i++ {
		if timeoutKeys[m.tok(i).text] && m.tok(i+1).is(":") {
			if q := p.amount(m, span{i + 2, m.exprEnd(i + 2)}); q.known {
				return q.seconds()
			}
		}
	}
	return premortem.Setting[float64]{}
}

// waitAround reads what a call is given to or followed by: withTimeout(call, n),
// Promise.race([call, …]), call.timeout(n).
func (p *project) waitAround(m *module, c *jsCall) (premortem.Setting[float64], string) {
	for i := c.end + 1; m.tok(i).is(".") && m.callOpen(i+1) > 0; i = m.next(m.callOpen(i + 1)) {
		if m.tok(i+1).is("timeout") || m.tok(i+1).is("setTimeout") {
			if args := m.args(m.callOpen(i + 1)); len(args) > 0 {
				return p.timeValue(m, args[0])
			}
		}
	}
	limit := -1
	if f := m.funcOf.at(c.start); f >= 0 {
		limit = m.funcs[f].body.lo - 1
	}
	for up := m.tok(c.start).up; up >= 0; up = m.tok(up).up {
		if m.tok(up).is("(") && m.tok(up-1).kind == jsIdent {
			name := strings.ToLower(m.tok(up - 1).text)
			if name == "race" || strings.Contains(name, "timeout") || strings.Contains(name, "deadline") || name == "fire" {
				for _, a := range m.args(up) {
					if q := p.amount(m, a); q.known {
						return q.seconds(), ""
					}
					if t := p.timeoutWithin(m, a); t.Set() {
						return t, ""
					}
					if v := m.prop(m.object(a), "milliseconds"); !v.empty() {
						return p.timeValue(m, v)
					}
				}
				return premortem.Setting[float64]{}, "it stands in " + m.tok(up-1).text
			}
		}
		if up < limit && !m.tok(up).is("(") {
			break
		}
	}
	return premortem.Setting[float64]{}, ""
}

// retryOption reads how often a client tries again.
func (p *project) retryOption(m *module, prop jsProp, c *jsCall) {
	v := prop.value
	if b := m.object(v); b >= 0 {
		for _, key := range []string{"limit", "retries"} {
			if inner := m.prop(b, key); !inner.empty() {
				v = inner
			}
		}
	}
	q := p.amount(m, v)
	if !q.known || q.value < 0 || q.value > 1000 {
		return
	}
	if prop.key == "maxAttempts" {
		q.value = max(q.value-1, 0)
	}
	q.pos = m.pos(prop.at)
	c.Retries = q.whole()
}
