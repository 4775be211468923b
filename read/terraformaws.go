package read

import (
	"strconv"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/premortem/premortem"
)

// collect adds what a module and the local modules that it calls describe.
func (m *tfModule) collect(deployment string) {
	m.literals(deployment)
	for _, b := range m.resources {
		made := m.instances(b.Body)
		for _, in := range made {
			m.each = in.scope
			m.resource(deployment, b)
		}
		m.each = nil
		if len(made) == 0 {
			m.offered(deployment, b)
		}
	}
	for _, call := range m.modules {
		if m.source(call) != "" {
			continue
		}
		for _, in := range m.instances(call.Body) {
			m.each = in.scope
			m.registry(deployment, call)
		}
		m.each = nil
	}
	for _, c := range m.children {
		c.module.collect(deployment)
	}
}

func (m *tfModule) resource(deployment string, b *hclsyntax.Block) {
	switch b.Labels[0] {
	case "aws_db_instance", "aws_rds_cluster":
		m.database(deployment, b)
	case "aws_elasticache_cluster", "aws_elasticache_replication_group", "aws_elasticache_serverless_cache":
		m.cache(deployment, b)
	case "aws_lb", "aws_alb", "aws_elb":
		m.balancer(deployment, b)
	case "aws_cloudfront_distribution", "aws_apigatewayv2_integration", "aws_api_gateway_integration":
		m.front(deployment, b)
	case "aws_ecs_task_definition":
		m.taskDefinition(deployment, b)
	default:
		m.managed(deployment, b)
	}
}

// engineKinds are the engines of RDS and ElastiCache.
var engineKinds = map[string]string{
	"postgres": "postgres", "aurora-postgresql": "postgres", "mysql": "mysql", "aurora-mysql": "mysql", "aurora": "mysql",
	"postgresql": "postgres", "pg": "postgres", "rabbitmq": "rabbitmq", "activemq": "activemq", "opensearch": "opensearch", "elasticsearch": "elasticsearch",
	"mariadb": "mariadb", "redis": "redis", "valkey": "redis", "memcached": "memcached",
}

func (m *tfModule) store(deployment, kind string, b *hclsyntax.Block, identifier string) *premortem.Store {
	s := &premortem.Store{Deployment: deployment, Kind: kind, Pos: m.pos(b.DefRange())}
	name := m.text(b.Body, identifier).Value
	if name == "" {
		name = b.Labels[1]
	}
	s.Node = premortem.Node("store/" + name)
	s.Version = m.text(b.Body, "engine_version")
	s.Port = intOf(m.text(b.Body, "port"))
	m.d.stores = append(m.d.stores, s)
	return s
}

func (m *tfModule) database(deployment string, b *hclsyntax.Block) {
	engine := m.text(b.Body, "engine").Value
	kind := engineKinds[engine]
	if kind == "" || m.replica(b) {
		return
	}
	identifier := "identifier"
	group, groupType := "parameter_group_name", "aws_db_parameter_group"
	if b.Labels[0] == "aws_rds_cluster" {
		identifier = "cluster_identifier"
		group, groupType = "db_cluster_parameter_group_name", "aws_rds_cluster_parameter_group"
	}
	s := m.store(deployment, kind, b, identifier)
	s.Class = m.text(b.Body, "instance_class")
	if b.Labels[0] == "aws_rds_cluster" {
		for _, i := range m.resources {
			if i.Labels[0] == "aws_rds_cluster_instance" && m.refers(i.Body, "cluster_identifier", "aws_rds_cluster") == b.Labels[1] && !s.Class.Set() {
				s.Class = m.text(i.Body, "instance_class")
			}
		}
	}
	if ref := m.refers(b.Body, group, groupType); ref != "" {
		m.parameters(s, groupType, ref)
	} else if name := m.text(b.Body, group).Value; name != "" {
		for _, g := range m.resources {
			if g.Labels[0] == groupType && m.text(g.Body, "name").Value == name {
				m.parameters(s, groupType, g.Labels[1])
			}
		}
	}
}

