package read

import (
	"strings"
)

// readORM finds what a module asks of its models: Django's managers, and the select
// and query of SQLAlchemy and SQLModel. Only queries that are sent where they stand
// count: what is built up in steps compares more than one place says.
func (r *pyReader) readORM() {
	r.alchemyModels()
	for i, t := range r.toks {
		if t.kind != jsIdent {
			continue
		}
		switch {
		case t.text == "objects" && r.tok(i-1).is(".") && r.tok(i+1).is(".") && r.tok(i-2).kind == jsIdent:
			r.djangoQuery(i)
		case (t.text == "select" || t.text == "query") && r.tok(i+1).is("("):
			r.alchemyQuery(i)
		}
	}
}

// chainCall is one call of a chain: .name(…), or a slice as name "[".
type chainCall struct {
	name string
	open int
}

// chain reads the calls that follow token i; end is the token behind them.
func (r *pyReader) chain(i int) (calls []chainCall, end int) {
	for {
		if len(calls) > 50 {
			return calls, i
		}
		switch {
		case r.tok(i).is(".") && r.tok(i+1).kind == jsIdent && r.tok(i+2).is("("):
			calls = append(calls, chainCall{r.tok(i + 1).text, i + 2})
			i = r.next(i + 2)
		case r.tok(i).is("[") && !r.tok(i).nl:
			calls = append(calls, chainCall{"[", i})
			i = r.next(i)
		default:
			return calls, i
		}
	}
}

// evaluated reports an expression whose rows are all taken where it stands: a loop
// runs over it, or list(), set() or len() holds it.
func (r *pyReader) evaluated(start, end int) bool {
	prev := r.tok(start - 1)
	switch {
	case prev.is("in"):
		return r.tok(end).is(":") || r.tok(end).is("]") || r.tok(end).is(")") || r.tok(end).is("}") || r.tok(end).is("if")
	case prev.is("(") && r.tok(end).is(")"):
		switch r.tok(start - 2).text {
		case "list", "set", "tuple", "len", "sorted":
			return true
		}
	}
	return false
}

var djangoNeutral = wordSet(`all values values_list select_related prefetch_related only defer using distinct annotate select_for_update none alias`)

// djangoQuery reads Model.objects.filter(…)….
func (r *pyReader) djangoQuery(i int) {
	c := ormCall{model: r.tok(i - 2).text, op: "select", at: r.tok(i - 2).line}
	calls, end := r.chain(i + 1)
	start := i - 2
	for i-start < 40 && r.tok(start-1).is(".") && r.tok(start-2).kind == jsIdent {
		start -= 2
	}
	sent, rows := r.evaluated(start, end), true
	for _, call := range calls {
		switch call.name {
		case "filter", "get", "exclude", "get_or_create", "update_or_create", "aget", "afilter":
			if !r.djangoWhere(&c, call) {
				return
			}
			if strings.HasPrefix(call.name, "get") || call.name == "aget" || call.name == "update_or_create" {
				sent, c.limit, rows = true, true, false
			}
			if strings.HasSuffix(call.name, "_or_create") {
				r.asks = append(r.asks, ormCall{model: c.model, op: "insert", at: c.at})
			}
		case "order_by":
			c.order = nil
			for _, a := range r.args(call.open) {
				if r.tok(a.lo).kind == jsString {
					c.order = append(c.order, r.tok(a.lo).text)
				}
			}
		case "first", "last", "earliest", "latest", "exists", "count", "aggregate", "in_bulk", "afirst", "aexists", "acount":
			sent, c.limit, rows = true, true, false
		case "create", "bulk_create", "acreate":
			c.op, sent, rows = "insert", true, false
		case "update":
			c.op, sent, rows = "update", true, false
		case "delete":
			c.op, sent, rows = "delete", true, false
		case "iterator", "aiterator":
			sent, rows = true, false
		case "[":
			c.limit, sent = true, true
			colon := -1
			for k := call.open + 1; k < r.tok(call.open).match; k = r.next(k) {
				if r.tok(k).is(":") {
					colon = k
				}
			}
			c.offset = colon > call.open+1 && r.tok(call.open+1).kind != jsNumber
		default:
			if !djangoNeutral[call.name] {
				return // a method of a manager of its own
			}
		}
	}
	if !sent {
		return
	}
	c.all = rows && !c.limit
	c.loop = r.rowLoop(i)
	r.asks = append(r.asks, c)
}

