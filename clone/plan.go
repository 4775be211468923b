package clone

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/premortem/premortem"
)

// planServices chooses what to run: the services of production's deployment whose
// code is here and which are not just files.
func (c *Clone) planServices() ([]*workload, error) {
	var out []*workload
	for _, s := range c.Sys.ServicesOf(c.Sys.Production) {
		switch {
		case s.Static:
			c.note(s.Node, "serves built files", "not started: static files")
			continue
		case s.Dir == "":
			c.note(s.Node, "image "+s.Image.Or("?"), "not started: its code is not in this repository")
			continue
		case !s.Command.Set() || len(s.Command.Value) == 0:
			return nil, &premortem.Error{
				Doing: "start " + string(s.Node), Pos: s.Pos, Err: errors.New("nothing says which command starts it"),
				Hint: fmt.Sprintf("write it in premortem.yaml: services: {%s: {command: [node, server.js]}}", s.Node.Name()),
			}
		}
		if err := c.dependenciesInstalled(s); err != nil {
			return nil, err
		}
		out = append(out, &workload{service: s, want: c.replicas(s)})
	}
	if len(out) == 0 {
		return nil, &premortem.Error{
			Doing: "clone production", Err: fmt.Errorf("deployment %q has no service whose code is in this repository", c.Sys.Production),
			Hint: "name production's deployment in premortem.yaml: production: k8s/overlays/prod",
		}
	}
	return out, nil
}

func (c *Clone) note(n premortem.Node, production, clone string) {
	c.Parity = append(c.Parity, premortem.Parity{Node: n, What: "service", Production: production, Clone: clone, Standing: "not modelled"})
}

// replicas is production's number, but no more than this machine has cores: more
// processes than cores would measure the scheduler.
func (c *Clone) replicas(s *premortem.Service) int {
	n := s.Replicas.Or(1)
	limit := c.opts.Replicas
	if limit == 0 {
		limit = max(1, cores())
	}
	if len(portVariables(c.Sys, s.Node)) == 0 {
		limit = 1 // the port is fixed in the code: two would collide
	}
	return max(1, min(n, limit))
}

// dependenciesInstalled fails early, with the command to run, when a Node project's
// packages are not there.
func (c *Clone) dependenciesInstalled(s *premortem.Service) error {
	dir := c.codeDir(s)
	manifest, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil || !strings.Contains(string(manifest), `"dependencies"`) {
		return nil
	}
	root, err := filepath.Abs(c.opts.Dir)
	if err != nil {
		return err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for d := abs; ; d = filepath.Dir(d) {
		if st, err := os.Stat(filepath.Join(d, "node_modules")); err == nil && st.IsDir() {
			return nil
		}
		if d == root || d == filepath.Dir(d) {
			break
		}
	}
	where := filepath.ToSlash(filepath.Join(c.opts.Dir, s.Dir))
	for d := abs; len(d) >= len(root); d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "package-lock.json")); err == nil {
			if rel, err := filepath.Rel(root, d); err == nil {
				where = filepath.ToSlash(filepath.Join(c.opts.Dir, rel))
			}
			break
		}
	}
	return &premortem.Error{
		Doing: "start " + string(s.Node), Pos: premortem.Pos{File: filepath.ToSlash(filepath.Join(s.Dir, "package.json"))},
		Err: errors.New("its packages are not installed (no node_modules)"), Hint: "run: npm ci --prefix " + where,
	}
}

func (c *Clone) logBook(n premortem.Node) (*LogBook, error) {
	c.bookMu.Lock()
	defer c.bookMu.Unlock()
	if b := c.book[n]; b != nil {
		return b, nil
	}
	path := ""
	if c.opts.Logs != "" {
		if err := os.MkdirAll(c.opts.Logs, 0o755); err != nil {
			return nil, &premortem.Error{Doing: "keep the logs", Err: err}
		}
		path = filepath.Join(c.opts.Logs, n.Name()+".log")
	}
	b, err := newLogBook(path, c.opts.Secrets)
	if err != nil {
		return nil, &premortem.Error{Doing: "keep the logs", Err: err}
	}
	c.book[n] = b
	return b, nil
}

// LogBook returns the lines that a service's units wrote, nil when it was not started.
func (c *Clone) LogBook(n premortem.Node) *LogBook {
	c.bookMu.Lock()
	defer c.bookMu.Unlock()
	return c.book[n]
}
