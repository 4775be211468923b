package drive

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

// savedTrial is a trial with a scaled phase before the one that matters.
func savedTrial(t *testing.T) string {
	t.Helper()
	times := func(ms int) premortem.Histogram {
		var h premortem.Histogram
		h.RecordN(time.Duration(ms)*time.Millisecond, 200)
		return h
	}
	tr := premortem.Trial{Experiment: premortem.Experiment{Name: "calls-x2"}, Seed: 1, Phases: []premortem.Phase{
		{Name: "warm", Took: 1, Routes: []premortem.RouteStats{{Route: "GET /warm", Count: 5}}},
		{Name: "before", Took: 20, Calls: []premortem.CallStats{
			{From: "browser", To: "service/api", Proto: "http", Op: "GET /api/orders/:id", Count: 300, Time: times(30)},
			{From: "browser", To: "service/api", Proto: "http", Op: "GET /api/products", Count: 600, Errors: 12, Kinds: map[string]uint64{"500": 6, "404": 6}, Time: times(120)},
			{From: "browser", To: "service/api", Proto: "http", Op: "POST /api/login", Count: 100, Time: times(90)},
			{From: "service/api", To: "service/pricing", Proto: "http", Op: "GET /price", Count: 900},
			{From: "service/api", To: "store/main", Proto: "postgres", Op: "select '" + canary + "'", Count: 900}}},
		{Name: "during", Took: 20, Routes: []premortem.RouteStats{{Route: "GET /api/products", Count: 5000}}},
	}}
	b, err := json.MarshalIndent(tr, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestASavedTrialBecomesItsMixAtNormalLoad(t *testing.T) {
	tr := mustImport(t, "calls-x2.json", savedTrial(t))
	var got []string
	for _, j := range tr.Journeys {
		got = append(got, j.Steps[0].Request.Path+" "+plainNumber(j.Weight))
	}
	if s := strings.Join(got, ", "); s != "/api/products 60, /api/orders/${rows.orders.id} 30" {
		t.Errorf("journeys %s", s)
	}
	if len(tr.Unfinished) != 1 || tr.Unfinished[0].Weight != 10 {
		t.Errorf("unfinished %s", bare(tr.Unfinished))
	}
	if tr.Base.Calls.Value != 50 || tr.Format != "trial" {
		t.Errorf("base %v of %s", tr.Base.Calls.Value, tr.Format)
	}
	for _, o := range tr.Objectives {
		if want := map[string]float64{"GET /api/products": 0.15, "GET /api/orders/:id": 0.05, "POST /api/login": 0.1}[o.Route]; o.P95.Value != want {
			t.Errorf("%s: p95 %v, want %v", o.Route, o.P95.Value, want)
		}
	}
}

func TestABrokenTrialIsRefusedAtItsLine(t *testing.T) {
	text := savedTrial(t)
	_, err := importText(t, "x.json", text[:len(text)-40])
	if err == nil || !strings.Contains(err.Error(), "read trial: the file ends in the middle") {
		t.Errorf("got %v", err)
	}
	_, err = importText(t, "x.json", `{"experiment": {}, "seed": 1, "phases": []}`)
	if err == nil || !strings.Contains(err.Error(), "no phase of it has requests") {
		t.Errorf("got %v", err)
	}
}

func FuzzWireRecord(f *testing.F) {
	f.Add([]byte(`{"experiment":{},"seed":1,"phases":[{"name":"before","took":2,"calls":[{"from":"x","to":"service/a","proto":"http","op":"GET /a/:id","count":3,"time":{"buckets":[[5,200]]}}]}]}`))
	f.Fuzz(fuzzImport("trial.json"))
}
