// Package read turns a repository into a premortem.System.
//
// It is a pure function of the tree: it reads no process environment, no clock and
// no network, and it runs nothing. Whatever it does not understand becomes an
// Unread entry of the System; no value of a secret enters one. Only this package
// knows file formats, one file per format.
package read

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/premortem/premortem"
)

const (
	maxConfig = 2 << 20  // bytes of a file that configures something
	maxLock   = 32 << 20 // bytes of a lockfile
	maxFiles  = 200_000
)

// skipped are folders that hold no evidence: other people's code, build output and
// what premortem itself wrote.
var skipped = map[string]bool{
	".git": true, "node_modules": true, "dist": true, "build": true, ".next": true, "vendor": true,
	".premortem": true, ".terraform": true, "coverage": true, ".venv": true, "__pycache__": true,
	".turbo": true, ".nuxt": true, ".svelte-kit": true, ".yarn": true, "bower_components": true,
}

// Repo reads a repository. The result depends on the tree alone: the same tree
// gives the same System, byte for byte as JSON. It fails only when the root cannot
// be read or premortem.yaml is wrong (a *premortem.Error with the line and the
// nearest valid name); anything else that is not understood is in System.Unread.
func Repo(ctx context.Context, repo fs.FS) (*premortem.System, error) {
	paths, d, err := walk(ctx, repo)
	if err != nil {
		return nil, err
	}
	t := &Tree{fs: repo, paths: paths}
	if err := t.readAll(ctx, d); err != nil {
		return nil, err
	}
	for _, r := range Readers() {
		if r.Whole == nil {
			continue
		}
		if err := r.whole(ctx, t, d); err != nil {
			return nil, err
		}
	}
	if d.fatal != nil {
		return nil, d.fatal
	}
	sys := d.finish()
	if d.fatal != nil {
		return nil, d.fatal
	}
	return sys, ctx.Err()
}

// Dir reads the repository in a folder. Symbolic links that leave the folder are
// not followed. It fails with a *premortem.Error when dir is missing or is not a
// folder, and like Repo.
func Dir(ctx context.Context, dir string) (*premortem.System, error) {
	hint := "name the folder of the repository, for example: premortem check ."
	info, err := os.Stat(dir)
	if err != nil {
		return nil, &premortem.Error{Doing: "read " + dir, Err: cause(err), Hint: hint}
	}
	if !info.IsDir() {
		return nil, &premortem.Error{Doing: "read " + dir, Err: errors.New("not a folder"), Hint: hint}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, &premortem.Error{Doing: "read " + dir, Err: cause(err), Hint: hint}
	}
	defer root.Close()
	return Repo(ctx, root.FS())
}

// cause drops the operation and the path that the caller names itself.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// walk lists the files of the tree, sorted, and what it could not list.
func walk(ctx context.Context, repo fs.FS) ([]string, *Draft, error) {
	var paths []string
	d := &Draft{}
	err := fs.WalkDir(repo, ".", func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil && p == ".":
			return &premortem.Error{Doing: "read the repository", Err: cause(err), Hint: "check that the folder exists and may be read"}
		case err != nil:
			d.miss(premortem.Pos{File: p, Line: 1}, "cannot be listed: "+cause(err).Error())
			if e != nil && e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case e.IsDir():
			if p != "." && skipped[e.Name()] {
				return fs.SkipDir
			}
			return nil
		case len(paths) == maxFiles:
			d.miss(premortem.Pos{File: p, Line: 1}, fmt.Sprintf("the repository has more than %d files: this one and all after it were not read", maxFiles))
			return fs.SkipAll
		case e.Type().IsRegular() || e.Type()&fs.ModeSymlink != 0:
			paths = append(paths, p)
		}
		return nil
	})
	slices.Sort(paths)
	return paths, d, err
}

// Tree is the repository as the second phase of a reader sees it.
type Tree struct {
	fs    fs.FS
	paths []string // sorted
}

// has reports whether the walk saw the file.
func (t *Tree) has(p string) bool {
	_, ok := slices.BinarySearch(t.paths, p)
	return ok
}

// hasDir reports whether the walk saw a file below the folder.
func (t *Tree) hasDir(dir string) bool { return dir == "." || len(t.under(dir)) > 0 }

// under returns the files below a folder.
func (t *Tree) under(dir string) []string {
	if dir == "." || dir == "" {
		return t.paths
	}
	lo, _ := slices.BinarySearch(t.paths, dir+"/")
	hi := lo
	for hi < len(t.paths) && strings.HasPrefix(t.paths[hi], dir+"/") {
		hi++
	}
	return t.paths[lo:hi]
}

// read returns a file's bytes without a byte order mark. It fails for files that
// are too large, binary, or reached through a link that leaves the tree.
func (t *Tree) read(p string) ([]byte, error) {
	info, err := fs.Stat(t.fs, p)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", cause(err))
	}
	if info.IsDir() {
		return nil, errFolder
	}
	limit := int64(maxConfig)
	if isLockfile(p) {
		limit = maxLock
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("has %d bytes; files above %d are not read", info.Size(), limit)
	}
	data, err := fs.ReadFile(t.fs, p)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", cause(err))
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(data[:min(len(data), 8000)], 0) >= 0 {
		return nil, errors.New("is not text")
	}
	return data, nil
}

// errFolder is a symbolic link to a folder: it is not followed and hides nothing
// that the walk does not reach by its own name.
var errFolder = errors.New("is a folder")

// readAll shows each file to the readers that want it. Files are read in parallel;
// each has a draft of its own, and the drafts are joined in the order of paths.
func (t *Tree) readAll(ctx context.Context, d *Draft) error {
	drafts := make([]*Draft, len(t.paths))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range t.paths {
		var want []*Reader
		for _, r := range Readers() {
			if r.Read != nil && r.Wants(p) {
				want = append(want, r)
			}
		}
		if len(want) == 0 {
			continue
		}
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			drafts[i] = t.readOne(p, want)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, part := range drafts {
		if part != nil {
			d.join(part)
		}
	}
	return nil
}

func (t *Tree) readOne(p string, want []*Reader) *Draft {
	d := &Draft{}
	data, err := t.read(p)
	if err != nil {
		if !errors.Is(err, errFolder) {
			d.miss(premortem.Pos{File: p, Line: 1}, err.Error())
		}
		return d
	}
	for _, r := range want {
		r.read(File{Path: p, Data: data}, d)
	}
	return d
}

// join returns a slash-separated path inside the tree, "" when it would leave it.
func join(dir, rel string) string {
	p := path.Join(dir, rel)
	if p == ".." || strings.HasPrefix(p, "../") || strings.HasPrefix(p, "/") {
		return ""
	}
	return p
}
