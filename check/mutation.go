package check

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// Mutation is one fault to plant: edits of the repository's own files, after which
// its rule must speak.
type Mutation struct {
	Rule  string
	Says  string // what was done, past tense: "took LOG_LEVEL away from configmap api-config"
	Pos   premortem.Pos
	Edits []premortem.Edit
	// Node and Subject tell where the rule must speak. A place where it speaks already
	// is no place to plant; Subject is a part of the finding's, "" any.
	Node    premortem.Node
	Subject string
}

// Line returns a source line without its line end, ok false when there is none.
type Line func(premortem.Pos) (text string, ok bool)

// plants gives a rule its Mutate; the faults of many rules are made alike and stand
// together.
func (r *Rule) plants(mutate func(*premortem.System, Line) []Mutation) bool {
	if r.Mutate == nil {
		r.Mutate = mutate
	}
	return true
}

// Mutations returns the faults that can be planted in a system for these rules:
// equal input gives equal lists, sorted by rule, place and sentence, none twice.
// line gives the text of the repository's files.
func Mutations(sys *premortem.System, rules []*Rule, line Line) []Mutation {
	sys = ordered(sys)
	var out []Mutation
	for _, r := range rules {
		if r.Mutate == nil {
			continue
		}
		var stands []premortem.Finding
		r.Run(sys, func(f premortem.Finding) { stands = append(stands, f) })
		for _, m := range r.Mutate(sys, line) {
			m.Rule = r.ID
			if len(m.Edits) > 0 && !slices.ContainsFunc(stands, func(f premortem.Finding) bool {
				return f.Node == m.Node && strings.Contains(f.Subject, m.Subject)
			}) {
				out = append(out, m)
			}
		}
	}
	order := func(a, b Mutation) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), a.Pos.Compare(b.Pos), cmp.Compare(a.Says, b.Says))
	}
	slices.SortStableFunc(out, order)
	return slices.CompactFunc(out, func(a, b Mutation) bool { return order(a, b) == 0 })
}

// rewritten is the edit that replaces what re matches in a line, as
// regexp.ReplaceAllString would; none when it matches nothing.
func (line Line) rewritten(pos premortem.Pos, re *regexp.Regexp, by string) []premortem.Edit {
	text, ok := line(pos)
	if !ok || text == "" {
		return nil
	}
	at := re.FindStringSubmatchIndex(text)
	if at == nil {
		return nil
	}
	changed := text[:at[0]] + string(re.ExpandString(nil, by, text, at)) + text[at[1]:]
	if changed == text {
		return nil
	}
	return []premortem.Edit{{Pos: pos, Old: text, New: changed}}
}

// swapped is the edit that writes another text for the only place of old in a line.
func (line Line) swapped(pos premortem.Pos, old, by string) []premortem.Edit {
	text, ok := line(pos)
	if !ok || old == "" || old == by || strings.Count(text, old) != 1 {
		return nil
	}
	return []premortem.Edit{{Pos: pos, Old: text, New: strings.Replace(text, old, by, 1)}}
}

// renamed is the edit that gives a word of a line another name.
func (line Line) renamed(pos premortem.Pos, name, to string) []premortem.Edit {
	return line.rewritten(pos, regexp.MustCompile(`\b`+regexp.QuoteMeta(name)+`\b`), strings.ReplaceAll(to, "$", "$$"))
}

// keyless is the edit that hides a key of YAML, at pos or a few lines above it: an
// unknown key is not read.
func (line Line) keyless(pos premortem.Pos, key string) []premortem.Edit {
	re := regexp.MustCompile(`(^|[\s{,])` + regexp.QuoteMeta(key) + `:`)
	for at := pos; at.Line > 0 && at.Line > pos.Line-4; at.Line-- {
		if e := line.rewritten(at, re, "${1}x-"+key+":"); e != nil {
			return e
		}
	}
	return nil
}

var lastNumber = regexp.MustCompile(`\d+(\.\d+)?([^\d]*)$`)

// numbered is the edit that writes another number for the last one of a line.
func (line Line) numbered(pos premortem.Pos, to string) []premortem.Edit {
	return line.rewritten(pos, lastNumber, to+"$2")
}

// gone is the edit that empties a line.
func (line Line) gone(pos premortem.Pos) []premortem.Edit {
	text, ok := line(pos)
	if !ok || strings.TrimSpace(text) == "" {
		return nil
	}
	return []premortem.Edit{{Pos: pos, Old: text, New: ""}}
}
