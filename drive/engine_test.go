package drive

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/premortem/premortem"
)

// bubble makes an engine whose clock is the bubble's and whose connections are
// pipes to serve.
func bubble(t *testing.T, ctx context.Context, w Workload, l Load, serve func(r *http.Request) (status int, body string)) *engine {
	t.Helper()
	if w.URLs == nil {
		w.URLs = local("http://127.0.0.1:1")
	}
	p, err := compile(w, w.Journeys)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.check(p); err != nil {
		t.Fatal(err)
	}
	e := newEngine(ctx, p, l)
	e.sleeper = func(start time.Time) (func(time.Duration), func()) {
		return func(at time.Duration) { time.Sleep(at - time.Since(start)) }, func() {}
	}
	t.Cleanup(func() { time.Sleep(time.Minute) }) // for the servers that still sleep
	e.client.dial = func(context.Context, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go servePipe(theirs, serve)
		return ours, nil
	}
	return e
}

func servePipe(c net.Conn, serve func(r *http.Request) (int, string)) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		status, body := serve(r)
		resp := &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
			ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
		if resp.Write(c) != nil {
			return
		}
	}
}

func one(path string) Workload { return Workload{Journeys: []*premortem.Journey{get(path)}, Seed: 1} }

// checkAccount fails unless the numbers of a finished load add up.
func checkAccount(t *testing.T, l premortem.LoadStats, routes []premortem.RouteStats) {
	t.Helper()
	if l.Offered != l.Sent+l.Dropped {
		t.Errorf("offered %d, sent %d + dropped %d", l.Offered, l.Sent, l.Dropped)
	}
	if l.Sent != l.Done+l.Failed+l.Abandoned {
		t.Errorf("sent %d, done %d + failed %d + abandoned %d", l.Sent, l.Done, l.Failed, l.Abandoned)
	}
	var count, errors, drops uint64
	for _, r := range routes {
		count += r.Count
		errors += r.Errors
		var kinds uint64
		for _, n := range r.Kinds {
			kinds += n
		}
		if kinds != r.Errors {
			t.Errorf("%s: %d errors, %d by kind", r.Route, r.Errors, kinds)
		}
	}
	for _, n := range l.Drops {
		drops += n
	}
	if count != l.Sent || errors != l.Failed || drops != l.Dropped {
		t.Errorf("routes count %d and %d errors, load sent %d and failed %d; %d drops by reason of %d",
			count, errors, l.Sent, l.Failed, drops, l.Dropped)
	}
}

func TestRequestsAreSentWhenTheScheduleSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Duration
		start := time.Now()
		e := bubble(t, t.Context(), one("/"), Load{Calls: 100, For: 20 * time.Second, Warm: 5 * time.Second},
			func(*http.Request) (int, string) {
				mu.Lock()
				defer mu.Unlock()
				at = append(at, time.Since(start))
				return 200, ""
			})
		r, err := e.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := draws(1, 100, 100, 20*time.Second)
		if len(at) != len(want) {
			t.Fatalf("%d requests, the schedule has %d", len(at), len(want))
		}
		counted := uint64(0)
		for i := range want {
			if late := at[i] - want[i].at; late < 0 || late > nap {
				t.Fatalf("request %d was sent at %v, due at %v", i, at[i], want[i].at)
			}
			if want[i].at >= 5*time.Second {
				counted++
			}
		}
		if r.Load.Offered != counted || r.Load.Done != counted || r.Load.Late != 0 || r.Took != 15*time.Second {
			t.Errorf("counted %+v in %v, want %d after the warm-up", r.Load, r.Took, counted)
		}
		if want := float64(counted) / 15; math.Abs(r.Load.Planned-want) > 1e-9 {
			t.Errorf("planned %v requests/s, the schedule drew %v", r.Load.Planned, want)
		}
		checkAccount(t, r.Load, r.Routes)
		checkSeconds(t, r, 15)
	})
}

func checkSeconds(t *testing.T, r Result, want int) {
	t.Helper()
	var offered, done uint64
	for i, s := range r.Seconds {
		if s.At != float64(i) {
			t.Errorf("second %d is at %v", i, s.At)
		}
		offered += s.Offered
		done += s.Done
	}
	if len(r.Seconds) != want || offered != r.Load.Offered || done != r.Load.Done {
		t.Errorf("%d seconds with %d offered and %d done; want %d with %d and %d",
			len(r.Seconds), offered, done, want, r.Load.Offered, r.Load.Done)
	}
}

