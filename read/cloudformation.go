package read

import (
	"bytes"
	"path"
	"regexp"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"gopkg.in/yaml.v3"

	"github.com/premortem/premortem"
)

// CloudFormation reads templates of CloudFormation and SAM, task definitions of ECS
// as JSON, and Terraform plans and states as JSON.
var CloudFormation = add(Reader{
	Name: "cloudformation",
	Doc: premortem.Doc{
		Title:  "CloudFormation, ECS task definitions and Terraform plans",
		Why:    "They say which engine, class and limits production has, with every variable filled in.",
		When:   "YAML or JSON with Resources of AWS types, JSON with containerDefinitions, and JSON that `terraform show -json` prints. Parameters count with their defaults.",
		Silent: "Conditions and mappings, nested stacks, and what only a deployment computes.",
		Fix:    "Give parameters a default, or commit the plan as JSON.",
	},
	Wants: func(p string) bool {
		switch ext := path.Ext(p); ext {
		case ".yaml", ".yml":
			return !isCompose(p) && !isWorkflow(p) && !isKustomization(p) && !isLockfile(p)
		case ".json", ".template":
			return !isLockfile(p) && path.Base(p) != "package.json"
		}
		return false
	},
	Read: readCloudFormation,
})

var awsType = regexp.MustCompile(`["']?Type["']?\s*:\s*["']?AWS::`)

func readCloudFormation(f File, d *Draft) error {
	switch {
	case bytes.Contains(f.Data, []byte("Resources")) && bytes.Contains(f.Data, []byte("AWS::")) && awsType.Match(f.Data):
	case bytes.Contains(f.Data, []byte(`"containerDefinitions"`)) && path.Ext(f.Path) == ".json":
	case bytes.Contains(f.Data, []byte(`"planned_values"`)) && bytes.Contains(f.Data, []byte(`"terraform_version"`)):
	default:
		return nil
	}
	docs, err := parseYAML(f)
	if err != nil {
		return err
	}
	for _, doc := range docs {
		s := &stack{f: f, d: d, doc: doc}
		s.deployment = strings.TrimSuffix(f.Path, path.Ext(f.Path))
		switch {
		case field(doc, "planned_values") != nil:
			s.plan()
		case len(items(field(doc, "containerDefinitions"))) > 0:
			s.task(doc, text(field(doc, "family")), nil)
			s.done()
		case field(doc, "Resources") != nil:
			s.template()
		}
	}
	return nil
}

// stack is one template.
type stack struct {
	f          File
	d          *Draft
	doc        *yaml.Node
	deployment string
	found      bool
}

func (s *stack) done() {
	if s.found {
		s.d.deployments = append(s.d.deployments, &premortem.Deployment{Name: s.deployment, Kind: "cloudformation", Pos: premortem.Pos{File: s.f.Path, Line: 1}})
	}
}

// value resolves a reference to a parameter: its default, with the default's line.
// Any other function of CloudFormation is not known.
func (s *stack) value(n *yaml.Node) premortem.Setting[string] {
	n = deref(n)
	ref := ""
	switch {
	case n == nil:
		return premortem.Setting[string]{}
	case n.Tag == "!Ref":
		ref = n.Value
	case field(n, "Ref") != nil:
		ref = text(field(n, "Ref"))
	case n.Tag == "!Sub" && n.Kind == yaml.ScalarNode || field(n, "Fn::Sub") != nil:
		return s.sub(n)
	case n.Kind != yaml.ScalarNode || strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!"):
		return premortem.Setting[string]{}
	default:
		if text(n) == "" || strings.Contains(n.Value, "{{resolve:") {
			return premortem.Setting[string]{}
		}
		return premortem.Setting[string]{Value: n.Value, Pos: at(s.f.Path, n)}
	}
	def := field(s.doc, "Parameters", ref, "Default")
	if def == nil || text(field(s.doc, "Parameters", ref, "NoEcho")) == "true" || deref(def).Kind != yaml.ScalarNode {
		return premortem.Setting[string]{}
	}
	return premortem.Setting[string]{Value: text(def), Pos: at(s.f.Path, def)}
}

