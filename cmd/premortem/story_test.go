package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/report"
)

// storyConfig is the shop with one journey, log-in, and rows enough that its look-up
// without an index breaks on any machine. The rest is small, to be quick.
const storyConfig = `production: k8s/overlays/prod
database:
  rows: {users: 400000, products: 100, orders: 1000, payments: 100, notifications: 100}
  values:
    users.email: "user${id}@shop.example"
    users.password_hash: "scrypt$1024$3588205a9df440f47e4c93b9d3519b06$dac053de0dc07077f470bd3bde83a3d61f8c498086e3501d64447e304ae4ca2a"
base: {users: 20, calls: 6/s}
objectives:
  - {route: "POST /api/login", p95: 800ms, errors: 5%}
journeys:
  login:
    steps:
      - request: POST /api/login
        json: {email: "${rows.users.email}", password: rehearsal-password}
        expect: {status: 200}
`

func storyShop(t *testing.T, config string) string {
	t.Helper()
	return smallShop(t, func(name, text string) string {
		if name == "premortem.yaml" {
			return config
		}
		return text
	})
}

// rehearsed runs premortem rehearse on dir and returns the report.
func rehearsed(t *testing.T, dir string, args ...string) *premortem.Report {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(append([]string{"rehearse", "--format", "json"}, append(args, dir)...), &out, &errs)
	if code == exitFailed {
		t.Fatalf("rehearse ended with %d:\n%s", code, errs.String())
	}
	valid(t, out.Bytes())
	var r premortem.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if want := r.ExitCode(premortem.Down); code != want {
		t.Errorf("exit code %d, the report says %d", code, want)
	}
	return &r
}

// valid checks the bytes against the contract's schema.
func valid(t *testing.T, b []byte) {
	t.Helper()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(report.SchemaJSON))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("report.json", schema); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("report.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("not JSON: %v\n%.300s", err, b)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("the report breaks the contract: %v", err)
	}
}

const lookup = "query-without-index service/api users (lower(email))"

func headroomOf(t *testing.T, r *premortem.Report, x string) premortem.Headroom {
	t.Helper()
	for _, h := range r.Headroom {
		if h.X == x {
			return h
		}
	}
	t.Fatalf("the report has no headroom for %s", x)
	return premortem.Headroom{}
}

func TestTheStoryEndToEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("rehearses three times; the full run does")
	}
	dir := storyShop(t, storyConfig)
	first := rehearsed(t, dir, "--x", "calls", "--budget", "90s", "--cap", "16")
	h := headroomOf(t, first, "calls")
	if h.Answer != premortem.Fails || h.First != "service/api POST /api/login" || h.Finding != lookup {
		t.Fatalf("calls: %s, first %q, cause %q; want login to break on %q\n%s", h.Answer, h.First, h.Finding, lookup, h.Says)
	}
	f := first.Finding(lookup)
	if f == nil || f.Standing != premortem.Shown || f.Severity != premortem.Down {
		t.Fatalf("the look-up is not shown: %+v", f)
	}
	if p := f.Pos(); p.File != "api/src/auth.js" || p.Line == 0 {
		t.Errorf("the look-up is shown at %v, want its line in api/src/auth.js", p)
	}
	proof := f.Fix.Proof
	if proof == nil || !proof.Worked || proof.After >= proof.Before/2 || proof.Next == "" {
		t.Fatalf("the index is not proved with its next limit: %+v", proof)
	}
	for _, key := range []string{"env-missing service/api k8s/overlays/prod STRIPE_WEBHOOK_SECRET", "image-floating service/api node"} {
		if first.Finding(key) == nil {
			t.Errorf("%q is not in the report", key)
		}
	}
	if f := first.Finding("env-missing service/api k8s/overlays/prod STRIPE_WEBHOOK_SECRET"); f != nil && f.Standing != premortem.Shown {
		t.Error("the missing secret is not shown, although the service ends without it")
	}

	t.Run("a second run with the same seed says the same", func(t *testing.T) {
		again := headroomOf(t, rehearsed(t, dir, "--x", "calls", "--budget", "60s"), "calls")
		if again.First != h.First || again.Finding != h.Finding {
			t.Errorf("first %q because of %q; before it was %q because of %q", again.First, again.Finding, h.First, h.Finding)
		}
	})
	t.Run("with the fix applied it is not blamed", func(t *testing.T) {
		for _, e := range f.Fix.Edits {
			apply(t, dir, e)
		}
		after := rehearsed(t, dir, "--x", "calls", "--budget", "60s", "--cap", "8")
		if f := after.Finding(lookup); f != nil {
			t.Errorf("the look-up is still reported: %s", f.Says)
		}
		h := headroomOf(t, after, "calls")
		if strings.Contains(h.Finding, "lower(email)") || strings.HasPrefix(h.Finding, "table-scan") {
			t.Errorf("the cause is %q although the index is there", h.Finding)
		}
		if h.Holds < proof.BreaksBefore {
			t.Errorf("holds %.3g× with the index, and broke at %.3g× without", h.Holds, proof.BreaksBefore)
		}
	})
}

