package premortem

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Pos is a place in the repository: a slash-separated path relative to its root
// and a line counted from 1. The zero Pos means that nobody wrote the value down.
type Pos struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// Known reports whether somebody wrote it down.
func (p Pos) Known() bool { return p.File != "" }

func (p Pos) String() string {
	switch {
	case p.File == "":
		return "(not written)"
	case p.Line == 0:
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

// Compare orders positions by file, then line.
func (p Pos) Compare(q Pos) int {
	if c := strings.Compare(p.File, q.File); c != 0 {
		return c
	}
	return p.Line - q.Line
}

// Setting is a value together with the line that set it. The zero Setting means
// that the repository is silent, which is not the same as the value 0.
type Setting[T any] struct {
	Value T
	Pos   Pos
}

// At makes a Setting.
func At[T any](v T, file string, line int) Setting[T] {
	return Setting[T]{Value: v, Pos: Pos{File: file, Line: line}}
}

// Set reports whether the repository says anything.
func (s Setting[T]) Set() bool { return s.Pos.Known() }

// Or returns the value, or def when the repository is silent.
func (s Setting[T]) Or(def T) T {
	if s.Set() {
		return s.Value
	}
	return def
}

// MarshalJSON writes null for a silent repository, else {"value": …, "pos": …}.
func (s Setting[T]) MarshalJSON() ([]byte, error) {
	if !s.Set() {
		return []byte("null"), nil
	}
	return json.Marshal(struct {
		Value T   `json:"value"`
		Pos   Pos `json:"pos"`
	}{s.Value, s.Pos})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Setting[T]) UnmarshalJSON(b []byte) error {
	var v *struct {
		Value T   `json:"value"`
		Pos   Pos `json:"pos"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("setting: %w", err)
	}
	*s = Setting[T]{}
	if v != nil {
		s.Value, s.Pos = v.Value, v.Pos
	}
	return nil
}
