package wire

import (
	"bytes"
	"time"
)

// request understands the head of a request.
func (r *httpReader) request(head []byte, now time.Time) bool {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	method, target, ok := requestLine(line)
	if !ok || r.waiting.len() >= httpWaiting {
		return false
	}
	f, ok := framing(fields)
	if !ok {
		return false
	}
	switch {
	case f.chunked:
		r.req.body = httpBody{mode: bodySize}
	case f.length > 0:
		r.req.body = httpBody{mode: bodyLength, left: f.length}
	default:
		r.req.body = httpBody{}
	}
	var space [512]byte
	name := append(append(space[:0], method...), ' ')
	w := httpWait{op: r.lex.op(appendRoute(name, target)), start: now}
	switch string(method) {
	case "HEAD":
		w.method = httpHEAD
	case "CONNECT":
		w.method = httpCONNECT
	}
	if w.op.sample(now) {
		w.sample = &Sample{Text: string(method) + " " + string(target)}
	}
	r.waiting.push(w)
	r.asked++
	return true
}

// isRequest reports whether b begins with a whole request line.
func isRequest(b []byte) bool {
	i := bytes.Index(b, []byte("\r\n"))
	if i < 0 {
		return false
	}
	_, _, ok := requestLine(b[:i])
	return ok
}

// requestLine splits "GET /path HTTP/1.1".
func requestLine(line []byte) (method, target []byte, ok bool) {
	method, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(method) == 0 || len(method) > 32 {
		return nil, nil, false
	}
	for _, c := range method {
		if (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return nil, nil, false
		}
	}
	i := bytes.LastIndexByte(rest, ' ')
	if i <= 0 || !has(rest[i+1:], "HTTP/1.") {
		return nil, nil, false
	}
	return method, rest[:i], true
}

// response understands the head of an answer.
func (r *httpReader) response(head []byte, now time.Time) bool {
	if len(head) < 13 || !has(head, "HTTP/1.") || head[8] != ' ' {
		return false
	}
	r.status = 0
	for _, c := range head[9:12] {
		if !isDigit(c) {
			return false
		}
		r.status = r.status*10 + int(c-'0')
	}
	_, fields, _ := bytes.Cut(head, []byte("\r\n"))
	f, ok := framing(fields)
	if !ok {
		return false
	}
	method := httpOther
	first := r.waiting.first()
	r.known = first != nil
	if r.known {
		method = first.method
	}
	switch {
	case r.status == 101, method == httpCONNECT && r.status/100 == 2:
		if r.known {
			r.answered += uint64(len(head))
			r.finish(first, "", now)
		}
		r.goBlind()
	case r.status < 200, r.status == 204, r.status == 304, method == httpHEAD:
		r.res.body = httpBody{}
	case f.chunked:
		r.res.body = httpBody{mode: bodySize}
	case f.length == 0:
		r.res.body = httpBody{}
	case f.length > 0:
		r.res.body = httpBody{mode: bodyLength, left: f.length}
	default:
		r.res.body = httpBody{mode: bodyToEnd}
	}
	return true
}

// httpFraming is how a message says where its body ends.
type httpFraming struct {
	length  int64 // -1 not said
	chunked bool
}

// framing reads Content-Length and Transfer-Encoding; the latter wins, RFC 9112 6.3.
func framing(fields []byte) (f httpFraming, ok bool) {
	f.length = -1
	for len(fields) > 0 {
		var line []byte
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		if len(line) == 0 {
			break
		}
		switch line[0] | 0x20 {
		case 'c':
			if v, is := field(line, "content-length"); is {
				if f.length, ok = decimal(v); !ok {
					return f, false
				}
			}
		case 't':
			if v, is := field(line, "transfer-encoding"); is {
				const last = "chunked"
				f.chunked = len(v) >= len(last) && bytes.EqualFold(v[len(v)-len(last):], []byte(last))
				if !f.chunked {
					f.length = -1
				}
			}
		}
	}
	if f.chunked {
		f.length = -1
	}
	return f, true
}

// field returns the value of a header line if it has that name.
func field(line []byte, name string) (value []byte, is bool) {
	if len(line) <= len(name) || line[len(name)] != ':' || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name)+1:]), true
}

func decimal(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

type bodyMode int

const (
	bodyNone   bodyMode = iota
	bodyLength          // left bytes
	bodyToEnd           // until the connection ends
	bodySize            // chunked: in the line with the size
	bodyChunk           // chunked: left bytes of data
	bodyBreak           // chunked: in the line break after the data
	bodyTail            // chunked: in the trailer
)

// httpBody finds the end of a body.
type httpBody struct {
	mode bodyMode
	left int64
	line [20]byte // the first bytes of a line that came in parts
	have int      // bytes of that line, also those that found no room
}

// eat takes from b until the body ends. ok is false when it is not framed as it says.
func (h *httpBody) eat(b []byte) (rest []byte, done, ok bool) {
	for len(b) > 0 {
		switch h.mode {
		case bodyToEnd:
			return nil, false, true
		case bodyLength, bodyChunk:
			n := min(h.left, int64(len(b)))
			b = b[n:]
			if h.left -= n; h.left > 0 {
				return nil, false, true
			}
			if h.mode == bodyLength {
				return b, true, true
			}
			h.mode = bodyBreak
		default:
			line, rest, whole := h.takeLine(b)
			if !whole {
				return nil, false, h.have < httpHead
			}
			b = rest
			if done, ok := h.lineEnd(line); done || !ok {
				return b, done, ok
			}
		}
	}
	return b, false, true
}

// takeLine returns the start of a line without its break, at most 20 bytes of it if it
// came in parts.
func (h *httpBody) takeLine(b []byte) (line, rest []byte, whole bool) {
	i := bytes.IndexByte(b, '\n')
	part := b
	if i >= 0 {
		part = b[:i]
	}
	if h.have == 0 && i >= 0 {
		return bytes.TrimSuffix(part, []byte("\r")), b[i+1:], true
	}
	if h.have < len(h.line) {
		copy(h.line[h.have:], part)
	}
	h.have += len(part)
	if i < 0 {
		return nil, nil, false
	}
	line = bytes.TrimSuffix(h.line[:min(h.have, len(h.line))], []byte("\r"))
	h.have = 0
	return line, b[i+1:], true
}

// lineEnd acts on a whole line of a chunked body.
func (h *httpBody) lineEnd(line []byte) (done, ok bool) {
	switch h.mode {
	case bodyBreak:
		h.mode = bodySize
		return false, len(line) == 0
	case bodyTail:
		return len(line) == 0, true
	}
	n, size := 0, int64(0)
	for n < len(line) && n < 16 {
		v, hex := unhex(line[n])
		if !hex {
			break
		}
		size = size<<4 | int64(v)
		n++
	}
	if n == 0 || n == 16 || n < len(line) && line[n] != ';' && line[n] != ' ' && line[n] != '\t' {
		return false, false
	}
	h.mode, h.left = bodyChunk, size
	if size == 0 {
		h.mode = bodyTail
	}
	return false, true
}

func unhex(c byte) (v byte, ok bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}
