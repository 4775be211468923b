package judge

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

var update = flag.Bool("update", false, "rewrite the synthetic trials and every .want file in testdata, and docs/signs.md")

// Every sign is shown at least one trial in which it must speak and one near miss
// in which it must not. Files may be added: a recorded trial is as good as a
// synthetic one.
func TestSignsSpeakAndStaySilentAsTheirTrialsSay(t *testing.T) {
	if *update {
		writeScenarios(t)
	}
	for _, s := range Signs() {
		t.Run(s.Name, func(t *testing.T) {
			fires, silent := 0, 0
			files, _ := filepath.Glob(filepath.Join("testdata", s.Name, "*.json"))
			for _, file := range files {
				spoke := replay(t, s, file)
				if miss := strings.HasPrefix(filepath.Base(file), "near-miss-"); miss == spoke {
					t.Errorf("%s: the sign speaks: %v", file, spoke)
				}
				if spoke {
					fires++
				} else {
					silent++
				}
			}
			if fires == 0 || silent == 0 {
				t.Errorf("testdata/%s: %d trials fire, %d stay silent; want at least one of each", s.Name, fires, silent)
			}
		})
	}
}

func TestEveryFolderOfTrialsHasASign(t *testing.T) {
	dirs, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if d.IsDir() && d.Name() != "fuzz" && signNamed(d.Name()) == nil {
			t.Errorf("testdata/%s: there is no sign of that name", d.Name())
		}
	}
}

// replay judges the trial in file, compares everything said with the .want file
// beside it, and reports whether the sign spoke.
func replay(t *testing.T, s *Sign, file string) bool {
	t.Helper()
	trial := readTrial(t, file)
	v, found := Judge(trial)
	got := told(v, found)
	wantFile := strings.TrimSuffix(file, ".json") + ".want"
	if *update {
		if err := os.WriteFile(wantFile, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(wantFile)
	if err != nil {
		t.Fatalf("%v; write it with: go test ./judge -run TestSigns -update", err)
	}
	if got != string(want) {
		t.Errorf("%s:\n got:\n%s\nwant:\n%s", file, got, want)
	}
	return slices.ContainsFunc(found, func(f premortem.Finding) bool { return f.Rule == s.Name })
}

// told is a verdict and its findings as text, one thought a line.
func told(v premortem.Verdict, found []premortem.Finding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", v.Answer, v.Says)
	for _, d := range v.Doubts {
		fmt.Fprintf(&b, "doubt: %s\n", d)
	}
	for _, f := range found {
		fmt.Fprintf(&b, "\n%s %s\n  %s\n", f.Severity, f.Key(), f.Says)
		if f.Because != "" {
			fmt.Fprintf(&b, "  because %s\n", f.Because)
		}
		for _, e := range f.Evidence {
			fmt.Fprintf(&b, "  - ")
			if e.Pos.Known() {
				fmt.Fprintf(&b, "%s ", e.Pos)
			}
			fmt.Fprintf(&b, "%s\n", e.Says)
		}
		fmt.Fprintf(&b, "  fix: %s\n", f.Fix.Says)
		if try := f.Fix.Try; try != nil {
			text, _ := json.Marshal(try)
			fmt.Fprintf(&b, "  try: %s\n", text)
		}
	}
	return b.String()
}

func readTrial(t *testing.T, file string) *premortem.Trial {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var trial premortem.Trial
	if err := json.Unmarshal(data, &trial); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return &trial
}

func writeScenarios(t *testing.T) {
	t.Helper()
	for sign, trials := range scenarios {
		dir := filepath.Join("testdata", sign)
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		for name, build := range trials {
			data, err := json.Marshal(build())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name+".json"), append(data, '\n'), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestEverySignIsDocumentedAndExplained(t *testing.T) {
	for _, s := range Signs() {
		if missing := s.Doc.Missing(); len(missing) > 0 {
			t.Errorf("%s: the doc says nothing about %s", s.Name, strings.Join(missing, ", "))
		}
		text, ok := Explain(s.Name)
		if !ok || !strings.Contains(text, s.Doc.Title) || !strings.Contains(text, s.Doc.Silent) {
			t.Errorf("%s: explained as %q, %v", s.Name, text, ok)
		}
	}
	if text, ok := Explain("no-such-sign"); ok || text != "" {
		t.Errorf("an unknown sign is explained as %q", text)
	}
}

func TestDocsAreCurrent(t *testing.T) {
	const file = "../docs/signs.md"
	page := []byte(Page())
	if *update {
		if err := os.WriteFile(file, page, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, page) {
		t.Errorf("docs/signs.md is not current; run: go test ./judge -run TestDocs -update")
	}
}
