package clone

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A plain setting may be an address without a scheme: smtp.sendgrid.net, db:5432,
// k1:9092,k2:9092. What is one decides what a unit can reach, so the name of the
// variable and the form of the value must both allow it.

// addressNames are the last words of variables that hold addresses.
var addressNames = []string{
	"HOST", "HOSTS", "HOSTNAME", "ADDR", "ADDRS", "ADDRESS", "ADDRESSES", "ENDPOINT", "ENDPOINTS", "BROKER", "BROKERS",
	"SERVER", "SERVERS", "URL", "URLS", "URI", "NODES",
}

// ownNames begin variables that say where the unit itself listens or whom it lets in.
var ownNames = []string{"LISTEN", "BIND", "ALLOWED", "TRUSTED", "TRUST", "VIRTUAL", "NO"}

// namesAddress says whether a variable of that name holds an address.
func namesAddress(name string) bool {
	_, last, ok := cutLast(strings.ToUpper(name), "_")
	return ok && slices.Contains(addressNames, last)
}

func namesOwn(name string) bool {
	first, _, _ := strings.Cut(strings.ToUpper(name), "_")
	return slices.Contains(ownNames, first) || strings.Contains(strings.ToUpper(name), "VERSION")
}

var (
	hostLabel  = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_\-]*[A-Za-z0-9_])?$`)
	topLabel   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9\-]*$`)
	switchWord = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|none|null|nil|auto|default|enabled?|disabled?|localhost|production|development|staging|test)$`)
)

// hostPort takes host, host:port or [v6]:port apart. ok is false for what cannot be
// one, such as an e-mail address, a path or a version.
func hostPort(s string) (host, port string, ok bool) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.String(), "", true
	}
	host = s
	if h, p, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 || n > 65535 || h == "" {
			return "", "", false
		}
		host, port = h, p
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return host, port, true
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, l := range labels {
		if !hostLabel.MatchString(l) {
			return "", "", false
		}
	}
	return host, port, topLabel.MatchString(labels[len(labels)-1]) && !switchWord.MatchString(host)
}

// ownAddress says whether a host means the unit's own machine, or every interface.
func ownAddress(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// outside says whether one plain value is an address that leads away from the unit.
func outside(name, value string) (host, port string, ok bool) {
	host, port, ok = hostPort(value)
	if !ok || namesOwn(name) || ownAddress(host) {
		return "", "", false
	}
	if namesAddress(name) {
		return host, port, true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return host, port, true
	}
	// A name that says nothing: with a port it is an address, but node:18 is an image.
	n, _ := strconv.Atoi(port)
	return host, port, port != "" && (strings.Contains(host, ".") || n >= 1000)
}
