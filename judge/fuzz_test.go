package judge

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

// Any trial, however broken, gets an answer: partial, contradictory and absurd
// numbers must neither stop the judge nor make it invent health.
func FuzzJudge(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed)
	}
	f.Fuzz(checkRandomTrial)
}

func TestJudgeSurvivesAnyTrial(t *testing.T) {
	seeds := uint64(3000)
	if testing.Short() {
		seeds = 300
	}
	for seed := range seeds {
		checkRandomTrial(t, seed)
	}
}

func checkRandomTrial(t *testing.T, seed uint64) {
	r := &chaos{rand.New(rand.NewPCG(seed, 1))}
	trial := r.trial()
	v, found := Judge(trial)
	if v.Answer == premortem.Holds && (trial.Phase("during") == nil || len(trial.Phase("during").Routes) == 0) {
		t.Errorf("seed %d: it holds and nothing was measured", seed)
	}
	if v.Findings == nil || v.Doubts == nil || v.Broken == nil || found == nil {
		t.Errorf("seed %d: a list is null", seed)
	}
	keys := map[string]bool{}
	for i := range found {
		if keys[found[i].Key()] {
			t.Errorf("seed %d: two findings have the key %q", seed, found[i].Key())
		}
		keys[found[i].Key()] = true
		if len(found[i].Evidence) == 0 {
			t.Errorf("seed %d: %s has no evidence", seed, found[i].Key())
		}
	}
	for i := range found {
		if b := found[i].Because; b != "" && !keys[b] {
			t.Errorf("seed %d: %s is because of %q, which was not found", seed, found[i].Key(), b)
		}
	}
	if again, _ := Judge(trial); again.Says != v.Says || again.Answer != v.Answer {
		t.Errorf("seed %d: a second look answers %s, %q, the first %s, %q", seed, again.Answer, again.Says, v.Answer, v.Says)
	}
	p := PointOf(trial, v)
	Headroom("calls", "requests/s", 50, []premortem.Point{p, p}, map[float64]premortem.Verdict{p.Multiple: v})
	Confirm([]premortem.Finding{suspicion(), repeatSuspicion()}, []*premortem.Trial{trial, nil}, found)
	Compare(trial, r.trial(), suspicion())
	if !r.wild() {
		return
	}
	var back premortem.Trial
	if data, err := json.Marshal(trial); err == nil && json.Unmarshal(data, &back) == nil {
		Judge(&back)
	}
}

// chaos makes trials out of few names and any numbers.
type chaos struct{ *rand.Rand }

func (r *chaos) wild() bool { return r.IntN(4) == 0 }

func pick[T any](r *chaos, all ...T) T { return all[r.IntN(len(all))] }

func (r *chaos) number() float64 {
	if r.IntN(30) == 0 {
		return pick(r, math.NaN(), math.Inf(1), math.Inf(-1), -1, 1e300)
	}
	return math.Exp(r.NormFloat64()*4) * float64(r.IntN(3))
}

func (r *chaos) whole() uint64 {
	if r.IntN(30) == 0 {
		return math.MaxUint64
	}
	return uint64(r.IntN(3) * r.IntN(2000))
}

func (r *chaos) hist() premortem.Histogram {
	var h premortem.Histogram
	middle := math.Exp(r.NormFloat64()*3 - 3)
	for range r.IntN(300) {
		h.Record(time.Duration(middle * math.Exp(r.NormFloat64()) * 1e9))
	}
	return h
}

func (r *chaos) op() string {
	return pick(r, loginSQL, ordersSQL, productSQL, stockSQL, exportSQL, "BEGIN", "GET", "", "POST /v1/charges", "(connect)")
}

func (r *chaos) node() premortem.Node {
	return pick(r, api, db, "service/web", "thirdparty/stripe", "")
}

func (r *chaos) routeName() string { return pick(r, "POST /api/login", "GET /api/orders", "*", "") }

func (r *chaos) proto() string { return pick(r, "postgres", "postgres", "http", "") }

