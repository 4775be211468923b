package wire

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// readAll shows both sides of a conversation to a new reader, in pieces, and returns
// what it recorded and whether it gave up.
func readAll(fresh func() reader, question, answer []byte, piece int) (got []string, blind uint64) {
	var gaveUp atomic.Uint64
	r := fresh()
	r.attach(&book{
		record: func(c Call) { got = append(got, fmt.Sprint(c.Op, c.Err, c.Rows, c.Bytes, c.InTx)) },
		lex:    newLexicon(), blind: &gaveUp,
	}, false)
	feed(r, up, string(question), piece)
	feed(r, down, string(answer), piece)
	r.end(down, time.Now())
	r.over(time.Now())
	return got, gaveUp.Load()
}

// fuzzReader checks that a reader survives any bytes and reads the same from whole
// chunks as from single bytes.
func fuzzReader(f *testing.F, fresh func() reader) {
	f.Fuzz(func(t *testing.T, question, answer []byte) {
		whole, blind := readAll(fresh, question, answer, 1<<20)
		for _, piece := range []int{1, 5} {
			got, b := readAll(fresh, question, answer, piece)
			if !slices.Equal(got, whole) || b != blind {
				t.Fatalf("in pieces of %d: %q, blind %d; as a whole: %q, blind %d", piece, got, b, whole, blind)
			}
		}
		late := fresh()
		late.attach(&book{record: func(Call) {}, lex: newLexicon(), blind: new(atomic.Uint64)}, true)
		feed(late, down, string(answer), 100)
		feed(late, up, string(question), 100)
		feed(late, down, string(answer), 100)
		late.over(time.Now())
	})
}

// pgMessage is one message of the PostgreSQL protocol.
func pgMessage(kind byte, body string) string {
	n := len(body) + 4
	return string([]byte{kind, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + body
}

func FuzzPostgresReader(f *testing.F) {
	start := "\x00\x00\x00\x10\x00\x03\x00\x00user\x00a\x00\x00"
	ready := pgMessage('Z', "I")
	f.Add([]byte(start+pgMessage('Q', "SELECT 1\x00")+pgMessage('X', "")),
		[]byte(pgMessage('R', "\x00\x00\x00\x00")+ready+pgMessage('T', "\x00\x00")+pgMessage('D', "\x00\x00")+pgMessage('C', "SELECT 1\x00")+ready))
	f.Add([]byte(start+pgMessage('P', "s\x00SELECT $1\x00\x00\x00")+pgMessage('D', "Ss\x00")+pgMessage('B', "\x00s\x00\x00\x00\x00\x01\x00\x00\x00\x011\x00\x00")+pgMessage('E', "\x00\x00\x00\x00\x00")+pgMessage('S', "")),
		[]byte(ready+pgMessage('1', "")+pgMessage('t', "\x00\x01\x00\x00\x00\x17")+pgMessage('n', "")+pgMessage('2', "")+pgMessage('E', "SERROR\x00VERROR\x00C42P01\x00\x00")+ready))
	f.Add([]byte(start+pgMessage('Q', "COPY t FROM STDIN\x00")+pgMessage('d', "1\n")+pgMessage('c', "")), []byte(ready+pgMessage('G', "\x00\x00\x00")+pgMessage('C', "COPY 1\x00")+ready))
	f.Add([]byte("\x00\x00\x00\x08\x04\xd2\x16\x2f"+start), []byte("N"+ready))
	f.Add([]byte("\x00\x00\x00\x10\x04\xd2\x16\x2e12345678"), []byte(""))
	fuzzReader(f, func() reader {
		return &pgReader{named: map[string]*pgStatement{}, portals: map[string]pgPortal{}}
	})
}

func FuzzHTTPReader(f *testing.F) {
	f.Add([]byte("GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"), []byte("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"))
	f.Add([]byte("\r\n\nHEAD /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"), []byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nto the end"))
	f.Add([]byte("GET /a HTTP/1.1\r\nUpgrade: x\r\n\r\nxyz"), []byte("HTTP/1.1 101 Switching\r\n\r\nabc"))
	fuzzReader(f, func() reader { return &httpReader{} })
}

func FuzzRedisReader(f *testing.F) {
	f.Add([]byte("*1\r\n$4\r\nPING\r\nGET a\r\n*3\r\n$3\r\nset\r\n$1\r\nk\r\n$2\r\nvv\r\n"), []byte("+PONG\r\n$-1\r\n-ERR x\r\n"))
	f.Add([]byte("*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n"), []byte(">2\r\n+a\r\n*1\r\n%1\r\n:1\r\n_\r\n"))
	f.Add([]byte("*2\r\n$6\r\nCLIENT\r\n$2\r\nid\r\nclient  list\r\n"), []byte("|1\r\n+a\r\n:1\r\n:2\r\n=5\r\ntxt:a\r\n"))
	fuzzReader(f, func() reader { return &redisReader{} })
}

func TestQueueKeepsOrderAndReusesItsMemory(t *testing.T) {
	var q queue[int]
	next, want := 0, 0
	for i := range 10_000 {
		for range i % 7 {
			q.push(next)
			next++
		}
		for range min(i%9, q.len()) {
			if got := *q.first(); got != want {
				t.Fatalf("got %d, want %d", got, want)
			}
			q.pop()
			want++
		}
	}
	if cap(q.items) > 20_000 {
		t.Errorf("room for %d items is held", cap(q.items))
	}
	q.clear()
	for i := range 5 {
		q.push(i)
	}
	q.pop()
	q.remove(1)
	if s := fmt.Sprint(*q.at(0), *q.at(1), *q.last(), q.len(), q.at(3)); s != "1 3 4 3 <nil>" {
		t.Errorf("got %s", s)
	}
}
