package drive

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/premortem/premortem"
)

// missing is a reference to something that is not there, with what may be meant.
type missing struct {
	says string
	hint string
}

func (m *missing) Error() string { return m.says }

func hintOf(err error) string {
	if m, ok := errors.AsType[*missing](err); ok {
		return m.hint
	}
	return ""
}

// find resolves "rows.TABLE.COLUMN" or the name of a kept value.
func (c *compiler) find(f *flow, ref string) (part, error) {
	rest, ok := strings.CutPrefix(ref, "rows.")
	if !ok {
		if i := slices.Index(f.kept, ref); i >= 0 {
			return part{kept: i}, nil
		}
		return part{}, &missing{
			says: fmt.Sprintf("nothing before this step keeps ${%s}", ref),
			hint: hintFor(ref, f.kept),
		}
	}
	i := strings.LastIndexByte(rest, '.') // a table may be named with its schema
	if i <= 0 || i == len(rest)-1 {
		return part{}, &missing{says: fmt.Sprintf("${%s} names no column", ref), hint: "write ${rows.TABLE.COLUMN}"}
	}
	t, err := c.table(rest[:i], rest[i+1:])
	if err != nil {
		return part{}, err
	}
	return part{table: t, col: rest[i+1:]}, nil
}

// table looks at the first and the last row, so that a column that does not exist
// is found before the load and not by it.
func (c *compiler) table(name, column string) (*table, error) {
	if c.w.Rows == nil || c.w.RowCount == nil {
		return nil, &missing{says: fmt.Sprintf("${rows.%s.%s} needs rows, and there are none", name, column),
			hint: "rehearse fills the tables first; for load alone, write the values into the journey"}
	}
	t := c.tables[name]
	if t == nil {
		t = &table{name: name, hash: hashOf(name), count: c.w.RowCount(name)}
		c.tables[name] = t
	}
	if t.count <= 0 {
		return nil, &missing{says: fmt.Sprintf("${rows.%s.%s}: table %s has no rows", name, column, name),
			hint: fmt.Sprintf("set `database.rows.%s` in premortem.yaml", name)}
	}
	for _, row := range []int64{1, t.count} {
		if _, ok := c.w.Rows(name, column, row); !ok {
			return nil, &missing{says: fmt.Sprintf("${rows.%s.%s}: row %d of %d has no such value", name, column, row, t.count),
				hint: "check the names of table and column against the migrations"}
		}
	}
	return t, nil
}

// hintFor names the nearest known word, or says how a value comes to be known.
func hintFor(word string, known []string) string {
	best, near := "", 3
	for _, k := range known {
		if d := distance(word, k); d < near {
			best, near = k, d
		}
	}
	if best != "" {
		return "did you mean ${" + best + "}?"
	}
	return fmt.Sprintf("add `keep: {%s: $.field}` to an earlier step, or write ${rows.TABLE.COLUMN}", word)
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// target is one address that requests go to.
type target struct {
	addr   string // "127.0.0.1:4001"
	host   string // Host header
	prefix string // path of the base URL, "" or "/base"
	name   string // for the certificate, "" plain HTTP
}

// target returns the index of the service's target.
func (c *compiler) target(service premortem.Node) (int, error) {
	base, ok := c.w.URLs[service]
	if !ok {
		base, ok = c.w.URLs[""]
	}
	if !ok {
		return 0, fmt.Errorf("no URL for service %q", service)
	}
	t, err := parseTarget(base, c.w.Beyond)
	if err != nil {
		return 0, err
	}
	if i := slices.Index(c.p.targets, t); i >= 0 {
		return i, nil
	}
	c.p.targets = append(c.p.targets, t)
	return len(c.p.targets) - 1, nil
}

// parseTarget refuses whatever is not HTTP, and any other machine than this one unless
// the load may go beyond it.
func parseTarget(base string, beyond bool) (target, error) {
	u, err := url.Parse(base)
	if err != nil {
		return target{}, fmt.Errorf("target %q is not a URL", base)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return target{}, fmt.Errorf("target %q is neither http nor https", u.Redacted())
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return target{}, fmt.Errorf("target %q holds more than an address and a path", u.Redacted())
	case u.Hostname() == "":
		return target{}, fmt.Errorf("target %q names no host", base)
	case !beyond && !loopback(u.Hostname()):
		return target{}, fmt.Errorf("target %q is not on this machine", base)
	}
	port, name := u.Port(), ""
	if port == "" {
		port = "80"
	}
	if u.Scheme == "https" {
		name = u.Hostname()
		if u.Port() == "" {
			port = "443"
		}
	}
	return target{
		addr:   net.JoinHostPort(u.Hostname(), port),
		host:   u.Host,
		prefix: strings.TrimSuffix(u.EscapedPath(), "/"),
		name:   name,
	}, nil
}

// loopback reports whether a host is this machine by its name alone. What
// "localhost" resolves to is checked again when it is dialled.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
