package report

import (
	"cmp"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/premortem/premortem"
)

// measured says what a measure shows: "p95 of POST /login: 31 ms → 2.1 s". A number
// that the sentence carries already, in whatever rounding, is not said again. The
// line that set a limit stands behind it.
func measured(e premortem.Evidence) string {
	m := e.Measure
	says := cmp.Or(plain(e.Says), signal(m.Signal))
	if !carries(says, m.During, m.Unit) {
		value := amount(m.During, m.Unit)
		if m.Before != 0 && !carries(says, m.Before, m.Unit) {
			value = amount(m.Before, m.Unit) + " → " + value
		}
		says += ": " + value
	}
	if e.Pos.Known() {
		says += " (" + plain(e.Pos.String()) + ")"
	}
	return says
}

var (
	figure     = regexp.MustCompile(`[0-9][0-9,]*(?:\.[0-9]+)?`)
	figureUnit = regexp.MustCompile(`^[ \x{00A0}]?(µs|ms|s|min|h|%|kB|MB|GB|TB)(?:[^\pL0-9]|$)`)
)

// scales turn a figure with its unit into the unit of a measure.
var scales = map[string]map[string]float64{
	"s":     {"µs": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600},
	"share": {"%": 0.01, "": 1}, "ratio": {"%": 0.01, "": 1}, "1": {"%": 0.01, "": 1}, "": {"%": 0.01, "": 1},
	"bytes": {"": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12},
}

// carries reports whether a sentence holds a number that is v when v is rounded as
// the sentence rounds it.
func carries(says string, v float64, unit string) bool {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return strings.Contains(says, amount(v, unit))
	}
	by := scales[unit]
	if by == nil {
		by = map[string]float64{"": 1}
	}
	for _, at := range figure.FindAllStringIndex(says, -1) {
		if before, _ := utf8.DecodeLastRuneInString(says[:at[0]]); unicode.IsLetter(before) {
			continue // p95 and users2 hold no number
		}
		text, unit := says[at[0]:at[1]], ""
		if m := figureUnit.FindStringSubmatch(says[at[1]:]); m != nil {
			unit = m[1]
		}
		scale, ok := by[unit]
		shown, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", ""), 64)
		if ok && err == nil && near(v/scale, shown, digits(text)) {
			return true
		}
	}
	return false
}

// near reports whether v is written as shown with so many digits, or with fewer.
func near(v, shown float64, digits int) bool {
	if v == shown {
		return true
	}
	same := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }
	return shown != 0 && (same(rounded(v, digits), shown) || same(rounded(v, max(digits, 1)+1), shown))
}

// digits counts the significant digits of a figure as it is written; zeros at the
// end of a whole number may be rounding and do not count.
func digits(text string) int {
	text = strings.TrimLeft(strings.ReplaceAll(text, ",", ""), "0.")
	if whole, fraction, ok := strings.Cut(text, "."); ok {
		return len(whole) + len(fraction)
	}
	return max(len(strings.TrimRight(text, "0")), 1)
}
