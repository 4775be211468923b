package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"syscall"
)

// Page layout of a stock build, little endian, PostgreSQL 12 to 18: bufpage.h,
// nbtree.h, ginblock.h, brin_page.h in the server's sources.
const (
	blockSize     = 8192
	segmentBlocks = 131072 // RELSEG_SIZE: blocks in each file of 1 GiB
	pageHeader    = 24
	treeSpecial   = blockSize - 16 // BTPageOpaqueData
	treeMagic     = 0x053162
	brinMagic     = 0xA8109CFA
	leafFlag      = 1
	rootFlag      = 2
	maxBlocks     = math.MaxUint32 - 1
)

// stretch gives a relation's files exactly so many blocks. New ones are holes: they
// take no disk and read as empty pages. Nobody may use the relation meanwhile.
func stretch(path string, blocks int64, who account) error {
	blocks = min(blocks, maxBlocks)
	for segment := 0; segment == 0 || blocks > 0; segment++ {
		name := path
		if segment > 0 {
			name = fmt.Sprintf("%s.%d", path, segment)
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		take := min(blocks, segmentBlocks)
		err = f.Truncate(take * blockSize)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if segment > 0 {
			if err := who.own(name); err != nil {
				return err
			}
		}
		blocks -= take
	}
	return nil
}

// treePage is an internal page of a B-tree with one child, or an empty leaf for
// child 0. The planner reads only the level in the meta page, but the executor's
// look for the smallest and largest key walks the tree, so it must be a valid one.
func treePage(level uint32, flags uint16, child uint32) []byte {
	page := make([]byte, blockSize)
	le := binary.LittleEndian
	lower, upper := uint16(pageHeader), uint16(treeSpecial)
	if child != 0 {
		// One pivot tuple without a key, "minus infinity": the child's block and the
		// length with the alternative-tuple bit.
		lower, upper = pageHeader+4, treeSpecial-8
		le.PutUint32(page[pageHeader:], uint32(upper)|1<<15|8<<17)
		le.PutUint16(page[upper:], uint16(child>>16))
		le.PutUint16(page[upper+2:], uint16(child))
		le.PutUint16(page[upper+6:], 8|0x2000)
	}
	le.PutUint16(page[12:], lower)
	le.PutUint16(page[14:], upper)
	le.PutUint16(page[16:], treeSpecial)
	le.PutUint16(page[18:], blockSize|4)
	le.PutUint32(page[treeSpecial+8:], level)
	le.PutUint16(page[treeSpecial+12:], flags)
	return page
}

// raiseTree puts single-child pages above the root of a small B-tree until it has
// the height, and returns the smallest number of blocks that it may have then.
func raiseTree(path string, height uint32) (int64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	blocks, err := raise(f, height)
	return blocks, errors.Join(err, f.Close())
}

func raise(f *os.File, height uint32) (int64, error) {
	meta := make([]byte, blockSize)
	if _, err := f.ReadAt(meta, 0); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	if le.Uint32(meta[pageHeader:]) != treeMagic || le.Uint32(meta[pageHeader+4:]) < 4 {
		return 0, fmt.Errorf("%s is no B-tree of version 4", f.Name())
	}
	root, level := le.Uint32(meta[pageHeader+8:]), le.Uint32(meta[pageHeader+12:])
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	next := uint32(max(info.Size()/blockSize, 1))
	write := func(page []byte) error {
		_, err := f.WriteAt(page, int64(next)*blockSize)
		root = next
		next++
		return err
	}
	if root == 0 { // empty: it has no leaf yet
		flags := uint16(leafFlag)
		if height == 0 {
			flags |= rootFlag
		}
		level = 0
		if err := write(treePage(0, flags, 0)); err != nil {
			return 0, err
		}
	} else if height > level {
		if err := demote(f, root); err != nil {
			return 0, err
		}
	}
	for level < height {
		level++
		flags := uint16(0)
		if level == height {
			flags = rootFlag
		}
		if err := write(treePage(level, flags, root)); err != nil {
			return 0, err
		}
	}
	for i, v := range []uint32{root, level, root, level} { // root and "fast root"
		le.PutUint32(meta[pageHeader+8+4*i:], v)
	}
	_, err = f.WriteAt(meta, 0)
	return int64(next), err
}

// demote takes the root's mark from a page.
func demote(f *os.File, block uint32) error {
	at := int64(block)*blockSize + treeSpecial + 12
	var flags [2]byte
	if _, err := f.ReadAt(flags[:], at); err != nil {
		return err
	}
	flags[0] &^= rootFlag
	_, err := f.WriteAt(flags[:], at)
	return err
}

// editMeta changes the first page of an index.
func editMeta(path string, edit func(meta []byte) error) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	meta := make([]byte, blockSize)
	_, err = f.ReadAt(meta, 0)
	if err == nil {
		err = edit(meta[pageHeader:])
	}
	if err == nil {
		_, err = f.WriteAt(meta, 0)
	}
	return errors.Join(err, f.Close())
}

