package wire

import (
	"math"
	"sync"
	"time"
)

// Redis forwards like Splice and records each command, as "GET" or "CLIENT SETNAME".
// It reads RESP2 and RESP3, also with commands sent ahead. A call is recorded before
// the last bytes of its answer are forwarded.
//
// Once a connection subscribes, monitors, replicates or switches replies off, and when
// it is encrypted, it reads no further (see [Edge.Blind]). When it begins in the middle
// of a connection it waits for the next command.
func Redis(record func(Call)) Pipe {
	return tap("redis", record, func() reader { return &redisReader{} })
}

type redisStage int

const (
	redisRunning redisStage = iota
	redisHunting            // somewhere in the middle: waiting for a command
	redisBlind
)

const (
	redisWaiting  = 1 << 16 // commands sent ahead
	redisRelapses = 16
	redisArgs     = 16  // of a sample
	redisArg      = 256 // bytes of one of them
	redisLargest  = 1 << 32
)

// redisReader follows one connection.
type redisReader struct {
	mu sync.Mutex
	*book
	stage    redisStage
	doubt    bool // began in the middle
	relapses int
	asks     redisCommand
	says     redisReply
	waiting  queue[redisWait]
	multi    bool // after MULTI, as the caller sees it
	deaf     bool // a command went by after which answers do not match
	answered uint64
}

// redisWait is a command whose answer is to come.
type redisWait struct {
	op     *op
	start  time.Time
	sample *Sample
	inTx   bool
	last   bool // reading ends with its answer
}

func (r *redisReader) attach(to *book, missed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book = to
	if missed && r.stage != redisBlind {
		r.hunt()
	}
}

func (r *redisReader) hunt() {
	r.stage, r.doubt = redisHunting, true
	r.asks, r.says = redisCommand{}, redisReply{}
	r.waiting.clear()
	r.multi, r.deaf, r.answered = false, false, 0
}

// lost is what follows bytes that make no sense.
func (r *redisReader) lost() {
	if r.relapses++; r.doubt && r.relapses < redisRelapses {
		r.hunt()
		return
	}
	r.goBlind()
}

func (r *redisReader) goBlind() {
	if r.stage == redisBlind {
		return
	}
	r.hunt()
	r.stage = redisBlind
	r.blind.Add(1)
}

func (r *redisReader) opaque(w way) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.stage == redisBlind:
		return math.MaxInt64
	case r.stage == redisHunting:
		return 0
	case w == up && r.deaf:
		return 0
	case w == up && r.asks.keep == 0:
		return max(r.asks.left-3, 0) // the line break after it is looked at
	case w == down:
		return max(r.says.left-3, 0)
	}
	return 0
}

func (r *redisReader) skip(w way, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.stage != redisRunning:
	case w == up:
		r.asks.left -= n
	default:
		r.says.left -= n
		r.answered += uint64(n)
	}
}

func (r *redisReader) see(w way, b []byte, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stage == redisHunting && w == up && len(b) > 2 && b[0] == '*' && isDigit(b[1]) {
		r.stage = redisRunning
	}
	if w == up {
		r.commands(b, now)
	} else {
		r.replies(b, now)
	}
}

func (r *redisReader) commands(b []byte, now time.Time) {
	for len(b) > 0 && r.stage == redisRunning && !r.deaf {
		rest, done, ok := r.asks.eat(b, r, now)
		switch {
		case !ok, r.waiting.len() >= redisWaiting:
			r.lost()
		case done:
			r.command(now)
		}
		b = rest
	}
}

// named is called with the name of a command, before its other words are read; it
// says how many bytes of each to keep for a sample.
func (r *redisReader) named(o *op, now time.Time) (keep int) {
	if o.sample(now) {
		return redisArg
	}
	return 0
}

// containers are the commands whose second word says what they do.
var containers = map[string]bool{
	"ACL": true, "CLIENT": true, "CLUSTER": true, "COMMAND": true, "CONFIG": true, "DEBUG": true,
	"FUNCTION": true, "LATENCY": true, "MEMORY": true, "MODULE": true, "OBJECT": true, "PUBSUB": true,
	"SCRIPT": true, "SLOWLOG": true, "XGROUP": true, "XINFO": true,
}

// command queues a whole command.
func (r *redisReader) command(now time.Time) {
	c := &r.asks
	w := redisWait{op: c.op, start: now, inTx: r.multi}
	if c.keepArgs > 0 {
		w.sample = &Sample{Text: c.op.text, Args: c.args}
	}
	c.args = nil
	switch c.op.text {
	case "MULTI":
		r.multi = true
	case "EXEC", "DISCARD":
		r.multi = false
	case "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR", "SYNC", "PSYNC", "CLIENT REPLY":
		// What follows is not one answer for each command.
		w.last, r.deaf = true, true
	}
	r.waiting.push(w)
}

func (r *redisReader) replies(b []byte, now time.Time) {
	for len(b) > 0 && r.stage == redisRunning {
		before := len(b)
		rest, done, ok := r.says.eat(b)
		r.answered += uint64(before - len(rest))
		switch {
		case !ok:
			r.lost()
		case done && r.says.pushed && !r.subscribing():
			r.answered = 0
		case done:
			r.reply(now)
		}
		b = rest
	}
}

// subscribing reports whether the answer to come may be a push, as that to a
// subscription is in RESP3.
func (r *redisReader) subscribing() bool {
	first := r.waiting.first()
	return first != nil && first.last
}

// reply matches a whole answer with its command.
func (r *redisReader) reply(now time.Time) {
	w := r.waiting.first()
	if w == nil {
		r.lost()
		return
	}
	last := w.last
	r.finish(w, r.says.err(), now)
	if last {
		r.goBlind()
	}
}

func (r *redisReader) finish(w *redisWait, err string, now time.Time) {
	c := Call{
		Proto: "redis", Op: w.op.text, Conn: r.conn, Start: w.start, Took: now.Sub(w.start),
		Rows: r.says.rows, Bytes: r.answered, Err: err, InTx: w.inTx,
	}
	if w.sample != nil {
		c.Sample = *w.sample
	}
	r.answered = 0
	r.waiting.pop()
	r.record(c)
}

func (r *redisReader) end(w way, now time.Time) {
	if w == down {
		r.over(now)
	}
}

func (r *redisReader) over(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.says.rows = 0
	for w := r.waiting.first(); w != nil; w = r.waiting.first() {
		r.finish(w, "reset", now)
	}
}
