package judge

import (
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

var indexName = regexp.MustCompile(`(?i)\bindex\s+(?:concurrently\s+)?(?:if\s+not\s+exists\s+)?("?[\w$]+"?)\s+on\s`)

// oneIndex gives the index of the edits the name under which the clone created it,
// and lets the migration gather the statistics that the fix's sentence asks for, so
// that what is said, what was tried and what is committed are one thing.
func oneIndex(fix premortem.Fix) premortem.Fix {
	if fix.Try == nil {
		return fix
	}
	m := indexName.FindStringSubmatch(fix.Try.SQL)
	if m == nil {
		return fix
	}
	analyze := ""
	if _, then, ok := strings.Cut(analyzed(fix.Try.SQL), "; then "); ok {
		analyze = "\n" + then + ";"
	}
	fix.Edits = slices.Clone(fix.Edits)
	for i := range fix.Edits {
		e := &fix.Edits[i]
		old := indexName.FindStringSubmatch(e.New)
		if old == nil {
			continue
		}
		word := regexp.MustCompile(`(^|[^\w$"])` + regexp.QuoteMeta(old[1]) + `($|[^\w$"])`)
		e.New = word.ReplaceAllString(e.New, "${1}"+strings.ReplaceAll(m[1], "$", "$$")+"${2}")
		if analyze != "" && !strings.Contains(asciiLower(e.New), "analyze ") {
			e.New += analyze
		}
	}
	return fix
}

// places keeps one line for each place of a look-up: the lines next to one that is
// kept already, such as the call around a condition, say the same thing again.
func places(written []premortem.Evidence) []premortem.Evidence {
	var out []premortem.Evidence
	for _, e := range written {
		if !slices.ContainsFunc(out, func(kept premortem.Evidence) bool {
			d := kept.Pos.Line - e.Pos.Line
			return e.Pos.Known() && e.Pos.Line > 0 && kept.Pos.File == e.Pos.File && d >= -1 && d <= 1
		}) {
			out = append(out, e)
		}
	}
	return out
}
