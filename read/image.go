package read

import (
	"path"
	"strings"
)

// imageRef is an image reference in parts.
type imageRef struct {
	repository string // "library/node" is "node"; a registry's name is kept
	tag        string
	digest     string
}

// splitImage takes a reference apart. Docker Hub's own prefixes are dropped, so
// that "node" and "docker.io/library/node" are one repository.
func splitImage(ref string) imageRef {
	var r imageRef
	ref, r.digest, _ = strings.Cut(ref, "@")
	if i := strings.LastIndex(ref, ":"); i > strings.LastIndex(ref, "/") {
		ref, r.tag = ref[:i], ref[i+1:]
	}
	for _, prefix := range []string{"docker.io/", "index.docker.io/", "library/"} {
		ref = strings.TrimPrefix(ref, prefix)
	}
	r.repository = ref
	return r
}

// storeKinds are repositories of images that are stores, by their last part.
var storeKinds = map[string]string{
	"postgres": "postgres", "postgresql": "postgres", "postgis": "postgres", "pgvector": "postgres",
	"timescaledb": "postgres", "timescaledb-ha": "postgres", "spilo": "postgres",
	"redis": "redis", "redis-stack": "redis", "redis-stack-server": "redis", "valkey": "redis", "keydb": "redis", "dragonfly": "redis",
	"mysql": "mysql", "mysql-server": "mysql", "mariadb": "mariadb", "percona": "mysql",
	"mongo": "mongodb", "mongodb": "mongodb", "mongodb-community-server": "mongodb",
	"rabbitmq": "rabbitmq", "kafka": "kafka", "cp-kafka": "kafka", "redpanda": "kafka", "nats": "nats",
	"memcached": "memcached", "minio": "s3", "localstack": "aws", "elasticmq": "sqs",
	"elasticsearch": "elasticsearch", "opensearch": "opensearch", "clickhouse": "clickhouse", "clickhouse-server": "clickhouse",
	"cassandra": "cassandra", "scylla": "cassandra", "cockroach": "cockroach", "mssql": "mssql",
	"influxdb": "influxdb", "neo4j": "neo4j", "etcd": "etcd", "zookeeper": "zookeeper", "cp-zookeeper": "zookeeper",
	"meilisearch": "meilisearch", "typesense": "typesense", "qdrant": "qdrant", "weaviate": "weaviate",
}

// storePorts are the ports on which stores listen by default.
var storePorts = map[string]int{
	"postgres": 5432, "redis": 6379, "mysql": 3306, "mariadb": 3306, "mongodb": 27017, "rabbitmq": 5672,
	"kafka": 9092, "nats": 4222, "memcached": 11211, "elasticsearch": 9200, "opensearch": 9200, "clickhouse": 8123,
	"cassandra": 9042, "cockroach": 26257, "s3": 9000, "etcd": 2379,
}

// storeSchemes are URL schemes that say which kind of store is at an address.
var storeSchemes = map[string]string{
	"postgres": "postgres", "postgresql": "postgres", "redis": "redis", "rediss": "redis", "mysql": "mysql", "mysql2": "mysql",
	"mariadb": "mariadb", "mongodb": "mongodb", "mongodb+srv": "mongodb", "amqp": "rabbitmq", "amqps": "rabbitmq",
	"nats": "nats", "kafka": "kafka", "memcached": "memcached", "clickhouse": "clickhouse",
}

// storeKind returns the kind of store that an image is, "" when it is none.
func storeKind(ref string) string {
	return storeKinds[path.Base(splitImage(ref).repository)]
}

// runtimeImages are repositories of official images of language runtimes.
var runtimeImages = map[string]string{
	"node": "node", "python": "python", "ruby": "ruby", "golang": "go", "php": "php", "openjdk": "java",
	"eclipse-temurin": "java", "amazoncorretto": "java", "rust": "rust", "oven/bun": "bun", "denoland/deno": "deno",
	"elixir": "elixir", "dotnet/aspnet": "dotnet", "dotnet/runtime": "dotnet", "dotnet/sdk": "dotnet",
}

// imageRuntime returns the language and its version as the tag writes it, "latest"
// without one. Variants such as "-alpine" are not part of the version.
func imageRuntime(ref string) (language, version string) {
	r := splitImage(ref)
	repo := r.repository
	for _, mirror := range []string{"public.ecr.aws/docker/library/", "mirror.gcr.io/library/", "mcr.microsoft.com/", "ghcr.io/"} {
		repo = strings.TrimPrefix(repo, mirror)
	}
	repo = strings.TrimPrefix(repo, "library/")
	language = runtimeImages[repo]
	if language == "" {
		if rest, ok := strings.CutPrefix(repo, "gcr.io/distroless/nodejs"); ok {
			rest, _, _ = strings.Cut(rest, "-")
			return "node", rest
		}
		return "", ""
	}
	version, variant, _ := strings.Cut(r.tag, "-")
	switch {
	case r.tag == "":
		return language, "latest"
	case version != "" && version[0] >= '0' && version[0] <= '9':
		return language, version
	case version == "lts" || version == "current" || version == "latest":
		return language, version
	case isCodename(version) && variant == "" || version == "alpine" || version == "slim":
		return language, "latest" // a variant of latest: node:alpine, node:bookworm
	}
	return language, version
}

func isCodename(s string) bool {
	switch s {
	case "bookworm", "bullseye", "buster", "trixie", "jod", "iron", "hydrogen", "gallium", "krypton":
		return s != "jod" && s != "iron" && s != "hydrogen" && s != "gallium" && s != "krypton"
	}
	return false
}

// webServers are images whose services serve files that are in the image.
var webServers = map[string]bool{
	"nginx": true, "nginx-unprivileged": true, "httpd": true, "caddy": true, "static-web-server": true, "lighttpd": true, "nginx-slim": true,
}

// knownBases are image repositories whose own ENV holds nothing that an
// application reads; any other base may provide variables that we cannot see.
var knownBases = wordSet(`node python ruby golang php openjdk eclipse-temurin amazoncorretto rust elixir nginx httpd caddy
	alpine debian ubuntu busybox scratch fedora amazonlinux rockylinux almalinux archlinux oven/bun denoland/deno
	nginxinc/nginx-unprivileged buildpack-deps tomcat jetty haproxy traefik
	gcr.io/distroless/static gcr.io/distroless/base gcr.io/distroless/cc
	mcr.microsoft.com/dotnet/aspnet mcr.microsoft.com/dotnet/runtime mcr.microsoft.com/dotnet/sdk`)

func knownBase(ref string) bool {
	repo := splitImage(ref).repository
	repo = strings.TrimPrefix(repo, "public.ecr.aws/docker/library/")
	repo = strings.TrimPrefix(repo, "mirror.gcr.io/library/")
	return knownBases[repo] || strings.HasPrefix(repo, "gcr.io/distroless/")
}
