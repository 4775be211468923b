package postgres

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// profiledUUID keeps common uuids; the rest lie in the histogram's buckets.
func (w *want) profiledUUID(s figures) source {
	var lists [2][][16]byte
	for k, list := range []string{s.stats.Common, s.stats.Bounds} {
		for _, v := range splitArray(list) {
			raw, err := hex.DecodeString(strings.ReplaceAll(v, "-", ""))
			if err != nil || len(raw) != 16 {
				return nil
			}
			lists[k] = append(lists[k], [16]byte(raw))
		}
	}
	common, bounds := lists[0], lists[1]
	if len(common) == 0 && len(bounds) < 2 {
		return w.repeated(s)
	}
	s.places, s.order = placed(common, bounds, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) }, nil)
	s.bounds = len(bounds)
	d := newDistribution(s, w.key, w.from, w.to)
	if d == nil {
		return nil
	}
	return octets{at: func(row int64) [16]byte {
		k, place := d.at(row)
		if k >= 0 {
			return common[k]
		}
		at := place * float64(len(bounds)-1)
		i := min(int(at), len(bounds)-2)
		a, b := binary.BigEndian.Uint64(bounds[i][:8]), binary.BigEndian.Uint64(bounds[i+1][:8])
		var out [16]byte
		binary.BigEndian.PutUint64(out[:8], a+uint64((at-float64(i))*float64(b-a)))
		binary.BigEndian.PutUint64(out[8:], mix(math.Float64bits(place)^w.key))
		return out
	}}
}

// octets are uuids.
type octets struct{ at func(row int64) [16]byte }

func (o octets) binary(dst []byte, row int64) []byte {
	b := o.at(row)
	return append(dst, b[:]...)
}

func (o octets) text(dst []byte, row int64) []byte {
	b := o.at(row)
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}

// profiledAddress keeps single IPv4 addresses where production's are.
func (w *want) profiledAddress(s figures) source {
	l := &line{}
	for _, list := range []struct {
		text string
		into *[]int64
	}{{s.stats.Common, &l.common}, {s.stats.Bounds, &l.bounds}} {
		for _, v := range splitArray(list.text) {
			a, err := netip.ParseAddr(v)
			if err != nil || !a.Is4() {
				return w.repeated(s)
			}
			raw := a.As4()
			*list.into = append(*list.into, int64(binary.BigEndian.Uint32(raw[:])))
		}
	}
	if len(l.common) == 0 && len(l.bounds) < 2 {
		return w.repeated(s)
	}
	l.places, l.order = placed(l.common, l.bounds, func(a, b int64) int { return int(a - b) }, partOf)
	s.places, s.order, s.bounds = l.places, l.order, len(l.bounds)
	d := newDistribution(s, w.key, w.from, w.to)
	if d == nil {
		return nil
	}
	return hosts{at: func(row int64) uint32 { return uint32(l.value(d.at(row))) }}
}

// hosts are single IPv4 addresses in columns of type inet.
type hosts struct{ at func(row int64) uint32 }

func (h hosts) binary(dst []byte, row int64) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 2, 32, 0, 4), h.at(row)) // 2 is IPv4
}

func (h hosts) text(dst []byte, row int64) []byte {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], h.at(row))
	return netip.AddrFrom4(b).AppendTo(dst)
}

// profiledArray draws as many elements as production's arrays have, common ones as
// often as they are, none twice.
func (w *want) profiledArray(s figures) source {
	st := s.stats
	elem := *w.c
	elem.Base, elem.OID, elem.Elem, elem.ElemOID, elem.Typmod = w.c.Elem, w.c.ElemOID, "", 0, -1
	var values []value
	for _, text := range splitArray(st.Elements) {
		v, err := encodeText(&elem, text)
		if err != nil {
			return nil
		}
		values = append(values, v)
	}
	if len(values) == 0 || len(st.ElementShares) < len(values) || len(st.ElementCounts) < 2 {
		return w.repeated(s)
	}
	b := bags{values: values, oid: elem.OID, key: w.key, counts: st.ElementCounts[:len(st.ElementCounts)-1]} // the last is the mean
	total := 0.0
	for i := range values {
		total += float64(st.ElementShares[i])
		b.upTo = append(b.upTo, total)
	}
	return b
}

// bags are arrays of known elements.
type bags struct {
	values []value
	upTo   []float64
	counts []float32
	oid    uint32
	key    uint64
}

