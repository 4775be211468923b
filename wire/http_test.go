package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// nginx starts a real one with the given locations and returns its address.
func nginx(t testing.TB, locations string) string {
	t.Helper()
	bin, err := exec.LookPath("nginx")
	if err != nil {
		t.Fatalf("%v; install nginx: apt-get install nginx-light", err)
	}
	dir := t.TempDir()
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // else its worker is an account that may not read our files
	}
	addr := freeAddr(t)
	conf := fmt.Sprintf(`%[4]s daemon off; pid %[1]s/pid; error_log %[1]s/error.log; worker_processes 1;
events { worker_connections 1024; }
http {
  access_log off; client_max_body_size 200m; keepalive_requests 10000000;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen %[2]s; root %[1]s; %[3]s }
}`, dir, addr, locations, user)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "big.bin"), make([]byte, 3<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, addr, exec.Command(bin, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", file))
	return addr
}

func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// run starts a server, waits until it accepts and ends it with the test.
func run(t testing.TB, addr string, cmd *exec.Cmd) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt) // nginx ends its worker, redis-server itself
		cmd.Wait()
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer: %v\n%s", cmd.Path, err, out.String())
		}
		<-time.After(10 * time.Millisecond)
	}
}

// talk sends raw bytes on one connection, reads until the server closes or n answers
// have come, and returns them.
func talk(t testing.TB, addr, raw string, methods ...string) (bodies []string) {
	t.Helper()
	c := dial(t, addr)
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	for _, m := range methods {
		resp, err := http.ReadResponse(in, &http.Request{Method: m})
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(b))
	}
	return bodies
}

func TestHTTPCallsOfARealServerAreRead(t *testing.T) {
	var seen calls
	e := opened(t, nginx(t, `
    location /hello { return 200 hi; }
    location /none { return 204; }
    location /chunked { gzip on; gzip_min_length 1; gzip_types *; gzip_http_version 1.0; gzip_proxied any; alias `+bigText(t)+`; }
    location /wrong { return 503; }
    location /upload { return 409; }`))
	e.Use(HTTP(seen.record))
	talk(t, e.Addr(), "GET /hello/7?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"+
		"HEAD /big.bin HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\n\r\n"+
		"GET /big.bin HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n\r\n"+
		"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\nGET /wrong HTTP/1.1\r\nHost: a\r\n\r\n"+
		"GET /chunked HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"+
		"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n"+
		"PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /none HTTP/1.0\r\n\r\n",
		"GET", "HEAD", "GET", "GET", "GET", "GET", "GET", "POST", "PUT", "GET")
	all := seen.take()
	wantCalls(t, "nginx", all, "GET /hello/:id rows=0", "HEAD /big.bin rows=0", "GET /none rows=0", "GET /big.bin rows=0",
		"GET /big.bin rows=0", "GET /wrong rows=0 err=503", "GET /chunked rows=0", "POST /upload rows=0 err=409",
		"PUT /upload rows=0 err=409", "GET /none rows=0")
	if b := all[4].Bytes; b < 3<<20 || b > 3<<20+1000 {
		t.Errorf("%d bytes for a body of 3 MiB", b)
	}
	if e.Blind() != 0 {
		t.Error("the tap gave up")
	}
}

// bigText is a file that compresses: nginx then cannot know the length before.
func bigText(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte(strings.Repeat("many words ", 100_000)), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestHTTPFragmentsOfOneByteGiveTheSameCalls(t *testing.T) {
	question := "\r\nPOST /a/12345 HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\n" +
		"GET /b HTTP/1.1\r\ncontent-length: 0\r\n\r\nHEAD /c HTTP/1.1\r\n\r\nPUT /d HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nxyz"
	answer := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n" + strings.Repeat("x", 26) + "\r\n0\r\n\r\n" +
		"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno" + "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" +
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 500 Oops\r\nConnection: close\r\n\r\nuntil the end"
	for _, piece := range []int{1, 2, 3, 7, 1000} {
		var got []string
		r := &httpReader{}
		r.attach(&book{record: func(c Call) { got = append(got, fmt.Sprintf("%s %s %d", c.Op, c.Err, c.Bytes)) }, lex: newLexicon(), blind: new(atomicCount)}, false)
		feed(r, up, question, piece)
		feed(r, down, answer, piece)
		r.end(down, time.Now())
		want := []string{"POST /a/:id  84", "GET /b 404 47", "HEAD /c  41", "PUT /d 500 53"}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("in pieces of %d:\n got %q\nwant %q", piece, got, want)
		}
	}
}

// feed shows a text to a reader in pieces.
func feed(r reader, w way, s string, piece int) {
	for len(s) > 0 {
		n := min(piece, len(s))
		r.see(w, []byte(s[:n]), time.Now())
		s = s[n:]
	}
}

