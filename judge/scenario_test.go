package judge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/premortem/premortem"
)

// The statements of the shop as the wire's fingerprints write them.
const (
	loginSQL    = `SELECT "id", "email", "password_hash" FROM "users" AS "User" WHERE lower("email") = ? LIMIT ?`
	accountSQL  = `SELECT "id", "email", "name" FROM "users" AS "User" WHERE "User"."id" = ?`
	productsSQL = `SELECT "id", "name", "price_cents" FROM "products" AS "Product" ORDER BY "id" LIMIT ? OFFSET ?`
	ordersSQL   = `SELECT "id", "product_id" FROM "orders" AS "Order" WHERE "Order"."user_id" = ? ORDER BY "id" DESC LIMIT ?`
	productSQL  = `SELECT "id", "name" FROM "products" AS "Product" WHERE "Product"."id" = ?`
	stockSQL    = `UPDATE "products" SET "stock" = "stock" - ? WHERE "id" = ?`
	exportSQL   = `SELECT "id", "email", "name" FROM "users" AS "User"`
)

const (
	api = premortem.Node("service/api")
	db  = premortem.Node("store/postgres")
)

// world builds trials of a small shop: a seed, a size and what each route costs.
type world struct {
	rng   *rand.Rand
	trial *premortem.Trial
}

// shop is a healthy trial: four routes, 50 requests/s for 20 s, everything fast.
func shop(x string, by float64) *world {
	w := &world{rng: rand.New(rand.NewPCG(7, 11)), trial: &premortem.Trial{}}
	t := w.trial
	t.Experiment = premortem.Experiment{Name: x + "-x" + plain(by), Asks: "does every objective hold?", X: x, Scale: premortem.ScaleOf(x, by), Hold: 20 * time.Second}
	t.Seed, t.Cores, t.MaxConnections = 1, 2, 97
	t.Base = premortem.Scale{Users: 100, Rows: 500_000, Calls: 50}
	for i, route := range []string{"POST /api/login", "GET /api/products", "GET /api/orders", "GET /api/account"} {
		limit := 0.5
		if i == 0 {
			limit = 0.3
		}
		t.Objectives = append(t.Objectives, premortem.Objective{Route: route,
			P95: premortem.At(limit, "premortem.yaml", 18+i), Errors: premortem.At(0.01, "premortem.yaml", 18+i), Pos: premortem.Pos{File: "premortem.yaml", Line: 18 + i}})
	}
	t.Tables = []premortem.TableSize{{Table: "users", Rows: 500_000, Bytes: 90 << 20}, {Table: "orders", Rows: 2_000_000, Bytes: 300 << 20}, {Table: "products", Rows: 2000, Bytes: 1 << 20}}
	t.Pools = []premortem.Pool{{From: api, To: db, Max: 5, Replicas: 2, Env: "DB_POOL_MAX",
		Site: premortem.Evidence{Says: "5 connections per process", Pos: premortem.Pos{File: "api/src/db.js", Line: 8}, Quote: "max: Number(process.env.DB_POOL_MAX ?? 5)"}}}
	rate := 50.0
	if x == "calls" {
		rate *= by
	}
	t.Phases = []premortem.Phase{w.phase("before", 50), w.phase("during", rate)}
	w.trace("POST /api/login", 0.012, call(loginSQL, 1, 0.001, 1))
	w.trace("GET /api/products", 0.006, call(productsSQL, 1, 0.002, 20))
	w.trace("GET /api/orders", 0.008, call(ordersSQL, 1, 0.002, 20))
	w.trace("GET /api/account", 0.005, call(accountSQL, 1, 0.001, 1))
	return w
}

// phase is 20 s of healthy load.
func (w *world) phase(name string, rate float64) premortem.Phase {
	n := uint64(rate * 20)
	p := premortem.Phase{Name: name, Took: 20,
		Load:     premortem.LoadStats{Planned: rate, Offered: n, Sent: n, Done: n, LagP99: 0.0003, OwnCPU: 0.08},
		Database: premortem.DatabaseStats{Watched: true, Samples: 200, ActiveMean: 0.4, ActiveMax: 3, ConnsMax: 4},
		Machine:  premortem.MachineStats{Watched: true, CPU: 0.5, Memory: 2 << 30},
	}
	for _, route := range []string{"POST /api/login", "GET /api/products", "GET /api/orders", "GET /api/account"} {
		p.Routes = append(p.Routes, w.route(route, n/4, 0.010, 0.4))
	}
	for _, op := range []string{loginSQL, productsSQL, ordersSQL, accountSQL} {
		p.Calls = append(p.Calls, w.calls(op, n/4, 0.0015, 0.4, 1))
	}
	for i := range 2 {
		p.Units = append(p.Units, premortem.UnitStats{Node: api, Replica: i, CPU: 0.12, Memory: 120 << 20, LagP99: 0.004, Conns: 2, Threads: 11, Files: 40})
	}
	p.Units = append(p.Units, premortem.UnitStats{Node: db, CPU: 0.1, Memory: 300 << 20, LagP99: -1, Threads: 12})
	return p
}

func (w *world) hist(n uint64, middle, sigma float64) premortem.Histogram {
	var h premortem.Histogram
	for range n {
		h.Record(time.Duration(middle * math.Exp(sigma*w.rng.NormFloat64()) * float64(time.Second)))
	}
	return h
}

func (w *world) route(name string, n uint64, middle, sigma float64) premortem.RouteStats {
	h := w.hist(n, middle, sigma)
	return premortem.RouteStats{Route: name, Count: n, Response: h, Service: h,
		P50: h.Quantile(.5).Seconds(), P95: h.Quantile(.95).Seconds(), P99: h.Quantile(.99).Seconds(), Max: h.Max().Seconds()}
}

