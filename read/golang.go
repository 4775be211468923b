package read

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// Golang reads Go with the parser of the Go distribution.
var Golang = add(Reader{
	Name: "go",
	Doc: premortem.Doc{
		Title:  "Go source",
		Why:    "The code is what needs variables, sends queries and answers routes.",
		When:   "Files with .go: os.Getenv, os.LookupEnv and functions that wrap them, struct tags of caarlos0/env, envconfig and cleanenv, viper's BindEnv, routes of net/http, chi, gin, echo, fiber and gorilla/mux, SQL text, pools of database/sql and pgx; go.mod's go and toolchain lines.",
		Silent: "Tests, and programs beside the one that the image starts.",
		Fix:    "Read variables by their literal names.",
	},
	Wants: func(p string) bool {
		return path.Ext(p) == ".go" && !strings.HasSuffix(p, "_test.go") || path.Base(p) == "go.mod"
	},
	Read: readGo,
})

// goFacts is what resolving across files needs of one Go file.
type goFacts struct {
	main     bool
	library  string // that fills structs from the environment
	prefix   string // given to envconfig.Process
	wrappers map[string]goWrapper
	calls    []goCall
	structs  []goStruct
	sites    []goSite
}

// goSite is one call of a function of the same package.
type goSite struct {
	name, caller string
	switched     bool // only when a variable switches it on
}

// goWrapper is a function that reads the variable its parameter names.
type goWrapper struct {
	key, fallback int  // parameters; fallback is -1 for none
	variadic      bool // takes the names of others that may stand in
	class         premortem.EnvClass
}

// goCall is a call with a literal that could be a variable's name.
type goCall struct {
	from, name string
	args       []string // "" for what is no literal
	line       int
	fn         string // function it stands in
}

// goReader reads one Go file.
type goReader struct {
	*program
	fset    *token.FileSet
	file    *ast.File
	imports map[string]string // local name → path
	parents map[ast.Node]ast.Node
	consts  map[string]string
	constAt map[string]int
	blank   map[string]bool     // variables that hold one of the environment
	prefix  map[string]string   // router variable → path before its routes
	values  map[string]ast.Expr // name → what it is given, nil for more than one value
}

func readGo(f File, d *Draft) error {
	if path.Base(f.Path) == "go.mod" {
		readGoMod(f, d)
		return nil
	}
	p := newProgram(f, "go")
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, f.Path, f.Data, parser.SkipObjectResolution)
	if file == nil || file.Name == nil {
		return err
	}
	p.golang = &goFacts{wrappers: map[string]goWrapper{}}
	r := &goReader{program: p, fset: fset, file: file, imports: map[string]string{}, parents: map[ast.Node]ast.Node{},
		consts: map[string]string{}, constAt: map[string]int{}, blank: map[string]bool{}, prefix: map[string]string{}}
	r.readImports()
	r.link()
	r.findWrappers()
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "main" && n.Recv == nil && file.Name.Name == "main" {
				p.golang.main = true
			}
		case *ast.CallExpr:
			r.call(n)
		case *ast.CompositeLit:
			r.cliFlag(n)
		case *ast.TypeSpec:
			if st, ok := n.Type.(*ast.StructType); ok {
				p.golang.structs = append(p.golang.structs, r.structOf(n.Name.Name, st))
			}
		}
		return true
	})
	r.readTraffic()
	d.programs = append(d.programs, p)
	return nil
}

var goVersionSuffix = regexp.MustCompile(`^v\d+$`)

func (r *goReader) readImports() {
	for _, im := range r.file.Imports {
		spec, err := strconv.Unquote(im.Path.Value)
		if err != nil {
			continue
		}
		r.loads = append(r.loads, spec)
		name := path.Base(spec)
		if goVersionSuffix.MatchString(name) {
			name = path.Base(path.Dir(spec))
		}
		name, _, _ = strings.Cut(strings.TrimPrefix(name, "go-"), ".")
		if im.Name != nil {
			name = im.Name.Name
		}
		r.imports[name] = spec
		for _, lib := range []string{"caarlos0/env", "kelseyhightower/envconfig", "sethvargo/go-envconfig", "ilyakaznacheev/cleanenv", "alecthomas/kong"} {
			if strings.Contains(spec, lib) {
				r.golang.library = lib
			}
		}
		if strings.HasPrefix(spec, "github.com/joho/godotenv/autoload") {
			r.dotenv = r.at(im)
		}
	}
}

// link notes each node's parent and the constants of the file.
func (r *goReader) link() {
	var stack []ast.Node
	ast.Inspect(r.file, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		if len(stack) > 0 {
			r.parents[n] = stack[len(stack)-1]
		}
		stack = append(stack, n)
		switch n := n.(type) {
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if i < len(n.Values) {
					r.constant(name.Name, n.Values[i])
				}
			}
		case *ast.AssignStmt:
			if id, ok := n.Lhs[0].(*ast.Ident); ok && len(n.Lhs) == 1 && len(n.Rhs) == 1 && n.Tok == token.DEFINE {
				r.constant(id.Name, n.Rhs[0])
			}
		}
		return true
	})
}

