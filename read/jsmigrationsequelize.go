package read

import (
	"strings"
)

// sequelize reads one call of a QueryInterface.
func (j *jsMigration) sequelize(method string, open int) {
	first := len(j.out)
	j.sequelizeCall(method, open)
	for i := first; i < len(j.out); i++ {
		if j.runs(open) {
			j.out[i].tx = txInside
		}
	}
}

func (j *jsMigration) sequelizeCall(method string, open int) {
	m, args, line := j.m, j.m.args(open), j.m.tok(open).line
	table, ok := j.str(args, 0)
	if !ok {
		j.open = j.open || schemaMethods[method]
		return
	}
	table = quoteTable(table)
	second, _ := j.str(args, 1)
	switch method {
	case "createTable":
		if len(args) < 2 || !m.tok(args[1].lo).is("{") {
			j.open = true
			return
		}
		parts := []sqlLine{{"CREATE TABLE " + table + " (", line}}
		for n, p := range m.props(args[1].lo) {
			if p.key == "..." {
				j.open = true
				continue
			}
			if n > 0 {
				parts = append(parts, sqlLine{",", m.tok(p.at).line})
			}
			parts = append(parts, sqlLine{j.column(p.key, p.value), m.tok(p.at).line})
		}
		j.add(append(parts, sqlLine{")", line})...)
	case "addColumn":
		if len(args) > 2 && second != "" {
			j.add(sqlLine{"ALTER TABLE " + table + " ADD COLUMN " + j.column(second, args[2]), line})
		}
	case "removeColumn":
		j.add(sqlLine{"ALTER TABLE " + table + " DROP COLUMN " + quoteIdent(second), line})
	case "changeColumn":
		j.change(table, second, args, line)
	case "renameColumn":
		to, _ := j.str(args, 2)
		j.add(sqlLine{"ALTER TABLE " + table + " RENAME COLUMN " + quoteIdent(second) + " TO " + quoteIdent(to), line})
	case "dropTable":
		j.add(sqlLine{"DROP TABLE " + table, line})
	case "renameTable":
		j.add(sqlLine{"ALTER TABLE " + table + " RENAME TO " + quoteIdent(second), line})
	case "addIndex":
		j.index(table, args, line)
	case "removeIndex":
		name := second
		if list := j.names(args, 1); len(list) > 0 {
			name = strings.Trim(table, `"`) + "_" + strings.Join(list, "_")
		}
		j.add(sqlLine{"DROP INDEX " + j.concurrent(args) + quoteIdent(name), line})
	case "addConstraint":
		j.constraint(table, args, line)
	case "removeConstraint":
		j.add(sqlLine{"ALTER TABLE " + table + " DROP CONSTRAINT " + quoteIdent(second), line})
	}
}

// names is a list of strings, or the fields of an object.
func (j *jsMigration) names(args []span, n int) []string {
	if n >= len(args) {
		return nil
	}
	s := args[n]
	if t := j.m.tok(s.lo); t.is("{") {
		f := j.m.prop(s.lo, "fields")
		if f.empty() {
			return nil
		}
		s = f
	}
	if !j.m.tok(s.lo).is("[") {
		return nil
	}
	var out []string
	for _, e := range j.m.args(s.lo) {
		if v, ok := j.str([]span{e}, 0); ok {
			out = append(out, v)
		} else if t := j.m.tok(e.lo); t.is("{") {
			if v, ok := j.str([]span{j.m.prop(e.lo, "name")}, 0); ok {
				out = append(out, v)
			}
		} else if strings.Contains(j.m.source(e), "literal") {
			return nil
		}
	}
	return out
}

// option is a property of the first argument from n on that has it.
func (j *jsMigration) option(args []span, n int, key string) span {
	for ; n < len(args); n++ {
		if j.m.tok(args[n].lo).is("{") {
			if v := j.m.prop(args[n].lo, key); !v.empty() {
				return v
			}
		}
	}
	return span{}
}

func (j *jsMigration) is(s span, word string) bool { return !s.empty() && j.m.tok(s.lo).text == word }

func (j *jsMigration) index(table string, args []span, line int) {
	cols := j.names(args, 1)
	if len(cols) == 0 {
		j.open = true
		return
	}
	name, ok := j.str([]span{j.option(args, 1, "name")}, 0)
	if !ok {
		if name, ok = j.str([]span{j.option(args, 1, "indexName")}, 0); !ok {
			name = strings.Trim(table, `"`) + "_" + strings.Join(cols, "_")
		}
	}
	unique := ""
	if j.is(j.option(args, 1, "unique"), "true") || j.is(j.option(args, 1, "type"), "UNIQUE") {
		unique = "UNIQUE "
	}
	where := ""
	if !j.option(args, 1, "where").empty() {
		where = " WHERE true"
	}
	using := ""
	if v, ok := j.str([]span{j.option(args, 1, "using")}, 0); ok {
		using = " USING " + quoteIdent(strings.ToLower(v))
	}
	j.add(sqlLine{"CREATE " + unique + "INDEX " + j.concurrent(args) + quoteIdent(name) + " ON " + table + using + " (" + quoteList(cols) + ")" + where, line})
}

