package read

import (
	"path"
	"strings"
)

// AlembicMigrations reads what the migrations of Alembic and Flask-Migrate do.
var AlembicMigrations = add(Reader{
	Name:  "alembic-migrations",
	Doc:   schemaDoc("Alembic migrations", "versions/*.py: create_table, add_column, drop_column, alter_column, create_index, drop_index, create_foreign_key, create_unique_constraint, create_check_constraint, create_primary_key, drop_constraint, rename_table, drop_table, batch_alter_table and execute with plain SQL, in the order of down_revision; postgresql_concurrently, postgresql_not_valid and autocommit_block.", "downgrade, and what is computed."),
	Wants: func(p string) bool { return path.Ext(p) == ".py" && path.Base(path.Dir(p)) == "versions" },
	Read: func(f File, d *Draft) error {
		if !strings.Contains(string(f.Data), "revision") || !strings.Contains(string(f.Data), "op.") {
			return nil
		}
		p := newProgram(f, "python")
		if p.test {
			return nil
		}
		p.toks = codeTokens(p.src, pythonStyle)
		r := &alembicReader{pyReader: &pyReader{program: p, names: map[string]string{}}}
		r.statements()
		r.f = &sqlFile{path: f.Path, runner: "alembic", tx: txWhole}
		r.revision()
		if r.f.id == "" {
			return nil
		}
		for i := range r.toks {
			r.call(i)
		}
		d.sqlFiles = append(d.sqlFiles, r.f)
		return nil
	},
})

// alembicReader is one migration while its calls are read.
type alembicReader struct {
	*pyReader
	f *sqlFile
}

func (r *alembicReader) revision() {
	home := path.Dir(r.path)
	for _, st := range r.stmts {
		if st.fn >= 0 {
			continue
		}
		eq := st.lo + 1
		for eq < st.hi && !r.tok(eq).is("=") {
			eq = r.next(eq)
		}
		switch head := r.tok(st.lo); {
		case head.is("revision") && r.tok(eq+1).kind == jsString:
			r.f.id = home + ":" + r.tok(eq+1).text
		case head.is("down_revision"), head.is("depends_on"):
			for i := eq + 1; i < st.hi; i++ {
				if r.tok(i).kind == jsString {
					r.f.parents = append(r.f.parents, home+":"+r.tok(i).text)
				}
			}
		}
	}
}

// place says how the statement of a token runs: not at all on the way back, and
// outside of the transaction in an autocommit_block. table is that of a
// batch_alter_table around it.
func (r *alembicReader) place(i int, receiver string) (tx stepTx, table string, ok bool) {
	st := r.stmts[r.stmtOf[i]]
	if st.fn >= 0 && strings.Contains(r.source(span{r.stmts[st.fn].lo, min(r.stmts[st.fn].lo+3, len(r.toks))}), "downgrade") {
		return 0, "", false
	}
	for p := st.parent; p >= 0; p = r.stmts[p].parent {
		head := r.stmts[p]
		text := r.source(head.span)
		if strings.Contains(text, "autocommit_block") {
			tx = txOutside
		}
		if receiver != "op" && strings.Contains(text, "batch_alter_table") && strings.Contains(text, receiver) {
			for k := head.lo; k < head.hi; k++ {
				if r.tok(k).is("batch_alter_table") && r.tok(k+1).is("(") {
					table = r.word(k+1, "table_name", 0)
				}
			}
		}
	}
	return tx, table, receiver == "op" || table != ""
}

func (r *alembicReader) call(i int) {
	if r.tok(i).kind != jsIdent || !r.tok(i-1).is(".") || !r.tok(i+1).is("(") || r.tok(i-2).kind != jsIdent || r.tok(i-3).is(".") {
		return
	}
	name, receiver := r.tok(i).text, r.tok(i-2).text
	if receiver != "op" && !strings.Contains(receiver, "batch") {
		return
	}
	tx, table, ok := r.place(i, receiver)
	if !ok {
		return
	}
	before := len(r.f.steps)
	r.operation(name, table, i+1, r.tok(i).line)
	for k := before; k < len(r.f.steps); k++ {
		r.f.steps[k].tx = tx
	}
}

