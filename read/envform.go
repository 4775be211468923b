package read

import (
	"path"
	"regexp"
	"strings"

	"github.com/premortem/premortem"
)

// forms says of each variable how its file would set another one beside it, in the
// words and with the indentation of its own line.
func (g *merger) forms() {
	files := map[string][]string{}
	lines := func(p string) []string {
		l, ok := files[p]
		if !ok && g.d.tree != nil {
			data, _ := g.d.tree.read(p)
			l = strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
			files[p] = l
		}
		return l
	}
	fill := func(sets []premortem.EnvSet) {
		for i := range sets {
			if s := &sets[i]; s.Pos.Known() && s.Source != "image" {
				s.Entry = entryForm(s, lines(s.Pos.File))
			}
		}
	}
	for _, svc := range g.sys.Services {
		fill(svc.Provides)
	}
	for _, s := range g.sys.Samples {
		fill(s.Sets)
	}
}

var (
	mapForm      = regexp.MustCompile(`^(\s*)(["']?)([\w.\-]+)["']?\s*:(\s|$)`)
	pairForm     = regexp.MustCompile(`^(\s*-\s+)(["']?)([\w.\-]+)(=|["']?\s*$)`)
	nameForm     = regexp.MustCompile(`^(\s*)-(\s+)(name|key):\s+["']?([\w.\-]+)["']?\s*$`)
	flowForm     = regexp.MustCompile(`^(\s*-\s+\{\s*name:\s*)["']?([\w.\-]+)["']?(,\s*value:\s*)[^{}]*\}\s*$`)
	externalForm = regexp.MustCompile(`^(\s*)-\s+secretKey:\s+["']?([\w.\-]+)["']?\s*$`)
	blockForm    = regexp.MustCompile(`^(\s*)\{\s*"?name"?\s*([=:])\s*"([\w.\-]+)",\s*"?value"?\s*[=:].*\},\s*$`)
	tomlForm     = regexp.MustCompile(`^(\s*)([\w\-]+)(\s*=\s*)["']`)
	dotenvForm   = regexp.MustCompile(`^(\s*(?:export\s+)?)([\w.\-]+)\s*=`)
)

// entryForm is the lines that set another variable like s, with {name}, {value} and
// {base64} for what differs; "" where its line does not tell.
func entryForm(s *premortem.EnvSet, lines []string) string {
	if s.Pos.Line < 1 || s.Pos.Line > len(lines) {
		return ""
	}
	l := lines[s.Pos.Line-1]
	if len(l) > 2000 || strings.Contains(strings.ReplaceAll(l, "${{", ""), "{{") {
		return "" // a template decides what is made of it
	}
	switch ext := path.Ext(s.Pos.File); {
	case isDotenv(s.Pos.File) || ext == ".properties":
		if m := dotenvForm.FindStringSubmatch(l); m != nil && m[2] == s.Name {
			return m[1] + "{name}={value}"
		}
	case (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(path.Base(s.Pos.File), "values"): // whose keys a template picks
		return yamlForm(s, lines, l)
	case ext == ".toml":
		if m := tomlForm.FindStringSubmatch(l); m != nil && m[2] == s.Name {
			return m[1] + "{name}" + m[3] + `"{value}"`
		}
	case ext == ".tf":
		if m := blockForm.FindStringSubmatch(l); m != nil && m[3] == s.Name {
			return m[1] + "{ name " + m[2] + ` "{name}", value ` + m[2] + ` "{value}" },`
		}
	}
	return ""
}

func yamlForm(s *premortem.EnvSet, lines []string, l string) string {
	if m := externalForm.FindStringSubmatch(l); m != nil && m[2] == s.Name {
		return externalEntry(lines[s.Pos.Line-1:], len(m[1]), s.Name)
	}
	if m := nameForm.FindStringSubmatch(l); m != nil && m[4] == s.Name && s.Source != "pod field" {
		if next := indented(lines, s.Pos.Line, "value:"); !next {
			return "" // a reference, whose object would have to have the key too
		}
		return m[1] + "-" + m[2] + m[3] + ": {name}\n" + m[1] + " " + m[2] + `value: "{value}"`
	}
	if m := flowForm.FindStringSubmatch(l); m != nil && m[2] == s.Name {
		return m[1] + "{name}" + m[3] + `"{value}"}`
	}
	if m := pairForm.FindStringSubmatch(l); m != nil && m[3] == s.Name {
		return m[1] + m[2] + "{name}={value}" + m[2]
	}
	m := mapForm.FindStringSubmatch(l)
	if m == nil || m[3] != s.Name || m[1] == "" {
		return ""
	}
	parent := parentKey(lines, s.Pos.Line-1, len(m[1]))
	object := strings.HasPrefix(s.Source, "secret ") || strings.HasPrefix(s.Source, "configmap ")
	switch {
	case object && s.Hash == "" && !s.Empty, parent == "encryptedData":
		return "" // sealed: nobody but the cluster's key makes another
	case parent == "data" && strings.HasPrefix(s.Source, "secret "):
		return m[1] + "{name}: {base64}"
	case parent == "data", parent == "stringData", parent == "environment", parent == "env", parent == "variables":
		return m[1] + `{name}: "{value}"`
	}
	return ""
}

// indented reports whether the line behind the entry at line, counted from 1, starts
// with text.
func indented(lines []string, line int, text string) bool {
	return line < len(lines) && strings.HasPrefix(strings.TrimSpace(lines[line]), text)
}

// parentKey is the key of the mapping that a line of a YAML file belongs to.
func parentKey(lines []string, at, indent int) string {
	for i := at - 1; i >= 0 && i > at-2000; i-- {
		l := lines[i]
		trimmed := strings.TrimLeft(l, " ")
		if trimmed == "" || trimmed[0] == '#' || len(l)-len(trimmed) >= indent {
			continue
		}
		key, _, _ := strings.Cut(strings.TrimLeft(trimmed, "- "), ":")
		return strings.Trim(key, `"' `)
	}
	return ""
}

// externalEntry copies an entry of an ExternalSecret, which holds names alone.
func externalEntry(lines []string, indent int, name string) string {
	out := []string{lines[0]}
	for _, l := range lines[1:min(len(lines), 12)] {
		trimmed := strings.TrimLeft(l, " ")
		if trimmed == "" || len(l)-len(trimmed) <= indent {
			break
		}
		out = append(out, l)
	}
	word := regexp.MustCompile(`(^|[^\w.\-])` + regexp.QuoteMeta(name) + `($|[^\w.\-])`)
	return word.ReplaceAllString(strings.Join(out, "\n"), "${1}{name}${2}")
}
