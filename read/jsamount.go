package read

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// amount is a number that code computes from what is written.
type amount struct {
	value float64
	pos   premortem.Pos
	env   string // variable that overrides it, "" none
	known bool
}

// seconds is the amount as a time that was written in milliseconds.
func (q amount) seconds() premortem.Setting[float64] {
	if !q.known {
		return premortem.Setting[float64]{}
	}
	return premortem.Setting[float64]{Value: q.value / 1000, Pos: q.pos}
}

// whole is the amount as a whole number.
func (q amount) whole() premortem.Setting[int] {
	if !q.known {
		return premortem.Setting[int]{}
	}
	return premortem.Setting[int]{Value: int(q.value), Pos: q.pos}
}

// amount evaluates literals, their products and sums, constants of this and other
// modules, members of constant objects, Number(…), parseInt(…), ms('5s') and
// `process.env.X ?? 5`, whose variable is noted.
func (p *project) amount(m *module, s span) amount { return p.amountIn(m, s, 0) }

func (p *project) amountIn(m *module, s span, depth int) amount {
	if s.empty() || depth > 8 {
		return amount{}
	}
	for _, op := range []string{"??", "||"} {
		if parts := m.split(s, op); len(parts) > 1 {
			q := p.amountIn(m, parts[len(parts)-1], depth+1)
			if e := m.envIn(span{s.lo, parts[len(parts)-1].lo}); e.Set() {
				q.env = e.Value
				return q
			}
			return amount{}
		}
	}
	for _, op := range []string{"+", "*", "/"} {
		parts := m.split(s, op)
		if len(parts) < 2 {
			continue
		}
		total := p.amountIn(m, parts[0], depth+1)
		for _, part := range parts[1:] {
			q := p.amountIn(m, part, depth+1)
			total.known = total.known && q.known
			switch op {
			case "+":
				total.value += q.value
			case "*":
				total.value *= q.value
			case "/":
				total.value /= max(q.value, 1e-9)
			}
			if total.env == "" {
				total.env = q.env
			}
		}
		total.pos = m.pos(s.lo)
		return total
	}
	return p.factor(m, s, depth)
}

func (p *project) factor(m *module, s span, depth int) amount {
	t := m.tok(s.lo)
	switch {
	case s.hi-s.lo == 1 && (t.kind == jsNumber || t.kind == jsString):
		v, ok := parseAmount(t.text)
		return amount{value: v, pos: m.pos(s.lo), known: ok}
	case t.is("+"):
		return p.amountIn(m, span{s.lo + 1, s.hi}, depth+1)
	case t.is("(") && m.next(s.lo) == s.hi:
		return p.amountIn(m, m.inside(s.lo), depth+1)
	case (t.is("Number") || t.is("parseInt") || t.is("ms") || t.is("parseFloat") || t.is("Duration")) && m.callOpen(s.lo) == s.lo+1 && m.next(s.lo+1) == s.hi:
		if args := m.args(s.lo + 1); len(args) > 0 {
			q := p.amountIn(m, args[0], depth+1)
			return q
		}
	case s.hi-s.lo == 1 && t.kind == jsIdent:
		return p.named(m, t.text, s.lo, depth)
	case s.hi-s.lo == 3 && t.kind == jsIdent && m.tok(s.lo+1).is("."):
		return p.memberAmount(m, t.text, m.tok(s.lo+2).text, s.lo, depth)
	}
	if e := m.envIn(s); e.Set() && m.tok(s.lo).is("process") {
		return amount{env: e.Value, pos: e.Pos}
	}
	return amount{}
}

// named evaluates a constant, also one of another module.
func (p *project) named(m *module, name string, at, depth int) amount {
	if _, imported := m.imports[name]; imported {
		s := p.lookup(m, name)
		if s.m == nil || s.m == m {
			return amount{}
		}
		m, name, at = s.m, s.name, len(s.m.toks)
	}
	v, ok := m.initialiser(name, at)
	if !ok || v.hi > at && v.lo <= at || m.reassigned(name) {
		return amount{}
	}
	return p.amountIn(m, v, depth+1)
}

// reassigned reports a variable that gets other values later.
func (m *module) reassigned(name string) bool {
	if len(m.vars[name]) != 1 {
		return len(m.vars[name]) > 1
	}
	decl := m.vars[name][0].lo
	for k := decl; k > 0 && k > decl-12; k-- {
		switch {
		case m.tok(k).is("const"):
			return false
		case m.tok(k).is("let"), m.tok(k).is("var"):
			return true
		}
	}
	return false
}

// memberAmount evaluates limits.timeout of a constant object.
func (p *project) memberAmount(m *module, object, key string, at, depth int) amount {
	if _, imported := m.imports[object]; imported {
		im := m.imports[object]
		target := p.resolve(m.path, im.from).open()
		if target == nil {
			return amount{}
		}
		if im.name == "*" {
			if s, ok := p.exported(target, key, 0); ok {
				return p.named(s.m, s.name, len(s.m.toks), depth)
			}
		}
		s := p.lookup(m, object)
		if s.m == nil {
			return amount{}
		}
		m, object, at = s.m, s.name, len(s.m.toks)
	}
	v, ok := m.initialiser(object, at)
	if !ok || !m.tok(v.lo).is("{") {
		return amount{}
	}
	return p.amountIn(m, m.prop(v.lo, key), depth+1)
}

var spokenTime = regexp.MustCompile(`^(\d+(?:\.\d+)?)\s*(ms|s|sec|seconds?|m|min|minutes?|h|hours?)$`)

// parseAmount reads 65_000, 1e3 and "5s", which is 5000 milliseconds.
func parseAmount(text string) (float64, bool) {
	clean := strings.ReplaceAll(text, "_", "")
	if v, err := strconv.ParseFloat(clean, 64); err == nil {
		return v, true
	}
	sub := spokenTime.FindStringSubmatch(strings.ToLower(clean))
	if sub == nil {
		return 0, false
	}
	v, _ := strconv.ParseFloat(sub[1], 64)
	switch sub[2][0] {
	case 's':
		v *= 1000
	case 'h':
		v *= 3_600_000
	case 'm':
		if sub[2] != "ms" {
			v *= 60_000
		}
	}
	return v, true
}

var sizeText = regexp.MustCompile(`(?i)^(\d+(?:\.\d+)?)\s*(b|k|kb|kib|m|mb|mib|g|gb|gib)?$`)

// parseSize reads "10mb" as bytes.
func parseSize(text string) (int64, bool) {
	sub := sizeText.FindStringSubmatch(strings.TrimSpace(text))
	if sub == nil {
		return 0, false
	}
	v, _ := strconv.ParseFloat(sub[1], 64)
	switch strings.ToLower(sub[2] + " ")[0] {
	case 'k':
		v *= 1 << 10
	case 'm':
		v *= 1 << 20
	case 'g':
		v *= 1 << 30
	}
	return int64(v), true
}
