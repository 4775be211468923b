package premortem

// EnvClass says how badly the code needs a variable. The zero class is unknown.
type EnvClass string

const (
	EnvBoot  EnvClass = "boot"  // a missing value stops the process at start
	EnvUse   EnvClass = "use"   // a missing value flows on until it is used
	EnvDev   EnvClass = "dev"   // has a default that only fits a laptop
	EnvOpt   EnvClass = "opt"   // guarded, or with a sane default
	EnvBuild EnvClass = "build" // inlined at build time
	EnvDyn   EnvClass = "dyn"   // the name is computed
)

// EnvVar is one variable that the code of a service reads.
type EnvVar struct {
	Service Node      `json:"service"`
	Name    string    `json:"name"`
	Class   EnvClass  `json:"class"` // the strongest of its reads
	Reads   []EnvRead `json:"reads"`
	// Unsure says why nobody can tell whether the process of the service runs the code
	// that needs the variable, "" where it does.
	Unsure string `json:"unsure,omitempty"`
}

// EnvRead is one place where code reads a variable.
type EnvRead struct {
	Pos   Pos      `json:"pos"`
	Class EnvClass `json:"class"`
	Quote string   `json:"quote"` // the source line, trimmed
}

// EnvSet is one place where a deployment provides a variable. It never holds a
// secret: Value is kept only for plain settings and for addresses, whose user
// information and query are removed.
type EnvSet struct {
	Name   string `json:"name"`
	Pos    Pos    `json:"pos"`
	Source string `json:"source"` // "configmap api-config", "secret api-secrets", "env_file .env", "environment", "image"
	Empty  bool   `json:"empty"`
	Plain  bool   `json:"plain"` // Value is the whole value
	Value  string `json:"value,omitempty"`
	// Hash is equal for equal values within one reading and says nothing else:
	// it is keyed with a random key that is thrown away.
	Hash string `json:"-"`
	// Entry is how its file would set another variable beside it: lines with {name} and
	// {value}, or {base64} for the value, to be put before Pos. "" where its own line
	// does not tell.
	Entry string `json:"-"`
}

// EnvSample is a list of variables that provides nothing in production and should
// name what the code needs all the same.
type EnvSample struct {
	Kind string   `json:"kind"` // "example" of a file that people copy, "pipeline" of a job's variables
	File string   `json:"file"`
	Sets []EnvSet `json:"sets"`
}

// Provision is whether a deployment gives a variable to a service. The zero value
// is Unknown: a source could not be listed.
type Provision int

const (
	ProvisionUnknown Provision = iota
	Provided
	ProvidedEmpty
	Missing
)

func (p Provision) String() string {
	return [...]string{"unknown", "provided", "provided empty", "missing"}[p]
}

// Provision tells whether the deployment provides the variable. Missing is
// returned only when every source of that workload can be enumerated.
func (s *System) Provision(deployment string, service Node, name string) (Provision, *EnvSet) {
	svc := s.In(deployment, service)
	if svc == nil {
		return ProvisionUnknown, nil
	}
	for i := range svc.Provides {
		if set := &svc.Provides[i]; set.Name == name {
			if set.Empty {
				return ProvidedEmpty, set
			}
			return Provided, set
		}
	}
	if len(svc.Opaque) > 0 {
		return ProvisionUnknown, nil
	}
	return Missing, nil
}

// EnvOf returns the variables that the code of a service reads.
func (s *System) EnvOf(service Node) []*EnvVar {
	var out []*EnvVar
	for _, v := range s.Env {
		if v.Service == service {
			out = append(out, v)
		}
	}
	return out
}

// Runtime is one place that names the version of a language's runtime.
type Runtime struct {
	Service  Node            `json:"service"`
	Language string          `json:"language"` // "node", "python", …
	Version  Setting[string] `json:"version"`  // as written: "20", ">=18 <21", "lts/*", "latest"
	Source   string          `json:"source"`   // "Dockerfile", ".nvmrc", "engines", "ci", "lockfile"
	// Runs is true where this line decides what production runs (the image), false
	// where it decides what is tested or declared.
	Runs bool `json:"runs"`
}

// Image is an image reference that something builds from or runs.
type Image struct {
	Deployment string `json:"deployment"` // "" for a Dockerfile's FROM
	Service    Node   `json:"service"`
	Ref        string `json:"ref"` // as written, variables expanded
	Tag        string `json:"tag"` // "" none
	Digest     string `json:"digest"`
	Stage      string `json:"stage"` // of a FROM: its name or number
	Final      bool   `json:"final"` // the stage that runs, or an image that runs as it is
	Quote      string `json:"quote"`
	Pos        Pos    `json:"pos"`
}
