package wire

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// BenchmarkEdgeRoundTrip sends 100 bytes to an echo and back, in turn directly and
// through an edge, so that both see the same machine.
func BenchmarkEdgeRoundTrip(b *testing.B) {
	addr := server(b, echo)
	for _, p := range []struct {
		name string
		pipe Pipe
	}{{"splice", Splice()}, {"blind tap", Redis(func(Call) {})}} {
		b.Run(p.name, func(b *testing.B) {
			e := opened(b, addr)
			e.Use(p.pipe)
			direct, through := dial(b, addr), dial(b, e.Addr())
			msg := make([]byte, 100)
			trip := func(c net.Conn) time.Duration {
				began := time.Now()
				if _, err := c.Write(msg); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, msg); err != nil {
					b.Fatal(err)
				}
				return time.Since(began)
			}
			compare(b, func() time.Duration { return trip(direct) }, func() time.Duration { return trip(through) })
		})
	}
}

// compare runs both in turn and reports the time added and the ratio. Blocks of 50
// keep each path warm.
func compare(b *testing.B, direct, through func() time.Duration) {
	b.Helper()
	var d, t time.Duration
	for b.Loop() {
		for range 50 {
			d += direct()
		}
		for range 50 {
			t += through()
		}
	}
	n := float64(b.N * 50)
	b.ReportMetric(float64(d.Nanoseconds())/n/1e3, "µs-direct")
	b.ReportMetric(float64((t-d).Nanoseconds())/n/1e3, "µs-added")
	b.ReportMetric(t.Seconds()/d.Seconds(), "x-direct")
}

// BenchmarkPostgresQuery runs a small statement directly, through Splice and through
// the tap.
func BenchmarkPostgresQuery(b *testing.B) {
	tally := NewTally("service/api", "store/main")
	for _, mode := range []struct {
		name string
		mode pgx.QueryExecMode
	}{{"prepared", pgx.QueryExecModeCacheStatement}, {"simple", pgx.QueryExecModeSimpleProtocol}} {
		for _, p := range []struct {
			name string
			pipe Pipe
		}{{"splice", Splice()}, {"tap", Postgres(tally.Record)}} {
			b.Run(mode.name+" "+p.name, func(b *testing.B) {
				_, dsn := tapped(b, p.pipe)
				direct := connected(b, database(b).DSN("postgres"), mode.mode)
				through := connected(b, dsn, mode.mode)
				query := func(c *pgx.Conn) time.Duration {
					began := time.Now()
					var n int
					if err := c.QueryRow(context.Background(), "SELECT $1::int + 1 WHERE 'a' = $2", 7, "a").Scan(&n); err != nil || n != 8 {
						b.Fatal(n, err)
					}
					return time.Since(began)
				}
				compare(b, func() time.Duration { return query(direct) }, func() time.Duration { return query(through) })
			})
		}
	}
}

// BenchmarkBulk moves 1 GiB in one direction, directly and through an edge.
func BenchmarkBulk(b *testing.B) {
	const size = 1 << 30
	addr := server(b, func(c net.Conn) {
		n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 256<<10))
		fmt.Fprintln(c, n)
	})
	block := make([]byte, 256<<10)
	send := func(b *testing.B, to string) time.Duration {
		c := dial(b, to)
		defer c.Close()
		began := time.Now()
		for range size / len(block) {
			if _, err := c.Write(block); err != nil {
				b.Fatal(err)
			}
		}
		c.CloseWrite()
		if got, err := io.ReadAll(c); string(got) != fmt.Sprintln(size) {
			b.Fatal(string(got), err)
		}
		return time.Since(began)
	}
	for _, p := range []struct {
		name string
		pipe Pipe
	}{{"splice", Splice()}, {"by the byte", byTheByte}} {
		b.Run(p.name, func(b *testing.B) {
			e := opened(b, addr)
			e.Use(p.pipe)
			var d, t time.Duration
			for b.Loop() {
				d += send(b, addr)
				t += send(b, e.Addr())
			}
			b.ReportMetric(8*size*float64(b.N)/d.Seconds()/1e9, "Gbit/s-direct")
			b.ReportMetric(8*size*float64(b.N)/t.Seconds()/1e9, "Gbit/s-edge")
			b.ReportMetric(d.Seconds()/t.Seconds(), "share-of-direct")
		})
	}
}

// BenchmarkPostgresRows reads a million small rows directly, through Splice and
// through the tap.
func BenchmarkPostgresRows(b *testing.B) {
	for _, p := range []struct {
		name string
		pipe Pipe
	}{{"splice", Splice()}, {"tap", Postgres(func(Call) {})}} {
		b.Run(p.name, func(b *testing.B) {
			_, dsn := tapped(b, p.pipe)
			direct := connected(b, database(b).DSN("postgres"), pgx.QueryExecModeSimpleProtocol)
			through := connected(b, dsn, pgx.QueryExecModeSimpleProtocol)
			read := func(c *pgx.Conn) time.Duration {
				began := time.Now()
				if _, err := c.PgConn().Exec(context.Background(), "SELECT g, 'some words of a row' FROM generate_series(1, 300000) g").ReadAll(); err != nil {
					b.Fatal(err)
				}
				return time.Since(began)
			}
			var d, t time.Duration
			for b.Loop() {
				d += read(direct)
				t += read(through)
			}
			b.ReportMetric(d.Seconds()/t.Seconds(), "share-of-direct")
		})
	}
}

