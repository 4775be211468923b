package drive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/premortem/premortem"
)

// AccessLog reads what a server or a load balancer wrote about each request.
var AccessLog = addImporter(Importer{
	Name: "access-log",
	Doc: premortem.Doc{
		Title:  "Access logs",
		Why:    "They hold the true mix of requests, their rate with its bursts, and how long each took.",
		When:   "Apache's and nginx's common and combined formats (also with $request_time), AWS load balancers, Envoy and Istio, and JSON lines; plain or gzip.",
		Silent: "Bodies, cookies and answers are not in a log: a write becomes a comment that waits for its body. Bots, health checks, static files and unknown paths are left out and counted.",
		Fix:    "premortem init --from access.log; add $request_time to nginx's log_format to have objectives guessed.",
	},
	Wants: func(_ string, head []byte) bool { return detectShape(head) != nil },
	Read:  readAccessLogs,
})

const (
	detectLines = 200
	maxLine     = 1 << 20
)

// linesOf are the whole lines of a file's head that say something, with their numbers.
func linesOf(head []byte, each func(n int, line []byte) bool) {
	n := 0
	for len(head) > 0 && n < detectLines {
		n++
		line, rest, whole := bytes.Cut(head, []byte("\n"))
		if !whole && n > 1 && len(head) > headSize/2 {
			return // cut off by the end of the head
		}
		head = rest
		if line = bytes.TrimSpace(line); len(line) > 0 && !each(n, line) {
			return
		}
	}
}

// detectShape returns the shape that at least 95 % of the first lines have, nil if none.
func detectShape(head []byte) *shape {
	for i := range shapes {
		good, bad := 0, 0
		linesOf(head, func(_ int, line []byte) bool {
			var e entry
			if shapes[i].parse(line, &e) == nil {
				good++
			} else {
				bad++
			}
			return bad < detectLines/20+1 || good > 0
		})
		if good > 0 && good*100 >= (good+bad)*95 {
			return &shapes[i]
		}
	}
	return nil
}

// nearestShape says which shape gets furthest in a head that has none, in which line it
// fails first, and why. "" when the head is no text.
func nearestShape(head []byte) (name string, line int, why string) {
	if bytes.IndexByte(head, 0) >= 0 {
		return "", 0, ""
	}
	best := -1
	for i := range shapes {
		good, column, at, says := 0, 0, 0, ""
		linesOf(head, func(n int, l []byte) bool {
			var e entry
			err := shapes[i].parse(l, &e)
			if err == nil {
				good++
				return true
			}
			if says == "" {
				at, says = n, err.Error()
				if le, ok := errors.AsType[*lineError](err); ok {
					column = le.column
				}
			}
			return true
		})
		if score := good*maxLine + column; says != "" && score > best && (good > 0 || column > 1) {
			best, name, line, why = score, shapes[i].name, at, says
		}
	}
	return name, line, why
}

// logReader adds up one or several logs.
type logReader struct {
	shape    *shape
	unit     time.Duration
	tree     routeTree
	visits   *visits
	arrivals arrivalCount
	dropped  map[string]uint64
	kept     uint64
	bad      uint64
	firstBad premortem.Pos
	badWhy   string
	weak     bool // sessions were told apart by address and browser
}

func readAccessLogs(ctx context.Context, in []Source) (Traffic, error) {
	l := &logReader{visits: newVisits(), dropped: map[string]uint64{}}
	var t Traffic
	for _, s := range in {
		if err := l.read(ctx, s, &t); err != nil {
			return Traffic{}, err
		}
	}
	l.finish(&t, in[0].Path)
	return t, nil
}

