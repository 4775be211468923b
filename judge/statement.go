package judge

import (
	"math"
	"regexp"
	"slices"
	"strings"
)

// longest text that is taken apart, in bytes: nobody wrote a longer filter by hand.
const longest = 8 << 10

// short is a statement on one line, without a long list of columns and cut where a
// reader stops reading.
func short(op string) string {
	s := strings.Join(strings.Fields(op), " ")
	if m := selectList.FindStringSubmatchIndex(s); m != nil && m[3]-m[2] > 20 {
		s = s[:m[2]] + "…" + s[m[3]:]
	}
	if r := []rune(s); len(r) > 90 {
		return string(r[:87]) + "…"
	}
	return s
}

// verb is the statement's first word in lower case.
func verb(op string) string {
	word, _, _ := strings.Cut(strings.TrimLeft(op, " \t\r\n("), " ")
	return strings.ToLower(strings.TrimRight(word, "; \t\r\n"))
}

// reads reports whether a statement asks for rows.
func reads(op string) bool { v := verb(op); return v == "select" || v == "with" }

// works reports whether a statement touches rows, which transaction control and
// settings do not.
func works(op string) bool {
	return slices.Contains([]string{"select", "with", "insert", "update", "delete", "merge"}, verb(op))
}

var (
	fromTable  = regexp.MustCompile(`(?i)\b(?:from|into|update|join)\s+(?:only\s+)?("?[\w.$]+"?(?:\."?[\w$]+"?)?)`)
	selectList = regexp.MustCompile(`(?i)^select ([^()]*?) from `)
	limited    = regexp.MustCompile(`(?i)\b(?:limit|fetch\s+(?:first|next))\b`)
	grouped    = regexp.MustCompile(`(?i)\bselect\s+(?:count|sum|min|max|avg|exists)\s*\(`)
)

// tableOf is the first table that a statement names, "" when it names none.
func tableOf(op string) string {
	m := fromTable.FindStringSubmatch(op)
	if m == nil {
		return ""
	}
	return bareTable(m[1])
}

// tablesOf are all tables that a statement names.
func tablesOf(op string) []string {
	var out []string
	for _, m := range fromTable.FindAllStringSubmatch(op, -1) {
		out = append(out, bareTable(m[1]))
	}
	return out
}

// bareTable drops quotes and the schema "public".
func bareTable(s string) string {
	return strings.TrimPrefix(strings.ToLower(strings.ReplaceAll(s, `"`, "")), "public.")
}

// indexed returns what an index statement puts on which table:
// "CREATE INDEX i ON users (lower(email), id)" gives "users" and
// ["lower(email)", "id"]. ok is false for anything else.
func indexed(sql string) (table string, exprs []string, ok bool) {
	low := asciiLower(sql)
	at := strings.Index(low, " on ")
	if at < 0 || len(sql) > longest || !strings.Contains(low[:at], "index") {
		return "", nil, false
	}
	rest := strings.TrimSpace(sql[at+4:])
	open := strings.IndexByte(rest, '(')
	if open < 0 {
		return "", nil, false
	}
	name := strings.Fields(strings.TrimPrefix(strings.ToLower(rest[:open]), "only "))
	end := closing(rest, open)
	if len(name) == 0 || end < 0 {
		return "", nil, false
	}
	for _, e := range splitTop(rest[open+1:end], ",") {
		if e = normal(e); e != "" {
			exprs = append(exprs, e)
		}
	}
	if table = bareTable(name[0]); table == "" || len(exprs) == 0 {
		return "", nil, false
	}
	return table, exprs, true
}

