package wire

import (
	"bytes"
	"math"
	"strconv"
	"sync"
	"time"
)

// HTTP forwards like Splice and records each request of HTTP/1.x, as "GET /users/:id":
// without the query, with numbers, UUIDs and long tokens replaced. A call is recorded
// before the last bytes of its answer are forwarded.
//
// After an upgrade or CONNECT, and on a connection that is encrypted or speaks HTTP/2,
// it reads no further (see [Edge.Blind]). When it begins in the middle of a connection
// it waits for the next request.
func HTTP(record func(Call)) Pipe {
	return tap("http", record, func() reader { return &httpReader{} })
}

type httpStage int

const (
	httpRunning httpStage = iota
	httpHunting           // somewhere in the middle: waiting for a request
	httpBlind
)

const (
	httpHead     = 64 << 10 // bytes of a head; none is longer
	httpWaiting  = 1 << 10  // requests sent ahead
	httpRelapses = 16
)

// httpReader follows one connection.
type httpReader struct {
	mu sync.Mutex
	*book
	stage    httpStage
	doubt    bool // began in the middle
	relapses int
	req, res httpSide
	waiting  queue[httpWait]
	asked    uint64 // requests begun
	popped   uint64 // requests answered: asked-popped wait
	answered uint64 // bytes of the current answer
	status   int
	known    bool // the current answer has a request
}

// httpSide is where one direction stands.
type httpSide struct {
	head []byte // of a message, in parts
	open bool   // the head is complete, the body is not
	body httpBody
}

// httpWait is a request whose answer is to come.
type httpWait struct {
	op     *op
	method httpMethod
	start  time.Time // of its latest byte so far
	sample *Sample
}

// httpMethod tells apart what matters for the framing of the answer.
type httpMethod int

const (
	httpOther httpMethod = iota
	httpHEAD
	httpCONNECT
)

func (r *httpReader) attach(to *book, missed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book = to
	if missed && r.stage != httpBlind {
		r.hunt()
	}
}

func (r *httpReader) hunt() {
	r.stage, r.doubt = httpHunting, true
	r.req, r.res = httpSide{}, httpSide{}
	r.waiting.clear()
	r.asked, r.popped, r.answered = 0, 0, 0
}

// lost is what follows bytes that make no sense.
func (r *httpReader) lost() {
	if r.relapses++; r.doubt && r.relapses < httpRelapses {
		r.hunt()
		return
	}
	r.goBlind()
}

func (r *httpReader) goBlind() {
	if r.stage == httpBlind {
		return
	}
	r.hunt()
	r.stage = httpBlind
	r.blind.Add(1)
}

func (r *httpReader) opaque(w way) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.stage == httpBlind:
		return math.MaxInt64
	case r.stage == httpHunting:
		return 0
	case w == up:
		return r.req.opaque()
	}
	return r.res.opaque()
}

// opaque is how much of the current body nobody looks at; its last byte is looked at.
func (s *httpSide) opaque() int64 {
	switch {
	case !s.open:
		return 0
	case s.body.mode == bodyToEnd:
		return math.MaxInt64
	case s.body.mode == bodyLength, s.body.mode == bodyChunk:
		return max(s.body.left-1, 0)
	}
	return 0
}

func (r *httpReader) skip(w way, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stage != httpRunning {
		return
	}
	s := &r.req
	if w == down {
		s = &r.res
		r.answered += uint64(n)
	}
	if s.body.mode != bodyToEnd {
		s.body.left -= n
	}
}

func (r *httpReader) see(w way, b []byte, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stage == httpHunting && w == up && isRequest(b) {
		r.stage = httpRunning
	}
	s := &r.req
	if w == down {
		s = &r.res
	}
	for len(b) > 0 && r.stage == httpRunning {
		before := len(b)
		rest, done, ok := r.part(w, s, b, now)
		if r.stage != httpRunning {
			return
		}
		if w == down {
			r.answered += uint64(before - len(rest))
		}
		switch {
		case !ok:
			r.lost()
		case done:
			s.open = false
			r.complete(w, now)
		}
		b = rest
	}
}

// part reads a head or a piece of a body. done means that the message is complete.
func (r *httpReader) part(w way, s *httpSide, b []byte, now time.Time) (rest []byte, done, ok bool) {
	if s.open {
		if w == up {
			r.touch(now)
		}
		return s.body.eat(b)
	}
	if len(s.head) == 0 {
		for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
			b = b[1:] // an empty line before a message is to be ignored, RFC 9112 2.2
		}
	}
	head, rest, ok := s.takeHead(b)
	if head == nil {
		return rest, false, ok
	}
	s.open = true
	if w == up {
		ok = r.request(head, now)
	} else {
		ok = r.response(head, now)
	}
	if cap(s.head) > 8<<10 {
		s.head = nil
	}
	s.head = s.head[:0]
	if !ok {
		return rest, false, false
	}
	return rest, s.body.mode == bodyNone, true
}

var headEnd = []byte("\r\n\r\n")

// takeHead returns a whole head, its empty line included, or nil while it is not whole.
func (s *httpSide) takeHead(b []byte) (head, rest []byte, ok bool) {
	if len(s.head) == 0 {
		if i := bytes.Index(b, headEnd); i >= 0 {
			return b[:i+4], b[i+4:], true
		}
		if len(b) > 0 && (b[0] < 'A' || b[0] > 'Z') {
			return nil, nil, false // no message begins like this: TLS, for one
		}
	}
	had := len(s.head)
	s.head = append(s.head, b...)
	if i := bytes.Index(s.head[max(had-3, 0):], headEnd); i >= 0 {
		n := max(had-3, 0) + i + 4
		return s.head[:n], b[n-had:], true
	}
	return nil, nil, len(s.head) <= httpHead
}

// touch moves the start of the latest request to its latest byte.
func (r *httpReader) touch(now time.Time) {
	if r.asked > r.popped {
		r.waiting.last().start = now
	}
}

// complete ends a request or an answer.
func (r *httpReader) complete(w way, now time.Time) {
	if w == up {
		return
	}
	if r.status < 200 { // an announcement; the answer follows
		r.answered = 0
		return
	}
	first := r.waiting.first()
	if first == nil || !r.known {
		r.answered = 0 // said without being asked, such as a time-out of an idle connection
		return
	}
	status := ""
	if r.status >= 400 {
		status = strconv.Itoa(r.status)
	}
	r.finish(first, status, now)
}

func (r *httpReader) finish(w *httpWait, err string, now time.Time) {
	c := Call{
		Proto: "http", Op: w.op.text, Conn: r.conn, Start: w.start, Took: now.Sub(w.start),
		Bytes: r.answered, Err: err,
	}
	if w.sample != nil {
		c.Sample = *w.sample
	}
	r.answered = 0
	r.waiting.pop()
	r.popped++
	r.record(c)
}

func (r *httpReader) end(w way, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w == down && r.stage == httpRunning {
		if r.res.open && r.res.body.mode == bodyToEnd {
			r.res.open = false
			r.complete(down, now)
		}
		r.abandon(now)
	}
}

func (r *httpReader) over(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.abandon(now)
}

// abandon records what will not be answered any more.
func (r *httpReader) abandon(now time.Time) {
	for w := r.waiting.first(); w != nil; w = r.waiting.first() {
		r.finish(w, "reset", now)
	}
}
