package postgres

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgtype"
)

// textLike types take the same bytes in both forms.
var textLike = []string{"text", "varchar", "bpchar", "citext", "name", "json", "xml", "unknown"}

func isEnum(c *Column) bool { return c.Elem == "" && len(c.Labels) > 0 }

// encodeText turns a text into a column's binary form.
func encodeText(c *Column, text string) (value, error) {
	switch {
	case slices.Contains(textLike, c.Base):
		return value{[]byte(text), []byte(text)}, nil
	case isEnum(c):
		if !slices.Contains(c.Labels, text) {
			return value{}, fmt.Errorf("%q is not one of %s", text, strings.Join(c.Labels, ", "))
		}
		return value{[]byte(text), []byte(text)}, nil
	case c.Base == "jsonb":
		return value{append([]byte{1}, text...), []byte(text)}, nil
	}
	m := pgtype.NewMap()
	typ, ok := m.TypeForOID(c.OID)
	if !ok {
		return value{}, fmt.Errorf("values of type %s cannot be written", c.Type)
	}
	v, err := typ.Codec.DecodeValue(m, c.OID, pgtype.TextFormatCode, []byte(text))
	if err != nil {
		return value{}, fmt.Errorf("%q is no %s: %w", text, c.Type, err)
	}
	bin, err := m.Encode(c.OID, pgtype.BinaryFormatCode, v, nil)
	if err != nil {
		return value{}, fmt.Errorf("%q is no %s: %w", text, c.Type, err)
	}
	return value{bin, []byte(text)}, nil
}

// newTemplate makes the source of a declared template and tries it on the first and
// the last row, so that what does not fit is found before anything is loaded.
func newTemplate(t *Table, c *Column, text string, p *part) (source, error) {
	pieces := strings.Split(text, "${id}")
	if at := strings.Index(strings.Join(pieces, ""), "${"); at >= 0 {
		return nil, planError(t, c.Name, "only ${id}, the row's number, can be used", "the template %q holds something else than ${id}", text)
	}
	w := func(dst []byte, row int64) []byte {
		for i, piece := range pieces {
			if i > 0 {
				dst = strconv.AppendInt(dst, row+1+p.shift, 10)
			}
			dst = append(dst, piece...)
		}
		return dst
	}
	for _, row := range []int64{p.from, max(p.to-1, p.from)} {
		made := w(nil, row)
		if _, err := encodeText(c, string(made)); err != nil {
			return nil, planError(t, c.Name, "correct the template", "%w", err)
		}
		if most := limitsOf(t, c).chars; most > 0 && len([]rune(string(made))) > most {
			return nil, planError(t, c.Name, "shorten the template", "%q has more than %d characters", made, most)
		}
	}
	switch {
	case len(pieces) == 1:
		v, err := encodeText(c, text)
		if err != nil {
			return nil, planError(t, c.Name, "correct the template", "%w", err)
		}
		return choice{values: []value{v}, draw: func(int64) int64 { return 0 }}, nil
	case slices.Contains(textLike, c.Base), isEnum(c), c.Base == "jsonb":
		return texts{write: w, jsonb: c.Base == "jsonb"}, nil
	case text == "${id}" && integerForm(c) >= 0:
		shift := p.shift
		return numbers{draw: func(row int64) int64 { return row + 1 + shift }, form: form(integerForm(c))}, nil
	}
	return parsed{c: c, write: w, mu: &sync.Mutex{}}, nil
}

func integerForm(c *Column) int {
	switch c.Base {
	case "int2":
		return int(int2)
	case "int4", "oid":
		return int(int4)
	case "int8":
		return int(int8)
	}
	return -1
}

// parsed writes a template of a type that must be parsed for every row.
type parsed struct {
	c     *Column
	write write
	mu    *sync.Mutex
}

func (p parsed) binary(dst []byte, row int64) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, err := encodeText(p.c, string(p.write(nil, row)))
	if err != nil {
		return dst // the server refuses an empty value and names the column
	}
	return append(dst, v.bin...)
}

func (p parsed) text(dst []byte, row int64) []byte { return p.write(dst, row) }
