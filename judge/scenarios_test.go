package judge

import (
	"github.com/premortem/premortem"
)

// scenarios are synthetic trials by the sign they are about: those that must fire
// and those that look alike and must not. `go test -run TestSigns -update` writes
// them to testdata; the test itself reads the files, so that recorded trials can
// stand beside them.
var scenarios = map[string]map[string]func() *premortem.Trial{
	"table-scan": {
		"login-reads-500000-users":           func() *premortem.Trial { return slowLogin().trial },
		"scan-that-still-holds-but-grows":    scanThatGrows,
		"planned-only-and-no-advice":         scanPlannedOnly,
		"orders-wait-behind-the-scan":        ordersBehindTheScan,
		"row-stands-at-the-start":            rowAtTheStart,
		"near-miss-index-in-place":           indexInPlace,
		"near-miss-one-hundred-users":        smallTable,
		"near-miss-limit-stops-the-scan":     scanStopsEarly,
		"near-miss-rare-report":              rareScan,
		"near-miss-returns-most-of-the-rows": scanReturnsMost,
		"near-miss-planned-but-never-called": scanNotCalled,
	},
	"pool-exhausted": {
		"pool-of-five-in-front-of-an-idle-database": poolOfFive,
		"no-room-in-the-database":                   poolWithoutRoom,
		"connections-held-in-a-transaction":         heldInTransaction,
		"near-miss-full-pool-nobody-waits":          fullPoolNobodyWaits,
		"near-miss-database-at-its-limit":           poolBehindBusyDatabase,
		"near-miss-the-event-loop-waits":            loopNotPool,
	},
	"cpu-saturated": {
		"api-at-its-limit":                apiAtItsLimit,
		"near-miss-premortem-is-the-load": generatorIsTheLoad,
		"near-miss-half-busy":             func() *premortem.Trial { return shop("calls", 2).trial },
	},
	"errors-under-load": {
		"timeouts-on-orders":               timeoutsOnOrders,
		"near-miss-same-errors-as-normal":  sameErrorsAsNormal,
		"near-miss-four-errors-in-a-crowd": fourErrors,
	},
	"n-plus-one": {
		"orders-ask-for-each-product":       ordersNPlusOne,
		"near-miss-four-of-a-kind":          fourOfAKind,
		"near-miss-fixed-loop":              fixedLoop,
		"near-miss-transaction-control":     manySavepoints,
		"orders-break-on-repeated-products": ordersBreakOnProducts,
	},
	"event-loop-blocked": {
		"json-on-the-loop":              loopNotPool,
		"near-miss-machine-has-no-core": lagWithoutWork,
	},
	"connections-exhausted": {
		"sixty-refused":                   connectionsRefused,
		"near-miss-one-below-the-maximum": connectionsNearMaximum,
	},
	"lock-wait": {
		"one-stock-row":                  oneStockRow,
		"near-miss-waits-are-for-a-disk": diskWaits,
	},
	"memory-growth": {
		"keeps-what-it-took":        func() *premortem.Trial { return memory(600<<20, 590<<20) },
		"near-miss-gives-it-back":   func() *premortem.Trial { return memory(600<<20, 150<<20) },
		"near-miss-a-little-growth": func() *premortem.Trial { return memory(200<<20, 200<<20) },
	},
	"statement-unbounded": {
		"account-reads-every-user":            everyUser,
		"near-miss-limited-export":            limitedExport,
		"near-miss-answer-stays-as-rows-grow": answerStays,
	},
	"restarted-under-load": {
		"api-died-twice":                         func() *premortem.Trial { return restarted(0) },
		"near-miss-restarts-at-normal-load-also": func() *premortem.Trial { return restarted(2) },
	},
}

func scanThatGrows() *premortem.Trial {
	w := shop("rows", 4)
	w.untrace("POST /api/login")
	w.trace("POST /api/login", 0.044, call(loginSQL, 1, 0.041, 1))
	w.plan(emailScan(500_000), emailAdvice)
	w.replace(w.before(), w.calls(loginSQL, 250, 0.012, 0.2, 1))
	w.replace(w.during(), w.calls(loginSQL, 250, 0.048, 0.2, 1))
	w.slow("POST /api/login", 0.055, 0.2)
	return w.trial
}

