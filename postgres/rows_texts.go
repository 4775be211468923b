package postgres

import (
	"bytes"
	"math"
	"slices"
	"strings"
)

// bodyBytes is what a mean width says of a value's own bytes: short values have a
// header of one byte, long ones of four.
func bodyBytes(width int) int {
	if width <= 127 {
		return max(width-1, 0)
	}
	return width - 4
}

// commonOnly draws among values that are all known.
func (w *want) commonOnly(s figures) source {
	st := s.stats
	var values []value
	for _, text := range splitArray(st.Common) {
		v, err := encodeText(w.c, text)
		if err != nil {
			return nil
		}
		values = append(values, v)
	}
	if len(values) == 0 {
		return nil
	}
	rank := func(text []byte) int { return slices.Index(w.c.Labels, string(text)) }
	s.places = make([]float64, len(values))
	for i := range values {
		s.order = append(s.order, i)
	}
	slices.SortStableFunc(s.order, func(a, b int) int {
		if isEnum(w.c) {
			return rank(values[a].txt) - rank(values[b].txt)
		}
		return strings.Compare(string(values[a].txt), string(values[b].txt))
	})
	s.bounds = 0
	d := newDistribution(s, w.key, w.from, w.to)
	return choice{values: values, draw: func(row int64) int64 { common, _ := d.at(row); return int64(common) }}
}

// profiledText keeps common texts, and fills the histogram with texts between its
// bounds that are as wide as production's.
func (w *want) profiledText(s figures) source {
	st := s.stats
	common, bounds := splitArray(st.Common), splitArray(st.Bounds)
	if len(w.lim.in) > 0 {
		common, bounds = listedAs(common, w.lim.in), nil
	}
	if len(common) == 0 && len(bounds) < 2 {
		return w.repeated(s)
	}
	s.places, s.order = placed(common, bounds, strings.Compare, nil)
	s.bounds = len(bounds)
	d := newDistribution(s, w.key, w.from, w.to)
	if d == nil {
		return nil
	}
	rest, left := float64(bodyBytes(st.Width)), 1.0
	mean := 0.0
	for i, v := range common {
		share := float64(st.CommonShares[i]) / (1 - float64(st.NullFraction))
		mean += share * float64(len(v))
		left -= share
	}
	wide := 0
	if left > 1e-6 {
		wide = max(int(math.Round((rest-mean)/left)), 1)
	}
	buckets := bucketsOf(bounds)
	most := w.lim.chars
	if w.c.Base == "bpchar" && most > 0 {
		wide = min(wide, most)
	}
	for i, v := range common {
		if r := []rune(v); most > 0 && len(r) > most {
			common[i] = string(r[:most])
		}
	}
	return texts{write: func(dst []byte, row int64) []byte {
		k, place := d.at(row)
		if k >= 0 {
			return append(dst, common[k]...)
		}
		from := len(dst)
		if dst = appendBetween(dst, buckets, place, wide); most > 0 && len(dst)-from > most {
			dst = dst[:from+most]
		}
		return dst
	}}
}

// listedAs puts the values that a check constraint allows in the place of pseudonyms:
// both are in order, and when they are as many they are the same.
func listedAs(common, in []string) []string {
	if !slices.ContainsFunc(common, func(v string) bool { return !slices.Contains(in, v) }) {
		return common
	}
	sorted, allowed := slices.Sorted(slices.Values(common)), slices.Sorted(slices.Values(in))
	out := make([]string, len(common))
	for i, v := range common {
		k, _ := slices.BinarySearch(sorted, v)
		out[i] = allowed[min(k, len(allowed)-1)]
	}
	return out
}

// bucket is what lies between two bounds of a histogram of texts.
type bucket struct {
	shared    string // by both bounds
	low, wide uint64 // the characters behind it, as digits to base 36
}

func bucketsOf(bounds []string) []bucket {
	var out []bucket
	for i := 1; i < len(bounds); i++ {
		a, b := bounds[i-1], bounds[i]
		n := 0
		for n < min(len(a), len(b)) && a[n] == b[n] {
			n++
		}
		for n > 0 && a[n-1] >= 0x80 { // not in the middle of a character
			n--
		}
		low, high := digitsOf(a, n), digitsOf(b, n)
		out = append(out, bucket{a[:n], low, max(high, low) - low})
	}
	return out
}

