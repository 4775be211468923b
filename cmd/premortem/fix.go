package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/check"
)

// patch is what --fix would write: whole new contents of files. A finding's edits
// are in it all or not at all.
type patch struct {
	root    *os.Root
	files   map[string]*patched
	edits   int
	applied []premortem.Finding
	left    []string // findings whose safe edits were not taken, and why
}

// patched is one file of a patch.
type patched struct {
	name     string
	old, new []byte
	mode     fs.FileMode
	fresh    bool // it is not there yet
	edits    []premortem.Edit
}

// plan collects the edits that need no person. Where two findings edit one line, the
// first one wins: findings come worst first.
func plan(root *os.Root, found []premortem.Finding) *patch {
	p := &patch{root: root, files: map[string]*patched{}}
	for _, f := range found {
		if !f.Fix.Safe || len(f.Fix.Edits) == 0 || f.Suppressed != "" || f.Standing == premortem.Cleared {
			continue
		}
		if err := p.take(f); err != nil {
			p.left = append(p.left, fmt.Sprintf("%s is left: %s", f.Key(), err))
			continue
		}
		p.applied = append(p.applied, f)
	}
	for _, name := range p.names() {
		file := p.files[name]
		if err := file.apply(); err != nil { // take tried each edit already
			p.left = append(p.left, fmt.Sprintf("%s is left as it is: %s", name, err))
			delete(p.files, name)
		}
	}
	return p
}

// take adds a finding's edits when each of them is possible.
func (p *patch) take(f premortem.Finding) error {
	fresh := map[string][]premortem.Edit{}
	for _, e := range f.Fix.Edits {
		file, err := p.open(e.Pos.File)
		if err != nil {
			return err
		}
		if _, err := e.Apply(file.old); err != nil {
			return err
		}
		other := conflict(append(slices.Clone(file.edits), fresh[file.name]...), e)
		if other != nil && *other == e {
			continue // both want the same
		}
		if other != nil {
			return fmt.Errorf("%s is edited for another finding already; run --fix again", e.Pos)
		}
		fresh[file.name] = append(fresh[file.name], e)
	}
	for name, edits := range fresh {
		p.files[name].edits = append(p.files[name].edits, edits...)
		p.edits += len(edits)
	}
	return nil
}

// conflict returns the edit that touches the same line, nil when none does. A line
// that is put before another one does not touch it.
func conflict(taken []premortem.Edit, e premortem.Edit) *premortem.Edit {
	for i := range taken {
		if t := &taken[i]; t.Pos == e.Pos && (t.Old == "") == (e.Old == "") {
			return t
		}
	}
	return nil
}

// open reads a file of the tree once. It refuses links, which a rename would
// replace, and everything that leaves the tree.
func (p *patch) open(name string) (*patched, error) {
	if f := p.files[name]; f != nil {
		return f, nil
	}
	if !fs.ValidPath(name) || name == "." {
		return nil, fmt.Errorf("%q is no file of this folder", name)
	}
	f := &patched{name: name, mode: 0o644}
	info, err := p.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.fresh = true
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", name)
	default:
		f.mode = info.Mode().Perm()
		if f.old, err = fs.ReadFile(p.root.FS(), name); err != nil {
			return nil, err
		}
	}
	p.files[name] = f
	return f, nil
}

// apply makes the new content: from the last line to the first, so that one edit
// does not move the next; with the line ends, the byte order mark and the last line
// as they were.
func (f *patched) apply() error {
	bom := []byte("\xef\xbb\xbf")
	text, marked := bytes.CutPrefix(f.old, bom)
	crlf := bytes.Count(text, []byte("\r\n"))
	windows := crlf > 0 && crlf*2 >= bytes.Count(text, []byte("\n"))
	edits := slices.Clone(f.edits)
	slices.SortStableFunc(edits, func(a, b premortem.Edit) int {
		before := func(e premortem.Edit) int { return min(len(e.Old), 1) }
		return cmp.Or(cmp.Compare(b.Pos.Line, a.Pos.Line), cmp.Compare(before(b), before(a)))
	})
	var err error
	for _, e := range edits {
		if windows {
			e.New = strings.ReplaceAll(strings.ReplaceAll(e.New, "\r\n", "\n"), "\n", "\r\n")
			if e.Old == "" && !strings.HasSuffix(e.New, "\n") {
				e.New += "\r\n"
			}
		}
		if text, err = e.Apply(text); err != nil {
			return err
		}
	}
	if len(f.old) > 0 && !bytes.HasSuffix(f.old, []byte("\n")) {
		text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	}
	if marked {
		text = append(slices.Clone(bom), text...)
	}
	f.new = text
	return nil
}

