package postgres

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// prefix of the folders that servers make in Options.Dir.
const prefix = "pg-"

// socketPathMax is the longest path of a Unix socket, less than any system's limit.
const socketPathMax = 103

// makeFolder makes the server's folder, its lock and the folder of its socket.
func (s *Server) makeFolder(ctx context.Context, parent string) error {
	if parent == "" {
		parent = os.TempDir()
	}
	parent, err := filepath.Abs(parent)
	if err != nil {
		return err
	}
	if s.who.other && !enterable(parent) {
		parent = os.TempDir()
	}
	if err := makeOpen(parent); err != nil {
		return err
	}
	if err := Sweep(ctx, parent); err != nil {
		return err
	}
	if err := s.mkdir(&s.dir, filepath.Join(parent, prefix+unique())); err != nil {
		return err
	}
	sockets := filepath.Join(s.dir, "s")
	if len(sockets)+len("/.s.PGSQL.65535.lock") > socketPathMax {
		sockets = filepath.Join("/tmp", "pm-"+unique())
	}
	if err := s.mkdir(&s.sockets, sockets); err != nil {
		return err
	}
	if err := s.takeLock(); err != nil {
		return err
	}
	return errors.Join(s.who.own(s.dir), s.who.own(s.sockets))
}

// mkdir journals a folder and makes it, in this order: what a kill leaves between the
// two is an entry for a folder that is not there. The folder is ours, and in *of, only
// when nobody had made it before.
func (s *Server) mkdir(of *string, dir string) error {
	if s.journal != nil {
		if err := s.journal(0, dir); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	*of = dir
	return nil
}

// unique is a name that nobody else has: 60 random bits, in letters that every file
// system tells apart.
func unique() string { return strings.ToLower(rand.Text()[:12]) }

// takeLock marks the folder as in use. The lock is taken before the file gets the
// name that Sweep looks for, so that no sweep can come between.
func (s *Server) takeLock() error {
	fresh := filepath.Join(s.dir, "lock.new")
	if err := os.WriteFile(fresh, []byte(s.sockets), 0o600); err != nil {
		return err
	}
	if s.lock = tryLock(fresh); s.lock == nil {
		return fmt.Errorf("lock %s: somebody else holds it", fresh)
	}
	return os.Rename(fresh, filepath.Join(s.dir, "lock"))
}

// Sweep removes what servers left in parent whose owner died before it could close
// them: their processes, sockets and folders. Folders in use are left alone.
func Sweep(ctx context.Context, parent string) error {
	dirs, err := filepath.Glob(filepath.Join(parent, prefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		lock := tryLock(filepath.Join(dir, "lock"))
		if lock == nil {
			continue
		}
		err := sweep(ctx, dir)
		lock.Close()
		if err != nil {
			return fmt.Errorf("remove %s, left by a run that was killed: %w", dir, err)
		}
	}
	return nil
}

func sweep(ctx context.Context, dir string) error {
	data := filepath.Join(dir, "data")
	if pid := postmasterOf(data); pid != 0 && serves(ctx, pid, data) {
		if err := endProcess(ctx, pid); err != nil {
			return err
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "lock"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// The lock file is only ours to believe as far as the name that we give.
	if sockets := string(raw); strings.HasPrefix(sockets, "/tmp/pm-") && filepath.Clean(sockets) == sockets {
		if err := os.RemoveAll(sockets); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// serves reports whether a process is the postmaster of a data folder, and not
// another one that got its number.
func serves(ctx context.Context, pid int, data string) bool {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil && runtime.GOOS != "linux" {
		line, err = exec.CommandContext(ctx, "ps", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
	}
	return err == nil && bytes.Contains(line, []byte(data))
}

// endProcess ends a process that is no child of ours.
func endProcess(ctx context.Context, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	for sig := syscall.SIGQUIT; ; sig = 0 {
		if err := syscall.Kill(pid, sig); err != nil {
			return ignore(err, syscall.ESRCH)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return ignore(syscall.Kill(pid, syscall.SIGKILL), syscall.ESRCH)
		}
	}
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// fillCluster puts a fresh cluster into the data folder: a copy of a cached one, or
// a new one, which is then cached. It reports which.
func (s *Server) fillCluster(ctx context.Context) (fromCache bool, err error) {
	if err := os.RemoveAll(s.data()); err != nil {
		return false, err
	}
	template := s.template()
	if raw, err := os.ReadFile(filepath.Join(template, "PG_VERSION")); err == nil && firstLine(raw) == strconv.Itoa(s.bin.Major) {
		err := copyTree(ctx, template, s.data(), s.who)
		switch {
		case err == nil:
			return true, nil
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		case isDiskFull(err):
			return false, err
		}
		if err := os.RemoveAll(s.data()); err != nil {
			return false, err
		}
	}
	if err := initialise(ctx, s.bin, s.who, s.data()); err != nil {
		return false, err
	}
	if err := s.prepare(ctx); err != nil {
		return false, err
	}
	// The cache saves time; a start does not fail for it. A full disk fails soon enough.
	_ = s.keepTemplate(ctx, template)
	return false, ctx.Err()
}

func (s *Server) template() string {
	return filepath.Join(cacheRoot(""), "clusters", templateName(s.bin, s.HasStatements))
}

func (s *Server) forgetTemplate() error { return os.RemoveAll(s.template()) }

func (s *Server) keepTemplate(ctx context.Context, template string) error {
	if err := makeOpen(filepath.Dir(template)); err != nil {
		return err
	}
	unlock, err := lockFile(ctx, template+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	part := "new-" + filepath.Base(template) + "-"
	if err := removeStale(filepath.Dir(template), part); err != nil {
		return err
	}
	if _, err := os.Stat(template); err == nil {
		return nil // another run was first
	}
	temp, err := os.MkdirTemp(filepath.Dir(template), part)
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if err := copyTree(ctx, s.data(), filepath.Join(temp, "data"), account{}); err != nil {
		return err
	}
	return os.Rename(filepath.Join(temp, "data"), template)
}

// prepare makes the app's role and the extension in every future database, with
// the server in single-user mode, which takes one statement a line.
func (s *Server) prepare(ctx context.Context) error {
	sql := fmt.Sprintf("CREATE ROLE %s LOGIN CREATEDB CREATEROLE\nGRANT pg_monitor, pg_signal_backend TO %s\n", appRole, appRole)
	if s.HasStatements {
		sql += "CREATE EXTENSION pg_stat_statements\n"
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin.Dir, "postgres"), "--single", "-D", s.data(), "-c", "exit_on_error=on", "template1")
	cmd.Dir, cmd.Env, cmd.Stdin = s.dir, environment(), strings.NewReader(sql)
	cmd.SysProcAttr = s.who.attributes()
	bound(cmd)
	runtime.LockOSThread() // as in initdb
	defer runtime.UnlockOSThread()
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("ERROR:")) {
		return fmt.Errorf("prepare the cluster: %v: %s", err, complaint(out))
	}
	return nil
}

// setPassword gives the app's role its password as a verifier, so that the
// password itself is in no log and in no file.
func (s *Server) setPassword(ctx context.Context) error {
	verifier, err := scram(s.password)
	if err != nil {
		return err
	}
	c, err := pgconn.Connect(ctx, s.SocketDSN("template1"))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, "ALTER ROLE "+appRole+" PASSWORD '"+verifier+"'").ReadAll()
	return err
}

// scram computes a SCRAM-SHA-256 verifier as PostgreSQL stores it (RFC 5803).
func scram(password string) (string, error) {
	const rounds = 4096
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return "", err
	}
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", rounds, b64(salt), b64(stored[:]), b64(mac("Server Key"))), nil
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)
