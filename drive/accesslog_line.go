package drive

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// entry is one request of an access log.
type entry struct {
	at     time.Time // of the start where it is known, else of the end
	method string
	target string // path and query
	status int
	took   time.Duration // -1 unknown
	user   string        // "" unknown
	client string
	agent  string
	host   string
	bare   float64 // a duration whose unit is still to be found, 0 none
}

// shape is one way in which servers write a line for each request.
type shape struct {
	name  string
	parse func(line []byte, e *entry) error
}

// shapes are tried in this order; a line that several accept belongs to the first.
var shapes = []shape{
	{"AWS load balancer", parseALB},
	{"Envoy", parseEnvoy},
	{"combined (Apache, nginx)", parseCombined},
	{"JSON lines", parseJSONLine},
}

// lineError says in which column a line stops being of a shape; the shape that gets
// furthest is the nearest.
type lineError struct {
	column int
	want   string
}

func (e *lineError) Error() string { return fmt.Sprintf("column %d: %s expected", e.column, e.want) }

// scanner takes a line apart from the left. Its first error stays.
type scanner struct {
	line []byte
	at   int
	err  error
}

func (s *scanner) fail(want string) {
	if s.err == nil {
		s.err = &lineError{s.at + 1, want}
	}
}

func (s *scanner) done() bool { return s.at >= len(s.line) }

// word takes up to the next blank, which it skips.
func (s *scanner) word(want string) string {
	if s.err != nil {
		return ""
	}
	rest := s.line[s.at:]
	n := bytes.IndexByte(rest, ' ')
	if n < 0 {
		n = len(rest)
	}
	if n == 0 {
		s.fail(want)
		return ""
	}
	s.at = min(s.at+n+1, len(s.line))
	return string(rest[:n])
}

// between takes what stands between open and close, and a blank after it. A quote
// inside quotes is written \" or \x22.
func (s *scanner) between(open, closing byte, want string) string {
	if s.err != nil {
		return ""
	}
	if s.done() || s.line[s.at] != open {
		s.fail(want)
		return ""
	}
	for i := s.at + 1; i < len(s.line); i++ {
		if s.line[i] == '\\' && closing == '"' {
			i++
			continue
		}
		if s.line[i] == closing {
			v := string(s.line[s.at+1 : i])
			s.at = i + 1
			if !s.done() && s.line[s.at] == ' ' {
				s.at++
			}
			return v
		}
	}
	s.fail(want + " with its end")
	return ""
}

func (s *scanner) quoted(want string) string { return s.between('"', '"', want) }

func (s *scanner) status() int {
	at := s.at
	w := s.word("a status")
	n, err := strconv.Atoi(w)
	if s.err == nil && (err != nil || n < 0 || n > 999) {
		s.at = at
		s.fail("a status")
	}
	return n
}

// request takes "GET /path HTTP/1.1". Something that is no request, as scanners send it,
// leaves the method empty.
func (e *entry) request(r string) {
	method, rest, _ := strings.Cut(r, " ")
	target, _, _ := strings.Cut(rest, " ")
	if i := strings.Index(target, "://"); i > 0 && i < 8 {
		target = target[i+3:]
		if n := strings.IndexByte(target, '/'); n >= 0 {
			target = target[n:]
		} else {
			target = "/"
		}
	}
	if !strings.HasPrefix(target, "/") || !token(method) {
		return
	}
	e.method, e.target = method, target
}

// parseCombined reads Apache's common and combined formats, and nginx's with times
// behind them, bare or as rt=0.123. See
// https://httpd.apache.org/docs/current/mod/mod_log_config.html#formats.
func parseCombined(line []byte, e *entry) error {
	s := &scanner{line: line}
	e.took = -1
	e.client = s.word("the client's address")
	s.word("an identity or -")
	if e.user = s.word("a user or -"); e.user == "-" {
		e.user = ""
	}
	for s.err == nil && !s.done() && s.line[s.at] != '[' && s.at < 512 {
		s.word("the time in brackets") // a user's name with blanks
	}
	at := s.at
	when := s.between('[', ']', "the time in brackets")
	if s.err != nil {
		return s.err
	}
	var err error
	if e.at, err = apacheTime(when); err != nil {
		s.at = at
		s.fail("a time like 10/Oct/2000:13:55:36 -0700")
		return s.err
	}
	e.request(s.quoted("the request in quotes"))
	e.status = s.status()
	s.word("a number of bytes or -")
	if s.err != nil || s.done() {
		return s.err
	}
	if s.line[s.at] == '"' {
		s.quoted("the referer in quotes")
		e.agent = s.quoted("the user agent in quotes")
	}
	if s.err != nil {
		return s.err
	}
	e.trailing(s)
	if e.took > 0 {
		e.at = e.at.Add(-e.took) // nginx writes when the answer ended
	}
	return nil
}

