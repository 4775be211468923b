package postgres

import (
	"regexp"
	"strings"
)

// plannedText are statements that have a plan, and whose constants the server replaced.
var plannedText = regexp.MustCompile(`(?is)^(?:select|insert|update|delete|with|values|merge)\b`)

// maskStatement removes what may be a value from a statement of pg_stat_statements:
// comments, where tools write the names of users, and literals that its normalisation
// left, such as those of old entries. Numbers below a hundred stay: ORDER BY 1 counts
// columns. "" for what is no query.
func maskStatement(sql string) string {
	text := maskLiterals(sql, true)
	if !plannedText.MatchString(text) {
		return ""
	}
	return text
}

// maskLiterals replaces the literals of an expression by ? and keeps their casts.
func maskLiterals(sql string, smallStay bool) string {
	var out strings.Builder
	for i := 0; i < len(sql); {
		next := token(sql, i)
		switch c := sql[i]; {
		case strings.HasPrefix(sql[i:], "--"), strings.HasPrefix(sql[i:], "/*"):
			out.WriteByte(' ')
		case c == '\'', c == '$' && next > i+1:
			writeMark(&out)
		case '0' <= c && c <= '9':
			n := len(numberHere.FindString(sql[i:]))
			for n < len(sql)-i && isWord(sql[i+n]) { // 0xFF, 1_000
				n++
			}
			next = i + n
			if smallStay && n <= 2 {
				out.WriteString(sql[i:next])
			} else {
				out.WriteByte('?')
			}
		case isWord(c):
			for next = i + 1; next < len(sql) && (isWord(sql[next]) || sql[next] == '$'); next++ {
			}
			out.WriteString(sql[i:next])
		case c == '$':
			for next = i + 1; next < len(sql) && '0' <= sql[next] && sql[next] <= '9'; next++ {
			}
			out.WriteString(sql[i:next])
		default:
			out.WriteString(sql[i:next])
		}
		i = next
	}
	return strings.TrimSpace(out.String())
}

// writeMark stands for a text literal; the letter of E'…', B'…' or U&'…' goes with it.
func writeMark(out *strings.Builder) {
	s := out.String()
	for _, lead := range []string{"U&", "u&", "E", "e", "B", "b", "X", "x", "N", "n"} {
		if rest, ok := strings.CutSuffix(s, lead); ok && (rest == "" || !isWord(rest[len(rest)-1])) {
			out.Reset()
			out.WriteString(rest)
			break
		}
	}
	out.WriteByte('?')
}
