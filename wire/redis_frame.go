package wire

import (
	"bytes"
	"time"
)

// respLine collects a line that may come in parts; it keeps its first 64 bytes.
type respLine struct {
	text [64]byte
	have int
}

// take returns a line without its break, cut where it came in parts and is longer than
// what is kept.
func (l *respLine) take(b []byte) (line, rest []byte, whole bool) {
	i := bytes.IndexByte(b, '\n')
	part := b
	if i >= 0 {
		part = b[:i]
	}
	if l.have == 0 && i >= 0 {
		return bytes.TrimSuffix(part, []byte("\r")), b[i+1:], true
	}
	if l.have < len(l.text) {
		copy(l.text[l.have:], part)
	}
	l.have += len(part)
	if i < 0 {
		return nil, nil, false
	}
	line = bytes.TrimSuffix(l.text[:min(l.have, len(l.text))], []byte("\r"))
	l.have = 0
	return line, b[i+1:], true
}

// respNumber reads the number after a type byte. -1 is nil; anything else that is not
// a length makes ok false.
func respNumber(line []byte) (n int64, ok bool) {
	if len(line) == 3 && line[1] == '-' && line[2] == '1' {
		return -1, true
	}
	if len(line) < 2 {
		return 0, false
	}
	n, ok = decimal(line[1:])
	return n, ok && n <= redisLargest
}

// redisCommand reads one command after the other.
type redisCommand struct {
	line   respLine
	words  int64 // still to come, the current one included
	inWord bool
	left   int64 // bytes of the current word and its line break still to come
	keep   int   // of them, bytes to be kept

	index    int // of the current word
	word     [64]byte
	have     int
	name     [64]byte // the first word in capitals
	nameLen  int
	op       *op
	keepArgs int // bytes of each argument that the sample keeps, 0 no sample
	arg      []byte
	args     []string
}

// eat takes from b until a command is complete.
func (c *redisCommand) eat(b []byte, r *redisReader, now time.Time) (rest []byte, done, ok bool) {
	for len(b) > 0 {
		if c.inWord {
			if b = c.eatWord(b); c.left > 0 {
				return nil, false, true
			}
			c.endWord(r, now)
			if c.words--; c.words == 0 {
				return b, true, true
			}
			continue
		}
		if c.words == 0 && c.line.have == 0 && !commandStart(b[0]) {
			return nil, false, false // TLS, for one
		}
		line, after, whole := c.line.take(b)
		if !whole {
			return nil, false, c.line.have < 64<<10
		}
		b = after
		if done, ok := c.begin(line, r, now); done || !ok {
			return b, done, ok
		}
	}
	return nil, false, true
}

// commandStart reports whether a command may begin with c: an array, or an inline one.
func commandStart(c byte) bool {
	return c == '*' || c == '\r' || c == '\n' || isNameStart(c) && c < 0x80
}

// begin acts on a line: the start of a command, of a word, or an inline command.
func (c *redisCommand) begin(line []byte, r *redisReader, now time.Time) (done, ok bool) {
	if c.words > 0 {
		n, ok := respNumber(line)
		if !ok || n < 0 || line[0] != '$' {
			return false, false
		}
		c.inWord, c.left, c.have = true, n+2, 0
		c.keep = c.keepArgs
		if c.index < 2 {
			c.keep = max(c.keep, len(c.word))
		}
		c.keep = int(min(int64(c.keep), n))
		return false, true
	}
	c.index, c.op, c.keepArgs, c.args = 0, nil, 0, nil
	if len(line) == 0 {
		return false, true
	}
	if line[0] == '*' {
		n, ok := respNumber(line)
		c.words = max(n, 0) // an empty command is passed over by the server too
		return false, ok && n <= 1<<20
	}
	word, rest, _ := bytes.Cut(line, []byte(" "))
	c.have = copy(c.word[:], word)
	c.endWord(r, now)
	if c.op == nil { // a container
		word, _, _ = bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
		c.have = copy(c.word[:], word)
		c.words = 0
		c.endWord(r, now)
	}
	return true, true
}

func (c *redisCommand) eatWord(b []byte) []byte {
	n := min(c.left, int64(len(b)))
	k := min(int(min(n, int64(c.keep))), len(b))
	if k > 0 {
		if c.index < 2 && c.have < len(c.word) {
			c.have += copy(c.word[c.have:], b[:k])
		}
		if c.index > 0 && c.keepArgs > 0 {
			c.arg = append(c.arg, b[:k]...)
		}
		c.keep -= k
	}
	c.left -= n
	return b[n:]
}

