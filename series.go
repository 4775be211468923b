package premortem

// Series is one signal, a value for each second since counting began.
type Series struct {
	Node   Node      `json:"node,omitempty"`
	Signal string    `json:"signal"` // "p95 of POST /api/login", "statements that wait for a lock", …
	Unit   string    `json:"unit"`   // "s", "cores", "" a number
	Values []float64 `json:"values"`
	// Share is true for what should not grow with the load: a time, a lag. Else it is
	// expected to grow as much as the load did.
	Share bool `json:"share,omitempty"`
}

// Onset is when a signal left what was to be expected of it.
type Onset struct {
	Node   Node    `json:"node,omitempty"`
	Signal string  `json:"signal"`
	Unit   string  `json:"unit"`
	Second float64 `json:"second"` // since counting began
	Before float64 `json:"before"` // at normal load
	Was    float64 `json:"was"`    // from then on, the median
}
