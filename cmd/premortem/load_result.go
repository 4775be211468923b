package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/drive"
	"github.com/premortem/premortem/judge"
)

const loadSchema = "premortem/load/v1"

// loadReport is what load found.
type loadReport struct {
	Schema  string    `json:"schema"`
	Version string    `json:"version"`
	Target  string    `json:"target"`
	Seed    int64     `json:"seed"`
	Started time.Time `json:"started"`
	Ceiling float64   `json:"ceiling"` // of the generator, requests/s
	Trusted float64   `json:"trusted"` // up to where it is believed
	Cores   int       `json:"cores"`

	Planned float64                `json:"planned"`          // requests/s; 0 for max and for a search
	Closed  bool                   `json:"closed,omitempty"` // asked again as soon as it was answered
	Took    float64                `json:"took"`             // seconds that were counted; of a search, of its last probe
	Rate    float64                `json:"rate"`             // answers a second
	Load    premortem.LoadStats    `json:"load"`
	Routes  []premortem.RouteStats `json:"routes"`
	Seconds []secondResult         `json:"seconds"`
	// Doubt says why the numbers may be the generator's and not the server's.
	Doubt string `json:"doubt,omitempty"`

	Objective *objectiveResult `json:"objective,omitempty"`
	Limit     *limitResult     `json:"limit,omitempty"`
	Against   *againstResult   `json:"against,omitempty"`
}

// secondResult is one second of a load.
type secondResult struct {
	At       float64 `json:"at"`
	Offered  uint64  `json:"offered"`
	Done     uint64  `json:"done"`
	Failed   uint64  `json:"failed"`
	Dropped  uint64  `json:"dropped"`
	Late     uint64  `json:"late"`
	InFlight int     `json:"in_flight"`
	P50      float64 `json:"p50"`
	P95      float64 `json:"p95"`
	P99      float64 `json:"p99"`
	LagP99   float64 `json:"lag_p99"`
	Inside   float64 `json:"inside"`
	Good     uint64  `json:"good"`
	Bad      uint64  `json:"bad"`
}

// objectiveResult is how an objective came out.
type objectiveResult struct {
	Share  float64          `json:"share"`
	Within float64          `json:"within"` // seconds
	Good   uint64           `json:"good"`
	Bad    uint64           `json:"bad"`
	Answer premortem.Answer `json:"answer"`
}

// judge decides by all windows that were counted.
func (o *objectiveResult) judge(ws []premortem.Window) {
	for _, w := range ws {
		o.Good, o.Bad = o.Good+w.Good, o.Bad+w.Bad
	}
	switch n := o.Good + o.Bad; {
	case n == 0:
	case float64(o.Good) >= o.Share*float64(n):
		o.Answer = premortem.Holds
	default:
		o.Answer = premortem.Fails
	}
}

// limitResult is what a search found.
type limitResult struct {
	Share     float64          `json:"share"`
	Within    float64          `json:"within"`
	Answer    premortem.Answer `json:"answer"`
	Estimate  float64          `json:"estimate"` // requests/s
	Low       float64          `json:"low"`
	High      float64          `json:"high"`
	Cliff     bool             `json:"cliff,omitempty"`
	Partial   bool             `json:"partial,omitempty"`
	Recovers  float64          `json:"recovers,omitempty"`
	Sticks    bool             `json:"metastable,omitempty"`
	Predicted float64          `json:"predicted,omitempty"` // from the probes below, by the fitted law
	Sigma     float64          `json:"sigma,omitempty"`
	Kappa     float64          `json:"kappa,omitempty"`
	Doubt     string           `json:"doubt,omitempty"`
	Probes    []probeResult    `json:"probes"`
}

type probeResult struct {
	Load     float64       `json:"load"`
	Purpose  judge.Purpose `json:"purpose"`
	Good     uint64        `json:"good"`
	Bad      uint64        `json:"bad"`
	Rate     float64       `json:"rate"`
	Response float64       `json:"response"`
	Tail     float64       `json:"tail"`
	Doubt    string        `json:"doubt,omitempty"`
}

