package postgres

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"
)

// source makes the values of one column. Both forms of a row's value are the same
// value; both are pure functions of the row, which is counted from 0.
type source interface {
	binary(dst []byte, row int64) []byte // as COPY BINARY wants it, without its length
	text(dst []byte, row int64) []byte   // as PostgreSQL prints it
}

// draw makes the number of a row.
type draw func(row int64) int64

// form is how a number is written.
type form uint8

const (
	int2 form = iota
	int4
	int8
	float4
	float8
	numeric
	money     // in hundredths
	date      // days since 2000
	timestamp // microseconds since 2000
	timestamptz
	clock // microseconds since midnight
	clocktz
	interval // microseconds
	boolean
	digits // a number in a text column
)

// numbers writes drawn numbers; those of form float, numeric and digits are divided
// by ten to the power of scale.
type numbers struct {
	draw  draw
	form  form
	scale int
}

// epoch is where PostgreSQL's times start.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (n numbers) binary(dst []byte, row int64) []byte {
	v := n.draw(row)
	switch n.form {
	case int2:
		return binary.BigEndian.AppendUint16(dst, uint16(v))
	case int4, date:
		return binary.BigEndian.AppendUint32(dst, uint32(v))
	case float4:
		return binary.BigEndian.AppendUint32(dst, math.Float32bits(float32(float64(v)/pow10(n.scale))))
	case float8:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(float64(v)/pow10(n.scale)))
	case numeric:
		return appendNumeric(dst, v, n.scale)
	case clocktz:
		dst = binary.BigEndian.AppendUint64(dst, uint64(v))
		return append(dst, 0, 0, 0, 0) // UTC
	case interval:
		dst = binary.BigEndian.AppendUint64(dst, uint64(v))
		return append(dst, 0, 0, 0, 0, 0, 0, 0, 0) // no days, no months
	case boolean:
		return append(dst, byte(v))
	case digits:
		return appendDecimal(dst, v, n.scale)
	}
	return binary.BigEndian.AppendUint64(dst, uint64(v))
}

func (n numbers) text(dst []byte, row int64) []byte {
	v := n.draw(row)
	switch n.form {
	case float4:
		return strconv.AppendFloat(dst, float64(float32(float64(v)/pow10(n.scale))), 'g', -1, 32)
	case float8:
		return strconv.AppendFloat(dst, float64(v)/pow10(n.scale), 'g', -1, 64)
	case numeric, digits:
		return appendDecimal(dst, v, n.scale)
	case money:
		return appendDecimal(append(dst, '$'), v, 2)
	case date:
		return epoch.AddDate(0, 0, int(v)).AppendFormat(dst, "2006-01-02")
	case timestamp:
		return appendTime(dst, v)
	case timestamptz:
		return append(appendTime(dst, v), "+00"...)
	case clock:
		return epoch.Add(time.Duration(v)*time.Microsecond).AppendFormat(dst, "15:04:05.999999")
	case clocktz:
		return append(epoch.Add(time.Duration(v)*time.Microsecond).AppendFormat(dst, "15:04:05.999999"), "+00"...)
	case interval:
		return appendInterval(dst, v)
	case boolean:
		if v != 0 {
			return append(dst, 't')
		}
		return append(dst, 'f')
	}
	return strconv.AppendInt(dst, v, 10)
}

func appendTime(dst []byte, micros int64) []byte {
	return epoch.Add(time.Duration(micros)*time.Microsecond).AppendFormat(dst, "2006-01-02 15:04:05.999999")
}

func appendInterval(dst []byte, micros int64) []byte {
	s := micros / 1e6
	for i, part := range [3]int64{s / 3600, s / 60 % 60, s % 60} {
		if i > 0 {
			dst = append(dst, ':')
		}
		if part < 10 {
			dst = append(dst, '0')
		}
		dst = strconv.AppendInt(dst, part, 10)
	}
	return dst
}