// read takes one log line by line.
func (l *logReader) read(ctx context.Context, s Source, t *Traffic) error {
	r := bufio.NewReaderSize(s.Reader, headSize)
	head, err := r.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return &premortem.Error{Doing: "read access log", Pos: premortem.Pos{File: s.Path}, Err: err}
	}
	if l.shape = detectShape(head); l.shape == nil {
		name, line, why := nearestShape(head)
		return &premortem.Error{Doing: "read access log", Pos: premortem.Pos{File: s.Path, Line: line},
			Err: fmt.Errorf("no known format; the nearest is %s: %s", name, why)}
	}
	l.findUnit(head, s.Path, t)
	lines := lineReader{r: r}
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		pos := premortem.Pos{File: s.Path, Line: lines.n}
		if err != nil {
			return &premortem.Error{Doing: "read access log", Pos: pos, Err: err, Hint: "is the file complete?"}
		}
		if lines.n%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		l.line(line, pos)
	}
	if l.bad > 20 && l.bad*5 > l.kept+l.bad {
		return &premortem.Error{Doing: "read access log", Pos: l.firstBad,
			Err:  fmt.Errorf("%d of %d lines are not %s; here first: %s", l.bad, l.kept+l.bad, l.shape.name, l.badWhy),
			Hint: "split a file of several formats, and import its parts"}
	}
	return nil
}

// findUnit looks at the first durations that come without a unit.
func (l *logReader) findUnit(head []byte, file string, t *Traffic) {
	var bare []float64
	linesOf(head, func(_ int, line []byte) bool {
		var e entry
		if l.shape.parse(line, &e) == nil && e.took < 0 && e.bare > 0 {
			bare = append(bare, e.bare)
		}
		return true
	})
	var name string
	if l.unit, name = unitOf(bare); name != "" {
		t.note(premortem.Pos{File: file}, "durations have no unit; their median %g says %s", bare[len(bare)/2], name)
	}
}

// lineReader gives a line at a time; of one longer than 1 MiB it gives the beginning.
type lineReader struct {
	r   *bufio.Reader
	n   int
	buf []byte
}

func (l *lineReader) next() ([]byte, error) {
	l.n++
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.buf) == 0 && err == nil {
			return bytes.TrimSpace(part), nil
		}
		if len(l.buf) < maxLine {
			l.buf = append(l.buf, part...)
		}
		switch {
		case err == nil, errors.Is(err, io.EOF) && len(l.buf) > 0:
			return bytes.TrimSpace(l.buf), nil
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		}
		return nil, err
	}
}

// line counts one request.
func (l *logReader) line(line []byte, pos premortem.Pos) {
	if len(line) == 0 {
		return
	}
	var e entry
	if err := l.shape.parse(line, &e); err != nil {
		if l.bad++; l.bad == 1 {
			l.firstBad, l.badWhy = pos, err.Error()
		}
		return
	}
	l.kept++
	if e.bare > 0 && l.unit > 0 {
		e.took = time.Duration(min(e.bare*float64(l.unit), float64(24*time.Hour)))
	}
	path, query, _ := strings.Cut(e.target, "?")
	if why := leftOut(&e, path); why != "" {
		l.dropped[why]++
		return
	}
	r := l.tree.place(e.method, path)
	if r == nil {
		l.dropped["more different paths than routes can be told from"]++
		return
	}
	r.count++
	r.statuses[e.status]++
	if e.status >= 500 {
		r.errors++
	}
	if e.took >= 0 {
		r.times.Record(e.took)
	}
	if r.query == "" && query != "" {
		r.query = plainQuery(query)
	}
	if e.at.IsZero() {
		return
	}
	l.arrivals.add(e.at)
	l.visits.add(l.whoIs(&e), e.at, max(e.took, 0), r)
}

// whoIs tells people apart: by name, else by address and browser, which is weak where
// many share an address.
func (l *logReader) whoIs(e *entry) uint64 {
	if e.user != "" {
		return hashOf("user " + e.user)
	}
	l.weak = true
	return hashOf(e.client + " " + e.agent)
}

// staticEndings are of files that a server hands out as they are.
var staticEndings = []string{".js", ".mjs", ".css", ".map", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".webp", ".avif", ".woff", ".woff2", ".ttf", ".eot", ".otf", ".mp4", ".webm", ".mp3", ".txt", ".wasm", ".webmanifest"}

