package postgres

import (
	"regexp"
	"strings"
)

// castText is a cast as PostgreSQL prints it.
const castText = `::(?:character varying|timestamp with(?:out)? time zone|time with(?:out)? time zone|double precision|bit varying|"[^"]+"|[A-Za-z_][A-Za-z0-9_.]*)(?:\(\d+(?:,\d+)?\))?(?:\[\])*`

var (
	castAfter  = regexp.MustCompile(`^` + castText)
	anyCast    = regexp.MustCompile(castText)
	numberHere = regexp.MustCompile(`^\d+(?:\.\d+)?(?:[eE][+-]?\d+)?`)
)

// scrub replaces the literals of an expression by question marks, with the casts
// that PostgreSQL hangs on them. Names, also quoted ones, and parameters stay.
func scrub(expr string) string {
	var out strings.Builder
	for i := 0; i < len(expr); {
		switch {
		case expr[i] == '\'':
			i = token(expr, i)
			out.WriteByte('?')
			i += len(castAfter.FindString(expr[i:]))
		case '0' <= expr[i] && expr[i] <= '9' && (i == 0 || !isWord(expr[i-1]) && expr[i-1] != '$'):
			i += len(numberHere.FindString(expr[i:]))
			out.WriteByte('?')
			i += len(castAfter.FindString(expr[i:]))
		default:
			next := token(expr, i)
			if isWord(expr[i]) {
				for next = i + 1; next < len(expr) && isWord(expr[next]); next++ {
				}
			} else if expr[i] == '$' {
				for next = i + 1; next < len(expr) && '0' <= expr[next] && expr[next] <= '9'; next++ {
				}
			}
			out.WriteString(expr[i:next])
			i = next
		}
	}
	return out.String()
}

// bare removes the parentheses around a whole expression.
func bare(expr string) string {
	for len(expr) > 1 && expr[0] == '(' && closing(expr, 0) == len(expr)-1 {
		expr = expr[1 : len(expr)-1]
	}
	return expr
}

// closing is the offset of the parenthesis that closes the one at i, len(expr) none.
func closing(expr string, i int) int {
	depth := 0
	for i < len(expr) {
		switch expr[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
		i = token(expr, i)
	}
	return len(expr)
}

// cutTop splits an expression at the first separator outside of parentheses and
// quotes.
func cutTop(expr, sep string) (before, after string, found bool) {
	for i := 0; i < len(expr); {
		if strings.HasPrefix(expr[i:], sep) {
			return expr[:i], expr[i+len(sep):], true
		}
		if expr[i] == '(' {
			i = closing(expr, i) + 1
			continue
		}
		i = token(expr, i)
	}
	return expr, "", false
}
