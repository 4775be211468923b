package drive

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// jsonNode is JSON with the keys in their order and leaves that can be replaced.
type jsonNode struct {
	kind byte // '{', '[', 's' text, 'n' number, 'l' true, false or null
	keys []string
	kids []*jsonNode
	raw  string // of a leaf: the text itself, or the number as written
	leaf *value // what stands for it in a request
}

const maxDepth = 40

// parseJSONTree reads one JSON value. ok is false for what is none, or is too deep.
func parseJSONTree(text string) (*jsonNode, bool) {
	if !json.Valid([]byte(text)) {
		return nil, false
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return jsonTree(d, 0)
}

func jsonTree(d *json.Decoder, depth int) (*jsonNode, bool) {
	tok, err := d.Token()
	if err != nil || depth > maxDepth {
		return nil, false
	}
	switch v := tok.(type) {
	case json.Delim:
		n := &jsonNode{kind: byte(v)}
		seen := map[string]int{}
		for d.More() {
			key := ""
			if v == '{' {
				k, err := d.Token()
				if err != nil {
					return nil, false
				}
				key = strings.ReplaceAll(k.(string), "${", "$ {") // what was recorded is no reference
			}
			kid, ok := jsonTree(d, depth+1)
			if !ok {
				return nil, false
			}
			if i, twice := seen[key]; twice && v == '{' {
				n.kids[i] = kid // as every reader does, the last one counts
				continue
			}
			seen[key] = len(n.kids)
			n.keys = append(n.keys, key)
			n.kids = append(n.kids, kid)
		}
		_, err := d.Token()
		return n, err == nil
	case string:
		return &jsonNode{kind: 's', raw: v}, true
	case json.Number:
		return &jsonNode{kind: 'n', raw: plainJSONNumber(v.String())}, true
	case bool:
		return &jsonNode{kind: 'l', raw: strconv.FormatBool(v)}, true
	}
	return &jsonNode{kind: 'l', raw: "null"}, true
}

// plainJSONNumber writes a number as it will come back from a YAML file.
func plainJSONNumber(s string) string {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return strconv.FormatInt(i, 10)
	}
	if u, err := strconv.ParseUint(s, 10, 64); err == nil {
		return strconv.FormatUint(u, 10)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) {
		return "0"
	}
	if f == 0 {
		return "0"
	}
	out, err := json.Marshal(f)
	if err != nil {
		return "0"
	}
	return string(out)
}

// plain is the leaf's text, "" for null, true and false.
func (n *jsonNode) plain() string {
	if n.kind == 'l' {
		return ""
	}
	return n.raw
}

// leaves calls each for every leaf with its path and the name of the field it stands in.
func (n *jsonNode) leaves(path, name string, each func(path, name string, l *jsonNode)) {
	switch n.kind {
	case '{':
		for i, k := range n.keys {
			n.kids[i].leaves(path+jsonHop(k), k, each)
		}
	case '[':
		for i, k := range n.kids {
			k.leaves(path+"["+strconv.Itoa(i)+"]", name, each)
		}
	default:
		each(path, name, n)
	}
}

// jsonHop is one step of a path as parsePath reads it.
func jsonHop(key string) string {
	plain := key != ""
	for i := range len(key) {
		c := key[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			plain = false
		}
	}
	if plain {
		return "." + key
	}
	return `["` + key + `"]`
}

// needsRaw reports whether the text cannot be written as `json:`: a number became a
// reference, or YAML would read a key in another way.
func (n *jsonNode) needsRaw() bool {
	if n.leaf != nil && n.leaf.as != "" && n.kind != 's' {
		return true
	}
	for i, k := range n.kids {
		if n.kind == '{' && (n.keys[i] == "<<" || len(n.keys[i]) > 200) || k.needsRaw() {
			return true
		}
	}
	return false
}

// text is the compact JSON with replaced leaves.
func (n *jsonNode) text() string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

func (n *jsonNode) write(b *strings.Builder) {
	switch n.kind {
	case '{', '[':
		b.WriteByte(n.kind)
		for i, k := range n.kids {
			if i > 0 {
				b.WriteByte(',')
			}
			if n.kind == '{' {
				b.WriteString(jsonText(n.keys[i]))
				b.WriteByte(':')
			}
			k.write(b)
		}
		b.WriteByte(n.kind + 2) // '}' and ']' stand two behind their openings
	case 's':
		s := strings.ReplaceAll(n.raw, "${", "$ {") // what was recorded is no reference
		if n.leaf != nil && n.leaf.as != "" {
			s = n.leaf.as
		}
		b.WriteString(jsonText(s))
	default:
		if n.leaf != nil && n.leaf.as != "" {
			b.WriteString(n.leaf.as)
			return
		}
		b.WriteString(n.raw)
	}
}

// jsonText is a text as JSON, without the escapes that only HTML needs.
func jsonText(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a text always encodes
	return strings.TrimSuffix(b.String(), "\n")
}
