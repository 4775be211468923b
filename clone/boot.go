package clone

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/premortem/premortem"
)

// Boot is what a unit did when it was started without some variables.
type Boot struct {
	Healthy bool
	Ended   bool          // its process ended; false for one that hung until it was stopped
	Exit    string        // how it ended, "" when it did not
	After   time.Duration // until it was healthy, ended or was given up
	Lines   []string      // its last lines
}

// TryBoot starts one more unit of a service with the clone's environment less the
// named variables, and stops it again. The running units are not touched. ok is false
// when the service cannot run a second time beside itself (a fixed port).
func (c *Clone) TryBoot(ctx context.Context, n premortem.Node, without ...string) (b Boot, ok bool, err error) {
	for _, w := range c.plans {
		if w.service.Node == n && len(portVariables(c.Sys, n)) > 0 {
			b, err = c.tryBoot(ctx, w, without)
			return b, err == nil, err
		}
	}
	return Boot{}, false, nil
}

// bootPatience is how long a unit that lacks a variable is watched at least. One that
// needs it at start ends within a second or two, but only after what it does before.
const bootPatience = 15 * time.Second

// patience is three times what the service itself needed to become healthy, so that a
// slow one is not called broken; beyond twice that, the start's own limit is enough.
func (c *Clone) patience(w *workload) time.Duration {
	return min(max(bootPatience, 3*w.took), max(c.opts.Settle, 2*w.took))
}

func (c *Clone) tryBoot(ctx context.Context, w *workload, without []string) (b Boot, err error) {
	env := w.env
	env.vars = maps.Clone(env.vars)
	for _, name := range without {
		delete(env.vars, name)
	}
	book, err := newLogBook("", c.opts.Secrets)
	if err != nil {
		return b, err
	}
	port, err := freePort()
	if err != nil {
		return b, err
	}
	began := time.Now()
	u, err := c.driver.Start(ctx, c.spec(w, w.want, env, port, book))
	if err != nil {
		return b, err
	}
	if !c.crew.join(u) {
		return b, errors.Join(errors.New("the clone was closed"), u.Stop())
	}
	defer c.crew.dismiss(u)
	b.Healthy = waitHealthy(ctx, u, w.service, c.patience(w)) == nil
	b.After, b.Ended, b.Exit = time.Since(began), ended(u), u.Exit()
	if err := u.Stop(); err != nil {
		return b, err
	}
	b.Lines = book.Last(20)
	return b, context.Cause(ctx)
}

// Filled lists the variables of a service to which the clone gave a placeholder.
func (c *Clone) Filled(n premortem.Node) []string {
	for _, w := range c.plans {
		if w.service.Node == n {
			return w.env.filled
		}
	}
	return nil
}

// Services lists the services that the clone runs.
func (c *Clone) Services() []premortem.Node {
	var out []premortem.Node
	for _, w := range c.plans {
		out = append(out, w.service.Node)
	}
	return out
}
