package read

import (
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// sqlFile is a migration, or a dump of the whole schema.
type sqlFile struct {
	path    string
	runner  string
	dialect string
	dump    bool // describes the schema instead of changing it
	steps   []sqlStep
	tx      txMode
	timeout premortem.Setting[string] // what sets lock_timeout beside its statements
	// id and parents order the migrations of runners that name what stands before.
	id      string
	parents []string
	// replaces are the migrations that this one sums up.
	replaces []string
	// ops are Django's operations: what they do depends on the models before them.
	ops []djangoOp
}

// sqlStep is one statement of a migration.
type sqlStep struct {
	toks []sqlToken
	text string // as written, "" for what is written from the tokens
	down bool
	tx   stepTx
	was  string // as premortem.Statement.Was
}

// stepTx is what a statement's own place says about its transaction.
type stepTx int

const (
	txAsFile stepTx = iota
	txInside
	txOutside
)

// txMode is what a runner does with the statements of one file.
type txMode int

const (
	txNone  txMode = iota // each statement by itself
	txWhole               // all in one transaction
	txBatch               // sent as one text: several of them are one transaction
)

// madeBefore is the comment of people who build an index by hand, and keep the
// statement for databases that do not have it.
var (
	madeBefore  = regexp.MustCompile(`(?i)--.*create\s+(unique\s+)?index\s+concurrently`)
	ifNotExists = regexp.MustCompile(`(?i)^create\s+(unique\s+)?index\s+if\s+not\s+exists`)
)

// stepsIn reads SQL text whose first line is the given one.
func stepsIn(text string, line int, down bool) []sqlStep {
	var out []sqlStep
	last := 0
	for _, toks := range sqlStatements(sqlTokens(text)) {
		st := sqlStep{toks: toks, text: text[toks[0].at:toks[len(toks)-1].end], down: down}
		if madeBefore.MatchString(text[last:toks[0].at]) && ifNotExists.MatchString(st.text) {
			st.text = "/* CONCURRENTLY on production first */ " + st.text
		}
		last = toks[len(toks)-1].end
		for i := range toks {
			toks[i].line += line - 1
		}
		out = append(out, st)
	}
	return out
}

// stepsOf wraps statements that were written from something else.
func stepsOf(statements [][]sqlToken) []sqlStep {
	var out []sqlStep
	for _, toks := range statements {
		if len(toks) > 0 {
			out = append(out, sqlStep{toks: toks})
		}
	}
	return out
}

// stepOf is one statement that a runner would write for a line.
func stepOf(line int, sql string) sqlStep {
	return sqlStep{toks: sqlOf(sqlLine{sql, line}), text: sql}
}

// source is the statement as text.
func (s *sqlStep) source() string {
	if s.text != "" {
		return s.text
	}
	var b strings.Builder
	for i, t := range s.toks {
		tight := t.is(")") || t.is(",") || t.is(".") || t.is("::")
		if i > 0 && !tight && !s.toks[i-1].is("(") && !s.toks[i-1].is(".") && !s.toks[i-1].is("::") {
			b.WriteByte(' ')
		}
		switch t.kind {
		case sqlQuoted:
			b.WriteString(quoteIdent(t.text))
		case sqlString:
			b.WriteString("'" + strings.ReplaceAll(t.text, "'", "''") + "'")
		default:
			b.WriteString(t.text)
		}
	}
	return b.String()
}

// told lists the statements of a file with their transactions, and the line that
// sets lock_timeout.
func (f *sqlFile) told() ([]premortem.Statement, premortem.Setting[string]) {
	var out []premortem.Statement
	timeout := f.timeout
	up := 0
	for _, st := range f.steps {
		if !st.down && len(st.toks) > 0 {
			up++
		}
	}
	open := false // between BEGIN and COMMIT of the file itself
	for i := range f.steps {
		st := &f.steps[i]
		if len(st.toks) == 0 {
			continue
		}
		pos := premortem.Pos{File: f.path, Line: max(st.toks[0].line, 1)}
		switch first := st.toks[0]; {
		case first.is("begin"), first.is("start") && len(st.toks) > 1 && st.toks[1].is("transaction"):
			open = true
			continue
		case first.is("commit"), first.is("rollback"), first.is("end"):
			open = false
			continue
		}
		if v, ok := lockTimeout(st.toks); ok && !st.down && !timeout.Set() {
			timeout = premortem.Setting[string]{Value: v, Pos: pos}
		}
		in := open || f.tx == txWhole || f.tx == txBatch && up > 1
		switch st.tx {
		case txInside:
			in = true
		case txOutside:
			in = open
		}
		out = append(out, premortem.Statement{Pos: pos, SQL: shortSQL(st.source()), InTx: in, Down: st.down, Was: st.was})
	}
	return out, timeout
}

// maxStatement is how much of a statement is kept: bodies of functions and seeds
// may be long and say nothing about locks.
const maxStatement = 2000

// shortSQL cuts a long statement at a rune's start.
func shortSQL(s string) string {
	s = strings.ToValidUTF8(s, "")
	if len(s) <= maxStatement {
		return s
	}
	return strings.ToValidUTF8(s[:maxStatement], "") + " …"
}

// lockTimeout reads SET [LOCAL|SESSION] lock_timeout = value.
func lockTimeout(toks []sqlToken) (string, bool) {
	if !toks[0].is("set") {
		return "", false
	}
	i := 1
	if i < len(toks) && (toks[i].is("local") || toks[i].is("session")) {
		i++
	}
	if i+2 >= len(toks) || !toks[i].is("lock_timeout") || !toks[i+1].is("=") && !toks[i+1].is("to") {
		return "", false
	}
	var b strings.Builder
	for _, t := range toks[i+2:] {
		b.WriteString(t.text)
	}
	return b.String(), b.String() != "0"
}
