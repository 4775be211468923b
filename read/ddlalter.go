package read

import (
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// createIndex reads what follows CREATE [UNIQUE] INDEX.
func (p *ddl) createIndex(unique bool, pos premortem.Pos) {
	p.take("concurrently")
	p.take("if", "not", "exists")
	name := ""
	if !p.peek().is("on") {
		name = p.qualified()
		if i := strings.LastIndex(name, "."); i >= 0 {
			name = name[i+1:]
		}
	}
	if !p.take("on") {
		return
	}
	p.take("only")
	t := p.schema.table(p.qualified())
	ix := premortem.Index{Name: name, Unique: unique, Pos: pos}
	if p.take("using") {
		ix.Method = p.peek().name()
		if ix.Method == "btree" {
			ix.Method = ""
		}
		p.i++
	}
	if t == nil || !p.peek().is("(") {
		return
	}
	group, next := sqlGroup(p.toks, p.i)
	p.i = next
	ix.Columns = indexColumns(group)
	for !p.done() && !p.peek().is("where") {
		if p.peek().is("(") {
			_, p.i = sqlGroup(p.toks, p.i)
			continue
		}
		p.i++
	}
	if p.take("where") {
		ix.Where = sqlText(p.toks[p.i:])
	}
	if ix.Name == "" {
		ix.Name = t.Name + "_" + strings.Join(indexNames(ix.Columns), "_") + "_idx"
	}
	for _, other := range t.Indexes {
		if other.Name == ix.Name {
			return // IF NOT EXISTS
		}
	}
	t.Indexes = append(t.Indexes, ix)
}

// indexColumns reads the elements of an index without order, collation and
// operator class.
func indexColumns(toks []sqlToken) []string {
	var out []string
	for _, part := range sqlSplit(toks, ",") {
		if len(part) == 0 {
			continue
		}
		end := 1
		switch {
		case part[0].is("("):
			_, end = sqlGroup(part, 0)
		case len(part) > 1 && part[1].is("("):
			if _, numeric := numberIn(part); numeric {
				break // MySQL's prefix length: name(10)
			}
			_, end = sqlGroup(part, 1)
		}
		out = append(out, sqlText(part[:end]))
	}
	return out
}

// indexNames are the parts of the name that PostgreSQL makes: a column's name, a
// function's name, "expr" for any other expression.
func indexNames(columns []string) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		name, _, call := strings.Cut(c, "(")
		switch {
		case singleName(name) && (!call || strings.HasSuffix(c, ")")):
			out[i] = name
		default:
			out[i] = "expr"
		}
	}
	return out
}

// singleName reports a single identifier.
func singleName(s string) bool {
	toks := sqlTokens(s)
	return len(toks) == 1 && toks[0].ident()
}

func numberIn(part []sqlToken) (string, bool) {
	if len(part) >= 4 && part[2].kind == sqlNumber && part[3].is(")") {
		return part[2].text, true
	}
	return "", false
}

func (p *ddl) alter() {
	if p.take("index") {
		p.take("if", "exists")
		from := p.qualified()
		if !p.take("rename", "to") {
			return
		}
		to := p.qualified()
		for _, t := range p.schema.tables {
			for i := range t.Indexes {
				if t.Indexes[i].Name == from {
					t.Indexes[i].Name = to
				}
			}
		}
		return
	}
	if !p.take("table") {
		return
	}
	p.take("if", "exists")
	p.take("only")
	t := p.schema.table(p.qualified())
	if t == nil {
		return
	}
	p.take("*")
	for _, action := range sqlSplit(p.toks[min(p.i, len(p.toks)):], ",") {
		if len(action) > 0 {
			(&ddl{schema: p.schema, file: p.file, toks: action}).action(t)
		}
	}
}

// action applies one action of ALTER TABLE.
func (p *ddl) action(t *premortem.Table) {
	switch {
	case p.take("add", "column"):
		p.take("if", "not", "exists")
		p.column(t)
	case p.take("add"):
		p.take("if", "not", "exists")
		p.element(t)
	case p.take("drop", "constraint"):
		p.take("if", "exists")
		dropConstraint(t, p.qualified())
	case p.take("drop", "primary", "key"):
		t.Indexes = slices.DeleteFunc(t.Indexes, func(ix premortem.Index) bool { return ix.Primary })
	case p.take("drop", "index"), p.take("drop", "key"):
		dropConstraint(t, p.qualified())
	case p.take("drop", "column"), p.take("drop"):
		p.take("if", "exists")
		dropColumn(t, p.qualified())
	case p.take("rename", "to"):
		p.renameTable(t, p.qualified())
	case p.take("rename", "constraint"):
		from := p.qualified()
		if p.take("to") {
			for i := range t.Indexes {
				if t.Indexes[i].Name == from {
					t.Indexes[i].Name = p.peek().name()
				}
			}
		}
	case p.take("rename", "column"), p.take("rename"):
		from := p.qualified()
		if p.take("to") {
			p.renameColumn(t, from, p.qualified())
		}
	case p.take("alter", "column"), p.take("alter"):
		p.alterColumn(t)
	case p.take("modify", "column"), p.take("modify"):
		if c := t.Column(p.peek().name()); c != nil {
			old := *c
			dropColumn(t, old.Name)
			p.column(t)
		}
	}
}

