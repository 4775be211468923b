package read

import (
	"bytes"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/premortem/premortem"
)

// module is one JavaScript or TypeScript file.
type module struct {
	path    string
	lines   lines
	toks    []jsToken
	test    bool
	imports map[string]imported // local name → what it stands for
	needs   []imported          // every module that is loaded, also without a name
	exports map[string]string   // exported name → local name; "*" lists are in stars
	froms   map[string]imported // exported name → re-export
	stars   []string            // export * from
	vars    map[string][]span   // name → initialisers, in the order of the file
	funcs   []jsFunc
	funcOf  jsNesting // the function that each token stands in
	loopsIn []jsLoop
	loopOf  jsNesting // the loop
	env     []envUse
	scans   int             // whole-file searches so far
	dynamic bool            // loads modules whose names are computed
	inlined map[string]bool // of a next.config: names that it puts into the code
	routers map[string]bool
	models  []*jsModel
	src     string
	light   bool // its tokens are made when they are asked for; see open
	size    int  // tokens that a light module has
	once    sync.Once
	byName  map[string][]int  // functions by name, once they were asked for
	words   map[string]bool   // names that occur, once one was asked for
	fields  map[string]string // field → class that it holds, once one was asked for
}

// imported is a name of another module.
type imported struct {
	from string // as written
	name string // "default", "*" or the exported name
	at   int
}

// Source reads JavaScript and TypeScript with a tokenizer of its own that survives
// broken files and keeps exact positions.
var Source = add(Reader{
	Name: "javascript",
	Doc: premortem.Doc{
		Title:  "JavaScript and TypeScript",
		Why:    "The code is what needs variables, sends queries and answers routes.",
		When:   "Files with .js, .mjs, .cjs, .jsx, .ts, .mts, .cts and .tsx: reads of the environment, Express routes with their mount points, Sequelize models and queries, SQL text, connection pools and SDKs of third parties.",
		Silent: "Tests, type declarations, minified files and build output are no evidence.",
		Fix:    "Read variables by their literal names.",
	},
	Wants: isSource,
	Read: func(f File, d *Draft) error {
		if minified(f.Data) {
			return nil
		}
		d.modules = append(d.modules, parseModule(f))
		return nil
	},
})

func isSource(p string) bool {
	switch path.Ext(p) {
	case ".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx":
		return !strings.HasSuffix(p, ".d.ts") && !strings.Contains(path.Base(p), ".min.")
	}
	return false
}

// minified reports code that no person wrote: lines of thousands of bytes.
func minified(data []byte) bool {
	return len(data) > 20_000 && len(data)/(bytes.Count(data, []byte("\n"))+1) > 500
}

func isTest(p string) bool {
	for seg := range strings.SplitSeq(path.Dir(p), "/") {
		switch strings.ToLower(seg) {
		case "test", "tests", "__tests__", "__mocks__", "spec", "specs", "e2e", "cypress", "playwright", "fixtures", "testdata", "mocks":
			return true
		}
	}
	base := path.Base(p)
	return strings.Contains(base, ".test.") || strings.Contains(base, ".spec.") || strings.Contains(base, ".stories.") || strings.Contains(base, ".e2e.")
}

// isBuildConfig reports files that run when the code is built, not when it serves.
func isBuildConfig(p string) bool {
	base := path.Base(p)
	for _, tool := range []string{"vite", "webpack", "rollup", "jest", "vitest", "babel", "eslint", "prettier", "tailwind", "postcss", "playwright", "cypress", "next", "nuxt", "svelte", "astro", "metro", "tsup", "drizzle", "knexfile", "commitlint", "lint-staged"} {
		if strings.HasPrefix(base, tool+".config.") || strings.HasPrefix(base, "."+tool+"rc.") {
			return true
		}
	}
	return false
}

