package postgres

import (
	"encoding/hex"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// lattice maps a family's values to whole numbers and back.
type lattice struct {
	parse  func(string) *big.Int // nil: not understood
	format func(*big.Int) string
	pinned func(*big.Int) bool // stays as it is
	moment bool                // a lone run moves back by little: the newest means "now"
}

// standing are values that are none.
var standing = []string{"infinity", "-infinity", "Infinity", "-Infinity", "NaN"}

// move gives a family's values, which form a line, their pseudonyms. Values that lie
// side by side move together; runs of them move by a keyed distance of up to a third of
// the gap to the next run, so that the order stays and no two become one. The ends move
// inward, which no type forbids. It reports false when a value is not understood.
func (m *mask) move(f *family) bool {
	var texts []string
	for v := range f.values {
		if slices.Contains(standing, v) {
			f.values[v] = v
		} else {
			texts = append(texts, v)
		}
	}
	if len(texts) == 0 {
		return true
	}
	l, ok := latticeOf(f, texts)
	if !ok {
		return false
	}
	type point struct {
		at   *big.Int
		text string
	}
	var points []point
	for _, v := range texts {
		at := l.parse(v)
		if at == nil {
			return false
		}
		points = append(points, point{at, v})
	}
	slices.SortFunc(points, func(a, b point) int {
		if c := a.at.Cmp(b.at); c != 0 {
			return c
		}
		return strings.Compare(a.text, b.text)
	})
	at := make([]*big.Int, len(points))
	for i, p := range points {
		at[i] = p.at
	}
	for i, by := range m.shifts(f, l, at) {
		f.values[points[i].text] = l.format(new(big.Int).Add(at[i], by))
	}
	return true
}

var three = big.NewInt(3)

// shifts says by how much each of the sorted numbers moves.
func (m *mask) shifts(f *family, l lattice, at []*big.Int) []*big.Int {
	out := make([]*big.Int, len(at))
	next := m.keyed(f.name, "shift")
	var before *big.Int // the last number of the run before
	for from := 0; from < len(at); {
		to := from + 1
		pinned := l.pinned(at[from])
		for to < len(at) && new(big.Int).Sub(at[to], at[to-1]).Cmp(three) < 0 {
			pinned = pinned || l.pinned(at[to])
			to++
		}
		var down, up *big.Int
		if before != nil {
			down = third(at[from], before)
		}
		if to < len(at) {
			up = third(at[to], at[to-1])
		}
		by := new(big.Int)
		if !pinned {
			by = l.keyedShift(next, down, up, at[from], at[to-1])
		}
		for i := from; i < to; i++ {
			out[i] = by
		}
		before, from = at[to-1], to
	}
	return out
}

func third(a, b *big.Int) *big.Int {
	d := new(big.Int).Sub(a, b)
	return d.Quo(d, three)
}

// keyedShift chooses a distance that is never 0; down and up are how far a run may
// move, nil at an end.
func (l lattice) keyedShift(next func() uint64, down, up, first, last *big.Int) *big.Int {
	back, most := next()&1 == 0, big.NewInt(3)
	switch {
	case down == nil && up == nil: // a lone run: towards zero, or back in time
		back = l.moment || first.Sign() > 0
		if wide := new(big.Int).Sub(last, first); l.moment {
			most = wide.Quo(wide, big.NewInt(20))
		} else {
			most = new(big.Int).Abs(first)
			most.Quo(most, big.NewInt(20))
		}
		if most.Cmp(three) < 0 {
			most = big.NewInt(3)
		}
	case down == nil:
		back, most = false, up
	case up == nil:
		back, most = true, down
	case back:
		most = down
	default:
		most = up
	}
	// 1 … most
	d := new(big.Int).SetUint64(next() >> 1)
	d.Mul(d, most).Rsh(d, 63)
	d.Add(d, big.NewInt(1))
	if d.Cmp(most) > 0 {
		d.Set(most)
	}
	if back {
		d.Neg(d)
	}
	return d
}

func latticeOf(f *family, texts []string) (lattice, bool) {
	never := func(*big.Int) bool { return false }
	switch f.kind {
	case "number":
		return numberLattice(texts)
	case "time":
		return timeLattice(texts)
	case "uuid":
		return lattice{parse: parseUUID, format: formatUUID, pinned: never}, true
	case "inet":
		return addressLattice(texts)
	}
	return lattice{}, false
}

// mostDecimals bounds the numbers that are understood.
const mostDecimals = 40

func numberLattice(texts []string) (lattice, bool) {
	scale := new(big.Int).SetInt64(1)
	decimals := 0
	for _, v := range texts {
		r, ok := new(big.Rat).SetString(v)
		if !ok || len(v) > 400 {
			return lattice{}, false
		}
		for !new(big.Rat).Mul(r, new(big.Rat).SetInt(scale)).IsInt() {
			if decimals++; decimals > mostDecimals {
				return lattice{}, false
			}
			scale.Mul(scale, big.NewInt(10))
		}
	}
	return lattice{
		parse: func(s string) *big.Int {
			r, ok := new(big.Rat).SetString(s)
			if !ok {
				return nil
			}
			return r.Mul(r, new(big.Rat).SetInt(scale)).Num()
		},
		format: func(n *big.Int) string {
			return new(big.Rat).SetFrac(n, scale).FloatString(decimals)
		},
		pinned: func(n *big.Int) bool {
			return n.Sign() == 0 || decimals == 0 && n.IsInt64() && -255 <= n.Int64() && n.Int64() <= 255
		},
	}, true
}

// timeForms are how values of times look under DateStyle ISO.
var timeForms = append(slices.Clone(times), "15:04:05.999999")

// timeLattice counts in the coarsest unit that all values share: whole days stay whole
// days.
func timeLattice(texts []string) (lattice, bool) {
	form := ""
	for _, one := range timeForms {
		if _, err := time.Parse(one, texts[0]); err == nil {
			form = one
			break
		}
	}
	unit := int64(24 * time.Hour / time.Microsecond)
	for _, v := range texts {
		t, err := time.Parse(form, v)
		if form == "" || err != nil || t.Year() > 9999 {
			return lattice{}, false
		}
		for _, finer := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second, time.Millisecond, time.Microsecond} {
			if unit = min(unit, finer.Microseconds()); t.UTC().UnixMicro()%unit == 0 {
				break
			}
		}
	}
	return lattice{
		parse: func(s string) *big.Int {
			t, err := time.Parse(form, s)
			if err != nil {
				return nil
			}
			return big.NewInt(t.UTC().UnixMicro() / unit)
		},
		format: func(n *big.Int) string { return time.UnixMicro(n.Int64() * unit).UTC().Format(form) },
		pinned: func(*big.Int) bool { return false },
		moment: true,
	}, true
}

func parseUUID(s string) *big.Int {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(raw) != 16 {
		return nil
	}
	return new(big.Int).SetBytes(raw)
}

func formatUUID(n *big.Int) string {
	var raw [16]byte
	n.FillBytes(raw[:])
	s := hex.EncodeToString(raw[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// addressLattice understands single addresses of one family.
func addressLattice(texts []string) (lattice, bool) {
	first, err := netip.ParseAddr(texts[0])
	if err != nil {
		return lattice{}, false
	}
	size := len(first.AsSlice())
	return lattice{
		parse: func(s string) *big.Int {
			a, err := netip.ParseAddr(s)
			if err != nil || len(a.AsSlice()) != size {
				return nil
			}
			return new(big.Int).SetBytes(a.AsSlice())
		},
		format: func(n *big.Int) string {
			raw := make([]byte, size)
			n.FillBytes(raw)
			a, _ := netip.AddrFromSlice(raw)
			return a.String()
		},
		pinned: func(*big.Int) bool { return false },
	}, true
}
