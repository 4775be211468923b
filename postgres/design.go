package postgres

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// design is an index that might serve a statement.
type design struct {
	schema, table string // the partitioned table, of a partition
	quoted        string
	keys, include []string
	where         string // "" every row

	// Of the trial:
	name    string
	made    []RelationStats // the index, or that of each partition
	refused bool
}

// sql is the statement that makes it, with a name that says what it holds.
func (d *design) sql() string {
	words := slices.Concat(d.keys, d.include)
	if d.where != "" {
		words = append(words, d.where)
	}
	return "CREATE INDEX " + quoteBare(indexName(d.table, words)) + " ON " + d.body()
}

func (d *design) body() string {
	s := d.quoted + " (" + strings.Join(d.keys, ", ") + ")"
	if len(d.include) > 0 {
		s += " INCLUDE (" + strings.Join(d.include, ", ") + ")"
	}
	if d.where != "" {
		s += " WHERE " + d.where
	}
	return s
}

// bytes is the size of the trial's files.
func (d *design) bytes() int64 {
	sum := int64(0)
	for i := range d.made {
		sum += d.made[i].Blocks * blockSize
	}
	return sum
}

const (
	mostDesigns  = 8 // for one statement
	mostIncluded = 3 // columns that a covering index carries along
	mostKinds    = 100
)

// designs lists indexes that might serve a planned statement, small ones first: for
// each way in which it reads a large table, the comparisons, joins and order that
// touch it; the same for the rows that a constant condition leaves; and with the few
// columns that are read beside, so that the table need not be.
func (s *Size) designs(ctx context.Context, e *explainer, sql string) ([]*design, error) {
	raw, _, err := e.ask(ctx, sql, nil, false, ", VERBOSE")
	if err != nil {
		return nil, err
	}
	told, err := readAnswer(raw, false)
	if err != nil {
		return nil, err
	}
	a, err := e.explain(ctx, sql, nil, false)
	if err != nil {
		return nil, err
	}
	relations, err := e.relations(ctx, a)
	if err != nil {
		return nil, err
	}
	var out []*design
	for _, scan := range bigReads(a, relations) {
		kinds, err := e.columnTypes(ctx, relations[scan.Relation].oid)
		if err != nil {
			return nil, err
		}
		out = append(out, s.designsOf(a, told, scan, kinds)...)
	}
	var once []*design
	for _, d := range out {
		if !slices.ContainsFunc(once, func(o *design) bool { return o.body() == d.body() }) {
			once = append(once, d)
		}
	}
	return once[:min(len(once), mostDesigns)], nil
}

// bigReads are the scans of large tables, whole ones first, one per table. What an
// index compares counts as a condition as well: another index may serve it better.
func bigReads(a *answer, relations map[string]relation) []*node {
	out := bigScans(a, relations)
	a.Plan.walk(func(n *node) {
		if n.Relation == "" || n.Type == "Seq Scan" || relations[n.Relation].rows < smallTable ||
			slices.ContainsFunc(out, func(o *node) bool { return o.Relation == n.Relation }) {
			return
		}
		whole := *n
		var parts []string
		for _, c := range []string{n.Recheck, n.IndexCond, n.Filter} {
			if c != "" {
				parts = append(parts, "("+bare(c)+")")
			}
		}
		whole.Filter = strings.Join(parts, " AND ")
		out = append(out, &whole)
	})
	return out
}

func (s *Size) designsOf(a, told *answer, scan *node, kinds map[string]string) []*design {
	schema, table := s.rootOf(scan.Relation)
	base := design{schema: schema, table: table, quoted: quoteBare(table)}
	if schema != "public" {
		base.quoted = quoteBare(schema) + "." + base.quoted
	}
	var out []*design
	keys := candidates(a, scan, kinds)
	for _, k := range keys {
		d := base
		d.keys = k
		out = append(out, &d)
	}
	if where := s.constantPart(scan, kinds, schema, table); where != "" {
		held := conditionColumns(where, kinds)
		for _, k := range keys {
			d := base
			d.where = where
			d.keys = slices.DeleteFunc(slices.Clone(k), func(key string) bool { return slices.Contains(held, strings.TrimSuffix(key, " DESC")) })
			if len(d.keys) == 0 {
				d.keys = k[:1]
			}
			out = append(out, &d)
		}
	}
	if len(out) > 0 {
		if more := included(told, scan, kinds, keys[len(keys)-1]); len(more) > 0 {
			d := base
			d.keys, d.include = keys[len(keys)-1], more
			out = append(out, &d)
		}
	}
	return out
}