// BenchmarkHTTPRequests sends keep-alive requests to nginx on 32 connections, through
// Splice and through the tap, and directly.
func BenchmarkHTTPRequests(b *testing.B) {
	addr := nginx(b, "location /hello { return 200 hi; }")
	tally := NewTally("service/web", "service/api")
	plain, read := opened(b, addr), opened(b, addr)
	read.Use(HTTP(tally.Record))
	rate := func(to string) float64 {
		const conns, each = 32, 400
		began := time.Now()
		var wg sync.WaitGroup
		for range conns {
			wg.Go(func() { requests(b, to, each) })
		}
		wg.Wait()
		return conns * each / time.Since(began).Seconds()
	}
	var direct, splice, tap float64
	for b.Loop() {
		direct += rate(addr)
		splice += rate(plain.Addr())
		tap += rate(read.Addr())
	}
	n := float64(b.N)
	b.ReportMetric(direct/n, "req/s-direct")
	b.ReportMetric(splice/n, "req/s-splice")
	b.ReportMetric(tap/n, "req/s-tap")
	b.ReportMetric(tap/splice, "tap-of-splice")
}

func requests(b *testing.B, addr string, n int) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Error(err)
		return
	}
	defer c.Close()
	in := bufio.NewReader(c)
	question := []byte("GET /hello/12345?q=1 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: benchmark\r\nAccept: */*\r\n\r\n")
	for range n {
		if _, err := c.Write(question); err != nil {
			b.Error(err)
			return
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.ContentLength != 2 {
			b.Error(err)
			return
		}
		in.Discard(2)
	}
}

// BenchmarkReaders measure what reading alone costs for one call.
func BenchmarkReaders(b *testing.B) {
	ready := pgMessage('Z', "I")
	sql := `SELECT "id", "email" FROM "Users" WHERE lower("email") = lower($1) LIMIT 1`
	row := pgMessage('D', "\x00\x02\x00\x00\x00\x0212\x00\x00\x00\x07a@b.com")
	answer := pgMessage('1', "") + pgMessage('2', "") + pgMessage('T', "\x00\x00") + row + pgMessage('C', "SELECT 1\x00") + ready
	bind := pgMessage('B', "\x00\x00\x00\x00\x00\x01\x00\x00\x00\x07a@b.com\x00\x00") + pgMessage('D', "P\x00") + pgMessage('E', "\x00\x00\x00\x00\x00") + pgMessage('S', "")
	for _, c := range []struct {
		name             string
		r                reader
		question, answer string
	}{
		{"postgres unnamed statement", &pgReader{stage: pgRunning, named: map[string]*pgStatement{}, portals: map[string]pgPortal{}},
			pgMessage('P', "\x00"+sql+"\x00\x00\x00") + bind, answer},
		{"postgres simple query", &pgReader{stage: pgRunning, named: map[string]*pgStatement{}, portals: map[string]pgPortal{}},
			pgMessage('Q', `SELECT "id", "email" FROM "Users" WHERE lower("email") = lower('a@b.com') LIMIT 1`+"\x00"), pgMessage('T', "\x00\x00") + row + pgMessage('C', "SELECT 1\x00") + ready},
		{"http", &httpReader{}, "GET /users/12345?q=1 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: benchmark\r\nAccept: */*\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"},
		{"redis", &redisReader{}, "*2\r\n$3\r\nGET\r\n$10\r\nsession:12\r\n", "$5\r\nhello\r\n"},
	} {
		b.Run(c.name, func(b *testing.B) {
			tally := NewTally("a", "b")
			c.r.attach(&book{record: tally.Record, lex: newLexicon(), blind: new(atomicCount)}, false)
			q, a := []byte(c.question), []byte(c.answer)
			b.ReportAllocs()
			for b.Loop() {
				now := time.Now()
				c.r.see(up, q, now)
				c.r.see(down, a, now.Add(time.Millisecond))
			}
			if got := tally.Take(); len(got) != 1 || got[0].Count < uint64(b.N) || got[0].Errors != 0 {
				b.Fatalf("%+v", got)
			}
		})
	}
}

func BenchmarkTallyRecord(b *testing.B) {
	tally := NewTally("a", "b")
	op := `SELECT "id", "email" FROM "Users" WHERE lower("email") = lower(?) LIMIT ?`
	var conns sync.Mutex
	var next uint64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		conns.Lock()
		next++
		c := Call{Proto: "postgres", Op: op, Conn: next, Took: time.Millisecond, Rows: 1}
		conns.Unlock()
		for pb.Next() {
			tally.Record(c)
		}
	})
}
