package read

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// backend is a service, and the port of it, that a route sends requests to.
type backend struct {
	service string
	port    premortem.Setting[string]
}

// ingress makes a balancer for each service behind an Ingress.
func (c *cluster) ingress(o *object, made []*workload) {
	class := text(o.get("spec", "ingressClassName"))
	notes := o.get("metadata", "annotations")
	if class == "" {
		class = text(field(notes, "kubernetes.io/ingress.class"))
	}
	b := premortem.Balancer{Deployment: c.deployment, Kind: "ingress", Pos: o.pos()}
	switch {
	case class == "alb":
		b.Kind, b.Software = "aws-alb", "aws-alb"
		albAnnotations(&b, o)
	case strings.Contains(class, "nginx"), class == "" && hasPrefixKey(notes, nginxNote):
		b.Kind, b.Software = "nginx-ingress", "ingress-nginx"
		c.nginxAnnotations(&b, o)
	case strings.HasPrefix(class, "gce"), class == "" && hasPrefixKey(notes, "kubernetes.io/ingress.global-static-ip-name"):
		b.Kind, b.Software = "gce", "gcp-external-alb"
	case class != "":
		b.Kind, b.Software = class, class
	}
	var to []backend
	add := func(n *yaml.Node, pos premortem.Pos) {
		port := text(field(n, "service", "port", "number")) + text(field(n, "service", "port", "name")) + text(field(n, "servicePort"))
		name := text(field(n, "service", "name")) + text(field(n, "serviceName"))
		if name == "" {
			return
		}
		be := backend{service: name}
		if port != "" {
			be.port = premortem.Setting[string]{Value: port, Pos: pos}
		}
		to = append(to, be)
	}
	add(o.get("spec", "defaultBackend"), o.where("spec", "defaultBackend"))
	for i, r := range items(o.get("spec", "rules")) {
		for j, p := range items(field(r, "http", "paths")) {
			add(field(p, "backend"), c.routePort(o, []int{i, j}, "rules", "http.paths", "backend"))
		}
	}
	c.front(b, o, "ingress", to, made)
}

// routePort is the line on which a route names its backend's port.
func (c *cluster) routePort(o *object, at []int, lists ...string) premortem.Pos {
	path := []string{"spec"}
	for i, l := range lists {
		path = append(path, strings.Split(l, ".")...)
		if i < len(at) {
			if at[i] > 9 {
				return o.where(path...)
			}
			path = append(path, "#"+strconv.Itoa(at[i]))
		}
	}
	for _, end := range [][]string{{"service", "port", "number"}, {"service", "port", "name"}, {"servicePort"}, {"port", "number"}, {"port"}} {
		if o.get(under(path, end...)...) != nil {
			return o.where(under(path, end...)...)
		}
	}
	return o.where(path...)
}

// front adds one balancer for each service behind a route, and the route's port to
// the way of a request.
func (c *cluster) front(b premortem.Balancer, o *object, kind string, to []backend, made []*workload) {
	done := map[string]bool{}
	for _, be := range to {
		svc := c.object("Service", be.service)
		hop := premortem.Hop{Kind: kind, Name: o.plainName(), Port: be.port}
		out := &balancer{Balancer: b, to: be.service}
		var behind []*workload
		if svc != nil {
			behind = c.selected(svc.get("spec", "selector"), made)
		}
		for _, w := range behind {
			w.Exposed = premortem.Setting[string]{Value: kind + " " + o.plainName(), Pos: o.pos()}
			if !be.port.Set() {
				continue
			}
			hop.Target, hop.Owner, hop.Lost = c.through(svc, be.port.Value, w)
			w.Hops = append(w.Hops, hop)
			out.ToPort = hop.Target
		}
		if !done[be.service] {
			done[be.service] = true
			c.d.balancers = append(c.d.balancers, out)
		}
	}
}

func (c *cluster) object(kind, name string) *object {
	for _, o := range c.objects {
		if o.kind() == kind && o.name() == name {
			return o
		}
	}
	return nil
}

// through follows a port of a Service to the container: Lost says where it ends
// when it ends early.
func (c *cluster) through(svc *object, port string, w *workload) (target premortem.Setting[int], owner, lost string) {
	ports := items(svc.get("spec", "ports"))
	if len(ports) == 0 {
		return target, "", ""
	}
	for i, p := range ports {
		if text(field(p, "port")) == port || text(field(p, "name")) == port && port != "" {
			return c.targetOf(svc, i, p, w)
		}
	}
	return target, "", "service " + svc.plainName() + " has no port " + port
}

