package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/drive"
)

// sideways is where a load's figures go while it runs, besides the screen.
type sideways struct {
	hdr  *hdrLog
	page *exposition
}

// sideways opens what the flags ask for.
func (p *program) sideways(o loadFlags, r *loadReport) (*sideways, error) {
	out := &sideways{}
	if o.hdr != "" {
		h, err := newHDRLog(o.hdr, r.Started)
		if err != nil {
			return nil, err
		}
		out.hdr = h
	}
	if o.listen != "" {
		e, err := expose(o.listen, r.Ceiling)
		if err != nil {
			return nil, errors.Join(err, out.close())
		}
		out.page = e
		fmt.Fprintf(p.err, "  figures at http://%s/metrics while it runs\n", e.listener.Addr())
	}
	return out, nil
}

func (s *sideways) second(now drive.Second) {
	if s.hdr != nil {
		s.hdr.second(now)
	}
	if s.page != nil {
		s.page.second(now)
	}
}

func (s *sideways) close() error {
	var err error
	if s.page != nil {
		err = s.page.close()
	}
	if s.hdr != nil {
		err = errors.Join(err, s.hdr.close())
	}
	return err
}

// hdrLog writes an HdrHistogram log: an interval for each second and route, the route
// being its tag, in nanoseconds.
type hdrLog struct {
	began time.Time
	f     *os.File
	done  func() error
	w     *bufio.Writer
	log   *hdrhistogram.HistogramLogWriter
	err   error
}

func newHDRLog(name string, began time.Time) (*hdrLog, error) {
	f, done, err := create(name)
	if err != nil {
		return nil, &premortem.Error{Doing: "write --hdr", Err: err}
	}
	h := &hdrLog{began: began, f: f, done: done, w: bufio.NewWriter(f)}
	h.log = hdrhistogram.NewHistogramLogWriter(h.w)
	h.note(h.log.OutputComment("[response times from when a request was due, in nanoseconds; premortem " + premortem.Version + "]"))
	h.note(h.log.OutputLogFormatVersion())
	h.note(h.log.OutputStartTime(began.UnixMilli()))
	h.log.SetBaseTime(began.UnixMilli())
	h.note(h.log.OutputLegend())
	return h, nil
}

func (h *hdrLog) note(err error) {
	if h.err == nil {
		h.err = err
	}
}

func (h *hdrLog) second(s drive.Second) {
	end := time.Now()
	opts := hdrhistogram.DefaultHistogramLogOptions()
	for _, route := range slices.Sorted(maps.Keys(s.Response)) {
		response := s.Response[route]
		one := hdrhistogram.New(int64(time.Microsecond), int64(time.Hour), 3)
		for value, n := range response.All() {
			h.note(one.RecordValues(max(int64(value), int64(time.Microsecond)), int64(n)))
		}
		// A tag ends at a comma, and a line at its end (HdrHistogram log format 1.3).
		one.SetTag(strings.Map(func(r rune) rune {
			if r == ',' || r <= ' ' {
				return '_'
			}
			return r
		}, route))
		one.SetStartTimeMs(end.Add(-time.Second).UnixMilli())
		one.SetEndTimeMs(end.UnixMilli())
		h.note(h.log.OutputIntervalHistogramWithLogOptions(one, opts))
	}
}

func (h *hdrLog) close() error {
	h.note(h.w.Flush())
	if h.err != nil {
		drop(h.f, "")
		return &premortem.Error{Doing: "write --hdr", Err: h.err}
	}
	return h.done()
}

// exposition serves the figures of the seconds so far in Prometheus' text format.
type exposition struct {
	listener net.Listener
	server   *http.Server
	serving  sync.WaitGroup

	mu      sync.Mutex
	ceiling float64
	offered uint64
	done    uint64
	failed  uint64
	dropped uint64
	late    uint64
	last    drive.Second
	routes  map[string]*premortem.Histogram
}

// expose begins to serve.
func expose(addr string, ceiling float64) (*exposition, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &premortem.Error{Doing: "serve the figures", Err: err, Hint: "choose another address with --listen"}
	}
	e := &exposition{listener: l, ceiling: ceiling, routes: map[string]*premortem.Histogram{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		e.write(w)
	})
	e.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	e.serving.Go(func() { _ = e.server.Serve(l) })
	return e, nil
}

func (e *exposition) second(s drive.Second) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.offered += s.Offered
	e.done += s.Done
	e.failed += s.Failed
	e.dropped += s.Dropped
	e.late += s.Late
	for route, h := range s.Response {
		if e.routes[route] == nil {
			e.routes[route] = &premortem.Histogram{}
		}
		e.routes[route].Merge(&h)
	}
	s.Response = nil
	e.last = s
}

// exposed are the upper ends of the buckets of the response time.
var exposed = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10}

func (e *exposition) write(w io.Writer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range []struct {
		name, kind, help string
		value            float64
	}{
		{"premortem_load_offered_total", "counter", "Requests that became due.", float64(e.offered)},
		{"premortem_load_done_total", "counter", "Requests answered as expected.", float64(e.done)},
		{"premortem_load_failed_total", "counter", "Requests that failed.", float64(e.failed)},
		{"premortem_load_dropped_total", "counter", "Requests that were due and never sent.", float64(e.dropped)},
		{"premortem_load_late_total", "counter", "Requests sent more than 1 ms after they were due.", float64(e.late)},
		{"premortem_load_in_flight", "gauge", "Requests without an answer at the end of the last second.", float64(e.last.InFlight)},
		{"premortem_load_lag_p99_seconds", "gauge", "Sent minus due in the last second, 99th percentile.", e.last.LagP99},
		{"premortem_load_ceiling", "gauge", "Requests per second that the generator can make of a server that does nothing.", e.ceiling},
	} {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s %g\n", m.name, m.help, m.name, m.kind, m.name, m.value)
	}
	const name = "premortem_load_response_seconds"
	fmt.Fprintf(w, "# HELP %s From when a request was due to its last byte.\n# TYPE %s histogram\n", name, name)
	label := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	for _, route := range slices.Sorted(maps.Keys(e.routes)) {
		h, r := e.routes[route], label.Replace(route)
		for _, le := range exposed {
			above := h.CountAbove(time.Duration(le * float64(time.Second)))
			fmt.Fprintf(w, "%s_bucket{route=\"%s\",le=\"%g\"} %d\n", name, r, le, h.Count()-above)
		}
		fmt.Fprintf(w, "%s_bucket{route=\"%s\",le=\"+Inf\"} %d\n", name, r, h.Count())
		fmt.Fprintf(w, "%s_sum{route=\"%s\"} %g\n%s_count{route=\"%s\"} %d\n", name, r, h.Sum().Seconds(), name, r, h.Count())
	}
}

func (e *exposition) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := e.server.Shutdown(ctx)
	if err != nil {
		err = e.server.Close()
	}
	e.serving.Wait()
	return err
}
