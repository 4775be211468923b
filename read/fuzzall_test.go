package read

import (
	"bytes"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/premortem/premortem"
)

// fuzzNames are names of files under which FuzzAnyFile tries a content: one for
// each way in which a reader decides by the name. The archives add theirs.
var fuzzNames = []string{
	".env", ".env.production", "Dockerfile", "compose.yaml", "docker-compose.prod.yml", "k8s/prod/x.yaml", "kustomization.yaml",
	"chart/Chart.yaml", "chart/values.yaml", "chart/templates/x.yaml", "main.tf", "x.tf.json", "prod.tfvars", "tfplan.json", "package.json", "package-lock.json",
	"yarn.lock", "pnpm-lock.yaml", ".nvmrc", ".tool-versions", ".npmrc", "go.mod", "pyproject.toml", "requirements.txt", "poetry.lock", "uv.lock", "Gemfile", "Gemfile.lock",
	"pom.xml", "build.gradle", "build.gradle.kts", "composer.json", "Procfile", "app.json", "fly.toml", "render.yaml", "railway.json", "vercel.json",
	"template.yaml", "cloudformation.json", "taskdef.json", ".github/workflows/x.yml", ".gitlab-ci.yml", "nginx.conf", "nginx/default.conf.template", "pgbouncer.ini",
	"haproxy.cfg", "postgresql.conf", "redis.conf", "gunicorn.conf.py", "envoy.yaml", "premortem.yaml", ".dockerignore",
	"index.ts", "index.tsx", "app.js", "main.go", "app/main.py", "urls.py", "models.py", "settings.py", "config/app.rb", "config/routes.rb", "config/puma.rb", "config/database.yml",
	"src/App.java", "src/App.kt", "src/main/resources/application.yml", "src/main/resources/application-prod.properties", "config/app.php", "routes/web.php",
	"migrations/1.sql", "prisma/schema.prisma", "prisma/migrations/1/migration.sql", "db/schema.rb", "db/migrate/1_x.rb", "db/changelog.xml", "app/migrations/0001_x.py",
	"alembic/versions/1_x.py", "migrations/1-x.js", "migrations/1_x.ts", "db/migration/V1__x.sql", "database/migrations/2024_01_01_000000_x.php",
}

// FuzzAnyFile gives every reader any content under any of the names: nothing may
// panic, not even where a reader recovers, every position must be a line of the
// file, and two readings must agree.
func FuzzAnyFile(f *testing.F) {
	names := append([]string{}, fuzzNames...)
	files, _ := filepath.Glob("testdata/*/*.txtar")
	for _, file := range files {
		arc, err := parseArchive(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, member := range arc.Files {
			if member.Name == "want" || len(member.Data) > 4000 {
				continue
			}
			n := -1
			for i, known := range fuzzNames {
				if path.Base(known) == path.Base(member.Name) || n < 0 && path.Ext(known) == path.Ext(member.Name) {
					n = i
				}
			}
			if n >= 0 {
				f.Add(uint8(n), member.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		name := names[int(which)%len(names)]
		oneFile(t, name, data)
	})
}

// oneFile reads a repository of one file, twice.
func oneFile(t *testing.T, name string, data []byte) {
	t.Helper()
	for _, r := range Readers() {
		if r.Read != nil && r.Wants(name) {
			var d Draft
			if pe, ok := r.Read(File{Path: name, Data: bytes.Clone(data)}, &d).(*premortem.Error); ok {
				inFile(t, pe.Pos, data)
			}
		}
	}
	repo := tree(map[string]string{name: string(data)})
	sys, err := Repo(t.Context(), repo)
	if err != nil {
		pe, ok := err.(*premortem.Error)
		if !ok {
			t.Fatalf("%s: %v is no *premortem.Error", name, err)
		}
		inFile(t, pe.Pos, data)
		return
	}
	for _, u := range sys.Unread {
		if strings.Contains(u.Why, "reader gave up") || strings.Contains(u.Why, "reader cannot read it") {
			t.Fatalf("%s: a reader panicked: %s", name, u.Why)
		}
	}
	checkPositions(t, &txtar.Archive{Files: []txtar.File{{Name: name, Data: data}, {Name: "."}}}, sys)
	again, err := Repo(t.Context(), repo)
	if err != nil || !bytes.Equal(marshal(t, sys), marshal(t, again)) {
		t.Fatalf("%s: two readings differ (%v)", name, err)
	}
}