// ordersBehindTheScan: login may take its time, but its scans fill the database and
// the list of orders, with its many small queries, breaks first.
func ordersBehindTheScan() *premortem.Trial {
	w := slowLogin()
	w.trial.Objectives[0].P95 = premortem.At(5.0, "premortem.yaml", 18)
	w.untrace("GET /api/orders")
	w.trace("GET /api/orders", 0.032, call(ordersSQL, 1, 0.002, 20), call(productSQL, 20, 0.022, 20, productSite))
	w.replace(w.during(), w.calls(productSQL, 500*20, 0.0002, 0.3, 1))
	w.slow("GET /api/orders", 1.4, 0.3)
	return w.trial
}

func scanPlannedOnly() *premortem.Trial {
	w := slowLogin()
	p := &w.trial.Plans[0]
	p.Seconds, p.Advice = -1, nil
	p.Scans[0].Rows, p.Scans[0].Removed = 2500, 497_500 // what the planner guesses for an expression
	p.Scans[0].Filter = "(lower((email)::text) = ?)"
	return w.trial
}

// indexInPlace is the story after the fix: nothing to blame, everything holds.
func indexInPlace() *premortem.Trial {
	w := shop("calls", 2)
	w.trial.Experiment.Tried = "CREATE INDEX users_lower_email ON users (lower(email))"
	w.plan(premortem.Scan{Node: "Index Scan", Table: "users", Rows: 1, Loops: 1, TableRows: 500_000}, nil)
	return w.trial
}

func smallTable() *premortem.Trial {
	w := slowLogin()
	w.trial.Tables[0].Rows = 100
	w.trial.Plans[0].Scans[0] = emailScan(100)
	w.trial.Plans[0].Advice = nil
	return w.trial
}

func scanStopsEarly() *premortem.Trial {
	w := slowLogin()
	w.trial.Plans[0].Scans[0] = premortem.Scan{Node: "Seq Scan", Table: "users", Filter: "(id > ?)", Rows: 20, Removed: 40, Loops: 1, TableRows: 500_000}
	return w.trial
}

// rareScan: orders breaks for a reason of its own; a nightly report scans users.
func rareScan() *premortem.Trial {
	w := shop("calls", 2)
	w.plan(emailScan(500_000), emailAdvice)
	w.trial.Plans[0].Op = `SELECT count(*) FROM users WHERE lower(email) = ?`
	c := w.calls(w.trial.Plans[0].Op, 2, 0.1, 0.1, 1)
	w.replace(w.during(), c)
	w.slow("GET /api/orders", 2, 0.3)
	return w.trial
}

func scanReturnsMost() *premortem.Trial {
	w := slowLogin()
	w.trial.Plans[0].Scans[0] = premortem.Scan{Node: "Seq Scan", Table: "users", Filter: "(created_at > ?)", Rows: 300_000, Removed: 200_000, Loops: 1, TableRows: 500_000}
	w.trial.Plans[0].Advice = nil
	return w.trial
}

func scanNotCalled() *premortem.Trial {
	w := shop("calls", 2)
	w.plan(emailScan(500_000), emailAdvice)
	w.trial.Plans[0].Op = `SELECT * FROM users WHERE lower(email) = ? FOR UPDATE`
	return w.trial
}

// poolOfFive: one process, five connections, a database that could do four times
// as much.
func poolOfFive() *premortem.Trial {
	w := shop("calls", 4)
	t := w.trial
	t.Pools[0].Replicas = 1
	for i := range t.Phases {
		t.Phases[i].Units = t.Phases[i].Units[1:]
	}
	w.untrace("GET /api/orders")
	w.trace("GET /api/orders", 0.024, call(ordersSQL, 1, 0.020, 20))
	w.replace(w.during(), w.calls(ordersSQL, 1000, 0.090, 0.1, 20))
	w.slow("GET /api/orders", 0.7, 0.3)
	w.slow("POST /api/login", 0.25, 0.3)
	w.unit(w.during(), api, func(u *premortem.UnitStats) { u.Conns = 5 })
	w.unit(w.during(), db, func(u *premortem.UnitStats) { u.CPU = 0.6 })
	w.machine(1.1)
	return t
}

func poolWithoutRoom() *premortem.Trial {
	t := poolOfFive()
	t.MaxConnections = 5
	return t
}

// heldInTransaction: the connections are not inside a call, a transaction around a
// slow payment holds them.
func heldInTransaction() *premortem.Trial {
	t := poolOfFive()
	d := t.Phase("during")
	w := &world{rng: shop("calls", 1).rng, trial: t}
	w.replace(d, w.calls(ordersSQL, 1000, 0.004, 0.1, 20))
	d.Database.IdleInTx = 5
	return t
}

func fullPoolNobodyWaits() *premortem.Trial {
	t := poolOfFive()
	w := &world{rng: shop("calls", 1).rng, trial: t}
	w.slow("GET /api/orders", 0.095, 0.1)
	w.slow("POST /api/login", 0.012, 0.1)
	return t
}

