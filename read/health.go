package read

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/premortem/premortem"
)

// probeAddress is the address on its own machine that a command of a health check
// asks: port and path.
var probeAddress = regexp.MustCompile(`(?:https?://)?(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(?::([^/\s'"` + "`" + `]+))?(/[^\s'"` + "`" + `)]*)?`)

var asksHTTP = regexp.MustCompile(`https?://|\bcurl\b|\bwget\b`)

// urlProbe finds the address that a command of a health check asks: its path, and
// its port when it is written.
func urlProbe(command premortem.Setting[string]) (path premortem.Setting[string], port premortem.Setting[int]) {
	m := probeAddress.FindStringSubmatch(command.Value)
	if m == nil || !asksHTTP.MatchString(command.Value) {
		return path, port
	}
	path = premortem.Setting[string]{Value: m[2], Pos: command.Pos}
	if path.Value == "" {
		path.Value = "/"
	}
	if n, err := strconv.Atoi(m[1]); err == nil && n > 0 && n < 1<<16 {
		port = premortem.Setting[int]{Value: n, Pos: command.Pos}
	}
	return path, port
}

// commandProbe is a health check that runs a command in the container.
func commandProbe(words []string, pos premortem.Pos) premortem.Probe {
	p := premortem.Probe{Kind: "container", Check: "exec", Pos: pos}
	p.Command = premortem.Setting[string]{Value: strings.Join(maskArgs(words), " "), Pos: pos}
	p.Path, p.Port = urlProbe(p.Command)
	return p
}
