package check

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/premortem/premortem"
)

// shop is a system made by hand, in which many rules speak.
func shop() *premortem.System {
	pos := func(file string, line int) premortem.Pos { return premortem.Pos{File: file, Line: line} }
	api, web, db := premortem.Node("service/api"), premortem.Node("service/web"), premortem.Node("store/postgres")
	return &premortem.System{
		Name: "shop", Production: "k8s/prod",
		Deployments: []*premortem.Deployment{
			{Name: "compose.yaml", Kind: "compose"}, {Name: "k8s/prod", Kind: "kubernetes"}, {Name: "terraform", Kind: "terraform"},
		},
		Services: []*premortem.Service{
			{Deployment: "compose.yaml", Node: api, Provides: []premortem.EnvSet{
				{Name: "PAY_KEY", Pos: pos(".env", 7), Source: "env_file .env"},
				{Name: "MAIL_FROM", Pos: pos(".env", 8), Source: "env_file .env", Plain: true, Value: "a@b"},
			}},
			{
				Deployment: "k8s/prod", Node: api, Pos: pos("k8s/api.yaml", 1),
				Replicas: premortem.At(4, "k8s/api.yaml", 6), MaxReplicas: premortem.At(24, "k8s/hpa.yaml", 8),
				MaxSurge: premortem.At(0.25, "k8s/api.yaml", 12),
				Provides: []premortem.EnvSet{
					{Name: "LOG_LEVEL", Pos: pos("k8s/config.yaml", 6), Source: "configmap api-config", Plain: true, Value: "info", Hash: "1", Entry: `  {name}: "{value}"`},
					{Name: "DATABASE_URL", Pos: pos("k8s/secret.yaml", 6), Source: "secret api-secrets", Hash: "2", Entry: `  {name}: "{value}"`},
				},
			},
			{Deployment: "k8s/prod", Node: web, Pos: pos("k8s/web.yaml", 1), Replicas: premortem.At(1, "k8s/web.yaml", 6), Static: true},
		},
		Balancers: []*premortem.Balancer{{Deployment: "k8s/prod", Kind: "ingress", To: web, Pos: pos("k8s/ingress.yaml", 9)}},
		Stores: []*premortem.Store{
			{Deployment: "compose.yaml", Node: db, Kind: "postgres", Version: premortem.At("16", "compose.yaml", 9)},
			{Deployment: "terraform", Node: db, Kind: "postgres", Version: premortem.At("15.4", "terraform/rds.tf", 12), MaxConnections: premortem.At(100, "terraform/rds.tf", 5)},
		},
		Dependencies: []*premortem.Dependency{{From: api, To: db, Pool: premortem.At(5, "api/db.js", 9), PoolEnv: "DB_POOL_MAX", Pos: pos("api/db.js", 3)}},
		Env: []*premortem.EnvVar{
			{Service: api, Name: "PAY_KEY", Class: premortem.EnvBoot, Reads: []premortem.EnvRead{
				{Pos: pos("api/pay.js", 9), Class: premortem.EnvUse, Quote: "pay(process.env.PAY_KEY)"},
				{Pos: pos("api/pay.js", 4), Class: premortem.EnvBoot, Quote: "if (!process.env.PAY_KEY) throw"},
			}},
			{Service: api, Name: "MAIL_FROM", Class: premortem.EnvUse, Reads: []premortem.EnvRead{{Pos: pos("api/mail.js", 2), Class: premortem.EnvUse}}},
			{Service: api, Name: "LOG_LEVEL", Class: premortem.EnvUse, Reads: []premortem.EnvRead{{Pos: pos("api/log.js", 2), Class: premortem.EnvUse}}},
		},
		Runtimes: []*premortem.Runtime{
			{Service: api, Language: "node", Version: premortem.At("latest", "api/Dockerfile", 1), Source: "Dockerfile", Runs: true},
			{Language: "node", Version: premortem.At("20.19.5", ".nvmrc", 1), Source: ".nvmrc"},
		},
		Images: []*premortem.Image{{Service: api, Ref: "node", Final: true, Stage: "0", Quote: "FROM node", Pos: pos("api/Dockerfile", 1)}},
		Tables: []*premortem.Table{{
			Name: "users", Pos: pos("migrations/001_users.sql", 1),
			Columns: []premortem.Column{{Name: "id", Type: "bigint"}, {Name: "email", Type: "text"}},
			Indexes: []premortem.Index{
				{Name: "users_pkey", Columns: []string{"id"}, Primary: true, Unique: true, Pos: pos("migrations/001_users.sql", 2)},
				{Name: "users_email_key", Columns: []string{"email"}, Unique: true, Pos: pos("migrations/001_users.sql", 3)},
			},
		}},
		Migrations: []*premortem.Migration{{Pos: pos("migrations/001_users.sql", 1), Runner: "sql"}},
		Queries: []*premortem.Query{
			{Service: api, Pos: pos("api/auth.js", 22), Op: "select", Table: "users", Limit: true, Awaited: true,
				Predicates: []premortem.Predicate{{Expr: "lower(email)", Op: "="}}, Quote: "const user = await User.findOne({"},
			{Service: api, Pos: pos("api/me.js", 8), Op: "select", Table: "users", Limit: true, Call: "User.findByPk", Quote: "const me = User.findByPk(id).name;",
				Predicates: []premortem.Predicate{{Expr: "id", Op: "="}}},
		},
		Routes:   []*premortem.Route{{Service: api, Method: "POST", Path: "/api/login", Pos: pos("api/auth.js", 12), End: 31}},
		Database: premortem.DatabaseWish{Rows: []premortem.RowWish{{Table: "users", Rows: premortem.At(500000, "premortem.yaml", 4)}}},
	}
}

