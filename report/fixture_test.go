package report

import (
	"time"

	"github.com/premortem/premortem"
)

func pos(file string, line int) premortem.Pos { return premortem.Pos{File: file, Line: line} }

// shop is a rehearsal of a small shop: login breaks on an unindexed look-up, and
// the clone proved the index.
func shop() *premortem.Report {
	return &premortem.Report{
		Schema: premortem.Schema, Version: "0.1.0", Command: "rehearse", Seed: 1, Dir: "examples/shop",
		Started: time.Date(2026, 11, 22, 10, 43, 12, 0, time.UTC), TookSeconds: 81.2,
		System:   shopSystem(),
		Findings: shopFindings(),
		Headroom: shopHeadroom(),
		Verdicts: shopVerdicts(),
		Parity:   shopParity(),
		Unread:   []premortem.Unread{{Pos: pos("terraform/legacy.tf.disabled", 1), Why: "a Terraform file that is switched off; nothing in it was considered"}},
		Stages: []premortem.Stage{
			{Name: "read", Says: "83 files · 2 services, 2 stores, 14 variables, 11 queries", Took: 0.3},
			{Name: "clone", Says: "process driver · PostgreSQL 15.18, Redis 7.2, api ×1", Took: 4.1},
			{Name: "rows", Says: "users 500,000 · orders 2,000,000 · fidelity 0.97", Took: 6.8},
			{Name: "normal", Says: "50 requests/s: every objective holds", Took: 8.2},
			{Name: "calls", Says: "breaks at 1.6× (1.5–1.7): POST /api/login", Took: 21.4},
			{Name: "rows ×", Says: "breaks at 1.2× (1.1–1.3): POST /api/login", Took: 17.9},
			{Name: "users", Says: "holds up to 4×", Took: 12.3},
			{Name: "prove", Says: "1 fix tried, 1 worked", Took: 10.2},
		},
		Cost:     &premortem.Cost{MemoryBytes: 84_300_000, EdgeLatency: 0.000038, DatabaseBytes: 612_000_000},
		Unknowns: []string{"no Chromium: the browser was not watched; apt-get install chromium"},
	}
}

