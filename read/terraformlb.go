package read

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/premortem/premortem"
)

// targetGroup is where a load balancer sends requests.
type targetGroup struct {
	label string
	drain premortem.Setting[float64]
	port  premortem.Setting[int]
	check []premortem.Probe
}

// behind lists the target groups of a load balancer: of its listeners and their
// rules.
func (m *tfModule) behind(lb string) []targetGroup {
	listeners := map[string]bool{}
	var labels []string
	add := func(b *hclsyntax.Block) {
		for _, action := range b.Body.Blocks {
			if action.Type != "default_action" && action.Type != "action" {
				continue
			}
			for _, label := range m.mentions(action.Body, "aws_lb_target_group", "aws_alb_target_group") {
				if !slices.Contains(labels, label) {
					labels = append(labels, label)
				}
			}
		}
	}
	for _, b := range m.resources {
		if t := b.Labels[0]; (t == "aws_lb_listener" || t == "aws_alb_listener") && (m.refers(b.Body, "load_balancer_arn", "aws_lb") == lb || m.refers(b.Body, "load_balancer_arn", "aws_alb") == lb) {
			listeners[b.Labels[1]] = true
			add(b)
		}
	}
	for _, b := range m.resources {
		if t := b.Labels[0]; (t == "aws_lb_listener_rule" || t == "aws_alb_listener_rule") && (listeners[m.refers(b.Body, "listener_arn", "aws_lb_listener")] || listeners[m.refers(b.Body, "listener_arn", "aws_alb_listener")]) {
			add(b)
		}
	}
	var out []targetGroup
	for _, label := range labels {
		if b := m.block(label, "aws_lb_target_group", "aws_alb_target_group"); b != nil {
			out = append(out, m.targets(b))
		}
	}
	return out
}

func (m *tfModule) block(label string, types ...string) *hclsyntax.Block {
	for _, b := range m.resources {
		if b.Labels[1] == label && slices.Contains(types, b.Labels[0]) {
			return b
		}
	}
	return nil
}

// mentions are the resources of some types that a body refers to, at any depth.
func (m *tfModule) mentions(b *hclsyntax.Body, types ...string) []string {
	var out []string
	for _, name := range sortedKeys(b.Attributes) {
		for _, tr := range b.Attributes[name].Expr.Variables() {
			if len(tr) < 2 || !slices.Contains(types, tr.RootName()) {
				continue
			}
			if at, ok := tr[1].(hcl.TraverseAttr); ok {
				out = append(out, at.Name)
			}
		}
	}
	for _, inner := range b.Blocks {
		out = append(out, m.mentions(inner.Body, types...)...)
	}
	return out
}

// targets reads an aws_lb_target_group.
func (m *tfModule) targets(b *hclsyntax.Block) targetGroup {
	g := targetGroup{label: b.Labels[1], drain: secondsOf(m.text(b.Body, "deregistration_delay")), port: intOf(m.text(b.Body, "port"))}
	for _, h := range b.Body.Blocks {
		if h.Type != "health_check" {
			continue
		}
		p := premortem.Probe{Kind: "target", Check: "http", Pos: m.pos(h.DefRange()), Path: m.text(h.Body, "path"), Port: intOf(m.text(h.Body, "port"))}
		if t := m.text(h.Body, "protocol").Value; strings.EqualFold(t, "TCP") {
			p.Check = "tcp"
		}
		p.Timeout, p.Period = secondsOf(m.text(h.Body, "timeout")), secondsOf(m.text(h.Body, "interval"))
		p.Failures = intOf(m.text(h.Body, "unhealthy_threshold"))
		g.check = append(g.check, p)
	}
	return g
}

// ecsBehind finds the ECS service that registers in a target group: its name, and
// the container's port with its line.
func (m *tfModule) ecsBehind(group string) (service string, port premortem.Setting[int]) {
	for _, s := range m.resources {
		if s.Labels[0] != "aws_ecs_service" {
			continue
		}
		for _, lb := range s.Body.Blocks {
			if lb.Type != "load_balancer" || !slices.Contains(m.mentions(lb.Body, "aws_lb_target_group", "aws_alb_target_group"), group) {
				continue
			}
			name := m.text(s.Body, "name").Value
			if name == "" {
				name = s.Labels[1]
			}
			return name, intOf(m.text(lb.Body, "container_port"))
		}
	}
	return "", port
}

