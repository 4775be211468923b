package drive

import (
	"fmt"
	"net/url"
	"strings"
)

// place says where a text stands, and with that how a value is written into it.
type place int

const (
	inPath place = iota
	inQuery
	inHeader
	inJSON // inside a JSON string
	inForm // application/x-www-form-urlencoded
	inRaw
)

// part is a piece of a template: literal bytes, or a hole for a value.
type part struct {
	lit   string
	table *table // hole for a column of the session's row
	col   string
	kept  int // hole for a kept value when table is nil and lit is ""
	where place
}

// template is a text with holes. A template without holes has one part at most.
type template []part

func (t template) fixed() bool {
	for _, p := range t {
		if p.lit == "" {
			return false
		}
	}
	return true
}

// add appends literal text, joining it with literal text before it.
func (t template) add(lit string) template {
	if lit == "" {
		return t
	}
	if n := len(t); n > 0 && t[n-1].lit != "" {
		t[n-1].lit += lit
		return t
	}
	return append(t, part{lit: lit})
}

// join appends a part of another template.
func (t template) join(p part) template {
	if p.lit != "" {
		return t.add(p.lit)
	}
	return append(t, p)
}

// lookup finds what a reference names; it fills in table and col, or kept.
type lookup func(ref string) (part, error)

// parse cuts text at its ${…} references.
func parse(text string, where place, find lookup) (template, error) {
	var t template
	for text != "" {
		i := strings.Index(text, "${")
		if i < 0 {
			return t.add(literal(text, where)), nil
		}
		if where == inPath && strings.Contains(text[:i], "?") {
			t = t.add(literal(text[:i], inPath))
			where = inQuery
		} else {
			t = t.add(literal(text[:i], where))
		}
		n := strings.IndexByte(text[i:], '}')
		if n < 0 {
			return nil, fmt.Errorf("%q is not closed", text[i:])
		}
		p, err := find(text[i+2 : i+n])
		if err != nil {
			return nil, err
		}
		p.where = where
		t = append(t, p)
		text = text[i+n+1:]
	}
	return t, nil
}

// literal makes bytes that may not stand in a request line safe; people write paths
// as they look in a browser.
func literal(text string, where place) string {
	if where != inPath && where != inQuery {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"<>\^`+"`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// render appends the text with the session's values filled in.
func (t template) render(dst []byte, s *session) ([]byte, error) {
	for i := range t {
		p := &t[i]
		if p.lit != "" {
			dst = append(dst, p.lit...)
			continue
		}
		v, err := s.value(p)
		if err != nil {
			return dst, err
		}
		dst, err = appendValue(dst, v, p.where)
		if err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendValue(dst []byte, v string, where place) ([]byte, error) {
	switch where {
	case inPath:
		return append(dst, url.PathEscape(v)...), nil
	case inQuery, inForm:
		return append(dst, url.QueryEscape(v)...), nil
	case inHeader:
		if strings.ContainsAny(v, "\r\n\x00") {
			return dst, errHeaderValue
		}
		return append(dst, v...), nil
	case inJSON:
		return appendJSON(dst, v), nil
	}
	return append(dst, v...), nil
}

// appendJSON writes v as the inside of a JSON string (RFC 8259, section 7).
func appendJSON(dst []byte, v string) []byte {
	const hex = "0123456789abcdef"
	for i := range len(v) {
		switch c := v[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
