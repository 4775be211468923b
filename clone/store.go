package clone

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

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
	isURL := strings.Contains(set.Value, "://")
	if part, a, ok := partOf(s, set.Name, stores); ok && !isURL {
		return c.storePart(part, set, a), nil
	}
	if a, ok := c.storeOf(s, set, stores); ok {
		return c.storeValue(set, a), nil
	}
	switch {
	case set.Empty:
		return "", nil
	case isURL:
		return c.routed(ctx, s, set)
	case set.Plain:
		return c.plain(ctx, s, set, stores)
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
	if set.Value != "" && !strings.Contains(set.Value, "://") {
		return host // production's has no scheme either
	}
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

func (c *Clone) storePart(part string, set premortem.EnvSet, a storeAddress) string {
	host, port, _ := net.SplitHostPort(a.edge.Addr())
	switch part {
	case "host":
		return host
	case "port":
		return port
	}
	if a.store.Kind != "postgres" || c.Database == nil {
		if part == "name" && set.Plain {
			return set.Value // the number of a Redis database
		}
		return ""
	}
	return map[string]string{"user": appRole, "password": c.Database.password, "name": liveDatabase}[part]
}
