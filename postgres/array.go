package postgres

import "strings"

// splitArray reads a one-dimensional array literal; "" has no items. NULL items
// become empty texts: statistics hold none.
func splitArray(literal string) []string {
	if len(literal) < 2 || literal[0] != '{' {
		return nil
	}
	var out []string
	var item strings.Builder
	quoted, any := false, false
	body := literal[1 : len(literal)-1]
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '\\' && i+1 < len(body):
			i++
			item.WriteByte(body[i])
			any = true
		case c == '"':
			quoted, any = !quoted, true
		case c == ',' && !quoted:
			out = append(out, item.String())
			item.Reset()
			any = false
		default:
			item.WriteByte(c)
			any = true
		}
	}
	if any || len(out) > 0 {
		out = append(out, item.String())
	}
	return out
}

// joinArray writes an array literal with every item quoted.
func joinArray(items []string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, s := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		for k := range len(s) {
			if s[k] == '"' || s[k] == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(s[k])
		}
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}
