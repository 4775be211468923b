package report

import (
	"math"
	"strconv"
	"strings"
)

// number writes 1234567 as "1,234,567" and keeps at most three significant digits
// of anything below 1,000 that is not whole.
func number(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "unknown"
	}
	if v < 0 {
		return "−" + number(-v)
	}
	if v != math.Trunc(v) && v < 1000 {
		return strconv.FormatFloat(rounded(v, 3), 'f', -1, 64)
	}
	digits := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	if len(digits) > 18 {
		return strconv.FormatFloat(v, 'e', 2, 64)
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// rounded keeps n significant digits.
func rounded(v float64, n int) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return v
	}
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', n, 64), 64)
	if err != nil {
		return v
	}
	return r
}

// seconds writes a time with two significant digits and the unit that fits:
// "420 µs", "12 ms", "2.1 s", "3 min 20 s".
func seconds(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "unknown"
	case v < 0:
		return "−" + seconds(-v)
	case v == 0:
		return "0 s"
	case v < 0.9995e-3:
		return short(v*1e6) + " µs"
	case v < 0.9995:
		return short(v*1e3) + " ms"
	case v < 100:
		return short(v) + " s"
	case v < 2*3600:
		m, s := math.Floor(math.Round(v)/60), math.Mod(math.Round(v), 60)
		if s == 0 {
			return number(m) + " min"
		}
		return number(m) + " min " + number(s) + " s"
	}
	return short(v/3600) + " h"
}

// short keeps two significant digits below 10 and whole numbers above.
func short(v float64) string {
	if v < 9.95 {
		return strconv.FormatFloat(rounded(v, 2), 'f', -1, 64)
	}
	return number(math.Round(v))
}

// times writes a multiple: "1×", "1.6×", "12×".
func times(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "unknown"
	}
	if v >= 10 {
		return number(math.Round(v)) + "×"
	}
	return strconv.FormatFloat(rounded(v, 2), 'f', -1, 64) + "×"
}

// span writes the interval of a multiple: "1.5–1.7×".
func span(low, high float64) string {
	return strings.TrimSuffix(times(low), "×") + "–" + times(high)
}

// percent writes a share: 0.94 is "94 %", 0.0012 is "0.12 %".
func percent(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "unknown"
	}
	return short(v*100) + " %"
}

// size writes bytes: "1.4 GB".
func size(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "unknown"
	}
	units := []string{"bytes", "kB", "MB", "GB", "TB", "PB"}
	i := 0
	for math.Abs(v) >= 999.5 && i < len(units)-1 {
		v /= 1000
		i++
	}
	return short(v) + " " + units[i]
}

// amount writes a measured value in its unit. The unit "1" is a plain number.
func amount(v float64, unit string) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "unknown"
	}
	switch unit {
	case "s":
		return seconds(v)
	case "bytes":
		return size(v)
	case "share", "ratio":
		return percent(v)
	case "", "1":
		return number(v)
	}
	return number(v) + " " + plain(unit)
}

// signal writes the name of a measured signal as people say it:
// "request_seconds_p95" is "p95", "pool_waiting" is "pool waiting".
func signal(name string) string {
	name = plain(name)
	for _, q := range []string{"p50", "p95", "p99"} {
		if strings.HasSuffix(name, "_seconds_"+q) && strings.HasPrefix(name, "request") {
			return q
		}
	}
	return strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(name, "_seconds", ""), "_", " "))
}
