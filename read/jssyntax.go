package read

import (
	"strings"
)

// span is a run of tokens, its end excluded.
type span struct{ lo, hi int }

func (s span) empty() bool { return s.hi <= s.lo }

// jsFunc is a function of a module.
type jsFunc struct {
	name   string // "" when it has none
	start  int    // its first token
	params span
	body   span
}

// tok returns a token, an empty one outside of the file.
func (m *module) tok(i int) jsToken {
	if i < 0 || i >= len(m.toks) {
		return jsToken{kind: jsPunct, match: -1, up: -1}
	}
	return m.toks[i]
}

// maxScans bounds the searches through a whole file, so that a hostile one cannot
// make reading take the square of its length.
const maxScans = 300

// mayScan counts a search through the file and reports whether it may take place.
func (m *module) mayScan() bool {
	m.scans++
	return m.scans <= maxScans
}

// next returns the index after the token at i; brackets and templates count as one.
func (m *module) next(i int) int {
	t := m.tok(i)
	if t.match > i {
		return t.match + 1
	}
	return i + 1
}

// split cuts a span at a separator outside of brackets.
func (m *module) split(s span, sep string) []span {
	var out []span
	start := s.lo
	for i := s.lo; i < s.hi; i = m.next(i) {
		if m.toks[i].kind == jsPunct && m.toks[i].text == sep {
			out = append(out, span{start, i})
			start = i + 1
		}
	}
	if start < s.hi {
		out = append(out, span{start, s.hi})
	}
	return out
}

// inside returns what stands between a bracket and its partner.
func (m *module) inside(open int) span {
	if m.tok(open).match <= open {
		return span{}
	}
	return span{open + 1, m.toks[open].match}
}

// args returns the arguments of a call by its opening parenthesis.
func (m *module) args(open int) []span { return m.split(m.inside(open), ",") }

// jsProp is one property of an object literal.
type jsProp struct {
	key   string // "[Op.and]" for a computed one, "..." for a spread
	at    int    // the key's token
	value span   // of a shorthand property: the key itself
}

// props returns the properties of the object literal that opens at a brace.
func (m *module) props(open int) []jsProp {
	if m.tok(open).text != "{" {
		return nil
	}
	var out []jsProp
	for _, p := range m.split(m.inside(open), ",") {
		i := p.lo
		switch t := m.tok(i); {
		case t.is("..."):
			out = append(out, jsProp{"...", i, span{i + 1, p.hi}})
			continue
		case t.is("["):
			end := m.next(i)
			out = append(out, jsProp{m.source(span{i, end}), i, span{end + 1, p.hi}})
			continue
		}
		for m.tok(i).kind == jsIdent && m.tok(i+1).kind == jsIdent && i+1 < p.hi {
			i++ // async, get, set
		}
		switch after := m.tok(i + 1); {
		case i+1 >= p.hi:
			out = append(out, jsProp{m.tok(i).text, i, span{i, p.hi}})
		case after.is(":"):
			out = append(out, jsProp{m.tok(i).text, i, span{i + 2, p.hi}})
		case after.is("="): // a default in a pattern
			out = append(out, jsProp{m.tok(i).text, i, span{i, p.hi}})
		default:
			out = append(out, jsProp{m.tok(i).text, i, span{i + 1, p.hi}})
		}
	}
	return out
}

// prop returns the value of one property, an empty span when it is absent.
func (m *module) prop(open int, key string) span {
	for _, p := range m.props(open) {
		if p.key == key {
			return p.value
		}
	}
	return span{}
}

// source writes tokens without blanks, for names and keys.
func (m *module) source(s span) string {
	var b strings.Builder
	for i := max(s.lo, 0); i < s.hi && i < len(m.toks) && b.Len() < 400; i++ {
		b.WriteString(m.toks[i].text)
	}
	return b.String()
}

// chainStart returns the first token of the member chain that ends before i, where
// i is a "." or a "(": for `a.b(c).d(` that of `a`.
func (m *module) chainStart(i int) int {
	for i > 0 {
		t := m.tok(i - 1)
		switch {
		case (t.text == ")" || t.text == "]") && t.kind == jsPunct && t.match >= 0:
			i = t.match
			if before := m.tok(i - 1); m.named(i-1) || before.text == ")" || before.text == "]" || before.text == "?." {
				continue
			}
			return i
		case m.named(i - 1), t.kind == jsString:
			i--
			if p := m.tok(i - 1); p.kind == jsPunct && (p.text == "." || p.text == "?.") {
				i--
				continue
			}
			return i
		case t.is("?.") || t.is("!"):
			i--
			continue
		default:
			return i
		}
	}
	return i
}

var jsKeywords = wordSet(`if for while switch catch with return typeof case in delete void throw new await yield else do
	const let var function class extends import export try finally break continue`)

// named reports whether the token at i is a name: no keyword, unless it is a
// property, as in promise.catch.
func (m *module) named(i int) bool {
	t := m.tok(i)
	return t.kind == jsIdent && (!jsKeywords[t.text] || m.tok(i-1).is(".") || m.tok(i-1).is("?."))
}

