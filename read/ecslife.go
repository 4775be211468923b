package read

import (
	"strconv"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/premortem/premortem"
)

// life reads how ECS stops and asks a container, and what the container may use.
func (t *ecsTask) life(w *workload, c cty.Value) {
	w.MinReplicas, w.Hops, w.Exposed = t.fewest, t.hops, t.exposed
	number := func(v cty.Value, key string) premortem.Setting[float64] {
		s, ok := tfString(tfGet(v, key))
		f, err := strconv.ParseFloat(s, 64)
		if !ok || err != nil {
			return premortem.Setting[float64]{}
		}
		return premortem.Setting[float64]{Value: f, Pos: t.line(key)}
	}
	w.Grace = number(c, "stopTimeout")
	if mib := number(c, "memoryReservation"); mib.Set() && mib.Value > 0 && mib.Value < 1<<30 {
		w.MemoryRequest = premortem.Setting[int64]{Value: int64(mib.Value) << 20, Pos: mib.Pos}
	}
	w.Unlimited = !w.Memory.Set() && !t.fargate
	linux := tfGet(c, "linuxParameters")
	if on, _ := tfString(tfGet(linux, "initProcessEnabled")); on == "true" {
		w.init = t.line("initProcessEnabled")
	}
	if mib := number(linux, "sharedMemorySize"); mib.Set() && mib.Value < 1<<30 {
		w.ShmSize = premortem.Setting[int64]{Value: int64(mib.Value) << 20, Pos: mib.Pos}
	}
	check := tfGet(c, "healthCheck")
	var words []string
	for _, e := range tfElements(tfGet(check, "command")) {
		if s, ok := tfString(e); ok {
			words = append(words, s)
		}
	}
	if len(words) < 2 || words[0] == "NONE" {
		return
	}
	p := commandProbe(words[1:], t.line("healthCheck"))
	p.Timeout, p.Period = number(check, "timeout"), number(check, "interval")
	if n := number(check, "retries"); n.Set() {
		p.Failures = premortem.Setting[int]{Value: int(n.Value), Pos: n.Pos}
	}
	w.Probes = append(w.Probes, p)
}

// registered adds the port under which an ECS service answers its target group.
func (m *tfModule) registered(t *ecsTask, service *hclsyntax.Block) {
	for _, lb := range service.Body.Blocks {
		if lb.Type != "load_balancer" {
			continue
		}
		name := t.name
		if groups := m.mentions(lb.Body, "aws_lb_target_group", "aws_alb_target_group"); len(groups) > 0 {
			name = groups[0]
		}
		port := intOf(m.text(lb.Body, "container_port"))
		t.exposed = premortem.Setting[string]{Value: "target group " + name, Pos: m.pos(lb.DefRange())}
		if port.Set() {
			t.hops = append(t.hops, premortem.Hop{Kind: "balancer", Name: name, Port: premortem.Setting[string]{Value: strconv.Itoa(port.Value), Pos: port.Pos}, Target: port})
		}
	}
}
