package check

import (
	"regexp"
	"slices"
	"strings"
)

// effect is what one statement of a migration does to one table.
type effect struct {
	kind   string // "create table", "create index", "add column", "drop column", "rename column", "type", "update", …
	table  string
	column string
	to     string // new name, new type, parent table
	lock   lock
	work   work
	does   string // "CREATE INDEX", "SET NOT NULL", for people
	alone  bool   // CONCURRENTLY: refused inside a transaction
	fails  bool   // a column that must not be null and has no default
}

// lock is the lock that a statement holds (PostgreSQL, chapter Explicit Locking).
type lock int

const (
	lockNone   lock = iota // blocks neither reads nor writes
	lockWrites             // SHARE and SHARE ROW EXCLUSIVE: nobody writes
	lockAll                // ACCESS EXCLUSIVE: nobody reads or writes
	lockBoth               // SHARE ROW EXCLUSIVE on two tables
)

// work is what a statement does while it holds its lock.
type work int

const (
	catalog  work = iota // a moment, whatever the size
	scans                // reads every row
	builds               // builds an index
	joins                // looks every row up in another table
	rewrites             // writes every row and every index again
	updates              // a new version of every row
)

// perRow is how long each kind of work takes for a row, in seconds: measured with
// 600,000 rows and two indexes on PostgreSQL 18, tables in memory.
var perRow = [...]float64{scans: 0.13e-6, builds: 0.2e-6, joins: 0.23e-6, rewrites: 1.7e-6, updates: 7.3e-6}

var ddlToken = regexp.MustCompile(`"(?:[^"]|"")*"|'(?:[^']|'')*'|\$\$[\s\S]*?\$\$|/\*[\s\S]*?\*/|--[^\n]*|[A-Za-z_][\w$]*|\d[\d.]*|::|\S`)

// ddl is a cursor over the words of one statement, lower case and without quotes.
type ddl struct {
	words []string
	raw   []string
	i     int
}

func newDDL(sql string) *ddl {
	d := &ddl{}
	for _, t := range ddlToken.FindAllString(sql, -1) {
		if strings.HasPrefix(t, "--") || strings.HasPrefix(t, "/*") {
			continue
		}
		d.raw = append(d.raw, t)
		switch {
		case t[0] == '"' && len(t) > 1:
			d.words = append(d.words, strings.ReplaceAll(t[1:len(t)-1], `""`, `"`))
		case t[0] == '\'' || t[0] == '$':
			d.words = append(d.words, t)
		default:
			d.words = append(d.words, strings.ToLower(t))
		}
	}
	return d
}

func (d *ddl) peek() string {
	if d.i < len(d.words) {
		return d.words[d.i]
	}
	return ""
}

// take consumes words that come next, all or none; a quoted name is no keyword.
func (d *ddl) take(words ...string) bool {
	for k, w := range words {
		if d.i+k >= len(d.words) || d.words[d.i+k] != w || strings.HasPrefix(d.raw[d.i+k], `"`) {
			return false
		}
	}
	d.i += len(words)
	return true
}

// name reads a table's or a column's name.
func (d *ddl) name() string {
	if d.i >= len(d.words) {
		return ""
	}
	n := d.words[d.i]
	for d.i++; d.i+1 < len(d.words) && d.words[d.i] == "."; d.i += 2 {
		n += "." + d.words[d.i+1]
	}
	return strings.TrimPrefix(n, "public.")
}

// rest is what stands behind, as one text with single blanks.
func (d *ddl) rest() string { return strings.Join(d.words[min(d.i, len(d.words)):], " ") }

// cut splits what stands behind at commas outside of parentheses.
func (d *ddl) cut() []*ddl {
	var out []*ddl
	depth, start := 0, d.i
	for k := d.i; k <= len(d.words); k++ {
		if k == len(d.words) || d.words[k] == "," && depth == 0 {
			if k > start {
				out = append(out, &ddl{words: d.words[start:k], raw: d.raw[start:k]})
			}
			start = k + 1
			continue
		}
		switch d.words[k] {
		case "(":
			depth++
		case ")":
			depth--
		}
	}
	return out
}

// effectsOf reads a statement; was is what premortem.Statement says of the column
// before it.
func effectsOf(sql, was string) []effect {
	d := newDDL(sql)
	switch {
	case d.take("create"):
		return d.create()
	case d.take("alter", "table"):
		d.take("if", "exists")
		d.take("only")
		table := d.name()
		d.take("*")
		var out []effect
		for _, a := range d.cut() {
			if e, ok := a.action(was); ok {
				e.table = table
				out = append(out, e)
			}
		}
		return out
	case d.take("drop", "table"):
		d.take("if", "exists")
		return []effect{{kind: "drop table", table: d.name(), lock: lockAll, does: "DROP TABLE"}}
	case d.take("drop", "index"):
		if d.take("concurrently") {
			return []effect{{kind: "drop index", alone: true, does: "DROP INDEX CONCURRENTLY"}}
		}
	case d.take("update"):
		d.take("only")
		table := d.name()
		if !slices.Contains(d.words, "where") && !slices.Contains(d.words, "from") && slices.Contains(d.words, "set") {
			return []effect{{kind: "update", table: table, work: updates, does: "UPDATE of every row"}}
		}
	case d.take("vacuum", "full"), d.take("cluster"):
		return []effect{{kind: "rewrite", table: d.name(), lock: lockAll, work: rewrites, does: strings.ToUpper(d.words[0])}}
	}
	return nil
}

