package rehearse

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

// cost measures what the instrument itself took: memory, and the time that an edge
// adds to a query, against the same query past the edge.
func (r *run) cost(ctx context.Context) error {
	cost := &premortem.Cost{MemoryBytes: peakMemory(), EdgeLatency: -1}
	r.report.Cost = cost
	if r.c.Database == nil {
		return nil
	}
	sizes, err := r.c.Database.Sizes(ctx)
	if err != nil {
		return err
	}
	for _, t := range sizes {
		cost.DatabaseBytes += t.Bytes
	}
	for _, e := range r.c.Edges() {
		if e.Proto != "postgres" {
			continue
		}
		direct, err := r.roundTrip(ctx, r.c.Database.TCP(""))
		if err != nil {
			return err
		}
		through, err := r.roundTrip(ctx, r.c.Database.TCP(e.Addr()))
		if err != nil {
			return err
		}
		cost.EdgeLatency = (through - direct).Seconds()
		break
	}
	cost.MemoryBytes = peakMemory()
	return nil
}

// roundTrip is the median of 300 trivial queries.
func (r *run) roundTrip(ctx context.Context, dsn string) (time.Duration, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, &premortem.Error{Doing: "measure the edge", Err: err}
	}
	defer conn.Close(ctx)
	took := make([]time.Duration, 300)
	for i := range took {
		began := time.Now()
		if _, err := conn.Exec(ctx, "SELECT 1"); err != nil {
			return 0, &premortem.Error{Doing: "measure the edge", Err: err}
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
