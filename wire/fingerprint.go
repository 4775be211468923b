package wire

import "strings"

// Fingerprint returns the text that statements share when they differ only in values,
// layout and comments. Literals and parameters become ?, whatever they are: strings,
// numbers with their sign, TRUE, FALSE and NULL where they stand for a value. Lists of
// IN and ARRAY keep one of several equal items, VALUES keeps its first row. Identifiers
// and the case of keywords stay as written. A statement has the same fingerprint with
// its values written out and with parameters. The result is at most about 4 kB long.
func Fingerprint(sql string) string {
	var space [512]byte
	return string(appendFingerprint(space[:0], []byte(sql)))
}

// maxFingerprint cuts what nobody would read to the end.
const maxFingerprint = 4 << 10

// kind is what a token is for spacing and for the sign of numbers.
type kind byte

const (
	kNone    kind = iota
	kWord         // name, or a keyword after which an operand may end: a, "b", END
	kKeyword      // keyword that an operand follows: SELECT, AND, LIMIT
	kValue        // ?
	kOp           // operator
	kSign         // + or - that belongs to the operand after it
	kComma
	kOpen  // (
	kClose // )
	kOpenSq
	kCloseSq
	kDot
	kCast // ::
	kSemi
)

// list is an open parenthesis or bracket.
type list struct {
	collapse bool // of IN or ARRAY: equal neighbours are one
	values   bool // a row of VALUES
	item     int  // where the current item starts in dst
	last     int  // where the item before starts, -1 none
	lastEnd  int
}

// digest is the state of one pass over a statement.
type digest struct {
	dst   []byte
	src   []byte
	base  int // length of dst at the start
	prev  kind
	word  []byte // text of prev when it is a word or keyword
	prior []byte // the word before it
	gap   bool   // white space or a comment stands before the current token
	sign  int    // where the pending sign stands in dst, with its space
	host  kind   // what stood before the pending sign
	lists [24]list
	depth int
	rows  bool // a row of VALUES has just been closed
	semi  bool // a semicolon waits for a statement to follow
}

func appendFingerprint(dst, sql []byte) []byte {
	d := digest{dst: dst, src: sql, base: len(dst)}
	for d.skipSpace() {
		d.token()
		if len(d.dst)-d.base > maxFingerprint {
			return append(d.dst[:cutRune(d.dst, d.base+maxFingerprint)], " …"...)
		}
	}
	return d.dst
}

// cutRune moves n back so that it does not cut a UTF-8 sequence.
func cutRune(b []byte, n int) int {
	for n > 0 && n < len(b) && b[n]&0xC0 == 0x80 {
		n--
	}
	return n
}

// skipSpace moves to the next token; false at the end.
func (d *digest) skipSpace() bool {
	d.gap = false
	for len(d.src) > 0 {
		switch s := d.src; {
		case s[0] <= ' ':
			d.src = s[1:]
		case has(s, "--"):
			d.src = s[2:]
			for len(d.src) > 0 && d.src[0] != '\n' && d.src[0] != '\r' {
				d.src = d.src[1:]
			}
		case has(s, "/*"):
			d.src = s[blockComment(s):]
		default:
			return true
		}
		d.gap = true
	}
	return false
}

