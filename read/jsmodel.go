package read

import (
	"regexp"
	"strings"
	"unicode"
)

// jsModel is a Sequelize model.
type jsModel struct {
	name     string // "User"
	variable string // in its module
	table    string
	columns  map[string]string // attribute → column
	attrs    []string          // in order
	key      string            // attribute of the primary key
	module   *module
}

// column returns the column of an attribute.
func (j *jsModel) column(attr string) string {
	if c, ok := j.columns[attr]; ok {
		return c
	}
	return attr
}

// namingStyle is what `new Sequelize(…, {define: {…}})` sets for all models.
type namingStyle struct {
	underscored, freeze, timestamps bool
}

// naming finds the define options of the repository's Sequelize instances.
func (p *project) naming() namingStyle {
	s := namingStyle{timestamps: true}
	for _, path := range p.paths {
		m := p.modules[path]
		if m.test {
			continue
		}
		for i, t := range m.toks {
			if !t.is("Sequelize") || !m.tok(i-1).is("new") || !m.tok(i+1).is("(") {
				continue
			}
			for _, a := range m.args(i + 1) {
				if d := m.prop(a.lo, "define"); m.tok(d.lo).is("{") {
					s = m.style(d.lo, s)
				}
			}
		}
	}
	return s
}

func (m *module) style(open int, s namingStyle) namingStyle {
	for _, p := range m.props(open) {
		on := m.tok(p.value.lo).is("true")
		switch p.key {
		case "underscored":
			s.underscored = on
		case "freezeTableName":
			s.freeze = on
		case "timestamps":
			s.timestamps = on
		}
	}
	return s
}

// findModels finds sequelize.define('Name', {…}, {…}) and Name.init({…}, {…}).
func (m *module) findModels(style namingStyle) []*jsModel {
	var out []*jsModel
	for i, t := range m.toks {
		if t.kind != jsIdent || !m.tok(i-1).is(".") && !m.tok(i-1).is("?.") {
			continue
		}
		open := m.callOpen(i)
		if open < 0 {
			continue
		}
		args := m.args(open)
		switch {
		case t.text == "define" && len(args) >= 2 && m.tok(args[0].lo).kind == jsString:
			model := m.model(m.tok(args[0].lo).text, args[1:], style)
			model.variable = model.name
			start := m.chainStart(i - 1)
			if name, ok := m.boundTo(start - 1); ok && m.tok(start-1).is("=") {
				model.variable = name
			}
			out = append(out, model)
		case t.text == "init" && len(args) == 2 && m.tok(args[0].lo).is("{") && m.extendsModel(m.tok(i-2).text):
			model := m.model(m.tok(i-2).text, args, style)
			model.variable = m.tok(i - 2).text
			out = append(out, model)
		}
	}
	return out
}

// extendsModel reports whether a class of the module extends Sequelize's Model.
func (m *module) extendsModel(name string) bool {
	for i, t := range m.toks {
		if t.is("class") && m.tok(i+1).text == name && m.tok(i+2).is("extends") {
			return strings.HasSuffix(m.source(span{i + 3, i + 6}), "Model") || m.tok(i+3).is("Model") || m.tok(i+5).is("Model")
		}
	}
	return false
}

// model reads the attributes and options of a model.
func (m *module) model(name string, args []span, style namingStyle) *jsModel {
	j := &jsModel{name: name, columns: map[string]string{}, key: "id", module: m}
	open := -1
	if len(args) > 1 {
		open = m.object(args[1])
	}
	style = m.style(open, style)
	hasKey := false
	attrs := m.object(args[0])
	for _, p := range m.props(attrs) {
		if p.key == "..." {
			continue
		}
		col := p.key
		if style.underscored {
			col = underscore(p.key)
		}
		def := m.object(p.value)
		if f := m.prop(def, "field"); m.tok(f.lo).kind == jsString {
			col = m.tok(f.lo).text
		}
		if k := m.prop(def, "primaryKey"); m.tok(k.lo).is("true") && !hasKey {
			j.key, hasKey = p.key, true
		}
		j.add(p.key, col)
	}
	if !hasKey && j.columns["id"] == "" {
		j.columns["id"] = "id"
		j.attrs = append([]string{"id"}, j.attrs...)
	}
	if style.timestamps {
		for _, key := range []string{"createdAt", "updatedAt"} {
			if off := m.prop(open, key); m.tok(off.lo).is("false") || j.columns[key] != "" {
				continue
			}
			col := key
			if style.underscored {
				col = underscore(key)
			}
			j.add(key, col)
		}
	}
	j.table = m.tableName(name, open, style)
	return j
}