func poolBehindBusyDatabase() *premortem.Trial {
	t := poolOfFive()
	w := &world{trial: t}
	w.unit(w.during(), db, func(u *premortem.UnitStats) { u.CPU = 1.7 })
	return t
}

func apiAtItsLimit() *premortem.Trial {
	w := shop("calls", 8)
	for i := range w.trial.Phases {
		w.unit(&w.trial.Phases[i], api, func(u *premortem.UnitStats) { u.CPULimit = 0.25 })
	}
	w.unit(w.during(), api, func(u *premortem.UnitStats) { u.CPU = 0.249 })
	w.slow("GET /api/products", 1.5, 0.3)
	w.slow("POST /api/login", 1.5, 0.3)
	return w.trial
}

func generatorIsTheLoad() *premortem.Trial {
	w := shop("calls", 8)
	w.machine(1.98)
	w.during().Load.OwnCPU = 1.3
	w.slow("GET /api/products", 1.5, 0.3)
	return w.trial
}

func timeoutsOnOrders() *premortem.Trial {
	w := shop("calls", 2)
	r := w.during().Route("GET /api/orders")
	r.Errors, r.Kinds = 60, map[string]uint64{"timeout": 52, "500": 8}
	w.during().Load.Failed = 60
	w.during().Logs = []premortem.LogStats{
		{Node: api, Template: "request failed: <*> timed out after <*> ms", Level: "error", Count: 60, Example: "request failed: GET timed out after 5000 ms"},
		{Node: api, Template: "request done", Level: "info", Count: 2000},
	}
	return w.trial
}

func sameErrorsAsNormal() *premortem.Trial {
	t := timeoutsOnOrders()
	r := t.Phase("before").Route("GET /api/orders")
	r.Errors, r.Kinds = 30, map[string]uint64{"timeout": 30}
	return t
}

func fourErrors() *premortem.Trial {
	t := timeoutsOnOrders()
	r := t.Phase("during").Route("GET /api/orders")
	r.Errors, r.Kinds = 4, map[string]uint64{"timeout": 4}
	return t
}

var productSite = premortem.Evidence{Says: "runs for each order", Pos: premortem.Pos{File: "api/src/orders.js", Line: 22}, Quote: "const product = await Product.findByPk(order.productId);"}

func ordersNPlusOne() *premortem.Trial {
	w := shop("calls", 2)
	w.untrace("GET /api/orders")
	w.trace("GET /api/orders", 0.032, call(ordersSQL, 1, 0.002, 20), call(productSQL, 20, 0.022, 20, productSite))
	w.trace("GET /api/orders", 0.065, call(ordersSQL, 1, 0.002, 50), call(productSQL, 50, 0.055, 50, productSite))
	w.replace(w.before(), w.calls(productSQL, 250*35, 0.0011, 0.3, 1))
	w.replace(w.during(), w.calls(productSQL, 500*35, 0.0012, 0.3, 1))
	return w.trial
}

func ordersBreakOnProducts() *premortem.Trial {
	t := ordersNPlusOne()
	w := &world{rng: shop("calls", 1).rng, trial: t}
	w.replace(w.during(), w.calls(productSQL, 500*35, 0.020, 0.3, 1))
	w.slow("GET /api/orders", 0.8, 0.2)
	w.unit(w.during(), db, func(u *premortem.UnitStats) { u.CPU = 1.6 })
	w.machine(1.9)
	return t
}

func fourOfAKind() *premortem.Trial {
	w := shop("calls", 2)
	w.untrace("GET /api/orders")
	w.trace("GET /api/orders", 0.014, call(ordersSQL, 1, 0.002, 4), call(productSQL, 4, 0.005, 4, productSite))
	return w.trial
}

// fixedLoop: six settings are read one by one, however long the list is.
func fixedLoop() *premortem.Trial {
	w := shop("calls", 2)
	w.untrace("GET /api/orders")
	w.trace("GET /api/orders", 0.014, call(ordersSQL, 1, 0.002, 10), call(productSQL, 6, 0.005, 6))
	w.trace("GET /api/orders", 0.016, call(ordersSQL, 1, 0.002, 50), call(productSQL, 6, 0.005, 6))
	return w.trial
}

func manySavepoints() *premortem.Trial {
	w := shop("calls", 2)
	w.untrace("GET /api/orders")
	w.trace("GET /api/orders", 0.020, call(ordersSQL, 1, 0.002, 20), call("SAVEPOINT s", 20, 0.004, 0), call("SET x = ?", 20, 0.004, 0))
	return w.trial
}

