package read

import (
	"strings"
)

// startsJSX tells an element from the type parameters of an arrow function.
func startsJSX(s string) bool {
	if len(s) < 2 || s[1] != '>' && !isWordStart(s[1]) {
		return false
	}
	end := 1
	for end < len(s) && (isWordByte(s[end]) || s[end] == '.' || s[end] == '-' || s[end] == ':') {
		end++
	}
	after := strings.TrimLeft(s[end:], " \t\r\n")
	return !strings.HasPrefix(after, ",") && !strings.HasPrefix(after, "extends ") && !strings.HasPrefix(after, "=")
}

// element skips a JSX element; the expressions in its braces become tokens.
func (sc *jsScanner) element() {
	sc.add(jsToken{kind: jsString, line: sc.line}) // stands for the element's value
	open := 0
	for sc.i < len(sc.s) {
		if strings.HasPrefix(sc.s[sc.i:], "</") {
			open--
			sc.skipTo('>')
		} else if closed := sc.tag(); !closed {
			open++
		}
		if open <= 0 {
			return
		}
		for sc.i < len(sc.s) && sc.s[sc.i] != '<' { // children
			switch sc.s[sc.i] {
			case '\n':
				sc.line++
				sc.i++
			case '{':
				sc.braces()
			default:
				sc.i++
			}
		}
	}
}

func (sc *jsScanner) skipTo(end byte) {
	for sc.i < len(sc.s) {
		c := sc.s[sc.i]
		if c == '\n' {
			sc.line++
		}
		sc.i++
		if c == end {
			return
		}
	}
}

// tag reads an opening tag and reports whether it closes itself.
func (sc *jsScanner) tag() (closed bool) {
	for sc.i++; sc.i < len(sc.s); {
		switch c := sc.s[sc.i]; c {
		case '\n':
			sc.line++
			sc.i++
		case '>':
			sc.i++
			return sc.s[sc.i-2] == '/'
		case '{':
			sc.braces()
		case '"', '\'':
			sc.i++
			sc.skipTo(c)
		default:
			sc.i++
		}
	}
	return true
}

// braces reads an expression container of an element.
func (sc *jsScanner) braces() {
	if sc.depth >= maxDepth {
		sc.i++
		return
	}
	sc.depth++
	sc.punct("{")
	sc.scan("}")
	sc.depth--
}