// targetOf is the container's port behind one port of a Service.
func (c *cluster) targetOf(svc *object, i int, p *yaml.Node, w *workload) (target premortem.Setting[int], owner, lost string) {
	key := "#" + strconv.Itoa(i)
	if name := text(field(p, "name")); name != "" {
		key = "[" + name + "]"
	}
	port, path := text(field(p, "targetPort")), []string{"spec", "ports", key, "targetPort"}
	if port == "" {
		port, path[3] = text(field(p, "port")), "port"
	}
	pos := svc.where(path...)
	if i > 9 && key[0] == '#' {
		pos = svc.where("spec", "ports")
	}
	mainName := mainContainer(w.pod, w.podPath)
	containers := items(w.pod.get(under(w.podPath, "containers")...))
	slices.SortStableFunc(containers, func(a, b *yaml.Node) int {
		return compareBool(text(field(a, "name")) != mainName, text(field(b, "name")) != mainName)
	})
	number, err := strconv.Atoi(port)
	for _, ct := range containers {
		name := text(field(ct, "name"))
		if name == mainName {
			name = ""
		}
		for _, cp := range items(field(ct, "ports")) {
			n, _ := strconv.Atoi(text(field(cp, "containerPort")))
			if n > 0 && (n == number || text(field(cp, "name")) == port) {
				return premortem.Setting[int]{Value: n, Pos: pos}, name, ""
			}
		}
	}
	if err != nil {
		return target, "", "no container of the pod has a port named " + port
	}
	return premortem.Setting[int]{Value: number, Pos: pos}, "", ""
}

// service adds the names under which a Service makes workloads reachable, and its
// ports to their way.
func (c *cluster) service(o *object, made []*workload) {
	for _, w := range c.selected(o.get("spec", "selector"), made) {
		w.hosts = append(w.hosts, serviceHosts(o.name(), text(o.get("metadata", "namespace")))...)
		if !w.Exposed.Set() || !strings.HasPrefix(w.Exposed.Value, "ingress ") && !strings.HasPrefix(w.Exposed.Value, "gateway ") {
			w.Exposed = premortem.Setting[string]{Value: "service " + o.plainName(), Pos: o.pos()}
		}
		for i, p := range items(o.get("spec", "ports")) {
			hop := premortem.Hop{Kind: "service", Name: o.plainName()}
			hop.Target, hop.Owner, hop.Lost = c.targetOf(o, i, p, w)
			hop.Port = premortem.Setting[string]{Value: text(field(p, "targetPort")), Pos: hop.Target.Pos}
			if hop.Port.Value == "" {
				hop.Port.Value = text(field(p, "port"))
			}
			if !hop.Port.Pos.Known() {
				hop.Port.Pos = o.where("spec", "ports", "#"+strconv.Itoa(min(i, 9)))
			}
			w.Hops = append(w.Hops, hop)
		}
		c.loadBalancer(o, w)
	}
}

// loadBalancer makes a balancer of a Service that a cloud gives one.
func (c *cluster) loadBalancer(o *object, w *workload) {
	if text(o.get("spec", "type")) != "LoadBalancer" || w.kind != "" {
		return
	}
	b := premortem.Balancer{Deployment: c.deployment, Kind: "service", Pos: o.pos()}
	kind := text(o.get("metadata", "annotations", "service.beta.kubernetes.io/aws-load-balancer-type"))
	if kind == "nlb" || kind == "external" || kind == "nlb-ip" {
		b.Kind, b.Software = "aws-nlb", "aws-nlb"
	}
	if len(w.Hops) > 0 {
		b.ToPort = w.Hops[len(w.Hops)-1].Target
	}
	c.d.balancers = append(c.d.balancers, &balancer{Balancer: b, to: o.name()})
}

func hasPrefixKey(n *yaml.Node, prefix string) bool {
	return slices.ContainsFunc(entries(n), func(e entry) bool { return strings.HasPrefix(e.key.Value, prefix) })
}

const (
	nginxNote = "nginx.ingress.kubernetes.io/"
	albNote   = "alb.ingress.kubernetes.io/"
)

