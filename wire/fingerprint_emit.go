package wire

import "strings"

// keywords after which an operand begins: a minus there is a sign, a dot a fraction.
var keywords = map[string]bool{
	"all": true, "and": true, "any": true, "array": true, "as": true, "between": true, "by": true, "case": true,
	"distinct": true, "else": true, "except": true, "fetch": true, "from": true, "having": true, "ilike": true, "in": true, "intersect": true,
	"into": true, "is": true, "join": true, "like": true, "limit": true, "not": true,
	"offset": true, "on": true, "or": true, "return": true, "returning": true,
	"select": true, "set": true, "similar": true, "some": true, "then": true, "to": true, "union": true,
	"using": true, "values": true, "when": true, "where": true, "with": true,
}

// keywordStarts has the first letters of the keywords of each length, as bits: most
// names end the search here.
var keywordStarts = func() (starts [12]uint32) {
	for w := range keywords {
		starts[len(w)] |= 1 << (w[0] - 'a')
	}
	return starts
}()

// isKeyword looks a word up without allocating.
func isKeyword(w []byte) bool {
	var low [12]byte
	if len(w) >= len(low) || keywordStarts[len(w)]>>(w[0]|0x20-'a')&1 == 0 {
		return false
	}
	for i, c := range w {
		low[i] = c | 0x20
	}
	return keywords[string(low[:len(w)])]
}

// is compares a word with a lower-case keyword.
func is(w []byte, keyword string) bool {
	return len(w) == len(keyword) && strings.EqualFold(string(w), keyword)
}

// constant reports whether a word is TRUE, FALSE or NULL in the place of a value: not
// after IS or NOT, where it is part of the operator, and not in SET NULL.
func (d *digest) constant(w []byte) bool {
	if len(w) < 4 || len(w) > 5 || !is(w, "true") && !is(w, "false") && !is(w, "null") {
		return false
	}
	if d.prev != kKeyword {
		return true
	}
	switch {
	case is(d.word, "is"), is(d.word, "set"):
		return false
	case is(d.word, "not"):
		return !is(w, "null") && !is(d.prior, "is")
	case is(d.word, "from"): // IS DISTINCT FROM NULL compares with a value
		return true
	}
	return true
}

// value emits ? for the next n bytes.
func (d *digest) value(n int) {
	if d.prev == kSign {
		d.dst, d.prev = d.dst[:d.sign], d.host
	}
	d.emit(kValue, nil)
	d.src = d.src[n:]
}

// operator emits the longest operator, splitting a trailing sign off as PostgreSQL does.
func (d *digest) operator() {
	const chars = "+-*/<>=~!@#%^&|`?"
	s := d.src
	n := 0
	special := false
	for n < len(s) && strings.IndexByte(chars, s[n]) >= 0 && !has(s[n:], "--") && !has(s[n:], "/*") {
		if s[n] == '?' && n > 0 && s[n-1] != '@' {
			break
		}
		special = special || strings.IndexByte("~!@#%^&|`?", s[n]) >= 0
		n++
	}
	for n > 1 && !special && (s[n-1] == '-' || s[n-1] == '+') {
		n--
	}
	if n == 0 {
		n = 1 // a character that SQL does not know
	}
	if n == 1 && (s[0] == '-' || s[0] == '+') && !d.endsOperand() {
		if d.prev == kSign {
			d.src = s[1:] // - -5 has one sign
			return
		}
		d.flushSemi()
		d.sign, d.host = len(d.dst), d.prev
		d.emit(kSign, s[:1])
		return
	}
	d.emit(kOp, s[:n])
}

// emit appends one token with the space that belongs before it, and moves on.
func (d *digest) emit(k kind, text []byte) {
	d.src = d.src[len(text):]
	d.flushSemi()
	if d.rows && k != kComma {
		d.rows = false
	}
	if d.spaced(k) {
		d.dst = append(d.dst, ' ')
	}
	if k == kValue {
		d.dst = append(d.dst, '?')
	} else {
		d.dst = append(d.dst, text...)
	}
	d.prior = nil
	if d.prev == kKeyword {
		d.prior = d.word
	}
	d.prev, d.word = k, text
}

