package drive

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

func get(path string) *premortem.Journey {
	return &premortem.Journey{Name: "get", Steps: []premortem.Step{{Request: &premortem.Request{Method: "GET", Path: path}}}}
}

// BenchmarkSchedule draws arrivals, and compares with the cheapest way there is: a
// running sum of math/rand/v2's exponential gaps, which cannot be entered in the
// middle or thinned to a subset.
func BenchmarkSchedule(b *testing.B) {
	a := newArrivals(1, 50_000, 50_000, never)
	for b.Loop() {
		a.pop()
	}
	own := float64(b.N) / b.Elapsed().Seconds()
	r := rand.New(rand.NewPCG(1, 2))
	from, sum := time.Now(), 0.0
	for range b.N {
		sum += r.ExpFloat64()
	}
	ref := float64(b.N) / time.Since(from).Seconds()
	if sum < 0 {
		b.Fatal(sum)
	}
	b.ReportMetric(own, "arrivals/s")
	b.ReportMetric(own/ref, "ratio-to-running-sum")
}

// BenchmarkNullSink offers requests to a null sink in another process, and
// compares the processor time each one costs with net/http's client, which is given
// the same arrivals by the same pacer.
func BenchmarkNullSink(b *testing.B) {
	url := startSink(b)
	w := one("/")
	w.URLs = local(url)
	for _, rate := range []float64{1000, 5000, 20_000} {
		b.Run(fmt.Sprintf("%v-per-s", rate), func(b *testing.B) {
			for b.Loop() {
				own := report(b, w, rate)
				ref := netHTTP(b, url, rate)
				b.ReportMetric(ref, "net/http-requests/cpu-s")
				b.ReportMetric(own/ref, "ratio-to-net/http")
			}
		})
	}
	// At full speed a closed loop of net/http is the reference: offered more than it
	// can take, it does not come to rest.
	b.Run("most", func(b *testing.B) {
		for b.Loop() {
			own := report(b, w, 35_000)
			ref := netHTTPLoop(b, url, 3*time.Second)
			b.ReportMetric(ref, "net/http-loop-requests/cpu-s")
			b.ReportMetric(own/ref, "ratio-to-net/http-loop")
		}
	})
}

// report offers a rate for some seconds and returns requests per second of own
// processor time.
func report(b *testing.B, w Workload, rate float64) float64 {
	b.Helper()
	r, err := Run(b.Context(), w, Load{Calls: rate, For: 4 * time.Second, Warm: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	own := float64(r.Load.Done) / (r.Load.OwnCPU * r.Took.Seconds())
	b.ReportMetric(own, "requests/cpu-s")
	b.ReportMetric(r.Load.LagP99*1e6, "lag-p99-µs")
	b.ReportMetric(float64(r.Load.Done)/r.Took.Seconds(), "requests/s")
	return own
}

// ask makes one request with net/http.
func ask(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return err
}

// netHTTP offers the same arrivals with net/http's client.
func netHTTP(b *testing.B, url string, rate float64) float64 {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 1000, MaxConnsPerHost: 1000}}
	defer client.CloseIdleConnections()
	a := newArrivals(1, rate, rate, 3*time.Second)
	start, from, n := time.Now(), ownCPU(), 0
	until, release := ownThread(start)
	defer release()
	var failed atomic.Int64
	var wg sync.WaitGroup
	for a.next.at != never {
		if now := time.Since(start); a.next.at > now {
			until(max(a.next.at, now+nap))
		}
		for now := time.Since(start); a.next.at <= now; a.pop() {
			n++
			wg.Go(func() {
				if ask(client, url) != nil {
					failed.Add(1)
				}
			})
		}
	}
	wg.Wait()
	if failed.Load() > 0 {
		b.Errorf("net/http failed %d times of %d", failed.Load(), n)
	}
	return float64(n) / (ownCPU() - from).Seconds()
}

// netHTTPLoop asks in 16 closed loops.
func netHTTPLoop(b *testing.B, url string, d time.Duration) float64 {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}}
	defer client.CloseIdleConnections()
	from, end := ownCPU(), time.Now().Add(d)
	var n atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for ; time.Now().Before(end); n.Add(1) {
				if err := ask(client, url); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / (ownCPU() - from).Seconds()
}
