package read

import (
	"strings"
)

// sqlFacts is what one statement asks of one table.
type sqlFacts struct {
	op     string
	table  string
	preds  []sqlPred
	order  []string
	limit  bool
	offset bool
}

// sqlPred is one comparison with the line of the statement it stands on.
type sqlPred struct {
	expr, op string
	line     int
}

// analyseSQL reads the main statement of an SQL text; ok is false for text that is
// no query.
func analyseSQL(text string) (sqlFacts, bool) {
	st := sqlStatements(sqlTokens(text))
	if len(st) == 0 {
		return sqlFacts{}, false
	}
	toks := st[0]
	if toks[0].is("with") {
		toks = afterWith(toks)
	}
	if len(toks) < 2 {
		return sqlFacts{}, false
	}
	q := &sqlReader{toks: toks}
	switch {
	case toks[0].is("select"):
		q.facts.op = "select"
		q.from(q.find("from", 0))
	case toks[0].is("insert") && toks[1].is("into"):
		q.facts.op = "insert"
		q.facts.table = q.tableAt(2)
		return q.facts, q.facts.table != ""
	case toks[0].is("update"):
		q.facts.op = "update"
		q.from(0)
	case toks[0].is("delete") && toks[1].is("from"):
		q.facts.op = "delete"
		q.from(1)
	default:
		return sqlFacts{}, false
	}
	q.conditions()
	return q.facts, true
}

// afterWith skips common table expressions.
func afterWith(toks []sqlToken) []sqlToken {
	for i := 1; i < len(toks); i++ {
		switch {
		case toks[i].is("("):
			_, next := sqlGroup(toks, i)
			i = next - 1
		case toks[i].is("select"), toks[i].is("insert"), toks[i].is("update"), toks[i].is("delete"):
			return toks[i:]
		}
	}
	return nil
}

// sqlReader is a cursor over one statement.
type sqlReader struct {
	toks  []sqlToken
	facts sqlFacts
	alias string
	multi bool // more than one table
}

// find returns the index of a word outside of parentheses, -1 when it is absent.
func (q *sqlReader) find(word string, from int) int {
	for i := from; i < len(q.toks); i++ {
		if q.toks[i].is("(") {
			_, next := sqlGroup(q.toks, i)
			i = next - 1
			continue
		}
		if q.toks[i].is(word) {
			return i
		}
	}
	return -1
}

// tableAt reads a table's name at i.
func (q *sqlReader) tableAt(i int) string {
	if i < len(q.toks) && q.toks[i].is("only") {
		i++
	}
	if i >= len(q.toks) || !q.toks[i].ident() {
		return ""
	}
	name := q.toks[i].name()
	if i+2 < len(q.toks) && q.toks[i+1].is(".") {
		name += "." + q.toks[i+2].name()
	}
	return strings.TrimPrefix(name, "public.")
}

// from reads the first table behind FROM or UPDATE and its alias.
func (q *sqlReader) from(i int) {
	if i < 0 {
		return
	}
	q.facts.table = q.tableAt(i + 1)
	q.alias = q.facts.table
	j := i + 2
	if j+1 < len(q.toks) && q.toks[j].is(".") {
		j += 2
	}
	if j < len(q.toks) && q.toks[j].is("as") {
		j++
	}
	if j < len(q.toks) && q.toks[j].ident() && !sqlClauses[strings.ToLower(q.toks[j].text)] {
		q.alias = q.toks[j].name()
		j++
	}
	end := q.find("where", 0)
	if end < 0 {
		end = len(q.toks)
	}
	for k := j; k < end; k++ {
		if q.toks[k].is("join") || q.toks[k].is(",") && q.facts.op == "select" {
			q.multi = true
		}
	}
}

var sqlClauses = wordSet(`where set join left right inner outer cross full on using group order limit offset having union intersect except for returning window fetch values select natural lateral tablesample`)

