package read

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// program is one source file of a language other than JavaScript. Its module holds
// its path and lines, and its tokens where the language has no parser here.
type program struct {
	*module
	lang     string
	reads    []programEnv
	routes   []premortem.Route
	queries  []premortem.Query
	asks     []ormCall
	entities []ormModel
	conns    []client
	dotenv   premortem.Pos // where it loads a .env file by itself
	loads    []string      // what it imports, as written
	dynamic  bool          // loads by computed names
	golang   *goFacts
	mounts   []pyMount
	texts    map[string]string         // settings with a text for their default
	routers  []string                  // of each route: the variable it was added to
	traffic  *programTraffic           // nil where nobody looked
	starts   premortem.Setting[string] // the line that starts Spring
	bears    contextWords              // what its log lines may take from around them
}

// programEnv is one read of an environment variable in a program.
type programEnv struct {
	name  string
	class premortem.EnvClass
	pos   premortem.Pos
	fn    string // function it stands in, "" none
	loose bool   // case and punctuation of the name do not matter
}

func newProgram(f File, lang string) *program {
	src := string(f.Data)
	return &program{module: &module{path: f.Path, src: src, lines: linesOf(src), test: isTest(f.Path)}, lang: lang}
}

// on is the place of a line of the file.
func (p *program) on(line int) premortem.Pos {
	return premortem.Pos{File: p.path, Line: min(max(line, 1), max(p.lines.len(), 1))}
}

// read adds a read of the environment.
func (p *program) read(name string, class premortem.EnvClass, line int) {
	if class != "" && (envName.MatchString(name) || class == premortem.EnvDyn) {
		p.reads = append(p.reads, programEnv{name: name, class: class, pos: p.on(line)})
	}
}

// route adds a route; the parameters of its path are written as ":name".
func (p *program) route(method, at string, line, end int) {
	if !strings.HasPrefix(at, "/") {
		at = "/" + at
	}
	p.routes = append(p.routes, premortem.Route{Method: method, Path: pathParams(at), Pos: p.on(line), End: min(end, p.lines.len())})
}

// pathParams writes {id}, {id:[0-9]+}, <int:id> and <id> as :id, and {rest...} as *rest.
func pathParams(at string) string {
	at = strings.ReplaceAll(at, "//", "/")
	var b strings.Builder
	for i := 0; i < len(at); i++ {
		closing := byte('}')
		switch at[i] {
		case '<':
			closing = '>'
		case '{':
		default:
			b.WriteByte(at[i])
			continue
		}
		end := strings.IndexByte(at[i:], closing)
		if end < 0 {
			b.WriteString(at[i:])
			break
		}
		name := at[i+1 : i+end]
		before, after, typed := strings.Cut(name, ":")
		switch {
		case typed && closing == '>':
			name = after
		case typed:
			name = before
			if after == "path" {
				name = before + "..."
			}
		}
		i += end
		if rest, ok := strings.CutSuffix(name, "..."); ok {
			b.WriteString("*" + rest)
		} else if name != "$" {
			b.WriteString(":" + name)
		}
	}
	if out := strings.TrimSuffix(b.String(), "/"); out != "" {
		return out
	}
	return "/"
}

// sql adds the query that an SQL text is; line is where the text starts.
func (p *program) sql(text string, at, line int) *premortem.Query {
	facts, ok := analyseSQL(text)
	if !ok {
		return nil
	}
	q := premortem.Query{Pos: p.on(at), Quote: p.quoteLine(at), Op: facts.op, Table: facts.table, Awaited: true,
		SQL: strings.Join(strings.Fields(text), " "), Order: facts.order, Limit: facts.limit, Offset: facts.offset}
	for _, pr := range facts.preds {
		q.Predicates = append(q.Predicates, premortem.Predicate{Expr: pr.expr, Op: pr.op, Pos: p.on(line + pr.line - 1)})
	}
	p.queries = append(p.queries, q)
	return &p.queries[len(p.queries)-1]
}

// fallbackClass looks at the text that stands in for a missing value.
func fallbackClass(text string) premortem.EnvClass {
	if laptop.MatchString(text) {
		return premortem.EnvDev
	}
	return premortem.EnvOpt
}

// needy are names of values that nothing works without: addresses and keys. In
// languages where a missing variable reads as empty text, other names are as often
// left out on purpose.
var needy = regexp.MustCompile(`(URL|URI|DSN|HOST|ADDR|ADDRESS|ENDPOINT|CONNECTION|SECRET|PASSWORD|PASSWD|TOKEN|API_?KEY|PRIVATE_KEY|ACCESS_KEY|CREDENTIALS)$`)

var bindName = regexp.MustCompile(`LISTEN|BIND|PROXY|^BASE_URL$|SENTRY|METRIC|OTEL|COLLECTOR|DEBUG|^(HOST|ADDR|ADDRESS|HOSTNAME)$`)

// softly is the class of a read that goes on with empty text.
func softly(name string) premortem.EnvClass {
	if needy.MatchString(name) && !bindName.MatchString(name) {
		return premortem.EnvUse
	}
	return premortem.EnvOpt
}

// aside are folders of programs that a person runs, not the service.
var aside = wordSet(`scripts script tools tool hack bin examples example docs doc benchmark benchmarks seeds seeders bench alembic migrations migrate`)

func isAside(dir, file string) bool {
	rel, ok := below(dir, file)
	if dir == "." {
		rel, ok = file, true
	}
	if !ok {
		return false
	}
	segs := strings.Split(path.Dir(rel), "/")
	return slices.ContainsFunc(segs, func(s string) bool { return aside[s] })
}

// declareRuntime records a line that says for which version of a language a folder
// is written.
func (d *Draft) declareRuntime(dir, lang, version, source string, pos premortem.Pos) {
	if version == "" {
		return
	}
	d.runtimes = append(d.runtimes, runtimeFact{dir: dir, Runtime: premortem.Runtime{
		Language: lang, Version: premortem.Setting[string]{Value: version, Pos: pos}, Source: source}})
}
