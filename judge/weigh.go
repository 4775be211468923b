package judge

import (
	"fmt"
	"strings"

	"github.com/premortem/premortem"
)

// Refused is what the proof of an index says that is of no use.
func Refused(why string) string { return "refused: " + why }

// Weigh adds to the proof of an index what it costs, and refuses one that did not
// help: an index that nobody needs makes every write dearer. Other fixes are left as
// they are.
func Weigh(p *premortem.Proof, f premortem.Finding) {
	try := f.Fix.Try
	if try == nil || !strings.Contains(strings.ToLower(try.SQL), "index") {
		return
	}
	if c := costSays(p.Cost); c != "" {
		p.Says += "; " + c
	}
	if !p.Worked {
		p.Says = Refused(p.Says)
	}
}

// costSays is the price of an index, "" when it was not measured. A change of less
// than a twentieth is within what a machine does by itself.
func costSays(c *premortem.WriteCost) string {
	if c == nil || c.Rows == 0 {
		return ""
	}
	part := func(what string, before, after float64) string {
		if before <= 0 {
			return ""
		}
		switch by := after/before - 1; {
		case by < 0.05:
			return what + " take no longer"
		default:
			return fmt.Sprintf("%s take %s longer", what, share(by))
		}
	}
	says := []string{fmt.Sprintf("the index takes %s", bytesOf(c.Bytes))}
	for _, s := range []string{part("inserts", c.InsertBefore, c.InsertAfter), part("updates of its columns", c.UpdateBefore, c.UpdateAfter)} {
		if s != "" {
			says = append(says, s)
		}
	}
	// An index never makes a row's log shorter: where it seems so, the first measure
	// held the full pages that follow a checkpoint, and the two do not compare.
	if c.WALBefore > 0 && c.WALAfter >= c.WALBefore {
		says = append(says, fmt.Sprintf("they log %s per row instead of %s", bytesOf(c.WALAfter/int64(c.Rows)), bytesOf(c.WALBefore/int64(c.Rows))))
	}
	return list(says)
}

// bytesOf prints a size: "11 MB".
func bytesOf(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d kB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
