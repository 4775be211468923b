package postgres

import (
	"regexp"
	"slices"
	"strings"
)

// condition is one comparison of a filter, as far as an index can serve it.
type condition struct {
	expr string // as an index key
	kind conditionKind
}

type conditionKind int

const (
	equality conditionKind = iota
	ordering               // <, >, …
	pattern                // LIKE 'x%'
)

// candidates lists the keys of indexes that might serve a scan, small ones first:
// equalities before ranges before the order of the answer.
func candidates(a *answer, scan *node, types map[string]string) [][]string {
	var equal, ranges, patterns []string
	for _, c := range conditions(scan, types) {
		switch c.kind {
		case equality:
			equal = appendNew(equal, c.expr)
		case ordering:
			ranges = appendNew(ranges, c.expr)
		case pattern:
			patterns = appendNew(patterns, c.expr)
		}
	}
	joins, order := joinKeys(a, scan, types), orderKeys(a, scan, types)
	var out [][]string
	add := func(keys ...string) {
		var once []string
		for _, k := range keys {
			once = appendNew(once, k)
		}
		if len(once) > 0 && len(once) <= 4 && !slices.ContainsFunc(out, func(o []string) bool { return slices.Equal(o, once) }) {
			out = append(out, once)
		}
	}
	for _, one := range [][]string{equal, joins, patterns, ranges} {
		for _, k := range one {
			add(k)
		}
	}
	add(equal...)
	for _, more := range slices.Concat(ranges, patterns) {
		add(append(slices.Clone(equal), more)...)
	}
	for _, j := range joins {
		add(append(slices.Clone(equal), j)...)
	}
	if len(order) > 0 {
		add(append(slices.Clone(equal), order...)...)
		add(order...)
	}
	return out
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// conditions reads a scan's filter: comparisons joined by AND whose one side is made
// of the table's columns and whose other side is a constant or a parameter.
func conditions(scan *node, types map[string]string) []condition {
	var out []condition
	for _, text := range conjuncts(scan.Filter) {
		if c, ok := readCondition(text, scan.Alias, types); ok {
			out = append(out, c)
		}
	}
	return out
}

func conjuncts(filter string) []string {
	var out []string
	rest, more := bare(filter), filter != ""
	for more {
		var one string
		one, rest, more = cutTop(rest, " AND ")
		out = append(out, bare(one))
	}
	return out
}

var operators = []struct {
	text string
	kind conditionKind
}{
	{" = ", equality}, {" >= ", ordering}, {" <= ", ordering}, {" > ", ordering}, {" < ", ordering}, {" ~~ ", pattern},
}

func readCondition(text, alias string, types map[string]string) (condition, bool) {
	if _, _, or := cutTop(text, " OR "); or {
		return condition{}, false
	}
	for _, op := range operators {
		left, right, found := cutTop(text, op.text)
		if !found {
			continue
		}
		if isConstant(left) && op.kind != pattern {
			left, right = right, left
		}
		if !isConstant(right) || isConstant(left) || !onlyNames(left) {
			return condition{}, false
		}
		c := condition{expr: indexKey(left, alias, types), kind: op.kind}
		if op.kind == pattern {
			if !anchored(right) {
				return condition{}, false
			}
			c.expr += " text_pattern_ops"
		}
		return c, true
	}
	// A boolean column by itself.
	name := strings.Trim(stripAlias(strings.TrimPrefix(text, "NOT "), alias), `"`)
	if types[name] == "bool" {
		return condition{expr: quoteBare(name), kind: equality}, true
	}
	return condition{}, false
}

var nameLike = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]{0,40}$`)

// onlyNames reports whether the texts in an expression look like names, such as the
// key of a document. Others may be a user's value, which belongs into no index.
func onlyNames(expr string) bool {
	for _, m := range quotedText.FindAllStringSubmatch(expr, -1) {
		if !nameLike.MatchString(m[1]) {
			return false
		}
	}
	return true
}

// anchored reports whether a LIKE pattern starts with letters.
func anchored(literal string) bool {
	m := quotedText.FindStringSubmatch(literal)
	return m != nil && m[1] != "" && m[1][0] != '%' && m[1][0] != '_'
}

// stable are the words of expressions that do not depend on a row.
var stable = regexp.MustCompile(`now\(\)|CURRENT_[A-Z]+|statement_timestamp\(\)|transaction_timestamp\(\)|\bANY\b|\bARRAY\b|InitPlan \?|InitPlan|\bcol\d+\b|\bNULL\b|\btrue\b|\bfalse\b|\$\d+`)

// isConstant reports whether an expression names no column.
func isConstant(expr string) bool {
	expr = anyCast.ReplaceAllString(scrub(expr), "")
	expr = stable.ReplaceAllString(expr, "")
	return !strings.ContainsFunc(expr, func(r rune) bool { return r > 127 || r == '"' || isWord(byte(r)) && (r < '0' || r > '9') })
}

var (
	castedColumn = regexp.MustCompile(`\(("[^"]+"|[a-z_][a-z0-9_]*)\)::text`)
	columnName   = regexp.MustCompile(`^(?:"[^"]+"|[a-z_][a-z0-9_$]*)$`)
	callForm     = regexp.MustCompile(`^[a-z_][a-z0-9_.]*\(`)
)

