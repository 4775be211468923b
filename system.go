package premortem

import "strings"

// Node names a part of the system: "service/api", "store/postgres",
// "thirdparty/stripe". The same node may exist in several deployments.
type Node string

// Kind is the part before the first slash: "service", "store" or "thirdparty".
func (n Node) Kind() string { k, _, _ := strings.Cut(string(n), "/"); return k }

// Name is the part after the first slash.
func (n Node) Name() string { _, name, _ := strings.Cut(string(n), "/"); return name }

// System is what a repository says about its production. It is built once by
// read, never changed afterwards, sorted, and safe for concurrent use. It holds
// no secret's value.
type System struct {
	Name        string        `json:"name"` // folder, package or compose project name
	Deployments []*Deployment `json:"deployments"`
	// Production names the deployment that production runs, "" when none was found.
	// ProductionWhy says how we know: "declared in premortem.yaml:3" or "inferred: …".
	Production    string          `json:"production"`
	ProductionWhy string          `json:"production_why"`
	Services      []*Service      `json:"services"`
	Stores        []*Store        `json:"stores"`
	ThirdParties  []*ThirdParty   `json:"third_parties"`
	Balancers     []*Balancer     `json:"balancers"`
	Poolers       []*Pooler       `json:"poolers"`
	Dependencies  []*Dependency   `json:"dependencies"`
	Env           []*EnvVar       `json:"env"`
	Samples       []*EnvSample    `json:"samples"`
	Runtimes      []*Runtime      `json:"runtimes"`
	Images        []*Image        `json:"images"`
	Tables        []*Table        `json:"tables"`
	Migrations    []*Migration    `json:"migrations"`
	Queries       []*Query        `json:"queries"`
	Routes        []*Route        `json:"routes"`
	Servers       []*Server       `json:"servers"`
	Calls         []*Call         `json:"calls"`
	Retries       []*Retry        `json:"retries"`
	Transactions  []*Transaction  `json:"transactions"` // those that wait for something outside
	Logs          []*LogCall      `json:"logs"`
	Installs      []*Install      `json:"installs"`
	Baked         []*Baked        `json:"baked"`
	Pipeline      []*PipelineUse  `json:"pipeline"`
	Credentials   []*Credential   `json:"credentials"`
	Layers        []*Layer        `json:"layers"`
	Certificates  []*Certificate  `json:"certificates"`
	Journeys      []*Journey      `json:"journeys"`
	Objectives    []Objective     `json:"objectives"`
	Base          Base            `json:"base"`
	Database      DatabaseWish    `json:"database"`
	Suppressions  []Suppression   `json:"suppressions"`
	Unread        []Unread        `json:"unread"`
	Config        Setting[string] `json:"config"` // path of premortem.yaml when there is one
}

// Deployment is one way in which the repository runs the system, named by its
// files: "compose.yaml", "k8s/overlays/prod", "terraform".
type Deployment struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // "compose", "kubernetes", "terraform", "cloudformation", "platform" (Heroku, Fly.io, Render, …), "package" (npm start)
	Pos  Pos    `json:"pos"`
}

// Service is one workload of one deployment. (Deployment, Node) identifies it:
// nothing of one deployment overrides another; rules compare them.
type Service struct {
	Deployment string `json:"deployment"`
	Node       Node   `json:"node"`
	Pos        Pos    `json:"pos"`
	// Dir is the folder of its code relative to the root, "." for the root, "" when
	// no code could be tied to it. Env reads of a service come from this folder.
	Dir        string          `json:"dir"`
	Dockerfile string          `json:"dockerfile"` // path, "" unknown
	Image      Setting[string] `json:"image"`      // as written
	// Command is what starts it, exec form, after image metadata, manifest overrides
	// and package scripts were considered. Silent when nothing says.
	Command     Setting[[]string] `json:"command"`
	Replicas    Setting[int]      `json:"replicas"`
	MaxReplicas Setting[int]      `json:"max_replicas"` // autoscaler's upper bound
	// MaxSurge is the share of extra replicas during a deploy: 0.25 for "25%".
	MaxSurge  Setting[float64] `json:"max_surge"`
	Ports     []Setting[int]   `json:"ports"`  // container ports
	Health    Setting[string]  `json:"health"` // HTTP path of the readiness probe
	CPU       Setting[float64] `json:"cpu"`    // limit in cores
	Memory    Setting[int64]   `json:"memory"` // limit in bytes
	Provides  []EnvSet         `json:"provides"`
	Opaque    []Opaque         `json:"opaque"` // sources of variables whose keys cannot be listed
	DependsOn []Node           `json:"depends_on"`
	Static    bool             `json:"static"` // serves files only: built web front ends

	MinReplicas   Setting[int]      `json:"min_replicas"`   // autoscaler's lower bound
	CPURequest    Setting[float64]  `json:"cpu_request"`    // cores
	MemoryRequest Setting[int64]    `json:"memory_request"` // bytes
	ScalesOn      []Setting[string] `json:"scales_on"`      // "cpu utilization": what the autoscaler divides by a request
	Strategy      Setting[string]   `json:"strategy"`       // "RollingUpdate", "Recreate"
	Grace         Setting[float64]  `json:"grace"`          // seconds between SIGTERM and SIGKILL
	PreStop       Setting[float64]  `json:"pre_stop"`       // seconds that a hook waits before SIGTERM
	Probes        []Probe           `json:"probes"`
	Start         Start             `json:"start"`
	// Exposed is what sends it traffic, the outermost that is known: "ingress shop",
	// "service api", "target group api", "published port 8080". Silent is nothing.
	Exposed    Setting[string] `json:"exposed"`
	References []Reference     `json:"references"`
	// BuildArgs are the variables that exist while its image is built: an ARG that the
	// Dockerfile declares and that has a default, is passed by the build, or whose build
	// nobody wrote down; and ENV of the stages. A name that is not here is not there
	// when the bundle is made.
	BuildArgs   []EnvSet        `json:"build_args"`
	Schedule    Setting[string] `json:"schedule"`     // of a job
	Concurrency Setting[string] `json:"concurrency"`  // "Allow", "Forbid", "Replace"
	ShmSize     Setting[int64]  `json:"shm_size"`     // bytes of /dev/shm
	Job         bool            `json:"job"`          // runs and ends
	ConfigCache Setting[string] `json:"config_cache"` // the line after which Laravel's env() answers from its cache
	Hops        []Hop           `json:"hops"`         // the ports on a request's way to it, from the user inwards
	After       []After         `json:"after"`        // what it is started after, and how far that must be
	// Disruption is what a PodDisruptionBudget allows: "minAvailable 1", "maxUnavailable 0".
	Disruption Setting[string] `json:"disruption"`
	Unlimited  bool            `json:"unlimited"` // the platform itself gives the container no memory limit
}

