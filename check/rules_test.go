package check

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/read"
)

var update = flag.Bool("update", false, "rewrite the want sections in testdata, and docs/rules.md")

// today is the date on which suppressions are judged in tests.
var today = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

// Every rule is shown at least one repository where it must speak and one near
// miss where it must not. A file's name says which it is.
func TestRules(t *testing.T) {
	for _, r := range Rules() {
		t.Run(r.ID, func(t *testing.T) {
			fires, silent := 0, 0
			files, _ := filepath.Glob(filepath.Join("testdata", r.ID, "*.txtar"))
			for _, file := range files {
				t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
					n := replay(t, r, file)
					if n == 0 {
						silent++
					} else {
						fires++
					}
					if strings.HasPrefix(filepath.Base(file), "fires") != (n > 0) {
						t.Errorf("%s: %d findings; a case that speaks is called fires-…, one that does not silent-…", file, n)
					}
				})
			}
			if fires == 0 || silent == 0 {
				t.Errorf("testdata/%s: %d cases fire, %d stay silent; want at least one of each", r.ID, fires, silent)
			}
		})
	}
}

// replay runs r on the repository in file, compares the findings with its want
// section, applies each fix and returns how many findings there were.
func replay(t *testing.T, r *Rule, file string) int {
	t.Helper()
	arc, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range arc.Files { // made-up keys are broken, so that nothing takes them for real ones
		arc.Files[i].Data = bytes.ReplaceAll(arc.Files[i].Data, []byte("(made-up)"), nil)
	}
	section := slices.IndexFunc(arc.Files, func(f txtar.File) bool { return f.Name == want })
	if section < 0 {
		t.Fatalf("%s has no section %q", file, want)
	}
	found := findings(t, arc, r)
	for _, f := range found {
		checkFix(t, arc, r, f)
	}
	got := lines(found)
	if got == string(arc.Files[section].Data) {
		return len(found)
	}
	if *update {
		if arc, err = txtar.ParseFile(file); err != nil { // with its keys broken again
			t.Fatal(err)
		}
		arc.Files[section].Data = []byte(got)
		if err := os.WriteFile(file, txtar.Format(arc), 0o666); err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	t.Errorf("%s:\n got: %s\nwant: %s", file, got, arc.Files[section].Data)
	return len(found)
}

// findings reads the repository in arc and returns what r says about it.
func findings(t *testing.T, arc *txtar.Archive, r *Rule) []premortem.Finding {
	t.Helper()
	if r.Diff != nil && slices.ContainsFunc(arc.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, "before/") }) {
		return stepFindings(t, arc, r)
	}
	sys := systemOf(t, arc)
	rules := []*Rule{r}
	if r == SuppressionStale {
		rules = Rules()
	}
	var out []premortem.Finding
	for _, f := range Suppress(sys, Run(sys, rules), today, rules...) {
		if f.Rule == r.ID {
			out = append(out, f)
		}
	}
	return out
}

// stepFindings returns what r says about the step from the files below before/ to the
// others; a file that is not below before/ is the same in both.
func stepFindings(t *testing.T, arc *txtar.Archive, r *Rule) []premortem.Finding {
	t.Helper()
	old, now := &txtar.Archive{}, &txtar.Archive{}
	for _, f := range arc.Files {
		if name, ok := strings.CutPrefix(f.Name, "before/"); ok {
			old.Files = append(old.Files, txtar.File{Name: name, Data: f.Data})
			continue
		}
		now.Files = append(now.Files, f)
	}
	for _, f := range now.Files {
		if !slices.ContainsFunc(old.Files, func(o txtar.File) bool { return o.Name == f.Name }) {
			old.Files = append(old.Files, f)
		}
	}
	var out []premortem.Finding
	r.Diff(systemOf(t, old), systemOf(t, now), func(f premortem.Finding) { out = append(out, filled(r, f)) })
	return out
}

func systemOf(t *testing.T, arc *txtar.Archive) *premortem.System {
	t.Helper()
	sys, err := read.Repo(t.Context(), tree(t, arc))
	if err != nil {
		t.Fatal(err)
	}
	return sys
}