func shopSystem() *premortem.System {
	s := &premortem.System{
		Name:       "shop",
		Production: "k8s/overlays/prod", ProductionWhy: "declared in premortem.yaml:1",
		Deployments: []*premortem.Deployment{
			{Name: "compose.yaml", Kind: "compose", Pos: pos("compose.yaml", 1)},
			{Name: "k8s/overlays/prod", Kind: "kubernetes", Pos: pos("k8s/overlays/prod/kustomization.yaml", 1)},
			{Name: "terraform", Kind: "terraform", Pos: pos("terraform/main.tf", 1)},
		},
		Services: []*premortem.Service{
			{Deployment: "compose.yaml", Node: "service/api", Pos: pos("compose.yaml", 4), Dir: "api"},
			{Deployment: "k8s/overlays/prod", Node: "service/api", Pos: pos("k8s/base/api.yaml", 1), Dir: "api",
				Replicas: premortem.At(4, "k8s/overlays/prod/replicas.yaml", 7), MaxReplicas: premortem.At(12, "k8s/base/hpa.yaml", 11),
				Command: premortem.At([]string{"node", "src/server.js"}, "api/Dockerfile", 14)},
			{Deployment: "k8s/overlays/prod", Node: "service/web", Pos: pos("k8s/base/web.yaml", 1), Dir: "web", Static: true},
		},
		Stores: []*premortem.Store{
			{Deployment: "compose.yaml", Node: "store/postgres", Kind: "postgres", Pos: pos("compose.yaml", 21), Version: premortem.At("16", "compose.yaml", 22)},
			{Deployment: "terraform", Node: "store/postgres", Kind: "postgres", Pos: pos("terraform/rds.tf", 3),
				Version: premortem.At("15.4", "terraform/rds.tf", 6), MaxConnections: premortem.At(45, "terraform/rds.tf", 31)},
			{Deployment: "terraform", Node: "store/redis", Kind: "redis", Pos: pos("terraform/redis.tf", 2)},
		},
		ThirdParties: []*premortem.ThirdParty{
			{Node: "thirdparty/sendgrid", Hosts: []string{"api.sendgrid.com"}},
			{Node: "thirdparty/stripe", Hosts: []string{"api.stripe.com"}},
		},
		Dependencies: []*premortem.Dependency{
			{From: "service/api", To: "store/postgres", Env: premortem.At("DATABASE_URL", "api/src/db.js", 4), Pool: premortem.At(5, "api/src/db.js", 9), PoolEnv: "PG_POOL_MAX", Pos: pos("api/src/db.js", 4)},
		},
		Env: []*premortem.EnvVar{
			{Service: "service/api", Name: "STRIPE_WEBHOOK_SECRET", Class: premortem.EnvBoot,
				Reads: []premortem.EnvRead{{Pos: pos("api/src/billing.js", 14), Class: premortem.EnvBoot, Quote: "new Stripe(process.env.STRIPE_WEBHOOK_SECRET)"}}},
		},
		Tables: []*premortem.Table{{Name: "users", Pos: pos("migrations/001_users.sql", 3), Columns: []premortem.Column{{Name: "email", Type: "text", Pos: pos("migrations/001_users.sql", 5)}}}},
		Routes: []*premortem.Route{{Service: "service/api", Method: "POST", Path: "/api/login", Pos: pos("api/src/auth.js", 17), End: 41}},
		Journeys: []*premortem.Journey{{Name: "login", Weight: 3, Pos: pos("premortem.yaml", 11), Steps: []premortem.Step{
			{Request: &premortem.Request{Method: "POST", Path: "/api/login", Route: "POST /api/login", Service: "service/api"}, Pos: pos("premortem.yaml", 14)},
			{Think: 2 * time.Second, Pos: pos("premortem.yaml", 18)}}}},
		Objectives: []premortem.Objective{{Route: "POST /api/login", P95: premortem.At(0.3, "premortem.yaml", 7), Pos: pos("premortem.yaml", 7)}},
		Config:     premortem.At("premortem.yaml", "premortem.yaml", 1),
	}
	return s
}

const (
	keyScan = "table-scan store/postgres users lower(email)"
	keyPool = "pool-exceeds-database service/api store/postgres"
)

func shopFindings() []premortem.Finding {
	return append(shopShown(), shopSuspected()...)
}