// flushSemi writes the semicolon that separates two statements; one at the end of the
// text stays away.
func (d *digest) flushSemi() {
	if d.semi {
		d.dst = append(d.dst, ';')
		d.prev, d.semi = kSemi, false
	}
}

// spaced reports whether a space stands between the token before and one of kind k.
// The layout of the source counts only before a parenthesis, where parameters and
// written values cannot differ.
func (d *digest) spaced(k kind) bool {
	switch d.prev {
	case kNone, kOpen, kOpenSq, kDot, kCast:
		return false
	case kSign:
		return k == kOp || k == kCast || k == kDot // the sign of nothing
	case kComma, kSemi:
		return true
	}
	switch k {
	case kClose, kCloseSq, kComma, kSemi:
		return false
	case kDot, kCast:
		return d.prev == kOp || d.prev == kKeyword
	case kOpenSq:
		return d.prev == kOp || d.prev == kKeyword && !is(d.word, "array")
	case kOpen:
		return d.gap || d.prev == kOp || d.prev == kKeyword
	}
	return true
}

// open begins a list.
func (d *digest) open(k kind) {
	var l list
	switch {
	case k == kOpen && d.prev == kKeyword && is(d.word, "in"):
		l.collapse = true
	case k == kOpen && d.prev == kKeyword && is(d.word, "values"):
		l.values = true
	case k == kOpenSq && d.prev == kKeyword && is(d.word, "array"):
		l.collapse = true
	}
	d.emit(k, d.src[:1])
	l.item, l.last = len(d.dst), -1
	if d.depth < len(d.lists) {
		d.lists[d.depth] = l
	}
	d.depth++
}

// close ends a list and its last item.
func (d *digest) close(k kind) {
	if d.depth > 0 {
		d.depth--
	}
	row := false
	if d.depth < len(d.lists) {
		l := &d.lists[d.depth]
		if d.fold(l) {
			d.prev = kValue // what was folded ended like what stays
		}
		row = l.values
		*l = list{}
	}
	d.emit(k, d.src[:1])
	d.rows = row
}

// comma separates items; after a row of VALUES the rows that follow are dropped.
func (d *digest) comma() {
	if d.rows && d.dropRow() {
		return
	}
	var l *list
	if d.depth > 0 && d.depth <= len(d.lists) {
		l = &d.lists[d.depth-1]
		d.fold(l)
	}
	d.emit(kComma, d.src[:1])
	if l != nil && l.collapse {
		l.last, l.lastEnd = l.item, len(d.dst)-1
		l.item = len(d.dst) + 1 // after the space
	}
}

// fold drops the item that has just ended when it equals the one before.
func (d *digest) fold(l *list) bool {
	if !l.collapse || l.last < 0 || l.item > len(d.dst) {
		return false
	}
	if string(d.dst[l.item:]) != string(d.dst[l.last:l.lastEnd]) {
		return false
	}
	d.dst = d.dst[:l.lastEnd]
	l.item = l.last
	return true
}

// dropRow passes over a comma and the row after it. False when no row follows.
func (d *digest) dropRow() bool {
	rest := digest{src: d.src[1:]}
	if !rest.skipSpace() || rest.src[0] != '(' {
		return false
	}
	depth := 0
	for {
		switch c := rest.src[0]; {
		case c == '(':
			depth++
			rest.src = rest.src[1:]
		case c == ')':
			depth--
			rest.src = rest.src[1:]
		default:
			rest.pass()
		}
		if depth == 0 || !rest.skipSpace() {
			d.src = rest.src
			return true
		}
	}
}

// pass moves over one token that is no parenthesis.
func (d *digest) pass() {
	s := d.src
	switch c := s[0]; {
	case c == '\'', c == '"':
		d.src = s[quoted(s, c, false):]
	case isNameStart(c):
		n := nameLen(s)
		if n == 1 && c|0x20 == 'e' && has(s[1:], "'") {
			n += quoted(s[1:], '\'', true)
		}
		d.src = s[n:]
	case c == '$':
		d.dollarPass()
	default:
		d.src = s[1:]
	}
}

func (d *digest) dollarPass() {
	var t digest
	t.src = d.src
	var space [8]byte
	t.dst = space[:0]
	t.dollar()
	d.src = t.src
}
