package wire

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

type atomicCount = atomic.Uint64

// redisServer starts a real one and returns its address.
func redisServer(t testing.TB) string {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("%v; install Redis: apt-get install redis-server", err)
	}
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	run(t, addr, exec.Command(bin, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir()))
	return addr
}

// redisSay sends words as one command.
func redisSay(w io.Writer, words ...string) {
	fmt.Fprintf(w, "*%d\r\n", len(words))
	for _, s := range words {
		fmt.Fprintf(w, "$%d\r\n%s\r\n", len(s), s)
	}
}

// redisRead reads answers and fails the test when one is not whole.
func redisRead(t testing.TB, in *bufio.Reader, n int) {
	t.Helper()
	for range n {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		var size int
		fmt.Sscan(strings.TrimSpace(line[1:]), &size)
		switch line[0] {
		case '*', '~', '>':
			redisRead(t, in, max(size, 0))
		case '%':
			redisRead(t, in, 2*size)
		case '$', '=':
			if size >= 0 {
				if _, err := in.Discard(size + 2); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestRedisCallsOfARealServerAreRead(t *testing.T) {
	for _, version := range []string{"2", "3"} {
		var seen calls
		e := opened(t, redisServer(t))
		e.Use(Redis(seen.record))
		c := dial(t, e.Addr())
		in := bufio.NewReader(c)
		redisSay(c, "hello", version)
		redisRead(t, in, 1)
		redisSay(c, "set", "key", strings.Repeat("v", 1_000_000))
		redisSay(c, "GET", "key")
		redisSay(c, "GET", "none")
		redisSay(c, "lpush", "key", "x")
		redisSay(c, "rpush", "list", "a", "b", "c")
		redisSay(c, "LRANGE", "list", "0", "-1")
		redisSay(c, "client", "setname", "me")
		redisSay(c, "nonsense")
		io.WriteString(c, "PING\r\n")
		redisSay(c, "MULTI")
		redisSay(c, "HSET", "h", "a", "1", "b", "2")
		redisSay(c, "HGETALL", "h")
		redisSay(c, "EXEC")
		redisSay(c, "HGETALL", "h")
		redisRead(t, in, 14)
		fields := map[string]string{"2": "4", "3": "2"}[version]
		hello := map[string]string{"2": "14", "3": "7"}[version]
		wantCalls(t, "version "+version, seen.take(),
			"HELLO rows="+hello, "SET rows=1", "GET rows=1", "GET rows=0", "LPUSH rows=0 err=WRONGTYPE", "RPUSH rows=1",
			"LRANGE rows=3", "CLIENT SETNAME rows=1", "NONSENSE rows=0 err=ERR", "PING rows=1", "MULTI rows=1",
			"HSET rows=1 tx", "HGETALL rows=1 tx", "EXEC rows=2 tx", "HGETALL rows="+fields)
		if e.Blind() != 0 {
			t.Error("the tap gave up")
		}
		redisSay(c, "SUBSCRIBE", "news")
		redisRead(t, in, 1)
		redisSay(dial(t, e.Addr()), "PUBLISH", "news", "good")
		redisRead(t, in, 1)
		if e.Blind() != 1 {
			t.Error("a subscribed connection is read on")
		}
	}
}

func TestRedisPushesAreNoAnswers(t *testing.T) {
	var seen calls
	e := opened(t, redisServer(t))
	e.Use(Redis(seen.record))
	c := dial(t, e.Addr())
	in := bufio.NewReader(c)
	redisSay(c, "HELLO", "3")
	redisSay(c, "CLIENT", "TRACKING", "ON", "BCAST")
	redisRead(t, in, 2)
	other := dial(t, e.Addr())
	redisSay(other, "SET", "a", "1")
	redisRead(t, in, 1) // told that a has changed
	redisSay(c, "GET", "a")
	redisRead(t, in, 1)
	until(t, "four calls are seen", func() bool { return seen.count() == 4 })
	if e.Blind() != 0 {
		t.Error("the tap gave up")
	}
}

func TestRedisFragmentsOfOneByteGiveTheSameCalls(t *testing.T) {
	var question strings.Builder
	redisSay(&question, "SET", "k", "value\r\nwith breaks")
	redisSay(&question, "config", "get", "x")
	question.WriteString("ECHO hi\r\n")
	redisSay(&question, "HGETALL", "k")
	redisSay(&question, "GET", "k")
	answer := "+OK\r\n*2\r\n$1\r\nx\r\n*-1\r\n-ERR something else\r\n%1\r\n+a\r\n*2\r\n:1\r\n_\r\n>2\r\n+invalidate\r\n*0\r\n$-1\r\n"
	for _, piece := range []int{1, 2, 3, 7, 1000} {
		var got []string
		r := &redisReader{}
		r.attach(&book{record: func(c Call) { got = append(got, fmt.Sprintf("%s %s %d %d", c.Op, c.Err, c.Rows, c.Bytes)) }, lex: newLexicon(), blind: new(atomicCount)}, false)
		feed(r, up, question.String(), piece)
		feed(r, down, answer, piece)
		want := []string{"SET  1 5", "CONFIG GET  2 16", "ECHO ERR 0 21", "HGETALL  1 19", "GET  0 5"}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("in pieces of %d:\n got %q\nwant %q", piece, got, want)
		}
	}
}

func TestRedisTapAttachedInMidConnectionFindsItsPlace(t *testing.T) {
	var seen calls
	e := opened(t, redisServer(t))
	c := dial(t, e.Addr())
	in := bufio.NewReader(c)
	redisSay(c, "SET", "a", "1")
	redisRead(t, in, 1)
	e.Use(Redis(seen.record))
	settle(t, e)
	redisSay(c, "GET", "a")
	redisRead(t, in, 1)
	wantCalls(t, "attached", seen.take(), "GET rows=1")
}

func TestRedisSampleHasTheWords(t *testing.T) {
	var got Sample
	r := &redisReader{}
	r.attach(&book{record: func(c Call) { got = c.Sample }, lex: newLexicon(), blind: new(atomicCount)}, false)
	var q strings.Builder
	redisSay(&q, "set", "key", strings.Repeat("x", 1000), "EX", "5")
	feed(r, up, q.String(), 10)
	feed(r, down, "+OK\r\n", 10)
	if got.Text != "SET" || len(got.Args) != 4 || got.Args[0] != "key" || len(got.Args[1]) != redisArg || got.Args[3] != "5" {
		t.Errorf("got %s %.300q", got.Text, got.Args)
	}
}