// edges counts the kinds of hops of the configuration that stand before a load
// balancer.
func (m *tfModule) edges(lb string) int {
	for _, b := range m.resources {
		if b.Labels[0] == "aws_cloudfront_distribution" && slices.Contains(m.mentions(b.Body, "aws_lb", "aws_alb"), lb) {
			return 1
		}
	}
	return 0
}

// front reads a CloudFront distribution or an integration of an API Gateway: hops
// with limits of their own. Origins that are buckets stand before no service.
func (m *tfModule) front(deployment string, b *hclsyntax.Block) {
	out := &balancer{Balancer: premortem.Balancer{Deployment: deployment, Pos: m.pos(b.DefRange())}}
	switch b.Labels[0] {
	case "aws_cloudfront_distribution":
		out.Kind, out.Software = "aws-cloudfront", "aws-cloudfront-origin"
		found := false
		for _, o := range b.Body.Blocks {
			for _, c := range o.Body.Blocks {
				if o.Type == "origin" && c.Type == "custom_origin_config" {
					found = true
					out.ReadTimeout, out.IdleTimeout = secondsOf(m.text(c.Body, "origin_read_timeout")), secondsOf(m.text(c.Body, "origin_keepalive_timeout"))
				}
			}
		}
		if !found {
			return
		}
	case "aws_apigatewayv2_integration", "aws_api_gateway_integration":
		out.Kind, out.Software = "aws-apigateway", "aws-apigateway-http"
		if b.Labels[0] == "aws_api_gateway_integration" {
			out.Software = "aws-apigateway-rest"
		}
		if t := m.text(b.Body, "integration_type").Value + m.text(b.Body, "type").Value; !strings.HasPrefix(t, "HTTP") {
			return
		}
		if ms := secondsOf(m.text(b.Body, "timeout_milliseconds")); ms.Set() {
			ms.Value /= 1000
			out.RequestTimeout = ms
		}
	}
	m.d.balancers = append(m.d.balancers, out)
}

// literals records credentials that stand in the configuration: as the default of a
// variable, in a tfvars file of production, or as an attribute of a resource.
func (m *tfModule) literals(deployment string) {
	note := func(name string, e hcl.Expression, at hcl.Range, where string) {
		if len(e.Variables()) > 0 {
			return
		}
		v, diags := e.Value(nil)
		s, ok := tfString(v)
		if diags.HasErrors() || !ok {
			return
		}
		pos := m.pos(at)
		m.d.credential(pos.File, pos, m.lineAt(pos), name, s, where, deployment)
	}
	for _, b := range m.variables {
		if a := b.Body.Attributes["default"]; a != nil {
			note(b.Labels[0], a.Expr, a.SrcRange, "Terraform variable "+b.Labels[0])
		}
	}
	for _, b := range m.resources {
		for _, name := range sortedKeys(b.Body.Attributes) {
			a := b.Body.Attributes[name]
			note(name, a.Expr, a.SrcRange, "Terraform "+b.Labels[0])
		}
	}
}

// lineAt is a line of the module's files.
func (m *tfModule) lineAt(pos premortem.Pos) string {
	for _, f := range m.files {
		if lines := strings.Split(string(f.Data), "\n"); f.Path == pos.File && pos.Line <= len(lines) {
			return lines[pos.Line-1]
		}
	}
	return ""
}

// lineWithin finds the line that writes a word: within an attribute, else anywhere.
func (m *tfModule) lineWithin(word string, r hcl.Range) premortem.Pos {
	for _, f := range m.files {
		if f.Path != r.Filename || word == "" {
			continue
		}
		lines := strings.Split(string(f.Data), "\n")
		for n := r.Start.Line; n <= r.End.Line && n <= len(lines); n++ {
			if n > 0 && wordLine([]byte(lines[n-1]), word) > 0 {
				return premortem.Pos{File: f.Path, Line: n}
			}
		}
	}
	return m.lineWith(word, m.pos(r))
}
