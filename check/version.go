package check

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/premortem/premortem"
)

// versions is a set of versions of a language's runtime.
type versions struct {
	floating bool                // the newest on the day of the build
	ltsOnly  bool                // … of those with long-term support
	pin      string              // one version, "" for a range
	line     *semver.Constraints // every version that behaves like the pin
	allows   *semver.Constraints
	ok       bool // false: not understood
}

// Node's names for its long-term lines (github.com/nodejs/Release).
var ltsLines = map[string]string{"argon": "4", "boron": "6", "carbon": "8", "dubnium": "10", "erbium": "12", "fermium": "14",
	"gallium": "16", "hydrogen": "18", "iron": "20", "jod": "22", "krypton": "24"}

// newestKnown are the newest majors that existed when this was written: whoever pins
// less disagrees with "latest". Node: 26 is current, 24 has long-term support.
const (
	newestNode    = 26
	newestNodeLTS = 24
)

// maxRange is the longest text that people write as a range, with room to spare:
// comparing two ranges takes time with the square of their length.
const maxRange = 120

var (
	plainVersion = regexp.MustCompile(`^v?(\d+)((?:\.(?:\d+|x|\*))*)$`)
	tagVersion   = regexp.MustCompile(`^v?(\d+(?:\.\d+)*)(?:-.*)?$`)
)

// versionsOf reads what a file says: "20", "v20.11.1", ">=18 <21", "lts/*", "latest",
// or the tag of an image: "20-alpine", "lts-slim", "".
func versionsOf(lang, text string) versions {
	s := strings.ToLower(strings.TrimSpace(text))
	if len(s) > maxRange {
		return versions{}
	}
	if name, ok := strings.CutPrefix(s, "lts/"); ok && ltsLines[name] != "" {
		s = ltsLines[name]
	} else if v := ltsLines[first(s)]; v != "" && lang == "node" {
		s = v
	}
	switch first(s) {
	case "", "latest", "current", "node", "stable", "alpine", "slim", "bookworm", "bullseye", "trixie":
		return versions{floating: true, ok: true}
	case "lts", "lts/*":
		return versions{floating: true, ltsOnly: true, ok: true}
	case "*", "x":
		s = ">=0"
	}
	if m := plainVersion.FindStringSubmatch(s); m != nil {
		return pin(lang, strings.NewReplacer(".x", "", ".*", "").Replace(m[1]+m[2]))
	}
	if m := tagVersion.FindStringSubmatch(s); m != nil && !strings.Contains(s, " ") {
		return pin(lang, m[1])
	}
	c, err := semver.NewConstraint(s)
	if err != nil || !slices.ContainsFunc(candidates(c, c), c.Check) {
		return versions{} // or a range that nothing satisfies: somebody meant something else
	}
	return versions{allows: c, ok: true}
}

func first(s string) string { w, _, _ := strings.Cut(s, "-"); return w }

// pin is one version, as precise as it was written: "20" is any 20.
func pin(lang, v string) versions {
	own := v
	if strings.Count(v, ".") < 2 {
		own += ".x"
	}
	allows, err := semver.NewConstraint(own)
	if err != nil {
		return versions{}
	}
	parts := strings.Split(v, ".")
	line := parts[:1]
	if lang != "node" && lang != "java" && len(parts) > 1 {
		line = parts[:2] // Go, Python, Ruby and PHP break between minors
	}
	whole, err := semver.NewConstraint(strings.Join(line, ".") + ".x")
	if err != nil {
		return versions{}
	}
	return versions{pin: v, line: whole, allows: allows, ok: true}
}

// disagree reports whether no version satisfies both. Two pins agree when they are
// of one line: a patch release is no disagreement. What is not understood never
// disagrees.
func disagree(lang string, a, b versions) bool {
	if !a.ok || !b.ok || (a.floating && b.floating) {
		return false
	}
	if b.floating {
		a, b = b, a
	}
	if a.floating {
		newest := newestNode
		if a.ltsOnly {
			newest = newestNodeLTS
		}
		if lang != "node" {
			// The newest of other languages is not in our tables: only a range without an
			// upper end surely holds it.
			return b.pin != ""
		}
		return !allowsFrom(b.allows, newest)
	}
	left, right := a.allows, b.allows
	if a.pin != "" && b.pin != "" {
		left, right = a.line, b.line
	}
	for _, v := range candidates(left, right) {
		if left.Check(v) && right.Check(v) {
			return false
		}
	}
	return true
}

