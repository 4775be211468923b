package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

const (
	scanRows    = 10_000 // read per execution, below which a scan is cheap whatever it returns
	scanTable   = 1_000  // rows of a table that may be called large
	scanReturns = 0.05   // of what is read; above it an index would not be used either
	scanCall    = 0.010  // seconds per call under load, below which nobody waits for it
	scanCalls   = 10     // calls in the phase, below which it is rare
)

// TableScan is a statement that reads a table to return a few of its rows.
var TableScan = add(Sign{
	Name:     "table-scan",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "a statement reads a whole table to return a few rows",
		Why: "Its time grows with the table: what takes 50 ms on a laptop takes seconds in production. Each call also " +
			"holds a connection and a core, so at some load the pool and the database are full and every route waits.",
		When: "A statement's plan reads at least 10,000 rows of a table of more than 1,000 by a sequential scan and returns " +
			"less than 5 % of them, each call takes 10 ms or more under load, and the statement takes at least half " +
			"of a route's time or half of all time spent in the database.",
		Silent: "Small tables; scans that return most of what they read; a scan that is fast; a scan that is rare and belongs " +
			"to no route that broke; a statement that was planned but not called.",
		Fix: "Create the index that the planner chose in the clone, concurrently. Where the predicate wraps a column in a " +
			"function or a cast, index that expression or rewrite the predicate.",
	},
	Look:     lookTableScan,
	rank:     0,
	routes:   routesOfScan,
	makes:    routesThatScan,
	explains: scanExplains,
})

// scan is one plan that reads much for little.
type scan struct {
	plan    *premortem.Plan
	table   string
	rows    float64 // of the table
	read    float64 // per execution
	found   float64 // of what was read
	filter  string
	subject string
	to      premortem.Node
	load    *load
	uses    []use
	share   float64 // of the database's time under load
	alone   float64 // seconds of one call, 0 unknown
}

func lookTableScan(t *premortem.Trial, report func(premortem.Finding)) {
	ex := examine(t)
	for _, s := range scansOf(t) {
		if heavy(t, ex, s) {
			report(s.finding(t, ex))
		}
	}
}

// scansOf returns every plan in the trial that reads much for little and was
// executed under load, the heaviest of each subject.
func scansOf(t *premortem.Trial) []*scan {
	during := t.Phase("during")
	loads, uses := loadsOf(during), usesOf(t)
	best := map[string]*scan{}
	for i := range t.Plans {
		s := scanOf(t, &t.Plans[i])
		if s == nil {
			continue
		}
		if s.load = find(loads, "", s.plan.Op); s.load == nil || s.load.calls < scanCalls {
			continue
		}
		s.to = s.load.to
		s.share = ratio(s.load.seconds, secondsAt(loads, s.to))
		for _, u := range uses {
			if u.op == s.plan.Op && u.to == s.to {
				s.uses = append(s.uses, u)
				s.alone = max(s.alone, ratio(u.seconds, u.calls))
			}
		}
		if s.alone == 0 && s.plan.Seconds > 0 {
			s.alone = s.plan.Seconds
		}
		key := string(s.to) + " " + s.subject
		if b := best[key]; b == nil || cmp.Or(-cmp.Compare(s.load.seconds, b.load.seconds), cmp.Compare(s.plan.Op, b.plan.Op)) < 0 {
			best[key] = s
		}
	}
	out := make([]*scan, 0, len(best))
	for _, s := range best {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *scan) int {
		return cmp.Or(cmp.Compare(a.to, b.to), cmp.Compare(a.subject, b.subject))
	})
	return out
}

// scanOf returns the plan's scan that throws away the most, nil when none reads
// much for little.
func scanOf(t *premortem.Trial, p *premortem.Plan) *scan {
	var best *scan
	for i := range p.Scans {
		sc := &p.Scans[i]
		if !strings.Contains(sc.Node, "Seq Scan") {
			continue
		}
		loops := max(sc.Loops, 1)
		s := &scan{plan: p, table: bareTable(sc.Table), rows: cmp.Or(sizeOf(t, sc.Table), sc.TableRows), found: sc.Rows * loops, filter: sc.Filter}
		s.read = s.found + sc.Removed*loops
		if p.Seconds < 0 {
			s.read = max(s.rows, s.read) // only planned: nobody counted what it threw away
		}
		if s.table == "" || s.rows < scanTable || (!s.wasteful() && !s.lucky()) {
			continue
		}
		if best == nil || s.read > best.read || (s.read == best.read && s.table+s.filter < best.table+best.filter) {
			best = s
		}
	}
	if best != nil {
		best.subject = strings.TrimSpace(best.table + " " + best.expression())
	}
	return best
}