func apply(t *testing.T, dir string, e premortem.Edit) {
	t.Helper()
	name := filepath.Join(dir, filepath.FromSlash(e.Pos.File))
	old, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	text, err := e.Apply(old)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAHundredUsersHold(t *testing.T) {
	if testing.Short() {
		t.Skip("rehearses; the full run does")
	}
	dir := storyShop(t, strings.Replace(storyConfig, "users: 400000", "users: 100", 1))
	h := headroomOf(t, rehearsed(t, dir, "--x", "calls", "--cap", "4", "--budget", "60s"), "calls")
	if h.Answer != premortem.Holds {
		t.Errorf("with 100 users: %s", h.Says)
	}
}

// canaries stand in every place that holds a secret; none may leave it.
func TestNoSecretLeavesItsPlace(t *testing.T) {
	if testing.Short() {
		t.Skip("rehearses; the full run does")
	}
	const canary = "kanarienvogel"
	n := 0
	dir := smallShop(t, func(name, text string) string {
		switch {
		case name == "premortem.yaml":
			return strings.Replace(storyConfig, "users: 400000", "users: 100", 1)
		case name == ".env" || strings.HasSuffix(name, "secret.yaml"):
			lines := strings.SplitAfter(text, "\n")
			for i, l := range lines {
				for _, word := range []string{"canary", "SECRET", "KEY", "PASSWORD"} {
					if k, v, ok := strings.Cut(l, separator(name)); ok && strings.Contains(l, word) && strings.TrimSpace(v) != "" && !strings.HasPrefix(strings.TrimSpace(l), "#") {
						v = strings.TrimSpace(v) + canary
						if scheme, rest, ok := strings.Cut(v, "://"); ok { // a database's name is no secret, its password is
							v = scheme + "://user:" + canary + "@" + rest[strings.IndexByte(rest, '@')+1:len(rest)-len(canary)]
						}
						n++
						lines[i] = k + separator(name) + v + "\n"
						break
					}
				}
			}
			return strings.Join(lines, "")
		}
		return text
	})
	if n < 8 {
		t.Fatalf("only %d canaries were planted", n)
	}
	var out, errs bytes.Buffer
	for _, args := range [][]string{
		{"rehearse", "--x", "calls", "--cap", "2", "--budget", "40s", "--hold", "2s", "--verbose", dir},
		{"check", "--format", "json", dir}, {"check", "--verbose", dir}, {"check", "--format", "sarif", dir},
		{"report", "--dir", dir, "--format", "html"}, {"report", "--dir", dir, "--format", "markdown"}, {"clone", "status", dir},
	} {
		if code := run(args, &out, &errs); code == exitFailed {
			t.Fatalf("%v ended with %d: %s", args, code, errs.String())
		}
	}
	if strings.Contains(out.String()+errs.String(), canary) {
		i := strings.Index(out.String()+errs.String(), canary)
		t.Errorf("a secret was printed: …%s", (out.String() + errs.String())[max(0, i-200):i+len(canary)])
	}
	err := filepath.WalkDir(filepath.Join(dir, stateFolder), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if bytes.Contains(b, []byte(canary)) {
			t.Errorf("a secret stands in %s", p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func separator(name string) string {
	if name == ".env" {
		return "="
	}
	return ": "
}
