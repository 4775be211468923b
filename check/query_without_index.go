package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// QueryWithoutIndex compares what queries look for with what the indexes hold.
var QueryWithoutIndex = add(Rule{
	ID:       "query-without-index",
	Severity: premortem.Slow,
	Doc: premortem.Doc{
		Title: "a query reads the whole table to find a few rows",
		Why: `Each call reads every row. It takes milliseconds on a laptop; with twice the rows it
takes twice the time, until the connection pool is full and every route waits.`,
		When: `A query of a service compares or sorts by a column or an expression that no index
starts with, after all migrations, on a table that is declared to have 10,000 rows or
more, or whose size is not declared and to which a service adds rows, which is a note. An
index on email does not serve lower(email), and one on (a, b) does not serve b alone.`,
		Silent: `One of the compared columns leads an index, also a partial one on what the query
compares or an expression index, or one that the framework makes for a foreign key; the
comparison picks most rows (!=, is null, a boolean, a text that stands in the query, a
column whose default is a constant); the table is declared to be small; the query belongs
to a test, a migration or a script; it joins its comparisons with OR, or other tables; the
table is not known.`,
		Fix: `Create the index CONCURRENTLY. The clone shows what the query costs without it.`,
	},
	Run: queryWithoutIndex,
	Ask: askRows,
})

var alternatives = regexp.MustCompile(`(?i)\bor\b`)

// wish is an index that would serve one or more queries.
type wish struct {
	table   *premortem.Table
	columns []string
	trigram bool // the comparison is a pattern that may begin with anything
	size    size
	queries []*premortem.Query
}

func queryWithoutIndex(sys *premortem.System, report func(premortem.Finding)) {
	for n, w := range wishes(sys, size.large) {
		report(w.finding(sys, n+1))
	}
}

// wishes lists the indexes that are missing on tables of the wanted size, each once.
func wishes(sys *premortem.System, wanted func(size) bool) []*wish {
	var out []*wish
	for _, q := range causes(sys) {
		t := sys.Table(q.Table)
		if t == nil || q.Table == "" || !served(q) || (q.Op != "select" && q.Op != "update" && q.Op != "delete") {
			continue
		}
		sz := sizeOf(sys, t.Name)
		columns, trigram := unserved(t, q)
		if len(columns) == 0 || !wanted(sz) {
			continue
		}
		i := slices.IndexFunc(out, func(w *wish) bool { return w.table == t && slices.Equal(w.columns, columns) })
		if i < 0 {
			i, out = len(out), append(out, &wish{table: t, columns: columns, trigram: trigram, size: sz})
		}
		out[i].queries = append(out[i].queries, q)
	}
	return out
}

// unserved returns what an index on the table would have to start with for the
// query, nothing when an index serves it already or none would help.
func unserved(t *premortem.Table, q *premortem.Query) (columns []string, trigram bool) {
	if alternatives.MatchString(q.SQL) {
		return nil, false // each side of an OR wants an index of its own
	}
	if joined.MatchString(q.SQL) {
		return nil, false // the other tables may be what picks the rows
	}
	for _, ix := range t.Indexes {
		if serves(ix, q) {
			return nil, false
		}
	}
	var equal, span, pattern []string
	for _, p := range q.Predicates {
		e := expression(p.Expr)
		if !known(t, e) {
			return nil, false
		}
		if !selective(p.Op) || shared(t, e) || literal(q, e) || strings.HasPrefix(e, "any(") || slices.Contains(slices.Concat(equal, span, pattern), e) {
			continue
		}
		switch op := strings.ToLower(p.Op); op {
		case "like", "ilike", "~", "~*":
			pattern = append(pattern, e)
		case "=", "in", "any", "":
			equal = append(equal, e)
		default:
			span = append(span, e)
		}
	}
	switch {
	case len(equal) > 0:
		columns = equal
	case len(span) > 0:
		columns = span[:1]
	case len(pattern) > 0:
		return pattern[:1], true
	case len(q.Predicates) > 0 || q.SQL == "" || strings.Contains(strings.ToLower(q.SQL), "where"):
		return nil, false // what it compares is not known, or picks most rows
	}
	if e := sortKey(t, q); e != "" && !slices.Contains(columns, e) && len(span) == 0 {
		columns = append(columns, e)
	}
	return columns, false
}

// literal reports a comparison with a text that stands in the query: a kind or a
// state, which many rows share.
func literal(q *premortem.Query, column string) bool {
	i := strings.Index(q.SQL, "'")
	if i < 0 || !bare.MatchString(column) {
		return false
	}
	d := newDDL(q.SQL)
	for k, w := range d.words {
		if w == column && k+2 < len(d.words) && d.words[k+1] == "=" && strings.HasPrefix(d.words[k+2], "'") {
			return true
		}
	}
	return false
}

