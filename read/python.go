package read

import (
	"path"
	"strings"

	"github.com/premortem/premortem"
)

// Python reads Python with a tokenizer of its own.
var Python = add(Reader{
	Name: "python",
	Doc: premortem.Doc{
		Title:  "Python source",
		Why:    "The code is what needs variables, sends queries and answers routes.",
		When:   "Files with .py: os.environ, os.getenv, pydantic settings, django-environ, environs and decouple; routes of Flask, FastAPI and Django; SQL text; pools of SQLAlchemy, psycopg and asyncpg; .python-version and requires-python.",
		Silent: "Tests, and programs beside the one that the image starts.",
		Fix:    "Read variables by their literal names.",
	},
	Wants: func(p string) bool {
		return path.Ext(p) == ".py" || path.Base(p) == ".python-version" || path.Base(p) == "pyproject.toml"
	},
	Read: readPython,
})

// pyStatement is one logical line.
type pyStatement struct {
	span
	indent int
	fn     int // index of the function around it, -1 at module scope
	parent int // statement whose block it stands in, -1 none
}

type pyReader struct {
	*program
	stmts  []pyStatement
	stmtOf []int             // by token
	heads  map[string][]int  // name → statements that start with it, at most a few
	names  map[string]string // imported name → module.name
	env    map[string]string // variable → library that reads the environment through it
	bases  map[string]string // router variable → prefix
}

func readPython(f File, d *Draft) error {
	switch path.Base(f.Path) {
	case ".python-version":
		readVersionFile(f, d, "python")
		return nil
	case "pyproject.toml":
		readPyproject(f, d)
		return nil
	}
	p := newProgram(f, "python")
	base := path.Base(f.Path)
	p.test = p.test || strings.HasPrefix(base, "test_") || strings.HasSuffix(base, "_test.py") || base == "conftest.py"
	p.toks = codeTokens(p.src, pythonStyle)
	r := &pyReader{program: p, names: map[string]string{}, env: map[string]string{}, bases: map[string]string{}}
	r.statements()
	r.readImports()
	r.envObjects()
	if !p.test {
		r.readEnv()
		r.settingsClasses()
		r.readRoutes()
		r.readSQL()
		r.readORM()
		r.readClients()
		r.readTraffic()
	}
	d.programs = append(d.programs, p)
	return nil
}

// statements cuts the file into logical lines and finds the block of each.
func (r *pyReader) statements() {
	r.stmtOf, r.heads = make([]int, len(r.toks)), map[string][]int{}
	var open []int // statements whose blocks are open
	for i := 0; i < len(r.toks); {
		end := r.next(i)
		for end < len(r.toks) && !(r.toks[end].nl && !r.continued(end)) {
			end = r.next(end)
		}
		line := r.toks[i].line
		st := pyStatement{span: span{i, end}, indent: indentOf(r.lines, line), fn: -1, parent: -1}
		for len(open) > 0 && r.stmts[open[len(open)-1]].indent >= st.indent {
			open = open[:len(open)-1]
		}
		if len(open) > 0 {
			st.parent = open[len(open)-1]
			st.fn = r.stmts[st.parent].fn
			if head := r.tok(r.stmts[st.parent].lo); head.is("def") || head.is("async") && r.tok(r.stmts[st.parent].lo+1).is("def") {
				st.fn = st.parent
			}
		}
		for k := i; k < end && k < len(r.toks); k++ {
			r.stmtOf[k] = len(r.stmts)
		}
		if t := r.tok(i); t.kind == jsIdent && len(r.heads[t.text]) < 100 {
			r.heads[t.text] = append(r.heads[t.text], len(r.stmts))
		}
		open = append(open, len(r.stmts))
		r.stmts = append(r.stmts, st)
		i = end
	}
}

// continued reports a line that a backslash joins to the one before.
func (r *pyReader) continued(i int) bool {
	return r.tok(i - 1).is("\\")
}

func indentOf(text lines, line int) int {
	n := 0
	for _, c := range text.at(line) {
		switch c {
		case ' ':
			n++
		case '\t':
			n += 8
		default:
			return n
		}
	}
	return n
}

// readImports notes what names stand for, and what is loaded.
func (r *pyReader) readImports() {
	for _, st := range r.stmts {
		switch head := r.tok(st.lo); {
		case head.is("import"):
			for _, part := range r.split(span{st.lo + 1, st.hi}, ",") {
				mod, local := r.dotted(part)
				r.loads = append(r.loads, mod)
				if local == "" {
					local, _, _ = strings.Cut(mod, ".")
					mod = local
				}
				r.names[local] = mod
			}
		case head.is("from"):
			r.fromImport(st)
		}
	}
	for i, t := range r.toks {
		if t.is("import_module") || t.is("__import__") || t.is("INSTALLED_APPS") {
			r.dynamic = true
		}
		if t.kind == jsString && r.tok(i-2).text == "DJANGO_SETTINGS_MODULE" {
			r.loads = append(r.loads, t.text)
		}
		if t.is("include") && r.tok(i+1).is("(") && r.tok(i+2).kind == jsString {
			r.loads = append(r.loads, r.tok(i+2).text)
		}
	}
}