func (r *alembicReader) add(line int, sql string) { r.f.steps = append(r.f.steps, stepOf(line, sql)) }

// operation writes one call; in a batch the table is given and no argument.
func (r *alembicReader) operation(name, table string, open, line int) {
	n := 0 // arguments before the table's
	switch name {
	case "create_index", "create_unique_constraint", "create_check_constraint", "create_foreign_key", "create_primary_key", "drop_constraint", "drop_index":
		n = 1
	case "execute":
		r.execute(open, line)
		return
	case "batch_alter_table", "f", "get_bind", "get_context", "inline_literal":
		return
	}
	label := r.label(open, n-1)
	next := n
	if table == "" {
		table = r.word(open, map[string]string{"create_foreign_key": "source_table", "rename_table": "old_table_name"}[name], n)
		if table == "" {
			table = r.word(open, "table_name", n)
		}
		next++
	}
	if s := r.word(open, "schema", -1); s != "" && table != "" {
		table = s + "." + table
	}
	if table == "" && name != "drop_index" {
		return
	}
	alter := "ALTER TABLE " + quoteTable(table) + " "
	switch name {
	case "create_table":
		r.table(table, open, line)
	case "drop_table":
		r.add(line, "DROP TABLE "+quoteTable(table))
	case "rename_table":
		r.add(line, alter+"RENAME TO "+quoteIdent(r.word(open, "new_table_name", 1)))
	case "add_column":
		v := r.argument(open, "column", next)
		if def, index := r.column(v); def != "" {
			r.add(line, alter+"ADD COLUMN "+def)
			if index != "" {
				r.add(line, "CREATE INDEX ON "+quoteTable(table)+" ("+index+")")
			}
		}
	case "drop_column":
		r.add(line, alter+"DROP COLUMN "+quoteIdent(r.word(open, "column_name", next)))
	case "alter_column":
		r.alter(alter, open, next, line)
	case "drop_constraint":
		r.add(line, alter+"DROP CONSTRAINT "+quoteIdent(label))
	case "drop_index":
		r.add(line, "DROP INDEX "+r.concurrent(open)+quoteIdent(label))
	default:
		r.constraint(name, table, label, open, next, line)
	}
}

func (r *alembicReader) concurrent(open int) string {
	if r.yes(open, "postgresql_concurrently") {
		return "CONCURRENTLY "
	}
	return ""
}

// label is a name, also in op.f('name'); "" for None.
func (r *alembicReader) label(open, n int) string {
	v := r.argument(open, "index_name", n)
	if v.empty() {
		v = r.argument(open, "constraint_name", n)
	}
	if _, f := r.called(v); f >= 0 {
		return r.word(f, "", 0)
	}
	if r.tok(v.lo).kind == jsString {
		return r.tok(v.lo).text
	}
	return ""
}

// constraint writes indexes, keys and checks.
func (r *alembicReader) constraint(name, table, label string, open, next, line int) {
	add := "ALTER TABLE " + quoteTable(table) + " ADD "
	if label != "" {
		add += "CONSTRAINT " + quoteIdent(label) + " "
	}
	unchecked := ""
	if r.yes(open, "postgresql_not_valid") {
		unchecked = " NOT VALID"
	}
	cols := r.words(r.argument(open, "columns", next))
	switch name {
	case "create_index":
		r.index(table, label, open, next, line)
	case "create_unique_constraint":
		if len(cols) > 0 {
			r.add(line, add+"UNIQUE ("+quoteList(cols)+")")
		}
	case "create_primary_key":
		if len(cols) > 0 {
			r.add(line, add+"PRIMARY KEY ("+quoteList(cols)+")")
		}
	case "create_check_constraint":
		r.add(line, add+"CHECK (true)"+unchecked)
	case "create_foreign_key":
		to := r.word(open, "referent_table", next)
		own, theirs := r.words(r.argument(open, "local_cols", next+1)), r.words(r.argument(open, "remote_cols", next+2))
		if to == "" || len(own) == 0 || len(theirs) == 0 {
			return
		}
		r.add(line, add+"FOREIGN KEY ("+quoteList(own)+") REFERENCES "+quoteTable(to)+" ("+quoteList(theirs)+")"+onDelete(r.word(open, "ondelete", -1))+unchecked)
	}
}

