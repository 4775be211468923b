package read

import "strings"

// lines are the lines of a text, found without a copy of each. The zero value has
// none; an empty text has one.
type lines struct {
	src    string
	starts []int32 // where each begins
}

func linesOf(src string) lines {
	l := lines{src: src, starts: make([]int32, 1, strings.Count(src, "\n")+1)}
	for at := 0; ; {
		n := strings.IndexByte(src[at:], '\n')
		if n < 0 {
			return l
		}
		at += n + 1
		l.starts = append(l.starts, int32(at))
	}
}

func (l lines) len() int { return len(l.starts) }

// at returns a line, counted from 1, without its end. It is "" for one that is not
// there.
func (l lines) at(n int) string {
	if n < 1 || n > len(l.starts) {
		return ""
	}
	from := int(l.starts[n-1])
	if n < len(l.starts) {
		return l.src[from : l.starts[n]-1]
	}
	return l.src[from:]
}
