package report

import (
	"bytes"
	"strings"

	"github.com/mattn/go-runewidth"
)

// columns measures text as a terminal shows it. East Asian ambiguous characters
// count as one column, whatever the locale, so that equal reports wrap equally.
var columns = &runewidth.Condition{StrictEmojiNeutral: true}

// ink is the parameter of an SGR sequence; "" leaves the text as it is.
type ink string

const (
	bold ink = "1"
	dim  ink = "2"
)

// sheet is text of a fixed width. Whatever is written to it has been through plain.
type sheet struct {
	b     bytes.Buffer
	width int
	color bool
}

func (p *sheet) paint(i ink, s string) string {
	if !p.color || i == "" || s == "" {
		return s
	}
	return "\x1b[" + string(i) + "m" + s + "\x1b[0m"
}

// blank separates two parts; it never opens the sheet.
func (p *sheet) blank() {
	if p.b.Len() > 0 {
		p.b.WriteByte('\n')
	}
}

// hang writes a label at column at and text at column to, wrapped with every
// further line at column to. A label that reaches into the text's column pushes
// the first line to the right.
func (p *sheet) hang(at int, label string, how ink, to int, text string, as ink) {
	used := at + columns.StringWidth(label)
	p.b.WriteString(strings.Repeat(" ", at))
	p.b.WriteString(p.paint(how, label))
	if text == "" {
		p.b.WriteByte('\n')
		return
	}
	if label != "" && p.width-to < 16 { // no room beside the label: below it
		p.b.WriteByte('\n')
		used, to = 0, at+2
		label = ""
	}
	start := to
	if label != "" && used+1 > to {
		start = used + 3
		if p.width-start < 20 {
			p.b.WriteByte('\n')
			used, start = 0, to
		}
	}
	for i, line := range wrap(text, p.width-start, p.width-to) {
		if i > 0 {
			used, start = 0, to
		}
		p.b.WriteString(strings.Repeat(" ", max(start-used, 0)))
		p.b.WriteString(p.paint(as, line))
		p.b.WriteByte('\n')
	}
}

// text writes wrapped text at a column.
func (p *sheet) text(at int, text string, as ink) { p.hang(at, "", "", at, text, as) }

// row writes cells at fixed columns; the last one wraps under itself.
func (p *sheet) row(at []int, cells []string, as ink) {
	var line strings.Builder
	used := 0
	for i, cell := range cells[:len(cells)-1] {
		line.WriteString(strings.Repeat(" ", max(at[i]-used, 0)))
		line.WriteString(cell)
		used = max(at[i], used) + columns.StringWidth(cell)
	}
	last := len(cells) - 1
	if cells[last] == "" {
		p.b.WriteString(p.paint(as, strings.TrimRight(line.String(), " ")))
		p.b.WriteByte('\n')
		return
	}
	p.hang(0, line.String(), as, at[last], cells[last], as)
}

// clip cuts text to a number of columns and marks the cut.
func clip(s string, to int) string {
	if columns.StringWidth(s) <= to {
		return s
	}
	return columns.Truncate(s, max(to, 2), "…")
}

// wrap breaks text at spaces into lines of at most first and then width columns. A
// word that fits no line is broken where the line ends.
func wrap(text string, first, width int) []string {
	first, width = max(first, 10), max(width, 10)
	var lines []string
	var line string
	room := first
	flush := func() {
		lines = append(lines, line)
		line, room = "", width
	}
	for _, word := range words(text) {
		switch {
		case line == "":
			line = word
		case columns.StringWidth(line)+1+columns.StringWidth(word) <= room:
			line += " " + word
		default:
			flush()
			line = word
		}
		for columns.StringWidth(line) > room {
			head := columns.Truncate(line, room, "")
			tail := line[len(head):]
			if head == "" {
				break
			}
			line = head
			flush()
			line = tail
		}
	}
	if line != "" || len(lines) == 0 {
		flush()
	}
	return lines
}

// words splits at spaces but keeps a number with its unit.
func words(text string) []string {
	var out []string
	for _, w := range strings.Fields(text) {
		if n := len(out); n > 0 && strings.Trim(out[n-1], "0123456789.,×–(−") == "" && len(w) < 12 {
			out[n-1] += " " + w
			continue
		}
		out = append(out, w)
	}
	return out
}

// tie keeps numbers with their units where a page wraps.
func tie(text string) string {
	tied := words(text)
	for i, w := range tied {
		tied[i] = strings.ReplaceAll(w, " ", "\u00A0")
	}
	return strings.Join(tied, " ")
}
