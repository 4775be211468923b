package read

import (
	"cmp"
	"math"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// credentialShapes are credentials that their own form gives away. Test keys of
// payment providers are no secrets of production.
var credentialShapes = []struct {
	what string
	text *regexp.Regexp
}{
	{"private key", regexp.MustCompile(`-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----`)},
	{"AWS access key", regexp.MustCompile(`\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`)},
	{"Stripe live key", regexp.MustCompile(`\b(?:sk|rk)_live_[A-Za-z0-9]{16,}`)},
	{"GitHub token", regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,})`)},
	{"GitLab token", regexp.MustCompile(`\bglpat-[A-Za-z0-9_\-]{20,}`)},
	{"Slack token", regexp.MustCompile(`\bxox[abprs]-[0-9A-Za-z\-]{20,}`)},
	{"Slack webhook", regexp.MustCompile(`https://hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{20,}`)},
	{"SendGrid key", regexp.MustCompile(`\bSG\.[A-Za-z0-9_\-]{20,}\.[A-Za-z0-9_\-]{30,}`)},
	{"Google API key", regexp.MustCompile(`\bAIza[A-Za-z0-9_\-]{35}\b`)},
	{"npm token", regexp.MustCompile(`\bnpm_[A-Za-z0-9]{36}\b`)},
	{"OpenAI key", regexp.MustCompile(`\bsk-(?:proj-)?[A-Za-z0-9_\-]{32,}`)},
	{"Twilio key", regexp.MustCompile(`\bSK[0-9a-f]{32}\b`)},
	{"Mailgun key", regexp.MustCompile(`\bkey-[0-9a-f]{32}\b`)},
	{"Stripe webhook secret", regexp.MustCompile(`\bwhsec_[A-Za-z0-9+/]{28,}`)},
}

// credentialName are names under which software expects a credential. The name alone
// never makes a finding: it says how to look at the value.
var credentialName = regexp.MustCompile(`(?i)(^|[_.\-])(password|passwd|passphrase|pass|pwd|secret|secret_?key(_base)?|token|api_?key|access_?key|private_?key|signing_?key|encryption_?key|jwt_?key|master_?key|auth_?key|client_?secret)$`)

var notCredential = regexp.MustCompile(`(?i)(_|^)(name|file|path|url|uri|host|arn|id|ttl|length|expir\w*|algorithm|issuer|header|field|enabled|policy|ref|public_?key|publishable_?key|anon_?key)$`)

// standIn are texts that ask a person for the value or point elsewhere.
var standIn = regexp.MustCompile(`(?i)^[<\[{(%]|\$\{|\$\(|\{\{|^\$|^(your|my|some|insert|enter|add|put|set|use|replace|redacted|placeholder|todo|fixme|tbd|dummy|fake|mock|sample|xxx+|\*+|\.+|none|null|nil|n/?a|undefined|true|false|yes|no|on|off)([_\- .]|$)|(your|my)[_\- ]?(secret|key|token|pass|password|username|api)|_here$|-here$|<[^>]+>|(?-i:EXAMPLE)|^ENC\[|^\$2[aby]\$|^\$argon2|^(sha256|pbkdf2|bcrypt)[:$]|^arn:|^vault:|^ssm:|^sm://|^projects/|^file:|^/run/secrets/|^/`)

