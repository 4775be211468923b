package read

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// cloudStore says in which attributes of a managed database or cache, or of a
// module that makes one, its engine, version and size stand. The first attribute
// of a list that is set counts.
type cloudStore struct {
	kind    string   // "" is decided by engine
	engine  []string // attribute, or "=redis" for a fixed one
	version []string
	class   []string
	name    []string
	gib     string // attribute with the memory in GiB
}

// cloudStores are resources by their Terraform type; those of AWS that have
// parameter groups are read in more depth elsewhere.
var cloudStores = map[string]cloudStore{
	"aws_docdb_cluster":        {kind: "mongodb", name: []string{"cluster_identifier"}},
	"aws_memorydb_cluster":     {engine: []string{"engine", "=redis"}, version: []string{"engine_version"}, class: []string{"node_type"}, name: []string{"name"}},
	"aws_mq_broker":            {engine: []string{"engine_type"}, version: []string{"engine_version"}, class: []string{"host_instance_type"}, name: []string{"broker_name"}},
	"aws_opensearch_domain":    {engine: []string{"engine_version", "=opensearch"}, version: []string{"engine_version"}, class: []string{"cluster_config.instance_type"}, name: []string{"domain_name"}},
	"aws_elasticsearch_domain": {kind: "elasticsearch", version: []string{"elasticsearch_version"}, class: []string{"cluster_config.instance_type"}, name: []string{"domain_name"}},
	"aws_msk_cluster":          {kind: "kafka", version: []string{"kafka_version"}, class: []string{"broker_node_group_info.instance_type"}, name: []string{"cluster_name"}},

	"google_sql_database_instance": {engine: []string{"database_version"}, version: []string{"database_version"}, class: []string{"settings.tier"}, name: []string{"name"}},
	"google_redis_instance":        {kind: "redis", version: []string{"redis_version"}, class: []string{"tier"}, name: []string{"name"}, gib: "memory_size_gb"},
	"google_memorystore_instance":  {kind: "redis", version: []string{"engine_version"}, class: []string{"node_type"}, name: []string{"instance_id"}},
	"google_alloydb_cluster":       {kind: "postgres", version: []string{"database_version"}, name: []string{"cluster_id"}},

	"azurerm_postgresql_flexible_server": {kind: "postgres", version: []string{"version"}, class: []string{"sku_name"}, name: []string{"name"}},
	"azurerm_postgresql_server":          {kind: "postgres", version: []string{"version"}, class: []string{"sku_name"}, name: []string{"name"}},
	"azurerm_mysql_flexible_server":      {kind: "mysql", version: []string{"version"}, class: []string{"sku_name"}, name: []string{"name"}},
	"azurerm_redis_cache":                {kind: "redis", version: []string{"redis_version"}, class: []string{"sku_name"}, name: []string{"name"}},

	"digitalocean_database_cluster": {engine: []string{"engine"}, version: []string{"version"}, class: []string{"size"}, name: []string{"name"}},
}

// moduleStores are modules of registries by their source.
var moduleStores = map[string]cloudStore{
	"terraform-aws-modules/rds/aws":               {engine: []string{"engine"}, version: []string{"engine_version"}, class: []string{"instance_class"}, name: []string{"identifier"}},
	"terraform-aws-modules/rds-aurora/aws":        {engine: []string{"engine"}, version: []string{"engine_version"}, class: []string{"instance_class", "cluster_instance_class", "db_cluster_instance_class"}, name: []string{"name"}},
	"terraform-aws-modules/elasticache/aws":       {engine: []string{"engine", "=redis"}, version: []string{"engine_version"}, class: []string{"node_type"}, name: []string{"replication_group_id", "cluster_id", "cache_name"}},
	"terraform-aws-modules/memory-db/aws":         {engine: []string{"engine", "=redis"}, version: []string{"engine_version"}, class: []string{"node_type"}, name: []string{"name"}},
	"terraform-aws-modules/opensearch/aws":        {engine: []string{"engine_version", "=opensearch"}, version: []string{"engine_version"}, class: []string{"cluster_config.instance_type"}, name: []string{"domain_name"}},
	"terraform-aws-modules/msk-kafka-cluster/aws": {kind: "kafka", version: []string{"kafka_version"}, class: []string{"broker_node_instance_type"}, name: []string{"name"}},
	"cloudposse/elasticache-redis/aws":            {kind: "redis", version: []string{"engine_version"}, class: []string{"instance_type"}, name: []string{"name"}},
	"cloudposse/rds/aws":                          {engine: []string{"engine"}, version: []string{"engine_version"}, class: []string{"instance_class"}, name: []string{"name"}},
	"cloudposse/rds-cluster/aws":                  {engine: []string{"engine", "=aurora-mysql"}, version: []string{"engine_version"}, class: []string{"instance_type"}, name: []string{"name"}},
	"cloudposse/mq-broker/aws":                    {engine: []string{"engine_type"}, version: []string{"engine_version"}, class: []string{"host_instance_type"}, name: []string{"name"}},
	"googlecloudplatform/sql-db/google":           {engine: []string{"database_version"}, version: []string{"database_version"}, class: []string{"tier"}, name: []string{"name"}},
	"terraform-google-modules/sql-db/google":      {engine: []string{"database_version"}, version: []string{"database_version"}, class: []string{"tier"}, name: []string{"name"}},
	"terraform-google-modules/memorystore/google": {kind: "redis", version: []string{"redis_version"}, class: []string{"tier"}, name: []string{"name"}, gib: "memory_size_gb"},
	"azure/postgresql/azurerm":                    {kind: "postgres", version: []string{"server_version"}, class: []string{"sku_name"}, name: []string{"server_name"}},
}

