package postgres

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// line holds the values of a column's statistics as whole numbers.
type line struct {
	common []int64
	bounds []int64
	places []float64 // of common values among the bounds, 0 to 1
	order  []int     // of common values, small ones first
}

// lineForm is how a column's values become whole numbers; false for types that are no
// line.
func (w *want) lineForm(st *ColumnStats) (form, int, bool) {
	switch w.c.Base {
	case "int2", "int4", "int8", "oid":
		return w.form(), 0, true
	case "float4", "float8", "numeric":
		scale := 0
		for _, v := range append(splitArray(st.Common), splitArray(st.Bounds)...) {
			if _, decimals, ok := strings.Cut(v, "."); ok {
				scale = max(scale, min(len(decimals), 9))
			}
		}
		if w.c.Base == "numeric" && w.c.Typmod >= 4 {
			scale = min(max(int(w.c.Typmod-4)&0x7ff, 0), 12)
		}
		return w.form(), scale, true
	case "date":
		return date, 0, true
	case "timestamp":
		return timestamp, 0, true
	case "timestamptz":
		return timestamptz, 0, true
	case "time":
		return clock, 0, true
	}
	return 0, 0, false
}

// newLine reads the values of statistics; false when one of them is not understood.
func newLine(st *ColumnStats, f form, scale int) (*line, bool) {
	l := &line{}
	for _, list := range []struct {
		text string
		into *[]int64
	}{{st.Common, &l.common}, {st.Bounds, &l.bounds}} {
		for _, s := range splitArray(list.text) {
			v, ok := onLine(s, f, scale)
			if !ok {
				return nil, false
			}
			*list.into = append(*list.into, v)
		}
	}
	if len(l.common) != len(st.CommonShares) || len(l.common) == 0 && len(l.bounds) < 2 {
		return nil, false
	}
	l.places, l.order = placed(l.common, l.bounds, cmp.Compare[int64], partOf)
	return l, true
}

// partOf is how far v lies from a to b.
func partOf(a, b, v int64) float64 { return float64(v-a) / max(float64(b-a), 1) }

// placed finds the places of common values among the bounds, and their order. Without
// part a value lies in the middle of its bucket.
func placed[V any](common, bounds []V, compare func(a, b V) int, part func(a, b, v V) float64) ([]float64, []int) {
	places, order := make([]float64, len(common)), make([]int, len(common))
	for i, v := range common {
		order[i] = i
		if len(bounds) > 1 {
			k, _ := slices.BinarySearchFunc(bounds, v, compare)
			places[i] = min(float64(max(k-1, 0))/float64(len(bounds)-1), 1)
			if k > 0 && k < len(bounds) {
				in := 0.5
				if part != nil {
					in = part(bounds[k-1], bounds[k], v)
				}
				places[i] += in / float64(len(bounds)-1)
			} else if k == len(bounds) {
				places[i] = 1
			}
		}
	}
	slices.SortFunc(order, func(a, b int) int { return compare(common[a], common[b]) })
	for i := 1; i < len(order); i++ { // equal in every case
		places[order[i]] = max(places[order[i]], places[order[i-1]])
	}
	return places, order
}

// onLine reads one value as PostgreSQL writes it under DateStyle ISO.
func onLine(s string, f form, scale int) (int64, bool) {
	switch f {
	case int2, int4, int8:
		v, err := strconv.ParseInt(s, 10, 64)
		return v, err == nil
	case float4, float8, numeric:
		v, err := strconv.ParseFloat(s, 64)
		v = math.Round(v * pow10(scale))
		return int64(v), err == nil && math.Abs(v) < 9e18
	}
	layouts := times
	if f == clock {
		layouts = []string{"15:04:05.999999"}
	}
	for _, layout := range layouts {
		t, err := time.Parse(layout, s)
		switch {
		case err != nil:
			continue
		case f == clock:
			return int64(t.Hour())*3600e6 + int64(t.Minute())*60e6 + int64(t.Second())*1e6 + int64(t.Nanosecond())/1000, true
		case f == date:
			return int64(math.Floor(t.Sub(epoch).Hours() / 24)), t.Year() > 1720
		}
		return t.UnixMicro() - epoch.UnixMicro(), t.Year() > 0
	}
	return 0, false
}

// value is the common value, or the one at a place of the histogram.
func (l *line) value(common int, place float64) int64 {
	if common >= 0 {
		return l.common[common]
	}
	return l.between(place)
}

func (l *line) between(place float64) int64 {
	at := place * float64(len(l.bounds)-1)
	i := min(int(at), len(l.bounds)-2)
	a, b := l.bounds[i], l.bounds[i+1]
	return a + int64((at-float64(i))*float64(b-a)+0.5)
}

// within reports whether all values lie from first to last, or nearly: ends are from
// samples, and pseudonyms moved.
func (l *line) within(first, last int64) bool {
	slack := max((last-first)/50, 1)
	outside := func(v int64) bool { return v < first-slack || v > last+slack }
	return !slices.ContainsFunc(l.common, outside) && !slices.ContainsFunc(l.bounds, outside)
}

// widths are how many whole numbers lie between two bounds; nil when there are so many
// that it does not matter.
func (l *line) widths() []float64 {
	var out []float64
	narrow := false
	for i := 1; i < len(l.bounds); i++ {
		wide := float64(l.bounds[i] - l.bounds[i-1])
		narrow = narrow || wide < 1e6
		out = append(out, wide)
	}
	if !narrow {
		return nil
	}
	return out
}

// clamp moves the values into what a check constraint allows.
func (l *line) clamp(lim limits, scale int) {
	p := pow10(scale)
	for _, list := range [][]int64{l.common, l.bounds} {
		for i, v := range list {
			if lim.min != nil {
				v = max(v, int64(math.Ceil(*lim.min*p)))
			}
			if lim.max != nil {
				v = min(v, int64(math.Floor(*lim.max*p)))
			}
			list[i] = v
		}
	}
}
