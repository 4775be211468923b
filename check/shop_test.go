package check

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/read"
)

const shopDir = "../examples/shop"

// The shop lists its own defects. What we find there at slow or above is one of
// them, with a line that the list names; and everything that these rules can see is
// found.
func TestShopHasTheDefectsThatItLists(t *testing.T) {
	sys, err := read.Dir(t.Context(), shopDir)
	if err != nil {
		t.Fatal(err)
	}
	listed, err := os.ReadFile(filepath.Join(shopDir, "DEFECTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := Run(sys, Rules())
	var keys []string
	for _, f := range found {
		keys = append(keys, f.Key())
		if f.Severity >= premortem.Slow && !slices.ContainsFunc(f.Evidence, func(e premortem.Evidence) bool {
			return strings.Contains(string(listed), "`"+e.Pos.String()+"`")
		}) {
			t.Errorf("%s is no line of DEFECTS.md: %s", f.Pos(), f.Says)
		}
	}
	for _, want := range []string{
		"env-missing service/api k8s/overlays/prod SENDGRID_API_KEY",
		"env-missing service/api k8s/overlays/prod STRIPE_WEBHOOK_SECRET",
		"image-floating service/api node",
		"log-without-context service/api log",
		"missing-await service/api GET /api/account User.findByPk",
		"n-plus-one service/api GET /api/orders Product.findByPk",
		"offset-pagination service/api GET /api/products products",
		"pool-exceeds-database service/api store/postgres",
		"query-without-index service/api users (lower(email))",
		"runtime-version-disagreement service/api node",
		"token-in-log service/api api/src/auth.js the session token",
	} {
		if !slices.Contains(keys, want) {
			t.Errorf("not found: %s; found:\n%s", want, strings.Join(keys, "\n"))
		}
	}
}

// All fixes at once, as somebody would apply them who believes us.
func TestShopIsQuietAfterAllFixes(t *testing.T) {
	arc := &txtar.Archive{}
	err := filepath.WalkDir(shopDir, func(file string, d os.DirEntry, err error) error {
		if err != nil || d.Name() == "node_modules" || d.Name() == "dist" {
			return skip(d, err)
		}
		if d.Type().IsRegular() {
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			name, _ := filepath.Rel(shopDir, file)
			arc.Files = append(arc.Files, txtar.File{Name: filepath.ToSlash(name), Data: data})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var edits []premortem.Edit
	for _, f := range Run(systemOf(t, arc), Rules()) {
		if len(f.Fix.Edits) > 0 && f.Because == "" { // a consequence goes with its cause
			edits = append(edits, f.Fix.Edits...)
		}
	}
	fixed, err := edited(arc, edits)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Run(systemOf(t, fixed), Rules()) {
		if len(f.Fix.Edits) > 0 { // the rest needs a person
			t.Errorf("still there: %s", f.Says)
		}
	}
}

func skip(d os.DirEntry, err error) error {
	if err == nil && d.IsDir() {
		return filepath.SkipDir
	}
	return err
}