var subVar = regexp.MustCompile(`\$\{([^}!]+)\}`)

// sub fills the parameters of a Fn::Sub; with anything else in it, it is unknown.
func (s *stack) sub(n *yaml.Node) premortem.Setting[string] {
	raw := n.Value
	if v := field(n, "Fn::Sub"); v != nil {
		raw = text(v)
	}
	known := raw != ""
	out := subVar.ReplaceAllStringFunc(raw, func(m string) string {
		def := field(s.doc, "Parameters", m[2:len(m)-1], "Default")
		known = known && def != nil && text(field(s.doc, "Parameters", m[2:len(m)-1], "NoEcho")) != "true"
		return text(def)
	})
	if !known {
		return premortem.Setting[string]{}
	}
	return premortem.Setting[string]{Value: out, Pos: at(s.f.Path, n)}
}

// cfnStores are the stores of AWS by type.
var cfnStores = map[string]cloudStore{
	"AWS::RDS::DBInstance":               {engine: []string{"Engine"}, version: []string{"EngineVersion"}, class: []string{"DBInstanceClass"}, name: []string{"DBInstanceIdentifier"}},
	"AWS::RDS::DBCluster":                {engine: []string{"Engine"}, version: []string{"EngineVersion"}, class: []string{"DBClusterInstanceClass"}, name: []string{"DBClusterIdentifier"}},
	"AWS::ElastiCache::ReplicationGroup": {engine: []string{"Engine", "=redis"}, version: []string{"EngineVersion"}, class: []string{"CacheNodeType"}, name: []string{"ReplicationGroupId"}},
	"AWS::ElastiCache::CacheCluster":     {engine: []string{"Engine"}, version: []string{"EngineVersion"}, class: []string{"CacheNodeType"}, name: []string{"ClusterName"}},
	"AWS::AmazonMQ::Broker":              {engine: []string{"EngineType"}, version: []string{"EngineVersion"}, class: []string{"HostInstanceType"}, name: []string{"BrokerName"}},
	"AWS::OpenSearchService::Domain":     {engine: []string{"EngineVersion", "=opensearch"}, version: []string{"EngineVersion"}, name: []string{"DomainName"}},
	"AWS::MSK::Cluster":                  {kind: "kafka", version: []string{"KafkaVersion"}, name: []string{"ClusterName"}},
}

// template reads the resources of a CloudFormation template.
func (s *stack) template() {
	services := map[string]*yaml.Node{} // by the task definition that they run
	clusters := map[string]bool{}       // instances of a cluster are no databases of their own
	resources := entries(field(s.doc, "Resources"))
	for _, r := range resources {
		props := field(r.value, "Properties")
		switch text(field(r.value, "Type")) {
		case "AWS::ECS::Service":
			services[s.ref(field(props, "TaskDefinition"))] = props
		case "AWS::RDS::DBInstance":
			if field(props, "DBClusterIdentifier") != nil || field(props, "SourceDBInstanceIdentifier") != nil {
				clusters[r.key.Value] = true
			}
		}
	}
	for _, r := range resources {
		kind, props := text(field(r.value, "Type")), field(r.value, "Properties")
		if c, ok := cfnStores[kind]; ok && !clusters[r.key.Value] {
			get := func(name string) premortem.Setting[string] {
				if name == "" || name == "port" {
					return s.value(field(props, "Port"))
				}
				return s.value(field(props, strings.Split(name, ".")...))
			}
			if st := c.store(s.deployment, r.key.Value, at(s.f.Path, r.key), get); st != nil {
				s.parameters(st, props)
				s.d.stores = append(s.d.stores, st)
				s.found = true
			}
		}
		switch kind {
		case "AWS::ECS::TaskDefinition":
			s.task(props, r.key.Value, services[r.key.Value])
		case "AWS::ElasticLoadBalancingV2::LoadBalancer":
			s.balancer(r.key, props)
		}
	}
	s.done()
}

