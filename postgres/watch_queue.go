package postgres

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/premortem/premortem"
)

// mostHotRows is how many hot rows a Take reports.
const mostHotRows = 5

// queue is who waits for whom at one moment.
type queue struct {
	behindIdle int // sessions behind one that is idle in a transaction
	rows       []premortem.HotRow
}

// seeQueue looks at the lines in front of locks. The first in line for a row waits for
// the transaction that changed it and holds the row's lock meanwhile; the others wait
// for that lock, so a row is known as soon as two wait for it. Nothing is asked while
// nobody waits.
func seeQueue(ctx context.Context, c *pgx.Conn, waiting int, idle []int32) (q queue, err error) {
	if waiting == 0 {
		return q, nil
	}
	if len(idle) > 0 {
		const behind = `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND pg_blocking_pids(pid) && $1::int[]`
		if err := c.QueryRow(ctx, behind, idle).Scan(&q.behindIdle); err != nil {
			return q, err
		}
	}
	const tuples = `SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || r.relname, format('(%s,%s)', l.page, l.tuple), count(*), min(left(a.query, 500))
FROM pg_locks l JOIN pg_class r ON r.oid = l.relation JOIN pg_namespace n ON n.oid = r.relnamespace JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'tuple' AND a.wait_event_type = 'Lock' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY 3 DESC, 1, 2 LIMIT 10`
	rows, err := c.Query(ctx, tuples)
	if err != nil {
		return q, err
	}
	q.rows, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (h premortem.HotRow, err error) {
		err = r.Scan(&h.Table, &h.Place, &h.Waiters, &h.Query)
		h.Query, h.Samples = scrub(h.Query), 1
		return h, err
	})
	return q, err
}

// count adds a moment to what was seen before. An update moves a row, so rows of one
// statement on one table count as one: what is hot is hot wherever it lies.
func (q queue) count(seen []premortem.HotRow) []premortem.HotRow {
	for _, h := range q.rows {
		i := slices.IndexFunc(seen, func(o premortem.HotRow) bool { return o.Table == h.Table && o.Query == h.Query })
		if i < 0 {
			seen = append(seen, h)
			continue
		}
		o := &seen[i]
		o.Samples++
		if h.Waiters > o.Waiters {
			o.Waiters, o.Place = h.Waiters, h.Place
		}
	}
	return seen
}

func hottest(seen []premortem.HotRow) []premortem.HotRow {
	out := slices.Clone(seen)
	slices.SortFunc(out, func(a, b premortem.HotRow) int {
		return cmp.Or(-cmp.Compare(a.Samples, b.Samples), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Query, b.Query))
	})
	return out[:min(len(out), mostHotRows)]
}
