package postgres

import (
	"cmp"
	"math"
	"slices"
)

// index gives a grown index its size and what stands in its meta page.
func (w *grower) index(r, old *RelationStats) {
	table := [2]string{old.TableSchema, old.Table}
	g := w.factor(table)
	switch old.Method {
	case "btree":
		w.tree(r, old, g)
	case "hash":
		if g != 1 {
			r.Blocks = w.hashBlocks(old, g)
			r.Pages = r.Blocks
		}
	case "gin":
		if old.GIN != nil { // the entries stay, their lists of rows grow
			gin := *old.GIN
			gin.Total = int64(math.Round(float64(gin.Total) * g))
			gin.Data = max(0, gin.Total-1-gin.Entry-gin.Pending)
			r.GIN = &gin
		}
	case "brin":
		if i, ok := w.at[table]; ok && g != 1 {
			r.Blocks = w.brinBlocks(old, w.now.Relations[i].Blocks, g)
			r.Pages, r.Revmap = r.Blocks, nil // it follows from the heap's size
		}
	}
}

// tree sizes a B-tree by its leaves; the pages above follow from them.
func (w *grower) tree(r, old *RelationStats, g float64) {
	if g == 1 || old.Blocks < 2 {
		return
	}
	width := w.keyWidth(old)
	leaves := max(1, math.Floor(float64(old.Blocks-1)/(1+1/fanout(width, 0.70))))
	before, after, known := w.rowBytes(old, g)
	// The last leaf is about half full, or as full as the rows say.
	full := leaves - 0.5
	if model := max(old.Rows, 0) * before / leafBytes; known && model <= leaves {
		full = max(model, leaves-0.99)
	}
	grown := max(1, math.Ceil(full*g*after/before-0.01))
	above := 0.0
	for level := grown; level > 1; {
		level = math.Ceil(level / fanout(width, 0.70))
		above += level
	}
	r.Blocks = min(1+int64(grown+above), maxBlocks)
	r.Pages = r.Blocks
	if old.Height == nil {
		return
	}
	height := grownHeight(old.Blocks, r.Blocks, width, *old.Height)
	if old.Primary { // made before the rows: it grew by inserts
		height = max(*old.Height, insertedHeight(grown, width))
	}
	r.Height = &height
}

// leafBytes is what a leaf page of a B-tree holds at its default fill of 90 %.
const leafBytes = 8152 * 0.9

// insertedHeight is the height of a tree that grew by inserts: its root is split only
// when it is full.
func insertedHeight(leaves, keyWidth float64) int {
	height := 0
	for level := leaves; level > 1; height++ {
		if level <= fanout(keyWidth, 1) {
			return height + 1
		}
		level = math.Ceil(level / fanout(keyWidth, 0.70))
	}
	return height
}

// Of a hash index (hash.h): tuples per bucket at which it splits, tuples on a page, and
// the number of doublings that are not done in four steps.
const (
	hashFill, hashPage = 307, 407
	wholeDoublings     = 9
)

// hashBuckets is how many buckets a hash index of so many rows has: the next power of
// two, or beyond 512 the next quarter of one.
func hashBuckets(rows float64) float64 {
	need := max(rows/hashFill, 2)
	power := math.Exp2(math.Ceil(math.Log2(need)))
	if power <= 1<<wholeDoublings {
		return power
	}
	return power / 2 * (1 + math.Ceil((need/(power/2)-1)*4)/4)
}

// hashBlocks are meta page, bitmap, buckets, and the pages of values that have more
// rows than a bucket holds.
func (w *grower) hashBlocks(old *RelationStats, g float64) int64 {
	rows := max(old.Rows, 0)
	before := max(float64(old.Blocks)-2-hashBuckets(rows), 0)
	now, grown := w.keyGroups(old, g)
	was, is := overflow(now, rows), overflow(grown, rows*g)
	if was > 0 {
		is *= max(before, 1) / was
	}
	return min(int64(math.Round(2+hashBuckets(rows*g)+max(is, 0))), maxBlocks)
}

func overflow(groups []valueGroup, rows float64) float64 {
	sum := 0.0
	for _, v := range groups {
		sum += v.values * max(0, math.Ceil(v.share*rows/hashPage)-1)
	}
	return sum
}

