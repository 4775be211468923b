package rehearse

import (
	"context"
	"fmt"
	"strings"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/judge"
	"github.com/premortem/premortem/postgres"
)

// applyIndex creates the index of a fix in the clone and measures what it costs those
// who write; cost is nil where that could not be measured, and the doubt says why.
func (r *run) applyIndex(ctx context.Context, create string) (*premortem.WriteCost, error) {
	db := r.c.Database
	name, _ := postgres.IndexName(create)
	if name == "" { // other SQL, or an index whose name the server chooses
		return nil, db.Exec(ctx, create)
	}
	before, err := postgres.MeasureWrites(ctx, db.DSN(), create)
	if err := r.soft(ctx, "what the index costs was not measured", err); err != nil {
		return nil, err
	}
	if err := db.Exec(ctx, create); err != nil || before.Rows == 0 {
		return nil, err
	}
	after, err := postgres.MeasureWrites(ctx, db.DSN(), create)
	if err == nil {
		var bytes int64
		if bytes, err = postgres.IndexBytes(ctx, db.DSN(), name); err == nil && bytes > 0 {
			return postgres.Cost(before, after, bytes), nil
		}
	}
	return nil, r.soft(ctx, "what the index costs was not measured", err)
}

// unused says why the planner does not use the index that was just made for a
// finding; "" when it does, or when nobody can tell.
func (r *run) unused(ctx context.Context, f *premortem.Finding, t *premortem.Trial) string {
	name, _ := postgres.IndexName(f.Fix.Try.SQL)
	during := t.Phase("during")
	if name == "" || during == nil {
		return ""
	}
	asked := ""
	for _, p := range t.Plans {
		if p.Advice == nil || p.Advice.SQL != f.Fix.Try.SQL {
			continue
		}
		for _, call := range during.Calls {
			if call.Op != p.Op {
				continue
			}
			now, ok := r.plan(ctx, call)
			if !ok {
				continue
			}
			if usesIndex(now, name) {
				return ""
			}
			asked = call.Op
		}
	}
	if asked == "" {
		return ""
	}
	return fmt.Sprintf("the planner does not use %s for %s", name, short(asked))
}

// usesIndex reports whether a plan reads an index of that name.
func usesIndex(p premortem.Plan, name string) bool {
	for line := range strings.Lines(p.Text) {
		if _, rest, ok := strings.Cut(line, " using "); ok && strings.HasPrefix(rest+" ", name+" ") {
			return true
		}
		if strings.Contains(line, "Bitmap Index Scan") && strings.Contains(line, name) {
			return true
		}
	}
	return false
}

// refuse ends the trial of an index that the planner leaves aside: no load is offered
// for it, and the report says so.
func (r *run) refuse(f *premortem.Finding, s *search, why string) {
	r.proofs[f.Key()] = &premortem.Proof{X: s.x, Signal: "request_seconds_p95", Unit: "s", Cost: r.fixCost, Says: judge.Refused(why)}
}

// explain plans a statement with the values it was called with. What reads is executed;
// so is what deletes or changes rows, to see what its triggers and the checks of its
// foreign keys cost. All of it is taken back.
func (r *run) explain(ctx context.Context, sql string, args []any, reads bool) (premortem.Plan, error) {
	verb, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(sql)), " ")
	if verb == "delete" || verb == "update" {
		if p, err := postgres.ExplainWrite(ctx, r.c.Database.DSN(), sql, args); err == nil {
			return p, nil
		}
	}
	return postgres.Explain(ctx, r.c.Database.DSN(), sql, args, reads)
}