// each visits the elements of a row.
func (b bags) each(row int64, visit func(value)) (n int) {
	h := noise(b.key, row)
	at := fraction(h) * float64(len(b.counts)-1)
	i := min(int(at), max(len(b.counts)-2, 0))
	size := float64(b.counts[i])
	if i+1 < len(b.counts) {
		size += (at - float64(i)) * float64(b.counts[i+1]-b.counts[i])
	}
	size = min(math.Floor(size+0.5), float64(len(b.values)))
	var seen [64]int
	total := b.upTo[len(b.upTo)-1]
	for tries := 0; n < int(size) && tries < 8*int(size)+8 && n < len(seen); tries++ {
		h = mix(h + golden)
		u, k := fraction(h)*total, 0
		for k < len(b.upTo)-1 && b.upTo[k] <= u {
			k++
		}
		twice := false
		for _, was := range seen[:n] {
			twice = twice || was == k
		}
		if !twice {
			seen[n] = k
			n++
			visit(b.values[k])
		}
	}
	return n
}

func (b bags) binary(dst []byte, row int64) []byte {
	head := len(dst)
	dst = append(dst, 0, 0, 0, 1, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, b.oid)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 1)
	n := b.each(row, func(v value) {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(v.bin)))
		dst = append(dst, v.bin...)
	})
	if n == 0 {
		dst[head+3] = 0
		return dst[:head+12]
	}
	binary.BigEndian.PutUint32(dst[head+12:], uint32(n))
	return dst
}

func (b bags) text(dst []byte, row int64) []byte {
	dst = append(dst, '{')
	first := true
	b.each(row, func(v value) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		from := len(dst)
		dst = quoteElement(append(dst, v.txt...), from)
	})
	return append(dst, '}')
}

var rangeBases = []string{"int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"}

// profiledRange takes lower ends and lengths from their histograms.
func (w *want) profiledRange(s figures) source {
	st := s.stats
	f, unit := map[string]form{"int4range": int4, "int8range": int8, "daterange": date, "tsrange": timestamp, "tstzrange": timestamptz}[w.c.Base], 1.0
	if w.c.Base == "numrange" {
		return nil
	}
	if f == timestamp || f == timestamptz {
		unit = 1e6 // lengths are in seconds
	}
	lengths, empty := []float64{}, 0.0
	for _, v := range splitArray(st.RangeLengths) {
		n, err := strconv.ParseFloat(v, 64)
		if err != nil || math.IsInf(n, 0) {
			n = -1
		}
		lengths = append(lengths, n*unit)
	}
	if st.RangeEmpty != nil {
		empty = float64(*st.RangeEmpty)
	}
	var lows []int64
	for _, v := range splitArray(st.RangeBounds) {
		low, _, ok := rangeEnds(v)
		if !ok || low == "" {
			continue
		}
		n, ok := onLine(low, f, 0)
		if !ok {
			return nil
		}
		lows = append(lows, n)
	}
	if len(lows) < 2 || len(lengths) < 2 {
		return nil
	}
	return spans{key: w.key, lows: &line{bounds: lows}, lengths: lengths, empty: empty, end: numbers{form: f}}
}

// spans are ranges with an included lower end.
type spans struct {
	key     uint64
	lows    *line
	lengths []float64 // below 0 without end
	empty   float64
	end     numbers
}

func (s spans) ends(row int64) (low, high int64, open, empty bool) {
	h := noise(s.key, row)
	if fraction(mix(h^golden)) < s.empty {
		return 0, 0, false, true
	}
	low = s.lows.between(fraction(h))
	at := fraction(mix(h+golden)) * float64(len(s.lengths)-1)
	i := int(at)
	length := s.lengths[i] + (at-float64(i))*(s.lengths[i+1]-s.lengths[i])
	if s.lengths[i] < 0 || s.lengths[i+1] < 0 {
		return low, 0, true, false
	}
	return low, low + max(int64(math.Round(length)), 1), false, false
}

func (s spans) one(v int64) numbers {
	n := s.end
	n.draw = func(int64) int64 { return v }
	return n
}

func (s spans) binary(dst []byte, row int64) []byte {
	low, high, open, empty := s.ends(row)
	switch { // flags of rangetypes.h
	case empty:
		return append(dst, 0x01)
	case open:
		return appendSized(append(dst, 0x02|0x10), s.one(low), row)
	}
	return appendSized(appendSized(append(dst, 0x02), s.one(low), row), s.one(high), row)
}

func (s spans) text(dst []byte, row int64) []byte {
	low, high, open, empty := s.ends(row)
	if empty {
		return append(dst, "empty"...)
	}
	quote := func(dst []byte, v int64) []byte {
		if s.end.form == timestamp || s.end.form == timestamptz {
			return append(s.one(v).text(append(dst, '"'), row), '"')
		}
		return s.one(v).text(dst, row)
	}
	dst = append(quote(append(dst, '['), low), ',')
	if !open {
		dst = quote(dst, high)
	}
	return append(dst, ')')
}
