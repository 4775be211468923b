package postgres

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A small file system of our own is the only honest full disk; it takes root.
func TestFullDiskWhileStartingAndLoadingIsOneError(t *testing.T) {
	longOnly(t)
	dir := openFolder(t)
	mount := func(size string) {
		t.Helper()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755,size="+size); err != nil {
			t.Fatalf("mount a small file system, which root may do unless the container forbids it (CAP_SYS_ADMIN): %v", err)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("only root may mount")
	}
	unmount := func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}
	mount("20m")
	_, err := Start(t.Context(), server.Binaries(), Options{Dir: dir})
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	unmount()
	wantError(t, err, "free space")
	if len(left) > 0 {
		t.Errorf("a failed start left %q", left)
	}
	mount("120m")
	defer unmount()
	s, err := Start(t.Context(), server.Binaries(), Options{Dir: dir, Settings: Loading()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.CreateDatabase(t.Context(), "shop", ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context(), "shop", []Migration{{Name: "a.sql", SQL: benchShop}}); err != nil {
		t.Fatal(err)
	}
	rows := plan(t, s, "shop", FillOptions{Rows: map[string]int64{"users": 500_000, "orders": 500_000}})
	wantError(t, rows.Load(t.Context(), s, "shop"), "free space", "load rows into")
}
