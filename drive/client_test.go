package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

// steps follows a journey of the given requests once and returns what came.
func steps(t *testing.T, url string, requests ...*premortem.Request) ([]Step, error) {
	t.Helper()
	j := &premortem.Journey{Name: "test"}
	for _, r := range requests {
		if r.Method == "" {
			r.Method = "GET"
		}
		j.Steps = append(j.Steps, premortem.Step{Request: r})
	}
	var got []Step
	err := Once(t.Context(), Workload{URLs: local(url)}, j, 1, func(s Step) error {
		got = append(got, s)
		return nil
	})
	return got, err
}

func TestAnswersOfARealServerAreReadToTheEnd(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/length", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "12345") })
	mux.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	mux.HandleFunc("/not-modified", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(304) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "3000000")
		w.Write(make([]byte, 3_000_000))
	})
	mux.HandleFunc("/chunked", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		for i := range 5 {
			fmt.Fprintf(w, "piece %d %s\n", i, strings.Repeat("x", i*3000))
			w.(http.Flusher).Flush()
		}
		w.Header().Set("X-Sum", "1")
	})
	mux.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(103)
		w.WriteHeader(103)
		io.WriteString(w, "after the hints")
	})
	mux.HandleFunc("/close", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		io.WriteString(w, "bye")
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { body, _ := io.ReadAll(r.Body); w.Write(body) })
	mux.HandleFunc("/long-header", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("h", 20_000))
		io.WriteString(w, "body")
	})
	var connections atomic.Int32
	s := httptest.NewUnstartedServer(mux)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	defer s.Close()

	requests := []*premortem.Request{
		{Path: "/length"}, {Path: "/empty"}, {Path: "/not-modified"}, {Path: "/large"}, {Path: "/chunked"},
		{Path: "/length", Method: "HEAD"}, {Path: "/hints"}, {Path: "/echo", Method: "POST", Body: strings.Repeat("b", 200_000)},
		{Path: "/long-header"}, {Path: "/close"}, {Path: "/length"}, {Path: "/missing"},
	}
	got, err := steps(t, s.URL, requests...)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"200 5", "204 0", "304 0", "200 3000000", "200 30045", "200 0", "200 15", "200 200000", "200 4", "200 3", "200 5", "404 19"}
	for i, w := range want {
		if have := fmt.Sprint(got[i].Status, " ", got[i].Bytes); have != w || (got[i].Err != nil) != (w[:3] == "404") {
			t.Errorf("%s %s: got %s (%v), want %s", requests[i].Method, requests[i].Path, have, got[i].Err, w)
		}
	}
	if n := connections.Load(); n != 2 {
		t.Errorf("%d connections were opened; want one, and one after the server closed it", n)
	}
}

