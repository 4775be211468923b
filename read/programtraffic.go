package read

import (
	"path"
	"slices"

	"github.com/premortem/premortem"
)

// programTraffic is what a program says about servers, calls and logs. Everything
// is placed by its line: the function around a line is the innermost one.
type programTraffic struct {
	funcs   []programFunc
	servers []premortem.Server
	calls   []programCall
	retries []programRetry
	scopes  []programScope
	logs    []premortem.LogCall
	stops   premortem.Setting[string]  // handles SIGTERM
	drain   premortem.Setting[float64] // serves on for so long
	request premortem.Setting[float64] // deadline of every request
	config  *premortem.Server          // of a server's own configuration file
}

// programFunc is a function of a program.
type programFunc struct {
	name       string
	start, end int  // lines
	handler    bool // answers requests
	refs       []programRef
}

// programRef is a call of a function, by its name and, where it is known, the
// package or module that it comes from.
type programRef struct {
	name, from string
	line       int
}

// programCall is a call over the network.
type programCall struct {
	premortem.Call
	host, env string
	writes    bool
}

// programRetry is a loop and the lines that it tries again.
type programRetry struct {
	premortem.Retry
	from, to int
}

// programScope is a transaction: what its lines call is called inside it.
type programScope struct {
	premortem.Transaction
	from, to int
}

// around returns the innermost function around a line, -1 for none.
func (t *programTraffic) around(line int) int {
	best := -1
	for i, f := range t.funcs {
		if f.start <= line && line <= f.end && (best < 0 || f.start >= t.funcs[best].start) {
			best = i
		}
	}
	return best
}

// funcRef is a function of a program.
type funcRef struct {
	p  *program
	fn int
}

// programGraph is who calls whom among the programs of one service.
type programGraph struct {
	x      *programIndex
	byName map[string][]funcRef
	path   map[funcRef]bool
}

func newProgramGraph(x *programIndex, programs []*program) *programGraph {
	g := &programGraph{x: x, byName: map[string][]funcRef{}, path: map[funcRef]bool{}}
	var queue []funcRef
	for _, p := range programs {
		for i, f := range p.traffic.funcs {
			g.byName[f.name] = append(g.byName[f.name], funcRef{p, i})
			if f.handler {
				queue = append(queue, funcRef{p, i})
			}
		}
	}
	for len(queue) > 0 {
		f := queue[0]
		queue = queue[1:]
		if g.path[f] {
			continue
		}
		g.path[f] = true
		fn := f.p.traffic.funcs[f.fn]
		for _, ref := range fn.refs {
			if to, ok := g.resolve(f.p, ref); ok {
				queue = append(queue, to)
			}
		}
		for i, inner := range f.p.traffic.funcs {
			if inner.start > fn.start && inner.end <= fn.end {
				queue = append(queue, funcRef{f.p, i})
			}
		}
	}
	return g
}

// resolve finds the function that a call means: of the same file, of the same
// package, of the module that it names, else the only one of that name.
func (g *programGraph) resolve(p *program, ref programRef) (funcRef, bool) {
	all := g.byName[ref.name]
	if len(all) == 0 {
		return funcRef{}, false
	}
	pick := func(ok func(funcRef) bool) (funcRef, bool) {
		var found []funcRef
		for _, f := range all {
			if f.p.lang == p.lang && ok(f) {
				found = append(found, f)
			}
		}
		if len(found) != 1 {
			return funcRef{}, false
		}
		return found[0], true
	}
	if ref.from != "" {
		want := ref.from
		if p.lang == "go" {
			dir := g.x.goDir(ref.from)
			return pick(func(f funcRef) bool { return dir != "" && path.Dir(f.p.path) == dir })
		}
		file := g.x.pythonFile(p.path, want)
		return pick(func(f funcRef) bool { return file != "" && f.p.path == file })
	}
	if f, ok := pick(func(f funcRef) bool { return f.p == p }); ok {
		return f, true
	}
	if p.lang == "go" {
		if f, ok := pick(func(f funcRef) bool { return path.Dir(f.p.path) == path.Dir(p.path) }); ok {
			return f, true
		}
	}
	if len(ref.name) < 5 || commonNames[ref.name] {
		return funcRef{}, false
	}
	return pick(func(funcRef) bool { return true })
}

