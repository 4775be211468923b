package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

const (
	migrationRule  = "migration-locks-table"
	migrationBrief = 0.05 // seconds: a hold, or a wait, that nobody notices
	migrationSlow  = 0.2
	migrationDown  = 3.0
)

// Migrated lets what a migration did in the clone meet what the files suspect of it. A
// suspected statement becomes Shown with its lock and those who waited, Cleared when
// it was over before anybody could notice; a statement that nobody suspected and that
// kept users waiting is added. The safe form is the proof. The findings that were
// given are not changed.
func Migrated(static []premortem.Finding, node premortem.Node, m premortem.Rehearsed) []premortem.Finding {
	out := slices.Clone(static)
	for i := range m.Plain.Steps {
		s := &m.Plain.Steps[i]
		hold := longestLock(s.Locks)
		hurts := hold.Held >= migrationBrief || s.BlockedLongest >= migrationBrief
		known := false
		for k := range out {
			if f := &out[k]; f.Rule == migrationRule && f.Standing == premortem.Suspected && showsStep(f, s) {
				known = true
				*f = migrated(*f, node, m, s, hold, hurts)
			}
		}
		if !known && max(hold.Held, s.BlockedLongest) >= migrationSlow && s.Blocked > 0 {
			f := premortem.Finding{Rule: migrationRule, Node: node, Subject: strings.TrimSpace(fmt.Sprintf("%s %s %s", baseName(s.Pos.File), verbOf(s.SQL), hold.Table)),
				Evidence: []premortem.Evidence{{Says: "the statement", Pos: s.Pos, Quote: short(s.SQL)}}}
			out = append(out, migrated(f, node, m, s, hold, true))
		}
	}
	return out
}

// showsStep reports whether a finding speaks of a step: it shows its line.
func showsStep(f *premortem.Finding, s *premortem.MigrationStep) bool {
	return s.Pos.Known() && slices.ContainsFunc(f.Evidence, func(e premortem.Evidence) bool { return e.Pos == s.Pos })
}

// longestLock is the lock that kept others out for longest.
func longestLock(ls []premortem.LockHold) (out premortem.LockHold) {
	for _, l := range ls {
		if l.Blocks() != "" && l.Held > out.Held {
			out = l
		}
	}
	return out
}

// migrated is a finding with what was measured about its statement.
func migrated(f premortem.Finding, node premortem.Node, m premortem.Rehearsed, s *premortem.MigrationStep, hold premortem.LockHold, hurts bool) premortem.Finding {
	measure := func(signal, unit string, now float64) *premortem.Measure {
		return &premortem.Measure{Signal: signal, Node: node, Trial: "migration", During: now, Unit: unit}
	}
	f.Evidence = append(slices.Clone(f.Evidence), premortem.Evidence{
		Says:    fmt.Sprintf("rehearsed under normal load it held %s on %s for %s, and waited %s for it", orNone(hold.Mode), orNone(hold.Table), seconds(hold.Held), seconds(s.Waited)),
		Pos:     s.Pos,
		Measure: measure("lock_held_seconds", "s", hold.Held)})
	if !hurts {
		f.Standing = premortem.Cleared
		return f
	}
	f.Standing, f.Certain = premortem.Shown, true
	switch worst := max(hold.Held, s.BlockedLongest); {
	case worst >= migrationDown || m.Plain.Felt != nil && m.Plain.Felt.Failed > m.Plain.Felt.FailedBefore+10:
		f.Severity = premortem.Down
	case worst >= migrationSlow:
		f.Severity = premortem.Slow
	default:
		f.Severity = premortem.Note
	}
	f.Says = fmt.Sprintf("%s keeps out %s of %s for %s", verbOf(s.SQL), orNone(hold.Blocks()), orNone(hold.Table), seconds(hold.Held))
	if s.Blocked > 0 {
		f.Says += fmt.Sprintf("; %s waited for it, the longest %s", plural(s.Blocked, "statement", "statements"), seconds(s.BlockedLongest))
	} else {
		f.Says += "; nobody asked for it in that time"
	}
	if s.Blocked > 0 {
		f.Evidence = append(f.Evidence, premortem.Evidence{
			Says:    fmt.Sprintf("%s of other sessions waited for it, the longest %s; %d at once in the whole migration", plural(s.Blocked, "statement", "statements"), seconds(s.BlockedLongest), m.Plain.BlockedAtOnce),
			Measure: measure("blocked_seconds_longest", "s", s.BlockedLongest)})
	}
	if len(s.Rewrote) > 0 {
		f.Evidence = append(f.Evidence, premortem.Evidence{Says: fmt.Sprintf("it wrote %s anew: another file, %s rows", strings.Join(s.Rewrote, ", "), about(float64(max(s.Rows, 0)))),
			Measure: measure("rows_rewritten", "rows", float64(max(s.Rows, 0)))})
	}
	f.Evidence = append(f.Evidence,
		premortem.Evidence{Says: fmt.Sprintf("the server logged %s bytes meanwhile", about(float64(s.WAL))), Measure: measure("wal_bytes", "bytes", float64(s.WAL))},
		premortem.Evidence{Says: fmt.Sprintf("with 2× the rows it would work about %s, from %s now (in proportion to what it read and wrote)", seconds(s.At(2)), seconds(s.At(1))),
			Measure: measure("statement_seconds_at_2x", "s", s.At(2))})
	if e := feltEvidence(m.Plain.Felt, measure); e != nil {
		f.Evidence = append(f.Evidence, *e)
	}
	f.Fix.Proof = migrationProof(m, s, hold)
	return f
}

