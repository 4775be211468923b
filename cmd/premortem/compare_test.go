package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

// history is a git repository made for one test.
type history struct {
	*testing.T
	dir string
}

// newHistory commits a service that is whole: what its code reads, production gives.
func newHistory(t *testing.T, below string) *history {
	h := &history{t, t.TempDir()}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_SYSTEM", os.DevNull)
	h.git("init", "-q", "-b", "main")
	for name, text := range map[string]string{
		"Dockerfile": "FROM node:20.19.5\nCOPY . .\nCMD [\"node\", \"server.js\"]\n", "package.json": "{\"name\": \"api\"}\n",
		"premortem.yaml": "production: compose.yaml\n", "compose.yaml": "services:\n  api:\n    build: .\n    environment:\n      PAY_KEY: ${PAY_KEY}\n      MAIL_KEY: ${MAIL_KEY}\n",
		"server.js": "if (!process.env.PAY_KEY) throw new Error('no key');\nif (!process.env.OLD_KEY) throw new Error('no key');\n",
	} {
		put(t, h.dir, filepath.Join(below, name), text)
	}
	h.commit("one")
	return h
}

func (h *history) git(args ...string) string {
	h.Helper()
	cmd := exec.Command("git", append([]string{"-C", h.dir, "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (h *history) commit(message string) {
	h.Helper()
	h.git("add", "-A")
	h.git("commit", "-q", "-m", message)
}

// introduced runs check --diff and returns the keys that it tells, and its report.
func (h *history) introduced(rev, dir string, more ...string) ([]string, *premortem.Report) {
	h.Helper()
	var out, errs bytes.Buffer
	args := append([]string{"check", "--diff", rev, "--format", "json", "--only", "env-missing"}, more...)
	code := run(append(args, dir), &out, &errs)
	if code == exitFailed {
		h.Fatalf("check --diff %s: %s", rev, errs.String())
	}
	var r premortem.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		h.Fatal(err)
	}
	keys := []string{}
	for i := range r.Findings {
		keys = append(keys, r.Findings[i].Key())
	}
	if (code == exitFound) != (len(keys) > 0) {
		h.Errorf("exit code %d with findings %q", code, keys)
	}
	return keys, &r
}

func (h *history) wants(rev, dir string, want ...string) *premortem.Report {
	h.Helper()
	got, r := h.introduced(rev, dir)
	if !slices.Equal(got, want) && len(got)+len(want) > 0 {
		h.Errorf("introduced since %s: %q, want %q", rev, got, want)
	}
	return r
}

const missing = "env-missing service/api compose.yaml "

func TestDiffTellsWhatAChangeBreaksInFilesThatItDoesNotTouch(t *testing.T) {
	h := newHistory(t, "")
	r := h.wants("HEAD", h.dir) // OLD_KEY was missing before
	if len(r.Stages) != 1 || !strings.Contains(r.Stages[0].Says, "0 findings introduced; 1 stood before") {
		t.Errorf("the report does not say what it leaves out: %+v", r.Stages)
	}
	put(t, h.dir, "mail.js", "if (!process.env.SMTP_HOST) throw new Error('none');\n") // not committed, not added
	put(t, h.dir, "server.js", "// moved down\nrequire('./mail');\n"+content(t, h.dir, "server.js"))
	h.wants("HEAD", h.dir, missing+"SMTP_HOST")
	h.commit("two")
	h.wants("HEAD", h.dir)
	h.wants("HEAD~1", h.dir, missing+"SMTP_HOST")
	// The other end of the disagreement changes: the code that breaks is untouched.
	put(t, h.dir, "compose.yaml", strings.Replace(content(t, h.dir, "compose.yaml"), "      PAY_KEY: ${PAY_KEY}\n", "", 1))
	h.wants("HEAD", h.dir, missing+"PAY_KEY")
}

func TestDiffHoldsNothingOfOthersAgainstABranch(t *testing.T) {
	h := newHistory(t, "")
	h.git("checkout", "-q", "-b", "feature")
	h.git("checkout", "-q", "main")
	put(t, h.dir, "server.js", "if (!process.env.PAY_KEY) throw new Error('no key');\n") // main repairs OLD_KEY
	h.commit("repaired")
	h.git("checkout", "-q", "feature")
	r := h.wants("main", h.dir)
	if !strings.Contains(r.Stages[0].Says, "where this checkout left it") {
		t.Errorf("the report does not say which commit it took: %s", r.Stages[0].Says)
	}
}

func TestDiffSeesThroughRenames(t *testing.T) {
	h := newHistory(t, "deploy/app")
	old := filepath.Join(h.dir, "deploy/app")
	h.wants("HEAD", old)
	h.git("mv", "deploy/app/server.js", "deploy/app/index.js")
	put(t, h.dir, "deploy/app/Dockerfile", "FROM node:20.19.5\nCOPY . .\nCMD [\"node\", \"index.js\"]\n")
	h.wants("HEAD", old)
	h.git("mv", "deploy/app/compose.yaml", "deploy/app/docker-compose.yml")
	put(t, h.dir, "deploy/app/premortem.yaml", "production: docker-compose.yml\n")
	h.wants("HEAD", old)
	h.commit("renamed")
	// Seen from the root, a folder that moves takes its names along.
	h.git("mv", "deploy", "infra")
	h.wants("HEAD", h.dir)
}

func TestDiffReadsIgnoredFilesOnBothSides(t *testing.T) {
	h := newHistory(t, "")
	put(t, h.dir, ".gitignore", ".env\nlocal/\n")
	put(t, h.dir, "compose.yaml", content(t, h.dir, "compose.yaml")+"    env_file: .env\n")
	h.commit("env_file")
	put(t, h.dir, ".env", "OLD_KEY=x\n")
	put(t, h.dir, "local/notes.js", "process.env.NOBODY\n")
	h.wants("HEAD", h.dir)
	if err := os.Remove(filepath.Join(h.dir, ".env")); err != nil {
		t.Fatal(err)
	}
	h.wants("HEAD", h.dir)
}

func TestDiffOfASuppressionThatWentAwayIsNews(t *testing.T) {
	h := newHistory(t, "")
	put(t, h.dir, "premortem.yaml", "production: compose.yaml\nsuppress:\n  - {rule: env-missing, node: service/api, reason: later}\n")
	h.commit("quiet")
	h.wants("HEAD", h.dir)
	put(t, h.dir, "premortem.yaml", "production: compose.yaml\n")
	h.wants("HEAD", h.dir, missing+"OLD_KEY")
}

func TestDiffFollowsSubmodulesAndLinks(t *testing.T) {
	sub := newHistory(t, "")
	h := newHistory(t, "own")
	h.git("submodule", "--quiet", "add", sub.dir, "part")
	if err := os.Symlink("own/server.js", filepath.Join(h.dir, "again.js")); err != nil {
		t.Fatal(err)
	}
	h.commit("with a part")
	part := &history{t, filepath.Join(h.dir, "part")}
	h.wants("HEAD", h.dir)
	put(t, part.dir, "server.js", content(t, part.dir, "server.js")+"if (!process.env.PART_KEY) throw new Error('none');\n")
	part.commit("inside")
	got, _ := h.introduced("HEAD", part.dir) // the submodule is a repository itself
	if len(got) != 0 {
		t.Errorf("introduced in the submodule since its own HEAD: %q", got)
	}
	if got, r := h.introduced("HEAD", h.dir); len(r.Doubts) != 0 {
		t.Errorf("the submodule's earlier commit is here, but: %q, %q", got, r.Doubts)
	}
}

func TestDiffOfAFolderThatIsNewCountsAllOfIt(t *testing.T) {
	h := newHistory(t, "")
	put(t, h.dir, "new/premortem.yaml", "production: compose.yaml\n")
	put(t, h.dir, "new/compose.yaml", "services: {api: {build: ., environment: {A: \"1\"}}}\n")
	put(t, h.dir, "new/Dockerfile", "FROM node:20.19.5\nCOPY . .\nCMD [\"node\", \"server.js\"]\n")
	put(t, h.dir, "new/package.json", "{\"name\": \"api\"}\n")
	put(t, h.dir, "new/server.js", "if (!process.env.B) throw new Error('none');\n")
	r := h.wants("HEAD", filepath.Join(h.dir, "new"), missing+"B")
	if len(r.Doubts) != 1 || !strings.Contains(r.Doubts[0], "new was not there at HEAD") {
		t.Errorf("doubts: %q", r.Doubts)
	}
}

func TestDiffForgivesAWrongConfigOfThePast(t *testing.T) {
	h := newHistory(t, "")
	put(t, h.dir, "premortem.yaml", "productoin: compose.yaml\n")
	h.commit("mistyped")
	put(t, h.dir, "premortem.yaml", "production: compose.yaml\n")
	if r := h.wants("HEAD", h.dir); len(r.Doubts) != 1 || !strings.Contains(r.Doubts[0], "today's was taken") {
		t.Errorf("doubts: %q", r.Doubts)
	}
}

func TestDiffSaysWhyItCannotCompare(t *testing.T) {
	h := newHistory(t, "")
	put(t, h.dir, "more.js", "1\n")
	h.commit("two")
	shallow := filepath.Join(t.TempDir(), "shallow")
	h.git("clone", "-q", "--depth", "1", "file://"+h.dir, shallow)
	plain := t.TempDir()
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(plain))
	for _, c := range []struct{ name, rev, dir, want, hint string }{
		{"no repository", "HEAD", plain, "not a git repository", "or check without --diff"},
		{"an unknown revision", "no-such", h.dir, `there is no revision "no-such"`, "git log --oneline"},
		{"an option instead of a revision", "--help", h.dir, `there is no revision "--help"`, "git log"},
		{"a shallow clone", "HEAD~1", shallow, `there is no revision "HEAD~1"`, "git fetch --unshallow"},
		{"a bare repository", "HEAD", filepath.Join(h.dir, ".git"), "", ""},
	} {
		var out, errs bytes.Buffer
		code := run([]string{"check", "--diff=" + c.rev, c.dir}, &out, &errs)
		if code != exitFailed || !strings.Contains(errs.String(), c.want) || !strings.Contains(errs.String(), c.hint) || out.Len() > 0 {
			t.Errorf("%s: exit code %d, output %q, errors:\n%s", c.name, code, out.String(), errs.String())
		}
	}
	t.Setenv("PATH", t.TempDir())
	var errs bytes.Buffer
	if code := run([]string{"check", "--diff", "HEAD", h.dir}, &bytes.Buffer{}, &errs); code != exitFailed || !strings.Contains(errs.String(), "install it") {
		t.Errorf("without git: exit code %d, %s", code, errs.String())
	}
}

func TestDiffRunsNothingOfTheRepository(t *testing.T) {
	h := newHistory(t, "")
	trap := filepath.Join(t.TempDir(), "ran")
	put(t, h.dir, ".gitattributes", "* filter=trap diff=trap\n")
	h.git("config", "filter.trap.clean", "touch "+trap)
	h.git("config", "filter.trap.smudge", "touch "+trap)
	h.git("config", "diff.trap.textconv", "touch "+trap)
	h.git("config", "core.fsmonitor", "touch "+trap)
	h.wants("HEAD", h.dir)
	if _, err := os.Stat(trap); err == nil {
		t.Error("a program that the repository names was run")
	}
}
