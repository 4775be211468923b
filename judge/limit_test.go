package judge

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/premortem/premortem"
)

// virtual is a system in virtual time. It answers each arrival with its response
// time in seconds; arrivals come in order. A fresh one is quiet.
type virtual func(seed int64) func(due float64) float64

// serversOf is c servers with exponential service at mu requests/s each: M/M/c.
func serversOf(c int, mu float64) virtual {
	return func(seed int64) func(float64) float64 {
		rng := rand.New(rand.NewPCG(7, uint64(seed)))
		free := make(floats, c)
		return func(due float64) float64 {
			start := max(due, free[0])
			end := start + rng.ExpFloat64()/mu
			free[0] = end
			heap.Fix(&free, 0)
			return end - due
		}
	}
}

// tokenBucket serves rate requests/s in order, each at once while tokens are left.
func tokenBucket(rate float64) virtual {
	return func(int64) func(float64) float64 {
		next := 0.0
		return func(due float64) float64 {
			next = max(next, due-0.05) + 1/rate
			return max(next-due, 0) + 0.005
		}
	}
}

// shared serves n requests at once at the total speed of the Universal Scalability
// Law: each slows down all others.
func shared(lambda, sigma, kappa float64) virtual {
	return func(seed int64) func(float64) float64 {
		rng := rand.New(rand.NewPCG(9, uint64(seed)))
		var open floats // when the open requests end
		return func(due float64) float64 {
			for len(open) > 0 && open[0] <= due {
				heap.Pop(&open)
			}
			n := float64(len(open) + 1)
			x := lambda * n / (1 + sigma*(n-1) + kappa*n*(n-1))
			took := n / x * rng.ExpFloat64()
			heap.Push(&open, due+took)
			return took
		}
	}
}

// precipice answers at once up to a rate and fails everything above it.
func precipice(rate float64) virtual {
	return func(int64) func(float64) float64 {
		var last []float64
		return func(due float64) float64 {
			last = append(last, due)
			for last[0] < due-2 {
				last = last[1:]
			}
			if float64(len(last)) > 2*rate {
				return 9
			}
			return 0.01
		}
	}
}

// tireless is a system that no load hurts.
func tireless(int64) func(float64) float64 { return func(float64) float64 { return 0.01 } }

type floats []float64

func (f floats) Len() int           { return len(f) }
func (f floats) Less(i, j int) bool { return f[i] < f[j] }
func (f floats) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *floats) Push(x any)        { *f = append(*f, x.(float64)) }
func (f *floats) Pop() any {
	x := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return x
}

// offer makes Poisson arrivals for so many windows of a second.
func offer(serve func(float64) float64, load float64, seed int64, seconds int, limit, from float64) []Window {
	rng := rand.New(rand.NewPCG(uint64(seed), 3))
	ws := make([]Window, seconds)
	for t := rng.ExpFloat64() / load; t < float64(seconds); t += rng.ExpFloat64() / load {
		if serve(from+t) <= limit {
			ws[int(t)].Good++
		} else {
			ws[int(t)].Bad++
		}
	}
	return ws
}

// found runs a whole search in virtual time.
func found(l Limit, v virtual, family int64, seconds int, latency float64) (Boundary, []Probe) {
	var probes []Probe
	for {
		step, more := l.Next(probes)
		if !more {
			return l.Decide(probes), probes
		}
		seed := family*1000 + step.Seed
		serve := v(seed)
		const warm = 5
		offer(serve, step.Load, seed+500, warm, latency, 0)
		probes = append(probes, Probe{Step: step, Length: 1, Windows: offer(serve, step.Load, seed, seconds, latency, warm)})
		if len(probes) > 60 {
			panic("the search does not end")
		}
	}
}

// truth is the load at which the objective is lost, from very many probes: by the
// share of all their requests, or by the share of the typical probe.
func truth(v virtual, typical bool, share, latency, lo, hi float64, seconds int) float64 {
	for range 12 {
		mid := math.Sqrt(lo * hi)
		var shares []float64
		var good, all uint64
		for seed := range int64(81) {
			serve := v(seed + 1e6)
			offer(serve, mid, seed+2e6, 5, latency, 0)
			var g, a uint64
			for _, w := range offer(serve, mid, seed+3e6, seconds, latency, 5) {
				g, a = g+w.Good, a+w.Good+w.Bad
			}
			shares = append(shares, float64(g)/float64(a))
			good, all = good+g, all+a
		}
		slices.Sort(shares)
		held := float64(good)/float64(all) >= share
		if typical {
			held = shares[40] >= share
		}
		if held {
			lo = mid
		} else {
			hi = mid
		}
	}
	return math.Sqrt(lo * hi)
}

