package check

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/premortem/premortem"
)

// Known is what a piece of software does when nobody configures it, with the text
// that says so.
type Known struct {
	Software string
	Setting  string
	Version  string // "*", one version, or a range, as the source gives it
	Text     string // "60", "none", "off"
	Unit     string // "s", "bytes", "count", "enum", "percent"
	// Confirmed is false where no primary text was read: such a value supports a note
	// and nothing more.
	Confirmed bool
	Source    string

	holds *semver.Constraints // nil for "*"
}

//go:embed defaults.csv
var defaultsCSV string

var defaults = parseDefaults(defaultsCSV)

func parseDefaults(text string) []Known {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		panic("check: defaults.csv: " + err.Error())
	}
	out := make([]Known, 0, len(rows))
	for _, r := range rows[1:] {
		k := Known{Software: r[0], Setting: r[1], Version: r[2], Text: r[3], Unit: r[4], Confirmed: r[5] == "yes", Source: r[6]}
		if k.Version != "*" {
			if k.holds, err = semver.NewConstraint(lineOf(k.Version)); err != nil {
				panic("check: defaults.csv: " + err.Error())
			}
		}
		out = append(out, k)
	}
	return out
}

// lineOf widens one version to its major line: a default that was read at 5.12.8 is
// taken to hold for 5.x, and the finding says where it was read.
func lineOf(version string) string {
	if strings.ContainsAny(version, "<>=") {
		return version
	}
	major, _, _ := strings.Cut(version, ".")
	return major + ".x"
}

// Default returns what a version of a piece of software does with a setting that
// nobody makes. An empty version, or one that floats, is answered only when every
// confirmed row says the same. The second result is false when the table does not
// know.
func Default(software, version, setting string) (Known, bool) {
	v := plainSemver(version)
	var found []Known
	for _, k := range defaults {
		if k.Software != software || k.Setting != setting {
			continue
		}
		switch {
		case v == nil && k.Confirmed, v != nil && (k.holds == nil || k.holds.Check(v)):
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		return Known{}, false
	}
	for _, k := range found[1:] {
		if k.Text != found[0].Text {
			return Known{}, false
		}
	}
	return found[0], true
}

// plainSemver reads "20", "v20.19.5" or "20.19-alpine", nil for what names no version.
func plainSemver(text string) *semver.Version {
	m := tagVersion.FindStringSubmatch(strings.ToLower(strings.TrimSpace(text)))
	if m == nil {
		return nil
	}
	parts := strings.Split(m[1], ".")
	v, err := semver.NewVersion(strings.Join(parts[:min(3, len(parts))], "."))
	if err != nil {
		return nil
	}
	return v
}

// Number is the value as a number; false for "none", "off" and other words.
func (k Known) Number() (float64, bool) {
	n, err := strconv.ParseFloat(k.Text, 64)
	return n, err == nil
}

// cite is what a finding says about a default: "the default of node (>=18.0.0; measured …)".
func (k Known) cite() string {
	version := " " + k.Version
	if k.Version == "*" {
		version = ""
	}
	note := ""
	if !k.Confirmed {
		note = ", not confirmed"
	}
	return fmt.Sprintf("the default of %s%s%s: %s", k.Software, version, note, k.Source)
}

// seconds is a wait that was written or that is a default.
type seconds struct {
	value float64
	ok    bool
	known Known // zero when it was written
	pos   premortem.Pos
}

func (s seconds) written() bool { return s.ok && s.known.Software == "" }

// firm is false for a default that nobody confirmed.
func (s seconds) firm() bool { return s.written() || s.known.Confirmed }

// waits returns what is written, else the default of the software's version; at is
// the line to show for a default.
func waits(set premortem.Setting[float64], software, version, setting string, at premortem.Pos) seconds {
	if set.Set() {
		return seconds{value: set.Value, ok: true, pos: set.Pos}
	}
	k, ok := Default(software, version, setting)
	if !ok {
		return seconds{}
	}
	n, ok := k.Number()
	return seconds{value: n, ok: ok, known: k, pos: at}
}

// evidence says what waits how long, and why we think so.
func (s seconds) evidence(what string) premortem.Evidence {
	if s.written() {
		return premortem.Evidence{Says: fmt.Sprintf("%s: %s", what, secondsText(s.value)), Pos: s.pos}
	}
	return premortem.Evidence{Says: fmt.Sprintf("%s: %s, as nobody sets it (%s)", what, secondsText(s.value), s.known.cite()), Pos: s.pos}
}

func secondsText(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) + " s" }
