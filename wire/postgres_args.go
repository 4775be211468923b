package wire

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"time"
)

// bindArgs reads the values of a Bind, from the formats on, as text. ok is false when
// the message was cut.
func bindArgs(b []byte, oids []uint32) (args []string, ok bool) {
	formats, b, ok := counted(b, 2)
	if !ok || len(b) < 2 {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	for i := range n {
		if len(b) < 4 {
			return nil, false
		}
		size := int32(binary.BigEndian.Uint32(b))
		b = b[4:]
		if size < 0 {
			args = append(args, `\N`)
			continue
		}
		if int64(size) > int64(len(b)) {
			return nil, false
		}
		var oid uint32
		if i < len(oids) {
			oid = oids[i]
		}
		if binaryFormat(formats, i) {
			args = append(args, binaryText(b[:size], oid))
		} else {
			args = append(args, string(b[:size]))
		}
		b = b[size:]
	}
	return args, true
}

// counted splits off a 16-bit count and as many items.
func counted(b []byte, size int) (items, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b)) * size
	if len(b) < 2+n {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}

// binaryFormat reports the format of the i-th value: none given is text for all, one
// given counts for all.
func binaryFormat(formats []byte, i int) bool {
	switch {
	case len(formats) == 0:
		return false
	case len(formats) == 2:
		i = 0
	case len(formats) < 2*i+2:
		return false
	}
	return binary.BigEndian.Uint16(formats[2*i:]) == 1
}

// binaryText writes a binary value as PostgreSQL would print it. Types it does not know
// become hex, in the form of a bytea.
func binaryText(b []byte, oid uint32) string {
	u := uint64(0)
	if len(b) <= 8 {
		for _, c := range b {
			u = u<<8 | uint64(c)
		}
	}
	size := len(b)
	switch {
	case oid == 16 && size == 1: // bool
		return strconv.FormatBool(b[0] != 0)
	case oid == 21 && size == 2:
		return strconv.FormatInt(int64(int16(u)), 10)
	case oid == 23 && size == 4:
		return strconv.FormatInt(int64(int32(u)), 10)
	case oid == 20 && size == 8:
		return strconv.FormatInt(int64(u), 10)
	case oid == 26 && size == 4: // oid
		return strconv.FormatUint(u, 10)
	case oid == 700 && size == 4:
		return strconv.FormatFloat(float64(math.Float32frombits(uint32(u))), 'g', -1, 32)
	case oid == 701 && size == 8:
		return strconv.FormatFloat(math.Float64frombits(u), 'g', -1, 64)
	case oid == 2950 && size == 16: // uuid
		h := hex.EncodeToString(b)
		return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
	case oid == 1114 && size == 8, oid == 1184 && size == 8: // timestamp, with time zone
		return pgTime(int64(u), oid == 1184)
	case oid == 1082 && size == 4: // date
		return pgEpoch.AddDate(0, 0, int(int32(u))).Format("2006-01-02")
	case oid == 3802 && size > 0: // jsonb: a version byte, then the text
		return string(b[1:])
	case oid == 25, oid == 1043, oid == 1042, oid == 18, oid == 19, oid == 114, oid == 142: // text and its kin
		return string(b)
	}
	return `\x` + hex.EncodeToString(b)
}

var pgEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// pgTime prints microseconds since 2000.
func pgTime(us int64, zone bool) string {
	switch us {
	case math.MaxInt64:
		return "infinity"
	case math.MinInt64:
		return "-infinity"
	}
	t := time.Unix(pgEpoch.Unix()+us/1e6, us%1e6*1e3).UTC()
	if zone {
		return t.Format("2006-01-02 15:04:05.999999Z07:00")
	}
	return t.Format("2006-01-02 15:04:05.999999")
}
