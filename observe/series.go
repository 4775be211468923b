package observe

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shirou/gopsutil/v4/process"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/clone"
)

// Series follows signals over time, so that it can be told which one grew first.
var Series = add(Probe{
	Name: "series",
	Doc: premortem.Doc{
		Title:  "what grows first",
		Why:    "When everything is slow at once, the order in which things became so tells the cause from its victims.",
		When:   "Every 500 ms, a value for each second: the processor time of each service, its event-loop delay, the connections on each edge, and what the sessions of the database do.",
		Silent: "Two signals that grow within one second have no order. Child processes count for their parent only after they have ended.",
		Fix:    "Look at what stands first in the list, not at what is largest.",
	},
	Watch: func(ctx context.Context, c *clone.Clone) (Eye, error) {
		e := &seriesEye{c: c, cpu: map[int]spent{}}
		loop, cancel := context.WithCancel(context.WithoutCancel(ctx))
		e.cancel = cancel
		e.reset(time.Now())
		e.done.Go(func() { e.run(loop) })
		return e, nil
	},
})

const seriesEvery = 500 * time.Millisecond

type seriesEye struct {
	c      *clone.Clone
	cancel context.CancelFunc
	done   sync.WaitGroup
	db     *pgx.Conn // of the loop alone
	dsn    string

	mu    sync.Mutex
	start time.Time
	lines []*line
	index map[lineKey]*line
	cpu   map[int]spent
}

type lineKey struct {
	node   premortem.Node
	signal string
}

// line is one series while it is taken: sums and numbers of samples by second.
type line struct {
	key   lineKey
	unit  string
	share bool
	sum   []float64
	n     []float64
}

func (e *seriesEye) reset(now time.Time) {
	e.start, e.lines, e.index = now, nil, map[lineKey]*line{}
}

func (e *seriesEye) run(ctx context.Context) {
	tick := time.NewTicker(seriesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			e.hangUp()
			return
		case <-tick.C:
		}
		sessions := e.sessions(ctx)
		e.mu.Lock()
		e.look(time.Now(), sessions)
		e.mu.Unlock()
	}
}

func (e *seriesEye) hangUp() {
	if e.db != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = e.db.Close(ctx)
		e.db = nil
	}
}

// sessions counts what the sessions of the database do, nil when it cannot be seen.
func (e *seriesEye) sessions(ctx context.Context) map[string]float64 {
	if e.c.Database == nil {
		return nil
	}
	if dsn := e.c.Database.DSN(); dsn != e.dsn { // it was replaced
		e.hangUp()
		e.dsn = dsn
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if e.db == nil {
		conf, err := pgx.ParseConfig(e.dsn)
		if err != nil {
			return nil
		}
		conf.RuntimeParams["application_name"] = "premortem" // so that the other probe leaves it out
		if e.db, err = pgx.ConnectConfig(ctx, conf); err != nil {
			e.db = nil
			return nil
		}
	}
	const sql = `SELECT count(*) FILTER (WHERE state = 'active'),
  count(*) FILTER (WHERE state = 'active' AND wait_event_type = 'Lock'),
  count(*) FILTER (WHERE state = 'active' AND wait_event_type IN ('IO', 'LWLock', 'BufferPin')),
  count(*) FILTER (WHERE state LIKE 'idle in transaction%')
FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = current_database() AND application_name <> 'premortem'`
	var active, locks, io, idle float64
	if err := e.db.QueryRow(ctx, sql).Scan(&active, &locks, &io, &idle); err != nil {
		e.hangUp()
		return nil
	}
	return map[string]float64{
		"statements at work": active - locks - io, "statements that wait for a lock": locks,
		"statements that wait for data or internal locks": io, "transactions that wait for the application": idle,
	}
}

// look takes one sample of everything; e.mu is held.
func (e *seriesEye) look(now time.Time, sessions map[string]float64) {
	at := int(now.Sub(e.start) / time.Second)
	for signal, v := range sessions {
		e.note(at, lineKey{e.c.Database.Node, signal}, "", false, v)
	}
	for _, edge := range e.c.Edges() {
		e.note(at, lineKey{edge.From(), "connections to " + string(edge.To())}, "", false, float64(edge.Conns()))
	}
	for _, u := range e.c.Units() {
		if u == nil {
			continue
		}
		if v, ok := u.Vitals(); ok {
			e.note(at, lineKey{u.Node(), "event-loop delay"}, "s", true, v.LagP99)
		}
		e.lookCPU(at, now, u.Pid(), u.Node())
	}
}

// lookCPU notes the cores that a process used since the last look.
func (e *seriesEye) lookCPU(at int, now time.Time, pid int, n premortem.Node) {
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return
	}
	t, err := p.Times()
	if err != nil {
		return
	}
	s := e.cpu[pid]
	s.look(t.User+t.System, now)
	if cores, ok := s.take(); ok {
		e.note(at, lineKey{n, "processor time"}, "cores", false, cores)
	}
	e.cpu[pid] = s
}

func (e *seriesEye) note(at int, k lineKey, unit string, share bool, v float64) {
	if math.IsNaN(v) || v < 0 || at < 0 || at > 3600 {
		return
	}
	l := e.index[k]
	if l == nil {
		l = &line{key: k, unit: unit, share: share}
		e.index[k] = l
		e.lines = append(e.lines, l)
	}
	for len(l.sum) <= at {
		l.sum, l.n = append(l.sum, 0), append(l.n, 0)
	}
	l.sum[at] += v
	l.n[at]++
}

// Take hands over whole seconds. The last is left out: it may have hardly begun.
func (e *seriesEye) Take(_ context.Context, p *premortem.Phase) ([]string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	seconds := int(now.Sub(e.start) / time.Second)
	for _, l := range e.lines {
		s := premortem.Series{Node: l.key.node, Signal: l.key.signal, Unit: l.unit, Share: l.share, Values: make([]float64, 0, seconds)}
		last := 0.0
		for i := range seconds {
			if i < len(l.n) && l.n[i] > 0 {
				last = l.sum[i] / l.n[i]
			}
			s.Values = append(s.Values, math.Round(last*1e4)/1e4)
		}
		p.Series = append(p.Series, s)
	}
	slices.SortFunc(p.Series, func(a, b premortem.Series) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Signal, b.Signal))
	})
	e.reset(now)
	return nil, nil
}

func (e *seriesEye) Close() error {
	e.cancel()
	e.done.Wait()
	return nil
}
