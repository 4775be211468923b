package clone

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// environ is the environment of a service's units. It holds only what production's
// deployment provides, with each address replaced by one that the clone made.
type environ struct {
	vars  map[string]string
	ports []string // variables that get the unit's own port
	over  map[string]string
	// filled names the variables that production does not provide and that the clone
	// gives a placeholder, because without them nothing could be rehearsed.
	filled []string
}

// markVariable marks every process of a unit, so that it can be found wherever it went.
const markVariable = "PREMORTEM_RUN"

// list is the environment of the unit that listens on port and carries the mark run.
func (e environ) list(port int, run string) []string {
	vars := maps.Clone(e.vars)
	for _, p := range e.ports {
		vars[p] = strconv.Itoa(port)
	}
	for name, value := range e.over {
		if !reserved(name) {
			vars[name] = value
		}
	}
	vars[markVariable] = run
	var out []string
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		out = append(out, k+"="+vars[k])
	}
	return out
}

// environFor makes the environment of a service.
func (c *Clone) environFor(ctx context.Context, s *premortem.Service) (environ, error) {
	e := environ{vars: map[string]string{}, ports: portVariables(c.Sys, s.Node)}
	stores, err := c.storeAddresses(ctx, s)
	if err != nil {
		return e, err
	}
	for _, set := range s.Provides {
		if reserved(set.Name) {
			continue
		}
		value, err := c.value(ctx, s, set, stores)
		if err != nil {
			return e, err
		}
		e.vars[set.Name] = value
	}
	if err := c.fill(ctx, s, &e, stores); err != nil {
		return e, err
	}
	c.splitPorts(s, e.vars)
	return e, c.system(s, e.vars) // last: nothing of production's may stand in its place
}

// fill gives a placeholder to what the code needs and production does not provide.
func (c *Clone) fill(ctx context.Context, s *premortem.Service, e *environ, stores []storeAddress) error {
	for _, v := range c.Sys.EnvOf(s.Node) {
		if _, ok := e.vars[v.Name]; ok || slices.Contains(e.ports, v.Name) || reserved(v.Name) || v.Name == "LANG" {
			continue
		}
		if v.Class != premortem.EnvBoot && v.Class != premortem.EnvUse {
			continue // the code has its own default
		}
		value, err := c.value(ctx, s, premortem.EnvSet{Name: v.Name}, stores)
		if err != nil {
			return err
		}
		e.vars[v.Name] = value
		e.filled = append(e.filled, v.Name)
		standing := premortem.Parity{
			Node: s.Node, What: "variable " + v.Name, Production: "not provided", Clone: "a placeholder", Standing: "not modelled",
			Why: "nothing can be rehearsed without it", Pos: v.Reads[0].Pos,
		}
		if p, _ := c.Sys.Provision(c.Sys.Production, s.Node, v.Name); p == premortem.ProvisionUnknown {
			standing.Production = "unknown: a source cannot be listed"
		}
		c.Parity = append(c.Parity, standing)
	}
	return nil
}

// reserved says whether a variable decides what a process is and whether it is
// guarded. Production's own value of these is never taken.
func reserved(name string) bool {
	switch name {
	case "PATH", "HOME", "TMPDIR", "TMP", "TEMP", "NODE_OPTIONS", markVariable:
		return true
	}
	return strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "DYLD_")
}

// system sets what any process needs, and nothing of our own environment beyond PATH.
func (c *Clone) system(s *premortem.Service, vars map[string]string) error {
	home := filepath.Join(c.scratch, "home")
	preload := filepath.Join(c.scratch, "preload.cjs")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return &premortem.Error{Doing: "make a home for the units", Err: err}
	}
	if err := os.WriteFile(preload, preloadSource, 0o644); err != nil {
		return &premortem.Error{Doing: "write the preload", Err: err}
	}
	vars["PATH"] = c.path(s)
	vars["HOME"] = home
	vars["TMPDIR"] = c.scratch
	if vars["LANG"] == "" {
		vars["LANG"] = "C.UTF-8"
	}
	// Quoted as Node wants it: the temporary folder's name may hold spaces.
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(preload)
	vars["NODE_OPTIONS"] = `--require="` + quoted + `"`
	for _, set := range s.Provides {
		if set.Name == "NODE_OPTIONS" && set.Plain && set.Value != "" {
			vars["NODE_OPTIONS"] += " " + set.Value // the heap's limit, for one, is part of production
		}
	}
	return nil
}

// path is ours, behind the programs that the packages of the service's folder and of
// those around it bring: what npm does for its scripts.
func (c *Clone) path(s *premortem.Service) string {
	dirs := []string{}
	root, err := filepath.Abs(c.opts.Dir)
	at, err2 := filepath.Abs(c.codeDir(s))
	if err == nil && err2 == nil {
		for {
			bin := filepath.Join(at, "node_modules", ".bin")
			if st, err := os.Stat(bin); err == nil && st.IsDir() {
				dirs = append(dirs, bin)
			}
			if at == root || at == filepath.Dir(at) {
				break
			}
			at = filepath.Dir(at)
		}
	}
	return strings.Join(append(dirs, os.Getenv("PATH")), string(filepath.ListSeparator))
}

// standIn is a value for a secret that is worth nothing anywhere: the same for the
// same seed and name, so that runs can be repeated.
func (c *Clone) standIn(name string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%s", c.opts.Seed, name))
	return "rehearsal_" + hex.EncodeToString(sum[:])[:40]
}