// wasteful reports whether the execution that was explained read much for little.
func (s *scan) wasteful() bool { return s.read >= scanRows && s.found <= scanReturns*s.read }

// lucky reports whether the execution that was explained met its one row early, as
// LIMIT lets it, though the planner would rather use an index: the next one will
// read the table.
func (s *scan) lucky() bool {
	a := s.plan.Advice
	if a == nil || !limited.MatchString(s.plan.Op) || s.filter == "" || s.found > 1 || s.rows < scanRows {
		return false
	}
	table, _, ok := indexed(a.SQL)
	return ok && table == s.table && a.CostAfter > 0 && a.CostBefore >= 10*a.CostAfter
}

// expression is what an index would hold: what the planner's advice says, else
// what the filter compares.
func (s *scan) expression() string {
	if a := s.plan.Advice; a != nil {
		if table, exprs, ok := indexed(a.SQL); ok && table == s.table {
			return strings.Join(exprs, ", ")
		}
	}
	return strings.Join(compared(s.filter), ", ")
}

// heavy reports whether somebody waits for the scan.
func heavy(t *premortem.Trial, ex *exam, s *scan) bool {
	if s.load.mean() < scanCall {
		return false
	}
	during := t.Phase("during")
	most, broke := false, false
	for i := range s.uses {
		u := &s.uses[i]
		if s.requestShare(u, during) >= 0.5 {
			most = true
			broke = broke || ex.broke(u.route)
		}
	}
	if len(s.uses) == 0 || s.share >= 0.5 {
		return s.share >= 0.5
	}
	return most && (broke || s.share >= 0.2)
}

// requestShare is the part of a route's time that the scan takes: alone, or under
// load where waiting behind other scans is part of the call.
func (s *scan) requestShare(u *use, during *premortem.Phase) float64 {
	return max(u.share(), loadedShare(u, s.load, during))
}

// worst is the use to speak of: of a broken route before others, then the one with
// the largest share. Nil when no trace holds the statement.
func (s *scan) worst(t *premortem.Trial, ex *exam) *use {
	during := t.Phase("during")
	var best *use
	rank := func(u *use) (int, float64) {
		if i := slices.IndexFunc(ex.broken, func(b premortem.Broken) bool { return b.Route == u.route }); i >= 0 {
			return i, s.requestShare(u, during)
		}
		return math.MaxInt, s.requestShare(u, during)
	}
	for i := range s.uses {
		u := &s.uses[i]
		if best == nil {
			best = u
			continue
		}
		ri, rs := rank(u)
		bi, bs := rank(best)
		if cmp.Or(cmp.Compare(ri, bi), -cmp.Compare(rs, bs)) < 0 {
			best = u
		}
	}
	return best
}

func (s *scan) finding(t *premortem.Trial, ex *exam) premortem.Finding {
	u := s.worst(t, ex)
	f := premortem.Finding{Node: s.to, Subject: s.subject, Severity: premortem.Slow}
	who := "a statement"
	if u != nil {
		who = u.route
	}
	behind := slices.DeleteFunc(s.behind(t), func(r string) bool { return !ex.broke(r) })
	if (u != nil && ex.broke(u.route)) || len(behind) > 0 {
		f.Severity = premortem.Down
	}
	f.Says = who + " reads " + s.amount() + " for " + s.yield()
	f.Evidence = s.evidence(t, ex, u, behind)
	f.Fix = s.fix()
	return f
}

// amount is "the whole users table (500,000 rows)". A LIMIT ends a scan where the
// row happens to stand, so how many rows one execution read is chance and would
// differ from run to run: that number is told as evidence.
func (s *scan) amount() string {
	rows := count(int64(s.rows))
	if s.read > 1.1*s.rows {
		return fmt.Sprintf("%s rows of %s, which has %s,", about(s.read), s.table, rows)
	}
	return fmt.Sprintf("the whole %s table (%s rows)", s.table, rows)
}

// yield is what the caller got, as counted on the wire: the plan may only guess.
func (s *scan) yield() string {
	got := s.found
	if s.load.rows > 0 && reads(s.plan.Op) {
		got = ratio(float64(s.load.rows), float64(s.load.calls))
	}
	if got < 1.5 {
		return "one of them"
	}
	return about(got) + " of them"
}

