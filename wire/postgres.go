package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"sync"
	"time"
)

// Postgres forwards like Splice and records each simple Query, each Execute, and each
// opening of a connection (Op "CONNECT") or cancel request ("CANCEL"). A call is
// recorded before the last bytes of its answer are forwarded, so whoever has the answer
// finds the call counted. Memory per connection is bounded, whatever the statements are.
//
// On a connection that is encrypted, or that leaves the protocol, it reads no further
// (see [Edge.Blind]). When it begins in the middle of a connection it waits until the
// server is ready for a query and reads from there; a statement that was prepared
// before is then "unknown statement".
func Postgres(record func(Call)) Pipe {
	return tap("postgres", record, func() reader {
		return &pgReader{named: map[string]*pgStatement{}, portals: map[string]pgPortal{}}
	})
}

type pgStage int

const (
	pgStarting   pgStage = iota // the next question is a start-up packet
	pgEncrypting                // the server decides about encryption
	pgRunning
	pgHunting // somewhere in the middle: waiting for a place to begin
	pgBlind
)

// Bounds of what one connection may hold.
const (
	pgText     = 64 << 10 // of a statement; the rest is not looked at
	pgBind     = 16 << 10 // of a Bind: with more, there is no sample
	pgNamed    = 4096     // prepared statements
	pgPortals  = 256      // named portals
	pgWaiting  = 1 << 16  // questions without an answer
	pgRelapses = 16       // how often a doubtful beginning may turn out wrong
	pgLargest  = 1 << 30  // no message is longer
)

// pgReader follows one connection.
type pgReader struct {
	mu sync.Mutex
	*book
	stage    pgStage
	doubt    bool // began in the middle
	relapses int
	quiet    bool    // hunting: the last thing said was "ready for query"
	tail     [6]byte // hunting: the last bytes of the server
	front    pgFrame
	back     pgFrame

	named   map[string]*pgStatement
	unnamed pgStatement
	portals map[string]pgPortal
	portal  pgPortal // the unnamed one

	waiting  queue[pgWait]
	inTx     bool
	failed   bool // the server passes over everything up to Sync, which has not come yet
	copying  bool // the server takes copy data and passes over Sync
	answered uint64
	last     *op    // of the latest Execute
	scratch  []byte // for fingerprints
}

// pgWait is a question whose answer is to come.
type pgWait struct {
	kind   byte // of its message; '0' start-up, 'x' cancel, 'c' the end of copy data
	op     *op
	stmt   *pgStatement // of a Describe
	gen    uint32
	start  time.Time
	sample *Sample
	rows   uint64
	tagged uint64 // rows according to CommandComplete
	err    string
}

type pgStatement struct {
	op   *op
	text []byte
	oids []uint32 // types of parameters, 0 unknown
	gen  uint32   // counts texts, so that a late description is not taken for another's
}

type pgPortal struct {
	op     *op
	sample *Sample
}

// pgKeep says how much of a message's body to look at, by type; absent types are no
// part of the protocol.
type pgKeep [256]int32

var pgFront = pgKeep{
	'Q': pgText, 'P': pgText, 'B': pgBind, 'E': 256, 'D': 256, 'C': 256, 'S': 1, 'H': 1, 'X': 1,
	'F': 1, 'd': 1, 'c': 1, 'f': 1, 'p': 1,
}

var pgBack = pgKeep{
	'R': 1, 'S': 1, 'K': 1, 'Z': 1, 'T': 1, 'D': 1, 'C': 128, 'E': 512, 'N': 1, 'A': 1, '1': 1, '2': 1,
	'3': 1, 't': 2048, 'n': 1, 's': 1, 'I': 1, 'G': 1, 'H': 1, 'W': 1, 'd': 1, 'c': 1, 'V': 1, 'v': 1,
}

func (r *pgReader) attach(to *book, missed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book = to
	if missed && r.stage != pgBlind {
		r.hunt()
	}
}

// hunt forgets where messages begin. Named statements stay: a name is not given to
// another text without being closed first, and drivers do not do that.
func (r *pgReader) hunt() {
	r.stage, r.doubt, r.quiet, r.tail = pgHunting, true, false, [6]byte{}
	r.front, r.back = pgFrame{}, pgFrame{}
	r.waiting.clear()
	r.failed, r.copying, r.answered, r.inTx = false, false, 0, false
	clear(r.portals)
	r.portal, r.unnamed = pgPortal{}, pgStatement{gen: r.unnamed.gen + 1}
}

// lost is what follows bytes that make no sense.
func (r *pgReader) lost() {
	if r.relapses++; r.doubt && r.relapses < pgRelapses {
		r.hunt()
		return
	}
	r.goBlind()
}

func (r *pgReader) goBlind() {
	if r.stage == pgBlind {
		return
	}
	r.hunt()
	r.stage = pgBlind
	r.blind.Add(1)
	clear(r.named)
}

