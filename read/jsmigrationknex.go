package read

import (
	"slices"
	"strings"
)

// knexTypes are column methods of Knex and the types that they make.
var knexTypes = map[string]string{
	"increments": "serial", "bigIncrements": "bigserial", "integer": "integer", "bigInteger": "bigint", "text": "text", "string": "varchar(255)",
	"boolean": "boolean", "date": "date", "datetime": "timestamptz", "timestamp": "timestamptz", "time": "time", "float": "real", "double": "double precision",
	"decimal": "numeric", "binary": "bytea", "json": "json", "jsonb": "jsonb", "uuid": "uuid", "enu": "text", "enum": "text", "smallint": "smallint",
	"tinyint": "smallint", "specificType": "unknown",
}

// knexCall reads one call of knex.schema.
func (j *jsMigration) knexCall(method string, open int) {
	m, args, line := j.m, j.m.args(open), j.m.tok(open).line
	table, ok := j.str(args, 0)
	if !ok {
		j.open = true
		return
	}
	table = quoteTable(table)
	switch method {
	case "dropTable", "dropTableIfExists":
		j.add(sqlLine{"DROP TABLE " + table, line})
		return
	case "renameTable":
		to, _ := j.str(args, 1)
		j.add(sqlLine{"ALTER TABLE " + table + " RENAME TO " + quoteIdent(to), line})
		return
	}
	if strings.HasPrefix(method, "createTable") {
		j.add(sqlLine{"CREATE TABLE " + table + " ()", line})
	}
	if len(args) < 2 {
		return
	}
	builder := ""
	for i := args[1].lo; i < args[1].hi; i++ {
		if t := m.tok(i); t.kind == jsIdent && t.text != "function" && t.text != "async" {
			builder = t.text
			break
		}
	}
	for i := args[1].lo; i < args[1].hi && i < len(m.toks); i++ {
		if m.tok(i).is(builder) && m.tok(i+1).is(".") && m.tok(i+3).is("(") && builder != "" {
			j.knexColumn(table, i+2)
		}
	}
}

// chained are the methods called on what a call returns, with their brackets.
func (j *jsMigration) chained(open int) map[string]int {
	out := map[string]int{}
	for i := j.m.next(open); j.m.tok(i).is(".") && j.m.tok(i+2).is("("); i = j.m.next(i + 2) {
		out[j.m.tok(i+1).text] = i + 2
	}
	return out
}

// knexColumn reads one statement on a table builder.
func (j *jsMigration) knexColumn(table string, at int) {
	m := j.m
	method, open, line := m.tok(at).text, at+1, m.tok(at).line
	args, rest := m.args(open), j.chained(open)
	alter := "ALTER TABLE " + table + " "
	name, named := j.str(args, 0)
	cols := j.names(args, 0)
	if named {
		cols = []string{name}
	}
	switch method {
	case "timestamps":
		j.add(sqlLine{alter + "ADD COLUMN created_at timestamptz", line})
		j.add(sqlLine{alter + "ADD COLUMN updated_at timestamptz", line})
	case "dropColumn", "dropColumns":
		for k := range args {
			if c, ok := j.str(args, k); ok {
				j.add(sqlLine{alter + "DROP COLUMN " + quoteIdent(c), line})
			}
		}
	case "renameColumn":
		to, _ := j.str(args, 1)
		j.add(sqlLine{alter + "RENAME COLUMN " + quoteIdent(name) + " TO " + quoteIdent(to), line})
	case "primary", "unique":
		if len(cols) > 0 {
			j.add(sqlLine{alter + "ADD " + map[string]string{"primary": "PRIMARY KEY", "unique": "UNIQUE"}[method] + " (" + quoteList(cols) + ")", line})
		}
	case "index":
		if len(cols) > 0 {
			j.knexIndex(table, cols, args, line)
		}
	case "foreign":
		j.knexReference(table, cols, rest, line)
	default:
		j.knexTyped(table, method, name, named, rest, line)
	}
}

// knexTyped reads a column with its type; named is false for those that knex names.
func (j *jsMigration) knexTyped(table, method, name string, named bool, rest map[string]int, line int) {
	typ := knexTypes[method]
	if typ == "" {
		j.open = j.open || method == "dropIndex" || method == "dropForeign" || method == "dropUnique"
		return
	}
	counts := strings.HasSuffix(strings.ToLower(method), "increments")
	if !named {
		if name = "id"; !counts {
			j.open = true
			return
		}
	}
	if _, changes := rest["alter"]; changes {
		j.add(sqlLine{"ALTER TABLE " + table + " ALTER COLUMN " + quoteIdent(name) + " TYPE " + typ, line})
		if _, ok := rest["notNullable"]; ok {
			j.add(sqlLine{"ALTER TABLE " + table + " ALTER COLUMN " + quoteIdent(name) + " SET NOT NULL", line})
		}
		return
	}
	def := quoteIdent(name) + " " + typ
	if _, ok := rest["notNullable"]; ok {
		def += " NOT NULL"
	}
	if _, ok := rest["primary"]; ok || counts {
		def += " PRIMARY KEY"
	}
	if _, ok := rest["unique"]; ok {
		def += " UNIQUE"
	}
	j.add(sqlLine{"ALTER TABLE " + table + " ADD COLUMN " + def, line})
	if _, ok := rest["index"]; ok {
		j.knexIndex(table, []string{name}, nil, line)
	}
	j.knexReference(table, []string{name}, rest, line)
}

func (j *jsMigration) knexIndex(table string, cols []string, args []span, line int) {
	name, ok := j.str(args, 1)
	if !ok {
		name = strings.ToLower(strings.Trim(table, `"`) + "_" + strings.Join(cols, "_") + "_index")
	}
	j.add(sqlLine{"CREATE INDEX " + quoteIdent(name) + " ON " + table + " (" + quoteList(cols) + ")", line})
}

// knexReference reads references(…).inTable(…) and references('table.column').
func (j *jsMigration) knexReference(table string, cols []string, rest map[string]int, line int) {
	open, ok := rest["references"]
	if !ok || len(cols) == 0 {
		return
	}
	key, _ := j.str(j.m.args(open), 0)
	to := ""
	if in, ok := rest["inTable"]; ok {
		to, _ = j.str(j.m.args(in), 0)
	} else if t, c, dotted := strings.Cut(key, "."); dotted {
		to, key = t, c
	}
	if to == "" || key == "" || slices.Contains(cols, "") {
		return
	}
	sql := "ALTER TABLE " + table + " ADD FOREIGN KEY (" + quoteList(cols) + ") REFERENCES " + quoteTable(to) + " (" + quoteIdent(key) + ")"
	if del, ok := rest["onDelete"]; ok {
		if how, ok := j.str(j.m.args(del), 0); ok && !strings.ContainsAny(how, ";,()") {
			sql += " ON DELETE " + how
		}
	}
	j.add(sqlLine{sql, line})
}
