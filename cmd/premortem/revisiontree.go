package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// revisionTree is a folder as it was at a revision, plus what no revision holds:
// files that git ignores are the same on both sides of a comparison, or each .env
// would look like a change. It is safe for concurrent use.
type revisionTree struct {
	files    map[string]*entry
	folders  map[string][]fs.DirEntry // sorted by name
	worktree fs.FS
	beside   map[string]bool // ignored paths, which worktree answers
	open     []*batch
	doubts   []string
}

// entry is one file or folder of the tree.
type entry struct {
	name string
	mode fs.FileMode
	size int64
	id   string // of the object; "" in the working tree
	from *batch
}

func (e *entry) Name() string               { return e.name }
func (e *entry) Size() int64                { return e.size }
func (e *entry) Mode() fs.FileMode          { return e.mode }
func (e *entry) ModTime() time.Time         { return time.Time{} }
func (e *entry) IsDir() bool                { return e.mode.IsDir() }
func (e *entry) Sys() any                   { return nil }
func (e *entry) Type() fs.FileMode          { return e.mode.Type() }
func (e *entry) Info() (fs.FileInfo, error) { return e, nil }

var (
	_ fs.ReadDirFS  = (*revisionTree)(nil)
	_ fs.ReadFileFS = (*revisionTree)(nil)
	_ fs.StatFS     = (*revisionTree)(nil)
)

// tree lists the folder at a revision. Its files are fetched when they are read;
// close ends the processes that hand them out. A folder that was not there yet is
// an empty tree.
func (r *repository) tree(ctx context.Context, at revision, worktree fs.FS) (*revisionTree, error) {
	t := &revisionTree{files: map[string]*entry{}, folders: map[string][]fs.DirEntry{}, worktree: worktree, beside: map[string]bool{}}
	root := at.commit + "^{tree}"
	if r.prefix != "" {
		root = at.commit + ":" + strings.TrimSuffix(r.prefix, "/")
	}
	if _, err := r.ask(ctx, "cat-file", "-e", root); err != nil {
		if err := ended(ctx); err != nil {
			return nil, err
		}
		t.doubts = append(t.doubts, fmt.Sprintf("%s was not there at %s: all of it counts as introduced", strings.TrimSuffix(r.prefix, "/"), at))
	} else if err := t.list(ctx, r, root, ""); err != nil {
		t.close()
		return nil, fmt.Errorf("list the files of %s: %w", at, err)
	}
	ignored, err := r.ignored(ctx)
	if err != nil {
		t.close()
		return nil, fmt.Errorf("list the files that git ignores: %w", err)
	}
	for _, p := range ignored {
		t.besides(strings.TrimSuffix(p, "/"))
	}
	for dir, list := range t.folders {
		slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
		t.folders[dir] = slices.CompactFunc(list, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() })
	}
	if t.folders["."] == nil {
		t.folders["."] = []fs.DirEntry{}
	}
	return t, nil
}

func (t *revisionTree) close() {
	for _, b := range t.open {
		b.close()
	}
}

// list adds the files of a tree object below a folder.
func (t *revisionTree) list(ctx context.Context, r *repository, root, below string) error {
	out, err := r.ask(ctx, "ls-tree", "-r", "-z", "-l", "--full-tree", root)
	if err != nil {
		return err
	}
	from, err := r.objects(ctx)
	if err != nil {
		return err
	}
	t.open = append(t.open, from)
	for _, record := range split(out) {
		head, name, ok := strings.Cut(record, "\t")
		part := strings.Fields(head) // mode, type, object, size
		if !ok || len(part) != 4 {
			return fmt.Errorf("git ls-tree says %q", record)
		}
		name = path.Join(below, name)
		if !fs.ValidPath(name) {
			continue
		}
		if part[1] == "commit" {
			t.submodule(ctx, r, strings.TrimPrefix(name, below+"/"), name, part[2])
			continue
		}
		e := &entry{name: path.Base(name), id: part[2], from: from, mode: 0o644}
		e.size, _ = strconv.ParseInt(part[3], 10, 64)
		if part[0] == "120000" {
			e.mode = fs.ModeSymlink | 0o777
		}
		t.put(name, e)
	}
	return nil
}

