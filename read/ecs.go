package read

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/premortem/premortem"
)

// ecsTask is a task of ECS and how many of it run.
type ecsTask struct {
	deployment string
	name       string
	pos        premortem.Pos
	containers []cty.Value
	unknown    bool // its containers are not all known
	memory     premortem.Setting[int64]
	cpu        premortem.Setting[float64]
	replicas   premortem.Setting[int]
	most       premortem.Setting[int]
	surge      premortem.Setting[float64]
	line       func(word string) premortem.Pos
	fargate    bool
	fewest     premortem.Setting[int]
	hops       []premortem.Hop
	exposed    premortem.Setting[string]
}

// ecsSidecars are containers beside the application.
var ecsSidecars = regexp.MustCompile(`(?i)envoy|xray|x-ray|otel|adot|cloudwatch|datadog|fluent|firelens|log.?router|newrelic|proxy`)

// main is the container that is the application.
func (t *ecsTask) main() (cty.Value, bool) {
	named := func(c cty.Value) string { s, _ := tfString(tfGet(c, "name")); return s }
	for _, c := range t.containers {
		if named(c) == t.name {
			return c, true
		}
	}
	for _, c := range t.containers {
		essential, ok := tfString(tfGet(c, "essential"))
		if !ecsSidecars.MatchString(named(c)) && (!ok || essential == "true") {
			return c, true
		}
	}
	if len(t.containers) > 0 {
		return t.containers[0], true
	}
	return cty.NilVal, false
}

// workload turns a task into a service, nil when no container of it is known.
func (t *ecsTask) workload() *workload {
	c, ok := t.main()
	if !ok {
		return nil
	}
	w := &workload{name: t.name, hosts: []string{t.name}}
	w.Deployment, w.Pos = t.deployment, t.pos
	w.Memory, w.CPU, w.Replicas, w.MaxReplicas, w.MaxSurge = t.memory, t.cpu, t.replicas, t.most, t.surge
	if image, ok := tfString(tfGet(c, "image")); ok {
		w.Image = premortem.Setting[string]{Value: image, Pos: t.line(image)}
		if w.Image.Pos == t.line("") { // put together elsewhere: the line that names it
			w.Image.Pos = t.line("image")
		}
		w.kind = storeKind(image)
	}
	if mib, ok := tfString(tfGet(c, "memory")); ok {
		if v, err := strconv.ParseInt(mib, 10, 64); err == nil && v > 0 && v < 1<<30 {
			w.Memory = premortem.Setting[int64]{Value: v << 20, Pos: t.line("memory")}
		}
	}
	for _, key := range []string{"portMappings", "port_mappings"} {
		for _, p := range tfElements(tfGet(c, key)) {
			for _, name := range []string{"containerPort", "container_port"} {
				if s, ok := tfString(tfGet(p, name)); ok {
					if v, err := strconv.Atoi(s); err == nil {
						w.Ports = append(w.Ports, premortem.Setting[int]{Value: v, Pos: t.line(name)})
					}
				}
			}
		}
	}
	for key, to := range map[string]*premortem.Setting[[]string]{"entryPoint": &w.entrypoint, "command": &w.command} {
		var words []string
		for _, e := range tfElements(tfGet(c, key)) {
			if s, ok := tfString(e); ok {
				words = append(words, s)
			}
		}
		if len(words) > 0 {
			*to = premortem.Setting[[]string]{Value: maskArgs(words), Pos: t.line(key)}
		}
	}
	check, _ := tfString(tfField(tfGet(c, "healthCheck"), "command"))
	for _, e := range tfElements(tfGet(tfGet(c, "healthCheck"), "command")) {
		s, _ := tfString(e)
		check += " " + s
	}
	if m := probeURL.FindStringSubmatch(check); m != nil && m[1] != "" {
		w.Health = premortem.Setting[string]{Value: m[1], Pos: t.line("healthCheck")}
	}
	t.life(w, c)
	t.environment(w, c)
	return w
}

// environment lists what a container definition provides. What is computed makes
// the list open.
func (t *ecsTask) environment(w *workload, c cty.Value) {
	var sets []premortem.EnvSet
	for _, key := range []string{"secrets", "environment"} {
		v := tfGet(c, key)
		if v == cty.NilVal || v.IsKnown() && v.IsNull() {
			continue
		}
		if !v.IsKnown() {
			w.Opaque = append(w.Opaque, premortem.Opaque{Why: "the " + key + " of the container is computed", Pos: t.line(key)})
			continue
		}
		for _, e := range tfElements(v) {
			name, ok := tfString(tfGet(e, "name"))
			if !ok {
				w.Opaque = append(w.Opaque, premortem.Opaque{Why: "a name in the " + key + " of the container is computed", Pos: t.line(key)})
				continue
			}
			s := premortem.EnvSet{Name: name, Source: "environment", Pos: t.line(name)}
			if key == "secrets" {
				s.Source = "secret"
			} else if value, known := tfString(tfGet(e, "value")); known {
				keep(&s, value, plainSource)
			}
			sets = append(sets, s)
		}
	}
	for _, key := range []string{"environmentFiles", "environment_files"} {
		if len(tfElements(tfGet(c, key))) > 0 {
			w.Opaque = append(w.Opaque, premortem.Opaque{Why: "an environment file is fetched when the task starts", Pos: t.line(key)})
		}
	}
	w.Provides = firstOfEach(sets)
}