// commonNames are methods of so many things that a name alone says nothing.
var commonNames = wordSet(`create update delete execute commit close query fetch request start handle perform process insert remove Create Update Delete Execute Close Query
	Insert Remove String Error Start Handle findAll find_by where select save all_items execute_sql print write flush append format filter index show store destroy apply build getId`)

// onPath reports whether a line runs for a request.
func (g *programGraph) onPath(p *program, line int) bool {
	fn := p.traffic.around(line)
	return fn >= 0 && g.path[funcRef{p, fn}]
}

// outside follows what the lines of a program call to what leaves the process, and
// returns the way there.
func (g *programGraph) outside(p *program, from, to, depth int, seen map[funcRef]bool, calls *[]programCall) []premortem.Setting[string] {
	if depth > 5 {
		return nil
	}
	for _, c := range p.traffic.calls {
		if c.Pos.Line >= from && c.Pos.Line <= to {
			*calls = append(*calls, c)
			return []premortem.Setting[string]{{Value: c.Quote, Pos: c.Pos}}
		}
	}
	for _, f := range p.traffic.funcs {
		if f.end < from || f.start > to {
			continue
		}
		for _, ref := range f.refs {
			if ref.line < from || ref.line > to {
				continue
			}
			callee, ok := g.resolve(p, ref)
			if !ok || seen[callee] || callee.p == p && p.traffic.funcs[callee.fn].start <= from && p.traffic.funcs[callee.fn].end >= to {
				continue
			}
			seen[callee] = true
			fn := callee.p.traffic.funcs[callee.fn]
			if way := g.outside(callee.p, fn.start, fn.end, depth+1, seen, calls); way != nil {
				return append([]premortem.Setting[string]{{Value: p.quoteLine(ref.line), Pos: p.on(ref.line)}}, way...)
			}
		}
	}
	return nil
}

// programsTraffic adds what programs say about servers, calls and logs.
func (g *merger) programsTraffic() {
	started := g.commandServers()
	x := newProgramIndex(g.d)
	by := map[*serviceCode][]*program{}
	aside := map[*serviceCode]map[*program]bool{}
	for _, p := range g.d.programs {
		if p.test || p.traffic == nil {
			continue
		}
		for _, s := range g.programOwners(p) {
			if aside[s] == nil {
				aside[s] = map[*program]bool{}
			}
			by[s] = append(by[s], p)
			aside[s][p] = !s.executes(p) || isAside(s.dir, p.path)
		}
	}
	for _, s := range g.services {
		if len(by[s]) == 0 {
			continue
		}
		run := slices.DeleteFunc(slices.Clone(by[s]), func(p *program) bool { return aside[s][p] })
		graph := newProgramGraph(x, run)
		if !started[s.node] {
			g.programServers(s, run)
			g.springServers(s, run)
		}
		bound := carriesContext(run)
		for _, p := range by[s] {
			for i := range p.traffic.logs {
				p.traffic.logs[i].Bound = p.traffic.logs[i].Bound || bound && p.lang == "python"
			}
			g.programCode(s, graph, p, aside[s][p])
		}
	}
}

// carriesContext reports a Python service whose log records take their context from
// a context variable: a formatter, a filter or a processor adds it to each.
func carriesContext(run []*program) bool {
	var all contextWords
	for _, p := range run {
		all.does = all.does || p.bears.does
		all.variable = all.variable || p.bears.variable
		all.adds = all.adds || p.bears.adds
	}
	return all.does || all.variable && all.adds
}

// contextWords is what a Python file says about the context of log records.
type contextWords struct {
	does     bool // it puts a context into each by itself
	variable bool // it has a context variable
	adds     bool // it changes records
}