// djangoLookups are the ends of a keyword and the comparison they mean.
var djangoLookups = map[string]string{
	"exact": "=", "in": "in", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "contains": "like", "startswith": "like", "endswith": "like", "icontains": "ilike",
	"istartswith": "ilike", "iendswith": "ilike", "isnull": "is", "range": "between", "regex": "~", "iregex": "~*", "iexact": "=",
}

// djangoWhere reads the comparisons of one call; false when some are not known.
func (r *pyReader) djangoWhere(c *ormCall, call chainCall) bool {
	for _, a := range r.args(call.open) {
		if !r.tok(a.lo).is("*") && r.tok(a.lo).kind == jsIdent && r.tok(a.lo+1).is("=") {
			key := r.tok(a.lo).text
			if key == "defaults" && strings.HasSuffix(call.name, "_or_create") {
				continue
			}
			attr, look, deep := strings.Cut(key, "__")
			p := ormPred{attr: attr, op: "=", line: r.tok(a.lo).line}
			if deep {
				p.op = djangoLookups[look]
				if look == "id" || look == "pk" { // user__id is the column user_id
					p.op = "="
				}
			}
			if p.op == "" {
				return false
			}
			if look == "iexact" {
				p.fn = "upper"
			}
			if r.tok(a.lo+2).is("None") && p.op == "=" {
				p.op = "is"
			}
			p.same = r.constant(span{a.lo + 2, a.hi})
			if call.name == "exclude" {
				p.op = "not " + p.op
			}
			c.preds = append(c.preds, p)
			continue
		}
		return false // Q objects, **conditions
	}
	return true
}

// constant reports a value that stands in the code: a kind or a state, which many
// rows share.
func (r *pyReader) constant(v span) bool {
	t := r.tok(v.lo)
	return v.hi-v.lo == 1 && (t.kind == jsString || t.kind == jsNumber || t.is("True") || t.is("False"))
}

// alchemyModels finds classes with a table: __tablename__, or SQLModel's table=True.
func (r *pyReader) alchemyModels() {
	for k, st := range r.stmts {
		if !r.tok(st.lo).is("class") || r.tok(st.lo+1).kind != jsIdent {
			continue
		}
		m := ormModel{name: r.tok(st.lo + 1).text, line: r.tok(st.lo).line, columns: map[string]string{}, open: true}
		if open := st.lo + 2; r.tok(open).is("(") {
			if v := r.keyword(open, "table"); r.tok(v.lo).is("True") && !v.empty() {
				m.table = strings.ToLower(m.name)
			}
		}
		for _, b := range r.stmts[k+1:] {
			if b.lo <= st.lo || b.indent <= st.indent {
				break
			}
			if b.parent != k || r.tok(b.lo).kind != jsIdent {
				continue
			}
			name := r.tok(b.lo).text
			switch next := r.tok(b.lo + 1); {
			case name == "__tablename__" && next.is("=") && r.tok(b.lo+2).kind == jsString:
				m.table = r.tok(b.lo + 2).text
			case next.is("=") || next.is(":"):
				r.alchemyColumn(&m, name, b)
			}
		}
		if m.table != "" {
			r.entities = append(r.entities, m)
		}
	}
}

// alchemyColumn notes an attribute that is a column; one that inherits or relates is
// none.
func (r *pyReader) alchemyColumn(m *ormModel, name string, st pyStatement) {
	text := r.source(st.span)
	if strings.Contains(text, "elationship(") || strings.HasPrefix(name, "__") {
		return
	}
	m.columns[name] = name
	for i := st.lo; i < st.hi; i++ {
		if (r.tok(i).is("Column") || r.tok(i).is("mapped_column")) && r.tok(i+1).is("(") && r.tok(i+2).kind == jsString {
			m.columns[name] = r.tok(i + 2).text
		}
		if r.tok(i).is("primary_key") && r.tok(i+2).is("True") {
			m.key = m.columns[name]
		}
	}
}

