package premortem

// Rehearsed is what pending migrations did to the populated clone while normal load
// ran: once as they are written, and once in a safer form on a fresh copy.
type Rehearsed struct {
	Files []string     `json:"files"` // in order of application
	Plain MigrationRun `json:"plain"`
	// Safe is nil when no statement has a safer form; Why says then why.
	Safe *MigrationRun `json:"safe,omitempty"`
	Why  []string      `json:"why"` // statements that stay as they are, and the reason
}

// MigrationRun is one application of a migration. Times are seconds.
type MigrationRun struct {
	Steps []MigrationStep `json:"steps"`
	Took  float64         `json:"took"`
	// Blocked are statements of other sessions that waited for the migration, directly
	// or behind somebody who did: how many, how many at once, the longest, and the sum.
	// A wait shorter than Gap may be missed.
	Blocked        int     `json:"blocked"`
	BlockedAtOnce  int     `json:"blocked_at_once"`
	BlockedLongest float64 `json:"blocked_longest"`
	BlockedSeconds float64 `json:"blocked_seconds"`
	Samples        int     `json:"samples"` // of the locks
	Gap            float64 `json:"gap"`     // longest time between two of them
	// WAL is what the server logged meanwhile, in bytes; that of the load is in it.
	WAL int64 `json:"wal"`
	// Felt is what users noticed; nil when no load ran.
	Felt *Felt `json:"felt,omitempty"`
	// Error is why it stopped before its end, "" when it did not.
	Error string `json:"error,omitempty"`
}

// Held is the longest time for which a lock was held that keeps others from reading
// or writing, and the table and mode of it; zero when there was none.
func (r *MigrationRun) Held() LockHold {
	var out LockHold
	for _, s := range r.Steps {
		for _, l := range s.Locks {
			if l.Blocks() != "" && l.Held > out.Held {
				out = l
			}
		}
	}
	return out
}

// MigrationStep is one statement as it was applied.
type MigrationStep struct {
	SQL     string     `json:"sql"`
	Pos     Pos        `json:"pos,omitzero"`
	Took    float64    `json:"took"`
	Waited  float64    `json:"waited"` // of Took: until its locks were granted
	Locks   []LockHold `json:"locks"`
	Rewrote []string   `json:"rewrote"` // tables that were written anew
	Rows    int64      `json:"rows"`    // read or written by it; -1 unknown
	WAL     int64      `json:"wal"`     // bytes, with the load's
	// Blocked counts the statements of others that began to wait for it; BlockedLongest
	// is the longest of these waits, which may last beyond the step.
	Blocked        int     `json:"blocked"`
	BlockedLongest float64 `json:"blocked_longest"`
	Attempts       int     `json:"attempts"` // with a lock timeout; 1 when it was granted at once
	Batches        int     `json:"batches,omitempty"`
}

// At is how long the step works, its wait for locks left out, with factor × the rows:
// in proportion to the rows that it read or wrote, unchanged where it touched only the
// catalog.
func (s *MigrationStep) At(factor float64) float64 {
	work := max(s.Took-s.Waited, 0)
	if s.Rows == 0 && len(s.Rewrote) == 0 {
		return work
	}
	return work * factor
}

// LockHold is a lock on one table, from the grant to the end of its transaction.
type LockHold struct {
	Table string  `json:"table"`
	Mode  string  `json:"mode"` // "ACCESS EXCLUSIVE", "SHARE", …; "ROW" for the rows that were written
	Held  float64 `json:"held"` // seconds
}

// Blocks says whom the lock keeps out: "reads and writes", "writes", or "" nobody
// (PostgreSQL, Table-Level Lock Modes).
func (l LockHold) Blocks() string {
	switch l.Mode {
	case "ACCESS EXCLUSIVE":
		return "reads and writes"
	case "EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE", "ROW":
		return "writes"
	}
	return ""
}

// Felt is the load's side of a migration. Times are seconds.
type Felt struct {
	Requests       uint64  `json:"requests"`
	Failed         uint64  `json:"failed"`        // while the migration ran and in the second after
	FailedBefore   uint64  `json:"failed_before"` // in the baseline
	P95Before      float64 `json:"p95_before"`    // of the worst route
	P95            float64 `json:"p95"`           // of the worst route in the worst second of the migration
	Longest        float64 `json:"longest"`       // answer of the whole run
	InFlightBefore int     `json:"in_flight_before"`
	InFlight       int     `json:"in_flight"` // most at once during the migration: the queue
}