// sojournP is the probability that an M/M/c request takes longer than t.
func sojournP(c int, mu, rate, t float64) float64 {
	a := rate / mu
	sum, term := 0.0, 1.0
	for k := range c {
		sum += term
		term *= a / float64(k+1)
	}
	rho := a / float64(c)
	if rho >= 1 {
		return 1
	}
	wait := term / (1 - rho) / (sum + term/(1-rho)) // Erlang C
	theta := float64(c)*mu - rate
	// waiting is exponential with theta, and with probability 1-wait there is none
	return math.Exp(-mu*t) + wait*mu*(math.Exp(-theta*t)-math.Exp(-mu*t))/(mu-theta)
}

func TestTheIntervalHoldsTheTruthNineTimesInTen(t *testing.T) {
	analytic := func(c int, mu, latency float64) float64 {
		lo, hi := 1.0, float64(c)*mu
		for range 60 {
			mid := (lo + hi) / 2
			if sojournP(c, mu, mid, latency) < 0.05 {
				lo = mid
			} else {
				hi = mid
			}
		}
		return lo
	}
	both := func(v virtual, latency, lo, hi float64) func() []float64 {
		return func() []float64 {
			return []float64{truth(v, false, 0.95, latency, lo, hi, 30), truth(v, true, 0.95, latency, lo, hi, 30)}
		}
	}
	for _, c := range []struct {
		name    string
		system  virtual
		latency float64
		truth   func() []float64
	}{
		{"M/M/4", serversOf(4, 50), 0.1, func() []float64 { return []float64{analytic(4, 50, 0.1)} }},
		{"M/M/20", serversOf(20, 20), 0.2, func() []float64 { return []float64{analytic(20, 20, 0.2)} }},
		{"token bucket", tokenBucket(300), 0.1, both(tokenBucket(300), 0.1, 200, 400)},
		{"USL", shared(100, 0.05, 0.002), 0.06, both(shared(100, 0.05, 0.002), 0.06, 200, 1200)},
		{"cliff", precipice(400), 0.1, both(precipice(400), 0.1, 200, 800)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && c.name != "M/M/4" {
				t.Skip("takes ten seconds or more")
			}
			want := c.truth()
			runs, inside := 100, 0
			var widths, steps []float64
			misses := ""
			for family := range int64(runs) {
				l := Limit{Share: 0.95, Latency: c.latency, Start: 10, Cap: 10000}
				b, probes := found(l, c.system, family, 30, c.latency)
				if b.Answer != premortem.Fails {
					t.Fatalf("run %d: %+v", family, b)
				}
				if b.Low <= slices.Min(want) && slices.Max(want) <= b.High {
					inside++
				} else {
					misses += fmt.Sprintf(" [%.1f %.1f]", b.Low, b.High)
				}
				widths = append(widths, (b.High-b.Low)/b.Estimate)
				steps = append(steps, float64(len(probes)))
			}
			slices.Sort(widths)
			slices.Sort(steps)
			t.Logf("truth %.1f: inside in %d of %d, median width %.1f %%, median of %.0f probes; outside:%s",
				want, inside, runs, 100*widths[runs/2], steps[runs/2], misses)
			if inside*10 < runs*9 {
				t.Errorf("the interval holds the truth in %d of %d runs", inside, runs)
			}
			if widths[runs/2] > 0.15 {
				t.Errorf("the median width is %.1f %%", 100*widths[runs/2])
			}
		})
	}
}

func TestNoBoundaryIsInventedWhereThereIsNone(t *testing.T) {
	for family := range int64(20) {
		b, probes := found(Limit{Start: 10, Cap: 640}, tireless, family, 30, 0.1)
		if b.Answer != premortem.Holds || b.High != 640 || b.Estimate != 0 || b.Partial {
			t.Fatalf("%+v after %d probes", b, len(probes))
		}
	}
}

// saturating is a search whose instrument cannot offer more than its ceiling.
func saturating(l Limit, v virtual, ceiling float64) Boundary {
	var probes []Probe
	for {
		step, more := l.Next(probes)
		if !more || len(probes) > 60 {
			return l.Decide(probes)
		}
		p := Probe{Step: step, Length: 1, Windows: offer(v(step.Seed), min(step.Load, ceiling), step.Seed, 30, 0.1, 0)}
		if step.Load > ceiling {
			p.Doubt = "the instrument was saturated"
			for i := range p.Windows { // and what it measures then looks terrible
				p.Windows[i] = Window{Bad: p.Windows[i].Good + p.Windows[i].Bad}
			}
		}
		probes = append(probes, p)
	}
}

