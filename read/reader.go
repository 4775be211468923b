package read

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/premortem/premortem"
)

// File is one file of the repository.
type File struct {
	Path string // slash-separated, relative to the root
	Data []byte // without a byte order mark
}

// Reader understands one file format. Read sees one file at a time, in any order
// and concurrently, and adds what it says to its own draft. Whole, when it is not
// nil, runs once after all files were read, for what needs the tree.
//
// An error of either is not the end: it becomes an Unread entry. A
// *premortem.Error names the line; any other error is put on the file's first.
type Reader struct {
	Name  string
	Doc   premortem.Doc
	Wants func(path string) bool
	Read  func(f File, d *Draft) error
	Whole func(ctx context.Context, t *Tree, d *Draft) error
	Apart bool // Whole needs manifests only: it runs while code is read, into a draft of its own
}

var all []*Reader

// add registers a reader. Two readers of one name are a bug of this package.
func add(r Reader) *Reader {
	for _, other := range all {
		if other.Name == r.Name {
			panic("two readers are called " + r.Name)
		}
	}
	all = append(all, &r)
	slices.SortFunc(all, func(a, b *Reader) int { return cmp.Compare(a.Name, b.Name) })
	return &r
}

// Readers returns every reader, sorted by name. The slice must not be changed.
func Readers() []*Reader { return all }

// read shows one file to the reader and survives whatever is in it.
func (r *Reader) read(f File, d *Draft) {
	defer func() {
		if p := recover(); p != nil {
			d.miss(premortem.Pos{File: f.Path, Line: 1}, fmt.Sprintf("the %s reader cannot read it: %v", r.Name, p))
		}
	}()
	if err := r.Read(f, d); err != nil {
		d.missErr(f.Path, err)
	}
}

// whole runs the second phase and survives whatever is in the tree.
func (r *Reader) whole(ctx context.Context, t *Tree, d *Draft) (err error) {
	defer func() {
		if p := recover(); p != nil {
			d.miss(premortem.Pos{File: ".", Line: 1}, fmt.Sprintf("the %s reader gave up: %v", r.Name, p))
		}
	}()
	if err := r.Whole(ctx, t, d); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		d.missErr(".", err)
	}
	return nil
}

// missErr records a file that was not understood.
func (d *Draft) missErr(file string, err error) {
	pos := premortem.Pos{File: file, Line: 1}
	if pe, ok := errors.AsType[*premortem.Error](err); ok && pe.Pos.Known() {
		pos = pe.Pos
		why := pe.Doing
		if pe.Err != nil {
			why += ": " + pe.Err.Error()
		}
		d.miss(pos, why)
		return
	}
	d.miss(pos, err.Error())
}