// conditions reads WHERE, ORDER BY, LIMIT and OFFSET.
func (q *sqlReader) conditions() {
	if w := q.find("where", 0); w >= 0 {
		end := len(q.toks)
		for _, stop := range []string{"group", "order", "limit", "offset", "having", "union", "intersect", "except", "for", "returning", "window", "fetch"} {
			if i := q.find(stop, w+1); i >= 0 {
				end = min(end, i)
			}
		}
		q.boolean(q.toks[w+1:end], 0)
	}
	if o := q.find("order", 0); o >= 0 && o+1 < len(q.toks) && q.toks[o+1].is("by") {
		end := len(q.toks)
		for _, stop := range []string{"limit", "offset", "for", "fetch"} {
			if i := q.find(stop, o+1); i >= 0 {
				end = min(end, i)
			}
		}
		for _, part := range sqlSplit(q.toks[o+2:end], ",") {
			q.facts.order = append(q.facts.order, sqlText(part))
		}
	}
	q.facts.limit = q.find("limit", 0) >= 0 || q.find("fetch", 0) >= 0
	q.facts.offset = q.find("offset", 0) >= 0
}

// boolean reads the comparisons of a condition joined by AND and OR.
func (q *sqlReader) boolean(toks []sqlToken, depth int) {
	if depth > maxDepth {
		return
	}
	toks = stripParens(toks)
	start, between := 0, false
	part := func(end int) {
		if end > start {
			q.comparison(toks[start:end], depth)
		}
		start = end + 1
	}
	for i := 0; i < len(toks); i++ {
		switch t := toks[i]; {
		case t.is("("):
			_, next := sqlGroup(toks, i)
			i = next - 1
		case t.is("between"):
			between = true
		case t.is("and") && between:
			between = false
		case t.is("and"), t.is("or"):
			part(i)
		}
	}
	part(len(toks))
}

var comparisons = wordSet(`= < > <= >= <> != like ilike in is between ~ ~* @> <@ && similar`)

// comparison reads one comparison; a column of another table is left out.
func (q *sqlReader) comparison(toks []sqlToken, depth int) {
	if len(toks) > 0 && toks[0].is("not") {
		toks = toks[1:]
	}
	if len(toks) > 2 && toks[0].is("(") {
		if group, next := sqlGroup(toks, 0); next == len(toks) && !(len(group) > 0 && group[0].is("select")) {
			q.boolean(group, depth+1)
			return
		}
	}
	for i := 0; i < len(toks); i++ {
		t := toks[i]
		if t.is("(") {
			_, next := sqlGroup(toks, i)
			i = next - 1
			continue
		}
		if (t.kind != sqlOp && t.kind != sqlWord) || !comparisons[strings.ToLower(t.text)] {
			continue
		}
		left, right, op := toks[:i], toks[i+1:], strings.ToLower(t.text)
		if n := len(left); n > 0 && left[n-1].is("not") {
			left, op = left[:n-1], "not "+op
		}
		if op == "is" && len(right) > 0 && right[0].is("not") {
			op = "is not"
		}
		if op == "=" && len(right) > 0 && right[0].is("any") {
			op = "in"
		}
		if !q.mine(left) && q.mine(right) && !constantSQL(right) {
			left, right = right, left
		}
		if q.mine(left) && !constantSQL(left) && (!q.columns(right) || q.multi == false) {
			q.facts.preds = append(q.facts.preds, sqlPred{sqlText(left), op, left[0].line})
		}
		return
	}
}

// mine reports whether an expression speaks of columns of the statement's table.
func (q *sqlReader) mine(toks []sqlToken) bool {
	found := false
	for i, t := range toks {
		if !t.ident() || i > 0 && toks[i-1].is("::") || i+1 < len(toks) && toks[i+1].is("(") {
			continue
		}
		if i+1 < len(toks) && toks[i+1].is(".") {
			if t.name() != q.alias && t.name() != q.facts.table {
				return false
			}
			continue
		}
		if i > 0 && toks[i-1].is(".") || !q.multi {
			found = true
		}
	}
	return found
}

// columns reports whether an expression has a qualified column.
func (q *sqlReader) columns(toks []sqlToken) bool {
	for i, t := range toks {
		if t.ident() && i+1 < len(toks) && toks[i+1].is(".") {
			return true
		}
	}
	return false
}

// constantSQL reports an expression without columns.
func constantSQL(toks []sqlToken) bool {
	for i, t := range toks {
		if t.ident() && !(i+1 < len(toks) && toks[i+1].is("(")) && !(i > 0 && toks[i-1].is("::")) {
			switch strings.ToLower(t.text) {
			case "null", "true", "false", "now", "current_timestamp", "current_date", "interval", "array", "any", "all", "not", "distinct":
				continue
			}
			return false
		}
	}
	return true
}