func (r *pgReader) opaque(w way) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.stage == pgBlind:
		return math.MaxInt64
	case r.stage == pgHunting:
		return 0
	case w == up:
		return r.front.opaque()
	}
	return r.back.opaque()
}

func (r *pgReader) skip(w way, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stage != pgRunning {
		r.quiet, r.tail = false, [6]byte{} // hunting began while the bytes were on their way
		return
	}
	if w == up {
		r.front.left -= n
		return
	}
	r.back.left -= n
	r.answered += uint64(n)
}

func (r *pgReader) see(w way, b []byte, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w == up {
		r.seeFront(b, now)
	} else {
		r.seeBack(b, now)
	}
}

func (r *pgReader) end(w way, now time.Time) {
	if w == down {
		r.over(now)
	}
}

// over records what will not be answered any more.
func (r *pgReader) over(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := r.waiting.first(); w != nil; w = r.waiting.first() {
		switch w.kind {
		case 'Q', 'E', 'F', '0':
			if w.err == "" {
				w.err = "reset"
			}
			r.finish(w, now)
		case 'x':
			r.finish(w, now)
		}
		r.waiting.pop()
	}
}

// finish records a call.
func (r *pgReader) finish(w *pgWait, now time.Time) {
	c := Call{
		Proto: "postgres", Op: w.op.text, Conn: r.conn, Start: w.start, Took: now.Sub(w.start),
		Rows: max(w.rows, w.tagged), Bytes: r.answered, Err: w.err, InTx: r.inTx,
	}
	if w.sample != nil {
		c.Sample = *w.sample
	}
	r.answered = 0
	r.last = w.op
	r.record(c)
}

// beginHere decides whether a question may begin at b, after the server was ready.
func (r *pgReader) beginHere(b []byte) bool {
	if !r.quiet {
		return false
	}
	r.quiet = false
	for at := b; len(at) >= 5; {
		n := int64(binary.BigEndian.Uint32(at[1:]))
		if pgFront[at[0]] == 0 || n < 4 || n > pgLargest {
			return false
		}
		if n+1 >= int64(len(at)) {
			break
		}
		at = at[n+1:]
	}
	r.stage = pgRunning
	return true
}

// listen remembers the server's last bytes while hunting, and notices when they say
// that it is ready for a query.
func (r *pgReader) listen(b []byte) {
	if len(b) >= len(r.tail) {
		copy(r.tail[:], b[len(b)-len(r.tail):])
	} else {
		n := copy(r.tail[:], r.tail[len(b):])
		copy(r.tail[n:], b)
	}
	t := r.tail
	r.quiet = bytes.Equal(t[:5], []byte{'Z', 0, 0, 0, 5}) && (t[5] == 'I' || t[5] == 'T' || t[5] == 'E')
	if r.quiet {
		r.inTx = t[5] != 'I'
	}
}

// pgFrame cuts a stream into messages.
type pgFrame struct {
	head [5]byte
	have int   // bytes of head
	left int64 // bytes of the body still to come
	keep int   // of the body still to be kept
	body []byte
	open bool // the head is complete, the body is not
}

// next takes one message from b. ok is false when b holds no end of one, and then all of
// it was taken; bad is true when b does not follow the protocol. body is valid until
// the next call.
func (f *pgFrame) next(b []byte, keep *pgKeep) (kind byte, body, rest []byte, ok, bad bool) {
	if f.have == 0 && len(b) >= 5 { // whole messages are looked at in place
		n := int64(binary.BigEndian.Uint32(b[1:]))
		if keep[b[0]] == 0 || n < 4 || n > pgLargest {
			return 0, nil, nil, false, true
		}
		if n+1 <= int64(len(b)) {
			return b[0], b[5 : n+1], b[n+1:], true, false
		}
	}
	if !f.open {
		n := copy(f.head[f.have:], b)
		b = b[n:]
		if f.have += n; f.have < len(f.head) {
			return 0, nil, nil, false, false
		}
		length := int64(binary.BigEndian.Uint32(f.head[1:]))
		if keep[f.head[0]] == 0 || length < 4 || length > pgLargest {
			return 0, nil, nil, false, true
		}
		f.left, f.keep, f.open = length-4, int(keep[f.head[0]]), true
		f.body = f.body[:0]
	}
	n := int(min(f.left, int64(len(b))))
	k := min(n, f.keep)
	f.body = append(f.body, b[:k]...)
	f.keep -= k
	f.left -= int64(n)
	b = b[n:]
	if f.left > 0 {
		return 0, nil, nil, false, false
	}
	f.have, f.open = 0, false
	body = f.body
	if cap(f.body) > 8<<10 {
		f.body = nil // one long statement does not hold memory for the life of the connection
	}
	return f.head[0], body, b, true, false
}

// opaque is how much of the current message nobody looks at. Its last byte is always
// looked at, because with it the message ends.
func (f *pgFrame) opaque() int64 {
	if !f.open || f.keep > 0 {
		return 0
	}
	return max(f.left-1, 0)
}

// cstring splits a zero-terminated string off.
func cstring(b []byte) (s, rest []byte) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}