func only(t *testing.T, sys *premortem.System, r *Rule) premortem.Finding {
	t.Helper()
	found := Run(sys, []*Rule{r})
	if len(found) != 1 {
		t.Fatalf("%s: %d findings, want 1: %s", r.ID, len(found), lines(found))
	}
	return found[0]
}

func bytesOf(t *testing.T, sys *premortem.System) string {
	t.Helper()
	b, err := json.Marshal(Run(sys, Rules()))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSameSystemInAnyOrderGivesTheSameBytes(t *testing.T) {
	want := bytesOf(t, shop())
	sys := shop()
	var wg sync.WaitGroup
	got := make([]string, 20)
	for i := range got {
		r := rand.New(rand.NewPCG(1, uint64(i)))
		mixed := *sys
		mixed.Services = shuffled(r, sys.Services)
		mixed.Stores = shuffled(r, sys.Stores)
		mixed.Env = shuffled(r, sys.Env)
		mixed.Queries = shuffled(r, sys.Queries)
		mixed.Runtimes = shuffled(r, sys.Runtimes)
		mixed.Images = shuffled(r, sys.Images)
		mixed.Deployments = shuffled(r, sys.Deployments)
		mixed.Balancers = shuffled(r, sys.Balancers)
		wg.Go(func() { got[i] = bytesOf(t, &mixed) })
	}
	wg.Wait()
	for i := range got {
		if got[i] != want {
			t.Fatalf("order %d gives other findings:\n%s\nwant:\n%s", i, got[i], want)
		}
	}
	if !strings.Contains(want, "env-missing") {
		t.Fatal("nothing was compared")
	}
}

func shuffled[T any](r *rand.Rand, list []T) []T {
	out := append([]T(nil), list...)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func TestRunDoesNotChangeTheSystem(t *testing.T) {
	sys := shop()
	before, _ := json.Marshal(sys)
	Suppress(sys, Run(sys, Rules()), today)
	Unknowns(sys, Rules())
	if after, _ := json.Marshal(sys); string(before) != string(after) {
		t.Error("a rule changed the system that it was given")
	}
}

func TestUnknownRuleIsAnErrorThatNamesTheNearest(t *testing.T) {
	_, err := Only([]string{"env-mising"})
	e, ok := errors.AsType[*premortem.Error](err)
	if !ok || !strings.Contains(e.Hint, "env-missing") {
		t.Errorf("Only answers %v (%+v), want a hint that names env-missing", err, e)
	}
	rules, err := Only([]string{"n-plus-one", "env-missing", "n-plus-one"})
	if err != nil || len(rules) != 2 || rules[0] != EnvMissing {
		t.Errorf("Only gives %d rules, %v; want env-missing and n-plus-one once each", len(rules), err)
	}
}

func TestPoolIsMultipliedFactorByFactor(t *testing.T) {
	f := only(t, shop(), PoolExceedsDatabase)
	const sum = "pool 5 × HPA max 24 × surge 1.25 = 150 > 100 − 3"
	if !strings.Contains(f.Says, sum) {
		t.Errorf("says %q, want the sum %q", f.Says, sum)
	}
	if f.Fix.Try == nil || f.Fix.Try.Env["DB_POOL_MAX"] != "3" || f.Fix.Try.Node != "service/api" {
		t.Errorf("tries %+v, want DB_POOL_MAX=3 at service/api", f.Fix.Try)
	}
	if f.Severity != premortem.Down || !f.Certain {
		t.Errorf("severity %s, certain %t; want down, certain", f.Severity, f.Certain)
	}
}

func TestPoolOfUnknownSizeIsAQuestion(t *testing.T) {
	sys := shop()
	sys.Dependencies[0].Pool = premortem.Setting[int]{}
	if found := Run(sys, []*Rule{PoolExceedsDatabase}); len(found) != 0 {
		t.Errorf("found %s without knowing the pool", lines(found))
	}
	asked := Unknowns(sys, []*Rule{PoolExceedsDatabase})
	if len(asked) != 1 || !strings.Contains(asked[0], "DB_POOL_MAX") {
		t.Errorf("asks %q, want a question about DB_POOL_MAX", asked)
	}
}

func TestSurgeIsRoundedUpToWholeReplicas(t *testing.T) {
	svc := &premortem.Service{Replicas: premortem.At(3, "k8s/api.yaml", 6)}
	p := podsOf("kubernetes", svc)
	if p.most() != 4 || p.String() != "(replicas 3 + surge 1)" {
		t.Errorf("3 replicas and a quarter are %d: %s; want 4", p.most(), p)
	}
}

func TestOpaqueSourceIsAQuestionNotAFinding(t *testing.T) {
	sys := shop()
	sys.Services[1].Opaque = []premortem.Opaque{{Why: "secret api-vault is not in the repository", Pos: premortem.Pos{File: "k8s/api.yaml", Line: 20}}}
	if found := Run(sys, []*Rule{EnvMissing}); len(found) != 0 {
		t.Errorf("found %s although a source is opaque", lines(found))
	}
	asked := Unknowns(sys, []*Rule{EnvMissing})
	if len(asked) != 1 || !strings.Contains(asked[0], "MAIL_FROM and PAY_KEY") || !strings.Contains(asked[0], "k8s/api.yaml:20") {
		t.Errorf("asks %q, want one question about both variables and the source", asked)
	}
}

func TestPlaceholderOfASecretNeverGoesIntoAConfigMap(t *testing.T) {
	for _, f := range Run(shop(), []*Rule{EnvMissing}) {
		if len(f.Fix.Edits) == 0 {
			t.Errorf("%s is put nowhere", f.Subject)
			continue
		}
		file := f.Fix.Edits[0].Pos.File
		if secret := strings.Contains(f.Subject, "KEY"); secret != (file == "k8s/secret.yaml") {
			t.Errorf("%s is put into %s", f.Subject, file)
		}
	}
	sys := shop()
	sys.Services[1].Provides = sys.Services[1].Provides[:1]
	for _, f := range Run(sys, []*Rule{EnvMissing}) {
		if strings.Contains(f.Subject, "KEY") && len(f.Fix.Edits) > 0 {
			t.Errorf("without a Secret %s is put into %s", f.Subject, f.Fix.Edits[0].Pos)
		}
	}
}

func TestConsequenceIsTiedToItsCause(t *testing.T) {
	found := Run(shop(), []*Rule{ImageFloating, RuntimeVersionDisagreement})
	if len(found) != 2 || found[1].Because != found[0].Key() || found[0].Rule != RuntimeVersionDisagreement.ID {
		t.Errorf("want image-floating because of runtime-version-disagreement, got\n%s", lines(found))
	}
	if f := only(t, shop(), ImageFloating); f.Because != "" {
		t.Errorf("because of %q, which was not looked for", f.Because)
	}
}

func TestChainOfCausesEndsAtTheFirst(t *testing.T) {
	found := []premortem.Finding{
		{Rule: "a", Node: "service/x", Because: "b service/x"},
		{Rule: "b", Node: "service/x", Because: "c service/x"},
		{Rule: "c", Node: "service/x", Because: "gone service/x"},
		{Rule: "d", Node: "service/x", Because: "e service/x"},
		{Rule: "e", Node: "service/x", Because: "d service/x"},
	}
	fold(found)
	if found[0].Because != "c service/x" || found[1].Because != "c service/x" || found[2].Because != "" {
		t.Errorf("causes %q, %q, %q; want c, c and none", found[0].Because, found[1].Because, found[2].Because)
	}
}

func TestAwaitIsPutAroundACallThatIsUsedAtOnce(t *testing.T) {
	f := only(t, shop(), MissingAwait)
	if len(f.Fix.Edits) != 1 || f.Fix.Edits[0].New != "(await User.findByPk(id))" {
		t.Errorf("edits %+v, want the call wrapped", f.Fix.Edits)
	}
}

func TestSuppressionsSilenceAndAreReportedWhenStale(t *testing.T) {
	sys := shop()
	sys.Suppressions = []premortem.Suppression{
		{Rule: "env-missing", Reason: "set by hand", Pos: premortem.Pos{File: "api/mail.js", Line: 1}, Inline: true},
		{Rule: "single-replica", Node: "service/web", Reason: "internal", Until: "2026-11-23", Pos: premortem.Pos{File: "premortem.yaml", Line: 9}},
		{Rule: "n-plus-one", Reason: "known", Pos: premortem.Pos{File: "premortem.yaml", Line: 10}},
		{Rule: "imagefloating", Reason: "typo", Pos: premortem.Pos{File: "premortem.yaml", Line: 11}},
		{Rule: "pool-exhausted", Reason: "a sign of a rehearsal", Pos: premortem.Pos{File: "premortem.yaml", Line: 12}},
	}
	found := Suppress(sys, Run(sys, Rules()), today)
	stale := []string{}
	for _, f := range found {
		if f.Rule == SuppressionStale.ID {
			stale = append(stale, f.Says)
		}
		mail := f.Rule == "env-missing" && strings.HasSuffix(f.Subject, "MAIL_FROM")
		if mail != (f.Suppressed != "") {
			t.Errorf("%s is suppressed by %q", f.Key(), f.Suppressed)
		}
	}
	if len(stale) != 3 || !strings.Contains(strings.Join(stale, "\n"), "ended on 2026-11-23") || !strings.Contains(strings.Join(stale, "\n"), "nearest is image-floating") {
		t.Errorf("stale: %q; want the expired one, the unused one and the misspelt one", stale)
	}
	for _, f := range Suppress(sys, nil, today, EnvMissing) {
		if strings.Contains(f.Says, "n-plus-one") {
			t.Errorf("a rule that did not run is called stale: %s", f.Says)
		}
	}
}
