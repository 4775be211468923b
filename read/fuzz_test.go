package read

import (
	"bytes"
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/premortem/premortem"
)

// fuzzReader feeds a reader, and all that follows it, with one file of any content:
// nothing may panic, and every position must be a line of the file.
func fuzzReader(f *testing.F, r *Reader, name string) {
	files, _ := filepath.Glob("testdata/*/*.txtar")
	for _, file := range files {
		arc, err := parseArchive(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, member := range arc.Files {
			if r.Wants(member.Name) {
				f.Add(member.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var d Draft
		if err := r.Read(File{Path: name, Data: data}, &d); err != nil {
			if pe, ok := err.(*premortem.Error); ok {
				inFile(t, pe.Pos, data)
			}
		}
		repo := tree(map[string]string{name: string(data)})
		sys, err := Repo(t.Context(), repo)
		if err != nil {
			pe, ok := err.(*premortem.Error)
			if !ok {
				t.Fatalf("%v is no *premortem.Error", err)
			}
			inFile(t, pe.Pos, data)
			return
		}
		arc := &txtar.Archive{Files: []txtar.File{{Name: name, Data: data}, {Name: "."}}}
		checkPositions(t, arc, sys)
		again, err := Repo(t.Context(), repo)
		if err != nil || !bytes.Equal(marshal(t, sys), marshal(t, again)) {
			t.Fatalf("two readings differ (%v)", err)
		}
	})
}

func inFile(t *testing.T, pos premortem.Pos, data []byte) {
	t.Helper()
	if pos.Known() && (pos.Line < 1 || pos.Line > bytes.Count(data, []byte("\n"))+1) {
		t.Fatalf("%s is not in a file of %d bytes", pos, len(data))
	}
}

func FuzzDotenv(f *testing.F)      { fuzzReader(f, Dotenv, ".env") }
func FuzzDockerfile(f *testing.F)  { fuzzReader(f, Dockerfile, "Dockerfile") }
func FuzzCompose(f *testing.F)     { fuzzReader(f, Compose, "compose.yaml") }
func FuzzKubernetes(f *testing.F)  { fuzzReader(f, Kubernetes, "k8s/prod/x.yaml") }
func FuzzKustomize(f *testing.F)   { fuzzReader(f, Kubernetes, "kustomization.yaml") }
func FuzzNpm(f *testing.F)         { fuzzReader(f, Npm, "package.json") }
func FuzzLockfile(f *testing.F)    { fuzzReader(f, Lockfile, "package-lock.json") }
func FuzzNodeVersion(f *testing.F) { fuzzReader(f, NodeVersion, ".nvmrc") }
func FuzzWorkflow(f *testing.F)    { fuzzReader(f, Workflow, ".github/workflows/ci.yml") }
func FuzzMigrations(f *testing.F)  { fuzzReader(f, Migrations, "migrations/1.sql") }
func FuzzTerraform(f *testing.F)   { fuzzReader(f, Terraform, "main.tf") }
func FuzzSource(f *testing.F)      { fuzzReader(f, Source, "index.tsx") }
func FuzzGo(f *testing.F)          { fuzzReader(f, Golang, "main.go") }
func FuzzPython(f *testing.F)      { fuzzReader(f, Python, "app/main.py") }
func FuzzDjangoURLs(f *testing.F)  { fuzzReader(f, Python, "urls.py") }
func FuzzRuby(f *testing.F)        { fuzzReader(f, Ruby, "config/app.rb") }
func FuzzJava(f *testing.F)        { fuzzReader(f, Jvm, "src/App.java") }
func FuzzSpring(f *testing.F)      { fuzzReader(f, Jvm, "src/main/resources/application.yml") }
func FuzzPhp(f *testing.F)         { fuzzReader(f, Php, "config/app.php") }
func FuzzComposer(f *testing.F)    { fuzzReader(f, Php, "composer.json") }
func FuzzConfigFile(f *testing.F)  { fuzzReader(f, ConfigFile, "premortem.yaml") }
func FuzzHelmChart(f *testing.F)   { fuzzReader(f, Helm, "chart/Chart.yaml") }
func FuzzComments(f *testing.F)    { fuzzReader(f, Comments, "a.sql") }

func FuzzMask(f *testing.F) {
	for _, line := range []string{"A=b", "password: x", "postgres://u:p@h/x", "- K=v", `{"token": "x"}`, "`é"} {
		f.Add(".env", line)
		f.Add("compose.yaml", line)
	}
	f.Fuzz(func(t *testing.T, file, line string) { Mask(file, line) })
}