// keyGroups are the values of an index's only column before and after, nil when it has
// another key or no statistics.
func (w *grower) keyGroups(old *RelationStats, g float64) (now, grown []valueGroup) {
	if len(old.Keys) != 1 || old.Keys[0] < 1 {
		return nil, nil
	}
	key := placeKey{old.TableSchema, old.Table, old.Keys[0]}
	a := w.attr[key]
	for i := range w.old.Columns {
		c := &w.old.Columns[i]
		if c.Inherited || (placeKey{c.Schema, c.Table, c.Number}) != key {
			continue
		}
		aim := w.target
		if a != nil && a.Target > 0 {
			aim = float64(a.Target)
		}
		now = w.spread(c, w.rows[[2]string{old.TableSchema, old.Table}], aim)
		switch w.classify(c, a) {
		case foreignColumn:
			return now, later(now, w.factor(w.foreign[[3]string{c.Schema, c.Table, a.Name}]))
		case ratioColumn, keyColumn:
			return now, later(now, g)
		}
		return now, now
	}
	return nil, nil
}

// brinBlocks are meta page, range map and a summary of each range.
func (w *grower) brinBlocks(old *RelationStats, heap int64, g float64) int64 {
	ranges := math.Ceil(float64(heap) / float64(pagesPerRange(old.Options)))
	summary := math.Ceil(ranges * (4 + align8(8+2*w.keyWidth(old))) / (blockSize - 32))
	last := lastRevmap(heap, pagesPerRange(old.Options))
	before := int64(1)
	if old.Revmap != nil {
		before = *old.Revmap
	}
	return 1 + last + int64(max(summary, math.Round(float64(old.Blocks-2-before)*g), 1))
}

// keyWidth is the bytes of an index's key columns; those of 8 bytes are aligned.
func (w *grower) keyWidth(r *RelationStats) float64 {
	total := 0.0
	for i, number := range r.Keys[:min(r.KeyColumns, len(r.Keys))] {
		width := cmp.Or(w.width[placeKey{r.TableSchema, r.Table, number}], w.width[placeKey{r.Schema, r.Name, i + 1}], 8)
		if width == 8 {
			total = align8(total)
		}
		total += width
	}
	return total
}

// rowBytes is what a row takes in the leaves of a B-tree before and after: from 13 on
// the rows of one key share a tuple, so that a row takes less when keys repeat more.
// known is false when it is only the ratio that means something.
func (w *grower) rowBytes(old *RelationStats, g float64) (before, after float64, known bool) {
	width := w.keyWidth(old)
	single := entryBytes(width, 1)
	switch {
	case old.Unique:
		return single, single, true
	case w.old.Server.Major() < 13:
		return single, single, old.KeyColumns == 1
	case old.KeyColumns != 1 || len(old.Keys) != 1 || old.Keys[0] < 1:
		return single, single, false
	}
	key := placeKey{old.TableSchema, old.Table, old.Keys[0]}
	a := w.attr[key]
	if a != nil && !deduplicates(a) {
		return single, single, true
	}
	now, grown := w.keyGroups(old, g)
	if now == nil {
		return single, single, false
	}
	rows := w.rows[[2]string{old.TableSchema, old.Table}]
	before, after = meanBytes(now, rows, width), meanBytes(grown, rows*g, width)
	return before, after, !old.Partial || before > 0.95*single // the repeats among a part of the rows are not known
}

// meanBytes is the mean over all rows of what a row takes in the leaves.
func meanBytes(groups []valueGroup, rows, keyWidth float64) float64 {
	sum, share := 0.0, 0.0
	for _, v := range groups {
		sum += v.values * v.share * entryBytes(keyWidth, v.share*rows)
		share += v.values * v.share
	}
	if share == 0 {
		return entryBytes(keyWidth, 1)
	}
	return sum / share
}

// deduplicates reports whether equal keys of a type have equal bytes (btree's
// equalimage support function).
func deduplicates(a *AttributeStats) bool {
	return !slices.Contains([]string{"numeric", "real", "double precision", "jsonb"}, bareType(a.Type)) && a.Category != "A" && a.Kind != "r"
}

// entryBytes are the leaf bytes per row of a deduplicated B-tree: repeated keys share
// one list of up to about 130 row pointers of 6 bytes.
func entryBytes(keyWidth, repeats float64) float64 {
	single := align8(8+keyWidth) + 4
	if repeats < 1.5 {
		return single
	}
	n := min(repeats, 130)
	return min(single, (align8(8+keyWidth+6*n)+4)/n)
}