func (p *ddl) alterColumn(t *premortem.Table) {
	c := t.Column(p.qualified())
	if c == nil {
		return
	}
	switch {
	case p.take("set", "data", "type"), p.take("type"):
		start := p.i
		for !p.done() && !p.peek().is("using") && !p.peek().is("collate") {
			p.i++
		}
		c.Type = typeText(p.toks[start:p.i])
	case p.take("set", "not", "null"):
		c.NotNull = true
	case p.take("drop", "not", "null"):
		c.NotNull = false
	case p.take("set", "default"):
		c.Default = p.expression()
	case p.take("drop", "default"), p.take("drop", "identity"):
		c.Default = ""
	case p.take("add", "generated"):
		c.NotNull, c.Default = true, "identity"
	}
}

func (p *ddl) drop() {
	switch {
	case p.take("table"):
		for _, name := range p.names() {
			p.schema.tables = slices.DeleteFunc(p.schema.tables, func(t *premortem.Table) bool { return t.Name == name })
		}
	case p.take("index"):
		p.take("concurrently")
		for _, name := range p.names() {
			if i := strings.LastIndex(name, "."); i >= 0 {
				name = name[i+1:]
			}
			for _, t := range p.schema.tables {
				t.Indexes = slices.DeleteFunc(t.Indexes, func(ix premortem.Index) bool { return ix.Name == name })
			}
		}
	}
}

// names reads the list that DROP takes.
func (p *ddl) names() []string {
	p.take("if", "exists")
	var out []string
	for !p.done() {
		name := p.qualified()
		if name == "" {
			break
		}
		out = append(out, name)
		if !p.take(",") {
			break
		}
	}
	return out
}

func dropConstraint(t *premortem.Table, name string) {
	t.Indexes = slices.DeleteFunc(t.Indexes, func(ix premortem.Index) bool { return ix.Name == name })
	t.Foreign = slices.DeleteFunc(t.Foreign, func(f premortem.Foreign) bool {
		return name == t.Name+"_"+strings.Join(f.Columns, "_")+"_fkey"
	})
}

// dropColumn removes a column with the indexes and keys that use it.
func dropColumn(t *premortem.Table, name string) {
	t.Columns = slices.DeleteFunc(t.Columns, func(c premortem.Column) bool { return c.Name == name })
	t.Indexes = slices.DeleteFunc(t.Indexes, func(ix premortem.Index) bool {
		return slices.ContainsFunc(ix.Columns, func(c string) bool { return mentions(c, name) })
	})
	t.Foreign = slices.DeleteFunc(t.Foreign, func(f premortem.Foreign) bool { return slices.Contains(f.Columns, name) })
}

// mentions reports whether an expression uses a column.
func mentions(expr, column string) bool {
	for _, t := range sqlTokens(expr) {
		if t.ident() && t.name() == column {
			return true
		}
	}
	return false
}

func (p *ddl) renameColumn(t *premortem.Table, from, to string) {
	if c := t.Column(from); c != nil {
		c.Name = to
	}
	for i := range t.Indexes {
		for j, expr := range t.Indexes[i].Columns {
			t.Indexes[i].Columns[j] = renamed(expr, from, to)
		}
		t.Indexes[i].Where = renamed(t.Indexes[i].Where, from, to)
	}
	for i := range t.Foreign {
		for j, c := range t.Foreign[i].Columns {
			if c == from {
				t.Foreign[i].Columns[j] = to
			}
		}
	}
	for _, other := range p.schema.tables {
		for i := range other.Foreign {
			for j, c := range other.Foreign[i].RefColumns {
				if other.Foreign[i].RefTable == t.Name && c == from {
					other.Foreign[i].RefColumns[j] = to
				}
			}
		}
	}
}

func renamed(expr, from, to string) string {
	toks := sqlTokens(expr)
	for i := range toks {
		if toks[i].ident() && toks[i].name() == from {
			toks[i] = sqlToken{kind: sqlQuoted, text: to}
		}
	}
	return sqlText(toks)
}

func (p *ddl) renameTable(t *premortem.Table, to string) {
	for _, other := range p.schema.tables {
		for i := range other.Foreign {
			if other.Foreign[i].RefTable == t.Name {
				other.Foreign[i].RefTable = to
			}
		}
	}
	t.Name = to
}
