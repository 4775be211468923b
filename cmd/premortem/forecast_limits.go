package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/check"
	"github.com/premortem/premortem/postgres"
)

const (
	ruleKeys      = "keys-run-out"
	ruleSequences = "sequence-runs-out"
	ruleWraps     = "transaction-ids-run-out"
	ruleDisk      = "disk-runs-out"
	ruleSlots     = "connections-run-out"
)

// connections asks the rule that knows pools and servers.
func (f *prophet) connections() error {
	rules, err := check.Only([]string{"pool-exceeds-database"})
	if err != nil {
		return err
	}
	f.r.Findings = append(f.r.Findings, check.Suppress(f.sys, check.Run(f.sys, rules), time.Now(), rules...)...)
	for _, u := range check.Unknowns(f.sys, rules) {
		if strings.HasPrefix(u, "pool-exceeds-database") {
			f.unknown("%s", u)
		} else { // plans do not depend on it
			f.doubt("connections were not added up: %s", u)
		}
	}
	return nil
}

// limits are what no plan shows: numbers that end.
func (f *prophet) limits(b *base, s *postgres.Outlooks) {
	p := b.profile
	grows := map[string]float64{} // rows at 1× of tables that grow
	for _, t := range s.Tables {
		if t.Grows {
			grows[t.Table] = t.Rows
		}
	}
	f.keys(p, grows)
	f.sequences(p)
	f.wraps(p)
	f.cycle(p)
	f.disk(s)
	f.slots()
}

// ends are the last values of the whole-number types.
var ends = map[string]float64{"smallint": math.MaxInt16, "integer": math.MaxInt32}

// keys finds primary keys, and columns that hold keys of others, that are too narrow.
func (f *prophet) keys(p *postgres.Profile, grows map[string]float64) {
	for _, a := range p.Attributes {
		last, table := ends[a.Type], a.Schema+"."+a.Table
		if last == 0 {
			continue
		}
		used, why := 0.0, ""
		switch parent, ok := parentOf(p, &a); {
		case isKey(p, &a):
			used, why = grows[table], "the key numbers the rows"
			if n := lastOf(p, a.Sequence); n > used {
				used, why = n, "its sequence has come that far"
			}
		case ok:
			used, why = grows[parent], "it holds keys of "+strings.TrimPrefix(parent, "public.")
		}
		if used == 0 {
			continue
		}
		at := last / used
		name := strings.TrimPrefix(table, "public.") + "." + a.Name
		f.limit(at, premortem.Finding{
			Rule: ruleKeys, Severity: premortem.Down, Node: f.node(), Subject: name, Certain: true,
			Says:     fmt.Sprintf("%s is %s and ends at %s: %s× what it holds today", name, a.Type, grouped(int64(last)), figure(at)),
			Evidence: []premortem.Evidence{f.used(why, used, last), {Says: "declared here", Pos: f.columnPos(strings.TrimPrefix(table, "public."), a.Name)}},
			Fix:      premortem.Fix{Says: "move " + name + " to bigint while the table is small: add a column, write both, swap"},
		})
	}
}

// used is how much of a limit is used, as evidence.
func (f *prophet) used(says string, used, last float64) premortem.Evidence {
	return premortem.Evidence{Says: says, Measure: &premortem.Measure{Signal: "used", Node: f.node(), Before: used, During: last, Unit: "numbers"}}
}

// columnPos is where the migrations declare a column.
func (f *prophet) columnPos(table, column string) premortem.Pos {
	if t := f.sys.Table(table); t != nil {
		if c := t.Column(column); c != nil {
			return c.Pos
		}
		return t.Pos
	}
	return premortem.Pos{}
}

// limit reports a finding when its multiple is within the horizon.
func (f *prophet) limit(at float64, finding premortem.Finding) {
	if at > f.far() {
		return
	}
	finding.Says += f.h.when(at, f.largest, f.began)
	for i := 0; i < len(finding.Evidence); i++ {
		if e := finding.Evidence[i]; e.Measure == nil && !e.Pos.Known() {
			finding.Evidence = append(finding.Evidence[:i], finding.Evidence[i+1:]...)
			i--
		}
	}
	f.r.Findings = append(f.r.Findings, finding)
	f.ends = append(f.ends, ending{at, finding.Key(), finding.Says})
}

// far is the multiple to which the forecast looks.
func (f *prophet) far() float64 {
	if f.h.rows > 0 && f.largest > 0 {
		return f.h.rows / f.largest
	}
	return f.h.times
}