func TestASaturatedInstrumentIsNeverBlamedOnTheSystem(t *testing.T) {
	b := saturating(Limit{Start: 10, Cap: 10000}, tireless, 300)
	if b.Answer != premortem.Holds || b.High != 160 || !b.Partial || b.Doubt == "" {
		t.Errorf("a system without a limit, behind an instrument that ends at 300: %+v", b)
	}
	b = saturating(Limit{Start: 1000, Cap: 10000}, tireless, 300)
	if b.Answer != premortem.Unknown || b.Doubt == "" {
		t.Errorf("an instrument that fails at the first load: %+v", b)
	}
	b = saturating(Limit{Start: 10, Cap: 10000}, serversOf(4, 50), 1000)
	if b.Answer != premortem.Fails || b.Low > 163 || b.High < 163 {
		t.Errorf("a limit of 163 below the instrument's 1000: %+v", b)
	}
}

// stampede serves rate requests/s in order; a request that waits for more than a
// second was given up and made again, twice, and its first copy is served all the
// same. Once the queue is that long, three times the load keeps it so.
func stampede(rate float64) virtual {
	return func(int64) func(float64) float64 {
		free := 0.0
		return func(due float64) float64 {
			wait := max(free-due, 0)
			copies := 1.0
			if wait > 1 {
				copies = 3
			}
			free = max(free, due) + copies/rate
			return wait + 1/rate
		}
	}
}

func TestAFailureThatOutlivesItsLoadIsFound(t *testing.T) {
	for _, c := range []struct {
		name       string
		system     virtual
		metastable bool
		recovers   float64 // at most
	}{
		{"a retry storm", stampede(300), true, 100},
		{"a queue that drains", serversOf(4, 50), false, 163},
	} {
		l := Limit{Start: 10, Cap: 10000, Latency: 0.1, Recover: true}
		var probes []Probe
		var serve func(float64) float64
		clock := 0.0
		for {
			step, more := l.Next(probes)
			if !more || len(probes) > 60 {
				break
			}
			if step.Drain {
				serve, clock = c.system(step.Seed), 0
			}
			probes = append(probes, Probe{Step: step, Length: 1, Windows: offer(serve, step.Load, step.Seed, 30, 0.1, clock)})
			clock += 30
		}
		b := l.Decide(probes)
		if b.Answer != premortem.Fails || b.Metastable != c.metastable || b.Recovers == 0 || b.Recovers > c.recovers {
			t.Errorf("%s: %+v", c.name, b)
		}
	}
}

func TestASearchWithoutTimeKeepsWhatItKnows(t *testing.T) {
	l := Limit{Start: 10, Cap: 10000, Latency: 0.1, Probes: 6}
	b, probes := found(l, serversOf(4, 50), 1, 30, 0.1)
	if len(probes) != 6 || b.Answer != premortem.Fails || b.Low > 163 || b.High < 163 {
		t.Errorf("after %d probes: %+v", len(probes), b)
	}
	for n := range probes {
		if got := l.Decide(probes[:n]); got.Answer == premortem.Fails && (got.Low > 163 || got.High < 163) {
			t.Errorf("after %d probes it says %+v", n, got)
		}
	}
	if got := l.Decide(nil); got.Answer != premortem.Unknown {
		t.Errorf("after nothing: %+v", got)
	}
}

func TestAProbeEndsEarlyOnlyWhenItIsDecided(t *testing.T) {
	l := Limit{Share: 0.95}
	windows := func(n int, good, bad uint64) []Window { return slices.Repeat([]Window{{good, bad}}, n) }
	for _, c := range []struct {
		name string
		ws   []Window
		want premortem.Answer
	}{
		{"nothing", nil, premortem.Unknown},
		{"two terrible seconds are too few", windows(2, 0, 500), premortem.Unknown},
		{"everything is bad", windows(10, 0, 100), premortem.Fails},
		{"a quarter is bad", windows(20, 75, 25), premortem.Fails},
		{"all is well, often enough", windows(20, 200, 0), premortem.Holds},
		{"all is well, in too few requests", windows(20, 20, 0), premortem.Unknown},
		{"at the limit", windows(30, 95, 5), premortem.Unknown},
		{"one stall in a good run", append(windows(29, 100, 0), Window{0, 100}), premortem.Unknown},
	} {
		if got := l.Enough(c.ws); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
