package read

func (m *module) exportAt(i int) {
	j := i + 1
	switch t := m.tok(j); {
	case t.is("default"):
		m.exportValue("default", j+1)
	case t.is("*"):
		for k := j; k < j+5; k++ {
			if m.tok(k).kind == jsString {
				m.stars = append(m.stars, m.tok(k).text)
				m.needs = append(m.needs, imported{m.tok(k).text, "*", i})
			}
		}
	case t.is("{"):
		from := ""
		if end := m.next(j); m.tok(end).is("from") && m.tok(end+1).kind == jsString {
			from = m.tok(end + 1).text
			m.needs = append(m.needs, imported{from, "*", i})
		}
		for _, p := range m.split(m.inside(j), ",") {
			local, name := m.tok(p.lo).text, m.tok(p.hi-1).text
			if from != "" {
				m.froms[name] = imported{from, local, i}
			} else {
				m.exports[name] = local
			}
		}
	case t.is("const"), t.is("let"), t.is("var"):
		if m.tok(j + 1).is("{") {
			for _, p := range m.props(j + 1) {
				m.exports[m.tok(p.value.hi-1).text] = m.tok(p.value.hi - 1).text
			}
		} else {
			m.exports[m.tok(j+1).text] = m.tok(j + 1).text
		}
	case t.is("async"), t.is("function"):
		for k := j; k < j+4; k++ {
			if x := m.tok(k); x.kind == jsIdent && x.text != "async" && x.text != "function" {
				m.exports[x.text] = x.text
				break
			}
		}
	}
}

// exportValue records an exported expression: a name, or a value of no name, which
// becomes a variable called after the export.
func (m *module) exportValue(name string, i int) {
	t := m.tok(i)
	if t.is("async") && m.tok(i+1).is("function") || t.is("function") || t.is("class") {
		for k := i; k < i+4; k++ {
			if x := m.tok(k); x.kind == jsIdent && x.text != "async" && x.text != "function" && x.text != "class" {
				m.exports[name] = x.text
				return
			}
		}
	}
	end := m.exprEnd(i)
	if t.kind == jsIdent && end == i+1 {
		m.exports[name] = t.text
		return
	}
	local := "export " + name
	m.exports[name] = local
	m.vars[local] = append(m.vars[local], span{i, end})
}

// moduleExports reads what follows `module.exports`.
func (m *module) moduleExports(i int) {
	switch {
	case m.tok(i).is(".") && m.tok(i+2).is("="):
		m.exportValue(m.tok(i+1).text, i+3)
	case m.tok(i).is("="):
		v := i + 1
		if m.tok(v).is("{") {
			for _, p := range m.props(v) {
				if p.value.hi-p.value.lo == 1 {
					m.exports[p.key] = m.tok(p.value.lo).text
				} else if p.key != "..." {
					local := "export " + p.key
					m.exports[p.key] = local
					m.vars[local] = append(m.vars[local], p.value)
				}
			}
			return
		}
		m.exportValue("default", v)
	}
}
