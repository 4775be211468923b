package read

import "testing"

func FuzzNginx(f *testing.F)         { fuzzReader(f, Nginx, "nginx/nginx.conf") }
func FuzzPgBouncer(f *testing.F)     { fuzzReader(f, PgBouncer, "pgbouncer.ini") }
func FuzzTerraformJSON(f *testing.F) { fuzzReader(f, Terraform, "main.tf.json") }

// Patterns of a .dockerignore come from anybody.
func FuzzDockerignore(f *testing.F) {
	f.Add("node_modules\n!keep\n**/*.log", "a/b.log")
	f.Add("[", "x")
	f.Fuzz(func(t *testing.T, rules, path string) {
		pos, hidden := parseIgnore(".dockerignore", rules).hides(path)
		if hidden && pos.Line < 1 {
			t.Errorf("%q hides %q on no line", rules, path)
		}
	})
}

func TestIgnoreFilesHideWhatDockerHides(t *testing.T) {
	for _, c := range []struct {
		name, rules, path string
		hidden            bool
	}{
		{"a plain name hides the file in the root", ".env", ".env", true},
		{"a plain name hides nothing further down", ".env", "api/.env", false},
		{"two stars reach every folder", "**/.env", "api/.env", true},
		{"two stars reach the root as well", "**/.env", ".env", true},
		{"one star stays in its folder", "*.lock", "a/yarn.lock", false},
		{"a folder hides what is in it", "secrets/", "secrets/a/b", true},
		{"the last rule that matches decides", "*\n!.env", ".env", false},
		{"an exception can be taken back", ".env*\n!.env.example\n.env.example", ".env.example", true},
		{"comments hide nothing", "# .env", ".env", false},
		{"a prefix of a name is no match", ".env", ".env.local", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, hidden := parseIgnore(".dockerignore", c.rules).hides(c.path); hidden != c.hidden {
				t.Errorf("hidden is %v, want %v", hidden, c.hidden)
			}
		})
	}
}

func TestCredentialsAreKnownByTheirValue(t *testing.T) {
	for _, c := range []struct {
		name, variable, value, what string
	}{
		{"a provider's key under any name", "X", "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc", "Stripe live key"},
		{"a test key is no secret of production", "STRIPE_KEY", "sk_test_4eC39HqLyjWDarjtT1zdp7dc", ""},
		{"random text under the name of a secret", "JWT_SECRET", "Zt8qL0vR2nXe7Yw1Kp5s", "secret"},
		{"random text under another name", "BUILD_ID", "Zt8qL0vR2nXe7Yw1Kp5s", ""},
		{"a default password", "DB_PASSWORD", "postgres", "password"},
		{"a default under the name of something else", "DB_USER", "postgres", ""},
		{"a password in an address", "DATABASE_URL", "postgres://a:hunter22@db/x", "password in an address"},
		{"an address without a password", "DATABASE_URL", "postgres://a@db/x", ""},
		{"a reference", "DB_PASSWORD", "${DB_PASSWORD}", ""},
		{"a request to fill it in", "API_KEY", "your-api-key-goes-in-here", ""},
		{"words joined by dashes", "COOKIE_SECRET", "name-of-the-cookie-secret", ""},
		{"a file that holds it", "PASSWORD_FILE", "/run/secrets/db", ""},
		{"a hash", "ADMIN_PASSWORD", "$2b$12$abcdefghijklmnopqrstuuJ8Zx9v7y6w5v4u3t2s1r0q", ""},
		{"documentation's own key", "AWS_KEY", "AKIAIOSFODNN7EXAMPLE", ""},
		{"a key of one letter", "AWS_KEY", "AKIAXXXXXXXXXXXXXXXX", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if what, _ := credentialIn(c.variable, c.value); what != c.what {
				t.Errorf("it is %q, want %q", what, c.what)
			}
		})
	}
}
