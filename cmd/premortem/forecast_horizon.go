package main

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/premortem/premortem"
)

// horizon is how far a forecast looks.
type horizon struct {
	times float64 // multiple; 0 when it is Rows
	rows  float64 // of the largest table
	// Growth, both 0 when it is unknown: 0.08 for 8 % a month, or rows of the largest
	// table a day while the others keep their proportion to it.
	monthly, daily float64
	disk           float64 // bytes, 0 unknown
	writes         float64 // transactions a second that write, 0 unknown
}

var (
	untilTimes = regexp.MustCompile(`^([0-9.]+(?:e[0-9]+)?) ?[x×]$`)
	untilRows  = regexp.MustCompile(`^([0-9][0-9_,.]*(?:e[0-9]+)?) ?rows?$`)
	growthRate = regexp.MustCompile(`^([0-9][0-9_,.]*(?:e[0-9]+)?) ?(%|[x×]|rows?) ?(?:/|per|a) ?(day|week|month|year)$`)
	writeRate  = regexp.MustCompile(`^([0-9][0-9_,.]*) ?/ ?(s|second|min|minute|hour)$`)
	diskSize   = regexp.MustCompile(`^([0-9.]+) ?(GB|GiB|TB|TiB|G|T|Gi|Ti)$`)
)

// horizon reads --until, --growth and --disk.
func (o *forecastFlags) horizon() (h horizon, err error) {
	refuse := func(flag, value, want string) error {
		return &premortem.Error{Doing: "read " + flag, Err: fmt.Errorf("%q is not understood", value), Hint: want}
	}
	if m := untilTimes.FindStringSubmatch(o.until); m != nil {
		h.times = number(m[1])
	} else if m := untilRows.FindStringSubmatch(o.until); m != nil {
		h.rows = number(m[1])
	}
	if h.times <= 1 && h.rows < 1 || h.times > 1e6 || h.rows > 1e12 {
		return h, refuse("--until", o.until, "write a multiple from 1x to 1000000x, or rows of the largest table: 1e9rows")
	}
	if o.growth != "" && !h.grows(o.growth) {
		return h, refuse("--growth", o.growth, "write a rate: 8%/month, 150%/year, 2x/year, or 20000 rows/day of the largest table")
	}
	if o.writes != "" {
		m := writeRate.FindStringSubmatch(o.writes)
		if m == nil || number(m[1]) <= 0 {
			return h, refuse("--writes", o.writes, "write a rate: 500/s")
		}
		h.writes = number(m[1]) / map[string]float64{"s": 1, "second": 1, "min": 60, "minute": 60, "hour": 3600}[m[2]]
	}
	if o.disk != "" {
		m := diskSize.FindStringSubmatch(o.disk)
		if m == nil || number(m[1]) <= 0 {
			return h, refuse("--disk", o.disk, "write a size: 500GB, 2TB")
		}
		h.disk = number(m[1]) * map[string]float64{"GB": 1e9, "G": 1e9, "TB": 1e12, "T": 1e12, "GiB": 1 << 30, "Gi": 1 << 30, "TiB": 1 << 40, "Ti": 1 << 40}[m[2]]
	}
	return h, nil
}

// multiples are a grid of 1, 2, 5 up to the horizon.
func (h horizon) multiples(largest float64) []float64 {
	last := h.times
	if h.rows > 0 && largest > 0 {
		last = h.rows / largest
	}
	out := []float64{1}
	for ten := 1.0; ten <= last; ten *= 10 {
		for _, m := range []float64{1, 2, 5} {
			if k := ten * m; k > 1 && k < last*0.8 {
				out = append(out, k)
			}
		}
	}
	if last > 1 {
		out = append(out, last)
	}
	return out
}

// number reads 1_000,000.5e3; 0 for what is none.
func number(s string) float64 {
	v, err := strconv.ParseFloat(strings.NewReplacer("_", "", ",", "").Replace(s), 64)
	if err != nil || math.IsInf(v, 0) {
		return 0
	}
	return v
}

// grows reads a rate of growth and reports whether it is one.
func (h *horizon) grows(rate string) bool {
	m := growthRate.FindStringSubmatch(rate)
	if m == nil {
		return false
	}
	days := map[string]float64{"day": 1, "week": 7, "month": 365.25 / 12, "year": 365.25}[m[3]]
	factor := 1 + number(m[1])/100
	switch m[2] {
	case "row", "rows":
		h.daily = number(m[1]) / days
		return h.daily > 0
	case "x", "×":
		factor = number(m[1])
	}
	h.monthly = math.Pow(factor, 365.25/12/days) - 1
	return factor > 1
}

// date is when a multiple is reached; ok is false when nobody said how fast the tables
// grow, or within a century they do not come so far. largest are the rows of the
// largest table today.
func (h horizon) date(multiple, largest float64, now time.Time) (at time.Time, ok bool) {
	days := 0.0
	switch {
	case multiple <= 1:
		return now, h.monthly > 0 || h.daily > 0
	case h.monthly > 0:
		days = math.Log(multiple) / math.Log1p(h.monthly) * 365.25 / 12
	case h.daily > 0 && largest > 0:
		days = (multiple - 1) * largest / h.daily
	default:
		return time.Time{}, false
	}
	if days > 36525 {
		return time.Time{}, false
	}
	return now.AddDate(0, 0, int(days+1e-6)), true // whole days, however the rate was written
}

// when says by which date a multiple is reached.
func (h horizon) when(multiple, largest float64, now time.Time) string {
	at, ok := h.date(multiple, largest, now)
	switch {
	case multiple <= 1:
		return ""
	case ok:
		return fmt.Sprintf(", at this growth in %s, %s", span(at.Sub(now).Hours()/24/365.25*12), at.Format("January 2006"))
	case h.monthly > 0 || h.daily > 0 && largest > 0:
		return ", at this growth not within a century"
	}
	return ", at a date that is unknown without --growth"
}

func span(months float64) string {
	switch n := int(math.Round(months)); {
	case n < 1:
		return "less than a month"
	case n == 1:
		return "a month"
	case n < 36:
		return fmt.Sprintf("%d months", n)
	}
	return fmt.Sprintf("%.0f years", months/12)
}
