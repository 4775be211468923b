package postgres

import (
	"math"
	"slices"
	"sort"
)

// nest lays the rows of a child out parent by parent, numbered within each, as the
// lines of an order are: a composite key of a foreign key that follows the order on
// disk and of a small number. How many rows a parent has comes from the numbers' shares:
// as many parents have a k-th row as rows have the number k.
type nest struct {
	starts []int64 // of the parents in one block, which repeats; the last is the block's rows
	from   int64
}

// newNest lays out a part and says how many parents it takes.
func newNest(fans []int64, order shuffle, p *part) (n *nest, parents int64) {
	n = &nest{from: p.from, starts: []int64{0}}
	for i := range int64(blockParents) {
		n.starts = append(n.starts, n.starts[i]+fans[order.of(i)])
	}
	if p.to == p.from {
		return n, 0
	}
	last, _ := n.of(p.to - 1)
	return n, last + 1
}

// blockParents is how many parents a block has; it holds the shares to a thousandth.
const blockParents = 1000

func (n *nest) of(row int64) (parent, line int64) {
	size := n.starts[len(n.starts)-1]
	block, at := (row-n.from)/size, (row-n.from)%size
	k := sort.Search(len(n.starts)-1, func(i int) bool { return n.starts[i+1] > at })
	return block*int64(len(n.starts)-1) + int64(k), at - n.starts[k]
}

// nested reports whether it took the key's columns.
func (b *builder) nested(k Key, dims []dimension) bool {
	if len(dims) != 2 || b.p.from > 0 {
		return false
	}
	f, c := dims[0], dims[1]
	if f.column >= 0 {
		f, c = c, f
	}
	if f.column >= 0 || c.column < 0 || !c.elastic || len(b.t.def.Foreign[f.foreign].Columns) != 1 {
		return false
	}
	pointing, counting := b.stats(b.t.def.Foreign[f.foreign].Columns[0]), b.stats(b.t.def.Columns[c.column].Name)
	if pointing == nil || counting == nil || pointing.Correlation == nil || *pointing.Correlation < 0.9 || b.t.def.Columns[c.column].Base == "date" {
		return false
	}
	fans, first, ok := fansOf(counting)
	if !ok {
		return false
	}
	order := newShuffle(subkey(b.r.options.Seed, b.t.def.Name, k.Name), blockParents)
	n, parents := newNest(fans, order, b.p)
	// Shares come from a sample: a few rows more for each parent may be needed to fit.
	for i := 0; parents > f.size && i < blockParents/20; i++ {
		fans[blockParents-1-i]++
		n, parents = newNest(fans, order, b.p)
	}
	if parents > f.size {
		return false
	}
	low, size := f.low, f.size
	b.picks[f.foreign] = func(row int64) int64 {
		parent, _ := n.of(row)
		return low + parent*size/max(parents, 1) // every parent once: there are at least as many
	}
	if min := limitsOf(b.t.def, &b.t.def.Columns[c.column]).min; min != nil {
		first -= int64(*min) // a digit is counted from there
	} else {
		first--
	}
	b.digits[c.column] = func(row int64) int64 { _, line := n.of(row); return line }
	b.from[c.column] = first
	return true
}

// fansOf are the numbers of rows that a block's parents have, and the first number.
func fansOf(st *ColumnStats) (fans []int64, first int64, ok bool) {
	l, ok := newLine(st, int8, 0)
	if !ok || len(l.common) == 0 || len(l.bounds) > 0 {
		return nil, 0, false
	}
	first = l.common[l.order[0]]
	most := 0.0
	var shares []float64 // of first, first+1, …
	for _, i := range l.order {
		if l.common[i] != first+int64(len(shares)) {
			return nil, 0, false
		}
		shares = append(shares, float64(st.CommonShares[i]))
	}
	most = slices.Max(shares)
	fans = make([]int64, blockParents)
	for i := range fans {
		rank := (float64(i) + 0.5) / blockParents
		for _, s := range shares {
			if s/most > rank {
				fans[i]++
			}
		}
		fans[i] = max(fans[i], 1)
	}
	return fans, first, math.Abs(shares[0]-most) < 0.02
}