// appendBetween writes the text at a place of the histogram: what its bucket's bounds
// share, then characters that rise with the place, then some that belong to it, up to
// a width.
func appendBetween(dst []byte, buckets []bucket, place float64, wide int) []byte {
	at := place * float64(len(buckets))
	i := min(int(at), len(buckets)-1)
	k := &buckets[i]
	start := len(dst)
	dst = append(dst, k.shared...)
	var digits [8]byte
	for v, j := k.low+uint64((at-float64(i))*float64(k.wide)), len(digits)-1; j >= 0; j-- {
		digits[j] = base36[v%36]
		v /= 36
	}
	dst = append(dst, digits[:]...)
	if len(dst)-start > wide && wide > len(k.shared)+3 {
		return dst[:start+wide]
	}
	return appendKeyed(dst, math.Float64bits(place), wide-(len(dst)-start))
}

// appendKeyed writes n characters that do not compress.
func appendKeyed(dst []byte, h uint64, n int) []byte {
	for n > 0 {
		h = mix(h + golden)
		for bits, k := h, min(n, 12); k > 0; k-- {
			dst = append(dst, base36[bits&31])
			bits >>= 5
		}
		n -= 12
	}
	return dst
}

// power36 is 36 to the number of characters that are interpolated.
const power36 = 36 * 36 * 36 * 36 * 36 * 36 * 36 * 36

// digitsOf are a text's characters from i on as digits to base 36, as those of
// pseudonyms are.
func digitsOf(s string, i int) uint64 {
	v := uint64(0)
	for unit := uint64(power36 / 36); unit > 0; unit /= 36 {
		if i < len(s) {
			switch c := s[i]; {
			case '0' <= c && c <= '9':
				v += unit * uint64(c-'0')
			case 'a' <= c && c <= 'z':
				v += unit * uint64(c-'a'+10)
			case 'A' <= c && c <= 'Z':
				v += unit * uint64(c-'A'+10)
			case c > 'z':
				v += unit * 35
			}
			i++
		}
	}
	return v
}

// repeated makes values of which only their number and width are known.
func (w *want) repeated(s figures) source {
	st := s.stats
	plain := *st
	plain.Correlation, plain.Common, plain.CommonShares = nil, "", nil
	s.stats, s.bounds = &plain, 2
	s.places, s.order = nil, nil
	d := newDistribution(s, w.key, w.from, w.to)
	made, err := w.source()
	if err != nil || made == nil || d == nil {
		return nil
	}
	made = w.widened(made, st)
	if d.unique || d.grid == 0 {
		return made
	}
	return again{of: made, d: d}
}

// again shows the value of a smaller number of rows.
type again struct {
	of source
	d  *distribution
}

func (a again) binary(dst []byte, row int64) []byte { return a.of.binary(dst, a.d.index(row, 0)) }
func (a again) text(dst []byte, row int64) []byte   { return a.of.text(dst, a.d.index(row, 0)) }

// widened makes values as wide as production's: texts get characters that do not
// compress, objects a key that holds some.
func (w *want) widened(made source, st *ColumnStats) source {
	want, key := bodyBytes(st.Width), w.key
	if b, ok := made.(blobs); ok {
		b.size = want
		return b
	}
	t, ok := made.(texts)
	if !ok {
		return made
	}
	inner := t.write
	if t.jsonb && st.Width < 120 {
		// One key and one text: a header, a count, two entries, then their bytes (jsonb.h).
		wide := max(st.Width-14, 1)
		t.write = func(dst []byte, row int64) []byte {
			return append(appendNoise(append(dst, `{"k": "`...), key, row, wide), `"}`...)
		}
		return t
	}
	if t.jsonb || w.c.Base == "json" {
		t.write = func(dst []byte, row int64) []byte {
			from := len(dst)
			dst = inner(dst, row)
			if missing := want - (len(dst) - from) - 12; missing > 0 && dst[len(dst)-1] == '}' {
				dst = append(dst[:len(dst)-1], `, "more": "`...)
				dst = append(appendNoise(dst, key, row, missing), `"}`...)
			}
			return dst
		}
		return t
	}
	most := w.lim.chars
	t.write = func(dst []byte, row int64) []byte {
		from := len(dst)
		dst = inner(dst, row)
		missing := want - (len(dst) - from)
		if most > 0 {
			missing = min(missing, most-(len(dst)-from))
		}
		if at := bytes.IndexByte(dst[from:], '@'); at >= 0 && missing > 0 { // an address stays one
			end := len(dst)
			dst = appendNoise(dst, key, row, missing)
			var host [64]byte
			n := copy(host[:], dst[from+at:end])
			copy(dst[from+at:], dst[end:])
			copy(dst[len(dst)-n:], host[:n])
			return dst
		}
		return appendNoise(dst, key, row, missing)
	}
	return t
}

func appendNoise(dst []byte, key uint64, row int64, n int) []byte {
	return appendKeyed(dst, noise(key, row), n)
}
