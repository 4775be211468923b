package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/drive"
	"github.com/premortem/premortem/read"
)

// proposalFrom is a premortem.yaml whose journeys, base and objectives come from
// recordings. It was read back before it is returned, so that what init writes can be
// rehearsed.
func (p *program) proposalFrom(sys *premortem.System, dir string, files []string) (string, error) {
	t, err := p.traffic(files)
	if err != nil {
		return "", err
	}
	t.Bind(sys.Tables)
	promised := t.Objectives
	t.Objectives = nil
	if err := p.nameRoutes(sys, dir, &t, promised); err != nil {
		return "", err
	}
	text := fromText(sys, &t)
	if _, err := p.readBack(dir, text); err != nil {
		return "", err
	}
	for _, n := range t.Notes {
		fmt.Fprintf(p.err, "note: %s\n", n)
	}
	return text, nil
}

// fromText puts the system and the recording together.
func fromText(sys *premortem.System, t *drive.Traffic) string {
	text := proposedSystem(sys)
	if !t.Base.Calls.Set() && !t.Base.Users.Set() {
		text += "\nbase: {users: 100, calls: 50/s}          # guess: normal load; the recording does not tell\n"
	}
	return text + "\n# From " + t.Format + ":\n" + t.YAML()
}

// traffic imports the files.
func (p *program) traffic(files []string) (drive.Traffic, error) {
	var in []drive.Source
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return drive.Traffic{}, &premortem.Error{Doing: "import traffic", Err: err, Hint: "--from names a file that was recorded or exported"}
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return drive.Traffic{}, &premortem.Error{Doing: "import traffic", Err: fmt.Errorf("%s is a folder", name), Hint: "name its files, each with its own --from"}
		}
		in = append(in, drive.Source{Path: name, Reader: f})
	}
	return drive.Import(p.ctx, in...)
}

// nameRoutes calls the guessed objectives by the names that the code's routes have. What
// no route of the code and no journey answers is dropped with a note.
func (p *program) nameRoutes(sys *premortem.System, dir string, t *drive.Traffic, promised []premortem.Objective) error {
	back, err := p.readBack(dir, fromText(sys, t))
	if err != nil {
		return err
	}
	name := map[string]string{}
	for _, r := range sys.Routes {
		name[r.Name()] = r.Name()
	}
	for i, j := range back.Journeys {
		for k, s := range j.Steps {
			if s.Request != nil {
				name[t.Journeys[i].Steps[k].Request.Route] = s.Request.Route
			}
		}
	}
	seen := map[string]bool{}
	for _, o := range promised {
		n, ok := name[o.Route]
		if !ok && len(sys.Routes) > 0 {
			t.Notes = append(t.Notes, drive.Note{Says: "no objective for " + o.Route + ": neither a route of the code nor a journey has this name yet"})
			continue
		}
		if !ok {
			n = o.Route
		}
		if seen[n] {
			continue
		}
		seen[n] = true
		t.Why[n] = t.Why[o.Route]
		o.Route = n
		t.Objectives = append(t.Objectives, o)
	}
	return nil
}

// readBack reads the repository as it will be.
func (p *program) readBack(dir, text string) (*premortem.System, error) {
	sys, err := read.Repo(p.ctx, &overlay{FS: os.DirFS(dir), files: map[string][]byte{"premortem.yaml": []byte(text)}})
	if pe, ok := errors.AsType[*premortem.Error](err); ok && sys == nil {
		pe.Hint = "this is what init would have written; please report it with the recording's kind"
	}
	return sys, err
}
