package judge

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

func points(pairs ...any) []premortem.Point {
	var out []premortem.Point
	for i := 0; i < len(pairs); i += 2 {
		a := map[string]premortem.Answer{"holds": premortem.Holds, "fails": premortem.Fails, "unknown": premortem.Unknown}[pairs[i+1].(string)]
		out = append(out, premortem.Point{Multiple: pairs[i].(float64), Answer: a})
	}
	return out
}

func TestSearchTriesTheMultipleThatTellsMost(t *testing.T) {
	s := Search{X: "calls", Start: 1, Cap: 8, Tolerance: 0.1, MaxSteps: 12}
	for _, c := range []struct {
		name string
		have []premortem.Point
		want float64 // 0: the search is over
	}{
		{"it begins at the start", nil, 1},
		{"it doubles while it holds", points(1.0, "holds"), 2},
		{"it doubles again", points(1.0, "holds", 2.0, "holds"), 4},
		{"it stops at the cap", points(1.0, "holds", 2.0, "holds", 4.0, "holds", 8.0, "holds"), 0},
		{"it halves the bracket on a logarithmic scale", points(1.0, "holds", 2.0, "fails"), 1.41},
		{"it halves again", points(1.0, "holds", 2.0, "fails", 1.41, "holds"), 1.68},
		{"it stops when the bracket is narrow", points(1.0, "holds", 1.09, "fails"), 0},
		{"it goes down when the start fails", points(1.0, "fails"), 0.5},
		{"it goes down once more", points(1.0, "fails", 0.5, "fails"), 0.25},
		{"it gives up below a quarter", points(1.0, "fails", 0.5, "fails", 0.25, "fails"), 0},
		{"it climbs from below into the bracket", points(1.0, "fails", 0.5, "holds"), 0.71},
		{"it tries an unknown once more", points(1.0, "holds", 2.0, "unknown"), 2},
		{"it leaves a gap and goes on", points(1.0, "holds", 2.0, "unknown", 2.0, "unknown"), 4},
		{"it stops after two gaps in a row", points(1.0, "holds", 2.0, "unknown", 2.0, "unknown", 4.0, "unknown", 4.0, "unknown"), 0},
		{"it believes a second try", points(1.0, "holds", 2.0, "unknown", 2.0, "fails"), 1.41},
		{"it goes around a gap inside the bracket", points(1.0, "holds", 2.0, "fails", 1.41, "unknown", 1.41, "unknown"), 1.68},
		{"it does not retry what lies outside of the bracket", points(1.0, "holds", 4.0, "unknown", 2.0, "fails"), 1.41},
		{"a contradiction widens the bracket", points(1.0, "holds", 2.0, "fails", 1.41, "fails", 1.68, "holds"), 1.19},
		{"it stops when three answers inside do not fit", points(1.0, "holds", 2.0, "fails", 1.2, "fails", 1.4, "holds", 1.5, "unknown", 1.5, "unknown", 1.6, "holds"), 0},
		{"nonsense is ignored", points(math.NaN(), "holds", -1.0, "fails", math.Inf(1), "fails"), 1},
	} {
		got, more := s.Next(c.have)
		if more != (c.want != 0) || math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, %v; want %v", c.name, got, more, c.want)
		}
	}
	if got, _ := (Search{Start: 4, Cap: 2}).Next(nil); got != 2 {
		t.Errorf("with a cap of 2 and a start of 4 it begins at %v; want the cap", got)
	}
	if got, more := (Search{Start: 4, Cap: 2}).Next(points(2.0, "holds")); more {
		t.Errorf("it goes on to %v beyond its cap", got)
	}
	if _, more := (Search{MaxSteps: 3}).Next(points(1.0, "holds", 2.0, "fails", 1.5, "holds")); more {
		t.Error("it goes on after MaxSteps")
	}
	if got, more := (Search{}).Next(nil); got != 1 || !more {
		t.Errorf("the zero search begins at %v, %v; want 1", got, more)
	}
}

// simulated is a system whose p95 is limit at the multiple boundary and grows with
// the power steep of the multiple.
type simulated struct {
	rng             *rand.Rand
	boundary, steep float64
	requests        int     // per step
	unknown         float64 // share of steps without an answer
}

const limit = 0.3

func (s *simulated) point(multiple float64) premortem.Point {
	const sigma = 0.5
	p := limit * math.Pow(multiple/s.boundary, s.steep)
	middle := p / math.Exp(1.6449*sigma)
	all := make([]float64, s.requests)
	bad := uint64(0)
	for i := range all {
		all[i] = middle * math.Exp(sigma*s.rng.NormFloat64())
		if all[i] > limit {
			bad++
		}
	}
	slices.Sort(all)
	a, _ := goal{"r", "p95", limit, 0.05, premortem.Pos{}}.decide(uint64(len(all)), bad)
	if s.rng.Float64() < s.unknown {
		a = premortem.Unknown
	}
	return premortem.Point{Multiple: multiple, Answer: a, Routes: []premortem.PointRoute{{Route: "r", P95: all[len(all)*95/100], Limit: limit}}}
}

