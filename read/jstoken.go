package read

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// jsKind is the kind of a JavaScript token.
type jsKind uint8

const (
	jsIdent    jsKind = iota // names and keywords
	jsString                 // text is the value
	jsTemplate               // text has $1, $2 … for its expressions, which follow as tokens
	jsNumber
	jsRegex
	jsPunct
)

// jsToken is one token of JavaScript or TypeScript.
type jsToken struct {
	text  string
	line  int
	match int // bracket: its partner; template: its last token; else -1
	up    int // the bracket that encloses it, -1 at the top
	kind  jsKind
	nl    bool // a line break stands before it
}

func (t jsToken) is(s string) bool {
	return t.text == s && (t.kind == jsPunct || t.kind == jsIdent)
}

// jsScanner is an error-tolerant tokenizer. It keeps exact lines, understands
// templates, regular expressions and JSX, and never fails: what it cannot place
// becomes punctuation, and what does not end ends with the file.
type jsScanner struct {
	s     string
	i     int
	line  int
	nl    bool
	jsx   bool
	depth int
	toks  []jsToken
}

// jsTokens splits source into tokens and pairs its brackets.
func jsTokens(src string, jsx bool) []jsToken {
	return jsTokensInto(make([]jsToken, 0, len(src)/6), src, jsx)
}

// jsTokensInto appends the tokens of source to an empty slice.
func jsTokensInto(buf []jsToken, src string, jsx bool) []jsToken {
	sc := &jsScanner{s: src, line: 1, jsx: jsx, toks: buf}
	if strings.HasPrefix(src, "#!") {
		sc.i = lineEnd(src, 0)
	}
	sc.scan("")
	pairBrackets(sc.toks)
	return sc.toks
}

// scan reads tokens until the closing text stands at this level, "" the file's end.
func (sc *jsScanner) scan(until string) {
	level := 0
	for sc.i < len(sc.s) {
		c := sc.s[sc.i]
		switch {
		case c == '\n':
			sc.line++
			sc.nl = true
			sc.i++
		case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
			sc.i++
		case strings.HasPrefix(sc.s[sc.i:], "//"):
			sc.i = lineEnd(sc.s, sc.i)
		case strings.HasPrefix(sc.s[sc.i:], "/*"):
			end := strings.Index(sc.s[sc.i+2:], "*/")
			if end < 0 {
				end = len(sc.s) - sc.i - 4
			}
			n := strings.Count(sc.s[sc.i:min(sc.i+end+4, len(sc.s))], "\n")
			sc.line, sc.nl = sc.line+n, sc.nl || n > 0
			sc.i = min(sc.i+max(end, 0)+4, len(sc.s))
		case until == "}" && c == '}' && level == 0:
			sc.punct("}")
			return
		default:
			if c == '{' {
				level++
			} else if c == '}' {
				level--
			}
			sc.token(c)
		}
	}
}

func (sc *jsScanner) add(t jsToken) {
	t.nl, sc.nl = sc.nl, false
	t.match, t.up = -1, -1
	sc.toks = append(sc.toks, t)
}

func (sc *jsScanner) punct(p string) {
	sc.add(jsToken{kind: jsPunct, text: p, line: sc.line})
	sc.i += len(p)
}

// token reads one token that starts with c.
func (sc *jsScanner) token(c byte) {
	rest := sc.s[sc.i:]
	switch {
	case c == '\'' || c == '"':
		sc.str(c)
	case c == '`':
		sc.template()
	case isWordStart(c) || c == '$' || c == '#' && len(rest) > 1 && isWordStart(rest[1]) || c == '\\':
		end := 1
		for end < len(rest) && (isWordByte(rest[end]) || rest[end] == '$' || rest[end] == '\\') {
			end++
		}
		sc.add(jsToken{kind: jsIdent, text: rest[:end], line: sc.line})
		sc.i += end
	case isDigit(c) || c == '.' && len(rest) > 1 && isDigit(rest[1]):
		end := 1
		for end < len(rest) && (isWordByte(rest[end]) || rest[end] == '.' || (rest[end] == '-' || rest[end] == '+') && (rest[end-1] == 'e' || rest[end-1] == 'E') && !strings.HasPrefix(rest, "0x")) {
			end++
		}
		sc.add(jsToken{kind: jsNumber, text: rest[:end], line: sc.line})
		sc.i += end
	case c == '/' && sc.operand():
		if end := regexEnd(rest); end > 0 {
			sc.add(jsToken{kind: jsRegex, text: rest[:end], line: sc.line})
			sc.i += end
			return
		}
		sc.operator(rest)
	case c == '<' && sc.jsx && sc.operand() && startsJSX(rest):
		sc.element()
	default:
		sc.operator(rest)
	}
}

var jsOperators = byFirst(">>>=", "...", "===", "!==", "**=", "<<=", ">>>", "&&=", "||=", "??=", "=>", "==", "!=", "<=", "&&", "||", "??", "?.", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "**")

func (sc *jsScanner) operator(rest string) {
	switch rest[0] {
	case '(', ')', '{', '}', '[', ']', ',', ';', ':', '@', '~':
		sc.punct(rest[:1])
		return
	}
	for _, op := range jsOperators[rest[0]] {
		if strings.HasPrefix(rest, op) {
			if op == "?." && len(rest) > 2 && isDigit(rest[2]) {
				continue // a ? .5 : b
			}
			sc.punct(op)
			return
		}
	}
	_, size := utf8.DecodeRuneInString(rest)
	sc.punct(rest[:size])
}