// fix is the index. It is tried in the clone only when the planner was seen to
// choose it there.
func (s *scan) fix() premortem.Fix {
	if a := s.plan.Advice; a != nil && a.SQL != "" {
		return premortem.Fix{Says: concurrently(a.SQL) + analyzed(a.SQL), Try: &premortem.Try{SQL: a.SQL, Node: s.to}}
	}
	says := "index what the statement compares, concurrently"
	if e := s.expression(); e != "" {
		says = fmt.Sprintf("give %s an index on (%s), concurrently", s.table, e)
	}
	return premortem.Fix{Says: says}
}

// concurrently makes an index statement that does not block writers.
func concurrently(sql string) string {
	sql = strings.TrimRight(strings.TrimSpace(sql), ";")
	low := asciiLower(sql)
	if i := strings.Index(low, "index"); i >= 0 && !strings.Contains(low, "concurrently") {
		return sql[:i+5] + " CONCURRENTLY" + sql[i+5:]
	}
	return sql
}

// analyzed is "; then ANALYZE users" behind an index on an expression: PostgreSQL
// keeps statistics of an expression only for an index, from the next ANALYZE on, and
// plans with a guess until then (PostgreSQL manual, CREATE INDEX, notes).
func analyzed(sql string) string {
	table, exprs, ok := indexed(sql)
	if !ok || !slices.ContainsFunc(exprs, func(e string) bool { return strings.Contains(e, "(") }) {
		return ""
	}
	return "; then ANALYZE " + table
}

// sizeOf is the number of rows that the trial says a table has, 0 unknown.
func sizeOf(t *premortem.Trial, table string) float64 {
	for _, s := range t.Tables {
		if bareTable(s.Table) == bareTable(table) {
			return float64(s.Rows)
		}
	}
	return 0
}

// routesOfScan are the routes that make the scan themselves, then those that wait
// behind it because it fills the database.
func routesOfScan(t *premortem.Trial, f premortem.Finding) []string {
	var out []string
	for _, s := range scansOf(t) {
		if s.to == f.Node && s.subject == f.Subject {
			out = append(s.direct(t), s.behind(t)...)
		}
	}
	return out
}

// routesThatScan are the routes that make the scan themselves.
func routesThatScan(t *premortem.Trial, f premortem.Finding) []string {
	var out []string
	for _, s := range scansOf(t) {
		if s.to == f.Node && s.subject == f.Subject {
			out = append(out, s.direct(t)...)
		}
	}
	return out
}

// direct are the routes of which the scan is a good part.
func (s *scan) direct(t *premortem.Trial) []string {
	var out []string
	for i := range s.uses {
		if u := &s.uses[i]; s.requestShare(u, t.Phase("during")) >= 0.2 && !slices.Contains(out, u.route) {
			out = append(out, u.route)
		}
	}
	return out
}

// behind are the other routes that call the same database, when the scan takes most
// of its time and has no room left: its cores, the machine's, or the pool's.
func (s *scan) behind(t *premortem.Trial) []string {
	if s.share < 0.5 || !s.fills(t) {
		return nil
	}
	direct := s.direct(t)
	var out []string
	for _, u := range usesOf(t) {
		if u.to == s.to && !slices.Contains(direct, u.route) && !slices.Contains(out, u.route) {
			out = append(out, u.route)
		}
	}
	return out
}

// fills reports whether something between the routes and the scan is used up.
func (s *scan) fills(t *premortem.Trial) bool {
	during := t.Phase("during")
	if busy, ok := machineBusy(t, during); ok && busy {
		return true
	}
	if len(unitsOf(during, s.to)) > 0 && databaseBusy(t, during, s.to) {
		return true
	}
	return slices.ContainsFunc(queuesOf(t), func(q queue) bool { return q.pool.To == s.to })
}

// scanExplains: a scan that takes most of the database's time fills the database,
// the machine under it and the pools in front of it, and whatever waits there fails.
func scanExplains(t *premortem.Trial, cause, effect premortem.Finding) bool {
	dominates := measured(&cause, signalDatabaseShare) >= 0.5
	switch effect.Rule {
	case "pool-exhausted":
		return dominates && effect.Subject == string(cause.Node)
	case "cpu-saturated":
		return dominates && effect.Node == cause.Node
	case "errors-under-load":
		return slices.Contains(routesOfScan(t, cause), effect.Subject)
	case "connections-exhausted":
		return dominates && effect.Node == cause.Node && cause.Severity >= premortem.Down
	case "predicate-hides-index", "estimate-off": // what the same scan shows besides
		table, _, _ := strings.Cut(cause.Subject, " ")
		return effect.Node == cause.Node && strings.Contains(" "+effect.Subject+" ", " "+table+" ")
	}
	return false
}
