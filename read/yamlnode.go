package read

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

const (
	maxDepth = 200     // nesting of a YAML document
	maxNodes = 500_000 // nodes after aliases are expanded: no file of people has more
)

var yamlLine = regexp.MustCompile(`line (\d+)`)

// parseYAML returns the documents of a YAML file as nodes with positions. It
// refuses documents that nest or expand beyond what people write.
func parseYAML(f File) ([]*yaml.Node, error) {
	var docs []*yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(f.Data))
	lines := bytes.Count(f.Data, []byte("\n")) + 1
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			pos := premortem.Pos{File: f.Path, Line: 1}
			if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
				n, _ := strconv.Atoi(m[1])
				pos.Line = min(max(n, 1), lines)
			}
			return docs, &premortem.Error{Doing: "parse YAML", Pos: pos, Err: plainYAMLError(err)}
		}
		if _, err := expanded(&doc, 0, map[*yaml.Node]int{}); err != nil {
			return docs, &premortem.Error{Doing: "parse YAML", Pos: premortem.Pos{File: f.Path, Line: 1}, Err: err}
		}
		if len(doc.Content) == 1 && doc.Content[0].Tag != "!!null" {
			docs = append(docs, doc.Content[0])
		}
	}
}

// plainYAMLError drops the library's name and the line, which the position says.
func plainYAMLError(err error) error {
	s := strings.TrimPrefix(err.Error(), "yaml: ")
	if i := strings.Index(s, ": "); strings.HasPrefix(s, "line ") && i > 0 {
		s = s[i+2:]
	}
	return errors.New(s)
}

// expanded counts the nodes of a document with its aliases written out.
func expanded(n *yaml.Node, depth int, seen map[*yaml.Node]int) (int, error) {
	if depth > maxDepth {
		return 0, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		return expanded(n.Alias, depth+1, seen)
	}
	if c, ok := seen[n]; ok {
		if c < 0 {
			return 0, errors.New("an alias contains itself")
		}
		return c, nil
	}
	seen[n] = -1
	total := 1
	for _, c := range n.Content {
		k, err := expanded(c, depth+1, seen)
		if err != nil {
			return 0, err
		}
		if total += k; total > maxNodes {
			return 0, fmt.Errorf("its aliases expand to more than %d nodes", maxNodes)
		}
	}
	seen[n] = total
	return total, nil
}

// deref follows an alias.
func deref(n *yaml.Node) *yaml.Node {
	for i := 0; n != nil && n.Kind == yaml.AliasNode && i < maxDepth; i++ {
		n = n.Alias
	}
	return n
}

// entry is one key of a mapping.
type entry struct {
	key   *yaml.Node
	value *yaml.Node
}

// entries returns the keys of a mapping in the order of the file, those of merge
// keys last, nil for anything but a mapping.
func entries(n *yaml.Node) []entry {
	n = deref(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	var out, merged []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Value == "<<" && k.Tag == "!!merge" {
			m := deref(v)
			if m != nil && m.Kind == yaml.SequenceNode {
				for _, c := range m.Content {
					merged = append(merged, entries(c)...)
				}
			} else {
				merged = append(merged, entries(v)...)
			}
			continue
		}
		out = append(out, entry{k, v})
	}
	return append(out, merged...)
}

// pair returns one key of a mapping, the last of that name, nils when it is absent.
func pair(n *yaml.Node, key string) (k, v *yaml.Node) {
	es := entries(n)
	for _, e := range es {
		if e.key.Value == key {
			return e.key, deref(e.value)
		}
	}
	return nil, nil
}

// field walks a path of mapping keys, nil when a step is absent.
func field(n *yaml.Node, path ...string) *yaml.Node {
	n = deref(n)
	for _, p := range path {
		if n == nil {
			return nil
		}
		_, n = pair(n, p)
	}
	return n
}

// items returns the elements of a sequence, nil for anything else.
func items(n *yaml.Node) []*yaml.Node {
	n = deref(n)
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	out := make([]*yaml.Node, len(n.Content))
	for i, c := range n.Content {
		out[i] = deref(c)
	}
	return out
}

// text returns a scalar's text, "" for anything else and for null.
func text(n *yaml.Node) string {
	n = deref(n)
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

// texts returns the scalars of a sequence, or a single scalar as a list of one.
func texts(n *yaml.Node) []string {
	if s := text(n); s != "" {
		return []string{s}
	}
	var out []string
	for _, i := range items(n) {
		out = append(out, text(i))
	}
	return out
}

// at returns a node's place.
func at(file string, n *yaml.Node) premortem.Pos {
	if n == nil || n.Line < 1 {
		return premortem.Pos{File: file, Line: 1}
	}
	return premortem.Pos{File: file, Line: n.Line}
}
