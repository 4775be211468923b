package rehearse

import (
	"fmt"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// sites finds the lines of the code that make a statement: same table, and every
// predicate that the code writes stands in the statement's conditions. Of several the
// ones with the most predicates are kept; when that leaves more than three, the match
// says nothing and none is named.
func (r *run) sites(op string) []premortem.Evidence {
	text := plainSQL(op)
	best, out := -1, []premortem.Evidence(nil)
	for _, q := range r.sys.Queries {
		if q.Table == "" || !mentions(text, q.Table, q.Op) {
			continue
		}
		n := matched(text, q.Predicates)
		if n < 0 {
			continue
		}
		if q.Op == "select" && strings.Contains(text, " where ") != (len(q.Predicates) > 0) {
			continue
		}
		if n > best {
			best, out = n, nil
		}
		if n == best {
			pos, quote := q.Pos, q.Quote
			if len(q.Predicates) > 0 && q.Predicates[0].Pos.Known() && q.Predicates[0].Pos != q.Pos {
				pos, quote = q.Predicates[0].Pos, "" // the line that holds the condition says more
			}
			e := premortem.Evidence{Says: "the query is made here", Pos: pos, Quote: quote}
			if !slices.ContainsFunc(out, func(o premortem.Evidence) bool { return o.Pos == e.Pos }) {
				out = append(out, e)
			}
		}
	}
	if len(out) > 3 {
		return nil
	}
	return out
}

// plainSQL is lower case without quotes and table aliases, so that what an ORM writes
// can be compared with what the code says.
func plainSQL(op string) string {
	s := strings.ToLower(strings.ReplaceAll(op, `"`, ""))
	return strings.Join(strings.Fields(s), " ")
}

func mentions(text, table, op string) bool {
	table = strings.ToLower(strings.TrimPrefix(table, "public."))
	before := map[string][]string{
		"select": {"from ", "join "}, "insert": {"insert into "}, "update": {"update "}, "delete": {"delete from "},
	}[op]
	for _, b := range before {
		for rest := text; ; {
			i := strings.Index(rest, b)
			if i < 0 {
				break
			}
			rest = rest[i+len(b):]
			if word, _, _ := strings.Cut(strings.TrimPrefix(rest, "public."), " "); strings.TrimRight(word, "(),;") == table {
				return true
			}
		}
	}
	return false
}

// matched counts the predicates that stand in the statement, -1 when one is absent.
func matched(text string, ps []premortem.Predicate) int {
	_, where, _ := strings.Cut(text, " where ")
	for _, p := range ps {
		expr := strings.ToLower(p.Expr)
		if !holdsExpr(where, expr) {
			return -1
		}
	}
	return len(ps)
}

// holdsExpr looks for the expression as a word, with or without a table's name.
func holdsExpr(where, expr string) bool {
	for rest, from := where, 0; ; {
		i := strings.Index(rest[from:], expr)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(expr)
		before, after := byte(' '), byte(' ')
		if i > 0 {
			before = rest[i-1]
		}
		if end < len(rest) {
			after = rest[end]
		}
		if !wordByte(before) && !wordByte(after) {
			return true
		}
		from = i + 1
	}
}

func wordByte(b byte) bool {
	return b == '_' || b >= 'a' && b <= 'z' || b >= '0' && b <= '9'
}

// schemaLines says where the schema stands that a plan's scans read.
func (r *run) schemaLines(p premortem.Plan) []premortem.Evidence {
	var out []premortem.Evidence
	for _, s := range p.Scans {
		t := r.sys.Table(s.Table)
		if t == nil || s.Node != "Seq Scan" && s.Node != "Parallel Seq Scan" {
			continue
		}
		says := fmt.Sprintf("%s is created here, without an index that serves it", t.Name)
		if len(t.Indexes) > 0 {
			var names []string
			for _, i := range t.Indexes {
				names = append(names, "("+strings.Join(i.Columns, ", ")+")")
			}
			says = fmt.Sprintf("%s has indexes on %s only", t.Name, strings.Join(names, ", "))
		}
		pos := t.Pos
		for _, col := range t.Columns {
			if col.Pos.Known() && holdsExpr(strings.ToLower(s.Filter), strings.ToLower(col.Name)) {
				pos = col.Pos
				break
			}
		}
		if !slices.ContainsFunc(out, func(e premortem.Evidence) bool { return e.Pos == pos }) {
			out = append(out, premortem.Evidence{Says: says, Pos: pos})
		}
	}
	return out
}
