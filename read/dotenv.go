package read

import (
	"bytes"
	"path"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// envFile is a dotenv file: its keys, and of its values what is no secret.
type envFile struct {
	path    string
	example bool // documents variables, provides none
	sets    []premortem.EnvSet
}

// Dotenv reads .env files. An example file documents; it never provides.
var Dotenv = add(Reader{
	Name: "dotenv",
	Doc: premortem.Doc{
		Title:  "Environment files",
		Why:    "A key that is in .env and nowhere in production is the classic failed deploy.",
		When:   "Files called .env, .env.NAME or NAME.env. Keys and their lines are kept; of values only addresses without user, password and query, whole numbers and switches.",
		Silent: "Files for examples, samples, templates and defaults list keys but provide none.",
		Fix:    "Keep one KEY=value per line.",
	},
	Wants: isDotenv,
	Read:  readDotenv,
})

var exampleName = regexp.MustCompile(`(?i)(^|[.\-_])(example|sample|template|dist|tpl|schema)($|[.\-_])`)

func isDotenv(p string) bool {
	base := path.Base(p)
	return base == ".env" || strings.HasPrefix(base, ".env.") || strings.HasSuffix(base, ".env") ||
		base == "env.example" || base == "example.env"
}

var envLine = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.\-]*)\s*[=:](.*)$`)

func readDotenv(f File, d *Draft) error {
	e := &envFile{path: f.Path, example: exampleName.MatchString(path.Base(f.Path))}
	for _, v := range parseDotenv(f.Data) {
		s := premortem.EnvSet{Name: v.name, Pos: premortem.Pos{File: f.Path, Line: v.line}, Source: "env_file " + f.Path}
		keep(&s, v.value, secretSource)
		if standIn.MatchString(v.value) {
			s.Hash = "" // "YOURPASSWORD" stands in many places and is nobody's
		}
		e.sets = append(e.sets, s)
	}
	d.envFiles = append(d.envFiles, e)
	return nil
}

// envValue is one line of a dotenv file, its value unquoted but not interpolated.
type envValue struct {
	name, value string
	line        int
}

// parseDotenv reads KEY=value lines, with export, quotes (which may span lines),
// inline comments after a blank, and CRLF. The last of equal keys counts.
func parseDotenv(data []byte) []envValue {
	var out []envValue
	index := map[string]int{}
	lines := bytes.Split(data, []byte("\n"))
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSuffix(string(lines[i]), "\r")
		m := envLine.FindStringSubmatch(line)
		if m == nil || strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		at, raw := i+1, strings.TrimSpace(m[2])
		if raw != "" && (raw[0] == '"' || raw[0] == '\'' || raw[0] == '`') {
			q := raw[:1]
			body := raw[1:]
			end := closing(body, q)
			for j := i + 1; end < 0 && j < len(lines) && j < i+200; j++ {
				more := body + "\n" + strings.TrimSuffix(string(lines[j]), "\r")
				if e := closing(more, q); e >= 0 {
					body, end, i = more, e, j
					break
				}
				body = more
			}
			if end >= 0 {
				raw = body[:end]
			} else {
				raw = strings.TrimSpace(m[2])
			}
		} else if c := strings.Index(raw, " #"); c >= 0 {
			raw = strings.TrimSpace(raw[:c])
		} else if strings.HasPrefix(raw, "#") {
			raw = ""
		}
		if k, ok := index[m[1]]; ok {
			out[k] = envValue{m[1], raw, at}
			continue
		}
		index[m[1]] = len(out)
		out = append(out, envValue{m[1], raw, at})
	}
	return out
}

// closing finds the quote that ends a value, -1 when there is none.
func closing(s, quote string) int {
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && quote == `"` {
			i++
			continue
		}
		if s[i] == quote[0] {
			return i
		}
	}
	return -1
}
