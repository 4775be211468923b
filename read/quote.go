package read

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/premortem/premortem"
)

// Quote fills the Quote of each evidence that has a line and no quote yet: the
// trimmed source line with its secrets masked. Lines that are not there leave it
// empty.
func Quote(repo fs.FS, findings []premortem.Finding) {
	cache := map[string]*quoted{}
	for i := range findings {
		for j := range findings[i].Evidence {
			e := &findings[i].Evidence[j]
			if !e.Pos.Known() || e.Pos.Line < 1 || e.Quote != "" {
				continue
			}
			q, ok := cache[e.Pos.File]
			if !ok {
				q = openQuoted(repo, e.Pos.File)
				cache[e.Pos.File] = q
			}
			e.Quote = q.line(e.Pos.Line)
		}
	}
}

// quoted is a file of which lines are shown.
type quoted struct {
	path   string
	lines  []string
	secret []bool // the line is part of a Secret: no value of it is shown
}

func openQuoted(repo fs.FS, file string) *quoted {
	q := &quoted{path: file}
	if !fs.ValidPath(file) {
		return q
	}
	data, err := (&Tree{fs: repo}).read(file)
	if err != nil {
		return q
	}
	q.lines = strings.Split(string(data), "\n")
	q.secret = secretLines(file, q.lines)
	return q
}

func (q *quoted) line(n int) string {
	if n < 1 || n > len(q.lines) {
		return ""
	}
	if q.secret != nil && q.secret[n-1] {
		return clip(maskValue(strings.TrimSpace(q.lines[n-1])))
	}
	return Mask(q.path, q.lines[n-1])
}

var (
	secretKind = regexp.MustCompile(`^\s*kind:\s*["']?(Secret|SealedSecret)\b`)
	generator  = regexp.MustCompile(`^\s*-?\s*(secretGenerator|stringData):`)
	yamlScalar = regexp.MustCompile(`^(\s*(?:-\s+)?(?:"[^"]*"|'[^']*'|[^\s:#'"][^:#]*):\s+)(\S.*)$`)
	envPair    = regexp.MustCompile(`^(\s*(?:-\s+)?["']?[A-Za-z_][A-Za-z0-9_.\-]*=)(.+)$`)
)

// secretLines marks the lines of Secret documents and of secret generators.
func secretLines(file string, lines []string) []bool {
	ext := path.Ext(file)
	if ext != ".yaml" && ext != ".yml" && ext != ".json" {
		return nil
	}
	out := make([]bool, len(lines))
	start, found := 0, false
	flush := func(end int) {
		for i := start; found && i < end; i++ {
			out[i] = true
		}
		start, found = end, false
	}
	inGenerator := false
	for i, l := range lines {
		if strings.HasPrefix(l, "---") {
			flush(i)
		}
		if secretKind.MatchString(l) || strings.Contains(l, `"kind": "Secret"`) || generator.MatchString(l) && strings.Contains(l, "stringData") {
			found = true
		}
		if l != "" && l[0] != ' ' && l[0] != '-' && l[0] != '#' {
			inGenerator = strings.HasPrefix(l, "secretGenerator:")
		}
		if inGenerator {
			out[i] = true
		}
	}
	flush(len(lines))
	return out
}

// maskValue hides the value of a line of a Secret.
func maskValue(line string) string {
	if m := envPair.FindStringSubmatch(line); m != nil {
		return m[1] + "***"
	}
	m := yamlScalar.FindStringSubmatch(line)
	if m == nil {
		if strings.ContainsAny(line, "{}[]") || strings.HasSuffix(line, ":") || strings.HasPrefix(line, "#") || line == "---" {
			return maskTokens(line)
		}
		return "***" // the middle of a block of text
	}
	switch strings.Trim(m[1], " -:\"'") {
	case "kind", "apiVersion", "name", "namespace", "type", "envs", "files", "path", "app":
		return line
	}
	return m[1] + "***"
}

var (
	urlUser     = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.\-]*://)[^\s/@"'` + "`" + `]*:?[^\s@"'` + "`" + `]*@`)
	urlQuery    = regexp.MustCompile(`(?i)([?&][^=\s&"']*(?:key|token|secret|passw|sig|auth)[^=\s&"']*=)[^&\s"']+`)
	knownTokens = regexp.MustCompile(`\b(?:(?:sk|rk|pk)_[A-Za-z0-9_]{6,}|whsec_[A-Za-z0-9_]{4,}|SG\.[A-Za-z0-9_.\-]{6,}|AKIA[A-Z0-9]{12,}|gh[pousr]_[A-Za-z0-9]{10,}|xox[abprs]-[A-Za-z0-9\-]{8,}|AIza[A-Za-z0-9_\-]{20,}|eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_.\-]+|glpat-[A-Za-z0-9_\-]{10,}|npm_[A-Za-z0-9]{20,})`)
	quotedPair  = regexp.MustCompile(`(["']?)([A-Za-z_][A-Za-z0-9_.\-]*)(["']?\s*(?:[:=]|=>)\s*)("[^"]+"|'[^']+'|` + "`[^`]+`" + `)`)
	barePair    = regexp.MustCompile(`^(\s*(?:-\s+)?(?:(?:ENV|ARG|export|SET)\s+)?)([A-Za-z_][A-Za-z0-9_.\-]*)(\s*[:=]\s*)([^\s"'].*|["'].*)$`)
	envBlank    = regexp.MustCompile(`^(\s*ENV\s+)([A-Za-z_][A-Za-z0-9_]*)(\s+)(\S.*)$`)
	secretFlag  = regexp.MustCompile(`(--?[a-z\-]*(?:pass|password|secret|token|api-key)[a-z\-]* +)[^\s\-"'$][^\s"']*`)
	inlinePair  = regexp.MustCompile(`(^|[\s,{"'\[])(-{0,2}[A-Za-z_][A-Za-z0-9_\-]*)(=)([^\s"',}\]]+)`)
)