func (d *ddl) create() []effect {
	d.take("unlogged")
	if d.take("table") {
		d.take("if", "not", "exists")
		return []effect{{kind: "create table", table: d.name()}}
	}
	unique := d.take("unique")
	if !d.take("index") {
		return nil
	}
	e := effect{kind: "create index", lock: lockWrites, work: builds, does: "CREATE INDEX"}
	if unique {
		e.does = "CREATE UNIQUE INDEX"
	}
	if d.take("concurrently") {
		e.lock, e.work, e.alone = lockNone, catalog, true
		e.does += " CONCURRENTLY"
	}
	d.take("if", "not", "exists")
	if d.peek() != "on" {
		e.to = d.name()
	}
	if !d.take("on") {
		return nil
	}
	d.take("only")
	e.table = d.name()
	return []effect{e}
}

// action reads one action of ALTER TABLE.
func (d *ddl) action(was string) (effect, bool) {
	switch {
	case d.take("add", "constraint"):
		d.name()
		return d.constraint()
	case d.take("add", "foreign", "key"), d.take("add", "check"), d.take("add", "unique"), d.take("add", "primary", "key"), d.take("add", "exclude"):
		d.i = 1
		return d.constraint()
	case d.take("add"):
		d.take("column")
		d.take("if", "not", "exists")
		return d.addColumn(), true
	case d.take("drop", "constraint"):
		return effect{kind: "drop constraint", lock: lockAll, does: "DROP CONSTRAINT"}, true
	case d.take("drop"):
		d.take("column")
		d.take("if", "exists")
		return effect{kind: "drop column", column: d.name(), lock: lockAll, does: "DROP COLUMN"}, true
	case d.take("rename", "to"):
		return effect{kind: "rename table", to: d.name(), lock: lockAll, does: "RENAME"}, true
	case d.take("rename", "constraint"):
		return effect{}, false
	case d.take("rename"):
		d.take("column")
		e := effect{kind: "rename column", column: d.name(), lock: lockAll, does: "RENAME COLUMN"}
		d.take("to")
		e.to = d.name()
		return e, true
	case d.take("set", "unlogged"), d.take("set", "logged"), d.take("set", "tablespace"):
		return effect{kind: "rewrite", lock: lockAll, work: rewrites, does: strings.ToUpper(strings.Join(d.words[:2], " "))}, true
	case d.take("alter"):
		d.take("column")
		return d.alterColumn(d.name(), was)
	}
	return effect{}, false
}

func (d *ddl) alterColumn(column, was string) (effect, bool) {
	e := effect{column: column, lock: lockAll}
	switch {
	case d.take("set", "not", "null"):
		e.kind, e.work, e.does = "set not null", scans, "SET NOT NULL"
		if was == "not null" {
			e.work = catalog // it is so already, and nothing is read
		}
	case d.take("type"), d.take("set", "data", "type"):
		using := slices.Contains(d.words, "using")
		text, _, _ := strings.Cut(d.rest(), " using ")
		e.kind, e.to, e.does = "type", strings.TrimSpace(text), "ALTER COLUMN TYPE"
		e.work = changes(was, e.to, using)
	default:
		return effect{}, false
	}
	return e, true
}

// constraint reads what follows ADD [CONSTRAINT name].
func (d *ddl) constraint() (effect, bool) {
	text := d.rest()
	loose := strings.Contains(text, "not valid")
	e := effect{kind: "add constraint"}
	switch {
	case d.take("foreign", "key"):
		e.lock, e.work, e.does = lockBoth, joins, "ADD FOREIGN KEY"
		_, ref, _ := strings.Cut(text, "references ")
		r := newDDL(ref)
		e.to = r.name()
	case d.take("check"):
		e.lock, e.work, e.does = lockAll, scans, "ADD CHECK"
		if strings.Contains(text, "is not null") {
			e.kind, e.column = "not null check", notNullColumn(text)
		}
	case d.take("unique"), d.take("primary", "key"), d.take("exclude"):
		e.lock, e.work, e.does = lockAll, builds, "ADD "+strings.ToUpper(strings.Join(d.words[max(d.i-1, 0):d.i], " "))
		if strings.Contains(text, "using index") {
			e.work = catalog
		}
		if strings.HasPrefix(text, "primary") {
			e.does = "ADD PRIMARY KEY"
		}
	default:
		return effect{}, false
	}
	if loose {
		e.work = catalog
		e.does += " NOT VALID"
	}
	return e, true
}

var notNull = regexp.MustCompile(`(\w+)[ )]* is not null`)

func notNullColumn(check string) string {
	if m := notNull.FindStringSubmatch(check); m != nil {
		return m[1]
	}
	return ""
}

// volatile are functions that give each row a value of its own, so that a column
// with such a default is written into every row.
var volatile = regexp.MustCompile(`\b(random|gen_random_uuid|uuid_generate_v[0-9]+\w*|uuidv[47]|clock_timestamp|timeofday|nextval|gen_random_bytes)\s*\(`)

func (d *ddl) addColumn() effect {
	e := effect{kind: "add column", column: d.name(), lock: lockAll, does: "ADD COLUMN"}
	text := d.rest()
	_, def, has := strings.Cut(text, "default ")
	has = has && !strings.HasPrefix(def, "null")
	identity := strings.Contains(text, "as identity")
	serial := strings.Contains(d.peek(), "serial")
	switch {
	case strings.Contains(text, ") stored"), identity, serial:
		e.work = rewrites
	case has && volatile.MatchString(def):
		e.work, e.does = rewrites, "ADD COLUMN with a default for each row"
	case has && strings.Contains(text, "unique"), strings.Contains(text, "primary key"):
		e.work = builds
	case strings.Contains(text, "check ("):
		e.work = scans
	case strings.Contains(text, "references ") && has:
		e.work = joins
	}
	e.fails = strings.Contains(text, "not null") && !has && !identity && !serial && !strings.Contains(text, "generated") && !strings.Contains(text, "is not null")
	return e
}
