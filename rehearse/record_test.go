package rehearse

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/postgres"
)

var update = flag.Bool("update", false, "record the trials of signs of the database anew, from a real PostgreSQL")

// call runs one statement for a client and keeps its time; rest waits as if somebody
// else were asked.
type caller struct {
	c    *pgx.Conn
	rng  *rand.Rand
	tape *tape
	now  []premortem.TraceCall
}

// tape is what one phase recorded.
type tape struct {
	mu     sync.Mutex
	calls  map[string]*premortem.CallStats
	route  premortem.RouteStats
	failed []error
}

var placeholder = regexp.MustCompile(`\$\d+`)

func (k *caller) call(ctx context.Context, sql string, args ...any) error {
	began := time.Now()
	rows, err := k.c.Query(ctx, sql, args...)
	n := 0
	if err == nil {
		for rows.Next() {
			n++
		}
		rows.Close()
		err = rows.Err()
	}
	took := time.Since(began)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	op := placeholder.ReplaceAllString(sql, "?")
	k.now = append(k.now, premortem.TraceCall{To: "store/postgres", Proto: "postgres", Op: op, Count: 1, Seconds: took.Seconds(), Rows: n})
	k.tape.mu.Lock()
	defer k.tape.mu.Unlock()
	s := k.tape.calls[op]
	if s == nil {
		s = &premortem.CallStats{From: "service/api", To: "store/postgres", Proto: "postgres", Op: op}
		k.tape.calls[op] = s
	}
	s.Count++
	s.Rows += uint64(n)
	s.Time.Record(took)
	return err
}

func (k *caller) rest(ctx context.Context, d time.Duration) error { return pause(ctx, d) }

// scene is a small system with one route, and what is wrong with it.
type scene struct {
	sign, name string
	schema     string
	limit      float64 // p95 objective in seconds
	clients    int
	do         func(ctx context.Context, k *caller) error
	plan       string // statement to explain, "" none
	args       func(k *rand.Rand) []any
}

const posts = `CREATE TABLE posts (id int PRIMARY KEY, title text NOT NULL); INSERT INTO posts SELECT g, md5(g::text) || md5((g * 7)::text) FROM generate_series(1, 100000) g; ANALYZE`
const users = `CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL); INSERT INTO users SELECT g, 'User' || g || '@shop.example' FROM generate_series(1, 60000) g; CREATE INDEX users_email ON users (email); ANALYZE`
const tenants = `CREATE TABLE jobs (id int PRIMARY KEY, tenant int NOT NULL, at timestamptz NOT NULL DEFAULT now());
INSERT INTO jobs SELECT g, CASE WHEN g % 5 > 0 THEN 1 ELSE 2 + g % 997 END FROM generate_series(1, 200000) g; CREATE INDEX jobs_tenant ON jobs (tenant); ANALYZE`
const stock = `CREATE TABLE stock (id int PRIMARY KEY, n int NOT NULL); INSERT INTO stock SELECT g, 0 FROM generate_series(1, 1000) g; ANALYZE`
const places = `CREATE TABLE places (id int PRIMARY KEY, city int, zip int, region int); INSERT INTO places SELECT g, g % 50, g % 50, g % 50 FROM generate_series(1, 200000) g; CREATE INDEX ON places (city, zip); ANALYZE`
const parents = `CREATE TABLE customers (id int PRIMARY KEY); INSERT INTO customers SELECT generate_series(1, 20000);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customers (id)); INSERT INTO orders SELECT g, g % 100 + 1 FROM generate_series(1, 100000) g;`

// one is a scene of a single statement.
func one(s scene, sql string, args func(*rand.Rand) []any) scene {
	s.plan, s.args = sql, args
	s.do = func(ctx context.Context, k *caller) error { return k.call(ctx, sql, args(k.rng)...) }
	return s
}

func fixed(v ...any) func(*rand.Rand) []any { return func(*rand.Rand) []any { return v } }

