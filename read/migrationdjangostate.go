package read

import (
	"slices"
	"strings"
)

// djangoModel is a model while migrations change it.
type djangoModel struct {
	app     string
	name    string
	table   string
	fields  map[string]djangoField
	key     string // name of the primary key's field
	virtual bool
}

func (m *djangoModel) column(field string) string {
	field = strings.TrimPrefix(field, "-")
	if f, ok := m.fields[field]; ok {
		return f.column
	}
	return field
}

func (m *djangoModel) columns(fields []string) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = m.column(f)
		if singleName(out[i]) {
			out[i] = quoteIdent(out[i])
		}
	}
	return out
}

// djangoWriter writes the SQL of one migration.
type djangoWriter struct {
	s   *schema
	out []sqlStep
}

func (w *djangoWriter) add(line int, sql string) { w.out = append(w.out, stepOf(line, sql)) }

// django changes the models as a migration does and returns what it sends.
func (s *schema) django(f *sqlFile) []sqlStep {
	w := &djangoWriter{s: s}
	for i := range f.ops {
		op := &f.ops[i]
		before := len(w.out)
		w.op(op)
		if op.stateful { // Django's own picture changes, the database does not
			w.out = w.out[:before]
		}
	}
	return w.out
}

// model finds a model of an app.
func (s *schema) model(app, name string) *djangoModel {
	return s.models[strings.ToLower(app+"."+name)]
}

func (w *djangoWriter) op(op *djangoOp) {
	if op.kind == "RunSQL" {
		w.out = append(w.out, stepsIn(op.sql, op.line, false)...)
		return
	}
	if op.kind == "CreateModel" {
		w.create(op)
		return
	}
	m := w.s.model(op.app, op.model)
	if m == nil || m.virtual {
		return
	}
	if op.database { // the models stay as they are
		c := *m
		c.fields = map[string]djangoField{}
		for k, v := range m.fields {
			c.fields[k] = v
		}
		m = &c
	}
	alter := "ALTER TABLE " + quoteTable(m.table) + " "
	switch op.kind {
	case "DeleteModel":
		w.add(op.line, "DROP TABLE "+quoteTable(m.table))
		delete(w.s.models, strings.ToLower(m.app+"."+m.name))
	case "RenameModel":
		w.renameModel(m, op)
	case "AlterModelTable":
		to := op.table
		if to == "" {
			to = strings.ToLower(m.app + "_" + m.name)
		}
		if to != m.table {
			w.add(op.line, alter+"RENAME TO "+quoteIdent(to))
			m.table = to
		}
	case "AddField":
		w.addField(m, op)
	case "RemoveField":
		if f, ok := m.fields[op.name]; ok {
			if f.class == "ManyToManyField" {
				w.add(op.line, "DROP TABLE "+quoteTable(m.table+"_"+f.name))
			} else {
				w.add(op.line, alter+"DROP COLUMN "+quoteIdent(f.column))
			}
			delete(m.fields, op.name)
		}
	case "RenameField":
		w.renameField(m, op)
	case "AlterField":
		w.alterField(m, op)
	default:
		w.index(m, op)
	}
}

// index are the operations on indexes and constraints.
func (w *djangoWriter) index(m *djangoModel, op *djangoOp) {
	alter := "ALTER TABLE " + quoteTable(m.table) + " "
	switch op.kind {
	case "AddIndex":
		w.addIndex(m, op, "")
	case "AddIndexConcurrently":
		w.addIndex(m, op, "CONCURRENTLY ")
	case "RemoveIndex":
		w.add(op.line, "DROP INDEX IF EXISTS "+quoteIdent(op.name))
	case "RemoveIndexConcurrently":
		w.add(op.line, "DROP INDEX CONCURRENTLY IF EXISTS "+quoteIdent(op.name))
	case "RemoveConstraint":
		w.add(op.line, alter+"DROP CONSTRAINT "+quoteIdent(op.name))
		w.add(op.line, "DROP INDEX IF EXISTS "+quoteIdent(op.name)) // one with a condition is an index
	case "ValidateConstraint":
		w.add(op.line, alter+"VALIDATE CONSTRAINT "+quoteIdent(op.name))
	case "AddConstraint", "AddConstraintNotValid":
		switch {
		case op.sql == "CHECK":
			not := ""
			if op.kind == "AddConstraintNotValid" {
				not = " NOT VALID"
			}
			w.add(op.line, alter+"ADD CONSTRAINT "+quoteIdent(op.name)+" CHECK (true)"+not)
		case op.where != "" || slices.ContainsFunc(op.columns, func(c string) bool { return !singleName(m.column(c)) }):
			w.addIndex(m, op, "")
		default:
			w.add(op.line, alter+"ADD CONSTRAINT "+quoteIdent(op.name)+" UNIQUE ("+strings.Join(m.columns(op.columns), ", ")+")")
		}
	case "AlterUniqueTogether", "AlterIndexTogether":
		w.together(m, op)
	}
}

