package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The test binary is premortem too: scripts and the tests of dying runs start it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"premortem": main})
}

func TestScripts(t *testing.T) {
	shop, err := filepath.Abs("../../examples/shop")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("SHOP", shop)
			e.Setenv("ALL", e.Getenv("PATH"))
			first, _, _ := strings.Cut(e.Getenv("PATH"), string(os.PathListSeparator))
			e.Setenv("ONLY", first) // premortem alone
			return nil
		},
	})
}
