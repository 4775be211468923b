package postgres

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestFindPrefersTheNamedFolder(t *testing.T) {
	t.Setenv("PREMORTEM_PG_BIN", server.Binaries().Dir)
	b, err := Find(t.Context(), FindOptions{Major: 18})
	if err != nil {
		t.Fatal(err)
	}
	if b.Source != "PREMORTEM_PG_BIN" || b.Major != 15 || !strings.HasPrefix(b.Version, "15.") {
		t.Errorf("got %+v", b)
	}
	t.Setenv("PREMORTEM_PG_BIN", t.TempDir())
	_, err = Find(t.Context(), FindOptions{})
	wantError(t, err, "PREMORTEM_PG_BIN", "postgres")
}

func TestFindWithoutNpmSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := fetched(t.Context(), FindOptions{Major: 13, Cache: t.TempDir()})
	wantError(t, err, "npm", "PostgreSQL 13", "PREMORTEM_PG_BIN")
}

func TestFindRefusesMajorsThatNobodyPacked(t *testing.T) {
	_, err := Find(t.Context(), FindOptions{Major: 9, Cache: t.TempDir()})
	wantError(t, err, "PostgreSQL 9", "PREMORTEM_PG_BIN")
}

func TestUnreachablePackageIsOneError(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	cache := t.TempDir()
	_, err := fetched(t.Context(), FindOptions{Major: 13, Cache: cache})
	wantError(t, err, "ENOTFOUND", "npm")
	left, _ := filepath.Glob(filepath.Join(cache, "binaries", "*"))
	if slices.ContainsFunc(left, func(f string) bool { return !strings.HasSuffix(f, ".lock") }) {
		t.Errorf("%q is left", left)
	}
}

// newest is a second major, fetched once for all tests that use it.
var newest = sync.OnceValues(func() (Binaries, error) {
	return Find(context.Background(), FindOptions{Major: 17})
})

func TestFetchedServerRuns(t *testing.T) {
	b, err := newest()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(t.Context(), b, Options{Settings: Loading()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if got := ask(t, s.DSN("postgres"), "SELECT current_setting('server_version_num')::int / 10000"); got != "17" {
		t.Errorf("asked for 17, got %s", got)
	}
	if !s.HasStatements {
		t.Error("the package has no pg_stat_statements")
	}
	if got := ask(t, s.SocketDSN("template1"), "SELECT count(*) > 0 FROM pg_stat_statements"); got != "true" {
		t.Errorf("pg_stat_statements counts nothing: %s", got)
	}
	db := databaseOn(t, s, "CREATE TABLE t (id bigserial PRIMARY KEY, name text); CREATE INDEX ON t (lower(name));")
	rows := plan(t, s, db, FillOptions{Rows: map[string]int64{"t": 5000}})
	if err := rows.Load(t.Context(), s, db); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, s.SocketDSN(db), "SELECT count(*) FROM t"); got != "5000" {
		t.Errorf("%s rows", got)
	}
	if err := s.CreateDatabase(t.Context(), "copied", db); err != nil {
		t.Error(err)
	}
	p, err := Explain(t.Context(), s.SocketDSN(db), "SELECT * FROM t WHERE name = $1", nil, true)
	if err != nil || p.Seconds != -1 {
		t.Errorf("generic plan: %+v, %v", p, err)
	}
}

func TestDamagedCacheIsFetchedAgain(t *testing.T) {
	longOnly(t)
	cache := t.TempDir()
	b, err := fetched(t.Context(), FindOptions{Major: 17, Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	link, err := os.Readlink(filepath.Join(b.Dir, "..", "lib", "libpq.so.5"))
	if err == nil && strings.HasPrefix(link, "/") {
		t.Errorf("the link %s does not survive a move", link)
	}
	for _, dir := range []string{b.Dir, filepath.Dir(b.Dir)} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o005 != 0o005 {
			t.Errorf("%s cannot be entered by others: %v %v", dir, info.Mode(), err)
		}
	}
	if err := os.Truncate(filepath.Join(b.Dir, "postgres"), 1000); err != nil {
		t.Fatal(err)
	}
	told := ""
	again, err := fetched(t.Context(), FindOptions{Major: 17, Cache: cache, Progress: func(s string) { told = s }})
	if err != nil {
		t.Fatal(err)
	}
	if again != b || told == "" {
		t.Errorf("got %+v (told %q), want %+v fetched again", again, told, b)
	}
}

func TestDamagedClusterCacheIsMadeAnew(t *testing.T) {
	longOnly(t)
	s, err := Start(t.Context(), server.Binaries(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	template := s.template()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(template, "global", "pg_control"), 10); err != nil {
		t.Fatal(err)
	}
	s, err = Start(t.Context(), server.Binaries(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if info, err := os.Stat(filepath.Join(template, "global", "pg_control")); err != nil || info.Size() < 1000 {
		t.Errorf("the cache was not repaired: %v %v", info, err)
	}
}
