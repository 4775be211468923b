package read

import (
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// shellUse is one variable that a script expands.
type shellUse struct {
	name string
	line int // of the script, counted from 1
}

// shellScript is what a script does with variables.
type shellScript struct {
	uses    []shellUse
	sets    map[string]bool // gives a value by itself, or looks whether it has one
	exports map[string]bool // hands to later steps of its job
	open    bool            // loads variables from where nobody can look
	words   []string        // the programs that it calls, with their first argument
}

var githubEnvWrite = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_]*)(?:=|<<)`)

// readShell parses a script; ok is false for one of another shell.
func readShell(text string) (s shellScript, ok bool) {
	prog, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return s, false
	}
	s.sets, s.exports = map[string]bool{}, map[string]bool{}
	syntax.Walk(prog, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.ParamExp:
			s.expansion(n)
		case *syntax.Assign:
			if n.Name != nil && !n.Naked {
				s.sets[n.Name.Value] = true
			}
		case *syntax.WordIter:
			s.sets[n.Name.Value] = true
		case *syntax.CallExpr:
			s.call(n)
		case *syntax.TestClause: // [[ … ]] asks first
			s.asks(n)
		case *syntax.Stmt:
			s.writes(n)
		}
		return true
	})
	return s, true
}

// expansion notes a use, unless the script says what stands in for a missing value.
func (s *shellScript) expansion(n *syntax.ParamExp) {
	if n.Param == nil || n.Excl || n.Length {
		return
	}
	if n.Exp != nil {
		switch n.Exp.Op {
		case syntax.AlternateUnset, syntax.AlternateUnsetOrNull, syntax.DefaultUnset, syntax.DefaultUnsetOrNull,
			syntax.AssignUnset, syntax.AssignUnsetOrNull:
			s.sets[n.Param.Value] = true
			return
		}
	}
	s.uses = append(s.uses, shellUse{n.Param.Value, int(n.Pos().Line())})
}

// asks notes variables that a condition looks at: a script that asks copes with a
// missing value.
func (s *shellScript) asks(n syntax.Node) {
	syntax.Walk(n, func(n syntax.Node) bool {
		if p, ok := n.(*syntax.ParamExp); ok && p.Param != nil {
			s.sets[p.Param.Value] = true
		}
		return true
	})
}

// call notes commands that set variables, and those that load them from elsewhere.
func (s *shellScript) call(n *syntax.CallExpr) {
	if len(n.Args) == 0 {
		return
	}
	words := make([]string, len(n.Args))
	for i, a := range n.Args {
		words[i] = wordText(a)
	}
	s.words = append(s.words, strings.Join(words[:min(len(words), 2)], " "))
	switch words[0] {
	case "[", "test":
		s.asks(n)
	case "source", ".", "eval", "direnv":
		s.open = true
	case "read", "mapfile", "readarray", "getopts", "unset":
		for _, w := range words[1:] {
			s.sets[strings.TrimLeft(w, "-")] = true
		}
	case "printf":
		if len(words) > 2 && words[1] == "-v" {
			s.sets[words[2]] = true
		}
	case "env":
		for _, w := range words[1:] {
			if name, _, ok := strings.Cut(w, "="); ok {
				s.sets[name] = true
			}
		}
	}
}

// writes notes variables that a step hands to the later ones of its job.
func (s *shellScript) writes(n *syntax.Stmt) {
	for _, r := range n.Redirs {
		to := ""
		if r.Word != nil {
			syntax.Walk(r.Word, func(n syntax.Node) bool {
				if p, ok := n.(*syntax.ParamExp); ok && p.Param != nil {
					to = p.Param.Value
				}
				return true
			})
		}
		if to != "GITHUB_ENV" && to != "BASH_ENV" {
			continue
		}
		var b strings.Builder
		syntax.NewPrinter().Print(&b, n)
		found := false
		for _, m := range githubEnvWrite.FindAllStringSubmatch(b.String(), -1) {
			s.exports[m[1]], found = true, true
		}
		s.open = s.open || !found
	}
}
