package read

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/premortem/premortem"
)

// Store is a folder in which Cached remembers what it read. It holds no secret,
// since a System holds none, and is useless to anybody but this user's premortem.
// The zero Store remembers nothing.
type Store struct {
	Dir   string // "" nothing is remembered
	Build string // names the program that reads; another one's memories are ignored
}

const (
	maxStore  = 256 << 20 // bytes of all memories together; the oldest go first
	maxRacing = 200       // files that are read again before a memory is refreshed
)

// Cached is Dir with a memory. It remembers the System, the names of all files, and
// the hash of each file that was read for it. The memory is used only when the names
// are the same and each of those files has the same content, so that the answer is
// Dir's, byte for byte. A file counts as unchanged without being read when its size,
// its times and its inode are those of last time and the times were old enough then,
// as in Git's index.
//
// A memory that cannot be read, is damaged, or belongs to another build is ignored
// and replaced; one that cannot be written is not an error. Cached may run at the
// same time in several processes. It fails like Dir.
func Cached(ctx context.Context, dir string, store Store) (*premortem.System, error) {
	full, err := filepath.Abs(dir)
	if store.Dir == "" || err != nil {
		return Dir(ctx, dir)
	}
	root, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	started := time.Now()
	t, d, err := walk(ctx, folderFS{root})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(full))
	file := filepath.Join(store.Dir, hex.EncodeToString(sum[:12])+".memory")
	names := t.names(d, store.Build)
	if old, err := recall(file, names); err == nil {
		if racing, same := t.unchanged(ctx, old); same {
			if sys, err := old.system(); err == nil {
				if racing > maxRacing {
					old.settle(started)
					old.save(store, file)
				}
				return sys, ctx.Err()
			}
		}
	}
	t.seen = map[string]*visit{}
	sys, err := t.system(ctx, d)
	if err != nil {
		return nil, err
	}
	if m, err := newRecollection(names, t.seen, sys); err == nil {
		m.settle(started)
		m.save(store, file)
	}
	return sys, nil
}

// recollection is what one reading of a repository leaves behind.
type recollection struct {
	Names  [32]byte // of the build, the files and what could not be listed
	Visits []*visit
	System []byte // gob
}

// visit is what a reading found at a path.
type visit struct {
	Path  string
	Stamp stamp
	Sum   [32]byte // of the content, or of why there is none
	Quiet bool     // the stamp says enough: it was older than the reading
}

// stamp is what a file system says about a file without reading it. The zero stamp
// says nothing.
type stamp struct {
	Size, Modified, Changed int64 // bytes; nanoseconds since 1970
	Inode, Device           uint64
}

// names hashes what a reading depends on besides contents.
func (t *Tree) names(d *Draft, build string) [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%d\x00", build, len(t.paths))
	for _, p := range t.paths {
		h.Write([]byte(p))
		if t.links[p] {
			h.Write([]byte{1})
		}
		h.Write([]byte{0})
	}
	for _, u := range d.unread {
		fmt.Fprintf(h, "%s\x00%s\x00", u.Pos, u.Why)
	}
	return [32]byte(h.Sum(nil))
}

func recall(file string, names [32]byte) (*recollection, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if len(data) < 64 || [32]byte(data[:32]) != names {
		return nil, errors.New("a memory of something else")
	}
	if sha256.Sum256(data[64:]) != [32]byte(data[32:64]) {
		return nil, errors.New("a damaged memory")
	}
	var m recollection
	err = gob.NewDecoder(bytes.NewReader(data[64:])).Decode(&m)
	return &m, err
}

func newRecollection(names [32]byte, seen map[string]*visit, sys *premortem.System) (*recollection, error) {
	m := &recollection{Names: names}
	for _, p := range sortedKeys(seen) {
		m.Visits = append(m.Visits, seen[p])
	}
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(sys)
	m.System = b.Bytes()
	return m, err
}

// system is the System that was remembered: gob does not tell an empty list from
// none, tidy does.
func (m *recollection) system() (*premortem.System, error) {
	sys := &premortem.System{}
	if err := gob.NewDecoder(bytes.NewReader(m.System)).Decode(sys); err != nil {
		return nil, err
	}
	tidy(sys)
	return sys, nil
}

// settle decides which stamps may be trusted next time. A file that was written in
// the seconds before it was read could be written again under the same stamp, for
// the clocks of file systems tick slowly.
func (m *recollection) settle(started time.Time) {
	limit := started.Add(-2 * time.Second).UnixNano()
	for _, v := range m.Visits {
		v.Quiet = v.Stamp != stamp{} && v.Stamp.Modified < limit && v.Stamp.Changed < limit
	}
}

// save replaces the file of a memory in one step. It is worth a try and no more.
func (m *recollection) save(store Store, file string) {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(m); err != nil || b.Len() > maxStore/4 {
		return
	}
	if err := os.MkdirAll(store.Dir, 0o700); err != nil {
		return
	}
	tmp, err := os.CreateTemp(store.Dir, "new-*")
	if err != nil {
		return
	}
	sum := sha256.Sum256(b.Bytes())
	_, err1 := tmp.Write(m.Names[:])
	_, err2 := tmp.Write(sum[:])
	_, err3 := tmp.Write(b.Bytes())
	if errors.Join(err1, err2, err3, tmp.Close()) != nil || os.Rename(tmp.Name(), file) != nil {
		os.Remove(tmp.Name())
		return
	}
	store.trim(filepath.Base(file))
}

// trim removes the oldest memories beyond the size of the store, but not the one
// that was just written, and what a killed process left half written.
func (s Store) trim(keep string) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return cmp.Compare(b.ModTime().UnixNano(), a.ModTime().UnixNano()) })
	var total int64
	for _, f := range files {
		total += f.Size()
		left := filepath.Ext(f.Name()) != ".memory" && time.Since(f.ModTime()) > time.Hour
		if f.Name() != keep && (total > maxStore || left) {
			os.Remove(filepath.Join(s.Dir, f.Name()))
		}
	}
}

// unchanged reports whether every file of a memory still is what it was, and how
// many had to be read to know.
func (t *Tree) unchanged(ctx context.Context, m *recollection) (racing int, same bool) {
	errChanged := errors.New("a file changed")
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readersAtOnce())
	for part := range slices.Chunk(m.Visits, 256) {
		for _, v := range part {
			if !v.Quiet {
				racing++
			}
		}
		g.Go(func() error {
			at := t.cursor()
			defer at.close()
			for _, v := range part {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if v.Quiet && at.stamp(v.Path) == v.Stamp {
					continue
				}
				data, s, err := t.fetch(at, v.Path)
				if sumOf(data, err) != v.Sum {
					return errChanged
				}
				v.Stamp = s
			}
			return nil
		})
	}
	return racing, g.Wait() == nil
}

// note remembers what a reading found at a path.
func (t *Tree) note(p string, s stamp, data []byte, err error) {
	if t.seen == nil {
		return
	}
	v := &visit{Path: p, Sum: sumOf(data, err)}
	if !t.links[p] && t.has(p) {
		v.Stamp = s
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen[p] = v
}

func sumOf(data []byte, err error) [32]byte {
	if err != nil {
		return sha256.Sum256([]byte("not read: " + err.Error()))
	}
	return sha256.Sum256(data)
}