// Opaque is a source of environment variables whose keys cannot be enumerated.
type Opaque struct {
	Why string `json:"why"`
	Pos Pos    `json:"pos"`
}

// Store is a database, cache, queue or bucket in one deployment.
type Store struct {
	Deployment     string          `json:"deployment"`
	Node           Node            `json:"node"`
	Kind           string          `json:"kind"` // "postgres", "redis", …
	Pos            Pos             `json:"pos"`
	Version        Setting[string] `json:"version"` // "15.4"; of an image, its tag
	Image          Setting[string] `json:"image"`   // as written; one whose tag is no version leaves Version silent: "redis:alpine"
	Class          Setting[string] `json:"class"`   // "db.t4g.micro"
	MaxConnections Setting[int]    `json:"max_connections"`
	Memory         Setting[int64]  `json:"memory"` // bytes
	Params         []Param         `json:"params"` // parameter group, command-line settings
	Hosts          []string        `json:"hosts"`  // names under which services reach it
	Port           Setting[int]    `json:"port"`
}

// Param is one server setting of a store.
type Param struct {
	Name  string          `json:"name"`
	Value Setting[string] `json:"value"`
}

// Balancer is a load balancer or ingress in front of a service.
type Balancer struct {
	Deployment  string           `json:"deployment"`
	Kind        string           `json:"kind"` // "aws-alb", "nginx-ingress", "ingress", …
	To          Node             `json:"to"`
	Pos         Pos              `json:"pos"`
	IdleTimeout Setting[float64] `json:"idle_timeout"` // seconds

	// Software and Version name the row of defaults: "aws-alb", "nginx", "ingress-nginx", "envoy", …
	Software       string           `json:"software"`
	Version        Setting[string]  `json:"version"`
	ReadTimeout    Setting[float64] `json:"read_timeout"`    // seconds of silence from the target
	ConnectTimeout Setting[float64] `json:"connect_timeout"` // seconds
	RequestTimeout Setting[float64] `json:"request_timeout"` // seconds for one whole request
	Drain          Setting[float64] `json:"drain"`           // deregistration delay, seconds
	Reuse          Setting[bool]    `json:"reuse"`           // keeps connections to the target; silent is the default
	BodyLimit      Setting[int64]   `json:"body_limit"`      // bytes
	Retries        Setting[int]     `json:"retries"`
	ToPort         Setting[int]     `json:"to_port"` // port of the target
	Probes         []Probe          `json:"probes"`
	Front          int              `json:"front"`          // hops nearer to the user that stand before it
	Path           string           `json:"path,omitempty"` // of the location that it speaks for, "" every path
	By             Node             `json:"by,omitempty"`   // the service of the system that it is, "" one of the platform
}

// Pooler stands between services and their database and shares few connections of
// the database among many of the services. Its silent parts are the software's
// defaults.
type Pooler struct {
	Deployment string          `json:"deployment"`
	Name       string          `json:"name"`
	Software   string          `json:"software"` // "pgbouncer", "aws-rds-proxy"
	Pos        Pos             `json:"pos"`
	To         Node            `json:"to"`          // the database behind it, "" unknown
	Users      []Node          `json:"users"`       // services that reach the database through it in this deployment
	Mode       Setting[string] `json:"mode"`        // "session", "transaction", "statement"
	PoolSize   Setting[int]    `json:"pool_size"`   // connections for each user and database
	Reserve    Setting[int]    `json:"reserve"`     // more of them under pressure
	MaxServer  Setting[int]    `json:"max_server"`  // connections to one database at most
	MaxClients Setting[int]    `json:"max_clients"` // connections that it accepts
	Replicas   Setting[int]    `json:"replicas"`    // of the pooler itself: each has pools of its own
	Hosts      []string        `json:"hosts"`
}