func (r *chaos) trial() *premortem.Trial {
	t := &premortem.Trial{Cores: r.IntN(9) - 1, MaxConnections: r.IntN(100) - 1}
	t.Experiment.Name = "random"
	t.Experiment.X = pick(r, "", "calls", "rows", "users")
	t.Experiment.Scale = premortem.Scale{Calls: r.number(), Rows: r.number()}
	for range r.IntN(3) {
		t.Objectives = append(t.Objectives, premortem.Objective{Route: r.routeName(), P95: premortem.At(r.number(), pick(r, "", "premortem.yaml"), 3), Errors: premortem.At(r.number(), pick(r, "", "premortem.yaml"), 3)})
	}
	for range r.IntN(4) {
		t.Phases = append(t.Phases, r.phase(pick(r, "before", "during", "during", "after")))
	}
	for range r.IntN(5) {
		tr := premortem.Trace{Route: r.routeName(), Took: r.number()}
		for range r.IntN(4) {
			tr.Calls = append(tr.Calls, premortem.TraceCall{To: r.node(), Proto: r.proto(), Op: r.op(), Count: r.IntN(60), Seconds: r.number(), Rows: r.IntN(5000)})
		}
		t.Traces = append(t.Traces, tr)
	}
	for range r.IntN(4) {
		p := premortem.Plan{Op: r.op(), Seconds: r.number() - 1}
		for range r.IntN(3) {
			p.Scans = append(p.Scans, premortem.Scan{Node: pick(r, "Seq Scan", "Parallel Seq Scan", "Index Scan"), Table: pick(r, "users", "orders", ""), Filter: pick(r, "", "(lower(email) = ?)", "((("), Rows: r.number(), Removed: r.number() * 1e5, Loops: r.number(), TableRows: r.number() * 1e5})
		}
		if r.wild() {
			p.Advice = &premortem.Advice{SQL: pick(r, emailAdvice.SQL, "", "nonsense"), CostBefore: r.number(), CostAfter: r.number()}
		}
		t.Plans = append(t.Plans, p)
	}
	for range r.IntN(3) {
		t.Pools = append(t.Pools, premortem.Pool{From: r.node(), To: r.node(), Max: r.IntN(20) - 1, Replicas: r.IntN(5) - 1, Env: pick(r, "", "DB_POOL_MAX")})
	}
	return t
}

func (r *chaos) phase(name string) premortem.Phase {
	p := premortem.Phase{Name: name, Took: r.number()}
	n := r.whole()
	p.Load = premortem.LoadStats{Offered: n, Sent: n, Done: n}
	if r.wild() {
		p.Load = premortem.LoadStats{Planned: r.number(), Offered: r.whole(), Sent: r.whole(), Done: r.whole(), Abandoned: r.whole(), Dropped: r.whole(), LagP99: r.number(), OwnCPU: r.number(), Stopped: r.wild()}
	}
	for range r.IntN(4) {
		p.Routes = append(p.Routes, premortem.RouteStats{Route: r.routeName(), Count: r.whole(), Errors: r.whole(), Kinds: map[string]uint64{pick(r, "500", "timeout", ""): r.whole()}, P95: r.number(), Response: r.hist(), Service: r.hist()})
	}
	for range r.IntN(6) {
		p.Calls = append(p.Calls, premortem.CallStats{From: r.node(), To: r.node(), Proto: r.proto(), Op: r.op(), Count: r.whole(), Rows: r.whole(), Kinds: map[string]uint64{"53300": r.whole()}, Time: r.hist()})
	}
	for range r.IntN(4) {
		p.Units = append(p.Units, premortem.UnitStats{Node: r.node(), Replica: r.IntN(3), CPU: r.number(), CPULimit: r.number(), Memory: int64(r.whole()) << 20, LagP99: r.number(), Conns: r.IntN(30), Restarted: r.IntN(3)})
	}
	p.Database = premortem.DatabaseStats{Watched: r.wild(), Samples: r.IntN(300), ActiveMean: r.number(), LockWaits: r.IntN(9), IdleInTx: r.IntN(9), Waits: map[string]int{"Lock/tuple": r.IntN(900)}}
	p.Machine = premortem.MachineStats{Watched: r.wild(), CPU: r.number(), Steal: r.number() / 100}
	p.Logs = []premortem.LogStats{{Node: api, Template: "x <*>", Level: "error", Count: r.whole()}}
	return p
}