// ref is the name of the resource that a value refers to.
func (s *stack) ref(n *yaml.Node) string {
	n = deref(n)
	if n != nil && n.Tag == "!Ref" {
		return n.Value
	}
	return text(field(n, "Ref"))
}

func (s *stack) parameters(st *premortem.Store, props *yaml.Node) {
	group := s.ref(field(props, "DBParameterGroupName")) + s.ref(field(props, "DBClusterParameterGroupName")) + s.ref(field(props, "CacheParameterGroupName"))
	params := field(s.doc, "Resources", group, "Properties")
	for _, key := range []string{"Parameters", "Properties"} {
		for _, e := range entries(field(params, key)) {
			if v := s.value(e.value); v.Set() && !secretive.MatchString(e.key.Value) {
				addParam(st, e.key.Value, v)
			}
		}
	}
}

func (s *stack) balancer(key, props *yaml.Node) {
	b := &balancer{Balancer: premortem.Balancer{Deployment: s.deployment, Kind: "aws-alb", Pos: at(s.f.Path, key)}}
	if text(field(props, "Type")) == "network" {
		b.Kind = "aws-nlb"
	}
	for _, a := range items(field(props, "LoadBalancerAttributes")) {
		if text(field(a, "Key")) == "idle_timeout.timeout_seconds" {
			if n := intOf(s.value(field(a, "Value"))); n.Set() {
				b.IdleTimeout = premortem.Setting[float64]{Value: float64(n.Value), Pos: n.Pos}
			}
		}
	}
	s.d.balancers = append(s.d.balancers, b)
	s.found = true
}

// task reads a task definition: of CloudFormation with a capital first letter, of
// ECS itself with a small one.
func (s *stack) task(props *yaml.Node, name string, service *yaml.Node) {
	either := func(n *yaml.Node, key string) *yaml.Node {
		if v := field(n, key); v != nil {
			return v
		}
		return field(n, strings.ToUpper(key[:1])+key[1:])
	}
	t := &ecsTask{deployment: s.deployment, name: name, pos: at(s.f.Path, props)}
	if family := s.value(either(props, "family")).Value; family != "" {
		t.name = family
	}
	if n := s.value(field(service, "ServiceName")).Value; n != "" {
		t.name = n
	}
	if t.name == "" {
		t.name = path.Base(s.deployment)
	}
	t.replicas = intOf(s.value(field(service, "DesiredCount")))
	t.size(s.value(either(props, "cpu")), s.value(either(props, "memory")))
	list := either(props, "containerDefinitions")
	for _, c := range items(list) {
		t.containers = append(t.containers, s.known(c, 0))
	}
	t.line = func(word string) premortem.Pos {
		if n := findWord(list, word, 0); n != nil {
			return at(s.f.Path, n)
		}
		return at(s.f.Path, list)
	}
	if w := t.workload(); w != nil {
		s.d.workloads = append(s.d.workloads, w)
		s.found = true
	}
}

// findWord is the first node below n that is a word, whatever the case of its first
// letter.
func findWord(n *yaml.Node, word string, depth int) *yaml.Node {
	n = deref(n)
	if n == nil || depth > maxDepth || word == "" {
		return nil
	}
	if n.Kind == yaml.ScalarNode && (n.Value == word || len(n.Value) == len(word) && strings.EqualFold(n.Value[:1], word[:1]) && n.Value[1:] == word[1:]) {
		return n
	}
	for _, c := range n.Content {
		if hit := findWord(c, word, depth+1); hit != nil {
			return hit
		}
	}
	return nil
}