func TestHTTPUpgradeIsACallAndThenBlind(t *testing.T) {
	var seen calls
	e := opened(t, server(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if req.Method == "CONNECT" {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		} else {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
		}
		io.Copy(c, in)
	}))
	e.Use(HTTP(seen.record))
	for i, q := range []string{"GET /live HTTP/1.1\r\nUpgrade: x\r\n\r\n", "CONNECT b:1 HTTP/1.1\r\n\r\n"} {
		c := dial(t, e.Addr())
		io.WriteString(c, q)
		for head := ""; !strings.HasSuffix(head, "\r\n\r\n"); {
			b := make([]byte, 1)
			if _, err := io.ReadFull(c, b); err != nil {
				t.Fatal(err)
			}
			head += string(b)
		}
		ask(t, c, "GET / not a request any more\r\n\r\n")
		if e.Blind() != uint64(i)+1 {
			t.Errorf("%d connections are blind, want %d", e.Blind(), i+1)
		}
	}
	wantCalls(t, "upgrade", seen.take(), "GET /live rows=0", "CONNECT b:1 rows=0")
}

func TestHTTPExpectContinueAndEarlyRefusalAreRead(t *testing.T) {
	var seen calls
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.WriteHeader(417)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}))
	defer s.Close()
	e := opened(t, s.Listener.Addr().String())
	e.Use(HTTP(seen.record))
	tr := &http.Transport{ExpectContinueTimeout: 10 * time.Second}
	defer tr.CloseIdleConnections()
	for _, path := range []string{"/taken", "/refused", "/taken"} {
		req, _ := http.NewRequest("POST", "http://"+e.Addr()+path, strings.NewReader(strings.Repeat("x", 100_000)))
		req.Header.Set("Expect", "100-continue")
		resp, err := (&http.Client{Transport: tr}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	wantCalls(t, "expect", seen.take(), "POST /taken rows=0", "POST /refused rows=0 err=417", "POST /taken rows=0")
}

func TestHTTPCallWithoutAnAnswerIsAReset(t *testing.T) {
	var seen calls
	e := opened(t, server(t, func(c net.Conn) { c.Read(make([]byte, 1000)) }))
	e.Use(HTTP(seen.record))
	c := dial(t, e.Addr())
	io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
	io.ReadAll(c)
	all := seen.take()
	if len(all) != 1 || all[0].Err != "reset" {
		t.Errorf("got %v", all)
	}
}

func TestHTTPKeepsExactBytesUnderLoadAndSwaps(t *testing.T) {
	var seen calls
	e := opened(t, nginx(t, "location /hello { return 200 hi; }"))
	var wg sync.WaitGroup
	over := make(chan bool)
	for range 3 {
		tr := &http.Transport{}
		defer tr.CloseIdleConnections()
		wg.Go(func() {
			for !isClosed(over) {
				resp, err := (&http.Client{Transport: tr}).Get("http://" + e.Addr() + "/big.bin")
				if err != nil {
					t.Error(err)
					return
				}
				n, err := io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if n != 3<<20 || err != nil || resp.StatusCode != 200 {
					t.Errorf("%d bytes, status %d, %v", n, resp.StatusCode, err)
					return
				}
			}
		})
	}
	swaps := 1000
	if testing.Short() {
		swaps = 100
	}
	for i := range swaps {
		e.Use([]Pipe{HTTP(seen.record), Splice(), HTTP(seen.record), Copying}[i%4])
		settle(t, e)
	}
	close(over)
	wg.Wait()
	for _, c := range seen.take() {
		if c.Op != "GET /big.bin" || c.Err != "" {
			t.Fatalf("a call that nobody made: %+v", c)
		}
	}
	if e.Blind() != 0 {
		t.Errorf("%d connections were given up", e.Blind())
	}
}

func TestRoutesNameWhatIsAskedForNotWhichOne(t *testing.T) {
	for target, want := range map[string]string{
		"/":                             "/",
		"/users/42/orders?page=2#x":     "/users/:id/orders",
		"/v1/charges/ch_3MmlLrLkdIwHu7": "/v1/charges/:id",
		"/u/0195d7c8-1e0c-7000-8000-0123456789ab/": "/u/:id/",
		"/m/507f1f77bcf86cd799439011/x":            "/m/:id/x",
		"/f/01ARZ3NDEKTSV4RRFFQ69G5FAV":            "/f/:id",
		"/api/v2/deadbeef":                         "/api/v2/deadbeef",
		"/assets/index-BfQ2.js":                    "/assets/index-BfQ2.js",
		"/blog/ten-things-2024":                    "/blog/ten-things-2024",
		"http://host/users/7":                      "/users/:id",
		"http://host":                              "/",
		"//a//7":                                   "//a//:id",
		"*":                                        "*",
		"?x":                                       "",
	} {
		if got := string(appendRoute(nil, []byte(target))); got != want {
			t.Errorf("%s: got %s, want %s", target, got, want)
		}
	}
	if got := appendRoute(nil, []byte("/"+strings.Repeat("a", 10_000))); len(got) > 500 {
		t.Errorf("%d bytes of a long path are kept", len(got))
	}
}
