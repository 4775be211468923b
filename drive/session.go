package drive

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

var errHeaderValue = errors.New("a value with a line break cannot stand in a header")

// session is one user's way through a journey.
type session struct {
	id     uint64
	flow   *flow
	plan   *plan
	at     int           // index of the next call
	due    time.Duration // of the next call
	kept   []string
	jar    jar
	conns  []*conn   // own connections by target, when they are not shared
	own    []*socket // the same in a reactor
	second http2     // and over HTTP/2
}

func newSession(p *plan, f *flow, id uint64) *session {
	return &session{id: id, flow: f, plan: p}
}

// value fills one hole of a template.
func (s *session) value(p *part) (string, error) {
	if p.table == nil {
		return s.kept[p.kept], nil
	}
	row := s.plan.rowOf(s.id, p.table)
	v, ok := s.plan.rows(p.table.name, p.col, row)
	if !ok {
		return "", dropRows
	}
	return v, nil
}

// buffers are lent to a session while it has a request open.
type buffers struct {
	out  []byte
	body []byte
	in   reader
	ans  answer
}

var lent = sync.Pool{New: func() any { return &buffers{in: reader{buf: make([]byte, smallBuf)}} }}

func borrow() *buffers { return lent.Get().(*buffers) }

// giveBack returns buffers that did not grow out of proportion.
func (b *buffers) giveBack() {
	if len(b.in.buf) > largeBuf || cap(b.out) > largeBuf || cap(b.ans.body) > largeBuf {
		return
	}
	b.in.src = nil
	lent.Put(b)
}

// write renders the request into b.out.
func (s *session) write(r *call, b *buffers) error {
	if r.whole != nil && len(s.jar) == 0 {
		b.out = append(b.out[:0], r.whole...)
		return nil
	}
	var err error
	if b.out, err = r.head.render(b.out[:0], s); err != nil {
		return err
	}
	if len(r.cookies) > 0 || len(s.jar) > 0 {
		if b.out, err = s.writeCookies(r, b.out); err != nil {
			return err
		}
	}
	if b.body, err = r.body.render(b.body[:0], s); err != nil {
		return err
	}
	b.out = appendTail(b.out, r.hasBody, b.body)
	return nil
}

// writeCookies sends the journey's own cookies and those that answers have set.
func (s *session) writeCookies(r *call, dst []byte) ([]byte, error) {
	mark := len(dst)
	dst = append(dst, "Cookie: "...)
	start := len(dst)
	dst, err := r.cookies.render(dst, s)
	if err != nil {
		return dst, err
	}
	for i := range s.jar {
		c := &s.jar[i]
		if !c.sentTo(r.req.Path) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, "; "...)
		}
		dst = append(dst, c.name...)
		dst = append(dst, '=')
		dst = append(dst, c.value...)
	}
	if len(dst) == start {
		return dst[:mark], nil
	}
	return append(dst, "\r\n"...), nil
}

// judge says what is wrong with an answer, "" when nothing is, and takes from it
// what the session needs later. cut says that the session cannot go on.
func (s *session) judge(r *call, a *answer) (kind string, cut bool) {
	for _, h := range a.headers {
		if h.name == "Set-Cookie" {
			s.jar = s.jar.set(h.value)
		}
	}
	switch {
	case r.expect != 0 && a.status != r.expect:
		return fmt.Sprintf("expect %d got %d", r.expect, a.status), len(r.keep) > 0
	case r.expect == 0 && a.status >= 400:
		return strconv.Itoa(a.status), len(r.keep) > 0
	}
	for i := range r.checks {
		if !r.checks[i].holds(a) {
			return r.checks[i].kind, len(r.keep) > 0
		}
	}
	for i := range r.keep {
		k := &r.keep[i]
		v, ok := a.value(k)
		if !ok {
			return "keep " + k.name + ": not in answer", true
		}
		if s.kept == nil {
			s.kept = make([]string, len(s.flow.kept))
		}
		s.kept[k.slot] = v
	}
	return "", false
}

// value takes one value out of the answer.
func (a *answer) value(k *keep) (string, bool) {
	switch {
	case k.header != "":
		return a.header(k.header)
	case k.cookie != "":
		for _, h := range a.headers {
			if c, ok := parseCookie(h.value); h.name == "Set-Cookie" && ok && c.name == k.cookie {
				return c.value, true
			}
		}
		return "", false
	}
	body, ok := a.plain()
	switch {
	case !ok:
		return "", false
	case k.pattern != nil:
		m := k.pattern.FindSubmatch(body)
		if m == nil {
			return "", false
		}
		return string(m[1]), true
	case k.tag != "":
		return attribute(body, k.tag, k.field)
	}
	return walk(body, k.path)
}

// plain is the body without its coding.
func (a *answer) plain() ([]byte, bool) {
	if coding, _ := a.header("Content-Encoding"); coding != "gzip" {
		return a.body, true
	}
	z, err := gzip.NewReader(bytes.NewReader(a.body))
	if err != nil {
		return nil, false
	}
	body, err := io.ReadAll(io.LimitReader(z, maxKept))
	return body, err == nil
}

func (a *answer) header(name string) (string, bool) {
	for _, h := range a.headers {
		if h.name == name {
			return h.value, true
		}
	}
	return "", false
}

// wants reports whether a keep or a check names the header.
func (r *call) wants(name []byte) bool {
	for i := range r.keep {
		if h := r.keep[i].header; h != "" && bytes.EqualFold(name, []byte(h)) {
			return true
		}
	}
	for i := range r.checks {
		if h := r.checks[i].at.header; h != "" && bytes.EqualFold(name, []byte(h)) {
			return true
		}
	}
	return false
}

// wantsBody reports whether a keep or a check looks into the body.
func (r *call) wantsBody() bool {
	for i := range r.keep {
		if r.keep[i].inBody() {
			return true
		}
	}
	for i := range r.checks {
		if r.checks[i].at.inBody() {
			return true
		}
	}
	return false
}
