package read

import (
	"path"
	"strings"
)

// DjangoMigrations reads what the migrations of Django do to tables.
var DjangoMigrations = add(Reader{
	Name:  "django-migrations",
	Doc:   schemaDoc("Django migrations", "migrations/*.py: CreateModel, DeleteModel, RenameModel, AlterModelTable, AddField, RemoveField, RenameField, AlterField, AddIndex, AddIndexConcurrently, RemoveIndex, AddConstraint, AlterUniqueTogether, AlterIndexTogether, RunSQL and SeparateDatabaseAndState, in the order of their dependencies, with atomic = False; the indexes that Django makes for foreign keys, unique and db_index.", "RunPython, fields of other packages, and expressions that are not plain."),
	Wants: func(p string) bool { return path.Ext(p) == ".py" && path.Base(path.Dir(p)) == "migrations" },
	Read: func(f File, d *Draft) error {
		if !strings.Contains(string(f.Data), "operations") {
			return nil
		}
		p := newProgram(f, "python")
		if p.test {
			return nil
		}
		p.toks = codeTokens(p.src, pythonStyle)
		r := &pyReader{program: p, names: map[string]string{}}
		r.statements()
		r.djangoMigration(d)
		return nil
	},
})

// djangoOp is one operation of a migration.
type djangoOp struct {
	kind     string
	app      string
	line     int
	model    string
	name     string
	to       string
	table    string
	fields   []djangoField
	columns  []string
	sets     [][]string // unique_together, index_together
	unique   bool
	where    string
	method   string
	sql      string
	stateful bool // changes what Django thinks, not the database
	database bool // changes the database, not what Django thinks
	virtual  bool // a model without a table of its own
}

// djangoField is one field of a model.
type djangoField struct {
	name    string
	column  string
	class   string
	typ     string
	to      string // "app.model" in lower case
	null    bool
	unique  bool
	index   bool
	primary bool
	def     bool
	lasting bool // the database itself has the default
	noKey   bool // db_constraint=False
	through bool
	remove  string // on_delete
	line    int
}

func (r *pyReader) djangoMigration(d *Draft) {
	app := path.Base(path.Dir(path.Dir(r.path)))
	name := strings.TrimSuffix(path.Base(r.path), ".py")
	f := &sqlFile{path: r.path, runner: "django", tx: txWhole, id: app + "." + name}
	for _, st := range r.stmts {
		head, eq := r.tok(st.lo), st.lo+1
		if r.tok(eq).is("+=") || r.tok(eq).is("+") && r.tok(eq+1).is("=") {
			eq++
		}
		if !r.tok(eq).is("=") && !r.tok(eq).is("+=") {
			continue
		}
		v := span{eq + 1, st.hi}
		switch {
		case head.is("atomic") && r.tok(v.lo).is("False"):
			f.tx = txNone
		case head.is("dependencies"):
			f.parents = r.pairs(v)
		case head.is("replaces"):
			f.replaces = r.pairs(v)
		case head.is("operations"):
			r.djangoOps(f, v, app, false, false)
		}
	}
	if len(f.ops) > 0 || len(f.replaces) > 0 || len(f.parents) > 0 {
		d.sqlFiles = append(d.sqlFiles, f)
	}
}

// pairs reads [('app', 'name'), …] as app.name.
func (r *pyReader) pairs(v span) []string {
	var out []string
	for i := v.lo; i+3 < v.hi; i++ {
		if r.tok(i).is("(") && r.tok(i+1).kind == jsString && r.tok(i+2).is(",") && r.tok(i+3).kind == jsString {
			out = append(out, r.tok(i+1).text+"."+r.tok(i+3).text)
		}
	}
	return out
}

// djangoOps reads a list of operations.
func (r *pyReader) djangoOps(f *sqlFile, list span, app string, stateful, database bool) {
	if !r.tok(list.lo).is("[") {
		return
	}
	for _, e := range r.split(r.inside(list.lo), ",") {
		kind, open := r.called(e)
		if open < 0 {
			continue
		}
		if kind == "SeparateDatabaseAndState" && (stateful || database) {
			continue
		}
		if kind == "SeparateDatabaseAndState" {
			r.djangoOps(f, r.keyword(open, "database_operations"), app, false, true)
			r.djangoOps(f, r.keyword(open, "state_operations"), app, true, false)
			continue
		}
		op := djangoOp{kind: kind, app: app, line: r.tok(e.lo).line, stateful: stateful, database: database}
		if r.djangoOp(&op, open) {
			f.ops = append(f.ops, op)
		}
	}
}

// called returns the last name of a call and its bracket, -1 for no call.
func (r *pyReader) called(s span) (string, int) {
	i := s.lo
	for r.tok(i).kind == jsIdent && r.tok(i+1).is(".") && i < s.hi {
		i += 2
	}
	if r.tok(i).kind != jsIdent || !r.tok(i+1).is("(") || i+1 >= s.hi {
		return "", -1
	}
	return r.tok(i).text, i + 1
}

// argument is the keyword of that name, else the nth argument without one.
func (r *pyReader) argument(open int, name string, n int) span {
	if v := r.keyword(open, name); !v.empty() {
		return v
	}
	args := r.args(open)
	if n >= 0 && n < len(args) && !(r.tok(args[n].lo).kind == jsIdent && r.tok(args[n].lo+1).is("=")) {
		return args[n]
	}
	return span{}
}

