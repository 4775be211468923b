package read

import (
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// foundQuery is a query and the module that sends it.
type foundQuery struct {
	premortem.Query
	module string
	fn     int // function it stands in, -1 at module scope
	at     int
}

// modelCalls are Sequelize's static methods and what they do.
var modelCalls = map[string]string{
	"findOne": "select", "findAll": "select", "findByPk": "select", "findAndCountAll": "select", "findOrCreate": "select", "findOrBuild": "select",
	"count": "select", "sum": "select", "max": "select", "min": "select", "update": "update", "destroy": "delete", "create": "insert",
	"bulkCreate": "insert", "upsert": "insert", "increment": "update", "decrement": "update", "restore": "update", "truncate": "delete",
}

// instanceCalls are methods of a row.
var instanceCalls = map[string]string{"update": "update", "save": "update", "destroy": "delete", "reload": "select", "increment": "update", "decrement": "update"}

// queries finds the database calls of a module.
func (p *project) queries(m *module) []foundQuery {
	var out []foundQuery
	if m.test {
		return nil
	}
	for i, t := range m.toks {
		if t.kind != jsIdent {
			if t.kind == jsTemplate && m.tok(i-1).kind == jsIdent && sqlTags[m.tok(i-1).text] {
				if q, ok := m.rawQuery(i, span{i, m.next(i)}); ok {
					out = append(out, p.finishQuery(m, q, m.chainStart(i), t.match))
				}
			}
			continue
		}
		if !m.tok(i-1).is(".") && !m.tok(i-1).is("?.") {
			continue
		}
		open := m.callOpen(i)
		if open < 0 {
			continue
		}
		q, ok := p.queryCall(m, i, open)
		if ok {
			out = append(out, p.finishQuery(m, q, m.chainStart(i-1), m.tok(open).match))
		}
	}
	return out
}

// sqlTags mark a template as SQL.
var sqlTags = wordSet(`sql SQL $queryRaw $executeRaw`)

// queryCall reads the call of a method called at i.
func (p *project) queryCall(m *module, i, open int) (premortem.Query, bool) {
	t, args := m.tok(i), m.args(open)
	start := m.chainStart(i - 1)
	if op, ok := modelCalls[t.text]; ok {
		if model := p.modelOf(m, span{start, i - 1}); model != nil {
			return m.modelQuery(model, t.text, op, i, args), true
		}
	}
	if op, ok := instanceCalls[t.text]; ok && i-1-start == 1 {
		if model := p.rowOf(m, m.tok(start).text, i); model != nil {
			q := m.newQuery(i, op, model.table)
			q.Predicates = []premortem.Predicate{{Expr: model.column(model.key), Op: "=", Pos: m.pos(i)}}
			return q, true
		}
	}
	switch t.text {
	case "query", "execute", "raw", "$queryRawUnsafe", "$executeRawUnsafe", "unsafe", "one", "oneOrNone", "many", "manyOrNone", "any", "none":
		if len(args) > 0 {
			arg := args[0]
			if b := m.object(arg); b >= 0 { // {text: '…', values: […]}
				if v := m.prop(b, "text"); !v.empty() {
					arg = v
				} else if v := m.prop(b, "sql"); !v.empty() {
					arg = v
				}
			}
			return m.rawQuery(i, arg)
		}
	}
	return premortem.Query{}, false
}

func (m *module) newQuery(i int, op, table string) premortem.Query {
	return premortem.Query{Pos: m.pos(i), Quote: m.quote(i), Op: op, Table: table, Awaited: true}
}

// modelOf resolves the receiver of a call to a model.
func (p *project) modelOf(m *module, recv span) *jsModel {
	name := m.tok(recv.hi - 1).text
	if m.tok(recv.hi-1).kind != jsIdent {
		return nil
	}
	if recv.hi-recv.lo == 1 {
		if model := p.modelNamed(m, name); model != nil {
			return model
		}
	}
	// db.User, models.User, or a name that an index file makes at run time.
	found := p.models[name]
	if len(found) == 1 && (recv.hi-recv.lo == 3 || m.bound(name)) {
		return found[0]
	}
	return nil
}

// bound reports whether a module declares or imports a name at all.
func (m *module) bound(name string) bool {
	_, imported := m.imports[name]
	return imported || len(m.vars[name]) > 0
}

// modelNamed finds the model that a name stands for in a module.
func (p *project) modelNamed(m *module, name string) *jsModel {
	s := p.trace(m, name)
	if s.m == nil {
		return nil
	}
	for _, model := range s.m.models {
		if model.variable == s.name || strings.HasPrefix(s.name, "export ") && len(s.m.models) == 1 {
			return model
		}
	}
	return nil
}

// rowOf finds the model whose row a variable holds: it was found or created, or is
// one of the rows that a loop runs over.
func (p *project) rowOf(m *module, name string, at int) *jsModel { return p.rowFrom(m, name, at, 0) }

func (p *project) rowFrom(m *module, name string, at, depth int) *jsModel {
	v, ok := m.initialiser(name, at)
	if !ok || v.lo > at || depth > 3 {
		return nil
	}
	if t := m.tok(v.lo); m.tok(v.lo-1).is("of") && t.kind == jsIdent && t.text != name {
		return p.rowFrom(m, t.text, v.lo, depth+1)
	}
	for i := v.lo; i < v.hi; i++ {
		t := m.toks[i]
		if t.kind != jsIdent || !m.tok(i-1).is(".") || m.callOpen(i) < 0 {
			continue
		}
		switch t.text {
		case "findOne", "findByPk", "create", "findAll":
			return p.modelOf(m, span{m.chainStart(i - 1), i - 1})
		}
	}
	return nil
}

// modelQuery reads a static call of a model.
func (m *module) modelQuery(model *jsModel, method, op string, i int, args []span) premortem.Query {
	q := m.newQuery(i, op, model.table)
	opts := -1
	switch method {
	case "findByPk":
		q.Predicates = []premortem.Predicate{{Expr: model.column(model.key), Op: "=", Pos: m.pos(i)}}
		if len(args) > 1 {
			opts = m.object(args[1])
		}
	case "update", "increment", "decrement", "sum", "max", "min":
		if len(args) > 1 {
			opts = m.object(args[1])
		}
	case "create", "bulkCreate", "upsert":
		q.SQL = insertSQL(model, m, args)
		return q
	default:
		if len(args) > 0 {
			opts = m.object(args[0])
		}
	}
	cond := "" // the WHERE text, "" none
	if w := m.prop(opts, "where"); !w.empty() {
		cond = m.where(model, w, &q, 0)
	} else if method == "findByPk" {
		cond = quoteIdent(model.name) + "." + quoteIdent(model.column(model.key)) + " = $1"
	}
	if o := m.prop(opts, "order"); !o.empty() {
		q.Order = m.order(model, o)
	}
	q.Limit = !m.prop(opts, "limit").empty() || method == "findOne" || method == "findOrCreate" || method == "findByPk" || method == "count"
	q.Offset = !m.prop(opts, "offset").empty()
	q.All = method == "findAll"
	if inc := m.prop(opts, "include"); inc.empty() {
		q.SQL = m.sequelizeSQL(model, method, opts, cond, &q)
	}
	return q
}

// rawQuery reads SQL text that is given to a driver.
func (m *module) rawQuery(i int, arg span) (premortem.Query, bool) {
	text, line, ok := m.sqlArgument(arg)
	if !ok {
		return premortem.Query{}, false
	}
	facts, ok := analyseSQL(text)
	if !ok {
		return premortem.Query{}, false
	}
	q := m.newQuery(i, facts.op, facts.table)
	q.SQL = strings.Join(strings.Fields(text), " ")
	q.Order, q.Limit, q.Offset = facts.order, facts.limit, facts.offset
	q.All = q.Op == "select" && q.Table != "" && !aggregate.MatchString(q.SQL)
	for _, p := range facts.preds {
		q.Predicates = append(q.Predicates, premortem.Predicate{Expr: p.expr, Op: p.op,
			Pos: premortem.Pos{File: m.path, Line: min(line+p.line-1, m.lines.len())}})
	}
	return q, true
}

// aggregate recognises a SELECT of one row: of counts, sums and constants.
var aggregate = regexp.MustCompile(`(?i)^select (distinct )?(count|sum|max|min|avg|exists|coalesce ?\(? ?(count|sum|max|min|avg)|bool_or|bool_and|1\b)`)

// sqlArgument returns the text of a literal, of a template with $n for its holes,
// or of a constant of the module, and the line it starts on.
func (m *module) sqlArgument(s span) (string, int, bool) {
	t := m.tok(s.lo)
	switch {
	case t.kind == jsIdent && s.hi-s.lo == 1:
		v, ok := m.initialiser(t.text, s.lo)
		if !ok || m.tok(v.lo).kind == jsIdent && v.hi-v.lo == 1 {
			return "", 0, false
		}
		return m.sqlArgument(v)
	case t.kind == jsIdent && sqlTags[t.text] && m.tok(s.lo+1).kind == jsTemplate:
		return m.tok(s.lo + 1).text, m.tok(s.lo + 1).line, true
	case t.kind == jsTemplate, t.kind == jsString:
		text := t.text
		for j := m.next(s.lo); j+1 < s.hi && m.tok(j).is("+"); j = m.next(j + 1) { // 'a' + 'b'
			if k := m.tok(j + 1).kind; k == jsString || k == jsTemplate {
				text += m.tok(j + 1).text
			} else {
				text += " $0"
			}
		}
		return text, t.line, true
	}
	return "", 0, false
}
