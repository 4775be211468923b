package read

import (
	"strings"
)

// Migrations that are programs are read as far as they are plain: what they call is
// written as the SQL that the runner would send, on the lines of the calls.

// sqlLine is a piece of SQL and the line that stands for it.
type sqlLine struct {
	text string
	line int
}

// sqlOf turns pieces into one statement.
func sqlOf(parts ...sqlLine) []sqlToken {
	var out []sqlToken
	for _, p := range parts {
		for _, t := range sqlTokens(p.text) {
			t.line = p.line
			out = append(out, t)
		}
	}
	return out
}

// jsMigration collects the statements of one migration.
type jsMigration struct {
	m     *module
	out   []sqlStep
	open  bool // something in it could not be read
	knex  bool
	downs []span
}

// migration reads a module that changes a schema; nil when nothing in it is plain.
func (m *module) migration() (f *sqlFile, whole bool) {
	j := &jsMigration{m: m}
	j.down()
	runner := "program"
	for i, t := range m.toks {
		if t.kind != jsIdent || j.skipped(i) || !m.tok(i+1).is("(") || !m.tok(i-1).is(".") {
			continue
		}
		name := m.tok(i - 2).text
		switch {
		case name == "queryInterface" || name == "qi":
			runner = "sequelize"
			j.sequelize(t.text, i+1)
		case t.is("query") && (name == "queryRunner" || name == "sequelize"), t.is("raw") && (name == "knex" || name == "schema" || name == "db"), t.is("sql") && name == "pgm":
			runner = map[string]string{"queryRunner": "typeorm", "sequelize": "sequelize", "pgm": "node-pg-migrate"}[name]
			if runner == "" {
				runner = "knex"
			}
			j.raw(i + 1)
		case name == "schema" || m.tok(i-2).is(")") && knexMethods[t.text]:
			if knexMethods[t.text] {
				runner = "knex"
				j.knexCall(t.text, i+1)
			}
		case name == "queryRunner" || name == "pgm":
			j.open = j.open || schemaMethods[t.text]
		}
	}
	if len(j.out) == 0 {
		return nil, false
	}
	return &sqlFile{path: m.path, runner: runner, steps: j.out, tx: j.mode(runner), dialect: j.dialect()}, !j.open
}

var (
	knexMethods   = wordSet(`createTable createTableIfNotExists alterTable table dropTable dropTableIfExists renameTable`)
	schemaMethods = wordSet(`createTable addColumn addColumns createIndex createIndices createForeignKey dropColumn dropIndex dropTable
		createIndex addIndex addConstraint alterColumn renameColumn renameTable dropConstraint`)
)

// down finds what takes the migration back.
func (j *jsMigration) down() {
	m := j.m
	for i, t := range m.toks {
		if !t.is("down") {
			continue
		}
		end := i
		switch next := m.tok(i + 1); {
		case next.is(":"):
			for end = i + 2; end < len(m.toks) && m.toks[end].up == t.up && !m.toks[end].is(","); end = m.next(end) {
			}
		case next.is("(") && (m.tok(i-1).is("async") || m.tok(i-1).is("function") || m.tok(i-1).is("}") || m.tok(i-1).is(",") || m.tok(i-1).is("{") || m.tok(i-1).is("public")):
			for end = m.next(i + 1); end < len(m.toks) && !m.toks[end].is("{"); end++ {
			}
			end = m.next(end)
		case next.is("="):
			for end = i + 2; end < len(m.toks) && m.toks[end].up == t.up && !m.toks[end].is(";") && !m.toks[end].is("exports"); end = m.next(end) {
			}
		default:
			continue
		}
		j.downs = append(j.downs, span{i, end})
	}
}

func (j *jsMigration) skipped(i int) bool {
	for _, s := range j.downs {
		if i >= s.lo && i < s.hi {
			return true
		}
	}
	return false
}

// str is an argument that is one string.
func (j *jsMigration) str(args []span, n int) (string, bool) {
	if n >= len(args) {
		return "", false
	}
	s := args[n]
	if t := j.m.tok(s.lo); s.hi == s.lo+1 && (t.kind == jsString || t.kind == jsTemplate && !strings.Contains(t.text, "$")) {
		return t.text, true
	}
	if t := j.m.tok(s.lo); t.is("{") { // {tableName: "users", schema: "x"}
		v := j.m.prop(s.lo, "tableName")
		if !v.empty() {
			return j.str([]span{v}, 0)
		}
	}
	return "", false
}

// raw reads SQL that is sent as it is.
func (j *jsMigration) raw(open int) {
	args := j.m.args(open)
	if len(args) == 0 {
		return
	}
	t := j.m.tok(args[0].lo)
	if t.kind != jsString && t.kind != jsTemplate || t.kind == jsTemplate && strings.Contains(t.text, "$1") {
		j.open = true
		return
	}
	toks := sqlTokens(t.text)
	for k := range toks {
		toks[k].line += t.line - 1
		if t.kind == jsString {
			toks[k].line = t.line
		}
		toks[k].line = min(toks[k].line, j.m.lines.len())
	}
	for _, st := range sqlStatements(toks) {
		step := sqlStep{toks: st, text: t.text[st[0].at:st[len(st)-1].end]}
		if j.runs(open) {
			step.tx = txInside
		}
		j.out = append(j.out, step)
	}
}

func (j *jsMigration) add(parts ...sqlLine) {
	if toks := sqlOf(parts...); len(toks) > 0 {
		j.out = append(j.out, sqlStep{toks: toks})
	}
}

// runs reports a call that is given a transaction: { transaction }, or t as it is
// often called.
func (j *jsMigration) runs(open int) bool {
	for i := open; i < j.m.next(open); i++ {
		if j.m.tok(i).is("transaction") {
			return true
		}
	}
	return false
}

// mode is what the runner does with a module, unless the module says otherwise.
func (j *jsMigration) mode(runner string) txMode {
	if runner != "knex" && runner != "typeorm" && runner != "node-pg-migrate" {
		return txNone
	}
	for i, t := range j.m.toks {
		switch {
		case t.is("noTransaction") && runner == "node-pg-migrate":
			return txNone
		case t.is("transaction") && (j.m.tok(i+1).is(":") || j.m.tok(i+1).is("=")) && j.m.tok(i+2).is("false"):
			return txNone
		}
	}
	return txWhole
}

// dialect is what the SQL of a module shows.
func (j *jsMigration) dialect() string {
	for _, st := range j.out {
		if st.text == "" {
			continue
		}
		if d := dialectOf("x", st.text); d != "" {
			return d
		}
	}
	return dialectOf(j.m.path, "")
}
