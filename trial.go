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
	// Series are signals over the phase, a value for each second.
	Series []Series `json:"series,omitempty"`
	// Windows are the seconds since counting began, judged one by one.
	Windows []Window `json:"windows,omitempty"`
}

// Window is one second of requests, each counted in the second in which it was due.
// What was never sent, or never answered, is bad.
type Window struct {
	Good uint64 `json:"good"`
	Bad  uint64 `json:"bad"`
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
	Drops  map[string]uint64 `json:"drops,omitempty"`
	LagP99 float64           `json:"lag_p99"` // seconds; sent − due, waiting for a connection subtracted
	OwnCPU float64           `json:"own_cpu"` // cores used by premortem itself
	// Inside is how many requests were open on average; by Little's law the rate times
	// the mean time between sent and done. Little is the largest share by which the two
	// sides of that law differed in any second: more than rounding is an error of
	// premortem's own books.
	Inside  float64 `json:"inside,omitempty"`
	Little  float64 `json:"little,omitempty"`
	Stopped bool    `json:"stopped"` // ended early: the objective was already lost
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
	Response Histogram         `json:"response"`       // done − due
	Service  Histogram         `json:"service"`        // done − sent
	First    Histogram         `json:"first,omitzero"` // first byte − due
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
	Watched    bool    `json:"watched"` // false: nothing below was seen
	Samples    int     `json:"samples"` // of pg_stat_activity
	ActiveMean float64 `json:"active_mean"`
	ActiveMax  int     `json:"active_max"`
	ConnsMax   int     `json:"conns_max"`
	IdleInTx   int     `json:"idle_in_tx"` // maximum at once
	// IdleLongest is the longest time in seconds for which a session held a transaction
	// open without working in it; IdleBlocked are sessions that waited for such a one, at
	// most at once.
	IdleLongest float64 `json:"idle_longest,omitempty"`
	IdleBlocked int     `json:"idle_blocked,omitempty"`
	// HotRows are rows for which several sessions waited at once, the hottest first.
	HotRows    []HotRow         `json:"hot_rows,omitempty"`
	LockWaits  int              `json:"lock_waits"`      // maximum at once
	Waits      map[string]int   `json:"waits,omitempty"` // "Lock/tuple" → samples
	Statements []StatementStats `json:"statements"`      // heaviest first
	Deadlocks  int64            `json:"deadlocks"`
	TempBytes  int64            `json:"temp_bytes"`
}

// HotRow is one row that transactions queue for. Where it lies stands for which it is:
// its values are nobody's business.
type HotRow struct {
	Table   string `json:"table"`
	Place   string `json:"place"`   // "(12,3)": page and line
	Waiters int    `json:"waiters"` // at most at once
	Samples int    `json:"samples"` // in which somebody waited for it
	Query   string `json:"query"`   // of one that waited, without values
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
	Op      string  `json:"op"` // fingerprint text, as in CallStats
	Scans   []Scan  `json:"scans"`
	Total   float64 `json:"total"`   // planner's cost
	Seconds float64 `json:"seconds"` // of one execution, -1 when only planned
	Text    string  `json:"text"`    // EXPLAIN text, no values
	Advice  *Advice `json:"advice,omitempty"`
	// Skipped are rows that were made only to be passed over by OFFSET.
	Skipped float64 `json:"skipped,omitempty"`
	// Spilled are the sorts and hashes that did not fit into memory.
	Spilled []Spill `json:"spilled,omitempty"`
	// Triggers are what a write caused: the checks of foreign keys among them.
	Triggers []TriggerRun `json:"triggers,omitempty"`
	// Generic is the plan that a prepared statement would keep, where it was compared
	// with the one for the values that came.
	Generic   *GenericPlan `json:"generic,omitempty"`
	Sites     []Evidence   `json:"sites,omitempty"`     // lines in the code
	Elsewhere []Evidence   `json:"elsewhere,omitempty"` // lines of the schema
}

// Spill is a node of a plan that wrote to disk because its memory was full.
type Spill struct {
	Node  string `json:"node"`  // "Sort", "Hash", "Aggregate"
	Bytes int64  `json:"bytes"` // on disk
	Key   string `json:"key,omitempty"`
}

// TriggerRun is the work of one trigger during an executed statement.
type TriggerRun struct {
	Constraint string  `json:"constraint"` // name of the foreign key, "" another trigger
	Child      string  `json:"child"`      // table that a foreign key's check reads, "" unknown
	ChildRows  float64 `json:"child_rows"`
	Indexed    bool    `json:"indexed"` // an index begins with the foreign key's columns
	Columns    string  `json:"columns"` // of the foreign key: "user_id"
	Calls      float64 `json:"calls"`
	Seconds    float64 `json:"seconds"`
}

// GenericPlan compares the plan for any values with the one for the values that came.
type GenericPlan struct {
	Custom  float64 `json:"custom"`  // cost of the plan for these values
	Generic float64 `json:"generic"` // cost of the plan for any, as the planner sees it
	Rows    float64 `json:"rows"`    // that the custom plan expects from its largest scan
	Any     float64 `json:"any"`     // that the generic one expects from the same table
	Table   string  `json:"table"`
	Differs bool    `json:"differs"` // the two are not the same plan
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
	Estimate  float64 `json:"estimate,omitempty"` // rows that the planner expected, per loop; 0 unknown
	// PassedBy are columns of the filter that lead an index which this scan does not use:
	// "email, created".
	PassedBy string `json:"passed_by,omitempty"`
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
