package read

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
)

// A rendered line knows where it comes from by a mark: private-use characters
// around the number of its template's line. Marks stand only in the text of
// template files themselves, never in named templates, whose output is cut and
// hashed.
const (
	markOpen  = '\uE0A0'
	markClose = '\uE0A1'
)

var markPattern = regexp.MustCompile("\uE0A0[0-9]*\uE0A1")

func unmark(s string) string {
	if !strings.ContainsRune(s, markOpen) {
		return s
	}
	return markPattern.ReplaceAllString(s, "")
}

// markNumber reads the mark at the start of a text.
func markNumber(s string, otherwise int) int {
	num, _, _ := strings.Cut(strings.TrimPrefix(s, string(markOpen)), string(markClose))
	if n, err := strconv.Atoi(num); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// chartTrace says which values the actions on each line of a template use: paths
// below .Values, in the order of the line.
type chartTrace struct{ uses map[int][][]string }

var tickAction = template.Must(template.New("").Funcs(template.FuncMap{"premortemTick": func() string { return "" }}).Parse("{{premortemTick}}")).Tree.Root.Nodes[0]

// trace marks the templates: ticks in loops and bodies, marks in the text.
func (run *chartRun) trace() {
	for _, t := range run.set.Templates() {
		if t.Tree == nil || t.Tree.Root == nil {
			continue
		}
		name := t.Name()
		tr := &chartTrace{uses: map[int][][]string{}}
		run.traces[name] = tr
		src := run.files[t.Tree.ParseName]
		w := &traceWalk{run: run, src: src, uses: tr.uses}
		w.list(t.Tree.Root, scopeOf{dot: [][]string{}}, 0)
	}
	for _, t := range run.set.Templates() {
		if t.Tree == nil || t.Tree.Root == nil {
			continue
		}
		if src, file := run.files[t.Name()]; file {
			(&marker{src: src}).list(t.Tree.Root)
		}
		tickTree(t.Tree, run.set)
	}
}

// tickTree makes the loops and the body of a template count their turns.
func tickTree(t *parse.Tree, _ *template.Template) {
	if t == nil || t.Root == nil {
		return
	}
	var list func(l *parse.ListNode)
	branch := func(b *parse.BranchNode, loop bool) {
		list(b.List)
		list(b.ElseList)
		if loop && b.List != nil {
			b.List.Nodes = append([]parse.Node{tickAction.Copy()}, b.List.Nodes...)
		}
	}
	list = func(l *parse.ListNode) {
		if l == nil {
			return
		}
		for _, n := range l.Nodes {
			switch n := n.(type) {
			case *parse.IfNode:
				branch(&n.BranchNode, false)
			case *parse.WithNode:
				branch(&n.BranchNode, false)
			case *parse.RangeNode:
				branch(&n.BranchNode, true)
			}
		}
	}
	list(t.Root)
	t.Root.Nodes = append([]parse.Node{tickAction.Copy()}, t.Root.Nodes...)
}

// marker puts the number of each line at its start into the text of a template.
type marker struct{ src string }

func (m *marker) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	var out []parse.Node
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.TextNode:
			n.Text = m.text(int(n.Pos), n.Text)
		case *parse.ActionNode:
			out = append(out, m.before(n.Pos))
		case *parse.TemplateNode:
			out = append(out, m.before(n.Pos))
		case *parse.IfNode:
			m.list(n.List)
			m.list(n.ElseList)
		case *parse.WithNode:
			m.list(n.List)
			m.list(n.ElseList)
		case *parse.RangeNode:
			m.list(n.List)
			m.list(n.ElseList)
		}
		out = append(out, n)
	}
	l.Nodes = out
}

// before is a mark for the lines that an action makes.
func (m *marker) before(pos parse.Pos) parse.Node {
	return &parse.TextNode{NodeType: parse.NodeText, Pos: pos, Text: m.text(int(pos), nil)}
}

func (m *marker) text(pos int, text []byte) []byte {
	if pos > len(m.src) {
		return text
	}
	line := strings.Count(m.src[:pos], "\n") + 1
	out := fmt.Appendf(nil, "%c%d%c", markOpen, line, markClose)
	for _, c := range text {
		out = append(out, c)
		if c == '\n' {
			line++
			out = fmt.Appendf(out, "%c%d%c", markOpen, line, markClose)
		}
	}
	return out
}

// scopeOf is what the dot and the variables of a template stand for.
type scopeOf struct {
	dot  [][]string // value paths, empty: the top
	vars map[string][][]string
}

// traceWalk collects the value paths that each line uses.
type traceWalk struct {
	run  *chartRun
	src  string
	uses map[int][][]string
}

func (w *traceWalk) line(pos parse.Pos) int {
	return strings.Count(w.src[:min(int(pos), len(w.src))], "\n") + 1
}