// ecsContainers is the value of container_definitions: JSON text, or what
// jsonencode was given.
func ecsContainers(v cty.Value) (list []cty.Value, known bool) {
	if s, ok := v, v != cty.NilVal && v.IsKnown() && !v.IsNull() && v.Type() == cty.String; ok {
		out, err := tfJSONDecode.Call([]cty.Value{s})
		if err != nil {
			return nil, false
		}
		v = out
	}
	list = tfElements(v)
	return list, len(list) > 0
}

// taskDefinition is an aws_ecs_task_definition and the service that runs it.
func (m *tfModule) taskDefinition(deployment string, b *hclsyntax.Block) {
	a := b.Body.Attributes["container_definitions"]
	if a == nil {
		return
	}
	pos := m.pos(b.DefRange())
	list, known := ecsContainers(m.value(a.Expr))
	if !known {
		m.d.miss(m.pos(a.SrcRange), "the containers of the task "+b.Labels[1]+" are computed: its image and variables are unknown")
		return
	}
	t := &ecsTask{deployment: deployment, name: m.text(b.Body, "family").Value, pos: pos, containers: list}
	t.line = func(word string) premortem.Pos { return m.lineWithin(word, a.SrcRange) }
	t.size(m.text(b.Body, "cpu"), m.text(b.Body, "memory"))
	if a := b.Body.Attributes["requires_compatibilities"]; a != nil {
		for _, e := range tfElements(m.value(a.Expr)) {
			s, _ := tfString(e)
			t.fargate = t.fargate || s == "FARGATE"
		}
	}
	if t.name == "" {
		t.name = b.Labels[1]
	}
	service := ""
	for _, s := range m.resources {
		if s.Labels[0] == "aws_ecs_service" && m.refers(s.Body, "task_definition", "aws_ecs_task_definition") == b.Labels[1] {
			service = s.Labels[1]
			if name := m.text(s.Body, "name").Value; name != "" {
				t.name = name
			}
			t.replicas = intOf(m.text(s.Body, "desired_count"))
			m.registered(t, s)
			if pct := intOf(m.text(s.Body, "deployment_maximum_percent")); pct.Set() && pct.Value >= 100 {
				t.surge = premortem.Setting[float64]{Value: float64(pct.Value-100) / 100, Pos: pct.Pos}
			}
		}
	}
	m.scaling(t, service)
	if w := t.workload(); w != nil {
		m.d.workloads = append(m.d.workloads, w)
	}
}

// size reads CPU units and MiB of a task.
func (t *ecsTask) size(cpu, memory premortem.Setting[string]) {
	if v, err := strconv.ParseFloat(cpu.Value, 64); err == nil && cpu.Set() && v > 0 {
		t.cpu = premortem.Setting[float64]{Value: round(v / 1024), Pos: cpu.Pos}
	}
	if v, err := strconv.ParseInt(memory.Value, 10, 64); err == nil && memory.Set() && v > 0 && v < 1<<30 {
		t.memory = premortem.Setting[int64]{Value: v << 20, Pos: memory.Pos}
	}
}

// scaling reads the aws_appautoscaling_target of a service.
func (m *tfModule) scaling(t *ecsTask, service string) {
	for _, b := range m.resources {
		if b.Labels[0] != "aws_appautoscaling_target" || service == "" {
			continue
		}
		id := m.text(b.Body, "resource_id").Value
		if m.refers(b.Body, "resource_id", "aws_ecs_service") != service && !strings.HasSuffix(id, "/"+t.name) {
			continue
		}
		t.most = intOf(m.text(b.Body, "max_capacity"))
		if low := intOf(m.text(b.Body, "min_capacity")); low.Set() {
			t.replicas, t.fewest = low, low
		}
	}
}

// ecsModuleService reads a service in the form of the ECS module.
func (m *tfModule) ecsModuleService(deployment string, call *hclsyntax.Block, name string, v cty.Value) {
	pos := m.pos(call.DefRange())
	t := &ecsTask{deployment: deployment, name: name, pos: pos}
	if s, ok := tfString(tfGet(v, "name")); ok && s != "" {
		t.name = s
	}
	t.line = func(word string) premortem.Pos { return m.lineWith(word, pos) }
	setting := func(key string) premortem.Setting[string] {
		s, ok := tfString(tfGet(v, key))
		if !ok {
			return premortem.Setting[string]{}
		}
		return premortem.Setting[string]{Value: s, Pos: t.line(key)}
	}
	t.size(setting("cpu"), setting("memory"))
	t.replicas, t.most = intOf(setting("desired_count")), intOf(setting("autoscaling_max_capacity"))
	if low := intOf(setting("autoscaling_min_capacity")); low.Set() {
		t.replicas = low
	}
	list := tfGet(v, "container_definitions")
	if list == cty.NilVal || !list.IsKnown() || list.IsNull() || !list.CanIterateElements() {
		m.d.miss(pos, "the containers of the service "+t.name+" are computed: its image and variables are unknown")
		return
	}
	for it := list.ElementIterator(); it.Next(); {
		k, c := it.Element()
		if key, ok := tfString(k); ok && c.IsKnown() && !c.IsNull() && c.Type().IsObjectType() && !c.Type().HasAttribute("name") {
			attrs := c.AsValueMap()
			if attrs == nil {
				attrs = map[string]cty.Value{}
			}
			attrs["name"] = cty.StringVal(key)
			c = cty.ObjectVal(attrs)
		}
		t.containers = append(t.containers, c)
	}
	if w := t.workload(); w != nil {
		m.d.workloads = append(m.d.workloads, w)
	}
}