// endWord acts on the words that name the command, and keeps the others for a sample.
func (c *redisCommand) endWord(r *redisReader, now time.Time) {
	c.inWord = false
	switch {
	case c.index == 0:
		for i := range c.have {
			c.name[i] = capital(c.word[i])
		}
		c.nameLen = c.have
		if !containers[string(c.name[:c.nameLen])] || c.words == 1 {
			c.op = r.lex.op(c.name[:c.nameLen])
			c.keepArgs = r.named(c.op, now)
		}
	case c.index == 1 && c.op == nil:
		var both [130]byte
		n := copy(both[:], c.name[:c.nameLen])
		both[n] = ' '
		n++
		for i := range c.have {
			both[n] = capital(c.word[i])
			n++
		}
		c.op = r.lex.op(both[:n])
		c.keepArgs = r.named(c.op, now)
	case c.keepArgs > 0 && len(c.args) < redisArgs:
		c.args = append(c.args, string(c.arg))
	}
	c.arg = c.arg[:0]
	c.index++
}

func capital(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 32
	}
	return c
}

// redisReply reads one answer after the other.
type redisReply struct {
	line   respLine
	left   int64     // bytes of a string and its line break still to come
	nested [32]int64 // values still to come at each level
	depth  int
	kind   byte // of the outermost value
	pushed bool // the latest whole value was a push
	rows   uint64
	text   [32]byte // the first word of an error
	textN  int
}

// eat takes from b until a whole answer has passed.
func (p *redisReply) eat(b []byte) (rest []byte, done, ok bool) {
	for len(b) > 0 {
		if p.left > 0 {
			n := min(p.left, int64(len(b)))
			b = b[n:]
			if p.left -= n; p.left > 0 {
				return nil, false, true
			}
			if p.endValue() {
				return b, true, true
			}
			continue
		}
		if p.line.have == 0 && !replyStart(b[0]) {
			return nil, false, false
		}
		line, after, whole := p.line.take(b)
		if !whole {
			return nil, false, p.line.have < 1<<20
		}
		b = after
		if done, ok := p.value(line); done || !ok {
			return b, done, ok
		}
	}
	return nil, false, true
}

func replyStart(c byte) bool {
	return bytes.IndexByte([]byte("+-:$*_,#!=(%~>|"), c) >= 0
}

// value acts on the line with which a value begins.
func (p *redisReply) value(line []byte) (done, ok bool) {
	if len(line) == 0 {
		return false, false
	}
	if p.depth == 0 && line[0] != '|' {
		p.kind, p.pushed, p.rows, p.textN = line[0], false, 1, 0
	}
	switch line[0] {
	case '+', ':', ',', '#', '(':
		return p.endValue(), true
	case '-':
		if p.depth == 0 {
			word, _, _ := bytes.Cut(line[1:], []byte(" "))
			p.rows, p.textN = 0, copy(p.text[:], word)
		}
		return p.endValue(), true
	case '_':
		if p.depth == 0 {
			p.rows = 0
		}
		return p.endValue(), true
	}
	n, ok := respNumber(line)
	if !ok {
		return false, false // streamed values are not in use
	}
	switch line[0] {
	case '$', '!', '=':
		if n < 0 {
			if p.depth == 0 {
				p.rows = 0
			}
			return p.endValue(), true
		}
		p.left = n + 2
		return false, true
	}
	return p.aggregate(line[0], n)
}

// aggregate begins an array, set, push, map or attribute.
func (p *redisReply) aggregate(kind byte, n int64) (done, ok bool) {
	if p.depth == 0 && kind != '|' {
		p.rows = uint64(max(n, 0))
	}
	if kind == '%' || kind == '|' {
		n *= 2
	}
	if kind == '|' {
		n++ // the value that it describes comes after it and is the one that counts
		if p.depth == 0 {
			p.kind, p.pushed, p.rows, p.textN = kind, false, 1, 0
		}
	}
	if n <= 0 {
		return p.endValue(), true
	}
	if p.depth == len(p.nested) {
		return false, false
	}
	p.nested[p.depth] = n
	p.depth++
	return false, true
}

// endValue counts a value that is whole; true when it was the outermost.
func (p *redisReply) endValue() bool {
	for p.depth > 0 {
		if p.nested[p.depth-1]--; p.nested[p.depth-1] > 0 {
			return false
		}
		p.depth--
	}
	p.pushed = p.kind == '>'
	return true
}

// err is the first word of an error, "" for any other answer.
func (p *redisReply) err() string {
	switch {
	case p.kind == '!':
		return "ERR"
	case p.kind != '-':
		return ""
	case p.textN == 0:
		return "ERR"
	}
	return string(p.text[:p.textN])
}