func (w *world) calls(op string, n uint64, middle, sigma float64, rows uint64) premortem.CallStats {
	return premortem.CallStats{From: api, To: db, Proto: "postgres", Op: op, Count: n, Rows: n * rows, Bytes: n * rows * 120, Time: w.hist(n, middle, sigma)}
}

func call(op string, n int, seconds float64, rows int, sites ...premortem.Evidence) premortem.TraceCall {
	return premortem.TraceCall{To: db, Proto: "postgres", Op: op, Count: n, Seconds: seconds, Rows: rows, Sites: sites}
}

func (w *world) trace(route string, took float64, calls ...premortem.TraceCall) {
	w.trial.Traces = append(w.trial.Traces, premortem.Trace{Route: route, Took: took, Status: 200, Calls: calls})
}

// untrace forgets the traces of a route.
func (w *world) untrace(route string) {
	var kept []premortem.Trace
	for _, t := range w.trial.Traces {
		if t.Route != route {
			kept = append(kept, t)
		}
	}
	w.trial.Traces = kept
}

func (w *world) during() *premortem.Phase { return w.trial.Phase("during") }
func (w *world) before() *premortem.Phase { return w.trial.Phase("before") }

// slow makes a route take so long under load.
func (w *world) slow(route string, middle, sigma float64) *premortem.RouteStats {
	r := w.during().Route(route)
	*r = w.route(route, r.Count, middle, sigma)
	return r
}

// replace sets how an operation did in a phase, adding it where it is new.
func (w *world) replace(p *premortem.Phase, c premortem.CallStats) {
	for i := range p.Calls {
		if p.Calls[i].Op == c.Op && p.Calls[i].To == c.To {
			p.Calls[i] = c
			return
		}
	}
	p.Calls = append(p.Calls, c)
}

func (w *world) unit(p *premortem.Phase, n premortem.Node, set func(u *premortem.UnitStats)) {
	for i := range p.Units {
		if p.Units[i].Node == n {
			set(&p.Units[i])
		}
	}
}

func (w *world) machine(cpu float64) { w.during().Machine.CPU = cpu }

// plan adds the plan of the login look-up over rows users.
func (w *world) plan(scan premortem.Scan, advice *premortem.Advice) {
	w.trial.Plans = append(w.trial.Plans, premortem.Plan{Op: loginSQL, Scans: []premortem.Scan{scan}, Total: 9000, Seconds: 0.041, Text: "Seq Scan on users", Advice: advice,
		Sites:     []premortem.Evidence{{Says: "where: sequelize.where(fn('lower', col('email')), …)", Pos: premortem.Pos{File: "api/src/auth.js", Line: 18}, Quote: "where: sequelize.where(fn('lower', col('email')), email.toLowerCase()),"}},
		Elsewhere: []premortem.Evidence{{Says: "users has no index on lower(email)", Pos: premortem.Pos{File: "migrations/001_users.sql", Line: 1}, Quote: "CREATE TABLE users ("}}})
}

func emailScan(rows float64) premortem.Scan {
	return premortem.Scan{Node: "Seq Scan", Table: "users", Filter: "(lower(email) = ?)", Rows: 1, Removed: rows - 1, Loops: 1, TableRows: rows}
}

var emailAdvice = &premortem.Advice{SQL: "CREATE INDEX users_lower_email ON users (lower(email))", CostBefore: 12345, CostAfter: 8.4}

// slowLogin is the story: 500,000 users, an e-mail look-up without an index, twice
// the calls. The scans fill both cores and the pool, and every route waits.
func slowLogin() *world {
	w := shop("calls", 2)
	w.untrace("POST /api/login")
	w.trace("POST /api/login", 0.044, call(loginSQL, 1, 0.041, 1))
	w.plan(emailScan(500_000), emailAdvice)
	w.replace(w.before(), w.calls(loginSQL, 250, 0.055, 0.3, 1))
	*w.before().Route("POST /api/login") = w.route("POST /api/login", 250, 0.060, 0.3)
	w.replace(w.during(), w.calls(loginSQL, 500, 0.350, 0.5, 1))
	w.slow("POST /api/login", 1.1, 0.4)
	w.slow("GET /api/products", 0.30, 0.2)
	w.slow("GET /api/orders", 0.30, 0.2)
	w.slow("GET /api/account", 0.30, 0.2)
	w.unit(w.during(), db, func(u *premortem.UnitStats) { u.CPU = 1.7 })
	w.unit(w.during(), api, func(u *premortem.UnitStats) { u.Conns = 5 })
	w.machine(1.95)
	w.during().Database.ActiveMean, w.during().Database.ActiveMax, w.during().Database.ConnsMax = 8.7, 10, 11
	return w
}

func restarted(normal int) *premortem.Trial {
	w := shop("users", 4)
	w.unit(w.during(), api, func(u *premortem.UnitStats) { u.Restarted = 1 })
	w.unit(w.before(), api, func(u *premortem.UnitStats) { u.Restarted = normal })
	r := w.during().Route("POST /api/login")
	r.Errors, r.Kinds = 40, map[string]uint64{"reset": 40}
	w.trial.Experiment.Hold = 20 * time.Second
	for i := range 2 {
		w.trial.Doubts = append(w.trial.Doubts, fmt.Sprintf("service/api (replica %d) ended with exit status 1 under this load and was started again only after it", i))
	}
	return w.trial
}