// rootOf is the table on which an index is made: the partitioned one, of a partition.
func (s *Size) rootOf(name string) (schema, table string) {
	for i := range s.Profile.Relations {
		r := &s.Profile.Relations[i]
		if r.Name != name || r.isIndex() {
			continue
		}
		for r.Parent != "" {
			up, local, _ := strings.Cut(r.Parent, ".")
			parent := s.Profile.Relation(up, local)
			if parent == nil || parent.Kind != "p" {
				break
			}
			r = parent
		}
		return r.Schema, r.Name
	}
	return "public", name
}

var (
	nullTest    = regexp.MustCompile(`^("[^"]+"|[a-z_][a-z0-9_$]*) IS (?:NOT )?NULL$`)
	constantIs  = regexp.MustCompile(`^\(?("[^"]+"|[a-z_][a-z0-9_$]*)\)?(?:::text)? = ('(?:[^']|'')*'(?:::[a-z_" ]+)?)$`)
	booleanTest = regexp.MustCompile(`^(?:NOT )?("[^"]+"|[a-z_][a-z0-9_$]*)$`)
)

// constantPart is the condition of a scan that holds no parameter and whose column
// has few values: the WHERE of a partial index. Other constants may be a user's
// value, which belongs into no index.
func (s *Size) constantPart(scan *node, kinds map[string]string, schema, table string) string {
	var out []string
	for _, one := range conjuncts(scan.Filter) {
		one = stripAlias(one, scan.Alias)
		name := ""
		if m := nullTest.FindStringSubmatch(one); m != nil {
			name = m[1]
		} else if m := booleanTest.FindStringSubmatch(one); m != nil && kinds[strings.Trim(m[1], `"`)] == "bool" {
			name = m[1]
		} else if m := constantIs.FindStringSubmatch(one); m != nil && onlyNames(m[2]) && s.fewValues(schema, table, strings.Trim(m[1], `"`)) {
			name = m[1]
		}
		if kinds[strings.Trim(name, `"`)] != "" {
			out = appendNew(out, one)
		}
	}
	return strings.Join(out, " AND ")
}

func (s *Size) fewValues(schema, table, column string) bool {
	for i := range s.Profile.Columns {
		c := &s.Profile.Columns[i]
		if c.Schema == schema && c.Table == table && c.Name == column {
			return c.Distinct > 0 && c.Distinct <= mostKinds
		}
	}
	return false
}

// conditionColumns are the columns that a condition names.
func conditionColumns(where string, kinds map[string]string) []string {
	var out []string
	for name := range kinds {
		if regexp.MustCompile(`(?:^|[^\w"])"?` + regexp.QuoteMeta(name) + `"?(?:[^\w"]|$)`).MatchString(where) {
			out = append(out, quoteBare(name))
		}
	}
	return out
}

// included are the columns that the statement reads beside an index's keys, when they
// are few. told is the plan with what each node puts out.
func included(told *answer, scan *node, kinds map[string]string, keys []string) []string {
	var out []string
	known := true
	told.Plan.walk(func(n *node) {
		if n.Relation != scan.Relation || n.Alias != scan.Alias || len(n.Output) == 0 {
			return
		}
		for _, column := range n.Output {
			name := stripAlias(column, n.Alias)
			switch {
			case kinds[strings.Trim(name, `"`)] == "":
				known = false
			case !slices.ContainsFunc(keys, func(k string) bool { return strings.TrimSuffix(k, " DESC") == name }):
				out = appendNew(out, name)
			}
		}
	})
	if !known || len(out) > mostIncluded {
		return nil
	}
	return out
}

// indexWrite says what an index costs each write.
func (d *design) indexWrite(entry float64) string {
	var columns []string
	for _, k := range slices.Concat(d.keys, d.include) {
		columns = append(columns, strings.TrimSuffix(strings.TrimSuffix(k, " DESC"), " text_pattern_ops"))
	}
	says := fmt.Sprintf("each INSERT writes an entry of about %.0f bytes more", entry)
	if d.where != "" {
		says += " when " + d.where
	}
	return says + fmt.Sprintf(", and an UPDATE of %s writes every index of %s", strings.Join(columns, " or "), d.table)
}
