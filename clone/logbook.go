package clone

import (
	"bufio"
	"bytes"
	"cmp"
	"io"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// LogBook collects the output lines of a service's units: the last ones in memory,
// all of them in a file when it has one, each to whoever follows.
type LogBook struct {
	mu     sync.Mutex
	file   *os.File
	buf    *bufio.Writer
	last   [][]byte // at most keepLines
	follow []func(line []byte)
	mask   *strings.Replacer // nil masks nothing
}

const (
	keepLines = 60
	maxLine   = 64 << 10 // a longer line is cut
)

// shortest is the fewest bytes that a secret must have to be masked: a shorter one
// would hide half the log.
const shortest = 6

// newLogBook makes a book that writes *** for each of secrets.
func newLogBook(path string, secrets []string) (*LogBook, error) {
	b := &LogBook{mask: masker(secrets)}
	if path == "" {
		return b, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	b.file, b.buf = f, bufio.NewWriterSize(f, 64<<10)
	return b, nil
}

// masker replaces each secret, also as it looks inside of JSON or a URL; the longest
// first, so that one which contains another is hidden whole.
func masker(secrets []string) *strings.Replacer {
	var all []string
	for _, s := range secrets {
		if s = strings.TrimSpace(s); len(s) < shortest {
			continue
		}
		quoted := strings.Trim(strconv.Quote(s), `"`)
		all = append(all, s, quoted, url.QueryEscape(s), url.PathEscape(s))
		for line := range strings.Lines(s) { // a key of several lines comes line by line
			if line = strings.TrimSpace(line); len(line) >= shortest {
				all = append(all, line)
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, s := range slices.Compact(all) {
		pairs = append(pairs, s, "***")
	}
	if len(pairs) == 0 {
		return nil
	}
	return strings.NewReplacer(pairs...)
}

// copy reads lines until r ends, and gives each to also after masking.
func (b *LogBook) copy(r io.Reader, also func(line []byte)) {
	br := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := br.ReadSlice('\n')
		if len(line) > 0 {
			line = b.write(bytes.TrimRight(line, "\r\n"))
			if also != nil {
				also(line)
			}
		}
		for err == bufio.ErrBufferFull { // drop the rest of a line that is too long
			_, err = br.ReadSlice('\n')
		}
		if err != nil {
			return
		}
	}
}

// write masks the line, stores it and returns it as it was stored.
func (b *LogBook) write(line []byte) []byte {
	if b.mask != nil {
		line = []byte(b.mask.Replace(string(line)))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf != nil {
		_, _ = b.buf.Write(line) // a full disk loses log lines, not the run
		_ = b.buf.WriteByte('\n')
	}
	if len(b.last) == keepLines {
		b.last = append(b.last[:0], b.last[1:]...)
	}
	b.last = append(b.last, bytes.Clone(line))
	for _, f := range b.follow {
		if f != nil {
			f(line)
		}
	}
	return line
}

// Follow calls f for each further line until stop is called. f must not keep the
// slice and must not block.
func (b *LogBook) Follow(f func(line []byte)) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := len(b.follow)
	b.follow = append(b.follow, f)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.follow[i] = nil
	}
}

// Last returns the latest lines, oldest first, at most n.
func (b *LogBook) Last(n int) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, l := range b.last[max(0, len(b.last)-n):] {
		out = append(out, string(l))
	}
	return slices.Clip(out)
}

func (b *LogBook) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file == nil {
		return nil
	}
	_ = b.buf.Flush()
	err := b.file.Close()
	b.file, b.buf = nil, nil
	return err
}