func (j *jsMigration) concurrent(args []span) string {
	if j.is(j.option(args, 1, "concurrently"), "true") {
		return "CONCURRENTLY "
	}
	return ""
}

// change writes changeColumn: Sequelize sets the type and NOT NULL each time.
func (j *jsMigration) change(table, name string, args []span, line int) {
	if len(args) < 3 || name == "" {
		return
	}
	head := "ALTER TABLE " + table + " ALTER COLUMN " + quoteIdent(name)
	def := j.column(name, args[2])
	if strings.Contains(def, " NOT NULL") {
		j.add(sqlLine{head + " SET NOT NULL", line})
	} else if j.is(j.m.prop(args[2].lo, "allowNull"), "true") {
		j.add(sqlLine{head + " DROP NOT NULL", line})
	}
	typ := strings.TrimPrefix(def, quoteIdent(name)+" ")
	for _, stop := range []string{" NOT NULL", " PRIMARY KEY", " UNIQUE", " GENERATED", " REFERENCES"} {
		typ, _, _ = strings.Cut(typ, stop)
	}
	if typ != "unknown" {
		j.add(sqlLine{head + " TYPE " + typ, line})
	}
}

func quoteList(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quoteIdent(n)
	}
	return strings.Join(out, ", ")
}

func (j *jsMigration) constraint(table string, args []span, line int) {
	cols := j.names(args, 1)
	kind, _ := j.str([]span{j.option(args, 1, "type")}, 0)
	if len(cols) == 0 {
		j.open = true
		return
	}
	head := "ALTER TABLE " + table + " ADD "
	if name, ok := j.str([]span{j.option(args, 1, "name")}, 0); ok {
		head += "CONSTRAINT " + quoteIdent(name) + " "
	}
	switch strings.ToLower(kind) {
	case "unique":
		j.add(sqlLine{head + "UNIQUE (" + quoteList(cols) + ")", line})
	case "primary key":
		j.add(sqlLine{head + "PRIMARY KEY (" + quoteList(cols) + ")", line})
	case "foreign key":
		ref := j.option(args, 1, "references")
		to, ok := j.str([]span{j.m.prop(ref.lo, "table")}, 0)
		if ok {
			key, _ := j.str([]span{j.m.prop(ref.lo, "field")}, 0)
			j.add(sqlLine{head + "FOREIGN KEY (" + quoteList(cols) + ") REFERENCES " + quoteTable(to) + " (" + quoteIdent(key) + ")", line})
		}
	}
}

// sequelizeTypes are types as PostgreSQL has them.
var sequelizeTypes = map[string]string{
	"STRING": "varchar(255)", "TEXT": "text", "INTEGER": "integer", "BIGINT": "bigint", "BOOLEAN": "boolean", "DATE": "timestamptz", "UUID": "uuid",
	"JSONB": "jsonb", "JSON": "json", "FLOAT": "double precision", "DOUBLE": "double precision", "DECIMAL": "numeric", "DATEONLY": "date",
	"BLOB": "bytea", "SMALLINT": "smallint", "ENUM": "text", "INET": "inet", "CITEXT": "citext", "ARRAY": "text[]", "VIRTUAL": "text", "REAL": "real",
}

// column writes a column's definition.
func (j *jsMigration) column(name string, v span) string {
	m := j.m
	typ := v
	var b strings.Builder
	if m.tok(v.lo).is("{") {
		typ = m.prop(v.lo, "type")
	}
	sql := ""
	for i := typ.lo; i < typ.hi; i++ {
		if s := sequelizeTypes[m.tok(i).text]; s != "" {
			sql = s
			break
		}
		if t := m.tok(i); t.kind == jsString {
			sql = strings.ToLower(t.text)
			break
		}
	}
	if toks := sqlTokens(sql); sql == "" || len(toks) == 0 || strings.ContainsAny(sql, ";") {
		sql = "unknown"
	}
	b.WriteString(quoteIdent(name) + " " + sql)
	if !m.tok(v.lo).is("{") {
		return b.String()
	}
	if j.is(m.prop(v.lo, "allowNull"), "false") {
		b.WriteString(" NOT NULL")
	}
	if j.is(m.prop(v.lo, "primaryKey"), "true") {
		b.WriteString(" PRIMARY KEY")
	}
	if u := m.prop(v.lo, "unique"); !u.empty() && !j.is(u, "false") {
		b.WriteString(" UNIQUE")
	}
	if j.is(m.prop(v.lo, "autoIncrement"), "true") {
		b.WriteString(" GENERATED BY DEFAULT AS IDENTITY")
	}
	if ref := m.prop(v.lo, "references"); !ref.empty() && m.tok(ref.lo).is("{") {
		if to, ok := j.str([]span{m.prop(ref.lo, "model")}, 0); ok {
			key, named := j.str([]span{m.prop(ref.lo, "key")}, 0)
			if !named {
				key = "id"
			}
			b.WriteString(" REFERENCES " + quoteTable(to) + " (" + quoteIdent(key) + ")")
			if del, ok := j.str([]span{m.prop(v.lo, "onDelete")}, 0); ok && !strings.ContainsAny(del, ";,()") {
				b.WriteString(" ON DELETE " + del)
			}
		}
	}
	return b.String()
}
