package read

import (
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// where reads a where clause into predicates and returns it as SQL with $n for the
// values; "" when part of it is not known.
func (m *module) where(model *jsModel, s span, q *premortem.Query, depth int) string {
	if depth > 6 || s.empty() {
		return ""
	}
	if open := m.object(s); open >= 0 {
		return m.whereObject(model, open, q, depth)
	}
	t := m.tok(s.lo)
	if t.is("[") {
		var parts []string
		for _, e := range m.split(m.inside(s.lo), ",") {
			parts = append(parts, m.where(model, e, q, depth+1))
		}
		return joinConds(parts, " AND ")
	}
	// sequelize.where(lhs, [op,] value)
	for i := s.lo; i < s.hi; i = m.next(i) {
		if m.tok(i).is("where") && m.tok(i+1).is("(") {
			args := m.args(i + 1)
			if len(args) < 2 {
				return ""
			}
			expr, op := m.expression(model, args[0]), "="
			if len(args) > 2 {
				op = sequelizeOps[lastName(m.source(args[1]))]
				if v, ok := m.constant(args[1], 0); ok {
					op = strings.ToLower(v)
				}
			} else if b := m.object(args[1]); b >= 0 {
				for _, p := range m.props(b) {
					op = sequelizeOps[lastName(strings.Trim(p.key, "[]"))]
				}
			}
			if expr == "" {
				return ""
			}
			q.Predicates = append(q.Predicates, premortem.Predicate{Expr: expr, Op: op, Pos: m.pos(i)})
			return m.expressionSQL(model, args[0]) + " " + strings.ToUpper(op) + " $" + itoa(len(q.Predicates))
		}
		if !m.named(i) && !m.tok(i).is(".") {
			break
		}
	}
	return ""
}

// sequelizeOps are the members of Op.
var sequelizeOps = map[string]string{
	"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "like": "like", "iLike": "ilike", "notLike": "not like", "notILike": "not ilike",
	"startsWith": "like", "endsWith": "like", "substring": "like", "in": "in", "notIn": "not in", "between": "between", "notBetween": "not between",
	"is": "is", "not": "is not", "regexp": "~", "iRegexp": "~*", "contains": "@>", "contained": "<@", "overlap": "&&", "any": "in",
}

func lastName(s string) string {
	if i := strings.LastIndex(s, "."); i >= 0 {
		return s[i+1:]
	}
	return s
}

func (m *module) whereObject(model *jsModel, open int, q *premortem.Query, depth int) string {
	var parts []string
	for _, p := range m.props(open) {
		name := lastName(strings.Trim(p.key, "[]"))
		switch {
		case p.key == "...":
			parts = append(parts, "")
		case strings.HasPrefix(p.key, "[") && (name == "and" || name == "or"):
			glue := map[string]string{"and": " AND ", "or": " OR "}[name]
			var inner []string
			if m.tok(p.value.lo).is("[") {
				for _, e := range m.split(m.inside(p.value.lo), ",") {
					inner = append(inner, m.where(model, e, q, depth+1))
				}
			} else {
				inner = append(inner, m.where(model, p.value, q, depth+1))
			}
			parts = append(parts, joinConds(inner, glue))
		case strings.HasPrefix(p.key, "["), strings.HasPrefix(p.key, "$"):
			parts = append(parts, "")
		default:
			parts = append(parts, m.whereColumn(model, p, q))
		}
	}
	return joinConds(parts, " AND ")
}

// whereColumn reads one attribute of a where clause.
func (m *module) whereColumn(model *jsModel, p jsProp, q *premortem.Query) string {
	col := model.column(p.key)
	column := quoteIdent(model.name) + "." + quoteIdent(col)
	add := func(op string) string {
		q.Predicates = append(q.Predicates, premortem.Predicate{Expr: col, Op: op, Pos: m.pos(p.at)})
		return column + " " + strings.ToUpper(op) + " $" + itoa(len(q.Predicates))
	}
	v := m.tok(p.value.lo)
	switch {
	case v.is("["):
		q.Predicates = append(q.Predicates, premortem.Predicate{Expr: col, Op: "in", Pos: m.pos(p.at)})
		return column + " IN ($" + itoa(len(q.Predicates)) + ")"
	case v.is("null"):
		q.Predicates = append(q.Predicates, premortem.Predicate{Expr: col, Op: "is", Pos: m.pos(p.at)})
		return column + " IS NULL"
	case v.is("{") || m.object(p.value) >= 0:
		var parts []string
		for _, o := range m.props(m.object(p.value)) {
			op := sequelizeOps[lastName(strings.Trim(o.key, "[]"))]
			if op == "" {
				parts = append(parts, "")
				continue
			}
			null := m.tok(o.value.lo).is("null")
			sql := add(op)
			switch {
			case null && op == "<>" || null && op == "is not":
				sql = column + " IS NOT NULL"
			case null:
				sql = column + " IS NULL"
			case op == "in" || op == "not in":
				sql = column + " " + strings.ToUpper(op) + " ($" + itoa(len(q.Predicates)) + ")"
			case strings.HasSuffix(op, "between"):
				sql = "" // two values
			}
			parts = append(parts, sql)
		}
		return joinConds(parts, " AND ")
	}
	return add("=")
}

// joinConds joins conditions; one that is unknown makes the whole unknown.
func joinConds(parts []string, glue string) string {
	if len(parts) == 0 || slices.Contains(parts, "") {
		return ""
	}
	if len(parts) == 1 {
		return parts[0]
	}
	if glue == " OR " {
		return "(" + strings.Join(parts, glue) + ")"
	}
	return strings.Join(parts, glue)
}

// expression writes fn('lower', col('email')) as lower(email), normalised.
func (m *module) expression(model *jsModel, s span) string { return m.express(model, s, false, 0) }

// expressionSQL is expression with quoted names, as Sequelize sends it.
func (m *module) expressionSQL(model *jsModel, s span) string { return m.express(model, s, true, 0) }

func (m *module) express(model *jsModel, s span, quoted bool, depth int) string {
	if depth > 5 || s.empty() {
		return ""
	}
	i := s.lo
	for m.tok(i).kind == jsIdent && m.tok(i+1).is(".") {
		i += 2
	}
	open := m.callOpen(i)
	switch name := m.tok(i).text; {
	case open > 0 && name == "col" && len(m.args(open)) == 1:
		col, _ := m.constant(m.args(open)[0], 0)
		col = lastName(col)
		if quoted {
			return quoteIdent(col)
		}
		return col
	case open > 0 && name == "fn" && len(m.args(open)) > 0:
		args := m.args(open)
		fn, _ := m.constant(args[0], 0)
		var parts []string
		for _, a := range args[1:] {
			parts = append(parts, m.express(model, a, quoted, depth+1))
		}
		if fn == "" || slices.Contains(parts, "") {
			return ""
		}
		return strings.ToLower(fn) + "(" + strings.Join(parts, ", ") + ")"
	case open > 0 && name == "literal" && len(m.args(open)) == 1:
		text, _ := m.constant(m.args(open)[0], 0)
		return sqlText(sqlTokens(text))
	}
	if t := m.tok(s.lo); t.kind == jsString {
		return "'" + t.text + "'"
	} else if t.kind == jsNumber {
		return t.text
	} else if t.kind == jsIdent && s.hi-s.lo == 1 {
		if v, ok := m.initialiser(t.text, s.lo); ok {
			return m.express(model, v, quoted, depth+1)
		}
	}
	return ""
}

// order reads [['id', 'DESC'], 'name'] as columns, with " desc" where it descends.
func (m *module) order(model *jsModel, s span) []string {
	var out []string
	if !m.tok(s.lo).is("[") {
		if v, ok := m.constant(s, 0); ok {
			return []string{model.column(v)}
		}
		return nil
	}
	one := func(e span) string {
		if m.tok(e.lo).kind == jsString {
			return model.column(m.tok(e.lo).text)
		}
		return m.expression(model, e)
	}
	for _, e := range m.split(m.inside(s.lo), ",") {
		if !m.tok(e.lo).is("[") {
			if c := one(e); c != "" {
				out = append(out, c)
			}
			continue
		}
		parts := m.split(m.inside(e.lo), ",")
		if len(parts) == 0 {
			continue
		}
		c := one(parts[0])
		if c != "" && len(parts) > 1 && strings.EqualFold(m.tok(parts[len(parts)-1].lo).text, "desc") {
			c += " desc"
		}
		if c != "" {
			out = append(out, c)
		}
	}
	return out
}