func feltEvidence(u *premortem.Felt, measure func(string, string, float64) *premortem.Measure) *premortem.Evidence {
	if u == nil {
		return nil
	}
	m := measure("requests_in_flight", "requests", float64(u.InFlight))
	m.Before = float64(u.InFlightBefore)
	return &premortem.Evidence{Measure: m, Says: fmt.Sprintf("up to %s open at once, %d before; p95 of the worst route %s, %s before; %s",
		plural(u.InFlight, "request was", "requests were"), u.InFlightBefore, seconds(u.P95), seconds(u.P95Before), plural(int(u.Failed), "request failed", "requests failed"))}
}

// migrationProof compares a statement with what stands for it in the safe form.
func migrationProof(m premortem.Rehearsed, s *premortem.MigrationStep, hold premortem.LockHold) *premortem.Proof {
	if m.Safe == nil {
		return nil
	}
	p := &premortem.Proof{Signal: "lock_held_seconds", Unit: "s", X: "migration", Before: hold.Held}
	steps, took, blocked := 0, 0.0, 0.0
	for i := range m.Safe.Steps {
		if o := &m.Safe.Steps[i]; o.Pos == s.Pos {
			steps++
			took += o.Took
			blocked = max(blocked, o.BlockedLongest)
			p.After = max(p.After, longestLock(o.Locks).Held)
		}
	}
	if m.Safe.Error != "" || steps == 0 {
		p.Says = "not proved: the safe form stopped: " + orNone(m.Safe.Error)
		return p
	}
	p.Worked = p.After < p.Before/2 && blocked < 2*migrationSlow
	p.Says = fmt.Sprintf("applied as %s instead it took %s, kept nobody out for longer than %s, and the longest wait of another session was %s instead of %s",
		plural(steps, "safe step", "safe steps"), seconds(took), seconds(p.After), seconds(blocked), seconds(s.BlockedLongest))
	return p
}

// MigrationSays is a rehearsed migration in one sentence.
func MigrationSays(m premortem.Rehearsed) string {
	held := m.Plain.Held()
	says := fmt.Sprintf("%s: %s", strings.Join(m.Files, ", "), seconds(m.Plain.Took))
	if held.Held > 0 {
		says += fmt.Sprintf(", %s on %s for %s", held.Mode, held.Table, seconds(held.Held))
	}
	says += fmt.Sprintf(", %s blocked, the longest %s", plural(m.Plain.Blocked, "statement", "statements"), seconds(m.Plain.BlockedLongest))
	if m.Plain.Error != "" {
		says += "; it stopped: " + m.Plain.Error
	}
	if m.Safe != nil {
		says += fmt.Sprintf("; in the safe form the longest %s", seconds(m.Safe.BlockedLongest))
	}
	return says
}

// verbOf is how a statement begins, for people: "ALTER TABLE".
func verbOf(sql string) string {
	words := strings.Fields(strings.ToUpper(sql))
	return strings.Join(words[:min(2, len(words))], " ")
}

func baseName(file string) string { return file[strings.LastIndexByte(file, '/')+1:] }

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
