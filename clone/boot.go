package clone

import (
	"context"
	"maps"
	"time"

	"github.com/premortem/premortem"
)

// Boot is what a unit did when it was started without some variables.
type Boot struct {
	Healthy bool
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

// bootPatience is how long a unit that lacks a variable is watched. One that needs
// it at start ends within a second or two; one that hangs is not healthy either.
const bootPatience = 15 * time.Second

func (c *Clone) tryBoot(ctx context.Context, w *workload, without []string) (b Boot, err error) {
	env := w.env
	env.vars = maps.Clone(env.vars)
	for _, name := range without {
		delete(env.vars, name)
	}
	book, err := newLogBook("")
	if err != nil {
		return b, err
	}
	port, err := freePort()
	if err != nil {
		return b, err
	}
	began := time.Now()
	u, err := c.driver.Start(ctx, Spec{
		Node: w.service.Node, Replica: w.want, Dir: c.codeDir(w.service), Command: w.service.Command.Value,
		Env: env.list(port), Port: port, Log: book,
		Started: func(pid int) error { return c.journal.process(string(w.service.Node), pid) },
	})
	if err != nil {
		return b, err
	}
	b.Healthy = waitHealthy(ctx, u, w.service, min(c.opts.Settle, bootPatience)) == nil
	b.After, b.Exit = time.Since(began), u.Exit()
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
