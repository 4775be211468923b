package drive

import "time"

// socket is one connection of a reactor, which alone uses it.
type socket struct {
	fd     int
	to     int   // target
	turn   int32 // tells events of this socket from those of the last one with its descriptor
	state  socketState
	old    bool          // has answered before
	used   time.Duration // when its last answer came
	idle   time.Duration // how long the server keeps it idle; 0 unsaid
	at     int           // which of the target's addresses it tries
	now    *asking       // nil when idle
	unsent []byte        // rest of a request that did not fit into the kernel's buffer
	frame  framer
	part   *answer // what is known of an answer that is not complete
}

type socketState int8

const (
	connecting socketState = iota
	usable
	closed
)

// asking is one request of a reactor, from due to done.
type asking struct {
	s       *session
	r       *call
	t       *tally
	counted bool
	again   bool // sent a second time
	waiting bool // for a connection
	due     time.Duration
	asked   time.Duration
	m       moments
	k       *socket
	// Neighbours in the order of asked, in which time-outs happen.
	before, after *asking
}
