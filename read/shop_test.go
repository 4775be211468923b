package read

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

const shopDir = "../examples/shop"

func shop(t testing.TB) *premortem.System {
	t.Helper()
	sys, err := Dir(t.Context(), shopDir)
	if err != nil {
		t.Fatal(err)
	}
	return sys
}

// holds checks that a position shows the text, so that the shop's lines may move.
func holds(t *testing.T, pos premortem.Pos, file, text string) {
	t.Helper()
	data, err := os.ReadFile(shopDir + "/" + pos.File)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(data, []byte("\n"))
	if pos.File != file || pos.Line < 1 || pos.Line > len(lines) || !bytes.Contains(lines[pos.Line-1], []byte(text)) {
		t.Errorf("%s does not show %q in %s", pos, text, file)
	}
}

func TestShopsProductionIsRead(t *testing.T) {
	sys := shop(t)
	if sys.Production != "k8s/overlays/prod" {
		t.Fatalf("production is %q (%s)", sys.Production, sys.ProductionWhy)
	}
	if len(sys.Unread) > 0 {
		t.Errorf("unread: %v", sys.Unread)
	}
	api := sys.In("k8s/overlays/prod", "service/api")
	if api == nil || api.Dir != "api" || !slices.Equal(api.Command.Value, []string{"node", "src/server.js"}) {
		t.Fatalf("api is %+v", api)
	}
	if api.Replicas.Value != 4 || api.MaxSurge.Value != 0.25 {
		t.Errorf("replicas %v, surge %v", api.Replicas.Value, api.MaxSurge.Value)
	}
	holds(t, api.Replicas.Pos, "k8s/overlays/prod/api.yaml", "replicas:")
	holds(t, api.MaxReplicas.Pos, "k8s/overlays/prod/hpa.yaml", "maxReplicas:")
	holds(t, api.MaxSurge.Pos, "k8s/base/api.yaml", "maxSurge:")
	holds(t, api.Image.Pos, "k8s/overlays/prod/kustomization.yaml", "newTag:")
	holds(t, api.Health.Pos, "k8s/base/api.yaml", "path: /healthz")
	web := sys.In("k8s/overlays/prod", "service/web")
	if web == nil || !web.Static || web.Dir != "web" {
		t.Errorf("web is %+v", web)
	}
}

func TestShopsDatabaseIsOneStoreInTwoDeployments(t *testing.T) {
	sys := shop(t)
	stores := sys.StoresOf("store/postgres")
	if len(stores) != 2 || stores[0].Deployment != "terraform" || stores[1].Deployment != "compose.yaml" {
		t.Fatalf("store/postgres: %+v", stores)
	}
	if stores[0].MaxConnections.Value != 100 || stores[0].Version.Value != "15.4" {
		t.Errorf("max_connections %v, version %q", stores[0].MaxConnections, stores[0].Version.Value)
	}
	holds(t, stores[0].MaxConnections.Pos, "terraform/rds.tf", `"100"`)
	deps := sys.Into("store/postgres")
	if len(deps) != 1 || deps[0].Env.Value != "DATABASE_URL" || deps[0].Pool.Value != 5 || deps[0].PoolEnv != "DB_POOL_MAX" {
		t.Fatalf("into store/postgres: %+v", deps)
	}
	holds(t, deps[0].Pool.Pos, "api/src/db.js", "DB_POOL_MAX")
	holds(t, deps[0].Pos, "api/src/db.js", "new Sequelize")
}

func TestShopsMissingVariablesAreMissingInProductionOnly(t *testing.T) {
	sys := shop(t)
	for _, name := range []string{"STRIPE_WEBHOOK_SECRET", "SENDGRID_API_KEY"} {
		for deployment, want := range map[string]premortem.Provision{
			"compose.yaml": premortem.Provided, "k8s/overlays/staging": premortem.Provided, "k8s/overlays/prod": premortem.Missing,
		} {
			if got, _ := sys.Provision(deployment, "service/api", name); got != want {
				t.Errorf("%s gives %s: %s, want %s", deployment, name, got, want)
			}
		}
	}
	_, set := sys.Provision("k8s/overlays/prod", "service/api", "SESSION_SECRET")
	if set == nil || set.Value != "" {
		t.Fatalf("SESSION_SECRET is %+v", set)
	}
	holds(t, set.Pos, "k8s/overlays/prod/secret.yaml", "SESSION_SECRET:")
	classes := map[string]premortem.EnvClass{}
	for _, v := range sys.EnvOf("service/api") {
		classes[v.Name] = v.Class
	}
	for name, want := range map[string]premortem.EnvClass{
		"STRIPE_WEBHOOK_SECRET": "boot", "SENDGRID_API_KEY": "use", "SESSION_SECRET": "boot", "DATABASE_URL": "boot", "REDIS_URL": "boot",
		"STRIPE_API_BASE": "opt", "DB_POOL_MAX": "opt", "PORT": "opt", "LOG_LEVEL": "opt", "MAIL_FROM": "use",
	} {
		if classes[name] != want {
			t.Errorf("%s is %q, want %q", name, classes[name], want)
		}
	}
}

