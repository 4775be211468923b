// Package clone runs a copy of a System on this machine: a real PostgreSQL with
// production's rows, a real Redis, and the app's own processes, each dependency
// behind an edge of ours. It is the only package that starts the app's processes.
// It refuses to give a process an address that the clone did not make.
package clone

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/postgres"
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
	// Secrets are values that must never be stored or shown, in memory only: the log
	// books write *** for them. nil means SecretValues of Dir.
	Secrets  []string
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
	plans   []*workload
	redis   []*redisServer
	crew    crew
	profile *postgres.Profile    // of production's database, nil none is named
	split   map[splitPort]string // ports of addresses whose host is in another variable

	closeMu sync.Mutex

	edgeMu sync.Mutex
	edges  []*Edge

	bookMu sync.Mutex
	book   map[premortem.Node]*LogBook
}

// Edge is a proxied dependency with its tally.
type Edge struct {
	*wire.Edge
	Proto string // "postgres", "redis", "http", "refused"
	Tally *wire.Tally
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
	if o.Secrets == nil {
		o.Secrets = SecretValues(o.Dir, sys)
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
	if err := c.makeScratch(); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := c.startStores(ctx); err != nil {
		return nil, err
	}
	if err := c.startServices(ctx); err != nil {
		return nil, err
	}
	c.listenToPreloads(ctx)
	c.ledger()
	o.Stage(premortem.Stage{Name: "clone", Says: c.says(), Took: time.Since(began).Seconds() - c.rowsTook()})
	return c, nil
}

// makeScratch makes our folder for everything temporary. The journal knows its name
// first, and with it the mark of all processes to come.
func (c *Clone) makeScratch() error {
	path := filepath.Join(os.TempDir(), "premortem-"+strings.ToLower(rand.Text()[:12]))
	path, err := filepath.Abs(path)
	if err != nil {
		return &premortem.Error{Doing: "make a temporary folder", Err: err}
	}
	if err := errors.Join(c.journal.add(entry{Kind: "folder", Path: path}), c.journal.add(entry{Kind: "marker", Path: path})); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o711); err != nil {
		return &premortem.Error{Doing: "make a temporary folder", Err: err}
	}
	c.scratch = path
	// Units and servers that run as another user must be able to pass through.
	return os.Chmod(path, 0o711)
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
				c.Notes = append(c.Notes, fmt.Sprintf("%s: a second PostgreSQL is not modelled; its address refuses", node))
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
	c.edgeMu.Lock()
	defer c.edgeMu.Unlock()
	c.edges = append(c.edges, edge)
	return edge, nil
}

// Edges returns every edge of the clone.
func (c *Clone) Edges() []*Edge {
	c.edgeMu.Lock()
	defer c.edgeMu.Unlock()
	return slices.Clone(c.edges)
}

// Edge returns the edge between two nodes, nil when there is none.
func (c *Clone) Edge(from, to premortem.Node) *Edge {
	for _, e := range c.Edges() {
		if e.From() == from && e.To() == to {
			return e
		}
	}
	return nil
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

// Close stops everything that Start started and removes its files. It may be called
// again, and works when the context of Start is already dead. Its error names what
// could not be removed; the journal then stays, so that the next run tries again.
func (c *Clone) Close() error {
	c.closeMu.Lock()
	defer c.closeMu.Unlock()
	c.crew.mu.Lock()
	c.crew.closed = true
	c.crew.mu.Unlock()
	errs := []error{c.stopUnits()}
	for _, e := range c.Edges() {
		errs = append(errs, e.Close())
	}
	c.edgeMu.Lock()
	c.edges = nil
	c.edgeMu.Unlock()
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
		_, err := killMarked(c.scratch) // those that fled from their unit's group
		errs = append(errs, err, os.RemoveAll(c.scratch))
	}
	err := errors.Join(errs...)
	if c.journal != nil {
		err = errors.Join(err, c.journal.close(err == nil))
	}
	if err == nil {
		return nil
	}
	return &premortem.Error{
		Doing: "stop the clone", Err: err,
		Hint: "what is left is listed in " + journalPath(c.opts.State) + "; premortem clone down tries again",
	}
}

func (c *Clone) codeDir(s *premortem.Service) string {
	return filepath.Join(c.opts.Dir, filepath.FromSlash(s.Dir))
}

func cores() int { return runtime.GOMAXPROCS(0) }

// Announce writes the clone's addresses into the journal, for Status.
func (c *Clone) Announce() ([]string, error) {
	var lines []string
	for _, w := range c.plans {
		at := "http://" + w.edge.Addr()
		lines = append(lines, string(w.service.Node)+"  "+at)
		if err := c.journal.add(entry{Kind: "info", Name: string(w.service.Node), At: at}); err != nil {
			return nil, err
		}
	}
	if c.Database != nil {
		at := c.Database.Server.Addr()
		lines = append(lines, string(c.Database.Node)+"  "+at)
		if err := c.journal.add(entry{Kind: "info", Name: string(c.Database.Node), At: at}); err != nil {
			return nil, err
		}
	}
	return lines, nil
}
