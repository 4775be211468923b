package drive

import (
	"context"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/premortem/premortem"
)

// A server that stalls for one second in every ten, and else answers in 1 ms, makes
// everybody wait who arrives during the stall, and for as long as is left of it: at p99
// that is the longest tenth of the waits, 0.9 s and more. A closed loop with one
// connection asks once in a stall and reports a few slow requests in thousands. In
// virtual time, so that nothing else on the machine has a say.
func TestAStallIsReportedAsItWasFeltAndAClosedLoopHidesIt(t *testing.T) {
	const answer = time.Millisecond
	felt := func(l Load) premortem.RouteStats {
		var route premortem.RouteStats
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			e := bubble(t, t.Context(), one("/"), l, func(*http.Request) (int, string) {
				if at := time.Since(start) % (10 * time.Second); at >= 9*time.Second {
					time.Sleep(10*time.Second - at)
				}
				time.Sleep(answer)
				return 200, "ok"
			})
			r, err := e.run(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			checkAccount(t, r.Load, r.Routes)
			if r.Load.Little > 1e-9 {
				t.Errorf("Little's law: the sides differ by %v", r.Load.Little)
			}
			route = r.Routes[0]
		})
		return route
	}
	open := felt(Load{Calls: 200, For: 100 * time.Second})
	closed := felt(Load{Loop: 1, For: 100 * time.Second})
	want := 0.9 + answer.Seconds() // a tenth of the time is stalled; the waits in it are even from 1 s to 0
	if math.Abs(open.P99/want-1) > 0.05 {
		t.Errorf("p99 is %.3f s, %.3f s was felt", open.P99, want)
	}
	if closed.P99 > 0.01 {
		t.Errorf("the closed loop's p99 is %.3f s: this comparison shows nothing", closed.P99)
	}
	t.Logf("felt %.3f s at p99; open loop %.3f s over %d requests, closed loop %.4f s over %d", want, open.P99, open.Count, closed.P99, closed.Count)
}
