package wire

import (
	"bytes"
	"time"
)

// seeBack reads what the server says.
func (r *pgReader) seeBack(b []byte, now time.Time) {
	for len(b) > 0 {
		switch r.stage {
		case pgEncrypting:
			if b[0] != 'N' {
				r.goBlind() // encrypted from here on, or a server that knows no encryption
				return
			}
			r.stage = pgStarting
			b = b[1:]
		case pgRunning:
			kind, body, rest, ok, bad := r.back.next(b, &pgBack)
			if !bad {
				r.answered += uint64(len(b) - len(rest))
			}
			if bad || ok && !r.answer(kind, body, now) {
				r.lost() // where the next message begins, or what it answers, is unknown
				if r.stage == pgHunting {
					r.listen(b)
				}
				return
			}
			b = rest
		case pgHunting:
			r.listen(b)
			return
		case pgStarting:
			r.goBlind() // a server does not speak first
			return
		default:
			return
		}
	}
}

// answer understands one message of the server; false when it answers nothing that
// was asked.
func (r *pgReader) answer(kind byte, body []byte, now time.Time) bool {
	w := r.waiting.first()
	for w != nil && w.kind == 'c' { // copy data has ended, and its statement was answered
		r.waiting.pop()
		w = r.waiting.first()
	}
	switch kind {
	case 'D':
		if w != nil {
			w.rows++
		}
	case '1':
		return r.expect(w, 'P')
	case '2':
		return r.expect(w, 'B')
	case '3':
		return r.expect(w, 'C')
	case 't':
		if w == nil || w.kind != 'D' {
			return false
		}
		if w.stmt != nil && w.stmt.gen == w.gen {
			w.stmt.oids = appendTypes(w.stmt.oids[:0], body)
		}
	case 'T', 'n':
		if w != nil && w.kind == 'D' {
			r.waiting.pop()
		}
	case 'C', 'I', 's':
		return r.complete(w, kind, body, now)
	case 'E':
		r.fail(w, body, now)
	case 'G':
		r.takesCopy()
	case 'W':
		r.goBlind() // replication
	case 'Z':
		return r.ready(w, body, now)
	}
	return true
}

// expect takes a question of that kind off the queue.
func (r *pgReader) expect(w *pgWait, kind byte) bool {
	if w == nil || w.kind != kind {
		return false
	}
	r.waiting.pop()
	return true
}

// complete ends an Execute; a Query may hold more statements and ends with "ready".
func (r *pgReader) complete(w *pgWait, kind byte, body []byte, now time.Time) bool {
	if w == nil {
		return false
	}
	r.copying = false
	if kind == 'C' {
		w.tagged += tagRows(body)
	}
	switch w.kind {
	case 'Q':
		return true
	case 'E':
		r.finish(w, now)
		r.waiting.pop()
		r.follow(kind, body)
		return true
	}
	return false
}

// follow keeps the transaction's state between statements that were sent ahead.
func (r *pgReader) follow(kind byte, tag []byte) {
	tag, _ = cstring(tag)
	switch {
	case kind != 'C':
	case string(tag) == "BEGIN", string(tag) == "START TRANSACTION":
		r.inTx = true
	case string(tag) == "COMMIT", string(tag) == "PREPARE TRANSACTION":
		r.inTx = false
	}
}

// tagRows reads the number at the end of "INSERT 0 5", "SELECT 3"; others have none.
func tagRows(body []byte) uint64 {
	tag, _ := cstring(body)
	var n uint64
	digits := tag[bytes.LastIndexByte(tag, ' ')+1:]
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

// fail notes an error at the question that is being answered.
func (r *pgReader) fail(w *pgWait, body []byte, now time.Time) {
	code, fatal := sqlState(body)
	r.copying = false
	if w == nil {
		return // the server ends an idle connection: no call failed
	}
	switch w.kind {
	case 'Q', 'F', '0':
		if w.err == "" {
			w.err = code
		}
		if fatal || w.kind == '0' { // nothing follows it but the end of the connection
			r.finish(w, now)
			r.waiting.pop()
		}
		return
	case 'S': // the implicit commit of what was executed before
		if w.op = r.last; w.op == nil {
			w.op = r.unknown()
		}
		w.err = code
		r.finish(w, now)
		return
	}
	w.err = code
	r.finish(w, now)
	for w != nil && w.kind != 'S' {
		r.waiting.pop()
		w = r.waiting.first()
	}
	r.failed = w == nil
}

// sqlState finds the code among the fields of an error, and whether it ends the
// connection.
func sqlState(body []byte) (code string, fatal bool) {
	code = "error"
	for len(body) > 0 && body[0] != 0 {
		value, rest := cstring(body[1:])
		switch body[0] {
		case 'V': // the severity, in English
			fatal = string(value) == "FATAL" || string(value) == "PANIC"
		case 'C':
			return string(value), fatal
		}
		body = rest
	}
	return code, fatal
}

// takesCopy is told that the server wants copy data. A Sync sent before the data's end
// gets no answer.
func (r *pgReader) takesCopy() {
	for i := 1; i < r.waiting.len(); i++ {
		switch r.waiting.at(i).kind {
		case 'c':
			return
		case 'S':
			r.waiting.remove(i)
			i--
		}
	}
	r.copying = true
}

// ready ends a Query, a Sync or the start-up.
func (r *pgReader) ready(w *pgWait, body []byte, now time.Time) bool {
	r.copying = false
	if w == nil {
		return false
	}
	switch w.kind {
	case 'Q', 'F', '0':
		r.finish(w, now)
	case 'S':
	default:
		return false
	}
	r.waiting.pop()
	r.answered = 0
	if len(body) > 0 {
		r.inTx = body[0] != 'I'
	}
	if !r.inTx {
		clear(r.portals)
	}
	return true
}
