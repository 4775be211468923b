package read

import (
	"strings"

	"github.com/premortem/premortem"
)

func quoteIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// quoteTable quotes a table's name with its schema.
func quoteTable(s string) string {
	parts := strings.Split(s, ".")
	for i := range parts {
		parts[i] = quoteIdent(parts[i])
	}
	return strings.Join(parts, ".")
}

// sequelizeSQL writes the statement as Sequelize 6 sends it to PostgreSQL, with $n
// for values; "" when a part is not known.
func (m *module) sequelizeSQL(model *jsModel, method string, opts int, cond string, q *premortem.Query) string {
	if !m.prop(opts, "where").empty() && cond == "" {
		return ""
	}
	where := ""
	if cond != "" {
		where = " WHERE " + cond
	}
	n := len(q.Predicates)
	if method == "findByPk" {
		n = 1
	}
	switch {
	case method == "count":
		return `SELECT count(*) AS "count" FROM ` + quoteTable(model.table) + " AS " + quoteIdent(model.name) + where
	case q.Op == "delete":
		return "DELETE FROM " + quoteTable(model.table) + strings.ReplaceAll(where, quoteIdent(model.name)+".", "")
	case q.Op != "select" || method == "sum" || method == "max" || method == "min" || method == "findOrCreate" || method == "findOrBuild":
		return ""
	}
	attrs := model.attrs
	if a := m.prop(opts, "attributes"); !a.empty() {
		var ok bool
		if attrs, ok = m.attributeList(a); !ok {
			return ""
		}
	}
	cols := make([]string, len(attrs))
	for i, a := range attrs {
		cols[i] = quoteIdent(model.column(a))
		if model.column(a) != a {
			cols[i] += " AS " + quoteIdent(a)
		}
	}
	sql := "SELECT " + strings.Join(cols, ", ") + " FROM " + quoteTable(model.table) + " AS " + quoteIdent(model.name) + where
	if order := m.prop(opts, "order"); !order.empty() {
		by := orderSQL(model, q.Order)
		if by == "" {
			return ""
		}
		sql += " ORDER BY " + by
	}
	switch {
	case method == "findOne" && m.prop(opts, "limit").empty():
		sql += " LIMIT 1"
	case !m.prop(opts, "limit").empty():
		n++
		sql += " LIMIT $" + itoa(n)
	}
	if q.Offset {
		n++
		sql += " OFFSET $" + itoa(n)
	}
	return sql
}

// orderSQL writes a query's order as Sequelize does, "" when it is not known.
func orderSQL(model *jsModel, order []string) string {
	var parts []string
	for _, o := range order {
		col, desc := strings.CutSuffix(o, " desc")
		if !strings.ContainsAny(col, "( ") {
			col = quoteIdent(model.name) + "." + quoteIdent(col)
		}
		if desc {
			col += " DESC"
		} else {
			col += " ASC"
		}
		parts = append(parts, col)
	}
	return strings.Join(parts, ", ")
}

// attributeList reads ['id', 'email'], also behind a constant.
func (m *module) attributeList(s span) ([]string, bool) {
	if t := m.tok(s.lo); t.kind == jsIdent && s.hi-s.lo == 1 {
		if v, ok := m.initialiser(t.text, s.lo); ok {
			s = v
		}
	}
	if !m.tok(s.lo).is("[") {
		return nil, false
	}
	var out []string
	for _, e := range m.split(m.inside(s.lo), ",") {
		if m.tok(e.lo).kind != jsString {
			return nil, false
		}
		out = append(out, m.tok(e.lo).text)
	}
	return out, len(out) > 0
}

// insertSQL writes the statement of a create whose attributes stand in the call.
func insertSQL(model *jsModel, m *module, args []span) string {
	if len(args) == 0 {
		return ""
	}
	open := m.object(args[0])
	if open < 0 {
		return ""
	}
	var cols, values []string
	for _, p := range m.props(open) {
		if p.key == "..." || strings.HasPrefix(p.key, "[") {
			return ""
		}
		cols = append(cols, quoteIdent(model.column(p.key)))
		values = append(values, "$"+itoa(len(cols)))
	}
	if len(cols) == 0 {
		return ""
	}
	return "INSERT INTO " + quoteTable(model.table) + " (" + strings.Join(cols, ",") + ") VALUES (" + strings.Join(values, ",") + ")"
}
