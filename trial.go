package premortem

import (
	"fmt"
	"time"
)

// Scale says by how much each X is multiplied. A zero factor means unchanged.
type Scale struct {
	Users float64 `json:"users,omitempty"`
	Rows  float64 `json:"rows,omitempty"`
	Calls float64 `json:"calls,omitempty"`
}

// Of returns the factor of "users", "rows" or "calls", 1 when unchanged.
func (s Scale) Of(x string) float64 {
	f := map[string]float64{"users": s.Users, "rows": s.Rows, "calls": s.Calls}[x]
	if f == 0 {
		return 1
	}
	return f
}

// ScaleOf multiplies one X.
func ScaleOf(x string, by float64) Scale {
	switch x {
	case "users":
		return Scale{Users: by}
	case "rows":
		return Scale{Rows: by}
	case "calls":
		return Scale{Calls: by}
	}
	panic("premortem: unknown X " + x)
}

// Aim is where a fault is put.
type Aim struct {
	From Node `json:"from,omitempty"`
	To   Node `json:"to,omitempty"`
}

// Claim is what an experiment expects to stay true.
type Claim struct {
	Says      string    `json:"says"`
	Objective Objective `json:"objective"`
}

// Experiment is one question.
type Experiment struct {
	Name   string        `json:"name"` // "calls-x2"
	Asks   string        `json:"asks"` // "does every objective hold at twice the calls?"
	X      string        `json:"x,omitempty"`
	Scale  Scale         `json:"scale"`
	Fault  string        `json:"fault,omitempty"`
	Aim    Aim           `json:"aim,omitzero"`
	Hold   time.Duration `json:"hold"`
	Claims []Claim       `json:"claims,omitempty"`
	// Tried names the fix that was in place, "" none.
	Tried string `json:"tried,omitempty"`
}

// Answer is what a trial said. The zero Answer is Unknown: silence is not health.
type Answer int

const (
	Unknown Answer = iota
	Holds
	Fails
)

func (a Answer) String() string { return [...]string{"unknown", "holds", "fails"}[a] }

// MarshalText writes the answer's name.
func (a Answer) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads an answer's name.
func (a *Answer) UnmarshalText(b []byte) error {
	for _, v := range []Answer{Unknown, Holds, Fails} {
		if v.String() == string(b) {
			*a = v
			return nil
		}
	}
	return fmt.Errorf("unknown answer %q", b)
}

// Trial is the full record of one experiment; judge reads nothing else, and saved
// trials are its tests. It holds no secret.
type Trial struct {
	Experiment Experiment  `json:"experiment"`
	Seed       int64       `json:"seed"`
	Objectives []Objective `json:"objectives"`
	Base       Scale       `json:"base"`   // absolute: users, rows (of the largest table), requests/s at 1×
	Phases     []Phase     `json:"phases"` // in order; "before" is normal load, "during" the scaled load
	Traces     []Trace     `json:"traces"` // one request at a time, nothing else running
	Plans      []Plan      `json:"plans"`  // of the statements that took the most time
	Tables     []TableSize `json:"tables"`
	Pools      []Pool      `json:"pools"` // what the System says about connection pools
	// MaxConnections of the database in the clone, less the reserved ones; 0 unknown.
	MaxConnections int      `json:"max_connections"`
	Cores          int      `json:"cores"`  // of the machine the clone runs on
	Doubts         []string `json:"doubts"` // reasons why the trial may not mean what it says
}

// Phase returns the named phase, nil if the trial has none.
func (t *Trial) Phase(name string) *Phase {
	for i := range t.Phases {
		if t.Phases[i].Name == name {
			return &t.Phases[i]
		}
	}
	return nil
}

// Phase is a span of time with one load.
type Phase struct {
	Name     string        `json:"name"` // "before", "during", "after"
	Took     float64       `json:"took"` // seconds of offered load
	Load     LoadStats     `json:"load"`
	Routes   []RouteStats  `json:"routes"` // by route name
	Calls    []CallStats   `json:"calls"`  // by edge and operation
	Units    []UnitStats   `json:"units"`
	Database DatabaseStats `json:"database"`
	Machine  MachineStats  `json:"machine"`
	Logs     []LogStats    `json:"logs"`
}

// Route returns the named route's numbers, nil if it was not called.
func (p *Phase) Route(name string) *RouteStats {
	for i := range p.Routes {
		if p.Routes[i].Route == name {
			return &p.Routes[i]
		}
	}
	return nil
}

