package clone

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/url"
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

func (e environ) list(port int) []string {
	vars := maps.Clone(e.vars)
	for _, p := range e.ports {
		vars[p] = strconv.Itoa(port)
	}
	maps.Copy(vars, e.over)
	var out []string
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		out = append(out, k+"="+vars[k])
	}
	return out
}

// environFor makes the environment of a service.
func (c *Clone) environFor(ctx context.Context, s *premortem.Service) (environ, error) {
	e := environ{vars: map[string]string{}, ports: portVariables(c.Sys, s.Node)}
	if err := c.system(e.vars); err != nil {
		return e, err
	}
	stores, err := c.storeAddresses(ctx, s)
	if err != nil {
		return e, err
	}
	for _, set := range s.Provides {
		value, err := c.value(ctx, s, set, stores)
		if err != nil {
			return e, err
		}
		e.vars[set.Name] = value
	}
	for _, v := range c.Sys.EnvOf(s.Node) {
		if _, ok := e.vars[v.Name]; ok || slices.Contains(e.ports, v.Name) {
			continue
		}
		if v.Class != premortem.EnvBoot && v.Class != premortem.EnvUse {
			continue // the code has its own default
		}
		value, err := c.value(ctx, s, premortem.EnvSet{Name: v.Name}, stores)
		if err != nil {
			return e, err
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
	return e, nil
}

// system sets what any process needs, and nothing of our own environment beyond PATH.
func (c *Clone) system(vars map[string]string) error {
	home := filepath.Join(c.scratch, "home")
	preload := filepath.Join(c.scratch, "preload.cjs")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return &premortem.Error{Doing: "make a home for the units", Err: err}
	}
	if err := os.WriteFile(preload, preloadSource, 0o644); err != nil {
		return &premortem.Error{Doing: "write the preload", Err: err}
	}
	vars["PATH"] = os.Getenv("PATH")
	vars["HOME"] = home
	vars["TMPDIR"] = c.scratch
	vars["LANG"] = "C.UTF-8"
	vars["NODE_OPTIONS"] = "--require=" + preload
	return nil
}

// storeAddress is where a service finds a store in the clone.
type storeAddress struct {
	store *premortem.Store
	hosts []string
	edge  *Edge
}

func (c *Clone) storeAddresses(ctx context.Context, s *premortem.Service) ([]storeAddress, error) {
	var out []storeAddress
	for _, d := range c.Sys.From(s.Node) {
		descriptions := c.Sys.StoresOf(d.To)
		if len(descriptions) == 0 || slices.ContainsFunc(out, func(a storeAddress) bool { return a.store.Node == d.To }) {
			continue
		}
		a := storeAddress{store: descriptions[0]}
		for _, st := range descriptions {
			a.hosts = append(a.hosts, st.Hosts...)
		}
		network, target := c.storeTarget(d.To)
		proto := descriptions[0].Kind
		if target == "" {
			proto = "refused"
		}
		edge, err := c.open(ctx, s.Node, d.To, proto)
		if err != nil {
			return nil, err
		}
		if target != "" {
			edge.SetTargets(network, target)
		}
		a.edge = edge
		out = append(out, a)
	}
	return out, nil
}

func (c *Clone) storeTarget(n premortem.Node) (network, addr string) {
	if c.Database != nil && c.Database.Node == n {
		return "tcp", c.Database.Server.Addr()
	}
	for _, r := range c.redis {
		if r.node == n {
			return "tcp", r.addr
		}
	}
	return "", ""
}

// value decides what a variable holds in the clone: the address of an edge, the
// plain setting itself, an address that refuses, or a stand-in for a secret.
func (c *Clone) value(ctx context.Context, s *premortem.Service, set premortem.EnvSet, stores []storeAddress) (string, error) {
	if a, ok := c.storeOf(s, set, stores); ok {
		return c.storeValue(set, a), nil
	}
	if part, a, ok := partOf(s, set.Name, stores); ok {
		return c.storePart(part, a), nil
	}
	switch {
	case set.Empty:
		return "", nil
	case set.Plain && !strings.Contains(set.Value, "://"):
		return set.Value, nil
	case strings.Contains(set.Value, "://"):
		return c.routed(ctx, s, set)
	}
	return c.standIn(set.Name), nil
}

// storeOf finds the store whose address the variable holds: by what the code says,
// by the scheme of the value, or by its host.
func (c *Clone) storeOf(s *premortem.Service, set premortem.EnvSet, stores []storeAddress) (storeAddress, bool) {
	for _, d := range c.Sys.From(s.Node) {
		if d.Env.Set() && d.Env.Value == set.Name {
			for _, a := range stores {
				if a.store.Node == d.To {
					return a, true
				}
			}
		}
	}
	u, err := url.Parse(set.Value)
	if err != nil || u.Host == "" {
		return storeAddress{}, false
	}
	for _, a := range stores {
		if slices.Contains(a.hosts, u.Hostname()) || schemeOf(a.store.Kind) == strings.TrimSuffix(u.Scheme, "s") ||
			(a.store.Kind == "postgres" && u.Scheme == "postgresql") {
			return a, true
		}
	}
	return storeAddress{}, false
}

func schemeOf(kind string) string {
	if kind == "postgres" {
		return "postgre" // "postgres" less the trailing s that marks TLS elsewhere
	}
	return kind
}

func (c *Clone) storeValue(set premortem.EnvSet, a storeAddress) string {
	host := a.edge.Addr()
	switch a.store.Kind {
	case "postgres":
		scheme := "postgres"
		if strings.HasPrefix(set.Value, "postgresql:") {
			scheme = "postgresql"
		}
		u := url.URL{Scheme: scheme, Host: host, Path: "/" + liveDatabase}
		if c.Database != nil {
			u.User = url.UserPassword(appRole, c.Database.password)
		}
		return u.String()
	case "redis":
		return "redis://" + host
	}
	return host
}

// partOf recognises addresses that are spread over several variables: X_HOST,
// X_PORT, X_USER, X_PASSWORD, X_NAME and libpq's own names.
func partOf(s *premortem.Service, name string, stores []storeAddress) (string, storeAddress, bool) {
	parts := map[string]string{
		"HOST": "host", "HOSTNAME": "host", "PORT": "port", "USER": "user", "USERNAME": "user", "PASSWORD": "password",
		"PASS": "password", "NAME": "name", "DATABASE": "name", "DB": "name",
	}
	prefix, last, ok := cutLast(name, "_")
	if strings.HasPrefix(name, "PG") && !ok {
		prefix, last, ok = "PG", strings.TrimPrefix(name, "PG"), true
	}
	part := parts[last]
	if !ok || part == "" {
		return "", storeAddress{}, false
	}
	for _, a := range stores {
		if kindOfPrefix(prefix) == a.store.Kind {
			return part, a, true
		}
		for _, set := range s.Provides {
			p, l, _ := cutLast(set.Name, "_")
			if p == prefix && parts[l] == "host" && slices.Contains(a.hosts, set.Value) {
				return part, a, true
			}
		}
	}
	return "", storeAddress{}, false
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func kindOfPrefix(prefix string) string {
	switch {
	case prefix == "DB" || strings.HasPrefix(prefix, "DATABASE") || strings.HasPrefix(prefix, "PG") || strings.HasPrefix(prefix, "POSTGRES"):
		return "postgres"
	case strings.HasPrefix(prefix, "REDIS") || strings.HasPrefix(prefix, "CACHE"):
		return "redis"
	}
	return ""
}

func (c *Clone) storePart(part string, a storeAddress) string {
	host, port, _ := net.SplitHostPort(a.edge.Addr())
	switch part {
	case "host":
		return host
	case "port":
		return port
	}
	if a.store.Kind != "postgres" || c.Database == nil {
		return ""
	}
	return map[string]string{"user": appRole, "password": c.Database.password, "name": liveDatabase}[part]
}

// routed replaces an address: another service of the clone gets its edge, anything
// else an address of ours that refuses.
func (c *Clone) routed(ctx context.Context, s *premortem.Service, set premortem.EnvSet) (string, error) {
	u, err := url.Parse(set.Value)
	if err != nil {
		return c.standIn(set.Name), nil
	}
	for _, w := range c.plans {
		name := w.service.Node.Name()
		if host := u.Hostname(); host == name || strings.HasPrefix(host, name+".") {
			edge := c.Edge(s.Node, w.service.Node)
			if edge == nil {
				if edge, err = c.open(ctx, s.Node, w.service.Node, "http"); err != nil {
					return "", err
				}
				edge.SetTargets("tcp", w.edge.Addr())
			}
			return "http://" + edge.Addr() + u.Path, nil
		}
	}
	to := premortem.Node("thirdparty/" + u.Hostname())
	edge := c.Edge(s.Node, to)
	if edge == nil {
		if edge, err = c.open(ctx, s.Node, to, "refused"); err != nil {
			return "", err
		}
	}
	c.Parity = append(c.Parity, premortem.Parity{
		Node: s.Node, What: "address " + set.Name, Production: u.Scheme + "://" + u.Host, Clone: "refuses",
		Standing: "not modelled", Pos: set.Pos,
	})
	return "http://" + edge.Addr() + u.Path, nil
}

// standIn is a value for a secret that is worth nothing anywhere: the same for the
// same seed and name, so that runs can be repeated.
func (c *Clone) standIn(name string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%s", c.opts.Seed, name))
	return "rehearsal_" + hex.EncodeToString(sum[:])[:40]
}