func (r *pyReader) fromImport(st pyStatement) {
	imp := -1
	for i := st.lo; i < st.hi; i++ {
		if r.tok(i).is("import") {
			imp = i
			break
		}
	}
	if imp < 0 {
		return
	}
	mod := r.source(span{st.lo + 1, imp})
	r.loads = append(r.loads, mod)
	body := span{imp + 1, st.hi}
	if r.tok(imp + 1).is("(") {
		body = r.inside(imp + 1)
	}
	for _, part := range r.split(body, ",") {
		name, local := r.dotted(part)
		if local == "" {
			local = name
		}
		sep := "."
		if strings.HasSuffix(mod, ".") {
			sep = ""
		}
		r.loads = append(r.loads, mod+sep+name)
		r.names[local] = mod + sep + name
	}
}

// dotted reads a.b.c as d.
func (r *pyReader) dotted(s span) (name, local string) {
	for i := s.lo; i < s.hi; i++ {
		if r.tok(i).is("as") {
			return r.source(span{s.lo, i}), r.tok(i + 1).text
		}
	}
	return r.source(s), ""
}

// atModule reports whether a token runs when the module is loaded.
func (r *pyReader) atModule(i int) bool {
	return i >= 0 && i < len(r.stmtOf) && r.stmts[r.stmtOf[i]].fn < 0
}

// keyword returns the value of name=value among a call's arguments.
func (r *pyReader) keyword(open int, name string) span {
	for _, a := range r.args(open) {
		if r.tok(a.lo).is(name) && r.tok(a.lo+1).is("=") {
			return span{a.lo + 2, a.hi}
		}
	}
	return span{}
}

// literal evaluates a string, an f-string, or a name that is assigned one; line is
// where its text starts.
func (r *pyReader) literal(s span) (text string, line int, ok bool) {
	t := r.tok(s.lo)
	switch {
	case s.empty():
		return "", 0, false
	case t.kind == jsString || t.kind == jsTemplate:
		for i := s.lo; i < s.hi && (r.tok(i).kind == jsString || r.tok(i).kind == jsTemplate); i++ {
			text += r.tok(i).text
		}
		return text, t.line, true
	case t.kind == jsIdent && r.tok(s.lo+1).is("(") && (t.text == "text" || t.text == "SQL"):
		return r.literal(r.inside(s.lo + 1))
	case t.kind == jsIdent && s.hi-s.lo == 1:
		if v := r.assigned(t.text, s.lo); !v.empty() && (r.tok(v.lo).kind == jsString || r.tok(v.lo).is("text")) {
			return r.literal(v)
		}
	}
	return "", 0, false
}

// assigned returns what a name was last assigned before a token: in the same
// function, else at module scope.
func (r *pyReader) assigned(name string, before int) span {
	if before >= len(r.stmtOf) || len(r.stmts) == 0 {
		return span{}
	}
	fn := r.stmts[r.stmtOf[before]].fn
	var own, global span
	for _, k := range r.heads[name] {
		st := r.stmts[k]
		eq := st.lo + 1
		if r.tok(eq).is(":") {
			for eq < st.hi && !r.tok(eq).is("=") {
				eq = r.next(eq)
			}
		}
		if !r.tok(eq).is("=") {
			continue
		}
		v := span{eq + 1, st.hi}
		if st.fn == fn && st.lo < before {
			own = v
		} else if st.fn < 0 {
			global = v
		}
	}
	if !own.empty() {
		return own
	}
	return global
}

func readVersionFile(f File, d *Draft, lang string) {
	for i, line := range strings.Split(string(f.Data), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if v := strings.TrimSpace(line); v != "" && !strings.Contains(v, "/") {
			d.declareRuntime(path.Dir(f.Path), lang, strings.TrimPrefix(v, lang+"-"), path.Base(f.Path), premortem.Pos{File: f.Path, Line: i + 1})
			return
		}
	}
}

// readPyproject reads requires-python, and python among Poetry's dependencies.
func readPyproject(f File, d *Draft) {
	section := ""
	for i, line := range strings.Split(string(f.Data), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[] ")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key = strings.TrimSpace(key)
		if !ok || !(section == "project" && key == "requires-python" || section == "tool.poetry.dependencies" && key == "python") {
			continue
		}
		value, _, _ = strings.Cut(value, "#")
		d.declareRuntime(path.Dir(f.Path), "python", strings.Trim(strings.TrimSpace(value), `"'`), "pyproject.toml", premortem.Pos{File: f.Path, Line: i + 1})
	}
}
