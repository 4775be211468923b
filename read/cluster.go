package read

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// cluster is the objects of one deployment.
type cluster struct {
	t          *Tree
	d          *Draft
	deployment string
	objects    []*object
}

// sidecars are containers that stand beside the application in its pod.
var sidecars = wordSet(`istio-proxy linkerd-proxy envoy cloud-sql-proxy cloudsql-proxy vault-agent fluent-bit fluentd otel-collector opentelemetry-collector datadog-agent pgbouncer oauth2-proxy nginx-proxy`)

// add turns the objects into workloads, stores and balancers.
func (c *cluster) add(pos premortem.Pos) {
	before := len(c.d.workloads)
	for _, o := range c.objects {
		if pod, path := podTemplate(o); pod != nil {
			c.d.workloads = append(c.d.workloads, c.workload(o, path))
		}
		if o.kind() == "Cluster" && strings.HasPrefix(text(o.get("apiVersion")), "postgresql.cnpg.io") {
			c.d.workloads = append(c.d.workloads, c.cloudNative(o))
		}
	}
	made := c.d.workloads[before:]
	for _, o := range c.objects {
		switch o.kind() {
		case "Service":
			c.service(o, made)
		case "HorizontalPodAutoscaler", "ScaledObject":
			c.autoscaler(o, made)
		case "Ingress":
			c.ingress(o, made)
		case "HTTPRoute", "GRPCRoute":
			c.gatewayRoute(o, made)
		case "VirtualService":
			c.virtualService(o, made)
		case "PodDisruptionBudget":
			c.disruption(o, made)
		case "LimitRange":
			c.limitRange(o, made)
		case "Pooler":
			c.cloudNativePooler(o)
		case "ConfigMap", "Secret":
			c.plainSecrets(o)
		}
	}
	c.lookAlike(made)
	if len(made) > 0 {
		c.d.deployments = append(c.d.deployments, &premortem.Deployment{Name: c.deployment, Kind: "kubernetes", Pos: pos})
	}
}

// podTemplate returns the pod spec of an object and its path, also of kinds that
// nobody here knows.
func podTemplate(o *object) (*yaml.Node, []string) {
	for _, path := range [][]string{
		{"spec", "jobTemplate", "spec", "template", "spec"},
		{"spec", "template", "spec"},
		{"spec"},
	} {
		if len(path) == 1 && o.kind() != "Pod" {
			continue
		}
		if n := o.get(append(slices.Clone(path), "containers")...); len(items(n)) > 0 {
			return o.get(path...), path
		}
	}
	return nil, nil
}

// mainContainer returns the name of the container that is the application.
func mainContainer(o *object, spec []string) string {
	var names []string
	for _, n := range items(o.get(append(slices.Clone(spec), "containers")...)) {
		names = append(names, text(field(n, "name")))
	}
	for _, n := range names {
		if n == o.name() || strings.HasSuffix(o.name(), "-"+n) {
			return n
		}
	}
	for _, n := range names {
		if !sidecars[n] {
			return n
		}
	}
	return names[0]
}

