package read

import (
	"path"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

func cleanJoin(dir, p string) string { return path.Join(dir, p) }

// contextPath is a path inside of a build context: "." is all of it.
func contextPath(p string) string {
	if p = strings.TrimPrefix(path.Clean("/"+p), "/"); p == "" {
		return "."
	}
	return p
}

// ignoreFile is a .dockerignore. The zero value keeps nothing out.
type ignoreFile struct {
	path  string
	rules []ignoreRule
}

type ignoreRule struct {
	match *regexp.Regexp
	keep  bool // "!": what matched before is in again
	line  int
}

// dockerignore reads the file that decides what a build of a Dockerfile sees: the
// Dockerfile's own, else that of the context.
func dockerignore(t *Tree, dockerfile, context string) ignoreFile {
	for _, p := range []string{dockerfile + ".dockerignore", path.Join(context, ".dockerignore")} {
		if !t.has(p) {
			continue
		}
		data, err := t.read(p)
		if err != nil {
			return ignoreFile{path: p}
		}
		return parseIgnore(p, string(data))
	}
	return ignoreFile{}
}

func parseIgnore(p, data string) ignoreFile {
	f := ignoreFile{path: p}
	for i, l := range strings.Split(data, "\n") {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		keep := strings.HasPrefix(l, "!")
		l = contextPath(strings.TrimPrefix(l, "!"))
		if re, err := regexp.Compile(ignorePattern(l)); err == nil {
			f.rules = append(f.rules, ignoreRule{re, keep, i + 1})
		}
	}
	return f
}

// ignorePattern turns a pattern into a regular expression that matches the path and
// everything below it.
func ignorePattern(p string) string {
	var b strings.Builder
	b.WriteString("^")
	for i := 0; i < len(p); i++ {
		switch c := p[i]; c {
		case '*':
			if strings.HasPrefix(p[i:], "**/") {
				b.WriteString("(?:.*/)?")
				i += 2
			} else if strings.HasPrefix(p[i:], "**") {
				b.WriteString(".*")
				i++
			} else {
				b.WriteString("[^/]*")
			}
		case '?':
			b.WriteString("[^/]")
		case '[', ']':
			b.WriteByte(c)
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	b.WriteString("(?:/.*)?$")
	return b.String()
}

// hides reports whether a path of the context is kept out of the build, and the rule
// that does it.
func (f ignoreFile) hides(p string) (premortem.Pos, bool) {
	var pos premortem.Pos
	out := false
	for _, r := range f.rules {
		if r.match.MatchString(p) {
			out, pos = !r.keep, premortem.Pos{File: f.path, Line: r.line}
		}
	}
	return pos, out
}