// byFirst sorts operators by their first byte, in the order given: the longer of
// two that start alike stands first.
func byFirst(ops ...string) (out [256][]string) {
	for _, op := range ops {
		out[op[0]] = append(out[op[0]], op)
	}
	return out
}

// operand reports whether a value is expected next, so that "/" starts a regular
// expression and "<" an element.
func (sc *jsScanner) operand() bool {
	if len(sc.toks) == 0 {
		return true
	}
	t := sc.toks[len(sc.toks)-1]
	switch t.kind {
	case jsIdent:
		switch t.text {
		case "return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "await", "yield", "else", "do", "default", "extends":
			return true
		}
		return false
	case jsPunct:
		return t.text != ")" && t.text != "]" && t.text != "}" || t.text == "}" && sc.nl
	}
	return false
}

// regexEnd returns the length of a regular expression, 0 when it has no end on its
// line.
func regexEnd(s string) int {
	class := false
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\n':
			return 0
		case '\\':
			i++
		case '[':
			class = true
		case ']':
			class = false
		case '/':
			if class {
				continue
			}
			i++
			for i < len(s) && isWordByte(s[i]) {
				i++
			}
			return i
		}
	}
	return 0
}

func (sc *jsScanner) str(q byte) {
	line, start := sc.line, sc.i
	for sc.i++; sc.i < len(sc.s); sc.i++ {
		switch sc.s[sc.i] {
		case '\\':
			sc.i++
			if sc.i < len(sc.s) && sc.s[sc.i] == '\n' {
				sc.line++
			}
			continue
		case '\n': // never closed: it ends with its line
			sc.add(jsToken{kind: jsString, text: unescape(sc.s[start+1 : sc.i]), line: line})
			return
		case q:
			sc.add(jsToken{kind: jsString, text: unescape(sc.s[start+1 : sc.i]), line: line})
			sc.i++
			return
		}
	}
	sc.i = min(sc.i, len(sc.s))
	sc.add(jsToken{kind: jsString, text: unescape(sc.s[min(start+1, sc.i):sc.i]), line: line})
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return unescaper.Replace(s)
}

var unescaper = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t", `\'`, `'`, `\"`, `"`, "\\`", "`", `\$`, "$", "\\\n", "")

// template reads a template literal: one token for its text, then the tokens of
// each expression between "${" and "}".
func (sc *jsScanner) template() {
	at := len(sc.toks)
	sc.add(jsToken{kind: jsTemplate, line: sc.line})
	sc.depth++
	defer func() { sc.depth-- }()
	var text strings.Builder
	holes := 0
	start := sc.i + 1
	for sc.i++; sc.i < len(sc.s); sc.i++ {
		switch c := sc.s[sc.i]; {
		case c == '\n':
			sc.line++
		case c == '\\':
			sc.i++
			if sc.i < len(sc.s) && sc.s[sc.i] == '\n' {
				sc.line++
			}
		case c == '`':
			text.WriteString(sc.s[start:sc.i])
			sc.i++
			sc.closeTemplate(at, text.String())
			return
		case c == '$' && strings.HasPrefix(sc.s[sc.i:], "${") && sc.depth < maxDepth:
			holes++
			text.WriteString(sc.s[start:sc.i] + "$" + strconv.Itoa(holes))
			sc.punct("${")
			sc.scan("}")
			start = sc.i
			sc.i--
		}
	}
	sc.i = len(sc.s)
	text.WriteString(sc.s[min(start, sc.i):])
	sc.closeTemplate(at, text.String())
}

func (sc *jsScanner) closeTemplate(at int, text string) {
	sc.toks[at].text = unescape(text)
	sc.toks[at].match = len(sc.toks) - 1
}

// openerOf is the bracket that a closing one pairs with, "" for any other token.
func openerOf(text string) string {
	if len(text) == 1 {
		switch text[0] {
		case ')':
			return "("
		case ']':
			return "["
		case '}':
			return "{"
		}
	}
	return ""
}

// pairBrackets fills match and up. A bracket without a partner keeps -1 and
// encloses nothing.
func pairBrackets(toks []jsToken) {
	var stack []int
	for i := range toks {
		t := &toks[i]
		if t.kind == jsPunct {
			if open := openerOf(t.text); open != "" {
				for k := len(stack) - 1; k >= 0 && k >= len(stack)-8; k-- {
					if o := toks[stack[k]].text; o == open || o == "${" && open == "{" {
						toks[stack[k]].match, t.match = i, stack[k]
						stack = stack[:k]
						break
					}
				}
			}
		}
		if len(stack) > 0 {
			t.up = stack[len(stack)-1]
		}
		if t.kind == jsPunct && (t.text == "(" || t.text == "[" || t.text == "{" || t.text == "${") {
			stack = append(stack, i)
		}
	}
	for _, i := range stack {
		toks[i].match = -1
	}
	for i := range toks {
		for up := toks[i].up; up >= 0 && toks[up].match < 0; up = toks[up].up {
			toks[i].up = toks[up].up
		}
	}
}