// known turns a node into a value: keys with a small first letter, functions of
// CloudFormation unknown.
func (s *stack) known(n *yaml.Node, depth int) cty.Value {
	n = deref(n)
	if n == nil || depth > maxDepth {
		return cty.DynamicVal
	}
	special := strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!")
	if v := s.value(n); v.Set() {
		return cty.StringVal(v.Value)
	}
	switch {
	case special:
		return cty.DynamicVal
	case n.Kind == yaml.MappingNode:
		out := map[string]cty.Value{}
		for _, e := range entries(n) {
			k := e.key.Value
			if k == "Ref" || strings.HasPrefix(k, "Fn::") {
				return cty.DynamicVal
			}
			if k != "" {
				out[strings.ToLower(k[:1])+k[1:]] = s.known(e.value, depth+1)
			}
		}
		return cty.ObjectVal(out)
	case n.Kind == yaml.SequenceNode:
		out := []cty.Value{}
		for _, i := range items(n) {
			out = append(out, s.known(i, depth+1))
		}
		return cty.TupleVal(out)
	}
	return cty.StringVal(text(n))
}

// plan reads the resources that a Terraform plan is going to have.
func (s *stack) plan() { s.planModule(field(s.doc, "planned_values", "root_module"), 0); s.done() }

func (s *stack) planModule(n *yaml.Node, depth int) {
	if depth > maxTfDepth*4 {
		return
	}
	for _, r := range items(field(n, "resources")) {
		values := field(r, "values")
		get := func(name string) premortem.Setting[string] {
			v := values
			for part := range strings.SplitSeq(name, ".") {
				if list := items(v); len(list) > 0 {
					v = list[0]
				}
				v = field(v, part)
			}
			if text(v) == "" || name == "" {
				return premortem.Setting[string]{}
			}
			return premortem.Setting[string]{Value: text(v), Pos: at(s.f.Path, v)}
		}
		kind, label := text(field(r, "type")), text(field(r, "name"))
		c, ok := cloudStores[kind]
		if !ok {
			c, ok = planStores[kind]
		}
		if text(field(values, "replicate_source_db")) != "" || !ok {
			s.planTask(kind, label, values)
			continue
		}
		if st := c.store(s.deployment, label, at(s.f.Path, r), get); st != nil {
			s.d.stores = append(s.d.stores, st)
			s.found = true
		}
	}
	for _, c := range items(field(n, "child_modules")) {
		s.planModule(c, depth+1)
	}
}

// planStores are those that configuration files describe in several blocks.
var planStores = map[string]cloudStore{
	"aws_db_instance":                   {engine: []string{"engine"}, version: []string{"engine_version"}, class: []string{"instance_class"}, name: []string{"identifier"}},
	"aws_rds_cluster":                   {engine: []string{"engine"}, version: []string{"engine_version"}, name: []string{"cluster_identifier"}},
	"aws_elasticache_replication_group": {engine: []string{"engine", "=redis"}, version: []string{"engine_version"}, class: []string{"node_type"}, name: []string{"replication_group_id"}},
	"aws_elasticache_cluster":           {engine: []string{"engine"}, version: []string{"engine_version"}, class: []string{"node_type"}, name: []string{"cluster_id"}},
}

// planTask reads a task definition whose containers are JSON inside of the plan.
func (s *stack) planTask(kind, label string, values *yaml.Node) {
	raw := field(values, "container_definitions")
	if kind != "aws_ecs_task_definition" || text(raw) == "" {
		return
	}
	list, known := ecsContainers(cty.StringVal(text(raw)))
	if !known {
		return
	}
	t := &ecsTask{deployment: s.deployment, name: label, pos: at(s.f.Path, raw), containers: list}
	if family := text(field(values, "family")); family != "" {
		t.name = family
	}
	t.line = func(string) premortem.Pos { return at(s.f.Path, raw) }
	t.size(s.value(field(values, "cpu")), s.value(field(values, "memory")))
	if w := t.workload(); w != nil {
		s.d.workloads = append(s.d.workloads, w)
		s.found = true
	}
}