func (j *jsModel) add(attr, col string) {
	j.columns[attr] = col
	j.attrs = append(j.attrs, attr)
}

// object returns the brace of an object literal, also behind a name or a chain of
// spreads; -1 when there is none.
func (m *module) object(s span) int {
	t := m.tok(s.lo)
	switch {
	case s.empty():
		return -1
	case t.is("{"):
		return s.lo
	case t.kind == jsIdent && s.hi-s.lo == 1:
		if v, ok := m.initialiser(t.text, s.lo); ok && m.tok(v.lo).is("{") {
			return v.lo
		}
	}
	return -1
}

// tableName follows Sequelize: tableName, else the name as it is when frozen, else
// its plural.
func (m *module) tableName(name string, open int, style namingStyle) string {
	table := ""
	if t := m.prop(open, "tableName"); !t.empty() {
		if v, ok := m.constant(t, 0); ok {
			table = v
		}
	}
	if n := m.prop(open, "modelName"); table == "" && m.tok(n.lo).kind == jsString {
		name = m.tok(n.lo).text
	}
	if table == "" {
		table = name
		if !style.freeze {
			table = plural(name)
		}
		if style.underscored {
			table = underscore(table)
		}
	}
	if s := m.prop(open, "schema"); m.tok(s.lo).kind == jsString && m.tok(s.lo).text != "public" {
		table = m.tok(s.lo).text + "." + table
	}
	return table
}

// underscore writes userId as user_id.
func underscore(s string) string {
	var b strings.Builder
	rs := []rune(s)
	for i, r := range rs {
		if unicode.IsUpper(r) {
			if i > 0 && (unicode.IsLower(rs[i-1]) || unicode.IsDigit(rs[i-1]) || i+1 < len(rs) && unicode.IsLower(rs[i+1]) && rs[i-1] != '_') {
				b.WriteByte('_')
			}
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

var (
	irregular = map[string]string{"person": "people", "child": "children", "man": "men", "woman": "women", "mouse": "mice", "foot": "feet", "tooth": "teeth", "ox": "oxen", "datum": "data", "medium": "media"}
	invariant = wordSet(`equipment information rice money species series fish sheep police news data media`)
	esEnding  = regexp.MustCompile(`(?i)(s|x|z|ch|sh)$`)
	yEnding   = regexp.MustCompile(`(?i)[^aeiou]y$`)
)

// plural is the plural of an English noun as Sequelize forms it.
func plural(s string) string {
	low := strings.ToLower(s)
	for one, many := range irregular {
		if strings.HasSuffix(low, one) && (len(low) == len(one) || unicode.IsUpper(rune(s[len(s)-len(one)]))) {
			return s[:len(s)-len(one)] + s[len(s)-len(one):len(s)-len(one)+1] + many[1:]
		}
	}
	switch {
	case invariant[low]:
		return s
	case strings.HasSuffix(low, "status"), strings.HasSuffix(low, "alias"):
		return s + "es"
	case strings.HasSuffix(low, "sis"):
		return s[:len(s)-2] + "es"
	case strings.HasSuffix(low, "s") && !strings.HasSuffix(low, "ss") && !strings.HasSuffix(low, "us"):
		return s
	case yEnding.MatchString(s):
		return s[:len(s)-1] + "ies"
	case esEnding.MatchString(s):
		return s + "es"
	}
	return s + "s"
}