func tree(t *testing.T, arc *txtar.Archive) fs.FS {
	t.Helper()
	repo := &txtar.Archive{}
	for _, f := range arc.Files {
		if f.Name != want {
			repo.Files = append(repo.Files, f)
		}
	}
	fsys, err := txtar.FS(repo)
	if err != nil {
		t.Fatal(err)
	}
	return fsys
}

// checkFix applies the finding's edits, reads the repository again and expects that
// this finding is gone, that the rule says nothing new and that every file is still
// understood.
func checkFix(t *testing.T, arc *txtar.Archive, r *Rule, f premortem.Finding) {
	t.Helper()
	if len(f.Fix.Edits) == 0 {
		return
	}
	fixed, err := edited(arc, f.Fix.Edits)
	if err != nil {
		t.Errorf("%s: %v", f.Key(), err)
		return
	}
	had := map[string]bool{}
	for _, f := range findings(t, arc, r) {
		had[f.Key()] = true
	}
	for _, again := range findings(t, fixed, r) {
		if again.Key() == f.Key() {
			t.Errorf("%s: its fix does not make it disappear: %+v", f.Key(), f.Fix.Edits)
		} else if !had[again.Key()] {
			t.Errorf("%s: its fix makes %s: %+v", f.Key(), again.Key(), f.Fix.Edits)
		}
	}
	if was, is := systemOf(t, arc).Unread, systemOf(t, fixed).Unread; len(is) > len(was) {
		t.Errorf("%s: after its fix a file cannot be read: %+v", f.Key(), is)
	}
}

// edited applies edits to the files of arc, from the last line of each to the first,
// so that one does not move the next.
func edited(arc *txtar.Archive, edits []premortem.Edit) (*txtar.Archive, error) {
	out := &txtar.Archive{Files: slices.Clone(arc.Files)}
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b premortem.Edit) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(b.Pos.Line, a.Pos.Line))
	})
	for _, e := range edits {
		i := slices.IndexFunc(out.Files, func(file txtar.File) bool { return file.Name == e.Pos.File })
		if i < 0 {
			i = len(out.Files)
			out.Files = append(out.Files, txtar.File{Name: e.Pos.File})
		}
		data, err := e.Apply(out.Files[i].Data)
		if err != nil {
			return nil, err
		}
		out.Files[i].Data = data
	}
	return out, nil
}

// lines writes findings as tests compare them: "severity file:line: sentence", then
// each further piece of evidence and the fix with its edits, indented.
func lines(found []premortem.Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s %s: %s\n", f.Severity, f.Pos(), f.Says)
		for _, e := range f.Evidence {
			fmt.Fprintf(&b, "  %s: %s\n", e.Pos, e.Says)
		}
		fmt.Fprintf(&b, "  fix: %s\n", f.Fix.Says)
		for _, e := range f.Fix.Edits {
			fmt.Fprintf(&b, "  %s: %q → %q\n", e.Pos, e.Old, e.New)
		}
	}
	return b.String()
}

func TestEachFolderOfTestdataHasARule(t *testing.T) {
	dirs, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if d.Name() != "fuzz" && named(d.Name()) == nil {
			t.Errorf("testdata/%s: there is no such rule; the nearest is %s", d.Name(), nearest(d.Name()))
		}
	}
}

func TestEachRuleIsExplained(t *testing.T) {
	for _, r := range Rules() {
		if missing := r.Doc.Missing(); missing != nil {
			t.Errorf("%s: its Doc says nothing under %v", r.ID, missing)
		}
		text, ok := Explain(r.ID)
		for _, part := range []string{r.ID, "Why", "When it speaks", "When it stays silent", "What to do", "For example", "But not", "premortem says"} {
			if !ok || !strings.Contains(text, part) {
				t.Errorf("Explain(%q) does not show %q", r.ID, part)
			}
		}
	}
	if _, ok := Explain("no-such-rule"); ok {
		t.Error("Explain knows a rule that is not there")
	}
}

func TestDocsAreCurrent(t *testing.T) {
	const file = "../docs/rules.md"
	page := []byte(Page())
	if *update {
		if err := os.WriteFile(file, page, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, page) {
		t.Errorf("docs/rules.md is not current; run: go test ./check -run TestDocs -update")
	}
}
