package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

func TestServerSpeaksOverSocketAndTCP(t *testing.T) {
	if got := ask(t, server.SocketDSN("postgres"), "SELECT current_user || ' ' || (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"); got != "premortem true" {
		t.Errorf("over the socket we are %q, want the superuser premortem", got)
	}
	if got := ask(t, server.DSN("postgres"), "SELECT current_user || ' ' || (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"); got != "postgres false" {
		t.Errorf("over TCP the app is %q, want postgres, no superuser", got)
	}
	for setting, want := range map[string]string{"server_encoding": "UTF8", "lc_collate": "C.UTF-8", "listen_addresses": "127.0.0.1", "TimeZone": "UTC"} {
		if setting == "lc_collate" {
			if got := ask(t, server.SocketDSN("postgres"), "SELECT datcollate FROM pg_database WHERE datname = 'postgres'"); got != want {
				t.Errorf("collation is %q, want %q", got, want)
			}
			continue
		}
		if got := ask(t, server.SocketDSN("postgres"), "current_setting('"+setting+"')"); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
}

func TestTCPRefusesAWrongPassword(t *testing.T) {
	dsn := strings.Replace(server.DSN("postgres"), server.Password(), "wrong", 1)
	c, err := pgx.Connect(t.Context(), dsn)
	if err == nil {
		closeConn(c)
		t.Fatal("a wrong password was accepted")
	}
}

func TestServerRunsUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("we are not root: the server runs as we do")
		return
	}
	info, err := os.Stat(fmt.Sprintf("/proc/%d", server.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 {
		t.Error("the postmaster runs as root")
	}
}

func TestUnknownAccountIsNamed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root chooses an account")
		return
	}
	_, err := Start(t.Context(), server.Binaries(), Options{User: "no-such-account"})
	wantError(t, err, "no-such-account")
}

// wantError checks that err is one clear *premortem.Error with a hint.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	e, ok := errors.AsType[*premortem.Error](err)
	if !ok {
		t.Fatalf("got %v, want a *premortem.Error", err)
	}
	if e.Hint == "" {
		t.Errorf("%v has no hint", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error()+" "+e.Hint, part) {
			t.Errorf("%v (hint: %s) does not say %q", err, e.Hint, part)
		}
	}
}

// openFolder is a temporary folder that every account may enter.
func openFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCloseLeavesNothing(t *testing.T) {
	parent := openFolder(t)
	s, err := Start(t.Context(), server.Binaries(), Options{Dir: parent})
	if err != nil {
		t.Fatal(err)
	}
	pid, dir, addr := s.Pid(), s.Dir(), s.Addr()
	if filepath.Dir(dir) != parent {
		t.Errorf("the server's folder is %s, want one in %s", dir, parent)
	}
	c, err := pgx.Connect(t.Context(), s.DSN("postgres")) // an open connection does not hold Close up
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(c)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("folder %s is still there: %v", dir, err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Errorf("%s is still open", addr)
	}
	if err := s.Restart(t.Context(), nil); err == nil {
		t.Error("a closed server restarted")
	}
}

