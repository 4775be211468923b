package read

import (
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// trust says how much of a value may be kept, by where it was written.
type trust int

const (
	secretSource trust = iota // dotenv files and Secrets: addresses, numbers and switches
	plainSource               // ConfigMaps, manifests, image metadata: known plain words too
)

var (
	secretive    = regexp.MustCompile(`(?i)(passw|passphrase|pwd$|secret|token|credential|private|signature|salt|auth|bearer|session|cookie|cert|(^|_|-|\.)(pass|key|keys|pin|sid|dsn|otp)($|_|-|\.)|apikey|accesskey|[a-z](Key|Pass)$)`)
	plainName    = regexp.MustCompile(`(?i)(^|_)(host|hostname|addr|address|server|servers|endpoint|region)$`)
	hostValue    = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*(:\d{1,5})?$`)
	zoneValue    = regexp.MustCompile(`^[A-Z][A-Za-z]+(/[A-Z][A-Za-z_]+){0,2}$`)
	memoryName   = regexp.MustCompile(`^(GOMEMLIMIT|[A-Z_]*MEMORY(_LIMIT)?)$`)
	memorySize   = regexp.MustCompile(`^\d{1,6}(\.\d{1,2})?([kKmMgGtT]i?)?[bB]?$`)
	runtimeFlags = regexp.MustCompile(`^(\s*(--[a-z][a-z_-]{1,40}(=\d{1,6})?|-X(mx|ms|ss|mn)\d{1,6}[kKmMgG]?|-XX:[+-]?[A-Za-z][A-Za-z0-9]{1,40}(=\d{1,6}(\.\d{1,3})?[kKmMgG]?)?))+\s*$`)
	wordPath     = regexp.MustCompile(`^[a-zA-Z][a-zA-Z_.-]{0,30}$|^v\d{1,2}$|^\d{1,2}$`)
)

// plainWords are values that hold no secret under whatever name.
var plainWords = wordSet(`production development test testing staging prod dev stage local ci
	trace debug verbose info notice warn warning error fatal silent none off on yes no true false
	json text plain pretty logfmt utc gmt utf8 utf-8 en de fr c c.utf-8 en_us.utf-8
	postgres postgresql mysql mariadb sqlite redis memcached mongodb rabbitmq kafka memory disabled enabled
	require disable prefer allow verify-full verify-ca http https tcp grpc eu us auto default`)

func wordSet(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// keep fills an EnvSet with what may be known of its value.
func keep(s *premortem.EnvSet, value string, from trust) {
	s.Empty = value == ""
	if s.Empty {
		s.Plain = true
		return
	}
	s.Hash = hash(value)
	s.Value, s.Plain = reveal(s.Name, value, from)
}

// reveal returns the part of a value that is no secret, and whether it is all of it.
func reveal(name, value string, from trust) (kept string, whole bool) {
	if addr, ok := address(value, from); ok {
		return addr, addr == value
	}
	if secretive.MatchString(name) {
		return "", false
	}
	if _, err := strconv.ParseInt(value, 10, 64); err == nil && len(value) <= 9 {
		return value, true
	}
	switch value {
	case "true", "false":
		return value, true
	}
	if from == secretSource {
		return "", false
	}
	switch {
	case plainWords[strings.ToLower(value)],
		memoryName.MatchString(name) && memorySize.MatchString(value),
		strings.HasSuffix(name, "_OPTIONS") && runtimeFlags.MatchString(value) || strings.HasSuffix(name, "_OPTS") && runtimeFlags.MatchString(value),
		name == "TZ" && zoneValue.MatchString(value),
		plainName.MatchString(name) && hostValue.MatchString(value):
		return value, true
	}
	return "", false
}

// address returns a URL without its user, password, query and fragment. It refuses
// text in which an unescaped password could have been taken for a host or a path.
func address(value string, from trust) (string, bool) {
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok || scheme == "" || strings.ContainsAny(value, " \t\r\n\"'") {
		return "", false
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" {
		return "", false
	}
	if strings.Contains(rest, "@") && u.User == nil || strings.Contains(u.Path, "@") || strings.Contains(u.Fragment, "@") || strings.Contains(u.RawQuery, "@") {
		return "", false
	}
	host := u.Hostname()
	if !hostValue.MatchString(host) && net.ParseIP(host) == nil && !strings.Contains(host, ",") {
		return "", false
	}
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if from == secretSource && (u.Scheme == "http" || u.Scheme == "https") && !wordyPath(u.Path) {
		clean.Path = "" // a webhook's path is its password
	}
	return clean.String(), true
}

func wordyPath(p string) bool {
	for seg := range strings.SplitSeq(strings.Trim(p, "/"), "/") {
		if seg != "" && !wordPath.MatchString(seg) {
			return false
		}
	}
	return true
}

// maskArgs hides what command lines pass under secretive names.
func maskArgs(args []string) []string {
	out := make([]string, len(args))
	hide := false
	for i, a := range args {
		name, _, eq := strings.Cut(a, "=")
		flag := strings.HasPrefix(name, "-") || strings.ToUpper(name) == name
		switch {
		case hide:
			a = "***"
		case eq && flag && secretive.MatchString(strings.Trim(name, "-")):
			a = name + "=***"
		default:
			a = maskURLs(a)
		}
		hide = !eq && strings.HasPrefix(name, "-") && secretive.MatchString(strings.Trim(name, "-")) || name == "--requirepass"
		out[i] = a
	}
	return out
}
