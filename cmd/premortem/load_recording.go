package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/drive"
)

// listsTargets reports whether a file is a list of targets: its first line that says
// anything is a URL, or a method and one.
func listsTargets(data []byte) bool {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Fields(line)
		u, err := url.Parse(f[len(f)-1])
		return len(f) <= 2 && err == nil && u.Scheme != "" && u.Host != ""
	}
	return true // and an empty one, which is told so
}

// replay makes a workload of a recording of real use: a HAR file, an access log, an
// OpenAPI description. It goes to one server, not to where it was recorded.
func (p *program) replay(name string, o loadFlags, w drive.Workload) (drive.Workload, error) {
	f, err := os.Open(name)
	if err != nil {
		return w, &premortem.Error{Doing: "read " + name, Err: err}
	}
	defer f.Close()
	t, err := drive.Import(p.ctx, drive.Source{Path: name, Reader: f})
	if err != nil {
		return w, err
	}
	if o.to == "" {
		return w, &premortem.Error{Doing: "read " + name, Err: fmt.Errorf("it is a recording (%s), which says what was asked, not whom to ask now", t.Format), Hint: "add --to http://127.0.0.1:3000"}
	}
	if len(t.Journeys) == 0 {
		return w, &premortem.Error{Doing: "read " + name, Err: errors.New("nothing in it can be sent as it is: a recording of this kind holds no bodies"), Hint: "premortem init --from " + name + " writes what is there, to be completed"}
	}
	if !o.owned && !thisMachine(o.to) {
		return w, beyond(o.to, premortem.Pos{})
	}
	if !o.quiet {
		for _, n := range t.Notes {
			fmt.Fprintln(p.err, " ", n)
		}
	}
	w.Journeys = t.Journeys
	w.URLs[""] = o.to
	for _, j := range w.Journeys {
		for _, s := range j.Steps {
			if s.Request != nil {
				s.Request.Service = ""
			}
		}
	}
	// There is no table to take rows from: each reference is what was recorded.
	w.Rows = func(table, column string, _ int64) (string, bool) {
		v, ok := t.Samples["rows."+table+"."+column]
		return v, ok
	}
	w.RowCount = func(string) int64 { return 1 }
	return w, nil
}

// beyond is the refusal of a machine that is not this one.
func beyond(base string, pos premortem.Pos) error {
	return &premortem.Error{Doing: "aim at " + base, Pos: pos, Err: errors.New("it is not this machine"),
		Hint: "load can bring a server down: add --i-own-this-target if it is yours"}
}
