package check

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// MigrationDropsUsedColumn ties what migrations take away to the code that asks for
// it.
var MigrationDropsUsedColumn = add(Rule{
	ID:       "migration-drops-used-column",
	Severity: premortem.Down,
	Doc: premortem.Doc{
		Title: "a migration takes away what code still uses",
		Why: `Each query that names the column fails from the moment the migration commits. During a
rolling deploy the old code runs on the new schema for minutes, and for as long as it
takes to go back when something else is wrong.`,
		When: `After all migrations a table or a column does not exist, a migration dropped or renamed
it, and a query of a service still names it. With --diff also: the change drops or
renames what the code of the revision before still asks for, or adds a column that must
not be null and has no default to a table into which the old code inserts.`,
		Silent: `The column exists again after a later migration; the table was made by the same change;
the code stopped using the column in an earlier release (two steps); the query is not
known as text; the way back of a migration; with strategy Recreate the old code does not
run any more, which is a note.`,
		Fix: `Expand and contract: add the new column, write both, fill it, read the new one, and drop
the old one in a later release.`,
	},
	Run: func(sys *premortem.System, report func(premortem.Finding)) {
		p := pendingIn(sys, func(*premortem.Migration) bool { return true })
		for _, g := range p.gone() {
			for _, q := range sys.Queries {
				if at, ok := g.usedBy(q); ok && served(q) {
					report(g.missed(sys, q, at))
				}
			}
		}
	},
	Diff: func(old, sys *premortem.System, report func(premortem.Finding)) {
		p := added(old, sys)
		for _, g := range p.gone() {
			for _, q := range old.Queries {
				if at, ok := g.usedBy(q); ok && served(q) && !stillFails(sys, g) {
					report(g.rolling(sys, q, at))
				}
			}
		}
		p.required(old, report)
	},
})

// loss is a table or a column that a migration takes away.
type loss struct {
	s      step
	e      effect
	table  string
	column string // "" the whole table
	verb   string // "drops", "renames"
	to     string // what it is called now
}

func (l loss) name() string {
	if l.column == "" {
		return l.table
	}
	return l.table + "." + l.column
}

// gone lists what the migrations take away and nothing brings back.
func (p *pending) gone() []loss {
	var out []loss
	for _, s := range p.steps {
		for _, e := range s.effects {
			l := loss{s: s, e: e, table: e.table, column: e.column, verb: "drops"}
			switch e.kind {
			case "drop column":
			case "rename column":
				l.verb, l.to = "renames", e.to
			case "drop table":
			case "rename table":
				l.verb, l.to, l.column = "renames", e.to, ""
			default:
				continue
			}
			if e.table == "" || e.column == "" && strings.HasSuffix(e.kind, "column") || p.exists(l) || p.homes(e.table) > 1 {
				continue
			}
			out = slices.DeleteFunc(out, func(o loss) bool { return o.table == l.table && o.column == l.column })
			out = append(out, l)
		}
	}
	return out
}

// exists reports whether the thing is there after all migrations.
func (p *pending) exists(l loss) bool {
	t := p.sys.Table(l.table)
	if l.column == "" {
		return t != nil
	}
	// A table that is not known any more has a loss of its own, or is not understood.
	return t == nil || t.Column(l.column) != nil
}