// rawServer answers each connection by script, which gets the number of the
// connection counted from 1.
func rawServer(t *testing.T, script func(n int, c *net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { defer c.Close(); script(n, c.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() { l.Close(); open.Wait() })
	return "http://" + l.Addr().String()
}

// hear reads one request without a body.
func hear(c net.Conn) bool {
	buf := make([]byte, 4096)
	n := 0
	for {
		m, err := c.Read(buf[n:])
		if err != nil {
			return false
		}
		if n += m; strings.Contains(string(buf[:n]), "\r\n\r\n") {
			return true
		}
	}
}

func TestWhatServersDoWrongHasAKind(t *testing.T) {
	say := func(text string) func(int, *net.TCPConn) {
		return func(_ int, c *net.TCPConn) { hear(c); io.WriteString(c, text) }
	}
	for _, c := range []struct {
		name, kind string
		script     func(int, *net.TCPConn)
	}{
		{"closes without an answer", "closed", func(_ int, c *net.TCPConn) { hear(c) }},
		{"closes in the middle of a body", "closed", say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")},
		{"closes in the middle of a chunk", "closed", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n12345")},
		{"closes in the middle of the headers", "closed", say("HTTP/1.1 200 OK\r\nContent-")},
		{"resets", "reset", func(_ int, c *net.TCPConn) { hear(c); c.SetLinger(0) }},
		{"does not speak HTTP", "malformed answer", say("SSH-2.0-OpenSSH_9.2\r\n")},
		{"says a status that is none", "malformed answer", say("HTTP/1.1 2x0 OK\r\n\r\n")},
		{"says two lengths", "malformed answer", say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12")},
		{"says a negative length", "malformed answer", say("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")},
		{"says a chunk size that is none", "malformed answer", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")},
		{"runs past a chunk", "malformed answer", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n12345\r\n")},
		{"switches protocols unasked", "malformed answer", say("HTTP/1.1 101 Switching Protocols\r\n\r\n")},
		{"never ends its headers", "malformed answer", say("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead+1))},
		{"sends headers for ever", "malformed answer", say("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: x\r\n", maxHead/4))},
		{"is slower than the time-out", "timeout", func(_ int, c *net.TCPConn) { hear(c); hear(c) }},
		{"stops in the middle of a body", "timeout", func(_ int, c *net.TCPConn) {
			hear(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
			hear(c)
		}},
		{"closes to end a body, which is allowed", "", say("HTTP/1.0 200 OK\r\n\r\n12345")},
		{"uses bare line feeds, which is tolerated", "", say("HTTP/1.1 200 OK\nContent-Length: 1\n\n1")},
		{"sends no reason, which is allowed", "", say("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n")},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := rawServer(t, c.script)
			w := one("/")
			w.URLs = local(url)
			r, err := Run(t.Context(), w, Load{Calls: 400, For: 50 * time.Millisecond, Timeout: 300 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			checkAccount(t, r.Load, r.Routes)
			if r.Load.Sent == 0 || c.kind == "" && r.Load.Done != r.Load.Sent {
				t.Fatalf("counted %+v, kinds %v", r.Load, r.Routes)
			}
			// When this side abandons a request it may have been about to time out.
			if c.kind != "" && (r.Routes[0].Kinds[c.kind] != r.Load.Failed || r.Load.Failed == 0) {
				t.Errorf("kinds %v, want %q alone", r.Routes[0].Kinds, c.kind)
			}
		})
	}
}

func TestAnAddressWhereNobodyListensRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	w := one("/")
	w.URLs = local("http://" + l.Addr().String())
	r, err := Run(t.Context(), w, Load{Calls: 200, For: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Load.Failed == 0 || r.Routes[0].Kinds["refused"] != r.Load.Failed {
		t.Errorf("kinds %v of %d failed", r.Routes[0].Kinds, r.Load.Failed)
	}
	checkAccount(t, r.Load, r.Routes)
}

// A server that closes kept connections is met half way: what may be repeated is
// repeated once (RFC 9110, section 9.2.2), what may not is not.
func TestAClosedKeptConnectionIsReplacedOnlyWhereThatIsSafe(t *testing.T) {
	answer := "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	oneEach := func(_ int, c *net.TCPConn) { // answers once, hears a second request and closes
		hear(c)
		io.WriteString(c, answer)
		hear(c)
	}
	got, err := steps(t, rawServer(t, oneEach), &premortem.Request{Path: "/1"}, &premortem.Request{Path: "/2"},
		&premortem.Request{Path: "/3"}, &premortem.Request{Method: "POST", Path: "/4"})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range got[:3] {
		if s.Err != nil {
			t.Errorf("request %d: %v; a GET may be repeated", i+1, s.Err)
		}
	}
	if got[3].Err == nil || !strings.HasPrefix(got[3].Err.Error(), "closed") {
		t.Errorf("the POST came out as %v, want closed: it may have been carried out", got[3].Err)
	}

	closing := func(n int, c *net.TCPConn) { // answers once and closes without a word
		hear(c)
		io.WriteString(c, answer)
	}
	j := &premortem.Journey{Name: "idle"}
	for range 3 {
		j.Steps = append(j.Steps, premortem.Step{Request: &premortem.Request{Method: "POST", Path: "/"}})
	}
	err = Once(t.Context(), Workload{URLs: local(rawServer(t, closing))}, j, 1, func(s Step) error {
		time.Sleep(20 * time.Millisecond) // now the connection is seen to be closed before it is used
		return s.Err
	})
	if err != nil {
		t.Errorf("POST after an idle connection was closed: %v", err)
	}
}

func TestAServersPatienceIsNotTriedToTheLastMoment(t *testing.T) {
	k := &conn{used: time.Second, idle: 5 * time.Second, peek: func() bool { return true }}
	for _, c := range []struct {
		now  time.Duration
		want bool
	}{{2 * time.Second, true}, {4900 * time.Millisecond, true}, {5100 * time.Millisecond, false}, {time.Minute, false}} {
		if got := k.fresh(c.now); got != c.want {
			t.Errorf("idle for %v of the 5 s it is kept: usable %v", c.now-k.used, got)
		}
	}
	if (&conn{peek: func() bool { return false }}).fresh(time.Second) {
		t.Error("a connection that the server has closed is usable")
	}
	if keepAlive("timeout=5, max=100") != 5*time.Second || keepAlive("max=3") != 0 || keepAlive("timeout=x") != 0 {
		t.Error("Keep-Alive is not read")
	}
}

func TestBytesAfterAnAnswerAreNotTakenForTheNext(t *testing.T) {
	url := rawServer(t, func(n int, c *net.TCPConn) {
		for hear(c) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
		}
	})
	got, err := steps(t, url, &premortem.Request{Path: "/"}, &premortem.Request{Path: "/"}, &premortem.Request{Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range got {
		if s.Status != 200 {
			t.Errorf("request %d: status %d", i+1, s.Status)
		}
	}
}

func TestAnEarlyRefusalOfALargeBodyIsAnAnswer(t *testing.T) {
	url := rawServer(t, func(_ int, c *net.TCPConn) {
		hear(c)
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		c.CloseWrite()
		time.Sleep(50 * time.Millisecond)
		io.Copy(io.Discard, c)
	})
	got, err := steps(t, url, &premortem.Request{Method: "POST", Path: "/", Body: strings.Repeat("x", 4<<20), Expect: 413})
	if err != nil || got[0].Err != nil {
		t.Errorf("status %d, %v, %v", got[0].Status, got[0].Err, err)
	}
}

func TestNothingOutlivesARun(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(release)
	before := runtime.NumGoroutine()
	procs := runtime.GOMAXPROCS(0)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	w := one("/")
	w.URLs = local(s.URL)
	r, err := Run(ctx, w, Load{Calls: 300, For: time.Minute})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v", err)
	}
	if r.Load.Abandoned == 0 || r.Load.Abandoned != r.Load.Sent {
		t.Errorf("abandoned %d of %d", r.Load.Abandoned, r.Load.Sent)
	}
	checkAccount(t, r.Load, r.Routes)
	if got := runtime.GOMAXPROCS(0); got != procs {
		t.Errorf("GOMAXPROCS is %d, was %d", got, procs)
	}
	var now int
	for range 200 { // the server's goroutines see their connections close a little later
		if now = runtime.NumGoroutine(); now <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines before, %d after:\n%s", before, now, buf[:runtime.Stack(buf, true)])
}
