package clone

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/premortem/premortem"
)

// ledger writes down how the clone compares with production, attribute by attribute.
func (c *Clone) ledger() {
	for _, w := range c.plans {
		c.serviceParity(w)
	}
	if c.Database != nil {
		c.databaseParity(c.Database)
	}
	for _, b := range c.Sys.Balancers {
		if c.Sys.IsProduction(b.Deployment) {
			p := premortem.Parity{Node: b.To, What: b.Kind, Production: "in front", Clone: "plain proxy", Standing: "not modelled", Pos: b.Pos}
			if b.IdleTimeout.Set() {
				p.Production = fmt.Sprintf("idle timeout %g s", b.IdleTimeout.Value)
				p.Pos = b.IdleTimeout.Pos
			}
			c.Parity = append(c.Parity, p)
		}
	}
	for _, t := range c.Sys.ThirdParties {
		p := premortem.Parity{Node: t.Node, What: "third party", Production: strings.Join(t.Hosts, ", "), Clone: "refuses", Standing: "not modelled"}
		if len(t.Uses) > 0 {
			p.Pos = t.Uses[0].Pos
		}
		c.Parity = append(c.Parity, p)
	}
	slices.SortStableFunc(c.Parity, func(a, b premortem.Parity) int {
		if d := strings.Compare(string(a.Node), string(b.Node)); d != 0 {
			return d
		}
		return strings.Compare(a.What, b.What)
	})
}

func (c *Clone) add(n premortem.Node, what, production, clone, standing string, pos premortem.Pos) {
	c.Parity = append(c.Parity, premortem.Parity{Node: n, What: what, Production: production, Clone: clone, Standing: standing, Pos: pos})
}

func standing(production, clone string) string {
	if production == clone {
		return "equal"
	}
	return "scaled"
}

func (c *Clone) serviceParity(w *workload) {
	s := w.service
	replicas := strconv.Itoa(s.Replicas.Or(1))
	c.add(s.Node, "replicas", replicas, strconv.Itoa(w.want), standing(replicas, strconv.Itoa(w.want)), s.Replicas.Pos)
	if s.CPU.Set() {
		c.add(s.Node, "cpu limit", fmt.Sprintf("%g cores", s.CPU.Value), fmt.Sprintf("shares %d cores with everything", cores()), "not modelled", s.CPU.Pos)
	}
	if s.Memory.Set() {
		c.add(s.Node, "memory limit", fmt.Sprintf("%d MB", s.Memory.Value>>20), "none", "not modelled", s.Memory.Pos)
	}
	c.add(s.Node, "command", strings.Join(s.Command.Value, " "), strings.Join(s.Command.Value, " "), "equal", s.Command.Pos)
	c.runtimeParity(s)
	for _, set := range s.Provides {
		switch value := w.env.vars[set.Name]; {
		case slices.Contains(w.env.ports, set.Name):
			c.add(s.Node, "variable "+set.Name, set.Value, "a free port", "scaled", set.Pos)
		case set.Plain && value == set.Value:
			c.add(s.Node, "variable "+set.Name, set.Value, set.Value, "equal", set.Pos)
		case strings.HasPrefix(value, "rehearsal_"):
			c.add(s.Node, "variable "+set.Name, "a secret", "a stand-in", "not modelled", set.Pos)
		case !slices.ContainsFunc(c.Parity, func(p premortem.Parity) bool { return p.What == "address "+set.Name }):
			c.add(s.Node, "variable "+set.Name, "an address", "the clone's own", "equal", set.Pos)
		}
	}
}

// runtimeParity compares the runtime that production's image names with the one here.
func (c *Clone) runtimeParity(s *premortem.Service) {
	for _, r := range c.Sys.Runtimes {
		if r.Service != s.Node || !r.Runs || r.Language != "node" {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, "node", "--version").Output()
		if err != nil {
			return
		}
		here := strings.TrimPrefix(strings.TrimSpace(string(out)), "v")
		st := "not modelled"
		if major(r.Version.Value) == major(here) && major(here) != "" {
			st = "equal"
		}
		c.add(s.Node, "runtime", "node "+r.Version.Value, "node "+here, st, r.Version.Pos)
		return
	}
}

func (c *Clone) databaseParity(d *Database) {
	first := d.stores[0]
	if v := first.Version; v.Set() {
		st := "not modelled"
		if major(v.Value) == strconv.Itoa(d.binaries.Major) {
			st = "equal"
		}
		c.add(d.Node, "engine version", v.Value, d.binaries.Version, st, v.Pos)
	} else {
		c.add(d.Node, "engine version", "not written", d.binaries.Version, "not modelled", first.Pos)
	}
	if m := first.MaxConnections; m.Set() {
		v := strconv.Itoa(m.Value)
		c.add(d.Node, "max_connections", v, v, "equal", m.Pos)
	}
	if first.Class.Set() {
		c.add(d.Node, "instance class", first.Class.Value, fmt.Sprintf("shares %d cores; shared_buffers 256 MB", cores()), "not modelled", first.Class.Pos)
	}
	for _, w := range c.Sys.Database.Rows {
		n := d.pristine.Count(w.Table)
		want, got := strconv.Itoa(w.Rows.Value), strconv.FormatInt(n, 10)
		c.add(d.Node, "rows of "+w.Table, want, got, standing(want, got), w.Rows.Pos)
	}
}

// says names the largest tables with their rows.
func (d *Database) says(wishes []premortem.RowWish) string {
	parts := []string{"PostgreSQL " + d.binaries.Version}
	sorted := slices.Clone(wishes)
	slices.SortStableFunc(sorted, func(a, b premortem.RowWish) int { return b.Rows.Value - a.Rows.Value })
	for i, w := range sorted {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("%d more tables", len(sorted)-i))
			break
		}
		parts = append(parts, w.Table+" "+thousands(d.pristine.Count(w.Table)))
	}
	return strings.Join(parts, " · ")
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
