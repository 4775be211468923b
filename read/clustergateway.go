package read

import (
	"strings"

	"github.com/premortem/premortem"
)

// gatewayRoute makes a balancer for each service behind a route of the Gateway API,
// with the shortest of its timeouts.
func (c *cluster) gatewayRoute(o *object, made []*workload) {
	b := premortem.Balancer{Deployment: c.deployment, Kind: "gateway", Pos: o.pos(), Software: c.gatewaySoftware(o)}
	var to []backend
	for i, r := range items(o.get("spec", "rules")) {
		rule := []string{"spec", "rules", "#" + itoa(min(i, 9))}
		for _, key := range []string{"request", "backendRequest"} {
			s := secondsOf(o.word(under(rule, "timeouts", key)...))
			if i > 9 || !s.Set() || s.Value == 0 {
				continue
			}
			if !b.RequestTimeout.Set() || s.Value < b.RequestTimeout.Value {
				b.RequestTimeout = s
			}
		}
		if n := intOf(o.word(under(rule, "retry", "attempts")...)); n.Set() && i <= 9 {
			b.Retries = n
		}
		for j, ref := range items(field(r, "backendRefs")) {
			kind, name := text(field(ref, "kind")), text(field(ref, "name"))
			if name == "" || kind != "" && kind != "Service" {
				continue
			}
			be := backend{service: name}
			if port := text(field(ref, "port")); port != "" {
				be.port = premortem.Setting[string]{Value: port, Pos: c.routePort(o, []int{i, j}, "rules", "backendRefs")}
			}
			to = append(to, be)
		}
	}
	c.front(b, o, "gateway", to, made)
}

// gatewaySoftware is the proxy of the gateway class that a route hangs on, "" when
// the tree does not say.
func (c *cluster) gatewaySoftware(o *object) string {
	for _, parent := range items(o.get("spec", "parentRefs")) {
		gw := c.object("Gateway", text(field(parent, "name")))
		if gw == nil {
			continue
		}
		switch class := text(gw.get("spec", "gatewayClassName")); {
		case strings.HasPrefix(class, "gke-"):
			return "gcp-external-alb"
		case class == "istio":
			return "istio"
		case class == "eg" || strings.Contains(class, "envoy") || class == "contour" || class == "cilium":
			return "envoy"
		case strings.Contains(class, "nginx"):
			return "nginx"
		case strings.Contains(class, "alb"):
			return "aws-alb"
		}
	}
	return ""
}

// virtualService makes a balancer of an Istio VirtualService that hangs on a gateway.
// One of the mesh alone stands before no user.
func (c *cluster) virtualService(o *object, made []*workload) {
	gateways := texts(o.get("spec", "gateways"))
	if len(gateways) == 0 || len(gateways) == 1 && gateways[0] == "mesh" {
		return
	}
	b := premortem.Balancer{Deployment: c.deployment, Kind: "gateway", Pos: o.pos(), Software: "istio"}
	var to []backend
	for i, r := range items(o.get("spec", "http")) {
		rule := []string{"spec", "http", "#" + itoa(min(i, 9))}
		if s := secondsOf(o.word(under(rule, "timeout")...)); s.Set() && i <= 9 && s.Value > 0 && (!b.RequestTimeout.Set() || s.Value < b.RequestTimeout.Value) {
			b.RequestTimeout = s
		}
		if n := intOf(o.word(under(rule, "retries", "attempts")...)); n.Set() && i <= 9 {
			b.Retries = n
		}
		for j, route := range items(field(r, "route")) {
			host, _, _ := strings.Cut(text(field(route, "destination", "host")), ".")
			if host == "" {
				continue
			}
			be := backend{service: host}
			if port := text(field(route, "destination", "port", "number")); port != "" {
				be.port = premortem.Setting[string]{Value: port, Pos: c.routePort(o, []int{i, j}, "http", "route", "destination")}
			}
			to = append(to, be)
		}
	}
	c.front(b, o, "gateway", to, made)
}