// compared returns the columns or expressions that a plan's filter compares,
// normalised and in the order written: "(lower((email)::text) = $1)" gives
// ["lower(email)"].
func compared(filter string) []string {
	if len(filter) > longest {
		return nil
	}
	var out []string
	for _, part := range splitTop(unwrap(filter), " and ") {
		part = unwrap(part)
		if e := comparedIn(part); e != "" && !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

var comparison = regexp.MustCompile(`(?i)\s*(?:<>|!=|<=|>=|=|<|>|!?~~?\*?|@>|<@|\bis\b|\blike\b|\bilike\b|\bin\b|\bbetween\b)\s*`)

// comparedIn is the side of one comparison that names a column.
func comparedIn(cond string) string {
	deep := depths(cond)
	for _, m := range comparison.FindAllStringIndex(cond, -1) {
		if m[1] == m[0] || deep[m[0]] != 0 {
			continue
		}
		for _, side := range []string{cond[:m[0]], cond[m[1]:]} {
			if e := normal(side); names(e) {
				return e
			}
		}
	}
	return ""
}

var (
	cast      = regexp.MustCompile(`(?i)::\s*(?:character varying|double precision|timestamp with(?:out)? time zone|time with(?:out)? time zone|[\w.]+)(?:\(\d+(?:,\d+)?\))?(?:\[\])?`)
	spaces    = regexp.MustCompile(`\s+`)
	lone      = regexp.MustCompile(`(^|[^\w])\(("?[\w.]+"?)\)`)
	literal   = regexp.MustCompile(`'(?:[^']|'')*'|\$\d+|\?|:\w+|\b\d+(?:\.\d+)?\b`)
	word      = regexp.MustCompile(`[a-z_][\w.]*`)
	qualified = regexp.MustCompile(`\b[a-z_]\w*\.([a-z_]\w*)`)
	order     = regexp.MustCompile(`(?i)\s+(?:asc|desc|nulls\s+(?:first|last)|\w+_pattern_ops|\w+_ops)\b`)
)

// normal writes an expression as the schema's indexes are written: lower case, no
// quotes, casts, table names or needless parentheses.
func normal(expr string) string {
	s := order.ReplaceAllString(expr, "")
	s = strings.ToLower(strings.ReplaceAll(cast.ReplaceAllString(s, ""), `"`, ""))
	for range 4 { // casts leave parentheses inside parentheses
		next := lone.ReplaceAllStringFunc(s, func(m string) string {
			g := lone.FindStringSubmatch(m)
			return g[1] + g[2]
		})
		if next == s {
			break
		}
		s = next
	}
	s = strings.TrimSpace(spaces.ReplaceAllString(unwrap(s), " "))
	s = qualified.ReplaceAllString(s, "$1")
	return s
}

// names reports whether an expression holds a column and not only values.
func names(expr string) bool {
	rest := literal.ReplaceAllString(expr, "")
	for _, w := range word.FindAllString(strings.ToLower(rest), -1) {
		if !slices.Contains([]string{"any", "array", "all", "null", "true", "false", "now", "current_date", "current_timestamp", "not"}, w) {
			return true
		}
	}
	return false
}

// unwrap removes parentheses that enclose the whole text.
func unwrap(s string) string {
	for {
		s = strings.TrimSpace(s)
		if len(s) < 2 || len(s) > longest || s[0] != '(' || closing(s, 0) != len(s)-1 {
			return s
		}
		s = s[1 : len(s)-1]
	}
}

// closing is the index of the parenthesis that closes the one at open, -1 if none.
// Text in quotes is skipped.
func closing(s string, open int) int {
	depth, quoted := 0, false
	for i := open; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// depths is how deep each byte lies in parentheses and brackets; text in quotes is
// deeper than anything else.
func depths(s string) []int {
	out := make([]int, len(s))
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		out[i] = depth
		if quoted {
			out[i] = math.MaxInt
		}
		switch c := s[i]; {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		}
	}
	return out
}

// splitTop cuts at a separator outside parentheses and quotes, ignoring case.
func splitTop(s, sep string) []string {
	low, deep := asciiLower(s), depths(s)
	var out []string
	from := 0
	for i := 0; i+len(sep) <= len(s); i++ {
		if i >= from && deep[i] == 0 && low[i:i+len(sep)] == sep {
			out = append(out, s[from:i])
			from = i + len(sep)
		}
	}
	return append(out, s[from:])
}

// asciiLower keeps the length in bytes, which strings.ToLower does not.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
