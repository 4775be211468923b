package premortem

// Server is one HTTP server that the code or the start command of a service opens.
// What it leaves silent is the software's default in that version.
type Server struct {
	Service Node   `json:"service"`
	Pos     Pos    `json:"pos"`
	Quote   string `json:"quote"`
	// Software is who keeps the connections: "node", "fastify", "go", "gunicorn",
	// "uvicorn", "puma", "tomcat", "php-fpm", …
	Software string          `json:"software"`
	Version  Setting[string] `json:"version"` // of Software: locked, or the runtime's
	Host     Setting[string] `json:"host"`    // address it binds, as written
	Port     Setting[int]    `json:"port"`    // literal, or the default beside PortEnv
	PortEnv  string          `json:"port_env,omitempty"`
	// The times are in seconds.
	KeepAlive      Setting[float64] `json:"keep_alive"`      // how long an idle connection stays open
	HeadersTimeout Setting[float64] `json:"headers_timeout"` // until the request's head is read
	RequestTimeout Setting[float64] `json:"request_timeout"` // deadline of one whole request
	Drain          Setting[float64] `json:"drain"`           // how long it serves on after SIGTERM
	Stops          Setting[string]  `json:"stops"`           // the line that handles SIGTERM
	Workers        Setting[int]     `json:"workers"`         // processes; 0 is one for each core of the host
	Threads        Setting[int]     `json:"threads"`         // per process
	BodyLimit      Setting[int64]   `json:"body_limit"`      // bytes it accepts
	// Opaque names the settings that are set to what nobody can compute from the
	// files: "keep_alive". They are silent above, and not the default.
	Opaque []string `json:"opaque"`
}

// Call is one place where code calls something over the network with a client
// library, other than a database.
type Call struct {
	Service Node   `json:"service"`
	To      Node   `json:"to,omitempty"` // "" unknown
	Pos     Pos    `json:"pos"`
	Quote   string `json:"quote"`
	Client  string `json:"client"` // "axios", "fetch", "requests", "net/http", "stripe", …
	Made    Pos    `json:"made"`   // where the client was constructed, zero if nowhere
	Method  string `json:"method,omitempty"`
	// Timeout is the shortest wait that the call, its client, its context or an
	// interceptor sets, in seconds. Opaque says why it cannot be known.
	Timeout Setting[float64] `json:"timeout"`
	Opaque  string           `json:"opaque,omitempty"`
	Retries Setting[int]     `json:"retries"` // attempts after the first
	Keyed   bool             `json:"keyed"`   // carries an idempotency key
	Script  bool             `json:"script"`  // a test, a tool or a job, on no request's path
}

// Retry is a loop, or an option of a client, that tries again.
type Retry struct {
	Service   Node             `json:"service"`
	To        Node             `json:"to,omitempty"`
	Pos       Pos              `json:"pos"`
	Quote     string           `json:"quote"`
	Attempts  Setting[int]     `json:"attempts"`          // in all; silent is without end, unless Bounded
	Bounded   bool             `json:"bounded,omitempty"` // it ends after a number of attempts that is not known
	Wait      Setting[float64] `json:"wait"`              // seconds before the second attempt; silent is at once
	Backoff   bool             `json:"backoff"`           // the wait grows
	Jitter    bool             `json:"jitter"`
	Writes    bool             `json:"writes"` // what is tried again changes something
	Keyed     bool             `json:"keyed"`  // carries an idempotency key
	Reconnect bool             `json:"reconnect"`
}

// Transaction is a database transaction of the code that waits for something
// outside the database between its begin and its end.
type Transaction struct {
	Service Node              `json:"service"`
	Pos     Pos               `json:"pos"`
	End     Pos               `json:"end"`
	Quote   string            `json:"quote"`
	Outside []Setting[string] `json:"outside"` // the calls: text and line, in order of the path from begin
	To      []Node            `json:"to"`      // what they call, where it is known
	Writes  bool              `json:"writes"`
}

// LogCall is one place where code writes a line to its log.
type LogCall struct {
	Service Node   `json:"service"`
	Pos     Pos    `json:"pos"`
	Quote   string `json:"quote"`
	Library string `json:"library"` // "pino", "winston", "console", "slog", "logging", …
	Level   string `json:"level"`   // "error", "warn", "info", "debug", ""
	Message string `json:"message"`
	// Fields are the names that the call and its logger attach, in order.
	Fields []string `json:"fields"`
	// Bound is true where the logger takes its context from the request by itself.
	Bound bool `json:"bound"`
	// Route is true on a request's path, false at start, stop and in scripts.
	Route bool   `json:"route"`
	Leaks []Leak `json:"leaks"`
}

// Leak is a credential that flows into a log call.
type Leak struct {
	What   string `json:"what"`   // "the session token"
	Source Pos    `json:"source"` // where the credential comes from
	Quote  string `json:"quote"`
}