func below(n int) func(*rand.Rand) []any {
	return func(r *rand.Rand) []any { return []any{r.IntN(n) + 1} }
}

// change takes a row, does more work in the transaction, and commits.
func change(rows int, idle time.Duration) func(context.Context, *caller) error {
	return func(ctx context.Context, k *caller) error {
		id := k.rng.IntN(rows) + 1
		if err := k.call(ctx, "BEGIN"); err != nil {
			return err
		}
		if err := k.call(ctx, "UPDATE stock SET n = n + 1 WHERE id = $1", id); err != nil {
			return err
		}
		if idle > 0 {
			if err := k.rest(ctx, idle); err != nil {
				return err
			}
		} else if err := k.call(ctx, "SELECT sum(n), pg_sleep(0.002) FROM stock"); err != nil {
			return err
		}
		return k.call(ctx, "COMMIT")
	}
}

func scenes() []scene {
	gone := 20000
	var mu sync.Mutex
	childless := func(*rand.Rand) []any { // each parent goes once
		mu.Lock()
		defer mu.Unlock()
		gone--
		return []any{gone}
	}
	page := "SELECT id, title FROM posts ORDER BY id LIMIT 20 OFFSET $1"
	deep := func(r *rand.Rand) []any { return []any{60000 + r.IntN(30000)} }
	mail := func(r *rand.Rand) []any { return []any{fmt.Sprintf("user%d@shop.example", r.IntN(60000))} }
	sorted := "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY title COLLATE \"C\") n FROM posts WHERE id <= $1) ranked"
	return []scene{
		one(scene{sign: "deep-offset", name: "recorded-last-pages", schema: posts, limit: 0.004, clients: 3}, page, deep),
		one(scene{sign: "deep-offset", name: "near-miss-recorded-first-pages", schema: posts, limit: 0.1, clients: 3}, page, below(200)),
		one(scene{sign: "sort-spill", name: "recorded-ranking", schema: posts, limit: 0.01, clients: 3}, sorted, fixed(60000)),
		one(scene{sign: "sort-spill", name: "near-miss-recorded-fits-into-memory", schema: posts, limit: 0.1, clients: 3}, sorted, fixed(2000)),
		one(scene{sign: "generic-plan-trap", name: "recorded-large-tenant", schema: tenants, limit: 0.5, clients: 2}, "SELECT max(at) FROM jobs WHERE tenant = $1", fixed(1)),
		one(scene{sign: "generic-plan-trap", name: "near-miss-recorded-small-tenants", schema: tenants, limit: 0.5, clients: 2}, "SELECT max(at) FROM jobs WHERE tenant = $1",
			func(r *rand.Rand) []any { return []any{r.IntN(900) + 2} }),
		one(scene{sign: "estimate-off", name: "recorded-columns-that-agree", schema: places, limit: 0.5, clients: 2}, "SELECT max(id) FROM places WHERE city = $1 AND zip = $2 AND region = $3", fixed(7, 7, 7)),
		one(scene{sign: "estimate-off", name: "near-miss-recorded-with-statistics", schema: places + "; CREATE STATISTICS s ON city, zip, region FROM places; ANALYZE places", limit: 0.5, clients: 2},
			"SELECT max(id) FROM places WHERE city = $1 AND zip = $2 AND region = $3", fixed(7, 7, 7)),
		one(scene{sign: "predicate-hides-index", name: "recorded-lower-email", schema: users, limit: 0.01, clients: 3}, "SELECT id FROM users WHERE lower(email) = $1", mail),
		one(scene{sign: "predicate-hides-index", name: "near-miss-recorded-plain-email", schema: users, limit: 0.1, clients: 3}, "SELECT id FROM users WHERE email = $1", mail),
		one(scene{sign: "predicate-hides-index", name: "near-miss-recorded-expression-index", schema: users + "; CREATE INDEX ON users (lower(email)); ANALYZE", limit: 0.1, clients: 3}, "SELECT id FROM users WHERE lower(email) = $1", mail),
		one(scene{sign: "foreign-key-scan", name: "recorded-delete-customers", schema: parents + "ANALYZE", limit: 0.005, clients: 2}, "DELETE FROM customers WHERE id = $1", childless),
		one(scene{sign: "foreign-key-scan", name: "near-miss-recorded-indexed-children", schema: parents + "CREATE INDEX ON orders (customer_id); ANALYZE", limit: 0.1, clients: 2}, "DELETE FROM customers WHERE id = $1", childless),
		{sign: "hot-row", name: "recorded-one-stock-row", schema: stock, limit: 0.02, clients: 8, do: change(1, 0)},
		{sign: "hot-row", name: "near-miss-recorded-a-thousand-rows", schema: stock, limit: 0.5, clients: 8, do: change(1000, 0)},
		{sign: "idle-in-transaction", name: "recorded-call-inside-a-transaction", schema: stock, limit: 0.3, clients: 8, do: change(3, 150*time.Millisecond)},
		{sign: "idle-in-transaction", name: "near-miss-recorded-nobody-waits", schema: stock, limit: 0.5, clients: 2, do: func(ctx context.Context, k *caller) error {
			if err := k.call(ctx, "BEGIN"); err != nil {
				return err
			}
			if err := k.call(ctx, "SELECT n FROM stock WHERE id = $1", k.rng.IntN(1000)+1); err != nil {
				return err
			}
			if err := k.rest(ctx, 150*time.Millisecond); err != nil {
				return err
			}
			return k.call(ctx, "COMMIT")
		}},
	}
}

