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

// jsNesting tells for each token which of some spans is the smallest around it. It
// keeps the tokens at which that changes: a number for each would be a sixth of the
// memory that the tokens take.
type jsNesting struct {
	from  []int32 // sorted
	inner []int32 // the span from there on, -1 none
}

// at returns the index of the smallest span around a token, -1 for none.
func (n jsNesting) at(token int) int {
	i, found := slices.BinarySearch(n.from, int32(token))
	if found {
		i++
	}
	if i == 0 {
		return -1
	}
	return int(n.inner[i-1])
}

// innermost finds the smallest span around each of the first size tokens.
func innermost(size int, spans []span) (out jsNesting) {
	order := make([]int, len(spans))
	marks := make([]int, 0, 2*len(spans))
	for i, s := range spans {
		order[i] = i
		marks = append(marks, max(s.lo, 0), max(s.hi, 0))
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(spans[a].lo, spans[b].lo), -cmp.Compare(spans[a].hi, spans[b].hi))
	})
	slices.Sort(marks)
	var stack []int
	k, last := 0, -1
	for _, i := range slices.Compact(marks) {
		if i >= size {
			break
		}
		for len(stack) > 0 && spans[stack[len(stack)-1]].hi <= i {
			stack = stack[:len(stack)-1]
		}
		for k < len(order) && spans[order[k]].lo <= i {
			if spans[order[k]].hi > i {
				stack = append(stack, order[k])
			}
			k++
		}
		now := -1
		if len(stack) > 0 {
			now = stack[len(stack)-1]
		}
		if now != last {
			out.from, out.inner = append(out.from, int32(i)), append(out.inner, int32(now))
			last = now
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
