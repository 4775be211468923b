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
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

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
	t, d, err := walk(ctx, repo)
	if err != nil {
		return nil, err
	}
	return t.system(ctx, d)
}

// system reads the files of a tree into the draft of its walk, and finishes it.
func (t *Tree) system(ctx context.Context, d *Draft) (*premortem.System, error) {
	if err := t.gather(ctx, d); err != nil {
		return nil, err
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

// gather collects what every file says, and then what the tree does.
func (t *Tree) gather(ctx context.Context, d *Draft) error {
	apart, err := t.readAll(ctx, d)
	if err != nil {
		return err
	}
	for _, r := range Readers() {
		switch {
		case apart[r] != nil:
			d.join(apart[r])
		case r.Whole != nil:
			if err := r.whole(ctx, t, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// Dir reads the repository in a folder. Symbolic links that leave the folder are
// not followed. It fails with a *premortem.Error when dir is missing or is not a
// folder, and like Repo.
func Dir(ctx context.Context, dir string) (*premortem.System, error) {
	root, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return Repo(ctx, folderFS{root})
}

// cause drops the operation and the path that the caller names itself.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// walk lists the files of the tree, sorted, and what it could not list.
func walk(ctx context.Context, repo fs.FS) (*Tree, *Draft, error) {
	t := &Tree{fs: repo, links: map[string]bool{}}
	d := &Draft{}
	if ok, err := t.listDisk(ctx, d); ok || err != nil {
		slices.Sort(t.paths)
		return t, d, err
	}
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
		case len(t.paths) == maxFiles:
			d.miss(premortem.Pos{File: p, Line: 1}, fmt.Sprintf("the repository has more than %d files: this one and all after it were not read", maxFiles))
			return fs.SkipAll
		case e.Type()&fs.ModeSymlink != 0:
			t.links[p] = true
			t.paths = append(t.paths, p)
		case e.Type().IsRegular():
			t.paths = append(t.paths, p)
		}
		return nil
	})
	slices.Sort(t.paths)
	return t, d, err
}

// Tree is the repository as the second phase of a reader sees it.
type Tree struct {
	fs    fs.FS
	paths []string        // sorted
	links map[string]bool // those that are symbolic links
	mu    sync.Mutex
	seen  map[string]*visit // what was read, nil when nobody wants to know
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
func (t *Tree) read(p string) ([]byte, error) { return t.readAt(nil, p) }

// readAt is read for many files, one after the other.
func (t *Tree) readAt(c *folderCursor, p string) ([]byte, error) {
	data, s, err := t.fetch(c, p)
	t.note(p, s, data, err)
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), err
}

// fetch reads a file as it is, and its stamp. A link may lead elsewhere in the tree,
// so it starts at the root.
func (t *Tree) fetch(c *folderCursor, p string) ([]byte, stamp, error) {
	limit := int64(maxConfig)
	if isLockfile(p) {
		limit = maxLock
	}
	link := !t.has(p) || t.links[p]
	if !link {
		if data, s, err, ok := c.read(p, limit); ok {
			return data, s, err
		}
	}
	data, info, err := readLimited(t.fs, p, limit, link)
	return data, stampOf(info), err
}

// readersAtOnce is how many files are read at the same time.
func readersAtOnce() int { return runtime.GOMAXPROCS(0) }

// batch is how many files one task reads.
const batch = 64

// readAll shows each file to the readers that want it. Files are read in parallel;
// each has a draft of its own, and the drafts are joined in the order of paths. Code
// comes last, and beside it the second phase of the readers that need none; what they
// found is returned.
func (t *Tree) readAll(ctx context.Context, d *Draft) (map[*Reader]*Draft, error) {
	drafts := make([]*Draft, len(t.paths))
	var config, code []int
	for i, p := range t.paths {
		if isCode(p) {
			code = append(code, i)
		} else {
			config = append(config, i)
		}
	}
	if err := t.readThese(ctx, config, drafts); err != nil {
		return nil, err
	}
	var manifests []*manifest
	for _, part := range drafts {
		if part != nil {
			manifests = append(manifests, part.manifests...)
		}
	}
	apart := map[*Reader]*Draft{}
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range Readers() {
		if r.Apart {
			part := &Draft{manifests: manifests}
			apart[r] = part
			g.Go(func() error {
				err := r.whole(ctx, t, part)
				part.manifests = nil
				return err
			})
		}
	}
	g.Go(func() error { return t.readThese(ctx, code, drafts) })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, part := range drafts {
		if part != nil {
			d.join(part)
		}
	}
	return apart, nil
}

// isCode reports files that are read for what a program does.
func isCode(p string) bool {
	switch path.Ext(p) {
	case ".go", ".py", ".rb", ".java", ".kt", ".php":
		return true
	}
	return isSource(p)
}

// readThese reads the files at some places of the tree.
func (t *Tree) readThese(ctx context.Context, at []int, drafts []*Draft) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readersAtOnce())
	for part := range slices.Chunk(at, batch) {
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			t.readSome(part, drafts)
			return nil
		})
	}
	return g.Wait()
}

// readSome reads files one after the other.
func (t *Tree) readSome(at []int, drafts []*Draft) {
	c := t.cursor()
	defer c.close()
	var want []*Reader
	for _, i := range at {
		p := t.paths[i]
		want = want[:0]
		for _, r := range Readers() {
			if r.Read != nil && r.Wants(p) {
				want = append(want, r)
			}
		}
		if len(want) > 0 {
			drafts[i] = t.readOne(c, p, want)
		}
	}
}

func (t *Tree) readOne(at *folderCursor, p string, want []*Reader) *Draft {
	d := &Draft{}
	data, err := t.readAt(at, p)
	if err != nil {
		if !errors.Is(err, errFolder) {
			d.miss(premortem.Pos{File: p, Line: 1}, err.Error())
		}
		return d
	}
	for _, r := range want {
		r.read(File{Path: p, Data: data}, d)
	}
	for _, p := range d.programs {
		p.settle()
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
