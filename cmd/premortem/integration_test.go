package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// example is a workflow of the README, which people copy.
func example(t *testing.T) []byte {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(readme, -1) {
		if bytes.Contains(block[1], []byte("uses: premortem/premortem@")) {
			return block[1]
		}
	}
	t.Fatal("README.md has no workflow that uses premortem/premortem")
	return nil
}

// lint is actionlint's word on the workflows of a folder. It runs as a program of
// its own, as it needs another version of a library than the rest of us.
func lint(t *testing.T, dir string) (string, bool) {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "actionlint")
	install := exec.Command("go", "install", "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12")
	install.Env = append(os.Environ(), "GOBIN="+filepath.Dir(bin), "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("install actionlint: %v\n%s", err, out)
	}
	cmd := exec.Command(bin, "-no-color", "-shellcheck=", "-pyflakes=")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func TestTheActionAndTheWorkflowOfTheReadmeAreValid(t *testing.T) {
	action, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, uses := range regexp.MustCompile(`uses: (\S+)`).FindAllStringSubmatch(string(action), -1) {
		if !regexp.MustCompile(`@[0-9a-f]{40}$`).MatchString(uses[1]) {
			t.Errorf("%s is not pinned to a commit", uses[1])
		}
	}
	for _, run := range regexp.MustCompile(`(?s)\brun: .*?(\n    -|$)`).FindAllString(string(action), -1) {
		if strings.Contains(run, "${{") {
			t.Errorf("an expression is put into a script: %s", run)
		}
	}
	if testing.Short() {
		return // what follows builds actionlint
	}
	dir := t.TempDir()
	workflow := regexp.MustCompile(`premortem/premortem@\S+`).ReplaceAllString(string(example(t)), "./")
	put(t, dir, "action.yml", string(action))
	put(t, dir, ".git/HEAD", "ref: refs/heads/main\n")
	put(t, dir, ".github/workflows/premortem.yml", workflow)
	if says, ok := lint(t, dir); !ok {
		t.Error(says)
	}
	// An input that the action does not have must be noticed, or the test tests nothing.
	put(t, dir, ".github/workflows/premortem.yml", strings.Replace(workflow, "diff:", "dif:", 1))
	if says, ok := lint(t, dir); ok || !strings.Contains(says, `"dif"`) {
		t.Errorf("a wrong input is not noticed: %s", says)
	}
}

// linked is the folder of the PATH in which this test stands under the name
// premortem.
func linked(t *testing.T) string {
	t.Helper()
	first, _, _ := strings.Cut(os.Getenv("PATH"), string(os.PathListSeparator))
	if _, err := os.Stat(filepath.Join(first, "premortem")); err == nil {
		return first // testscript put it there
	}
	t.Fatal("premortem is not on the PATH of this test")
	return ""
}

func TestTheStepOfTheActionTellsFindingsAndObeysNoText(t *testing.T) {
	h := newHistory(t, "")
	bin := linked(t)
	out := filepath.Join(t.TempDir(), "output")
	summary := filepath.Join(filepath.Dir(out), "summary")
	step := func(more ...string) (string, int) {
		script, _ := filepath.Abs("../../ci/github.sh")
		cmd := exec.Command("bash", script)
		cmd.Dir = h.dir
		cmd.Env = append(os.Environ(), "BIN="+bin, "GITHUB_OUTPUT="+out, "GITHUB_STEP_SUMMARY="+summary, "INPUT_DIR=.", "INPUT_DIFF=",
			"INPUT_FAIL_ON=down", "INPUT_UNKNOWN=pass", "INPUT_ARGS=--only env-missing", "INPUT_SARIF=p.sarif", "INPUT_ANNOTATIONS=true", "INPUT_SUMMARY=true")
		cmd.Env = append(cmd.Env, more...)
		b, err := cmd.CombinedOutput()
		if err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(b), cmd.ProcessState.ExitCode()
	}
	text, code := step()
	if code != 1 || !strings.Contains(text, "DOWN  OLD_KEY") || !strings.Contains(text, "::error file=server.js,line=2") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
	if !strings.Contains(content(t, h.dir, "p.sarif"), `"env-missing"`) || !strings.Contains(content(t, "", summary), "OLD_KEY") ||
		!strings.Contains(content(t, "", out), "exit-code=1") {
		t.Error("the SARIF file, the summary or the output is not written")
	}
	if text, code := step("INPUT_DIFF=HEAD"); code != 0 {
		t.Errorf("with diff: exit code %d:\n%s", code, text)
	}
	for _, hostile := range []string{"INPUT_DIR=.; touch owned", "INPUT_ARGS=$(touch owned)", "INPUT_ARGS=`touch owned`", "INPUT_DIFF=$(touch owned)", "INPUT_DIFF=--output=owned", "INPUT_FAIL_ON=down; touch owned"} {
		if text, code := step(hostile); code != 2 {
			t.Errorf("%s: exit code %d:\n%s", hostile, code, text)
		}
		if _, err := os.Stat(filepath.Join(h.dir, "owned")); err == nil {
			t.Fatalf("%s was obeyed", hostile)
		}
	}
}

