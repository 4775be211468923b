package read

import (
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// client is a connection that code opens to a store or a third party.
type client struct {
	kind    string // of the store, "" for a third party
	party   string
	at      premortem.Pos
	env     premortem.Setting[string]
	host    string // a literal address
	pool    premortem.Setting[int]
	poolEnv string
	timeout premortem.Setting[float64]
	retries premortem.Setting[int]
	module  string
}

// clientPackages are drivers and what they talk to; "sql" asks the dialect.
var clientPackages = map[string]string{
	"sequelize": "sql", "sequelize-typescript": "sql", "knex": "sql", "typeorm": "sql", "drizzle-orm": "sql",
	"pg": "postgres", "pg-promise": "postgres", "postgres": "postgres", "slonik": "postgres", "@neondatabase/serverless": "postgres", "@prisma/client": "sql",
	"mysql": "mysql", "mysql2": "mysql", "mysql2/promise": "mysql", "mariadb": "mariadb",
	"ioredis": "redis", "redis": "redis", "bull": "redis", "bullmq": "redis", "connect-redis": "",
	"mongoose": "mongodb", "mongodb": "mongodb", "amqplib": "rabbitmq", "kafkajs": "kafka", "nats": "nats", "memjs": "memcached", "memcached": "memcached",
	"@elastic/elasticsearch": "elasticsearch", "@opensearch-project/opensearch": "opensearch",
}

// clientNames are the constructors and functions that open a connection.
var clientNames = wordSet(`Sequelize Pool Client Redis Cluster createClient createPool createConnection connect MongoClient knex Knex postgres Kafka PrismaClient DataSource pgp createCluster Queue drizzle`)

// partyPackages are SDKs of APIs on the internet.
var partyPackages = map[string]struct {
	name  string
	hosts []string
}{
	"stripe": {"stripe", []string{"api.stripe.com"}}, "@sendgrid/mail": {"sendgrid", []string{"api.sendgrid.com"}}, "@sendgrid/client": {"sendgrid", []string{"api.sendgrid.com"}},
	"twilio": {"twilio", []string{"api.twilio.com"}}, "openai": {"openai", []string{"api.openai.com"}}, "@anthropic-ai/sdk": {"anthropic", []string{"api.anthropic.com"}},
	"resend": {"resend", []string{"api.resend.com"}}, "postmark": {"postmark", []string{"api.postmarkapp.com"}}, "mailgun.js": {"mailgun", []string{"api.mailgun.net"}},
	"@mailchimp/mailchimp_transactional": {"mandrill", []string{"mandrillapp.com"}}, "nodemailer": {"smtp", nil},
	"@slack/web-api": {"slack", []string{"slack.com"}}, "@octokit/rest": {"github", []string{"api.github.com"}}, "octokit": {"github", []string{"api.github.com"}},
	"@paypal/checkout-server-sdk": {"paypal", []string{"api-m.paypal.com"}}, "braintree": {"braintree", []string{"api.braintreegateway.com"}},
	"square": {"square", []string{"connect.squareup.com"}}, "plaid": {"plaid", []string{"production.plaid.com"}}, "algoliasearch": {"algolia", []string{"algolia.net"}},
	"firebase-admin": {"firebase", []string{"fcm.googleapis.com", "firestore.googleapis.com"}}, "@sentry/node": {"sentry", []string{"ingest.sentry.io"}},
	"posthog-node": {"posthog", []string{"app.posthog.com"}}, "@segment/analytics-node": {"segment", []string{"api.segment.io"}}, "auth0": {"auth0", []string{"auth0.com"}},
	"@clerk/backend": {"clerk", []string{"api.clerk.com"}}, "@supabase/supabase-js": {"supabase", []string{"supabase.co"}}, "pusher": {"pusher", []string{"api.pusherapp.com"}},
	"@aws-sdk/client-s3": {"aws-s3", []string{"s3.amazonaws.com"}}, "@aws-sdk/client-sqs": {"aws-sqs", []string{"sqs.amazonaws.com"}}, "@aws-sdk/client-ses": {"aws-ses", []string{"email.amazonaws.com"}},
	"@aws-sdk/client-dynamodb": {"aws-dynamodb", []string{"dynamodb.amazonaws.com"}}, "cloudinary": {"cloudinary", []string{"api.cloudinary.com"}},
	"@googlemaps/google-maps-services-js": {"google-maps", []string{"maps.googleapis.com"}}, "launchdarkly-node-server-sdk": {"launchdarkly", []string{"app.launchdarkly.com"}},
	"intercom-client": {"intercom", []string{"api.intercom.io"}}, "@hubspot/api-client": {"hubspot", []string{"api.hubapi.com"}}, "shopify-api-node": {"shopify", []string{"myshopify.com"}},
	"dropbox": {"dropbox", []string{"api.dropboxapi.com"}}, "google-auth-library": {"google", []string{"oauth2.googleapis.com"}}, "googleapis": {"google", []string{"www.googleapis.com"}},
	"@adyen/api-library": {"adyen", []string{"checkout-live.adyen.com"}}, "@mollie/api-client": {"mollie", []string{"api.mollie.com"}},
}

// clients finds the connections that a module opens.
func (m *module) clients() []client {
	var out []client
	for i, t := range m.toks {
		if t.kind != jsIdent || !clientNames[t.text] {
			continue
		}
		open := m.callOpen(i)
		if open < 0 {
			continue
		}
		start := m.chainStart(open)
		pkg := m.packageOf(m.tok(start).text)
		if im, ok := m.imports[m.tok(start).text]; ok && pkg == "" {
			_ = im
			continue
		}
		kind, known := clientPackages[pkg]
		if !known || kind == "" || m.funcOf.at(i) >= 0 && m.tok(i).is("Client") {
			continue
		}
		out = append(out, m.storeClient(kind, i, open))
	}
	return out
}

// storeClient reads the arguments of a connection.
func (m *module) storeClient(kind string, at, open int) client {
	c := client{kind: kind, at: m.pos(at), module: m.path}
	args := m.args(open)
	opts := -1
	for _, a := range args {
		if b := m.object(a); b >= 0 {
			opts = b
		} else if !c.env.Set() {
			c.env = m.envIn(a)
			if s, ok := m.constant(a, 0); ok && strings.Contains(s, "://") {
				c.host = s
			}
		}
	}
	for _, key := range []string{"connectionString", "url", "uri", "host", "connection", "socket", "brokers", "node", "cloudSQLConnection"} {
		if v := m.prop(opts, key); !v.empty() && !c.env.Set() {
			c.env = m.envIn(v)
		}
	}
	if kind == "sql" {
		c.kind = m.dialect(opts, c.host)
	}
	if p := m.object(m.prop(opts, "pool")); p >= 0 {
		c.pool, c.poolEnv = m.number(m.prop(p, "max"))
	}
	for _, key := range []string{"max", "connectionLimit", "maxPoolSize", "poolSize"} {
		if v := m.prop(opts, key); !v.empty() && !c.pool.Set() && c.poolEnv == "" {
			c.pool, c.poolEnv = m.number(v)
		}
	}
	for _, key := range []string{"statement_timeout", "query_timeout", "commandTimeout"} {
		for _, o := range []int{opts, m.object(m.prop(opts, "dialectOptions"))} {
			if v, _ := m.number(m.prop(o, key)); v.Set() && !c.timeout.Set() {
				c.timeout = premortem.Setting[float64]{Value: float64(v.Value) / 1000, Pos: v.Pos}
			}
		}
	}
	if v, _ := m.number(m.prop(opts, "maxRetriesPerRequest")); v.Set() {
		c.retries = v
	}
	return c
}

// dialect tells which database an ORM talks to.
func (m *module) dialect(opts int, host string) string {
	for _, key := range []string{"dialect", "client", "type", "provider"} {
		if s, ok := m.constant(m.prop(opts, key), 0); ok {
			switch s {
			case "postgres", "pg", "postgresql", "cockroachdb":
				return "postgres"
			case "mysql", "mysql2":
				return "mysql"
			case "mariadb", "mongodb", "mssql", "sqlite":
				return s
			}
		}
	}
	scheme, _, _ := strings.Cut(host, "://")
	if k := storeSchemes[scheme]; k != "" {
		return k
	}
	switch { // the driver beside it, else what its URL will say
	case m.uses("pg"):
		return "postgres"
	case m.uses("mysql2"):
		return "mysql"
	}
	return "sql"
}

// envIn returns the variable that an expression reads, also behind a variable of
// the module.
func (m *module) envIn(s span) premortem.Setting[string] { return m.envWithin(s, 0) }

func (m *module) envWithin(s span, depth int) premortem.Setting[string] {
	if depth > 3 {
		return premortem.Setting[string]{}
	}
	var first premortem.Setting[string]
	for _, u := range m.env {
		if u.at >= s.lo && u.at < s.hi && u.class != premortem.EnvDyn {
			set := premortem.Setting[string]{Value: u.name, Pos: m.pos(u.at)}
			if addressName(u.name) {
				return set
			}
			if !first.Set() {
				first = set
			}
		}
	}
	if first.Set() {
		return first
	}
	for i := s.lo; i < s.hi; i++ {
		t := m.toks[i]
		if t.kind != jsIdent || m.tok(i-1).is(".") || m.tok(i+1).is(":") || m.tok(i+1).is("(") {
			continue
		}
		for _, u := range m.env { // const { DATABASE_URL } = process.env
			if u.name == t.text && m.tok(u.at).text == t.text && u.at < s.lo {
				return premortem.Setting[string]{Value: u.name, Pos: m.pos(u.at)}
			}
		}
		if v, ok := m.initialiser(t.text, i); ok && v.lo < s.lo {
			if set := m.envWithin(v, depth+1); set.Set() {
				return set
			}
		}
	}
	return premortem.Setting[string]{}
}

func addressName(name string) bool {
	for _, part := range []string{"URL", "URI", "HOST", "ADDR", "DSN", "ENDPOINT", "CONNECTION"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// number evaluates a whole number: a literal, a constant of the module, or
// Number(process.env.X ?? 5), whose variable is returned too.
func (m *module) number(s span) (premortem.Setting[int], string) {
	if s.empty() {
		return premortem.Setting[int]{}, ""
	}
	env := ""
	if e := m.envIn(s); e.Set() {
		env = e.Value
	}
	for i := s.lo; i < s.hi; i++ {
		t := m.toks[i]
		if m.tok(i-1).is(",") && env != "" {
			continue // the radix of parseInt
		}
		if t.kind == jsNumber || t.kind == jsString {
			if n, err := strconv.Atoi(strings.ReplaceAll(t.text, "_", "")); err == nil {
				return premortem.Setting[int]{Value: n, Pos: m.pos(i)}, env
			}
		}
	}
	if t := m.tok(s.lo); t.kind == jsIdent && s.hi-s.lo == 1 {
		if v, ok := m.initialiser(t.text, s.lo); ok && v.lo != s.lo {
			return m.number(v)
		}
	}
	return premortem.Setting[int]{}, env
}

// parties finds the third parties whose SDKs a module loads.
func (m *module) parties() []client {
	var out []client
	seen := map[string]bool{}
	for _, n := range m.needs {
		sdk, ok := partyPackages[n.from]
		if !ok || seen[sdk.name] {
			continue
		}
		seen[sdk.name] = true
		c := client{party: sdk.name, at: m.pos(n.at), module: m.path}
		m.partyOptions(&c, n.from)
		for _, u := range m.env { // STRIPE_API_BASE
			if strings.HasPrefix(u.name, strings.ToUpper(strings.ReplaceAll(sdk.name, "-", "_"))+"_") && partyAddress(u.name) && !c.env.Set() {
				c.env = premortem.Setting[string]{Value: u.name, Pos: m.pos(u.at)}
			}
		}
		out = append(out, c)
	}
	return out
}

func partyAddress(name string) bool {
	for _, end := range []string{"_URL", "_BASE", "_BASE_URL", "_HOST", "_ENDPOINT", "_API"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// partyOptions reads timeout and retries of `new Stripe(key, {timeout, …})`.
func (m *module) partyOptions(c *client, pkg string) {
	for i, t := range m.toks {
		if t.kind != jsIdent || !m.tok(i-1).is("new") || m.packageOf(t.text) != pkg {
			continue
		}
		open := m.callOpen(i)
		if open < 0 {
			continue
		}
		for _, a := range m.args(open) {
			opts := m.object(a)
			if v, _ := m.number(m.prop(opts, "timeout")); v.Set() {
				c.timeout = premortem.Setting[float64]{Value: float64(v.Value) / 1000, Pos: v.Pos}
			}
			for _, key := range []string{"maxNetworkRetries", "maxRetries"} {
				if v, _ := m.number(m.prop(opts, key)); v.Set() {
					c.retries = v
				}
			}
			if v := m.prop(opts, "baseURL"); !v.empty() {
				c.env = m.envIn(v)
			}
		}
	}
}
