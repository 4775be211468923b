package clone

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"slices"
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
}

const (
	keepLines = 60
	maxLine   = 64 << 10 // a longer line is cut
)

func newLogBook(path string) (*LogBook, error) {
	b := &LogBook{}
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

// copy reads lines until r ends.
func (b *LogBook) copy(r io.Reader) {
	br := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := br.ReadSlice('\n')
		if len(line) > 0 {
			b.write(bytes.TrimRight(line, "\r\n"))
		}
		for err == bufio.ErrBufferFull { // drop the rest of a line that is too long
			_, err = br.ReadSlice('\n')
		}
		if err != nil {
			return
		}
	}
}

func (b *LogBook) write(line []byte) {
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