// isKey reports whether a column alone is the primary key, or is numbered.
func isKey(p *postgres.Profile, a *postgres.AttributeStats) bool {
	if a.Sequence != "" {
		return true
	}
	for _, r := range p.Relations {
		if r.Primary && r.TableSchema == a.Schema && r.Table == a.Table && r.KeyColumns == 1 && len(r.Keys) > 0 && r.Keys[0] == a.Number {
			return true
		}
	}
	return false
}

// parentOf is the table to which a column points.
func parentOf(p *postgres.Profile, a *postgres.AttributeStats) (string, bool) {
	for _, k := range p.Foreign {
		if k.Schema == a.Schema && k.Table == a.Table && len(k.Columns) == 1 && k.Columns[0] == a.Name {
			return k.RefSchema + "." + k.RefTable, true
		}
	}
	return "", false
}

func lastOf(p *postgres.Profile, sequence string) float64 {
	for _, s := range p.Sequences {
		if s.Name == strings.ReplaceAll(sequence, `"`, "") {
			return float64(s.Last)
		}
	}
	return 0
}

// sequences finds those that end before the key's type does.
func (f *prophet) sequences(p *postgres.Profile) {
	for _, s := range p.Sequences {
		if s.Last <= 0 || s.Cycles || s.Increment <= 0 || s.Max <= 0 {
			continue
		}
		at := float64(s.Max) / float64(s.Last)
		if f.o.profile == "" || s.Max == math.MaxInt64 {
			continue // a generated database's sequences are those of a part of the rows
		}
		f.limit(at, premortem.Finding{
			Rule: ruleSequences, Severity: premortem.Down, Node: f.node(), Subject: s.Name, Certain: true,
			Says:     fmt.Sprintf("sequence %s has given %s of %s numbers: %s× as many end it", s.Name, grouped(s.Last), grouped(s.Max), figure(at)),
			Evidence: []premortem.Evidence{f.used("numbers given out", float64(s.Last), float64(s.Max))},
			Fix:      premortem.Fix{Says: "move the column and its sequence to bigint"},
		})
	}
}

// wraps looks at the age of the oldest transaction. The server stops accepting writes
// three million before 2^31 (varsup.c); autovacuum should have frozen long before.
func (f *prophet) wraps(p *postgres.Profile) {
	if f.o.profile == "" || p.TransactionAge == 0 {
		return
	}
	last, freeze := float64(lastTransaction), freezeAge(p)
	age := float64(p.TransactionAge)
	if age <= freeze*1.5 {
		return
	}
	severity := premortem.Note
	if age > last*0.7 {
		severity = premortem.Down
	}
	f.r.Findings = append(f.r.Findings, premortem.Finding{
		Rule: ruleWraps, Severity: severity, Node: f.node(), Certain: true,
		Says: fmt.Sprintf("the oldest transaction is %s old and autovacuum should have frozen it at %s: at %s the server refuses writes",
			grouped(p.TransactionAge), grouped(int64(freeze)), grouped(lastTransaction)) + f.writesEnd(last-age),
		Evidence: []premortem.Evidence{f.used("age(datfrozenxid)", age, last)},
		Fix:      premortem.Fix{Says: "find what keeps it from being frozen: a long transaction, a replication slot, a prepared transaction; then VACUUM (FREEZE)"},
	})
}

// lastTransaction is the age at which the server refuses writes.
const lastTransaction = 1<<31 - 3_000_000

// freezeAge is the age at which autovacuum freezes a table whatever else it does.
func freezeAge(p *postgres.Profile) float64 {
	if v, err := strconv.ParseFloat(p.Settings["autovacuum_freeze_max_age"], 64); err == nil {
		return v
	}
	return 200e6
}

// writesEnd says when so many more writing transactions have come.
func (f *prophet) writesEnd(left float64) string {
	if f.h.writes == 0 {
		return "; when that is is unknown without --writes"
	}
	days := max(left, 0) / f.h.writes / 86400
	return fmt.Sprintf("; at %s writing transactions a second on %s", figure(f.h.writes), f.began.AddDate(0, 0, int(min(days, 365e2))).Format("2 January 2006"))
}