// replica reports a read replica: it is no place of its own for writes.
func (m *tfModule) replica(b *hclsyntax.Block) bool {
	return b.Body.Attributes["replicate_source_db"] != nil
}

// parameters reads a parameter group into a store.
func (m *tfModule) parameters(s *premortem.Store, kind, name string) {
	for _, g := range m.resources {
		if g.Labels[0] != kind || g.Labels[1] != name {
			continue
		}
		for _, p := range g.Body.Blocks {
			if p.Type != "parameter" {
				continue
			}
			key, value := m.text(p.Body, "name"), m.text(p.Body, "value")
			if !key.Set() || !value.Set() || secretive.MatchString(key.Value) {
				continue
			}
			addParam(s, key.Value, value)
		}
	}
}

// addParam adds a server setting; max_connections is also a field of its own.
func addParam(s *premortem.Store, name string, value premortem.Setting[string]) {
	s.Params = append(s.Params, premortem.Param{Name: name, Value: value})
	if name == "max_connections" || name == "maxclients" {
		if n := intOf(value); n.Set() {
			s.MaxConnections = n
		}
	}
}

func intOf(s premortem.Setting[string]) premortem.Setting[int] {
	n, err := strconv.Atoi(s.Value)
	if err != nil || !s.Set() {
		return premortem.Setting[int]{}
	}
	return premortem.Setting[int]{Value: n, Pos: s.Pos}
}

func (m *tfModule) cache(deployment string, b *hclsyntax.Block) {
	kind := engineKinds[m.text(b.Body, "engine").Value]
	identifier := map[string]string{"aws_elasticache_cluster": "cluster_id", "aws_elasticache_replication_group": "replication_group_id"}[b.Labels[0]]
	if b.Labels[0] == "aws_elasticache_cluster" && b.Body.Attributes["replication_group_id"] != nil {
		return // a member of a group
	}
	if kind == "" && b.Labels[0] != "aws_elasticache_cluster" {
		kind = "redis" // the default engine of a replication group
	}
	if kind == "" {
		return
	}
	s := m.store(deployment, kind, b, identifier)
	s.Class = m.text(b.Body, "node_type")
	if ref := m.refers(b.Body, "parameter_group_name", "aws_elasticache_parameter_group"); ref != "" {
		m.parameters(s, "aws_elasticache_parameter_group", ref)
	}
}

func (m *tfModule) balancer(deployment string, b *hclsyntax.Block) {
	kind := "aws-alb"
	switch t := m.text(b.Body, "load_balancer_type").Value; {
	case b.Labels[0] == "aws_elb":
		kind = "aws-elb"
	case t == "network" || t == "gateway":
		kind = "aws-nlb"
	}
	software := map[string]string{"aws-elb": "aws-elb-classic"}[kind]
	if software == "" {
		software = kind
	}
	out := balancer{Balancer: premortem.Balancer{Deployment: deployment, Kind: kind, Software: software, Pos: m.pos(b.DefRange())}}
	out.IdleTimeout = secondsOf(m.text(b.Body, "idle_timeout"))
	out.Front = m.edges(b.Labels[len(b.Labels)-1])
	groups := m.behind(b.Labels[len(b.Labels)-1])
	if len(b.Labels) < 2 || len(groups) == 0 {
		m.d.balancers = append(m.d.balancers, &out)
		return
	}
	for _, g := range groups {
		one := out
		one.Drain, one.ToPort, one.Probes = g.drain, g.port, g.check
		service, port := m.ecsBehind(g.label)
		if one.to = service; port.Set() {
			one.ToPort = port
		}
		if service == "" && len(groups) > 1 {
			one.to = "target group " + g.label // whatever registers there, it is not named here
		}
		m.d.balancers = append(m.d.balancers, &one)
	}
}
