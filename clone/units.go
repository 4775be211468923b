package clone

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/premortem/premortem"
)

// workload is a service of the production deployment and its running units.
type workload struct {
	service *premortem.Service
	env     environ
	edge    *Edge
	units   []Unit // guarded by crew.mu; nil until all of the service's are healthy
	want    int
	took    time.Duration // until the slowest unit of the latest start was healthy
}

// crew is every process that the clone holds, published or not yet. Probes read it
// while units are started and stopped.
type crew struct {
	mu     sync.Mutex
	live   []Unit // started and not yet stopped by us
	next   int    // number of the next unit
	closed bool   // no unit starts any more
}

// join takes a unit that has just started. It is false after Close, when nobody
// would stop it.
func (k *crew) join(u Unit) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	k.live = append(k.live, u)
	return true
}

// dismiss forgets units that have been stopped.
func (k *crew) dismiss(units ...Unit) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.live = slices.DeleteFunc(k.live, func(u Unit) bool { return slices.Contains(units, u) })
}

// number is different for each unit of a clone.
func (k *crew) number() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next++
	return k.next
}

// Ended is a unit that has ended without being asked to.
type Ended struct {
	Node    premortem.Node
	Replica int
	Exit    string   // "exit status 1", "signal: killed"
	Lines   []string // its last lines
}

// Units returns the running units of all services. It is safe for concurrent use;
// while units are started anew it returns those of the services that are healthy.
func (c *Clone) Units() []Unit {
	c.crew.mu.Lock()
	defer c.crew.mu.Unlock()
	var out []Unit
	for _, w := range c.plans {
		out = append(out, w.units...)
	}
	return out
}

func (c *Clone) unitsOf(w *workload) []Unit {
	c.crew.mu.Lock()
	defer c.crew.mu.Unlock()
	return slices.Clone(w.units)
}

func (c *Clone) publish(w *workload, units []Unit) {
	c.crew.mu.Lock()
	w.units = slices.Clone(units)
	c.crew.mu.Unlock()
	var addrs []string
	for _, u := range units {
		addrs = append(addrs, u.Addr())
	}
	for _, e := range c.Edges() { // the users' edge and those of the services that call it
		if e.To() == w.service.Node {
			e.SetTargets("tcp", addrs...)
		}
	}
}

// Ended lists the units that have ended by themselves since they were started, by the
// latest of Start, Restart, Reset, Set and Revive. It is safe for concurrent use.
func (c *Clone) Ended() []Ended {
	var out []Ended
	for _, w := range c.plans {
		for _, u := range c.unitsOf(w) {
			if ended(u) {
				out = append(out, Ended{Node: u.Node(), Replica: u.Replica(), Exit: u.Exit(), Lines: linesOf(u, 20)})
			}
		}
	}
	return out
}

// ended says whether the unit's process is gone.
func ended(u Unit) bool {
	select {
	case <-u.Done():
		return true
	default:
		return false
	}
}

// Revive starts the units that have ended by themselves again, waits until they are
// healthy and lets the edges lead to them. The others are not touched.
func (c *Clone) Revive(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	revived := make([][]Unit, len(c.plans))
	for i, w := range c.plans {
		units := c.unitsOf(w)
		if !slices.ContainsFunc(units, ended) {
			continue
		}
		revived[i] = units
		for j, u := range units {
			if !ended(u) {
				continue
			}
			g.Go(func() error {
				if err := u.Stop(); err != nil { // what it left behind, and its output to the end
					return err
				}
				c.crew.dismiss(u)
				v, _, err := c.startHealthy(ctx, w, u.Replica())
				if err == nil {
					units[j] = v
				}
				return err
			})
		}
	}
	err := g.Wait()
	for i, units := range revived {
		if units != nil {
			c.publish(c.plans[i], units)
		}
	}
	return err
}

// startUnits starts every replica and waits until all are healthy. A service's edges
// lead to it as soon as its own units are healthy: others may need it to become so.
func (c *Clone) startUnits(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, w := range c.plans {
		g.Go(func() error { return c.startWorkload(ctx, w) })
	}
	if err := g.Wait(); err != nil {
		return errors.Join(err, c.stopUnits())
	}
	return nil
}

func (c *Clone) startWorkload(ctx context.Context, w *workload) error {
	g, ctx := errgroup.WithContext(ctx)
	units, took := make([]Unit, w.want), make([]time.Duration, w.want)
	for i := range w.want {
		g.Go(func() (err error) {
			units[i], took[i], err = c.startHealthy(ctx, w, i)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	w.took = slices.Max(took)
	c.publish(w, units)
	return nil
}

// startHealthy starts one replica and waits until it is healthy. A port that another
// program took in the moment between is tried once more, with another.
func (c *Clone) startHealthy(ctx context.Context, w *workload, replica int) (u Unit, took time.Duration, err error) {
	for attempt := range 2 {
		began := time.Now()
		if u, err = c.startUnit(ctx, w, replica, w.env); err != nil {
			return nil, 0, err
		}
		if !c.crew.join(u) {
			return nil, 0, errors.Join(&premortem.Error{Doing: fmt.Sprintf("start %s", w.service.Node), Err: errors.New("the clone was closed")}, u.Stop())
		}
		if err = waitHealthy(ctx, u, w.service, c.opts.Settle); err == nil {
			return u, time.Since(began), nil
		}
		if attempt > 0 || !c.anyPort(w.service) || !portTaken(u) {
			break
		}
		if stop := u.Stop(); stop != nil {
			return nil, 0, errors.Join(err, stop)
		}
		c.crew.dismiss(u)
	}
	return nil, 0, c.explainPort(w.service, err)
}

// startUnit starts one replica with the environment env.
func (c *Clone) startUnit(ctx context.Context, w *workload, replica int, env environ) (Unit, error) {
	s := w.service
	port, err := c.port(s)
	if err != nil {
		return nil, err
	}
	book, err := c.logBook(s.Node)
	if err != nil {
		return nil, err
	}
	return c.driver.Start(ctx, c.spec(w, replica, env, port, book))
}

func (c *Clone) spec(w *workload, replica int, env environ, port int, book *LogBook) Spec {
	s, run := w.service, filepath.Join(c.scratch, "unit-"+strconv.Itoa(c.crew.number()))
	return Spec{
		Node: s.Node, Replica: replica, Dir: c.codeDir(s), Command: s.Command.Value,
		Env: env.list(port, run), Port: port, Log: book, Run: run,
		Started: func(pid int) error { return c.journal.process(string(s.Node), pid) },
	}
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

// stopUnits stops every unit. The edges lead nowhere until the next start: a port
// that is free again may be given to someone else.
func (c *Clone) stopUnits() error {
	for _, w := range c.plans {
		c.publish(w, nil)
	}
	c.crew.mu.Lock()
	live := slices.Clone(c.crew.live)
	c.crew.mu.Unlock()
	errs := make([]error, len(live))
	var g sync.WaitGroup
	for i, u := range live {
		g.Go(func() {
			if errs[i] = u.Stop(); errs[i] == nil {
				c.crew.dismiss(u)
			}
		})
	}
	g.Wait()
	return errors.Join(errs...)
}
