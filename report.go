package premortem

import "time"

// Report is everything that a command found, in the form that package report
// writes. Started is zero and TookSeconds is 0 for commands that run nothing, so
// that equal inputs give equal bytes.
type Report struct {
	Schema      string     `json:"schema"`
	Version     string     `json:"version"`
	Command     string     `json:"command"` // "check" or "rehearse"
	Seed        int64      `json:"seed"`
	Started     time.Time  `json:"started,omitzero"`
	TookSeconds float64    `json:"took_seconds"`
	System      *System    `json:"system"`
	Unread      []Unread   `json:"unread"`
	Findings    []Finding  `json:"findings"`
	Headroom    []Headroom `json:"headroom"`
	Verdicts    []Verdict  `json:"verdicts"`
	Parity      []Parity   `json:"parity"`
	// Migrations are the pending ones that were applied to the clone.
	Migrations []Rehearsed `json:"migrations,omitempty"`
	// Stages are what the command did, in order, with the time each took.
	Stages []Stage `json:"stages"`
	// Cost is what the instrument itself used; nil for commands that run nothing.
	Cost *Cost `json:"cost,omitempty"`
	// Unknowns are questions that were asked and not answered.
	Unknowns []string `json:"unknowns"`
	// Doubts are reasons why what was measured may not be what production does.
	Doubts []string `json:"doubts"`
	Dir    string   `json:"dir"` // as the user named it
}

// Stage is one line of progress that is kept.
type Stage struct {
	Name string  `json:"name"` // "clone", "rows", "normal"
	Says string  `json:"says"`
	Took float64 `json:"took"` // seconds
}

// Cost is what premortem used to find out.
type Cost struct {
	MemoryBytes   int64   `json:"memory_bytes"` // of premortem itself, peak resident
	EdgeLatency   float64 `json:"edge_latency"` // seconds added by an edge, median, measured in this run; -1 not measured
	DatabaseBytes int64   `json:"database_bytes"`
}

// Parity says how one attribute of the clone compares with production.
type Parity struct {
	Node       Node   `json:"node"`
	What       string `json:"what"`
	Production string `json:"production"`
	Clone      string `json:"clone"`
	Standing   string `json:"standing"` // "equal", "scaled", "not modelled"
	Pos        Pos    `json:"pos,omitzero"`
	Why        string `json:"why,omitempty"`
}

// Standing reports the worst severity among findings that count: neither cleared
// nor suppressed. ok is false when there is none.
func (r *Report) Standing() (worst Severity, ok bool) {
	for _, f := range r.Findings {
		if f.Standing == Cleared || f.Suppressed != "" || (!f.Certain && f.Standing != Shown) {
			continue
		}
		worst, ok = max(worst, f.Severity), true
	}
	return worst, ok
}

// ExitCode is 1 when a finding of at least failOn stands, else 3 when a question
// stayed unknown, else 0.
func (r *Report) ExitCode(failOn Severity) int {
	worst, ok := r.Standing()
	switch {
	case ok && worst >= failOn:
		return 1
	case len(r.Unknowns) > 0:
		return 3
	}
	return 0
}

// Finding returns the finding with that key, nil if there is none.
func (r *Report) Finding(key string) *Finding {
	for i := range r.Findings {
		if r.Findings[i].Key() == key {
			return &r.Findings[i]
		}
	}
	return nil
}
