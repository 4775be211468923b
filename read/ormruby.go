package read

import (
	"path"
	"strings"
)

// rubyORM finds ActiveRecord models and what code asks of them where it stands:
// chains that end in a call which sends the query.
func (p *program) rubyORM() {
	p.rubyModels()
	for i, t := range p.toks {
		if t.kind == jsIdent && t.text != "" && t.text[0] >= 'A' && t.text[0] <= 'Z' && p.tok(i+1).is(".") && !p.tok(i-1).is("::") && !p.tok(i-1).is(".") {
			p.rubyQuery(i)
		}
	}
}

// rubyModels finds `class Order < ApplicationRecord`.
func (p *program) rubyModels() {
	for i, t := range p.toks {
		if !t.is("class") || p.tok(i+1).kind != jsIdent || !p.tok(i+2).is("<") {
			continue
		}
		if parent := p.tok(i + 3).text; parent != "ApplicationRecord" && parent != "ActiveRecord" {
			continue
		}
		m := ormModel{name: p.tok(i + 1).text, line: t.line, key: "id"}
		if m.name == "ApplicationRecord" || strings.Count(strings.TrimPrefix(path.Dir(p.path), "app/models"), "/") > 0 {
			continue
		}
		m.table = plural(underscore(m.name))
		for k := i; k+4 < len(p.toks) && k < i+5000; k++ {
			if p.tok(k).is("self") && p.tok(k+2).is("table_name") && p.tok(k+3).is("=") && p.tok(k+4).kind == jsString {
				m.table = p.tok(k + 4).text
			}
		}
		p.entities = append(p.entities, m)
	}
}

// rubySends are the calls that end a chain: op, whether one row or a number comes
// back, and whether all rows do.
var rubySends = map[string]struct {
	op       string
	one, all bool
}{
	"find_by": {"select", true, false}, "find": {"select", true, false}, "first": {"select", true, false}, "last": {"select", true, false}, "take": {"select", true, false},
	"exists": {"select", true, false}, "any": {"select", true, false}, "count": {"select", true, false}, "sum": {"select", true, false}, "maximum": {"select", true, false}, "minimum": {"select", true, false},
	"pluck": {"select", false, true}, "ids": {"select", false, true}, "each": {"select", false, true}, "to_a": {"select", false, true}, "map": {"select", false, true},
	"find_each": {"select", false, false}, "in_batches": {"select", false, false}, "update_all": {"update", false, false}, "delete_all": {"delete", false, false},
	"destroy_all": {"delete", false, false}, "create": {"insert", false, false}, "insert_all": {"insert", false, false}, "upsert_all": {"insert", false, false},
	"find_or_create_by": {"insert", false, false}, "insert": {"insert", false, false}, "upsert": {"insert", false, false},
}

var rubyNeutral = wordSet(`all order reorder includes preload eager_load select distinct readonly strict_loading lock unscoped`)

// rubyQuery reads Order.where(a: 1).order(:b).first.
func (p *program) rubyQuery(i int) {
	c := ormCall{model: p.tok(i).text, op: "select", at: p.tok(i).line}
	sent := false
	for k, n := i+1, 0; n < 50 && p.tok(k).is(".") && p.tok(k+1).kind == jsIdent; n++ {
		name, open := p.tok(k+1).text, k+2
		if p.tok(open).is("?") || p.tok(open).is("!") {
			open++
		}
		next := open
		var args []span
		if p.tok(open).is("(") {
			args, next = p.args(open), p.next(open)
		}
		send, sends := rubySends[strings.TrimRight(name, "?!")]
		switch {
		case name == "where" && len(args) > 0, strings.HasPrefix(name, "find_by") && len(args) > 0, strings.HasPrefix(name, "exists") && len(args) > 0, name == "find_or_create_by" && len(args) > 0:
			if !p.rubyWhere(&c, args) {
				return
			}
		case name == "find" && len(args) == 1:
			c.preds = append(c.preds, ormPred{attr: "pk", op: "=", line: c.at})
		case name == "limit":
			c.limit = true
		case name == "offset":
			c.offset = true
		case name == "order" && len(args) > 0 && p.tok(args[0].lo).is(":"):
			c.order = append(c.order, p.tok(args[0].lo+1).text)
		case sends && name != "find_by" || rubyNeutral[name]:
		default:
			return // a scope, or a condition that is not plain
		}
		if sends {
			sent = true
			c.op, c.limit, c.all = send.op, c.limit || send.one, send.all && !c.limit
			if name == "first" && len(args) == 1 {
				c.limit = true
			}
			break
		}
		k = next
	}
	if sent {
		p.asks = append(p.asks, c)
	}
}

// rubyWhere reads where(a: 1, b: [..]); false for SQL text and for other tables.
func (p *program) rubyWhere(c *ormCall, args []span) bool {
	for _, a := range args {
		key, v := p.tok(a.lo), a.lo+2
		if key.kind != jsIdent || !p.tok(a.lo+1).is(":") {
			return false
		}
		pr := ormPred{attr: key.text, op: "=", line: key.line}
		switch t := p.tok(v); {
		case t.is("{"), v >= a.hi:
			return false
		case t.is("["):
			pr.op = "in"
		case t.is("nil"):
			pr.op = "is"
		case a.hi-v == 1:
			pr.same = t.kind == jsString || t.kind == jsNumber || t.is("true") || t.is("false")
		case t.is(":") && a.hi-v == 2:
			pr.same = true // a symbol
		}
		c.preds = append(c.preds, pr)
	}
	return true
}
