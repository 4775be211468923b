package drive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/premortem/premortem"
)

// maxText is how much of one text of a JSON recording is kept: bodies of pictures and
// films stand in it, and nothing is looked for behind so much text.
const maxText = 1 << 20

// textLimit passes JSON on, with each text cut at maxText bytes, and remembers where its
// lines end. So a recording of any size can be decoded one entry at a time.
type textLimit struct {
	r       io.Reader
	buf     []byte
	in      bool // inside a text
	escaped bool
	n       int     // length of the text so far
	hex     int     // digits of a \u escape still to come
	passed  int64   // bytes passed on
	ends    []int64 // of lines, in bytes passed on, that line has not counted
	lines   int
	total   int64 // bytes read
}

func (t *textLimit) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if t.buf == nil {
		t.buf = make([]byte, 32<<10)
	}
	for {
		n, err := t.r.Read(t.buf[:min(len(t.buf), len(p))])
		t.total += int64(n)
		out := 0
		for _, c := range t.buf[:n] {
			if t.pass(c) {
				p[out] = c
				out++
				if t.passed++; c == '\n' {
					t.ends = append(t.ends, t.passed)
				}
			} else if c == '\n' {
				t.ends = append(t.ends, t.passed)
			}
		}
		if out > 0 || err != nil {
			return out, err
		}
	}
}

// pass reports whether a byte is passed on. An escape is never cut in two.
func (t *textLimit) pass(c byte) bool {
	if !t.in {
		if c == '"' {
			t.in, t.n = true, 0
		}
		return true
	}
	t.n++
	switch {
	case t.escaped:
		t.escaped = false
		if c == 'u' {
			t.hex = 4
		}
	case t.hex > 0:
		t.hex--
	case c == '\\':
		t.escaped = true
		if t.n > maxText {
			t.n = 1 << 40
		}
	case c == '"':
		t.in = false
		return true
	}
	if t.n > maxText && t.n < 1<<40 && !t.escaped && t.hex == 0 {
		t.n = 1 << 40 // from here on nothing
		return true
	}
	return t.n < 1<<40
}

// line is the line of an offset that only grows from call to call.
func (t *textLimit) line(offset int64) int {
	i := 0
	for i < len(t.ends) && t.ends[i] <= offset {
		i++
	}
	t.lines += i
	t.ends = append(t.ends[:0], t.ends[i:]...)
	return t.lines + 1
}

// jsonStream walks through a JSON document without holding it.
type jsonStream struct {
	file string
	text *textLimit
	dec  *json.Decoder
	what string
}

func newJSONStream(s Source, what string) *jsonStream {
	t := &textLimit{r: s.Reader}
	return &jsonStream{file: s.Path, text: t, dec: json.NewDecoder(t), what: what}
}

func (j *jsonStream) pos() premortem.Pos {
	return premortem.Pos{File: j.file, Line: j.text.line(j.dec.InputOffset())}
}

// fail says in which line the document stops making sense.
func (j *jsonStream) fail(err error, hint string) error {
	pos := j.pos()
	var se *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the file ends in the middle")
		pos.Line = j.text.line(j.text.passed - 1)
	case errors.As(err, &se):
		pos.Line = j.text.line(se.Offset)
	}
	return &premortem.Error{Doing: "read " + j.what, Pos: pos, Err: err, Hint: hint}
}

// object calls each for every key of the object that comes next; each must take the
// value, with skip where it is of no use.
func (j *jsonStream) object(each func(key string) error) error {
	if err := j.open('{'); err != nil {
		return err
	}
	for j.dec.More() {
		tok, err := j.dec.Token()
		if err != nil {
			return err
		}
		if err := each(tok.(string)); err != nil {
			return err
		}
	}
	_, err := j.dec.Token()
	return err
}

// array calls each before every element of the array that comes next.
func (j *jsonStream) array(ctx context.Context, each func() error) error {
	if err := j.open('['); err != nil {
		return err
	}
	for j.dec.More() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := each(); err != nil {
			return err
		}
	}
	_, err := j.dec.Token()
	return err
}

func (j *jsonStream) open(want json.Delim) error {
	tok, err := j.dec.Token()
	if err != nil {
		return err
	}
	if d, ok := tok.(json.Delim); !ok || d != want {
		return fmt.Errorf("%q expected, not %.40v", want.String(), tok)
	}
	return nil
}

// skip passes over the value that comes next, whatever its size.
func (j *jsonStream) skip() error {
	depth := 0
	for {
		tok, err := j.dec.Token()
		if err != nil {
			return err
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// hasKeys reports whether a head looks like a JSON object that has these keys somewhere.
func hasKeys(head []byte, keys ...string) bool {
	if t := bytes.TrimLeft(head, " \t\r\n"); len(t) == 0 || t[0] != '{' {
		return false
	}
	for _, k := range keys {
		if !bytes.Contains(head, []byte(`"`+k+`"`)) {
			return false
		}
	}
	return true
}
