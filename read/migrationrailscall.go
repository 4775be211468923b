package read

import (
	"strings"
)

// call writes one call as the SQL that Rails sends to PostgreSQL.
func (r *railsMigration) call(l rubyLine) {
	name, a := rubyCall(l.text)
	if name == "" {
		return
	}
	if r.table != "" && (strings.HasPrefix(l.text, "t.") || strings.HasPrefix(l.text, "table.")) {
		r.inBlock(name, a, l.line)
		return
	}
	if name == "execute" {
		r.execute(l, a)
		return
	}
	table := rubyText(a.at(0))
	if table == "" {
		return
	}
	alter := "ALTER TABLE " + quoteTable(table) + " "
	switch name {
	case "create_table", "change_table":
		if name == "create_table" {
			r.add(l.line, "CREATE TABLE "+quoteTable(table)+" ("+rubyPrimary(a)+")")
		}
		if strings.Contains(l.text, " do |") || strings.HasSuffix(l.text, " do") {
			r.table, r.block = table, l.indent+"end"
		}
	case "drop_table":
		r.add(l.line, "DROP TABLE "+quoteTable(table))
	case "rename_table":
		r.add(l.line, alter+"RENAME TO "+quoteIdent(rubyText(a.at(1))))
	case "remove_index":
		r.removeIndex(table, a, l.line)
	case "add_index":
		r.index(table, a.at(1), a, l.line)
	case "add_foreign_key":
		rubyAddForeign(r.add, l.line, []string{"", table, rubyText(a.at(1)), l.text})
	case "validate_foreign_key":
		r.add(l.line, alter+"VALIDATE CONSTRAINT "+quoteIdent(rubyText(a.at(1))))
	case "validate_check_constraint", "validate_constraint":
		r.add(l.line, alter+"VALIDATE CONSTRAINT "+quoteIdent(rubyText(a.by["name"])+rubyText(a.at(1))))
	case "add_check_constraint":
		if expr := rubyText(a.at(1)); expr != "" {
			r.add(l.line, alter+"ADD CONSTRAINT "+quoteIdent(rubyText(a.by["name"]))+" CHECK ("+expr+")"+rubyUnchecked(l.text))
		}
	case "add_timestamps":
		r.stamps(table, l.line)
	default:
		r.columns(name, table, rubyArgs{a.list[1:], a.by}, l.line)
	}
}

func (r *railsMigration) stamps(table string, line int) {
	for _, c := range []string{"created_at", "updated_at"} {
		r.add(line, "ALTER TABLE "+quoteTable(table)+" ADD COLUMN "+c+" timestamp NOT NULL")
	}
}

// columns are the calls that name a column behind their table.
func (r *railsMigration) columns(name, table string, a rubyArgs, line int) {
	alter := "ALTER TABLE " + quoteTable(table) + " "
	col := rubyText(a.at(0))
	if col == "" {
		return
	}
	switch name {
	case "add_column":
		r.column(table, col, rubyText(a.at(1)), a, line)
	case "add_reference", "add_belongs_to":
		r.reference(table, col, a, line)
	case "remove_column":
		r.add(line, alter+"DROP COLUMN "+quoteIdent(col))
	case "remove_columns":
		for _, c := range a.list {
			if c := rubyText(c); c != "" {
				r.add(line, alter+"DROP COLUMN "+quoteIdent(c))
			}
		}
	case "remove_reference", "remove_belongs_to":
		r.add(line, alter+"DROP COLUMN "+quoteIdent(col+"_id"))
	case "rename_column":
		r.add(line, alter+"RENAME COLUMN "+quoteIdent(col)+" TO "+quoteIdent(rubyText(a.at(1))))
	case "change_column":
		if typ := rubyType(rubyText(a.at(1)), a); typ != "" {
			r.add(line, alter+"ALTER COLUMN "+quoteIdent(col)+" TYPE "+typ)
		}
	case "change_column_null":
		if a.at(1) == "false" {
			r.add(line, alter+"ALTER COLUMN "+quoteIdent(col)+" SET NOT NULL")
		} else if a.at(1) == "true" {
			r.add(line, alter+"ALTER COLUMN "+quoteIdent(col)+" DROP NOT NULL")
		}
	}
}