// defaultPasswords are values that everybody knows, and what they are the default of.
var defaultPasswords = map[string]string{
	"postgres": "the default password of postgres", "admin": "the default password admin", "root": "the default password root",
	"password": "the default password", "guest": "the default password of RabbitMQ", "minioadmin": "the default password of MinIO",
	"changeme": "the placeholder changeme", "changethis": "the placeholder changethis", "change_me": "the placeholder changeme", "change-me": "the placeholder changeme",
	"secret": "the default secret", "test": "the default password test", "example": "the default password example", "mysql": "the default password of MySQL",
	"redis": "the default password of Redis", "mongo": "the default password of MongoDB", "elastic": "the default password of Elasticsearch",
	"123456": "the most common password", "12345678": "a common password", "password123": "a common password", "admin123": "a common password", "pass": "the default password", "toor": "the default password root",
	"rabbitmq": "the default password of RabbitMQ", "grafana": "the default password of Grafana", "letmein": "a common password", "qwerty": "a common password",
	"supersecret": "the sample key supersecret", "keyboard cat": "the sample key of express-session", "mysecret": "the sample key mysecret", "secretkey": "the sample key secretkey",
	"your-256-bit-secret": "the sample key of jwt.io", "dev": "the default password dev",
}

var (
	insecureSample = regexp.MustCompile(`(?i)^django-insecure-|change[_\-]?(me|this|it)|^(insecure|default)[_\-]|super[_\-]?secret|^(dev|development|local)[_\-]`)
	mixedText      = regexp.MustCompile(`^[A-Za-z0-9+/=_\-.~!@#%^&*]+$`)
	looksLikeName  = regexp.MustCompile(`^[a-z]+([-_.][a-z0-9]+)*$`)
)

// credentialIn decides whether a value is a credential: by its own form, or, under
// the name of a consumer, by being a known default or random text. what is "" for
// anything else; def is the default it equals.
func credentialIn(name, value string) (what, def string) {
	value = strings.TrimSpace(value)
	if value == "" || len(value) > 8192 {
		return "", ""
	}
	if s := shapeOf(value); s != "" {
		return s, ""
	}
	if u, err := url.Parse(value); err == nil && u.Host != "" && u.User != nil {
		pass, ok := u.User.Password()
		if !ok || pass == "" || standIn.MatchString(pass) || standIn.MatchString(value) {
			return "", ""
		}
		return "password in an address", knownDefault(pass, u.User.Username())
	}
	if !credentialName.MatchString(name) || notCredential.MatchString(name) || standIn.MatchString(value) || strings.Contains(value, "://") {
		return "", ""
	}
	if def := knownDefault(value, ""); def != "" {
		return wordFor(name), def
	}
	if len(value) >= 16 && mixedText.MatchString(value) && !looksLikeName.MatchString(value) && entropy(value) >= 3.3 {
		return wordFor(name), ""
	}
	return "", ""
}

// shapeOf names the credential that a value is by its own form, "" for none.
func shapeOf(value string) string {
	for _, s := range credentialShapes {
		if m := s.text.FindString(value); m != "" && !strings.Contains(m, "EXAMPLE") && !sameLetters(m) {
			return s.what
		}
	}
	return ""
}

func wordFor(name string) string {
	low := strings.ToLower(name)
	switch {
	case strings.Contains(low, "pass") || strings.HasSuffix(low, "pwd"):
		return "password"
	case strings.Contains(low, "token"):
		return "token"
	case strings.Contains(low, "secret"):
		return "secret"
	}
	return "key"
}

// knownDefault says which default a value is, "" for none. A password that repeats
// its user's name is one too.
func knownDefault(value, user string) string {
	if d := defaultPasswords[strings.ToLower(value)]; d != "" {
		return d
	}
	switch {
	case insecureSample.MatchString(value):
		return "a sample key"
	case user != "" && value == user:
		return "the user's own name"
	}
	return ""
}

// sameLetters reports a token of one repeated letter, which is made up.
func sameLetters(s string) bool {
	tail := s[len(s)-8:]
	return strings.Count(tail, tail[:1]) == len(tail)
}

// entropy is the bits of information per letter of a text.
func entropy(s string) float64 {
	count := map[rune]float64{}
	for _, r := range s {
		count[r]++
	}
	h, n := 0.0, float64(len([]rune(s)))
	for _, c := range count {
		h -= c / n * math.Log2(c/n)
	}
	return h
}