func TestRestartKeepsPortAndDataAndChangesSettings(t *testing.T) {
	s, err := Start(t.Context(), server.Binaries(), Options{Settings: Loading()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.CreateDatabase(t.Context(), "shop", ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context(), "shop", []Migration{{Name: "a.sql", SQL: "CREATE TABLE t (a int); INSERT INTO t VALUES (7);"}}); err != nil {
		t.Fatal(err)
	}
	addr, pid := s.Addr(), s.Pid()
	if err := s.Restart(t.Context(), map[string]string{"max_connections": "37", "wal_level": "replica", "fsync": ""}); err != nil {
		t.Fatal(err)
	}
	if s.Addr() != addr || s.Pid() == pid {
		t.Errorf("restarted at %s as %d, was at %s as %d", s.Addr(), s.Pid(), addr, pid)
	}
	if got := ask(t, s.DSN("shop"), "SELECT a || current_setting('max_connections') || current_setting('fsync') || current_setting('wal_level') FROM t"); got != "737onreplica" {
		t.Errorf("after the restart: %q", got)
	}
	err = s.Restart(t.Context(), map[string]string{"max_connections": "many"})
	wantError(t, err, "max_connections", "settings")
	if err := s.Restart(t.Context(), nil); err != nil {
		t.Fatalf("after refused settings the server does not come back: %v", err)
	}
	if got := ask(t, s.DSN("shop"), "SELECT current_setting('max_connections') || current_setting('autovacuum')"); got != "37off" {
		t.Errorf("after refused settings: %q, want those before them", got)
	}
}

func TestPortInUseIsNamed(t *testing.T) {
	_, port, _ := net.SplitHostPort(server.Addr())
	_, err := Start(t.Context(), server.Binaries(), Options{Settings: map[string]string{"port": port}})
	wantError(t, err, "port")
}

func TestMissingLibrariesAreLeftOutAndNamed(t *testing.T) {
	s, err := Start(t.Context(), server.Binaries(), Options{Settings: map[string]string{"shared_preload_libraries": "pg_stat_statements,no_such_library"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "no_such_library") {
		t.Errorf("notes are %q", s.Notes)
	}
}

func TestJournalIsToldAndItsErrorStopsTheStart(t *testing.T) {
	told := 0
	stop := errors.New("no journal")
	_, err := Start(t.Context(), server.Binaries(), Options{Journal: func(pid int, dir string) error {
		if told = pid; pid == 0 {
			return nil
		}
		return stop
	}})
	if !errors.Is(err, stop) || told == 0 {
		t.Fatalf("told %d, %v", told, err)
	}
	if err := syscall.Kill(told, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d outlives a failed start", told)
	}
}

func TestFoldersAreJournalledBeforeTheyAreMade(t *testing.T) {
	parent := filepath.Join(openFolder(t), strings.Repeat("long", 25)) // so the socket lies in a folder of its own
	stop := errors.New("no journal")
	for refuse := range 2 {
		var told []string
		_, err := Start(t.Context(), server.Binaries(), Options{Dir: parent, Journal: func(pid int, dir string) error {
			if _, err := os.Stat(dir); pid != 0 || !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("told %d, %s, which is there already: %v", pid, dir, err)
			}
			if told = append(told, dir); len(told) > refuse {
				return stop
			}
			return nil
		}})
		if !errors.Is(err, stop) || len(told) != refuse+1 || filepath.Dir(told[0]) != parent || refuse == 1 && filepath.Dir(told[1]) != "/tmp" {
			t.Fatalf("told %q, %v", told, err)
		}
		for _, dir := range told {
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is there after a refused start: %v", dir, err)
			}
		}
	}
}

func TestRestartChangesOnlyWhatItNames(t *testing.T) {
	before := map[string]string{"Work_Mem": "8MB", "max_connections": "50"}
	got := merged(before, map[string]string{"work_mem": "16MB", "jit": "off"})
	if len(got) != 3 || got["work_mem"] != "16MB" || got["max_connections"] != "50" || got["jit"] != "off" {
		t.Errorf("%v", got)
	}
	if got := merged(got, map[string]string{"MAX_CONNECTIONS": ""}); len(got) != 2 || got["work_mem"] != "16MB" {
		t.Errorf("%v; an empty value takes a setting back", got)
	}
	if got := merged(before, nil); len(got) != 2 || before["Work_Mem"] != "8MB" {
		t.Errorf("%v from %v", got, before)
	}
}

func TestLongFolderNamesWork(t *testing.T) {
	longOnly(t)
	parent := filepath.Join(openFolder(t), strings.Repeat("long", 25))
	s, err := Start(t.Context(), server.Binaries(), Options{Dir: parent})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := ask(t, s.SocketDSN("postgres"), "SELECT 1"); got != "1" {
		t.Errorf("got %q", got)
	}
}

func TestCancelledStartLeavesNothing(t *testing.T) {
	longOnly(t)
	parent := openFolder(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Start(ctx, server.Binaries(), Options{Dir: parent, Journal: func(int, string) error {
		cancel()
		return nil
	}})
	if err == nil {
		t.Fatal("a cancelled start succeeded")
	}
	left, _ := filepath.Glob(filepath.Join(parent, "*"))
	if len(left) > 0 {
		t.Errorf("%q is left", left)
	}
}

// childMain runs in the process that TestKilledParentLeavesNoServer kills.
func childMain(dir string) {
	ctx := context.Background()
	b, err := Find(ctx, FindOptions{Major: 15})
	if err == nil {
		var s *Server
		if s, err = Start(ctx, b, Options{Dir: dir}); err == nil {
			fmt.Println(s.Pid(), s.Dir())
			select {}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestKilledParentLeavesNoServer(t *testing.T) {
	parent := openFolder(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PREMORTEM_TEST_CHILD="+parent)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	number, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
	pid, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	// On Linux the kernel tells the postmaster; elsewhere the sweep of the next start does.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for runtime.GOOS == "linux" && syscall.Kill(pid, 0) == nil {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			t.Fatalf("postmaster %d outlives its killed parent", pid)
		}
	}
	if err := Sweep(ctx, parent); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the sweep left %s: %v", dir, err)
	}
}

func TestSweepLeavesRunningServersAlone(t *testing.T) {
	if err := Sweep(t.Context(), filepath.Dir(server.Dir())); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, server.SocketDSN("postgres"), "SELECT 1"); got != "1" {
		t.Errorf("got %q", got)
	}
}

func TestPasswordIsInNoFileOfTheServer(t *testing.T) {
	err := filepath.WalkDir(server.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // files of a running server come and go
		}
		raw, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(raw), server.Password()) {
			t.Errorf("%s holds the password", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