func (w *traceWalk) list(l *parse.ListNode, s scopeOf, depth int) {
	if l == nil || depth > maxDepth {
		return
	}
	s.vars = maps.Clone(s.vars)
	if s.vars == nil {
		s.vars = map[string][][]string{}
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			used := w.pipe(n.Pipe, s, 0)
			for _, v := range n.Pipe.Decl {
				s.vars[v.Ident[0]] = used
			}
			if len(n.Pipe.Decl) == 0 {
				w.add(n.Pos, used)
			}
		case *parse.IfNode:
			w.list(n.List, s, depth+1)
			w.list(n.ElseList, s, depth+1)
			w.add(n.Pos, nil)
		case *parse.WithNode:
			w.inner(&n.BranchNode, s, depth)
		case *parse.RangeNode:
			w.inner(&n.BranchNode, s, depth)
		case *parse.TemplateNode:
			w.add(n.Pos, w.named(n.Name, s, 0))
		}
	}
}

// inner walks the body of a with or a range, where the dot is what they chose.
func (w *traceWalk) inner(b *parse.BranchNode, s scopeOf, depth int) {
	used := w.pipe(b.Pipe, s, 0)
	in := scopeOf{dot: used, vars: maps.Clone(s.vars)}
	if in.vars == nil {
		in.vars = map[string][][]string{}
	}
	for _, v := range b.Pipe.Decl {
		in.vars[v.Ident[0]] = used
	}
	w.list(b.List, in, depth+1)
	w.list(b.ElseList, s, depth+1)
}

func (w *traceWalk) add(pos parse.Pos, used [][]string) {
	line := w.line(pos)
	for _, u := range used {
		if len(w.uses[line]) < 64 {
			w.uses[line] = append(w.uses[line], u)
		}
	}
}

// pipe returns the value paths that a pipeline uses.
func (w *traceWalk) pipe(p *parse.PipeNode, s scopeOf, depth int) [][]string {
	if p == nil || depth > 4 {
		return nil
	}
	var out [][]string
	for _, cmd := range p.Cmds {
		if id, ok := firstIdent(cmd); ok && (id == "include" || id == "tpl") && len(cmd.Args) > 1 {
			if name, ok := cmd.Args[1].(*parse.StringNode); ok && id == "include" {
				out = append(out, w.named(name.Text, s, depth+1)...)
				continue
			}
		}
		for _, a := range cmd.Args {
			out = append(out, w.arg(a, s, depth)...)
		}
	}
	return out[:min(len(out), 32)]
}

func firstIdent(cmd *parse.CommandNode) (string, bool) {
	if len(cmd.Args) == 0 {
		return "", false
	}
	id, ok := cmd.Args[0].(*parse.IdentifierNode)
	if !ok {
		return "", false
	}
	return id.Ident, true
}

func (w *traceWalk) arg(n parse.Node, s scopeOf, depth int) [][]string {
	extend := func(base [][]string, more []string) [][]string {
		out := make([][]string, 0, len(base))
		for _, b := range base {
			out = append(out, append(slices.Clone(b), more...))
		}
		return out
	}
	top := func(path []string) [][]string {
		if len(path) > 0 && path[0] == "Values" {
			return [][]string{path[1:]}
		}
		return nil
	}
	switch n := n.(type) {
	case *parse.FieldNode:
		if out := top(n.Ident); out != nil {
			return out
		}
		return extend(s.dot, n.Ident)
	case *parse.VariableNode:
		if n.Ident[0] == "$" {
			return top(n.Ident[1:])
		}
		return extend(s.vars[n.Ident[0]], n.Ident[1:])
	case *parse.DotNode:
		return s.dot
	case *parse.PipeNode:
		return w.pipe(n, s, depth+1)
	case *parse.ChainNode:
		return extend(w.arg(n.Node, s, depth+1), n.Field)
	}
	return nil
}

// named returns the value paths that a named template uses.
func (w *traceWalk) named(name string, s scopeOf, depth int) [][]string {
	t := w.run.set.Lookup(name)
	if t == nil || t.Tree == nil || t.Tree.Root == nil || depth > 3 {
		return nil
	}
	var out [][]string
	inner := &traceWalk{run: w.run, uses: map[int][][]string{}}
	var visit func(l *parse.ListNode, s scopeOf)
	visit = func(l *parse.ListNode, s scopeOf) {
		if l == nil || len(out) > 32 {
			return
		}
		for _, n := range l.Nodes {
			switch n := n.(type) {
			case *parse.ActionNode:
				out = append(out, inner.pipe(n.Pipe, s, depth+1)...)
			case *parse.IfNode:
				visit(n.List, s)
				visit(n.ElseList, s)
			case *parse.WithNode:
				visit(n.List, scopeOf{dot: inner.pipe(n.Pipe, s, depth+1)})
			case *parse.RangeNode:
				visit(n.List, scopeOf{dot: inner.pipe(n.Pipe, s, depth+1)})
			}
		}
	}
	visit(t.Tree.Root, scopeOf{})
	return out
}