// word is a literal argument, "" for anything else.
func (r *pyReader) word(open int, name string, n int) string {
	v := r.argument(open, name, n)
	if v.empty() || r.tok(v.lo).kind != jsString {
		return ""
	}
	s, _, _ := r.literal(v)
	return s
}

// words are the texts of a list or tuple.
func (r *pyReader) words(v span) []string {
	var out []string
	if !r.tok(v.lo).is("[") && !r.tok(v.lo).is("(") && !r.tok(v.lo).is("{") {
		return nil
	}
	for _, e := range r.split(r.inside(v.lo), ",") {
		if r.tok(e.lo).kind == jsString {
			out = append(out, r.tok(e.lo).text)
		}
	}
	return out
}

func (r *pyReader) yes(open int, name string) bool {
	return r.tok(r.keyword(open, name).lo).is("True") && !r.keyword(open, name).empty()
}

// djangoOp reads the arguments of one operation.
func (r *pyReader) djangoOp(op *djangoOp, open int) bool {
	switch op.kind {
	case "CreateModel":
		op.model = r.word(open, "name", 0)
		for _, e := range r.split(r.inside(r.argument(open, "fields", 1).lo), ",") {
			if pair := r.split(r.inside(e.lo), ","); r.tok(e.lo).is("(") && len(pair) >= 2 && r.tok(pair[0].lo).kind == jsString {
				if fd, ok := r.djangoField(op.app, r.tok(pair[0].lo).text, pair[1]); ok {
					op.fields = append(op.fields, fd)
				}
			}
		}
		r.djangoOptions(op, r.argument(open, "options", 2))
	case "DeleteModel":
		op.model = r.word(open, "name", 0)
	case "RenameModel":
		op.model, op.to = r.word(open, "old_name", 0), r.word(open, "new_name", 1)
	case "AlterModelTable":
		op.model, op.table = r.word(open, "name", 0), r.word(open, "table", 1)
	case "AddField", "AlterField":
		op.model, op.name = r.word(open, "model_name", 0), r.word(open, "name", 1)
		fd, ok := r.djangoField(op.app, op.name, r.argument(open, "field", 2))
		op.fields = []djangoField{fd}
		return ok
	case "RemoveField":
		op.model, op.name = r.word(open, "model_name", 0), r.word(open, "name", 1)
	case "RenameField":
		op.model, op.name, op.to = r.word(open, "model_name", 0), r.word(open, "old_name", 1), r.word(open, "new_name", 2)
	case "AddIndex", "AddIndexConcurrently":
		op.model = r.word(open, "model_name", 0)
		return r.djangoIndex(op, r.argument(open, "index", 1))
	case "AddConstraint", "AddConstraintNotValid":
		op.model = r.word(open, "model_name", 0)
		return r.djangoConstraint(op, r.argument(open, "constraint", 1))
	case "RemoveIndex", "RemoveIndexConcurrently", "RemoveConstraint", "ValidateConstraint":
		op.model, op.name = r.word(open, "model_name", 0), r.word(open, "name", 1)
	case "AlterUniqueTogether", "AlterIndexTogether":
		op.model, op.unique = r.word(open, "name", 0), op.kind == "AlterUniqueTogether"
		op.sets = r.wordSets(r.argument(open, "unique_together", 1))
		if !op.unique {
			op.sets = r.wordSets(r.argument(open, "index_together", 1))
		}
	case "RunSQL":
		text, line, ok := r.literal(r.argument(open, "sql", 0))
		op.sql = text
		if ok {
			op.line = line
		}
		return ok
	default:
		return false
	}
	return op.model != ""
}

// wordSets reads {("a", "b"), …}, set() and a single tuple.
func (r *pyReader) wordSets(v span) [][]string {
	var out [][]string
	if v.empty() {
		return nil
	}
	if one := r.words(v); len(one) > 0 {
		return [][]string{one}
	}
	if !r.tok(v.lo).is("{") && !r.tok(v.lo).is("[") && !r.tok(v.lo).is("(") {
		return nil
	}
	for _, e := range r.split(r.inside(v.lo), ",") {
		if set := r.words(e); len(set) > 0 {
			out = append(out, set)
		}
	}
	return out
}

// djangoOptions reads what a model is told about its table.
func (r *pyReader) djangoOptions(op *djangoOp, v span) {
	if v.empty() || !r.tok(v.lo).is("{") {
		return
	}
	for _, e := range r.split(r.inside(v.lo), ",") {
		if r.tok(e.lo).kind != jsString || !r.tok(e.lo+1).is(":") {
			continue
		}
		val := span{e.lo + 2, e.hi}
		switch r.tok(e.lo).text {
		case "db_table":
			op.table = strings.Trim(r.tok(val.lo).text, `"`)
		case "abstract", "proxy":
			op.virtual = op.virtual || r.tok(val.lo).is("True")
		case "managed":
			op.virtual = op.virtual || r.tok(val.lo).is("False")
		case "unique_together":
			op.sets = append(op.sets, r.wordSets(val)...)
			op.unique = true
		}
	}
}