func (s *simulated) search(search Search) premortem.Headroom {
	var ps []premortem.Point
	verdicts := map[float64]premortem.Verdict{}
	for {
		m, more := search.Next(ps)
		if !more {
			break
		}
		p := s.point(m)
		ps = append(ps, p)
		v := premortem.Verdict{Answer: p.Answer}
		if p.Answer == premortem.Fails {
			v.First = "r"
			v.Broken = []premortem.Broken{{Route: "r", What: "p95", Limit: limit, Was: p.Routes[0].P95}}
			v.Findings = []string{"table-scan store/postgres users lower(email)"}
		}
		verdicts[m] = v
	}
	return Headroom(search.X, "requests/s", 50, ps, verdicts)
}

func TestSearchFindsAKnownBoundaryInNineOfTenRuns(t *testing.T) {
	search := Search{X: "calls", Start: 1, Cap: 16, Tolerance: 0.1, MaxSteps: 14}
	for _, c := range []struct {
		name     string
		requests int
		unknown  float64
	}{
		{"many requests", 1000, 0},
		{"few requests", 150, 0},
		{"a tenth of the steps without an answer", 400, 0.1},
	} {
		const runs = 300
		inside, near, found := 0, 0, 0
		for seed := range uint64(runs) {
			rng := rand.New(rand.NewPCG(seed, 99))
			sim := &simulated{rng, 0.3 * math.Pow(30, rng.Float64()), 1 + 3*rng.Float64(), c.requests, c.unknown}
			h := sim.search(search)
			if len(h.Points) > search.MaxSteps {
				t.Fatalf("%s: %d steps", c.name, len(h.Points))
			}
			if h.Answer != premortem.Fails || h.Low == 0 {
				continue
			}
			found++
			if h.Low <= sim.boundary && sim.boundary <= h.High {
				inside++
			}
			if math.Abs(math.Log(h.Estimate/sim.boundary)) < math.Log(1.15) {
				near++
			}
			if h.Estimate < h.Low || h.Estimate > h.High {
				t.Errorf("%s: the estimate %v lies outside of %v to %v", c.name, h.Estimate, h.Low, h.High)
			}
		}
		t.Logf("%s: of %d runs %d ended with a bracket, the boundary inside of %d, the estimate within 15 %% of it in %d", c.name, runs, found, inside, near)
		if found < runs*8/10 || inside < found*9/10 {
			t.Errorf("%s: %d of %d runs found a bracket and %d of these hold the boundary; want 80 %% and 90 %%", c.name, found, runs, inside)
		}
	}
}

func TestSearchEndsWhateverItIsTold(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	for range 2000 {
		s := Search{X: "rows", Start: rng.Float64() * 3, Cap: rng.Float64() * 20, Tolerance: rng.Float64() * 0.3, MaxSteps: rng.IntN(20)}
		var ps []premortem.Point
		for {
			m, more := s.Next(ps)
			if !more {
				break
			}
			if !(m > 0) || math.IsInf(m, 0) {
				t.Fatalf("%+v after %d points tries %v", s, len(ps), m)
			}
			ps = append(ps, premortem.Point{Multiple: m, Answer: premortem.Answer(rng.IntN(3))})
			if len(ps) > 40 {
				t.Fatalf("%+v does not end", s)
			}
		}
		h := Headroom("rows", "rows", 1000, ps, nil)
		if h.Low > h.High && h.High != 0 {
			t.Errorf("low %v above high %v for %+v", h.Low, h.High, ps)
		}
		if h.Estimate != 0 && (h.Estimate < h.Low || h.Estimate > h.High) {
			t.Errorf("estimate %v outside of %v to %v", h.Estimate, h.Low, h.High)
		}
		for _, p := range ps {
			if p.Answer == premortem.Fails && h.Answer == premortem.Holds && p.Multiple <= h.Holds {
				t.Errorf("%v is said to hold, but %v failed", h.Holds, p.Multiple)
			}
		}
	}
}