func TestThePreCommitHooksRun(t *testing.T) {
	text, err := os.ReadFile("../../.pre-commit-hooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var hooks []struct {
		ID            string
		Name          string
		Entry         string
		Language      string
		PassFilenames *bool `yaml:"pass_filenames"`
		AlwaysRun     bool  `yaml:"always_run"`
	}
	if err := yaml.Unmarshal(text, &hooks); err != nil {
		t.Fatal(err)
	}
	h := newHistory(t, "")
	languages := map[string]bool{}
	for _, hook := range hooks {
		languages[hook.Language] = true
		if hook.ID == "" || hook.Name == "" || hook.PassFilenames == nil || *hook.PassFilenames || !hook.AlwaysRun {
			t.Errorf("%+v: the hook is not whole", hook)
		}
		words := strings.Fields(hook.Entry)
		cmd := exec.Command(filepath.Join(linked(t), words[0]), words[1:]...)
		cmd.Dir = h.dir
		out, _ := cmd.CombinedOutput()
		want := exitFound
		if strings.Contains(hook.Entry, "--diff") {
			want = exitClean
		}
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("%s: exit code %d, want %d:\n%s", hook.ID, got, want, out)
		}
	}
	if !languages["golang"] || !languages["system"] {
		t.Errorf("languages: %v", languages)
	}
}

func TestTheGitLabTemplateIsWhole(t *testing.T) {
	text, err := os.ReadFile("../../ci/gitlab.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Premortem struct {
			Script       []string
			BeforeScript []string `yaml:"before_script"`
			AllowFailure struct {
				ExitCodes []int `yaml:"exit_codes"`
			} `yaml:"allow_failure"`
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Premortem.Script) != 1 || len(file.Premortem.AllowFailure.ExitCodes) != 1 || file.Premortem.AllowFailure.ExitCodes[0] != exitUnknown {
		t.Fatalf("the job is %+v", file.Premortem)
	}
	h := newHistory(t, "")
	put(t, h.dir, "go/bin/keep", "")
	if err := os.Symlink(filepath.Join(linked(t), "premortem"), filepath.Join(h.dir, "go/bin/premortem")); err != nil {
		t.Fatal(err)
	}
	for base, want := range map[string]int{"": exitFound, "HEAD": exitClean} {
		cmd := exec.Command("sh", "-e", "-c", file.Premortem.Script[0])
		cmd.Dir = h.dir
		cmd.Env = append(os.Environ(), "GOPATH="+filepath.Join(h.dir, "go"), "PREMORTEM_DIR=.", "PREMORTEM_FAIL_ON=down", "CI_MERGE_REQUEST_DIFF_BASE_SHA="+base)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("base %q: exit code %d, want %d:\n%s", base, got, want, out)
		}
		if !strings.Contains(content(t, h.dir, "premortem.xml"), "<testsuites") {
			t.Error("no JUnit report")
		}
	}
}
