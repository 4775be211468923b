package clone

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"
)

// hearing is how long a healthy Node unit may take to say that its preload loaded.
const hearing = 2 * time.Second

// listenToPreloads notes which services run without our preload: nothing refuses the
// addresses in their code, and nobody watches their event loop.
func (c *Clone) listenToPreloads(ctx context.Context) {
	t := time.NewTimer(hearing)
	defer t.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := false
	for {
		silent := c.silent()
		waiting := false
		for _, w := range silent {
			waiting = waiting || c.isNode(w)
		}
		if !waiting || late || ctx.Err() != nil {
			for _, w := range silent {
				c.Notes = append(c.Notes, c.unguarded(w))
			}
			return
		}
		select {
		case <-tick.C:
		case <-t.C:
			late = true
		case <-ctx.Done():
		}
	}
}

// silent lists the services of which a unit has not reported.
func (c *Clone) silent() []*workload {
	var out []*workload
	for _, w := range c.plans {
		for _, u := range c.unitsOf(w) {
			if p, ok := u.(*process); ok && !p.speaks() {
				out = append(out, w)
				break
			}
		}
	}
	return out
}

func (c *Clone) unguarded(w *workload) string {
	n := w.service.Node
	if c.isNode(w) {
		return fmt.Sprintf("%s: its Node process did not load the preload: its event loop is not watched, and its units can reach outside addresses that are written in their code", n)
	}
	return fmt.Sprintf("%s is not a Node program: units of %s can reach outside addresses that are written in their code", n, n)
}

// isNode says whether the service's command or its image runs Node.
func (c *Clone) isNode(w *workload) bool {
	for _, r := range c.Sys.Runtimes {
		if r.Service == w.service.Node && r.Runs {
			return r.Language == "node"
		}
	}
	for _, word := range strings.Fields(strings.Join(w.service.Command.Value, " ")) {
		switch path.Base(word) {
		case "node", "nodejs", "npm", "npx", "yarn", "pnpm", "tsx", "ts-node", "nodemon", "pm2-runtime", "next", "nest":
			return true
		}
	}
	return false
}