func loopNotPool() *premortem.Trial {
	t := poolOfFive()
	w := &world{trial: t}
	w.unit(w.during(), api, func(u *premortem.UnitStats) { u.LagP99, u.CPU = 0.6, 0.97 })
	return t
}

func lagWithoutWork() *premortem.Trial {
	w := slowLogin()
	w.unit(w.during(), api, func(u *premortem.UnitStats) { u.LagP99, u.CPU = 0.3, 0.12 })
	return w.trial
}

func connectionsRefused() *premortem.Trial {
	w := shop("users", 4)
	w.trial.MaxConnections = 20
	w.trial.Pools[0].Max, w.trial.Pools[0].Replicas = 20, 2
	c := premortem.CallStats{From: api, To: db, Proto: "postgres", Op: "(connect)", Count: 100, Errors: 60, Kinds: map[string]uint64{"53300": 60}, Time: w.hist(100, 0.003, 0.2)}
	w.replace(w.during(), c)
	r := w.during().Route("POST /api/login")
	r.Errors, r.Kinds = 60, map[string]uint64{"500": 60}
	w.during().Database.ConnsMax = 20
	return w.trial
}

func connectionsNearMaximum() *premortem.Trial {
	t := connectionsRefused()
	w := &world{trial: t}
	w.replace(w.during(), premortem.CallStats{From: api, To: db, Proto: "postgres", Op: "(connect)", Count: 100, Errors: 3, Kinds: map[string]uint64{"57P03": 3}})
	w.during().Database.ConnsMax = 19
	return t
}

func oneStockRow() *premortem.Trial {
	w := shop("calls", 2)
	w.untrace("GET /api/orders")
	w.trace("GET /api/orders", 0.012, call(ordersSQL, 1, 0.002, 20), call(stockSQL, 1, 0.002, 1,
		premortem.Evidence{Pos: premortem.Pos{File: "api/src/orders.js", Line: 52}, Quote: "await product.decrement('stock', …)"}))
	w.replace(w.before(), w.calls(stockSQL, 250, 0.002, 0.3, 1))
	w.replace(w.during(), w.calls(stockSQL, 500, 0.9, 0.4, 1))
	w.slow("GET /api/orders", 1.1, 0.4)
	w.during().Database.ActiveMean, w.during().Database.LockWaits, w.during().Database.IdleInTx = 8, 9, 2
	w.during().Database.Waits = map[string]int{"Lock/transactionid": 1100, "Lock/tuple": 300, "IO/DataFileRead": 20}
	return w.trial
}

func diskWaits() *premortem.Trial {
	t := oneStockRow()
	t.Phase("during").Database.Waits = map[string]int{"IO/DataFileRead": 1400, "Client/ClientRead": 90, "Lock/tuple": 5}
	t.Phase("during").Database.LockWaits = 1
	return t
}

func memory(during, after int64) *premortem.Trial {
	w := shop("users", 2)
	w.trial.Phases = append(w.trial.Phases, w.phase("after", 50))
	w.unit(w.during(), api, func(u *premortem.UnitStats) { u.Memory = during })
	w.unit(w.trial.Phase("after"), api, func(u *premortem.UnitStats) { u.Memory = after })
	return w.trial
}

func everyUser() *premortem.Trial {
	w := shop("rows", 4)
	w.untrace("GET /api/account")
	w.trace("GET /api/account", 0.9, call(exportSQL, 1, 0.7, 500_000, premortem.Evidence{Pos: premortem.Pos{File: "api/src/account.js", Line: 9}}))
	w.replace(w.before(), w.calls(exportSQL, 250, 0.18, 0.1, 125_000))
	w.replace(w.during(), w.calls(exportSQL, 250, 0.8, 0.1, 500_000))
	w.slow("GET /api/account", 1.2, 0.2)
	return w.trial
}

func limitedExport() *premortem.Trial {
	t := everyUser()
	for i := range t.Phases {
		for j := range t.Phases[i].Calls {
			if t.Phases[i].Calls[j].Op == exportSQL {
				t.Phases[i].Calls[j].Op += " LIMIT ?"
			}
		}
	}
	t.Traces[len(t.Traces)-1].Calls[0].Op += " LIMIT ?"
	return t
}

func answerStays() *premortem.Trial {
	t := everyUser()
	w := &world{rng: shop("calls", 1).rng, trial: t}
	w.replace(w.before(), w.calls(exportSQL, 250, 0.18, 0.1, 500_000))
	return t
}
