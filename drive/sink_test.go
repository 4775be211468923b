package drive

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/premortem/premortem"
)

// TestMain lets the test binary be its own null sink, so that the server's work is
// not counted as the generator's.
func TestMain(m *testing.M) {
	if os.Getenv("DRIVE_TEST_SINK") != "" {
		serveSink()
		return
	}
	if os.Getenv("DRIVE_TEST_LOAD") != "" {
		loadAlone()
		return
	}
	os.Exit(m.Run())
}

// serveSink is a Sink until its standard input ends.
func serveSink() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	fmt.Println(l.Addr())
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := Sink(ctx, l, 15); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

var sinkAnswer = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"token\":\"abc\"}")

// startSink runs a null sink in a process of its own and returns its URL.
func startSink(t testing.TB) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DRIVE_TEST_SINK=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		timer := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		defer timer.Stop()
		cmd.Wait()
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + strings.TrimSpace(addr)
}

func TestASinkAnswersEveryRequestWhateverItsPieces(t *testing.T) {
	url := startSink(t)
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	large := strings.Repeat("b", 100_000)
	for _, p := range []string{"GET / HT", "TP/1.1\r\nHost: x\r\n", "\r\nGET /2 HTTP/1.1\r\n\r\nPO",
		fmt.Sprintf("ST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n", len(large)), large, "GET /4 HTTP/1.1\r\n\r\n"} {
		if _, err := io.WriteString(c, p); err != nil {
			t.Fatal(err)
		}
	}
	in := bufio.NewReader(c)
	for i := range 4 {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if n, _ := io.Copy(io.Discard, resp.Body); n != 15 {
			t.Errorf("answer %d has %d bytes", i, n)
		}
	}
}

func TestTheCeilingIsThatOfTheSinkAndALoadAboveItIsDoubted(t *testing.T) {
	url := startSink(t)
	w := one("/")
	w.URLs = local("http://127.0.0.1:1") // must not be asked
	top, err := Ceiling(t.Context(), w, url)
	if err != nil || top < 100 {
		t.Fatalf("ceiling %v, %v", top, err)
	}
	good := Result{Took: time.Second, Load: premortem.LoadStats{Offered: 600, Sent: 600, Done: 600, LagP99: 0.0004, OwnCPU: 0.5}}
	for name, c := range map[string]struct {
		change func(*premortem.LoadStats)
		want   string
	}{
		"healthy":        {func(*premortem.LoadStats) {}, ""},
		"near the top":   {func(l *premortem.LoadStats) { l.Sent, l.Offered = 800, 800 }, "beyond 700/s"},
		"drops":          {func(l *premortem.LoadStats) { l.Dropped, l.Drops = 2, map[string]uint64{"open files": 2} }, "open files"},
		"late":           {func(l *premortem.LoadStats) { l.LagP99 = 0.02 }, "20.0 ms late"},
		"busy":           {func(l *premortem.LoadStats) { l.OwnCPU = 0.9 }, "0.90 of its 1 cores"},
		"its own books":  {func(l *premortem.LoadStats) { l.Little = 0.03 }, "Little"},
		"no load at all": {func(l *premortem.LoadStats) { l.Offered = 0 }, "nothing was offered"},
	} {
		r := good
		c.change(&r.Load)
		if got := r.Saturated(1000, 300*time.Millisecond, 1); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
