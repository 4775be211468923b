package read

import (
	"strings"

	"github.com/premortem/premortem"
)

// ormModel is a class whose objects are rows.
type ormModel struct {
	name    string
	table   string
	columns map[string]string // attribute → column, nil when every name may be one
	key     string            // column
	open    bool              // it may have columns that are not listed: of its bases
	line    int
}

// ormCall is a query as the code asks for it, before its model is known.
type ormCall struct {
	model  string
	op     string
	preds  []ormPred
	order  []string
	limit  bool
	offset bool
	all    bool
	at     int
	loop   premortem.Pos
}

// ormPred is one comparison of an attribute.
type ormPred struct {
	attr string
	op   string
	fn   string // the function around it: "upper"
	same bool   // it is compared with what stands in the code
	line int
}

// column is the column of an attribute; ok is false for one that the model does not
// have, such as a relation.
func (m *ormModel) column(attr string) (string, bool) {
	if attr == "pk" {
		return m.key, m.key != ""
	}
	if m.columns == nil {
		return attr, true
	}
	c, ok := m.columns[attr]
	if !ok && m.open {
		return attr, true
	}
	return c, ok
}

// ormIndex finds models by name; a name that two of them have finds none.
func (g *merger) ormIndex(lang string) map[string]*ormModel {
	out := map[string]*ormModel{}
	put := func(m *ormModel) {
		if other, seen := out[m.name]; seen && (other == nil || other.table != m.table) {
			out[m.name] = nil
			return
		}
		out[m.name] = m
	}
	if lang == "python" {
		for _, k := range sortedKeys(g.d.djangoModels) {
			if dm := g.d.djangoModels[k]; !dm.virtual {
				put(dm.orm())
			}
		}
	}
	for _, p := range g.d.programs {
		if p.lang != lang || p.test {
			continue
		}
		for i := range p.entities {
			if m := &p.entities[i]; out[m.name] == nil || lang != "python" {
				put(m)
			}
		}
	}
	return out
}

// orm is a model of Django as queries see it.
func (m *djangoModel) orm() *ormModel {
	o := &ormModel{name: m.name, table: m.table, columns: map[string]string{}, key: m.column(m.key)}
	for name, f := range m.fields {
		if f.class == "ManyToManyField" {
			continue
		}
		o.columns[name] = f.column
		o.columns[f.column] = f.column
	}
	return o
}

// resolveORM turns what code asks of models into queries of their tables.
func (g *merger) resolveORM() {
	index := map[string]map[string]*ormModel{}
	for _, p := range g.d.programs {
		if len(p.asks) == 0 || p.test {
			continue
		}
		if index[p.lang] == nil {
			index[p.lang] = g.ormIndex(p.lang)
		}
		for i := range p.asks {
			if m := index[p.lang][p.asks[i].model]; m != nil && m.table != "" {
				p.queries = append(p.queries, p.asks[i].query(p, m))
			}
		}
	}
}

// query is the call on a model's table. A comparison of something that is no column
// of it, such as of a related table, leaves all comparisons away: what they pick is
// not known.
func (c *ormCall) query(p *program, m *ormModel) premortem.Query {
	q := premortem.Query{Pos: p.on(c.at), Quote: p.quoteLine(c.at), Op: c.op, Table: m.table, Awaited: true,
		Limit: c.limit, Offset: c.offset, InLoop: c.loop.Known(), Loop: c.loop, All: c.all}
	whole := true
	for _, pr := range c.preds {
		col, ok := m.column(pr.attr)
		if !ok {
			whole = false
			break
		}
		if pr.fn != "" {
			col = pr.fn + "(" + col + ")"
		}
		op := pr.op
		if pr.same && op == "=" {
			op = "= constant"
		}
		q.Predicates = append(q.Predicates, premortem.Predicate{Expr: col, Op: op, Pos: p.on(pr.line)})
	}
	if !whole {
		q.Predicates, q.All = nil, false
		return q
	}
	for _, o := range c.order {
		name, down := strings.CutPrefix(o, "-")
		if col, ok := m.column(name); ok {
			if down {
				col += " desc"
			}
			q.Order = append(q.Order, col)
		}
	}
	if c.op == "select" && len(q.Predicates) == 0 && !q.Limit && len(c.order) == 0 {
		q.SQL = "SELECT * FROM " + quoteTable(m.table)
	}
	return q
}