// LoadStats is how well the load was offered. Offered = Sent + Dropped.
type LoadStats struct {
	Planned   float64 `json:"planned"` // requests/s the schedule asks for; 0 when think time or answers decide
	Offered   uint64  `json:"offered"`
	Sent      uint64  `json:"sent"`
	Done      uint64  `json:"done"`
	Failed    uint64  `json:"failed"`
	Abandoned uint64  `json:"abandoned"` // still open when the phase ended
	Late      uint64  `json:"late"`      // sent more than 1 ms after due, by our own fault
	Dropped   uint64  `json:"dropped"`   // due and never sent
	// Drops says why: "open files", "local ports", …; it adds up to Dropped.
	Drops   map[string]uint64 `json:"drops,omitempty"`
	LagP99  float64           `json:"lag_p99"` // seconds; sent − due, waiting for a connection subtracted
	OwnCPU  float64           `json:"own_cpu"` // cores used by premortem itself
	Stopped bool              `json:"stopped"` // ended early: the objective was already lost
}

// RouteStats is what users of one route got. Times are seconds from the moment a
// request was due; a timeout counts with the time-out's length.
type RouteStats struct {
	Route    string            `json:"route"`
	Count    uint64            `json:"count"`
	Errors   uint64            `json:"errors"`
	Kinds    map[string]uint64 `json:"kinds,omitempty"` // "500", "timeout", "reset", "expect 200 got 302"
	P50      float64           `json:"p50"`
	P95      float64           `json:"p95"`
	P99      float64           `json:"p99"`
	Max      float64           `json:"max"`
	Response Histogram         `json:"response"` // done − due
	Service  Histogram         `json:"service"`  // done − sent
}

// CallStats is what one side asked of another through an edge.
type CallStats struct {
	From   Node              `json:"from"`
	To     Node              `json:"to"`
	Proto  string            `json:"proto"` // "postgres", "http", "redis"
	Op     string            `json:"op"`    // SQL fingerprint text, "POST /v1/charges", "GET"
	Count  uint64            `json:"count"`
	Errors uint64            `json:"errors"`
	Kinds  map[string]uint64 `json:"kinds,omitempty"` // SQLSTATE or status
	Rows   uint64            `json:"rows"`
	Bytes  uint64            `json:"bytes"` // answered
	Time   Histogram         `json:"time"`  // request's last byte to answer's last byte
}

// Seconds is the total time spent in the call.
func (c *CallStats) Seconds() float64 { return c.Time.Sum().Seconds() }

// UnitStats is one process of a service or store over a phase.
type UnitStats struct {
	Node      Node    `json:"node"`
	Replica   int     `json:"replica"`
	CPU       float64 `json:"cpu"`       // cores used, mean
	CPULimit  float64 `json:"cpu_limit"` // cores it may use; 0 unlimited
	Memory    int64   `json:"memory"`    // bytes resident, maximum
	LagP99    float64 `json:"lag_p99"`   // event-loop delay in seconds, -1 not watched
	Conns     int     `json:"conns"`     // open connections to the database, maximum
	Threads   int     `json:"threads"`
	Restarted int     `json:"restarted"`
	Files     int     `json:"files"` // open descriptors, maximum
}

// DatabaseStats is PostgreSQL's own view over a phase.
type DatabaseStats struct {
	Watched    bool             `json:"watched"` // false: nothing below was seen
	Samples    int              `json:"samples"` // of pg_stat_activity
	ActiveMean float64          `json:"active_mean"`
	ActiveMax  int              `json:"active_max"`
	ConnsMax   int              `json:"conns_max"`
	IdleInTx   int              `json:"idle_in_tx"`      // maximum at once
	LockWaits  int              `json:"lock_waits"`      // maximum at once
	Waits      map[string]int   `json:"waits,omitempty"` // "Lock/tuple" → samples
	Statements []StatementStats `json:"statements"`      // heaviest first
	Deadlocks  int64            `json:"deadlocks"`
	TempBytes  int64            `json:"temp_bytes"`
}

// StatementStats is one row of pg_stat_statements over a phase.
type StatementStats struct {
	Query string  `json:"query"` // normalised by PostgreSQL
	Calls int64   `json:"calls"`
	Total float64 `json:"total"` // seconds of execution
	Rows  int64   `json:"rows"`
	Hit   int64   `json:"hit"`  // shared blocks
	Read  int64   `json:"read"` // blocks from outside shared buffers
	Temp  int64   `json:"temp"` // temporary blocks written
}

// MachineStats is the machine that everything shares.
type MachineStats struct {
	Watched bool    `json:"watched"`
	CPU     float64 `json:"cpu"`    // cores busy, mean
	Steal   float64 `json:"steal"`  // share
	Memory  int64   `json:"memory"` // bytes available, minimum
}

// LogStats counts the log lines of one unit by template.
type LogStats struct {
	Node     Node   `json:"node"`
	Template string `json:"template"` // variable parts replaced by <*>
	Level    string `json:"level"`
	Count    uint64 `json:"count"`
	Example  string `json:"example"` // masked
}