func (w *djangoWriter) together(m *djangoModel, op *djangoOp) {
	t := w.s.table(m.table)
	for _, set := range op.sets {
		cols := make([]string, len(set))
		for i, f := range set {
			cols[i] = m.column(f)
		}
		if t != nil {
			known := false
			for _, ix := range t.Indexes {
				known = known || ix.Unique == op.unique && slices.Equal(ix.Columns, cols)
			}
			if known {
				continue
			}
		}
		if op.unique {
			w.add(op.line, "ALTER TABLE "+quoteTable(m.table)+" ADD UNIQUE ("+quoteList(cols)+")")
		} else {
			w.add(op.line, "CREATE INDEX ON "+quoteTable(m.table)+" ("+quoteList(cols)+")")
		}
	}
}

func (w *djangoWriter) addIndex(m *djangoModel, op *djangoOp, how string) {
	sql := "CREATE INDEX "
	if op.unique {
		sql = "CREATE UNIQUE INDEX "
	}
	sql += how
	if op.name != "" {
		sql += quoteIdent(op.name) + " "
	}
	sql += "ON " + quoteTable(m.table)
	if op.method != "" {
		sql += " USING " + op.method
	}
	sql += " (" + strings.Join(m.columns(op.columns), ", ") + ")"
	if op.where != "" {
		sql += " WHERE " + op.where
	}
	w.add(op.line, sql)
}

func (w *djangoWriter) create(op *djangoOp) {
	m := &djangoModel{app: op.app, name: op.model, table: op.table, fields: map[string]djangoField{}, virtual: op.virtual}
	if m.table == "" {
		m.table = strings.ToLower(op.app + "_" + op.model)
	}
	for _, f := range op.fields {
		m.fields[f.name] = f
		if f.primary {
			m.key = f.name
		}
	}
	if !op.database {
		w.s.models[strings.ToLower(op.app+"."+op.model)] = m
	}
	if m.virtual {
		return
	}
	w.add(op.line, "CREATE TABLE "+quoteTable(m.table)+" ()")
	for _, f := range op.fields {
		w.column(m, f)
	}
	w.together(m, op)
}

// column writes one field as a column, with what Django adds to it.
func (w *djangoWriter) column(m *djangoModel, f djangoField) {
	if f.class == "ManyToManyField" {
		w.joinTable(m, f)
		return
	}
	sql := "ALTER TABLE " + quoteTable(m.table) + " ADD COLUMN " + quoteIdent(f.column) + " " + w.typeOf(m, f)
	switch {
	case strings.HasSuffix(f.class, "AutoField"):
		sql += " GENERATED BY DEFAULT AS IDENTITY"
	case f.def || f.lasting:
		sql += " DEFAULT ''"
	}
	if !f.null && !f.primary {
		sql += " NOT NULL"
	}
	if f.primary {
		sql += " PRIMARY KEY"
	} else if f.unique {
		sql += " UNIQUE"
	}
	if ref := w.target(m, f); ref != nil && !f.noKey {
		sql += " REFERENCES " + quoteTable(ref.table) + " (" + quoteIdent(ref.column(ref.key)) + ")"
		if f.remove == "CASCADE" || f.remove == "SET_NULL" {
			sql += " ON DELETE NO ACTION" // Django deletes children itself
		}
	}
	w.add(f.line, sql)
	if f.def && !f.lasting {
		w.add(f.line, "ALTER TABLE "+quoteTable(m.table)+" ALTER COLUMN "+quoteIdent(f.column)+" DROP DEFAULT")
	}
	if f.index && !f.unique && !f.primary {
		w.add(f.line, "CREATE INDEX ON "+quoteTable(m.table)+" ("+quoteIdent(f.column)+")")
	}
}

// target is the model that a relation points at, nil for one that is not here.
func (w *djangoWriter) target(m *djangoModel, f djangoField) *djangoModel {
	if f.class != "ForeignKey" && f.class != "OneToOneField" && f.class != "ManyToManyField" {
		return nil
	}
	switch f.to {
	case "":
		return m
	case "settings.user":
		var found *djangoModel
		for _, k := range sortedKeys(w.s.models) {
			if v := w.s.models[k]; strings.EqualFold(v.name, "user") && !v.virtual {
				found = v
			}
		}
		return found
	}
	return w.s.models[f.to]
}

func (w *djangoWriter) typeOf(m *djangoModel, f djangoField) string {
	ref := w.target(m, f)
	if ref == nil || ref.key == "" {
		return f.typ
	}
	return ref.fields[ref.key].typ
}