func TestShopsQueriesAreRead(t *testing.T) {
	sys := shop(t)
	find := func(file, quote string) *premortem.Query {
		for _, q := range sys.Queries {
			if q.Pos.File == file && strings.Contains(q.Quote, quote) {
				return q
			}
		}
		t.Fatalf("no query %q in %s", quote, file)
		return nil
	}
	login := find("api/src/auth.js", "User.findOne")
	if login.Table != "users" || len(login.Predicates) != 1 || login.Predicates[0].Expr != "lower(email)" {
		t.Errorf("login asks %+v", login)
	}
	holds(t, login.Predicates[0].Pos, "api/src/auth.js", "fn('lower'")
	each := find("api/src/orders.js", "Product.findByPk(order.productId)")
	if !each.InLoop || !each.Awaited {
		t.Errorf("orders: %+v", each)
	}
	holds(t, each.Loop, "api/src/orders.js", "for (const order of rows)")
	if page := find("api/src/products.js", "Product.findAll"); !page.Offset || !page.Limit {
		t.Errorf("products: %+v", page)
	}
	loose := 0
	for _, q := range sys.Queries {
		if !q.Awaited {
			loose++
			holds(t, q.Pos, "api/src/account.js", "User.findByPk")
		}
	}
	if loose != 1 {
		t.Errorf("%d queries are not awaited, want one", loose)
	}
	if notes := find("api/src/notifications.js", "sequelize.query"); notes.Table != "notifications" || len(notes.Predicates) != 2 {
		t.Errorf("notifications: %+v", notes)
	}
}

func TestShopsRoutesJourneysAndSchemaAreRead(t *testing.T) {
	sys := shop(t)
	var routes []string
	for _, r := range sys.Routes {
		routes = append(routes, r.Name())
	}
	for _, want := range []string{"POST /api/login", "GET /api/orders", "GET /api/products/:id", "POST /api/webhooks/stripe", "GET /healthz", "PATCH /api/account"} {
		if !slices.Contains(routes, want) {
			t.Errorf("no route %s in %v", want, routes)
		}
	}
	for _, j := range sys.Journeys {
		for _, s := range j.Steps {
			if s.Request != nil && (!slices.Contains(routes, s.Request.Route) || s.Request.Service != "service/api") {
				t.Errorf("journey %s: %q is no route", j.Name, s.Request.Route)
			}
		}
	}
	users := sys.Table("users")
	if users == nil || users.Column("points") == nil {
		t.Fatalf("users is %+v", users)
	}
	holds(t, users.Column("email").Pos, "migrations/001_users.sql", "email")
	for _, ix := range users.Indexes {
		if slices.Contains(ix.Columns, "lower(email)") {
			t.Errorf("the shop's defect is gone: %+v", ix)
		}
	}
}

func TestShopsRuntimesDisagree(t *testing.T) {
	sys := shop(t)
	got := map[string]string{}
	for _, r := range sys.Runtimes {
		if r.Service == "service/api" {
			got[r.Source] = r.Version.Value
			if r.Runs != (r.Source == "Dockerfile") {
				t.Errorf("%+v", r)
			}
		}
	}
	if got["Dockerfile"] != "latest" || got["ci"] != "22" || !strings.HasPrefix(got[".nvmrc"], "20.") || got["engines"] != ">=18" {
		t.Errorf("runtimes of the api: %v", got)
	}
}

// Every text that the shop marks as a canary stays out of what is read from it.
func TestShopsCanariesDoNotEnterTheSystem(t *testing.T) {
	out := string(marshal(t, shop(t)))
	for _, file := range []string{".env", "compose.yaml", "k8s/overlays/prod/secret.yaml", "k8s/overlays/staging/secret.yaml"} {
		data, err := os.ReadFile(shopDir + "/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, canary := range regexp.MustCompile(`[A-Za-z0-9._\-]*canary[A-Za-z0-9._\-]*`).FindAllString(string(data), -1) {
			if strings.Contains(out, canary) {
				t.Errorf("%s: %s is in the System", file, canary)
			}
		}
	}
}

func BenchmarkShop(b *testing.B) {
	for b.Loop() {
		shop(b)
	}
}
