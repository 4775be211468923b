package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
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

// served is a small server for scripts that offer load: at / it answers at once, at
// /fails with 500, and TARGET is its URL. TLS is one whose certificate nobody trusts.
func served(e *testscript.Env) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s\n", r.Method, r.Proto) })
	mux.HandleFunc("/fails", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	plain, secure := httptest.NewServer(mux), httptest.NewUnstartedServer(mux)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	e.Defer(plain.Close)
	e.Defer(secure.Close)
	e.Setenv("TARGET", plain.URL)
	e.Setenv("TLS", secure.URL)
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
			served(e)
			return nil
		},
	})
}
