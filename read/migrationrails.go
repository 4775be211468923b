package read

import (
	"path"
	"regexp"
	"strings"
)

// RailsMigrations reads what the migrations of Rails do to tables.
var RailsMigrations = add(Reader{
	Name:  "rails-migrations",
	Doc:   schemaDoc("Rails migrations", "db/migrate/*.rb: create_table, change_table, add_column, add_reference, add_index, add_foreign_key, add_check_constraint, change_column, change_column_null, remove_column, rename_column, rename_table, drop_table and execute with plain SQL; disable_ddl_transaction!, algorithm: :concurrently, validate: false and safety_assured. Where db/schema.rb or db/structure.sql exists, the tables come from it.", "down, what is computed, and calls of gems' own helpers."),
	Wants: func(p string) bool { return path.Ext(p) == ".rb" && strings.Contains("/"+p, "/db/migrate/") },
	Read: func(f File, d *Draft) error {
		r := &railsMigration{f: &sqlFile{path: f.Path, runner: "rails", tx: txWhole}}
		for _, l := range rubyLogical(string(f.Data)) {
			r.line(l)
		}
		if len(r.f.steps) > 0 {
			d.sqlFiles = append(d.sqlFiles, r.f)
		}
		return nil
	},
})

// railsMigration is one migration while its lines are read.
type railsMigration struct {
	f       *sqlFile
	table   string // of the block around, "" none
	block   string // what ends the block: its indentation and "end"
	skip    string // ends what is not read: the way back
	assured bool   // inside safety_assured
	safe    string // ends it
}

// rubyLine is a call with the lines that continue it joined, and its here-document.
type rubyLine struct {
	text   string
	indent string
	line   int
	doc    string
	docAt  int
}

var (
	rubyHere    = regexp.MustCompile(`<<[~-]?["']?([A-Z_]+)["']?`)
	rubyComment = regexp.MustCompile(`(^|\s)#[^{].*$`)
)

// rubyLogical joins lines that end in a comma, an open bracket or a backslash.
func rubyLogical(src string) []rubyLine {
	var out []rubyLine
	lines := strings.Split(src, "\n")
	for i := 0; i < len(lines); i++ {
		l := rubyLine{line: i + 1}
		for {
			text := lines[i]
			if !strings.Contains(text, `"`) && !strings.Contains(text, "'") {
				text = rubyComment.ReplaceAllString(text, "")
			}
			text = strings.TrimRight(text, " \t\r\\")
			if l.text == "" {
				l.indent = text[:len(text)-len(strings.TrimLeft(text, " \t"))]
			}
			l.text += " " + strings.TrimSpace(text)
			if n := len(text); n == 0 || !strings.ContainsRune(",([", rune(text[n-1])) || i+1 == len(lines) || i-l.line > 100 {
				break
			}
			i++
		}
		l.text = strings.TrimSpace(l.text)
		if m := rubyHere.FindStringSubmatch(l.text); m != nil {
			l.docAt = i + 2
			for i++; i < len(lines) && strings.TrimSpace(lines[i]) != m[1]; i++ {
				l.doc += lines[i] + "\n"
			}
		}
		if l.text != "" && !strings.HasPrefix(l.text, "#") {
			out = append(out, l)
		}
	}
	return out
}

// rubyArgs are the arguments of a call: in order, and by name.
type rubyArgs struct {
	list []string
	by   map[string]string
}

func (a rubyArgs) at(i int) string {
	if i < len(a.list) {
		return a.list[i]
	}
	return ""
}

var (
	rubyCallName = regexp.MustCompile(`^(?:t\.|table\.|dir\.|direction\.)?([a-z_]+[!?]?)\s*(\(|\s|$)`)
	rubyKeyArg   = regexp.MustCompile(`^"?([a-z_]+)"?:\s+(.*)$`)
	rubyRocket   = regexp.MustCompile(`^:([a-z_]+)\s*=>\s*(.*)$`)
)

