package postgres

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/premortem/premortem"
)

// pinned is the exact package version of each major. Raising one is a commit.
var pinned = map[int]string{
	12: "12.22.0-beta.15",
	13: "13.23.0-beta.16",
	14: "14.23.0-beta.17",
	15: "15.18.0-beta.17",
	16: "16.14.0-beta.17",
	17: "17.10.0-beta.17",
	18: "18.4.0-beta.17",
}

// fetched returns the cached binaries of a major and fetches them when they are
// not there. A cache that does not run any more is thrown away and fetched again.
func fetched(ctx context.Context, o FindOptions) (Binaries, error) {
	major := o.Major
	if major == 0 {
		major = Newest
	}
	version, ok := pinned[major]
	if !ok || platform() == "" {
		return Binaries{}, &premortem.Error{
			Doing: fmt.Sprintf("find PostgreSQL %d", major),
			Err:   fmt.Errorf("not installed, and there is no package of it for %s", orUnknown(platform())),
			Hint:  fmt.Sprintf("install PostgreSQL %d and point PREMORTEM_PG_BIN at its bin folder", major),
		}
	}
	name := platform() + "-" + version
	root := filepath.Join(cacheRoot(o.Cache), "binaries")
	if err := makeOpen(root); err != nil {
		return Binaries{}, cacheError(root, err)
	}
	unlock, err := lockFile(ctx, filepath.Join(root, name+".lock"))
	if err != nil {
		return Binaries{}, cacheError(root, err)
	}
	defer unlock()
	if err := removeStale(root, "fetch-"+name+"-"); err != nil {
		return Binaries{}, cacheError(root, err)
	}
	home := filepath.Join(root, name)
	if b, err := cached(ctx, home, major); err == nil {
		return b, nil
	}
	if o.Progress != nil {
		o.Progress(fmt.Sprintf("fetching PostgreSQL %d with npm", major))
	}
	if err := fetch(ctx, home, version); err != nil {
		return Binaries{}, err
	}
	b, err := cached(ctx, home, major)
	if err != nil {
		return Binaries{}, &premortem.Error{
			Doing: fmt.Sprintf("run the fetched PostgreSQL %d", major),
			Err:   err,
			Hint:  fmt.Sprintf("install PostgreSQL %d and point PREMORTEM_PG_BIN at its bin folder", major),
		}
	}
	return b, nil
}

func orUnknown(s string) string {
	if s == "" {
		return "this machine"
	}
	return s
}

func cacheError(dir string, err error) error {
	return &premortem.Error{
		Doing: "keep PostgreSQL's binaries in " + dir,
		Err:   err,
		Hint:  "make the folder writable or free space there; or point PREMORTEM_PG_BIN at an installed PostgreSQL",
	}
}

// intact lists every file of a fetched package with its size, written last: a
// folder that differs from it was interrupted or damaged.
const intact = "intact.json"

// cached checks the folder that fetch made.
func cached(ctx context.Context, home string, major int) (Binaries, error) {
	raw, err := os.ReadFile(filepath.Join(home, intact))
	if err != nil {
		return Binaries{}, err
	}
	var sizes map[string]int64
	if err := json.Unmarshal(raw, &sizes); err != nil {
		return Binaries{}, fmt.Errorf("%s: %w", intact, err)
	}
	for file, size := range sizes {
		info, err := os.Stat(filepath.Join(home, file))
		if err != nil {
			return Binaries{}, err
		}
		if info.Size() != size {
			return Binaries{}, fmt.Errorf("%s has %d bytes, want %d", file, info.Size(), size)
		}
	}
	b, err := examine(ctx, filepath.Join(home, "native", "bin"), "fetched")
	if err == nil && b.Major != major {
		err = fmt.Errorf("the package holds PostgreSQL %s", b.Version)
	}
	return b, err
}