// names of the files that change, sorted.
func (p *patch) names() []string {
	var out []string
	for name, f := range p.files {
		if len(f.edits) > 0 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// diff is the patch in the form that `git apply` and `patch -p1` take.
func (p *patch) diff() []byte {
	var b bytes.Buffer
	for _, name := range p.names() {
		f, from := p.files[name], "a/"+name
		if f.fresh {
			from = "/dev/null"
		}
		d := diff.Diff(from, f.old, "b/"+name, f.new)
		_, d, _ = bytes.Cut(d, []byte("\n")) // its own first line, which says the same
		b.Write(d)
	}
	return b.Bytes()
}

// write puts the new contents in place: every file is written beside its old self
// first, so that a full or read-only disk changes nothing.
func (p *patch) write() error {
	var staged []string
	undo := func() {
		for _, tmp := range staged {
			_ = p.root.Remove(tmp)
		}
	}
	names := p.names()
	for _, name := range names {
		f := p.files[name]
		if f.fresh {
			if err := p.root.MkdirAll(path.Dir(name), 0o755); err != nil {
				undo()
				return err
			}
		}
		tmp, err := stage(p.root, name, f.new, f.mode)
		if err != nil {
			undo()
			return err
		}
		staged = append(staged, tmp)
	}
	for i, name := range names {
		if err := p.root.Rename(staged[i], name); err != nil {
			undo()
			return fmt.Errorf("%w; already written: %s", err, cmp.Or(strings.Join(names[:i], ", "), "nothing"))
		}
	}
	return nil
}

// stage writes content to a new file beside name.
func stage(root *os.Root, name string, data []byte, mode fs.FileMode) (string, error) {
	for i := range 1000 {
		tmp := path.Join(path.Dir(name), fmt.Sprintf(".premortem-%d-%d", os.Getpid(), i))
		f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.Write(data)
		err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
		if err != nil {
			_ = root.Remove(tmp)
			return "", err
		}
		return tmp, nil
	}
	return "", fmt.Errorf("write beside %s: every temporary name is taken", name)
}

// replace gives a file new content in one step.
func replace(root *os.Root, name string, data []byte, mode fs.FileMode) error {
	tmp, err := stage(root, name, data, mode)
	if err != nil {
		return err
	}
	if err := root.Rename(tmp, name); err != nil {
		_ = root.Remove(tmp)
		return err
	}
	return nil
}

// fix applies the safe edits of a report, checks again and says what is gone.
func (p *program) fix(dir string, rules []*check.Rule, w wish, r *premortem.Report) (*premortem.Report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, &premortem.Error{Doing: "fix " + dir, Err: err}
	}
	defer root.Close()
	chosen := plan(root, r.Findings)
	names := chosen.names()
	if len(names) == 0 {
		r.Stages = append(r.Stages, premortem.Stage{Name: "fix", Says: "nothing written: no finding has an edit that needs no person"})
		r.Doubts = append(r.Doubts, chosen.left...)
		return r, nil
	}
	if err := chosen.write(); err != nil {
		return nil, &premortem.Error{Doing: "write the fixes", Err: err, Hint: "the files are as they were; --fix --dry-run prints the patch instead"}
	}
	fmt.Fprintf(p.err, "premortem: wrote %s\n", strings.Join(names, ", "))
	again, err := p.examine(dir, rules, w)
	if err != nil {
		return nil, err
	}
	gone := 0
	for _, f := range chosen.applied {
		if again.Finding(f.Key()) == nil {
			gone++
		} else {
			chosen.left = append(chosen.left, f.Key()+" is still there after its edits")
		}
	}
	again.Stages = append(again.Stages, premortem.Stage{Name: "fix", Says: fmt.Sprintf("wrote %s to %s; %s gone",
		counted(chosen.edits, "edit"), strings.Join(names, ", "), counted(gone, "finding"))})
	again.Doubts = append(again.Doubts, chosen.left...)
	return again, nil
}

// dryRun prints what --fix would write.
func (p *program) dryRun(dir string, rules []*check.Rule, w wish, o output) error {
	r, err := p.examine(dir, rules, w)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return &premortem.Error{Doing: "fix " + dir, Err: err}
	}
	defer root.Close()
	chosen := plan(root, r.Findings)
	fmt.Fprintf(p.err, "premortem: --fix would make %s in %s for %s; nothing was written\n",
		counted(chosen.edits, "edit"), counted(len(chosen.names()), "file"), counted(len(chosen.applied), "finding"))
	for _, s := range chosen.left {
		fmt.Fprintf(p.err, "premortem: %s\n", s)
	}
	failOn, _ := o.check()
	p.code = r.ExitCode(failOn)
	return p.emit(o, "write the patch", chosen.diff())
}
