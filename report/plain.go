package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// plain makes one line of untrusted text: line ends and tabs become spaces, and
// whatever could steer a terminal or hide other text is written out, so that a
// reader sees that it was there: ESC becomes \x1b, a right-to-left override \u202e.
func plain(s string) string {
	if !strings.ContainsFunc(s, odd) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(strings.ReplaceAll(s, "\r\n", " "), "\uFFFD") {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
			b.WriteByte(' ')
		case !odd(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// plainLines is plain for text that may have several lines, such as SQL and edits.
func plainLines(s string) []string {
	s = strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = plain(strings.ReplaceAll(l, "\t", "    "))
	}
	return lines
}

// odd runes are those that act instead of being read: C0 and C1 controls, line and
// paragraph separators, byte order marks, tags, and the marks that reorder text.
func odd(r rune) bool {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029', r == '\uFEFF', r == '\u061C':
		return true
	case r >= '\u200B' && r <= '\u200F' && r != '\u200C' && r != '\u200D':
		return true
	case r >= '\u202A' && r <= '\u202E', r >= '\u2060' && r <= '\u206F', r >= 0xE0000 && r <= 0xE007F:
		return true
	}
	return false
}