// trailing looks for the time of the request among the fields a server adds.
func (e *entry) trailing(s *scanner) {
	for s.err == nil && !s.done() {
		if s.line[s.at] == '"' {
			s.quoted("a field")
			continue
		}
		w := s.word("a field")
		name, v, named := strings.Cut(w, "=")
		if !named {
			name, v = "", w
		}
		v = strings.Trim(v, `"`)
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || f < 0 || f > 86400 {
			continue
		}
		switch {
		case name == "rt" || name == "request_time":
			e.took = time.Duration(f * 1e9)
			return
		case name == "" && e.took < 0 && strings.Contains(v, "."):
			e.took = time.Duration(f * 1e9)
		}
	}
	s.err = nil // what a server adds is its own affair
}

var months = map[string]time.Month{"Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6, "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10, "Nov": 11, "Dec": 12}

// apacheTime reads 10/Oct/2000:13:55:36 -0700.
func apacheTime(s string) (time.Time, error) {
	if len(s) != 26 || s[2] != '/' || s[6] != '/' || s[11] != ':' || s[14] != ':' || s[17] != ':' || s[20] != ' ' {
		return time.Time{}, errors.New("not a time")
	}
	num := func(from, to int) int {
		n := 0
		for _, c := range []byte(s[from:to]) {
			if c < '0' || c > '9' {
				return -1
			}
			n = n*10 + int(c-'0')
		}
		return n
	}
	day, year, hour, minute, second, zh, zm := num(0, 2), num(7, 11), num(12, 14), num(15, 17), num(18, 20), num(22, 24), num(24, 26)
	month := months[s[3:6]]
	if min(day, year, hour, minute, second, zh, zm) < 0 || month == 0 || day > 31 || hour > 23 || minute > 59 || second > 60 || zh > 14 {
		return time.Time{}, errors.New("not a time")
	}
	off := (zh*60 + zm) * 60
	if s[21] == '-' {
		off = -off
	} else if s[21] != '+' {
		return time.Time{}, errors.New("not a time")
	}
	return time.Unix(time.Date(year, month, day, hour, minute, second, 0, time.UTC).Unix()-int64(off), 0).UTC(), nil
}

// parseALB reads access logs of AWS application load balancers. See
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html.
func parseALB(line []byte, e *entry) error {
	s := &scanner{line: line}
	switch s.word("a type: http, https, h2, grpcs, ws, wss") {
	case "http", "https", "h2", "grpcs", "ws", "wss":
	default:
		s.at = 0
		s.fail("a type: http, https, h2, grpcs, ws, wss")
		return s.err
	}
	at := s.at
	ended, err := time.Parse(time.RFC3339Nano, s.word("a time"))
	if err != nil {
		s.at = at
		s.fail("a time like 2026-01-31T10:00:00.123456Z")
		return s.err
	}
	s.word("the load balancer")
	e.client = s.word("client:port")
	if i := strings.LastIndexByte(e.client, ':'); i > 0 {
		e.client = e.client[:i]
	}
	s.word("target:port")
	e.took = 0
	for _, want := range []string{"the request's seconds", "the target's seconds", "the answer's seconds"} {
		at = s.at
		f, err := strconv.ParseFloat(s.word(want), 64)
		if err != nil && s.err == nil {
			s.at = at
			s.fail(want)
		}
		if f < 0 {
			e.took = -1 // it never reached a target
		} else if e.took >= 0 {
			e.took += time.Duration(f * 1e9)
		}
	}
	e.status = s.status()
	s.word("the target's status")
	s.word("bytes received")
	s.word("bytes sent")
	e.request(s.quoted("the request in quotes"))
	e.agent = s.quoted("the user agent in quotes")
	e.at = ended
	if e.took > 0 {
		e.at = ended.Add(-e.took)
	}
	return s.err
}

// parseEnvoy reads Envoy's default format and Istio's, which has four more fields
// before the bytes. See
// https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage.
func parseEnvoy(line []byte, e *entry) error {
	s := &scanner{line: line}
	at := s.at
	when, err := time.Parse(time.RFC3339Nano, s.between('[', ']', "a time in brackets"))
	if s.err == nil && err != nil {
		s.at = at
		s.fail("a time like [2026-01-31T10:00:00.123Z]")
	}
	e.at = when // Envoy's START_TIME
	e.request(s.quoted("the request in quotes"))
	e.status = s.status()
	s.word("response flags or -")
	if s.err == nil && !s.done() && (s.line[s.at] < '0' || s.line[s.at] > '9') {
		s.word("response details")
		s.word("termination details")
		s.quoted("the transport's failure in quotes")
	}
	s.word("bytes received")
	s.word("bytes sent")
	at = s.at
	ms, err := strconv.ParseFloat(s.word("the duration in milliseconds"), 64)
	if s.err == nil && (err != nil || ms < 0 || ms > 1e9) {
		s.at = at
		s.fail("the duration in milliseconds")
	}
	e.took = time.Duration(ms * float64(time.Millisecond))
	s.word("the upstream's milliseconds or -")
	e.client, _, _ = strings.Cut(s.quoted("x-forwarded-for in quotes"), ",")
	e.agent = s.quoted("the user agent in quotes")
	if s.err == nil && !s.done() {
		s.quoted("the request id")
		e.host = s.quoted("the authority")
	}
	return s.err
}
