// Package clone runs a copy of a System on this machine: a real PostgreSQL with
// production's rows, a real Redis, and the app's own processes, each dependency
// behind an edge of ours. It is the only package that starts the app's processes.
// It refuses to give a process an address that the clone did not make.
package clone

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/wire"
)

// Options says where the repository is and how the clone is run.
type Options struct {
	Dir      string        // the repository
	State    string        // folder for the journal, usually DIR/.premortem; made when missing
	Logs     string        // folder for the units' output; "" keeps it in memory only
	Cache    string        // of fetched PostgreSQL binaries; "" is the user's cache folder
	Driver   string        // "" is "process"
	Replicas int           // of each service at most; 0 means as many as production, at most one per core
	Settle   time.Duration // how long a service may take to become healthy; 0 means 60 s
	Seed     int64
	Rows     map[string]int64 // instead of the System's; nil means as the System says
	Stage    func(premortem.Stage)
	Progress func(what string, done, total int64) // may be nil
}

// Users is the node that stands for the people outside, who call services.
const Users = premortem.Node("outside/users")

// Clone is a running copy. Its methods may be called by one goroutine at a time,
// Close by any.
type Clone struct {
	Sys      *premortem.System
	Parity   []premortem.Parity
	Database *Database // nil when the system has no PostgreSQL
	Notes    []string  // what the clone could not do like production; each is a doubt

	opts    Options
	driver  *Driver
	journal *journal
	scratch string // our folder for everything temporary
	edges   []*Edge
	plans   []*workload
	redis   []*redisServer

	bookMu sync.Mutex
	book   map[premortem.Node]*LogBook
}

// Edge is a proxied dependency with its tally.
type Edge struct {
	*wire.Edge
	Proto string // "postgres", "redis", "http", "refused"
	Tally *wire.Tally
}

// workload is a service of the production deployment and its running units.
type workload struct {
	service *premortem.Service
	env     environ
	edge    *Edge
	units   []Unit
	want    int
}

// Start builds the clone: stores, rows, edges, units, healthy. When it fails,
// everything that was started has been stopped again.
func Start(ctx context.Context, sys *premortem.System, o Options) (_ *Clone, err error) {
	if o.Settle == 0 {
		o.Settle = 60 * time.Second
	}
	if o.Stage == nil {
		o.Stage = func(premortem.Stage) {}
	}
	driver, err := driverNamed(o.Driver)
	if err != nil {
		return nil, err
	}
	if err := driver.Ready(ctx); err != nil {
		return nil, err
	}
	c := &Clone{Sys: sys, opts: o, driver: driver, book: map[premortem.Node]*LogBook{}}
	if c.plans, err = c.planServices(); err != nil {
		return nil, err
	}
	if c.journal, err = openJournal(o.State); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if c.scratch, err = os.MkdirTemp("", "premortem-"); err != nil {
		return nil, &premortem.Error{Doing: "make a temporary folder", Err: err}
	}
	// Units and servers that run as another user must be able to pass through.
	if err := os.Chmod(c.scratch, 0o711); err != nil {
		return nil, err
	}
	if err := c.journal.add(entry{Kind: "folder", Path: c.scratch}); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := c.startStores(ctx); err != nil {
		return nil, err
	}
	if err := c.startServices(ctx); err != nil {
		return nil, err
	}
	c.ledger()
	o.Stage(premortem.Stage{Name: "clone", Says: c.says(), Took: time.Since(began).Seconds() - c.rowsTook()})
	return c, nil
}

func (c *Clone) rowsTook() float64 {
	if c.Database == nil {
		return 0
	}
	return c.Database.fillTook.Seconds()
}

func (c *Clone) says() string {
	count := map[string]int{}
	for _, p := range c.Parity {
		count[p.Standing]++
	}
	return fmt.Sprintf("%s driver · parity: %d equal, %d scaled, %d not modelled",
		c.driver.Name, count["equal"], count["scaled"], count["not modelled"])
}

// startStores starts PostgreSQL and Redis, as far as running services need them.
func (c *Clone) startStores(ctx context.Context) error {
	for _, node := range c.stores() {
		stores := c.Sys.StoresOf(node)
		switch stores[0].Kind {
		case "postgres":
			if c.Database != nil {
				c.Notes = append(c.Notes, fmt.Sprintf("%s: a second PostgreSQL is not modelled; it shares the first one's server", node))
				continue
			}
			db, err := c.startDatabase(ctx, node, stores)
			if err != nil {
				return err
			}
			c.Database = db
		case "redis":
			r, err := c.startRedis(ctx, node, stores)
			if err != nil {
				return err
			}
			c.redis = append(c.redis, r)
		default:
			c.Notes = append(c.Notes, fmt.Sprintf("%s: a store of kind %q is not modelled; its address refuses", node, stores[0].Kind))
		}
	}
	return nil
}

