package drive

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/premortem/premortem"
)

func gzipped(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, text)
	z.Close()
	return b.Bytes()
}

func TestAPathFindsItsValue(t *testing.T) {
	const doc = ` { "a" : {"b":[ {"c":"x\n\u00e9"}, [1, 2.50 ,true], null, {} ,[] ], "b.c":"dots" },
		"t":"a}b]\"c", "n":-1e3, "empty":"", "a\u0062":"escaped", "last": [ {"k":[[7]]} ] } `
	for _, c := range []struct{ path, want string }{
		{"$.a.b[0].c", "x\né"}, {"$.a.b[1][0]", "1"}, {"$.a.b[1][1]", "2.50"}, {"$.a.b[1][2]", "true"}, {"$.a.b[2]", "-"},
		{"$.a.b[3]", "{}"}, {"$.a.b[4]", "[]"}, {"$.a.b[4][0]", "-"}, {"$.a.b[5]", "-"}, {"$.a.b[3].x", "-"},
		{`$.a["b.c"]`, "dots"}, {`$['a'].b[1]`, "[1, 2.50 ,true]"}, {"$.t", `a}b]"c`}, {"$.n", "-1e3"}, {"$.empty", ""},
		{"$.ab", "escaped"}, {"$.last[0].k[0][0]", "7"}, {"$.nope", "-"}, {"$[0]", "-"}, {"$.t.x", "-"}, {"$.t[0]", "-"},
	} {
		path, err := parsePath(c.path)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		got, ok := walk([]byte(doc), path)
		if !ok {
			got = "-"
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.path, got, c.want)
		}
	}
	for _, doc := range []string{"", "{", `{"a":1}}`, "nonsense"} {
		if v, ok := walk([]byte(doc), []hop{{field: "a"}}); ok {
			t.Errorf("%q is not JSON and gave %q", doc, v)
		}
	}
	if v, ok := walk([]byte(" 5 "), nil); !ok || v != "5" {
		t.Errorf("$ of a number gave %q", v)
	}
}

func TestAKeepThatCannotBeReadIsRefused(t *testing.T) {
	for _, k := range []premortem.Keep{
		{Name: "", From: "$.a"}, {Name: "rows.x", From: "$.a"}, {Name: "a}", From: "$.a"}, {Name: "a", From: ""},
		{Name: "a", From: "a.b"}, {Name: "a", From: "header:"}, {Name: "a", From: "header:X Y"}, {Name: "a", From: "cookie:"},
		{Name: "a", From: "$a"}, {Name: "a", From: "$."}, {Name: "a", From: "$.a."}, {Name: "a", From: "$.a[x]"},
		{Name: "a", From: "$.a[-1]"}, {Name: "a", From: "$[1"}, {Name: "a", From: "$.a..b"}, {Name: "a", From: "body:x"},
	} {
		if _, err := parseKeep(k); err == nil {
			t.Errorf("%+v was accepted", k)
		}
	}
}

// FuzzWalk compares with encoding/json on one field of an object.
func FuzzWalk(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"b":[{"a":2}],"a":"x\"y"}`, `{"a":{"a":null}}`, ` {"b" : "}" , "a" : [ ] }`, `[1,2]`, `"a"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, ok := walk(doc, []hop{{field: "a"}})
		walk(doc, []hop{{index: 1}, {field: "a"}})
		var m map[string]json.RawMessage
		if json.Unmarshal(doc, &m) != nil || strings.Count(string(doc), `"a"`) > 1 {
			return // of two fields with one name json takes the last, and we the first
		}
		raw, there := m["a"]
		want := string(raw)
		if there && len(raw) > 0 && raw[0] == '"' {
			json.Unmarshal(raw, &want)
		}
		if there = there && string(raw) != "null"; ok != there || ok && raw[0] != '"' && got != want {
			t.Errorf("%q: got %q %v, want %q %v", doc, got, ok, want, there)
		}
	})
}

// FuzzAnswer reads arbitrary bytes: no panic, and a body never longer than they are.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 103 X\r\n\r\nHTTP/1.1 204 Y\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nT: 1\r\n\r\n", "HTTP/1.0 500 No\nConnection: keep-alive\n\nbody"} {
		f.Add([]byte(s), 7)
	}
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		for _, want := range []*call{nil, {keep: []keep{{path: []hop{{field: "a"}}}}}} {
			var a answer
			b := &reader{src: &trickle{data, max(step%100, 1)}, buf: make([]byte, 64)}
			if err := a.read(b, want); err == nil && (a.bytes > int64(len(data)) || a.status < 200 || len(a.body) > len(data)) {
				t.Errorf("status %d and %d bytes out of %d", a.status, a.bytes, len(data))
			}
		}
	})
}

// trickle gives a few bytes at a time.
type trickle struct {
	rest []byte
	step int
}

func (r *trickle) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.step)], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func TestAnAnswerReadsTheSameInAnyPieces(t *testing.T) {
	text := "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=b\r\n\r\n" +
		"5\r\n{\"a\":\r\n12;ext=1\r\n\"" + strings.Repeat("z", 16) + "\"\r\n1\r\n}\r\n0\r\nTrailer: 1\r\n\r\n"
	want := call{keep: []keep{{path: []hop{{field: "a"}}}}}
	for step := 1; step <= len(text); step++ {
		var a answer
		b := &reader{src: &trickle{[]byte(text), step}, buf: make([]byte, 16)}
		if err := a.read(b, &want); err != nil {
			t.Fatalf("in pieces of %d: %v", step, err)
		}
		v, _ := a.value(&want.keep[0])
		if got := fmt.Sprint(a.status, " ", a.bytes, a.close, len(a.headers), " ", v); got != "200 24 false 1 "+strings.Repeat("z", 16) {
			t.Fatalf("in pieces of %d: %s", step, got)
		}
	}
}
