package read

import (
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// schema is the database while migrations are applied to it.
type schema struct {
	tables []*premortem.Table
	models map[string]*djangoModel // by "app.model" in lower case
	mysql  bool                    // the file at hand is for MySQL
}

// statement applies one statement of a migration. Statements that do not change
// tables or indexes are ignored.
func (s *schema) statement(file string, toks []sqlToken) {
	p := &ddl{schema: s, file: file, toks: toks}
	switch {
	case p.take("create"):
		p.create()
	case p.take("alter"):
		p.alter()
	case p.take("drop"):
		p.drop()
	}
}

// table finds a table by its name, with or without the schema public.
func (s *schema) table(name string) *premortem.Table {
	for _, t := range s.tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// ddl is a cursor over one statement.
type ddl struct {
	schema *schema
	file   string
	toks   []sqlToken
	i      int
}

func (p *ddl) done() bool { return p.i >= len(p.toks) }

// peek returns the token ahead, a zero operator at the end.
func (p *ddl) peek() sqlToken {
	if p.done() {
		return sqlToken{kind: sqlOp}
	}
	return p.toks[p.i]
}

// take consumes the words when they come next, all or none of them.
func (p *ddl) take(words ...string) bool {
	if p.i+len(words) > len(p.toks) {
		return false
	}
	for k, w := range words {
		if !p.toks[p.i+k].is(w) {
			return false
		}
	}
	p.i += len(words)
	return true
}

func (p *ddl) pos() premortem.Pos {
	i := min(p.i, len(p.toks)-1)
	return premortem.Pos{File: p.file, Line: p.toks[i].line}
}

// qualified reads a name such as public.users; "public." is dropped.
func (p *ddl) qualified() string {
	if p.done() || !p.peek().ident() {
		return ""
	}
	name := p.peek().name()
	for p.i++; p.i+1 < len(p.toks) && p.peek().is(".") && p.toks[p.i+1].ident(); p.i += 2 {
		name += "." + p.toks[p.i+1].name()
	}
	return strings.TrimPrefix(name, "public.")
}

func (p *ddl) create() {
	pos := premortem.Pos{File: p.file, Line: p.toks[0].line}
	p.take("or", "replace")
	unique := p.take("unique")
	switch {
	case p.take("index"):
		p.createIndex(unique, pos)
		return
	case p.take("temporary"), p.take("temp"):
		return // lives in one session
	case p.take("unlogged"), p.take("foreign"):
	}
	if !p.take("table") {
		return
	}
	p.take("if", "not", "exists")
	name := p.qualified()
	if name == "" || p.schema.table(name) != nil {
		return
	}
	t := &premortem.Table{Name: name, Pos: pos}
	p.schema.tables = append(p.schema.tables, t)
	if p.take("partition", "of") {
		if parent := p.schema.table(p.qualified()); parent != nil {
			t.Columns = slices.Clone(parent.Columns)
		}
		return
	}
	if !p.peek().is("(") {
		return
	}
	body, _ := sqlGroup(p.toks, p.i)
	for _, part := range sqlSplit(body, ",") {
		if len(part) > 0 {
			(&ddl{schema: p.schema, file: p.file, toks: part}).element(t)
		}
	}
}

// element reads a column or a table constraint.
func (p *ddl) element(t *premortem.Table) {
	name := ""
	if p.take("constraint") {
		name = p.qualified()
	}
	pos := p.pos()
	switch {
	case p.take("primary", "key"):
		p.key(t, name, true, true, pos)
	case p.peek().is("unique") && p.i+1 < len(p.toks) && (p.toks[p.i+1].is("(") || p.toks[p.i+1].is("key") || p.toks[p.i+1].is("index") || p.toks[p.i+1].is("nulls") || p.toks[p.i+1].is("using")):
		p.i++
		p.key(t, name, true, false, pos)
	case p.take("foreign", "key"):
		cols, next := sqlGroup(p.toks, p.i)
		p.i = next
		if p.take("references") {
			p.reference(t, identList(cols), pos)
		}
	case p.take("check"), p.take("exclude"), p.take("like"):
	case (p.peek().is("key") || p.peek().is("index")) && p.mysqlKey():
		p.i++
		p.key(t, name, false, false, pos)
	default:
		p.column(t)
	}
}

// mysqlKey reports whether KEY or INDEX starts an index, not a column of that name.
func (p *ddl) mysqlKey() bool {
	return p.i+2 < len(p.toks) && (p.toks[p.i+1].is("(") || p.toks[p.i+2].is("("))
}

// key adds the index of a PRIMARY KEY, UNIQUE or KEY clause.
func (p *ddl) key(t *premortem.Table, name string, unique, primary bool, pos premortem.Pos) {
	if !p.take("key") {
		p.take("index")
	}
	if p.take("using", "index") { // a constraint that adopts an index
		for i := range t.Indexes {
			if t.Indexes[i].Name == p.peek().name() {
				t.Indexes[i].Unique, t.Indexes[i].Primary = true, primary
			}
		}
		return
	}
	p.take("nulls", "not", "distinct")
	if p.peek().ident() && name == "" {
		name = p.peek().name()
		p.i++
	}
	if !p.peek().is("(") {
		return
	}
	group, _ := sqlGroup(p.toks, p.i)
	p.addKey(t, name, indexColumns(group), unique, primary, pos)
}

func (p *ddl) addKey(t *premortem.Table, name string, cols []string, unique, primary bool, pos premortem.Pos) {
	if name == "" {
		switch {
		case primary:
			name = t.Name + "_pkey"
		case unique:
			name = t.Name + "_" + strings.Join(cols, "_") + "_key"
		default:
			name = t.Name + "_" + strings.Join(cols, "_") + "_idx"
		}
	}
	t.Indexes = append(t.Indexes, premortem.Index{Name: name, Columns: cols, Unique: unique, Primary: primary, Pos: pos})
	for i := range t.Columns {
		if primary && slices.Contains(cols, t.Columns[i].Name) {
			t.Columns[i].NotNull = true
		}
	}
}

// reference reads what follows REFERENCES.
func (p *ddl) reference(t *premortem.Table, cols []string, pos premortem.Pos) {
	f := premortem.Foreign{Columns: cols, RefTable: p.qualified(), Pos: pos}
	if p.peek().is("(") {
		group, next := sqlGroup(p.toks, p.i)
		f.RefColumns, p.i = identList(group), next
	} else if ref := p.schema.table(f.RefTable); ref != nil {
		for _, ix := range ref.Indexes {
			if ix.Primary {
				f.RefColumns = ix.Columns
			}
		}
	}
	for j := p.i; j+2 < len(p.toks); j++ {
		if p.toks[j].is("on") && p.toks[j+1].is("delete") {
			f.OnDelete = strings.ToLower(p.toks[j+2].text)
			if j+3 < len(p.toks) && (f.OnDelete == "set" || f.OnDelete == "no") {
				f.OnDelete += " " + strings.ToLower(p.toks[j+3].text)
			}
		}
	}
	t.Foreign = append(t.Foreign, f)
	if p.schema.mysql && len(cols) > 0 && !slices.ContainsFunc(t.Indexes, func(ix premortem.Index) bool {
		return len(ix.Columns) >= len(cols) && slices.Equal(ix.Columns[:len(cols)], cols)
	}) {
		p.addKey(t, "", cols, false, false, pos) // InnoDB makes the index itself
	}
}

// columnWords end the type of a column.
var columnWords = wordSet(`not null default primary unique references check constraint generated collate auto_increment comment on as identity key virtual stored deferrable initially character_set`)

// column reads `name type constraints…`.
func (p *ddl) column(t *premortem.Table) {
	if !p.peek().ident() {
		return
	}
	c := premortem.Column{Name: p.peek().name(), Pos: p.pos()}
	p.i++
	start := p.i
	for !p.done() && !(p.peek().kind == sqlWord && columnWords[strings.ToLower(p.peek().text)]) {
		if p.peek().is("(") {
			_, p.i = sqlGroup(p.toks, p.i)
			continue
		}
		p.i++
	}
	c.Type = typeText(p.toks[start:p.i])
	if strings.Contains(c.Type, "serial") {
		c.NotNull = true
		c.Default = "nextval"
	}
	if t.Column(c.Name) != nil {
		return
	}
	t.Columns = append(t.Columns, c)
	col := &t.Columns[len(t.Columns)-1]
	for !p.done() {
		p.constraint(t, col)
	}
}

// constraint reads one clause behind a column's type.
func (p *ddl) constraint(t *premortem.Table, c *premortem.Column) {
	name := ""
	if p.take("constraint") {
		name = p.qualified()
	}
	switch {
	case p.take("not", "null"):
		c.NotNull = true
	case p.take("primary", "key"):
		c.NotNull = true
		p.addKey(t, name, []string{c.Name}, true, true, c.Pos)
	case p.take("unique"):
		p.take("key")
		p.addKey(t, name, []string{c.Name}, true, false, c.Pos)
	case p.take("references"):
		p.reference(t, []string{c.Name}, c.Pos)
	case p.take("default"):
		c.Default = p.expression()
	case p.take("generated"):
		for !p.done() && !p.peek().is("(") && !p.peek().is("identity") {
			p.i++
		}
		if p.take("identity") {
			c.NotNull, c.Default = true, "identity"
		} else {
			c.Default = "generated"
		}
	case p.take("auto_increment"):
		c.Default = "identity"
	case p.peek().is("("):
		_, p.i = sqlGroup(p.toks, p.i)
	default:
		p.i++
	}
}

// expression reads a DEFAULT's value up to the next clause.
func (p *ddl) expression() string {
	start := p.i
	for first := true; !p.done(); first = false {
		if p.peek().is("(") {
			_, p.i = sqlGroup(p.toks, p.i)
			continue
		}
		if w := strings.ToLower(p.peek().text); !first && p.peek().kind == sqlWord && columnWords[w] {
			break
		}
		p.i++
	}
	return sqlText(p.toks[start:p.i])
}

// typeText writes a type as it is written, in lower case: "varchar(255)".
func typeText(toks []sqlToken) string {
	var b strings.Builder
	for i, t := range toks {
		glue := t.is("(") || t.is(")") || t.is(",") || t.is("[") || t.is("]") || t.is(".")
		if i > 0 && !glue && !toks[i-1].is("(") && !toks[i-1].is(",") && !toks[i-1].is("[") && !toks[i-1].is(".") {
			b.WriteByte(' ')
		}
		b.WriteString(strings.ToLower(t.text))
	}
	return b.String()
}

func identList(toks []sqlToken) []string {
	var out []string
	for _, part := range sqlSplit(toks, ",") {
		if len(part) > 0 {
			out = append(out, part[0].name())
		}
	}
	return out
}
