package clone

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

func TestJournalOfADeadRunIsCleanedUpAndOfALiveOneRefused(t *testing.T) {
	state := t.TempDir()
	left := filepath.Join(t.TempDir(), "left")
	if err := os.MkdirAll(filepath.Join(left, "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	dead := `{"kind":"owner","pid":999999,"born":"x/1"}
{"kind":"folder","path":` + quoted(left) + `}
{"kind":"process","pid":999998,"born":"x/2","name":"service/api"}
{"kind":"pro`
	if err := os.WriteFile(journalPath(state), []byte(dead), 0o644); err != nil {
		t.Fatal(err)
	}
	did, err := Recover(state)
	if err != nil || len(did) != 1 || !strings.Contains(did[0], left) {
		t.Fatalf("recovered %q, %v; want the folder removed", did, err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("the folder of the dead run is still there")
	}
	if did, err := Recover(state); err != nil || len(did) != 0 {
		t.Errorf("recovering again did %q, %v; want nothing", did, err)
	}
	j, err := openJournal(state)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(state); err == nil || !strings.Contains(err.Error(), "another premortem runs here") {
		t.Errorf("a second run got %v, want to be refused", err)
	}
	if err := j.close(true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(journalPath(state)); err == nil {
		t.Error("the journal outlives its run")
	}
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `\`, `\\`) + `"` }

// A pid that was used again is another process: it must not be ended.
func TestRecoverSparesAProcessThatOnlyHasTheSameNumber(t *testing.T) {
	state := t.TempDir()
	line := `{"kind":"process","pid":` + itoa(os.Getpid()) + `,"born":"another boot/1","name":"service/api"}` + "\n"
	if err := os.WriteFile(journalPath(state), []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	if did, err := Recover(state); err != nil || len(did) != 0 {
		t.Errorf("did %q, %v; want nothing: the process is another", did, err)
	}
}

func itoa(n int) string {
	s := ""
	for ; n > 0; n /= 10 {
		s = string(rune('0'+n%10)) + s
	}
	return s
}

func TestLogBookKeepsTheLastLinesAndCutsLongOnes(t *testing.T) {
	b, err := newLogBook(filepath.Join(t.TempDir(), "api.log"), nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	stop := b.Follow(func([]byte) { seen++ })
	long := strings.Repeat("x", 3*maxLine)
	b.copy(strings.NewReader(strings.Repeat("line\n", 100)+long+"\nlast"), nil)
	stop()
	last := b.Last(2)
	if len(last) != 2 || last[1] != "last" || len(last[0]) > maxLine {
		t.Errorf("the last lines are %d: %.20q…; want a cut line and %q", len(last), last, "last")
	}
	if seen != 102 {
		t.Errorf("followed %d lines, want 102", seen)
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
}

func TestStandInsAreTheSameForOneSeedAndNeverAValueFromTheRepository(t *testing.T) {
	a, b := &Clone{opts: Options{Seed: 1}}, &Clone{opts: Options{Seed: 2}}
	if a.standIn("STRIPE_KEY") != a.standIn("STRIPE_KEY") {
		t.Error("the same seed gives two values")
	}
	if a.standIn("STRIPE_KEY") == b.standIn("STRIPE_KEY") || a.standIn("X") == a.standIn("Y") {
		t.Error("another seed or another name gives the same value")
	}
	if !strings.HasPrefix(a.standIn("X"), "rehearsal_") {
		t.Error("a stand-in must be recognisable")
	}
}

func TestPartsOfAnAddressAreRecognisedByTheirPrefix(t *testing.T) {
	stores := []storeAddress{
		{store: &premortem.Store{Node: "store/postgres", Kind: "postgres"}, hosts: []string{"pg.internal"}},
		{store: &premortem.Store{Node: "store/redis", Kind: "redis"}},
	}
	s := &premortem.Service{Provides: []premortem.EnvSet{{Name: "LEDGER_HOST", Plain: true, Value: "pg.internal"}}}
	for name, want := range map[string]string{
		"DB_HOST": "store/postgres host", "DB_PASSWORD": "store/postgres password", "PGHOST": "store/postgres host",
		"PGDATABASE": "store/postgres name", "REDIS_PORT": "store/redis port", "LEDGER_PORT": "store/postgres port",
		"SMTP_HOST": "", "DB_POOL_MAX": "", "HOST": "",
	} {
		part, a, ok := partOf(s, name, stores)
		got := ""
		if ok {
			got = string(a.store.Node) + " " + part
		}
		if got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestMajorVersionOfTagsAndNumbers(t *testing.T) {
	for in, want := range map[string]string{"15.4": "15", "16-alpine": "16", "v20.1.0": "20", "7": "7", "latest": "", "": ""} {
		if got := major(in); got != want {
			t.Errorf("major(%q) is %q, want %q", in, got, want)
		}
	}
}
