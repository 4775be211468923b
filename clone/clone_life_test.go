package clone

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

// begin starts the clone and closes it with the test.
func begin(t *testing.T, sys *premortem.System, o Options) *Clone {
	t.Helper()
	c, err := Start(t.Context(), sys, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// until waits for a condition that another process brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("%s: not after 10 s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestTheJournalStaysWhenSomethingCannotBeRemoved(t *testing.T) {
	sys, o := small(t)
	c, err := Start(t.Context(), sys, o)
	if err != nil {
		t.Fatal(err)
	}
	scratch := c.scratch
	c.scratch += "/." // which cannot be removed
	err = c.Close()
	if _, ok := errors.AsType[*premortem.Error](err); !ok || !strings.Contains(err.Error(), "stop the clone") {
		t.Errorf("closing gave %v, want what was left", err)
	}
	if _, err := os.Stat(journalPath(o.State)); err != nil {
		t.Fatalf("the journal is gone: %v", err)
	}
	if did, err := Recover(o.State); err != nil || len(did) != 1 || !strings.Contains(did[0], scratch) {
		t.Errorf("recovered %q, %v; want the folder removed", did, err)
	}
	for _, path := range []string{scratch, journalPath(o.State), lockPath(o.State)} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
}

func TestOfRunsThatBeginAtOnceOneGoesOn(t *testing.T) {
	state := t.TempDir()
	var g sync.WaitGroup
	journals, errs := make([]*journal, 8), make([]error, 8)
	for i := range journals {
		g.Go(func() { journals[i], errs[i] = openJournal(state) })
	}
	g.Wait()
	var won *journal
	for i, j := range journals {
		switch {
		case j != nil && won != nil:
			t.Error("two runs share the folder")
		case j != nil:
			won = j
		case !strings.Contains(errs[i].Error(), "another premortem runs here"):
			t.Errorf("a run was refused with %v", errs[i])
		}
	}
	if won == nil {
		t.Fatalf("no run goes on: %v", errs)
	}
	if err := won.close(true); err != nil {
		t.Fatal(err)
	}
}

func TestAnEmptyJournalOfALiveRunIsNotCleanedUp(t *testing.T) {
	state := t.TempDir()
	l, err := takeLock(state)
	if err != nil {
		t.Fatal(err)
	}
	write(t, journalPath(state), "", 0o644)
	if _, err := Recover(state); err == nil || !strings.Contains(err.Error(), "(process "+strconv.Itoa(os.Getpid())+")") {
		t.Errorf("got %v, want to be refused with the process", err)
	}
	if _, err := os.Stat(journalPath(state)); err != nil {
		t.Errorf("its journal: %v", err)
	}
	if s, err := Status(state); err != nil || !s.Running || s.Owner != os.Getpid() {
		t.Errorf("its status is %+v, %v", s, err)
	}
	if err := l.release(); err != nil {
		t.Fatal(err)
	}
}

func TestUnitsThatEndedAreListedAndRevived(t *testing.T) {
	sys, o := small(t)
	write(t, filepath.Join(o.Dir, "app.js"), strings.Replace(app, "if (req.url === '/env')",
		"if (req.url === '/die') { console.error('dying as asked'); process.exit(9); }\n  if (req.url === '/env')", 1), 0o644)
	c := begin(t, sys, o)
	if e := c.Ended(); len(e) != 0 {
		t.Errorf("at the start %+v have ended", e)
	}
	units := c.Units()
	victim := units[len(units)-1]
	if resp, err := http.Get("http://" + victim.Addr() + "/die"); err == nil {
		resp.Body.Close()
	}
	until(t, "the unit ends", func() bool { return ended(victim) })
	e := c.Ended()
	if len(e) != 1 || e[0].Replica != victim.Replica() || e[0].Exit != "exit status 9" || !strings.Contains(strings.Join(e[0].Lines, " "), "dying as asked") {
		t.Fatalf("ended: %+v; want replica %d with its last words", e, victim.Replica())
	}
	if err := c.Revive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := c.Ended(); len(e) != 0 || len(c.Units()) != len(units) {
		t.Errorf("after Revive %d units run and %+v have ended", len(c.Units()), e)
	}
	if len(units) > 1 && c.Units()[0] != units[0] {
		t.Error("a unit that ran was replaced")
	}
	for range 2 * len(units) {
		if got := get(t, c.URLs()["service/app"]+"/healthz"); got != "ok" {
			t.Errorf("through the edge: %q", got)
		}
	}
}

func TestUnitsAreReadWhileTheyStartAnew(t *testing.T) {
	sys, o := small(t)
	c := begin(t, sys, o)
	stop := make(chan struct{})
	var g sync.WaitGroup
	g.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			for _, u := range c.Units() {
				if u == nil {
					t.Error("a unit is nil")
					return
				}
				_, _ = u.Vitals()
			}
			_ = c.Ended()
			_ = c.Edges()
		}
	})
	err := c.Restart(t.Context(), nil)
	close(stop)
	g.Wait()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAUnitWhosePortWasTakenStartsOnAnother(t *testing.T) {
	sys, o := small(t)
	sys.Services[0].Replicas.Value = 1
	write(t, filepath.Join(o.Dir, "app.js"), `
const fs = require('node:fs');
if (!fs.existsSync('tried')) { fs.writeFileSync('tried', ''); console.error('Error: listen EADDRINUSE: address already in use'); process.exit(1); }
`+app, 0o644)
	c := begin(t, sys, o)
	if got := get(t, c.URLs()["service/app"]+"/healthz"); got != "ok" {
		t.Errorf("got %q", got)
	}
}

