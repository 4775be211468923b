package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/postgres"
	"github.com/premortem/premortem/wire"
)

// question is one statement whose future is asked about.
type question struct {
	sql   string // with $1 … for what is not known
	shown string // as it was found
	sites []premortem.Evidence
	from  string // what it was found in, where there is no line
	node  premortem.Node
	finds bool // it only finds the rows of an UPDATE or DELETE
}

// statements gathers what the repository, the file and the run hold.
func (f *prophet) statements() ([]question, error) {
	out := f.inCode()
	if f.o.queries != "" {
		more, err := f.inFile(f.o.queries)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	if f.o.run != "" {
		more, err := f.inRun()
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

// inCode takes the statements of the code; where only the ORM knows the text, what
// its conditions tell of it, and of an UPDATE or DELETE the search for its rows.
// Statements of migrations have run and are not asked about.
func (f *prophet) inCode() []question {
	migrations := map[string]bool{}
	for _, m := range f.sys.Migrations {
		migrations[m.Pos.File] = true
	}
	var out []question
	var lost []string
	for _, q := range f.sys.Queries {
		if migrations[q.Pos.File] {
			continue
		}
		one := question{sql: q.SQL, shown: q.SQL, sites: []premortem.Evidence{{Says: "the statement", Pos: q.Pos}}, node: q.Service}
		if q.SQL == "" {
			one.sql, one.finds = f.written(q), q.Op != "select"
			one.shown = one.sql
			one.sites[0].Says = "as far as its conditions are understood"
			if one.finds {
				one.sites[0].Says = "the search for its rows"
			}
		}
		if one.sql == "" {
			if q.Op != "insert" { // which grows only with its indexes
				lost = append(lost, q.Pos.String())
			}
			continue
		}
		out = append(out, one)
	}
	if len(lost) > 0 {
		f.unknown("what %s cost at other sizes, because the SQL is not known: %s", plural(len(lost), "call", "calls"), strings.Join(lost, ", "))
	}
	return out
}

// written is the statement that an ORM's call makes, of an UPDATE or DELETE the SELECT
// that finds its rows; "" when too little of it is known.
func (f *prophet) written(q *premortem.Query) string {
	if q.Table == "" || q.Op == "" || q.Op == "insert" || len(q.Predicates) == 0 && !q.Limit && !q.All {
		return ""
	}
	t := f.sys.Table(q.Table)
	var where []string
	next := 0
	value := func() string { next++; return "$" + strconv.Itoa(next) }
	for _, p := range q.Predicates {
		expr := columnOf(t, p.Expr)
		switch op := strings.ToLower(p.Op); op {
		case "=", "<", ">", "<=", ">=", "<>", "!=", "like", "not like", "ilike", "not ilike", "~", "~*", "@>", "<@", "&&":
			where = append(where, expr+" "+op+" "+value())
		case "= constant":
			where = append(where, expr+" = "+value())
		case "in":
			where = append(where, expr+" = ANY ("+value()+")")
		case "not in":
			where = append(where, expr+" <> ALL ("+value()+")")
		case "between":
			where = append(where, expr+" BETWEEN "+value()+" AND "+value())
		case "is":
			where = append(where, expr+" IS NULL")
		case "is not":
			where = append(where, expr+" IS NOT NULL")
		default:
			return ""
		}
	}
	sql := "SELECT * FROM " + tableName(q.Table)
	if q.Op != "select" {
		sql = "SELECT 1 FROM " + tableName(q.Table)
	}
	if len(where) > 0 {
		sql += " WHERE " + strings.Join(where, " AND ")
	}
	return sql + pageOf(t, q)
}

// pageOf is the order and the limit of a call.
func pageOf(t *premortem.Table, q *premortem.Query) string {
	sql := ""
	for i, o := range q.Order {
		name, way, _ := strings.Cut(o, " ")
		if t == nil || t.Column(strings.Trim(name, `"`)) == nil {
			return ""
		}
		sql += [2]string{" ORDER BY ", ", "}[min(i, 1)] + strings.TrimRight(columnOf(t, name)+" "+way, " ")
	}
	if q.Limit {
		sql += " LIMIT " + page
	}
	return sql
}

// columnOf quotes a column that PostgreSQL would otherwise read in lower case.
func columnOf(t *premortem.Table, expr string) string {
	if name := strings.Trim(expr, `"`); t != nil && t.Column(name) != nil {
		return pgx.Identifier{name}.Sanitize()
	}
	return expr
}

func tableName(name string) string {
	return pgx.Identifier(strings.Split(name, ".")).Sanitize()
}

// inFile reads statements separated by semicolons.
func (f *prophet) inFile(name string) ([]question, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, &premortem.Error{Doing: "read the statements", Err: err, Hint: "--queries names a file of SQL statements, separated by semicolons"}
	}
	var out []question
	for _, s := range postgres.Statements(string(raw)) {
		line := 1 + strings.Count(string(raw[:s.Offset]), "\n")
		out = append(out, question{sql: s.Text, shown: s.Text, node: f.node(), from: fmt.Sprintf("%s:%d", name, line)})
	}
	if len(out) == 0 {
		return nil, &premortem.Error{Doing: "read the statements", Err: fmt.Errorf("%s holds no statement", name)}
	}
	return out, nil
}

// inRun takes what passed the wire in a saved run.
func (f *prophet) inRun() ([]question, error) {
	var args []string
	if f.o.run != "latest" {
		args = []string{f.o.run}
	}
	file, err := runFile(f.dir, args)
	if err != nil {
		return nil, err
	}
	trials, err := filepath.Glob(filepath.Join(filepath.Dir(file), "trials", "*.json"))
	if err != nil || len(trials) == 0 {
		return nil, &premortem.Error{Doing: "read the run's statements", Err: errors.Join(err, fs.ErrNotExist), Hint: "runs of premortem rehearse keep them in their folder trials"}
	}
	slices.Sort(trials)
	var out []question
	for _, name := range trials {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, &premortem.Error{Doing: "read the run's statements", Err: err}
		}
		var t premortem.Trial
		if err := json.Unmarshal(raw, &t); err != nil {
			return nil, &premortem.Error{Doing: "read " + name, Err: err, Hint: "the file is no trial of premortem"}
		}
		for _, p := range t.Phases {
			for _, c := range p.Calls {
				if c.Proto == "postgres" && plannable.MatchString(c.Op) {
					out = append(out, question{sql: c.Op, shown: c.Op, node: c.From, from: "run " + filepath.Base(filepath.Dir(file))})
				}
			}
		}
	}
	return out, nil
}

// plannable are statements that have a plan.
var plannable = regexp.MustCompile(`(?is)^\s*(?:select|insert|update|delete|with|values)\b`)

// recorded are the statements of pg_stat_statements in the profile.
func (f *prophet) recorded(p *postgres.Profile) []question {
	var out []question
	for _, s := range p.Statements {
		if plannable.MatchString(s.Text) {
			out = append(out, question{sql: s.Text, shown: s.Text, node: f.node(), from: "pg_stat_statements"})
		}
	}
	return out
}

// once keeps one of the statements that differ only in values, with the lines of all,
// and makes them plannable.
func once(all []question) []question {
	var out []question
	at := map[string]int{}
	for _, q := range all {
		key := wire.Fingerprint(q.sql)
		if i, ok := at[key]; ok {
			out[i].sites = append(out[i].sites, q.sites...)
			continue
		}
		at[key] = len(out)
		q.sql = numbered(strings.TrimRight(strings.TrimSpace(q.sql), ";"))
		out = append(out, q)
	}
	return out
}

// page is how many rows a LIMIT with a parameter is taken to ask for; the planner
// itself would take a tenth of the table.
const page = "20"

var (
	limitParam  = regexp.MustCompile(`(?i)\b(LIMIT|FETCH\s+(?:FIRST|NEXT))\s+(?:\$\d+|\?|%s|:\w+|@\w+|%\(\w+\)s)`)
	offsetParam = regexp.MustCompile(`(?i)\bOFFSET\s+(?:\$\d+|\?|%s|:\w+|@\w+|%\(\w+\)s)`)
	// Literals, comments and casts are matched to be passed over.
	parameter = regexp.MustCompile(`'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*(?s:.*?)\*/|::\w+|\$\d+|\?(?:[|&?])?|%\(\w+\)s|%s\b|[:@]\w+`)
)

// numbered writes the parameters of all drivers ($1, ?, :name, @name, %s, %(name)s) as
// $1, $2 … without a gap. LIMIT and OFFSET get the values of a first page.
func numbered(sql string) string {
	sql = limitParam.ReplaceAllString(sql, "$1 "+page)
	sql = offsetParam.ReplaceAllString(sql, "OFFSET 0")
	number := map[string]int{}
	next := 0
	var out strings.Builder
	end := 0
	for _, at := range parameter.FindAllStringIndex(sql, -1) {
		s := sql[at[0]:at[1]]
		out.WriteString(sql[end:at[0]])
		end = at[1]
		switch {
		case strings.ContainsAny(s[:1], `'"-/`), strings.HasPrefix(s, "::"), len(s) == 2 && s[0] == '?',
			s[0] == ':' && (at[0] > 0 && sql[at[0]-1] != ' ' && !strings.ContainsRune("(,=[<>\n\t", rune(sql[at[0]-1])) || s[1] >= '0' && s[1] <= '9'), // a slice of an array
			s[0] == '@' && at[0] > 0 && sql[at[0]-1] == '@':
			out.WriteString(s)
			continue
		case s == "?" || s == "%s":
			next++
			out.WriteString("$" + strconv.Itoa(next))
			continue
		}
		if number[s] == 0 {
			next++
			number[s] = next
		}
		out.WriteString("$" + strconv.Itoa(number[s]))
	}
	return out.String() + sql[end:]
}

// short is a statement in one line of bounded length.
func short(sql string) string {
	s := strings.Join(strings.Fields(wire.Fingerprint(sql)), " ")
	if r := []rune(s); len(r) > 120 {
		return string(r[:119]) + "…"
	}
	return s
}
