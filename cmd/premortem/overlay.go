package main

import (
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// overlay is a tree some of whose files have another content. What lies below is
// not touched. It is safe for concurrent use as long as files is not changed.
type overlay struct {
	fs.FS
	files map[string][]byte // path → content
}

var (
	_ fs.ReadDirFS  = (*overlay)(nil)
	_ fs.ReadFileFS = (*overlay)(nil)
	_ fs.StatFS     = (*overlay)(nil)
)

// ReadFile returns a file's content.
func (o *overlay) ReadFile(name string) ([]byte, error) {
	if data, ok := o.files[name]; ok {
		return slices.Clone(data), nil
	}
	return fs.ReadFile(o.FS, name)
}

// Stat describes a file.
func (o *overlay) Stat(name string) (fs.FileInfo, error) {
	if data, ok := o.files[name]; ok {
		return &entry{name: path.Base(name), mode: 0o644, size: int64(len(data))}, nil
	}
	return fs.Stat(o.FS, name)
}

// ReadDir lists a folder, with the files that only the overlay has. It does not
// make folders.
func (o *overlay) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(o.FS, name)
	if err != nil {
		return list, err
	}
	list = slices.Clone(list)
	for file, data := range o.files {
		if path.Dir(file) != name {
			continue
		}
		e := &entry{name: path.Base(file), mode: 0o644, size: int64(len(data))}
		if i := slices.IndexFunc(list, func(d fs.DirEntry) bool { return d.Name() == e.name }); i >= 0 {
			list[i] = e
		} else {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// Open serves callers that know nothing but fs.FS.
func (o *overlay) Open(name string) (fs.File, error) {
	if data, ok := o.files[name]; ok {
		return &openEntry{entry: &entry{name: path.Base(name), mode: 0o644, size: int64(len(data))}, Reader: bytes.NewReader(data)}, nil
	}
	return o.FS.Open(name)
}