// TestTheSignsOfTheDatabaseAreRecorded plays each scene on a real PostgreSQL and writes
// what was measured to the sign's trials, with -update; without, it plays the first.
func TestTheSignsOfTheDatabaseAreRecorded(t *testing.T) {
	if testing.Short() && !*update {
		t.Skip("left to the run without -short")
	}
	bin, err := postgres.Find(t.Context(), postgres.FindOptions{Major: 15})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := postgres.Start(t.Context(), bin, postgres.Options{Settings: map[string]string{"shared_preload_libraries": "pg_stat_statements"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}()
	all := scenes()
	if !*update {
		all = all[:1]
	}
	for i, s := range all {
		t.Run(s.sign+" "+s.name, func(t *testing.T) {
			db := fmt.Sprintf("scene%d", i)
			if err := srv.CreateDatabase(t.Context(), db, ""); err != nil {
				t.Fatal(err)
			}
			if err := srv.Migrate(t.Context(), db, []postgres.Migration{{Name: "scene.sql", SQL: s.schema}}); err != nil {
				t.Fatal(err)
			}
			trial := play(t, srv, db, s)
			if during := trial.Phase("during"); during.Load.Done < 20 || s.plan != "" && len(trial.Plans) == 0 {
				t.Fatalf("recorded too little: %+v", during.Load)
			}
			if !*update {
				return
			}
			data, err := json.Marshal(trial)
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join("..", "judge", "testdata", s.sign)
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, s.name+".json"), append(data, '\n'), 0o666); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// play records one trial of a scene: one client before, all of them during.
func play(t *testing.T, srv *postgres.Server, db string, s scene) *premortem.Trial {
	t.Helper()
	const route = "POST /api/do"
	trial := &premortem.Trial{Experiment: premortem.Experiment{Name: "calls-x" + fmt.Sprint(s.clients), X: "calls", Scale: premortem.ScaleOf("calls", float64(s.clients)), Hold: 4 * time.Second}, Seed: 1, Cores: runtime.NumCPU(), MaxConnections: 97,
		Objectives: []premortem.Objective{{Route: route, P95: premortem.At(s.limit, "premortem.yaml", 9), Pos: premortem.Pos{File: "premortem.yaml", Line: 9}}},
		Traces:     traces(t, srv, db, s, route)}
	for _, p := range []struct {
		name    string
		clients int
	}{{"before", 1}, {"during", s.clients}} {
		trial.Phases = append(trial.Phases, record(t, srv, db, s, route, p.name, p.clients))
	}
	var err error
	if trial.Tables, err = srv.Sizes(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if s.plan != "" {
		args := s.args(rand.New(rand.NewPCG(5, 5)))
		explain := func(ctx context.Context, dsn, sql string, args []any) (premortem.Plan, error) {
			return postgres.Explain(ctx, dsn, sql, args, true)
		}
		if strings.HasPrefix(s.plan, "DELETE") {
			explain = postgres.ExplainWrite
		}
		p, err := explain(t.Context(), srv.SocketDSN(db), s.plan, args)
		if err != nil {
			t.Fatal(err)
		}
		p.Op = placeholder.ReplaceAllString(s.plan, "?")
		p.Sites = []premortem.Evidence{{Says: "the query is made here", Pos: premortem.Pos{File: "api/src/do.js", Line: 12}}}
		trial.Plans = append(trial.Plans, p)
	}
	return trial
}

// traces are two requests with nothing else running.
func traces(t *testing.T, srv *postgres.Server, db string, s scene, route string) []premortem.Trace {
	t.Helper()
	c, err := pgx.Connect(t.Context(), srv.DSN(db))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	var out []premortem.Trace
	for i := range 3 {
		k := &caller{c: c, rng: rand.New(rand.NewPCG(9, uint64(i))), tape: &tape{calls: map[string]*premortem.CallStats{}}}
		began := time.Now()
		if err := s.do(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		if i > 0 { // the first prepares
			out = append(out, premortem.Trace{Route: route, Took: time.Since(began).Seconds(), Status: 200, Calls: k.now})
		}
	}
	return out
}

func record(t *testing.T, srv *postgres.Server, db string, s scene, route, name string, clients int) premortem.Phase {
	t.Helper()
	watch, err := postgres.Watch(t.Context(), srv.SocketDSN(db), 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	tp := &tape{calls: map[string]*premortem.CallStats{}, route: premortem.RouteStats{Route: route}}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	began := time.Now()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			c, err := pgx.Connect(t.Context(), srv.DSN(db))
			if err == nil {
				defer c.Close(context.Background())
			}
			k := &caller{c: c, rng: rand.New(rand.NewPCG(1, uint64(i))), tape: tp}
			for err == nil && ctx.Err() == nil {
				due := time.Now()
				if err = s.do(ctx, k); err == nil {
					tp.mu.Lock()
					tp.route.Count++
					tp.route.Response.Record(time.Since(due))
					tp.mu.Unlock()
				}
			}
			if ctx.Err() == nil {
				tp.mu.Lock()
				tp.failed = append(tp.failed, err)
				tp.mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(tp.failed) > 0 {
		t.Fatal(errors.Join(tp.failed...))
	}
	took := time.Since(began).Seconds()
	r := tp.route
	r.Service, r.P50, r.P95, r.P99, r.Max = r.Response, r.Response.Quantile(.5).Seconds(), r.Response.Quantile(.95).Seconds(), r.Response.Quantile(.99).Seconds(), r.Response.Max().Seconds()
	p := premortem.Phase{Name: name, Took: took, Load: premortem.LoadStats{Offered: r.Count, Sent: r.Count, Done: r.Count}, Routes: []premortem.RouteStats{r},
		Units: []premortem.UnitStats{{Node: "service/api", Conns: clients, LagP99: -1}}}
	for _, op := range slices.Sorted(func(yield func(string) bool) {
		for op := range tp.calls {
			if !yield(op) {
				return
			}
		}
	}) {
		p.Calls = append(p.Calls, *tp.calls[op])
	}
	if p.Database, err = watch.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}