// stores lists the stores that running services depend on.
func (c *Clone) stores() []premortem.Node {
	var out []premortem.Node
	for _, w := range c.plans {
		for _, d := range c.Sys.From(w.service.Node) {
			if d.To.Kind() == "store" && !slices.Contains(out, d.To) && len(c.Sys.StoresOf(d.To)) > 0 {
				out = append(out, d.To)
			}
		}
	}
	slices.Sort(out)
	return out
}

func (c *Clone) startServices(ctx context.Context) error {
	for _, w := range c.plans {
		edge, err := c.open(ctx, Users, w.service.Node, "http")
		if err != nil {
			return err
		}
		w.edge = edge
	}
	for _, w := range c.plans {
		env, err := c.environFor(ctx, w.service)
		if err != nil {
			return err
		}
		w.env = env
	}
	return c.startUnits(ctx)
}

// startUnits starts every replica and waits until all are healthy.
func (c *Clone) startUnits(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, w := range c.plans {
		w.units = make([]Unit, w.want)
		for i := range w.want {
			g.Go(func() error {
				u, err := c.startUnit(ctx, w, i, w.env)
				w.units[i] = u
				if err != nil {
					return err
				}
				return waitHealthy(ctx, u, w.service, c.opts.Settle)
			})
		}
	}
	if err := g.Wait(); err != nil {
		return errors.Join(err, c.stopUnits())
	}
	for _, w := range c.plans {
		var addrs []string
		for _, u := range w.units {
			addrs = append(addrs, u.Addr())
		}
		w.edge.SetTargets("tcp", addrs...)
	}
	return nil
}

// open makes an edge with the tap for its protocol.
func (c *Clone) open(ctx context.Context, from, to premortem.Node, proto string) (*Edge, error) {
	e, err := wire.Open(ctx, wire.Options{From: from, To: to})
	if err != nil {
		return nil, &premortem.Error{Doing: fmt.Sprintf("open the edge %s → %s", from, to), Err: err}
	}
	edge := &Edge{Edge: e, Proto: proto, Tally: wire.NewTally(from, to)}
	switch proto {
	case "postgres":
		e.Use(wire.Postgres(edge.Tally.Record))
	case "redis":
		e.Use(wire.Redis(edge.Tally.Record))
	case "http":
		e.Use(wire.HTTP(edge.Tally.Record))
	}
	c.edges = append(c.edges, edge)
	return edge, nil
}

// Edges returns every edge of the clone.
func (c *Clone) Edges() []*Edge { return c.edges }

// Edge returns the edge between two nodes, nil when there is none.
func (c *Clone) Edge(from, to premortem.Node) *Edge {
	for _, e := range c.edges {
		if e.From() == from && e.To() == to {
			return e
		}
	}
	return nil
}

// Units returns the running units of all services.
func (c *Clone) Units() []Unit {
	var out []Unit
	for _, w := range c.plans {
		out = append(out, w.units...)
	}
	return out
}

// URLs returns the address at which the outside reaches each service.
func (c *Clone) URLs() map[premortem.Node]string {
	out := map[premortem.Node]string{}
	for _, w := range c.plans {
		out[w.service.Node] = "http://" + w.edge.Addr()
	}
	return out
}

// Replicas returns how many units of a service the clone runs.
func (c *Clone) Replicas(n premortem.Node) int {
	for _, w := range c.plans {
		if w.service.Node == n {
			return w.want
		}
	}
	return 0
}

// Restart stops all units and starts them again, with values of extra put over the
// environment of the services they name.
func (c *Clone) Restart(ctx context.Context, extra map[premortem.Node]map[string]string) error {
	if err := c.stopUnits(); err != nil {
		return err
	}
	for _, w := range c.plans {
		w.env.over = extra[w.service.Node]
	}
	return c.startUnits(ctx)
}

func (c *Clone) stopUnits() error {
	var g errgroup.Group
	for _, w := range c.plans {
		for _, u := range w.units {
			if u != nil {
				g.Go(u.Stop)
			}
		}
	}
	err := g.Wait()
	for _, w := range c.plans {
		w.units = nil
	}
	return err
}

// Close stops everything that Start started and removes its files. It may be called
// again, and works when the context of Start is already dead.
func (c *Clone) Close() error {
	errs := []error{c.stopUnits()}
	for _, e := range c.edges {
		errs = append(errs, e.Close())
	}
	c.edges = nil
	for _, r := range c.redis {
		errs = append(errs, r.Close())
	}
	c.redis = nil
	if c.Database != nil {
		errs = append(errs, c.Database.close())
	}
	for _, b := range c.book {
		errs = append(errs, b.close())
	}
	if c.scratch != "" {
		errs = append(errs, os.RemoveAll(c.scratch))
	}
	if c.journal != nil {
		errs = append(errs, c.journal.close())
	}
	return errors.Join(errs...)
}

func (c *Clone) codeDir(s *premortem.Service) string {
	return filepath.Join(c.opts.Dir, filepath.FromSlash(s.Dir))
}

func cores() int { return runtime.GOMAXPROCS(0) }
