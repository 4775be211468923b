package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/premortem/premortem"
	"github.com/premortem/premortem/drive"
)

// aim is one request that load makes.
type aim struct {
	method  string
	url     string
	headers []premortem.Header
	body    string
	pos     premortem.Pos
}

// targets makes the workload of a URL or of a file of targets.
func (p *program) targets(target string, o loadFlags) (drive.Workload, error) {
	w := drive.Workload{Seed: o.seed, URLs: map[premortem.Node]string{}, Beyond: o.owned, HTTP2: o.http2}
	if o.insecure {
		w.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	if !strings.Contains(target, "://") {
		if data, err := os.ReadFile(target); err == nil && !listsTargets(data) {
			return p.replay(target, o, w)
		}
	}
	aims, err := aimsOf(target, o)
	if err != nil {
		return w, err
	}
	for _, a := range aims {
		j, base, err := a.journey()
		if err == nil && !o.owned && !thisMachine(base) {
			return w, beyond(base, a.pos)
		}
		if err != nil {
			return w, &premortem.Error{Doing: fmt.Sprintf("aim at %q", shown(a.url)), Pos: a.pos, Err: err, Hint: "write http://127.0.0.1:3000/path, or the name of a file of targets"}
		}
		w.URLs[premortem.Node(base)] = base
		w.Journeys = append(w.Journeys, j)
	}
	return w, nil
}

// aimsOf reads the argument and the flags that belong to a request.
func aimsOf(target string, o loadFlags) ([]aim, error) {
	a := aim{method: o.method, url: target, body: o.body}
	for _, h := range o.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return nil, wrong("--header", `write "Name: value"`, "%q is not a header", h)
		}
		a.headers = append(a.headers, premortem.Header{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	}
	if name, ok := strings.CutPrefix(o.body, "@"); ok {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, &premortem.Error{Doing: "read --data", Err: err}
		}
		a.body = string(data)
	}
	if a.method == "" && a.body != "" {
		a.method = http.MethodPost
	}
	if strings.Contains(target, "://") {
		return []aim{a}, nil
	}
	data, err := os.ReadFile(target)
	if err != nil {
		return nil, &premortem.Error{Doing: fmt.Sprintf("aim at %q", target), Err: err, Hint: "give a URL with http:// or https://, or a file of targets"}
	}
	aims, err := parseAims(target, data, a)
	if err == nil && len(aims) == 0 {
		err = &premortem.Error{Doing: "read " + target, Err: errors.New("it names no target"), Hint: "write one per line: GET http://127.0.0.1:3000/path"}
	}
	return aims, err
}

// parseAims reads a file of targets. What the flags say is for every target that does
// not say otherwise.
func parseAims(name string, data []byte, flags aim) ([]aim, error) {
	var out []aim
	var now *aim
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		bad := func(hint, format string, args ...any) error {
			return &premortem.Error{Doing: "read " + name, Pos: premortem.Pos{File: name, Line: n}, Err: fmt.Errorf(format, args...), Hint: hint}
		}
		method, rest, two := strings.Cut(line, " ")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			if line == "" {
				now = nil
			}
		case strings.Contains(line, "://") && (!two || !strings.HasSuffix(method, ":")):
			a := flags
			a.pos, a.url = premortem.Pos{File: name, Line: n}, line
			if two {
				a.method, a.url = method, strings.TrimSpace(rest)
			}
			out = append(out, a)
			now = &out[len(out)-1]
		case now == nil:
			return nil, bad("write METHOD URL, and headers below it", "%q is not a target", line)
		case strings.HasPrefix(line, "@"):
			body, err := os.ReadFile(filepath.Join(filepath.Dir(name), line[1:]))
			if err != nil {
				return nil, bad("", "%v", err)
			}
			now.body = string(body)
		default:
			header, value, ok := strings.Cut(line, ":")
			if !ok {
				return nil, bad(`write "Name: value", or @FILE for a body`, "%q is not a header", line)
			}
			now.headers = append(now.headers[:len(now.headers):len(now.headers)], premortem.Header{Name: strings.TrimSpace(header), Value: strings.TrimSpace(value)})
		}
	}
	return out, lines.Err()
}

// journey is the request as a session of its own, and the base URL it goes to.
func (a aim) journey() (*premortem.Journey, string, error) {
	u, err := url.Parse(a.url)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL
		}
		return nil, "", err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, "", errors.New("it is not a URL with http or https and a host")
	}
	if u.User != nil {
		return nil, "", errors.New("a URL with a password would be shown in reports; send a header instead")
	}
	base := u.Scheme + "://" + u.Host
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	route := path
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	method := strings.ToUpper(a.method)
	if method == "" {
		method = http.MethodGet
	}
	req := &premortem.Request{Method: method, Path: path, Route: method + " " + route, Service: premortem.Node(base), Headers: a.headers, Body: a.body}
	return &premortem.Journey{Name: req.Route, Steps: []premortem.Step{{Request: req, Pos: a.pos}}, Pos: a.pos}, base, nil
}

// shown is a URL without its password, as it may be told.
func shown(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "a URL that cannot be read" // it may hold anything
	}
	return u.Redacted()
}

// thisMachine reports whether a base URL says that it is this machine. What localhost
// resolves to is looked at again when it is dialled.
func thisMachine(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}
