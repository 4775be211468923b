package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/check"
)

const (
	baselineName   = "baseline.json"
	baselineSchema = "premortem/baseline/v1"
)

// baseline is .premortem/baseline.json: the findings that were there when somebody
// decided to look at new ones only. One finding stands on one line, so that a change
// to it reads well; it holds no date, no line number and no path of a machine.
type baseline struct {
	Schema   string           `json:"schema"`
	Findings []check.Accepted `json:"findings"`
}

// readBaseline returns what the baseline accepts, with the line of each entry;
// nothing when there is none.
func readBaseline(dir string) ([]check.Accepted, error) {
	name := filepath.Join(dir, stateFolder, baselineName)
	data, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, &premortem.Error{Doing: "read the baseline", Err: err}
	}
	hint := "repair it, or write it again: premortem check --baseline-update"
	var b baseline
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return nil, &premortem.Error{Doing: "read " + name, Err: err, Hint: hint}
	}
	if b.Schema != baselineSchema {
		return nil, &premortem.Error{Doing: "read " + name, Err: fmt.Errorf("its schema is %q, not %q", b.Schema, baselineSchema), Hint: hint}
	}
	placed(b.Findings, data)
	return b.Findings, nil
}

// placed gives each entry its line, which is that of its position in the list.
func placed(accepted []check.Accepted, data []byte) {
	file, line := path.Join(stateFolder, baselineName), 1
	d := json.NewDecoder(bytes.NewReader(data))
	at := func() int { return 1 + bytes.Count(data[:d.InputOffset()], []byte("\n")) }
	i, depth := 0, 0
	for {
		t, err := d.Token()
		if err != nil {
			return
		}
		delim, ok := t.(json.Delim)
		switch {
		case !ok:
		case delim == '{' || delim == '[':
			if depth++; depth == 3 && delim == '{' && i < len(accepted) {
				line = at()
				accepted[i].Pos = premortem.Pos{File: file, Line: line}
				i++
			}
		default:
			depth--
		}
	}
}

// accept writes what stands today into the baseline.
func (p *program) accept(dir string, rules []*check.Rule, w wish) error {
	sys, err := p.look(dir, w)
	if err != nil {
		return err
	}
	earlier, err := readBaseline(dir)
	if err != nil && w.only != nil {
		return err // entries of other rules would be lost
	}
	found := judged(sys, check.Run(sys, rules), rules, w, nil)
	if err := ended(p.ctx); err != nil {
		return err
	}
	accepted := check.Accept(found, earlier, rules)
	name := filepath.Join(dir, stateFolder, baselineName)
	if err := writeBaseline(dir, accepted); err != nil {
		return &premortem.Error{Doing: "write " + name, Err: err}
	}
	was := map[string]bool{}
	for _, a := range earlier {
		was[a.Key()] = true
	}
	kept := 0
	for _, a := range accepted {
		if was[a.Key()] {
			kept++
		}
	}
	fmt.Fprintf(p.out, "wrote %s: %s accepted, %d of them new, %d dropped; commit it\n",
		name, counted(len(accepted), "finding"), len(accepted)-kept, len(earlier)-kept)
	return nil
}

func writeBaseline(dir string, accepted []check.Accepted) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n  \"schema\": %q,\n  \"findings\": [", baselineSchema)
	for i, a := range accepted {
		if i > 0 {
			b.WriteByte(',')
		}
		var line bytes.Buffer
		enc := json.NewEncoder(&line)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(a); err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n    %s", bytes.TrimSpace(line.Bytes()))
	}
	if len(accepted) > 0 {
		b.WriteString("\n  ")
	}
	b.WriteString("]\n}\n")
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(stateFolder, 0o755); err != nil {
		return err
	}
	return replace(root, path.Join(stateFolder, baselineName), b.Bytes(), 0o644)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