func (r *goReader) constant(name string, e ast.Expr) {
	if c, ok := e.(*ast.CallExpr); ok {
		if from, _, fn := r.callee(c); from == "os" && fn == "Getenv" {
			r.blank[name] = true
		}
	}
	if isEmptyLit(e) {
		r.blank[name] = true
	}
	if s, ok := r.text(e); ok {
		if _, twice := r.consts[name]; twice {
			s = ""
		}
		r.consts[name], r.constAt[name] = s, r.line(e)
	}
}

// text evaluates a string literal, a constant of the file, or a sum of them.
func (r *goReader) text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			s, err := strconv.Unquote(e.Value)
			return s, err == nil
		}
	case *ast.Ident:
		s, ok := r.consts[e.Name]
		return s, ok && s != ""
	case *ast.ParenExpr:
		return r.text(e.X)
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			a, ok1 := r.text(e.X)
			if id, isID := e.X.(*ast.Ident); isID && r.blank[id.Name] {
				a, ok1 = "", true // a prefix that is empty unless it is set
			}
			b, ok2 := r.text(e.Y)
			return a + b, ok1 && ok2
		}
	}
	return "", false
}

func (r *goReader) line(n ast.Node) int         { return r.fset.PositionFor(n.Pos(), false).Line }
func (r *goReader) at(n ast.Node) premortem.Pos { return r.on(r.line(n)) }
func (r *goReader) endLine(n ast.Node) int {
	return min(r.fset.PositionFor(n.End(), false).Line, r.lines.len())
}

// callee splits a called function into the import it comes from ("" for the file's
// own and for methods), its receiver and its name.
func (r *goReader) callee(c *ast.CallExpr) (from, recv, name string) {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return "", "", f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			if spec, ok := r.imports[x.Name]; ok {
				return spec, "", f.Sel.Name
			}
			return "", x.Name, f.Sel.Name
		}
		if x, ok := f.X.(*ast.SelectorExpr); ok {
			return "", x.Sel.Name, f.Sel.Name
		}
		return "", "?", f.Sel.Name
	case *ast.IndexExpr:
		return r.callee(&ast.CallExpr{Fun: f.X})
	}
	return "", "?", ""
}

// call sorts a call to what it says.
func (r *goReader) call(c *ast.CallExpr) {
	from, recv, name := r.callee(c)
	switch {
	case from == "os" && (name == "Getenv" || name == "LookupEnv") && len(c.Args) == 1:
		r.getenv(c, name)
		return
	case strings.Contains(from, "joho/godotenv") && (name == "Load" || name == "Overload"):
		r.dotenv = r.at(c)
	case strings.HasSuffix(from, "spf13/viper") || recv == "viper" || recv == "v" && (name == "BindEnv" || name == "MustBindEnv" || name == "AutomaticEnv"):
		r.viper(c, name)
	case strings.Contains(from, "envconfig") && name == "Process" && len(c.Args) > 0:
		r.golang.prefix, _ = r.text(c.Args[0])
	case from == "" || strings.Contains(from, "."):
		r.candidate(c, from, recv, name)
	}
	if id, ok := c.Fun.(*ast.Ident); ok {
		r.golang.sites = append(r.golang.sites, goSite{id.Name, r.scope(c), r.switched(c)})
	}
	r.client(c, from, name)
	r.query(c, recv, name)
	r.routeCall(c, from, recv, name)
}

var upperEnv = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`)

// candidate keeps a call that may be one of a wrapper around os.Getenv.
func (r *goReader) candidate(c *ast.CallExpr, from, recv, name string) {
	if recv != "" || name == "" {
		return
	}
	if r.switched(c) {
		return
	}
	call := goCall{from: from, name: name, line: r.line(c), fn: r.scope(c)}
	found := false
	for _, a := range c.Args {
		s, ok := r.text(a)
		if !ok {
			s = ""
			if lit, isLit := a.(*ast.BasicLit); isLit {
				s = lit.Value
			}
		}
		found = found || upperEnv.MatchString(s)
		call.args = append(call.args, s)
	}
	if found {
		r.golang.calls = append(r.golang.calls, call)
	}
}

func readGoMod(f File, d *Draft) {
	dir := path.Dir(f.Path)
	for i, line := range strings.Split(string(f.Data), "\n") {
		line, _, _ = strings.Cut(line, "//")
		fields := strings.Fields(line)
		if len(fields) != 2 {
			continue
		}
		pos := premortem.Pos{File: f.Path, Line: i + 1}
		switch fields[0] {
		case "module":
			d.goModules = append(d.goModules, goModule{dir, strings.Trim(fields[1], `"`)})
		case "go": // a minimum: any newer Go builds it
			d.declareRuntime(dir, "go", ">="+fields[1], "go.mod", pos)
		case "toolchain":
			d.declareRuntime(dir, "go", ">="+strings.TrimPrefix(fields[1], "go"), "toolchain", pos)
		}
	}
}