// nginxAnnotations reads what an Ingress asks of ingress-nginx, and what the
// controller's own ConfigMap says where the tree has it.
func (c *cluster) nginxAnnotations(b *premortem.Balancer, o *object) {
	config := c.nginxConfig()
	get := func(key string) premortem.Setting[string] {
		if s := o.word("metadata", "annotations", nginxNote+key); s.Set() {
			return s
		}
		if config == nil {
			return premortem.Setting[string]{}
		}
		return config.word("data", key)
	}
	b.ReadTimeout, b.ConnectTimeout = secondsOf(get("proxy-read-timeout")), secondsOf(get("proxy-connect-timeout"))
	b.BodyLimit = sizeOf(get("proxy-body-size"))
	b.Retries = intOf(get("proxy-next-upstream-tries"))
	if config == nil {
		return
	}
	b.IdleTimeout = secondsOf(config.word("data", "upstream-keepalive-timeout"))
	if n := config.word("data", "upstream-keepalive-connections"); n.Value == "0" {
		b.Reuse = premortem.Setting[bool]{Pos: n.Pos}
	}
}

// nginxConfig is the ConfigMap of the controller, nil when the tree has none.
func (c *cluster) nginxConfig() *object {
	for _, o := range c.objects {
		if n := o.name(); o.kind() == "ConfigMap" && (strings.Contains(n, "ingress-nginx") || strings.Contains(n, "nginx-ingress") || n == "nginx-configuration") {
			return o
		}
	}
	return nil
}

// secondsOf reads a time of a proxy's configuration: 60, 60s, 2m, 500ms.
func secondsOf(s premortem.Setting[string]) premortem.Setting[float64] {
	v, unit := strings.Trim(s.Value, `"' `), 1.0
	for _, u := range []struct {
		suffix string
		n      float64
	}{{"ms", 1e-3}, {"us", 1e-6}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}} {
		if rest, ok := strings.CutSuffix(v, u.suffix); ok {
			v, unit = rest, u.n
			break
		}
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !s.Set() || f < 0 || f > 1e9 {
		return premortem.Setting[float64]{}
	}
	return premortem.Setting[float64]{Value: f * unit, Pos: s.Pos}
}

// sizeOf reads a size of a proxy's configuration: 8m, 1024k, 10M, 0 for no limit.
func sizeOf(s premortem.Setting[string]) premortem.Setting[int64] {
	v, shift := strings.ToLower(strings.Trim(s.Value, `"' `)), 0
	v = strings.TrimSuffix(v, "b")
	for suffix, n := range map[string]int{"k": 10, "m": 20, "g": 30} {
		if rest, ok := strings.CutSuffix(v, suffix); ok {
			v, shift = rest, n
			break
		}
	}
	n, err := strconv.ParseInt(v, 10, 40)
	if err != nil || !s.Set() || n < 0 || n > 1<<32 {
		return premortem.Setting[int64]{}
	}
	return premortem.Setting[int64]{Value: n << shift, Pos: s.Pos}
}

var attribute = regexp.MustCompile(`([\w.]+)=([\w.]+)`)

// albAnnotations reads the attributes and the health check that an Ingress gives
// its load balancer and target groups.
func albAnnotations(b *premortem.Balancer, o *object) {
	for _, key := range []string{"load-balancer-attributes", "target-group-attributes"} {
		list := o.word("metadata", "annotations", albNote+key)
		for _, m := range attribute.FindAllStringSubmatch(list.Value, -1) {
			v := secondsOf(premortem.Setting[string]{Value: m[2], Pos: list.Pos})
			switch m[1] {
			case "idle_timeout.timeout_seconds":
				b.IdleTimeout = v
			case "deregistration_delay.timeout_seconds":
				b.Drain = v
			}
		}
	}
	p := premortem.Probe{Kind: "target", Check: "http", Path: o.word("metadata", "annotations", albNote+"healthcheck-path")}
	if !p.Path.Set() {
		return
	}
	p.Pos = p.Path.Pos
	p.Port = intOf(o.word("metadata", "annotations", albNote+"healthcheck-port"))
	p.Timeout = secondsOf(o.word("metadata", "annotations", albNote+"healthcheck-timeout-seconds"))
	p.Period = secondsOf(o.word("metadata", "annotations", albNote+"healthcheck-interval-seconds"))
	p.Failures = intOf(o.word("metadata", "annotations", albNote+"unhealthy-threshold-count"))
	b.Probes = append(b.Probes, p)
}