// rubyCall reads `name a, b, key: c` with or without parentheses.
func rubyCall(text string) (string, rubyArgs) {
	a := rubyArgs{by: map[string]string{}}
	m := rubyCallName.FindStringSubmatchIndex(text)
	if m == nil {
		return "", a
	}
	name := text[m[2]:m[3]]
	rest := strings.TrimSpace(text[m[3]:])
	if strings.HasPrefix(rest, "(") {
		if end := matching(rest, 0); end > 0 {
			rest = rest[1:end]
		} else {
			rest = rest[1:]
		}
	}
	for _, cut := range []string{" do |", " { |"} {
		if i := strings.Index(rest, cut); i >= 0 {
			rest = rest[:i]
		}
	}
	rest = strings.TrimSuffix(strings.TrimSpace(rest), " do")
	for _, part := range splitTop(rest) {
		part = strings.TrimSpace(part)
		if k := rubyKeyArg.FindStringSubmatch(part); k != nil {
			a.by[k[1]] = k[2]
		} else if k := rubyRocket.FindStringSubmatch(part); k != nil {
			a.by[k[1]] = k[2]
		} else if part != "" {
			a.list = append(a.list, part)
		}
	}
	return name, a
}

// matching returns the index of the bracket that closes the one at i, -1 none.
func matching(s string, i int) int {
	depth := 0
	var quote byte
	for ; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != 0:
			if c == '\\' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// splitTop cuts at commas outside of brackets and quotes.
func splitTop(s string) []string {
	var out []string
	depth, start := 0, 0
	var quote byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != 0:
			if c == '\\' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			depth--
		case c == ',' && depth == 0:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

var rubyPlain = regexp.MustCompile(`^(?::"?([\w.]+)"?|"([^"#]*)"|'([^']*)')$`)

// rubyText is the text of a symbol or a string, "" for anything else.
func rubyText(s string) string {
	m := rubyPlain.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return ""
	}
	return m[1] + m[2] + m[3]
}

// rubyList reads [:a, :b], %i[a b] and a single name.
func rubyList(s string) []string {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutPrefix(s, "%"); ok && len(rest) > 2 {
		return strings.Fields(strings.Trim(rest[1:], "[](){}"))
	}
	if strings.HasPrefix(s, "[") {
		var out []string
		for _, part := range splitTop(strings.Trim(s, "[]")) {
			if t := rubyText(part); t != "" {
				out = append(out, t)
			}
		}
		return out
	}
	if t := rubyText(s); t != "" {
		return []string{t}
	}
	return nil
}

// line reads one call.
func (r *railsMigration) line(l rubyLine) {
	end := l.indent + l.text
	switch {
	case r.skip != "":
		if end == r.skip || strings.HasPrefix(end, r.skip) && !strings.HasPrefix(l.text, "def") {
			r.skip = ""
		}
		return
	case l.text == "def down" || l.text == "def self.down":
		r.skip = l.indent + "end"
		return
	case strings.HasPrefix(l.text, "dir.down") || strings.HasPrefix(l.text, "direction.down") || strings.HasPrefix(l.text, "down do"):
		switch {
		case strings.HasSuffix(l.text, "{"):
			r.skip = l.indent + "}"
		case !strings.HasSuffix(l.text, "}"):
			r.skip = l.indent + "end"
		}
		return
	case l.text == "disable_ddl_transaction!":
		r.f.tx = txNone
		return
	case r.block != "" && end == r.block:
		r.table, r.block = "", ""
		return
	case r.safe != "" && end == r.safe:
		r.assured, r.safe = false, ""
		return
	}
	for _, cut := range []string{"dir.up {", "direction.up {"} {
		if rest, ok := strings.CutPrefix(l.text, cut); ok {
			l.text = strings.TrimSpace(strings.TrimSuffix(rest, "}"))
		}
	}
	if rest, ok := strings.CutPrefix(l.text, "safety_assured"); ok {
		rest = strings.TrimSpace(rest)
		if inner, closed := strings.CutSuffix(rest, "}"); closed && strings.HasPrefix(inner, "{") {
			r.assured = true
			l.text = strings.TrimSpace(inner[1:])
			r.call(l)
			r.assured = false
			return
		}
		r.assured, r.safe = true, l.indent+"end"
		if strings.HasSuffix(rest, "{") {
			r.safe = l.indent + "}"
		}
		return
	}
	r.call(l)
}

// add appends a statement. One whose author vouches for it says so.
func (r *railsMigration) add(line int, sql string) {
	st := stepOf(line, sql)
	if r.assured {
		st.text = "/* safety_assured */ " + sql
	}
	r.f.steps = append(r.f.steps, st)
}
