package postgres

import (
	"regexp"
	"strings"
)

// statement is one statement of a script.
type statement struct {
	text  string // as written, without its semicolon
	code  string // text without leading comments
	start int    // byte offset of text in the script
	data  string // the lines that follow COPY … FROM stdin
}

var (
	copyIn = regexp.MustCompile(`(?is)^copy\s.*\bfrom\s+stdin\b`)
	tag    = regexp.MustCompile(`^\$([A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$`)
	// atomicBody starts the body of a function in standard SQL, which holds semicolons.
	atomicBody = regexp.MustCompile(`(?is)^create\b.*\b(function|procedure)\b.*\bbegin\s+atomic\b`)
	atomicEnd  = regexp.MustCompile(`(?is)\bend\s*$`)
	downward   = regexp.MustCompile(`(?im)^--\s*(\+goose\s+down|migrate:down|\+migrate\s+down)\b`)
)

// upward cuts the part of a migration that takes it back.
func upward(sql string) string {
	if at := downward.FindStringIndex(sql); at != nil {
		return sql[:at[0]]
	}
	return sql
}

// split cuts a script into statements at the semicolons that end one. It knows
// strings, quoted names, dollar quotes, nested comments, COPY data and psql's
// backslash commands, which it leaves out. Empty statements are dropped.
func split(sql string) []statement {
	var out []statement
	start := 0
	for i := 0; i < len(sql); {
		switch {
		case sql[i] == ';':
			st := cut(sql, start, i)
			if atomicBody.MatchString(st.code) && !atomicEnd.MatchString(st.code) {
				i++
				continue
			}
			i++
			start = i
			if copyIn.MatchString(st.code) {
				st.data, i = copyData(sql, i)
				start = i
			}
			if st.code != "" {
				out = append(out, st)
			}
		case sql[i] == '\\' && strings.TrimSpace(uncomment(sql[start:i])) == "":
			i = lineEnd(sql, i)
			start = i
		default:
			i = token(sql, i)
		}
	}
	if st := cut(sql, start, len(sql)); st.code != "" {
		out = append(out, st)
	}
	return out
}

// cut makes a statement of sql[start:end]: leading space and comments go, so that
// an error without a position points at its first word.
func cut(sql string, start, end int) statement {
	text := sql[start:end]
	code := uncomment(text)
	start += len(text) - len(code)
	code = strings.TrimRight(code, " \t\r\n")
	return statement{text: code, code: code, start: start}
}

// uncomment removes leading space and comments.
func uncomment(s string) string {
	for {
		s = strings.TrimLeft(s, " \t\r\n\f\ufeff")
		if !strings.HasPrefix(s, "--") && !strings.HasPrefix(s, "/*") {
			return s
		}
		s = s[token(s, 0):]
	}
}

// copyData returns the lines after COPY … FROM stdin; up to the line \. and the
// offset behind it.
func copyData(sql string, i int) (string, int) {
	i = lineEnd(sql, i)
	from := i
	for i < len(sql) {
		end := lineEnd(sql, i)
		if strings.TrimRight(sql[i:end], "\r\n") == `\.` {
			return sql[from:i], end
		}
		i = end
	}
	return sql[from:], i
}

// lineEnd is the offset of the next line.
func lineEnd(s string, i int) int {
	if n := strings.IndexByte(s[i:], '\n'); n >= 0 {
		return i + n + 1
	}
	return len(s)
}

// token returns the offset behind the token at i, as far as splitting needs it.
func token(s string, i int) int {
	rest := s[i:]
	switch {
	case strings.HasPrefix(rest, "--"):
		return lineEnd(s, i)
	case strings.HasPrefix(rest, "/*"):
		return blockEnd(s, i)
	case rest[0] == '\'':
		escapes := i > 0 && (s[i-1] == 'e' || s[i-1] == 'E') && (i < 2 || !isWord(s[i-2]))
		return quoteEnd(s, i, escapes)
	case rest[0] == '"':
		return quoteEnd(s, i, false)
	case rest[0] == '$' && (i == 0 || !isWord(s[i-1])):
		if m := tag.FindString(rest); m != "" {
			if n := strings.Index(rest[len(m):], m); n >= 0 {
				return i + n + 2*len(m)
			}
			return len(s)
		}
	}
	return i + 1
}

func isWord(c byte) bool {
	return c == '_' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// quoteEnd is the offset behind the quoted text at i; a doubled quote is part of it.
func quoteEnd(s string, i int, escapes bool) int {
	quote := s[i]
	for i++; i < len(s); i++ {
		switch {
		case s[i] == '\\' && escapes:
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

// blockEnd is the offset behind the comment at i; they nest.
func blockEnd(s string, i int) int {
	for depth := 0; i < len(s); {
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
	return len(s)
}