func staticPath(path string) bool {
	i := strings.LastIndexByte(path, '.')
	return i >= 0 && !strings.Contains(path[i:], "/") && slices.Contains(staticEndings, strings.ToLower(path[i:]))
}

var robots = []string{"bot", "crawl", "spider", "slurp", "preview", "scrap", "headless"}
var checkers = []string{"kube-probe", "healthchecker", "googlehc", "uptime", "pingdom", "statuscake", "prometheus", "blackbox"}

// leftOut says why a request is no user's, "" when it is one.
func leftOut(e *entry, path string) string {
	agent := strings.ToLower(e.agent)
	low := strings.ToLower(path)
	switch {
	case e.method == "":
		return "no HTTP request"
	case !importable(e.method):
		return "the method " + e.method
	case slices.ContainsFunc(checkers, func(c string) bool { return strings.Contains(agent, c) }),
		strings.HasSuffix(low, "/healthz"), strings.HasSuffix(low, "/health"), strings.HasSuffix(low, "/readyz"), strings.HasSuffix(low, "/livez"), strings.HasSuffix(low, "/ping"):
		return "health checks"
	case slices.ContainsFunc(robots, func(r string) bool { return strings.Contains(agent, r) }), low == "/robots.txt":
		return "bots"
	case staticPath(low):
		return "static files"
	case e.method == "OPTIONS":
		return "preflights"
	case e.status == 404 || e.status == 400 || e.status == 405:
		return "paths that do not exist (400, 404, 405)"
	case e.status == 499 || e.status == 0:
		return "requests that the client gave up"
	}
	return ""
}

// importable are the methods that premortem.yaml knows.
func importable(method string) bool {
	return slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, method)
}

// plainParams are the names of query parameters whose short plain values are copied;
// any other may be somebody's.
var plainParams = []string{"page", "limit", "per_page", "perpage", "page_size", "pagesize", "size", "offset", "sort", "order", "dir", "direction", "order_by", "sort_by", "lang", "locale", "view", "tab", "format"}

// plainQuery keeps what cannot be a secret, with its question mark.
func plainQuery(query string) string {
	var out []string
	for p := range strings.SplitSeq(query, "&") {
		name, v, _ := strings.Cut(p, "=")
		if !slices.Contains(plainParams, strings.ToLower(name)) || len(v) > 16 || v == "" {
			continue
		}
		if strings.IndexFunc(v, func(r rune) bool {
			return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) < 0 {
			out = append(out, name+"="+v)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "?" + strings.Join(out, "&")
}

// finish writes down what was added up.
func (l *logReader) finish(t *Traffic, file string) {
	seqs := l.visits.close()
	var routes []*seenRoute
	for _, r := range l.tree.routes {
		if r.into == nil && r.count > 0 {
			routes = append(routes, r)
		}
	}
	t.compose(routes, seqs, l.visits.ended)
	slices.SortFunc(routes, func(a, b *seenRoute) int { return strings.Compare(a.name(), b.name()) })
	t.guessObjectives(routes, file)
	l.arrivals.report(t, file, l.visits)
	pos := premortem.Pos{File: file}
	for _, why := range sortedNames(l.dropped) {
		t.note(pos, "%s of %s requests left out: %s", grouped(l.dropped[why]), grouped(l.kept), why)
	}
	if l.bad > 0 {
		t.note(l.firstBad, "%s lines were not understood, here first: %s", grouped(l.bad), l.badWhy)
	}
	if l.weak && l.visits.ended > 0 {
		t.note(pos, "visits were told apart by address and browser, which is weak where many share an address")
	}
	if len(t.Unfinished) > 0 {
		t.note(pos, "a log holds no bodies: %d routes that write are comments until their json: is added; a HAR or an OpenAPI file has bodies", len(t.Unfinished))
	}
}

func sortedNames(m map[string]uint64) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