// ThirdParty is an API on the internet that the code calls.
type ThirdParty struct {
	Node  Node              `json:"node"`
	Hosts []string          `json:"hosts"`
	Uses  []Setting[string] `json:"uses"` // import or call sites: the text and its line
}

// Dependency says that From calls To. Its settings are what the code says.
type Dependency struct {
	From    Node             `json:"from"`
	To      Node             `json:"to"`
	Env     Setting[string]  `json:"env"`      // name of the variable that holds the address
	Pool    Setting[int]     `json:"pool"`     // connections per process at most
	PoolEnv string           `json:"pool_env"` // variable that overrides Pool, "" none
	Timeout Setting[float64] `json:"timeout"`  // seconds
	Retries Setting[int]     `json:"retries"`
	Pos     Pos              `json:"pos"`
}

// Objective is what a route promises its users. Silent parts promise nothing.
type Objective struct {
	Route  string           `json:"route"`  // "POST /api/login"; "*" for every route
	P95    Setting[float64] `json:"p95"`    // seconds
	P99    Setting[float64] `json:"p99"`    // seconds
	Errors Setting[float64] `json:"errors"` // share, 0.001 for 0.1 %
	Pos    Pos              `json:"pos"`
}

// Base is normal load: X multiplies it.
type Base struct {
	Users Setting[float64] `json:"users"` // people active at once
	Calls Setting[float64] `json:"calls"` // requests per second
}

// DatabaseWish is how large the clone's database shall be and where from.
type DatabaseWish struct {
	Profile Setting[string] `json:"profile"`
	Rows    []RowWish       `json:"rows"`
	Values  []ValueWish     `json:"values"`
}

// RowWish is production's number of rows of one table.
type RowWish struct {
	Table string       `json:"table"`
	Rows  Setting[int] `json:"rows"`
}

// ValueWish fixes a column to a template in every generated row, for values that
// only the application can compute, such as the hash of a known password.
// "${id}" is the row's number, counted from 1.
type ValueWish struct {
	Table    string          `json:"table"`
	Column   string          `json:"column"`
	Template Setting[string] `json:"template"`
}

// Suppression silences a rule, with a reason.
type Suppression struct {
	Rule   string `json:"rule"`
	Node   Node   `json:"node,omitempty"` // "" any
	Reason string `json:"reason"`
	Until  string `json:"until,omitempty"` // "2027-01-31"; "" for good
	Pos    Pos    `json:"pos"`
	Inline bool   `json:"inline,omitempty"` // a comment: it covers its own line and the next
}

// Unread is a file that matters and was not understood.
type Unread struct {
	Pos Pos    `json:"pos"`
	Why string `json:"why"`
}

// In returns the service of a deployment, nil when it has none of that node.
func (s *System) In(deployment string, n Node) *Service {
	for _, v := range s.Services {
		if v.Deployment == deployment && v.Node == n {
			return v
		}
	}
	return nil
}

// ServicesOf returns the services of one deployment.
func (s *System) ServicesOf(deployment string) []*Service {
	var out []*Service
	for _, v := range s.Services {
		if v.Deployment == deployment {
			out = append(out, v)
		}
	}
	return out
}

// StoresOf returns the descriptions of a store in every deployment, production's
// first, so that the first one that sets a value is the one that counts there.
func (s *System) StoresOf(n Node) []*Store {
	var first, rest []*Store
	for _, v := range s.Stores {
		switch {
		case v.Node != n:
		case s.IsProduction(v.Deployment):
			first = append(first, v)
		default:
			rest = append(rest, v)
		}
	}
	return append(first, rest...)
}

// IsProduction reports whether a deployment describes production: the one that
// runs it, or the Terraform or CloudFormation that builds its infrastructure.
func (s *System) IsProduction(deployment string) bool {
	if deployment == s.Production {
		return true
	}
	for _, d := range s.Deployments {
		if d.Name == deployment {
			return d.Kind == "terraform" || d.Kind == "cloudformation"
		}
	}
	return false
}

// Into returns the dependencies that end at n.
func (s *System) Into(n Node) []*Dependency {
	var out []*Dependency
	for _, d := range s.Dependencies {
		if d.To == n {
			out = append(out, d)
		}
	}
	return out
}

// From returns the dependencies that start at n.
func (s *System) From(n Node) []*Dependency {
	var out []*Dependency
	for _, d := range s.Dependencies {
		if d.From == n {
			out = append(out, d)
		}
	}
	return out
}

// Table returns the table of that name (with or without its schema), nil if none.
func (s *System) Table(name string) *Table {
	for _, t := range s.Tables {
		if t.Name == name || strings.TrimPrefix(t.Name, "public.") == strings.TrimPrefix(name, "public.") {
			return t
		}
	}
	return nil
}
