package rehearse

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/drive"
	"github.com/premortem/premortem/wire"
)

// tracesEach is how often each journey is walked alone. The first walk meets cold
// caches and unprepared code; the last ones stand.
const tracesEach = 3

// trace walks each journey with nothing else running, so that every query on the
// edges belongs to the request that is open.
func (r *run) trace(ctx context.Context) error {
	var mu sync.Mutex
	var calls []premortem.TraceCall
	for _, e := range r.c.Edges() {
		if e.Proto != "postgres" && e.Proto != "redis" {
			continue
		}
		stop := e.Tally.Follow(func(c wire.Call) {
			mu.Lock()
			defer mu.Unlock()
			calls = addCall(calls, e.To(), c)
		})
		defer stop()
	}
	for i := range uint64(tracesEach) {
		for k, j := range r.sys.Journeys {
			r.doing("walk the journey %s alone", j.Name)
			err := drive.Once(ctx, r.load, j, i*uint64(len(r.sys.Journeys))+uint64(k), func(s drive.Step) error {
				mu.Lock()
				defer mu.Unlock()
				t := premortem.Trace{Route: s.Request.Route, Took: s.Took.Seconds(), Status: s.Status, Bytes: s.Bytes, Calls: calls}
				calls = nil
				if i > 0 { // the first walk is the warm-up
					r.traces = append(r.traces, t)
				}
				return s.Err
			})
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				return &premortem.Error{
					Doing: "walk the journey " + j.Name, Pos: j.Pos, Err: err,
					Hint: "the app's last lines:\n" + r.lastLines(),
				}
			}
		}
	}
	slices.SortStableFunc(r.traces, func(a, b premortem.Trace) int {
		switch {
		case a.Route < b.Route:
			return -1
		case a.Route > b.Route:
			return 1
		}
		return 0
	})
	for i := range r.traces {
		for k := range r.traces[i].Calls {
			c := &r.traces[i].Calls[k]
			if c.Proto == "postgres" {
				c.Sites = r.sites(c.Op)
			}
		}
	}
	return nil
}

func addCall(calls []premortem.TraceCall, to premortem.Node, c wire.Call) []premortem.TraceCall {
	for i := range calls {
		if t := &calls[i]; t.To == to && t.Op == c.Op {
			t.Count++
			t.Seconds += c.Took.Seconds()
			t.Rows += int(c.Rows)
			return calls
		}
	}
	return append(calls, premortem.TraceCall{To: to, Proto: c.Proto, Op: c.Op, Count: 1, Seconds: c.Took.Seconds(), Rows: int(c.Rows)})
}

func (r *run) lastLines() string {
	out := ""
	for _, n := range r.c.Services() {
		if b := r.c.LogBook(n); b != nil {
			for _, l := range b.Last(5) {
				out += fmt.Sprintf("  %s: %s\n", n.Name(), l)
			}
		}
	}
	return out
}