// callOpen returns the parenthesis of a call whose name is at i, also behind type
// arguments; -1 when it is no call.
func (m *module) callOpen(i int) int {
	if n := m.tok(i + 1); n.is("(") && n.match > 0 {
		return i + 1
	}
	if m.tok(i+1).is("?.") && m.tok(i+2).is("(") {
		return i + 2
	}
	if !m.tok(i + 1).is("<") {
		return -1
	}
	depth := 0
	for j := i + 1; j < i+60 && j < len(m.toks); j++ {
		switch t := m.toks[j]; {
		case t.is("<"):
			depth++
		case t.is(">"):
			if depth--; depth == 0 {
				if m.tok(j+1).is("(") && m.tok(j+1).match > 0 {
					return j + 1
				}
				return -1
			}
		case t.is(";"), t.is("&&"), t.is("||"), t.is(")"):
			return -1
		}
	}
	return -1
}

// functions finds the functions of the module: declarations, expressions, arrows
// and methods.
func (m *module) functions() []jsFunc {
	var out []jsFunc
	for i, t := range m.toks {
		switch {
		case t.is("=>"):
			out = append(out, m.arrow(i))
		case t.is("(") && t.match > i:
			if f, ok := m.plainFunc(i); ok {
				out = append(out, f)
			}
		}
	}
	return out
}

// arrow reads the function around "=>".
func (m *module) arrow(i int) jsFunc {
	f := jsFunc{start: i - 1, params: span{i - 1, i}}
	if p := m.tok(i - 1); p.is(")") && p.match >= 0 {
		f.start, f.params = p.match, span{p.match + 1, i - 1}
	} else { // a return type, or one name
		for j := i - 1; j > i-40 && j > 0; j-- {
			if m.toks[j].is(")") && m.tok(j+1).is(":") && m.toks[j].match >= 0 {
				f.start, f.params = m.toks[j].match, span{m.toks[j].match + 1, j}
				break
			}
			if x := m.toks[j]; x.is(";") || x.is("=") || x.is("(") || x.is(",") {
				break
			}
		}
	}
	if m.tok(f.start - 1).is("async") {
		f.start--
	}
	f.name = m.boundName(f.start)
	if m.tok(i + 1).is("{") {
		f.body = m.inside(i + 1)
	} else {
		f.body = span{i + 1, m.exprEnd(i + 1)}
	}
	return f
}

// boundName is the name that a function expression is assigned to.
func (m *module) boundName(start int) string {
	p := m.tok(start - 1)
	switch {
	case p.is(":") && m.tok(start-2).kind == jsIdent:
		return m.tok(start - 2).text
	case p.is("="):
		for j := start - 2; j >= 0 && j > start-12; j-- {
			if k := m.tok(j - 1); m.tok(j).kind == jsIdent && (k.is("const") || k.is("let") || k.is("var") || k.is(".")) {
				return m.tok(j).text
			}
		}
	}
	return ""
}

// plainFunc reads a function or a method by the parenthesis of its parameters.
func (m *module) plainFunc(open int) (jsFunc, bool) {
	end := m.toks[open].match
	body := end + 1
	if m.tok(body).is(":") { // a return type
		for j := body; j < body+40 && j < len(m.toks); j++ {
			if x := m.toks[j]; x.is(";") || x.is("=>") || x.is(",") || x.is(")") || x.is("?") {
				return jsFunc{}, false
			} else if x.is("{") {
				body = j
				break
			}
		}
	}
	if !m.tok(body).is("{") || m.tok(body).match < 0 {
		return jsFunc{}, false
	}
	f := jsFunc{start: open, params: span{open + 1, end}, body: m.inside(body)}
	name := open - 1
	if m.tok(name).is("*") {
		name--
	}
	t := m.tok(name)
	switch {
	case t.is("function"):
		f.start = name
		f.name = m.boundName(name)
	case t.kind != jsIdent && t.kind != jsString || jsKeywords[t.text] && t.text != "catch":
		return jsFunc{}, false
	case t.text == "catch" && !m.tok(name-1).is("."):
		return jsFunc{}, false
	case m.tok(name - 1).is("."), m.tok(name - 1).is("new"):
		return jsFunc{}, false
	default:
		f.start, f.name = name, t.text
		if m.tok(name - 1).is("function") {
			f.start = name - 1
		}
	}
	if m.tok(f.start - 1).is("async") {
		f.start--
	}
	return f, true
}

// exprEnd returns the index after the expression that starts at i.
func (m *module) exprEnd(i int) int {
	end := len(m.toks)
	if up := m.tok(i).up; up >= 0 && m.tok(up).match > 0 {
		end = m.toks[up].match
	}
	for j := i; j < end; j = m.next(j) {
		t := m.toks[j]
		if t.kind == jsPunct && (t.text == "," || t.text == ";") {
			return j
		}
		if j > i && t.nl && m.ends(j-1) && m.starts(j) {
			return j
		}
	}
	return end
}

// ends reports whether a statement may end with the token at i.
func (m *module) ends(i int) bool {
	t := m.tok(i)
	if t.kind == jsPunct {
		return t.text == ")" || t.text == "]" || t.text == "}"
	}
	return !jsKeywords[t.text]
}

// starts reports whether a statement, not the rest of one, begins at i.
func (m *module) starts(i int) bool {
	t := m.tok(i)
	if t.kind == jsPunct {
		return t.text == "{" || t.text == "@"
	}
	return t.text != "in" && t.text != "of" && t.text != "instanceof" && t.text != "as" && t.kind != jsTemplate
}
