package clone

import (
	"encoding/base64"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/premortem/premortem"
)

// SecretValues reads the secrets that an app could read from the repository itself:
// the dotenv files of the root and of the services' folders, and the lines where sys
// says that a variable is set to something that it did not keep. The values are for
// masking only: hold them in memory, never write them. A file that cannot be read
// gives none, nor does an example.
func SecretValues(dir string, sys *premortem.System) []string {
	r := secretReader{dir: dir, files: map[string][]string{}, found: map[string]bool{}}
	folders := map[string]bool{".": true}
	for _, s := range sys.Services {
		if s.Dir != "" {
			folders[path.Clean(s.Dir)] = true
		}
		for _, set := range s.Provides {
			if strings.HasPrefix(set.Source, "env_file ") {
				r.dotenv(set.Pos.File)
			} else if !set.Plain && !set.Empty {
				r.setting(set)
			}
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		names, _ := filepath.Glob(filepath.Join(dir, filepath.FromSlash(folder), ".env*"))
		for _, name := range names {
			if !exampleFile.MatchString(filepath.Base(name)) {
				r.dotenv(path.Join(folder, filepath.Base(name)))
			}
		}
	}
	return slices.Sorted(maps.Keys(r.found))
}

var exampleFile = regexp.MustCompile(`(?i)[.\-_](example|sample|template|dist|tpl|schema)($|[.\-_])`)

type secretReader struct {
	dir   string
	files map[string][]string // lines, by path
	found map[string]bool
}

// lines returns those of a file, none when it is too large to be a settings file.
func (r *secretReader) lines(file string) []string {
	if lines, ok := r.files[file]; ok {
		return lines
	}
	var lines []string
	name := filepath.Join(r.dir, filepath.FromSlash(file))
	if st, err := os.Stat(name); err == nil && st.Mode().IsRegular() && st.Size() < 4<<20 {
		if b, err := os.ReadFile(name); err == nil {
			lines = strings.Split(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
		}
	}
	r.files[file] = lines
	return lines
}

var dotenvLine = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.\-]*)\s*[=:]\s*(.*)$`)

func (r *secretReader) dotenv(file string) {
	lines := r.lines(file)
	for i := 0; i < len(lines); i++ {
		m := dotenvLine.FindStringSubmatch(lines[i])
		if m == nil {
			continue
		}
		value := strings.TrimSpace(m[2])
		if q := value[:min(1, len(value))]; q == `"` || q == "'" || q == "`" {
			for j := i + 1; strings.Count(value, q) < 2 && j < min(len(lines), i+200); j++ {
				value += "\n" + lines[j]
			}
			if body, _, closed := strings.Cut(value[1:], q); closed {
				r.take(m[1], body)
				r.take(m[1], strings.ReplaceAll(body, `\n`, "\n"))
				continue
			}
			value = strings.TrimSpace(m[2])
		}
		if before, _, comment := strings.Cut(value, " #"); comment {
			r.take(m[1], strings.TrimSpace(before)) // readers differ: some keep it
		}
		r.take(m[1], value)
	}
}

var settingLine = regexp.MustCompile(`^\s*(?:-\s*)?["']?(?:env\s+)?([A-Za-z_][A-Za-z0-9_.\-]*)["']?\s*[=:]\s*(.*)$`)

// setting takes the value that stands on the line of a set, or below it as its "value".
func (r *secretReader) setting(set premortem.EnvSet) {
	lines := r.lines(set.Pos.File)
	for i := max(0, set.Pos.Line-1); i < min(len(lines), set.Pos.Line+2); i++ {
		m := settingLine.FindStringSubmatch(lines[i])
		if m == nil || (m[1] != set.Name && m[1] != "value") {
			continue
		}
		value := strings.Trim(strings.TrimSpace(m[2]), `"',`)
		// The reader did not keep it: it is secret whatever it looks like.
		r.takeSecret(value)
		if b, err := base64.StdEncoding.DecodeString(value); err == nil && utf8.Valid(b) {
			r.takeSecret(strings.TrimSpace(string(b)))
		}
	}
}

var (
	secretName = regexp.MustCompile(`(?i)pass|pwd|secret|token|key|cred|auth|salt|private|dsn|cert|webhook|signature`)
	word       = regexp.MustCompile(`^[A-Za-z]+([_\-][A-Za-z]+)?$`)
	number     = regexp.MustCompile(`^[0-9][0-9._:\-]*(ms|s|m|h|d|kb|mb|gb|%)?$`)
)

// take keeps a value unless it is plainly none: masking "production" everywhere would
// hide what the log says.
func (r *secretReader) take(name, value string) {
	if len(value) < shortest {
		return
	}
	if !strings.Contains(value, "://") && !secretName.MatchString(name) {
		_, _, isAddress := hostPort(value)
		if word.MatchString(value) || number.MatchString(value) || strings.HasPrefix(value, "/") || strings.HasPrefix(value, "./") ||
			(isAddress && strings.Contains(value, ".")) {
			return
		}
	}
	r.takeSecret(value)
}

// takeSecret keeps a value, and of an address what is secret about it.
func (r *secretReader) takeSecret(value string) {
	if u, err := url.Parse(value); err == nil && u.Host != "" {
		r.takeURL(u, value)
	} else if len(value) >= shortest {
		r.found[value] = true
	}
}

// takeURL keeps what an address gives away: its password, its query, and parts of its
// path that are no words, as in a webhook.
func (r *secretReader) takeURL(u *url.URL, value string) {
	secret := u.RawQuery != ""
	if password, ok := u.User.Password(); ok && len(password) >= shortest {
		r.found[password] = true
		secret = true
	}
	for _, values := range u.Query() {
		for _, v := range values {
			if len(v) >= shortest && !word.MatchString(v) && !number.MatchString(v) {
				r.found[v] = true
			}
		}
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		if len(part) >= 16 && !word.MatchString(part) {
			r.found[part] = true
			secret = true
		}
	}
	if user := u.User.Username(); len(user) >= 16 && !word.MatchString(user) { // https://KEY@host
		r.found[user] = true
		secret = true
	}
	if secret || u.User != nil {
		r.found[value] = true
	}
}