// fetch packs the package with npm, unpacks it beside home and renames it there.
func fetch(ctx context.Context, home, version string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		major, _, _ := strings.Cut(version, ".")
		return &premortem.Error{
			Doing: "fetch PostgreSQL " + major,
			Err:   err,
			Hint:  "install PostgreSQL " + major + ", or npm so that it can be fetched, or point PREMORTEM_PG_BIN at its bin folder",
		}
	}
	root := filepath.Dir(home)
	temp, err := os.MkdirTemp(root, "fetch-"+filepath.Base(home)+"-")
	if err != nil {
		return cacheError(root, err)
	}
	defer os.RemoveAll(temp)
	spec := "@embedded-postgres/" + platform() + "@" + version
	archive, err := pack(ctx, npm, spec, temp)
	if err != nil {
		return err
	}
	work := filepath.Join(temp, "unpacked")
	if err := unpack(archive, work); err != nil {
		return cacheError(root, fmt.Errorf("unpack %s: %w", spec, err))
	}
	// Whatever was at home failed its check.
	if err := os.RemoveAll(home); err != nil {
		return cacheError(root, err)
	}
	if err := os.Rename(work, home); err != nil {
		return cacheError(root, err)
	}
	return nil
}

// removeStale removes the folders of a name that a run which was killed has left. The
// caller holds the lock of everybody who makes such folders.
func removeStale(root, prefix string) error {
	left, err := filepath.Glob(filepath.Join(root, prefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// leash runs a program and ends everything that it started when it is itself told to
// end. npm starts programs of its own, and the signal that we arrange for our death
// reaches only the first process.
const leash = `trap 'trap "" TERM; kill -KILL 0' TERM; "$@" & wait $!`

// pack downloads a package's archive; npm verifies its integrity. Nothing that npm
// starts outlives the context, or us.
func pack(ctx context.Context, npm, spec, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", leash, "sh", npm, "pack", spec, "--silent", "--pack-destination", dir)
	cmd.Dir = dir // not the user's repository: its package.json is none of our business
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithUs(cmd.SysProcAttr)
	bound(cmd)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	runtime.LockOSThread() // the forking thread must outlive the child; see spawn
	out, err := cmd.Output()
	runtime.UnlockOSThread()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		if text := firstLine(stderr.Bytes()); text != "" {
			err = fmt.Errorf("%w: %s", err, text)
		}
		return "", &premortem.Error{
			Doing: "npm pack " + spec,
			Err:   err,
			Hint:  "check that npm reaches its registry; or install that PostgreSQL, or point PREMORTEM_PG_BIN at its bin folder",
		}
	}
	lines := strings.Fields(string(out))
	if len(lines) == 0 {
		return "", &premortem.Error{Doing: "npm pack " + spec, Err: errors.New("npm named no archive"), Hint: "use npm 7 or newer"}
	}
	return filepath.Join(dir, filepath.Base(lines[len(lines)-1])), nil
}

// unpack extracts the native folder of a package, readable by every account,
// restores its symbolic links and records what an intact copy looks like.
func unpack(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	sizes := map[string]int64{}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(h.Name, "package/")
		if h.Typeflag != tar.TypeReg || !strings.HasPrefix(name, "native/") {
			continue
		}
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%s leaves the package", h.Name)
		}
		if err := extract(r, filepath.Join(dir, name), h.FileInfo().Mode()); err != nil {
			return err
		}
		sizes[name] = h.Size
	}
	if err := relink(dir); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(sizes, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, intact), raw, 0o644); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// makeOpen makes a folder and its missing parents so that every account may enter
// them, whatever the umask.
func makeOpen(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if up := filepath.Dir(dir); up != dir {
		if err := makeOpen(up); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(dir, 0o755)
}

func extract(r io.Reader, file string, mode fs.FileMode) error {
	if err := makeOpen(filepath.Dir(file)); err != nil {
		return err
	}
	perm := fs.FileMode(0o644)
	if mode&0o111 != 0 {
		perm = 0o755
	}
	w, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close(), os.Chmod(file, perm)) // whatever the umask
}

// relink restores the links that npm packages cannot hold; the package lists them.
func relink(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "native", "pg-symlinks.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(raw, &links); err != nil {
		return fmt.Errorf("pg-symlinks.json: %w", err)
	}
	for _, l := range links {
		if !filepath.IsLocal(l.Source) || !filepath.IsLocal(l.Target) {
			return fmt.Errorf("pg-symlinks.json: %s leaves the package", strconv.Quote(l.Target))
		}
		to, err := filepath.Rel(filepath.Dir(l.Target), l.Source)
		if err != nil {
			return err
		}
		if err := makeOpen(filepath.Dir(filepath.Join(dir, l.Target))); err != nil {
			return err
		}
		if err := os.Symlink(to, filepath.Join(dir, l.Target)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}
