package read

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// codeStyle is how a language writes comments, strings and names.
type codeStyle struct {
	hash     bool   // # starts a comment
	slash    bool   // // and /* */ are comments
	triple   bool   // """ and ''' are strings
	single   bool   // 'text' is a string
	raw      bool   // ` is a string
	dollar   bool   // $ belongs to names
	prefix   bool   // r"", b"" and f"" are strings
	hereDocs string // what starts a here-document, "" none
	php      bool   // code stands between <?php and ?>
	begin    bool   // =begin … =end are comments
}

var (
	pythonStyle = codeStyle{hash: true, triple: true, single: true, prefix: true}
	rubyStyle   = codeStyle{hash: true, single: true, hereDocs: "<<", begin: true}
	javaStyle   = codeStyle{slash: true, triple: true, single: true}
	phpStyle    = codeStyle{hash: true, slash: true, single: true, dollar: true, hereDocs: "<<<", php: true}
)

// codeScanner is an error-tolerant tokenizer for languages of curly or indented
// blocks. Like that of JavaScript it keeps exact lines and never fails.
type codeScanner struct {
	jsScanner
	style codeStyle
}

// codeTokens splits source into tokens and pairs its brackets.
func codeTokens(src string, style codeStyle) []jsToken {
	buf := tokenPool.Get().(*[]jsToken)
	defer giveBack(buf)
	sc := &codeScanner{jsScanner: jsScanner{s: src, line: 1, nl: true, toks: (*buf)[:0]}, style: style}
	if style.php {
		sc.html()
	}
	for sc.i < len(sc.s) {
		sc.one()
	}
	pairBrackets(sc.toks)
	*buf = sc.toks
	return slices.Clone(sc.toks)
}

// html skips text up to the next opening tag.
func (sc *codeScanner) html() {
	n := strings.Index(sc.s[sc.i:], "<?")
	if n < 0 {
		sc.i = len(sc.s)
		return
	}
	sc.skip(n + 2)
	rest := sc.s[sc.i:]
	if strings.HasPrefix(rest, "php") {
		sc.skip(3)
	} else if strings.HasPrefix(rest, "=") {
		sc.skip(1)
	}
}

// skip passes over bytes and counts their lines.
func (sc *codeScanner) skip(n int) {
	n = min(n, len(sc.s)-sc.i)
	if lines := strings.Count(sc.s[sc.i:sc.i+n], "\n"); lines > 0 {
		sc.line += lines
		sc.nl = true
	}
	sc.i += n
}

var codeOperators = byFirst("===", "!==", "**=", "...", "->", "=>", "==", "!=", "<=", ">=", "&&", "||", "??", "?:", "::", ":=", "?->", "?.", "//", "+=", "-=", "|=")

// one reads one token, one comment or one blank.
func (sc *codeScanner) one() {
	rest, c := sc.s[sc.i:], sc.s[sc.i]
	switch {
	case c == '\n':
		sc.line++
		sc.nl = true
		sc.i++
	case c == ' ', c == '\t', c == '\r', c == '\f', c == '\v':
		sc.i++
	case sc.style.php && strings.HasPrefix(rest, "?>"):
		sc.skip(2)
		sc.html()
	case sc.style.php && strings.HasPrefix(rest, "#["):
		sc.punct("#")
	case sc.style.hash && c == '#', sc.style.slash && strings.HasPrefix(rest, "//"):
		sc.i = lineEnd(sc.s, sc.i)
	case sc.style.slash && strings.HasPrefix(rest, "/*"):
		sc.through("*/", 2)
	case sc.style.begin && c == '=' && strings.HasPrefix(rest, "=begin") && (sc.i == 0 || sc.s[sc.i-1] == '\n'):
		sc.through("\n=end", 6)
	case sc.style.hereDocs != "" && strings.HasPrefix(rest, sc.style.hereDocs) && sc.hereDoc(rest):
	case c == '"', c == '\'' && sc.style.single, c == '`' && sc.style.raw:
		sc.quoted(c, false)
	case isWordStart(c) || c == '$' && sc.style.dollar || c >= utf8.RuneSelf:
		sc.name(rest)
	case isDigit(c):
		end := 1
		for end < len(rest) && (isWordByte(rest[end]) || rest[end] == '.' && end+1 < len(rest) && isDigit(rest[end+1])) {
			end++
		}
		sc.add(jsToken{kind: jsNumber, text: rest[:end], line: sc.line})
		sc.i += end
	default:
		for _, op := range codeOperators[c] {
			if strings.HasPrefix(rest, op) {
				sc.punct(op)
				return
			}
		}
		sc.punct(rest[:1])
	}
}

