package drive

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// readWhole is the answer as the waiting reader sees it.
func readWhole(data []byte, want *call) (answer, error) {
	var a answer
	err := a.read(&reader{src: bytes.NewReader(data), buf: make([]byte, smallBuf)}, want)
	return a, err
}

// readPieces is the same answer through a framer, cut at random.
func readPieces(data []byte, want *call, rng *rand.Rand) (answer, error) {
	var a answer
	var f framer
	var scratch reader
	for len(data) > 0 {
		n := 1 + rng.IntN(len(data))
		if rng.IntN(3) == 0 {
			n = 1
		}
		done, err := f.feed(data[:n], &a, want, &scratch)
		if err != nil {
			return a, err
		}
		if data = data[n:]; done {
			a.close = a.close || len(data) > 0
			return a, nil
		}
	}
	return a, f.ended()
}

func FuzzAnAnswerInPiecesIsTheAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokx",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\nto the end",
		"HTTP/1.1 200 OK\nContent-Length: 1\n\nx",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
		"HTTP/1.1 101 Switching\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "nonsense\r\n", "",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", maxHead) + "\r\n\r\n",
	} {
		f.Add([]byte(s), int64(1), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, seed int64, head bool) {
		want := &call{noBody: head, keep: []keep{{name: "v", path: []hop{{field: "token"}}}}}
		a, err := readWhole(data, want)
		b, errB := readPieces(data, want, rand.New(rand.NewPCG(uint64(seed), 1)))
		if (err == nil) != (errB == nil) && len(data) <= maxHead { // how a broken answer is broken may differ
			t.Fatalf("whole: %v, in pieces: %v\n%q", err, errB, data)
		}
		if err != nil {
			return
		}
		if a.status != b.status || a.bytes != b.bytes || !bytes.Equal(a.body, b.body) || len(a.headers) != len(b.headers) || a.idle != b.idle {
			t.Fatalf("whole: %+v\nin pieces: %+v\n%q", a, b, data)
		}
		if b.close != a.close && !a.close { // bytes behind the end may not have come yet for the other
			t.Fatalf("close: whole %v, in pieces %v\n%q", a.close, b.close, data)
		}
	})
}
