package premortem

// Probe is one health check of a workload or of a balancer's target.
type Probe struct {
	Kind    string           `json:"kind"`            // "readiness", "liveness", "startup", "target", "container"
	Check   string           `json:"check,omitempty"` // how: "http", "tcp", "grpc", "exec"; "" unknown
	Pos     Pos              `json:"pos"`
	Path    Setting[string]  `json:"path"`    // HTTP path, "/" where an HTTP check names none; silent for another kind of check
	Port    Setting[int]     `json:"port"`    // resolved number
	Command Setting[string]  `json:"command"` // what is executed, for an exec check
	Timeout Setting[float64] `json:"timeout"` // seconds
	Period  Setting[float64] `json:"period"`  // seconds
	// Failures is how many in a row count as down.
	Failures Setting[int] `json:"failures"`
}

// Start is how the first process of a container comes to life.
type Start struct {
	Pos    Pos    `json:"pos"`
	Quote  string `json:"quote"`
	Shell  bool   `json:"shell"`            // a shell is process 1 and is not told to exec
	Simple bool   `json:"simple,omitempty"` // of Shell: its line is one plain command, which most shells exec by themselves
	Script string `json:"script,omitempty"` // a package manager is process 1: "npm start"
	// Runs is the text that Script stands for, where package.json has it.
	Runs Setting[string] `json:"runs"`
	Init bool            `json:"init"` // tini, dumb-init, init: true: signals arrive
	// Signal is what STOPSIGNAL or stop_signal sends instead of SIGTERM.
	Signal Setting[string] `json:"signal"`
}

// Hop is one line on the way of a request to a workload that names the port of what
// comes next.
type Hop struct {
	Kind string          `json:"kind"` // "ingress", "gateway", "balancer", "service", "container", "published", "router"
	Name string          `json:"name"` // of the object, "" none
	Port Setting[string] `json:"port"` // as written: "8080", "http"
	// Target is the container's port at which the request ends, silent where the name or
	// the number leads nowhere: Lost then says what was looked for.
	Target Setting[int] `json:"target"`
	Lost   string       `json:"lost,omitempty"`
	// Owner is another container of the pod that answers on Target, "" none.
	Owner string `json:"owner,omitempty"`
}

// After is what a workload is started after.
type After struct {
	Node      Node            `json:"node"`
	Condition Setting[string] `json:"condition"` // "service_started", "service_healthy", "service_completed_successfully"
}

// Reference is a key of another object that a workload needs in order to start.
type Reference struct {
	Pos      Pos    `json:"pos"`
	Object   string `json:"object"` // "secret api-secrets"
	Key      string `json:"key"`    // "" the whole object
	Env      string `json:"env"`    // variable it feeds, "" none
	Optional bool   `json:"optional"`
	// Found is Missing only when the tree creates the object in this deployment and
	// lists its keys, or creates every object of its kind.
	Found Provision `json:"found"`
	In    Pos       `json:"in"`   // the object, zero when the tree does not create it
	Keys  []string  `json:"keys"` // what it has
}

// Install is one line of a build that installs packages.
type Install struct {
	Service  Node            `json:"service"`
	Pos      Pos             `json:"pos"`
	Quote    string          `json:"quote"`
	Tool     string          `json:"tool"`     // "npm", "yarn", "pnpm", "pip", "bundle", "go", …
	Frozen   bool            `json:"frozen"`   // installs what the lockfile says or fails
	Lockfile Setting[string] `json:"lockfile"` // the lockfile it ignores, silent when there is none
	// Absent is true where the lockfile exists but is not there when the line runs:
	// copied later, or kept out by .dockerignore (Ignored).
	Absent  bool `json:"absent"`
	Ignored Pos  `json:"ignored"`
	CI      bool `json:"ci"` // a pipeline, not an image
}

// Baked is a local file of secrets or settings that a build copies into the image
// that runs.
type Baked struct {
	Service Node   `json:"service"`
	Copy    Pos    `json:"copy"`
	Quote   string `json:"quote"`
	File    string `json:"file"`
	Ignore  Pos    `json:"ignore"`  // the .dockerignore that lets it through, zero without one
	Context string `json:"context"` // folder of the build, "." the root
}

// PipelineUse is a variable that a step of a pipeline uses.
type PipelineUse struct {
	Pos      Pos       `json:"pos"`
	Quote    string    `json:"quote"`
	Name     string    `json:"name"`
	Job      string    `json:"job"`
	Step     string    `json:"step"`
	Deploys  bool      `json:"deploys"` // the step builds or deploys
	Provided Provision `json:"provided"`
	// Callee and CalleePos are the reusable workflow that declares the secret.
	Callee    string `json:"callee,omitempty"`
	CalleePos Pos    `json:"callee_pos"`
}

// Credential is a password, key or token that stands in a file as text. The value
// itself is never kept.
type Credential struct {
	Pos        Pos    `json:"pos"`
	Quote      string `json:"quote"` // the line with the value masked
	Deployment string `json:"deployment,omitempty"`
	Service    Node   `json:"service,omitempty"`
	Name       string `json:"name"`              // variable or key that holds it
	What       string `json:"what"`              // "AWS access key", "private key", "password in an address", …
	Where      string `json:"where"`             // "configmap api-config", "environment", "Dockerfile ENV", …
	Default    string `json:"default,omitempty"` // the well-known default it equals: "the default password of postgres"
	Production bool   `json:"production"`        // it reaches a production workload
}

// Statement is one statement of a migration.
type Statement struct {
	Pos  Pos    `json:"pos"`
	SQL  string `json:"sql"`   // as written, or as the runner would write it
	InTx bool   `json:"in_tx"` // runs inside a transaction
	Down bool   `json:"down"`  // belongs to the way back
	Was  string `json:"was"`   // the column's type before a change of it, "not null" before a SET NOT NULL of such a column
}

// Layer is a line of a Dockerfile whose result grows old in the cache of the build.
type Layer struct {
	Service Node   `json:"service"`
	Pos     Pos    `json:"pos"`
	Quote   string `json:"quote"`
	// Kind is "update": a package list is fetched in a layer of its own; or "download":
	// what the network answers is run, without a version.
	Kind    string `json:"kind"`
	Install Pos    `json:"install"` // of an update: the layer that installs from the list
}

// Certificate is the public part of a certificate in the tree.
type Certificate struct {
	Pos     Pos    `json:"pos"`
	Service Node   `json:"service,omitempty"` // whose image or secret it is, "" unknown
	Subject string `json:"subject"`
	Until   string `json:"until"` // last day: "2027-01-31"
	Own     bool   `json:"own"`   // signed by itself
	CA      bool   `json:"ca"`    // signs others
}