// inBlock reads one call on the table of create_table or change_table.
func (r *railsMigration) inBlock(name string, a rubyArgs, line int) {
	switch name {
	case "timestamps":
		r.stamps(r.table, line)
	case "index":
		r.index(r.table, a.at(0), a, line)
	case "references", "belongs_to":
		for _, c := range a.list {
			if c := rubyText(c); c != "" {
				r.reference(r.table, c, a, line)
			}
		}
	case "column":
		r.column(r.table, rubyText(a.at(0)), rubyText(a.at(1)), a, line)
	case "remove":
		r.columns("remove_columns", r.table, a, line)
	case "rename":
		r.columns("rename_column", r.table, a, line)
	case "change":
		r.columns("change_column", r.table, a, line)
	case "change_null":
		r.columns("change_column_null", r.table, a, line)
	case "remove_index":
		r.removeIndex(r.table, rubyArgs{append([]string{""}, a.list...), a.by}, line)
	default:
		for _, c := range a.list {
			r.column(r.table, rubyText(c), name, a, line)
		}
	}
}

// rubyType is the type of PostgreSQL for Rails' name of one.
func rubyType(name string, a rubyArgs) string {
	typ := rubyTypes[name]
	if limit := a.by["limit"]; name == "integer" && limit != "" {
		switch {
		case limit == "8":
			typ = "bigint"
		case limit == "2" || limit == "1":
			typ = "smallint"
		}
	} else if name == "string" && limit != "" {
		typ = "varchar(" + limit + ")"
	}
	if typ != "" && a.by["array"] == "true" {
		typ += "[]"
	}
	return typ
}

func (r *railsMigration) column(table, col, kind string, a rubyArgs, line int) {
	typ := rubyType(kind, a)
	if typ == "" || col == "" {
		return
	}
	sql := "ALTER TABLE " + quoteTable(table) + " ADD COLUMN " + quoteIdent(col) + " " + typ
	if def := a.by["default"]; def != "" && def != "nil" {
		sql += " DEFAULT " + rubyDefault(def)
	}
	if a.by["null"] == "false" {
		sql += " NOT NULL"
	}
	r.add(line, sql)
	if ix := a.by["index"]; ix != "" && ix != "false" {
		r.index(table, ":"+col, rubyArgs{by: rubyHash(ix)}, line)
	}
}

// rubyDefault writes a default; a lambda holds SQL that is asked for each row.
func rubyDefault(def string) string {
	if rest, ok := strings.CutPrefix(def, "->"); ok {
		if s := rubyText(strings.Trim(strings.TrimSpace(rest), "{} ")); s != "" {
			return "(" + s + ")"
		}
	}
	switch {
	case rubyText(def) != "":
		return "'" + strings.ReplaceAll(rubyText(def), "'", "''") + "'"
	case def == "true", def == "false", def[0] >= '0' && def[0] <= '9':
		return strings.TrimRight(def, ".")
	}
	return "''"
}

// rubyHash reads { a: b }.
func rubyHash(s string) map[string]string {
	out := map[string]string{}
	for _, part := range splitTop(strings.Trim(strings.TrimSpace(s), "{}")) {
		if k := rubyKeyArg.FindStringSubmatch(strings.TrimSpace(part)); k != nil {
			out[k[1]] = strings.TrimSpace(k[2])
		}
	}
	return out
}

