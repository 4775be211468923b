package premortem

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Severity is what users feel.
type Severity int

const (
	Note Severity = iota // worth knowing
	Slow                 // users wait
	Down                 // users cannot
	Loss                 // data lost, doubled or exposed
)

var severities = []string{"note", "slow", "down", "loss"}

func (s Severity) String() string { return severities[s] }

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a severity's name.
func (s *Severity) UnmarshalText(b []byte) error {
	i := slices.Index(severities, string(b))
	if i < 0 {
		return fmt.Errorf("unknown severity %q; one of: %s", b, strings.Join(severities, ", "))
	}
	*s = Severity(i)
	return nil
}

// Standing is how sure we are.
type Standing int

const (
	Suspected Standing = iota // the files say so
	Shown                     // it happened in the clone
	Cleared                   // it was tried and did not happen
)

var standings = []string{"suspected", "shown", "cleared"}

func (s Standing) String() string { return standings[s] }

// MarshalText writes the standing's name.
func (s Standing) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a standing's name.
func (s *Standing) UnmarshalText(b []byte) error {
	i := slices.Index(standings, string(b))
	if i < 0 {
		return fmt.Errorf("unknown standing %q; one of: %s", b, strings.Join(standings, ", "))
	}
	*s = Standing(i)
	return nil
}

// Finding is something that will break, with its evidence. Rules and signs make
// the same Finding; a rehearsal moves a suspicion to Shown or Cleared.
type Finding struct {
	Rule     string     `json:"rule"`
	Severity Severity   `json:"severity"`
	Standing Standing   `json:"standing"`
	Node     Node       `json:"node"`
	Subject  string     `json:"subject"` // what tells it from others of its rule and node; no line numbers
	Says     string     `json:"says"`    // one sentence with the numbers in it
	Evidence []Evidence `json:"evidence"`
	Fix      Fix        `json:"fix"`
	Because  string     `json:"because"` // Key of the finding that explains this one, "" none
	// Suppressed is the reason why it does not count, "" when it does.
	Suppressed string `json:"suppressed,omitempty"`
	// Certain is false for rules that have not earned the right to fail a build.
	Certain bool `json:"certain"`
}

// Key identifies the finding across runs and edits: it has no line number.
func (f *Finding) Key() string {
	return strings.TrimRight(f.Rule+" "+string(f.Node)+" "+f.Subject, " ")
}

// Pos is where the finding is shown first: its first evidence with a line.
func (f *Finding) Pos() Pos {
	for _, e := range f.Evidence {
		if e.Pos.Known() {
			return e.Pos
		}
	}
	return Pos{}
}

// MarshalJSON adds the key.
func (f Finding) MarshalJSON() ([]byte, error) {
	type plain Finding
	if f.Evidence == nil {
		f.Evidence = []Evidence{}
	}
	return json.Marshal(struct {
		Key string `json:"key"`
		plain
	}{f.Key(), plain(f)})
}

// Evidence is a line that was written or a number that was measured.
type Evidence struct {
	Says    string   `json:"says"`
	Pos     Pos      `json:"pos,omitzero"`
	Quote   string   `json:"quote,omitempty"` // the source line, secrets masked
	Measure *Measure `json:"measure,omitempty"`
}

// Measure is a number from a saved sample of a trial.
type Measure struct {
	Signal string  `json:"signal"`
	Node   Node    `json:"node,omitempty"`
	Trial  string  `json:"trial,omitempty"` // name of the trial that holds the sample
	Before float64 `json:"before"`
	During float64 `json:"during"`
	Unit   string  `json:"unit"` // "s", "share", "rows", "bytes", "cores", "calls", "cost", …; "1" a bare number
}

// Fix is what to do about a finding.
type Fix struct {
	Says  string `json:"says"`  // imperative
	Edits []Edit `json:"edits"` // applying them makes the finding disappear
	Safe  bool   `json:"safe"`  // may be applied without a person
	Try   *Try   `json:"try,omitempty"`
	Proof *Proof `json:"proof,omitempty"`
}

// MarshalJSON writes an empty list for no edits.
func (f Fix) MarshalJSON() ([]byte, error) {
	type plain Fix
	if f.Edits == nil {
		f.Edits = []Edit{}
	}
	return json.Marshal(plain(f))
}

// Edit replaces Old by New at Pos.Line. Old "" inserts New as lines of its own
// before that line; a line one past the end appends; a file that is not there is
// created.
type Edit struct {
	Pos Pos    `json:"pos"`
	Old string `json:"old"`
	New string `json:"new"`
}

// Try is what the clone can do to prove a fix. Exactly one part is set.
type Try struct {
	SQL string            `json:"sql,omitempty"`
	Env map[string]string `json:"env,omitempty"` // of Node's processes
	// Setting of the database server, "name=value".
	Setting string `json:"setting,omitempty"`
	Node    Node   `json:"node,omitempty"`
}

// Proof is what the same step with the same seed measured before and after a fix.
type Proof struct {
	Signal       string  `json:"signal"`
	Unit         string  `json:"unit"`
	Before       float64 `json:"before"`
	After        float64 `json:"after"`
	X            string  `json:"x"`             // "calls", "users", "rows"
	BreaksBefore float64 `json:"breaks_before"` // multiple, 0 not found
	BreaksAfter  float64 `json:"breaks_after"`  // multiple, 0 not up to HoldsAfter
	HoldsAfter   float64 `json:"holds_after"`
	Next         string  `json:"next"` // the limit behind it, one sentence; "" none was found
	NextFinding  string  `json:"next_finding,omitempty"`
	Worked       bool    `json:"worked"`
	// Cost is what an index costs those who write, nil when that was not measured.
	Cost *WriteCost `json:"cost,omitempty"`
	Says string     `json:"says"`
}

// WriteCost is what one more index costs: the same writes of the same rows in the
// clone, without it and with it. Zero is not measured.
type WriteCost struct {
	Bytes        int64   `json:"bytes"`         // of the index
	Rows         int     `json:"rows"`          // that were written each time
	InsertBefore float64 `json:"insert_before"` // seconds for all rows
	InsertAfter  float64 `json:"insert_after"`
	UpdateBefore float64 `json:"update_before"` // of the indexed columns
	UpdateAfter  float64 `json:"update_after"`
	WALBefore    int64   `json:"wal_before"` // bytes of both
	WALAfter     int64   `json:"wal_after"`
}

// SortFindings puts findings in the order in which a person should read them:
// worst first, shown before suspected, then by rule, node and subject.
func SortFindings(fs []Finding) {
	rank := func(s Standing) int { return [...]int{Suspected: 1, Shown: 0, Cleared: 2}[s] }
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(rank(a.Standing)/2, rank(b.Standing)/2),
			-cmp.Compare(a.Severity, b.Severity),
			cmp.Compare(rank(a.Standing), rank(b.Standing)),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Subject, b.Subject))
	})
}
