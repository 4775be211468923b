package read

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// Nginx reads configurations of nginx: what it listens on, to whom it hands
// requests, how long it waits and how much it accepts.
var Nginx = add(Reader{
	Name: "nginx",
	Doc: premortem.Doc{
		Title:  "nginx",
		Why:    "A proxy in front of the code has limits of its own: 1 MiB of body and 60 s of silence, unless its file says otherwise.",
		When:   "nginx.conf, and .conf files or their templates in folders of nginx, that an image copies or a Compose file mounts: listen, upstream, proxy_pass, timeouts, keepalive and client_max_body_size.",
		Silent: "Files that include others by patterns are read one by one; variables that nothing in the deployment sets stay unknown, and so does what stands behind them.",
		Fix:    "Write the limits down in the location that needs them.",
	},
	Wants: isNginx,
	Read:  readNginx,
})

var nginxFolder = regexp.MustCompile(`(^|/)(conf\.d|sites-enabled|sites-available|[^/]*nginx[^/]*|templates)/`)

func isNginx(p string) bool {
	base := path.Base(p)
	name := strings.TrimSuffix(strings.TrimSuffix(base, ".template"), ".tmpl")
	if strings.Contains(base, "nginx") && (path.Ext(name) == ".conf" || strings.HasSuffix(base, ".conf")) || base == "default.conf" || name == "default.conf" {
		return true
	}
	return path.Ext(name) == ".conf" && nginxFolder.MatchString(p)
}

func readNginx(f File, d *Draft) error {
	top, err := parseNginx(f)
	if hasDirective(top, 0, "server", "upstream", "proxy_pass", "http", "events") {
		d.proxies = append(d.proxies, &proxyFile{path: f.Path, top: top, lines: strings.Split(string(f.Data), "\n")})
		return err
	}
	return nil // a .conf of something else
}

// proxyFile is one file of nginx.
type proxyFile struct {
	path  string
	top   []directive
	lines []string
}

// directive is one statement of nginx with the block that follows it.
type directive struct {
	name  string
	args  []string
	block []directive
	line  int
}

// parseNginx splits a file into directives. It keeps what came before a mistake.
func parseNginx(f File) ([]directive, error) {
	p := &nginxParser{src: string(f.Data), line: 1}
	top := p.block(0)
	if p.wrong != "" {
		return top, &premortem.Error{Doing: "parse the nginx configuration", Pos: premortem.Pos{File: f.Path, Line: min(p.line, strings.Count(p.src, "\n")+1)}, Err: fmt.Errorf("%s", p.wrong)}
	}
	return top, nil
}

type nginxParser struct {
	src   string
	at    int
	line  int
	wrong string
}

// block reads directives up to the brace that closes it, or to the end of the file.
func (p *nginxParser) block(depth int) []directive {
	var out []directive
	var words []string
	start := 0
	for p.wrong == "" {
		word, quoted, line := p.word()
		switch {
		case word == "" && !quoted:
			if depth > 0 {
				p.wrong = "a block is not closed"
			}
			return out
		case !quoted && word == ";":
			if len(words) > 0 {
				out = append(out, directive{name: words[0], args: words[1:], line: start})
			}
			words = nil
		case !quoted && word == "{":
			if depth > 40 {
				p.wrong = "nested too deep"
				return out
			}
			if len(words) == 0 {
				words, start = []string{""}, line
			}
			d := directive{name: words[0], args: words[1:], line: start}
			if strings.HasSuffix(d.name, "_by_lua_block") {
				p.skipBlock()
			} else {
				d.block = p.block(depth + 1)
			}
			out, words = append(out, d), nil
		case !quoted && word == "}":
			if depth == 0 {
				p.wrong = "a brace closes nothing"
			}
			return out
		default:
			if len(words) == 0 {
				start = line
			}
			if len(words) < 64 {
				words = append(words, word)
			}
		}
	}
	return out
}

// word returns the next word, "" at the end. ${name} is part of a word.
func (p *nginxParser) word() (word string, quoted bool, line int) {
	for p.at < len(p.src) {
		switch c := p.src[p.at]; {
		case c == '\n':
			p.line++
			p.at++
		case c == ' ' || c == '\t' || c == '\r':
			p.at++
		case c == '#':
			for p.at < len(p.src) && p.src[p.at] != '\n' {
				p.at++
			}
		case c == ';' || c == '{' || c == '}':
			p.at++
			return string(c), false, p.line
		case c == '"' || c == '\'':
			return p.quoted(c)
		default:
			return p.bare()
		}
	}
	return "", false, p.line
}

func (p *nginxParser) quoted(q byte) (string, bool, int) {
	line := p.line
	var b strings.Builder
	for p.at++; p.at < len(p.src) && p.src[p.at] != q; p.at++ {
		switch p.src[p.at] {
		case '\\':
			if p.at+1 < len(p.src) {
				p.at++
			}
		case '\n':
			p.line++
		}
		b.WriteByte(p.src[p.at])
	}
	p.at++
	return b.String(), true, line
}

func (p *nginxParser) bare() (string, bool, int) {
	start := p.at
	for p.at < len(p.src) {
		c := p.src[p.at]
		if c == '$' && p.at+1 < len(p.src) && p.src[p.at+1] == '{' {
			if end := strings.IndexAny(p.src[p.at:], "}\n"); end > 0 && p.src[p.at+end] == '}' {
				p.at += end + 1
				continue
			}
		}
		if c == '\\' && p.at+1 < len(p.src) && p.src[p.at+1] != '\n' {
			p.at += 2
			continue
		}
		if strings.IndexByte(" \t\r\n;{}", c) >= 0 {
			break
		}
		p.at++
	}
	return p.src[start:p.at], false, p.line
}

// skipBlock steps over a block in another language.
func (p *nginxParser) skipBlock() {
	for depth := 1; p.at < len(p.src) && depth > 0; p.at++ {
		switch p.src[p.at] {
		case '\n':
			p.line++
		case '{':
			depth++
		case '}':
			depth--
		}
	}
}

// hasDirective looks for a statement anywhere.
func hasDirective(ds []directive, depth int, names ...string) bool {
	for _, d := range ds {
		for _, n := range names {
			if d.name == n {
				return true
			}
		}
		if hasDirective(d.block, depth+1, names...) {
			return true
		}
	}
	return false
}