// submodule adds the files of another repository at the commit that this one names.
// When that commit is not here, its working tree stands for both sides.
func (t *revisionTree) submodule(ctx context.Context, r *repository, at, name, commit string) {
	if info, err := fs.Stat(t.worktree, name); err != nil || !info.IsDir() {
		return // not checked out: neither side reads it
	}
	if _, err := fs.Stat(t.worktree, path.Join(name, ".git")); err != nil {
		return
	}
	sub := r.submodule(at)
	if _, err := sub.ask(ctx, "cat-file", "-e", commit+"^{tree}"); err == nil {
		if err := t.list(ctx, sub, commit+"^{tree}", name); err == nil {
			return
		}
	}
	t.besides(name)
	t.doubts = append(t.doubts, fmt.Sprintf("the submodule %s does not have its earlier commit %.10s here: what it introduced is not told", name, commit))
}

// put adds a file and the folders that lead to it.
func (t *revisionTree) put(name string, e *entry) {
	t.files[name] = e
	var child fs.DirEntry = e
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		_, known := t.folders[dir]
		t.folders[dir] = append(t.folders[dir], child)
		if known || dir == "." {
			return
		}
		child = &entry{name: path.Base(dir), mode: fs.ModeDir | 0o755}
	}
}

// besides lets the working tree answer for a path.
func (t *revisionTree) besides(name string) {
	info, err := fs.Stat(t.worktree, name)
	if err != nil || !fs.ValidPath(name) || t.files[name] != nil {
		return
	}
	t.beside[name] = true
	t.put(name, &entry{name: path.Base(name), mode: info.Mode(), size: info.Size()})
	delete(t.files, name)
}

// outside reports whether the working tree answers for the path.
func (t *revisionTree) outside(name string) bool {
	for p := name; p != "."; p = path.Dir(p) {
		if t.beside[p] {
			return true
		}
	}
	return false
}

// find follows links as far as they stay in the tree.
func (t *revisionTree) find(op, name string) (*entry, string, error) {
	gone := &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	for range 16 {
		if !fs.ValidPath(name) {
			return nil, "", gone
		}
		if e := t.files[name]; e != nil {
			if e.mode&fs.ModeSymlink == 0 {
				return e, name, nil
			}
			to, err := e.from.read(e.id)
			if err != nil {
				return nil, "", &fs.PathError{Op: op, Path: name, Err: err}
			}
			name = path.Join(path.Dir(name), string(to))
			continue
		}
		if _, ok := t.folders[name]; ok {
			return &entry{name: path.Base(name), mode: fs.ModeDir | 0o755}, name, nil
		}
		if t.outside(name) {
			return nil, name, nil
		}
		return nil, "", gone
	}
	return nil, "", gone
}

// Stat describes a file, following links.
func (t *revisionTree) Stat(name string) (fs.FileInfo, error) {
	e, at, err := t.find("stat", name)
	switch {
	case err != nil:
		return nil, err
	case e == nil:
		return fs.Stat(t.worktree, at)
	}
	return e, nil
}

// ReadFile returns a file's bytes as they are in the repository: no filter and no
// change of line ends.
func (t *revisionTree) ReadFile(name string) ([]byte, error) {
	e, at, err := t.find("read", name)
	switch {
	case err != nil:
		return nil, err
	case e == nil:
		return fs.ReadFile(t.worktree, at)
	case e.IsDir():
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	data, err := e.from.read(e.id)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return data, nil
}

// ReadDir lists a folder.
func (t *revisionTree) ReadDir(name string) ([]fs.DirEntry, error) {
	if list, ok := t.folders[name]; ok {
		return list, nil
	}
	if t.outside(name) {
		return fs.ReadDir(t.worktree, name)
	}
	return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
}

// Open serves callers that know nothing but fs.FS.
func (t *revisionTree) Open(name string) (fs.File, error) {
	e, at, err := t.find("open", name)
	switch {
	case err != nil:
		return nil, err
	case e == nil:
		return t.worktree.Open(at)
	case e.IsDir():
		return &openEntry{entry: e, Reader: bytes.NewReader(nil)}, nil
	}
	data, err := t.ReadFile(at)
	if err != nil {
		return nil, err
	}
	return &openEntry{entry: e, Reader: bytes.NewReader(data)}, nil
}

// openEntry is an open file of a revision.
type openEntry struct {
	*entry
	io.Reader
}

func (o *openEntry) Stat() (fs.FileInfo, error) { return o.entry, nil }
func (o *openEntry) Close() error               { return nil }
