package drive

import (
	"bytes"
	"html"
	"strings"
)

// inBody reports whether the value is taken from the body.
func (k *keep) inBody() bool { return k.path != nil || k.pattern != nil || k.tag != "" }

// attribute finds the value that a page gives to the input, or the content it gives to
// the meta element, of a name. A page is not parsed: elements inside comments and
// scripts count, which no page that works has twice under one name.
func attribute(page []byte, tag, name string) (string, bool) {
	want := "value"
	if tag == "meta" {
		want = "content"
	}
	for len(page) > 0 {
		i := bytes.IndexByte(page, '<')
		if i < 0 {
			return "", false
		}
		page = page[i+1:]
		if len(page) <= len(tag) || !is(page[:len(tag)], tag) || !space(page[len(tag)]) {
			continue
		}
		attrs, rest := attributes(page[len(tag):])
		page = rest
		if attrs["name"] == name {
			v, ok := attrs[want]
			return v, ok
		}
	}
	return "", false
}

// attributes reads an element's attributes up to its end (HTML, section 13.1.2.3). Of
// two with one name the first counts.
func attributes(p []byte) (map[string]string, []byte) {
	out := map[string]string{}
	for {
		p = bytes.TrimLeft(p, " \t\r\n\f/")
		if len(p) == 0 || p[0] == '>' {
			return out, p
		}
		n := bytes.IndexAny(p, " \t\r\n\f/>=")
		if n < 0 {
			return out, nil
		}
		if n == 0 { // a = without a name
			p = p[1:]
			continue
		}
		key := strings.ToLower(string(p[:n]))
		p = bytes.TrimLeft(p[n:], " \t\r\n\f")
		value := ""
		if len(p) > 0 && p[0] == '=' {
			value, p = attributeValue(bytes.TrimLeft(p[1:], " \t\r\n\f"))
		}
		if _, twice := out[key]; !twice {
			out[key] = html.UnescapeString(value)
		}
	}
}

func attributeValue(p []byte) (value string, rest []byte) {
	if len(p) == 0 {
		return "", nil
	}
	if q := p[0]; q == '"' || q == '\'' {
		n := bytes.IndexByte(p[1:], q)
		if n < 0 {
			return "", nil
		}
		return string(p[1 : 1+n]), p[n+2:]
	}
	n := bytes.IndexAny(p, " \t\r\n\f>")
	if n < 0 {
		return string(p), nil
	}
	return string(p[:n]), p[n:]
}

func space(c byte) bool {
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '/'
}