// quietModules make networks, identities and names: nothing that a report misses.
var quietModules = wordSet(`terraform-aws-modules/vpc/aws terraform-aws-modules/security-group/aws terraform-aws-modules/iam/aws
	terraform-aws-modules/kms/aws terraform-aws-modules/acm/aws terraform-aws-modules/route53/aws terraform-aws-modules/ecr/aws
	terraform-aws-modules/s3-bucket/aws terraform-aws-modules/cloudwatch/aws terraform-aws-modules/key-pair/aws terraform-aws-modules/alb/aws
	cloudposse/label/null cloudposse/vpc/aws cloudposse/iam-role/aws terraform-google-modules/project-factory/google
	terraform-google-modules/network/google terraform-google-modules/gcloud/google`)

// moduleSource is a module's address without host, protocol, version and folder.
func moduleSource(s string) (name, folder string) {
	s = strings.ToLower(s)
	s, _, _ = strings.Cut(s, "?")
	for _, p := range []string{"git::", "https://", "ssh://", "git@", "registry.terraform.io/", "registry.opentofu.org/"} {
		s = strings.TrimPrefix(s, p)
	}
	s, folder, _ = strings.Cut(s, "//")
	s = strings.TrimSuffix(s, ".git")
	for _, host := range []string{"github.com/", "github.com:"} {
		rest, ok := strings.CutPrefix(s, host)
		if !ok {
			continue
		}
		// github.com/terraform-aws-modules/terraform-aws-rds is terraform-aws-modules/rds/aws
		owner, repo, _ := strings.Cut(rest, "/")
		parts := strings.SplitN(repo, "-", 3)
		if len(parts) == 3 && parts[0] == "terraform" {
			return owner + "/" + parts[2] + "/" + parts[1], folder
		}
		return rest, folder
	}
	return s, folder
}

var engineNumber = regexp.MustCompile(`(?i)^(postgres|postgresql|mysql|redis|valkey|opensearch|elasticsearch)_v?(\d.*)$`)

// engineVersion is a version without the engine's name: 7.0 of REDIS_7_0.
func engineVersion(s string) string {
	if m := engineNumber.FindStringSubmatch(s); m != nil {
		return strings.ReplaceAll(m[2], "_", ".")
	}
	return s
}

// engineKind is the kind of store of an engine's name, with or without a version.
func engineKind(s string) string {
	s = strings.ToLower(s)
	if m := engineNumber.FindStringSubmatch(s); m != nil {
		s = m[1]
	}
	return engineKinds[s]
}

// store builds a Store from attributes, nil when its engine is not known.
func (c cloudStore) store(deployment, label string, pos premortem.Pos, get func(string) premortem.Setting[string]) *premortem.Store {
	first := func(names []string) premortem.Setting[string] {
		for _, n := range names {
			if fixed, ok := strings.CutPrefix(n, "="); ok {
				return premortem.Setting[string]{Value: fixed, Pos: pos}
			}
			if v := get(n); v.Set() && v.Value != "" {
				return v
			}
		}
		return premortem.Setting[string]{}
	}
	kind := c.kind
	if kind == "" {
		kind = engineKind(first(c.engine).Value)
	}
	if kind == "" {
		return nil
	}
	name := first(c.name).Value
	if name == "" {
		name = label
	}
	s := &premortem.Store{Deployment: deployment, Node: premortem.Node("store/" + name), Kind: kind, Pos: pos}
	if v := first(c.version); v.Set() {
		s.Version = premortem.Setting[string]{Value: engineVersion(v.Value), Pos: v.Pos}
	}
	s.Class = first(c.class)
	s.Port = intOf(get("port"))
	if gib := get(c.gib); c.gib != "" && gib.Set() {
		if f, err := strconv.ParseFloat(gib.Value, 64); err == nil && f > 0 && f < 1<<20 {
			s.Memory = premortem.Setting[int64]{Value: int64(f * (1 << 30)), Pos: gib.Pos}
		}
	}
	return s
}