func (c *cluster) workload(o *object, spec []string) *workload {
	w := &workload{name: o.name(), plain: o.plainName()}
	w.Deployment, w.Pos = c.deployment, o.pos()
	container := append(slices.Clone(spec), "containers", "["+mainContainer(o, spec)+"]")
	sub := func(path ...string) []string { return append(slices.Clone(container), path...) }
	if n := o.get(sub("image")...); n != nil {
		w.Image = premortem.Setting[string]{Value: text(n), Pos: o.where(sub("image")...)}
		w.kind = storeKind(w.Image.Value)
	}
	if n := o.get("spec", "replicas"); n != nil {
		if v, err := strconv.Atoi(text(n)); err == nil {
			w.Replicas = premortem.Setting[int]{Value: v, Pos: o.where("spec", "replicas")}
		}
	}
	if n := o.get("spec", "parallelism"); n != nil && o.kind() == "Job" {
		if v, err := strconv.Atoi(text(n)); err == nil {
			w.Replicas = premortem.Setting[int]{Value: v, Pos: o.where("spec", "parallelism")}
		}
	}
	c.surge(w, o)
	for i, p := range items(o.get(sub("ports")...)) {
		v, err := strconv.Atoi(text(field(p, "containerPort")))
		if err != nil || i > 9 {
			continue
		}
		key := "#" + strconv.Itoa(i)
		if name := text(field(p, "name")); name != "" {
			key = "[" + name + "]"
		}
		port := premortem.Setting[int]{Value: v, Pos: o.where(sub("ports", key, "containerPort")...)}
		w.Ports = append(w.Ports, port)
		w.Hops = append(w.Hops, premortem.Hop{Kind: "container", Port: premortem.Setting[string]{Value: strconv.Itoa(v), Pos: port.Pos}, Target: port})
	}
	if args := o.get(sub("command")...); args != nil {
		w.entrypoint = premortem.Setting[[]string]{Value: maskArgs(texts(args)), Pos: o.where(sub("command")...)}
	}
	if args := o.get(sub("args")...); args != nil {
		w.command = premortem.Setting[[]string]{Value: maskArgs(texts(args)), Pos: o.where(sub("args")...)}
	}
	for _, probe := range []string{"readinessProbe", "startupProbe", "livenessProbe"} {
		if n := o.get(sub(probe, "httpGet", "path")...); n != nil && !w.Health.Set() {
			w.Health = premortem.Setting[string]{Value: text(n), Pos: o.where(sub(probe, "httpGet", "path")...)}
		}
	}
	if n := o.get(sub("resources", "limits", "memory")...); n != nil {
		if v, ok := quantity(text(n)); ok {
			w.Memory = premortem.Setting[int64]{Value: int64(v), Pos: o.where(sub("resources", "limits", "memory")...)}
		}
	}
	if n := o.get(sub("resources", "limits", "cpu")...); n != nil {
		if v, ok := quantity(text(n)); ok {
			w.CPU = premortem.Setting[float64]{Value: v, Pos: o.where(sub("resources", "limits", "cpu")...)}
		}
	}
	w.pod, w.podPath = o, spec
	c.pod(w, o, spec, container)
	c.environment(w, o, container)
	return w
}

// surge reads how many more replicas run during a deploy, as a share of them.
func (c *cluster) surge(w *workload, o *object) {
	path := []string{"spec", "strategy", "rollingUpdate", "maxSurge"}
	raw := text(o.get(path...))
	if raw == "" {
		return
	}
	if pct, ok := strings.CutSuffix(raw, "%"); ok {
		if v, err := strconv.ParseFloat(pct, 64); err == nil {
			w.MaxSurge = premortem.Setting[float64]{Value: v / 100, Pos: o.where(path...)}
		}
	} else if v, err := strconv.ParseFloat(raw, 64); err == nil {
		n := max(w.Replicas.Or(1), 1)
		w.MaxSurge = premortem.Setting[float64]{Value: v / float64(n), Pos: o.where(path...)}
	}
}

var quantityText = regexp.MustCompile(`^([0-9.]+)([a-zA-Z]*)$`)

// quantity reads a Kubernetes quantity such as 512Mi, 250m or 1.5.
func quantity(s string) (float64, bool) {
	m := quantityText.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	v, err := strconv.ParseFloat(m[1], 64)
	unit, ok := map[string]float64{
		"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
		"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50,
	}[m[2]]
	v *= unit
	return v, err == nil && ok && !math.IsInf(v, 0) && v < 1e18
}

func serviceHosts(name, namespace string) []string {
	if namespace == "" {
		namespace = "default"
	}
	return []string{name, name + "." + namespace, name + "." + namespace + ".svc", name + "." + namespace + ".svc.cluster.local"}
}

// cloudNative reads a PostgreSQL cluster of the CloudNativePG operator.
func (c *cluster) cloudNative(o *object) *workload {
	w := &workload{name: o.name(), kind: "postgres", hosts: append(serviceHosts(o.name()+"-rw", text(o.get("metadata", "namespace"))), o.name()+"-r", o.name()+"-ro")}
	w.Deployment, w.Pos = c.deployment, o.pos()
	if n := o.get("spec", "imageName"); n != nil {
		w.Image = premortem.Setting[string]{Value: text(n), Pos: o.where("spec", "imageName")}
	}
	for _, e := range entries(o.get("spec", "postgresql", "parameters")) {
		w.entrypoint.Value = append(w.entrypoint.Value, "-c", e.key.Value+"="+text(e.value))
		w.entrypoint.Pos = o.where("spec", "postgresql", "parameters", e.key.Value)
	}
	return w
}