// A server stands still for 10 s of 100. Whoever arrives then waits for the rest of
// it, so the share of all that waits longer than x is (10 s − x) ÷ 100 s, and
// p95 is 5 s. A tool that waits for answers would see one slow request.
func TestAStalledServerIsSeenByEveryoneWhoWouldHaveWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		e := bubble(t, t.Context(), one("/"), Load{Calls: 200, For: 100 * time.Second, Timeout: time.Minute},
			func(*http.Request) (int, string) {
				if at := time.Since(start); at >= 40*time.Second && at < 50*time.Second {
					time.Sleep(50*time.Second - at)
				}
				return 200, "{}"
			})
		r, err := e.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := r.Routes[0]
		if math.Abs(got.P95-5) > 0.3 || math.Abs(got.P99-9) > 0.3 || got.P50 > 0.001 || got.Max > 10 || got.Max < 9.9 {
			t.Errorf("p50 %.3f, p95 %.3f, p99 %.3f, max %.3f; want 0, 5, 9, 10", got.P50, got.P95, got.P99, got.Max)
		}
		checkAccount(t, r.Load, r.Routes)
	})
}

// While a server stands still, people keep coming.
func TestArrivalsDoNotWaitForAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := bubble(t, t.Context(), one("/"), Load{Calls: 50, For: 10 * time.Second, Timeout: 3 * time.Second},
			func(*http.Request) (int, string) { time.Sleep(20 * time.Second); return 200, "" })
		r, err := e.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		offered := uint64(len(draws(1, 50, 50, 10*time.Second)))
		if r.Load.Offered != offered || r.Load.Done != 0 {
			t.Errorf("offered %d and done %d, want %d and 0", r.Load.Offered, r.Load.Done, offered)
		}
		timeouts := r.Routes[0].Kinds["timeout"]
		if timeouts == 0 || r.Load.Abandoned == 0 || timeouts+r.Load.Abandoned != offered {
			t.Errorf("%d time-outs and %d abandoned of %d", timeouts, r.Load.Abandoned, offered)
		}
		if got := r.Routes[0].Response.Max(); got < 3*time.Second || got > 3*time.Second+nap {
			t.Errorf("the longest response time is %v; a time-out counts as 3 s", got)
		}
		checkAccount(t, r.Load, r.Routes)
	})
}

// Little's law: 40 people are active at once when sessions arrive at 40 ÷ their
// length. The length that was assumed is the true one here.
func TestUsersAreActiveAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := func(p string) premortem.Step {
			return premortem.Step{Request: &premortem.Request{Method: "GET", Path: p}}
		}
		w := Workload{Seed: 3, Journeys: []*premortem.Journey{{Name: "browse", Steps: []premortem.Step{
			page("/first"), {Think: 3 * time.Second}, page("/second"), {Think: 2 * time.Second}, page("/last")}}}}
		const users, seconds = 40, 400
		var first, last atomic.Int32
		e := bubble(t, t.Context(), w, Load{Users: users, For: seconds * time.Second, Warm: 10 * time.Second},
			func(r *http.Request) (int, string) {
				time.Sleep(assumedAnswer)
				switch r.URL.Path {
				case "/first":
					first.Add(1)
				case "/last":
					last.Add(1)
				}
				return 200, ""
			})
		r, err := e.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		length := 5 + 3*assumedAnswer.Seconds()
		if got := float64(first.Load()) / seconds * length; math.Abs(got-users) > 4*users/math.Sqrt(float64(first.Load())) {
			t.Errorf("%.1f users are active at once, want %d", got, users)
		}
		if last.Load() == 0 || first.Load()-last.Load() > 3*users {
			t.Errorf("%d sessions began, %d ended", first.Load(), last.Load())
		}
		if r.Load.Planned != 0 || r.Load.Late != 0 {
			t.Errorf("planned %v and %d late, want 0 and 0", r.Load.Planned, r.Load.Late)
		}
		checkAccount(t, r.Load, r.Routes)
	})
}

func TestMemoryDoesNotGrowWithTheNumberOfRequests(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	after := map[string]uint64{}
	for _, name := range []string{"ten minutes", "hours"} {
		synctest.Test(t, func(t *testing.T) {
			l := Load{Calls: 20, For: 10 * time.Minute}
			if name == "hours" {
				l.For = 2 * time.Hour
				if testing.Short() {
					l.For = time.Hour
				}
			}
			var seen int
			l.Every = func(Second) { seen++ }
			e := bubble(t, t.Context(), one("/"), l, func(*http.Request) (int, string) { return 200, "" })
			r, err := e.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want := int(l.For / time.Second); seen != want || len(r.Seconds) != min(want, keepSeconds) {
				t.Errorf("%d seconds were told and %d kept of %d", seen, len(r.Seconds), want)
			}
			after[name] = heap()
			runtime.KeepAlive(r)
			runtime.KeepAlive(e)
		})
	}
	if grown := int64(after["hours"]) - int64(after["ten minutes"]); grown > 3<<20 {
		t.Errorf("the heap grew by %d bytes; the seconds that are kept take about 400 each", grown)
	}
}

func TestStopEndsTheLoadEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []Snapshot
		l := Load{Calls: 50, For: time.Minute, Warm: 2 * time.Second, Stop: func(now Snapshot) bool {
			seen = append(seen, now)
			return now.Elapsed >= 5*time.Second
		}}
		e := bubble(t, t.Context(), one("/"), l, func(*http.Request) (int, string) { time.Sleep(time.Second / 2); return 500, "" })
		r, err := e.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !r.Load.Stopped || r.Took != 5*time.Second || len(seen) != 5 {
			t.Errorf("stopped %v after %v and %d looks, want true after 5 s and 5", r.Load.Stopped, r.Took, len(seen))
		}
		for _, s := range seen {
			if s.Load.Sent < s.Load.Done+s.Load.Failed || s.Load.Offered != s.Load.Sent+s.Load.Dropped {
				t.Errorf("at %v the numbers do not add up: %+v", s.Elapsed, s.Load)
			}
		}
		if r.Routes[0].Kinds["500"] != r.Load.Failed || r.Load.Failed == 0 {
			t.Errorf("kinds %v of %d failed", r.Routes[0].Kinds, r.Load.Failed)
		}
		checkAccount(t, r.Load, r.Routes)
	})
}

func TestACancelledLoadReturnsWhatItCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("the user pressed Ctrl-C")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { cancel(cause) })
		e := bubble(t, ctx, one("/"), Load{Calls: 50, For: time.Minute},
			func(*http.Request) (int, string) { time.Sleep(time.Second); return 200, "" })
		r, err := e.run(ctx)
		if !errors.Is(err, cause) {
			t.Fatalf("error %v, want the cause", err)
		}
		if r.Took != 3*time.Second || r.Load.Done == 0 || r.Load.Abandoned == 0 {
			t.Errorf("took %v, counted %+v", r.Took, r.Load)
		}
		checkAccount(t, r.Load, r.Routes)
	})
}

func TestLateIsWhatWeAreToBlameFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		e := bubble(t, t.Context(), one("/"), Load{Calls: 50, For: 10 * time.Second},
			func(*http.Request) (int, string) { return 200, "" })
		dial := e.client.dial
		e.client.dial = func(ctx context.Context, addr string) (net.Conn, error) {
			n.Add(1)
			time.Sleep(200 * time.Millisecond) // a full accept queue of the target's
			return dial(ctx, addr)
		}
		r, err := e.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.Load.Late != 0 || r.Load.LagP99 != 0 || n.Load() == 0 {
			t.Errorf("%d late and a lag of %v for waiting %d times for a connection", r.Load.Late, r.Load.LagP99, n.Load())
		}
		if r.Routes[0].Response.Max() < 200*time.Millisecond {
			t.Errorf("the longest response time is %v, users waited 200 ms for a connection", r.Routes[0].Response.Max())
		}

		e = bubble(t, t.Context(), one("/"), Load{Calls: 50, For: 10 * time.Second},
			func(*http.Request) (int, string) { return 200, "" })
		e.sleeper = func(start time.Time) (func(time.Duration), func()) {
			return func(at time.Duration) { time.Sleep(at - time.Since(start) + 30*time.Millisecond) }, func() {}
		}
		if r, err = e.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if offered := uint64(len(draws(1, 50, 50, 10*time.Second))); r.Load.Offered != offered || r.Load.Late < offered*9/10 {
			t.Errorf("a pacer that wakes 30 ms late offered %d of %d, %d of them late", r.Load.Offered, offered, r.Load.Late)
		}
	})
}

func TestLimitsOfOurOwnAreDropsWithAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := one("/${rows.users.id}")
		var asked, dials atomic.Int32
		w.RowCount = func(string) int64 { return 10 }
		w.Rows = func(string, string, int64) (string, bool) { return "1", asked.Add(1) < 100 }
		e := bubble(t, t.Context(), w, Load{Calls: 50, For: 10 * time.Second},
			func(*http.Request) (int, string) { return 200, "" })
		dial := e.client.dial
		e.client.dial = func(ctx context.Context, addr string) (net.Conn, error) {
			if dials.Add(1) == 1 {
				return nil, &net.OpError{Op: "dial", Err: errTooMany}
			}
			return dial(ctx, addr)
		}
		r, err := e.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.Load.Drops[string(dropFiles)] != 1 || r.Load.Drops[string(dropRows)] == 0 || r.Load.Failed != 0 {
			t.Errorf("drops %v, failed %d", r.Load.Drops, r.Load.Failed)
		}
		checkAccount(t, r.Load, r.Routes)
	})
}

var errTooMany = os.NewSyscallError("socket", syscall.EMFILE)
