// Package drive offers load by the clock. It does not know what a clone is: it is
// given URLs and gives back samples.
//
// Arrivals never wait for answers. Each request has three times: due (the schedule
// says so), sent (its first byte is handed to the socket) and done (the last byte
// of its answer was read). Response time is done − due, service time done − sent.
// Who arrives when, as which user, with which pauses, is a pure function of the
// seed, so two runs with one seed offer the same sessions.
//
// Drive refuses any target that is not a loopback address, unless the workload says
// that its owner answers for it.
package drive

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/premortem/premortem"
)

// Workload is what users do and where. It is not changed by a run, and may be
// shared by several at once.
type Workload struct {
	// Journeys are chosen by weight. When no journey has a weight, all weigh the
	// same; else one without a weight is never chosen.
	Journeys []*premortem.Journey
	// Seed decides everything that is drawn.
	Seed int64
	// URLs holds the base URL of each service, "http://127.0.0.1:4001"; the key "" is
	// for every service that is not listed. A path in it is put before each request's.
	URLs map[premortem.Node]string
	// Rows returns the value of a column in one row of a table; rows are counted from
	// 1 to RowCount. It is called during the load, from many goroutines, and its time
	// counts as lag. nil when no journey refers to rows.
	Rows func(table, column string, row int64) (string, bool)
	// RowCount is asked once per table and run. nil when no journey refers to rows.
	RowCount func(table string) int64
	// Beyond allows targets that are not this machine. Only somebody who answers for
	// them may say so: they get whatever load is offered.
	Beyond bool
	// TLS is how https targets are spoken to; nil means with the system's authorities.
	TLS *tls.Config
	// HTTP2 speaks HTTP/2 to every target, with prior knowledge where it is plain http
	// (RFC 9113, section 3.3). Else it is HTTP/1.1.
	HTTP2 bool
}

// Load is how much of a workload is offered, and for how long. Exactly one of Calls,
// Users, Loop and At is set.
type Load struct {
	// Calls is requests per second: sessions arrive as a Poisson process at Calls ÷
	// mean requests per session, and do not pause. Connections are shared and kept.
	Calls float64
	// Users is people active at once: sessions arrive as a Poisson process at Users ÷
	// mean session length (see Workload.Session), and pause as the journey says, by 0.5
	// to 1.5 times. Each session has its own connection. The number of people reaches
	// Users after about one session length, so Warm should be at least that.
	Users float64
	// Loop is a number of connections that ask again as soon as they are answered: a
	// closed loop, which finds the most that a server or an instrument can do, and says
	// nothing about what users would have waited.
	Loop int
	// For is how long sessions arrive, Warm included.
	For time.Duration
	// Warm is the first part of For: offered and not counted.
	Warm time.Duration
	// Timeout is how long an answer may take after the request was sent; 0 means 10 s.
	Timeout time.Duration
	// MaxRate makes loads comparable: the sessions offered at a lower rate are a subset
	// of those offered at MaxRate with the same seed. In the unit of Calls or Users,
	// and at least as large; 0 means the own rate.
	MaxRate float64
	// Within is how soon after it was due a good request is answered. It decides about
	// Windows and nothing else; 0 means that any answer that is no error is good.
	Within time.Duration
	// Even spaces sessions evenly instead of at random. It hides queueing: at four
	// fifths of what a server can do, people who arrive at random wait 2.4 times as long.
	Even bool
	// From lets Calls or Users rise in a straight line over For, from this to that; 0
	// means that they do not change.
	From float64
	// At is when sessions arrive, in ascending order since the start, as they were
	// recorded; nil means that they are drawn. Calls or Users must not be set beside it:
	// sessions of recorded arrivals do not pause.
	At []time.Duration
	// Stop is called about once a second after Warm; true ends the load early and sets
	// LoadStats.Stopped. nil never stops.
	Stop func(now Snapshot) bool
	// Every is called about once a second after Warm with what happened in it. nil is
	// allowed. Like Stop it must return soon: both share one goroutine.
	Every func(Second)
}

// Snapshot is everything counted since Warm ended. Load.Sent = Load.Done +
// Load.Failed + requests in flight.
type Snapshot struct {
	Elapsed time.Duration // since Warm ended
	Load    premortem.LoadStats
	Routes  []premortem.RouteStats // by name
	// Windows are the seconds whose answer is final: those of which each request is
	// answered or was due more than Load.Within ago.
	Windows []premortem.Window
}

// Result is what a load got. Load.Offered = Load.Sent + Load.Dropped, and Load.Sent
// = Load.Done + Load.Failed + Load.Abandoned, exactly.
//
// An abandoned request counts in its route with the time it had waited by then, a
// lower bound, and is no error: leaving it out would show only the survivors.
type Result struct {
	Took   time.Duration // counted part of the load, the wait for open requests left out
	Load   premortem.LoadStats
	Routes []premortem.RouteStats // by name; those that were called
	// Seconds holds the last hour at most, so that memory does not grow with the
	// length of a run. Every sees all of them.
	Seconds []Second
	// Windows are the same seconds, each request counted in the one in which it was due.
	Windows []premortem.Window
}

// Second is what happened in one second of the counted part, by the time of the
// event: an answer counts in the second in which it came. What came after the last
// second is in the totals alone.
type Second struct {
	At       float64 // seconds since Warm ended, start of the second
	Offered  uint64
	Done     uint64
	Failed   uint64
	InFlight int                // at the end of the second
	Routes   map[string]float64 // p95 of the response time in seconds, by route

	Dropped       uint64
	Late          uint64
	P50, P95, P99 float64 // response time of all routes, seconds
	LagP99        float64 // seconds
	Inside        float64 // mean number of open requests
	Little        float64 // share by which that differs from the time they spent
	// Response holds the response times by route. Every gets it; Result.Seconds does
	// not keep it.
	Response map[string]premortem.Histogram
}

// Run offers the load and returns what came of it. The workload is validated
// before anything is sent. When ctx ends, open requests are abandoned, and Run
// returns what was counted so far together with the context's cause. No goroutine
// and no connection outlives it.
func Run(ctx context.Context, w Workload, l Load) (Result, error) {
	p, err := compile(w, w.Journeys)
	if err != nil {
		return Result{}, err
	}
	if err := l.check(p); err != nil {
		return Result{}, err
	}
	e := newEngine(ctx, p, l)
	e.react()
	return e.run(ctx)
}

// Validate reports the first thing in the workload that cannot work: a reference
// to nothing, a table without rows, a target that is not loopback. It sends
// nothing. The error is a *premortem.Error.
func Validate(w Workload) error {
	_, err := compile(w, w.Journeys)
	return err
}

// Session returns the mean number of requests of a session and its mean length:
// its pauses, and 50 ms for each request, since the true time is not known before.
// Both are zero when the workload is not valid.
func (w Workload) Session() (requests float64, length time.Duration) {
	p, err := compile(w, w.Journeys)
	if err != nil {
		return 0, 0
	}
	return p.requests, p.length()
}
