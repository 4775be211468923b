package premortem

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// floors is the house: a package imports only packages of a lower floor. To move a
// package, change this table and ARCHITECTURE.md together.
var floors = map[string]int{
	".":    0,
	"read": 1, "check": 1, "postgres": 1, "wire": 1, "thirdparty": 1, "drive": 1, "browser": 1,
	"metrics": 1, "logs": 1, "judge": 1, "report": 1,
	"clone":   2,
	"fault":   3,
	"observe": 3, "rehearse": 4,
	"ui": 5, "cmd/premortem": 5,
}

// pure packages neither wait nor touch the world.
var pure = map[string]bool{".": true, "check": true, "judge": true, "report": true}

const module = "github.com/premortem/premortem"

func TestPackagesImportOnlyLowerFloors(t *testing.T) {
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case "testdata", "node_modules", ".git", "examples", "docs", ".premortem", "tools":
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		pkg := path.Dir(filepath.ToSlash(file))
		floor, ok := floors[pkg]
		if !ok {
			t.Errorf("%s: package %q has no floor; see ARCHITECTURE.md", file, pkg)
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		test := strings.HasSuffix(file, "_test.go")
		for _, spec := range f.Imports {
			imp, _ := strconv.Unquote(spec.Path.Value)
			checkImport(t, file, pkg, floor, imp, test)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkImport(t *testing.T, file, pkg string, floor int, imp string, test bool) {
	t.Helper()
	if pure[pkg] && !test && (imp == "os" || imp == "net" || imp == "net/http" || imp == "os/exec" || imp == "context") {
		t.Errorf("%s imports %q: package %s does no I/O and does not wait", file, imp, pkg)
	}
	inside := imp == module || strings.HasPrefix(imp, module+"/")
	if pkg == "." && !test && !inside && strings.Contains(imp, ".") {
		t.Errorf("%s imports %q: the root uses the standard library only", file, imp)
	}
	if !inside {
		return
	}
	other := strings.TrimPrefix(strings.TrimPrefix(imp, module), "/")
	if other == "" {
		other = "."
	}
	if test {
		return // a test may read its input with another package of its floor
	}
	if of, ok := floors[other]; !ok || of >= floor {
		t.Errorf("%s imports %q: %s stands on floor %d, %s on floor %d", file, imp, pkg, floor, other, of)
	}
}
