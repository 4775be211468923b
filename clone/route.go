package clone

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// routed replaces an address that has a scheme: another service of the clone gets its
// edge, anything else an address of ours that refuses.
func (c *Clone) routed(ctx context.Context, s *premortem.Service, set premortem.EnvSet) (string, error) {
	if parts := strings.Split(set.Value, ","); len(parts) > 1 && strings.Count(set.Value, "://") == len(parts) {
		for i, part := range parts {
			var err error
			if parts[i], err = c.routedOne(ctx, s, set, strings.TrimSpace(part)); err != nil {
				return "", err
			}
		}
		return strings.Join(parts, ","), nil
	}
	return c.routedOne(ctx, s, set, set.Value)
}

func (c *Clone) routedOne(ctx context.Context, s *premortem.Service, set premortem.EnvSet, value string) (string, error) {
	bare, jdbc := strings.CutPrefix(value, "jdbc:")
	u, err := url.Parse(bare)
	switch {
	case err == nil && u.Host == "" && u.Scheme == "file" && set.Plain:
		return value, nil // a file leads nowhere
	case err != nil || u.Hostname() == "":
		return c.standIn(set.Name), nil
	}
	edge, err := c.edgeTo(ctx, s, set, u.Hostname(), u.Scheme+"://"+u.Host)
	if err != nil {
		return "", err
	}
	scheme := u.Scheme
	switch scheme { // the edges speak no TLS
	case "https":
		scheme = "http"
	case "wss":
		scheme = "ws"
	}
	out := scheme + "://" + edge.Addr() + u.EscapedPath()
	if jdbc {
		out = "jdbc:" + out
	}
	return out, nil
}

// plain returns a plain setting as it is, unless it is an address without a scheme.
func (c *Clone) plain(ctx context.Context, s *premortem.Service, set premortem.EnvSet, stores []storeAddress) (string, error) {
	parts := strings.Split(set.Value, ",")
	for i, part := range parts {
		out, ok, err := c.plainOne(ctx, s, set, strings.TrimSpace(part), stores)
		if err != nil {
			return "", err
		}
		if !ok && len(parts) > 1 && !ownAddress(strings.TrimSpace(part)) {
			return set.Value, nil // a list of something else
		}
		if ok {
			parts[i] = out
		}
	}
	return strings.Join(parts, ","), nil
}

// plainOne gives a value's address in the clone. ok is false when it is none.
func (c *Clone) plainOne(ctx context.Context, s *premortem.Service, set premortem.EnvSet, value string, stores []storeAddress) (string, bool, error) {
	rest := ""
	if i := strings.IndexByte(value, '/'); i > 0 && namesAddress(set.Name) {
		value, rest = value[:i], value[i:] // api.vendor.example/v1
	}
	host, port, ok := hostPort(value)
	known := ok && !ownAddress(host) && !namesOwn(set.Name) && (c.serviceAt(host) != nil || storeAt(host, stores) != nil) && (port != "" || namesAddress(set.Name))
	if !known {
		if host, port, ok = outside(set.Name, value); !ok {
			return "", false, nil
		}
	}
	edge := storeAt(host, stores)
	if edge == nil {
		var err error
		if edge, err = c.edgeTo(ctx, s, set, host, value); err != nil {
			return "", false, err
		}
	}
	if twin := portTwin(set.Name); port == "" && rest == "" && twin != "" && c.reads(s, twin) {
		if c.split == nil {
			c.split = map[splitPort]string{}
		}
		ip, number, err := net.SplitHostPort(edge.Addr())
		c.split[splitPort{s.Node, twin}] = number
		return ip, err == nil, err
	}
	return edge.Addr() + rest, true, nil
}

// splitPort is a variable that holds the port of an address whose host is in another.
type splitPort struct {
	service premortem.Node
	name    string
}

// portTwin is SMTP_PORT for SMTP_HOST, "" when the name has no such twin.
func portTwin(name string) string {
	prefix, last, ok := cutLast(name, "_")
	if ok && (strings.EqualFold(last, "HOST") || strings.EqualFold(last, "HOSTNAME") || strings.EqualFold(last, "SERVER") || strings.EqualFold(last, "ADDR") || strings.EqualFold(last, "ADDRESS")) {
		if strings.ToUpper(name) == name {
			return prefix + "_PORT"
		}
		return prefix + "_port"
	}
	return ""
}

// reads says whether a service is given the variable, or its code asks for it.
func (c *Clone) reads(s *premortem.Service, name string) bool {
	return slices.ContainsFunc(s.Provides, func(e premortem.EnvSet) bool { return e.Name == name }) ||
		slices.ContainsFunc(c.Sys.EnvOf(s.Node), func(v *premortem.EnvVar) bool { return v.Name == name })
}

// splitPorts sets the ports that belong to hosts which got an edge.
func (c *Clone) splitPorts(s *premortem.Service, vars map[string]string) {
	for at, port := range c.split {
		if at.service == s.Node {
			vars[at.name] = port
		}
	}
}

// serviceAt finds the workload that production reaches under a host name.
func (c *Clone) serviceAt(host string) *workload {
	for _, w := range c.plans {
		if name := w.service.Node.Name(); host == name || strings.HasPrefix(host, name+".") {
			return w
		}
	}
	return nil
}

func storeAt(host string, stores []storeAddress) *Edge {
	for _, a := range stores {
		if slices.Contains(a.hosts, host) {
			return a.edge
		}
	}
	return nil
}

// edgeTo gives the edge that stands for a host: that of a service of the clone, which
// gets its targets when the units are healthy, or one that refuses.
func (c *Clone) edgeTo(ctx context.Context, s *premortem.Service, set premortem.EnvSet, host, written string) (edge *Edge, err error) {
	if w := c.serviceAt(host); w != nil {
		if edge = c.Edge(s.Node, w.service.Node); edge == nil {
			edge, err = c.open(ctx, s.Node, w.service.Node, "http")
		}
		return edge, err
	}
	to := premortem.Node("thirdparty/" + host)
	if edge = c.Edge(s.Node, to); edge == nil {
		if edge, err = c.open(ctx, s.Node, to, "refused"); err != nil {
			return nil, err
		}
	}
	c.Parity = append(c.Parity, premortem.Parity{
		Node: s.Node, What: "address " + set.Name, Production: written, Clone: "refuses",
		Standing: "not modelled", Pos: set.Pos,
	})
	return edge, nil
}
