package drive

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/premortem/premortem"
)

// exchange is one request of a recording and its answer, taken apart into leaves.
type exchange struct {
	pos    premortem.Pos
	at     time.Time
	took   time.Duration
	method string
	host   string
	route  string

	segments []*value // of the path
	query    []*value
	headers  []*value
	form     []*value
	json     *jsonNode
	raw      string
	content  string   // Content-Type of the body
	cookies  []*value // sent, as recorded
	lost     string   // why there is no body although there was one

	status int
	places []answerPlace
	sets   map[string]bool // cookies
	keep   []premortem.Keep
	marks  []string
}

// value is a leaf of a request: text that may differ from one recording to the next.
type value struct {
	where string // "path 2", "query page", "header X-Token", "form email", "json $.a.b"
	name  string
	text  string // decoded
	raw   string // as it stood
	as    string // what is written instead, with a reference; "" raw
	bare  bool   // a JSON number or literal
}

// answerPlace is a value in an answer and where a later request can keep it from.
type answerPlace struct {
	from string // "$.token", "header:X-Id", "cookie:sid"
	name string
	text string
}

// browserHeaders are what a browser adds by itself, or what belongs to one recording.
var browserHeaders = []string{"accept", "accept-encoding", "accept-language", "access-control-request-headers", "access-control-request-method", "cache-control", "connection",
	"content-length", "content-type", "cookie", "dnt", "host", "if-modified-since", "if-none-match", "if-match", "if-unmodified-since", "if-range", "keep-alive", "origin", "pragma", "priority", "range", "referer", "te",
	"transfer-encoding", "upgrade", "upgrade-insecure-requests", "user-agent", "via", "forwarded", "save-data", "expect", "trailer", "traceparent", "tracestate", "baggage", "sentry-trace",
	"x-request-id", "x-correlation-id", "x-trace-id", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "x-client-data", "x-datadog-trace-id", "x-datadog-parent-id", "newrelic", "b3"}

func newExchange(e *harEntry, u *url.URL) *exchange {
	x := &exchange{method: e.Request.Method, host: u.Hostname(), status: e.Response.Status, sets: map[string]bool{}}
	x.at, _ = time.Parse(time.RFC3339Nano, e.Started)
	if e.Time > 0 && e.Time < 3.6e6 {
		x.took = time.Duration(e.Time * float64(time.Millisecond))
	}
	for i, seg := range strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/") {
		text, err := url.PathUnescape(seg)
		if err != nil {
			text = seg
		}
		x.segments = append(x.segments, &value{where: "path " + plainNumber(float64(i+1)), name: "", text: text, raw: plainPath(seg)})
	}
	x.query = pairs(u.RawQuery, "query ")
	x.readHeaders(e)
	x.readBody(e)
	return x
}

// pairs reads name=value&name=value.
func pairs(raw, kind string) []*value {
	var out []*value
	seen := map[string]int{}
	for p := range strings.SplitSeq(raw, "&") {
		if p == "" {
			continue
		}
		name, v, _ := strings.Cut(p, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil {
			plain = name
		}
		text, err := url.QueryUnescape(v)
		if err != nil {
			text = v
		}
		where := kind + plain
		if seen[where]++; seen[where] > 1 {
			where += " " + plainNumber(float64(seen[where]))
		}
		out = append(out, &value{where: where, name: plain, text: text, raw: plainPath(p)})
	}
	return out
}

func (x *exchange) readHeaders(e *harEntry) {
	for _, h := range e.Request.Headers {
		low := strings.ToLower(h.Name)
		switch {
		case low == "cookie":
			for c := range strings.SplitSeq(h.Value, ";") {
				name, v, _ := strings.Cut(strings.TrimSpace(c), "=")
				x.cookies = append(x.cookies, &value{where: "cookie " + name, name: name, text: v})
			}
		case low == "content-type":
			x.content = h.Value
		case slices.Contains(browserHeaders, low), strings.HasPrefix(low, "sec-"), strings.HasPrefix(low, ":"), !token(h.Name), unfitHeader(h.Value):
		case slices.ContainsFunc(x.headers, func(v *value) bool { return strings.EqualFold(v.name, h.Name) }):
		default:
			v := &value{where: "header " + low, name: h.Name, text: h.Value, raw: h.Value}
			x.headers = append(x.headers, v)
		}
	}
	if len(x.cookies) == 0 {
		for _, c := range e.Request.Cookies {
			x.cookies = append(x.cookies, &value{where: "cookie " + c.Name, name: c.Name, text: c.Value})
		}
	}
}

// unfitHeader reports whether a header's value cannot be written into a journey.
func unfitHeader(v string) bool {
	return !utf8.ValidString(v) || strings.Contains(v, "${") || strings.IndexFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0
}

const maxBody = 256 << 10

// readBody takes the request's body apart.
func (x *exchange) readBody(e *harEntry) {
	p := e.Request.PostData
	if p == nil {
		return
	}
	if x.content == "" {
		x.content = p.MimeType
	}
	if unfitHeader(x.content) {
		x.content = ""
	}
	kind := strings.ToLower(x.content)
	switch {
	case len(p.Text) > maxBody:
		x.lost = "its body is larger than 256 KiB"
	case strings.Contains(kind, "multipart/"):
		x.lost = "its upload (multipart) is not copied"
	case strings.Contains(kind, "form-urlencoded"):
		x.form = pairs(p.Text, "form ")
		if p.Text == "" {
			for _, f := range p.Params {
				x.form = append(x.form, pairs(url.QueryEscape(f.Name)+"="+url.QueryEscape(f.Value), "form ")...)
			}
		}
	case p.Text == "":
	default:
		if n, ok := parseJSONTree(p.Text); ok {
			x.json = n
			if x.content == "" {
				x.content = "application/json"
			}
			return
		}
		x.readRaw(p.Text)
	}
	if x.lost != "" {
		x.content = ""
	}
}

// readRaw keeps a body that is neither JSON nor a form, if nothing in it looks like a
// secret: its parts have no names that would tell.
func (x *exchange) readRaw(text string) {
	switch {
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		x.lost = "its body is not text"
	case secretName(text) || slices.ContainsFunc(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"'<>&;,=", r) }),
		func(w string) bool { return secretValue(w) || personal(w) }):
		x.lost = "its body may hold a secret"
	case strings.Contains(text, "${"):
		x.lost = "its body holds ${, which begins a reference"
	default:
		x.raw = text
	}
}