// reference writes add_reference: the column, its index unless that is refused, and
// the constraint when it is asked for.
func (r *railsMigration) reference(table, name string, a rubyArgs, line int) {
	typ := rubyTypes[rubyText(a.by["type"])]
	if typ == "" {
		typ = "bigint"
	}
	col := name + "_id"
	null := ""
	if a.by["null"] == "false" {
		null = " NOT NULL"
	}
	head := "ALTER TABLE " + quoteTable(table) + " ADD "
	r.add(line, head+"COLUMN "+quoteIdent(col)+" "+typ+null)
	cols := ":" + col
	if p := a.by["polymorphic"]; p != "" && p != "false" {
		r.add(line, head+"COLUMN "+quoteIdent(name+"_type")+" varchar"+null)
		cols = "[:" + name + "_type, :" + col + "]"
	}
	if ix := a.by["index"]; ix != "false" {
		r.index(table, cols, rubyArgs{by: rubyHash(ix)}, line)
	}
	fk := a.by["foreign_key"]
	if fk == "" || fk == "false" {
		return
	}
	opts := rubyHash(fk)
	to := rubyText(opts["to_table"])
	if to == "" {
		to = plural(name)
	}
	drop := map[string]string{"cascade": " ON DELETE CASCADE", "nullify": " ON DELETE SET NULL", "restrict": " ON DELETE RESTRICT"}[rubyText(opts["on_delete"])]
	r.add(line, head+"FOREIGN KEY ("+quoteIdent(col)+") REFERENCES "+quoteTable(to)+" (id)"+drop+rubyUnchecked(fk))
}

// index writes add_index.
func (r *railsMigration) index(table, list string, a rubyArgs, line int) {
	cols := rubyList(list)
	if len(cols) == 0 {
		return
	}
	for i, c := range cols {
		if singleName(c) {
			cols[i] = quoteIdent(c)
		}
	}
	name := rubyText(a.by["name"])
	if name == "" {
		name = "index_" + table + "_on_" + strings.Join(rubyList(list), "_and_")
	}
	sql := "CREATE "
	if a.by["unique"] == "true" {
		sql += "UNIQUE "
	}
	sql += "INDEX "
	if rubyText(a.by["algorithm"]) == "concurrently" {
		sql += "CONCURRENTLY "
	}
	if a.by["if_not_exists"] == "true" {
		sql += "IF NOT EXISTS "
	}
	sql += quoteIdent(name) + " ON " + quoteTable(table)
	if m := rubyText(a.by["using"]); m != "" {
		sql += " USING " + m
	}
	sql += " (" + strings.Join(cols, ", ") + ")"
	if w := rubyText(a.by["where"]); w != "" {
		sql += " WHERE " + w
	}
	r.add(line, sql)
}

func (r *railsMigration) removeIndex(table string, a rubyArgs, line int) {
	cols := rubyList(a.at(1))
	if len(cols) == 0 {
		cols = rubyList(a.by["column"])
	}
	name := rubyText(a.by["name"])
	if name == "" {
		name = "index_" + table + "_on_" + strings.Join(cols, "_and_")
	}
	how := ""
	if rubyText(a.by["algorithm"]) == "concurrently" {
		how = "CONCURRENTLY "
	}
	r.add(line, "DROP INDEX "+how+quoteIdent(name))
}

// execute reads SQL that is sent as it is.
func (r *railsMigration) execute(l rubyLine, a rubyArgs) {
	text, line := l.doc, l.docAt
	if text == "" {
		if text = rubyText(a.at(0)); text == "" || strings.Contains(text, "#{") || len(a.list) != 1 {
			return
		}
		line = l.line
	}
	if strings.Contains(text, "#{") {
		return
	}
	for _, st := range stepsIn(text, line, false) {
		if r.assured {
			st.text = "/* safety_assured */ " + st.source()
		}
		r.f.steps = append(r.f.steps, st)
	}
}

// rubyPrimary is the key that create_table makes.
func rubyPrimary(a rubyArgs) string {
	id := a.by["id"]
	name := rubyText(a.by["primary_key"])
	if name == "" {
		name = "id"
	}
	switch {
	case id == "false" || strings.HasPrefix(a.by["primary_key"], "["):
		return ""
	case rubyTypes[rubyText(id)] != "":
		return quoteIdent(name) + " " + rubyTypes[rubyText(id)] + " PRIMARY KEY"
	}
	return quoteIdent(name) + " bigserial PRIMARY KEY"
}
