package drive

import (
	"bytes"
	"errors"
	"io"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// errMalformed is an answer that is not HTTP/1.1.
var errMalformed = errors.New("malformed answer")

const (
	maxHead  = 64 << 10 // of status line and headers, and of one chunk's size line
	maxKept  = 1 << 20  // of a body that a value is taken from
	smallBuf = 4 << 10  // enough for most answers; one per request in flight
	largeBuf = 32 << 10
)

// header is one header field of an answer that somebody asked for.
type header struct{ name, value string }

// answer is what came back. It is used again for the next one.
type answer struct {
	status  int
	bytes   int64 // of the body as sent, without the framing of chunks
	body    []byte
	headers []header      // Set-Cookie, Content-Encoding and those that a keep names
	close   bool          // the connection cannot be used again
	idle    time.Duration // how long the server says it keeps an idle connection; 0 unsaid
}

// reader reads answers from one connection through a buffer that is borrowed for
// the time of one request.
type reader struct {
	src  io.Reader
	buf  []byte
	r, w int
	any  bool // a byte has arrived
	// first is when it did.
	first time.Time
}

// fill reads more behind what is there, making room if needed.
func (b *reader) fill() error {
	if b.r == b.w {
		b.r, b.w = 0, 0
	}
	if b.w == len(b.buf) {
		if b.r > 0 {
			copy(b.buf, b.buf[b.r:b.w])
			b.w -= b.r
			b.r = 0
		} else {
			if len(b.buf) >= maxHead {
				return errMalformed
			}
			b.buf = append(b.buf, make([]byte, len(b.buf))...)
		}
	}
	n, err := b.src.Read(b.buf[b.w:])
	b.w += n
	if n > 0 {
		if !b.any {
			b.any, b.first = true, time.Now()
		}
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// line returns the next line without its end. It is valid until the next read.
func (b *reader) line() ([]byte, error) {
	seen := 0
	for {
		if i := bytes.IndexByte(b.buf[b.r+seen:b.w], '\n'); i >= 0 {
			l := b.buf[b.r : b.r+seen+i]
			b.r += seen + i + 1
			if n := len(l); n > 0 && l[n-1] == '\r' {
				l = l[:n-1]
			}
			return l, nil
		}
		seen = b.w - b.r
		if err := b.fill(); err != nil {
			if err == io.EOF && b.any {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// framing says how the body of an answer ends.
type framing struct {
	length  int64 // -1 unsaid
	chunked bool
}

// read reads one final answer; informational ones (1xx) are skipped.
func (a *answer) read(b *reader, want *call) error {
	for {
		*a = answer{body: a.body[:0], headers: a.headers[:0]}
		f, err := a.head(b, want)
		if err != nil {
			return err
		}
		if a.status == 101 {
			a.close = true
			return errMalformed // nobody asked to leave HTTP
		}
		if a.status < 200 {
			continue
		}
		if err := a.readBody(b, f, want); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if b.r != b.w {
			a.close = true // bytes that nobody asked for: not to be taken for the next answer
		}
		return nil
	}
}

// head reads the status line and the headers.
func (a *answer) head(b *reader, want *call) (framing, error) {
	f := framing{length: -1}
	l, err := b.line()
	if err != nil {
		return f, err
	}
	if len(l) < 12 || string(l[:7]) != "HTTP/1." || l[8] != ' ' || len(l) > 12 && l[12] != ' ' {
		return f, errMalformed
	}
	for _, c := range l[9:12] {
		if c < '0' || c > '9' {
			return f, errMalformed
		}
		a.status = a.status*10 + int(c-'0')
	}
	if a.status < 100 {
		return f, errMalformed
	}
	a.close = l[7] == '0'
	for size := len(l); ; {
		if l, err = b.line(); err != nil {
			return f, err
		}
		if len(l) == 0 {
			return f, nil
		}
		if size += len(l); size > maxHead {
			return f, errMalformed
		}
		if err := a.field(l, &f, want); err != nil {
			return f, err
		}
	}
}

// field reads one header line. Only what decides about the connection, the body or
// the session is looked at.
func (a *answer) field(l []byte, f *framing, want *call) error {
	colon := bytes.IndexByte(l, ':')
	if colon <= 0 {
		return errMalformed
	}
	name, value := l[:colon], bytes.TrimSpace(l[colon+1:])
	switch {
	case is(name, "content-length"):
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 0 || f.length >= 0 && f.length != n {
			return errMalformed
		}
		f.length = n
	case is(name, "transfer-encoding"):
		f.chunked = is(value, "chunked")
		if !f.chunked {
			return errMalformed // a coding that was not asked for
		}
	case is(name, "connection"):
		if is(value, "close") {
			a.close = true
		} else if is(value, "keep-alive") {
			a.close = false
		}
	case is(name, "keep-alive"):
		a.idle = keepAlive(string(value))
	case is(name, "set-cookie"), is(name, "content-encoding"), want != nil && want.wants(name):
		a.headers = append(a.headers, header{textproto.CanonicalMIMEHeaderKey(string(name)), string(value)})
	}
	return nil
}

// is compares without regard to case; low is in lower case.
func is(b []byte, low string) bool {
	if len(b) != len(low) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != low[i] {
			return false
		}
	}
	return true
}

// keepAlive reads "timeout=5, max=100".
func keepAlive(value string) time.Duration {
	for p := range strings.SplitSeq(value, ",") {
		name, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(name, "timeout") {
			continue
		}
		if n, err := strconv.ParseUint(v, 10, 20); err == nil {
			return time.Duration(n) * time.Second
		}
	}
	return 0
}

// readBody reads to the end of the body (RFC 9112, section 6.3).
func (a *answer) readBody(b *reader, f framing, want *call) error {
	keep := want != nil && want.wantsBody()
	switch {
	case want != nil && want.noBody, a.status == 204, a.status == 304:
		return nil
	case f.chunked:
		if f.length >= 0 {
			a.close = true // both framings: the connection is not to be trusted
		}
		return a.chunks(b, keep)
	case f.length >= 0:
		return a.take(b, f.length, keep)
	}
	a.close = true
	for {
		a.add(b, b.w-b.r, keep)
		if err := b.fill(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// add accounts for n buffered bytes of the body.
func (a *answer) add(b *reader, n int, keep bool) {
	a.bytes += int64(n)
	if keep && len(a.body) < maxKept {
		a.body = append(a.body, b.buf[b.r:b.r+n]...)
	}
	b.r += n
}

// take reads exactly n bytes of the body.
func (a *answer) take(b *reader, n int64, keep bool) error {
	if n > largeBuf && len(b.buf) < largeBuf {
		b.grow()
	}
	for {
		have := int(min(int64(b.w-b.r), n))
		a.add(b, have, keep)
		if n -= int64(have); n == 0 {
			return nil
		}
		if err := b.fill(); err != nil {
			return err
		}
	}
}

// grow makes room for a large body, to read it in fewer calls.
func (b *reader) grow() {
	buf := make([]byte, largeBuf)
	b.w = copy(buf, b.buf[b.r:b.w])
	b.r = 0
	b.buf = buf
}

// chunks reads a chunked body and its trailers (RFC 9112, section 7.1).
func (a *answer) chunks(b *reader, keep bool) error {
	for {
		l, err := b.line()
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(l, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 62)
		if err != nil {
			return errMalformed
		}
		if n == 0 {
			break
		}
		if err := a.take(b, int64(n), keep); err != nil {
			return err
		}
		if l, err = b.line(); err != nil {
			return err
		}
		if len(l) != 0 {
			return errMalformed
		}
	}
	for size := 0; ; {
		l, err := b.line()
		if err != nil || len(l) == 0 {
			return err
		}
		if size += len(l); size > maxHead {
			return errMalformed
		}
	}
}
