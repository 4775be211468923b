package read

import (
	"strings"
	"unicode/utf8"
)

// sqlKind is the kind of an SQL token.
type sqlKind int

const (
	sqlWord   sqlKind = iota // keyword or plain identifier
	sqlQuoted                // quoted identifier, text without its quotes
	sqlString                // literal, text without its quotes
	sqlNumber
	sqlParam // $1, ?, :name, @name, and what a template puts in
	sqlOp    // everything else
)

// sqlToken is one token and the line it starts on, counted from 1.
type sqlToken struct {
	kind sqlKind
	text string
	line int
	at   int // bytes before it in its text
	end  int // bytes up to its end
}

// is reports whether the token is a keyword or an operator, whatever its case.
func (t sqlToken) is(s string) bool {
	return (t.kind == sqlWord || t.kind == sqlOp) && strings.EqualFold(t.text, s)
}

// ident reports whether the token can name something.
func (t sqlToken) ident() bool { return t.kind == sqlWord || t.kind == sqlQuoted }

// name is an identifier as the catalog spells it: unquoted names fold to lower case.
func (t sqlToken) name() string {
	if t.kind == sqlQuoted {
		return t.text
	}
	return strings.ToLower(t.text)
}

// sqlTokens splits SQL into tokens without comments. It understands quotes, dollar
// quotes, E strings and nested comments, and survives text that is no SQL.
func sqlTokens(s string) []sqlToken {
	var out []sqlToken
	line, open := 1, 0 // open counts dollar quotes without an end
	for i := 0; i < len(s); {
		start, from := i, line
		c := s[i]
		switch {
		case c == '\n':
			line++
			i++
			continue
		case c == ' ' || c == '\t' || c == '\r' || c == '\f':
			i++
			continue
		case strings.HasPrefix(s[i:], "--"):
			i = lineEnd(s, i)
			continue
		case strings.HasPrefix(s[i:], "/*"):
			i = blockEnd(s, i)
			line += strings.Count(s[start:i], "\n")
			continue
		}
		var t sqlToken
		t, i = sqlTokenAt(s, i, &open)
		t.line, t.at, t.end = from, start, i
		line += strings.Count(s[start:i], "\n")
		out = append(out, t)
	}
	return out
}

