package read

import (
	"strings"

	"github.com/premortem/premortem"
)

// forks reads how many processes a cluster starts: 0 for one of each core.
func (p *project) forks(m *module, i int) premortem.Setting[int] {
	l := m.loopOf.at(i)
	if l < 0 {
		return premortem.Setting[int]{}
	}
	over := m.loopsIn[l].over
	for k := over.lo; k < over.hi; k++ {
		if !m.tok(k).is("<") {
			continue
		}
		end := k + 1
		for end < over.hi && !m.tok(end).is(";") {
			end++
		}
		if q := p.amount(m, span{k + 1, end}); q.known && q.value >= 1 {
			return premortem.Setting[int]{Value: int(q.value), Pos: m.pos(i)}
		}
		text := m.source(span{k + 1, end})
		if v, ok := m.initialiser(m.tok(k+1).text, k); ok {
			text += m.source(v)
		}
		if strings.Contains(text, "cpus()") || strings.Contains(text, "availableParallelism") {
			return premortem.Setting[int]{Value: 0, Pos: m.pos(i)}
		}
	}
	return premortem.Setting[int]{}
}

// parserLimit reads express.json({limit: '2mb'}): the largest counts.
func (p *project) parserLimit(m *module, i int, out *premortem.Setting[int64]) {
	pkg := m.packageOf(m.tok(i - 2).text)
	open := m.callOpen(i)
	if open < 0 || pkg != "express" && pkg != "body-parser" {
		return
	}
	for _, a := range m.args(open) {
		v := m.prop(m.object(a), "limit")
		text, ok := m.constant(v, 0)
		if n, good := parseSize(text); ok && good && n > out.Value {
			*out = premortem.Setting[int64]{Value: n, Pos: m.pos(v.lo)}
		}
	}
}