func onDelete(how string) string {
	switch how = strings.ToUpper(how); how {
	case "CASCADE", "SET NULL", "RESTRICT", "NO ACTION", "SET DEFAULT":
		return " ON DELETE " + how
	}
	return ""
}

func (r *alembicReader) index(table, label string, open, next, line int) {
	v := r.argument(open, "columns", next)
	if !r.tok(v.lo).is("[") {
		return
	}
	var cols []string
	for _, e := range r.split(r.inside(v.lo), ",") {
		if r.tok(e.lo).kind == jsString {
			cols = append(cols, quoteIdent(r.tok(e.lo).text))
			continue
		}
		if _, call := r.called(e); call >= 0 { // sa.text('lower(email)'), sa.literal_column('x DESC')
			if s := r.word(call, "", 0); s != "" {
				cols = append(cols, s)
			}
		}
	}
	if len(cols) == 0 {
		return
	}
	sql := "CREATE "
	if r.yes(open, "unique") {
		sql += "UNIQUE "
	}
	sql += "INDEX " + r.concurrent(open)
	if r.yes(open, "if_not_exists") {
		sql += "IF NOT EXISTS "
	}
	if label != "" {
		sql += quoteIdent(label) + " "
	}
	sql += "ON " + quoteTable(table)
	if m := r.word(open, "postgresql_using", -1); m != "" {
		sql += " USING " + m
	}
	sql += " (" + strings.Join(cols, ", ") + ")"
	if w := r.keyword(open, "postgresql_where"); !w.empty() {
		text, _, _ := r.literal(w)
		if _, call := r.called(w); call >= 0 && text == "" {
			text = r.word(call, "", 0)
		}
		if text == "" {
			text = "true"
		}
		sql += " WHERE " + text
	}
	r.add(line, sql)
}

// alter writes alter_column: each of its arguments is a change.
func (r *alembicReader) alter(alter string, open, next, line int) {
	name := r.word(open, "column_name", next)
	if name == "" {
		return
	}
	col := alter + "ALTER COLUMN " + quoteIdent(name) + " "
	if v := r.keyword(open, "type_"); !v.empty() {
		if typ := r.typeOf(v); typ != "" {
			r.add(line, col+"TYPE "+typ)
		}
	}
	switch v := r.keyword(open, "nullable"); {
	case v.empty():
	case r.tok(v.lo).is("False"):
		r.add(line, col+"SET NOT NULL")
	case r.tok(v.lo).is("True"):
		r.add(line, col+"DROP NOT NULL")
	}
	if v := r.keyword(open, "server_default"); !v.empty() {
		if r.tok(v.lo).is("None") {
			r.add(line, col+"DROP DEFAULT")
		} else {
			r.add(line, col+"SET DEFAULT ''")
		}
	}
	if to := r.word(open, "new_column_name", -1); to != "" {
		r.add(line, alter+"RENAME COLUMN "+quoteIdent(name)+" TO "+quoteIdent(to))
	}
}

// execute reads op.execute('…') and op.execute(sa.text('…')).
func (r *alembicReader) execute(open, line int) {
	v := r.argument(open, "sqltext", 0)
	if name, call := r.called(v); call >= 0 && (name == "text" || name == "DDL") {
		v = r.argument(call, "text", 0)
	}
	text, at, ok := r.literal(v)
	if !ok || r.tok(v.lo).kind == jsTemplate {
		return
	}
	r.f.steps = append(r.f.steps, stepsIn(text, at, false)...)
}