var alchemyNeutral = wordSet(`options all one one_or_none scalar scalars first execution_options with_for_update select_from distinct unique`)

// alchemyQuery reads select(Model).where(Model.a == b)… and
// session.query(Model).filter(…)….
func (r *pyReader) alchemyQuery(i int) {
	args := r.args(i + 1)
	if len(args) != 1 || args[0].hi-args[0].lo != 1 || r.tok(args[0].lo).kind != jsIdent {
		return
	}
	model := r.tok(args[0].lo).text
	if model == "" || model[0] < 'A' || model[0] > 'Z' {
		return
	}
	c := ormCall{model: model, op: "select", at: r.tok(i).line}
	calls, end := r.chain(r.next(i + 1))
	for _, call := range calls {
		switch call.name {
		case "where", "filter":
			for _, a := range r.args(call.open) {
				p, ok := r.alchemyPred(model, a)
				if !ok {
					return
				}
				c.preds = append(c.preds, p)
			}
		case "filter_by":
			for _, a := range r.args(call.open) {
				if r.tok(a.lo).kind != jsIdent || !r.tok(a.lo+1).is("=") {
					return
				}
				c.preds = append(c.preds, ormPred{attr: r.tok(a.lo).text, op: "=", line: r.tok(a.lo).line})
			}
		case "order_by":
			for _, a := range r.args(call.open) {
				if r.tok(a.lo).is(model) && r.tok(a.lo+1).is(".") && a.hi-a.lo == 3 {
					c.order = append(c.order, r.tok(a.lo+2).text)
				}
			}
		case "limit":
			c.limit = true
		case "offset":
			c.offset = true
		case "first", "one", "one_or_none", "count", "exists", "scalar":
			c.limit = true
		case "all":
			c.all = true
		case "delete":
			c.op = "delete"
		case "update":
			c.op = "update"
		default:
			if !alchemyNeutral[call.name] {
				return
			}
		}
	}
	if r.grows(i, end) {
		return
	}
	c.all = c.all && !c.limit
	c.loop = r.rowLoop(i)
	r.asks = append(r.asks, c)
}

// alchemyPred reads Model.a == b and Model.a.in_(b).
func (r *pyReader) alchemyPred(model string, a span) (ormPred, bool) {
	if !r.tok(a.lo).is(model) || !r.tok(a.lo+1).is(".") || r.tok(a.lo+2).kind != jsIdent {
		return ormPred{}, false
	}
	p := ormPred{attr: r.tok(a.lo + 2).text, line: r.tok(a.lo).line}
	for k := a.lo; k < a.hi; k = r.next(k) {
		if r.tok(k).is("|") || r.tok(k).is("or_") {
			return p, false
		}
	}
	switch op := r.tok(a.lo + 3); {
	case op.is("==") && r.tok(a.lo+4).is("None"):
		p.op = "is"
	case op.is("=="):
		p.op, p.same = "=", r.constant(span{a.lo + 4, a.hi})
	case op.is("!="), op.is("<"), op.is(">"), op.is("<="), op.is(">="):
		p.op = op.text
	case op.is("."):
		p.op = map[string]string{"in_": "in", "like": "like", "ilike": "ilike", "is_": "is", "is_not": "is not", "isnot": "is not", "between": "between", "not_in": "not in", "contains": "like", "startswith": "like"}[r.tok(a.lo+4).text]
	}
	return p, p.op != ""
}

// grows reports a statement in a variable that is changed before it is sent.
func (r *pyReader) grows(i, end int) bool {
	st := r.stmts[r.stmtOf[i]]
	if !r.tok(st.lo+1).is("=") || r.tok(st.lo).kind != jsIdent {
		return false
	}
	name := r.tok(st.lo).text
	for _, k := range r.heads[name] {
		other := r.stmts[k]
		if other.lo <= st.lo || other.fn != st.fn || !r.tok(other.lo+1).is("=") {
			continue
		}
		for j := other.lo + 2; j < other.hi; j++ {
			if r.tok(j).is(name) {
				return true
			}
		}
	}
	return false
}
