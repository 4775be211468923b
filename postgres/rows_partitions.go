package postgres

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// confined keeps a partition key inside of the partitions: rows outside of them would be
// refused. What is inside stays; what is outside moves to where its rank belongs.
func (b *builder) confined(w *want, st *ColumnStats, src source) (source, error) {
	c, ok := b.t.def.Confined[w.c.Name]
	if !ok || len(c.Spans) == 0 {
		return src, nil // lists are limits like those of check constraints
	}
	f, scale, isLine := w.lineForm(&ColumnStats{})
	n, isNumbers := src.(numbers)
	if !isLine || src != nil && !isNumbers {
		b.r.note("%s.%s: rows are not kept inside of the partitions; values of type %s are not understood there", b.t.def.Name, w.c.Name, w.c.Type)
		return src, nil
	}
	u, err := newUnion(c.Spans, f, scale)
	if err != nil {
		return nil, planError(b.t.def, w.c.Name, "declare values for the partition key", "%w", err)
	}
	if w.c.Sequence != "" || w.c.Identity != "" {
		if !u.holds(w.from+1+w.shift) || !u.holds(w.to+w.shift) {
			return nil, planError(b.t.def, w.c.Name, "add partitions, or declare fewer rows", "its numbers up to %s are outside of the partitions", commas(w.to+w.shift))
		}
		return src, nil
	}
	key, from, rows := w.key, w.from, max(w.to-w.from, 1)
	rising := st == nil && (f == date || f == timestamp || f == timestamptz) && !w.unique
	draw := n.draw
	n.draw = func(row int64) int64 {
		if !rising {
			if v := draw(row); u.holds(v) {
				return v
			}
			return u.at(fraction(noise(key, row)))
		}
		return u.at((float64(row-from) + fraction(noise(key, row))) / float64(rows))
	}
	return n, nil
}

// union is a set of ranges of whole numbers, sorted and apart.
type union struct {
	spans [][2]int64 // from and behind
	total float64
}

func newUnion(texts [][2]string, f form, scale int) (*union, error) {
	wide := int64(1_000_000)
	switch f {
	case date:
		wide = int64(span / (24 * time.Hour))
	case timestamp, timestamptz:
		wide = span.Microseconds()
	}
	u := &union{}
	for _, t := range texts {
		low, okLow := onLine(t[0], f, scale)
		high, okHigh := onLine(t[1], f, scale)
		if t[0] != "" && !okLow || t[1] != "" && !okHigh {
			return nil, fmt.Errorf("the partition from %s to %s is not understood", t[0], t[1])
		}
		switch {
		case t[0] == "" && t[1] == "":
			low, high = 0, wide
		case t[0] == "":
			low = high - wide
		case t[1] == "":
			high = low + wide
		}
		u.spans = append(u.spans, [2]int64{low, high})
	}
	slices.SortFunc(u.spans, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	for _, s := range u.spans {
		u.total += float64(s[1] - s[0])
	}
	return u, nil
}

func (u *union) holds(v int64) bool {
	return slices.ContainsFunc(u.spans, func(s [2]int64) bool { return s[0] <= v && v < s[1] })
}

// at is the number at a rank from 0 to 1.
func (u *union) at(rank float64) int64 {
	at := rank * u.total
	for _, s := range u.spans {
		if wide := float64(s[1] - s[0]); at < wide {
			return min(s[0]+int64(math.Floor(at)), s[1]-1)
		} else {
			at -= wide
		}
	}
	return u.spans[len(u.spans)-1][1] - 1
}