var powers = [...]int64{1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

func pow10(n int) float64 { return float64(powers[n]) }

func appendDecimal(dst []byte, v int64, scale int) []byte {
	if v < 0 {
		dst, v = append(dst, '-'), -v
	}
	p := powers[scale]
	dst = strconv.AppendInt(dst, v/p, 10)
	if scale == 0 {
		return dst
	}
	dst = append(dst, '.')
	for p, v = p/10, v%p; p > 0; p /= 10 {
		dst = append(dst, byte('0'+v/p%10))
	}
	return dst
}

// appendNumeric writes numeric's binary form: digits to base 10000 with the weight
// of the first, a sign and the number of decimals to show.
func appendNumeric(dst []byte, v int64, scale int) []byte {
	sign := uint16(0)
	if v < 0 {
		sign, v = 0x4000, -v
	}
	whole, part := v/powers[scale], v%powers[scale]
	groups := (scale + 3) / 4
	if pad := groups*4 - scale; pad > 0 {
		part *= powers[pad]
	}
	var d [10]uint16 // an int64 has at most five groups on either side
	n := len(d)
	for range groups {
		n--
		d[n] = uint16(part % 10000)
		part /= 10000
	}
	for ; whole > 0; whole /= 10000 {
		n--
		d[n] = uint16(whole % 10000)
	}
	used := d[n:]
	weight := len(used) - groups - 1
	for len(used) > 0 && used[0] == 0 {
		used, weight = used[1:], weight-1
	}
	for len(used) > 0 && used[len(used)-1] == 0 {
		used = used[:len(used)-1]
	}
	if len(used) == 0 {
		weight = 0
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(used)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(weight))
	dst = binary.BigEndian.AppendUint16(dst, sign)
	dst = binary.BigEndian.AppendUint16(dst, uint16(scale))
	for _, g := range used {
		dst = binary.BigEndian.AppendUint16(dst, g)
	}
	return dst
}

// write appends the text of a row.
type write func(dst []byte, row int64) []byte

// texts are values whose two forms are the same bytes, cut to max characters; all
// of them are ASCII. jsonb has a version byte in front.
type texts struct {
	write write
	max   int // 0 unlimited
	jsonb bool
}

func (t texts) binary(dst []byte, row int64) []byte {
	if t.jsonb {
		dst = append(dst, 1)
	}
	return t.text(dst, row)
}

func (t texts) text(dst []byte, row int64) []byte {
	from := len(dst)
	dst = t.write(dst, row)
	if t.max > 0 && len(dst)-from > t.max {
		dst = dst[:from+t.max]
	}
	return dst
}

// value is one value in both forms.
type value struct{ bin, txt []byte }

// choice draws from few values.
type choice struct {
	values []value
	draw   draw
}

func (c choice) binary(dst []byte, row int64) []byte {
	return append(dst, c.values[c.draw(row)].bin...)
}
func (c choice) text(dst []byte, row int64) []byte { return append(dst, c.values[c.draw(row)].txt...) }

// uuids are random (version 4) and unique: their second half is a bijection of the
// row but for six fixed bits, the first one of it all.
type uuids struct{ key uint64 }

func (u uuids) bytes(row int64) (b [16]byte) {
	h := noise(u.key, row)
	binary.BigEndian.PutUint64(b[:8], h)
	binary.BigEndian.PutUint64(b[8:], mix(h^u.key))
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return b
}

func (u uuids) binary(dst []byte, row int64) []byte {
	b := u.bytes(row)
	return append(dst, b[:]...)
}

func (u uuids) text(dst []byte, row int64) []byte {
	b := u.bytes(row)
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// addresses are IPv4 of the ranges that documentation and benchmarks may use.
type addresses struct {
	key  uint64
	cidr bool
}

func (a addresses) bytes(row int64) [4]byte {
	h := noise(a.key, row)
	return [4]byte{198, byte(18 + h&1), byte(h >> 8), byte(h >> 16)} // RFC 2544
}

func (a addresses) binary(dst []byte, row int64) []byte {
	b, cidr := a.bytes(row), byte(0)
	if a.cidr {
		cidr = 1
	}
	return append(dst, 2, 32, cidr, 4, b[0], b[1], b[2], b[3]) // 2 is IPv4
}

func (a addresses) text(dst []byte, row int64) []byte {
	for i, part := range a.bytes(row) {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = strconv.AppendUint(dst, uint64(part), 10)
	}
	if a.cidr {
		dst = append(dst, "/32"...)
	}
	return dst
}

// blobs are bytes that do not compress.
type blobs struct {
	key  uint64
	size int
}

func (b blobs) binary(dst []byte, row int64) []byte {
	h := noise(b.key, row)
	for i := 0; i < b.size; i++ {
		if i%8 == 0 && i > 0 {
			h = mix(h + golden)
		}
		dst = append(dst, byte(h>>(i%8*8)))
	}
	return dst
}

func (b blobs) text(dst []byte, row int64) []byte {
	dst = append(dst, '\\', 'x')
	for _, c := range b.binary(nil, row) {
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}

// arrays hold up to most values of elem without repeats of a row's own element
// number; the elements of a row are those of rows far away.
type arrays struct {
	elem source
	oid  uint32
	most int64
	key  uint64
}

func (a arrays) elements(row int64) (first, n int64) {
	h := noise(a.key, row)
	return int64(h>>32) * a.most, below(h, a.most+1)
}

func (a arrays) binary(dst []byte, row int64) []byte {
	first, n := a.elements(row)
	if n == 0 {
		dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
		return binary.BigEndian.AppendUint32(dst, a.oid)
	}
	dst = append(dst, 0, 0, 0, 1, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, a.oid)
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	dst = append(dst, 0, 0, 0, 1)
	for i := range n {
		dst = appendSized(dst, a.elem, first+i)
	}
	return dst
}

func (a arrays) text(dst []byte, row int64) []byte {
	first, n := a.elements(row)
	dst = append(dst, '{')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		from := len(dst)
		dst = a.elem.text(dst, first+i)
		dst = quoteElement(dst, from)
	}
	return append(dst, '}')
}

// quoteElement quotes the array element that starts at from when it must be.
func quoteElement(dst []byte, from int) []byte {
	plain := len(dst) > from
	for _, c := range dst[from:] {
		plain = plain && c != ' ' && c != '"' && c != '\\' && c != ',' && c != '{' && c != '}'
	}
	if plain {
		return dst
	}
	raw := string(dst[from:])
	dst = append(dst[:from], '"')
	for i := range len(raw) {
		if raw[i] == '"' || raw[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, raw[i])
	}
	return append(dst, '"')
}

// appendSized writes a value with its length in front.
func appendSized(dst []byte, s source, row int64) []byte {
	at := len(dst)
	dst = s.binary(append(dst, 0, 0, 0, 0), row)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}