// parseModule reads a file. A module that holds no fact comes back light.
func parseModule(f File) *module {
	src := string(f.Data)
	buf := tokenPool.Get().(*[]jsToken)
	defer giveBack(buf)
	*buf = jsTokensInto((*buf)[:0], src, hasElements(f.Path))
	m := newModule(f.Path, src, *buf)
	m.names()
	if m.test || !m.tells() {
		m.lighten()
		return m
	}
	m.toks = slices.Clone(m.toks)
	m.unfold()
	m.env = m.envUses()
	return m
}

func newModule(file, src string, toks []jsToken) *module {
	return &module{
		path: file, src: src, test: isTest(file), toks: toks,
		imports: map[string]imported{}, exports: map[string]string{}, froms: map[string]imported{}, vars: map[string][]span{},
		routers: map[string]bool{},
	}
}

// unfold finds the lines, functions and loops of a module.
func (m *module) unfold() {
	m.lines = linesOf(m.src)
	m.funcs = m.functions()
	bodies := make([]span, len(m.funcs))
	for i, fn := range m.funcs {
		bodies[i] = fn.body
	}
	m.funcOf = innermost(len(m.toks), bodies)
	m.loopsIn = m.loops()
	bodies = bodies[:0]
	for _, l := range m.loopsIn {
		bodies = append(bodies, l.body)
	}
	m.loopOf = innermost(len(m.toks), bodies)
}

// names finds imports, exports and variables.
func (m *module) names() {
	for i, t := range m.toks {
		if t.kind != jsIdent || m.tok(i-1).is(".") {
			continue
		}
		switch t.text {
		case "import":
			m.importAt(i)
		case "require":
			m.requireAt(i)
		case "export":
			m.exportAt(i)
		case "const", "let", "var":
			m.declare(i)
		case "module":
			if m.tok(i+1).is(".") && m.tok(i+2).is("exports") {
				m.moduleExports(i + 3)
			}
		case "exports":
			if m.tok(i+1).is(".") && m.tok(i+3).is("=") {
				m.exportValue(m.tok(i+2).text, i+4)
			}
		case "class":
			if m.tok(i+1).kind == jsIdent && m.tok(i-1).is("export") {
				m.exports[m.tok(i+1).text] = m.tok(i + 1).text
			}
		}
	}
}

// importAt reads an import declaration or an import() call.
func (m *module) importAt(i int) {
	if m.tok(i + 1).is("(") {
		if m.tok(i+2).kind == jsString && m.tok(i+3).is(")") {
			m.needs = append(m.needs, imported{m.tok(i + 2).text, "*", i})
		} else {
			m.dynamic = true
		}
		return
	}
	j := i + 1
	if m.tok(j).is("type") && !m.tok(j+1).is("from") && !m.tok(j+1).is(",") {
		return // types do not exist when the program runs
	}
	var found []string
	got := map[string]imported{}
	for ; j < i+400 && j < len(m.toks); j++ {
		switch t := m.toks[j]; {
		case t.kind == jsString:
			for _, name := range found {
				im := got[name]
				im.from = t.text
				m.imports[name] = im
			}
			m.needs = append(m.needs, imported{t.text, "*", i})
			return
		case t.is("{"):
			for _, p := range m.split(m.inside(j), ",") {
				name, local := m.tok(p.lo).text, m.tok(p.hi-1).text
				if name == "type" && p.hi-p.lo > 1 {
					continue
				}
				found, got[local] = append(found, local), imported{name: name, at: i}
			}
			j = m.next(j) - 1
		case t.is("*"):
			local := m.tok(j + 2).text
			found, got[local] = append(found, local), imported{name: "*", at: i}
			j += 2
		case t.is("from"), t.is(","):
		case t.kind == jsIdent:
			found, got[t.text] = append(found, t.text), imported{name: "default", at: i}
		default:
			return
		}
	}
}