func lineEnd(s string, i int) int {
	if n := strings.IndexByte(s[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(s)
}

// blockEnd returns the end of a comment; PostgreSQL's comments nest.
func blockEnd(s string, i int) int {
	depth := 0
	for i < len(s) {
		switch {
		case strings.HasPrefix(s[i:], "/*"):
			depth++
			i += 2
		case strings.HasPrefix(s[i:], "*/"):
			depth--
			i += 2
			if depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return i
}

// sqlTokenAt reads the token at i and returns the offset after it.
func sqlTokenAt(s string, i int, open *int) (sqlToken, int) {
	c := s[i]
	switch {
	case c == '\'':
		end := quoteEnd(s, i, '\'', false)
		return sqlToken{kind: sqlString, text: inner(s[i:end])}, end
	case (c == 'E' || c == 'e' || c == 'N' || c == 'n') && i+1 < len(s) && s[i+1] == '\'':
		end := quoteEnd(s, i+1, '\'', c == 'E' || c == 'e')
		return sqlToken{kind: sqlString, text: inner(s[i+1 : end])}, end
	case c == '"' || c == '`':
		end := quoteEnd(s, i, c, false)
		return sqlToken{kind: sqlQuoted, text: strings.ReplaceAll(inner(s[i:end]), `""`, `"`)}, end
	case c == '$':
		if *open < 100 { // hostile text could make each search cost the whole file
			if end, body, ok := dollarQuote(s, i); ok {
				return sqlToken{kind: sqlString, text: body}, end
			}
			*open++
		}
		end := i + 1
		for end < len(s) && isWordByte(s[end]) {
			end++
		}
		return sqlToken{kind: sqlParam, text: s[i:end]}, end
	case c == '?' || c == '@' || c == ':' && i+1 < len(s) && isWordStart(s[i+1]):
		end := i + 1
		for end < len(s) && isWordByte(s[end]) {
			end++
		}
		return sqlToken{kind: sqlParam, text: s[i:end]}, end
	case c >= '0' && c <= '9':
		end := i
		for end < len(s) && (isWordByte(s[end]) || s[end] == '.') {
			end++
		}
		return sqlToken{kind: sqlNumber, text: s[i:end]}, end
	case isWordStart(c):
		end := i
		for end < len(s) && (isWordByte(s[end]) || s[end] == '$') {
			end++
		}
		return sqlToken{kind: sqlWord, text: s[i:end]}, end
	}
	for _, op := range []string{"::", "<=", ">=", "<>", "!=", "||", "->>", "->", "#>>", "@>", "<@", "~*", "!~", "&&", ":="} {
		if strings.HasPrefix(s[i:], op) {
			return sqlToken{kind: sqlOp, text: op}, i + len(op)
		}
	}
	_, size := utf8.DecodeRuneInString(s[i:])
	return sqlToken{kind: sqlOp, text: s[i : i+size]}, i + size
}

func inner(quoted string) string {
	if len(quoted) >= 2 && quoted[len(quoted)-1] == quoted[0] {
		return quoted[1 : len(quoted)-1]
	}
	return quoted[1:]
}

// quoteEnd returns the offset after a quoted text; a doubled quote stays inside.
func quoteEnd(s string, i int, q byte, backslash bool) int {
	for i++; i < len(s); i++ {
		switch {
		case backslash && s[i] == '\\':
			i++
		case s[i] == q && i+1 < len(s) && s[i+1] == q:
			i++
		case s[i] == q:
			return i + 1
		}
	}
	return len(s)
}

// dollarQuote reads $tag$ … $tag$.
func dollarQuote(s string, i int) (end int, body string, ok bool) {
	j := i + 1
	for j < len(s) && isWordByte(s[j]) {
		j++
	}
	if j >= len(s) || s[j] != '$' || j > i+1 && s[i+1] >= '0' && s[i+1] <= '9' {
		return 0, "", false
	}
	tag := s[i : j+1]
	n := strings.Index(s[j+1:], tag)
	if n < 0 {
		return 0, "", false
	}
	return j + 1 + n + len(tag), s[j+1 : j+1+n], true
}

func isWordStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func isWordByte(c byte) bool { return isWordStart(c) || c >= '0' && c <= '9' }

// sqlStatements splits tokens at semicolons outside of parentheses. Statements that
// nest deeper than people write are left out.
func sqlStatements(toks []sqlToken) [][]sqlToken {
	var out [][]sqlToken
	start, depth, deepest := 0, 0, 0
	flush := func(end int) {
		if end > start && deepest < maxDepth {
			out = append(out, toks[start:end])
		}
		start, depth, deepest = end+1, 0, 0
	}
	for i, t := range toks {
		switch {
		case t.is("("):
			depth++
			deepest = max(deepest, depth)
		case t.is(")"):
			depth = max(depth-1, 0)
		case t.is(";"):
			flush(i)
		}
	}
	flush(len(toks))
	return out
}

// sqlGroup returns the tokens inside the parentheses that open at i, and the index
// after them.
func sqlGroup(toks []sqlToken, i int) ([]sqlToken, int) {
	depth := 0
	for j := i; j < len(toks); j++ {
		switch {
		case toks[j].is("("):
			depth++
		case toks[j].is(")"):
			depth--
			if depth == 0 {
				return toks[i+1 : j], j + 1
			}
		}
	}
	return toks[min(i+1, len(toks)):], len(toks)
}

// sqlSplit cuts tokens at a separator outside of parentheses.
func sqlSplit(toks []sqlToken, sep string) [][]sqlToken {
	var out [][]sqlToken
	start, depth := 0, 0
	for i, t := range toks {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case depth == 0 && t.is(sep):
			out = append(out, toks[start:i])
			start = i + 1
		}
	}
	if start < len(toks) {
		out = append(out, toks[start:])
	}
	return out
}

// sqlText writes tokens in the one normal form in which indexes and predicates are
// compared: lower case, no casts, no qualifying table, one blank around operators.
func sqlText(toks []sqlToken) string {
	toks = stripParens(toks)
	var b strings.Builder
	for i := 0; i < len(toks); i++ {
		t := toks[i]
		if t.is("::") { // a cast: skip the type and its modifier
			i++
			if i+1 < len(toks) && toks[i+1].is("(") {
				_, next := sqlGroup(toks, i+1)
				i = next - 1
			}
			continue
		}
		if i+1 < len(toks) && t.ident() && toks[i+1].is(".") {
			i++ // the table's name or alias
			continue
		}
		if t.is("(") {
			if group, next := sqlGroup(toks, i); len(group) == 1 && i > 0 && !toks[i-1].ident() || i == 0 && len(group) == 1 && next < len(toks) {
				b.WriteString(sqlText(group))
				i = next - 1
				continue
			} else if len(group) == 3 && group[1].is("::") || len(group) > 0 && group[0].is("(") {
				b.WriteString("(" + sqlText(group) + ")")
				i = next - 1
				continue
			}
		}
		text := t.text
		switch t.kind {
		case sqlWord, sqlQuoted:
			text = t.name()
		case sqlString:
			text = "'" + t.text + "'"
		}
		tight := t.is("(") || t.is(")") || t.is(",")
		if b.Len() > 0 && !tight && i > 0 && !toks[i-1].is("(") && !toks[i-1].is(".") {
			b.WriteByte(' ')
		}
		b.WriteString(text)
	}
	return b.String()
}

// stripParens removes parentheses around the whole.
func stripParens(toks []sqlToken) []sqlToken {
	for len(toks) > 2 && toks[0].is("(") {
		group, next := sqlGroup(toks, 0)
		if next != len(toks) {
			break
		}
		toks = group
	}
	return toks
}
