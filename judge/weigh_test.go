package judge

import (
	"testing"

	"github.com/premortem/premortem"
)

func TestAnIndexIsWeighedAndAUselessOneRefused(t *testing.T) {
	f := premortem.Finding{Rule: "table-scan", Fix: premortem.Fix{Try: &premortem.Try{SQL: "CREATE INDEX i ON users (email)"}}}
	cost := &premortem.WriteCost{Bytes: 11 << 20, Rows: 2000, InsertBefore: 0.016, InsertAfter: 0.0176, UpdateBefore: 0.030, UpdateAfter: 0.0305, WALBefore: 1_400_000, WALAfter: 1_680_000}
	p := premortem.Proof{Says: "p95 900 ms → 12 ms at the same load", Worked: true, Cost: cost}
	Weigh(&p, f)
	if want := "p95 900 ms → 12 ms at the same load; the index takes 11 MB, inserts take 10 % longer, updates of its columns take no longer and they log 840 bytes per row instead of 700 bytes"; p.Says != want {
		t.Errorf("\n got %s\nwant %s", p.Says, want)
	}
	less := *cost
	less.WALBefore = 2_600_000 // with the full pages after a checkpoint
	p = premortem.Proof{Says: "p95 900 ms → 12 ms", Worked: true, Cost: &less}
	Weigh(&p, f)
	if want := "p95 900 ms → 12 ms; the index takes 11 MB, inserts take 10 % longer and updates of its columns take no longer"; p.Says != want {
		t.Errorf("\n got %s\nwant %s", p.Says, want)
	}
	p = premortem.Proof{Says: "p95 900 ms → 880 ms at the same load, which is no proof: POST /login does not hold", Cost: cost}
	Weigh(&p, f)
	if p.Worked || p.Says[:8] != "refused:" {
		t.Errorf("an index that did not help: %+v", p)
	}
	p = premortem.Proof{Says: "p95 1 s → 0.9 s"}
	Weigh(&p, premortem.Finding{Fix: premortem.Fix{Try: &premortem.Try{Env: map[string]string{"POOL": "20"}}}})
	if p.Says != "p95 1 s → 0.9 s" {
		t.Errorf("a pool is weighed like an index: %s", p.Says)
	}
}