// fill takes over what a load got.
func (r *loadReport) fill(res drive.Result) {
	r.Took, r.Load, r.Routes = res.Took.Seconds(), res.Load, res.Routes
	if r.Took > 0 {
		r.Rate = float64(res.Load.Done+res.Load.Failed) / r.Took
	}
	r.Seconds = []secondResult{}
	for i, s := range res.Seconds {
		one := secondResult{At: s.At, Offered: s.Offered, Done: s.Done, Failed: s.Failed, Dropped: s.Dropped, Late: s.Late, InFlight: s.InFlight,
			P50: s.P50, P95: s.P95, P99: s.P99, LagP99: s.LagP99, Inside: s.Inside}
		if i < len(res.Windows) {
			one.Good, one.Bad = res.Windows[i].Good, res.Windows[i].Bad
		}
		r.Seconds = append(r.Seconds, one)
	}
}

// found takes over what a search found. ran is false when its time ended first.
func (r *loadReport) found(l judge.Limit, probes []judge.Probe, ran bool) {
	b := l.Decide(probes)
	out := &limitResult{Share: l.Share, Within: l.Latency, Answer: b.Answer, Estimate: b.Estimate, Low: b.Low, High: b.High,
		Cliff: b.Cliff, Partial: b.Partial || !ran, Recovers: b.Recovers, Sticks: b.Metastable, Doubt: b.Doubt}
	var below []judge.Probe
	var fit []judge.Completed
	for _, p := range probes {
		var good, bad uint64
		for _, w := range p.Windows {
			good, bad = good+w.Good, bad+w.Bad
		}
		out.Probes = append(out.Probes, probeResult{p.Load, p.Purpose, good, bad, p.Rate, p.Response, p.Tail, p.Doubt})
		if p.Doubt != "" || p.Purpose == judge.Overload || p.Purpose == judge.Recovery {
			continue
		}
		if p.Load < b.Low {
			below = append(below, p)
		}
		fit = append(fit, judge.Completed{Inside: p.Rate * p.Response, Rate: p.Rate})
	}
	if b.Answer == premortem.Fails {
		out.Predicted = judge.Predict(below, l.Latency)
	}
	if u, ok := judge.FitUSL(fit); ok {
		out.Sigma, out.Kappa = u.Sigma, u.Kappa
	}
	r.Limit = out
}

// code is the exit code.
func (r *loadReport) code() int {
	switch {
	case r.Limit != nil && (r.Limit.Answer == premortem.Unknown || r.Limit.Answer == premortem.Holds && r.Limit.Doubt != ""):
		return exitUnknown
	case r.Limit != nil:
		return exitClean
	case r.Load.Done == 0 && r.Load.Failed > 0:
		return exitFound
	case r.Doubt != "":
		return exitUnknown
	case r.Objective != nil && r.Objective.Answer == premortem.Fails:
		return exitFound
	case r.Objective != nil && r.Objective.Answer == premortem.Unknown:
		return exitUnknown
	}
	return exitClean
}

// readLoad reads what an earlier run saved.
func readLoad(name string) (*loadReport, error) {
	fail := func(err error, hint string) (*loadReport, error) {
		return nil, &premortem.Error{Doing: "read --against " + name, Err: err, Hint: hint}
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return fail(err, "")
	}
	var r loadReport
	if err := json.Unmarshal(data, &r); err != nil {
		return fail(err, "give what premortem load --format json -o FILE has written")
	}
	if r.Schema != loadSchema {
		return fail(fmt.Errorf("its schema is %q, not %q", r.Schema, loadSchema), "give what premortem load --format json -o FILE has written")
	}
	if len(r.Seconds) == 0 {
		return fail(errors.New("it holds no second of load"), "")
	}
	return &r, nil
}

// told is the report in a format.
func (r *loadReport) told(format string) []byte {
	if format == "json" {
		data, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			panic(err) // numbers and texts of our own
		}
		return append(data, '\n')
	}
	var b bytes.Buffer
	if r.Limit != nil {
		r.Limit.tell(&b)
		return b.Bytes()
	}
	r.tell(&b)
	return b.Bytes()
}