// readAnswer collects the values of the answer.
func (x *exchange) readAnswer(e *harEntry) {
	for _, h := range e.Response.Headers {
		low := strings.ToLower(h.Name)
		switch {
		case low == "set-cookie":
			for line := range strings.SplitSeq(h.Value, "\n") { // Chrome joins several
				if c, ok := parseCookie(line); ok {
					x.sets[c.name] = true
					if token(c.name) {
						x.places = append(x.places, answerPlace{"cookie:" + c.name, c.name, c.value})
					}
				}
			}
		case token(h.Name) && len(h.Value) >= 4 && len(h.Value) <= 4096 && !slices.Contains(browserHeaders, low) && low != "date" && low != "server" && low != "vary":
			x.places = append(x.places, answerPlace{"header:" + h.Name, h.Name, h.Value})
		}
	}
	text := e.Response.Content.Text
	if e.Response.Content.Encoding == "base64" {
		plain, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return
		}
		text = string(plain)
	}
	if n, ok := parseJSONTree(text); ok {
		n.leaves("$", "", func(path, name string, l *jsonNode) {
			if t := l.plain(); t != "" && len(t) <= 8192 && len(x.places) < maxPlaces/20 {
				x.places = append(x.places, answerPlace{path, name, t})
			}
		})
		return
	}
	if strings.Contains(e.Response.Content.MimeType, "html") || strings.HasPrefix(strings.TrimSpace(text), "<") {
		x.places = append(x.places, htmlPlaces(text)...)
	}
}

// values are all leaves of the request.
func (x *exchange) values() []*value {
	out := slices.Concat(x.segments, x.query, x.headers, x.form)
	if x.json != nil {
		x.json.leaves("$", "", func(path, name string, l *jsonNode) {
			if l.leaf == nil {
				l.leaf = &value{where: "json " + path, name: name, text: l.plain(), bare: l.kind != 's'}
			}
			out = append(out, l.leaf)
		})
	}
	return out
}

// template is the path with :id for what names one thing.
func (x *exchange) template() string {
	var b strings.Builder
	for _, s := range x.segments {
		if namesOneThing(s.raw) {
			b.WriteString("/:id")
		} else {
			b.WriteString("/" + s.raw)
		}
	}
	return b.String()
}

// request writes the exchange as a step of a journey.
func (x *exchange) request(t *Traffic) *premortem.Request {
	r := &premortem.Request{Method: x.method, Keep: x.keep, Expect: x.status}
	if x.status == 304 || x.status == 206 || x.status < 200 || x.status > 599 {
		r.Expect = 0 // the answer to what a browser had kept
	}
	route := ""
	for _, s := range x.segments {
		if s.as != "" {
			r.Path += "/" + s.as
			route += "/:id"
		} else {
			r.Path += "/" + s.raw
			route += "/" + s.raw
		}
	}
	r.Route = x.method + " " + route
	for i, q := range x.query {
		r.Path += string("?&"[min(i, 1)]) + q.written()
	}
	for _, h := range x.headers {
		v := h.raw
		if h.as != "" {
			v = h.as
		}
		r.Headers = append(r.Headers, premortem.Header{Name: h.name, Value: v})
	}
	x.body(r)
	switch x.method {
	case "POST", "PUT", "PATCH", "DELETE":
		t.mark(r, "writes")
	}
	if x.lost != "" {
		t.mark(r, x.lost)
	}
	for _, m := range x.marks {
		t.mark(r, m)
	}
	return r
}

// written is name=value with what replaces the value.
func (v *value) written() string {
	if v.as == "" {
		return v.raw
	}
	name, _, _ := strings.Cut(v.raw, "=")
	return name + "=" + v.as
}

func (x *exchange) body(r *premortem.Request) {
	content := ""
	switch {
	case x.json != nil && !x.json.needsRaw():
		r.JSON, r.Body = true, x.json.text()
		if !strings.HasPrefix(strings.ToLower(x.content), "application/json") {
			content = x.content
		}
	case x.json != nil:
		r.Body = x.json.text()
		if content = x.content; !strings.Contains(strings.ToLower(content), "json") {
			content = "application/json"
		}
	case len(x.form) > 0:
		content = "application/x-www-form-urlencoded"
		var parts []string
		for _, f := range x.form {
			parts = append(parts, f.written())
		}
		r.Body = strings.Join(parts, "&")
	case x.raw != "":
		content, r.Body = x.content, x.raw
	}
	if content != "" {
		r.Headers = append(r.Headers, premortem.Header{Name: "Content-Type", Value: content})
	}
}
