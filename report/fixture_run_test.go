package report

import (
	"math"
	"time"

	"github.com/premortem/premortem"
)

// step makes a point of the shop's routes; login carries the given numbers.
func step(x string, multiple, rate, p50, p95, errors float64, fixed bool) premortem.Point {
	answer := premortem.Holds
	if p95 > 0.3 || errors > 0.001 {
		answer = premortem.Fails
	}
	name := x + "-x" + number(multiple)
	if fixed {
		name += "-fixed"
	}
	grow := math.Pow(multiple, 0.3)
	return premortem.Point{Multiple: multiple, Answer: answer, Trial: name, Fixed: fixed, Routes: []premortem.PointRoute{
		{Route: "GET /api/account", Rate: rate * 0.2, P50: 0.0031 * grow, P95: 0.0092 * grow, Limit: 0.2},
		{Route: "GET /api/orders", Rate: rate * 0.3, P50: 0.031 * grow, P95: 0.074 * grow * grow, Limit: 0.5},
		{Route: "GET /api/products", Rate: rate * 0.4, P50: 0.0064 * grow, P95: 0.0147 * grow},
		{Route: "POST /api/login", Rate: rate * 0.1, P50: p50, P95: p95, Errors: errors, Limit: 0.3},
	}}
}

func shopHeadroom() []premortem.Headroom {
	return []premortem.Headroom{
		{
			X: "calls", Unit: "requests/s", Base: 50, Holds: 1.5, Breaks: 1.7, Estimate: 1.6, Low: 1.5, High: 1.7,
			Answer: premortem.Fails, First: "service/api POST /api/login", Finding: keyScan, Says: "POST /api/login misses its objective at 1.6× the calls",
			Points: []premortem.Point{
				step("calls", 1, 50, 0.081, 0.182, 0, false), step("calls", 1.5, 75, 0.131, 0.277, 0, false),
				step("calls", 1.7, 82, 0.94, 2.1, 0, false), step("calls", 2, 84, 2.4, 6.3, 0.121, false),
				step("calls", 1, 50, 0.0051, 0.0094, 0, true), step("calls", 2, 100, 0.0054, 0.012, 0, true),
				step("calls", 4, 200, 0.0061, 0.019, 0, true), step("calls", 8, 398, 0.011, 0.088, 0, true),
				step("calls", 10, 441, 0.41, 1.3, 0.002, true),
			},
		},
		{
			X: "rows", Unit: "rows", Base: 500000, Holds: 1.1, Breaks: 1.3, Estimate: 1.2, Low: 1.1, High: 1.3,
			Answer: premortem.Fails, First: "service/api POST /api/login", Finding: keyScan, Says: "POST /api/login misses its objective at 1.2× the rows",
			Points: []premortem.Point{
				step("rows", 1, 50, 0.081, 0.182, 0, false), step("rows", 1.1, 50, 0.09, 0.24, 0, false),
				step("rows", 1.3, 50, 0.12, 0.38, 0, false), step("rows", 1.5, 50, 0.19, 0.81, 0, false), step("rows", 2, 49, 0.9, 3.2, 0.01, false),
				step("rows", 1, 50, 0.0051, 0.0094, 0, true), step("rows", 2, 50, 0.0052, 0.0097, 0, true), step("rows", 4, 50, 0.0052, 0.0101, 0, true),
			},
		},
		{
			X: "users", Unit: "people", Base: 100, Holds: 4, Answer: premortem.Holds, Says: "every objective holds up to 4× the users",
			Points: []premortem.Point{
				step("users", 1, 50, 0.081, 0.182, 0, false), step("users", 2, 58, 0.084, 0.19, 0, false), step("users", 4, 71, 0.097, 0.241, 0, false),
			},
		},
	}
}

