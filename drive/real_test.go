package drive

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

// nginx starts a real one with the given server block, and lines before everything
// else, and returns its URL.
func nginx(t testing.TB, server string, first ...string) string {
	t.Helper()
	bin, err := exec.LookPath("nginx")
	if err != nil {
		for _, p := range []string{"/usr/sbin/nginx", "/usr/local/sbin/nginx", "/opt/homebrew/bin/nginx"} {
			if _, err := os.Stat(p); err == nil {
				bin = p
			}
		}
	}
	if bin == "" {
		t.Fatal("nginx was not found; install it: apt-get install nginx-light")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	conf := strings.Join(first, "\n") + `daemon off; worker_processes 1; pid ` + dir + `/pid; error_log stderr crit;
events { worker_connections 512; }
http { access_log off; client_body_temp_path ` + dir + `/body; proxy_temp_path ` + dir + `/proxy;
fastcgi_temp_path ` + dir + `/f; uwsgi_temp_path ` + dir + `/u; scgi_temp_path ` + dir + `/s;
server { listen ` + addr + `; ` + server + ` } }`
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-p", dir, "-c", file)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() })
	for range 200 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return "http://" + addr
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("nginx did not start: %s", out.String())
	return ""
}

func TestNginxIsUnderstood(t *testing.T) {
	url := nginx(t, `keepalive_requests 7; keepalive_timeout 60s; chunked_transfer_encoding on;
		location = /text { return 200 "hello\n"; }
		location = /old { return 301 /text; }
		location = /no { return 204; }
		location = /gone { return 410; }
		location = /drop { return 444; }`)
	got, err := steps(t, url,
		&premortem.Request{Path: "/text"}, &premortem.Request{Path: "/text", Method: "HEAD"}, &premortem.Request{Path: "/old", Expect: 301},
		&premortem.Request{Path: "/no"}, &premortem.Request{Path: "/gone", Expect: 410}, &premortem.Request{Path: "/drop"},
		&premortem.Request{Path: "/text"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{200, 200, 301, 204, 410, 0, 200} {
		if got[i].Status != want || (got[i].Err == nil) != (want != 0) {
			t.Errorf("request %d: status %d, %v; want %d", i+1, got[i].Status, got[i].Err, want)
		}
	}
	// nginx closes a connection after seven requests; nobody may notice.
	w := Workload{Seed: 2, URLs: local(url), Journeys: []*premortem.Journey{get("/text"), get("/no")}}
	r, err := Run(t.Context(), w, Load{Calls: 500, For: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if r.Load.Failed != 0 || r.Load.Done == 0 || len(r.Routes) != 2 {
		t.Errorf("%+v, routes %+v", r.Load, r.Routes)
	}
	checkAccount(t, r.Load, r.Routes)
}

func TestEachUserHasAConnectionOfTheirOwn(t *testing.T) {
	var mu sync.Mutex
	perConn := map[int]int{}
	url := rawServer(t, func(n int, c *net.TCPConn) {
		for hear(c) {
			mu.Lock()
			perConn[n]++
			mu.Unlock()
			if _, err := c.Write(sinkAnswer); err != nil {
				return
			}
		}
	})
	j := &premortem.Journey{Name: "j"}
	for range 4 {
		j.Steps = append(j.Steps, get("/").Steps[0], premortem.Step{Think: 20 * time.Millisecond})
	}
	w := Workload{URLs: local(url), Journeys: []*premortem.Journey{j}}
	r, err := Run(t.Context(), w, Load{Users: 20, For: 600 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	checkAccount(t, r.Load, r.Routes)
	mu.Lock()
	defer mu.Unlock()
	full := 0
	for n, asked := range perConn {
		if asked > 4 {
			t.Errorf("connection %d was asked %d times by sessions of 4 requests", n, asked)
		}
		if asked == 4 {
			full++
		}
	}
	if full == 0 {
		t.Errorf("no session of 4 requests kept its connection: %v", perConn)
	}
}

// The server stands still for one second of eight, for real. The figure in the other
// direction (nothing is slower than it should be) is the virtual clock's to prove.
func TestAStallIsSeenOverRealSockets(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 8 s")
	}
	start := time.Now()
	url := rawServer(t, func(n int, c *net.TCPConn) {
		for hear(c) {
			if at := time.Since(start); at > 3*time.Second && at < 4*time.Second {
				time.Sleep(4*time.Second - at)
			}
			if _, err := c.Write(sinkAnswer); err != nil {
				return
			}
		}
	})
	w := one("/")
	w.URLs = local(url)
	r, err := Run(t.Context(), w, Load{Calls: 200, For: 8 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	got := r.Routes[0]
	if got.P95 < 0.5 || got.P99 < 0.8 {
		t.Errorf("p95 %.3f and p99 %.3f; one in eight waited up to 1 s, so at least 0.6 and 0.92", got.P95, got.P99)
	}
	checkAccount(t, r.Load, r.Routes)
	t.Logf("p95 %.3f (0.600), p99 %.3f (0.920), lag p99 %.6f", got.P95, got.P99, r.Load.LagP99)
}

func TestTenThousandUsersAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("opens 10,000 connections")
	}
	// About 11 of 40 arrive within the 12 seconds; fewer where descriptors are scarce.
	users := min(40_000, float64(fileLimit()-reserveFiles(fileLimit())-100)*3)
	url := startSink(t)
	j := &premortem.Journey{Name: "idle", Steps: []premortem.Step{get("/a").Steps[0], {Think: 40 * time.Second}, get("/b").Steps[0]}}
	w := Workload{URLs: local(url), Journeys: []*premortem.Journey{j}}
	live := func() int64 {
		runtime.GC()
		runtime.GC() // pools are emptied by the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	before, during := live(), int64(0)
	most := 0
	load := Load{Users: users, For: 12 * time.Second, Every: func(s Second) {
		if s.At == 10 {
			during = live()
			most = runtime.NumGoroutine()
		}
	}}
	r, err := Run(t.Context(), w, load)
	if err != nil {
		t.Fatal(err)
	}
	checkAccount(t, r.Load, r.Routes)
	if float64(r.Load.Done) < users/4 || r.Load.Dropped != 0 || r.Load.Failed != 0 {
		t.Fatalf("%+v %+v", r.Load, r.Routes)
	}
	sessions := r.Load.Offered * 11 / 12
	each := (during - before) / int64(sessions)
	t.Logf("%d users, %d bytes each, %d goroutines; lag p99 %.6f s, %.2f cores", sessions, each, most, r.Load.LagP99, r.Load.OwnCPU)
	if each > 20_000 || each < 100 {
		t.Errorf("a user that pauses takes %d bytes, which is too much or was not measured", each)
	}
}