// requireAt reads require('x') with the names it is bound to.
func (m *module) requireAt(i int) {
	if !m.tok(i + 1).is("(") {
		return
	}
	if m.tok(i+2).kind != jsString || !m.tok(i+3).is(")") {
		m.dynamic = true
		return
	}
	from := m.tok(i + 2).text
	m.needs = append(m.needs, imported{from, "*", i})
	name := "*" // CommonJS: the whole of module.exports
	if m.tok(i+4).is(".") && m.tok(i+5).kind == jsIdent {
		name = m.tok(i + 5).text
	}
	if !m.tok(i - 1).is("=") {
		return
	}
	switch t := m.tok(i - 2); {
	case t.kind == jsIdent:
		m.imports[t.text] = imported{from, name, i}
	case t.is("}") && t.match >= 0:
		for _, p := range m.props(t.match) {
			local := m.tok(p.value.hi - 1).text
			m.imports[local] = imported{from, p.key, i}
		}
	}
}

// declare reads the variables of one const, let or var.
func (m *module) declare(i int) {
	for j := i + 1; j < len(m.toks); {
		name := j
		if m.tok(j).is("{") || m.tok(j).is("[") {
			j = m.next(j)
		} else if m.tok(j).kind == jsIdent {
			j++
		} else {
			return
		}
		if m.tok(j).is(":") { // a type
			for j < len(m.toks) && !m.tok(j).is("=") && !m.tok(j).is(";") && !m.tok(j).is("=>") && !(m.tok(j).nl && m.ends(j-1) && m.starts(j)) {
				j = m.next(j)
			}
		}
		if m.tok(j).is("of") && m.tok(i-1).is("(") && m.tok(i-1).match > j { // for (const x of …)
			v := span{j + 1, m.tok(i - 1).match}
			if m.tok(name).kind == jsIdent {
				m.vars[m.tok(name).text] = append(m.vars[m.tok(name).text], v)
			} else {
				m.destructure(name, v)
			}
			return
		}
		if !m.tok(j).is("=") {
			return
		}
		v := span{j + 1, m.exprEnd(j + 1)}
		if m.tok(name).kind == jsIdent {
			m.vars[m.tok(name).text] = append(m.vars[m.tok(name).text], v)
		} else {
			m.destructure(name, v)
		}
		if !m.tok(v.hi).is(",") {
			return
		}
		j = v.hi + 1
	}
}

// destructure binds each name of a pattern to the whole initialiser.
func (m *module) destructure(open int, v span) {
	if m.tok(open).is("[") {
		for _, p := range m.split(m.inside(open), ",") {
			if m.tok(p.lo).kind == jsIdent {
				m.vars[m.tok(p.lo).text] = append(m.vars[m.tok(p.lo).text], v)
			}
		}
		return
	}
	for _, p := range m.props(open) {
		if t := m.tok(p.value.lo); t.kind == jsIdent && p.key != "..." {
			m.vars[t.text] = append(m.vars[t.text], v)
		}
	}
}

// initialiser returns the value of a variable that is seen at a token: the last
// one before it, else the first.
func (m *module) initialiser(name string, before int) (span, bool) {
	vs := m.vars[name]
	// They stand in the order of the file.
	if n, _ := slices.BinarySearchFunc(vs, before+1, func(v span, at int) int { return v.lo - at }); n > 0 {
		return vs[n-1], true
	}
	if len(vs) > 0 {
		return vs[0], true
	}
	return span{}, false
}

// pos is the place of a token.
func (m *module) pos(i int) premortem.Pos {
	m.open()
	return premortem.Pos{File: m.path, Line: min(max(m.tok(i).line, 1), max(m.lines.len(), 1))}
}

// quote is the source line of a token, trimmed and with secrets masked.
func (m *module) quote(i int) string { return m.quoteLine(m.open().tok(i).line) }

func (m *module) quoteLine(n int) string {
	if n < 1 || n > m.lines.len() {
		return ""
	}
	return Mask(m.path, m.lines.at(n))
}