// sortKey is the first thing that a limited query sorts by, "" when that is not one
// of the table's columns.
func sortKey(t *premortem.Table, q *premortem.Query) string {
	if !q.Limit || len(q.Order) == 0 {
		return ""
	}
	e := expression(q.Order[0])
	if !known(t, e) {
		return ""
	}
	return e
}

// shared reports whether many rows have the same value in a column: it is a boolean
// or its default is a constant.
func shared(t *premortem.Table, expr string) bool {
	c := t.Column(expr)
	if c == nil {
		return false
	}
	def := strings.ToLower(c.Default)
	return strings.HasPrefix(c.Type, "bool") || (def != "" && def != "null" && def != "identity" && !strings.Contains(def, "(") &&
		!strings.HasPrefix(def, "current_") && !strings.HasPrefix(def, "local"))
}

func (w *wish) finding(sys *premortem.System, nth int) premortem.Finding {
	q := w.queries[0]
	on := strings.Join(w.columns, ", ")
	f := premortem.Finding{
		Node:    q.Service,
		Subject: w.table.Name + " (" + on + ")",
		Certain: w.size.rows.Set(),
		Says: fmt.Sprintf("%s reads %s of %s on each call: no index starts with %s",
			list(w.callers(sys)), w.size.all(), w.table.Name, w.columns[0]),
	}
	if !w.size.rows.Set() {
		f.Severity = asNote
	}
	for _, q := range w.queries {
		f.Evidence = append(f.Evidence, w.sites(q)...)
	}
	says := fmt.Sprintf("%s has no index on %s; it has: %s", w.table.Name, on, indexesOf(w.table))
	f.Evidence = append(f.Evidence, premortem.Evidence{Says: says, Pos: w.table.Pos})
	if e, ok := w.almost(); ok {
		f.Evidence = append(f.Evidence, e)
	}
	f.Evidence = append(f.Evidence, w.size.evidence(w.table.Name))
	f.Fix = indexFix(sys, w, nth)
	return f
}

// callers names the routes and places that run the queries, each once.
func (w *wish) callers(sys *premortem.System) []string {
	var out []string
	for _, q := range w.queries {
		if c := caller(sys, q); !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	if len(out) > 3 {
		out = append(out[:2], fmt.Sprintf("%d more", len(out)-2))
	}
	return out
}

// sites shows the comparison, and the call when that begins on another line.
func (w *wish) sites(q *premortem.Query) []premortem.Evidence {
	says := compares(w.table.Name, q)
	for _, p := range q.Predicates {
		if p.Pos.Known() && p.Pos != q.Pos && slices.Contains(w.columns, expression(p.Expr)) {
			return []premortem.Evidence{{Says: says, Pos: p.Pos}, {Says: "called here", Pos: q.Pos, Quote: q.Quote}}
		}
	}
	return []premortem.Evidence{{Says: says, Pos: q.Pos, Quote: q.Quote}}
}

func compares(table string, q *premortem.Query) string {
	if len(q.Predicates) == 0 {
		return "sorts " + table + " by " + q.Order[0]
	}
	var out []string
	for _, p := range q.Predicates {
		out = append(out, strings.TrimSpace(expression(p.Expr)+" "+p.Op))
	}
	return "looks in " + table + " for " + strings.Join(out, " and ")
}

// almost shows an index on the bare column of an expression: it exists and is of no
// use here, which surprises people.
func (w *wish) almost() (premortem.Evidence, bool) {
	if bare.MatchString(w.columns[0]) {
		return premortem.Evidence{}, false
	}
	for _, ix := range w.table.Indexes {
		if len(ix.Columns) > 0 && w.table.Column(expression(ix.Columns[0])) != nil &&
			slices.Contains(words.FindAllString(w.columns[0], -1), expression(ix.Columns[0])) {
			return premortem.Evidence{
				Says: fmt.Sprintf("the index on %s does not serve %s", ix.Columns[0], w.columns[0]), Pos: ix.Pos}, true
		}
	}
	return premortem.Evidence{}, false
}

// askRows asks for the size of tables that are searched without an index and whose
// size nothing tells.
func askRows(sys *premortem.System, ask func(string)) {
	for _, w := range wishes(sys, func(s size) bool { return !s.large() && !s.small() }) {
		ask(fmt.Sprintf("how many rows has %s in production? %s searches it without an index on %s; declare database.rows.%s",
			w.table.Name, caller(sys, w.queries[0]), strings.Join(w.columns, ", "), w.table.Name))
	}
}