func (p *program) contextWords() (w contextWords) {
	for _, t := range p.toks {
		switch t.text {
		case "merge_contextvars", "LoggingInstrumentor", "CorrelationIdFilter", "asgi_correlation_id":
			w.does = true
		case "ContextVar":
			w.variable = true
		case "Formatter", "Filter", "addFilter", "setLogRecordFactory":
			w.adds = true
		}
	}
	return w
}

// settle keeps what is asked of a program's tokens once all files were read, and
// lets go of them: they are many times the size of its text.
func (p *program) settle() {
	switch p.lang {
	case "python":
		p.bears = p.contextWords()
	case "java":
		for i, t := range p.toks {
			if t.is("SpringBootApplication") && p.tok(i-1).is("@") {
				p.starts = premortem.Setting[string]{Value: p.quote(i), Pos: p.pos(i)}
				break
			}
		}
	}
	p.toks = nil
	if p.test {
		p.src, p.lines = "", lines{}
	}
}

// programCode gives what one program says to a service.
func (g *merger) programCode(s *serviceCode, graph *programGraph, p *program, aside bool) {
	for _, c := range p.traffic.calls {
		c.Service, c.Script = s.node, aside || !graph.onPath(p, c.Pos.Line)
		c.To = g.calledNode(s.node, c)
		g.d.calls = append(g.d.calls, &c.Call)
	}
	if aside {
		return
	}
	for _, l := range p.traffic.logs {
		l.Service, l.Route = s.node, graph.onPath(p, l.Pos.Line)
		g.d.logs = append(g.d.logs, &l)
	}
	for _, r := range p.traffic.retries {
		var calls []programCall
		graph.outside(p, r.from, r.to, 0, map[funcRef]bool{}, &calls)
		if len(calls) == 0 && !r.Reconnect {
			continue
		}
		r.Service = s.node
		for _, c := range calls {
			r.To, r.Writes, r.Keyed = g.calledNode(s.node, c), c.writes, c.Keyed
		}
		g.d.retries = append(g.d.retries, &r.Retry)
	}
	for _, t := range p.traffic.scopes {
		var calls []programCall
		t.Outside = graph.outside(p, t.from, t.to, 0, map[funcRef]bool{}, &calls)
		if t.Outside == nil {
			continue
		}
		t.Service = s.node
		for _, c := range calls {
			if to := g.calledNode(s.node, c); to != "" {
				t.To = append(t.To, to)
			}
		}
		g.d.transactions = append(g.d.transactions, &t.Transaction)
	}
}

// calledNode is the node that a call goes to: by its SDK, its variable or its host.
func (g *merger) calledNode(from premortem.Node, c programCall) premortem.Node {
	if c.To != "" {
		return c.To
	}
	if c.env != "" {
		for _, d := range g.sys.Dependencies {
			if d.From == from && d.Env.Value == c.env {
				return d.To
			}
		}
	}
	if c.host == "" {
		return ""
	}
	for _, sdk := range partyPackages {
		if slices.Contains(sdk.hosts, c.host) {
			return premortem.Node("thirdparty/" + sdk.name)
		}
	}
	return g.serviceAt(from, c.host)
}

// programServers adds the servers that the programs of a service open.
func (g *merger) programServers(s *serviceCode, run []*program) {
	var stops premortem.Setting[string]
	var drain, request premortem.Setting[float64]
	for _, p := range run {
		if p.traffic.stops.Set() && !stops.Set() {
			stops = p.traffic.stops
		}
		if p.traffic.drain.Set() && !drain.Set() {
			drain = p.traffic.drain
		}
		if p.traffic.request.Set() && !request.Set() {
			request = p.traffic.request
		}
	}
	for _, p := range run {
		for _, sv := range p.traffic.servers {
			sv.Service = s.node
			if !sv.Stops.Set() {
				sv.Stops = stops
			}
			if !sv.Drain.Set() {
				sv.Drain = drain
			}
			if !sv.RequestTimeout.Set() {
				sv.RequestTimeout = request
			}
			if !sv.Version.Set() {
				sv.Version = g.serverVersion(s, sv.Software)
			}
			g.d.servers = append(g.d.servers, &sv)
		}
	}
}
