package drive

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A target that takes a second to accept is not asked for more than maxDials
// connections at a time, and whoever waits takes the first that is free.
func TestConnectionsAreOpenedAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := bubble(t, t.Context(), one("/"), Load{Calls: 1000, For: 5 * time.Second},
			func(*http.Request) (int, string) { return 200, "" })
		dial := e.client.dial
		var now, most atomic.Int32
		e.client.dial = func(ctx context.Context, addr string) (net.Conn, error) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			time.Sleep(time.Second)
			return dial(ctx, addr)
		}
		r, err := e.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if most.Load() != maxDials {
			t.Errorf("%d connections were opened at once, want %d", most.Load(), maxDials)
		}
		if r.Load.Done != r.Load.Offered || r.Load.Late != 0 || r.Routes[0].Response.Max() > 1100*time.Millisecond {
			t.Errorf("%+v, longest %v; all are answered soon after the first connections are open", r.Load, r.Routes[0].Response.Max())
		}
		checkAccount(t, r.Load, r.Routes)
		if p := &e.client.pools[0]; p.dials != 0 || len(p.waiting) != 0 {
			t.Errorf("%d dials and %d waiting are left", p.dials, len(p.waiting))
		}
	})
}

func TestWhoeverWaitsForAConnectionTooLongHasATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := bubble(t, t.Context(), one("/"), Load{Calls: 100, For: 5 * time.Second, Timeout: time.Second}, nil)
		e.client.dial = func(ctx context.Context, _ string) (net.Conn, error) {
			<-ctx.Done() // a black hole: no packet comes back
			return nil, ctx.Err()
		}
		r, err := e.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.Routes[0].Kinds["timeout"] != r.Load.Sent-r.Load.Abandoned || r.Load.Failed == 0 {
			t.Errorf("%+v, kinds %v", r.Load, r.Routes[0].Kinds)
		}
		checkAccount(t, r.Load, r.Routes)
		if p := &e.client.pools[0]; p.dials != 0 || len(p.waiting) != 0 {
			t.Errorf("%d dials and %d waiting are left", p.dials, len(p.waiting))
		}
	})
}

func TestConnectionsThatNobodyNeedsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		slow.Store(true)
		l := Load{Calls: 100, For: 90 * time.Second}
		e := bubble(t, t.Context(), one("/"), l, func(*http.Request) (int, string) {
			if slow.Load() {
				time.Sleep(time.Second)
			}
			return 200, ""
		})
		most := 0
		e.load.Every = func(s Second) {
			e.client.mu.Lock()
			defer e.client.mu.Unlock()
			most = max(most, len(e.client.open))
			if slow.Store(s.At < 20); s.At == 70 && len(e.client.open) > 10 {
				t.Errorf("%d connections are open for no request, %d once", len(e.client.open), most)
			}
		}
		r, err := e.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if most < 60 {
			t.Errorf("at most %d connections were open at 100 requests/s of 1 s each", most)
		}
		checkAccount(t, r.Load, r.Routes)
	})
}

func TestWhatCannotBeHeldOpenIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := bubble(t, t.Context(), one("/"), Load{Calls: 50, For: 2 * time.Second},
			func(*http.Request) (int, string) { return 200, "" })
		e.open.Store(maxOpen) // as if so many were waiting already
		r, err := e.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.Load.Dropped != r.Load.Offered || r.Load.Drops[string(dropConns)] != r.Load.Dropped || r.Load.Dropped == 0 {
			t.Errorf("%+v", r.Load)
		}
		checkAccount(t, r.Load, r.Routes)
	})
}

// A session whose turn came only when the load was over was owed all the same.
func TestWhatWasDueAndNeverSentIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := bubble(t, t.Context(), one("/"), Load{Calls: 50, For: time.Second}, nil)
		e.cancel()
		s := newSession(e.plan, e.plan.flows[0], 1)
		e.sessions.Go(func() { e.follow(s) })
		e.sessions.Wait()
		load, routes := snapshot(e.tallies, e.plan.routes)
		if load.Offered != 1 || load.Drops[string(dropLate)] != 1 {
			t.Errorf("%+v", load)
		}
		checkAccount(t, load, routes)
	})
}