// indexKey turns an expression of a filter into a key of CREATE INDEX.
func indexKey(expr, alias string, types map[string]string) string {
	expr = bare(stripAlias(strings.TrimSpace(expr), alias))
	// A varchar column is shown cast to text, which changes nothing.
	expr = castedColumn.ReplaceAllStringFunc(expr, func(s string) string {
		name := castedColumn.FindStringSubmatch(s)[1]
		if types[strings.Trim(name, `"`)] == "varchar" {
			return name
		}
		return s
	})
	switch {
	case columnName.MatchString(expr):
		return expr
	case callForm.MatchString(expr) && closing(expr, strings.IndexByte(expr, '(')) == len(expr)-1:
		return expr
	}
	return "(" + expr + ")"
}

// stripAlias removes the table's alias in front of its columns.
func stripAlias(expr, alias string) string {
	prefix := quoteBare(alias) + "."
	var out strings.Builder
	for i := 0; i < len(expr); {
		starts := i == 0 || !isWord(expr[i-1]) && expr[i-1] != '.' && expr[i-1] != '"'
		if starts && strings.HasPrefix(expr[i:], prefix) {
			i += len(prefix)
			continue
		}
		next := token(expr, i)
		out.WriteString(expr[i:next])
		i = next
	}
	return out.String()
}

// joinKeys are the columns of a scan that joins compare with other tables.
func joinKeys(a *answer, scan *node, types map[string]string) []string {
	var out []string
	a.Plan.walk(func(n *node) {
		for _, text := range []string{n.HashCond, n.MergeCond, n.JoinFilter} {
			for _, one := range conjuncts(text) {
				left, right, found := cutTop(one, " = ")
				if !found {
					continue
				}
				for _, side := range []string{left, right} {
					if name, own := ownColumn(side, scan.Alias, types); own {
						out = appendNew(out, name)
					}
				}
			}
		}
	})
	return out
}

// ownColumn reads alias.column.
func ownColumn(expr, alias string, types map[string]string) (string, bool) {
	name, ok := strings.CutPrefix(bare(expr), quoteBare(alias)+".")
	if !ok || types[strings.Trim(name, `"`)] == "" {
		return "", false
	}
	return name, true
}

// orderKeys are the columns by which the statement sorts, when all are the scan's.
func orderKeys(a *answer, scan *node, types map[string]string) []string {
	var out []string
	a.Plan.walk(func(n *node) {
		if n.Type != "Sort" && n.Type != "Incremental Sort" || out != nil {
			return
		}
		for _, key := range n.SortKey {
			key, down := strings.CutSuffix(key, " DESC")
			name := stripAlias(key, scan.Alias)
			if types[strings.Trim(name, `"`)] == "" {
				out = nil
				return
			}
			if down {
				name += " DESC"
			}
			out = append(out, name)
		}
	})
	return out
}
