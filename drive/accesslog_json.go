package drive

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The names under which servers and frameworks write a request: Caddy, Traefik, nginx
// with escape=json, pino, Rails' and Go's loggers, Elastic's common schema.
var (
	jsonMethod = []string{"method", "request_method", "http_method", "verb", "request.method", "req.method", "http.request.method", "httpRequest.requestMethod", "RequestMethod"}
	jsonTarget = []string{"uri", "request_uri", "path", "url", "request.uri", "request.url", "request.path", "req.url", "url.path", "url.original", "http.url", "httpRequest.requestUrl", "RequestPath"}
	jsonStatus = []string{"status", "status_code", "statusCode", "response_status", "http.response.status_code", "response.status", "res.statusCode", "httpRequest.status", "DownstreamStatus", "code"}
	jsonTime   = []string{"time", "timestamp", "ts", "@timestamp", "time_iso8601", "StartUTC", "start_time", "time_local", "msec", "date", "datetime"}
	jsonUser   = []string{"user_id", "userId", "user.id", "remote_user", "user", "username", "request.remote_user", "ClientUsername"}
	jsonClient = []string{"remote_addr", "client_ip", "remote_ip", "ip", "request.client_ip", "request.remote_ip", "client.ip", "req.remoteAddress", "httpRequest.remoteIp", "ClientHost", "x_forwarded_for"}
	jsonAgent  = []string{"user_agent", "http_user_agent", "userAgent", "user_agent.original", "request.headers.User-Agent", "req.headers.user-agent", "httpRequest.userAgent", "request_User-Agent"}
)

// jsonTook are the names of durations, with the unit that a bare number has; 0 is to be
// found out.
var jsonTook = []struct {
	name string
	unit time.Duration
}{
	{"request_time", time.Second}, {"duration_ms", time.Millisecond}, {"latency_ms", time.Millisecond}, {"elapsed_ms", time.Millisecond},
	{"response_time_ms", time.Millisecond}, {"responseTime", time.Millisecond}, {"took_ms", time.Millisecond}, {"durationMs", time.Millisecond},
	{"duration_s", time.Second}, {"duration_seconds", time.Second}, {"duration_us", time.Microsecond}, {"duration_ns", time.Nanosecond}, {"event.duration", time.Nanosecond},
	{"Duration", time.Nanosecond}, {"duration", 0}, {"elapsed", 0}, {"latency", 0}, {"took", 0}, {"response_time", 0}, {"httpRequest.latency", time.Second},
}

// parseJSONLine reads one object that says a method, a path and a status in one of the
// usual words.
func parseJSONLine(line []byte, e *entry) error {
	if len(line) == 0 || line[0] != '{' {
		return &lineError{1, "an object"}
	}
	var all map[string]any
	if err := json.Unmarshal(line, &all); err != nil {
		column := 1
		if se, ok := err.(*json.SyntaxError); ok {
			column = int(se.Offset)
		}
		return &lineError{column, "JSON"}
	}
	flat := map[string]any{}
	flatten(flat, "", all, 0)
	method, target := textOf(flat, jsonMethod), textOf(flat, jsonTarget)
	status, ok := numberOf(flat, jsonStatus)
	switch {
	case method == "" && target == "":
		return &lineError{2, "a field " + jsonMethod[0] + " and a field " + jsonTarget[0]}
	case method == "":
		return &lineError{3, "a field " + jsonMethod[0]}
	case target == "":
		return &lineError{3, "a field " + jsonTarget[0]}
	case !ok || status < 0 || status > 999:
		return &lineError{4, "a field " + jsonStatus[0]}
	}
	e.status = int(status)
	e.request(strings.ToUpper(method) + " " + strings.ReplaceAll(target, " ", "%20"))
	e.user, e.client, e.agent = textOf(flat, jsonUser), textOf(flat, jsonClient), textOf(flat, jsonAgent)
	if e.user == "-" {
		e.user = ""
	}
	for _, name := range jsonTime {
		if v, ok := flat[name]; ok {
			if at, ok := timeOf(v); ok {
				e.at = at
				break
			}
		}
	}
	e.duration(flat)
	return nil
}

// flatten writes nested names with dots. Ecs and pino nest three deep.
func flatten(out map[string]any, prefix string, in map[string]any, depth int) {
	for k, v := range in {
		if m, ok := v.(map[string]any); ok && depth < 4 {
			flatten(out, prefix+k+".", m, depth+1)
			continue
		}
		if l, ok := v.([]any); ok && len(l) == 1 {
			v = l[0] // Caddy writes each header as a list
		}
		out[prefix+k] = v
	}
}

func textOf(flat map[string]any, names []string) string {
	for _, n := range names {
		switch v := flat[n].(type) {
		case string:
			if v != "" {
				return v
			}
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
	}
	return ""
}

func numberOf(flat map[string]any, names []string) (float64, bool) {
	for _, n := range names {
		switch v := flat[n].(type) {
		case float64:
			return v, true
		case string:
			if f, err := strconv.ParseFloat(v, 64); err == nil && !math.IsNaN(f) {
				return f, true
			}
		}
	}
	return 0, false
}

// timeOf reads a time as text, or as seconds, milliseconds, microseconds or nanoseconds
// since 1970, which their size tells apart.
func timeOf(v any) (time.Time, bool) {
	switch v := v.(type) {
	case string:
		for _, layout := range []string{time.RFC3339Nano, "02/Jan/2006:15:04:05 -0700", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006/01/02 15:04:05"} {
			if at, err := time.Parse(layout, v); err == nil {
				return at.UTC(), true
			}
		}
		if f, err := strconv.ParseFloat(v, 64); err == nil {
			return timeOf(f)
		}
	case float64:
		if math.IsNaN(v) || v < 1e8 || v > 1e19 {
			return time.Time{}, false
		}
		for v > 1e11 {
			v /= 1000
		}
		whole, part := math.Modf(v)
		return time.Unix(int64(whole), int64(part*1e9)).UTC(), true
	}
	return time.Time{}, false
}

// duration finds how long the request took.
func (e *entry) duration(flat map[string]any) {
	e.took = -1
	for _, d := range jsonTook {
		switch v := flat[d.name].(type) {
		case float64:
			e.span(v, d.unit)
			return
		case string:
			if span, err := time.ParseDuration(v); err == nil && span >= 0 {
				e.took = span
				return
			}
			if f, err := strconv.ParseFloat(v, 64); err == nil {
				e.span(f, d.unit)
				return
			}
		}
	}
}

func (e *entry) span(v float64, unit time.Duration) {
	if math.IsNaN(v) || v < 0 || v > 1e15 {
		return
	}
	if unit == 0 {
		e.bare = v
	} else if v*float64(unit) < float64(24*time.Hour) {
		e.took = time.Duration(v * float64(unit))
	}
}

// unitOf guesses the unit of bare durations by their median: nothing answers in a
// hundred thousand seconds, and nothing in a tenth of a millisecond's thousandth.
func unitOf(bare []float64) (time.Duration, string) {
	if len(bare) == 0 {
		return 0, ""
	}
	slices.Sort(bare)
	whole := true
	for _, v := range bare {
		whole = whole && v == math.Trunc(v)
	}
	switch median := bare[len(bare)/2]; {
	case median >= 100_000:
		return time.Nanosecond, "nanoseconds"
	case median >= 1 || whole:
		return time.Millisecond, "milliseconds"
	}
	return time.Second, "seconds"
}
