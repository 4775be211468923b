package postgres

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Stored forms of extended statistics, the same from 12 to 18: statistics.h and
// mcv.c, mvdistinct.c in the server's sources. Counts of groups are absolute and
// must grow with the table; degrees of dependencies do not.
const (
	distinctMagic = 0xA352BFA4
	commonMagic   = 0xE1A651C2
)

// group is the number of distinct combinations of some columns.
type group struct {
	columns []int16
	count   float64
}

func decodeDistinct(raw []byte) ([]group, error) {
	le := binary.LittleEndian
	if len(raw) < 12 || le.Uint32(raw) != distinctMagic || le.Uint32(raw[4:]) != 1 {
		return nil, fmt.Errorf("%d bytes are no distinct counts", len(raw))
	}
	var out []group
	at := 12
	for range le.Uint32(raw[8:]) {
		if len(raw) < at+12 {
			return nil, fmt.Errorf("distinct counts end after %d bytes", len(raw))
		}
		g := group{count: math.Float64frombits(le.Uint64(raw[at:]))}
		n := int(int32(le.Uint32(raw[at+8:])))
		at += 12
		if n < 0 || n > 8 || len(raw) < at+2*n {
			return nil, fmt.Errorf("distinct counts of %d columns", n)
		}
		for range n {
			g.columns = append(g.columns, int16(le.Uint16(raw[at:])))
			at += 2
		}
		out = append(out, g)
	}
	return out, nil
}

func encodeDistinct(groups []group) []byte {
	le := binary.LittleEndian
	out := le.AppendUint32(nil, distinctMagic)
	out = le.AppendUint32(out, 1)
	out = le.AppendUint32(out, uint32(len(groups)))
	for _, g := range groups {
		out = le.AppendUint64(out, math.Float64bits(g.count))
		out = le.AppendUint32(out, uint32(len(g.columns)))
		for _, c := range g.columns {
			out = le.AppendUint16(out, uint16(c))
		}
	}
	return out
}

// translateCommon replaces the object ids of types, and of labels in enum columns, by
// those of another database. Ids that are in neither map stay.
func translateCommon(raw []byte, types, labels map[uint32]uint32) ([]byte, error) {
	le := binary.LittleEndian
	raw = append([]byte(nil), raw...)
	if len(raw) < 14 || le.Uint32(raw) != commonMagic || le.Uint32(raw[4:]) != 1 {
		return nil, fmt.Errorf("%d bytes are no list of common combinations", len(raw))
	}
	dims := int(le.Uint16(raw[12:]))
	info := 14 + 4*dims // then 20 bytes of each column, then the values of each
	at := info + 20*dims
	if dims > 8 || len(raw) < at {
		return nil, fmt.Errorf("a list of common combinations of %d columns", dims)
	}
	for d := range dims {
		old := le.Uint32(raw[14+4*d:])
		facts := raw[info+20*d:]
		values, bytes, length, byValue := int(le.Uint32(facts)), int(le.Uint32(facts[4:])), int(int32(le.Uint32(facts[12:]))), facts[16] != 0
		if values < 0 || bytes < 0 || len(raw) < at+bytes {
			return nil, fmt.Errorf("common values of %d bytes", bytes)
		}
		if now, ok := types[old]; ok {
			le.PutUint32(raw[14+4*d:], now)
			for i := 0; byValue && length == 4 && i < values && 4*i+4 <= bytes; i++ {
				if label, ok := labels[le.Uint32(raw[at+4*i:])]; ok {
					le.PutUint32(raw[at+4*i:], label)
				}
			}
		}
		at += bytes
	}
	return raw, nil
}