// Mask hides the secrets of a source line and trims it: passwords in addresses,
// tokens of known shape, literals that stand under a secretive name, and every
// value of a dotenv file that is not plain. Code that reads a secret stays readable.
func Mask(file, line string) string {
	line = strings.TrimSpace(strings.ToValidUTF8(line, "�"))
	if isDotenv(file) {
		if m := envLine.FindStringSubmatch(line); m != nil && !strings.HasPrefix(line, "#") {
			value := strings.TrimSpace(m[2])
			kept, _ := reveal(m[1], strings.Trim(value, `"'`), secretSource)
			if value != "" && kept == "" {
				kept = "***"
			}
			return clip(line[:strings.Index(line, m[1])] + m[1] + "=" + kept)
		}
		if line == "" || strings.HasPrefix(line, "#") && !strings.Contains(line, "=") {
			return clip(maskTokens(line))
		}
		return "***"
	}
	line = maskPairs(line, isConfigText(file))
	return clip(maskTokens(line))
}

// isConfigText reports files in which a bare word is a value, not code.
func isConfigText(file string) bool {
	switch path.Ext(file) {
	case ".yaml", ".yml", ".properties", ".ini", ".conf", ".toml", ".tfvars":
		return true
	}
	return isDockerfile(file)
}

// secretWords are in every name that secretive matches and every flag that
// secretFlag does: a line without one of them holds no pair to mask.
var secretWords = []string{"pass", "pwd", "secret", "token", "credential", "private", "signature", "salt", "auth", "bearer", "session", "cookie", "cert", "key", "pin", "sid", "dsn", "otp"}

func maskPairs(line string, config bool) string {
	lower := strings.ToLower(line)
	if !slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(lower, w) }) {
		return line
	}
	line = quotedPair.ReplaceAllStringFunc(line, func(s string) string {
		m := quotedPair.FindStringSubmatch(s)
		if !secretive.MatchString(m[2]) || isReference(strings.Trim(m[4], "\"'`")) {
			return s
		}
		return m[1] + m[2] + m[3] + m[4][:1] + "***" + m[4][:1]
	})
	line = inlinePair.ReplaceAllStringFunc(line, func(s string) string {
		m := inlinePair.FindStringSubmatch(s)
		if !secretive.MatchString(strings.Trim(m[2], "-")) || isReference(m[4]) {
			return s
		}
		return m[1] + m[2] + m[3] + "***"
	})
	line = secretFlag.ReplaceAllString(line, "${1}***")
	if !config || strings.Contains(line, "=***") {
		return line
	}
	for _, re := range []*regexp.Regexp{barePair, envBlank} {
		if m := re.FindStringSubmatch(line); m != nil && secretive.MatchString(m[2]) && !isReference(strings.Trim(m[4], `"'`)) {
			return m[1] + m[2] + m[3] + "***"
		}
	}
	return line
}

// isReference reports text that names a secret instead of being one.
func isReference(s string) bool {
	return s == "" || s == "***" || strings.HasPrefix(s, "$") || strings.HasPrefix(s, "{") || strings.HasPrefix(s, "|") || strings.HasPrefix(s, ">") ||
		s == "true" || s == "false" || strings.Contains(s, "process.env") || strings.HasPrefix(s, "var.")
}

func maskTokens(line string) string {
	line = maskURLs(line)
	if slices.ContainsFunc(tokenMarks, func(mark string) bool { return strings.Contains(line, mark) }) {
		line = knownTokens.ReplaceAllString(line, "***")
	}
	if strings.ContainsAny(line, "?&") && strings.IndexByte(line, '=') >= 0 {
		line = urlQuery.ReplaceAllString(line, "${1}***")
	}
	return line
}

// tokenMarks are in every text that knownTokens matches.
var tokenMarks = []string{"k_", "whsec_", "SG.", "AKIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "xox", "AIza", "eyJ", "glpat-", "npm_"}

func maskURLs(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	return urlUser.ReplaceAllString(s, "${1}***@")
}

// clip shortens a line to what a report can show.
func clip(s string) string {
	const most = 240
	if len(s) <= most {
		return s
	}
	s = s[:most]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}
