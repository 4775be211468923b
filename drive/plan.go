package drive

import (
	"crypto/tls"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/premortem/premortem"
)

// plan is a workload made ready: validated, with each request rendered as far as it
// can be before a session is known. It is shared by all sessions and never changed.
type plan struct {
	seed       int64
	flows      []*flow
	cumulative []float64 // of the flows' weights
	targets    []target
	routes     []string // by name
	rows       func(table, column string, row int64) (string, bool)
	requests   float64       // per session, mean
	pauses     time.Duration // per session, mean
	beyond     bool          // see Workload
	http2      bool
	tls        *tls.Config
}

// assumedAnswer stands for the time of one answer where a session's length must be
// known before anything was measured.
const assumedAnswer = 50 * time.Millisecond

func (p *plan) length() time.Duration {
	return p.pauses + time.Duration(p.requests*float64(assumedAnswer))
}

// flow is a journey made ready.
type flow struct {
	name  string
	calls []*call
	kept  []string // names of kept values; a session holds them by this index
}

// table is a table that a session takes a row of.
type table struct {
	name  string
	hash  uint64
	count int64
}

// compiler holds what is needed once, while a plan is made.
type compiler struct {
	w      Workload
	p      *plan
	tables map[string]*table
	routes map[string]bool
}

// compile validates the workload and makes a plan of the given journeys.
func compile(w Workload, journeys []*premortem.Journey) (*plan, error) {
	c := &compiler{w: w, tables: map[string]*table{}, routes: map[string]bool{}}
	c.p = &plan{seed: w.Seed, rows: w.Rows, beyond: w.Beyond, http2: w.HTTP2, tls: w.TLS}
	if len(journeys) == 0 {
		return nil, &premortem.Error{Doing: "plan the load", Err: fmt.Errorf("no journey"),
			Hint: "add one under `journeys:` in premortem.yaml"}
	}
	weights, err := weigh(journeys)
	if err != nil {
		return nil, err
	}
	sum := 0.0
	var names [][]string
	for i, j := range journeys {
		f, err := c.flow(j)
		if err != nil {
			return nil, err
		}
		c.p.flows = append(c.p.flows, f)
		sum += weights[i]
		c.p.cumulative = append(c.p.cumulative, sum)
		var of []string
		for _, r := range f.calls {
			of = append(of, routeName(r.req))
			c.routes[routeName(r.req)] = true
		}
		names = append(names, of)
	}
	c.means(journeys, weights, sum)
	for r := range c.routes {
		c.p.routes = append(c.p.routes, r)
	}
	slices.Sort(c.p.routes)
	for i, f := range c.p.flows {
		for k, r := range f.calls {
			r.route, _ = slices.BinarySearch(c.p.routes, names[i][k])
		}
	}
	return c.p, nil
}

// routeName is what the samples of a request are called. Values never get into it,
// or memory would grow with the number of rows.
func routeName(r *premortem.Request) string {
	if r.Route != "" {
		return r.Route
	}
	path, _, _ := strings.Cut(r.Path, "?")
	return r.Method + " " + path
}

// weigh returns the journeys' weights, all 1 when none is set.
func weigh(journeys []*premortem.Journey) ([]float64, error) {
	out := make([]float64, len(journeys))
	sum := 0.0
	for i, j := range journeys {
		if j == nil {
			return nil, &premortem.Error{Doing: "plan the load", Err: fmt.Errorf("journey %d is nil", i)}
		}
		if j.Weight < 0 || math.IsNaN(j.Weight) || math.IsInf(j.Weight, 0) {
			return nil, &premortem.Error{Doing: "read journey " + j.Name, Pos: j.Pos,
				Err: fmt.Errorf("weight %v is not a share", j.Weight), Hint: "use a number of at least 0"}
		}
		out[i] = j.Weight
		sum += j.Weight
	}
	if sum == 0 {
		for i := range out {
			out[i] = 1
		}
	}
	return out, nil
}

// means averages requests and pauses over the journeys' weights.
func (c *compiler) means(journeys []*premortem.Journey, weights []float64, sum float64) {
	pauses := 0.0
	for i, f := range c.p.flows {
		c.p.requests += weights[i] / sum * float64(len(f.calls))
		for _, s := range journeys[i].Steps {
			pauses += weights[i] / sum * float64(s.Think)
		}
	}
	c.p.pauses = time.Duration(pauses)
}

// flow makes one journey ready.
func (c *compiler) flow(j *premortem.Journey) (*flow, error) {
	f := &flow{name: j.Name}
	var pause time.Duration
	for i, s := range j.Steps {
		if (s.Think != 0) == (s.Request != nil) || s.Think < 0 {
			return nil, c.fault(j, i, fmt.Errorf("a step is either a request or a pause of more than 0"),
				"write `- think: 2s` or `- request: GET /path`")
		}
		if s.Request == nil {
			pause += s.Think
			continue
		}
		r, err := c.call(f, j, i)
		if err != nil {
			return nil, err
		}
		r.pause, pause = pause, 0
		f.calls = append(f.calls, r)
	}
	if len(f.calls) == 0 {
		return nil, &premortem.Error{Doing: "read journey " + j.Name, Pos: j.Pos,
			Err: fmt.Errorf("it has no request"), Hint: "add a step `- request: GET /path`"}
	}
	return f, nil
}

// fault says which step of which journey cannot be sent.
func (c *compiler) fault(j *premortem.Journey, step int, err error, hint string) error {
	s := j.Steps[step]
	pos := s.Pos
	if !pos.Known() {
		pos = j.Pos
	}
	doing := fmt.Sprintf("read journey %s, step %d", j.Name, step+1)
	if s.Request != nil {
		doing += " (" + s.Request.Method + " " + s.Request.Path + ")"
	}
	return &premortem.Error{Doing: doing, Pos: pos, Err: err, Hint: hint}
}
