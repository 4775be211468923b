package check

import (
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

var (
	casts     = regexp.MustCompile(`::[a-z_]+(\[\]|\(\d+\)| varying| precision)?`)
	qualifier = regexp.MustCompile(`\b[a-z_][a-z0-9_]*\.([a-z_])`)
	parens    = regexp.MustCompile(`\((\([^()]*\))\)`)
	wrapped   = regexp.MustCompile(`\(\(([a-z_][a-z0-9_]*)\)\)`)
	bare      = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)
	words     = regexp.MustCompile(`[a-z_][a-z0-9_]*`)
	direction = regexp.MustCompile(`( (asc|desc|nulls (first|last)|collate [^ ]+|[a-z0-9_]+_ops))+$`)
)

// expression normalises a column or an expression, so that the text of an index and
// the text of a query can be compared: no quotes, casts, qualifiers or directions.
func expression(s string) string {
	s = strings.ToLower(strings.NewReplacer(`"`, "", "`", "").Replace(s))
	s = strings.Join(strings.Fields(s), " ")
	s = direction.ReplaceAllString(s, "")
	s = casts.ReplaceAllString(s, "")
	s = qualifier.ReplaceAllString(s, "$1")
	s = wrapped.ReplaceAllString(s, "($1)")
	s = parens.ReplaceAllString(s, "$1")
	s = strings.ReplaceAll(strings.ReplaceAll(s, "( ", "("), " )", ")")
	for len(s) > 2 && s[0] == '(' && closing(s[1:]) == len(s)-2 {
		s = strings.TrimSpace(s[1 : len(s)-1])
	}
	return s
}

// leading reports whether the index starts with these expressions, in any order.
func leading(ix premortem.Index, exprs []string) bool {
	if len(ix.Columns) < len(exprs) || ix.Where != "" {
		return false
	}
	for _, c := range ix.Columns[:len(exprs)] {
		if !slices.Contains(exprs, expression(c)) {
			return false
		}
	}
	return true
}

// serves reports whether the planner may use the index for one of the query's
// comparisons or for its order. It says yes in doubt.
func serves(ix premortem.Index, q *premortem.Query) bool {
	if len(ix.Columns) == 0 || !applies(ix, q) {
		return false
	}
	// A GIN index serves a comparison of any of its columns, a B-tree of its first.
	columns := ix.Columns[:1]
	if ix.Method == "gin" || ix.Method == "gist" {
		columns = ix.Columns
	}
	for _, c := range columns {
		for _, p := range q.Predicates {
			if expression(p.Expr) == expression(c) && usable(ix.Method, p.Op) {
				return true
			}
		}
	}
	return len(q.Order) > 0 && q.Limit && ix.Method == "" && expression(q.Order[0]) == expression(ix.Columns[0])
}

// applies reports whether a partial index may hold all rows that the query wants:
// the query also compares what the index is restricted by.
func applies(ix premortem.Index, q *premortem.Query) bool {
	if ix.Where == "" {
		return true
	}
	for _, w := range words.FindAllString(expression(ix.Where), -1) {
		for _, p := range q.Predicates {
			if slices.Contains(words.FindAllString(expression(p.Expr), -1), w) {
				return true
			}
		}
	}
	return false
}

func usable(method, op string) bool {
	op = strings.TrimSuffix(strings.ToLower(op), " constant")
	switch method {
	case "", "btree":
		// "like" may have a fixed beginning, which a B-tree serves in some collations.
		return op != "ilike" && !strings.HasPrefix(op, "~") && selective(op)
	case "hash":
		return op == "=" || op == "in" || op == "any" || op == ""
	}
	return true
}

// selective reports whether a comparison picks few rows as a rule, so that an index
// would help.
func selective(op string) bool {
	switch strings.ToLower(op) {
	case "!=", "<>", "not in", "not like", "not ilike", "is null", "is not null", "is", "is not", "is distinct from", "not", "= constant", "not =":
		return false
	}
	return true
}

// known reports whether every column in the expression is one of the table's.
func known(t *premortem.Table, expr string) bool {
	found := false
	for _, w := range words.FindAllString(expr, -1) {
		if strings.Contains(expr, w+"(") {
			continue // a function's name
		}
		if t.Column(w) == nil {
			return false
		}
		found = true
	}
	return found
}

// indexesOf writes a table's indexes for a person: "primary key (id), unique (email)".
func indexesOf(t *premortem.Table) string {
	var out []string
	for _, ix := range t.Indexes {
		kind := "index"
		switch {
		case ix.Primary:
			kind = "primary key"
		case ix.Unique:
			kind = "unique"
		}
		s := kind + " (" + strings.Join(ix.Columns, ", ") + ")"
		if ix.Where != "" {
			s += " where " + ix.Where
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return "none at all"
	}
	return strings.Join(out, ", ")
}
