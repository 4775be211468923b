package premortem

import (
	"bytes"
	"fmt"
)

// Apply returns content with the edit made. content is the file's present text,
// empty for a file that does not exist. It fails when Old is not on its line, so
// that an edit made for another revision does no harm.
func (e Edit) Apply(content []byte) ([]byte, error) {
	lines := bytes.SplitAfter(content, []byte("\n"))
	if n := len(lines); n > 0 && len(lines[n-1]) == 0 {
		lines = lines[:n-1]
	}
	i := e.Pos.Line - 1
	if e.Old == "" {
		if i < 0 || i > len(lines) {
			return nil, fmt.Errorf("%s: insert a line: the file has %d lines", e.Pos, len(lines))
		}
		if i > 0 && !bytes.HasSuffix(lines[i-1], []byte("\n")) {
			lines[i-1] = append(bytes.Clone(lines[i-1]), '\n')
		}
		text := []byte(e.New)
		if !bytes.HasSuffix(text, []byte("\n")) {
			text = append(text, '\n')
		}
		out := bytes.Join(lines[:i], nil)
		out = append(out, text...)
		return append(out, bytes.Join(lines[i:], nil)...), nil
	}
	if i < 0 || i >= len(lines) || !bytes.Contains(lines[i], []byte(e.Old)) {
		return nil, fmt.Errorf("%s: replace %q: the line does not hold it", e.Pos, e.Old)
	}
	lines[i] = bytes.Replace(lines[i], []byte(e.Old), []byte(e.New), 1)
	return bytes.Join(lines, nil), nil
}