func (r *loadReport) tell(b *bytes.Buffer) {
	l := r.Load
	fmt.Fprintf(b, "\n  %.1f requests/s answered in %.1f s", r.Rate, r.Took)
	if r.Closed {
		fmt.Fprintf(b, ", asked again as soon as they were: the most this server does, and no word about waiting")
	}
	fmt.Fprintf(b, "\n  offered %d · done %d · failed %d · open at the end %d · never sent %d · late %d\n", l.Offered, l.Done, l.Failed, l.Abandoned, l.Dropped, l.Late)
	fmt.Fprintf(b, "  open at once %.1f on average · 99 of 100 were sent at most %s late · generator used %.2f cores\n\n", l.Inside, ms(l.LagP99), l.OwnCPU)
	fmt.Fprintf(b, "  %-32s %9s %8s %8s %8s %8s %8s\n", "response time from when it was due", "requests", "p50", "p95", "p99", "max", "errors")
	for _, rs := range r.Routes {
		fmt.Fprintf(b, "  %-34s %9d %8s %8s %8s %8s %8d\n", rs.Route, rs.Count, ms(rs.P50), ms(rs.P95), ms(rs.P99), ms(rs.Max), rs.Errors)
		for _, k := range slices.Sorted(maps.Keys(rs.Kinds)) {
			fmt.Fprintf(b, "      %d × %s\n", rs.Kinds[k], k)
		}
	}
	if o := r.Objective; o != nil {
		fmt.Fprintf(b, "\n  the objective %s: %s of the requests were good within %s, %.0f %% are needed\n", o.Answer, percent(float64(o.Good), float64(o.Good+o.Bad)), ms(o.Within), o.Share*100)
	}
	if r.Against != nil {
		fmt.Fprintf(b, "\n  %s\n", r.Against.Says)
	}
	if r.Doubt != "" {
		fmt.Fprintf(b, "\n  unknown whether this is the server: the instrument was saturated: %s\n", r.Doubt)
	}
}

func (l *limitResult) tell(b *bytes.Buffer) {
	what := fmt.Sprintf("%.0f %% of the requests within %s", l.Share*100, ms(l.Within))
	b.WriteByte('\n')
	switch {
	case l.Answer == premortem.Holds:
		fmt.Fprintf(b, "  %s held up to %.0f requests/s, the highest that was tried\n", what, l.High)
	case l.Answer == premortem.Fails && l.Low == 0:
		fmt.Fprintf(b, "  %s does not hold even at %.0f requests/s, the lowest that was tried\n", what, l.High)
	case l.Answer == premortem.Fails:
		shape := "it is lost smoothly"
		if l.Cliff {
			shape = "it is a cliff"
		}
		fmt.Fprintf(b, "  %s holds up to %.0f requests/s (%.0f to %.0f); %s\n", what, l.Estimate, l.Low, l.High, shape)
	default:
		fmt.Fprintf(b, "  unknown: no rate was tried that says anything about the server\n")
	}
	if l.Predicted > 0 {
		fmt.Fprintf(b, "  the rates below it foretold %.0f, off by %+.0f %%\n", l.Predicted, (l.Predicted/l.Estimate-1)*100)
	}
	if l.Sigma > 0 || l.Kappa > 0 {
		fmt.Fprintf(b, "  Universal Scalability Law: %.2g of the work waits for other work, %.2g is the cost of each pair\n", l.Sigma, l.Kappa)
	}
	if l.Sticks {
		fmt.Fprintf(b, "  after an overload it does not come back at a load that it held before; it did at %.0f requests/s (0: at none)\n", l.Recovers)
	} else if l.Recovers > 0 {
		fmt.Fprintf(b, "  after an overload it comes back by itself\n")
	}
	if l.Partial {
		fmt.Fprintf(b, "  partial: the time or the range ended before the interval was narrow\n")
	}
	if l.Doubt != "" {
		fmt.Fprintf(b, "  %s\n", l.Doubt)
	}
	fmt.Fprintf(b, "  %d rates were tried\n", len(l.Probes))
}
