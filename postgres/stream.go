package postgres

import (
	"encoding/binary"
	"io"
)

// stream writes one part of a table as COPY BINARY. It holds one buffer, however
// many rows there are.
type stream struct {
	part    *part
	columns []int // of the table, those that are written
	next    int64
	buf     []byte
	off     int
	ended   bool
	told    func(rows int64)
}

// bufferSize is about what one read takes.
const bufferSize = 64 << 10

func newStream(t *tableRows, p *part) *stream {
	s := &stream{part: p, next: p.from}
	for i := range t.def.Columns {
		if p.cells[i].src != nil {
			s.columns = append(s.columns, i)
		}
	}
	return s
}

// row appends one row.
func (s *stream) row(dst []byte, row int64) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s.columns)))
	for _, i := range s.columns {
		c := &s.part.cells[i]
		if c.null(row) {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		dst = appendSized(dst, c.src, row)
	}
	return dst
}

var header = []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	if s.off == len(s.buf) {
		if s.ended {
			return 0, io.EOF
		}
		s.fill()
	}
	n := copy(p, s.buf[s.off:])
	s.off += n
	return n, nil
}

func (s *stream) fill() {
	if s.buf == nil {
		s.buf = make([]byte, 0, bufferSize+bufferSize/4)
		s.buf = append(s.buf, header...)
	} else {
		s.buf = s.buf[:0]
	}
	s.off = 0
	for s.next < s.part.to && len(s.buf) < bufferSize-1024 {
		s.buf = s.row(s.buf, s.next)
		s.next++
	}
	if s.told != nil {
		s.told(s.next - s.part.from)
	}
	if s.next == s.part.to {
		s.buf = append(s.buf, 0xff, 0xff)
		s.ended = true
	}
}
