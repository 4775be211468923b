package read

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/premortem/premortem"
)

// The archives write "canary" wherever a secret would stand; none may come out.
func TestNoSecretOfAnyArchiveEntersTheSystem(t *testing.T) {
	files, _ := filepath.Glob("testdata/*/*.txtar")
	seen := 0
	for _, file := range files {
		arc, err := parseArchive(file)
		if err != nil {
			t.Fatal(err)
		}
		sys, err := Repo(t.Context(), repository(t, arc))
		if err != nil {
			continue
		}
		seen += bytes.Count(txtar.Format(arc), []byte("canary"))
		if out := marshal(t, sys); bytes.Contains(bytes.ToLower(out), []byte("canary")) {
			i := bytes.Index(bytes.ToLower(out), []byte("canary"))
			t.Errorf("%s: …%s…", file, out[max(0, i-80):min(len(out), i+40)])
		}
	}
	if seen < 15 {
		t.Errorf("the archives hold %d canaries; want at least 15", seen)
	}
}

func TestValuesAreKeptOnlyWhenPlain(t *testing.T) {
	for _, c := range []struct {
		name, key, value string
		from             trust
		want             string
		whole            bool
	}{
		{"an address loses its user and its query", "DATABASE_URL", "postgres://u:p@db:5432/shop?password=x", secretSource, "postgres://db:5432/shop", false},
		{"a plain address is whole", "REDIS_URL", "redis://redis:6379", secretSource, "redis://redis:6379", true},
		{"a password with an unescaped slash hides nothing", "DATABASE_URL", "postgres://u:12/34@db/x", secretSource, "", false},
		{"a password with an unescaped hash hides nothing", "DATABASE_URL", "postgres://u:12#34@db/x", secretSource, "", false},
		{"a password with an at sign is cut at the last one", "DATABASE_URL", "postgres://u:a@b@db/x", secretSource, "postgres://db/x", false},
		{"a webhook's path is its password", "HOOK", "https://hooks.example/services/T01ABC/xyz", secretSource, "https://hooks.example", false},
		{"a number in a dotenv file", "PORT", "3000", secretSource, "3000", true},
		{"a number under a secretive name", "LOGIN_PIN", "4711", plainSource, "", false},
		{"a word in a dotenv file", "LOG_LEVEL", "debug", secretSource, "", false},
		{"a known word in a ConfigMap", "LOG_LEVEL", "debug", plainSource, "debug", true},
		{"an unknown word in a ConfigMap", "NAME", "hunter2", plainSource, "", false},
		{"a known word under a secretive name", "DB_PASSWORD", "postgres", plainSource, "", false},
		{"a host", "PGHOST", "db.internal", plainSource, "", false},
		{"a host under its usual name", "DB_HOST", "db.internal", plainSource, "db.internal", true},
		{"a time zone", "TZ", "Europe/Berlin", plainSource, "Europe/Berlin", true},
		{"several brokers", "NATS_URL", "nats://u:p@a:1,b:2", plainSource, "nats://a:1,b:2", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, whole := reveal(c.key, c.value, c.from)
			if got != c.want || whole != c.whole {
				t.Errorf("%s=%s keeps %q, whole %v; want %q, %v", c.key, c.value, got, whole, c.want, c.whole)
			}
		})
	}
}

func TestMaskHidesSecretsAndKeepsCodeReadable(t *testing.T) {
	for _, c := range []struct{ file, line, want string }{
		{"api/src/billing.js", "  new Stripe(process.env.STRIPE_SECRET_KEY)", "new Stripe(process.env.STRIPE_SECRET_KEY)"},
		{"a.js", "const token = 'abc123';", "const token = '***';"},
		{"a.js", `apiKey: "abc123", name: "x"`, `apiKey: "***", name: "x"`},
		{"a.js", "if (password === 'x') {", "if (password === 'x') {"},
		{"a.js", "const u = `postgres://u:secret@db/x`", "const u = `postgres://***@db/x`"},
		{"a.js", "fetch('https://x.example/?api_key=abc&b=1')", "fetch('https://x.example/?api_key=***&b=1')"},
		{"a.js", "stripe('sk_live_abcdefgh')", "stripe('***')"},
		{".env", "DATABASE_URL=postgres://u:p@localhost/x", "DATABASE_URL=postgres://localhost/x"},
		{".env", "STRIPE_KEY=abc # note", "STRIPE_KEY=***"},
		{".env", "PORT=3000", "PORT=3000"},
		{".env", "EMPTY=", "EMPTY="},
		{".env", "# OLD_KEY=abc", "***"},
		{"compose.yaml", "      POSTGRES_PASSWORD: pg-canary", "POSTGRES_PASSWORD: ***"},
		{"compose.yaml", "      - API_TOKEN=abc", "- API_TOKEN=***"},
		{"compose.yaml", "      API_TOKEN: ${API_TOKEN:?}", "API_TOKEN: ${API_TOKEN:?}"},
		{"compose.yaml", `command: redis-server --requirepass hunter2`, `command: redis-server --requirepass ***`},
		{"Dockerfile", "ENV API_KEY=abc TZ=UTC", "ENV API_KEY=*** TZ=UTC"},
		{"Dockerfile", "ENV API_KEY abc", "ENV API_KEY ***"},
		{"main.tf", `password = "abc"`, `password = "***"`},
		{"main.tf", `password = var.db_password`, `password = var.db_password`},
		{"k.yaml", "replicas: 4", "replicas: 4"},
	} {
		if got := Mask(c.file, c.line); got != c.want {
			t.Errorf("Mask(%q, %q) = %q, want %q", c.file, c.line, got, c.want)
		}
	}
}

