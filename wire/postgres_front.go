package wire

import (
	"bytes"
	"encoding/binary"
	"time"
)

// Codes in the place of a version at the start of a connection.
const (
	pgCancelCode = 80877102
	pgSSLCode    = 80877103
	pgGSSCode    = 80877104
)

// seeFront reads what the caller says.
func (r *pgReader) seeFront(b []byte, now time.Time) {
	for len(b) > 0 {
		switch r.stage {
		case pgStarting:
			b = r.startup(b, now)
		case pgEncrypting:
			r.goBlind() // nothing may be said before the answer: this is not the protocol
		case pgHunting:
			if !r.beginHere(b) {
				return
			}
		case pgRunning:
			kind, body, rest, ok, bad := r.front.next(b, &pgFront)
			if bad {
				r.lost()
				return // where the next message begins is unknown
			}
			if !ok {
				return
			}
			r.question(kind, body, now)
			b = rest
		default:
			return
		}
	}
}

// startup reads a packet that has no type: length and version or code.
func (r *pgReader) startup(b []byte, now time.Time) []byte {
	f := &r.front
	if f.have == 0 && b[0] != 0 {
		r.goBlind() // TLS from the first byte, or another protocol
		return nil
	}
	for len(b) > 0 && len(f.body) < 8 {
		f.body = append(f.body, b[0])
		f.have++
		b = b[1:]
	}
	if len(f.body) < 8 {
		return nil
	}
	if !f.open {
		length := int64(binary.BigEndian.Uint32(f.body))
		if length < 8 || length > 10_000 { // the server's own limit
			r.goBlind()
			return nil
		}
		f.open, f.left = true, length-8
	}
	n := min(f.left, int64(len(b)))
	b = b[n:]
	if f.left -= n; f.left > 0 {
		return nil
	}
	code := binary.BigEndian.Uint32(f.body[4:])
	*f = pgFrame{}
	switch {
	case code == pgSSLCode || code == pgGSSCode:
		r.stage = pgEncrypting
	case code == pgCancelCode:
		r.stage = pgRunning
		r.ask(pgWait{kind: 'x', op: r.lex.op([]byte("CANCEL")), start: now})
	case code>>16 == 3:
		r.stage = pgRunning
		r.ask(pgWait{kind: '0', op: r.lex.op([]byte("CONNECT")), start: now})
	default:
		r.goBlind()
	}
	return b
}

// ask queues a question, unless the server is going to pass over it.
func (r *pgReader) ask(w pgWait) {
	if r.failed && w.kind != 'S' {
		return
	}
	if r.copying && w.kind == 'S' {
		return
	}
	if w.kind == 'S' {
		r.failed = false
	}
	if r.waiting.len() >= pgWaiting {
		r.goBlind()
		return
	}
	r.waiting.push(w)
}

// question understands one message of the caller.
func (r *pgReader) question(kind byte, body []byte, now time.Time) {
	switch kind {
	case 'Q':
		text, _ := cstring(body)
		o := r.fingerprint(text)
		w := pgWait{kind: kind, op: o, start: now}
		if o.sample(now) {
			w.sample = &Sample{Text: string(text)}
		}
		r.ask(w)
	case 'P':
		r.ask(pgWait{kind: kind, op: r.parse(body).op, start: now})
	case 'B':
		r.ask(pgWait{kind: kind, op: r.bind(body, now).op, start: now})
	case 'D', 'C':
		r.describe(kind, body, now)
	case 'E':
		name, _ := cstring(body)
		p := r.portal
		if len(name) > 0 {
			p = r.portals[string(name)]
		}
		if p.op == nil {
			p.op = r.unknown()
		}
		r.ask(pgWait{kind: kind, op: p.op, start: now, sample: p.sample})
	case 'S':
		r.ask(pgWait{kind: kind, start: now})
	case 'F':
		r.ask(pgWait{kind: kind, op: r.lex.op([]byte("FUNCTION CALL")), start: now})
	case 'c', 'f':
		r.copying = false
		if first := r.waiting.first(); first != nil {
			r.ask(pgWait{kind: 'c', start: now})
		}
	}
}

// unknown is the operation of a statement whose text went by unseen.
func (r *pgReader) unknown() *op { return r.lex.op([]byte("unknown statement")) }

// fingerprint finds the operation of a text without allocating for one seen before.
func (r *pgReader) fingerprint(text []byte) *op {
	name := appendFingerprint(r.scratch[:0], text)
	if len(name) == 0 {
		name = append(name, "empty query"...)
	}
	r.scratch = name
	return r.lex.op(name)
}

// parse remembers a statement.
func (r *pgReader) parse(body []byte) *pgStatement {
	name, rest := cstring(body)
	text, rest := cstring(rest)
	s := &r.unnamed
	if len(name) > 0 {
		s = r.named[string(name)]
		if s == nil {
			for old := range r.named {
				if len(r.named) < pgNamed {
					break
				}
				delete(r.named, old)
			}
			s = new(pgStatement)
			r.named[string(name)] = s
		}
	}
	if s.op == nil || !bytes.Equal(s.text, text) { // drivers repeat themselves
		s.op = r.fingerprint(text)
		s.text = append(s.text[:0], text...)
	}
	s.gen++
	s.oids = appendTypes(s.oids[:0], rest)
	return s
}

// appendTypes reads a count and as many type numbers.
func appendTypes(to []uint32, b []byte) []uint32 {
	if len(b) < 2 {
		return to
	}
	n := int(binary.BigEndian.Uint16(b))
	for b = b[2:]; n > 0 && len(b) >= 4; n-- {
		to = append(to, binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	return to
}

// bind remembers a portal.
func (r *pgReader) bind(body []byte, now time.Time) pgPortal {
	name, rest := cstring(body)
	from, rest := cstring(rest)
	s := &r.unnamed
	if len(from) > 0 {
		s = r.named[string(from)]
	}
	var p pgPortal
	if s == nil || s.op == nil {
		p.op = r.unknown()
	} else if p.op = s.op; p.op.sample(now) {
		if args, ok := bindArgs(rest, s.oids); ok {
			p.sample = &Sample{Text: string(s.text), Args: args}
		}
	}
	if len(name) == 0 {
		r.portal = p
		return p
	}
	for old := range r.portals {
		if len(r.portals) < pgPortals {
			break
		}
		delete(r.portals, old)
	}
	r.portals[string(name)] = p
	return p
}

// describe queues a Describe or a Close, of a statement or a portal.
func (r *pgReader) describe(kind byte, body []byte, now time.Time) {
	w := pgWait{kind: kind, op: r.unknown(), start: now}
	if len(body) == 0 {
		r.ask(w)
		return
	}
	name, _ := cstring(body[1:])
	switch {
	case body[0] == 'P' && len(name) == 0:
		if r.portal.op != nil {
			w.op = r.portal.op
		}
	case body[0] == 'P':
		if p := r.portals[string(name)]; p.op != nil {
			w.op = p.op
		}
		if kind == 'C' {
			delete(r.portals, string(name))
		}
	default:
		s := &r.unnamed
		if len(name) > 0 {
			s = r.named[string(name)]
		}
		if s != nil && s.op != nil {
			w.op, w.stmt, w.gen = s.op, s, s.gen
		}
		if kind == 'C' {
			delete(r.named, string(name))
		}
	}
	r.ask(w)
}
