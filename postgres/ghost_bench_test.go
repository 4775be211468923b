package postgres

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkGhostOfABillionRows builds a ghost of 1,000,000,000 rows and plans 100
// statements at 8 sizes. The reference is the real thing: filling the same tables with
// the rows of 1× in the same run.
func BenchmarkGhostOfABillionRows(b *testing.B) {
	w := readWorkload(b, 4000)
	began := time.Now()
	w.populate(b, server, "bench_ghost", "breadth", 1)
	real := time.Since(began)
	p, err := server.TakeProfile(b.Context(), "bench_ghost")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = server.DropDatabase(b.Context(), "bench_ghost") })
	rows := 0.0
	for i := range p.Relations {
		if p.Relations[i].Kind == "r" {
			rows += p.Relations[i].Rows
		}
	}
	var statements []string
	for i := 0; len(statements) < 100; i++ {
		statements = append(statements, w.queries[i%len(w.queries)])
	}
	var first, build, plan time.Duration
	var used int64
	for b.Loop() {
		began := time.Now()
		g := w.ghost(b, server, p)
		if _, err := g.At(b.Context(), growthModel("breadth", 1e9/rows)); err != nil {
			b.Fatal(err)
		}
		first += time.Since(began)
		if used, _, err = diskUsed(g.Dir()); err != nil {
			b.Fatal(err)
		}
		for _, k := range []float64{1, 2, 5, 10, 50, 100, 500, 1e9 / rows} {
			size, err := g.At(b.Context(), growthModel("breadth", k))
			if err != nil {
				b.Fatal(err)
			}
			build += size.Took
			began := time.Now()
			if _, err := size.planAll(b.Context(), statements); err != nil {
				b.Fatal(err)
			}
			plan += time.Since(began)
		}
		if err := g.Close(); err != nil {
			b.Fatal(err)
		}
	}
	n := float64(b.N)
	b.ReportMetric(first.Seconds()/n, "s/start-and-build")
	b.ReportMetric(build.Seconds()/8/n, "s/build")
	b.ReportMetric(plan.Seconds()/n, "s/800-plans")
	b.ReportMetric(float64(used)/1e6, "MB-disk")
	b.ReportMetric(real.Seconds()/(build.Seconds()/8/n), "×-faster-than-populating-"+fmt.Sprintf("%.0fk-rows", rows/1000))
}
