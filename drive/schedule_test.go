package drive

import (
	"math"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

func draws(seed int64, rate, top float64, end time.Duration) []arrival {
	var out []arrival
	for a := newArrivals(seed, rate, top, end); a.next.at < end; {
		out = append(out, a.pop())
	}
	return out
}

func TestSameSeedDrawsTheSameArrivals(t *testing.T) {
	a, b := draws(7, 500, 500, 20*time.Second), draws(7, 500, 500, 20*time.Second)
	if len(a) != len(b) {
		t.Fatalf("%d and %d arrivals", len(a), len(b))
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("arrival %d: %v and %v", i, a[i], b[i])
		}
		if i > 0 && (a[i].at < a[i-1].at || a[i].session <= a[i-1].session) {
			t.Fatalf("arrival %d is out of order: %v after %v", i, a[i], a[i-1])
		}
	}
	if other := draws(8, 500, 500, 20*time.Second); len(other) > 0 && other[0] == a[0] {
		t.Error("another seed drew the same first arrival")
	}
}

func TestLongerLoadBeginsWithTheShorterOne(t *testing.T) {
	short, long := draws(7, 200, 200, 3*time.Second), draws(7, 200, 200, 30*time.Second)
	for i := range short {
		if short[i] != long[i] {
			t.Fatalf("arrival %d: %v in 3 s, %v in 30 s", i, short[i], long[i])
		}
	}
}

// 16 million arrivals of a Poisson process differ from the rate by 0.025 % (one
// standard deviation).
func TestRateIsExactToATenthOfAPercent(t *testing.T) {
	for _, c := range []struct{ rate, top float64 }{{1e6, 1e6}, {1e6, 2e6}} {
		const seconds = 16
		n := 0
		for a := newArrivals(3, c.rate, c.top, seconds*time.Second); a.next.at != never; a.pop() {
			n++
		}
		if off := float64(n)/(c.rate*seconds) - 1; math.Abs(off) > 0.001 {
			t.Errorf("rate %v of %v: %d arrivals in %d s, off by %.3f %%", c.rate, c.top, n, seconds, off*100)
		}
	}
}

// The counts of a Poisson process have a variance equal to their mean, and its gaps
// are exponential: a share e^-x of them is longer than x mean gaps.
func TestArrivalsArePoisson(t *testing.T) {
	for _, c := range []struct {
		name      string
		rate, top float64
	}{
		{"one arrival in many cells", 5, 5},
		{"many arrivals in one cell", 3000, 3000},
		{"thinned", 1000, 10_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			seconds := max(200, 40_000/c.rate)
			a := draws(11, c.rate, c.top, time.Duration(seconds)*time.Second)
			counts := make([]float64, int(seconds))
			longer := make([]int, 4)
			for i := range a {
				counts[min(int(a[i].at/time.Second), len(counts)-1)]++
				for x := 1; x < len(longer) && i > 0; x++ {
					if (a[i].at-a[i-1].at).Seconds()*c.rate > float64(x) {
						longer[x]++
					}
				}
			}
			mean, variance := moments2(counts)
			if spread := 4 * math.Sqrt(2/float64(len(counts))); math.Abs(variance/mean-1) > spread {
				t.Errorf("variance ÷ mean of counts is %.3f, want 1 ± %.3f", variance/mean, spread)
			}
			n := float64(len(a))
			for x := 1; x < len(longer); x++ {
				want := math.Exp(-float64(x))
				if got := float64(longer[x]) / n; math.Abs(got-want) > 4*math.Sqrt(want/n) {
					t.Errorf("%.4f of gaps are longer than %d means, want %.4f", got, x, want)
				}
			}
		})
	}
}

func moments2(v []float64) (mean, variance float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for _, x := range v {
		variance += (x - mean) * (x - mean) / float64(len(v)-1)
	}
	return mean, variance
}

func TestLowerRateIsASubsetOfTheHigherOne(t *testing.T) {
	const top = 800
	in := func(a []arrival) map[arrival]bool {
		m := map[arrival]bool{}
		for _, x := range a {
			m[x] = true
		}
		return m
	}
	high := in(draws(5, top, top, 10*time.Second))
	for _, rate := range []float64{400, 100, 13} {
		low := draws(5, rate, top, 10*time.Second)
		for _, x := range low {
			if !high[x] {
				t.Fatalf("at %v/s session %d arrives at %v, not so at %v/s", rate, x.session, x.at, top)
			}
		}
		if want := rate * 10; math.Abs(float64(len(low))-want) > 5*math.Sqrt(want) {
			t.Errorf("%d arrivals at %v/s in 10 s", len(low), rate)
		}
		high = in(low) // and so on downwards
	}
}

func TestSessionsArePureFunctionsOfTheirNumber(t *testing.T) {
	w := Workload{
		Seed: 9, URLs: local("http://127.0.0.1:1"),
		Journeys: []*premortem.Journey{weighted("three", 3, "/${rows.users.id}/${rows.users.email}"), weighted("one", 1, "/x")},
		Rows:     numbered, RowCount: func(string) int64 { return 1000 },
	}
	p, err := compile(w, w.Journeys)
	if err != nil {
		t.Fatal(err)
	}
	users := p.flows[0].calls[0].head[1].table
	three, rows, pause := 0, map[int64]bool{}, 0.0
	const n = 20_000
	for i := range uint64(n) {
		f := p.journeyOf(i)
		if f != p.journeyOf(i) || p.rowOf(i, users) != p.rowOf(i, users) {
			t.Fatalf("session %d is not the same twice", i)
		}
		if f.name == "three" {
			three++
		}
		row := p.rowOf(i, users)
		if row < 1 || row > 1000 {
			t.Fatalf("session %d is row %d of 1000", i, row)
		}
		rows[row] = true
		d := p.pauseOf(i, 1, time.Second)
		if d < time.Second/2 || d > 3*time.Second/2 {
			t.Fatalf("session %d pauses %v for a second", i, d)
		}
		pause += d.Seconds() / n
	}
	if share := float64(three) / n; math.Abs(share-0.75) > 0.015 {
		t.Errorf("%.3f of sessions take the journey of weight 3 of 4", share)
	}
	if len(rows) != 1000 {
		t.Errorf("%d of 1000 rows were used", len(rows))
	}
	if math.Abs(pause-1) > 0.01 {
		t.Errorf("the mean pause is %.3f of the journey's", pause)
	}
}

func local(url string) map[premortem.Node]string { return map[premortem.Node]string{"": url} }

// numbered is a table whose values tell where they come from.
func numbered(table, column string, row int64) (string, bool) {
	if column == "nothing" {
		return "", false
	}
	return table + "-" + column + "-" + time.Duration(row).String(), true
}

func weighted(name string, weight float64, path string) *premortem.Journey {
	return &premortem.Journey{Name: name, Weight: weight, Steps: []premortem.Step{{Request: &premortem.Request{Method: "GET", Path: path}}}}
}
