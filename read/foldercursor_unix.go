//go:build linux || darwin

package read

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/premortem/premortem"
)

// folderCursor reads the files of a folder on disk, best in the order of their
// paths. It holds the folders that lead to the last one open, so that a file costs
// one step and not one for each folder above it. Each step refuses links, so that
// nothing outside of the folder can be reached.
type folderCursor struct {
	root  *os.File // nil: the tree is not on disk
	base  int      // the root's descriptor
	names []string // folders from the root down
	open  []int    // their descriptors
}

// cursor starts at the root of a tree.
func (t *Tree) cursor() *folderCursor {
	c := &folderCursor{}
	if on, ok := t.fs.(folderFS); ok {
		if f, err := on.root.Open("."); err == nil {
			c.root, c.base = f, int(f.Fd())
		}
	}
	return c
}

func (c *folderCursor) close() {
	c.leave(0)
	if c.root != nil {
		c.root.Close()
	}
}

func (c *folderCursor) leave(depth int) {
	for _, fd := range c.open[depth:] {
		unix.Close(fd)
	}
	c.open, c.names = c.open[:depth], c.names[:depth]
}

// enter returns the descriptor of a path's folder, and the file's name in it.
func (c *folderCursor) enter(p string) (int, string, error) {
	depth := 0
	for {
		i := strings.IndexByte(p, '/')
		if i < 0 {
			break
		}
		if depth < len(c.names) && c.names[depth] != p[:i] {
			c.leave(depth)
		}
		if depth == len(c.names) {
			fd, err := openAt(c.fd(), p[:i], unix.O_DIRECTORY)
			if err != nil {
				return 0, "", err
			}
			c.names, c.open = append(c.names, p[:i]), append(c.open, fd)
		}
		depth++
		p = p[i+1:]
	}
	c.leave(depth)
	return c.fd(), p, nil
}

func (c *folderCursor) fd() int {
	if n := len(c.open); n > 0 {
		return c.open[n-1]
	}
	return c.base
}

// read is readLimited for a path without links. ok is false where the tree is not
// on disk.
func (c *folderCursor) read(p string, limit int64) (data []byte, s stamp, err error, ok bool) {
	if c == nil || c.root == nil {
		return nil, stamp{}, nil, false
	}
	dir, name, err := c.enter(p)
	if err != nil {
		return nil, stamp{}, fmt.Errorf("cannot be read: %w", err), true
	}
	fd, err := openAt(dir, name, unix.O_NONBLOCK)
	if err != nil {
		return nil, stamp{}, fmt.Errorf("cannot be read: %w", err), true
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, stamp{}, fmt.Errorf("cannot be read: %w", err), true
	}
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return nil, stamp{}, errFolder, true
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, stamp{}, errNoFile, true
	case st.Size > limit:
		return nil, statStamp(&st), errTooLarge(st.Size, limit), true
	}
	data, err = readText(descriptor(fd), st.Size, limit)
	return data, statStamp(&st), err, true
}

// stamp is the stamp of a path, the zero stamp when there is nothing that could be
// trusted.
func (c *folderCursor) stamp(p string) stamp {
	if c.root == nil {
		return stamp{}
	}
	dir, name, err := c.enter(p)
	if err != nil {
		return stamp{}
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return stamp{}
	}
	return statStamp(&st)
}

func statStamp(st *unix.Stat_t) stamp {
	return stamp{Size: st.Size, Modified: st.Mtim.Nano(), Changed: st.Ctim.Nano(), Inode: st.Ino, Device: uint64(st.Dev)}
}

func openAt(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|flags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// descriptor reads from an open file.
type descriptor int

func (d descriptor) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(d), b)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// lister lists a folder on disk, several folders at once.
type lister struct {
	ctx   context.Context
	tasks errgroup.Group
	count atomic.Int64
	mu    sync.Mutex
	t     *Tree
	d     *Draft
}

// listDisk is the listing of walk for a folder on disk. It gives up, ok false, on
// more files than are read: which of them are is decided by one that goes in order.
func (t *Tree) listDisk(ctx context.Context, d *Draft) (ok bool, err error) {
	on, isDisk := t.fs.(folderFS)
	if !isDisk {
		return false, nil
	}
	f, err := on.root.Open(".")
	if err != nil {
		return false, nil // the other way says why
	}
	l := &lister{ctx: ctx, t: &Tree{links: map[string]bool{}}, d: &Draft{}}
	l.tasks.SetLimit(readersAtOnce())
	l.folder(f, ".")
	_ = l.tasks.Wait() // its tasks note what goes wrong
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if l.count.Load() > maxFiles || slices.ContainsFunc(l.d.unread, func(u premortem.Unread) bool { return u.Pos.File == "." }) {
		return false, nil
	}
	slices.SortFunc(l.d.unread, func(a, b premortem.Unread) int { return a.Pos.Compare(b.Pos) })
	t.paths, t.links, d.unread = l.t.paths, l.t.links, append(d.unread, l.d.unread...)
	return true, nil
}

// folder lists an open folder and closes it.
func (l *lister) folder(f *os.File, dir string) {
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		l.miss(dir, err)
	}
	var files, links []string
	for _, e := range entries {
		if l.ctx.Err() != nil || l.count.Load() > maxFiles {
			return
		}
		p := path.Join(dir, e.Name())
		switch {
		case e.IsDir() && !skipped[e.Name()]:
			l.below(f, p, e.Name())
		case e.Type()&fs.ModeSymlink != 0:
			links = append(links, p)
			files = append(files, p)
		case e.Type().IsRegular():
			files = append(files, p)
		}
	}
	l.count.Add(int64(len(files)))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t.paths = append(l.t.paths, files...)
	for _, p := range links {
		l.t.links[p] = true
	}
}

// below lists a folder in the open one, beside this one if there is room.
func (l *lister) below(in *os.File, p, name string) {
	fd, err := openAt(int(in.Fd()), name, unix.O_DIRECTORY)
	if err != nil {
		l.miss(p, err)
		return
	}
	f := os.NewFile(uintptr(fd), p)
	if !l.tasks.TryGo(func() error { l.folder(f, p); return nil }) {
		l.folder(f, p)
	}
}

func (l *lister) miss(p string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.d.miss(premortem.Pos{File: p, Line: 1}, "cannot be listed: "+cause(err).Error())
}