func shopVerdicts() []premortem.Verdict {
	ask := func(name, x string, by float64, asks string) premortem.Experiment {
		return premortem.Experiment{Name: name, Asks: asks, X: x, Scale: premortem.ScaleOf(x, by), Hold: 4 * time.Second}
	}
	return []premortem.Verdict{
		{Experiment: ask("normal", "calls", 1, "does every objective hold at normal load?"), Answer: premortem.Holds, Says: "every objective holds at 50 requests/s"},
		{Experiment: ask("calls-x2", "calls", 2, "does every objective hold at twice the calls?"), Answer: premortem.Fails,
			Says: "POST /api/login misses its objective: p95 6.3 s against 300 ms", First: "service/api POST /api/login", Findings: []string{keyScan},
			Broken: []premortem.Broken{
				{Route: "POST /api/login", What: "p95", Limit: 0.3, Before: 0.182, Was: 6.3, Pos: pos("premortem.yaml", 7)},
				{Route: "POST /api/login", What: "errors", Limit: 0.001, Before: 0.0004, Was: 0.121, Pos: pos("premortem.yaml", 7)},
			}},
		{Experiment: ask("rows-x2", "rows", 2, "does every objective hold with twice the rows?"), Answer: premortem.Fails,
			Says: "POST /api/login misses its objective: p95 3.2 s against 300 ms", First: "service/api POST /api/login", Findings: []string{keyScan},
			Doubts: []string{"the machine was 91 % busy: some of the wait may be the machine's"}},
		{Experiment: ask("users-x4", "users", 4, "does every objective hold with four times the users?"), Answer: premortem.Holds,
			Says: "every objective holds with 400 people", Doubts: []string{"2.1 % of arrivals left late, by premortem's own fault"}},
		{Experiment: premortem.Experiment{Name: "stripe-slow", Asks: "does checkout answer when Stripe takes 10 s?", Fault: "latency 10s", Aim: premortem.Aim{From: "service/api", To: "thirdparty/stripe"}},
			Answer: premortem.Unknown, Says: "no journey calls Stripe; add one to premortem.yaml"},
	}
}

func shopParity() []premortem.Parity {
	row := func(node premortem.Node, what, production, clone, standing, file string, line int, why string) premortem.Parity {
		return premortem.Parity{Node: node, What: what, Production: production, Clone: clone, Standing: standing, Pos: pos(file, line), Why: why}
	}
	rows := []premortem.Parity{
		row("service/api", "replicas", "4", "1", "scaled", "k8s/overlays/prod/replicas.yaml", 7, "one process; pools are multiplied by arithmetic"),
		row("service/api", "CPU limit", "0.5 cores", "0.5 cores", "equal", "k8s/base/api.yaml", 31, ""),
		row("service/api", "memory limit", "512 MB", "512 MB", "equal", "k8s/base/api.yaml", 32, ""),
		row("service/api", "runtime", "node latest", "node 20.18.1", "not modelled", "api/Dockerfile", 1, "the tag floats; the installed version was used"),
		row("service/api", "command", "node src/server.js", "node src/server.js", "equal", "api/Dockerfile", 14, ""),
		row("service/web", "server", "nginx 1.27", "static files", "not modelled", "web/Dockerfile", 9, "files only; nothing of it can saturate"),
		row("store/postgres", "engine version", "15.4", "15.18", "equal", "terraform/rds.tf", 6, "same major version"),
		row("store/postgres", "instance", "db.t4g.micro", "this machine", "not modelled", "terraform/rds.tf", 9, "CPU credits are not modelled"),
		row("store/postgres", "rows of users", "500,000", "500,000", "equal", "premortem.yaml", 4, ""),
		row("store/postgres", "rows of orders", "2,000,000", "2,000,000", "equal", "premortem.yaml", 4, ""),
		row("store/postgres", "rows of events", "90,000,000", "9,000,000", "scaled", "premortem.yaml", 4, "the disk has 40 GB left"),
		row("store/redis", "engine version", "7.1", "7.2.5", "equal", "terraform/redis.tf", 5, "same major version"),
		row("balancer", "idle timeout", "60 s", "60 s", "equal", "terraform/alb.tf", 12, ""),
		row("thirdparty/stripe", "address", "api.stripe.com", "stand-in", "not modelled", "api/src/billing.js", 3, "no request leaves the machine"),
		row("thirdparty/sendgrid", "address", "api.sendgrid.com", "stand-in", "not modelled", "api/src/mail.js", 2, "no request leaves the machine"),
	}
	for _, name := range []string{"max_connections=45", "shared_buffers=128MB", "work_mem=4MB", "random_page_cost=4", "effective_cache_size=384MB", "jit=on",
		"statement_timeout=0", "idle_in_transaction_session_timeout=0", "default_statistics_target=100", "autovacuum=on", "max_parallel_workers_per_gather=2",
		"max_wal_size=1GB", "checkpoint_timeout=300", "synchronous_commit=on", "lock_timeout=0", "track_io_timing=on"} {
		what, value, _ := cut(name)
		rows = append(rows, row("store/postgres", what, value, value, "equal", "terraform/rds.tf", 28, ""))
	}
	return rows
}
