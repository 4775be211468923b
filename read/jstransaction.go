package read

import (
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// jsScope is what runs between the begin and the end of a transaction.
type jsScope struct {
	m     *module
	at    int // the call that begins it
	body  span
	close int // its last token
}

// transactions finds the transactions of a module.
func (p *project) transactions(m *module) []jsScope {
	var out []jsScope
	if !m.speaksOf("transaction") && !m.speaksOf("$transaction") && !m.speaksOf("withTransaction") && !m.speaksOf("query") {
		return nil
	}
	for i, t := range m.toks {
		if t.kind != jsIdent || !m.tok(i-1).is(".") {
			continue
		}
		open := m.callOpen(i)
		if open < 0 {
			continue
		}
		switch t.text {
		case "transaction", "$transaction", "withTransaction", "runInTransaction":
			args := m.args(open)
			for _, a := range args {
				if f := slices.IndexFunc(m.funcs, func(f jsFunc) bool { return f.start == a.lo && f.body.hi <= a.hi+1 }); f >= 0 && m.tok(a.lo).is("async") {
					out = append(out, jsScope{m, i, m.funcs[f].body, m.tok(open).match})
				}
			}
			if len(args) == 0 && m.tok(m.chainStart(i-1)-1).is("await") { // const t = await sequelize.transaction()
				out = append(out, m.untilCommit(i)...)
			}
		case "query", "execute":
			if args := m.args(open); len(args) > 0 && m.begins(args[0]) {
				out = append(out, m.untilCommit(i)...)
			}
		}
	}
	return out
}

// begins recognises the text BEGIN.
func (m *module) begins(a span) bool {
	text, ok := m.constant(a, 0)
	text = strings.ToUpper(strings.Trim(strings.TrimSpace(text), ";"))
	return ok && (text == "BEGIN" || text == "START TRANSACTION" || strings.HasPrefix(text, "BEGIN "))
}

// untilCommit is the span from a begin to the commit of the same function; there is
// none when the function does not commit.
func (m *module) untilCommit(i int) []jsScope {
	f := m.funcOf.at(i)
	if f < 0 {
		return nil
	}
	for k := i + 1; k < m.funcs[f].body.hi; k++ {
		t := m.toks[k]
		commit := t.kind == jsIdent && t.text == "commit" && m.tok(k-1).is(".") && m.callOpen(k) > 0
		if t.kind == jsString && strings.EqualFold(strings.Trim(strings.TrimSpace(t.text), ";"), "COMMIT") {
			commit = true
		}
		if commit {
			return []jsScope{{m, i, span{i + 1, k}, k}}
		}
	}
	return nil
}

// jsTransaction is a transaction that waits for something outside.
type jsTransaction struct {
	premortem.Transaction
	m     *module
	at    int
	calls []*jsCall // what it waits for
}

// holding follows the calls that are waited for inside a transaction, through the
// functions of the project, to those that leave the process.
func (g *jsGraph) holding(sc jsScope, calls map[jsRef][]*jsCall) *jsTransaction {
	t := &jsTransaction{m: sc.m, at: sc.at}
	t.Pos, t.Quote, t.End = sc.m.pos(sc.at), sc.m.quote(sc.at), sc.m.pos(sc.close)
	var follow func(m *module, body span, depth int, seen map[jsRef]bool) []premortem.Setting[string]
	follow = func(m *module, body span, depth int, seen map[jsRef]bool) []premortem.Setting[string] {
		if depth > 6 {
			return nil
		}
		for i := body.lo; i < body.hi; i++ {
			tok := m.toks[i]
			if tok.kind != jsIdent {
				continue
			}
			ref := jsRef{m, m.funcOf.at(i)}
			if m.later(i, body) {
				continue
			}
			for _, c := range calls[ref] {
				if c.at == i && c.waited {
					t.calls = append(t.calls, c)
					return []premortem.Setting[string]{{Value: m.quote(c.start), Pos: c.Pos}}
				}
			}
			for _, e := range g.calls[ref] {
				start := i
				for m.tok(start - 1).is(".") {
					start -= 2
				}
				if e.at != i || seen[e.to] || !m.waitsFor(start, m.tok(m.callOpen(i)).match) {
					continue
				}
				seen[e.to] = true
				if path := follow(e.to.m, e.to.m.funcs[e.to.fn].body, depth+1, seen); path != nil {
					return append([]premortem.Setting[string]{{Value: m.quote(i), Pos: m.pos(i)}}, path...)
				}
			}
		}
		return nil
	}
	t.Outside = follow(sc.m, sc.body, 0, map[jsRef]bool{})
	if t.Outside == nil {
		return nil
	}
	for _, c := range t.calls {
		if c.To != "" && !slices.Contains(t.To, c.To) {
			t.To = append(t.To, c.To)
		}
	}
	t.Writes = sc.m.writesWithin(sc.body)
	return t
}

// later reports a token in a function that runs after the commit, or at a time of
// its own.
func (m *module) later(i int, body span) bool {
	for up := m.tok(i).up; up > body.lo; up = m.tok(up).up {
		if !m.tok(up).is("(") {
			continue
		}
		switch m.tok(up - 1).text {
		case "afterCommit", "setTimeout", "setImmediate", "nextTick", "on", "once", "after", "waitUntil":
			return true
		}
	}
	return false
}

var writeMethods = wordSet(`create bulkCreate update save destroy delete insert upsert increment decrement createMany updateMany deleteMany remove insertOne updateOne deleteOne set`)

// writesWithin reports whether a transaction changes rows or locks them.
func (m *module) writesWithin(s span) bool {
	for i := s.lo; i < s.hi; i++ {
		t := m.toks[i]
		switch {
		case t.kind == jsIdent && writeMethods[t.text] && m.tok(i-1).is(".") && m.callOpen(i) > 0,
			t.kind == jsIdent && (t.text == "lock" || t.text == "forUpdate" || t.text == "LOCK"):
			return true
		case t.kind == jsString || t.kind == jsTemplate:
			head := strings.ToUpper(strings.TrimSpace(t.text))
			if strings.HasPrefix(head, "INSERT ") || strings.HasPrefix(head, "UPDATE ") || strings.HasPrefix(head, "DELETE ") || strings.Contains(head, "FOR UPDATE") {
				return true
			}
		}
	}
	return false
}