// cycle tells how often all rows must be frozen at the rate of writes, which is soon
// when a vacuum of large tables takes as long.
func (f *prophet) cycle(p *postgres.Profile) {
	if f.h.writes == 0 {
		return
	}
	days := func(n float64) string { return figure(n / f.h.writes / 86400) }
	says := fmt.Sprintf("at %s writing transactions a second autovacuum must freeze every table each %s days; if something holds it up, writes end after %s days",
		figure(f.h.writes), days(freezeAge(p)), days(lastTransaction-float64(p.TransactionAge)))
	f.r.Stages = append(f.r.Stages, premortem.Stage{Name: "transaction ids", Says: says})
}

// slots finds how many times the replicas the database has connections for. More than
// it has today is told by the rule that knows pools.
func (f *prophet) slots() {
	for _, c := range check.ConnectionsOf(f.sys) {
		at := float64(c.Accepts) / float64(c.Asked)
		f.r.Stages = append(f.r.Stages, premortem.Stage{Name: "connections", Says: fmt.Sprintf("%s may be asked for %s of %s", c.Store, grouped(int64(c.Asked)), grouped(int64(c.Accepts)))})
		if at < 1 {
			continue
		}
		severity := premortem.Note
		if at < 2 {
			severity = premortem.Slow
		}
		f.limit(at, premortem.Finding{
			Rule: ruleSlots, Severity: severity, Node: c.Store, Subject: "connections", Certain: true,
			Says: fmt.Sprintf("%s accepts %s connections and its services may ask for %s: with %s× the replicas they ask for more, and if replicas follow the rows",
				c.Store, grouped(int64(c.Accepts)), grouped(int64(c.Asked)), figure(at)),
			Evidence: c.Evidence,
			Fix:      premortem.Fix{Says: "make each pool smaller as replicas are added, or put a pooler before the database"},
		})
	}
}

// disk adds up the tables.
func (f *prophet) disk(s *postgres.Outlooks) {
	still, moving := 0.0, 0.0
	for _, t := range s.Tables {
		if t.Grows {
			moving += t.Bytes
		} else {
			still += t.Bytes
		}
	}
	var sizes []string
	for _, k := range []float64{1, 2, 10, s.Multiples[len(s.Multiples)-1]} {
		if k == 1 || k <= f.far() && (k != 10 || f.far() > 10) {
			sizes = append(sizes, fmt.Sprintf("%s at %s×", ofBytes(still+moving*k), figure(k)))
		}
	}
	says := "tables and indexes, without bloat and log: " + strings.Join(sizes, ", ")
	f.r.Stages = append(f.r.Stages, premortem.Stage{Name: "disk", Says: says})
	if f.h.disk == 0 || moving == 0 {
		return
	}
	at := max((f.h.disk-still)/moving, 0)
	f.limit(at, premortem.Finding{
		Rule: ruleDisk, Severity: premortem.Down, Node: f.node(), Certain: true,
		Says: fmt.Sprintf("the disk of %s is full at %s× the rows, without bloat and log", ofBytes(f.h.disk), figure(at)),
		Evidence: []premortem.Evidence{{Says: "tables and indexes at 1×", Measure: &premortem.Measure{
			Signal: "database_bytes", Node: f.node(), Before: still + moving, During: f.h.disk, Unit: "bytes"}}},
		Fix: premortem.Fix{Says: "grow the disk in time, or move old rows away"},
	})
}

// ending is a limit within the horizon.
type ending struct {
	at   float64
	key  string
	says string
}

// headroom says how far the rows may grow before a number ends. Whether users notice
// earlier is not known: nothing was run.
func (f *prophet) headroom(s *postgres.Outlooks) {
	largest := postgres.Forecast{}
	for _, t := range s.Tables {
		if t.Grows && t.Rows > largest.Rows {
			largest = t
		}
	}
	if largest.Rows == 0 {
		return
	}
	h := premortem.Headroom{X: "rows", Unit: "rows of " + strings.TrimPrefix(largest.Table, "public."), Base: largest.Rows, Points: []premortem.Point{}}
	for _, e := range f.ends {
		if h.Breaks == 0 || e.at < h.Breaks {
			h.Answer, h.Holds, h.Breaks, h.Estimate, h.Low, h.High = premortem.Fails, min(1, e.at), e.at, e.at, e.at, e.at
			h.Finding, h.Says = e.key, e.says
		}
	}
	if h.Breaks == 0 {
		h.Says = fmt.Sprintf("no key, sequence or disk ends up to %s×; how fast it is then was planned and not measured: premortem rehearse --x rows", figure(f.far()))
	}
	f.r.Headroom = append(f.r.Headroom, h)
}