func shopShown() []premortem.Finding {
	return []premortem.Finding{
		{
			Rule: "table-scan", Severity: premortem.Down, Standing: premortem.Shown, Certain: true,
			Node: "store/postgres", Subject: "users lower(email)",
			Says: "POST /api/login reads all 500,000 users for one of them",
			Evidence: []premortem.Evidence{
				{Says: "every login passes here", Pos: pos("api/src/auth.js", 22), Quote: "where: sequelize.where(fn('lower', col('email')), email)"},
				{Says: "users has no index on lower(email)", Pos: pos("migrations/001_users.sql", 3), Quote: "CREATE TABLE users ("},
				{Says: "p95 of POST /api/login at 1.6× the calls", Measure: &premortem.Measure{Signal: "request_seconds_p95", Node: "service/api", Trial: "calls-x1.6", Before: 0.182, During: 2.1, Unit: "s"}},
				{Says: "share of the request spent in this query", Measure: &premortem.Measure{Signal: "query_share", Node: "store/postgres", Trial: "calls-x1.6", During: 0.94, Unit: "share"}},
				{Says: "rows read for one row returned", Measure: &premortem.Measure{Signal: "rows_removed", Node: "store/postgres", Trial: "calls-x1.6", During: 499999, Unit: "rows"}},
			},
			Fix: premortem.Fix{
				Says:  "CREATE INDEX CONCURRENTLY users_lower_email ON users (lower(email))",
				Edits: []premortem.Edit{{Pos: pos("migrations/007_users_lower_email.sql", 1), New: "-- Found by rehearsal: login scanned the whole table.\nCREATE INDEX CONCURRENTLY users_lower_email ON users (lower(email));"}},
				Try:   &premortem.Try{SQL: "CREATE INDEX users_lower_email ON users (lower(email))", Node: "store/postgres"},
				Proof: &premortem.Proof{Signal: "request_seconds_p95", Unit: "s", Before: 2.1, After: 0.012, X: "calls", BreaksBefore: 1.6, BreaksAfter: 9.4, HoldsAfter: 9,
					Next: "the pool of 5 connections per process (api/src/db.js:9)", NextFinding: keyPool, Worked: true},
			},
		},
		{
			Rule: "n-plus-one", Severity: premortem.Slow, Standing: premortem.Shown, Certain: true,
			Node: "service/api", Subject: "GET /api/orders order_items",
			Says: "GET /api/orders asks the database 41 times for one page of 40 orders",
			Evidence: []premortem.Evidence{
				{Says: "one query per order", Pos: pos("api/src/orders.js", 31), Quote: "order.items = await OrderItem.findAll({ where: { orderId: order.id } })"},
				{Says: "the loop over the page", Pos: pos("api/src/orders.js", 29), Quote: "for (const order of orders) {"},
				{Says: "queries per request", Measure: &premortem.Measure{Signal: "queries_per_request", Node: "service/api", Trial: "trace", During: 41, Unit: "1"}},
				{Says: "time of those queries in one request", Measure: &premortem.Measure{Signal: "query_seconds", Node: "store/postgres", Trial: "trace", During: 0.0228, Unit: "s"}},
			},
			Fix: premortem.Fix{Says: "load the items of all orders with one query: include OrderItem in Order.findAll"},
		},
		{
			Rule: "errors-under-load", Severity: premortem.Down, Standing: premortem.Shown, Certain: true,
			Node: "service/api", Subject: "POST /api/login",
			Says:     "12 % of POST /api/login answer 503 at 2× the calls",
			Evidence: []premortem.Evidence{{Says: "share of requests that failed", Measure: &premortem.Measure{Signal: "error_share", Node: "service/api", Trial: "calls-x2", Before: 0.0004, During: 0.121, Unit: "share"}}},
			Because:  keyScan,
		},
		{
			Rule: "cpu-saturated", Severity: premortem.Slow, Standing: premortem.Shown, Certain: true,
			Node: "store/postgres", Subject: "",
			Says:     "PostgreSQL uses all of its 2 cores at 2× the calls",
			Evidence: []premortem.Evidence{{Says: "cores busy", Measure: &premortem.Measure{Signal: "cpu_cores", Node: "store/postgres", Trial: "calls-x2", Before: 0.61, During: 1.97, Unit: "cores"}}},
			Because:  keyScan,
		},
		{
			Rule: "missing-await", Severity: premortem.Down, Standing: premortem.Cleared, Certain: true,
			Node: "service/api", Subject: "GET /api/products",
			Says:     "GET /api/products answers before its query has",
			Evidence: []premortem.Evidence{{Says: "no await", Pos: pos("api/src/products.js", 18), Quote: "const rows = Product.findAll()"}},
			Fix:      premortem.Fix{Says: "write await before the call"},
		},
	}
}