func TestHeadroomSaysWhatThePointsShow(t *testing.T) {
	broken := premortem.Verdict{Answer: premortem.Fails, First: "POST /api/login", Findings: []string{"table-scan store/postgres users lower(email)"},
		Broken: []premortem.Broken{{Route: "POST /api/login", What: "p95", Limit: 0.3, Was: 0.9}}}
	at := func(m, p95 float64, a string) premortem.Point {
		p := points(m, a)[0]
		p.Routes = []premortem.PointRoute{{Route: "POST /api/login", P95: p95, Limit: 0.3}}
		return p
	}
	for _, c := range []struct {
		name                string
		points              []premortem.Point
		answer              premortem.Answer
		holds, breaks, near float64
		says                string
	}{
		{"p95 crosses its limit a third of the way up", []premortem.Point{at(1, 0.1, "holds"), at(2, 2.7, "fails")}, premortem.Fails, 1, 2, 1.26,
			"holds at 1×, breaks between 1× and 2× (about 1.3×, 63 requests/s): POST /api/login: p95 900 ms against 300 ms"},
		{"order does not matter", []premortem.Point{at(2, 2.7, "fails"), at(1, 0.1, "holds")}, premortem.Fails, 1, 2, 1.26, "1.3×"},
		{"it held to the cap", []premortem.Point{at(1, 0.1, "holds"), at(4, 0.2, "holds")}, premortem.Holds, 4, 0, 0, "holds up to 4×, the largest multiple tried"},
		{"the top has no answer", []premortem.Point{at(1, 0.1, "holds"), at(2, 0.2, "unknown"), at(2, 0.2, "unknown")}, premortem.Unknown, 1, 0, 0, "holds at 1×; 2× is not decided"},
		{"it fails everywhere", []premortem.Point{at(1, 2, "fails"), at(0.5, 1, "fails")}, premortem.Fails, 0, 0.5, 0, "breaks at 0.5× already"},
		{"no points", nil, premortem.Unknown, 0, 0, 0, "not decided"},
		{"a contradiction is not narrowed", []premortem.Point{at(1, 0.1, "holds"), at(1.4, 0.5, "fails"), at(1.6, 0.2, "holds"), at(2, 2.7, "fails")}, premortem.Fails, 1, 2, 1.5, "holds at 1×"},
	} {
		h := Headroom("calls", "requests/s", 50, c.points, map[float64]premortem.Verdict{2: broken, 0.5: broken})
		if h.Answer != c.answer || h.Holds != c.holds || h.Breaks != c.breaks || math.Abs(h.Estimate-c.near) > 0.1 || !strings.Contains(h.Says, c.says) {
			t.Errorf("%s: %s, holds %v, breaks %v, estimate %v, %q; want %s, %v, %v, about %v, %q",
				c.name, h.Answer, h.Holds, h.Breaks, h.Estimate, h.Says, c.answer, c.holds, c.breaks, c.near, c.says)
		}
		if h.Answer == premortem.Fails && (h.First != "POST /api/login" || h.Finding != broken.Findings[0]) {
			t.Errorf("%s: first %q, finding %q", c.name, h.First, h.Finding)
		}
		if !slices.IsSortedFunc(h.Points, func(a, b premortem.Point) int { return cmp.Compare(a.Multiple, b.Multiple) }) {
			t.Errorf("%s: points are not in order", c.name)
		}
		if h.Points == nil {
			t.Errorf("%s: points are null", c.name)
		}
	}
}

// The route that breaks first is the one whose p95 reaches its limit at the
// smallest multiple, not the one that is worst once everything is lost.
func TestFirstToBreakIsTheSmallestCrossing(t *testing.T) {
	at := func(m float64, a premortem.Answer, login, orders float64) premortem.Point {
		return premortem.Point{Multiple: m, Answer: a, Routes: []premortem.PointRoute{{Route: "login", P95: login, Limit: 0.3}, {Route: "orders", P95: orders, Limit: 0.5}}}
	}
	ps := []premortem.Point{at(1, premortem.Holds, 0.25, 0.05), at(2, premortem.Fails, 2, 30)}
	h := Headroom("calls", "requests/s", 50, ps, map[float64]premortem.Verdict{2: {Answer: premortem.Fails, First: "orders", Broken: []premortem.Broken{
		{Route: "orders", What: "p95", Limit: 0.5, Was: 30}, {Route: "login", What: "p95", Limit: 0.3, Was: 2}}}})
	if h.First != "login" {
		t.Errorf("first is %q, want login: it is at 250 of 300 ms before anything is scaled", h.First)
	}
}

func TestPointsWithAFixDecideOnlyAlone(t *testing.T) {
	ps := points(1.0, "holds", 2.0, "fails", 4.0, "holds", 8.0, "fails")
	ps[2].Fixed, ps[3].Fixed = true, true
	if h := Headroom("calls", "", 0, ps, nil); h.Breaks != 2 || len(h.Points) != 4 {
		t.Errorf("breaks at %v with %d points; want 2 and all 4", h.Breaks, len(h.Points))
	}
	if h := Headroom("calls", "", 0, ps[2:], nil); h.Holds != 4 || h.Breaks != 8 {
		t.Errorf("with the fix it holds at %v and breaks at %v; want 4 and 8", h.Holds, h.Breaks)
	}
}

func TestPointOfKeepsWhatAPlotNeeds(t *testing.T) {
	w := slowLogin()
	v, _ := Judge(w.trial)
	p := PointOf(w.trial, v)
	if p.Multiple != 2 || p.Answer != premortem.Fails || p.Trial != "calls-x2" || p.Fixed || len(p.Routes) != 4 {
		t.Fatalf("%+v", p)
	}
	if r := p.Routes[3]; r.Route != "POST /api/login" || r.Limit != 0.3 || r.Rate != 25 || r.P95 < 1 || r.P50 >= r.P95 {
		t.Errorf("%+v", r)
	}
	if p := PointOf(nil, premortem.Verdict{}); p.Answer != premortem.Unknown || p.Routes == nil {
		t.Errorf("no trial gives %+v", p)
	}
}