func has(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// blockComment is the length of the comment at the start of s; comments nest.
func blockComment(s []byte) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case has(s[i:], "/*"):
			depth++
			i++
		case has(s[i:], "*/"):
			i++
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// token reads one token and emits it.
func (d *digest) token() {
	s := d.src
	c := s[0]
	switch {
	case isNameStart(c):
		d.name()
	case c == '"':
		d.emit(kWord, s[:quoted(s, '"', false)])
	case c == '\'':
		d.value(quoted(s, '\'', false))
	case c >= '0' && c <= '9', c == '.' && len(s) > 1 && isDigit(s[1]) && !d.endsOperand():
		d.value(number(s))
	case c == '$':
		d.dollar()
	case c == '(':
		d.open(kOpen)
	case c == '[':
		d.open(kOpenSq)
	case c == ')':
		d.close(kClose)
	case c == ']':
		d.close(kCloseSq)
	case c == ',':
		d.comma()
	case c == ';':
		d.src = s[1:]
		d.semi = d.prev != kNone
		if d.prev == kSign {
			d.prev = kOp // of no operand
		}
		d.rows = false
	case has(s, "::"):
		d.emit(kCast, s[:2])
	case c == '.':
		d.emit(kDot, s[:1])
	case c == '?' && !has(s, "?|") && !has(s, "?&"):
		d.value(1) // as the text of a fingerprint has it; the operator of that name looks no different
	default:
		d.operator()
	}
}

// endsOperand reports whether an operand may have ended before the current token, so
// that - subtracts and . selects.
func (d *digest) endsOperand() bool {
	switch d.prev {
	case kWord, kValue, kClose, kCloseSq:
		return !d.semi
	}
	return false
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNameStart(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80
}

// inName says which bytes may continue a name.
var inName = func() (in [256]bool) {
	for c := range in {
		in[c] = isNameStart(byte(c)) || isDigit(byte(c)) || c == '$'
	}
	return in
}()

// nameLen is the length of the name at the start of s.
func nameLen(s []byte) int {
	n := 1
	for n < len(s) && inName[s[n]] {
		n++
	}
	return n
}

// quoted is the length of the quoted text at the start of s, to the end if it is open.
func quoted(s []byte, q byte, backslash bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && backslash:
			i++
		case s[i] == q && i+1 < len(s) && s[i+1] == q:
			i++
		case s[i] == q:
			return i + 1
		}
	}
	return len(s)
}

// number is the length of the number at the start of s.
func number(s []byte) int {
	if len(s) > 2 && s[0] == '0' && strings.IndexByte("xXoObB", s[1]) >= 0 {
		i := 2
		for i < len(s) && (isDigit(s[i]) || s[i]|0x20 >= 'a' && s[i]|0x20 <= 'f' || s[i] == '_') {
			i++
		}
		return i
	}
	i := 0
	for i < len(s) && (isDigit(s[i]) || s[i] == '_' || s[i] == '.' && !has(s[i:], "..")) {
		i++
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if j < len(s) && isDigit(s[j]) {
			for i = j; i < len(s) && (isDigit(s[i]) || s[i] == '_'); i++ {
			}
		}
	}
	return i
}

// name reads a name, a keyword or a string with a prefix.
func (d *digest) name() {
	s := d.src
	n := nameLen(s)
	if n < len(s) && s[n] == '\'' && n == 1 && strings.IndexByte("eEbBxXnN", s[0]) >= 0 {
		d.value(n + quoted(s[n:], '\'', s[0]|0x20 == 'e'))
		return
	}
	if n == 1 && s[0]|0x20 == 'u' && has(s[1:], "&'") {
		d.value(2 + quoted(s[2:], '\'', false))
		return
	}
	if n == 1 && s[0]|0x20 == 'u' && has(s[1:], `&"`) {
		d.emit(kWord, s[:2+quoted(s[2:], '"', false)])
		return
	}
	word := s[:n]
	if d.prev == kDot || !isKeyword(word) {
		if d.prev != kDot && d.constant(word) {
			d.value(n)
			return
		}
		d.emit(kWord, word)
		return
	}
	d.emit(kKeyword, word)
}

// dollar reads $1, or a string in dollar quotes.
func (d *digest) dollar() {
	s := d.src
	n := 1
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	if n > 1 {
		d.value(n)
		return
	}
	for n < len(s) && (isNameStart(s[n]) || isDigit(s[n])) {
		n++
	}
	if n == len(s) || s[n] != '$' {
		d.emit(kOp, s[:1])
		return
	}
	tag := s[:n+1]
	for i := n + 1; i < len(s); i++ {
		if s[i] == '$' && len(s)-i >= len(tag) && string(s[i:i+len(tag)]) == string(tag) {
			d.value(i + len(tag))
			return
		}
	}
	d.value(len(s))
}