func shopSuspected() []premortem.Finding {
	missing := func(name, file string, line int, quote string) premortem.Finding {
		return premortem.Finding{
			Rule: "env-missing", Severity: premortem.Down, Certain: true, Node: "service/api", Subject: "k8s/overlays/prod " + name,
			Says: name + " is read at boot, and production does not provide it",
			Evidence: []premortem.Evidence{
				{Says: "read here, no default", Pos: pos(file, line), Quote: quote},
				{Says: "has 11 keys, not this one; .env:7 has it", Pos: pos("k8s/overlays/prod/config.yaml", 5)},
			},
			Fix: premortem.Fix{Says: "add " + name + " to the Secret api-secrets in k8s/overlays/prod",
				Edits: []premortem.Edit{{Pos: pos("k8s/overlays/prod/secret.yaml", 9), New: "  " + name + ": \"<set me>\""}}},
		}
	}
	return []premortem.Finding{
		missing("STRIPE_WEBHOOK_SECRET", "api/src/billing.js", 14, "stripe.webhooks.constructEvent(body, sig, process.env.STRIPE_WEBHOOK_SECRET)"),
		missing("SENDGRID_API_KEY", "api/src/mail.js", 5, "sgMail.setApiKey(process.env.SENDGRID_API_KEY)"),
		shopPool(),
		{
			Rule: "image-floating", Severity: premortem.Slow, Certain: true, Node: "service/api", Subject: "api/Dockerfile node",
			Says:     "the image is built FROM node, which is a different Node at each build",
			Evidence: []premortem.Evidence{{Says: "no tag and no digest", Pos: pos("api/Dockerfile", 1), Quote: "FROM node"}},
			Fix:      premortem.Fix{Says: "pin the version that CI tests", Edits: []premortem.Edit{{Pos: pos("api/Dockerfile", 1), Old: "FROM node", New: "FROM node:20.18-slim"}}, Safe: true},
		},
		{
			Rule: "runtime-version-disagreement", Severity: premortem.Note, Certain: true, Node: "service/api", Subject: "node",
			Says: "Node 18, 20 and \"latest\" are named in four places; production runs none that was tested",
			Evidence: []premortem.Evidence{
				{Says: "runs in production", Pos: pos("api/Dockerfile", 1), Quote: "FROM node"},
				{Says: "tested by CI", Pos: pos(".github/workflows/ci.yaml", 19), Quote: "node-version: 18"},
				{Says: "on laptops", Pos: pos(".nvmrc", 1), Quote: "20"},
				{Says: "declared", Pos: pos("api/package.json", 7), Quote: "\"node\": \">=18\""},
			},
			Fix: premortem.Fix{Says: "name one version in all four: 20.18"},
		},
		{
			Rule: "retry-without-backoff", Severity: premortem.Slow, Node: "service/api", Subject: "stripe charge",
			Says:     "a failed Stripe charge is retried 5 times at once",
			Evidence: []premortem.Evidence{{Says: "no wait between attempts", Pos: pos("api/src/billing.js", 40), Quote: "for (let i = 0; i < 5; i++) {"}},
			Fix:      premortem.Fix{Says: "wait 2^attempt × 100 ms, with jitter, between attempts"},
		},
		{
			Rule: "single-replica", Severity: premortem.Down, Certain: true, Node: "service/admin", Subject: "",
			Says:     "service/admin has one replica",
			Evidence: []premortem.Evidence{{Says: "one replica", Pos: pos("k8s/base/admin.yaml", 8), Quote: "replicas: 1"}},
			Fix:      premortem.Fix{Says: "run two"}, Suppressed: "internal tool (premortem.yaml:31)",
		},
	}
}

func shopPool() premortem.Finding {
	return premortem.Finding{
		Rule: "pool-exceeds-database", Severity: premortem.Down, Certain: true, Node: "service/api", Subject: "store/postgres",
		Says: "12 replicas × 5 connections ask for 60 of the database's 45 connections",
		Evidence: []premortem.Evidence{
			{Says: "5 per process", Pos: pos("api/src/db.js", 9), Quote: "pool: { max: Number(process.env.PG_POOL_MAX ?? 5) }"},
			{Says: "up to 12 replicas", Pos: pos("k8s/base/hpa.yaml", 11), Quote: "maxReplicas: 12"},
			{Says: "at most 45 connections", Pos: pos("terraform/rds.tf", 31), Quote: "value = \"45\""},
		},
		Fix: premortem.Fix{Says: "raise max_connections to 80, or set PG_POOL_MAX=3",
			Try: &premortem.Try{Env: map[string]string{"PG_POOL_MAX": "3"}, Node: "service/api"}},
	}
}