func TestQuoteMasksEveryValueOfASecret(t *testing.T) {
	repo := tree(map[string]string{
		"k.yaml":             "apiVersion: v1\nkind: ConfigMap\ndata:\n  PORT: \"3000\"\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: keys\nstringData:\n  PORT: hunter2\n  CERT: |\n    hunter2\n",
		"kustomization.yaml": "secretGenerator:\n  - name: s\n    literals:\n      - A=hunter2\nresources: [k.yaml]\n",
		"a.js":               "one\n  two();\n",
	})
	fs := []premortem.Finding{{Evidence: []premortem.Evidence{
		{Pos: premortem.Pos{File: "k.yaml", Line: 4}}, {Pos: premortem.Pos{File: "k.yaml", Line: 11}}, {Pos: premortem.Pos{File: "k.yaml", Line: 13}},
		{Pos: premortem.Pos{File: "k.yaml", Line: 10}}, {Pos: premortem.Pos{File: "kustomization.yaml", Line: 4}}, {Pos: premortem.Pos{File: "a.js", Line: 2}},
		{Pos: premortem.Pos{File: "a.js", Line: 99}}, {Pos: premortem.Pos{File: "gone.js", Line: 1}}, {Pos: premortem.Pos{File: "../x", Line: 1}},
		{Pos: premortem.Pos{File: "a.js", Line: 1}, Quote: "kept"},
	}}}
	Quote(repo, fs)
	want := []string{`PORT: "3000"`, "PORT: ***", "***", "stringData:", "- A=***", "two();", "", "", "", "kept"}
	for i, e := range fs[0].Evidence {
		if e.Quote != want[i] {
			t.Errorf("%s: %q, want %q", e.Pos, e.Quote, want[i])
		}
	}
}

func TestSecretsStayOutOfCommandsEncodedDataAndErrors(t *testing.T) {
	repo := tree(map[string]string{
		"compose.yaml": "services:\n  api:\n    image: node:20\n    command: [node, a.js, --token=hunter2, --api-key, hunter2, 'postgres://u:hunter2@db/x']\n",
		"k8s/prod/s.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  A: aHVudGVyMg==\n  URL: cG9zdGdyZXM6Ly91Omh1bnRlcjJAZGIveA==\n---\n" +
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\nspec: {template: {spec: {containers: [{name: api, image: x, envFrom: [{secretRef: {name: s}}]}]}}}\n",
		"bad/kustomization.yaml": "secretGenerator:\n  - name: s\n    literals: [hunter2]\n",
		"c/Dockerfile":           "FROM node\nENV A=b hunter2\n",
	})
	sys, err := Repo(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	out := string(marshal(t, sys))
	for _, secret := range []string{"hunter2", "aHVudGVyMg"} {
		if i := strings.Index(out, secret); i >= 0 {
			t.Errorf("%s is in the System: …%s…", secret, out[max(0, i-100):i+20])
		}
	}
	if len(sys.Unread) < 2 || !strings.Contains(out, "postgres://db/x") {
		t.Errorf("the files were not read: %v", sys.Unread)
	}
}

func TestHashesAreEqualForEqualValuesOnly(t *testing.T) {
	sys, err := Repo(t.Context(), tree(map[string]string{
		"compose.yaml": "services:\n  api:\n    image: node:20\n    environment: {A: same, B: same, C: other}\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	p := sys.Services[0].Provides
	if p[0].Hash != p[1].Hash || p[0].Hash == p[2].Hash || p[0].Hash == "" || strings.Contains(p[0].Hash, "same") {
		t.Errorf("hashes %q %q %q", p[0].Hash, p[1].Hash, p[2].Hash)
	}
}

func TestDirDoesNotFollowLinksOutOfTheTree(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret.env"), []byte("A=hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for link, to := range map[string]string{".env": filepath.Join(outside, "secret.env"), "k8s": outside, "loop": ".", ".nvmrc": "../../etc/hostname"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip("this system has no symbolic links: ", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte("services: {api: {image: node, env_file: .env}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sys, err := Dir(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(sys.Services[0].Provides) > 0 || len(sys.Runtimes) > 0 {
		t.Errorf("read through a link: %+v", sys.Services[0].Provides)
	}
	if len(sys.Services[0].Opaque) == 0 || len(sys.Unread) == 0 {
		t.Errorf("the links are not reported: %+v %+v", sys.Services[0].Opaque, sys.Unread)
	}
}