// writeGIN writes the counters that ginGetStats reads (GinMetaPageData).
func writeGIN(path string, g GINStats) error {
	return editMeta(path, func(meta []byte) error {
		le := binary.LittleEndian
		le.PutUint32(meta[12:], uint32(g.Pending))
		le.PutUint32(meta[24:], uint32(g.Total))
		le.PutUint32(meta[28:], uint32(g.Entry))
		le.PutUint32(meta[32:], uint32(g.Data))
		le.PutUint64(meta[40:], uint64(g.Entries))
		return nil
	})
}

// writeBRIN writes the last page of the range map, which brincostestimate charges.
func writeBRIN(path string, last int64) error {
	return editMeta(path, func(meta []byte) error {
		if binary.LittleEndian.Uint32(meta) != brinMagic {
			return fmt.Errorf("%s is no BRIN index", path)
		}
		binary.LittleEndian.PutUint32(meta[12:], uint32(last))
		return nil
	})
}

// metaFacts reads what the planner reads from an index's first page.
func metaFacts(r *RelationStats, meta []byte) {
	if len(meta) < pageHeader+48 {
		return
	}
	le, m := binary.LittleEndian, meta[pageHeader:]
	switch {
	case r.Method == "btree" && le.Uint32(m) == treeMagic:
		height := int(le.Uint32(m[20:])) // of the fast root
		r.Height = &height
	case r.Method == "gin":
		r.GIN = &GINStats{
			Pending: int64(le.Uint32(m[12:])), Total: int64(le.Uint32(m[24:])), Entry: int64(le.Uint32(m[28:])),
			Data: int64(le.Uint32(m[32:])), Entries: int64(le.Uint64(m[40:])),
		}
	case r.Method == "brin" && le.Uint32(m) == brinMagic:
		last := int64(le.Uint32(m[12:]))
		r.Revmap = &last
	}
}

// lastRevmap is the last range map page of a BRIN index: 1360 ranges fit on one, and
// block 0 is the meta page.
func lastRevmap(heapBlocks, pagesPerRange int64) int64 {
	ranges := math.Ceil(float64(heapBlocks) / float64(max(pagesPerRange, 1)))
	return max(1, int64(math.Ceil(ranges/1360)))
}

func align8(n float64) float64 { return math.Ceil(n/8) * 8 }

// fanout is how many children an internal page has: a tuple is 8 bytes of header and
// the key, with a line pointer of 4.
func fanout(keyWidth, fill float64) float64 {
	return max(2, math.Floor((blockSize-pageHeader-16)*fill/(align8(8+keyWidth)+4)))
}

// treeHeight is the height of a B-tree of that size; internal pages are about 70 %
// full. Near a boundary it can be one off, which is 0.125 of a cost per descent.
func treeHeight(blocks int64, keyWidth float64) int {
	level, height := float64(max(1, blocks-1)), 0
	for level > 1 {
		level = math.Ceil(level / fanout(keyWidth, 0.70))
		height++
	}
	return height
}

// grownHeight is the height after growth from a known one: a root in use splits only
// when it is completely full.
func grownHeight(before, after int64, keyWidth float64, height int) int {
	if treeHeight(before, keyWidth) > height && float64(after-1) <= math.Pow(fanout(keyWidth, 1), float64(height)) {
		return height
	}
	return max(height, treeHeight(after, keyWidth))
}

// diskUsed is what a folder's files really take, holes left out.
func diskUsed(dir string) (used, apparent int64, err error) {
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		apparent += info.Size()
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			used += st.Blocks * 512
		}
		return nil
	})
	return used, apparent, err
}