func TestAPortThatNothingDeclaresIsExplained(t *testing.T) {
	sys, o := small(t)
	sys.Env, o.Settle = sys.Env[1:], 500*time.Millisecond
	write(t, filepath.Join(o.Dir, "app.js"), `require('node:http').createServer().listen(0, '127.0.0.1')`, 0o644)
	_, err := Start(t.Context(), sys, o)
	if err == nil || !strings.Contains(err.Error(), "the code does not read PORT and no port is declared") {
		t.Errorf("got %v", err)
	}
}

func TestAUnitThatHangsHasNotEnded(t *testing.T) {
	sys, o := small(t)
	write(t, filepath.Join(o.Dir, "app.js"), "if (!process.env.TOKEN) { setInterval(() => {}, 1000); return; }\n"+app, 0o644)
	c := begin(t, sys, o)
	c.opts.Settle = 300 * time.Millisecond
	c.plans[0].took = 100 * time.Millisecond
	b, ok, err := c.TryBoot(t.Context(), "service/app", "TOKEN")
	if err != nil || !ok || b.Ended || b.Healthy || b.Exit != "" {
		t.Errorf("without TOKEN: %+v, %v, %v; want it neither healthy nor ended", b, ok, err)
	}
	if b, _, err = c.TryBoot(t.Context(), "service/app", "NEEDED"); err != nil || !b.Ended {
		t.Errorf("without NEEDED: %+v, %v; want it ended", b, err)
	}
}

func TestASlowServiceIsWatchedLonger(t *testing.T) {
	for _, tt := range []struct{ settle, took, want time.Duration }{
		{60 * time.Second, time.Second, 15 * time.Second},
		{60 * time.Second, 16 * time.Second, 48 * time.Second},
		{60 * time.Second, 50 * time.Second, 100 * time.Second},
		{5 * time.Second, time.Second, 5 * time.Second},
	} {
		c := &Clone{opts: Options{Settle: tt.settle}}
		if got := c.patience(&workload{took: tt.took}); got != tt.want {
			t.Errorf("settle %v, healthy after %v: watched for %v, want %v", tt.settle, tt.took, got, tt.want)
		}
	}
}

func TestSecretsThatTheAppReadsItselfAreMasked(t *testing.T) {
	sys, o := small(t)
	o.Logs = filepath.Join(o.Dir, "logs")
	write(t, filepath.Join(o.Dir, ".env"), "STRIPE_SECRET_KEY=sk_live_CANARY9182\nDB_PASS=\"hunter2canary\" # old\nMODE=production\nHOOK=https://hooks.vendor.example/services/CANARYT000/B1234567890CANARY\n", 0o644)
	write(t, filepath.Join(o.Dir, "secret.yaml"), "kind: Secret\ndata:\n  SIGNING: "+"Q0FOQVJZLXNpZ25pbmcta2V5\n", 0o644)
	sys.Services[0].Provides = append(sys.Services[0].Provides, premortem.EnvSet{
		Name: "SIGNING", Source: "secret api", Pos: premortem.Pos{File: "secret.yaml", Line: 3},
	})
	speak := `
const fs = require('node:fs');
console.log(fs.readFileSync('.env', 'utf8'), 'CANARY-signing-key', process.env.MODE);
`
	write(t, filepath.Join(o.Dir, "app.js"), speak+app, 0o644)
	c := begin(t, sys, o)
	b, _, err := c.TryBoot(t.Context(), "service/app", "NEEDED")
	if err != nil {
		t.Fatal(err)
	}
	heard := strings.Join(c.LogBook("service/app").Last(60), "\n") + strings.Join(b.Lines, "\n") + strings.Join(linesOf(c.Units()[0], 20), "\n")
	if !strings.Contains(heard, "***") || !strings.Contains(heard, "production") {
		t.Errorf("the log says %q; want secrets masked and words kept", heard)
	}
	write(t, filepath.Join(o.Dir, "app.js"), speak+"throw new Error('bad ' + fs.readFileSync('.env', 'utf8'))", 0o644)
	err = c.Restart(t.Context(), nil)
	if err == nil {
		t.Fatal("a service that throws became healthy")
	}
	hint, _ := errors.AsType[*premortem.Error](err)
	if closed := c.LogBook("service/app").close(); closed != nil {
		t.Fatal(closed)
	}
	file, err2 := os.ReadFile(filepath.Join(o.Logs, "app.log"))
	if err2 != nil {
		t.Fatal(err2)
	}
	for where, text := range map[string]string{"the book": heard, "the error": err.Error() + hint.Hint, "the file": string(file)} {
		if strings.Contains(text, "CANARY") || strings.Contains(text, "canary") {
			t.Errorf("%s shows a secret: %s", where, text)
		}
	}
}

func TestLongerSecretsAreMaskedWholeAndShortOnesNotAtAll(t *testing.T) {
	b, err := newLogBook("", []string{"abc", "secret", "secret-and-more", "line one\nline two", "with\"quote"})
	if err != nil {
		t.Fatal(err)
	}
	b.copy(strings.NewReader("abc secret secret-and-more\nline two\n{\"k\":\"with\\\"quote\"}\n"), nil)
	want := "abc *** ***\n***\n{\"k\":\"***\"}"
	if got := strings.Join(b.Last(9), "\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReadersOfAnEndedUnitDoNotBlock(t *testing.T) {
	var b bytes.Buffer
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{out: r, settled: make(chan struct{}), spec: Spec{}}
	p.read.Go(func() { _, _ = io.Copy(&b, r) })
	p.finishReading() // though w stays open
	p.all.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
