package read

import (
	"cmp"
	"slices"
)

// jsLoop is a loop statement, or the callback of an array method.
type jsLoop struct {
	at   int  // the keyword, or the method's name
	over span // what it runs over
	body span
}

// innermost returns for each token the index of the smallest span around it, -1
// for none.
func innermost(n int, spans []span) []int {
	order := make([]int, len(spans))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(spans[a].lo, spans[b].lo), -cmp.Compare(spans[a].hi, spans[b].hi))
	})
	out := make([]int, n)
	var stack []int
	k := 0
	for i := range n {
		for len(stack) > 0 && spans[stack[len(stack)-1]].hi <= i {
			stack = stack[:len(stack)-1]
		}
		for k < len(order) && spans[order[k]].lo <= i {
			if spans[order[k]].hi > i {
				stack = append(stack, order[k])
			}
			k++
		}
		out[i] = -1
		if len(stack) > 0 {
			out[i] = stack[len(stack)-1]
		}
	}
	return out
}

// iterators are the array methods that call a function for each element.
var iterators = wordSet(`map forEach flatMap filter some every find reduce reduceRight`)

// loops finds the loops of the module.
func (m *module) loops() []jsLoop {
	var out []jsLoop
	for i, t := range m.toks {
		if t.kind != jsIdent {
			continue
		}
		switch {
		case t.text == "for" || t.text == "while":
			open := i + 1
			if m.tok(open).is("await") {
				open++
			}
			if !m.tok(open).is("(") || m.tok(open).match < 0 || m.tok(i-1).is(".") {
				continue
			}
			l := jsLoop{at: i, over: m.inside(open)}
			for j := l.over.lo; j < l.over.hi; j = m.next(j) {
				if m.toks[j].is("of") || m.toks[j].is("in") {
					l.over.lo = j + 1
				}
			}
			body := m.toks[open].match + 1
			if m.tok(body).is("{") {
				l.body = m.inside(body)
			} else {
				l.body = span{body, m.exprEnd(body)}
			}
			out = append(out, l)
		case iterators[t.text] && (m.tok(i-1).is(".") || m.tok(i-1).is("?.")):
			open := m.callOpen(i)
			if open < 0 {
				continue
			}
			if args := m.args(open); len(args) > 0 {
				out = append(out, jsLoop{at: i, over: span{m.chainStart(i - 1), i - 1}, body: args[0]})
			}
		}
	}
	return out
}