// homes counts the folders whose migrations make a table of that name: two services
// with databases of their own may each have one.
func (p *pending) homes(table string) int {
	var dirs []string
	for _, s := range slices.Concat(p.before, p.steps) {
		for _, e := range s.effects {
			dir := path.Dir(s.m.Pos.File)
			if path.Base(s.m.Pos.File) == "migration.sql" {
				dir = path.Dir(dir)
			}
			if e.kind == "create table" && e.table == table && !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	return len(dirs)
}

var quotedText = regexp.MustCompile(`'(?:[^']|'')*'`)

// usedBy reports whether a query names what is gone, and where. Only queries whose
// text is known and that speak of one table are sure to mean this one.
func (l loss) usedBy(q *premortem.Query) (premortem.Pos, bool) {
	if strings.TrimPrefix(q.Table, "public.") != strings.TrimPrefix(l.table, "public.") {
		return premortem.Pos{}, false
	}
	if l.column == "" {
		return q.Pos, true
	}
	sql := quotedText.ReplaceAllString(q.SQL, "''")
	if joined.MatchString(sql) {
		return premortem.Pos{}, false
	}
	for _, p := range q.Predicates {
		if expression(p.Expr) == l.column {
			return p.Pos, true
		}
	}
	for _, w := range identifiers(sql) {
		if w == l.column {
			return q.Pos, true
		}
	}
	return premortem.Pos{}, false
}

var joined = regexp.MustCompile(`(?i)\b(join|with|union)\b|\bselect\b[\s\S]*\bselect\b|\bfrom\s+[\w."]+(\s+(as\s+)?\w+)?\s*,`)

// identifiers are the names in an SQL text that stand for columns: neither calls nor
// names of something else behind AS.
func identifiers(sql string) []string {
	d := newDDL(sql)
	var out []string
	for i, w := range d.words {
		next, prev := "", ""
		if i+1 < len(d.words) {
			next = d.words[i+1]
		}
		if i > 0 {
			prev = d.words[i-1]
		}
		plain := bare.MatchString(w) || strings.HasPrefix(d.raw[i], `"`)
		if plain && next != "(" && next != "." && prev != "as" && prev != "$" && prev != ":" && prev != "@" && prev != "::" {
			out = append(out, w)
		}
	}
	return out
}

func (l loss) what() string {
	if l.verb == "renames" {
		return fmt.Sprintf("%s %s to %s", l.verb, l.name(), l.to)
	}
	return l.verb + " " + l.name()
}

// missed is code that the whole change forgot.
func (l loss) missed(sys *premortem.System, q *premortem.Query, at premortem.Pos) premortem.Finding {
	f := premortem.Finding{
		Node:    q.Service,
		Subject: l.name(),
		Certain: l.column != "",
		Says:    fmt.Sprintf("%s asks for %s, which %s: each such query fails", caller(sys, q), l.name(), label(l.s.m)+" "+l.verb),
		Evidence: []premortem.Evidence{
			{Says: l.what(), Pos: l.s.st.Pos, Quote: oneLine(l.s.st.SQL)},
			{Says: "still asks for it", Pos: at},
		},
		Fix: premortem.Fix{Says: "keep the column until no code names it, and drop it in a later release"},
	}
	if at == q.Pos {
		f.Evidence[1].Quote = q.Quote
	}
	if l.to != "" {
		f.Fix.Says = fmt.Sprintf("ask for %s, or keep the old name until no code uses it", l.to)
	}
	return f
}

// stillFails reports whether the new code asks for it as well, which is the other
// finding.
func stillFails(sys *premortem.System, l loss) bool {
	return slices.ContainsFunc(sys.Queries, func(q *premortem.Query) bool {
		_, ok := l.usedBy(q)
		return ok && served(q)
	})
}

// rolling is old code that meets the new schema during a deploy.
func (l loss) rolling(sys *premortem.System, q *premortem.Query, at premortem.Pos) premortem.Finding {
	f := premortem.Finding{
		Node:    q.Service,
		Subject: l.name() + " while old code runs",
		Says:    fmt.Sprintf("%s %s, and the code of the revision before asks for it: it fails until the last old process has ended", label(l.s.m), l.what()),
		Evidence: []premortem.Evidence{
			{Says: l.what(), Pos: l.s.st.Pos, Quote: oneLine(l.s.st.SQL)},
			{Says: "the revision before asks for it at " + at.String() + ": " + oneLine(q.Quote), Pos: l.s.m.Pos},
		},
		Fix: premortem.Fix{Says: "release the code that does not use it first, and drop or rename it in the release after"},
	}
	f.Certain = true
	if e, stops := stopsFirst(sys, q.Service); stops {
		f.Severity, f.Certain = asNote, false
		f.Evidence = append(f.Evidence, e)
	}
	return f
}

// stopsFirst reports a deploy that ends the old processes before it starts new ones:
// downtime, but no old code on a new schema.
func stopsFirst(sys *premortem.System, n premortem.Node) (premortem.Evidence, bool) {
	svc := inProduction(sys, n)
	if svc == nil || svc.Strategy.Value != "Recreate" {
		return premortem.Evidence{}, false
	}
	return premortem.Evidence{Says: "Recreate: the old process ends before the new one starts", Pos: svc.Strategy.Pos}, true
}

// required reports columns that old code does not fill and that must not be null.
func (p *pending) required(old *premortem.System, report func(premortem.Finding)) {
	for _, s := range p.steps {
		for _, e := range s.effects {
			if e.kind != "add column" || !e.fails || p.made[e.table] {
				continue
			}
			t := p.sys.Table(e.table)
			if t == nil || t.Column(e.column) == nil || !t.Column(e.column).NotNull || t.Column(e.column).Default != "" {
				continue
			}
			i := slices.IndexFunc(old.Queries, func(q *premortem.Query) bool {
				return q.Op == "insert" && q.Table == t.Name && served(q)
			})
			if i < 0 {
				continue
			}
			q := old.Queries[i]
			report(premortem.Finding{
				Node: q.Service, Subject: t.Name + "." + e.column + " must not be null", Certain: true,
				Says: fmt.Sprintf("%s adds %s.%s NOT NULL without a default: it fails as soon as %s has a row, and the code of the revision before cannot insert", label(s.m), t.Name, e.column, t.Name),
				Evidence: []premortem.Evidence{
					{Says: "no default", Pos: s.st.Pos, Quote: oneLine(s.st.SQL)},
					{Says: "the revision before inserts at " + q.Pos.String() + ": " + oneLine(q.Quote), Pos: s.m.Pos},
				},
				Fix: premortem.Fix{Says: "add the column with a default or nullable, fill it, and set NOT NULL in a later release"},
			})
		}
	}
}