// joinTable makes the table behind a ManyToManyField.
func (w *djangoWriter) joinTable(m *djangoModel, f djangoField) {
	ref := w.target(m, f)
	if f.through || ref == nil {
		return
	}
	table := m.table + "_" + f.name
	own, other := strings.ToLower(m.name)+"_id", strings.ToLower(ref.name)+"_id"
	if own == other {
		own, other = "from_"+own, "to_"+other
	}
	w.add(f.line, "CREATE TABLE "+quoteTable(table)+" (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, "+
		quoteIdent(own)+" "+w.typeOf(m, djangoField{class: "ForeignKey", typ: "bigint"})+" NOT NULL REFERENCES "+quoteTable(m.table)+" ("+quoteIdent(m.column(m.key))+"), "+
		quoteIdent(other)+" "+w.typeOf(m, f)+" NOT NULL REFERENCES "+quoteTable(ref.table)+" ("+quoteIdent(ref.column(ref.key))+"), UNIQUE ("+quoteList([]string{own, other})+"))")
	w.add(f.line, "CREATE INDEX ON "+quoteTable(table)+" ("+quoteIdent(own)+")")
	w.add(f.line, "CREATE INDEX ON "+quoteTable(table)+" ("+quoteIdent(other)+")")
}

func (w *djangoWriter) addField(m *djangoModel, op *djangoOp) {
	f := op.fields[0]
	f.line = op.line
	w.column(m, f)
	m.fields[f.name] = f
}

func (w *djangoWriter) renameModel(m *djangoModel, op *djangoOp) {
	delete(w.s.models, strings.ToLower(m.app+"."+m.name))
	if old := strings.ToLower(m.app + "_" + m.name); m.table == old {
		to := strings.ToLower(m.app + "_" + op.to)
		if to != old {
			w.add(op.line, "ALTER TABLE "+quoteTable(old)+" RENAME TO "+quoteIdent(to))
		}
		m.table = to
	}
	from := strings.ToLower(m.app + "." + m.name)
	m.name = op.to
	w.s.models[strings.ToLower(m.app+"."+op.to)] = m
	for _, other := range w.s.models {
		for k, f := range other.fields {
			if f.to == from {
				f.to = strings.ToLower(m.app + "." + op.to)
				other.fields[k] = f
			}
		}
	}
}

func (w *djangoWriter) renameField(m *djangoModel, op *djangoOp) {
	f, ok := m.fields[op.name]
	if !ok {
		return
	}
	delete(m.fields, op.name)
	if m.key == op.name {
		m.key = op.to
	}
	before, own := f.column, f.column == f.name || f.column == f.name+"_id"
	f.name = op.to
	if own {
		f.column = op.to + strings.TrimPrefix(before, op.name)
	}
	m.fields[op.to] = f
	if before != f.column && f.class != "ManyToManyField" {
		w.add(op.line, "ALTER TABLE "+quoteTable(m.table)+" RENAME COLUMN "+quoteIdent(before)+" TO "+quoteIdent(f.column))
	}
}

// alterField writes what differs between a field and its successor.
func (w *djangoWriter) alterField(m *djangoModel, op *djangoOp) {
	old, known := m.fields[op.name]
	f := op.fields[0]
	f.line = op.line
	m.fields[f.name] = f
	if f.primary {
		m.key = f.name
	}
	if !known || f.class == "ManyToManyField" || old.class == "ManyToManyField" {
		return
	}
	table := "ALTER TABLE " + quoteTable(m.table) + " "
	if old.column != f.column {
		w.add(op.line, table+"RENAME COLUMN "+quoteIdent(old.column)+" TO "+quoteIdent(f.column))
	}
	col := table + "ALTER COLUMN " + quoteIdent(f.column) + " "
	before, after := w.typeOf(m, old), w.typeOf(m, f)
	if before != after && before != "unknown" && after != "unknown" {
		w.add(op.line, col+"TYPE "+after)
	}
	if old.null && !f.null {
		w.add(op.line, col+"SET NOT NULL")
	} else if !old.null && f.null {
		w.add(op.line, col+"DROP NOT NULL")
	}
	if f.unique && !old.unique && !f.primary {
		w.add(op.line, table+"ADD UNIQUE ("+quoteIdent(f.column)+")")
	}
	indexed := func(f djangoField) bool { return f.index && !f.unique && !f.primary }
	if indexed(f) && !indexed(old) && !old.unique {
		w.add(op.line, "CREATE INDEX ON "+quoteTable(m.table)+" ("+quoteIdent(f.column)+")")
	}
	if ref := w.target(m, f); ref != nil && !f.noKey && (old.noKey || w.target(m, old) != ref) {
		w.add(op.line, table+"ADD FOREIGN KEY ("+quoteIdent(f.column)+") REFERENCES "+quoteTable(ref.table)+" ("+quoteIdent(ref.column(ref.key))+")")
	}
}
