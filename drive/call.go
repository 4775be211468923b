package drive

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/premortem/premortem"
)

// call is a request made ready.
type call struct {
	pause  time.Duration // before it, as the journey says
	step   int           // in the journey, counted from 0
	req    *premortem.Request
	route  int
	target int

	head    template // request line and headers, without those below
	cookies template // the journey's own Cookie header
	body    template
	hasBody bool
	whole   []byte // head, length and body of a request without holes; nil otherwise

	expect int
	keep   []keep
	checks []check
	again  bool // may be repeated when the connection turned out to be closed (RFC 9110, section 9.2.2)
	noBody bool // its answer has no body (HEAD)
}

// call makes one request ready.
func (c *compiler) call(f *flow, j *premortem.Journey, step int) (*call, error) {
	q := j.Steps[step].Request
	r := &call{step: step, req: q, expect: q.Expect, noBody: q.Method == http.MethodHead}
	switch q.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		r.again = true
	}
	if err := plainRequest(q); err != nil {
		return nil, c.fault(j, step, err, "")
	}
	t, err := c.target(q.Service)
	if err != nil {
		return nil, c.fault(j, step, err, "load goes to a clone on this machine only: give http://127.0.0.1:PORT")
	}
	r.target = t
	find := func(ref string) (part, error) { return c.find(f, ref) }
	if err := c.render(r, q, find); err != nil {
		return nil, c.fault(j, step, err, hintOf(err))
	}
	for _, k := range q.Keep {
		one, err := parseKeep(k)
		if err != nil {
			return nil, c.fault(j, step, err, "write $.field, header:X-Name, cookie:name, form:name, meta:name or regex:before(value)after")
		}
		if one.slot = slices.Index(f.kept, k.Name); one.slot < 0 {
			one.slot = len(f.kept)
			f.kept = append(f.kept, k.Name)
		}
		r.keep = append(r.keep, one)
	}
	for _, k := range q.Checks {
		one, err := parseCheck(k)
		if err != nil {
			return nil, c.fault(j, step, err, "write a place as for keep, and what must be there")
		}
		r.checks = append(r.checks, one)
	}
	return r, nil
}

// plainRequest refuses what would not be HTTP.
func plainRequest(q *premortem.Request) error {
	if !token(q.Method) {
		return fmt.Errorf("%q is not an HTTP method", q.Method)
	}
	if !strings.HasPrefix(q.Path, "/") {
		return fmt.Errorf("path %q does not start with /", q.Path)
	}
	if strings.Contains(q.Path, "#") {
		return fmt.Errorf("path %q has a fragment, which is never sent", q.Path)
	}
	if q.Expect != 0 && (q.Expect < 200 || q.Expect > 599) {
		return fmt.Errorf("expect %d is not a final HTTP status", q.Expect)
	}
	for _, h := range q.Headers {
		if !token(h.Name) {
			return fmt.Errorf("%q is not a header name", h.Name)
		}
		if strings.ContainsAny(h.Value, "\r\n\x00") {
			return fmt.Errorf("header %s has a line break in its value", h.Name)
		}
	}
	return nil
}

// token reports whether s is a token of RFC 9110, section 5.6.2.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// hashOf gives a name the same number in every run.
func hashOf(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

// render fills in the request's templates. Length and connection headers of the
// journey are left out: they are this package's to write.
func (c *compiler) render(r *call, q *premortem.Request, find lookup) error {
	t := &c.p.targets[r.target]
	path, err := parse(q.Path, inPath, find)
	if err != nil {
		return err
	}
	host, content := t.host, ""
	var rest template
	for _, h := range q.Headers {
		v, err := parse(h.Value, inHeader, find)
		if err != nil {
			return fmt.Errorf("header %s: %w", h.Name, err)
		}
		switch strings.ToLower(h.Name) {
		case "content-length", "transfer-encoding", "connection", "keep-alive":
			continue
		case "cookie":
			r.cookies = v
			continue
		case "host":
			host = h.Value
			continue
		case "content-type":
			content = strings.ToLower(h.Value)
		}
		rest = rest.add(h.Name + ": ")
		for _, p := range v {
			rest = rest.join(p)
		}
		rest = rest.add("\r\n")
	}
	where := inRaw
	switch {
	case q.JSON, strings.Contains(content, "json"):
		where = inJSON
	case strings.Contains(content, "form-urlencoded"):
		where = inForm
	}
	if r.body, err = parse(q.Body, where, find); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	r.hasBody = q.Body != "" || q.Method == http.MethodPost || q.Method == http.MethodPut || q.Method == http.MethodPatch
	hostPart, err := parse(host, inHeader, find)
	if err != nil {
		return fmt.Errorf("header Host: %w", err)
	}
	r.assemble(t.prefix, path, hostPart, rest, q, content)
	return nil
}

// assemble joins the pieces, and renders them once and for all when there is no hole.
func (r *call) assemble(prefix string, path, host, rest template, q *premortem.Request, content string) {
	h := template(nil).add(q.Method + " " + prefix)
	for _, p := range path {
		h = h.join(p)
	}
	h = h.add(" HTTP/1.1\r\nHost: ")
	for _, p := range host {
		h = h.join(p)
	}
	h = h.add("\r\n")
	for _, own := range []premortem.Header{{Name: "User-Agent", Value: "premortem/" + premortem.Version}, {Name: "Accept", Value: "*/*"}} {
		if !hasHeader(q, own.Name) {
			h = h.add(own.Name + ": " + own.Value + "\r\n")
		}
	}
	if q.JSON && content == "" {
		h = h.add("Content-Type: application/json\r\n")
	}
	for _, p := range rest {
		h = h.join(p)
	}
	r.head = h
	if !r.head.fixed() || !r.body.fixed() || len(r.cookies) > 0 {
		return
	}
	r.whole = appendTail([]byte(h[0].lit), r.hasBody, []byte(q.Body))
}

// appendTail ends the head and appends the body.
func appendTail(dst []byte, hasBody bool, body []byte) []byte {
	if hasBody {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(body)), 10)
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	return append(dst, body...)
}

func hasHeader(q *premortem.Request, name string) bool {
	return slices.ContainsFunc(q.Headers, func(h premortem.Header) bool { return strings.EqualFold(h.Name, name) })
}