// through skips a comment, or the rest of a file in which it does not end.
func (sc *codeScanner) through(end string, from int) {
	rest := sc.s[sc.i:]
	if n := strings.Index(rest[min(from, len(rest)):], end); n >= 0 {
		sc.skip(from + n + len(end))
	} else {
		sc.skip(len(rest))
	}
}

func (sc *codeScanner) name(rest string) {
	end := 1
	for end < len(rest) && (isWordByte(rest[end]) || rest[end] >= utf8.RuneSelf || rest[end] == '$' && sc.style.dollar) {
		end++
	}
	if sc.style.prefix && end <= 2 && end < len(rest) && (rest[end] == '"' || rest[end] == '\'') && strings.Trim(strings.ToLower(rest[:end]), "rbfu") == "" {
		template := strings.ContainsAny(rest[:end], "fF")
		sc.i += end
		sc.quoted(rest[end], template)
		return
	}
	sc.add(jsToken{kind: jsIdent, text: rest[:end], line: sc.line})
	sc.i += end
}

// quoted reads a string. One with holes is a template whose text has $0 for them.
func (sc *codeScanner) quoted(q byte, template bool) {
	line, rest := sc.line, sc.s[sc.i:]
	open, long := string(q), false
	if three := strings.Repeat(open, 3); sc.style.triple && strings.HasPrefix(rest, three) {
		open, long = three, true
	}
	i := len(open)
	for i < len(rest) && !strings.HasPrefix(rest[i:], open) {
		if rest[i] == '\\' {
			i++
		} else if rest[i] == '\n' && !long && !sc.style.php && !sc.style.begin {
			break // never closed: it ends with its line
		}
		i++
	}
	i = min(i, len(rest))
	text := rest[len(open):max(i, len(open))]
	kind := jsString
	if template || q == '"' && (sc.style.begin && strings.Contains(text, "#{") || sc.style.php && strings.Contains(text, "$")) {
		kind, text = jsTemplate, holes(text)
	}
	if i < len(rest) && rest[i] != '\n' {
		i += len(open)
	}
	nl := sc.nl
	sc.skip(i)
	sc.nl = nl
	sc.add(jsToken{kind: kind, text: unescape(text), line: line})
}

// holes writes $0 for {x}, #{x} and $x in a template.
func holes(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '#' && i+1 < len(s) && s[i+1] == '{', s[i] == '$' && i+1 < len(s) && s[i+1] == '{':
		case s[i] == '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				end = len(s) - i - 1
			}
			b.WriteString("$0")
			i += end
		case s[i] == '$':
			for i+1 < len(s) && isWordByte(s[i+1]) {
				i++
			}
			b.WriteString("$0")
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// hereDoc reads <<~SQL … SQL and <<<'SQL' … SQL as one string.
func (sc *codeScanner) hereDoc(rest string) bool {
	head := strings.TrimLeft(rest[len(sc.style.hereDocs):min(len(rest), 80)], "~- ")
	head = strings.TrimLeft(head, `"'`)
	end := 0
	for end < len(head) && isWordByte(head[end]) {
		end++
	}
	word := head[:end]
	if word == "" || !isWordStart(word[0]) || word != strings.ToUpper(word) || rest[len(sc.style.hereDocs)] == ' ' && !sc.style.php {
		return false
	}
	first := strings.IndexByte(rest, '\n')
	if first < 0 {
		return false
	}
	at := first + 1
	for at < len(rest) {
		stop := lineEnd(rest, at)
		line := strings.TrimLeft(rest[at:stop], " \t")
		if tail, ok := strings.CutPrefix(line, word); ok && (tail == "" || !isWordByte(tail[0])) {
			break
		}
		at = min(stop+1, len(rest))
		if stop == len(rest) {
			return false
		}
	}
	if at >= len(rest) {
		return false
	}
	sc.add(jsToken{kind: jsTemplate, text: holes(rest[first+1 : at]), line: sc.line + 1})
	tailOfLine := strings.TrimLeft(rest[len(sc.style.hereDocs):first], `~- "'`)
	for _, c := range strings.TrimLeft(tailOfLine[min(len(word), len(tailOfLine)):], `"'`) {
		if c == ')' || c == ',' || c == ']' {
			sc.add(jsToken{kind: jsPunct, text: string(c), line: sc.line})
		}
	}
	stop := strings.Index(rest[at:], word)
	sc.skip(at + stop + len(word))
	return true
}