// Trace is one request made while nothing else ran, with what it caused.
type Trace struct {
	Route  string      `json:"route"`
	Took   float64     `json:"took"` // seconds
	Status int         `json:"status"`
	Bytes  int         `json:"bytes"`
	Calls  []TraceCall `json:"calls"` // in order of first appearance
}

// TraceCall is one operation that a traced request caused, with its repetitions.
type TraceCall struct {
	To      Node    `json:"to"`
	Proto   string  `json:"proto"`
	Op      string  `json:"op"`
	Count   int     `json:"count"`
	Seconds float64 `json:"seconds"` // total
	Rows    int     `json:"rows"`
	// Sites are the lines that make the call, from the System; empty when none matched.
	Sites []Evidence `json:"sites,omitempty"`
}

// Plan is how PostgreSQL executes one statement in the clone.
type Plan struct {
	Op        string     `json:"op"` // fingerprint text, as in CallStats
	Scans     []Scan     `json:"scans"`
	Total     float64    `json:"total"`   // planner's cost
	Seconds   float64    `json:"seconds"` // of one execution, -1 when only planned
	Text      string     `json:"text"`    // EXPLAIN text, no values
	Advice    *Advice    `json:"advice,omitempty"`
	Sites     []Evidence `json:"sites,omitempty"`     // lines in the code
	Elsewhere []Evidence `json:"elsewhere,omitempty"` // lines of the schema
}

// Scan is one table access of a plan.
type Scan struct {
	Node      string  `json:"node"` // "Seq Scan", "Index Scan", …
	Table     string  `json:"table"`
	Filter    string  `json:"filter,omitempty"` // without values
	Rows      float64 `json:"rows"`             // returned, per loop
	Removed   float64 `json:"removed"`          // read and thrown away, per loop
	Loops     float64 `json:"loops"`
	TableRows float64 `json:"table_rows"`
}

// Advice is an index that the planner would use instead.
type Advice struct {
	SQL        string  `json:"sql"` // CREATE INDEX …, without CONCURRENTLY
	CostBefore float64 `json:"cost_before"`
	CostAfter  float64 `json:"cost_after"`
}

// TableSize is how large a table of the clone was.
type TableSize struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"` // with indexes
}

// Pool is a connection pool as the code declares it.
type Pool struct {
	From     Node     `json:"from"`
	To       Node     `json:"to"`
	Max      int      `json:"max"`      // per process
	Replicas int      `json:"replicas"` // in the clone
	Env      string   `json:"env"`      // variable that sets it, "" none
	Site     Evidence `json:"site"`
}

// Verdict is the answer to an experiment.
type Verdict struct {
	Experiment Experiment `json:"experiment"`
	Answer     Answer     `json:"answer"`
	Says       string     `json:"says"`
	First      string     `json:"first"`    // the route that broke first, "" none
	Findings   []string   `json:"findings"` // keys
	Doubts     []string   `json:"doubts"`
	// Broken lists the objectives that did not hold.
	Broken []Broken `json:"broken"`
}

// Broken is one objective that did not hold.
type Broken struct {
	Route  string  `json:"route"`
	What   string  `json:"what"` // "p95", "p99", "errors"
	Limit  float64 `json:"limit"`
	Before float64 `json:"before"`
	Was    float64 `json:"was"`
	Pos    Pos     `json:"pos"`
}

// Headroom is the boundary of one X.
type Headroom struct {
	X        string  `json:"x"`
	Unit     string  `json:"unit"`
	Base     float64 `json:"base"`
	Holds    float64 `json:"holds"`    // largest multiple that held; 0 none
	Breaks   float64 `json:"breaks"`   // smallest multiple that failed; 0 none
	Estimate float64 `json:"estimate"` // of the boundary; 0 none
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	Answer   Answer  `json:"answer"`
	First    string  `json:"first"`   // "service/api POST /login"
	Finding  string  `json:"finding"` // key of the cause, "" unknown
	Says     string  `json:"says"`
	// Points are the steps behind it, in order of the multiple.
	Points []Point `json:"points"`
}

// Point is one step of a search: what each route showed at one multiple.
type Point struct {
	Multiple float64      `json:"multiple"`
	Answer   Answer       `json:"answer"`
	Trial    string       `json:"trial"`
	Fixed    bool         `json:"fixed"` // the proven fix was in place
	Routes   []PointRoute `json:"routes"`
}

// PointRoute is one route at one step.
type PointRoute struct {
	Route  string  `json:"route"`
	Rate   float64 `json:"rate"` // requests/s done
	P50    float64 `json:"p50"`
	P95    float64 `json:"p95"`
	Errors float64 `json:"errors"` // share
	Limit  float64 `json:"limit"`  // its p95 objective in seconds, 0 none
}
