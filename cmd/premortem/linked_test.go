package main

import (
	"flag"
	"os"
	"os/exec"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/linked.txt")

// A new dependency is a visible diff; its commit says what we would otherwise write.
func TestLinkedPackagesAreThoseOfTheList(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	got, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	const golden = "testdata/linked.txt"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("the linked packages have changed; look at the difference after: go test ./cmd/premortem -run Linked -update")
	}
}
