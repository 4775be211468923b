package drive

import (
	"bytes"
	"io"
	"strconv"
)

// stage is where in an answer a framer is.
type stage int8

const (
	atHead stage = iota
	inBody       // of known length
	atSize       // of a chunk
	inChunk
	afterChunk // its line end
	inTrailer
	toEnd // the body ends with the connection
)

// framer reads one answer from bytes that come in pieces, without waiting. It keeps
// no byte but those of a line or a head that is not complete, and of a body that a
// value is taken from. The zero framer is ready for an answer.
type framer struct {
	stage stage
	left  int64  // of the body or the chunk
	held  []byte // the beginning of a head or a line
	size  int    // of the trailers so far
	any   bool   // a byte has come
}

// reset makes it ready for the next answer and gives up what it held.
func (f *framer) reset() { *f = framer{held: f.held[:0]} }

// feed takes the next bytes of an answer to want and fills a. done is true when the
// answer is complete; bytes behind its end close the connection (a.close), for nobody
// asked for them. scratch is used to look at a head and belongs to the caller.
func (f *framer) feed(p []byte, a *answer, want *call, scratch *reader) (done bool, err error) {
	f.any = f.any || len(p) > 0
	if len(f.held) > 0 {
		f.held = append(f.held, p...)
		p = f.held
	}
	for {
		more := false
		switch f.stage {
		case atHead:
			p, more, err = f.head(p, a, want, scratch)
			if err == nil && !more && f.stage == atHead && a.status >= 200 { // no body
				a.close = a.close || len(p) > 0
				return true, nil
			}
		case inBody, inChunk, toEnd:
			p, more = f.data(p, a, want)
			if f.stage == inBody && f.left == 0 {
				a.close = a.close || len(p) > 0
				return true, nil
			}
		default:
			var end bool
			if p, more, end, err = f.line(p, a); end {
				a.close = a.close || len(p) > 0
				return true, err
			}
		}
		if err != nil || more {
			return false, err
		}
	}
}

// hold keeps the beginning of something that is not complete.
func (f *framer) hold(p []byte) error {
	if len(p) > maxHead {
		return errMalformed
	}
	f.held = append(f.held[:0], p...)
	return nil
}

// head looks for a whole head; more is true when there is none yet.
func (f *framer) head(p []byte, a *answer, want *call, scratch *reader) (rest []byte, more bool, err error) {
	if len(p) == 0 {
		f.held = f.held[:0]
		return nil, true, nil
	}
	end := headEnd(p)
	if end < 0 {
		if n := min(len(p), len(proto)); string(p[:n]) != proto[:n] {
			return nil, false, errMalformed
		}
		return nil, true, f.hold(p)
	}
	*a = answer{body: a.body[:0], headers: a.headers[:0]}
	*scratch = reader{buf: p[:end], w: end, any: true} // whole, so nothing is read
	frame, err := a.head(scratch, want)
	if err != nil {
		return nil, false, err
	}
	rest = p[end:]
	switch {
	case a.status == 101:
		a.close = true
		return nil, false, errMalformed // nobody asked to leave HTTP
	case a.status < 200:
		f.held = f.held[:0]
		return rest, false, nil
	case want != nil && want.noBody, a.status == 204, a.status == 304:
	case frame.chunked:
		a.close = a.close || frame.length >= 0 // both framings: the connection is not to be trusted
		f.stage = atSize
	case frame.length > 0:
		f.stage, f.left = inBody, frame.length
	case frame.length < 0:
		a.close = true
		f.stage = toEnd
	}
	return rest, false, nil
}

const proto = "HTTP/1."

// headEnd is the length of the head that p begins with, -1 when it has no end yet.
func headEnd(p []byte) int {
	end := -1
	if i := bytes.Index(p, []byte("\n\r\n")); i >= 0 {
		end = i + 3
	}
	if i := bytes.Index(p[:max(end, 0)], []byte("\n\n")); i >= 0 {
		return i + 2
	}
	if end < 0 {
		if i := bytes.Index(p, []byte("\n\n")); i >= 0 {
			return i + 2
		}
	}
	return end
}

// data takes bytes of the body.
func (f *framer) data(p []byte, a *answer, want *call) (rest []byte, more bool) {
	n := len(p)
	if f.stage != toEnd {
		n = int(min(int64(n), f.left))
		f.left -= int64(n)
	}
	a.bytes += int64(n)
	if want != nil && want.wantsBody() && len(a.body) < maxKept {
		a.body = append(a.body, p[:n]...)
	}
	rest = p[n:]
	if f.stage == inChunk && f.left == 0 {
		f.stage = afterChunk
		return rest, false
	}
	f.held = f.held[:0]
	return rest, f.stage == toEnd || f.left > 0
}

// line takes a line of the chunked coding; end is true after the last.
func (f *framer) line(p []byte, a *answer) (rest []byte, more, end bool, err error) {
	i := bytes.IndexByte(p, '\n')
	if i < 0 {
		return nil, true, false, f.hold(p)
	}
	l := bytes.TrimSuffix(p[:i], []byte("\r"))
	rest = p[i+1:]
	switch f.stage {
	case atSize:
		size, _, _ := bytes.Cut(l, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 62)
		if err != nil || i > maxHead {
			return nil, false, false, errMalformed
		}
		f.stage, f.left = inChunk, int64(n)
		if n == 0 {
			f.stage = inTrailer
		}
	case afterChunk:
		if len(l) != 0 {
			return nil, false, false, errMalformed
		}
		f.stage = atSize
	case inTrailer:
		if len(l) == 0 {
			return rest, false, true, nil
		}
		if f.size += len(l); f.size > maxHead {
			return nil, false, false, errMalformed
		}
	}
	return rest, false, false, nil
}

// ended says what it means that the connection has ended: nil when that is how the
// answer ends.
func (f *framer) ended() error {
	switch {
	case f.stage == toEnd:
		return nil
	case f.any:
		return io.ErrUnexpectedEOF
	}
	return io.EOF
}