// allowsFrom reports whether the set holds a version of that major or a later one.
func allowsFrom(c *semver.Constraints, major int) bool {
	for m := major; m < major+40; m += 2 {
		if c.Check(semver.New(uint64(m), 99, 99, "", "")) || c.Check(semver.New(uint64(m), 0, 0, "", "")) {
			return true
		}
	}
	return false
}

var numbers = regexp.MustCompile(`\d+(\.\d+){0,2}`)

// candidates are versions of which at least one lies in the overlap if there is one:
// every end of a range, its neighbours, and the ends of every major.
func candidates(a, b *semver.Constraints) []*semver.Version {
	var out []*semver.Version
	for _, c := range []*semver.Constraints{a, b} {
		for _, text := range numbers.FindAllString(c.String(), -1) {
			v, err := semver.NewVersion(text)
			if err != nil {
				continue
			}
			out = append(out, v)
			for _, n := range []semver.Version{v.IncPatch(), v.IncMinor(), v.IncMajor()} {
				out = append(out, &n)
			}
			if v.Patch() > 0 {
				out = append(out, semver.New(v.Major(), v.Minor(), v.Patch()-1, "", ""))
			}
			if v.Minor() > 0 {
				out = append(out, semver.New(v.Major(), v.Minor()-1, 999, "", ""))
			}
			out = append(out, semver.New(v.Major(), v.Minor(), 999, "", ""), semver.New(v.Major(), 999, 999, "", ""))
		}
	}
	for m := range uint64(60) {
		out = append(out, semver.New(m, 0, 0, "", ""), semver.New(m, 999, 999, "", ""))
	}
	return out
}

// exact is the version to write into an image tag: "v20.19.5" becomes "20.19.5", a
// range its lowest line.
func exact(text string) string {
	v := strings.TrimPrefix(strings.TrimSpace(text), "v")
	if line := ltsLines[strings.TrimPrefix(v, "lts/")]; line != "" {
		return line
	}
	return strings.NewReplacer(".x", "", ".*", "").Replace(v)
}

// runtimesOf returns what the repository says about a language's version for a
// service, with what it says for the whole repository.
func runtimesOf(sys *premortem.System, service premortem.Node, lang string) []*premortem.Runtime {
	var out []*premortem.Runtime
	for _, r := range sys.Runtimes {
		if r.Language == lang && (r.Service == service || r.Service == "") {
			out = append(out, r)
		}
	}
	return out
}

// declared returns the place that says most clearly which version is meant: one
// version, in the file that is made for it; nil when there are only ranges.
func declared(rs []*premortem.Runtime) *premortem.Runtime {
	rank := []string{".nvmrc", ".node-version", ".python-version", ".ruby-version", ".tool-versions", "mise.toml", "volta", "toolchain", "engines", "ci"}
	var best *premortem.Runtime
	value := func(r *premortem.Runtime) int {
		if i := slices.Index(rank, r.Source); i >= 0 {
			return i
		}
		return len(rank)
	}
	for _, r := range rs {
		v := versionsOf(r.Language, r.Version.Value)
		if r.Runs || !v.ok || v.pin == "" {
			continue
		}
		if best == nil || value(r) < value(best) {
			best = r
		}
	}
	return best
}

// major is the number in front of a version, -1 when there is none.
func major(version string) int {
	m := tagVersion.FindStringSubmatch(strings.ToLower(strings.TrimSpace(version)))
	if m == nil {
		return -1
	}
	head, _, _ := strings.Cut(m[1], ".")
	n, err := strconv.Atoi(head)
	if err != nil {
		return -1
	}
	return n
}
