package premortem

// Verdict is the answer to an experiment.
type Verdict struct {
	Experiment Experiment `json:"experiment"`
	Answer     Answer     `json:"answer"`
	Says       string     `json:"says"`
	First      string     `json:"first"`    // the route that broke first, "" none
	Findings   []string   `json:"findings"` // keys
	Doubts     []string   `json:"doubts"`
	// Broken lists the objectives that did not hold.
	Broken []Broken `json:"broken"`
	// Onsets say in which order things grew, the first first; empty where no order shows.
	Onsets []Onset `json:"onsets,omitempty"`
}

// Broken is one objective that did not hold.
type Broken struct {
	Route  string  `json:"route"`
	What   string  `json:"what"` // "p95", "p99", "errors"
	Limit  float64 `json:"limit"`
	Before float64 `json:"before"`
	Was    float64 `json:"was"`
	Pos    Pos     `json:"pos"`
}

// Headroom is the boundary of one X.
type Headroom struct {
	X        string  `json:"x"`
	Unit     string  `json:"unit"`
	Base     float64 `json:"base"`
	Holds    float64 `json:"holds"`    // largest multiple that held; 0 none
	Breaks   float64 `json:"breaks"`   // smallest multiple that failed; 0 none
	Estimate float64 `json:"estimate"` // of the boundary; 0 none
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	Answer   Answer  `json:"answer"`
	First    string  `json:"first"`   // "service/api POST /login"
	Finding  string  `json:"finding"` // key of the cause, "" unknown
	Says     string  `json:"says"`
	// Points are the steps behind it, in order of the multiple.
	Points []Point `json:"points"`
}

// Point is one step of a search: what each route showed at one multiple.
type Point struct {
	Multiple float64      `json:"multiple"`
	Answer   Answer       `json:"answer"`
	Trial    string       `json:"trial"`
	Fixed    bool         `json:"fixed"` // the proven fix was in place
	Routes   []PointRoute `json:"routes"`
}

// PointRoute is one route at one step.
type PointRoute struct {
	Route  string  `json:"route"`
	Rate   float64 `json:"rate"` // requests/s done
	P50    float64 `json:"p50"`
	P95    float64 `json:"p95"`
	Errors float64 `json:"errors"` // share
	Limit  float64 `json:"limit"`  // its p95 objective in seconds, 0 none
}
