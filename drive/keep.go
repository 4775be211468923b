package drive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// keep takes one value out of an answer.
type keep struct {
	name   string
	slot   int    // in flow.kept
	header string // canonical, "" none
	cookie string // "" none
	path   []hop  // through JSON, when neither
	// What a page holds: the first group of a pattern, or the value of the input (meta
	// element) with this name.
	pattern *regexp.Regexp
	tag     string // "input" or "meta"
	field   string
}

// hop is one step of a JSON path: a field, or an index when field is "".
type hop struct {
	field string
	index int
}

// parseKeep reads "$.a.b[0].c", "header:X-Id", "cookie:sid", "regex:id=(\d+)",
// "form:csrf_token" or "meta:csrf-token".
func parseKeep(k premortem.Keep) (keep, error) {
	out := keep{name: k.Name}
	if k.Name == "" || strings.HasPrefix(k.Name, "rows.") || strings.ContainsAny(k.Name, "${}") {
		return out, fmt.Errorf("keep: %q cannot be used as ${name}", k.Name)
	}
	kind, rest, _ := strings.Cut(k.From, ":")
	switch {
	case strings.HasPrefix(k.From, "$"):
		path, err := parsePath(k.From)
		out.path = path
		if err != nil {
			return out, fmt.Errorf("keep %s: %w", k.Name, err)
		}
		return out, nil
	case kind == "header" && token(rest):
		out.header = textproto.CanonicalMIMEHeaderKey(rest)
		return out, nil
	case kind == "cookie" && token(rest):
		out.cookie = rest
		return out, nil
	case kind == "form" && rest != "":
		out.tag, out.field = "input", rest
		return out, nil
	case kind == "meta" && rest != "":
		out.tag, out.field = "meta", rest
		return out, nil
	case kind == "regex" && rest != "":
		p, err := regexp.Compile(rest)
		if err != nil {
			return out, fmt.Errorf("keep %s: %w", k.Name, err)
		}
		if p.NumSubexp() == 0 {
			return out, fmt.Errorf("keep %s: %q has no group, so it keeps nothing", k.Name, rest)
		}
		out.pattern = p
		return out, nil
	}
	return out, fmt.Errorf("keep %s: %q is no place in an answer", k.Name, k.From)
}

// parsePath reads $.a, $["a"], $['a'] and $[0], in any order.
func parsePath(text string) ([]hop, error) {
	path := []hop{}
	rest := text[1:]
	for rest != "" {
		if rest[0] == '.' {
			n := strings.IndexAny(rest[1:], ".[") + 1
			if n == 0 {
				n = len(rest)
			}
			if n == 1 {
				return nil, fmt.Errorf("%q has an empty field", text)
			}
			path = append(path, hop{field: rest[1:n]})
			rest = rest[n:]
			continue
		}
		n := strings.IndexByte(rest, ']')
		if rest[0] != '[' || n < 0 {
			return nil, fmt.Errorf("%q is not a path", text)
		}
		in := rest[1:n]
		rest = rest[n+1:]
		if len(in) > 2 && (in[0] == '"' || in[0] == '\'') && in[len(in)-1] == in[0] {
			path = append(path, hop{field: in[1 : len(in)-1]})
			continue
		}
		i, err := strconv.ParseUint(in, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%q: [%s] is neither an index nor a quoted field", text, in)
		}
		path = append(path, hop{index: int(i)})
	}
	return path, nil
}

// walk follows the path through JSON. Text comes without its quotes, anything else
// as written; null and what is not there is not found.
func walk(body []byte, path []hop) (string, bool) {
	if !json.Valid(body) {
		return "", false
	}
	rest := bytes.TrimLeft(body, " \t\r\n")
	for _, h := range path {
		var ok bool
		if h.field != "" {
			rest, ok = field(rest, h.field)
		} else {
			rest, ok = element(rest, h.index)
		}
		if !ok {
			return "", false
		}
	}
	v := bytes.TrimSpace(rest[:valueEnd(rest)])
	if string(v) == "null" {
		return "", false
	}
	if v[0] != '"' {
		return string(v), true
	}
	return unquote(v)
}

func unquote(v []byte) (string, bool) {
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1]), true
	}
	var s string
	err := json.Unmarshal(v, &s)
	return s, err == nil
}

// field returns the text from the named field's value on. b is valid JSON.
func field(b []byte, name string) ([]byte, bool) {
	if b[0] != '{' {
		return nil, false
	}
	for b = after(b, 1); b[0] == '"'; {
		n := valueEnd(b)
		key, ok := unquote(b[:n])
		b = after(b, n) // at the colon
		b = after(b, 1)
		if ok && key == name {
			return b, true
		}
		b = after(b, valueEnd(b))
		if b[0] != ',' {
			break
		}
		b = after(b, 1)
	}
	return nil, false
}

// element returns the text from the i-th element on. b is valid JSON.
func element(b []byte, i int) ([]byte, bool) {
	if b[0] != '[' {
		return nil, false
	}
	for b = after(b, 1); b[0] != ']'; b = after(b, 1) {
		if i == 0 {
			return b, true
		}
		i--
		if b = after(b, valueEnd(b)); b[0] != ',' {
			break
		}
	}
	return nil, false
}

// after skips n bytes and white space. In valid JSON something follows.
func after(b []byte, n int) []byte { return bytes.TrimLeft(b[n:], " \t\r\n") }

// valueEnd is the length of the value that b starts with. b is valid JSON.
func valueEnd(b []byte) int {
	depth, text := 0, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		if text {
			if c == '\\' {
				i++
			} else if c == '"' {
				if text = false; depth == 0 {
					return i + 1
				}
			}
			continue
		}
		switch c {
		case '"':
			text = true
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // a bare value ends where its container does
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(b)
}
