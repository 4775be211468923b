package judge

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// seconds prints a measured time with two digits and the unit a person would
// choose: "0.34 ms", "12 ms", "2.1 s".
func seconds(s float64) string {
	s = twoDigits(s)
	switch {
	case !(s > 0):
		return "0 ms"
	case s < 1:
		return plain(s*1000) + " ms"
	}
	return plain(s) + " s"
}

// exactSeconds prints a time that somebody wrote down, unrounded.
func exactSeconds(s float64) string {
	if s < 1 {
		return strconv.FormatFloat(round(s*1000, 6), 'f', -1, 64) + " ms"
	}
	return strconv.FormatFloat(round(s, 6), 'f', -1, 64) + " s"
}

// share prints a measured share: "94 %", "1.4 %", "0.12 %".
func share(x float64) string {
	if x >= 0.1 {
		return strconv.FormatFloat(math.Round(x*100), 'f', -1, 64) + " %"
	}
	return plain(twoDigits(x*100)) + " %"
}

// exactShare prints a share that somebody wrote down.
func exactShare(x float64) string {
	return strconv.FormatFloat(round(x*100, 6), 'f', -1, 64) + " %"
}

// times prints a multiple: "2×", "1.41×".
func times(x float64) string { return plain(round(x, 2)) + "×" }

// cores prints a number of cores: "1.95".
func cores(x float64) string { return plain(round(x, 2)) }

// count prints an exact number with its thousands apart: "500,000".
func count[N ~int | ~int64 | ~uint64](n N) string {
	s := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// about prints a measured or estimated amount with two digits: "250,000", "3.2".
func about(x float64) string {
	x = twoDigits(x)
	if math.IsNaN(x) || math.IsInf(x, 0) || math.Abs(x) > 1e15 {
		return "very many"
	}
	if x < 10 {
		return plain(x)
	}
	return count(int64(x))
}

// plural is "1 route breaks" or "3 routes break".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// list is "a", "a and b" or "a, b and c".
func list(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

func plain(x float64) string { return strconv.FormatFloat(round(x, 6), 'f', -1, 64) }

func round(x float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(x*p) / p
}

// twoDigits rounds to two significant digits.
func twoDigits(x float64) float64 {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return x
	}
	p := math.Pow10(1 - int(math.Floor(math.Log10(math.Abs(x)))))
	return math.Round(x*p) / p
}

// ratio is 0 when there is nothing to divide by.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func duration(s float64) time.Duration {
	return time.Duration(min(max(s, 0), 1e9) * float64(time.Second))
}