// untrusted are places whose values nobody runs in production.
var untrusted = regexp.MustCompile(`(?i)(^|[/_.\-])(tests?|testdata|fixtures?|examples?|samples?|mocks?|e2e|docs?|spec|__tests__|templates?)([/_.\-]|$)`)

// credential records a value that is one. The value is dropped here.
func (d *Draft) credential(file string, pos premortem.Pos, line, name, value, where, deployment string) {
	if untrusted.MatchString(path.Dir(file)+"/") || exampleName.MatchString(path.Base(file)) {
		return
	}
	what, def := credentialIn(name, value)
	if what == "" {
		return
	}
	d.credentials = append(d.credentials, &premortem.Credential{
		Pos: pos, Quote: maskCredential(file, line, name, value), Name: name, What: what, Where: where, Default: def, Deployment: deployment,
	})
}

// maskCredential is a line without the value; where the line is not known, the name
// alone.
func maskCredential(file, line, name, value string) string {
	if strings.TrimSpace(line) == "" {
		return name + ": ***"
	}
	out := Mask(file, line)
	i := strings.IndexAny(out, ":=") + 1
	for part := range strings.SplitSeq(value, "\n") {
		if part = strings.TrimSpace(part); part != "" && !strings.Contains(out, "://***@") {
			out = out[:i] + strings.ReplaceAll(out[i:], part, "***")
		}
	}
	return out
}

// settleCredentials finds out which workloads a credential reaches, whether one of
// them is production, and which secrets of production equal those of an example.
func (g *merger) settleCredentials() {
	for _, c := range g.d.credentials {
		c.Production = c.Deployment != "" && g.sys.IsProduction(c.Deployment)
		for _, svc := range g.sys.Services {
			reaches := c.Deployment == svc.Deployment && slices.ContainsFunc(svc.Provides, func(s premortem.EnvSet) bool { return s.Name == c.Name && sameEntry(s.Pos, c.Pos) }) ||
				c.Deployment == "" && svc.Dockerfile != "" && svc.Dockerfile == c.Pos.File
			if !reaches {
				continue
			}
			if c.Service == "" {
				c.Service = svc.Node
			}
			c.Production = c.Production || g.sys.IsProduction(svc.Deployment)
		}
	}
	g.exampleValues()
	slices.SortStableFunc(g.d.credentials, func(a, b *premortem.Credential) int {
		return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Name, b.Name), compareBool(!a.Production, !b.Production))
	})
	g.d.credentials = slices.CompactFunc(g.d.credentials, func(a, b *premortem.Credential) bool { return a.Pos == b.Pos && a.Name == b.Name })
}

// sameEntry reports two lines of one entry: its name, and its value on the line after.
func sameEntry(name, value premortem.Pos) bool {
	return name.File == value.File && value.Line >= name.Line && value.Line <= name.Line+1
}

// exampleValues adds the secrets of production that an example file shows to
// everybody.
func (g *merger) exampleValues() {
	shown := map[[2]string]premortem.Pos{}
	for _, f := range g.d.envFiles {
		for _, s := range f.sets {
			if f.example && s.Hash != "" && !s.Plain && credentialName.MatchString(s.Name) {
				shown[[2]string{s.Name, s.Hash}] = s.Pos
			}
		}
	}
	for _, svc := range g.sys.Services {
		if !g.sys.IsProduction(svc.Deployment) {
			continue
		}
		for _, s := range svc.Provides {
			pos, ok := shown[[2]string{s.Name, s.Hash}]
			if !ok || s.Hash == "" || slices.ContainsFunc(g.d.credentials, func(c *premortem.Credential) bool { return c.Pos == s.Pos && c.Name == s.Name }) {
				continue
			}
			g.d.credentials = append(g.d.credentials, &premortem.Credential{
				Pos: s.Pos, Quote: s.Name + ": ***", Deployment: svc.Deployment, Service: svc.Node, Name: s.Name, What: wordFor(s.Name), Where: s.Source,
				Default: "the value in " + pos.String(), Production: true,
			})
		}
	}
}
