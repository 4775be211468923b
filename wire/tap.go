package wire

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Call is one question and its answer, as a tap saw them.
type Call struct {
	Proto string // "postgres", "http", "redis"
	Op    string // SQL fingerprint, "GET /users/:id", "HGETALL"
	Conn  uint64 // the connection's number at its edge, from 1
	Start time.Time
	// Took is from the question's last byte to the answer's last byte. Questions sent
	// ahead wait for those before them, and that counts.
	Took  time.Duration
	Rows  uint64 // PostgreSQL: returned or changed; Redis: values in the answer, 0 for nil
	Bytes uint64 // answered
	// Err is empty for success, else the SQLSTATE, an HTTP status of 400 or more, the
	// first word of a Redis error, or "reset" when the connection ended before the answer.
	Err    string
	InTx   bool // a transaction was open when it ran
	Sample Sample
}

// Sample is one raw statement with its values. It stays in memory: it refuses to be
// marshalled. A tap fills it for the first call of an operation and then at most every
// 100 ms; it is zero in between.
type Sample struct {
	Text string
	Args []string // of a prepared statement or command, as text; `\N` is NULL, `\x…` undecoded bytes
}

// MarshalJSON writes null: a statement's values never leave memory.
func (Sample) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// MarshalText writes nothing, for the same reason.
func (Sample) MarshalText() ([]byte, error) { return nil, nil }

// String hides the values from formatted output.
func (Sample) String() string { return "(sample)" }

// GoString hides them from %#v.
func (Sample) GoString() string { return "(sample)" }

// sampleEvery is how old the latest sample of an operation may be.
const sampleEvery = 100 * time.Millisecond

// op is one operation's name, shared by all connections of a tap.
type op struct {
	text    string
	sampled atomic.Int64 // when, in nanoseconds of the wall clock
}

// sample reports whether it is time for a new sample, and claims it.
func (o *op) sample(now time.Time) bool {
	last, t := o.sampled.Load(), now.UnixNano()
	return t-last >= int64(sampleEvery) && o.sampled.CompareAndSwap(last, t)
}

// otherOp is the name under which operations beyond a bound are counted.
const otherOp = "other"

// maxOps bounds the names that a tap keeps; a Tally has a lower bound of its own.
const maxOps = 2048

// lexicon interns operation names, so that a tap allocates for new ones only.
type lexicon struct {
	mu    sync.RWMutex
	ops   map[string]*op
	other op
}

func newLexicon() *lexicon {
	return &lexicon{ops: map[string]*op{}, other: op{text: otherOp}}
}

func (x *lexicon) op(name []byte) *op {
	x.mu.RLock()
	o := x.ops[string(name)]
	x.mu.RUnlock()
	if o != nil {
		return o
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if o = x.ops[string(name)]; o != nil {
		return o
	}
	if len(x.ops) >= maxOps {
		return &x.other
	}
	o = &op{text: string(name)}
	x.ops[o.text] = o
	return o
}

// way is a direction of a connection.
type way int

const (
	up   way = iota // caller to callee: questions
	down            // callee to caller: answers
)

// reader follows one connection in one protocol. Its methods may be called for both
// ways concurrently.
type reader interface {
	see(w way, b []byte, now time.Time)
	opaque(w way) int64
	skip(w way, n int64)
	end(w way, now time.Time) // EOF; it may be said again after a swap
	// attach says where calls go from now on. missed means that bytes have passed
	// unseen since the last byte that it saw, or before the first.
	attach(to *book, missed bool)
	// over says that the connection has ended, in order or not.
	over(now time.Time)
}

// book is where a reader writes.
type book struct {
	record func(Call)
	lex    *lexicon
	conn   uint64
	blind  *atomic.Uint64
}

// session is a reader and how far it has read, kept with the connection between two
// runs of a tap.
type session struct {
	reader reader
	proto  string
	at     [2]uint64 // positions of the ends up to which the reader has seen everything
}

// tap makes a pipe that forwards like Splice and shows the bytes to a reader.
func tap(proto string, record func(Call), fresh func() reader) Pipe {
	lex := newLexicon()
	var bare atomic.Uint64 // numbers connections that belong to no edge
	return func(ctx context.Context, caller, callee net.Conn) error {
		l, ok := ctx.Value(linkKey{}).(*link)
		if !ok {
			l = &link{id: bare.Add(1), caller: newEnd(caller), callee: newEnd(callee), blind: new(atomic.Uint64)}
		}
		s, skip, missed := resume(l, proto, fresh)
		s.reader.attach(&book{record: record, lex: lex, conn: l.id, blind: l.blind}, missed)
		ways := [2]tapWay{
			{reader: s.reader, way: up, known: skip[up], seen: l.caller.pos.Load()},
			{reader: s.reader, way: down, known: skip[down], seen: l.callee.pos.Load()},
		}
		err := duplex(ctx, caller, callee, [2]mover{up: ways[up].move, down: ways[down].move})
		s.at = [2]uint64{up: ways[up].seen + ways[up].known, down: ways[down].seen + ways[down].known}
		if ctx.Err() == nil {
			s.reader.over(time.Now())
		}
		return err
	}
}

// resume finds what the last tap knew about a connection. skip is how many of the next
// bytes each way were seen already: read by it, given back, not yet forwarded.
func resume(l *link, proto string, fresh func() reader) (s *session, skip [2]uint64, missed bool) {
	ends := [2]*End{up: l.caller, down: l.callee}
	s, ok := l.memory.(*session)
	if !ok || s.proto != proto {
		s = &session{reader: fresh(), proto: proto}
		l.memory = s
		return s, skip, ends[up].pos.Load() != 0 || ends[down].pos.Load() != 0
	}
	for w, e := range ends {
		skip[w] = s.at[w] - e.pos.Load() // wraps when the socket is ahead: then it is missed
		missed = missed || skip[w] > uint64(len(e.back))
	}
	if missed {
		skip = [2]uint64{}
	}
	return s, skip, missed
}

// tapWay is the watcher of one direction.
type tapWay struct {
	reader reader
	way    way
	known  uint64 // bytes to pass over: the reader saw them in an earlier run
	seen   uint64 // position of the source, including bytes that may be given back
}

func (t *tapWay) move(ctx context.Context, dst, src net.Conn) error {
	return newFlow(dst, src, t).run(ctx)
}

func (t *tapWay) see(b []byte) {
	t.seen += uint64(len(b))
	if k := min(t.known, uint64(len(b))); k > 0 {
		t.known -= k
		b = b[k:]
	}
	if len(b) > 0 {
		t.reader.see(t.way, b, time.Now())
	}
}

func (t *tapWay) opaque() int64 {
	if t.known > 0 {
		return 0
	}
	return t.reader.opaque(t.way)
}

func (t *tapWay) skip(n int64) {
	t.seen += uint64(n)
	t.reader.skip(t.way, n)
}

func (t *tapWay) end() { t.reader.end(t.way, time.Now()) }
