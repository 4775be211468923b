package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// owner is the superuser of every cluster, for our own use over the socket. The
// app's role is "postgres", which owns the databases and is no superuser, as on
// managed services, so that the reserved connections stay reserved.
const (
	owner   = "premortem"
	appRole = "postgres"
)

// shape changes when what initdb and prepare leave behind changes; cached clusters
// of another shape are not used.
const shape = "1"

// initialise runs initdb in data, which must not exist.
func initialise(ctx context.Context, b Binaries, who account, data string) error {
	err := initdb(ctx, b, who, data, "C.UTF-8")
	if err != nil && strings.Contains(err.Error(), "invalid locale name") {
		err = initdb(ctx, b, who, data, "C")
	}
	return err
}

func initdb(ctx context.Context, b Binaries, who account, data, locale string) error {
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	if err := who.own(data); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(b.Dir, "initdb"), "-D", data, "-U", owner,
		"-E", "UTF8", "--locale="+locale, "--auth=trust", "--no-sync")
	cmd.Dir = filepath.Dir(data)
	cmd.Env = environment()
	cmd.SysProcAttr = who.attributes()
	bound(cmd)
	// The forking thread must outlive the child; see spawn.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("initdb: %w: %s", err, complaint(out))
}

// logPrefix is time and process in front of a server's message.
var logPrefix = regexp.MustCompile(`\d{4}-\d\d-\d\d [\d:.]+ UTC \[\d+\] `)

// complaint is the part of a program's output that says what went wrong.
func complaint(out []byte) string {
	var keep []string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		for _, mark := range []string{"FATAL:", "PANIC:", "ERROR:", "error:", "could not", "HINT:", "DETAIL:", "No space left", "invalid"} {
			if strings.Contains(line, mark) {
				keep = append(keep, logPrefix.ReplaceAllString(strings.TrimPrefix(line, "initdb: "), ""))
				break
			}
		}
	}
	if len(keep) == 0 {
		return firstLine(out)
	}
	return strings.Join(keep[:min(len(keep), 4)], "; ")
}

// templateName identifies a cached cluster: the exact binaries that made it and
// what prepare did. A package upgrade changes the program's size or time.
func templateName(b Binaries, statements bool) string {
	h := fnv.New64a()
	info, err := os.Stat(filepath.Join(b.Dir, "postgres"))
	if err == nil {
		fmt.Fprint(h, b.Dir, info.Size(), info.ModTime().UnixNano())
	}
	fmt.Fprint(h, shape, statements)
	return fmt.Sprintf("%s-%016x", b.Version, h.Sum64())
}

// copyTree copies a data folder, which holds folders and regular files only, and
// gives the copy to the account.
func copyTree(ctx context.Context, from, to string, who account) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dest := filepath.Join(to, rel)
		if d.IsDir() {
			if err := os.Mkdir(dest, 0o700); err != nil {
				return err
			}
			return who.own(dest)
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file", path)
		}
		g.Go(func() error { return copyFile(path, dest, who) })
		return nil
	})
	return errors.Join(err, g.Wait())
}

func copyFile(from, to string, who account) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r) // the kernel copies, and shares blocks where it can
	return errors.Join(err, w.Close(), who.own(to))
}

// configure writes what a start needs: the settings, in their own file that
// postgresql.conf includes last, and who may connect how.
func configure(data string, who account, settings map[string]string) error {
	conf := filepath.Join(data, "postgresql.conf")
	raw, err := os.ReadFile(conf)
	if err != nil {
		return err
	}
	const include = "\ninclude 'premortem.conf'\n"
	if !bytes.HasSuffix(raw, []byte(include)) {
		if err := os.WriteFile(conf, append(raw, include...), 0o600); err != nil {
			return err
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if !settingName.MatchString(name) {
			return fmt.Errorf("%q is no name of a setting", name)
		}
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.NewReplacer("'", "''", `\`, `\\`, "\n", " ").Replace(settings[name]))
	}
	hba := "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
	for name, text := range map[string]string{"premortem.conf": b.String(), "pg_hba.conf": hba} {
		file := filepath.Join(data, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		if err := who.own(file); err != nil {
			return err
		}
	}
	return nil
}
